"""The schedules, against what they should do worked out by hand, the progress bar, and callbacks of a user's own."""

import copy
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.history import History
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR
from tqdm.auto import tqdm

from sklrelight import RelightingMLPRegressor, make_relighter
from sklrelight.neural import BatchSizeStages, LinearDecay, PlateauLearningRate, RelightingNet, TrainingProgress
from sklrelight.neural._batches import count_observations
from sklrelight.neural._callbacks import named_callbacks, stage_batch_size

N_TRAIN, N_VALID = 96, 24


@pytest.fixture
def scripted_fit(monkeypatch):
    """Fit a small network whose losses are given instead of measured.

    Returns the fitted regressor, the weights before and after each epoch, and the sizes of the batches that training
    was given in each epoch.
    """

    def fit(callbacks, train_losses=None, valid_losses=None, interrupt_at=None, train=True, **parameters):
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
                    record.batch_sizes[-1].append(count_observations(batch))
                    if len(record.started) == interrupt_at:
                        raise KeyboardInterrupt
                if training and train:
                    net.notify("on_batch_begin", batch=batch, training=True)
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
        regressor = RelightingMLPRegressor((5, 5), callbacks=callbacks, max_observations=None, **parameters)
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
        {"n_stages": 3, "max_epochs": 3, "patience": None},
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
        [3, 3, 3],
    ),
    "the first stage knows no patience, a later one's first epoch is its first best": (
        {"n_stages": 3, "max_epochs": 5, "patience": 2},
        # first stage | 6 is the best, 7 and 8 are bad | 9 is the best, 10 and 11 are bad
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        [5, 3, 3],
    ),
    "an equal loss is no improvement": (
        {"n_stages": 2, "max_epochs": 5, "patience": 3},
        [1, 1, 1, 1, 1, 1, 1, 1, 1],
        [5, 4],
    ),
    "any lower loss is an improvement": (
        {"n_stages": 2, "max_epochs": 4, "patience": 1},
        [1, 1, 1, 1, 1, 1 - 1e-9, 1 - 2e-9, 1 - 3e-9],
        [4, 4],
    ),
    "bad epochs have to be in a row": (
        {"n_stages": 2, "max_epochs": 8, "patience": 2},
        # | best, bad, best, bad, best, bad, bad
        [9, 9, 9, 9, 9, 9, 9, 9, 5, 6, 4, 5, 3, 4, 3],
        [8, 7],
    ),
    "a stage is measured against its own best, not against an earlier stage's": (
        {"n_stages": 2, "max_epochs": 4, "patience": 1},
        [0.1, 0.1, 0.1, 0.1, 9, 8, 7, 6],
        [4, 4],
    ),
    "patience never outlasts max_epochs": (
        {"n_stages": 3, "max_epochs": 2, "patience": 5},
        [1, 2, 3, 4, 5, 6],
        [2, 2, 2],
    ),
    "a single stage has max_epochs": ({"n_stages": 1, "max_epochs": 5, "patience": 1}, [1, 2, 3, 4, 5], [5]),
    "a stage that ends below the target is the last": (
        {"n_stages": 4, "max_epochs": 2, "patience": 3, "target_loss": 0.5},
        [1, 0.6, 0.6, 0.4],
        [2, 2],
    ),
    "only the last epoch of a stage counts for the target": (
        {"n_stages": 3, "max_epochs": 2, "patience": 3, "target_loss": 0.5},
        [0.1, 0.6, 0.1, 0.6, 0.1, 0.6],
        [2, 2, 2],
    ),
    "the target itself is not below the target": (
        {"n_stages": 2, "max_epochs": 2, "patience": 3, "target_loss": 0.5},
        [0.5, 0.5, 0.5, 0.5],
        [2, 2],
    ),
    "out of patience below the target": (
        {"n_stages": 4, "max_epochs": 4, "patience": 1, "target_loss": 0.5},
        [1, 1, 1, 1, 0.3, 0.4],
        [4, 2],
    ),
    "no number is never an improvement": (
        {"n_stages": 3, "max_epochs": 4, "patience": 2},
        [math.nan] * 8,
        [4, 2, 2],
    ),
    "the seed's schedule": (
        {"n_stages": 4, "max_epochs": 5, "patience": 3, "target_loss": 1e-5},
        # five | best, 3 bad | best, best, 3 bad | five: the third bad one would be the sixth
        [9, 8, 7, 7, 7, 6, 6, 7, 8, 7, 6, 7, 7, 7, 5, 4, 3, 3, 3],
        [5, 4, 5, 5],
    ),
}


@pytest.mark.parametrize("restore_best", [True, False])
@pytest.mark.parametrize("case", STAGES)
def test_stages_end_as_worked_out_by_hand(scripted_fit, case, restore_best):
    parameters, losses, n_epochs = STAGES[case]
    stages = BatchSizeStages(**parameters, restore_best=restore_best)
    regressor, record = scripted_fit([stages], valid_losses=losses, batch_size=64)
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
    # patience 1 ends the second stage, the target the third
    stages = BatchSizeStages(n_stages=4, max_epochs=3, patience=1, target_loss=0.5)
    losses = [3, 3, 3, 1, 2, 0.1, 0.2]
    regressor, _ = scripted_fit([stages], train_losses=losses, validation_fraction=0, batch_size=8)
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
    stages = BatchSizeStages(n_stages=3, max_epochs=2, patience=None, restore_best=True)
    regressor, record = scripted_fit([stages], valid_losses=losses, batch_size=16)
    assert same_weights(regressor.net_.module_.state_dict(), record.ended[best - 1])
    others = [epoch for epoch in range(6) if epoch != best - 1]
    assert not any(same_weights(record.ended[best - 1], record.ended[epoch]) for epoch in others)


def test_each_stage_starts_from_the_best_weights_so_far(scripted_fit):
    stages = BatchSizeStages(n_stages=4, max_epochs=2, patience=None, restore_best=True)
    _, record = scripted_fit([stages], valid_losses=[3, 4, 5, 6, 2, 7, 1, 8], batch_size=16)
    # Epochs 3, 5 and 7 begin a stage; the best until then were epochs 1, 1 and 5.
    for start, best in ((3, 1), (5, 1), (7, 5)):
        assert same_weights(record.started[start - 1], record.ended[best - 1])
    for start in (2, 4, 6, 8):  # within a stage they carry over
        assert same_weights(record.started[start - 1], record.ended[start - 2])


def test_without_restoring_the_last_weights_are_kept(scripted_fit):
    stages = BatchSizeStages(n_stages=2, max_epochs=2)
    regressor, record = scripted_fit([stages], valid_losses=[1, 2, 3, 4], batch_size=16)
    assert same_weights(regressor.net_.module_.state_dict(), record.ended[-1])
    for start in range(1, 4):
        assert same_weights(record.started[start], record.ended[start - 1])


def test_without_validation_the_last_weights_are_kept(scripted_fit):
    stages = BatchSizeStages(n_stages=2, max_epochs=2, patience=None, restore_best=True)
    regressor, record = scripted_fit([stages], train_losses=[1, 2, 3, 4], batch_size=16, validation_fraction=0)
    assert same_weights(regressor.net_.module_.state_dict(), record.ended[-1])


def test_best_weights_are_kept_where_training_was_interrupted(scripted_fit):
    stages = BatchSizeStages(max_epochs=5, restore_best=True)
    regressor, record = scripted_fit([stages], valid_losses=[3, 2, 5, 6, 7], interrupt_at=4, batch_size=16)
    assert regressor.interrupted_
    assert len(record.ended) == 3
    assert same_weights(regressor.net_.module_.state_dict(), record.ended[1])


# --- BatchSizeStages by itself


class StubNet:
    """What the callback needs of a net."""

    def __init__(self, batch_size):
        self.module_ = torch.nn.Linear(1, 1)
        self.history = History()
        self.callbacks_ = []
        self.batch_size = batch_size
        self.batch_size_ = None


def run_stages(stages, losses, net):
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
    stages = BatchSizeStages(n_stages=2, max_epochs=2).initialize()
    run_stages(stages, [4, 3, 2], StubNet(100))
    assert not stages.finished_
    stages = BatchSizeStages(n_stages=2, max_epochs=2).initialize()
    net = run_stages(stages, [4, 3, 2, 1], StubNet(100))
    assert stages.finished_
    assert net.batch_size_ == 50
    assert net.history[:, ("stage", "batch_size", "event_stage_end")] == [
        (0, 100, False),
        (0, 100, True),
        (1, 50, False),
        (1, 50, True),
    ]


def test_initializing_forgets_an_earlier_run():
    stages = BatchSizeStages(n_stages=3, max_epochs=3, patience=2, restore_best=True).initialize()
    losses = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    first = run_stages(stages, losses, StubNet(64))
    stages.on_train_end(first)
    assert first.module_.weight.item() == 1
    stages.initialize()
    assert not stages.finished_
    second = run_stages(stages, [loss + 10 for loss in losses], StubNet(64))
    stages.on_train_end(second)
    assert second.module_.weight.item() == 11
    assert second.history[:, "batch_size"] == first.history[:, "batch_size"]


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
        {"n_stages": 3, "max_epochs": 3, "patience": 1},
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
        {"n_stages": 4, "max_epochs": 5, "patience": 5},
        [*(9, 8, 8, 8, 7), *(8, 8, 8, 8, 8), *(5, 4, 3, 2, 1), *(2, 3, 1, 3, 3)],
        None,
        [*[1] * 4, *[1 / 2] * 4, *[1 / 4] * 2, *[1 / 8] * 10],
    ),
}


@pytest.mark.parametrize("stages_first", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("case", PLATEAUS)
def test_plateau_reduces_the_rate_as_worked_out_by_hand(scripted_fit, case, optimizer, stages_first):
    stages, train_losses, valid_losses, expected = PLATEAUS[case]
    callbacks = [PlateauLearningRate(), BatchSizeStages(**{"n_stages": 1, "patience": None, **stages})]
    regressor, _ = scripted_fit(
        callbacks[::-1] if stages_first else callbacks,
        train_losses=train_losses,
        valid_losses=valid_losses,
        learning_rate_init=0.008,
        optimizer=optimizer,
        batch_size=32,
        train=False,
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
    callbacks = [PlateauLearningRate(), BatchSizeStages(n_stages=1, max_epochs=9)]
    regressor, _ = scripted_fit(callbacks, train_losses=[1] * 9, learning_rate_init=first, train=False)
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
    callbacks = [
        BatchSizeStages(n_stages=n_stages, max_epochs=12 // n_stages, patience=None),
        PlateauLearningRate(factor=factor, patience=patience),
    ]
    regressor, _ = scripted_fit(callbacks, train_losses=losses, learning_rate_init=first, train=False)
    expected = keras_rates(losses, 12 // n_stages, first, factor, patience)
    assert regressor.history_[:, "event_lr"] == pytest.approx(expected, rel=1e-9)


# --- The linear rate


def test_a_linear_rate_goes_on_over_all_stages_and_ends_at_0(scripted_fit):
    stages = BatchSizeStages(n_stages=3, max_epochs=2, patience=None)
    regressor, record = scripted_fit([stages], train_losses=[1] * 6, learning_rate_init=0.01, batch_size=32)
    # 3 batches an epoch, then 6, then 12; the rate of a batch is that before it.
    n_batches = np.cumsum([len(sizes) for sizes in record.batch_sizes])
    assert [*n_batches] == [3, 6, 12, 18, 30, 42]
    n_before = N_TRAIN * np.arange(1, 7) - [32, 32, 16, 16, 8, 8]
    expected = 0.01 * (1 - n_before / (6 * N_TRAIN))
    assert regressor.history_[:, "event_lr"] == pytest.approx(expected, rel=1e-9)


def test_the_rate_falls_by_observations_or_by_time_whichever_is_further_on():
    groups = [{"lr": 0.1}, {"lr": 1.0}]
    net = SimpleNamespace(
        clock=SimpleNamespace(progress=0.0),
        optimizer_=SimpleNamespace(param_groups=groups),
        training_batches_=SimpleNamespace(n_drawn=0, max_observations=1000),
    )
    decay = LinearDecay()
    decay.on_train_begin(net)

    def rate(n_drawn, progress):
        net.training_batches_.n_drawn, net.clock.progress = n_drawn + 10, progress
        decay.on_batch_begin(net, batch=({}, torch.zeros(10, 1)), training=True)
        assert groups[1]["lr"] == pytest.approx(10 * groups[0]["lr"])
        return groups[0]["lr"]

    assert [rate(n, 0.0) for n in (0, 500, 1000, 1100)] == pytest.approx([0.1, 0.05, 0, 0])
    assert [rate(n, 0.5) for n in (0, 500, 1000)] == pytest.approx([0.05, 0.05, 0])
    assert rate(0, 1.5) == 0
    net.training_batches_.max_observations = math.inf
    assert rate(10**9, 0.0) == pytest.approx(0.1)
    decay.set_params(n_observations=2000)
    assert rate(500, 0.0) == pytest.approx(0.075)
    # Validation is none of its business.
    decay.on_batch_begin(net, batch=({}, torch.zeros(10, 1)), training=False)


# --- The history of a real fit


def test_both_schedules_are_in_the_history_of_a_real_fit():
    rng = np.random.default_rng(0)
    X = rng.random((120, 4))
    regressor = RelightingMLPRegressor(
        (8,),
        callbacks=[("stages", BatchSizeStages(n_stages=2, max_epochs=3)), ("plateau", PlateauLearningRate())],
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


def bar_of(verbose, capsys, **parameters):
    X = np.random.default_rng(0).random((100, 3))
    parameters = {"max_observations": 300, **parameters}
    RelightingMLPRegressor((4,), random_state=0, verbose=verbose, **parameters).fit(X, X)
    return capsys.readouterr()


def open_bars():
    return [bar for bar in getattr(tqdm, "_instances", []) if not bar.disable]


def test_progress_shows_the_time_left_and_closes(capsys):
    output = bar_of(1, capsys)
    assert output.err.rstrip().split("\r")[-1] == "Training 100%|██████████| 00:00 left"
    assert output.out == ""
    assert open_bars() == []


def test_progress_shows_loss_rate_and_batch_size_if_asked(capsys):
    last = bar_of(2, capsys, batch_size=20, learning_rate_init=0.004).err.rstrip().split("\r")[-1]
    for text in ("loss ", "learning rate 0.004", "batch size 20"):
        assert text in last


def test_without_verbose_nothing_is_shown(capsys):
    output = bar_of(0, capsys)
    assert output.err == output.out == ""


def test_progress_closes_where_training_was_interrupted(scripted_fit, capsys):
    scripted_fit([BatchSizeStages(1, max_epochs=3)], valid_losses=[3, 2, 1], interrupt_at=2, verbose=1)
    assert "Training  33%" in capsys.readouterr().err.rstrip().split("\r")[-1]
    assert open_bars() == []


def training_net(n_drawn=0, max_observations=math.inf, elapsed=0.0):
    """Stand-in for a net that has been trained on some observations."""
    return SimpleNamespace(
        batch_size_=4,
        interrupted_=False,
        optimizer_=SimpleNamespace(param_groups=[{"lr": 0.5}]),
        training_batches_=SimpleNamespace(n_drawn=n_drawn, max_observations=max_observations),
        clock=SimpleNamespace(progress=elapsed),
    )


def lines_shown(capsys):
    return capsys.readouterr().err.rstrip().split("\r")


@pytest.mark.parametrize(
    ("total", "net"),
    [(10, training_net(4)), (None, training_net(4, max_observations=10)), (None, training_net(4, elapsed=0.4))],
    ids=["planned observations", "limit of observations", "limit of time"],
)
def test_progress_shows_the_share_of_the_training(total, net, capsys):
    progress = TrainingProgress(total).initialize()
    progress.on_train_begin(net)
    progress.on_epoch_begin(net)
    last = lines_shown(capsys)[-1]
    assert "Training  40%" in last
    assert last.endswith("left")
    progress.on_batch_end(net, training=True, loss=None)
    progress.on_train_end(net)
    assert "100%" in lines_shown(capsys)[-1]


def test_progress_counts_training_batches_only(capsys):
    progress = TrainingProgress(total=10, loss_every=1).initialize()
    net = training_net()
    progress.on_train_begin(net)
    net.training_batches_.n_drawn = 4
    progress.on_batch_end(net, training=False, loss=torch.tensor(7.0))
    progress.on_batch_end(net, training=True, loss=torch.tensor(0.25))
    progress.on_train_end(net)
    assert "loss 0.25, learning rate 0.5, batch size 4" in lines_shown(capsys)[-1]


def test_progress_reads_the_loss_only_now_and_then():
    progress = TrainingProgress(total=1000, loss_every=10).initialize()
    reads = []

    class Loss:
        def item(self):
            reads.append(1)
            return 0.5

    net = training_net()
    progress.on_train_begin(net)
    for _ in itertools.repeat(None, 35):
        progress.on_batch_end(net, training=True, loss=Loss())
    progress.on_train_end(net)
    assert len(reads) == 4


def test_networks_that_train_side_by_side_have_one_bar(capsys):
    scene = np.random.default_rng(0).random((9, 8, 8, 3), np.float32)
    lights = np.random.default_rng(1).random((9, 2))
    relighter = make_relighter(max_observations=2000, random_state=0, verbose=1).set_params(n_members=2)
    relighter.fit(lights, scene)
    shown = "".join(lines_shown(capsys)).split("Training ")[1:]
    shares = [int(line.split("%")[0]) for line in shown]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert {line.split("|")[2].strip() for line in shown if "100%" in line} == {"00:00 left"}
    assert "observations" not in "".join(shown)


# --- callbacks=


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (120, 2)).astype(np.float32)
    return X, np.c_[np.sin(3 * X[:, 0]), X[:, 0] * X[:, 1]].astype(np.float32)


def make_regressor(callbacks, **parameters):
    return RelightingMLPRegressor(
        (8,), **{"batch_size": 40, "max_observations": 480, "random_state": 0, "callbacks": callbacks, **parameters}
    )


class Recorder(Callback):
    """Notes what it is told."""

    def on_train_begin(self, net, **kwargs):
        self.told_ = {"train"}

    def on_epoch_end(self, net, **kwargs):
        self.told_.add("epoch")
        net.history.record("told", len(self.told_))

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        self.told_.add("batch")
        net.history.record_batch("size", len(batch[1]))


class TestCallbacks:
    def test_are_called_and_their_originals_stay_untouched(self, table):
        recorder = Recorder()
        regressor = make_regressor([recorder]).fit(*table)
        assert regressor.history_[:, "told"] == [3, 3, 3, 3]
        assert not hasattr(recorder, "told_")

    def test_the_history_has_a_row_for_the_last_batch_alone(self, table):
        history = make_regressor([Recorder()], batch_size=50).fit(*table).history_
        assert [row["batches"] for row in history] == [[{"size": 20}]] * 4

    def test_a_fit_without_any_is_the_same_as_with_one_that_only_looks(self, table):
        one, other = (make_regressor(callbacks).fit(*table) for callbacks in (None, [Recorder()]))
        assert one.predict(table[0]).tobytes() == other.predict(table[0]).tobytes()

    @pytest.mark.parametrize("stages_first", [False, True])
    def test_a_scheduler_of_skorchs_takes_the_place_of_the_linear_rate(self, table, stages_first):
        callbacks = [LRScheduler(ExponentialLR, gamma=0.5), BatchSizeStages(2, max_epochs=2)]
        regressor = make_regressor(callbacks[::-1] if stages_first else callbacks, learning_rate_init=0.01)
        # It goes on over the stages.
        assert regressor.fit(*table).history_[:, "event_lr"] == pytest.approx([0.01, 0.005, 0.0025, 0.00125])

    def test_a_scheduler_of_skorchs_may_step_with_each_batch(self, table):
        scheduler = LRScheduler(OneCycleLR, max_lr=[0.1], total_steps=13, step_every="batch")
        rates = make_regressor([scheduler], optimizer="adam").fit(*table).history_[:, "event_lr"]
        assert max(rates) > 0.09
        assert rates[-1] < 1e-4

    def test_early_stopping_ends_a_fit_as_usual(self, table):
        # No loss is half of the one before.
        stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=0.5)
        regressor = make_regressor([stopping], max_observations=10**6).fit(*table)
        assert len(regressor.history_) == 3
        assert regressor.n_observations_ == 360
        assert regressor.interrupted_ is False
        assert np.isfinite(regressor.predict(table[0])).all()

    def test_early_stopping_goes_back_to_the_best_weights(self, table):
        stopping = EarlyStopping(monitor="valid_loss", patience=1, threshold=0.9, load_best=True)
        parameters = {"validation_fraction": 0.25, "callbacks": [LRScheduler(ExponentialLR, gamma=1.0)]}
        best = make_regressor(**{**parameters, "max_observations": 90}).fit(*table)
        parameters["callbacks"].append(stopping)
        stopped = make_regressor(**parameters).fit(*table)
        assert len(stopped.history_) == 2
        assert stopped.predict(table[0]).tobytes() == best.predict(table[0]).tobytes()

    def test_ctrl_c_beside_early_stopping_is_still_ctrl_c(self, table):
        class Impatient(Callback):
            def on_epoch_end(self, net, **kwargs):
                raise KeyboardInterrupt

        regressor = make_regressor([EarlyStopping(monitor="train_loss"), Impatient()])
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(*table)
        assert regressor.interrupted_

    def test_their_parameters_are_the_regressors(self):
        regressor = make_regressor([("stages", BatchSizeStages()), PlateauLearningRate(factor=0.3)])
        params = regressor.get_params()
        assert params["callbacks__stages__n_stages"] == 4
        assert params["callbacks__PlateauLearningRate__factor"] == 0.3
        assert params["callbacks__stages"] is regressor.callbacks[0][1]
        other = BatchSizeStages(n_stages=3, max_epochs=7)
        regressor.set_params(callbacks__stages__n_stages=2, callbacks__stages=other, dropout=0.5)
        assert regressor.callbacks[0][1] is other
        assert (other.n_stages, other.max_epochs, regressor.dropout) == (2, 7, 0.5)
        for name in ("callbacks__absent", "callbacks__absent__factor", "callbacks__stages__absent", "absent"):
            with pytest.raises(ValueError, match="absent"):
                regressor.set_params(**{name: 1})

    def test_clones_have_their_own(self):
        regressor = make_regressor([("stages", BatchSizeStages(n_stages=3)), EarlyStopping(patience=7)])
        copied = clone(regressor)
        assert [name for name, _ in named_callbacks(copied.callbacks)] == ["stages", "EarlyStopping"]
        copied.set_params(callbacks__stages__n_stages=1)
        assert regressor.callbacks[0][1].n_stages == 3
        assert copied.callbacks[1].patience == 7

    def test_a_search_sets_parameters_and_whole_callbacks(self, table):
        regressor = make_regressor([("stages", BatchSizeStages(max_epochs=1))], max_observations=None)
        stages = [BatchSizeStages(max_epochs=2), BatchSizeStages(max_epochs=3)]
        grid = [{"callbacks__stages__n_stages": [1, 2]}, {"callbacks__stages": stages}, {"callbacks": [stages[:1]]}]
        search = GridSearchCV(regressor, grid, cv=2, refit=False).fit(*table)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        scores = search.cv_results_["mean_test_score"]
        # Two epochs are not one, and a stage of all others.
        assert len(set(scores[:4])) == 4
        assert scores[4] == scores[2]
        assert regressor.callbacks[0][1].n_stages == 4

    def test_several_of_one_class_are_numbered(self, table):
        regressor = make_regressor([Recorder(), ("own", Recorder()), Recorder(), TrainingProgress()])
        names = [name for name, _ in named_callbacks(regressor.callbacks)]
        assert names == ["Recorder_1", "own", "Recorder_2", "TrainingProgress"]
        assert regressor.get_params()["callbacks__Recorder_2"] is regressor.callbacks[2]
        regressor.fit(*table)

    @pytest.mark.parametrize("name", ["checkpoint", "progress", "linear_decay"])
    def test_any_name_may_be_given(self, table, tmp_path, name, capsys):
        regressor = make_regressor([(name, Recorder())], checkpoint=tmp_path / "fit", verbose=1)
        assert regressor.fit(*table).history_[-1, "told"] == 3

    @pytest.mark.parametrize(
        ("callbacks", "message"),
        [
            ([3], "callbacks must be skorch callbacks or pairs of a name and one, got 3"),
            ([("stages", BatchSizeStages(), 3)], "callbacks must be skorch callbacks or pairs"),
            ([BatchSizeStages], "callbacks must be skorch callbacks or pairs"),
            (BatchSizeStages(), "'callbacks' parameter"),
            ([("one", Recorder()), ("one", Recorder())], "'one'"),
            ([BatchSizeStages(n_stages=0)], "'n_stages' parameter of BatchSizeStages"),
            ([BatchSizeStages(factor=0)], "'factor' parameter of BatchSizeStages"),
            ([BatchSizeStages(factor=1.5)], "'factor' parameter of BatchSizeStages"),
            ([BatchSizeStages(max_epochs=None)], "'max_epochs' parameter of BatchSizeStages"),
            ([BatchSizeStages(patience=0)], "'patience' parameter of BatchSizeStages"),
            ([BatchSizeStages(target_loss=-1)], "'target_loss' parameter of BatchSizeStages"),
            ([BatchSizeStages(restore_best="yes")], "'restore_best' parameter of BatchSizeStages"),
            ([PlateauLearningRate(factor=1)], "'factor' parameter of PlateauLearningRate"),
            ([PlateauLearningRate(patience=0)], "'patience' parameter of PlateauLearningRate"),
            ([PlateauLearningRate(min_learning_rate=-1)], "'min_learning_rate' parameter of PlateauLearningRate"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, table, callbacks, message):
        with pytest.raises(ValueError, match=message):
            make_regressor(callbacks).fit(*table)

    def test_something_has_to_end_the_fit(self, table):
        with pytest.raises(ValueError, match="nothing ends the fit"):
            make_regressor([PlateauLearningRate()], max_observations=None).fit(*table)
        make_regressor([PlateauLearningRate()], max_observations=None, max_time=0.05).fit(*table)


def test_callbacks_are_shown_by_their_parameters():
    assert repr(PlateauLearningRate()) == "PlateauLearningRate(factor=0.5, patience=2, min_learning_rate=1e-07)"
    assert repr(BatchSizeStages(n_stages=2)).startswith("BatchSizeStages(n_stages=2, factor=0.5, max_epochs=5")
    assert " at 0x" not in repr(RelightingMLPRegressor(callbacks=[("stages", BatchSizeStages())]))
