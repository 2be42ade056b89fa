"""What a network is told of an observation, and that it is told lazily and without a leak."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import Pipeline

from sklrelight import ImageStack, PixelLightFeatures, PixelLightFeaturizer
from sklrelight.utils import split_target_shape

HEIGHT, WIDTH = 4, 6


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def lights(rng):
    return rng.random((10, 2))


@pytest.fixture
def images(rng):
    return rng.random((10, HEIGHT, WIDTH, 3))


def plain_featurizer(**parameters):
    """Without the lights that pixels are brightest under, and without the neighbourhood."""
    return PixelLightFeaturizer(brightness_powers=(), blur_widths=(), **parameters)


def smooth_images(n_lights, height, width, n_channels=3, rank=6, seed=0):
    """Make photographs whose principal components are well apart: each has half the deviation of the one before."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(height * width, rank)))
    loadings, _ = np.linalg.qr(rng.normal(size=(n_lights * n_channels, rank)))
    table = 0.5 + (basis * 0.5 ** np.arange(rank)) @ loadings.T
    return table.T.reshape(n_lights, n_channels, height, width).transpose(0, 2, 3, 1)


# --- The lazy product


@given(
    n_lights=st.integers(1, 5),
    image_shape=st.sampled_from([(), (1, 1), (2, 3), (1, 4)]),
    n_light_features=st.integers(1, 4),
    n_pixel_features=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_table_is_the_explicit_product(n_lights, image_shape, n_light_features, n_pixel_features):
    rng = np.random.default_rng(0)
    n_pixels = int(np.prod(image_shape))
    lights, pixels = rng.random((n_lights, n_light_features)), rng.random((n_pixels, n_pixel_features))
    features = PixelLightFeatures(lights, pixels, image_shape)
    table = features.to_table()
    expected = [[*light, *pixel] for light in lights for pixel in pixels]
    np.testing.assert_array_equal(table, expected)
    assert features.shape == (n_lights, n_pixels, n_light_features + n_pixel_features)
    assert (len(features), features.ndim, features.dtype) == (n_lights, 3, np.float64)
    np.testing.assert_array_equal(np.asarray(features), np.reshape(expected, features.shape))


@pytest.fixture
def features(rng):
    """As many lights as light features, so that mixed-up axes go unnoticed by shapes alone."""
    return PixelLightFeatures(rng.random((3, 3)), rng.random((6, 2)), (2, 3))


@pytest.mark.parametrize(
    "key",
    [
        slice(1, None),
        slice(None, None, -1),
        slice(0, 0),
        [2, 0],
        [0, 0, 1],
        np.array([1, 2]),
        np.array([True, False, True]),
        [False, True, False],
        ([2, 0], ...),
        (slice(1, 3), ...),
        (np.array([True, False, True]), ...),
    ],
    ids=str,
)
def test_indexing_picks_lights_and_stays_lazy(features, key):
    picked = features[key]
    assert isinstance(picked, PixelLightFeatures)
    assert picked.pixels is features.pixels
    assert picked.image_shape == (2, 3)
    np.testing.assert_array_equal(np.asarray(picked), np.asarray(features)[key])


@pytest.mark.parametrize("key", [0, -1, np.int64(2)])
def test_a_single_light_is_still_a_row(features, key):
    assert features[key].shape == (1, 6, 5)
    np.testing.assert_array_equal(np.asarray(features[key])[0], np.asarray(features)[key])


@pytest.mark.parametrize(
    "key", [3, -4, (0, 1), (slice(None), 0), (slice(None), slice(0, 2)), None, np.zeros((2, 2), int), "light"], ids=str
)
def test_anything_but_lights_is_refused_as_index(features, key):
    with pytest.raises(IndexError):
        features[key]


def test_iterating_goes_through_the_lights(features):
    rows = [row.lights for row in features]
    np.testing.assert_array_equal(np.vstack(rows), features.lights)


def test_arrays_of_features_are_copies_of_the_wanted_type(features):
    assert np.asarray(features, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="lazy"):
        np.asarray(features, copy=False)
    mixed = PixelLightFeatures(features.lights.astype(np.float32), features.pixels.astype(np.float32), (2, 3))
    assert mixed.dtype == np.asarray(mixed).dtype == mixed.to_table().dtype == np.float32


def test_pixels_have_to_fill_the_image():
    with pytest.raises(ValueError, match="5 pixels"):
        PixelLightFeatures(np.zeros((2, 2)), np.zeros((5, 2)), (2, 3))


def test_scikit_learn_splits_features_by_light(features):
    train, test = train_test_split(features, test_size=1, random_state=0)
    assert (train.shape, test.shape) == ((2, 6, 5), (1, 6, 5))
    assert [len(features[test_rows]) for _, test_rows in KFold(3).split(features)] == [1, 1, 1]


def test_features_pickle_and_say_what_they_are(features):
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(features))), np.asarray(features))
    assert repr(features) == "PixelLightFeatures(shape=(3, 6, 5), image_shape=(2, 3))"


# --- Target shapes


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((9, 4, 6, 3), ((4, 6), 3)), ((9, 4, 6), ((4, 6), 1)), ((9, 5), ((), 5)), ((9,), ((), 1)), ((9, 1), ((), 1))],
)
def test_pixels_are_told_from_channels(shape, expected):
    assert split_target_shape(shape) == expected


@pytest.mark.parametrize("shape", [(), (9, 4, 6, 3, 2), (0,), (9, 0), (9, 4, 0), (9, 4, 6, 0)])
def test_shapes_that_are_no_photographs_are_refused(shape):
    with pytest.raises(ValueError, match="expected"):
        split_target_shape(shape)


# --- The seven features of 2019


def test_the_seven_features_of_the_seed(lights, images):
    features = plain_featurizer(n_components=0, scaling="unit").fit_transform(lights, images)
    assert features.shape == (10, HEIGHT * WIDTH, 7)
    columns = np.asarray(features).reshape(10, HEIGHT, WIDTH, 7)
    for light in range(10):
        for row in range(HEIGHT):
            for column in range(WIDTH):
                expected = [*lights[light], row / HEIGHT, column / WIDTH, *images[:, row, column].mean(axis=0)]
                np.testing.assert_allclose(columns[light, row, column], expected, rtol=1e-6)


def test_unit_lights_within_0_and_1_are_left_untouched():
    lights = np.array([[0.25, 0.5], [0.5, 0.75], [0.3, 0.3]])
    featurizer = plain_featurizer(n_components=0, scaling="unit").fit(lights, np.ones((3, 2, 2)))
    np.testing.assert_array_equal(featurizer.transform(lights).lights, lights.astype(np.float32))
    np.testing.assert_array_equal(featurizer.transform([[2.0, -1.0]]).lights, [[2, -1]])


def test_unit_lights_beyond_0_and_1_are_mapped_by_their_extent_axis_by_axis():
    lights = np.array([[-1.0, 10.0, 5.0], [3.0, 20.0, 5.0], [0.0, 12.0, 5.0]])
    featurizer = plain_featurizer(n_components=0, scaling="unit").fit(lights, np.ones((3, 2, 2)))
    np.testing.assert_allclose(featurizer.transform(lights).lights, [[0, 0, 0], [1, 1, 0], [0.25, 0.2, 0]], rtol=1e-6)
    np.testing.assert_allclose(featurizer.transform([[5.0, 10.0, 5.0]]).lights, [[1.5, 0, 0]], rtol=1e-6)


# --- The standard features


def test_standard_columns_have_mean_0_and_variance_1(lights):
    images = smooth_images(10, 8, 9)
    featurizer = PixelLightFeaturizer(n_components=4, random_state=0).fit(lights * 100 + 7, images)
    features = featurizer.transform(lights * 100 + 7)
    for table in (features.lights, features.pixels[:, 2:]):
        np.testing.assert_allclose(table.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
        np.testing.assert_allclose(table.std(axis=0, dtype=np.float64), 1, rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5), (1, 8), (1, 1)])
def test_pixel_x_is_to_the_right_and_y_up_over_the_longer_side(lights, shape):
    height, width = shape
    pixels = plain_featurizer(n_components=0).fit(lights, np.ones((10, height, width))).pixel_table_
    x, y = pixels[:, :2].T.reshape(2, height, width)
    longer = max(shape)
    # The middle of the image is the origin, its borders half a pixel beyond the outermost centres.
    np.testing.assert_allclose(x, np.tile((2 * np.arange(width) + 1 - width) / longer, (height, 1)), atol=1e-7)
    np.testing.assert_allclose(y, np.tile((height - 1 - 2 * np.arange(height))[:, None] / longer, width), atol=1e-7)
    assert max(x.max() + 1 / longer, y.max() + 1 / longer) == pytest.approx(1)
    assert x[0, 0] <= x[0, -1]
    assert y[0, 0] >= y[-1, 0]


def test_mean_image_is_that_of_the_training_photographs(lights, images):
    pixels = plain_featurizer(n_components=0).fit(lights, images).pixel_table_
    mean = images.mean(axis=0).reshape(-1, 3)
    np.testing.assert_allclose(pixels[:, 2:], (mean - mean.mean(axis=0)) / mean.std(axis=0), rtol=1e-4, atol=1e-5)


def test_coplanar_lights_give_finite_features(rng, images):
    lights = np.column_stack([rng.random((10, 2)), np.full(10, 0.3)])
    for scaling in ("standard", "unit"):
        featurizer = plain_featurizer(n_components=0, scaling=scaling).fit(lights * 5, images)
        for height in (0.3, 0.3 + 1e-7, 0.31):
            off_plane = featurizer.transform([[2.0, 1.0, 5 * height]]).lights
            assert np.isfinite(off_plane).all()
            # No blow-up of what is next to no difference.
            assert abs(off_plane[0, 2]) < 0.1


@pytest.mark.parametrize("scaling", ["standard", "unit"])
@pytest.mark.parametrize("spread", [1e-8, 1e-7, 1e-6])
def test_rounding_of_coplanar_lights_is_not_blown_up(rng, images, scaling, spread):
    ring = rng.uniform(0, 2 * np.pi, 10)
    lights = np.column_stack([np.cos(ring), np.sin(ring), 0.7071 + rng.uniform(-spread, spread, 10)])
    featurizer = plain_featurizer(n_components=0, scaling=scaling).fit(lights, images)
    np.testing.assert_allclose(featurizer.transform(lights).lights[:, 2], 0, atol=1e-5)
    np.testing.assert_allclose(featurizer.transform([[0.1, 0.2, 0.7]]).lights[:, 2], 0, atol=0.01)


@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_a_small_extent_is_scaled_like_any_other(rng, images, scaling):
    lights = np.column_stack([rng.uniform(0, 1000, 10), rng.uniform(0, 1e-6, 10), 5 + rng.uniform(0, 1e-3, 10)])
    extent = np.ptp(plain_featurizer(n_components=0, scaling=scaling).fit_transform(lights, images).lights, axis=0)
    assert np.all(extent > 0.99)


# --- The lights that pixels are brightest under


def bright_columns(lights, images, power, **parameters):
    featurizer = PixelLightFeaturizer(n_components=0, brightness_powers=(power,), blur_widths=(), scaling="unit")
    return featurizer.fit(lights, images, **parameters).pixel_table_[:, -lights.shape[1] :]


def test_a_high_power_finds_the_light_that_a_pixel_is_brightest_under(lights, images):
    brightest = np.arange(HEIGHT * WIDTH) % len(lights)
    images *= 0.4
    images.reshape(len(lights), -1, 3)[brightest, np.arange(HEIGHT * WIDTH)] = 0.9
    np.testing.assert_allclose(bright_columns(lights, images, 30.0), lights[brightest], rtol=1e-6)


def test_a_power_of_one_weighs_by_what_is_over_the_darkest_value(lights, images):
    weights = (images - images.min()).mean(axis=3).reshape(10, -1)
    expected = weights.T @ lights / weights.sum(axis=0)[:, None]
    np.testing.assert_allclose(bright_columns(lights, images, 1.0), expected, rtol=1e-5)
    # Neither does it matter by what a pixel reflects all lights alike.
    images = images - images.min()
    images[:, 0] *= 0.01
    np.testing.assert_allclose(bright_columns(lights, images, 1.0), expected, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_pixels_alike_under_all_lights_are_brightest_under_their_mean(lights, value):
    images = np.full((10, 2, 3), value)
    np.testing.assert_allclose(bright_columns(lights, images, 3.0), np.tile(lights.mean(axis=0), (6, 1)), rtol=1e-5)


def test_brightness_of_pixels_without_weight_changes_nothing(lights, images):
    weight = np.ones((HEIGHT, WIDTH))
    weight[0] = 0
    changed = images.copy()
    changed[:, 0] = 7 - changed[:, 0]
    one, other = (bright_columns(lights, of, 3.0, pixel_weight=weight)[WIDTH:] for of in (images, changed))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("parameter", ["brightness_powers", "blur_widths"])
@pytest.mark.parametrize("numbers", [(0,), (-1, 2), ((1, 2),), (np.nan,), (np.inf,), ("a",), 3, None])
def test_numbers_that_are_not_above_0_are_refused(lights, images, parameter, numbers):
    with pytest.raises(ValueError, match=parameter):
        PixelLightFeaturizer(**{parameter: numbers}).fit(lights, images)


# --- The neighbourhood


def mask_of_a_disc(height, width):
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(rows - height / 2, columns - width / 3) < height / 3


def gaussian_means(images, mask, deviation):
    """Weighted means over all pixels of the mask, written out."""
    rows, columns = np.nonzero(mask)
    distances = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    weights = np.exp(-distances / (2 * deviation**2))
    return weights @ images[mask] / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_blurred_copies_are_gaussian_means_of_the_features_over_the_mask(lights, scaling, masked):
    images = smooth_images(10, 12, 15)
    mask = mask_of_a_disc(12, 15) if masked else np.ones((12, 15), bool)
    featurizer = PixelLightFeaturizer(2, blur_widths=(0.8, 3), scaling=scaling, random_state=0)
    table = featurizer.fit(lights, images, pixel_weight=mask).pixel_table_
    assert table.shape[1] == 2 + 3 * (3 + 2 + 2)
    sharp = table[:, 2:9].reshape(12, 15, 7).astype(np.float64)
    for number, width in enumerate((0.8, 3)):
        blurred, expected = table[mask.ravel(), 9 + 7 * number :][:, :7], gaussian_means(sharp, mask, width)
        if scaling == "standard":
            expected = (expected - expected.mean(axis=0)) / expected.std(axis=0)
        # A Gaussian is cut off where it is e^-8.
        np.testing.assert_allclose(blurred, expected, atol=2e-3)


@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_the_sharp_features_and_the_lights_are_as_without_blurred_copies(lights, images, scaling):
    weight = mask_of_a_disc(HEIGHT, WIDTH) * 0.5
    plain, blurred = (
        PixelLightFeaturizer(blur_widths=widths, scaling=scaling, random_state=0)
        .fit(lights, images, pixel_weight=weight)
        .transform(lights[:4])
        for widths in ((), (1.5, 5.0))
    )
    assert blurred.pixels.shape[1] == 2 + 3 * (plain.pixels.shape[1] - 2)
    np.testing.assert_array_equal(blurred.pixels[:, : plain.pixels.shape[1]], plain.pixels)
    np.testing.assert_array_equal(blurred.lights, plain.lights)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_nothing_from_outside_the_mask_enters(tmp_path, lights, scaling, on_disk):
    images = smooth_images(10, 12, 15).astype(np.float32)
    mask = mask_of_a_disc(12, 15)
    tables = []
    for number, outside in enumerate((0, -1, 1e6)):
        changed = np.where(mask[:, :, None], images, outside + images).astype(np.float32)
        if on_disk:
            np.save(tmp_path / f"{number}.npy", changed)
            changed = ImageStack(tmp_path / f"{number}.npy")
        featurizer = PixelLightFeaturizer(scaling=scaling, random_state=0)
        tables.append(featurizer.fit(lights, changed, pixel_weight=mask).pixel_table_)
        assert np.isfinite(tables[-1]).all()
    assert not np.array_equal(tables[1][~mask.ravel()], tables[0][~mask.ravel()])
    for table in tables[1:]:
        assert table[mask.ravel()].tobytes() == tables[0][mask.ravel()].tobytes()


def test_photographs_on_disk_have_the_same_neighbourhood(tmp_path, lights):
    images = smooth_images(10, 12, 15).astype(np.float32)
    np.save(tmp_path / "stack.npy", images)
    memory, disk = (
        PixelLightFeaturizer(3, random_state=0).fit(lights, y).pixel_table_
        for y in (images, ImageStack(tmp_path / "stack.npy"))
    )
    assert memory.shape[1] == 2 + 3 * (3 + 3 + 2)
    assert disk.dtype == np.float16
    assert np.square(disk - memory).mean() < 0.01**2


@pytest.mark.parametrize("scaling", ["standard", "unit"])
@pytest.mark.parametrize("width", [1e-200, 0.13, 1e4, 1e40])
def test_widths_far_from_the_size_of_the_image_give_finite_features(lights, images, width, scaling):
    featurizer = PixelLightFeaturizer(blur_widths=(width,), scaling=scaling, random_state=0)
    table = featurizer.fit(lights, images, pixel_weight=np.eye(HEIGHT, WIDTH)).pixel_table_
    assert np.isfinite(table).all()
    inside = table.reshape(HEIGHT, WIDTH, -1)[range(HEIGHT), range(HEIGHT)]
    n_sharp = table.shape[1] // 2 - 1
    if width < 0.2:
        np.testing.assert_allclose(inside[:, -n_sharp:], inside[:, 2 : 2 + n_sharp], atol=1e-4)
    else:
        # Rounding of what is alike everywhere is not blown up.
        assert np.ptp(inside[:, -n_sharp:], axis=0).max() < 1e-4


@pytest.mark.parametrize("shape", [(10, 5), (10,)])
def test_targets_without_pixels_have_no_neighbourhood(rng, lights, shape):
    y = rng.random(shape)
    default, without = (PixelLightFeaturizer(**kw).fit(lights, y) for kw in ({}, {"blur_widths": ()}))
    assert len(default.blur_widths_) == 0
    np.testing.assert_array_equal(default.pixel_table_, without.pixel_table_)
    assert len(default.get_feature_names_out()) == default.transform(lights).shape[2]


# --- Principal components


def exact_components(images, n_components):
    n_lights, height, width, n_channels = images.shape
    table = images.transpose(1, 2, 0, 3).reshape(height * width, n_lights * n_channels)
    left, _, _ = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    return left[:, :n_components] * np.sqrt(height * width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 9), (40, 50)])
def test_components_are_those_of_an_exact_decomposition(shape, dtype):
    images = smooth_images(12, *shape, rank=8).astype(dtype)
    lights = np.random.default_rng(1).random((12, 2))
    components = plain_featurizer(n_components=6, random_state=0).fit(lights, images).pixel_table_[:, 5:]
    expected = exact_components(images.astype(np.float64), 6)
    signs = np.sign((components * expected).sum(axis=0))
    np.testing.assert_allclose(components * signs, expected, atol=2e-3)


def test_components_of_a_large_image_are_estimated_from_some_of_its_pixels_and_cover_all():
    images = smooth_images(6, 120, 100)
    lights = np.random.default_rng(1).random((6, 2))
    components = plain_featurizer(n_components=3, random_state=0).fit(lights, images).pixel_table_[:, 5:]
    assert len(components) == 12_000
    for column, expected in zip(components.T, exact_components(images, 3).T, strict=True):
        assert abs(np.corrcoef(column, expected)[0, 1]) > 0.99


@pytest.mark.parametrize(
    ("n_components", "shape", "expected"),
    [
        (0, (10, 4, 6, 3), 0),
        (3, (10, 4, 6, 3), 3),
        (12, (10, 4, 6, 3), 12),
        (12, (2, 4, 6, 3), 6),  # two photographs of three channels
        (12, (2, 4, 6), 2),
        (12, (10, 2, 3, 3), 5),  # six pixels less their mean
        (100, (10, 4, 6, 3), 23),
        (12, (10, 1, 1, 3), 0),
        (12, (10, 4), 0),
        (12, (10,), 0),
    ],
)
def test_no_more_components_than_the_photographs_allow(rng, n_components, shape, expected):
    featurizer = plain_featurizer(n_components=n_components, random_state=0)
    featurizer.fit(rng.random((shape[0], 2)), rng.random(shape))
    n_channels = shape[3] if len(shape) == 4 else shape[1] if len(shape) == 2 else 1
    assert featurizer.n_components_ == expected
    assert featurizer.pixel_table_.shape[1] == 2 + n_channels + expected
    assert len(featurizer.get_feature_names_out()) == 4 + n_channels + expected
    assert np.isfinite(featurizer.pixel_table_).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_beyond_the_rank_are_left_out(rng, dtype):
    images = smooth_images(10, 8, 9, rank=3).astype(dtype)
    assert PixelLightFeaturizer(n_components=12, random_state=0).fit(rng.random((10, 2)), images).n_components_ == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 1e-30])
def test_photographs_without_detail_have_no_components(lights, value, dtype):
    brightness = np.linspace(0.5, 1, 10)[:, None, None, None]
    for images in (np.full((10, 4, 6, 3), value), brightness * np.full((10, 4, 6, 3), value)):
        featurizer = PixelLightFeaturizer(random_state=0).fit(lights, images.astype(dtype))
        assert featurizer.n_components_ == 0
        np.testing.assert_allclose(featurizer.pixel_table_[:, 2:], 0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e4])
def test_components_do_not_depend_on_the_unit(lights, scale):
    images = smooth_images(10, 8, 9).astype(np.float32)
    plain, scaled = (
        PixelLightFeaturizer(n_components=4, random_state=0).fit(lights, images * np.float32(factor)).pixel_table_
        for factor in (1, scale)
    )
    np.testing.assert_allclose(scaled, plain, atol=2e-3)


def test_the_same_random_state_gives_the_same_bytes(lights):
    images = smooth_images(10, 100, 90)
    first, second, third = (
        PixelLightFeaturizer(n_components=3, random_state=seed).fit(lights, images).pixel_table_ for seed in (0, 0, 1)
    )
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != third.tobytes()  # other pixels


def test_a_generator_is_taken_as_well(lights, images):
    tables = [
        PixelLightFeaturizer(random_state=np.random.RandomState(3)).fit(lights, images).pixel_table_ for _ in range(2)
    ]
    assert tables[0].tobytes() == tables[1].tobytes()


# --- Leaks and memory


def test_held_out_photographs_change_nothing(lights, images):
    train, test = np.arange(7), np.arange(7, 10)
    changed = images.copy()
    changed[test] = 1e3
    plain, other = (
        PixelLightFeaturizer(random_state=0).fit(lights[train], photographs[train]).transform(lights[test])
        for photographs in (images, changed)
    )
    np.testing.assert_array_equal(np.asarray(plain), np.asarray(other))


def test_transform_knows_no_other_lights_of_its_call(lights, images):
    featurizer = PixelLightFeaturizer(random_state=0).fit(lights, images)
    np.testing.assert_array_equal(featurizer.transform(lights[3:4]).lights, featurizer.transform(lights).lights[3:4])
    assert featurizer.transform(lights).pixels is featurizer.pixel_table_


def test_nothing_of_the_size_of_the_observations_is_allocated():
    n_lights, height, width = 200, 60, 70
    rng = np.random.default_rng(0)
    lights, images = rng.random((n_lights, 2)), rng.random((n_lights, height, width), dtype=np.float32)
    observations = n_lights * height * width  # 840,000
    featurizer = PixelLightFeaturizer(n_components=4, random_state=0)
    featurizer.fit(lights[:5], images[:5, :5, :5])  # imports
    tracemalloc.start()
    try:
        features = featurizer.fit(lights[:, :], images).transform(np.tile(lights, (50, 1)))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert features.shape == (50 * n_lights, height * width, 2 + 2 + 3 * (1 + 4 + 2))
    # Tables of some 4,200 pixels and 10,000 lights; the stack itself has 4 bytes an observation, the product 52.
    assert held < 0.6 * observations
    assert peak < 12 * observations


# --- Targets and input


@pytest.mark.parametrize("shape", [(10, 4, 6, 3), (10, 4, 6, 5), (10, 4, 6), (10, 5), (10, 1), (10,), (10, 1, 1, 3)])
@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_all_targets_give_finite_features(rng, lights, shape, scaling):
    y = rng.random(shape)
    features = PixelLightFeaturizer(scaling=scaling, random_state=0).fit_transform(lights, y)
    image_shape, n_channels = split_target_shape(shape)
    assert features.image_shape == image_shape
    assert features.shape[:2] == (10, int(np.prod(image_shape)))
    assert features.shape[2] >= 2 + 2 + n_channels
    assert np.isfinite(features.to_table()).all()
    assert features.dtype == np.float32


def test_grey_photographs_are_like_one_channel(lights, images):
    grey = images[..., 0]
    plain, one = (PixelLightFeaturizer(random_state=0).fit(lights, y).pixel_table_ for y in (grey, grey[..., None]))
    np.testing.assert_array_equal(plain, one)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16])
def test_short_types_are_computed_in_float32(lights, images, dtype):
    y = (images * 200).astype(dtype)
    short, single = (
        PixelLightFeaturizer(random_state=0).fit(lights, photographs).pixel_table_
        for photographs in (y, y.astype(np.float32))
    )
    np.testing.assert_array_equal(short, single)


def test_one_light_is_enough_for_the_featurizer(lights, images):
    assert PixelLightFeaturizer(random_state=0).fit(lights[:1], images[:1]).transform(lights).shape[:2] == (10, 24)


def test_input_is_not_modified_and_may_be_read_only(lights, images):
    copies = lights.copy(), images.copy()
    lights.flags.writeable = images.flags.writeable = False
    features = PixelLightFeaturizer(random_state=0).fit_transform(lights, images)
    np.testing.assert_array_equal(lights, copies[0])
    np.testing.assert_array_equal(images, copies[1])
    strided = PixelLightFeaturizer(random_state=0).fit_transform(
        np.asfortranarray(lights), np.repeat(images, 2, axis=2)[:, :, ::2]
    )
    np.testing.assert_array_equal(strided.to_table(), features.to_table())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:9], y), "inconsistent numbers of samples"),
        (lambda x, y: (x, None), "requires y"),
        (lambda x, y: (x, np.where(y > 0.99, np.nan, y)), "NaN"),
        (lambda x, y: (np.where(x > 0.9, np.inf, x), y), "infinity"),
        (lambda x, y: (x[:, 0], y), "2D array"),
        (lambda x, y: (x, y[..., None]), "expected"),
        (lambda x, y: (x, y[:, :0]), "none of them 0"),
    ],
)
def test_bad_training_data_are_refused(lights, images, change, message):
    with pytest.raises(ValueError, match=message):
        PixelLightFeaturizer().fit(*change(lights, images))


def test_lights_of_another_width_are_refused(lights, images):
    featurizer = PixelLightFeaturizer().fit(lights, images)
    with pytest.raises(ValueError, match="3 features"):
        featurizer.transform(np.ones((4, 3)))
    with pytest.raises(ValueError, match="NaN"):
        featurizer.transform([[0.5, np.nan]])


@pytest.mark.parametrize("parameters", [{"n_components": -1}, {"n_components": 2.5}, {"scaling": "robust"}])
def test_parameters_out_of_range_are_refused(lights, images, parameters):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter of PixelLightFeaturizer"):
        PixelLightFeaturizer(**parameters).fit(lights, images)


def test_not_fitted(lights):
    with pytest.raises(NotFittedError):
        PixelLightFeaturizer().transform(lights)
    with pytest.raises(NotFittedError):
        PixelLightFeaturizer().get_feature_names_out()


# --- Names and pandas


def test_columns_are_named(lights, images):
    featurizer = PixelLightFeaturizer(2, brightness_powers=(3, 2.5), blur_widths=(2, 0.5)).fit(lights, images)
    components = ["component0", "component1"]
    mean = ["mean0", "mean1", "mean2"]
    bright = ["bright3_light0", "bright3_light1", "bright2.5_light0", "bright2.5_light1"]
    sharp = [*mean, *components, *bright]
    blurred = [f"{width}_{name}" for width in ("blur2", "blur0.5") for name in sharp]
    expected = ["light0", "light1", "pixel_x", "pixel_y", *sharp, *blurred]
    assert [*featurizer.get_feature_names_out()] == expected
    assert len(expected) == featurizer.transform(lights).shape[2]
    assert [*featurizer.get_feature_names_out(["a", "b"])][:2] == ["a", "b"]
    with pytest.raises(ValueError, match="3 names"):
        featurizer.get_feature_names_out(["a", "b", "c"])
    unit = plain_featurizer(n_components=0, scaling="unit").fit(lights, images[..., 0])
    assert [*unit.get_feature_names_out()] == ["light0", "light1", "pixel_row", "pixel_column", "mean0"]


def test_pandas_lights_keep_their_names(lights, images):
    frame = pd.DataFrame(lights, columns=["azimuth", "altitude"])
    featurizer = plain_featurizer(n_components=0).fit(frame, images)
    assert [*featurizer.feature_names_in_] == ["azimuth", "altitude"]
    assert [*featurizer.get_feature_names_out()][:3] == ["azimuth", "altitude", "pixel_x"]
    np.testing.assert_array_equal(featurizer.transform(frame[2:5]).lights, featurizer.transform(frame).lights[2:5])
    with pytest.raises(ValueError, match="feature names should match"):
        featurizer.transform(frame[["altitude", "azimuth"]])


class Probe(RegressorMixin, BaseEstimator):
    """Keeps what it is given."""

    def fit(self, X, y):
        self.seen_ = X
        return self

    def predict(self, X):
        return np.zeros(X.shape[:2])


@pytest.mark.parametrize("output", ["pandas", "default"])
def test_a_pipeline_hands_features_on_untouched_whatever_output_is_set(lights, images, output):
    frame = pd.DataFrame(lights, columns=["azimuth", "altitude"])
    pipeline = Pipeline([("featurizer", PixelLightFeaturizer(random_state=0)), ("probe", Probe())])
    with sklearn.config_context(transform_output=output):
        pipeline.fit(frame, images)
        assert pipeline.predict(frame[:3]).shape == (3, 24)
    assert isinstance(pipeline["probe"].seen_, PixelLightFeatures)
    np.testing.assert_array_equal(
        pipeline["probe"].seen_.to_table(),
        PixelLightFeaturizer(random_state=0).fit_transform(lights, images).to_table(),
    )
