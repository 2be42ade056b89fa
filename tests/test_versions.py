import pickle
import warnings

import numpy as np
import pytest

from sklrelight import LogExposureScaler, PixelLightFeaturizer, RelightingMLPRegressor, make_relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import NearestPhotograph, RBFInterpolation
from sklrelight.utils import InconsistentVersionsWarning, _estimators, library_versions

LIGHTS, IMAGES = np.eye(3), np.arange(36.0).reshape(3, 2, 2, 3)


def written_with(monkeypatch, estimator, **other):
    """Pickle an estimator as other versions would have."""
    with monkeypatch.context() as patch:
        patch.setattr(_estimators, "library_versions", lambda: library_versions() | other)
        return pickle.dumps(estimator)


@pytest.mark.parametrize(
    "estimator",
    [
        LogExposureScaler().fit(IMAGES),
        PixelLightFeaturizer().fit(LIGHTS, IMAGES),
        RelightingMLPRegressor((4,), max_observations=50).fit(LIGHTS, LIGHTS[:, 0]),
        NearestPhotograph().fit(LIGHTS, IMAGES),
        RBFInterpolation().fit(LIGHTS, IMAGES),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_versions_are_warned_of(estimator, monkeypatch):
    data = written_with(monkeypatch, estimator, torch="1.0", numpy="1.26.4")
    here = library_versions()
    with pytest.warns(InconsistentVersionsWarning) as caught:
        pickle.loads(data)
    message = str(caught[0].message)
    assert f"torch 1.0 (here {here['torch']})" in message
    assert f"numpy 1.26.4 (here {here['numpy']})" in message
    assert "skorch" not in message


def test_the_same_versions_are_not_warned_of_and_leave_nothing_behind():
    scaler = LogExposureScaler().fit(IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = pickle.loads(pickle.dumps(scaler))
    assert vars(loaded) == vars(scaler)


def test_a_whole_model_warns_of_each_library(monkeypatch):
    scene = make_scene(n_lights=4, image_shape=(4, 5), shadow_samples=1)
    relighter = make_relighter(max_observations=100, random_state=0)
    data = written_with(monkeypatch, relighter.fit(scene.lights, scene.images), sklrelight="0.0.1")
    with pytest.warns(InconsistentVersionsWarning, match=r"saved with sklrelight 0\.0\.1 \(here"):
        pickle.loads(data)


def test_the_build_for_cuda_is_the_same_version():
    assert all("+" not in version for version in library_versions().values())
