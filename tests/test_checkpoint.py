"""`checkpoint=` of RelightingMLPRegressor: a fit that was stopped goes on to the same bytes."""

import numpy as np
import pytest

from sklrelight import PixelLightFeaturizer, RelightingMLPRegressor, training_state
from sklrelight.checkpoints import CheckpointFile
from sklrelight.interpolation import NearestPhotograph
from sklrelight.losses import CompositeLoss


class KilledError(BaseException):
    """Ends a fit where nothing can catch it, as a signal would."""


@pytest.fixture(scope="module")
def capture():
    """Smooth photographs of 8 x 10 pixels under 24 lights, as features and encoded values."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (24, 2))
    shading = np.einsum("nd,hwd->nhw", lights, rng.normal(size=(8, 10, 2)))
    images = (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32)
    return PixelLightFeaturizer(n_components=3, random_state=0).fit(lights, images).transform(lights), images


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Keep the state every few batches of these small fits."""
    monkeypatch.setitem(training_state._OBSERVATIONS_BETWEEN, "cpu", 450)


def kill_at_batch(monkeypatch, batch):
    forward, n_calls = CompositeLoss.forward, 0

    def killed(self, *batch_values):
        nonlocal n_calls
        n_calls += 1
        if n_calls == batch:
            raise KilledError
        return forward(self, *batch_values)

    monkeypatch.setattr(CompositeLoss, "forward", killed)


def fit_killed(monkeypatch, regressor, batches, *args, **kwargs):
    """Fit again and again, stopped at the given batches each time, until it ends."""
    for batch in batches:
        with monkeypatch.context() as patch:
            kill_at_batch(patch, batch)
            with pytest.raises(KilledError):
                regressor.fit(*args, **kwargs)
    return regressor.fit(*args, **kwargs)


SCHEDULES = {
    "default": {},
    "several": {"n_networks": 3, "interpolation": "auto"},
    "estimator": {"n_networks": 2, "interpolation": NearestPhotograph(), "dropout": 0.2},
    "constant": {"learning_rate": "constant", "optimizer": "adam", "dropout": 0.2},
    "plateau": {"learning_rate": "plateau", "plateau_patience": 1, "learning_rate_init": 0.05, "optimizer": "adam"},
    "stages": {"n_stages": 3, "validation_fraction": 0.2, "batch_size": 400},
    "early": {
        "n_stages": 3,
        "validation_fraction": 0.2,
        "stage_patience": 1,
        "max_epochs": 8,
        "learning_rate": "plateau",
        "learning_rate_init": 0.05,
        "normalization": "batch",
    },
    "windows": {"window_size": 3, "validation_fraction": 0.2, "dropout": 0.1},
    "large batches": {"batch_size": 300, "normalization": "layer", "activation": "prelu"},
    "budget": {"max_observations": 3000, "n_networks": 2, "max_epochs": 100},
    "bfloat16": {"precision": "bfloat16", "dropout": 0.1},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_fit_that_was_killed_ends_in_the_same_bytes(capture, monkeypatch, tmp_path, name):
    features, images = capture
    parameters = {"hidden_layer_sizes": (16, 16), "batch_size": 70, "max_epochs": 3, "random_state": 0}
    parameters |= SCHEDULES[name]
    whole = RelightingMLPRegressor(**parameters).fit(features, images)
    path = tmp_path / "fit.checkpoint"
    regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
    fit_killed(monkeypatch, regressor, [4, 9, 20, 11], features, images)
    assert regressor.predict(features).tobytes() == whole.predict(features).tobytes()
    assert regressor.network_share_ == whole.network_share_
    assert regressor.n_observations_ == whole.n_observations_
    for ours, theirs in zip(regressor.nets_, whole.nets_, strict=True):
        for column in set(theirs.history[0]) - {"dur", "batches"}:
            assert ours.history[:, column] == theirs.history[:, column]
    assert list(tmp_path.iterdir()) == []
