"""Interpolation of photographs on disk, against the same interpolation in memory."""

import pickle

import numpy as np
import pytest

from sklrelight import ImageStack
from sklrelight.interpolation import (
    LinearInterpolation,
    PolynomialTextureMap,
    RBFInterpolation,
    StackedRBFInterpolation,
    _streamed,
)
from sklrelight.interpolation._streamed import StreamedInterpolation, sample_pixels


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def lights(rng):
    return rng.uniform(-1, 1, (30, 2))


@pytest.fixture
def images(lights):
    """Rows of pixels that change smoothly with the light, and rows that do not change at all."""
    slopes = np.random.default_rng(1).normal(size=(2, 12, 16, 3)) * (np.arange(12) % 2)[:, None, None]
    return (2 + np.sin(3 * np.tensordot(lights, slopes, axes=1))).astype(np.float32)


@pytest.fixture
def stack(tmp_path, images):
    np.save(tmp_path / "stack.npy", images)
    return ImageStack(tmp_path / "stack.npy")


def one_pixel_wide(images):
    return images.reshape(len(images), -1, 1, images.shape[-1])


@pytest.mark.parametrize("block_values", [2**22, 500])
@pytest.mark.parametrize(
    "model", [RBFInterpolation(), LinearInterpolation(), StackedRBFInterpolation(1, random_state=0)]
)
def test_a_prediction_from_disk_is_that_from_memory(rng, lights, images, stack, model, block_values, monkeypatch):
    monkeypatch.setattr(_streamed, "_BLOCK_VALUES", block_values)
    asked = rng.uniform(-1, 1, (6, 2))
    expected = model.fit(lights, images).predict(asked)
    streamed = StreamedInterpolation(model.fit(lights, one_pixel_wide(images)), stack, np.random.RandomState(0))
    predicted = streamed.predict(asked)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, expected, atol=1e-5)
    assert len(pickle.dumps(streamed)) < images.nbytes


def test_pixels_outside_the_sample_join_the_clusters_of_those_inside(lights, images, stack):
    sampled = np.arange(0, 12 * 16, 5)
    model = StackedRBFInterpolation(2, random_state=0).fit(lights, one_pixel_wide(images)[:, sampled])
    clusters = model.clusters_.ravel()
    streamed = StreamedInterpolation(model, stack, np.random.RandomState(0))
    assert streamed.clusters_.shape == (12, 16)
    assert (streamed.clusters_.ravel()[sampled] == clusters).mean() > 0.9
    constant = streamed.clusters_[::2]
    assert (constant == constant[0, 0]).all()


def test_models_without_weights_are_refused(lights, images, stack):
    class Wordless:
        images_ = one_pixel_wide(images)

    with pytest.raises(ValueError, match=r"Wordless.* has no method weights\(lights\)"):
        StreamedInterpolation(Wordless(), stack, np.random.RandomState(0))
    polynomial = PolynomialTextureMap().fit(lights, one_pixel_wide(images))
    assert not hasattr(polynomial, "images_")
    expected = polynomial.predict(lights[:3]).reshape(3, 12, 16, 3)
    streamed = StreamedInterpolation(polynomial, stack, np.random.RandomState(0))
    assert not hasattr(streamed, "clusters_")
    np.testing.assert_allclose(streamed.predict(lights[:3]), expected, atol=1e-5)


def test_a_sample_has_only_pixels_with_weight(images, stack, monkeypatch):
    weight = np.arange(12 * 16, dtype=np.float32).reshape(12, 16) % 3
    values, sampled_weight, pixels = sample_pixels(stack, weight, np.random.RandomState(0))
    np.testing.assert_array_equal(pixels, np.flatnonzero(weight))
    np.testing.assert_array_equal(values, one_pixel_wide(images)[:, pixels])
    np.testing.assert_array_equal(sampled_weight, weight.reshape(-1, 1)[pixels])
    monkeypatch.setattr(_streamed, "_SAMPLE_PIXELS", 20)
    values, sampled_weight, pixels = sample_pixels(stack, weight, np.random.RandomState(0))
    assert len(np.unique(pixels)) == 20 and sampled_weight.all()
    np.testing.assert_array_equal(values, one_pixel_wide(images)[:, pixels])
