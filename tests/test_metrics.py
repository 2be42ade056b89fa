"""Metrics: definitions, encoding, pooling; and the scorers in scikit-learn's searches."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import (
    display_white,
    encode_display,
    make_psnr_scorer,
    make_relative_error_scorer,
    make_ssim_scorer,
    peak_signal_noise_ratio,
    relative_error,
    structural_similarity,
)


@pytest.fixture
def photographs():
    """True and predicted, of very unequal brightness."""
    rng = np.random.default_rng(0)
    true = rng.random((6, 4, 5, 3)) * np.array([1, 10, 0.1, 5, 1, 2])[:, None, None, None]
    return true, true + rng.normal(0, 0.05, true.shape)


# --- Relative error


def test_relative_error_at_known_values():
    assert relative_error([[3.0, 4.0]], [[3.0, 4.5]]) == pytest.approx(0.1)  # 0.5 over 5
    assert relative_error([[1.0, 2.0], [2.0, 4.0]], [[0.0, 2.0], [2.0, 6.0]]) == pytest.approx((5 / 25) ** 0.5)
    assert relative_error([2.0, 0.0], [0.0, 0.0]) == 1


def test_relative_error_is_pooled_not_averaged(photographs):
    true, predicted = photographs
    expected = np.sqrt(((true - predicted) ** 2).sum() / (true**2).sum())
    each = [relative_error(t[None], p[None]) for t, p in zip(true, predicted, strict=True)]
    assert relative_error(true, predicted) == pytest.approx(expected, rel=1e-12)
    assert abs(relative_error(true, predicted) - np.mean(each)) > 0.1 * expected


def test_relative_error_has_the_square_root(photographs):
    true, _ = photographs
    assert relative_error(true, 0.75 * true) == pytest.approx(0.25)


def test_relative_error_of_a_perfect_prediction_is_0_and_of_black_1(photographs):
    true, _ = photographs
    assert relative_error(true, true) == 0
    assert relative_error(true, 0 * true) == pytest.approx(1)


def test_relative_error_of_black_photographs():
    black = np.zeros((2, 3, 3))
    assert relative_error(black, black) == 0
    assert relative_error(black, black + 1e-6) == np.inf


@given(
    true=npst.arrays(np.float64, (2, 3, 2), elements=st.floats(0.01, 100)),
    scale=st.floats(1e-12, 1e12),
)
@settings(max_examples=50, deadline=None)
def test_relative_error_does_not_depend_on_the_unit(true, scale):
    predicted = true[::-1] + 0.5
    assert relative_error(true * scale, predicted * scale) == pytest.approx(relative_error(true, predicted), rel=1e-9)


# --- Peak signal over noise


def test_psnr_at_known_values():
    assert peak_signal_noise_ratio([[0.5, 0.5]], [[0.6, 0.4]], data_range=1) == pytest.approx(20)
    assert peak_signal_noise_ratio([[0, 255]], [[0, 254]], data_range=255) == pytest.approx(
        20 * np.log10(255) + 10 * np.log10(2)
    )
    assert peak_signal_noise_ratio([[0.0, 0.0]], [[10.0, 10.0]], data_range=1) == pytest.approx(-20)


def test_psnr_is_of_the_mean_squared_error_over_everything(photographs):
    true, predicted = photographs
    expected = -10 * np.log10(np.mean((true - predicted) ** 2) / 4)
    assert peak_signal_noise_ratio(true, predicted, data_range=2) == pytest.approx(expected, rel=1e-12)


def test_psnr_of_unequal_photographs_is_not_the_mean_of_theirs():
    true = np.zeros((2, 10))
    predicted = np.array([[0.1] * 10, [0.001] * 10])
    assert peak_signal_noise_ratio(true, predicted, data_range=1) == pytest.approx(-10 * np.log10(0.01 / 2), abs=0.01)


def test_psnr_of_a_perfect_prediction_is_infinite(photographs):
    assert peak_signal_noise_ratio(photographs[0], photographs[0], data_range=1) == np.inf


def test_psnr_and_relative_error_agree_with_each_other(photographs):
    true, predicted = photographs
    mse = relative_error(true, predicted) ** 2 * np.mean(true**2)
    assert peak_signal_noise_ratio(true, predicted, data_range=1) == pytest.approx(-10 * np.log10(mse), rel=1e-12)


def test_psnr_has_no_default_range(photographs):
    with pytest.raises(TypeError, match="data_range"):
        peak_signal_noise_ratio(*photographs)


@pytest.mark.parametrize("data_range", [0, -1, np.inf, np.nan])
def test_ranges_that_are_none_are_refused(photographs, data_range):
    with pytest.raises(ValueError, match="data_range must be positive"):
        peak_signal_noise_ratio(*photographs, data_range=data_range)


# --- Structural similarity


@pytest.fixture
def larger_photographs():
    """True and predicted, in [0, 1] and larger than a window."""
    rng = np.random.default_rng(0)
    true = rng.random((3, 16, 20, 3)) ** 2
    return true, np.clip(true + rng.normal(0, 0.1, true.shape), 0, 1)


def test_ssim_is_the_mean_of_scikit_images(larger_photographs):
    skimage_metrics = pytest.importorskip("skimage.metrics")
    true, predicted = larger_photographs
    colour = [
        skimage_metrics.structural_similarity(*pair, data_range=2.0, channel_axis=-1)
        for pair in zip(true, predicted, strict=True)
    ]
    assert structural_similarity(true, predicted, data_range=2.0) == pytest.approx(np.mean(colour), rel=1e-12)
    grey = skimage_metrics.structural_similarity(true[0, ..., 0], predicted[0, ..., 0], data_range=1.0)
    assert structural_similarity(true[:1, ..., 0], predicted[:1, ..., 0], data_range=1.0) == pytest.approx(grey)


def test_ssim_of_constant_images_is_the_term_of_brightness():
    pytest.importorskip("skimage")
    true, predicted = np.full((1, 9, 9), 0.5), np.full((1, 9, 9), 0.25)
    expected = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)
    assert structural_similarity(true, predicted, data_range=1.0) == pytest.approx(expected)
    assert structural_similarity(true, true, data_range=1.0) == pytest.approx(1)


def test_ssim_encodes_with_a_white(larger_photographs):
    pytest.importorskip("skimage")
    true, predicted = larger_photographs
    encoded = structural_similarity(encode_display(true, 0.5), encode_display(predicted, 0.5), data_range=1.0)
    assert structural_similarity(true, predicted, data_range=1.0, white=0.5) == pytest.approx(encoded)
    assert structural_similarity(true, predicted, data_range=1.0) != pytest.approx(encoded, rel=0.01)


def test_ssim_weighs_pixels(larger_photographs):
    pytest.importorskip("skimage")
    true, predicted = larger_photographs
    predicted[:, :, 10:] = true[:, :, 10:]
    whole = structural_similarity(true, predicted, data_range=1.0)
    weight = np.ones((16, 20))
    assert structural_similarity(true, predicted, data_range=1.0, pixel_weight=weight) == pytest.approx(whole)
    weight[:, :13] = 0  # where no window holds a pixel that is wrong
    assert structural_similarity(true, predicted, data_range=1.0, pixel_weight=weight) == pytest.approx(1)
    assert structural_similarity(true, predicted, data_range=1.0, pixel_weight=1 - weight) < whole
    edge = np.zeros((16, 20))
    edge[:3] = 1
    with pytest.raises(ValueError, match="outermost 3 pixels"):
        structural_similarity(true, predicted, data_range=1.0, pixel_weight=edge)


def test_ssim_takes_any_type_of_values(larger_photographs):
    pytest.importorskip("skimage")
    true, predicted = ((255 * images).astype(np.uint8) for images in larger_photographs)
    exact = structural_similarity(true.astype(float), predicted.astype(float), data_range=255)
    assert structural_similarity(true, predicted, data_range=255) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("shape", [(4, 50), (2, 6, 20), (2, 20, 6, 3), (2, 9, 9, 3, 1)])
def test_ssim_refuses_other_shapes_and_small_images(shape):
    with pytest.raises(ValueError, match="7 x 7"):
        structural_similarity(np.ones(shape), np.ones(shape), data_range=1.0)


def test_ssim_refuses_a_wrong_range():
    with pytest.raises(TypeError, match="data_range"):
        structural_similarity(np.ones((1, 9, 9)), np.ones((1, 9, 9)))
    with pytest.raises(ValueError, match="data_range"):
        structural_similarity(np.ones((1, 9, 9)), np.ones((1, 9, 9)), data_range=0)


def test_ssim_without_scikit_image_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(ImportError, match=r"pip install 'sklrelight\[ssim\]'"):
        structural_similarity(np.ones((1, 9, 9)), np.ones((1, 9, 9)), data_range=1.0)


# --- The display encoding


def test_encoding_at_known_values():
    encoded = encode_display(np.array([0.0, 0.5, 2.0, 6.0, 7.0, 1e9]), white=2.0)
    np.testing.assert_allclose(encoded, [0, 0.25 ** (1 / 2.2), 1, 3 ** (1 / 2.2), 3 ** (1 / 2.2), 3 ** (1 / 2.2)])


def test_encoding_clips_negative_predictions_to_black():
    np.testing.assert_array_equal(encode_display(np.array([-1.0, -1e-9]), white=1), [0, 0])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.uint8, np.float32),
        (np.uint16, np.float32),
    ],
)
def test_encoding_is_computed_in_a_floating_type_of_its_own(dtype, expected):
    images = np.arange(12, dtype=dtype).reshape(3, 4)
    kept = images.copy()
    images.flags.writeable = False
    encoded = encode_display(images, white=4)
    assert encoded.dtype == expected
    np.testing.assert_allclose(encoded, np.clip(kept.astype(np.float64) / 4, 0, 3) ** (1 / 2.2), rtol=1e-6)
    np.testing.assert_array_equal(images, kept)
    assert not np.shares_memory(encoded, images)


@pytest.mark.parametrize("white", [0, -1.0, np.inf, np.nan])
def test_whites_that_are_none_are_refused(photographs, white):
    with pytest.raises(ValueError, match="white must be positive"):
        encode_display(photographs[0], white)
    with pytest.raises(ValueError, match="white must be positive"):
        relative_error(*photographs, white=white)
    with pytest.raises(ValueError, match="white must be positive"):
        peak_signal_noise_ratio(*photographs, data_range=1, white=white)


def test_white_is_the_percentile_99_95_of_all_values():
    values = np.random.default_rng(0).permutation(np.linspace(0, 10, 20001)).astype(np.float32)
    assert display_white(values.reshape(3, 59, 113)) == pytest.approx(9.995)
    assert isinstance(display_white(values), float)


def test_white_ignores_a_few_highlights():
    images = np.linspace(0, 1, 10_000).reshape(100, 100)
    images[50, :3] = 1e6
    assert display_white(images) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.uint8])
def test_white_of_short_types(dtype):
    images = (np.linspace(0, 1, 4000) * 200).astype(dtype)
    assert display_white(images) == pytest.approx(np.percentile(images.astype(np.float64), 99.95), rel=1e-6)


def test_white_of_float16_is_interpolated_in_float32():
    assert display_white(np.array([0, 3000], np.float16)) == pytest.approx(2998.5, rel=1e-6)  # not 2998


@pytest.mark.parametrize("metric", ["relative error", "psnr"])
def test_white_encodes_both_sides(photographs, metric):
    true, predicted = photographs  # up to 10: clipped for a white of 2
    options = {} if metric == "relative error" else {"data_range": 3 ** (1 / 2.2)}
    function = relative_error if metric == "relative error" else peak_signal_noise_ratio
    expected = function(np.clip(true / 2, 0, 3) ** (1 / 2.2), np.clip(predicted / 2, 0, 3) ** (1 / 2.2), **options)
    assert function(true, predicted, white=2.0, **options) == pytest.approx(expected, rel=1e-9)
    assert function(true, predicted, **options) != pytest.approx(expected, rel=0.01)


def test_errors_above_the_clip_do_not_count():
    true = np.array([[1.0, 7.0], [1.0, 6.0]])
    predicted = np.array([[1.0, 100.0], [1.0, 6.5]])
    assert relative_error(true, predicted, white=2.0) == 0
    assert relative_error(true, predicted) > 1


# --- Input


@pytest.mark.parametrize("shape", [(12,), (3, 4), (3, 2, 2), (3, 2, 2, 1)])
def test_all_shapes_of_targets(shape):
    true = np.arange(12.0).reshape(shape)
    expected = np.sqrt(12 * 0.25 / (np.arange(12.0) ** 2).sum())
    assert relative_error(true, true + 0.5) == pytest.approx(expected)
    assert peak_signal_noise_ratio(true, true + 0.5, data_range=1) == pytest.approx(-10 * np.log10(0.25))
    encoded = relative_error(true.reshape(3, 4), true.reshape(3, 4) + 0.5, white=5.0)
    assert relative_error(true, true + 0.5, white=5.0) == pytest.approx(encoded)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64, bool]
)
def test_no_type_overflows_or_wraps_around(dtype):
    if dtype is bool:
        true, predicted = np.array([[True, False, True, True]]), np.array([[False, True, True, True]])
    else:
        true, predicted = np.array([[0, 100, 200, 250]]) / (2 if dtype == np.int16 else 1), np.array([[120, 0, 99, 7]])
        true, predicted = true.astype(dtype), predicted.astype(dtype)
    exact_true, exact_predicted = true.astype(np.float64), predicted.astype(np.float64)
    assert relative_error(true, predicted) == pytest.approx(relative_error(exact_true, exact_predicted), rel=1e-12)
    assert peak_signal_noise_ratio(true, predicted, data_range=255) == pytest.approx(
        peak_signal_noise_ratio(exact_true, exact_predicted, data_range=255), rel=1e-12
    )
    assert relative_error(true, predicted, white=80) == pytest.approx(
        relative_error(exact_true, exact_predicted, white=80), rel=1e-5
    )


def test_float16_squares_and_sums_beyond_its_range():
    true = np.full((4, 100, 100), 60000, np.float16)
    assert relative_error(true, (true / 2).astype(np.float16)) == pytest.approx(0.5)


def test_types_may_be_mixed():
    true = np.array([[10, 20], [30, 40]], np.uint8)
    predicted = np.array([[10.5, 20], [30, 40]], np.float32)
    assert relative_error(true, predicted) == pytest.approx(0.5 / 3000**0.5)


def test_small_errors_of_large_stacks_are_summed_in_float64():
    true = np.ones((50, 200, 200), np.float32)
    predicted = true + np.float32(2**-12)
    assert relative_error(true, predicted) == pytest.approx(2**-12, rel=1e-9)


METRICS = [
    relative_error,
    lambda true, predicted: peak_signal_noise_ratio(true, predicted, data_range=1),
    lambda true, predicted: structural_similarity(true, predicted, data_range=1),
]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        (np.ones((2, 3)), np.ones((3, 2))),
        (np.ones((2, 3)), np.ones((2, 3, 1))),
        (np.ones((2, 3)), np.ones((1, 3))),  # no broadcasting
        (np.ones(3), np.ones((3, 1))),
        (np.ones((2, 3)), np.ones((3, 3))),
    ],
)
def test_unequal_shapes_are_refused(metric, true, predicted):
    with pytest.raises(ValueError, match="they must be the same"):
        metric(true, predicted)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("value", "message"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_values_that_are_not_finite_are_refused_by_name(metric, value, message):
    good, bad = np.ones((2, 3)), np.array([[1, 1, 1], [1, value, 1]])
    with pytest.raises(ValueError, match=f"y_pred contains {message}"):
        metric(good, bad)
    with pytest.raises(ValueError, match=f"y_true contains {message}"):
        metric(bad, good)


# --- Scorers


@pytest.fixture
def capture():
    """Photographs that change smoothly with the light, so that a nearer one is a better prediction."""
    lights = np.random.default_rng(0).random((30, 2))
    patterns = np.random.default_rng(1).random((2, 4, 5, 3))
    return lights, np.tensordot(0.2 + lights, patterns, axes=1)


def test_scorers_are_the_metrics_and_greater_is_better(capture):
    lights, images = capture
    model = NearestPhotograph().fit(lights[:20], images[:20])
    predicted = model.predict(lights[20:])
    error = relative_error(images[20:], predicted)
    psnr = peak_signal_noise_ratio(images[20:], predicted, data_range=2)
    assert make_relative_error_scorer()(model, lights[20:], images[20:]) == -error
    assert make_psnr_scorer(data_range=2)(model, lights[20:], images[20:]) == psnr
    encoded = make_relative_error_scorer(white=0.5)(model, lights[20:], images[20:])
    assert encoded == -relative_error(images[20:], predicted, white=0.5)
    worse = NearestPhotograph().fit(lights[:2], images[:2])
    for scorer in (
        make_relative_error_scorer(),
        make_psnr_scorer(data_range=2),
        make_psnr_scorer(data_range=1, white=1),
    ):
        assert scorer(worse, lights[20:], images[20:]) < scorer(model, lights[20:], images[20:])


def test_scorers_work_in_cross_validation_of_image_stacks(capture):
    lights, images = capture
    splitter = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(
        NearestPhotograph(), lights, images, cv=splitter, scoring=make_relative_error_scorer(), error_score="raise"
    )
    expected = [
        -relative_error(images[test], NearestPhotograph().fit(lights[train], images[train]).predict(lights[test]))
        for train, test in splitter.split(lights)
    ]
    np.testing.assert_array_equal(scores, expected)
    scoring = {"error": make_relative_error_scorer(white=1.0), "psnr": make_psnr_scorer(data_range=1.5, white=1.0)}
    several = cross_validate(NearestPhotograph(), lights, images, cv=3, scoring=scoring, error_score="raise")
    assert np.all(several["test_error"] < 0)
    assert np.all(several["test_psnr"] > 10)


@pytest.mark.parametrize("scorer", [make_relative_error_scorer(), make_psnr_scorer(data_range=1)])
def test_a_search_picks_the_better_candidate(capture, scorer):
    lights, images = capture
    pipeline = Pipeline([("lights", FunctionTransformer()), ("nearest", NearestPhotograph())])
    candidates = {"lights__func": [np.zeros_like, None, np.sign]}  # two of them make all lights the same
    search = GridSearchCV(pipeline, candidates, scoring=scorer, cv=3, error_score="raise").fit(lights, images)
    assert search.best_params_ == {"lights__func": None}
    assert search.cv_results_["rank_test_score"].tolist()[1] == 1
    assert search.predict(lights[:2]).shape == (2, 4, 5, 3)


def test_scorers_are_what_scikit_learn_takes_and_tell_their_parameters():
    for scorer in (make_relative_error_scorer(white=2), make_psnr_scorer(data_range=1)):
        assert check_scoring(NearestPhotograph(), scoring=scorer) is scorer
    assert "white=2" in repr(make_relative_error_scorer(white=2))
    assert "data_range=1" in repr(make_psnr_scorer(data_range=1))
    with pytest.raises(TypeError, match="data_range"):
        make_psnr_scorer()
    with pytest.raises(TypeError, match="data_range"):
        make_ssim_scorer()


def test_the_ssim_scorer_is_the_metric():
    pytest.importorskip("skimage")
    lights = np.arange(4.0)[:, None]
    images = np.random.default_rng(0).random((4, 8, 9, 3))
    model = NearestPhotograph().fit(lights[:3], images[:3])
    expected = structural_similarity(images[3:], images[2:3], data_range=2.0, white=0.5)
    assert make_ssim_scorer(data_range=2.0, white=0.5)(model, lights[3:], images[3:]) == expected
