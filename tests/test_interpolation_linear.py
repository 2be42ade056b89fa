"""Piecewise linear interpolation, against SciPy's and against what it has to reproduce."""

import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.interpolate import LinearNDInterpolator
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

from sklrelight import Relighter
from sklrelight.interpolation import LinearInterpolation, NearestPhotograph


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def directions(rng, n):
    vectors = rng.normal(size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("d", [2, 3])
def test_inside_it_is_the_one_of_scipy_and_outside_the_nearest(rng, d):
    lights, images, asked = rng.random((30, d)), rng.random((30, 4, 5, 3)), rng.random((50, d)) * 1.2
    predicted = LinearInterpolation().fit(lights, images).predict(asked)
    expected = LinearNDInterpolator(lights, images)(asked)
    outside = np.isnan(expected).any(axis=(1, 2, 3))
    assert 0 < outside.sum() < len(asked)
    np.testing.assert_allclose(predicted[~outside], expected[~outside])
    nearest = NearestPhotograph().fit(lights, images).predict(asked)
    np.testing.assert_array_equal(predicted[outside], nearest[outside])


def test_on_a_line_it_is_the_one_of_numpy(rng):
    positions, images, asked = rng.random(12), rng.random((12, 3)), rng.random(30) * 1.4 - 0.2
    order = positions.argsort()
    expected = np.stack([np.interp(asked, positions[order], values[order]) for values in images.T], axis=1)
    np.testing.assert_allclose(LinearInterpolation().fit(positions[:, None], images).predict(asked[:, None]), expected)
    slope = np.array([[3.0, 0.0, 4.0]])
    model = LinearInterpolation().fit(positions[:, None] * slope + 1, images)
    assert model.triangulation_ is None
    np.testing.assert_allclose(model.predict(asked[:, None] * slope + 1), expected)


@given(
    lights=st.integers(1, 3).flatmap(
        lambda d: st.lists(st.tuples(*[st.integers(-4, 4)] * d), min_size=1, max_size=15).map(np.array)
    ),
    scale=st.sampled_from([1e-3, 7.0, 1e3]),
)
@example(lights=np.array([(0, 0), (4, 0), (0, 0), (1, 0), (0, -2), (0, 1), (0, 1), (0, 4)]), scale=1e-3)
@settings(max_examples=150, deadline=None)
def test_a_linear_change_is_reproduced_between_whatever_lights(lights, scale):
    # Small integers: many are equal, on a line or in a plane. None has a length of 1, so that they are no directions.
    rng = np.random.default_rng(0)
    slope = rng.normal(size=(lights.shape[1], 4))
    model = LinearInterpolation().fit(scale * lights, 5 + lights @ slope)
    asked = np.vstack([lights, rng.dirichlet(np.ones(len(lights)), 5) @ lights])
    weights = model.weights(scale * asked)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(model.predict(scale * asked), 5 + asked @ slope, atol=1e-6)
    np.testing.assert_allclose(weights @ lights, asked, atol=1e-6)


def test_of_directions_x_and_y_are_triangulated(rng):
    lights, asked, images = directions(rng, 40), directions(rng, 20), rng.random((40, 3))
    model = LinearInterpolation().fit(lights, images)
    assert model.directions_
    flat = LinearInterpolation().fit(lights[:, :2], images)
    np.testing.assert_allclose(model.predict(asked), flat.predict(asked[:, :2]))
    # Light files hold directions that are not quite of the length 1.
    lengths = rng.uniform(0.8, 1.06, (40, 1))
    np.testing.assert_allclose(LinearInterpolation().fit(lights * lengths, images).predict(asked), model.predict(asked))
    with pytest.warns(UserWarning, match="length of 3;"):
        np.testing.assert_allclose(model.predict(3 * asked), model.predict(asked))
    with pytest.raises(ValueError, match="not a direction"):
        model.predict(np.zeros((1, 3)))


def test_directions_from_below_are_refused(rng):
    lights = directions(rng, 10)
    lights[4, 2] *= -1
    with pytest.raises(ValueError, match="light 4 of X has z = -0"):
        LinearInterpolation().fit(lights, np.zeros(10))


def test_equal_lights_are_merged(rng):
    lights, images = rng.random((8, 2)), rng.random((8, 3, 3))
    lights[5] = lights[2]
    model = LinearInterpolation().fit(lights, images)
    assert model.points_.shape == (7, 2)
    np.testing.assert_allclose(model.predict(lights[[2]])[0], images[[2, 5]].mean(axis=0))
    asked = rng.random((4, 2))
    np.testing.assert_allclose(np.tensordot(model.weights(asked), images, axes=1), model.predict(asked))


def test_wide_lights_are_refused_at_once_but_not_flat_ones_in_wide_space(rng):
    with pytest.raises(ValueError, match="span 4 dimensions; LinearInterpolation triangulates up to 3"):
        LinearInterpolation().fit(rng.random((20, 4)), np.zeros(20))
    flat = rng.random((20, 2)) @ rng.random((2, 7))
    images = rng.random((20, 3))
    np.testing.assert_allclose(LinearInterpolation().fit(flat, images).predict(flat), images)


def test_a_refused_fit_is_no_fit(rng):
    model = LinearInterpolation()
    with pytest.raises(ValueError, match="span 4"):
        model.fit(rng.random((20, 4)), np.zeros(20))
    with pytest.raises(NotFittedError):
        model.predict(rng.random((20, 4)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5), (3,), ()], ids=str)
def test_shapes_and_types(rng, shape, dtype):
    lights, images = rng.random((9, 2)), (100 * rng.random((9, *shape))).astype(dtype)
    predicted = LinearInterpolation().fit(lights, images).predict(lights)
    assert predicted.dtype == (np.float64 if dtype in (np.float64, np.uint8) else np.float32)
    np.testing.assert_allclose(predicted, images.astype(float), rtol=1e-6, atol=1e-9)


def test_it_pickles_and_goes_into_a_relighter(rng):
    lights = directions(rng, 30)
    images = np.exp(np.tensordot(lights, rng.random((3, 4, 5, 3)), axes=1))
    model = pickle.loads(pickle.dumps(LinearInterpolation().fit(lights, images)))
    np.testing.assert_allclose(model.predict(lights), images)
    assert cross_val_score(Relighter(LinearInterpolation()), lights, images, cv=5).min() > 0.5
