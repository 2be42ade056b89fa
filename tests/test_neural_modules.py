"""The network: its size, its initial weights, its two ways forward."""

import copy
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


def trained(network, n_features):
    """Give biases, scales and running statistics values of their own, as training would."""
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    network.train()
    for _ in range(3):
        network(torch.randn(50, n_features))
    return network.eval()


def product(lights, pixels):
    """All observations of a product, light by light."""
    return torch.cat([lights.repeat_interleave(len(pixels), 0), pixels.repeat(len(lights), 1)], dim=1)


# --- Architecture


def test_the_seeds_network_has_its_number_of_parameters():
    network = RelightingMLP(7, 3, (600,) * 5)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_449_003
    assert [tuple(layer.weight.shape) for layer in linears(network)] == [(600, 7), *[(600, 600)] * 4, (3, 600)]


def test_the_seeds_network_is_dense_layers_with_relu_and_a_linear_output():
    network = RelightingMLP(7, 3, (20, 30))
    X = torch.randn(11, 7)
    first, second, output = linears(network)
    expected = torch.relu(torch.relu(X @ first.weight.T + first.bias) @ second.weight.T + second.bias)
    expected = expected @ output.weight.T + output.bias
    torch.testing.assert_close(network(X), expected)
    assert expected.min() < 0  # a ReLU on the output would show


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_applied_where_they_are_named(activation):
    X = torch.randn(20, 4)
    module = ACTIVATIONS[activation]()
    network = RelightingMLP(4, 2, (8,), activation=activation)
    first, output = linears(network)
    torch.testing.assert_close(network(X), output(module(first(X))))
    network = RelightingMLP(4, 2, (8,), output_activation=activation)
    first, output = linears(network)
    torch.testing.assert_close(network(X), module(output(torch.relu(first(X)))))


def test_normalization_stands_before_the_activation_and_dropout_after_it():
    network = RelightingMLP(4, 2, (8, 8), normalization="layer", dropout=0.5)
    for layer, expected in zip(network.hidden, [nn.Linear, nn.LayerNorm, nn.ReLU, Dropout] * 2, strict=True):
        assert isinstance(layer, expected)


def test_batch_normalization_has_the_statistics_of_the_batch_in_training():
    network = RelightingMLP(4, 2, (8,), activation="identity", normalization="batch").train()
    linears(network)[1].weight.data.copy_(torch.eye(2, 8))
    output = network(5 + 3 * torch.randn(500, 4))
    torch.testing.assert_close(output.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(output.std(dim=0), torch.ones(2), atol=1e-2, rtol=0)


def test_a_batch_of_one_is_normalised_by_the_running_statistics():
    network = trained(RelightingMLP(4, 2, (8,), normalization="batch"), 4)
    X = torch.randn(1, 4)
    expected = network(X)
    before = copy.deepcopy(network.state_dict())
    network.train()
    torch.testing.assert_close(network(X), expected)
    network(X).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_dropout_drops_its_share_in_training_only():
    network = RelightingMLP(4, 3, (2000,), dropout=0.3)
    X = torch.randn(5, 4)
    dropped = []
    network.output.register_forward_pre_hook(lambda module, inputs: dropped.append(inputs[0] == 0))
    network.eval()
    assert torch.equal(network(X), network(X))
    network.train()
    assert not torch.equal(network(X), network(X))
    alive = ~dropped[0]
    assert (dropped[-1] & alive).sum() / alive.sum() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("sizes", [(600, 600), (50,), ()])
def test_initial_weights_are_glorot_uniform_and_biases_zero(sizes):
    network = RelightingMLP(40, 30, sizes, activation="prelu", normalization="batch")
    for layer in linears(network):
        n_out, n_in = layer.weight.shape
        bound = math.sqrt(6 / (n_in + n_out))
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.98 * bound
        assert layer.weight.mean().item() == pytest.approx(0, abs=0.05 * bound)
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert not layer.bias.any()


def test_weights_and_dropout_follow_the_seed_alone():
    X = torch.randn(20, 7)

    def outputs(seed):
        network = RelightingMLP(7, 3, (10, 10), dropout=0.5, seed=seed).train()
        return torch.cat([network(X), network(X), network.eval()(X)])

    torch.manual_seed(1)
    expected, state = outputs(0), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(outputs(0), expected)
    assert not torch.equal(outputs(1), expected)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_layers_drop_units_of_their_own():
    network = RelightingMLP(4, 3, (1000, 1000), activation="identity", dropout=0.5).train()
    dropped = [layer(torch.ones(1, 1000)) == 0 for layer in network.hidden if isinstance(layer, Dropout)]
    assert 0.4 < (dropped[0] == dropped[1]).float().mean() < 0.6


def test_a_network_whose_dropout_has_drawn_is_pickled_without_its_generator():
    network = RelightingMLP(4, 3, (8,), dropout=0.5).train()
    X = torch.randn(5, 4)
    network(X)
    loaded = pickle.loads(pickle.dumps(network))
    assert loaded.hidden[2].generator is None
    assert torch.equal(loaded.eval()(X), network.eval()(X))


@pytest.mark.parametrize("options", [{"normalization": name} for name in NORMALIZATIONS] + [{"n_light_features": 2}])
def test_weights_are_float32_whatever_torchs_default_is(options):
    expected = RelightingMLP(7, 3, (8, 8), activation="prelu", dropout=0.5, **options)
    torch.set_default_dtype(torch.float64)
    try:
        network = RelightingMLP(7, 3, (8, 8), activation="prelu", dropout=0.5, **options)
    finally:
        torch.set_default_dtype(torch.float32)
    for one, two in zip(network.state_dict().values(), expected.state_dict().values(), strict=True):
        assert one.dtype == two.dtype
        assert torch.equal(one, two)


# --- The product of lights and pixels


@pytest.mark.parametrize("half_precision", [False, True])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
@pytest.mark.parametrize("n_light_features", [None, 2])
@pytest.mark.parametrize("sizes", [(), (16,), (16, 24), (16, 8, 16)])
def test_forward_product_equals_forward_on_the_table(sizes, n_light_features, normalization, half_precision):
    options = {"normalization": normalization, "dropout": 0.5, "half_precision": half_precision}
    network = trained(RelightingMLP(7, 3, sizes, n_light_features=n_light_features, **options), 7)
    lights, pixels = torch.randn(5, 2), torch.randn(12, 5)
    with torch.no_grad():
        expected = network(product(lights, pixels)).unflatten(0, (5, 12))
        values = network.forward_product(lights, pixels)
    assert values.shape == (5, 12, 3)
    assert values.dtype == expected.dtype == torch.float32
    tolerance = {"rtol": 0, "atol": 0.05 * expected.abs().max()} if half_precision else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(values, expected, **tolerance)


def test_a_single_unit_is_a_product_of_light_and_pixel():
    # As the light's direction times an albedo: dense layers of a few units are nowhere near.
    network = RelightingMLP(3, 1, (1,), activation="identity", n_light_features=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.hidden[0].weight[1] = torch.tensor([2.0, 3.0, 0.0])
        network.output[0].weight.fill_(1.0)
    light, pixel = torch.randn(5, 1), torch.randn(4, 2)
    torch.testing.assert_close(network.forward_product(light, pixel)[:, :, 0], 6 * light * pixel[:, 0])


def test_gradients_of_products_are_those_of_differences():
    # Without kinks, and in the precision that differences need.
    network = RelightingMLP(5, 2, (4, 3), activation="tanh", n_light_features=2).double()
    torch.nn.init.uniform_(network.hidden[0].bias, -1, 1)
    X = torch.rand(3, 5, dtype=torch.float64, requires_grad=True)

    names, parameters = zip(*network.hidden.named_parameters(), strict=True)

    def outputs(X, *parameters):
        return torch.func.functional_call(network.hidden, dict(zip(names, parameters, strict=True)), X)

    assert torch.autograd.gradcheck(outputs, (X, *parameters))


@pytest.mark.parametrize("output_activation", ACTIVATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(), (16, 16)])
def test_forward_product_equals_forward_for_each_activation(sizes, activation, output_activation):
    network = trained(RelightingMLP(5, 2, sizes, activation, output_activation), 5)
    lights, pixels = torch.randn(4, 3), torch.randn(6, 2)
    with torch.no_grad():
        expected = network(product(lights, pixels)).unflatten(0, (4, 6))
        torch.testing.assert_close(network.forward_product(lights, pixels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("n_lights", "n_pixels"), [(1, 1), (1, 9), (9, 1), (0, 4)])
@pytest.mark.parametrize("sizes", [(), (16, 16)])
def test_forward_product_of_few(sizes, n_lights, n_pixels):
    network = trained(RelightingMLP(5, 2, sizes), 5)
    lights, pixels = torch.randn(n_lights, 3), torch.randn(n_pixels, 2)
    with torch.no_grad():
        expected = network(product(lights, pixels)).unflatten(0, (n_lights, n_pixels))
        torch.testing.assert_close(network.forward_product(lights, pixels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_light_features", [None, 3])
def test_a_photograph_does_not_depend_on_those_predicted_with_it(n_light_features):
    network = trained(RelightingMLP(12, 3, (16, 16), n_light_features=n_light_features), 12)
    lights, pixels = torch.randn(33, 3), torch.randn(50, 9)
    together = network.predict_product(lights, pixels)
    for some in (1, 2, 7, 32):
        assert network.predict_product(lights[:some], pixels).tobytes() == together[:some].tobytes()


@pytest.mark.parametrize("sizes", [(), (16, 16)])
def test_a_plain_table_is_lights_on_one_pixel_without_features(sizes):
    network = trained(RelightingMLP(5, 2, sizes), 5)
    X = torch.randn(8, 5)
    with torch.no_grad():
        torch.testing.assert_close(network.forward_product(X, torch.empty(1, 0))[:, 0], network(X))


# --- Half precision


@pytest.mark.parametrize("sizes", [(), (64,), (64, 64)])
def test_output_and_weights_are_float32_in_half_precision(sizes):
    network = RelightingMLP(7, 3, sizes, half_precision=True)
    output = network(torch.randn(9, 7))
    assert output.dtype == torch.float32
    output.sum().backward()
    assert {p.dtype for p in network.parameters()} == {p.grad.dtype for p in network.parameters()} == {torch.float32}


def test_half_precision_is_near_single_precision_but_is_another():
    half = RelightingMLP(7, 3, (64, 64), half_precision=True)
    single = RelightingMLP(7, 3, (64, 64))
    single.load_state_dict(half.state_dict())
    X = torch.randn(200, 7)
    with torch.no_grad():
        difference = (half(X) - single(X)).abs().max()
        assert 0 < difference < 0.03 * single(X).abs().max()


def test_output_layer_has_more_than_8_bits_in_half_precision():
    # Halves of the hidden layers are exact here; the output layer's weight needs more digits than bfloat16 has.
    network = RelightingMLP(1, 1, (1,), half_precision=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        linears(network)[0].weight.fill_(1)
        linears(network)[1].weight.fill_(1 + 2**-12)
        assert network(torch.ones(1, 1)).item() == 1 + 2**-12
        assert network.forward_product(torch.ones(1, 1), torch.empty(1, 0)).item() == 1 + 2**-12


def test_forward_product_follows_autograd_like_forward():
    network = RelightingMLP(5, 2, (16, 16))
    other = copy.deepcopy(network)
    lights, pixels = torch.randn(4, 3), torch.randn(6, 2)
    network(product(lights, pixels)).square().sum().backward()
    other.forward_product(lights, pixels).square().sum().backward()
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-4)


def test_blocks_of_a_wide_network_hold_no_more_values_than_those_of_others(monkeypatch):
    network = RelightingMLP(3, 2, (2**17,)).eval()
    lights, pixels = torch.rand(3, 1), torch.rand(100, 2)
    n_values, parts = [], network._forward_parts

    def watched(light_part, pixel_part):
        n_values.append(len(light_part) * len(pixel_part) * pixel_part.shape[1])
        return parts(light_part, pixel_part)

    monkeypatch.setattr(network, "_forward_parts", watched)
    predicted = network.predict_product(lights, pixels)
    assert max(n_values) <= 4096 * 4096
    with torch.no_grad():
        expected = network.forward_product(lights, pixels)
    torch.testing.assert_close(torch.from_numpy(predicted), expected)
