"""Stacked radial basis functions, against refits without lights and against their own candidates."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklrelight import Relighter
from sklrelight.interpolation import RBFInterpolation, StackedRBFInterpolation, _stacked
from sklrelight.metrics import relative_error


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def directions(rng, n):
    vectors = rng.normal(size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def smooth_images(lights, shape=(8, 10, 3)):
    """Photographs that change smoothly with the light, some pixels faster than others."""
    rng = np.random.default_rng(1)
    speeds = np.linspace(0.2, 2, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return 2 + np.sin(np.tensordot(lights, speeds * rng.normal(size=(lights.shape[1], *shape)), axes=1))


def single(candidate, lights, images):
    """The interpolation that a candidate is, and the lights in its unit."""
    scaled = candidate["epsilon"] * lights[:, : candidate["n_dimensions"]]
    return RBFInterpolation(candidate["kernel"], epsilon=1.0, smoothing=candidate["smoothing"]), scaled


def curves(value_range):
    """What photographs are interpolated on, with the way back."""
    least, greatest = value_range

    def power(p):
        return (
            lambda y: np.maximum((y - least) / (greatest - least), 0) ** p,
            lambda v: least + (greatest - least) * np.maximum(v, 0) ** (1 / p),
        )

    def exponential(k):
        return (
            lambda y: np.expm1(k * np.minimum((y - least) / (greatest - least), 1)) / np.expm1(k),
            lambda v: least + (greatest - least) * np.log1p(np.maximum(v, 0) * np.expm1(k)) / k,
        )

    return [power(0.5), (lambda y: y, lambda v: v), exponential(1.25), exponential(2.5), exponential(4.0)]


def mixed(model, lights, images, asked, kept=slice(None)):
    """Fit every candidate anew to what is kept, and mix the predictions."""
    bend, unbend = curves(model.value_range_)[model.curve_]
    mean = np.zeros((len(asked), *images.shape[1:]))
    for index, candidate in enumerate(model.candidates_):
        if model.stacking_weights_[:, index].any():
            weights = model.stacking_weights_[:, index][model.clusters_]
            interpolation, scaled = single(candidate, lights, images)
            interpolation.fit(scaled[kept], bend(images[kept]))
            own = interpolation.predict(candidate["epsilon"] * asked[:, : candidate["n_dimensions"]])
            mean += weights.reshape(weights.shape + (1,) * (images.ndim - 1 - weights.ndim)) * own
    return unbend(mean)


def nudged(lights):
    """Move directions a little."""
    moved = lights + 0.1
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def some_lights(where, rng):
    if where == "plane":
        return rng.random((30, 2)) * 100
    lights = directions(rng, 30)
    if where == "duplicates":
        lights[[3, 9]] = lights[7]
    if where == "mirrored":
        lights[15:] = lights[:15] * [1, 1, -1]
    return lights


WHERE = ["plane", "sphere", "duplicates", "mirrored"]


@pytest.mark.parametrize("where", WHERE)
def test_a_prediction_is_the_mean_of_single_interpolations(rng, where):
    lights = some_lights(where, rng)
    images = smooth_images(lights / np.abs(lights).max()) + 0.1 * rng.random((30, 8, 10, 3))
    model = StackedRBFInterpolation(4, random_state=0).fit(lights, images)
    assert model.stacking_weights_.shape == (4, len(model.candidates_))
    assert model.stacking_weights_.min() >= 0
    np.testing.assert_allclose(model.stacking_weights_.sum(axis=1), 1)
    assert len(np.unique(model.clusters_)) == 4
    assert {candidate["n_dimensions"] for candidate in model.candidates_} == ({2} if where == "plane" else {2, 3})
    asked = some_lights(where, rng)[:6]
    np.testing.assert_allclose(model.predict(asked), mixed(model, lights, images, asked), atol=1e-6)


@pytest.mark.parametrize("where", WHERE)
def test_no_single_candidate_has_a_less_leave_one_out_error(rng, where):
    lights = some_lights(where, rng)
    images = smooth_images(lights / np.abs(lights).max()) + 0.3 * rng.normal(size=(30, 8, 10, 3))
    # One odd photograph weighs less than the sum of squares would have it.
    images[11] *= 3
    model = StackedRBFInterpolation(1, random_state=0).fit(lights, images)

    def errors(predicted):
        return np.square(predicted - images).sum(axis=(1, 2, 3))

    singles = []
    for candidate in model.candidates_:
        interpolation, scaled = single(candidate, lights, images)
        predicted = []
        for row, light in enumerate(lights):
            kept = np.linalg.norm(lights - light, axis=1) > 1e-9
            predicted.append(interpolation.fit(scaled[kept], images[kept]).predict(scaled[[row]])[0])
        singles.append(errors(np.array(predicted)))
    least = np.min(singles, axis=0)
    weights = (least + 1e-3 * least.mean()) ** -0.25
    stacked = []
    for row, light in enumerate(lights):
        kept = np.linalg.norm(lights - light, axis=1) > 1e-9
        stacked.append(mixed(model, lights, images, lights[[row]], kept)[0])
    stacked = errors(np.array(stacked)) @ weights
    # The bent values weigh the errors a little otherwise.
    assert stacked <= (np.array(singles) @ weights).min() * 1.01
    if where in ("sphere", "mirrored"):
        assert (model.stacking_weights_ > 0).sum() > 1


def test_a_linear_change_is_exact(rng):
    lights, asked = directions(rng, 20), directions(rng, 5)
    slope = rng.normal(size=(3, 6, 7))
    model = StackedRBFInterpolation(random_state=0).fit(lights, np.tensordot(lights, slope, axes=1))
    np.testing.assert_allclose(model.predict(asked), np.tensordot(asked, slope, axes=1), atol=1e-5)


def test_smooth_photographs_are_predicted_well_and_training_ones_reproduced(rng):
    lights, asked = rng.random((60, 2)), rng.random((20, 2))
    model = StackedRBFInterpolation(random_state=0).fit(lights, smooth_images(lights))
    assert relative_error(smooth_images(asked), model.predict(asked)) < 2e-3
    assert relative_error(smooth_images(lights), model.predict(lights)) < 1e-4


@pytest.mark.parametrize("number", range(5))
def test_the_curve_is_found_on_which_the_photographs_are_smooth(rng, number):
    lights, asked = rng.random((40, 2)), rng.random((20, 2))
    least_and_greatest = 0.2, 3.0
    bend, unbend = curves(least_and_greatest)[number]
    ends = bend(np.array(least_and_greatest))

    def images(lights):
        # Smooth between the ends, and bent back.
        smooth = np.sin(np.tensordot(lights, np.random.default_rng(1).normal(size=(2, 60)), 1))
        return unbend(ends[0] + (ends[1] - ends[0]) * (smooth + 1) / 2)

    model = StackedRBFInterpolation(2, random_state=0).fit(lights, images(lights), value_range=least_and_greatest)
    assert model.curve_ == number
    assert relative_error(images(asked), model.predict(asked)) < 0.01


def test_clusters_of_pixels_get_weights_of_their_own(rng):
    lights, asked = rng.random((50, 2)), rng.random((50, 2))
    kinks = rng.random((5, 12, 2))

    def images(lights):
        sharp = np.abs(lights[:, None, None] - kinks).sum(axis=-1)
        return np.concatenate([smooth_images(lights, (5, 12)), 5 + sharp + rng.normal(size=sharp.shape)], axis=1)

    several, one = (StackedRBFInterpolation(n, random_state=0).fit(lights, images(lights)) for n in (2, 1))
    smooth, rough = several.clusters_[0, 0], several.clusters_[-1, 0]
    assert smooth != rough
    smoothing = np.array([candidate["smoothing"] for candidate in several.candidates_])
    expected = several.stacking_weights_ @ smoothing
    assert expected[smooth] < 0.1 < expected[rough]
    clean = smooth_images(asked, (5, 12))
    assert relative_error(clean, several.predict(asked)[:, :5]) < relative_error(clean, one.predict(asked)[:, :5]) / 2


def test_masked_pixels_reach_neither_clusters_nor_weights(rng):
    lights, mask = directions(rng, 20), rng.random((8, 10)) > 0.4
    images = smooth_images(lights)
    junk = np.where(mask[:, :, None], images, 50 * rng.random(images.shape))
    clean = StackedRBFInterpolation(3, random_state=0).fit(lights, images * mask[:, :, None], pixel_weight=mask)
    masked = StackedRBFInterpolation(3, random_state=0).fit(lights, junk, pixel_weight=mask)
    np.testing.assert_array_equal(masked.clusters_[mask], clean.clusters_[mask])
    np.testing.assert_allclose(masked.stacking_weights_, clean.stacking_weights_, atol=1e-6)
    # Other weights count as so many pixels.
    weight = np.ones((8, 10))
    weight[:2] = 5
    once = StackedRBFInterpolation(1, random_state=0).fit(lights, images, pixel_weight=weight)
    often = StackedRBFInterpolation(1, random_state=0).fit(
        lights, np.concatenate([images, *[images[:, :2]] * 4], axis=1)
    )
    np.testing.assert_allclose(once.stacking_weights_, often.stacking_weights_, atol=1e-4)
    relit = Relighter(StackedRBFInterpolation(random_state=0), check_inverse=False)
    assert not relit.fit(lights, junk, pixel_weight=mask).predict(lights)[:, ~mask].any()


def test_extreme_values_of_masked_pixels_do_not_overflow(rng):
    lights, images, mask = directions(rng, 20), rng.random((20, 8, 10), dtype=np.float32), np.ones((8, 10), bool)
    images[:, 0], mask[0] = 1e12, False
    model = StackedRBFInterpolation(4, random_state=0).fit(lights, images, pixel_weight=mask)
    assert np.isfinite(model.predict(nudged(lights))).all()


@pytest.mark.parametrize("n", [7, 5000])
def test_large_clusters_are_predicted_piece_by_piece(rng, monkeypatch, n):
    lights, images = directions(rng, 20), rng.random((20, 30, 40, 3))
    model = StackedRBFInterpolation(4, random_state=0).fit(lights, images)
    whole = model.predict(nudged(lights))
    monkeypatch.setattr(_stacked, "_SUMMED_VALUES", 60 * n)
    np.testing.assert_allclose(model.predict(nudged(lights)), whole, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_few_lights_will_do(rng, n, d):
    lights, images = rng.random((n, d)), rng.random((n, 6, 7))
    model = StackedRBFInterpolation(random_state=0).fit(lights, images)
    predicted = model.predict(rng.random((5, d)))
    assert np.isfinite(predicted).all()
    if n == 1:
        np.testing.assert_allclose(predicted, np.repeat(images, 5, axis=0))


def test_lights_that_are_all_equal_have_one_photograph_between_theirs(rng):
    lights = rng.random((1, 2))
    twice = StackedRBFInterpolation(random_state=0).fit(np.repeat(lights, 4, axis=0), rng.random((4, 5)))
    predicted = twice.predict(lights[:1])[0]
    assert ((twice.images_.min(axis=0) < predicted) & (predicted < twice.images_.max(axis=0))).all()


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_photographs_that_are_all_the_same(rng, value):
    lights, images = directions(rng, 12), np.full((12, 16, 16, 3), value, np.float32)
    model = StackedRBFInterpolation(random_state=0).fit(lights, images)
    np.testing.assert_allclose(model.predict(directions(rng, 4)), value, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(8, 10, 3), (8, 10), (20,), (1,), ()], ids=str)
def test_shapes_and_types(rng, shape, dtype):
    lights, images = rng.random((9, 2)), (100 * rng.random((9, *shape))).astype(dtype)
    model = StackedRBFInterpolation(random_state=0).fit(lights, images)
    assert model.clusters_.shape == shape[:2]
    assert model.images_.dtype == dtype
    predicted = model.predict(lights[:4])
    assert predicted.shape == (4, *shape)
    assert predicted.dtype == (np.float64 if dtype in (np.float64, np.uint8) else np.float32)
    assert np.isfinite(predicted).all()


def test_more_lights_than_are_measured(rng):
    lights = directions(rng, 300)
    images = smooth_images(lights, (6, 7))
    model = StackedRBFInterpolation(random_state=0).fit(lights[40:], images[40:])
    assert relative_error(images[:40], model.predict(lights[:40])) < 0.01


def test_an_int_decides_everything(rng):
    lights, images = directions(rng, 20), rng.random((20, 30, 40, 3), dtype=np.float32)
    first, second, other = (StackedRBFInterpolation(random_state=state).fit(lights, images) for state in (0, 0, 1))
    np.testing.assert_array_equal(first.clusters_, second.clusters_)
    np.testing.assert_array_equal(first.predict(lights), second.predict(lights))
    assert (first.clusters_ != other.clusters_).any()


def test_a_pickle_holds_the_photographs_once(rng):
    lights, images = directions(rng, 20), rng.random((20, 80, 90, 3), dtype=np.float32)
    model = StackedRBFInterpolation(random_state=0).fit(lights, images)
    pickled = pickle.dumps(model)
    assert len(pickled) < 1.1 * images.nbytes
    loaded = pickle.loads(pickled)
    np.testing.assert_array_equal(loaded.predict(lights[:3]), model.predict(lights[:3]))


def test_an_interrupted_fit_leaves_no_model(rng, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_stacked, "_compare_curves", interrupt)
    model = StackedRBFInterpolation()
    with pytest.raises(KeyboardInterrupt):
        model.fit(rng.random((6, 2)), rng.random((6, 4, 5)))
    with pytest.raises(NotFittedError):
        model.predict(rng.random((2, 2)))


@pytest.mark.parametrize("make", [lambda model: model, make_pipeline])
def test_metadata_routing_hands_it_weights_and_the_range_unasked(rng, make):
    lights, images, mask = rng.random((12, 2)), rng.random((12, 8, 9)), rng.random((8, 9)) > 0.4
    given = {"pixel_weight": mask, "value_range": (0, 3)}
    expected = StackedRBFInterpolation(random_state=0).fit(lights, images, **given).predict(nudged(lights))
    with config_context(enable_metadata_routing=True):
        model = make(StackedRBFInterpolation(random_state=0)).fit(lights, images, **given)
        np.testing.assert_array_equal(model.predict(nudged(lights)), expected)
        search = GridSearchCV(make(StackedRBFInterpolation(random_state=0)), {}, scoring=lambda *_: 0.0, cv=3).fit(
            lights, images, **given
        )
        np.testing.assert_array_equal(search.predict(nudged(lights)), expected)


@pytest.mark.parametrize("parameters", [{"n_clusters": 0}, {"random_state": "seed"}], ids=str)
def test_parameters_are_checked(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        StackedRBFInterpolation(**parameters).fit([[0.0], [1.0]], [0.0, 1.0])
