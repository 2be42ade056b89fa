"""The compiled step of training: what it gives, and what it leaves behind."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_predict

from sklrelight import RelightingMLPRegressor
from sklrelight.neural import BatchSizeStages, RelightingNet, _config, _net

# Three epochs of 150 rows in batches of 64: the last one of each epoch is smaller.
PARAMETERS = {"hidden_layer_sizes": (16, 16), "batch_size": 64, "max_observations": 450, "random_state": 0}


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
    train_step, left = RelightingNet.train_step, step

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


def test_the_same_seed_gives_the_same_bytes_and_leaves_torchs_generator_alone(table, compiled):
    before = torch.get_rng_state()
    again = RelightingMLPRegressor(**PARAMETERS, compile=True).fit(*table)
    assert torch.equal(torch.get_rng_state(), before)
    assert again.predict(table[0]).tobytes() == compiled.predict(table[0]).tobytes()


def test_a_fit_that_was_killed_goes_on_compiled_to_the_same_bytes(table, compiled, monkeypatch, tmp_path):
    regressor = RelightingMLPRegressor(**PARAMETERS, compile=True, checkpoint=tmp_path / "fit")
    # In the second epoch, and in the one after it.
    for step in (5, 5):
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(RelightingNet, "train_step", killed_at(step))
            regressor.fit(*table)
    assert regressor.fit(*table).compiled_
    assert regressor.predict(table[0]).tobytes() == compiled.predict(table[0]).tobytes()


def test_the_fitted_network_is_an_ordinary_one(table, compiled):
    loaded = pickle.loads(pickle.dumps(compiled))
    assert type(loaded.net_.module_).__name__ == "RelightingMLP"
    np.testing.assert_array_equal(loaded.predict(table[0]), compiled.predict(table[0]))


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_stages_and_last_batches_are_compiled_no_more_than_twice(table):
    counters = torch._dynamo.utils.counters
    counters.clear()
    parameters = {**PARAMETERS, "max_observations": None, "callbacks": [BatchSizeStages(n_stages=4, max_epochs=2)]}
    regressor = RelightingMLPRegressor(**parameters, compile=True).fit(*table)
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
    monkeypatch.setattr(_net, "compiled_loss", lambda device: no_compiler)
    monkeypatch.setattr(_config, "_REPAY_COMPILING", {"cpu": (0, 0)})
    auto = RelightingMLPRegressor(**PARAMETERS).fit(*table)
    eager = RelightingMLPRegressor(**PARAMETERS, compile=False).fit(*table)
    assert auto.compiled_ is False
    assert auto.predict(table[0]).tobytes() == eager.predict(table[0]).tobytes()
    with pytest.raises(RuntimeError, match="compile=True, but torch cannot compile here"):
        RelightingMLPRegressor(**PARAMETERS, compile=True).fit(*table)
