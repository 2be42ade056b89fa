"""Photographs of which a part is known for every light."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from sklrelight import BaselineRelighter, ImageStack, Relighter, make_relighter, predict_to_stack
from sklrelight.interpolation import RBFInterpolation
from sklrelight.stacks import DifferenceStack, _inputs

N, NEW = 20, slice(15, None)
RNG = np.random.default_rng(0)
LIGHTS = RNG.random((N, 2))
# Patches that no model of the lights can guess.
BASELINE = np.where(RNG.random((N, 6, 8, 3)) > 0.7, 5, 0).astype(np.float32)
REST = ((1 + LIGHTS.sum(axis=1))[:, None, None, None] * RNG.random((6, 8, 3))).astype(np.float32)
IMAGES = BASELINE + REST


def baseline_of(lights):
    """Look up the baseline of lights."""
    return BASELINE[[np.flatnonzero((light == LIGHTS).all(axis=1))[0] for light in np.asarray(lights)]]


def rbf():
    return Relighter(RBFInterpolation())


@pytest.fixture(scope="module")
def model():
    return BaselineRelighter(rbf()).fit(LIGHTS[:15], IMAGES[:15], baseline=BASELINE[:15])


def test_what_moves_with_the_light_is_exact(model):
    assert model.score(LIGHTS[NEW], IMAGES[NEW], baseline=BASELINE[NEW]) > 0.999
    assert rbf().fit(LIGHTS[:15], IMAGES[:15]).score(LIGHTS[NEW], IMAGES[NEW]) < 0


def test_predictions_are_those_of_the_rest_and_the_baseline(model):
    predicted = model.predict(LIGHTS[NEW], baseline=BASELINE[NEW])
    rest = rbf().fit(LIGHTS[:15], REST[:15]).predict(LIGHTS[NEW])
    np.testing.assert_allclose(predicted, BASELINE[NEW] + rest, rtol=1e-4)
    assert predicted.dtype == np.float32
    assert (predicted >= BASELINE[NEW]).all()
    np.testing.assert_array_equal(list(model.iter_predict(LIGHTS[NEW], BASELINE[NEW])), predicted)


@pytest.mark.parametrize("intensities", [np.arange(5.0), RNG.random((5, 3))])
def test_mixtures_are_sums_of_predictions(model, intensities):
    predicted = model.predict(LIGHTS[NEW], baseline=BASELINE[NEW])
    expected = (predicted * intensities.reshape(5, 1, 1, -1)).sum(axis=0)
    relit = model.relight(LIGHTS[NEW], intensities, baseline=BASELINE[NEW])
    np.testing.assert_allclose(relit, expected, rtol=1e-4)


def test_grey_mixtures():
    grey = BaselineRelighter(rbf()).fit(LIGHTS, IMAGES[..., 0], baseline=BASELINE[..., 0])
    expected = np.tensordot([1.0, 2.0], grey.predict(LIGHTS[:2], baseline=BASELINE[:2, ..., 0]), 1)
    np.testing.assert_allclose(grey.relight(LIGHTS[:2], [1.0, 2.0], baseline=BASELINE[:2, ..., 0]), expected, rtol=1e-4)


def test_a_function_gives_the_baseline_everywhere(model, tmp_path):
    by_function = BaselineRelighter(rbf(), baseline=baseline_of).fit(LIGHTS[:15], IMAGES[:15])
    expected = model.predict(LIGHTS[NEW], baseline=BASELINE[NEW])
    np.testing.assert_array_equal(by_function.predict(LIGHTS[NEW]), expected)
    np.testing.assert_array_equal(list(by_function.iter_predict(LIGHTS[NEW])), expected)
    np.testing.assert_allclose(predict_to_stack(by_function, LIGHTS[NEW], tmp_path / "a.npy"), expected, rtol=1e-5)


def test_searches_need_a_function_or_routing():
    grid = {"relighter__regressor__smoothing": [0.0, 0.1]}
    found = GridSearchCV(BaselineRelighter(rbf(), baseline=baseline_of), grid, cv=KFold(3)).fit(LIGHTS, IMAGES)
    with config_context(enable_metadata_routing=True):
        routed = GridSearchCV(BaselineRelighter(rbf()), grid, cv=KFold(3)).fit(LIGHTS, IMAGES, baseline=BASELINE)
        scores = cross_val_score(BaselineRelighter(rbf()), LIGHTS, IMAGES, cv=KFold(3), params={"baseline": BASELINE})
    assert found.best_score_ == routed.best_score_ > 0.99
    assert scores.min() > 0.99


def test_without_a_baseline_it_is_the_relighter():
    alone = BaselineRelighter(rbf()).fit(LIGHTS, IMAGES)
    np.testing.assert_array_equal(alone.predict(LIGHTS), np.maximum(rbf().fit(LIGHTS, IMAGES).predict(LIGHTS), 0))
    np.testing.assert_array_equal(list(alone.iter_predict(LIGHTS)), alone.predict(LIGHTS))
    assert alone.relight(LIGHTS[:2], [1, 1]).shape == (6, 8, 3)


def test_photographs_on_disk_give_the_same_model(model, tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "baseline.npy", BASELINE)
    images, baseline = (ImageStack(tmp_path / f"{name}.npy") for name in ("images", "baseline"))
    monkeypatch.setattr(_inputs, "_IN_MEMORY_VALUES", 100)
    on_disk = BaselineRelighter(rbf()).fit(LIGHTS[:15], images[:15], baseline=baseline[:15])
    expected = model.predict(LIGHTS[NEW], baseline=BASELINE[NEW])
    np.testing.assert_allclose(on_disk.predict(LIGHTS[NEW], baseline=baseline[NEW]), expected, rtol=1e-3)
    assert on_disk.score(LIGHTS[NEW], images[NEW], baseline=baseline[NEW]) > 0.999
    again = pickle.loads(pickle.dumps(on_disk))
    np.testing.assert_array_equal(
        again.predict(LIGHTS[NEW], baseline=BASELINE[NEW]), on_disk.predict(LIGHTS[NEW], baseline=BASELINE[NEW])
    )
    network = BaselineRelighter(make_relighter(max_observations=2000, random_state=0))
    assert network.fit(LIGHTS, images, baseline=baseline).predict(LIGHTS, baseline=baseline).shape == IMAGES.shape
    with pytest.raises(ValueError, match="baseline has the shape"):
        network.fit(LIGHTS, images, baseline=baseline[:15])


def test_a_difference_on_disk_reads_what_it_should(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    stack = DifferenceStack(ImageStack(tmp_path / "images.npy")[::-1], ImageStack(BASELINE)[::-1])
    np.testing.assert_allclose(stack, REST[::-1], atol=1e-6)
    np.testing.assert_allclose(stack[3:5], REST[::-1][3:5], atol=1e-6)
    np.testing.assert_allclose(stack.columns(np.array([1, 5])), REST[::-1].reshape(N, -1, 3)[:, [1, 5]], atol=1e-6)
    assert stack.fingerprint() == stack[:].fingerprint() != stack[1:].fingerprint()


def test_saturated_values_are_left_out(model):
    saturated = np.minimum(IMAGES, 5.5)
    fitted = BaselineRelighter(make_relighter(max_observations=2000, random_state=0))
    fitted.fit(LIGHTS, saturated, baseline=BASELINE, saturation=5.5)
    assert fitted.relighter_.saturation_ == 5.5
    # A clipped value lacks more than it shows, and is told from the others by its value.
    rest = np.where(saturated >= 5.5, 5.5, saturated - BASELINE)
    expected = make_relighter(max_observations=2000, random_state=0).fit(LIGHTS, rest, saturation=5.5)
    np.testing.assert_allclose(
        fitted.predict(LIGHTS, baseline=BASELINE), np.maximum(expected.predict(LIGHTS), 0) + BASELINE, rtol=1e-3
    )


def test_pixels_of_weight_0_are_black():
    mask = np.ones((6, 8))
    mask[:2] = 0
    model = BaselineRelighter(rbf()).fit(LIGHTS, IMAGES, baseline=BASELINE, pixel_weight=mask)
    predicted = model.predict(LIGHTS, baseline=BASELINE)
    assert not predicted[:, :2].any()
    assert predicted[:, 2:].all()
    assert model.score(LIGHTS, IMAGES, baseline=BASELINE) > 0.999


def test_a_baseline_that_is_too_bright_is_told():
    with pytest.warns(UserWarning, match="% of its light where the photographs are darker"):
        model = BaselineRelighter(rbf()).fit(LIGHTS, IMAGES, baseline=2 * BASELINE)
    assert (model.predict(LIGHTS, baseline=BASELINE) >= BASELINE).all()


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (BASELINE[:3], "baseline has the shape"),
        (BASELINE[..., :2], "baseline has the shape"),
        (-BASELINE, "negative"),
        (np.where(BASELINE > 0, np.nan, 0), "baseline"),
        (np.ma.masked_equal(BASELINE, 5), "masked"),
    ],
)
def test_bad_baselines_are_refused(baseline, message):
    with pytest.raises(ValueError, match=message):
        BaselineRelighter(rbf()).fit(LIGHTS, IMAGES, baseline=baseline)


def test_a_missing_baseline_is_told(model):
    with pytest.raises(ValueError, match="without baseline=, but the model was fitted with it"):
        model.predict(LIGHTS)
    with pytest.raises(ValueError, match="with baseline=, but the model was fitted without it"):
        BaselineRelighter(rbf()).fit(LIGHTS, IMAGES).predict(LIGHTS, baseline=BASELINE)
    with pytest.raises(ValueError, match="3 images for 20 lights"):
        model.predict(LIGHTS, baseline=BASELINE[:3])


def test_parameters_are_searchable():
    model = clone(BaselineRelighter(make_relighter())).set_params(relighter__regressor__mlp__random_state=3)
    assert model.relighter.regressor.named_steps["mlp"].random_state == 3
