"""Masked arrays, whose masked values NumPy's and scikit-learn's functions take for ordinary ones."""

import numpy as np
import pytest
from sklearn.base import clone

from sklrelight import LogExposureScaler, PixelLightFeaturizer, Relighter, RelightingMLPRegressor
from sklrelight.blending import BlendedRegressor
from sklrelight.datasets import (
    environment_to_lights,
    find_sphere,
    lights_from_sphere,
    load_npz,
    save_image,
    save_stack,
)
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.metrics import encode_display, peak_signal_noise_ratio, relative_error

RNG = np.random.default_rng(0)
LIGHTS = RNG.normal((0, 0, 2), 1, (12, 3))
LIGHTS /= np.linalg.norm(LIGHTS, axis=1, keepdims=True)
IMAGES = RNG.uniform(0.1, 1, (12, 6, 7, 3))
TABLE = RNG.random((20, 3))


def masked(array):
    """Return an array with one masked value."""
    return np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) == array.size // 2)


MODELS = [
    Relighter(NearestPhotograph()),
    Relighter(),
    NearestPhotograph(),
    RBFInterpolation(),
    StackedRBFInterpolation(),
    LinearInterpolation(),
    PolynomialTextureMap(),
    HemisphericalHarmonics(),
    PretrainedInterpolation(),
    PixelLightFeaturizer(),
    BlendedRegressor(NearestPhotograph()),
]


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("argument", ["X", "y"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_no_model_is_fitted_to_masked_values(model, argument, as_list):
    given = {"X": LIGHTS, "y": IMAGES}
    given[argument] = masked(given[argument])
    if as_list:
        given[argument] = list(given[argument])
    with pytest.raises(ValueError, match=rf"{argument} is a masked array.*pixel_weight=, or pass {argument}\.filled"):
        clone(model).fit(**given)


def test_what_a_fitted_model_is_given():
    model = Relighter(NearestPhotograph()).fit(LIGHTS, IMAGES)
    for call, argument in [
        (lambda: model.predict(masked(LIGHTS)), "X"),
        (lambda: model.iter_predict(masked(LIGHTS)), "X"),
        (lambda: model.relight(masked(LIGHTS), np.ones(12)), "X"),
        (lambda: model.relight(LIGHTS, masked(np.ones(12))), "intensities"),
        (lambda: model.score(LIGHTS, masked(IMAGES)), "y"),
        (lambda: model.score(masked(LIGHTS), IMAGES), "X"),
        (lambda: clone(model).fit(LIGHTS, IMAGES, pixel_weight=masked(np.ones((6, 7)))), "pixel_weight"),
        (lambda: RBFInterpolation().fit(LIGHTS, IMAGES).predict(masked(LIGHTS)), "X"),
        (lambda: PixelLightFeaturizer().fit(LIGHTS, IMAGES).transform(masked(LIGHTS)), "X"),
        (lambda: RelightingMLPRegressor().fit(masked(TABLE), TABLE), "X"),
        (lambda: RelightingMLPRegressor().fit(TABLE, masked(TABLE)), "y"),
    ]:
        with pytest.raises(ValueError, match=f"{argument} is a masked array"):
            call()


def test_scalers_metrics_and_writers(tmp_path):
    scaler = LogExposureScaler().fit(IMAGES)
    np.savez(tmp_path / "a.npz", images=IMAGES, lights=LIGHTS)
    for call, argument in [
        (lambda: scaler.fit(masked(IMAGES)), "X"),
        (lambda: scaler.transform(masked(IMAGES)), "X"),
        (lambda: scaler.inverse_transform(masked(IMAGES)), "X"),
        (lambda: relative_error(masked(IMAGES), IMAGES), "y_true"),
        (lambda: relative_error(IMAGES, masked(IMAGES)), "y_pred"),
        (lambda: peak_signal_noise_ratio(IMAGES, masked(IMAGES), data_range=1), "y_pred"),
        (lambda: encode_display(masked(IMAGES), 1), "images"),
        (lambda: save_image(tmp_path / "a.exr", masked(IMAGES[0])), "image"),
        (lambda: save_stack(tmp_path / "stack", masked(IMAGES), LIGHTS), "images"),
        (lambda: save_stack(tmp_path / "stack", IMAGES, masked(LIGHTS)), "lights"),
        (lambda: environment_to_lights(masked(IMAGES[0]), 2), "image"),
        (lambda: lights_from_sphere(masked(IMAGES), (3, 3, 2)), "images"),
        (lambda: find_sphere(masked(IMAGES)), "images"),
        (lambda: load_npz(tmp_path / "a.npz", mask=masked(np.ones((6, 7)))), "mask"),
        (lambda: load_npz(tmp_path / "a.npz", intensities=masked(np.ones(12))), "intensities"),
    ]:
        with pytest.raises(ValueError, match=f"{argument} is a masked array"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_masked_array_without_a_masked_value_is_an_ordinary_one():
    expected = NearestPhotograph().fit(LIGHTS, IMAGES).predict(LIGHTS)
    model = NearestPhotograph().fit(np.ma.array(LIGHTS), np.ma.array(IMAGES, mask=False))
    np.testing.assert_array_equal(model.predict(np.ma.array(LIGHTS)), expected)
