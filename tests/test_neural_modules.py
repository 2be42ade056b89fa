"""The network: its size, its initial weights, its ways forward: in pairs, in grids and in blocks."""

import collections
import copy
import itertools
import math
import pickle

import pytest
import torch
from torch import nn

from sklrelight.neural import RelightingMLP
from sklrelight.neural._modules import ACTIVATIONS, NORMALIZATIONS, Dropout


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def linears(network):
    return [module for module in network.modules() if isinstance(module, nn.Linear)]


def trained(network):
    """Give biases, scales and running statistics values of their own, as training would."""
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    network.train()
    for _ in range(3):
        network(*observations(network, 50))
    return network.eval()


def observations(network, n):
    """Random lights and pixels of a network, in pairs."""
    n_light, n_joined = network.join.n_light_features, network.join.in_features
    return torch.randn(n, n_light), torch.randn(
        n, network.pixel[0].in_features if network.pixel else n_joined - n_light
    )


def paired(lights, pixels):
    """All pairs of lights and pixels, light by light."""
    return lights.repeat_interleave(len(pixels), 0), pixels.repeat(len(lights), 1)


# --- Architecture


def test_the_seeds_network_has_its_number_of_parameters():
    network = RelightingMLP(2, 5, 3, (600,) * 5)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_449_003
    assert [tuple(layer.weight.shape) for layer in linears(network)] == [(600, 7), *[(600, 600)] * 4, (3, 600)]


def test_the_seeds_network_is_dense_layers_with_relu_and_a_linear_output():
    network = trained(RelightingMLP(2, 5, 3, (20, 30)))
    lights, pixels = torch.randn(11, 2), torch.randn(11, 5)
    first, second, output = linears(network)
    X = torch.cat([lights, pixels], dim=1)
    expected = torch.relu(torch.relu(X @ first.weight.T + first.bias) @ second.weight.T + second.bias)
    expected = expected @ output.weight.T + output.bias
    torch.testing.assert_close(network(lights, pixels), expected)
    assert expected.min() < 0  # a ReLU on the output would show


def test_layers_of_the_pixel_come_before_the_join_and_the_light_enters_linearly():
    network = trained(RelightingMLP(2, 5, 3, (8, 6), pixel_layer_sizes=(7, 9), light_pixel_products=True))
    lights, pixels = torch.randn(11, 2), torch.randn(11, 5)
    first, second, join, hidden, output = linears(network)
    assert [layer.out_features for layer in (first, second, join, hidden, output)] == [7, 9, 16, 6, 3]
    of_pixel = torch.relu(second(torch.relu(first(pixels)))) @ join.weight[:, 2:].T + join.bias
    own, factor = of_pixel.chunk(2, dim=1)
    of_light, light_factor = (lights @ join.weight[:, :2].T).chunk(2, dim=1)
    expected = output(torch.relu(hidden(torch.relu(own + of_light + factor * light_factor))))
    torch.testing.assert_close(network(lights, pixels), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_applied_where_they_are_named(activation):
    lights, pixels = torch.randn(20, 1), torch.randn(20, 3)
    module = ACTIVATIONS[activation]()
    network = RelightingMLP(1, 3, 2, (8,), pixel_layer_sizes=(6,), activation=activation)
    first, join, output = linears(network)
    expected = output(module(nn.Linear.forward(join, torch.cat([lights, module(first(pixels))], dim=1))))
    torch.testing.assert_close(network(lights, pixels), expected)
    network = RelightingMLP(1, 3, 2, (8,), output_activation=activation)
    join, output = linears(network)
    expected = module(output(torch.relu(nn.Linear.forward(join, torch.cat([lights, pixels], dim=1)))))
    torch.testing.assert_close(network(lights, pixels), expected)


def test_normalization_stands_before_the_activation_and_dropout_after_it():
    network = RelightingMLP(1, 3, 2, (8, 8), pixel_layer_sizes=(4,), normalization="layer", dropout=0.5)
    after = [nn.LayerNorm, nn.ReLU, Dropout]
    for layers, expected in ((network.pixel, [nn.Linear, *after]), (network.hidden, [*after, nn.Linear, *after])):
        for layer, kind in zip(layers, expected, strict=True):
            assert isinstance(layer, kind)


def test_batch_normalization_has_the_statistics_of_the_batch_in_training():
    network = RelightingMLP(1, 3, 2, (8,), activation="identity", normalization="batch").train()
    network.output[0].weight.data.copy_(torch.eye(2, 8))
    output = network(5 + 3 * torch.randn(10, 1, 1), 5 + 3 * torch.randn(50, 3)).flatten(0, 1)
    torch.testing.assert_close(output.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(output.std(dim=0), torch.ones(2), atol=1e-2, rtol=0)


@pytest.mark.parametrize("pixel_layer_sizes", [(), (6,)])
def test_a_batch_of_one_is_normalised_by_the_running_statistics(pixel_layer_sizes):
    network = trained(RelightingMLP(1, 3, 2, (8,), pixel_layer_sizes, normalization="batch"))
    X = observations(network, 1)
    expected = network(*X)
    before = copy.deepcopy(network.state_dict())
    network.train()
    torch.testing.assert_close(network(*X), expected)
    network(*X).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_dropout_drops_its_share_in_training_only():
    network = RelightingMLP(1, 3, 3, (2000,), dropout=0.3)
    X = observations(network, 5)
    dropped = []
    network.output.register_forward_pre_hook(lambda module, inputs: dropped.append(inputs[0] == 0))
    network.eval()
    assert torch.equal(network(*X), network(*X))
    network.train()
    assert not torch.equal(network(*X), network(*X))
    alive = ~dropped[0]
    assert (dropped[-1] & alive).sum() / alive.sum() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("light_pixel_products", [False, True])
@pytest.mark.parametrize(("sizes", "pixel_sizes"), [((600, 600), ()), ((50,), (300,)), ((), (60,)), ((), ())])
def test_initial_weights_are_glorot_uniform_and_biases_zero(sizes, pixel_sizes, light_pixel_products):
    network = RelightingMLP(
        20, 20, 30, sizes, pixel_sizes, activation="prelu", normalization="batch",
        light_pixel_products=light_pixel_products,
    )  # fmt: skip
    weights = [layer.weight for layer in linears(network) if layer is not network.join]
    if light_pixel_products:
        # Summands and factors, of the light and of the pixel: a layer each.
        halves = network.join.weight.chunk(2)
        weights += [part for half in halves for part in half.tensor_split([20], dim=1)]
    else:
        weights.append(network.join.weight)
    for weight in weights:
        n_out, n_in = weight.shape
        bound = math.sqrt(6 / (n_in + n_out))
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.98 * bound
        assert weight.mean().item() == pytest.approx(0, abs=0.05 * bound)
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not any(layer.bias.any() for layer in linears(network))


def test_weights_and_dropout_follow_the_seed_alone():
    lights, pixels = torch.randn(20, 2), torch.randn(20, 5)

    def outputs(seed):
        network = RelightingMLP(2, 5, 3, (10, 10), (6,), dropout=0.5, seed=seed).train()
        return torch.cat([network(lights, pixels), network(lights, pixels), network.eval()(lights, pixels)])

    torch.manual_seed(1)
    expected, state = outputs(0), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(outputs(0), expected)
    assert not torch.equal(outputs(1), expected)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_layers_drop_units_of_their_own():
    network = RelightingMLP(1, 3, 3, (1000, 1000), (1000,), activation="identity", dropout=0.5).train()
    layers = [layer for layer in [*network.pixel, *network.hidden] if isinstance(layer, Dropout)]
    dropped = [layer(torch.ones(1, 1000)) == 0 for layer in layers]
    assert len(dropped) == 3
    for one, two in itertools.combinations(dropped, 2):
        assert 0.4 < (one == two).float().mean() < 0.6


def test_a_network_whose_dropout_has_drawn_is_pickled_without_its_generator():
    network = RelightingMLP(1, 3, 3, (8,), (8,), dropout=0.5).train()
    X = observations(network, 5)
    network(*X)
    loaded = pickle.loads(pickle.dumps(network))
    assert loaded.hidden[1].generator is loaded.pixel[2].generator is None
    assert torch.equal(loaded.eval()(*X), network.eval()(*X))


@pytest.mark.parametrize(
    "options", [{"normalization": name} for name in NORMALIZATIONS] + [{"light_pixel_products": True}]
)
def test_weights_are_float32_whatever_torchs_default_is(options):
    options = {"pixel_layer_sizes": (4,), "activation": "prelu", "dropout": 0.5} | options
    expected = RelightingMLP(2, 5, 3, (8, 8), **options)
    torch.set_default_dtype(torch.float64)
    try:
        network = RelightingMLP(2, 5, 3, (8, 8), **options)
    finally:
        torch.set_default_dtype(torch.float32)
    for one, two in zip(network.state_dict().values(), expected.state_dict().values(), strict=True):
        assert one.dtype == two.dtype
        assert torch.equal(one, two)


# --- Pairs, grids and blocks


@pytest.mark.parametrize("half_precision", [False, True])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
@pytest.mark.parametrize("light_pixel_products", [False, True])
@pytest.mark.parametrize("pixel_sizes", [(), (12,), (12, 10)])
@pytest.mark.parametrize("sizes", [(), (16,), (16, 8, 16)])
def test_grids_pairs_and_blocks_give_the_same(sizes, pixel_sizes, light_pixel_products, normalization, half_precision):
    options = {"normalization": normalization, "dropout": 0.5, "half_precision": half_precision}
    network = trained(RelightingMLP(2, 5, 3, sizes, pixel_sizes, light_pixel_products=light_pixel_products, **options))
    lights, pixels = torch.randn(5, 2), torch.randn(12, 5)
    with torch.no_grad():
        expected = network(*paired(lights, pixels)).unflatten(0, (5, 12))
        grid = network(lights[:, None], pixels)
    predicted = torch.from_numpy(network.predict_product(lights, pixels))
    tolerance = {"rtol": 0, "atol": 0.05 * expected.abs().max()} if half_precision else {"rtol": 1e-4, "atol": 1e-5}
    for values in (grid, predicted):
        assert values.shape == (5, 12, 3)
        assert values.dtype == expected.dtype == torch.float32
        torch.testing.assert_close(values, expected, **tolerance)


@pytest.mark.parametrize("output_activation", ACTIVATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(), (16, 16)])
def test_grids_and_pairs_give_the_same_for_each_activation(sizes, activation, output_activation):
    network = trained(RelightingMLP(3, 2, 2, sizes, sizes, activation, output_activation))
    lights, pixels = torch.randn(4, 3), torch.randn(6, 2)
    with torch.no_grad():
        expected = network(*paired(lights, pixels)).unflatten(0, (4, 6))
        torch.testing.assert_close(network(lights[:, None], pixels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("n_lights", "n_pixels"), [(1, 1), (1, 9), (9, 1), (0, 4), (0, 1)])
@pytest.mark.parametrize("sizes", [(), (16, 16)])
def test_grids_of_few(sizes, n_lights, n_pixels):
    network = trained(RelightingMLP(3, 2, 2, sizes, sizes))
    lights, pixels = torch.randn(n_lights, 3), torch.randn(n_pixels, 2)
    with torch.no_grad():
        expected = network(*paired(lights, pixels)).unflatten(0, (n_lights, n_pixels))
        torch.testing.assert_close(network(lights[:, None], pixels), expected, rtol=1e-4, atol=1e-5)
    predicted = torch.from_numpy(network.predict_product(lights, pixels))
    torch.testing.assert_close(predicted, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_layers_of_the_pixel_run_once_a_pixel_and_those_of_the_light_once_a_light(training):
    network = RelightingMLP(2, 5, 3, (8, 8), (6, 6), light_pixel_products=True).train(training)
    rows = collections.Counter()

    def count(name):
        return lambda module, inputs: rows.update({name: inputs[0].shape[:-1].numel()})

    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear) and name != "join":
            layer.register_forward_pre_hook(count(name))
    for name in ("light_part", "pixel_part"):
        part = getattr(network.join, name)
        setattr(network.join, name, lambda table, part=part, name=name: (count(name)(None, [table]), part(table))[1])
    network(torch.randn(7, 1, 2), torch.randn(11, 5))
    expected = {"pixel.0": 11, "pixel.2": 11, "pixel_part": 11, "hidden.1": 77, "output.0": 77}
    assert rows == expected | {"light_part": 7}
    # Several blocks of pixels. Under one light, the join is a dense layer on the pixel, with weights of its own.
    rows.clear()
    del expected["pixel_part"]
    network.eval().predict_product(torch.randn(7, 2), torch.randn(5000, 5))
    assert rows == {name: n_rows // 11 * 5000 for name, n_rows in expected.items()} | {"light_part": 7}


def test_a_single_unit_is_a_product_of_light_and_pixel():
    # As the light's direction times an albedo: dense layers of a few units are nowhere near.
    network = RelightingMLP(1, 2, 1, (1,), activation="identity", light_pixel_products=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.join.weight[1] = torch.tensor([2.0, 3.0, 0.0])
        network.output[0].weight.fill_(1.0)
    light, pixel = torch.randn(5, 1), torch.randn(4, 2)
    torch.testing.assert_close(network(light[:, None], pixel)[:, :, 0], 6 * light * pixel[:, 0])


@pytest.mark.parametrize("light_pixel_products", [False, True])
def test_gradients_are_those_of_differences(light_pixel_products):
    # Without kinks. Differences need float64, which the last layer is not given.
    network = RelightingMLP(
        2, 3, 2, (4, 3), (5,), activation="tanh", light_pixel_products=light_pixel_products
    ).double()
    lights = torch.rand(3, 1, 2, dtype=torch.float64, requires_grad=True)
    pixels = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)

    def outputs(lights, pixels, *parameters):
        parts = network.join.light_part(lights), network.join.pixel_part(network.pixel(pixels))
        return network.hidden(network.join.join(*parts))

    names, parameters = zip(*network.named_parameters(), strict=True)

    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, lights, pixels):
            return outputs(lights, pixels)

    def call(lights, pixels, *parameters):
        named = {f"network.{name}": value for name, value in zip(names, parameters, strict=True)}
        return torch.func.functional_call(Joined(), named, (lights, pixels))

    assert torch.autograd.gradcheck(call, (lights, pixels, *parameters))


@pytest.mark.parametrize("light_pixel_products", [False, True])
@pytest.mark.parametrize("pixel_sizes", [(), (24, 24)])
@pytest.mark.parametrize("n_pixels", [2, 50, 3000])
@pytest.mark.parametrize("half_precision", [False, True])
def test_a_photograph_does_not_depend_on_those_predicted_with_it(
    n_pixels, pixel_sizes, light_pixel_products, half_precision
):
    options = {"light_pixel_products": light_pixel_products, "half_precision": half_precision}
    network = trained(RelightingMLP(3, 9, 3, (16, 16), pixel_sizes, **options))
    lights, pixels = torch.randn(33, 3), torch.randn(n_pixels, 9)
    together = network.predict_product(lights, pixels)
    for some in (1, 2, 7, 32):
        assert network.predict_product(lights[:some], pixels).tobytes() == together[:some].tobytes()
    assert network.predict_product(lights[20:21], pixels).tobytes() == together[20:21].tobytes()


@pytest.mark.parametrize("sizes", [(), (16, 16)])
def test_a_plain_table_is_lights_on_one_pixel_without_features(sizes):
    network = trained(RelightingMLP(5, 0, 2, sizes))
    X = torch.randn(8, 5)
    with torch.no_grad():
        expected = network(X, torch.empty(8, 0))
        torch.testing.assert_close(network(X[:, None], torch.empty(1, 0))[:, 0], expected)
    torch.testing.assert_close(torch.from_numpy(network.predict_product(X, torch.empty(1, 0)))[:, 0], expected)


# --- Half precision


@pytest.mark.parametrize("pixel_sizes", [(), (32,)])
@pytest.mark.parametrize("sizes", [(), (64,), (64, 64)])
def test_output_and_weights_are_float32_in_half_precision(sizes, pixel_sizes):
    network = RelightingMLP(2, 5, 3, sizes, pixel_sizes, half_precision=True)
    output = network(torch.randn(4, 1, 2), torch.randn(9, 5))
    assert output.dtype == torch.float32
    output.sum().backward()
    assert {p.dtype for p in network.parameters()} == {p.grad.dtype for p in network.parameters()} == {torch.float32}


def test_half_precision_is_near_single_precision_but_is_another():
    half = RelightingMLP(2, 5, 3, (64, 64), (64,), half_precision=True)
    single = RelightingMLP(2, 5, 3, (64, 64), (64,))
    single.load_state_dict(half.state_dict())
    X = observations(single, 200)
    with torch.no_grad():
        difference = (half(*X) - single(*X)).abs().max()
        assert 0 < difference < 0.03 * single(*X).abs().max()


def test_output_layer_has_more_than_8_bits_in_half_precision():
    # Halves of the hidden layers are exact here; the output layer's weight needs more digits than bfloat16 has.
    network = RelightingMLP(1, 0, 1, (1,), half_precision=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.join.weight.fill_(1)
        network.output[0].weight.fill_(1 + 2**-12)
        assert network(torch.ones(1, 1), torch.empty(1, 0)).item() == 1 + 2**-12
        assert network.predict_product(torch.ones(1, 1), torch.empty(1, 0)).item() == 1 + 2**-12


def test_gradients_of_grids_are_those_of_pairs():
    network = RelightingMLP(3, 2, 2, (16, 16), (8,), light_pixel_products=True)
    other = copy.deepcopy(network)
    lights, pixels = torch.randn(4, 3), torch.randn(6, 2)
    network(*paired(lights, pixels)).square().sum().backward()
    other(lights[:, None], pixels).square().sum().backward()
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-4)


def test_blocks_of_a_wide_network_hold_no_more_values_than_those_of_others(monkeypatch):
    network = RelightingMLP(1, 2, 2, (2**17,)).eval()
    lights, pixels = torch.rand(3, 1), torch.rand(100, 2)
    n_values, finish = [], network._finish

    def watched(joined):
        n_values.append(joined.numel())
        return finish(joined)

    monkeypatch.setattr(network, "_finish", watched)
    predicted = network.predict_product(lights, pixels)
    assert max(n_values) <= 4096 * 4096
    with torch.no_grad():
        expected = network(lights[:, None], pixels)
    torch.testing.assert_close(torch.from_numpy(predicted), expected)
