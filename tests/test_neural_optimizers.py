"""Muon and AdamW as one optimiser: who gets what, schedules, states."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from sklrelight.neural import MuonAdamW, RelightingMLP


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Table(RelightingMLP):
    """A network over a plain table, which has no pixels."""

    def forward(self, X):
        return super().forward(X, X[:, :0])


def make_network(sizes=(8, 9, 10), **options):
    return Table(4, 0, 3, sizes, **options)


def train(network, optimizer, n_steps, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_steps):
        X = torch.randn(30, 4, generator=generator)
        optimizer.zero_grad()
        (network(X) - X[:, :3]).square().mean().backward()
        optimizer.step()


def weights(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def names(network, group):
    ids = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in network.named_parameters() if id(parameter) in ids}


# --- Who gets what


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_muon_takes_the_matrices_between_hidden_layers_and_adamw_the_rest(normalization):
    network = make_network(activation="prelu", normalization=normalization)
    adamw, muon = MuonAdamW(network.parameters()).param_groups
    matrices = [name for name, parameter in network.named_parameters() if parameter.ndim == 2]
    assert names(network, muon) == set(matrices[1:-1])
    assert [tuple(parameter.shape) for parameter in muon["params"]] == [(9, 8), (10, 9)]
    assert names(network, adamw) == {name for name, _ in network.named_parameters()} - set(matrices[1:-1])


def test_adamw_trains_what_is_given_pixels_and_what_gives_colours():
    network = RelightingMLP(2, 5, 3, (8, 6), (7, 9), light_pixel_products=True)
    adamw, muon = MuonAdamW(network.parameters()).param_groups
    expected = {"pixel.2.weight", "join.weight", "hidden.1.weight"}
    assert names(network, muon) == expected
    assert names(network, adamw) == {name for name, _ in network.named_parameters()} - expected


def test_steps_in_single_precision_are_those_of_torch_but_for_rounding():
    network = make_network((8, 16, 10))
    other, start = copy.deepcopy(network), weights(network)
    train(network, MuonAdamW(network.parameters(), lr=1e-3), 5)
    train(other, MuonAdamW(other.parameters(), lr=1e-3, half_precision=False), 5)
    steps = weights(network) - start, weights(other) - start
    assert (steps[0] - steps[1]).norm() < 0.05 * steps[0].norm()
    assert not torch.equal(*steps)


@pytest.mark.parametrize("sizes", [(), (8,)])
def test_a_network_without_hidden_matrices_is_trained_by_adamw_alone(sizes):
    network = make_network(sizes)
    other = copy.deepcopy(network)
    optimizer = MuonAdamW(network.parameters(), lr=1e-2)
    assert len(optimizer.param_groups) == 1
    train(network, optimizer, 5)
    train(other, torch.optim.AdamW(other.parameters(), lr=1e-2, weight_decay=0.0), 5)
    torch.testing.assert_close(weights(network), weights(other), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("sizes", [(8, 9, 10), (9, 8, 9, 8), (8, 8, 8)])
def test_it_does_what_torchs_two_optimisers_do_side_by_side(sizes):
    network = make_network(sizes)
    other = copy.deepcopy(network)
    optimizer = MuonAdamW(network.parameters(), lr=3e-3, muon_factor=7)
    inner = [parameter for parameter in other.parameters() if parameter.ndim == 2][1:-1]
    rest = [parameter for parameter in other.parameters() if all(parameter is not one for one in inner)]

    class Both:
        parts = torch.optim.AdamW(rest, lr=3e-3, weight_decay=0.0), torch.optim.Muon(inner, lr=0.021, weight_decay=0.0)

        def zero_grad(self):
            for part in self.parts:
                part.zero_grad()

        def step(self):
            for part in self.parts:
                part.step()

    before = weights(network)
    train(network, optimizer, 5)
    train(other, Both(), 5)
    assert not torch.equal(weights(network), before)
    torch.testing.assert_close(weights(network), weights(other), rtol=1e-5, atol=1e-6)


def test_all_parameters_move():
    network = make_network(activation="prelu", normalization="layer")
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    train(network, MuonAdamW(network.parameters(), lr=1e-2), 3)
    assert [name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])] == []


def test_rates_are_lr_and_its_multiple():
    groups = MuonAdamW(make_network().parameters(), lr=1e-3, muon_factor=20).param_groups
    assert [group["lr"] for group in groups] == [1e-3, 0.02]
    assert [group["weight_decay"] for group in groups] == [0, 0]


def test_it_takes_the_groups_that_skorch_passes():
    network = make_network()
    plain = MuonAdamW(network.parameters())
    grouped = MuonAdamW([{"params": [*network.parameters()]}])
    for one, two in zip(plain.param_groups, grouped.param_groups, strict=True):
        assert [id(parameter) for parameter in one["params"]] == [id(parameter) for parameter in two["params"]]


def test_groups_with_a_rate_of_their_own_are_adamws():
    network, own = make_network(), torch.nn.Parameter(torch.zeros(5, 4))
    groups = MuonAdamW([{"params": [own], "lr": 0.5}, {"params": [*network.parameters()]}], lr=1e-3).param_groups
    plain = MuonAdamW(network.parameters(), lr=1e-3).param_groups
    assert [group["lr"] for group in groups] == [1e-3, 0.5, 0.01]
    assert groups[1]["params"] == [own]
    for one, two in zip([groups[0], groups[2]], plain, strict=True):
        assert [id(parameter) for parameter in one["params"]] == [id(parameter) for parameter in two["params"]]


def test_zero_grad_reaches_all_parameters():
    network = make_network()
    optimizer = MuonAdamW(network.parameters())
    network(torch.randn(5, 4)).sum().backward()
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_closure_is_evaluated_and_its_loss_returned():
    network = make_network()
    optimizer = MuonAdamW(network.parameters())
    before = weights(network)

    def closure():
        optimizer.zero_grad()
        loss = network(torch.ones(5, 4)).square().mean()
        loss.backward()
        return loss

    loss = closure().item()
    assert optimizer.step(closure).item() == loss
    assert not torch.equal(weights(network), before)
    assert optimizer.step() is None


# --- Schedules


def test_a_scheduler_reaches_both_optimisers():
    network = make_network()
    optimizer = MuonAdamW(network.parameters(), lr=1e-2)
    scheduler = CosineAnnealingLR(optimizer, T_max=4)
    train(network, optimizer, 1)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0, 0], abs=1e-12)
    before = weights(network)
    train(network, optimizer, 2)
    torch.testing.assert_close(weights(network), before, rtol=0, atol=1e-7)  # at a rate of 0 nothing moves


def test_a_plateau_halves_both_rates_and_they_are_what_is_trained_with():
    network = make_network()
    optimizer = MuonAdamW(network.parameters(), lr=1e-2)
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    scheduler.step(1.0)
    scheduler.step(2.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([5e-3, 5e-2])
    other = make_network()
    other.load_state_dict(network.state_dict())
    train(network, optimizer, 3)
    train(other, MuonAdamW(other.parameters(), lr=5e-3), 3)
    torch.testing.assert_close(weights(network), weights(other))


# --- States


@pytest.mark.parametrize("sizes", [(8, 9, 10), (8,), ()])
def test_training_goes_on_identically_from_a_state_dict(sizes, tmp_path):
    network = make_network(sizes)
    optimizer = MuonAdamW(network.parameters(), lr=1e-2)
    train(network, optimizer, 4)
    optimizer.param_groups[0]["lr"] = 3e-3
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state.pt")
    train(network, optimizer, 4, seed=2)

    state = torch.load(tmp_path / "state.pt")
    resumed = make_network(sizes)
    resumed.load_state_dict(state["network"])
    fresh = MuonAdamW(resumed.parameters(), lr=0.5)
    fresh.load_state_dict(state["optimizer"])
    assert fresh.param_groups[0]["lr"] == 3e-3
    train(resumed, fresh, 4, seed=2)
    assert torch.equal(weights(resumed), weights(network))


def test_without_its_state_training_goes_on_differently():
    network = make_network()
    optimizer = MuonAdamW(network.parameters(), lr=1e-2)
    train(network, optimizer, 4)
    other = copy.deepcopy(network)
    train(network, optimizer, 1, seed=2)
    train(other, MuonAdamW(other.parameters(), lr=1e-2), 1, seed=2)
    assert not torch.equal(weights(other), weights(network))


def test_a_scheduler_reaches_both_optimisers_after_a_state_was_loaded():
    network = make_network()
    optimizer = MuonAdamW(network.parameters(), lr=1e-2)
    scheduler = CosineAnnealingLR(optimizer, T_max=1)
    train(network, optimizer, 1)
    optimizer.load_state_dict(optimizer.state_dict())
    scheduler.step()
    before = weights(network)
    train(network, optimizer, 1)
    torch.testing.assert_close(weights(network), before, rtol=0, atol=1e-7)


def test_a_state_of_another_network_is_refused():
    optimizer = MuonAdamW(make_network().parameters())
    with pytest.raises(ValueError, match=r"shorter|group"):
        optimizer.load_state_dict(MuonAdamW(make_network((8,)).parameters()).state_dict())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_train_on_identically_and_on_their_own(duplicate):
    network = make_network()
    optimizer = MuonAdamW(network.parameters(), lr=1e-2)
    train(network, optimizer, 4)
    other_network, other_optimizer = duplicate((network, optimizer))
    kept = weights(network)
    train(other_network, other_optimizer, 3, seed=2)
    assert torch.equal(weights(network), kept)
    train(network, optimizer, 3, seed=2)
    assert torch.equal(weights(network), weights(other_network))
    other_optimizer.param_groups[1]["lr"] = 0.0
    matrix = [*other_network.parameters()][2].detach().clone()
    train(other_network, other_optimizer, 1)
    assert torch.equal([*other_network.parameters()][2], matrix)


def test_no_parameters_are_refused():
    with pytest.raises(ValueError, match="empty parameter list"):
        MuonAdamW([])


def test_it_trains_a_network():
    network = make_network((32, 32, 32))
    X = torch.randn(256, 4)
    target = torch.sin(X[:, :3])
    optimizer = MuonAdamW(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(network(X), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
