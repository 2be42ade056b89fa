"""The compiled step of training: what it gives, and what it leaves behind."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_predict

from sklrelight import RelightingMLPRegressor, training, training_state
from sklrelight.building import make_net
from sklrelight.sampling import Observations

# Batches of 64 of 150 rows: the last one of each epoch is smaller.
PARAMETERS = {"hidden_layer_sizes": (16, 16), "batch_size": 64, "max_epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (150, 2)).astype(np.float32)
    return X, np.c_[np.sin(3 * X[:, 0]), X[:, 0] * X[:, 1]].astype(np.float32)


@pytest.fixture(scope="module")
def compiled(table):
    try:
        return RelightingMLPRegressor(**PARAMETERS, compile=True).fit(*table)
    except RuntimeError as error:
        pytest.skip(f"torch cannot compile here: {error.__cause__}")


def no_compiler(*args):
    raise RuntimeError("no compiler")


def killed_at(step):
    """Make a training step that ends the fit, where nothing catches it, at the given time."""
    train_step, left = training.RelightingNet.train_step, step

    def killed(self, *args, **kwargs):
        nonlocal left
        left -= 1
        if left == 0:
            raise KilledError
        return train_step(self, *args, **kwargs)

    return killed


class KilledError(BaseException):
    """As a signal would end it."""


def test_compiled_and_uncompiled_steps_learn_the_same(table, compiled):
    eager = RelightingMLPRegressor(**PARAMETERS, compile=False).fit(*table)
    assert compiled.compiled_ is True
    assert eager.compiled_ is False
    np.testing.assert_allclose(compiled.predict(table[0]), eager.predict(table[0]), rtol=1e-2, atol=1e-3)
    assert compiled.history_[:, "train_loss"] == pytest.approx(eager.history_[:, "train_loss"], rel=1e-3)


def test_the_same_seed_gives_the_same_bytes(table, compiled):
    again = RelightingMLPRegressor(**PARAMETERS, compile=True).fit(*table)
    assert again.predict(table[0]).tobytes() == compiled.predict(table[0]).tobytes()


def test_a_fit_that_was_killed_goes_on_compiled_to_the_same_bytes(table, compiled, monkeypatch, tmp_path):
    monkeypatch.setitem(training_state._OBSERVATIONS_BETWEEN, "cpu", 120)
    regressor = RelightingMLPRegressor(**PARAMETERS, compile=True, checkpoint=tmp_path / "fit")
    for step in (4, 4):
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(training.RelightingNet, "train_step", killed_at(step))
            regressor.fit(*table)
    assert regressor.fit(*table).compiled_
    assert regressor.predict(table[0]).tobytes() == compiled.predict(table[0]).tobytes()


def test_the_fitted_network_is_an_ordinary_one(table, compiled):
    loaded = pickle.loads(pickle.dumps(compiled))
    assert type(loaded.net_.module_).__name__ == "RelightingMLP"
    np.testing.assert_array_equal(loaded.predict(table[0]), compiled.predict(table[0]))


@pytest.mark.usefixtures("compiled")
def test_stages_and_last_batches_are_compiled_no_more_than_twice(table):
    counters = torch._dynamo.utils.counters
    counters.clear()
    regressor = RelightingMLPRegressor(**{**PARAMETERS, "max_epochs": 2}, n_stages=4, compile=True).fit(*table)
    assert regressor.compiled_
    # Once for the first size, and once for all others.
    assert 1 <= counters["stats"]["unique_graphs"] <= 2


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_workers_compile_for_themselves(table):
    regressor = RelightingMLPRegressor(**PARAMETERS, compile=True)
    predicted = cross_val_predict(regressor, *table, cv=2, n_jobs=2)
    np.testing.assert_allclose(
        predicted, cross_val_predict(regressor.set_params(compile=False), *table, cv=2), atol=0.01
    )


def test_without_a_compiler_auto_goes_on_and_true_is_refused(table, monkeypatch):
    monkeypatch.setattr(training, "compiled_loss", lambda device: no_compiler)
    monkeypatch.setattr("sklrelight.building._REPAY_COMPILING", {"cpu": 0})
    auto = RelightingMLPRegressor(**PARAMETERS).fit(*table)
    eager = RelightingMLPRegressor(**PARAMETERS, compile=False).fit(*table)
    assert auto.compiled_ is False
    assert auto.predict(table[0]).tobytes() == eager.predict(table[0]).tobytes()
    with pytest.raises(RuntimeError, match="compile=True, but torch cannot compile here"):
        RelightingMLPRegressor(**PARAMETERS, compile=True).fit(*table)


@pytest.mark.parametrize(
    ("widths", "max_observations", "expected"),
    [((256,) * 3, 10**7, False), ((600,) * 5, 10**7, False), ((600,) * 5, 10**9, "auto")],
)
def test_auto_compiles_long_fits_only(widths, max_observations, expected):
    observations = Observations(torch.zeros(8, 3), torch.zeros(100, 4), torch.zeros(8, 100, 3), (10, 10))
    regressor = RelightingMLPRegressor(widths, max_epochs=10**9, max_observations=max_observations)
    net = make_net(regressor, observations, None, torch.device("cpu"), False, None, max_observations, seed=0)
    assert net.compile_step == expected
