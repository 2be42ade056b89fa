"""Radial basis functions over the lights, against SciPy's and against refits without a light."""

import pickle

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator
from scipy.spatial.distance import pdist
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklrelight import Relighter
from sklrelight.interpolation import RBFInterpolation
from sklrelight.metrics import relative_error

KERNELS = ["thin_plate_spline", "cubic", "quintic", "linear", "multiquadric", "inverse_multiquadric", "gaussian"]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def directions(rng, n):
    vectors = rng.normal(size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def smooth_images(lights, shape=(4, 5, 3)):
    """Photographs that change smoothly with the light."""
    rng = np.random.default_rng(1)
    waves = rng.normal(size=(lights.shape[1], *shape))
    return 2 + np.sin(np.tensordot(lights, waves, axes=1))


def refits(model, lights, images):
    """Predict each photograph by a model that was fitted to the ones of other lights."""
    predicted = []
    for light in lights:
        others = np.linalg.norm(lights - light, axis=1) > 1e-6
        predicted.append(clone(model).fit(lights[others], images[others]).predict(light[None])[0])
    return np.array(predicted)


# --- The interpolation


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_it_is_the_one_of_scipy(rng, d, kernel, smoothing):
    lights, asked = rng.random((14, d)), rng.random((9, d)) * 1.2
    images = smooth_images(lights)
    model = RBFInterpolation(kernel, epsilon=10.0, smoothing=smoothing).fit(lights, images)
    expected = RBFInterpolator(lights, images, kernel=kernel, epsilon=10.0, smoothing=smoothing)(asked)
    # With another epsilon, SciPy's scale-invariant kernels have another smoothing.
    if kernel in KERNELS[:4]:
        assert model.epsilon_ == 1
        expected = RBFInterpolator(lights, images, kernel=kernel, smoothing=smoothing)(asked)
    np.testing.assert_allclose(model.predict(asked), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.tensordot(model.weights(asked), images, axes=1), expected, rtol=1e-6, atol=1e-6)


def spaced_lights(d):
    point = st.tuples(*[st.floats(-1, 1)] * d)
    return (
        st.lists(point, min_size=1, max_size=12)
        .map(np.array)
        .filter(lambda lights: len(lights) == 1 or pdist(lights).min() > 0.05)
    )


@pytest.mark.parametrize("kernel", ["thin_plate_spline", "cubic", "linear", "multiquadric", "gaussian"])
@given(lights=st.integers(1, 3).flatmap(spaced_lights), scale=st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=25, deadline=None)
def test_training_photographs_are_reproduced_wherever_their_lights_are(kernel, lights, scale):
    images = np.random.default_rng(0).random((len(lights), 2, 3))
    model = RBFInterpolation(kernel).fit(scale * lights, images)
    np.testing.assert_allclose(model.predict(scale * lights), images, atol=1e-5)


@given(lights=st.integers(1, 4).flatmap(spaced_lights), kernel=st.sampled_from(KERNELS))
@settings(max_examples=60, deadline=None)
def test_a_constant_stack_stays_constant(lights, kernel):
    images = np.full((len(lights), 2, 2), 0.7)
    model = RBFInterpolation(kernel, smoothing=1e-3).fit(lights, images)
    np.testing.assert_allclose(model.predict(np.linspace(-2, 2, 9)[:, None] + lights[:1]), 0.7, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 12, 30])
@pytest.mark.parametrize("kernel", ["thin_plate_spline", "cubic", "quintic"])
def test_a_linear_change_is_reproduced_however_few_the_lights(rng, kernel, n):
    lights = rng.random((n, 3))
    slope = rng.normal(size=(3, 4))
    model = RBFInterpolation(kernel).fit(lights, 5 + lights @ slope)
    # Of the lights, what lies in the space that they span.
    asked = rng.dirichlet(np.ones(n), 5) @ lights
    np.testing.assert_allclose(model.predict(asked), 5 + asked @ slope, atol=1e-6)


def test_quintic_takes_lights_on_a_sphere(rng):
    # Where x^2 + y^2 + z^2 = 1, SciPy's matrix is singular.
    lights, asked = directions(rng, 40), directions(rng, 10)
    images = smooth_images(lights)
    model = RBFInterpolation("quintic").fit(lights, images)
    np.testing.assert_allclose(model.predict(lights), images, atol=1e-6)
    assert relative_error(smooth_images(asked), model.predict(asked)) < 0.05


@pytest.mark.parametrize("kernel", KERNELS)
def test_lights_in_a_plane_are_two_dimensional(rng, kernel):
    flat, asked = rng.random((20, 2)), rng.random((5, 2))
    images = smooth_images(flat)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))

    def tilt(points):
        return np.column_stack([points, np.full(len(points), 0.3)]) @ rotation + 7

    noise = 1e-7 * rng.normal(size=(20, 3))
    expected = RBFInterpolation(kernel, smoothing=1e-6).fit(flat, images).predict(asked)
    model = RBFInterpolation(kernel, smoothing=1e-6).fit(tilt(flat) + noise, images)
    assert model.subspace_.axes.shape == (2, 3)
    np.testing.assert_allclose(model.predict(tilt(asked)), expected, atol=1e-3)


def test_a_line_and_a_point_of_lights_will_do(rng):
    line = np.linspace(0, 1, 8)[:, None] * [1.0, 2.0, 3.0]
    images = smooth_images(line)
    np.testing.assert_allclose(RBFInterpolation().fit(line, images).predict(line), images, atol=1e-9)
    alone = RBFInterpolation().fit(line[:1], images[:1])
    np.testing.assert_allclose(alone.predict(line), np.broadcast_to(images[0], images.shape))
    assert np.isnan(alone.leave_one_out_error_)
    assert np.isnan(alone.leave_one_out()).all()
    same = RBFInterpolation().fit(np.ones((5, 3)), images[:5])
    np.testing.assert_allclose(same.predict(np.ones((1, 3)))[0], images[:5].mean(axis=0))


def test_equal_lights_are_merged_and_their_photographs_averaged(rng):
    lights = rng.random((6, 2))
    images = rng.random((6, 3, 3))
    twice = np.vstack([lights, lights[[4, 4]] + 1e-9])
    more = np.concatenate([images, images[[0, 1]]])
    model = RBFInterpolation().fit(twice, more)
    np.testing.assert_array_equal(model.light_groups_, [0, 1, 2, 3, 4, 5, 4, 4])
    np.testing.assert_allclose(model.predict(lights[[4]])[0], images[[4, 0, 1]].mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(model.predict(lights[[3]])[0], images[3], atol=1e-9)
    asked = rng.random((4, 2))
    np.testing.assert_allclose(np.tensordot(model.weights(asked), more, axes=1), model.predict(asked))


def test_the_first_dimensions_alone_can_be_used(rng):
    lights, images = directions(rng, 20), rng.random((20, 4))
    model = RBFInterpolation(n_dimensions=2).fit(lights, images)
    np.testing.assert_allclose(
        model.predict(lights * [1, 1, -1]), RBFInterpolation().fit(lights[:, :2], images).predict(lights[:, :2])
    )
    with pytest.raises(ValueError, match="n_dimensions=4, but the lights have 3"):
        RBFInterpolation(n_dimensions=4).fit(lights, images)


def test_epsilon_is_in_units_of_the_lights(rng):
    lights, images, asked = rng.random((30, 2)), rng.random((30, 4)), rng.random((5, 2))
    model = RBFInterpolation("gaussian").fit(lights, images)
    scaled = RBFInterpolation("gaussian").fit(1000 * lights, images)
    assert scaled.epsilon_ == pytest.approx(model.epsilon_ / 1000)
    np.testing.assert_allclose(scaled.predict(1000 * asked), model.predict(asked), atol=1e-9)
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(5)), axis=-1).reshape(-1, 2) * 0.25
    assert RBFInterpolation("gaussian").fit(grid, np.zeros(20)).epsilon_ == pytest.approx(4)


def test_equations_that_are_singular_to_rounding_are_refused_by_name(rng):
    lights, images = rng.random((40, 2)), rng.random((40, 4))
    with pytest.raises(ValueError, match=r"kernel='gaussian', epsilon=0.01 and smoothing=0 are singular .* 40 lights"):
        RBFInterpolation("gaussian", epsilon=0.01).fit(lights, images)
    RBFInterpolation("gaussian", epsilon=0.01, smoothing=1e-3).fit(lights, images)


# --- Leave-one-out


@pytest.mark.parametrize("smoothing", [0.0, 0.01])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("where", ["plane", "sphere", "duplicates"])
def test_the_closed_form_is_a_refit_without_the_light(rng, where, kernel, smoothing):
    lights = directions(rng, 15) if where == "sphere" else rng.random((15, 2))
    if where == "duplicates":
        lights[[3, 9]] = lights[7]
    images = smooth_images(lights) + 0.1 * rng.random((15, 4, 5, 3))
    model = RBFInterpolation(kernel, epsilon=2.0, smoothing=smoothing).fit(lights, images)
    expected = refits(model, lights, images)
    predicted = model.leave_one_out()
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    assert model.leave_one_out_error_ == pytest.approx(relative_error(images, predicted), rel=1e-6)
    errors = np.square(predicted - images).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(model.leave_one_out_errors_, np.bincount(model.light_groups_, errors), rtol=1e-5)


def test_a_light_that_the_plane_hangs_on_cannot_be_left_out(rng):
    lights = np.vstack([np.linspace(0, 1, 6)[:, None] * [1.0, 1.0], [[0.0, 1.0]]])
    images = rng.random((7, 2, 2), dtype=np.float32)
    model = RBFInterpolation().fit(lights, images)
    predicted = model.leave_one_out()
    assert predicted.dtype == np.float32
    assert np.isnan(predicted[6]).all() and np.isfinite(predicted[:6]).all()
    np.testing.assert_array_equal(np.isnan(model.leave_one_out_errors_), [False] * 6 + [True])
    assert model.leave_one_out_error_ == pytest.approx(relative_error(images[:6], predicted[:6]), rel=1e-4)


def test_photographs_that_are_all_black_have_no_relative_error(rng):
    model = RBFInterpolation().fit(rng.random((6, 2)), np.zeros((6, 3, 3)))
    assert np.isnan(model.leave_one_out_error_)
    assert not model.predict([[0.5, 0.5]]).any()


def test_masked_pixels_reach_no_error(rng):
    lights = rng.random((20, 3))
    lights[3] = lights[4]
    images, mask = smooth_images(lights), rng.random((4, 5)) > 0.4
    junk = np.where(mask[:, :, None], images, 50 * rng.random(images.shape))
    clean = RBFInterpolation().fit(lights, images * mask[:, :, None])
    masked = RBFInterpolation().fit(lights, junk, pixel_weight=mask)
    np.testing.assert_allclose(masked.leave_one_out_errors_, clean.leave_one_out_errors_, rtol=1e-6)
    assert masked.leave_one_out_error_ == pytest.approx(clean.leave_one_out_error_)
    assert RBFInterpolation().fit(lights, junk).leave_one_out_error_ > 2 * masked.leave_one_out_error_
    relit = Relighter(RBFInterpolation(), check_inverse=False).fit(lights, junk, pixel_weight=mask)
    assert relit.regressor_.members_[0].leave_one_out_error_ < 0.5
    assert not relit.predict(lights)[:, ~mask].any()


# --- What goes through it


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5), (3,), ()], ids=str)
def test_shapes_and_types(rng, shape, dtype):
    lights, images = rng.random((9, 2)), (100 * rng.random((9, *shape))).astype(dtype)
    model = RBFInterpolation().fit(lights, images)
    predicted = model.predict(lights)
    assert predicted.shape == images.shape
    assert predicted.dtype == (np.float64 if dtype in (np.float64, np.uint8) else np.float32)
    np.testing.assert_allclose(predicted, images.astype(float), rtol=1e-4, atol=1e-3)
    assert model.images_.dtype == dtype
    assert RBFInterpolation().fit(lights[[0, 0, 1]], images[:3]).images_.dtype == (
        np.float64 if dtype == np.uint8 else dtype
    )


def test_a_pickle_holds_the_photographs_once(rng, tmp_path):
    lights, images = rng.random((20, 2)), rng.random((20, 40, 50, 3), dtype=np.float32)
    model = RBFInterpolation().fit(lights, images)
    assert len(pickle.dumps(model)) < 1.05 * images.nbytes
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict(lights + 0.1), model.predict(lights + 0.1))
    np.testing.assert_array_equal(loaded.leave_one_out(), model.leave_one_out())


def test_a_refit_forgets(rng):
    lights, images = rng.random((20, 2)), rng.random((20, 4))
    model = RBFInterpolation().fit(lights, images)
    assert model.leave_one_out_error_ > 0.1
    model.fit(lights, np.ones((20, 4)))
    assert model.leave_one_out_error_ < 1e-6


def test_a_relighter_and_a_search_take_it(rng):
    lights = directions(rng, 24)
    images = np.exp(smooth_images(lights))
    relighter = Relighter(RBFInterpolation()).fit(lights, images)
    np.testing.assert_allclose(relighter.predict(lights), images, rtol=1e-4)
    search = GridSearchCV(relighter, {"regressor__kernel": ["cubic", "linear"], "regressor__smoothing": [0, 0.1]}, cv=3)
    search.fit(lights, images)
    assert search.best_score_ > 0.8


@pytest.mark.parametrize("make", [lambda model: model, make_pipeline])
def test_metadata_routing_hands_it_pixel_weights_unasked(rng, make):
    lights, images, mask = rng.random((12, 2)), rng.random((12, 4, 5)), rng.random((4, 5)) > 0.4
    expected = RBFInterpolation().fit(lights, images, pixel_weight=mask).leave_one_out_error_
    with config_context(enable_metadata_routing=True):
        model = make(RBFInterpolation()).fit(lights, images, pixel_weight=mask)
        search = GridSearchCV(make(RBFInterpolation()), {}, scoring=lambda *_: 0.0, cv=3).fit(
            lights, images, pixel_weight=mask
        )
    for fitted in (model, search.best_estimator_):
        assert (fitted[-1] if make is make_pipeline else fitted).leave_one_out_error_ == expected


@pytest.mark.parametrize(
    "parameters", [{"kernel": "auto"}, {"epsilon": 0.0}, {"smoothing": -1.0}, {"n_dimensions": 0}], ids=str
)
def test_parameters_are_checked(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        RBFInterpolation(**parameters).fit([[0.0], [1.0]], [0.0, 1.0])
