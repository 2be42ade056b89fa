"""The two schedules, against what they should do worked out by hand, and the progress bar."""

import copy
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skorch.history import History
from tqdm.auto import tqdm

from sklrelight import RelightingMLPRegressor
from sklrelight.callbacks import BatchSizeStages, TrainingProgress, stage_batch_size
from sklrelight.training import RelightingNet

N_TRAIN, N_VALID = 96, 24


@pytest.fixture
def scripted_fit(monkeypatch):
    """Fit a small network whose losses are given instead of measured.

    Returns the fitted regressor, the weights before the first and after each epoch, and the sizes of the batches that
    training was given in each epoch.
    """

    def fit(train_losses=None, valid_losses=None, interrupt_at=None, train=True, **parameters):
        n_epochs = len(train_losses if train_losses is not None else valid_losses)
        train_losses = iter(train_losses if train_losses is not None else [0.5] * n_epochs)
        valid_losses = iter(valid_losses if valid_losses is not None else [0.5] * n_epochs)
        record = SimpleNamespace(started=[], ended=[], batch_sizes=[])

        def run_single_epoch(net, iterator, training, prefix, step_fn, **fit_params):
            if iterator is None:
                return
            if training:
                record.started.append(copy.deepcopy(net.module_.state_dict()))
                record.batch_sizes.append([])
            for batch in iterator:
                if training:
                    record.batch_sizes[-1].append(len(batch[0]))
                    if len(record.started) == interrupt_at:
                        raise KeyboardInterrupt
                if training and train:
                    step_fn(batch)
                    net.notify("on_batch_end", batch=batch, training=True, loss=torch.tensor(0.5))
            if training:
                record.ended.append(copy.deepcopy(net.module_.state_dict()))
            net.history_.record(f"{prefix}_loss", next(train_losses if training else valid_losses))
            net.history_.record(f"{prefix}_batch_count", len(record.batch_sizes[-1]))

        monkeypatch.setattr(RelightingNet, "run_single_epoch", run_single_epoch)
        rng = np.random.default_rng(0)
        X, y = rng.random((N_TRAIN + N_VALID, 4)), rng.random((N_TRAIN + N_VALID, 2))
        parameters = {"validation_fraction": N_VALID / (N_TRAIN + N_VALID), "random_state": 0, **parameters}
        regressor = RelightingMLPRegressor((5, 5), max_observations=None, **parameters)
        if interrupt_at is None:
            regressor.fit(X, y)
        else:
            with pytest.raises(KeyboardInterrupt):
                regressor.fit(X, y)
        return regressor, record

    return fit


def same_weights(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


# --- Stages

# Losses of the epochs as they would come, over the stages' settings; and the epochs that each stage then has.
STAGES = {
    "only max_epochs ends a stage without patience": (
        {"n_stages": 3, "max_epochs": 3, "stage_patience": None},
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
        [3, 3, 3],
    ),
    "the first stage knows no patience, a later one's first epoch is its first best": (
        {"n_stages": 3, "max_epochs": 5, "stage_patience": 2},
        # first stage | 6 is the best, 7 and 8 are bad | 9 is the best, 10 and 11 are bad
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        [5, 3, 3],
    ),
    "an equal loss is no improvement": (
        {"n_stages": 2, "max_epochs": 5, "stage_patience": 3},
        [1, 1, 1, 1, 1, 1, 1, 1, 1],
        [5, 4],
    ),
    "any lower loss is an improvement": (
        {"n_stages": 2, "max_epochs": 4, "stage_patience": 1},
        [1, 1, 1, 1, 1, 1 - 1e-9, 1 - 2e-9, 1 - 3e-9],
        [4, 4],
    ),
    "bad epochs have to be in a row": (
        {"n_stages": 2, "max_epochs": 8, "stage_patience": 2},
        # | best, bad, best, bad, best, bad, bad
        [9, 9, 9, 9, 9, 9, 9, 9, 5, 6, 4, 5, 3, 4, 3],
        [8, 7],
    ),
    "a stage is measured against its own best, not against an earlier stage's": (
        {"n_stages": 2, "max_epochs": 4, "stage_patience": 1},
        [0.1, 0.1, 0.1, 0.1, 9, 8, 7, 6],
        [4, 4],
    ),
    "patience never outlasts max_epochs": (
        {"n_stages": 3, "max_epochs": 2, "stage_patience": 5},
        [1, 2, 3, 4, 5, 6],
        [2, 2, 2],
    ),
    "a single stage has max_epochs": ({"n_stages": 1, "max_epochs": 5, "stage_patience": 1}, [1, 2, 3, 4, 5], [5]),
    "a stage that ends below the target is the last": (
        {"n_stages": 4, "max_epochs": 2, "stage_patience": 3, "target_loss": 0.5},
        [1, 0.6, 0.6, 0.4],
        [2, 2],
    ),
    "only the last epoch of a stage counts for the target": (
        {"n_stages": 3, "max_epochs": 2, "stage_patience": 3, "target_loss": 0.5},
        [0.1, 0.6, 0.1, 0.6, 0.1, 0.6],
        [2, 2, 2],
    ),
    "the target itself is not below the target": (
        {"n_stages": 2, "max_epochs": 2, "stage_patience": 3, "target_loss": 0.5},
        [0.5, 0.5, 0.5, 0.5],
        [2, 2],
    ),
    "out of patience below the target": (
        {"n_stages": 4, "max_epochs": 4, "stage_patience": 1, "target_loss": 0.5},
        [1, 1, 1, 1, 0.3, 0.4],
        [4, 2],
    ),
    "no number is never an improvement": (
        {"n_stages": 3, "max_epochs": 4, "stage_patience": 2},
        [math.nan] * 8,
        [4, 2, 2],
    ),
    "the seed's schedule": (
        {"n_stages": 4, "max_epochs": 5, "stage_patience": 3, "target_loss": 1e-5},
        # five | best, 3 bad | best, best, 3 bad | five: the third bad one would be the sixth
        [9, 8, 7, 7, 7, 6, 6, 7, 8, 7, 6, 7, 7, 7, 5, 4, 3, 3, 3],
        [5, 4, 5, 5],
    ),
}


@pytest.mark.parametrize("restore_best", [True, False])
@pytest.mark.parametrize("case", STAGES)
def test_stages_end_as_worked_out_by_hand(scripted_fit, case, restore_best):
    parameters, losses, n_epochs = STAGES[case]
    regressor, record = scripted_fit(
        valid_losses=losses, batch_size=64, restore_best_weights=restore_best, learning_rate="constant", **parameters
    )
    history = regressor.history_
    batch_sizes = [64, 32, 16, 8]
    expected = [(stage, batch_sizes[stage], epoch == n - 1) for stage, n in enumerate(n_epochs) for epoch in range(n)]
    assert history[:, ("stage", "batch_size", "event_stage_end")] == expected
    assert len(losses) == len(history)
    np.testing.assert_array_equal(history[:, "valid_loss"], losses)
    # The batches themselves: all observations, in the stage's batch size and what is left.
    for sizes, (_, batch_size, _) in zip(record.batch_sizes, expected, strict=True):
        assert sum(sizes) == N_TRAIN
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
        assert sizes[-1] in (batch_size, N_TRAIN % batch_size)


def test_without_validation_the_training_loss_is_watched(scripted_fit):
    regressor, _ = scripted_fit(
        # patience 1 ends the second stage, the target the third
        train_losses=[3, 3, 3, 1, 2, 0.1, 0.2],
        validation_fraction=0,
        n_stages=4,
        max_epochs=3,
        stage_patience=1,
        target_loss=0.5,
        batch_size=8,
    )
    assert regressor.history_[:, "stage"] == [0, 0, 0, 1, 1, 2, 2]
    assert "valid_loss" not in regressor.history_[0]


@pytest.mark.parametrize(
    ("batch_size", "factor", "expected"),
    [
        (50_000, 0.5, [50_000, 25_000, 12_500, 6_250]),
        (64, 1, [64, 64, 64, 64]),
        (10, 0.3, [10, 3, 1, 1]),
        (1, 0.5, [1, 1, 1, 1]),
        (25, 0.5, [25, 12, 6, 3]),
    ],
)
def test_batch_sizes_of_the_stages(batch_size, factor, expected):
    sizes = [stage_batch_size(batch_size, factor, stage) for stage in range(4)]
    assert sizes == expected
    assert {type(size) for size in sizes} == {int}


# --- The best weights


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([5, 3, 4, 6, 4, 5], 2),  # in the first stage: the later ones are no better
        ([5, 6, 4, 3, 4, 4], 4),
        ([6, 5, 4, 3, 2, 1], 6),
        ([3, 3, 3, 3, 3, 3], 1),  # the first of equals
        ([math.nan, 3, math.nan, 4, 4, 4], 2),
    ],
)
def test_best_weights_are_kept(scripted_fit, losses, best):
    regressor, record = scripted_fit(valid_losses=losses, n_stages=3, max_epochs=2, stage_patience=None, batch_size=16)
    assert same_weights(regressor.net_.module_.state_dict(), record.ended[best - 1])
    others = [epoch for epoch in range(6) if epoch != best - 1]
    assert not any(same_weights(record.ended[best - 1], record.ended[epoch]) for epoch in others)


def test_each_stage_starts_from_the_best_weights_so_far(scripted_fit):
    _, record = scripted_fit(
        valid_losses=[3, 4, 5, 6, 2, 7, 1, 8], n_stages=4, max_epochs=2, stage_patience=None, batch_size=16
    )
    # Epochs 3, 5 and 7 begin a stage; the best until then were epochs 1, 1 and 5.
    for start, best in ((3, 1), (5, 1), (7, 5)):
        assert same_weights(record.started[start - 1], record.ended[best - 1])
    for start in (2, 4, 6, 8):  # within a stage they carry over
        assert same_weights(record.started[start - 1], record.ended[start - 2])


def test_without_restoring_the_last_weights_are_kept(scripted_fit):
    regressor, record = scripted_fit(
        valid_losses=[1, 2, 3, 4], n_stages=2, max_epochs=2, batch_size=16, restore_best_weights=False
    )
    assert same_weights(regressor.net_.module_.state_dict(), record.ended[-1])
    for start in range(1, 4):
        assert same_weights(record.started[start], record.ended[start - 1])


def test_without_validation_the_last_weights_are_kept(scripted_fit):
    regressor, record = scripted_fit(
        train_losses=[1, 2, 3, 4], n_stages=2, max_epochs=2, stage_patience=None, batch_size=16, validation_fraction=0
    )
    assert same_weights(regressor.net_.module_.state_dict(), record.ended[-1])


def test_best_weights_are_kept_where_training_was_interrupted(scripted_fit):
    regressor, record = scripted_fit(valid_losses=[3, 2, 5, 6, 7], interrupt_at=4, max_epochs=5, batch_size=16)
    assert regressor.interrupted_
    assert len(record.ended) == 3
    assert same_weights(regressor.net_.module_.state_dict(), record.ended[1])


# --- BatchSizeStages by itself


class StubNet:
    """What the callback needs of a net."""

    def __init__(self, callbacks=()):
        self.module_ = torch.nn.Linear(1, 1)
        self.history = History()
        self.callbacks_ = [*callbacks]
        self.batch_size_ = None


def run_stages(stages, losses, net=None):
    net = net or StubNet()
    stages.on_train_begin(net)
    for loss in losses:
        assert not stages.finished_
        net.history.new_epoch()
        stages.on_epoch_begin(net)
        assert net.history[-1, "batch_size"] == net.batch_size_ == stages.batch_size_
        net.module_.weight.data.fill_(loss)
        net.history.record("valid_loss", loss)
        stages.on_epoch_end(net)
    return net


def test_finished_is_true_after_the_last_stage_and_not_before():
    stages = BatchSizeStages(100, n_stages=2, max_epochs=2).initialize()
    net = StubNet()
    run_stages(stages, [4, 3, 2], net)
    assert not stages.finished_
    stages = BatchSizeStages(100, n_stages=2, max_epochs=2).initialize()
    net = run_stages(stages, [4, 3, 2, 1])
    assert stages.finished_
    assert net.batch_size_ == 50
    assert net.history[:, ("stage", "batch_size", "event_stage_end")] == [
        (0, 100, False),
        (0, 100, True),
        (1, 50, False),
        (1, 50, True),
    ]


def test_initializing_forgets_an_earlier_run():
    stages = BatchSizeStages(64, n_stages=3, max_epochs=3, patience=2).initialize()
    losses = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    first = run_stages(stages, losses)
    stages.on_train_end(first)
    assert first.module_.weight.item() == 1
    stages.initialize()
    assert not stages.finished_
    second = run_stages(stages, [loss + 10 for loss in losses])
    stages.on_train_end(second)
    assert second.module_.weight.item() == 11
    assert second.history[:, "batch_size"] == first.history[:, "batch_size"]


def test_another_column_may_be_watched():
    stages = BatchSizeStages(8, n_stages=1, max_epochs=3, monitor="train_loss").initialize()
    net = StubNet()
    stages.on_train_begin(net)
    for train_loss, valid_loss in ((2, 9), (1, 9), (3, 0)):
        net.history.new_epoch()
        stages.on_epoch_begin(net)
        net.module_.weight.data.fill_(train_loss)
        net.history.record("train_loss", train_loss)
        net.history.record("valid_loss", valid_loss)
        stages.on_epoch_end(net)
    assert net.module_.weight.item() == 1


# --- The plateau

# Settings of the stages; training losses; validation losses where they matter; and the rate, in units of the first,
# that each epoch is trained with.
PLATEAUS = {
    "reduced after the second epoch in a row without improvement, and again after two more": (
        {"max_epochs": 6},
        [1, 1, 1, 1, 1, 1],
        None,
        [1, 1, 1, 1 / 2, 1 / 2, 1 / 4],
    ),
    "an improvement starts the count anew": ({"max_epochs": 6}, [1, 2, 0.5, 2, 2, 2], None, [1, 1, 1, 1, 1, 1 / 2]),
    "a fall of less than 1e-4 is none, but slow falls add up": (
        # 0.99995 and 0.99991 are above 1 - 1e-4; 0.99985 is below it, the new best; 0.9998 is above that less 1e-4.
        {"max_epochs": 7},
        [1, 0.99995, 0.99991, 0.99985, 0.9998, 0.9998, 0.9998],
        None,
        [1, 1, 1, 1 / 2, 1 / 2, 1 / 2, 1 / 4],
    ),
    "the fall is absolute, not relative": (
        {"max_epochs": 4},
        [1e-3, 0.95e-3, 0.91e-3, 0.9e-3],
        None,
        [1, 1, 1, 1 / 2],
    ),
    "the best stays after a reduction": ({"max_epochs": 6}, [1, 3, 3, 2, 2, 2], None, [1, 1, 1, 1 / 2, 1 / 2, 1 / 4]),
    "steady improvement keeps the rate": ({"max_epochs": 6}, [6, 5, 4, 3, 2, 1], None, [1] * 6),
    "the count starts anew with each stage": ({"n_stages": 3, "max_epochs": 2}, [1, 1, 1, 1, 1, 1], None, [1] * 6),
    "the best starts anew with each stage": (
        {"n_stages": 2, "max_epochs": 3},
        [0.1, 0.05, 0.01, 9, 8, 7],
        None,
        [1] * 6,
    ),
    "the rate carries over from stage to stage": (
        {"n_stages": 3, "max_epochs": 3},
        [1, 1, 1, 1, 1, 1, 1, 1, 1],
        None,
        [1, 1, 1, 1 / 2, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 4],
    ),
    "a stage that patience ends starts the next one's count as well": (
        # Three epochs, reduced after the third | two, the second bad | two, the second bad.
        {"n_stages": 3, "max_epochs": 3, "stage_patience": 1},
        [1, 1, 1, 1, 1, 1, 1],
        [0.5, 0.5, 0.5, 0.5, 0.6, 0.5, 0.6],
        [1, 1, 1, 1 / 2, 1 / 2, 1 / 2, 1 / 2],
    ),
    "it is the training loss that counts": (
        {"max_epochs": 5},
        [5, 4, 3, 2, 1],
        [1, 1, 1, 1, 1],
        [1] * 5,
    ),
    "no number is no improvement": ({"max_epochs": 4}, [math.nan] * 4, None, [1, 1, 1 / 2, 1 / 2]),
    "the seed's schedule": (
        # best, best, 2 bad: halved, best | best, 2 bad: halved, 2 bad: halved | all best | best, bad, best, 2 bad
        {"n_stages": 4, "max_epochs": 5, "stage_patience": 5},
        [*(9, 8, 8, 8, 7), *(8, 8, 8, 8, 8), *(5, 4, 3, 2, 1), *(2, 3, 1, 3, 3)],
        None,
        [*[1] * 4, *[1 / 2] * 4, *[1 / 4] * 2, *[1 / 8] * 10],
    ),
}


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("case", PLATEAUS)
def test_plateau_reduces_the_rate_as_worked_out_by_hand(scripted_fit, case, optimizer):
    stages, train_losses, valid_losses, expected = PLATEAUS[case]
    regressor, _ = scripted_fit(
        train_losses=train_losses,
        valid_losses=valid_losses,
        learning_rate="plateau",
        learning_rate_init=0.008,
        optimizer=optimizer,
        batch_size=32,
        train=False,
        **{"stage_patience": None, **stages},
    )
    assert len(regressor.history_) == len(train_losses)
    assert regressor.history_[:, "event_lr"] == pytest.approx([0.008 * rate for rate in expected], rel=1e-12)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (4e-7, [4e-7, 4e-7, 4e-7, 2e-7, 2e-7, 1e-7, 1e-7, 1e-7, 1e-7]),
        (3e-7, [3e-7, 3e-7, 3e-7, 1.5e-7, 1.5e-7, 1e-7, 1e-7, 1e-7, 1e-7]),  # not 0.75e-7
        (1.05e-7, [1.05e-7] * 3 + [1e-7] * 6),  # however small the step
        (1e-7, [1e-7] * 9),
        (5e-8, [5e-8] * 9),  # a lower one that was asked for is left as it is
    ],
)
def test_plateau_never_goes_below_the_least_rate(scripted_fit, first, expected):
    regressor, _ = scripted_fit(
        train_losses=[1] * 9, learning_rate="plateau", learning_rate_init=first, max_epochs=9, train=False
    )
    assert regressor.history_[:, "event_lr"] == pytest.approx(expected, rel=1e-9)


def keras_rates(losses, stage_length, first, factor, patience, min_delta=1e-4, min_lr=1e-7):
    """Follow Keras's ReduceLROnPlateau, made anew with each call of its fit, of which each stage is one."""
    rates, rate = [], first
    for begin in range(0, len(losses), stage_length):
        best, wait = math.inf, 0
        for loss in losses[begin : begin + stage_length]:
            rates.append(rate)
            if loss < best - min_delta:
                best, wait = loss, 0
                continue
            wait += 1
            if wait >= patience and rate > min_lr:
                rate, wait = max(rate * factor, min_lr), 0
    return rates


@given(
    losses=st.lists(st.sampled_from([1, 2, 3, 2.99995, 1.0002]), min_size=12, max_size=12),
    n_stages=st.sampled_from([1, 2, 3, 4]),
    factor=st.sampled_from([0.1, 0.5, 0.9]),
    patience=st.integers(1, 4),
    first=st.sampled_from([1e-3, 3e-7]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plateau_agrees_with_keras(scripted_fit, losses, n_stages, factor, patience, first):
    regressor, _ = scripted_fit(
        train_losses=losses,
        learning_rate="plateau",
        learning_rate_init=first,
        plateau_factor=factor,
        plateau_patience=patience,
        n_stages=n_stages,
        max_epochs=12 // n_stages,
        stage_patience=None,
        train=False,
    )
    expected = keras_rates(losses, 12 // n_stages, first, factor, patience)
    assert regressor.history_[:, "event_lr"] == pytest.approx(expected, rel=1e-9)


def test_a_linear_rate_goes_on_over_all_stages_and_ends_at_0(scripted_fit):
    regressor, record = scripted_fit(
        train_losses=[1] * 6,
        learning_rate="linear",
        learning_rate_init=0.01,
        n_stages=3,
        max_epochs=2,
        stage_patience=None,
        batch_size=32,
    )
    # 3 batches an epoch, then 6, then 12; the rate is read after an epoch.
    n_batches = np.cumsum([len(sizes) for sizes in record.batch_sizes])
    assert [*n_batches] == [3, 6, 12, 18, 30, 42]
    expected = 0.01 * (1 - n_batches / 42)
    assert regressor.history_[:, "event_lr"] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_a_constant_rate_is_constant(scripted_fit):
    regressor, _ = scripted_fit(
        train_losses=[1] * 4, learning_rate="constant", learning_rate_init=0.01, n_stages=2, max_epochs=2, train=False
    )
    assert regressor.history_[:, "event_lr"] == [0.01] * 4


# --- The history of a real fit


def test_both_schedules_are_in_the_history_of_a_real_fit():
    rng = np.random.default_rng(0)
    X = rng.random((120, 4))
    regressor = RelightingMLPRegressor(
        (8,),
        learning_rate="plateau",
        n_stages=2,
        max_epochs=3,
        batch_size=50,
        validation_fraction=0.2,
        max_observations=None,
        random_state=0,
    ).fit(X, X[:, :2])
    history = regressor.history_
    assert history[:, ("stage", "batch_size")] == [(0, 50)] * 3 + [(1, 25)] * 3
    assert history[:, "train_batch_count"] == [2] * 3 + [4] * 3
    for column in ("train_loss", "valid_loss", "event_lr"):
        assert all(value > 0 for value in history[:, column])
    assert regressor.net_.batch_size == 50  # the running one is another


# --- The progress bar


def bar_of(regressor_verbose, capsys, **parameters):
    X = np.random.default_rng(0).random((100, 3))
    RelightingMLPRegressor((4,), max_epochs=3, random_state=0, verbose=regressor_verbose, **parameters).fit(X, X)
    return capsys.readouterr()


def open_bars():
    return [bar for bar in getattr(tqdm, "_instances", []) if not bar.disable]


def test_progress_shows_loss_rate_and_batch_size_and_closes(capsys):
    output = bar_of(1, capsys, batch_size=20, learning_rate="constant", learning_rate_init=0.004)
    last = output.err.rstrip().split("\r")[-1]
    assert "300/300" in last
    assert "100%" in last
    assert "observations" in last
    for text in ("loss=", "learning_rate=0.004", "batch_size=20"):
        assert text in last
    assert output.out == ""
    assert open_bars() == []


def test_without_verbose_nothing_is_shown(capsys):
    output = bar_of(0, capsys)
    assert output.err == output.out == ""


def test_progress_ends_with_max_observations(capsys):
    last = bar_of(1, capsys, batch_size=50, max_observations=150).err.rstrip().split("\r")[-1]
    assert "150/150" in last


def test_progress_closes_where_training_was_interrupted(scripted_fit, capsys):
    scripted_fit(valid_losses=[3, 2, 1], interrupt_at=2, max_epochs=3, verbose=1)
    assert f"{N_TRAIN}.0/{3 * N_TRAIN}" in capsys.readouterr().err.rstrip().split("\r")[-1]
    assert open_bars() == []


def test_progress_counts_training_batches_only(capsys):
    progress = TrainingProgress(total=10).initialize()
    net = SimpleNamespace(batch_size_=4, optimizer_=SimpleNamespace(param_groups=[{"lr": 0.5}]))
    progress.on_train_begin(net)
    batch = torch.zeros(4, 2), torch.zeros(4, 1)
    progress.on_batch_end(net, batch=batch, training=False, loss=torch.tensor(7.0))
    progress.on_batch_end(net, batch=batch, training=True, loss=torch.tensor(0.25))
    progress.on_train_end(net)
    last = capsys.readouterr().err.rstrip().split("\r")[-1]
    assert "4.00/10.0" in last
    assert "loss=0.25" in last
    assert progress.bar_.disable or progress.bar_.n == 4


def test_progress_reads_the_loss_only_now_and_then():
    progress = TrainingProgress(total=1000, loss_every=10).initialize()
    net = SimpleNamespace(batch_size_=1, optimizer_=SimpleNamespace(param_groups=[{"lr": 0.5}]))
    reads = []

    class Loss:
        def item(self):
            reads.append(1)
            return 0.5

    progress.on_train_begin(net)
    for _ in itertools.repeat(None, 35):
        progress.on_batch_end(net, batch=(torch.zeros(1, 1), None), training=True, loss=Loss())
    progress.on_train_end(net)
    assert len(reads) == 4
