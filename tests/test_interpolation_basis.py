"""Polynomial texture maps and hemispherical harmonics."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sklrelight import Relighter
from sklrelight.interpolation import HemisphericalHarmonics, PolynomialTextureMap

MODELS = [PolynomialTextureMap, HemisphericalHarmonics]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def directions(rng, n):
    vectors = rng.normal(size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def ring(n, elevation):
    azimuth = np.arange(n) * 2 * np.pi / n
    return np.column_stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.full(n, np.sin(elevation))]
    )


# --- Both


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5), (3,), ()], ids=str)
@pytest.mark.parametrize("Model", MODELS)
def test_shapes_and_types(rng, Model, shape, dtype):
    lights, images = directions(rng, 20), (100 * rng.random((20, *shape))).astype(dtype)
    model = Model().fit(lights, images)
    predicted = model.predict(lights[:7])
    assert predicted.shape == (7, *shape)
    assert predicted.dtype == (np.float64 if dtype in (np.float64, np.uint8) else np.float32)
    assert model.coefficients_.dtype == predicted.dtype
    expected = np.tensordot(model.weights(lights[:7]), images.astype(float), axes=1)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("Model", MODELS)
def test_photographs_are_not_kept(rng, Model):
    images = rng.random((50, 40, 40, 3), dtype=np.float32)
    assert len(pickle.dumps(Model().fit(directions(rng, 50), images))) < 0.25 * images.nbytes


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("Model", MODELS)
def test_few_lights_give_the_least_coefficients(rng, Model, n):
    lights, images = directions(rng, n), rng.random((n, 4))
    model = Model().fit(lights, images)
    np.testing.assert_allclose(model.predict(lights), images, atol=1e-6)
    assert np.abs(model.coefficients_).max() < 100


@pytest.mark.parametrize("Model", MODELS)
def test_a_ring_of_lights_with_printed_digits_does_not_explode(rng, Model):
    # u^2 + v^2 is constant there, but for rounding.
    lights = ring(24, 0.8).round(6)
    images = 1 + lights[:, :1] + lights[:, 1:2] ** 2
    model = Model().fit(lights, images)
    np.testing.assert_allclose(model.predict(lights), images, atol=1e-4)
    assert np.abs(model.coefficients_).max() < 10


@pytest.mark.parametrize("Model", MODELS)
def test_the_length_of_a_direction_does_not_matter(rng, Model):
    lights, images, asked = directions(rng, 30), rng.random((30, 4)), directions(rng, 5)
    model = Model().fit(lights, images)
    other = Model().fit(lights * rng.uniform(0.8, 1.06, (30, 1)), images)
    np.testing.assert_allclose(other.predict(7 * asked), model.predict(asked))
    np.testing.assert_allclose(Model().fit(lights[:, :2], images).predict(asked[:, :2]), model.predict(asked))


@pytest.mark.parametrize("Model", MODELS)
def test_a_relighter_takes_them(rng, Model):
    lights = directions(rng, 40)
    images = np.tensordot(lights + np.array([0, 0, 1]), rng.random((3, 4, 5, 3)), axes=1).clip(0)
    search = GridSearchCV(Relighter(Model()), {"transformer": [None]}, cv=4).fit(lights, images)
    assert search.best_score_ > 0.9


# --- Polynomial texture maps


def test_coefficients_are_those_of_the_paper(rng):
    lights, coefficients = directions(rng, 40), rng.normal(size=(6, 4, 5))
    u, v = lights[:, 0], lights[:, 1]
    images = np.tensordot(np.stack([u**0, u, v, u**2, u * v, v**2], axis=1), coefficients, axes=1)
    for given in (lights, lights[:, :2]):
        model = PolynomialTextureMap().fit(given, images)
        np.testing.assert_allclose(model.coefficients_, coefficients, atol=1e-9)
        assert model.directions_ == (given.shape[1] == 3)


def test_positions_in_a_plane_may_be_anywhere(rng):
    flat, asked = rng.random((30, 2)), rng.random((5, 2))
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))

    def quadratic(points):
        return 1 + points[:, :1] * [1.0, 2.0] + points[:, 1:] ** 2

    for width in (2, 3, 4):

        def place(points, width=width):
            return 500 * np.pad(points, [(0, 0), (0, width - 2)]) @ rotation[:width, :width] + 4000

        model = PolynomialTextureMap().fit(place(flat), quadratic(flat))
        np.testing.assert_allclose(model.predict(place(asked)), quadratic(asked), atol=1e-6)
        assert not model.directions_


def test_lights_without_two_coordinates_are_refused(rng):
    with pytest.raises(ValueError, match="of n_features = 1, span 1 dimensions"):
        PolynomialTextureMap().fit(rng.random((10, 1)), np.zeros(10))
    with pytest.raises(ValueError, match="of n_features = 3, span 3 dimensions and are no directions"):
        PolynomialTextureMap().fit(3 * rng.random((10, 3)), np.zeros(10))


# --- Hemispherical harmonics


def test_harmonics_are_orthonormal_over_the_hemisphere():
    # Exact quadrature for products of harmonics up to this order.
    nodes, node_weights = np.polynomial.legendre.leggauss(12)
    height, azimuth = (nodes + 1) / 2, np.arange(16) * 2 * np.pi / 16
    z, phi = (grid.ravel() for grid in np.meshgrid(height, azimuth, indexing="ij"))
    lights = np.column_stack([np.sqrt(1 - z**2) * np.cos(phi), np.sqrt(1 - z**2) * np.sin(phi), z])
    solid_angles = np.repeat(node_weights / 2, 16) * 2 * np.pi / 16
    harmonics = HemisphericalHarmonics(order=3).fit(lights, np.zeros(len(lights)))._weights(lights)
    np.testing.assert_allclose(harmonics.T @ (solid_angles[:, None] * harmonics), np.eye(16), atol=1e-10)


def test_first_harmonics_are_those_of_the_paper():
    # Written out for cos(theta) = z; SciPy's Legendre functions have the sign (-1)^m.
    light = np.array([[0.48, 0.36, 0.8]])
    z, phi = 0.8, np.arctan2(0.36, 0.48)
    harmonics = HemisphericalHarmonics(order=1).fit(light, [1.0])._weights(light)[0]
    slope = np.sqrt(3 / (2 * np.pi)) * 2 * np.sqrt(z - z**2)
    expected = [
        1 / np.sqrt(2 * np.pi),
        -slope * np.sin(phi),
        np.sqrt(3 / (2 * np.pi)) * (2 * z - 1),
        -slope * np.cos(phi),
    ]
    np.testing.assert_allclose(harmonics, expected)


@pytest.mark.parametrize(("order", "n_coefficients"), [(0, 1), (1, 4), (2, 9), (3, 16)])
def test_what_harmonics_span_is_reproduced(rng, order, n_coefficients):
    lights, asked = directions(rng, 60), directions(rng, 10)
    coefficients = rng.normal(size=(n_coefficients, 3))
    basis = HemisphericalHarmonics(order=order).fit(lights, np.zeros(60))._weights
    model = HemisphericalHarmonics(order=order).fit(lights, basis(lights) @ coefficients)
    np.testing.assert_allclose(model.coefficients_, coefficients, atol=1e-8)
    np.testing.assert_allclose(model.predict(asked), basis(asked) @ coefficients, atol=1e-8)


def test_lights_that_are_no_directions_are_refused(rng):
    for lights in (2 * rng.random((10, 3)) + 1, 5 * rng.random((10, 2)) + 1, rng.random((10, 4))):
        with pytest.raises(ValueError, match=rf"takes directions: .* n_features = {lights.shape[1]}, have lengths of"):
            HemisphericalHarmonics().fit(lights, np.zeros(10))
    with pytest.raises(ValueError, match=r"light 0 of X has z = -0\.6"):
        HemisphericalHarmonics().fit([[0.8, 0.0, -0.6]], [0.0])
    with pytest.raises(ValueError, match="order"):
        HemisphericalHarmonics(order=-1).fit([[0.0, 0.0, 1.0]], [0.0])


def test_lights_a_little_below_the_horizon_count_as_on_it(rng):
    lights, images = directions(rng, 30), rng.random((30, 2))
    model = HemisphericalHarmonics().fit(lights, images)
    np.testing.assert_allclose(model.predict([[0.6, 0.8, -0.05]]), model.predict([[0.6, 0.8, 0.0]]))
