"""The encoding of radiance: its formula, its round trip, its metering."""

import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.exceptions import NotFittedError

from sklrelight import LogExposureScaler, Relighter
from sklrelight.interpolation import NearestPhotograph

ROUND_TRIP = 5e-6
CURVES = ["display", "log", "power"]


def ten_decades(shape=(8, 16, 12, 3), dtype=np.float32, seed=0):
    """Radiance from 1e-10 to 1, both of them and black included."""
    values = 10 ** np.random.default_rng(seed).uniform(-10, 0, shape)
    values.flat[:3] = 0, 1e-10, 1
    return values.astype(dtype)


def there_and_back(scaler, X):
    return scaler.inverse_transform(scaler.transform(X))


def tolerance(scaler, greatest=1.0):
    """Documented error of the round trip, for values up to a multiple of the training maximum."""
    bent = np.log1p(greatest * 2.0**scaler.exposure_)
    return max(ROUND_TRIP, 2e-7 * scaler.gamma * bent) if scaler.curve == "display" else ROUND_TRIP


def relative_difference(X, returned):
    """Greatest relative difference; black has to return as black."""
    X, returned = np.asarray(X, np.float64), np.asarray(returned, np.float64)
    lit = X > 0
    np.testing.assert_array_equal(returned[~lit], 0)
    return np.max(np.abs(returned - X)[lit] / X[lit], initial=0)


# --- The formula


def test_power_curve_is_the_published_one():
    # Range 2 to 18. Less the minimum: 0, 4, 16; over the maximum: 0, 1/4, 1; times 2^4: 0, 4, 16; square root: 0, 2, 4;
    # over the new maximum: 0, 1/2, 1.
    scaler = LogExposureScaler(exposure=4, gamma=2, curve="power")
    np.testing.assert_allclose(scaler.fit_transform(np.array([[2.0, 6.0, 18.0]])), [[0, 0.5, 1]], rtol=1e-12)


def test_power_curve_equals_the_published_steps():
    images = ten_decades(dtype=np.float64) * 7 + 0.3
    steps = images - images.min()
    steps = steps / steps.max()
    steps = (steps * 2**4) ** (1 / 2.2)
    steps = steps / steps.max()
    encoded = LogExposureScaler(exposure=4, gamma=2.2, curve="power").fit_transform(images)
    np.testing.assert_allclose(encoded, steps, rtol=1e-12)


def test_log_curve_at_known_values():
    # Scaled to 0, 1/8, 1 and exposed to 0, 1, 8: log 1, log 2, log 9.
    encoded = LogExposureScaler(exposure=3, curve="log").fit_transform(np.array([[1.0, 2.0, 9.0]]))
    np.testing.assert_allclose(encoded, [[0, np.log(2) / np.log(9), 1]], rtol=1e-12)


def test_display_curve_at_known_values():
    # Scaled to 0, 1/8, 1 and exposed to 0, 1, 8: roots of log 1, log 2, log 9.
    encoded = LogExposureScaler(exposure=3, gamma=2, curve="display").fit_transform(np.array([[1.0, 2.0, 9.0]]))
    np.testing.assert_allclose(encoded, [[0, np.sqrt(np.log(2) / np.log(9)), 1]], rtol=1e-12)


def test_the_display_curve_is_a_power_in_the_dark_and_compresses_highlights():
    scaler = LogExposureScaler(exposure=0).fit([[0.0, 1.0, 0.5, 0.5]])
    dark, doubled, bright, brighter = scaler.transform([[0.001, 0.002, 1e3, 2e3]])[0]
    assert doubled / dark == pytest.approx(2 ** (1 / 2.2), rel=1e-3)
    assert brighter / bright < 1.05


def test_outside_the_training_range_the_formula_goes_on():
    scaler = LogExposureScaler(exposure=3, curve="log").fit(np.array([[2.0, 10.0, 3.0]]))
    encoded = scaler.transform(np.array([[1.0, 0.0, 18.0]]))
    # -1/8, -2/8 and 2 of the range, exposed to -1, -2 and 16.
    np.testing.assert_allclose(encoded, np.array([[-np.log(2), -np.log(3), np.log(17)]]) / np.log(9), rtol=1e-12)


def test_the_exposure_cancels_out_of_the_power_curve():
    images = ten_decades(dtype=np.float64)
    encoded = [LogExposureScaler(exposure=e, curve="power").fit_transform(images) for e in (-3, "auto", 9)]
    np.testing.assert_allclose(encoded[0], encoded[1], rtol=1e-12)
    np.testing.assert_allclose(encoded[0], encoded[2], rtol=1e-12)


def test_a_larger_exposure_favours_the_dark_values_of_the_log_curve():
    dark = [
        LogExposureScaler(exposure=e, curve="log").fit([[0.0, 1.0]]).transform([[0.01, 1.0]])[0, 0]
        for e in (-4, 0, 4, 8, 12)
    ]
    assert np.all(np.diff(dark) > 0)
    assert dark[0] == pytest.approx(0.01, rel=0.05)


def test_a_larger_gamma_favours_the_dark_values_of_the_power_curve_and_leaves_the_log_alone():
    def dark(curve, gamma):
        return LogExposureScaler(2, gamma, curve).fit([[0.0, 1.0]]).transform([[0.01, 1.0]])[0, 0]

    assert [dark("power", gamma) for gamma in (1, 2, 4)] == pytest.approx([0.01, 0.1, 0.01**0.25])
    assert dark("log", 1) == dark("log", 10)


@pytest.mark.parametrize("curve", CURVES)
def test_encoding_keeps_the_order_and_fills_0_to_1(curve):
    images = np.sort(ten_decades((4, 500), np.float64), axis=None).reshape(4, 500)
    encoded = LogExposureScaler(curve=curve).fit_transform(images).ravel()
    assert encoded[0] == 0
    assert encoded[-1] == pytest.approx(1, rel=1e-12)
    assert np.all(np.diff(encoded) > 0)


def test_range_is_that_of_the_whole_stack_not_of_a_column():
    scaler = LogExposureScaler(exposure=0).fit([[1.0, 5.0], [2.0, 3.0]])
    assert (scaler.data_min_, scaler.data_max_) == (1.0, 5.0)
    encoded = scaler.transform([[3.0, 3.0]])
    assert encoded[0, 0] == encoded[0, 1]


# --- The round trip


@pytest.mark.parametrize("exposure", ["auto", -30, -12.5, -4, 0, 2, 4, 8, 16, 30])
@pytest.mark.parametrize(
    ("curve", "gamma"), [("log", 2.2), ("power", 1), ("power", 2.2), ("power", 10), ("display", 2.2), ("display", 10)]
)
def test_round_trip_over_ten_decades_in_float32(curve, gamma, exposure):
    images = ten_decades()
    scaler = LogExposureScaler(exposure, gamma, curve).fit(images)
    returned = there_and_back(scaler, images)
    assert returned.dtype == np.float32
    assert relative_difference(images, returned) < tolerance(scaler)


@pytest.mark.slow
@pytest.mark.parametrize("exposure", [-30, 0, 4, 20, 30])
@pytest.mark.parametrize(("curve", "gamma"), [*product(["power", "display"], [1, 2.2, 5, 10]), ("log", 2.2)])
def test_round_trip_of_all_float32_mantissas(curve, gamma, exposure):
    scaler = LogExposureScaler(exposure, gamma, curve).fit(np.array([[0], [1]], np.float32))
    mantissas = np.linspace(0.5, 1, 2**23, endpoint=False, dtype=np.float32)[:, None]
    for decade in 10.0 ** -np.arange(10):
        values = mantissas * np.float32(decade)
        assert relative_difference(values, there_and_back(scaler, values)) < tolerance(scaler)


@given(
    data=st.data(),
    shape=npst.array_shapes(min_dims=2, max_dims=5, max_side=6),
    scale=st.floats(-30, 30),
    minimum=st.sampled_from([0.0, 1e-10, 1e-3, 0.5]),
    exposure=st.one_of(st.just("auto"), st.floats(-30, 30)),
    gamma=st.floats(1, 10),
    curve=st.sampled_from(CURVES),
)
@settings(max_examples=200, deadline=None)
def test_round_trip_of_any_images(data, shape, scale, minimum, exposure, gamma, curve):
    decades = data.draw(npst.arrays(np.float64, shape, elements=st.floats(-10, 0)))
    images = np.maximum(10**decades, minimum)
    images.flat[0] = minimum
    images = (images * 10**scale).astype(np.float32)
    scaler = LogExposureScaler(exposure, gamma, curve).fit(images)
    encoded = scaler.transform(images)
    assert encoded.shape == images.shape
    assert encoded.min() >= 0
    assert encoded.max() <= 1 + 1e-6
    returned = scaler.inverse_transform(encoded)
    # Under the smallest normal number float32 itself has fewer digits.
    normal = images > np.finfo(np.float32).tiny
    assert relative_difference(images[normal], returned[normal]) < tolerance(scaler)
    np.testing.assert_allclose(returned, images, rtol=tolerance(scaler), atol=1e-44)


@given(
    images=npst.arrays(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.int64, np.float16, np.float32, np.float64]),
        npst.array_shapes(min_dims=2, max_dims=4, max_side=5),
        elements=st.integers(0, 120),
    ),
    exposure=st.one_of(st.just("auto"), st.integers(-30, 30)),
    curve=st.sampled_from(CURVES),
)
@settings(max_examples=100, deadline=None)
def test_integers_and_float16_are_computed_in_float32(images, exposure, curve):
    scaler = LogExposureScaler(exposure, curve=curve).fit(images)
    encoded = scaler.transform(images)
    returned = scaler.inverse_transform(encoded)
    expected = np.float64 if images.dtype == np.float64 else np.float32
    assert encoded.dtype == returned.dtype == expected
    assert relative_difference(images, returned) < tolerance(scaler)
    as_float = images.astype(expected)
    np.testing.assert_array_equal(encoded, LogExposureScaler(exposure, curve=curve).fit(as_float).transform(as_float))


@pytest.mark.parametrize("dtype", [np.uint16, np.float16])
def test_full_range_of_a_short_type_survives(dtype):
    greatest = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else np.finfo(dtype).max
    images = np.linspace(0, float(greatest), 64).astype(dtype).reshape(4, 4, 4)
    assert relative_difference(images, there_and_back(LogExposureScaler(exposure=10).fit(images), images)) < ROUND_TRIP


def test_float64_returns_to_its_own_precision():
    images = ten_decades(dtype=np.float64)
    for curve in CURVES:
        returned = there_and_back(LogExposureScaler(curve=curve).fit(images), images)
        assert returned.dtype == np.float64
        assert relative_difference(images, returned) < 1e-13


@pytest.mark.parametrize("exposure", ["auto", -30, 0, 8, 30])
@pytest.mark.parametrize("curve", CURVES)
def test_highlights_brighter_than_in_training_survive(curve, exposure):
    scaler = LogExposureScaler(exposure, curve=curve).fit(ten_decades((100, 30)))
    highlights = np.geomspace(1, 1e4, 3000, dtype=np.float32).reshape(100, 30)
    encoded = scaler.transform(highlights)
    assert encoded.max() > 1
    assert relative_difference(highlights, scaler.inverse_transform(encoded)) < tolerance(scaler, 1e4)


@pytest.mark.parametrize("exposure", ["auto", -30, 0, 8, 30])
@pytest.mark.parametrize("curve", CURVES)
def test_values_below_the_training_minimum_survive(curve, exposure):
    scaler = LogExposureScaler(exposure, curve=curve).fit(ten_decades((100, 30)) + np.float32(0.5))
    darker = np.linspace(0, 0.5, 3000, dtype=np.float32).reshape(100, 30)
    encoded = scaler.transform(darker)
    assert encoded.min() < 0
    # The minimum is subtracted: what is left has the minimum's absolute precision.
    np.testing.assert_allclose(scaler.inverse_transform(encoded), darker, rtol=0, atol=0.5 * tolerance(scaler))


def test_constant_photographs_are_shifted_to_0_and_return():
    for value in (0.0, 7.0, 1e-30, 1e30):
        images = np.full((2, 3, 4), value, np.float32)
        scaler = LogExposureScaler().fit(images)
        np.testing.assert_array_equal(scaler.transform(images), 0)
        np.testing.assert_array_equal(there_and_back(scaler, images), images)
    scaler = LogExposureScaler().fit(np.full((2, 3), 7, np.float32))
    np.testing.assert_allclose(there_and_back(scaler, [[3.0, 9.0, 7.0]]), [[3, 9, 7]], rtol=1e-6)


@given(
    encoded=npst.arrays(np.float32, (3, 2), elements=st.floats(-1e6, 1e6, width=32)),
    top=st.sampled_from([1e-30, 1.0, 1e30]),
    exposure=st.sampled_from([-30, 0, 11, 30]),
    curve=st.sampled_from(CURVES),
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_predicted_decodes_to_finite_radiance(encoded, top, exposure, curve):
    radiance = LogExposureScaler(exposure, 10, curve).fit(np.array([[0, top]], np.float32)).inverse_transform(encoded)
    assert np.isfinite(radiance).all()
    assert radiance.min() >= 0


# --- Metering


def test_auto_brings_the_median_of_the_visible_to_2_for_a_logarithm():
    images = ten_decades((6, 400), np.float64) ** 0.1
    scaler = LogExposureScaler(curve="log").fit(images)
    scaled = (images - images.min()) / (images.max() - images.min())
    visible = scaled[scaled > 1e-3]
    assert np.median(visible) * 2**scaler.exposure_ == pytest.approx(2)
    assert len(visible) > 2000


@pytest.fixture
def scene():
    return np.random.default_rng(0).lognormal(0, 1, (40, 10, 20)).astype(np.float32)


def test_auto_is_unaffected_by_a_black_background(scene):
    with_background = np.concatenate([scene, np.zeros_like(scene), np.zeros_like(scene)], axis=2)
    # Most of the scene lies well above black, so the least value changes little as well.
    assert LogExposureScaler().fit(with_background).exposure_ == pytest.approx(
        LogExposureScaler().fit(scene).exposure_, abs=0.1
    )


@pytest.mark.parametrize("brightness", [1e2, 1e3, 1e4, 1e6, 1e8])
def test_auto_brings_the_scene_to_the_bend_whatever_the_highlights(scene, brightness):
    scene[3, 2, 7] = scene[20, 5, 5] = brightness
    for curve, value, metered in [("log", np.median(scene), 2), ("display", np.percentile(scene, 99.95), 1)]:
        exposed = value / brightness * 2 ** LogExposureScaler(curve=curve).fit(scene).exposure_
        assert exposed == pytest.approx(metered, rel=0.1)


def test_auto_stays_within_30_stops(scene):
    scene[3, 2, 7] = 1e15
    assert LogExposureScaler().fit(scene).exposure_ == 30


def test_auto_does_not_depend_on_the_unit(scene):
    exposures = [LogExposureScaler().fit(scene * np.float32(unit)).exposure_ for unit in (1e-25, 1, 1e25)]
    np.testing.assert_allclose(exposures, exposures[1], atol=1e-3)


def test_auto_meters_a_large_stack_evenly():
    # More values than are looked at, one in four bright: a plain stride over them would meet no others.
    large = np.tile(np.array([1, 0.01, 0.01, 0.01], np.float32), (2**20, 1))
    large[-1] = 0
    assert LogExposureScaler(curve="log").fit(large).exposure_ == pytest.approx(np.log2(200), abs=1e-3)


def test_a_given_exposure_is_taken_as_it_is(scene):
    assert LogExposureScaler(exposure=3.5).fit(scene).exposure_ == 3.5


# --- Input


@pytest.mark.parametrize("shape", [(5, 1), (5, 7), (5, 4, 3), (5, 4, 3, 2), (5, 4, 3, 2, 2)])
def test_images_of_any_dimension(shape):
    images = ten_decades(shape)
    encoded = LogExposureScaler(exposure=4).fit_transform(images)
    flat = LogExposureScaler(exposure=4).fit_transform(images.reshape(5, -1))
    np.testing.assert_array_equal(encoded.reshape(5, -1), flat)


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    ("value", "message"), [(-1e-3, "[Nn]egative"), (np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
def test_values_that_are_no_radiance_are_refused(method, value, message):
    good = ten_decades((4, 5, 6))
    scaler = LogExposureScaler().fit(good)
    bad = good.copy()
    bad[2, 3, 1] = value
    with pytest.raises(ValueError, match=message):
        getattr(scaler, method)(bad)


@pytest.mark.parametrize(("value", "message"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_encoded_values_that_are_not_finite_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        LogExposureScaler().fit([[0.0, 1.0]]).inverse_transform([[0.5, value]])


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_no_values_are_refused(shape):
    with pytest.raises(ValueError, match=r"Found array .*shape"):
        LogExposureScaler().fit(np.ones(shape))


def test_a_negative_value_is_named():
    with pytest.raises(ValueError, match=r"got -0\.25"):
        LogExposureScaler().fit([[0.0, -0.25]])


@pytest.mark.parametrize(
    "parameters",
    [{"exposure": 31}, {"exposure": np.nan}, {"exposure": "manual"}, {"gamma": 0.5}, {"gamma": 11}, {"curve": "cube"}],
)
def test_parameters_out_of_range_are_refused(parameters):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter of LogExposureScaler"):
        LogExposureScaler(**parameters).fit([[0.0, 1.0]])


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_not_fitted(method):
    with pytest.raises(NotFittedError):
        getattr(LogExposureScaler(), method)([[0.0, 1.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint16])
def test_input_is_never_modified(dtype):
    images = (ten_decades((4, 5, 6)) * 100).astype(dtype)
    kept = images.copy()
    scaler = LogExposureScaler().fit(images)
    encoded = scaler.transform(images)
    np.testing.assert_array_equal(images, kept)
    assert not np.shares_memory(encoded, images)
    kept = encoded.copy()
    returned = scaler.inverse_transform(encoded)
    np.testing.assert_array_equal(encoded, kept)
    assert not np.shares_memory(encoded, returned)


def layouts():
    images = ten_decades((6, 8, 10, 3))
    read_only = images.copy()
    read_only.flags.writeable = False
    return {
        "read-only": (read_only, images),
        "strided": (images[::2, ::-1, 1::3], np.ascontiguousarray(images[::2, ::-1, 1::3])),
        "Fortran": (np.asfortranarray(images), images),
        "transposed": (images.transpose(0, 2, 1, 3), np.ascontiguousarray(images.transpose(0, 2, 1, 3))),
        "big-endian": (images.astype(">f4"), images),
        "broadcast": (np.broadcast_to(images[:1], images.shape), np.repeat(images[:1], 6, axis=0)),
    }


@pytest.mark.parametrize("layout", layouts())
def test_the_layout_in_memory_does_not_matter(layout):
    images, plain = layouts()[layout]
    scaler = LogExposureScaler().fit(images)
    encoded = scaler.transform(images)
    np.testing.assert_array_equal(encoded, LogExposureScaler().fit_transform(plain))
    encoded.flags.writeable = False
    np.testing.assert_allclose(scaler.inverse_transform(encoded), plain, rtol=ROUND_TRIP)


def test_values_below_the_minimum_are_encoded_alike_in_any_block():
    # Negative encoded values go by blocks of lights; each is worked on for itself.
    scaler = LogExposureScaler(exposure=3).fit(np.full((1, 700), [1] + [9] * 699, np.float32))
    images = np.random.default_rng(0).uniform(0, 20, (5, 700, 700)).astype(np.float32)
    encoded = scaler.transform(images)
    np.testing.assert_array_equal(encoded[3:4], scaler.transform(images[3:4]))
    np.testing.assert_allclose(scaler.inverse_transform(encoded), images, rtol=ROUND_TRIP, atol=1e-5)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(
    "images",
    [
        ten_decades(),
        ten_decades() * np.float32(1e20),
        (ten_decades(dtype=np.float64) ** 0.3 * 65535).astype(np.uint16),
        ten_decades().astype(np.float16),
        np.full((4, 5, 6), 3, np.float32),
    ],
    ids=["ten decades", "bright", "uint16", "float16", "constant"],
)
def test_the_check_of_the_inverse_in_relighter_is_silent(images, curve):
    lights = np.random.default_rng(0).random((len(images), 2))
    relighter = Relighter(NearestPhotograph(), transformer=LogExposureScaler(curve=curve), check_inverse=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predicted = relighter.fit(lights, images).predict(lights)
    assert relative_difference(images, predicted) < ROUND_TRIP
