"""The space that lights span, equal lights, and sums of photographs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist

from sklrelight.interpolation import _base
from sklrelight.interpolation._base import combine
from sklrelight.interpolation._equations import AffineSubspace, MergedLights


@given(width=st.integers(1, 5), rank=st.integers(0, 5), n=st.integers(1, 20), scale=st.sampled_from([1e-4, 1.0, 1e4]))
@settings(max_examples=80, deadline=None)
def test_the_subspace_has_the_dimensions_and_distances_of_the_lights(width, rank, n, scale):
    rng = np.random.default_rng(n)
    rotation, _ = np.linalg.qr(rng.normal(size=(width, width)))
    lights = scale * (np.pad(rng.normal(size=(n, rank)), [(0, 0), (0, width)])[:, :width] @ rotation + 3)
    subspace = AffineSubspace.of(lights)
    assert subspace.rank == min(rank, width, n - 1)
    np.testing.assert_allclose(subspace.axes @ subspace.axes.T, np.eye(subspace.rank), atol=1e-12)
    points = subspace.project(lights)
    assert points.shape == (n, subspace.rank)
    np.testing.assert_allclose(pdist(points), pdist(lights), atol=1e-9 * scale)


def test_axes_of_coordinates_that_are_all_used_stay():
    lights = np.random.default_rng(0).random((10, 3))
    subspace = AffineSubspace.of(lights)
    np.testing.assert_allclose(subspace.project(lights) + subspace.center, lights)


def test_merging_keeps_the_order_and_follows_chains():
    points = np.array([[5.0], [1.0], [5.1], [3.0], [5.2], [1.0]])
    merged = MergedLights.of(points, 0.11)
    np.testing.assert_array_equal(merged.groups, [0, 1, 0, 2, 0, 1])
    np.testing.assert_array_equal(merged.counts, [3, 2, 1])
    np.testing.assert_allclose(merged.points, [[5.1], [1.0], [3.0]])
    np.testing.assert_allclose(merged.averaging @ points, merged.points)


def test_nothing_is_copied_where_no_lights_are_equal():
    images = np.zeros((3, 2))
    assert MergedLights.of(np.array([[0.0], [1.0], [2.0]]), 1e-3).average(images) is images


@pytest.mark.parametrize("as_weights", [np.asarray, csr_array])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_sums_by_blocks_are_sums(monkeypatch, dtype, as_weights):
    rng = np.random.default_rng(0)
    weights, images = rng.random((2, 5)), (10 * rng.random((5, 7, 3))).astype(dtype)
    monkeypatch.setattr(_base, "_BLOCK_VALUES", 20)
    np.testing.assert_allclose(
        combine(as_weights(weights), images), np.tensordot(weights, images.astype(float), axes=1), rtol=1e-5
    )
