"""Photographs under several lights at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.linalg import hadamard
from scipy.optimize import nnls

from sklrelight import ImageStack, Relighter, demultiplex
from sklrelight.datasets import make_scene
from sklrelight.interpolation import RBFInterpolation


def s_matrix(n_lights):
    """Patterns of about half of the lights, which lessen noise the most."""
    return (1 - hadamard(n_lights + 1)[1:, 1:]) / 2


def mix(intensities, images):
    return np.tensordot(intensities, images, 1)


@pytest.mark.parametrize("shape", [(7, 4, 5, 3), (7, 4, 5), (7, 3), (7,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mixtures_come_apart_in_the_shape_and_type_of_the_photographs(shape, dtype):
    single = np.random.default_rng(0).uniform(size=shape).astype(dtype)
    images, noise_gain = demultiplex(mix(s_matrix(7).astype(dtype), single), s_matrix(7))
    assert images.shape == shape and images.dtype == dtype and noise_gain.shape == (7,)
    np.testing.assert_allclose(images, single, atol=1e-5)


def test_light_that_is_always_on_is_one_more_light():
    single = np.random.default_rng(0).uniform(size=(4, 6, 6, 3))
    intensities = np.column_stack([np.vstack([np.eye(3), np.zeros(3)]), np.ones(4)])
    images, _ = demultiplex(mix(intensities, single), intensities)
    np.testing.assert_allclose(images, single, atol=1e-12)


def test_each_channel_may_have_intensities_of_its_own():
    rng = np.random.default_rng(0)
    single, intensities = rng.uniform(size=(3, 4, 4, 2)), rng.uniform(size=(5, 3, 2))
    taken = np.einsum("plc,lhwc->phwc", intensities, single)
    images, noise_gain = demultiplex(taken, intensities)
    assert noise_gain.shape == (3, 2)
    np.testing.assert_allclose(images, single, atol=1e-10)


def test_noise_gain_is_what_noise_grows_by():
    rng = np.random.default_rng(0)
    intensities = rng.uniform(0.2, 1, size=(6, 4))
    single = np.full((4, 100, 100), 50.0)
    images, noise_gain = demultiplex(mix(intensities, single) + rng.normal(size=(6, 100, 100)), intensities)
    np.testing.assert_allclose((images - single).std(axis=(1, 2)), noise_gain, rtol=0.05)
    # Patterns of half of the lights gain about sqrt(n) / 2 over one light at a time, whose noise stays as it is.
    np.testing.assert_allclose(demultiplex(np.ones(31), s_matrix(31))[1], 2 * np.sqrt(31) / 32)
    np.testing.assert_allclose(demultiplex(np.ones(31), np.eye(31))[1], 1)


@given(
    arrays.arrays(float, (5, 6), elements=st.floats(0, 10)),
    arrays.arrays(float, (5, 3), elements=st.sampled_from([0.0, 0.5, 1.0])),
)
@settings(max_examples=50)
def test_values_are_those_of_non_negative_least_squares(taken, intensities):
    intensities[:3] += np.eye(3)
    images, _ = demultiplex(taken, intensities)
    expected = np.column_stack([nnls(intensities, column)[0] for column in taken.T])
    np.testing.assert_allclose(images, expected, atol=1e-4)


def test_mixtures_that_hardly_differ_are_solved_as_well(monkeypatch):
    monkeypatch.setattr("sklrelight.preprocessing._mixtures._N_SWEEPS", 3)
    monkeypatch.setattr("sklrelight.preprocessing._mixtures._BLOCK_VALUES", 16)
    rng = np.random.default_rng(0)
    intensities = 1 + 0.1 * rng.uniform(size=(6, 4))
    taken = rng.uniform(size=(6, 30))
    images, noise_gain = demultiplex(taken, intensities)
    expected = np.column_stack([nnls(intensities, column)[0] for column in taken.T])
    np.testing.assert_allclose(images, expected, atol=1e-8)
    assert noise_gain.min() > 3


def test_photographs_may_lie_on_disk(tmp_path):
    single = np.random.default_rng(0).uniform(size=(3, 4, 4, 3)).astype(np.float32)
    np.save(tmp_path / "taken.npy", mix(s_matrix(3).astype(np.float32), single))
    images, _ = demultiplex(ImageStack(np.load(tmp_path / "taken.npy", mmap_mode="r")), s_matrix(3))
    np.testing.assert_allclose(images, single, atol=1e-6)


def test_a_model_of_mixtures_predicts_like_one_of_single_lights():
    scene = make_scene(n_lights=7, image_shape=(6, 8))
    room = scene.images.mean(axis=0)
    expected = Relighter(RBFInterpolation()).fit(scene.lights, scene.images).predict(scene.lights[:2] + 0.1)
    patterns = s_matrix(7)
    relighter = Relighter(RBFInterpolation()).fit(
        scene.lights, mix(patterns.astype(np.float32), scene.images), intensities=patterns
    )
    np.testing.assert_allclose(relighter.predict(scene.lights[:2] + 0.1), expected, atol=1e-4)
    in_a_lit_room = np.column_stack([np.vstack([patterns, np.zeros(7)]), np.ones(8)])
    taken = mix(in_a_lit_room.astype(np.float32), np.concatenate([scene.images, room[None]]))
    relighter.fit(scene.lights, taken, intensities=in_a_lit_room)
    np.testing.assert_allclose(relighter.predict(scene.lights[:2] + 0.1), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("images", "intensities", "message"),
    [
        (np.ones((3, 2, 2)), np.ones((2, 2)), "intensities has the shape"),
        (np.ones((3, 2, 2, 3)), np.ones((3, 2, 2)), "intensities has the shape"),
        (np.ones((3, 2, 2)), np.ones((3, 2)), "tell only 1 of 2 lights apart"),
        (np.ones((2, 2, 2)), np.eye(3)[:2], "tell only 2 of 3 lights apart"),
        (np.ones((2, 2, 2)), [[1, 0], [-1, 1]], "must not be negative"),
        (np.ones((2, 2, 2)), [[1, 0], [np.nan, 1]], "intensities contains NaN"),
        (np.full((2, 2, 2), np.inf), np.eye(2), "images contains infinity"),
    ],
)
def test_bad_mixtures_are_refused(images, intensities, message):
    with pytest.raises(ValueError, match=message):
        demultiplex(images, intensities)


def test_clipped_mixtures_are_refused_in_a_fit():
    with pytest.raises(ValueError, match="clipped photographs are no sums"):
        Relighter(RBFInterpolation()).fit(np.eye(2), np.ones((2, 3, 3)), intensities=np.eye(2), saturation=0.9)
