"""An ensemble beside an interpolation: who is fitted to what, how both are weighted, and what they predict together."""

import itertools
import signal
import time
from copy import deepcopy

import joblib
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline

from sklrelight import ImageStack, PixelLightFeaturizer, RelightingMLPRegressor
from sklrelight.blending import BlendedRegressor, _regressor, _weights
from sklrelight.interpolation import NearestPhotograph, RBFInterpolation, StackedRBFInterpolation
from sklrelight.metrics import relative_error
from sklrelight.neural import CompositeLoss

VALUES = st.floats(-100, 100, width=32)


class Constant(RegressorMixin, BaseEstimator):
    """Predicts one value, whatever it is fitted to."""

    def __init__(self, value=0.5):
        self.value = value

    def fit(self, X, y):
        self.shape_ = y.shape[1:]
        return self

    def predict(self, X):
        return np.full((len(X), *self.shape_), self.value)


class Oracle(Constant):
    """Knows the photographs of lights that it was told of beforehand."""

    def __init__(self, lights=None, images=None):
        self.lights = lights
        self.images = images

    def predict(self, X):
        rows = [np.abs(self.lights - light).sum(axis=1).argmin() for light in X]
        return self.images[rows].astype(np.float64)


class Mean(RegressorMixin, BaseEstimator):
    """Predicts the mean photograph, by a view that cannot be written to, and keeps what it was fitted to."""

    def fit(self, X, y, pixel_weight=None):
        self.seen_ = np.array(X), np.array(y), pixel_weight
        self.mean_ = self.seen_[1].mean(axis=0)
        return self

    def predict(self, X):
        return np.broadcast_to(self.mean_, (len(X), *self.mean_.shape))


class MeanInterpolation(Mean):
    """Lists its fits."""

    fits = []

    def fit(self, X, y, pixel_weight=None):
        self.fits.append(self)
        return super().fit(X, y, pixel_weight)


class SpyingFeaturizer(TransformerMixin, BaseEstimator):
    """Leaves the lights as they are, and keeps the photographs that it was given."""

    def fit(self, X, y):
        self.seen_ = np.array(X), np.array(y)
        return self

    def transform(self, X):
        return X


@pytest.fixture
def interpolation_fits():
    """List the fits of MeanInterpolation to come."""
    MeanInterpolation.fits.clear()
    return MeanInterpolation.fits


@pytest.fixture(scope="module")
def capture():
    """Smooth photographs of 8 x 10 pixels under 24 lights, encoded."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (24, 2))
    shading = np.einsum("nd,hwd->nhw", lights, rng.normal(size=(8, 10, 2)))
    return lights, (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32)


@pytest.fixture(scope="module")
def shadows():
    """Photographs of 20 x 30 pixels under 24 lights, whose left half is in hard shadows."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (24, 2))
    shading = 0.5 + 0.1 * np.einsum("nd,hwd->nhw", lights, rng.normal(size=(20, 30, 2)))
    shading[:, :, :15] *= np.sin(4 * lights[:, :1, None] + 20 * rng.random((20, 15))) > 0
    return lights, shading[..., None].astype(np.float32)


def networks(**parameters):
    mlp = RelightingMLPRegressor(
        **{"hidden_layer_sizes": (16,), "pixel_layer_sizes": (8,), "max_observations": 6000, **parameters}
    )
    return Pipeline([("featurizer", PixelLightFeaturizer(n_components=3)), ("mlp", mlp)])


def blend(interpolation="stacked", n_members=3, seed=0, **parameters):
    interpolation = StackedRBFInterpolation(4) if interpolation == "stacked" else interpolation
    return BlendedRegressor(networks(**parameters), interpolation, n_members=n_members, random_state=seed)


def weights(member):
    return [*member["mlp"].net_.module_.parameters()]


def same(one, other):
    return all(torch.equal(*pair) for pair in zip(weights(one), weights(other), strict=True))


@pytest.fixture
def held_out(monkeypatch):
    """Lists the (held-out lights, other lights) of the members of the fits to come."""
    drawn = []
    hold_out = BlendedRegressor._hold_out

    def recording(*args):
        drawn.append(hold_out(*args))
        return drawn[-1]

    monkeypatch.setattr(BlendedRegressor, "_hold_out", recording)
    return drawn


@pytest.fixture
def measured(monkeypatch):
    """Lists the members of the fits to come as they are when the weight is measured."""
    compared = []
    compare = BlendedRegressor._compare

    def recording(self, X, lights, fitted, *args):
        compared.append([deepcopy(member) for member, _ in fitted])
        return compare(self, X, lights, fitted, *args)

    monkeypatch.setattr(BlendedRegressor, "_compare", recording)
    return compared


class TestHeldOutLights:
    def pick(self, lights, n_members, seed=0, alone=False):
        regressor = BlendedRegressor(Ridge(), None if alone else NearestPhotograph(), n_members=n_members)
        return regressor._hold_out(lights, np.random.RandomState(seed))

    @settings(deadline=None)
    @given(st.integers(2, 300), st.integers(1, 10), st.integers(0, 2**32 - 1))
    def test_are_others_for_each_member_and_leave_two_at_least(self, n_lights, n_members, seed):
        lights = np.random.default_rng(0).random((n_lights, 2))
        picked = self.pick(lights, n_members, seed)
        assert len(picked) == n_members
        together = np.concatenate([rows for rows, _ in picked])
        assert len(np.unique(together)) == len(together) <= n_lights - 2
        for rows, kept in picked:
            assert len(rows) == len(picked[0][0])
            np.testing.assert_array_equal(kept, np.setdiff1d(np.arange(n_lights), rows))
            assert (np.diff(rows) > 0).all()

    @settings(deadline=None)
    @given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 2**32 - 1))
    def test_lights_that_equal_one_are_not_fitted_to_either(self, n_lights, n_members, seed):
        lights = np.random.default_rng(seed).integers(0, 6, (n_lights, 2)).astype(float)
        for rows, kept in self.pick(lights, n_members, seed):
            assert len(kept) >= 2
            assert not {*map(tuple, lights[rows])} & {*map(tuple, lights[kept])}

    @settings(deadline=None)
    @given(st.integers(2, 300), st.integers(1, 10), st.integers(0, 2**32 - 1))
    def test_are_the_same_for_the_same_seed(self, n_lights, n_members, seed):
        lights = np.random.default_rng(0).random((n_lights, 2))
        one, other = (self.pick(lights, n_members, seed) for _ in range(2))
        assert all(np.array_equal(*rows) for rows in zip(one, other, strict=True) for rows in zip(*rows, strict=True))

    @settings(deadline=None)
    @given(st.integers(8, 300), st.integers(1, 4))
    def test_there_are_some_where_there_are_enough_lights(self, n_lights, n_members):
        lights = np.random.default_rng(0).random((n_lights, 2))
        assert all(len(rows) for rows, _ in self.pick(lights, n_members))

    def test_have_others_on_all_sides(self):
        steps = np.linspace(-1, 1, 9)
        grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        # However the axes are scaled.
        lights = (grid + np.random.default_rng(0).normal(0, 0.01, grid.shape)) * [1, 100]
        for seed in range(5):
            for rows, _ in self.pick(lights, 2, seed):
                assert len(rows) == 9
                assert np.abs(grid[rows]).max() < 1

    def test_two_lights_are_left_to_train_on(self):
        assert [len(rows) for rows, _ in self.pick(np.eye(2), 3)] == [0, 0, 0]

    def test_none_without_an_interpolation(self):
        for rows, kept in self.pick(np.eye(9), 2, alone=True):
            assert not len(rows)
            np.testing.assert_array_equal(kept, np.arange(9))


class TestNoLeak:
    """What decides a weight is seen by neither part: neither in training nor in a feature."""

    @pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
    def test_neither_members_nor_their_features_see_a_held_out_photograph(self, held_out, measured, on_disk, tmp_path):
        lights = np.random.default_rng(0).random((20, 2))
        lights[10:] = lights[:10]  # each light twice
        # A photograph shows its own number in all pixels.
        images = np.arange(20, dtype=np.float32)[:, None, None] + np.zeros((2, 3), np.float32)
        y = images
        if on_disk:
            np.save(tmp_path / "stack.npy", images)
            y = ImageStack(tmp_path / "stack.npy")
        regressor = Pipeline([("featurizer", SpyingFeaturizer()), ("mean", Mean())])
        interpolation = RBFInterpolation() if on_disk else MeanInterpolation()
        fitted = BlendedRegressor(regressor, interpolation, n_members=3, random_state=0).fit(lights, y)
        assert len(fitted.members_) == len(measured[0]) == 3
        for member, (rows, _) in zip(measured[0], held_out[0], strict=True):
            forbidden = {number % 10 for number in rows}
            assert forbidden
            for seen_lights, seen in (member["featurizer"].seen_, member["mean"].seen_[:2]):
                assert not forbidden & {number % 10 for number in np.unique(seen).astype(int)}
                assert len(seen) == len(seen_lights) == 20 - 2 * len(forbidden)

    def test_interpolations_to_compare_with_see_no_held_out_photograph(self, capture, held_out, interpolation_fits):
        lights, images = capture
        fitted = BlendedRegressor(Mean(), MeanInterpolation(), n_members=3, random_state=0).fit(lights, images)
        whole, *others = interpolation_fits
        assert fitted.interpolation_ is whole
        np.testing.assert_array_equal(whole.seen_[1], images)
        assert len(others) == 3
        for model, (rows, kept) in zip(others, held_out[0], strict=True):
            assert len(rows)
            np.testing.assert_array_equal(model.seen_[0], lights[kept])
            np.testing.assert_array_equal(model.seen_[1].ravel(), images[kept].ravel())

    def test_held_out_photographs_reach_neither_features_nor_network(self, capture, held_out, measured):
        lights, images = capture
        one = blend().fit(lights, images)
        rows, kept = held_out[0][1]
        changed = images.copy()
        # Within the range of the others, which bounds what is predicted.
        changed[rows] = images[kept].max() - changed[rows] + images[kept].min()
        other = blend().fit(lights, changed)
        np.testing.assert_array_equal(held_out[1][1][0], rows)
        assert [same(*members) for members in zip(*measured, strict=True)] == [False, True, False]
        # Networks learn them later, with features that still do not know them.
        assert not same(one.members_[1], other.members_[1])
        tables = [member["featurizer"].pixel_table_ for member in (measured[0][1], one.members_[1], other.members_[1])]
        np.testing.assert_array_equal(tables[0], tables[1])
        np.testing.assert_array_equal(tables[0], tables[2])

    def test_a_member_that_knows_its_photographs_by_heart_gains_nothing_by_it(self, capture):
        lights, images = capture
        noise = np.random.default_rng(0).normal(0, 1, images.shape).astype(np.float32)
        # Exact where it was fitted, useless elsewhere; the interpolation is a good guess everywhere.
        fitted = BlendedRegressor(KNeighborsRegressor(1), Constant(0.0), random_state=0).fit(lights, noise)
        assert fitted.weight_ < 0.05


def test_the_held_out_error_is_that_of_the_mean_on_the_held_out_photographs(capture, held_out):
    lights, images = capture
    model = BlendedRegressor(KNeighborsRegressor(2), NearestPhotograph(), random_state=0).fit(lights, images)
    ((rows, kept),) = held_out[0]
    tables = images.reshape(len(images), -1)
    ensemble, nearest = (
        part.fit(lights[kept], tables[kept]).predict(lights[rows]).reshape(len(rows), -1, 3)
        for part in (KNeighborsRegressor(2), NearestPhotograph())
    )
    gap = ensemble - nearest
    errors = (images[rows].reshape(nearest.shape) - nearest).mean(axis=1)
    limit = 2 * np.sqrt(np.square(errors).mean())
    assert model.brightness_limit_ == pytest.approx(limit, rel=1e-4)
    means = gap.mean(axis=1, keepdims=True)
    blended = nearest + model.weight_ * (gap - means + means.clip(-limit, limit))
    expected = relative_error(images[rows].reshape(blended.shape), blended)
    assert model.held_out_error_ == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("parts", [(Ridge(), None), (Ridge(), Mean())])
def test_there_is_no_held_out_error_where_nothing_was_held_out(capture, parts):
    lights, images = capture
    fitted = BlendedRegressor(*parts).fit(lights[:2], images[:2].reshape(2, -1))
    assert getattr(fitted, "held_out_error_", None) is None


def compare(true, ensemble, interpolated, pixel_weight=None, saturation=None):
    """Compare photographs of shape (n, H, W, ...) or (n, n_pixels)."""
    shape = true.shape if true.ndim > 2 else (*true.shape, 1)
    n_pixels = int(np.prod(shape[1:3]))
    true, ensemble, interpolated = (
        np.asarray(stack).reshape(len(true), n_pixels, 1, -1) for stack in (true, ensemble, interpolated)
    )
    weight = None if pixel_weight is None else pixel_weight.reshape(-1, 1)
    return _weights.compare(true, interpolated, [ensemble], weight, saturation)


def find_weight(*stacks, limit=None, **given):
    return float(_weights.find_weights(compare(*stacks, **given), limit, 1)[0])


def find_limit(*stacks, **given):
    return _weights.find_limit(compare(*stacks, **given))


class TestWeight:
    @settings(deadline=None)
    @given(st.data(), st.integers(1, 4), st.integers(1, 6))
    def test_lies_in_0_to_1(self, data, n_photographs, n_values):
        stacks = [data.draw(arrays(np.float32, (n_photographs, n_values), elements=VALUES)) for _ in range(3)]
        assert 0 <= find_weight(*stacks, limit=find_limit(*stacks)) <= 1

    @settings(deadline=None)
    @given(
        arrays(np.float64, (2, 6), elements=st.floats(-1, 1)),
        arrays(np.float64, (2, 6), elements=st.floats(0.01, 1)),
    )
    def test_who_is_right_has_all_of_it(self, true, error):
        assert find_weight(true, true, true + error) == pytest.approx(1)
        assert find_weight(true, true + error, true + 1e-6 * error) == pytest.approx(0, abs=1e-3)

    def test_an_interpolation_that_is_exact_has_all(self):
        true = np.random.default_rng(4).random((3, 8))
        assert find_weight(true, true + 1, true) == 0

    def test_nothing_can_be_told_where_both_say_the_same(self):
        true = np.random.default_rng(0).random((3, 4))
        assert find_weight(true, true + 1, true + 1) == _weights.PRIORS[1][0]
        assert find_weight(true, true, true) == _weights.PRIORS[1][0]

    def test_nothing_can_be_told_by_one_photograph(self):
        true, ensemble, interpolated = np.random.default_rng(0).random((3, 1, 4))
        assert find_weight(true, ensemble, interpolated) == _weights.PRIORS[1][0]

    @settings(deadline=None)
    @given(arrays(np.float64, (3, 1, 8), elements=st.floats(-1, 1)), st.integers(2, 4))
    def test_no_other_weight_has_a_smaller_error_where_all_agree(self, values, n_photographs):
        true, ensemble, interpolated = stacks = np.repeat(values, n_photographs, axis=1)
        assume(np.abs(ensemble - interpolated).max() > 1e-3)
        weight = find_weight(*stacks)

        def error(part):
            return np.square(part * ensemble + (1 - part) * interpolated - true).sum()

        assert all(error(weight) <= error(part) + 1e-6 for part in np.linspace(0, 1, 21))

    @settings(deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(2, 6))
    def test_lies_between_what_was_expected_and_the_least_error(self, seed, n_photographs):
        true, ensemble, interpolated = stacks = np.random.default_rng(seed).random((3, n_photographs, 20))
        gap = ensemble - interpolated
        best = np.clip((gap * (true - interpolated)).sum() / np.square(gap).sum(), 0, 1)
        few, many = find_weight(*stacks), find_weight(*np.tile(stacks, (1, 10, 1)))
        assert min(best, _weights.PRIORS[1][0][0]) <= few <= max(best, _weights.PRIORS[1][0][0])
        # The more photographs there are, the nearer.
        assert abs(many - best) <= abs(few - best)

    @pytest.mark.parametrize("factor", [1e-3, 1e3])
    def test_does_not_depend_on_the_unit(self, factor):
        stacks = np.random.default_rng(1).random((3, 4, 10))
        limit = find_limit(*stacks)
        weight = find_weight(*stacks, limit=limit)
        assert 0 < weight < 1
        assert find_limit(*factor * stacks) == pytest.approx(factor * limit)
        assert find_weight(*factor * stacks, limit=factor * limit) == pytest.approx(weight)

    def test_pixels_without_weight_and_saturated_values_do_not_count(self):
        rng = np.random.default_rng(2)
        true, ensemble, interpolated = rng.random((3, 3, 4, 5))
        weight = rng.integers(0, 2, (4, 5)).astype(float)
        given = {"pixel_weight": weight, "saturation": 0.9}
        ignored = (weight == 0) | (true >= 0.9)
        assert ignored.any()
        spoilt = [np.where(ignored, rng.normal(size=true.shape), part) for part in (ensemble, interpolated)]
        for find in (find_weight, find_limit):
            found = find(true, ensemble, interpolated, **given)
            assert find(true, *spoilt, **given) == found
            assert find(true, ensemble, interpolated) != found


class TestBrightness:
    def test_is_the_mean_over_pixels_spread_by_their_weight(self, capture):
        lights, images = capture
        weight = np.zeros((8, 10), np.float32)
        weight[2, :5], weight[6] = 1, 3
        fitted = blend(n_members=1).fit(lights, images, pixel_weight=weight)
        rows, _ = np.unravel_index(fitted.brightness_pixels_, (8, 10))
        assert set(rows) == {2, 6}
        assert (rows == 6).sum() == pytest.approx(len(rows) * 6 / 7, abs=1)
        fitted = blend(n_members=1).fit(lights, images)
        np.testing.assert_array_equal(fitted.brightness_pixels_, np.arange(80))

    def test_is_limited_to_the_usual_error_of_the_interpolation(self):
        true, noise = np.random.default_rng(5).random((2, 3, 8))
        brightness = np.array([[0.3], [-0.4], [0.0]])
        assert find_limit(true, true, true + brightness) == pytest.approx(2 * np.sqrt(0.25 / 3))
        # An ensemble that is right in the details alone has all the weight.
        details = noise - noise.mean(axis=1, keepdims=True)
        far_off = true + 5, true + 0.01 * details
        assert find_weight(true, *far_off, limit=find_limit(true, *far_off)) == pytest.approx(1, abs=0.01)
        assert find_weight(true, *far_off) < 0.01

    def test_of_a_prediction_lies_within_the_limit(self, capture):
        lights, images = capture
        fitted = blend(Oracle(lights, images + np.float32(0.01)), n_members=1).fit(lights, images)
        fitted.value_range_, fitted.weight_, fitted.brightness_limit_ = (-9.0, 9.0), 1.0, None
        ensemble = fitted.predict(lights)
        fitted.brightness_limit_ = 0.003
        predicted = fitted.predict(lights)
        means = [stack.mean(axis=(1, 2), keepdims=True) for stack in (predicted, ensemble, images + 0.01)]
        np.testing.assert_allclose(predicted - means[0], ensemble - means[1], atol=1e-6)
        distance = means[1] - means[2]
        assert np.abs(distance).max() > 0.003
        np.testing.assert_allclose(means[0] - means[2], distance.clip(-0.003, 0.003), atol=1e-6)


class TestMeasuredPixels:
    def fit(self, photographs, **given):
        regressor = blend(n_members=2, hidden_layer_sizes=(32,), max_observations=100_000)
        return regressor.fit(*photographs, **given)

    def test_some_pixels_tell_nearly_what_all_do(self, shadows, monkeypatch):
        whole = self.fit(shadows)
        monkeypatch.setattr(_regressor, "_MEASURED_PIXELS", 300)
        part = self.fit(shadows)
        assert part.weight_ != whole.weight_
        assert part.weight_ == pytest.approx(whole.weight_, abs=0.1)
        differences = part.predict(shadows[0]) - whole.predict(shadows[0])
        assert np.sqrt(np.square(differences).mean()) < 0.03

    def test_pixels_without_weight_are_not_among_them(self, shadows, monkeypatch):
        _, images = shadows
        monkeypatch.setattr(_regressor, "_MEASURED_PIXELS", 100)
        weight = np.ones((20, 30), np.float32)
        weight[:, :12] = 0
        seen, compare = [], _weights.compare

        def recording(*given):
            seen.append(given)
            return compare(*given)

        monkeypatch.setattr(_regressor, "compare", recording)
        self.fit(shadows, pixel_weight=weight)
        for true, interpolated, (predicted,), weights, _ in seen:
            assert true.shape == predicted.shape == interpolated.shape == (len(true), 100, 1, 1)
            assert (weights > 0).all()
            assert np.isin(true, images[:, weight > 0]).all()


class TestEnsemble:
    def test_its_mean_is_predicted(self, capture):
        lights, images = capture
        fitted = blend(None).fit(lights, images)
        assert len(fitted.members_) == 3
        assert fitted.interpolation_ is None
        assert not hasattr(fitted, "weight_")
        mean = np.mean([member.predict(lights) for member in fitted.members_], axis=0)
        np.testing.assert_allclose(fitted.predict(lights), mean, atol=1e-6)
        assert not same(*fitted.members_[:2])

    def test_a_single_one_is_the_regressor_itself(self, capture):
        lights, images = capture
        regressor = networks(random_state=3).set_params(featurizer__random_state=4)
        fitted = BlendedRegressor(regressor).fit(lights, images)
        expected = clone(regressor).fit(lights, images).predict(lights)
        assert fitted.predict(lights).tobytes() == expected.tobytes()

    def test_shares_the_observations(self, capture):
        alone, blended = (
            blend(model, n_members=4, max_observations=4800, batch_size=50, pixel_layer_sizes=()).fit(*capture)
            for model in (None, NearestPhotograph())
        )
        for model in (alone, blended):
            assert [member["mlp"].n_observations_ for member in model.members_] == [1200] * 4
        # A third of them comes after the weight is measured.
        assert [member["mlp"].config_.max_observations for member in alone.members_] == [1200] * 4
        assert [member["mlp"].config_.max_observations for member in blended.members_] == [400] * 4

    def test_weights_of_lights_are_those_of_the_lights_that_a_member_is_fitted_to(self, capture, held_out, measured):
        lights, images = capture
        weight = np.arange(24.0)
        fitted = BlendedRegressor(Ridge(), NearestPhotograph(), n_members=2, random_state=0)
        fitted.fit(lights, images, sample_weight=weight)
        everything = Ridge().fit(lights, images.reshape(24, -1), sample_weight=weight)
        assert all((member.coef_ == everything.coef_).all() for member in fitted.members_)
        for member, (rows, kept) in zip(measured[0], held_out[0], strict=True):
            assert len(rows)
            expected = Ridge().fit(lights[kept], images[kept].reshape(len(kept), -1), sample_weight=weight[kept])
            np.testing.assert_array_equal(member.coef_, expected.coef_)

    @pytest.mark.parametrize("n_members", [0, 1.5, "many"])
    def test_its_number_is_checked(self, capture, n_members):
        with pytest.raises(ValueError, match="n_members"):
            blend(n_members=n_members).fit(*capture)


class TestHeldOutPhotographs:
    """They are learnt once the weight is measured."""

    def test_a_regressor_is_fitted_again_to_all(self, capture):
        lights, images = capture
        regressor = Pipeline([("featurizer", SpyingFeaturizer()), ("mean", Mean())])
        fitted = BlendedRegressor(regressor, NearestPhotograph(), n_members=2, random_state=0).fit(lights, images)
        for member in fitted.members_:
            for seen in (member["featurizer"].seen_, member["mean"].seen_):
                np.testing.assert_array_equal(seen[0], lights)
                np.testing.assert_array_equal(seen[1], images)

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_a_regressor_is_fitted_again_whose_partial_fit_is_a_single_pass(self, capture):
        lights, images = capture
        regressor = MLPRegressor(hidden_layer_sizes=(4,), early_stopping=True, max_iter=3, random_state=0)
        fitted = BlendedRegressor(regressor, NearestPhotograph(), random_state=0).fit(lights, images)
        (member,) = fitted.members_
        expected = clone(member).fit(lights, images.reshape(24, -1))
        np.testing.assert_array_equal(member.predict(lights), expected.predict(lights))

    @pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
    def test_a_network_learns_them(self, capture, held_out, measured, on_disk, tmp_path):
        lights, images = capture
        # How bright a lamp was cannot be guessed.
        images = images + np.random.default_rng(1).normal(0, 0.3, (24, 1, 1, 1)).astype(np.float32)
        y = images
        if on_disk:
            np.save(tmp_path / "stack.npy", images)
            y = ImageStack(tmp_path / "stack.npy")
        regressor = blend(RBFInterpolation(), n_members=1, hidden_layer_sizes=(32,), max_observations=200_000)
        fitted = regressor.fit(lights, y)
        (rows, _), (before,) = held_out[0][0], measured[0]
        errors = [
            np.sqrt(np.square(member.predict(lights[rows]) - images[rows]).mean())
            for member in (before, fitted.members_[0])
        ]
        assert errors[1] < 0.7 * errors[0]

    def test_a_network_alone_in_a_pipeline_learns_them_too(self, capture):
        lights, images = capture
        y = images.reshape(24, -1)
        mlp = RelightingMLPRegressor((8,), max_observations=3000)
        models = [
            BlendedRegressor(regressor, NearestPhotograph(), random_state=0).fit(lights, y)
            for regressor in (mlp, Pipeline([("mlp", mlp)]))
        ]
        assert models[0].weight_ == models[1].weight_
        assert models[0].predict(lights).tobytes() == models[1].predict(lights).tobytes()

    def test_without_an_interpolation_all_are_learnt_from_the_start(self, capture):
        lights, images = capture
        fitted = BlendedRegressor(Mean(), n_members=2).fit(lights, images)
        assert all(len(member.seen_[0]) == 24 for member in fitted.members_)


class TestInterpolation:
    def test_is_cloned_and_seeded(self, capture):
        lights, images = capture
        given_model = StackedRBFInterpolation(4)
        models = [
            BlendedRegressor(Ridge(), given_model, random_state=seed).fit(lights, images).interpolation_
            for seed in (0, 0, 1)
        ]
        assert not hasattr(given_model, "images_")
        assert models[0].random_state == models[1].random_state != models[2].random_state

    def test_its_own_seed_holds_without_another(self, capture):
        fitted = BlendedRegressor(Ridge(), StackedRBFInterpolation(4, random_state=5)).fit(*capture)
        assert fitted.interpolation_.random_state == 5

    def test_weights_of_pixels_are_passed_on_to_those_that_take_them(self, capture):
        lights, images = capture
        weight = np.ones((8, 10), np.float32)
        weight[0] = 0
        fitted = BlendedRegressor(Mean(), MeanInterpolation(), random_state=0).fit(lights, images, pixel_weight=weight)
        assert fitted.interpolation_.seen_[2] is weight
        assert all(member.seen_[2] is weight for member in fitted.members_)
        # These take none, and would refuse them.
        BlendedRegressor(Ridge(), NearestPhotograph(), random_state=0).fit(lights, images, pixel_weight=weight)

    def test_serves_a_plain_table_too(self):
        X = np.random.default_rng(0).uniform(-1, 1, (60, 3))
        y = X @ [1.0, 2.0, 3.0]
        mlp = RelightingMLPRegressor((16,), max_observations=100)
        fitted = BlendedRegressor(mlp, LinearRegression(), random_state=0).fit(X, y)
        # The targets are linear, and the networks have seen next to nothing.
        np.testing.assert_allclose(fitted.predict(X), y, atol=1e-3)

    @pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 3), (4, 3, 2)], ids=str)
    def test_goes_with_targets_of_any_shape(self, shape):
        lights, images = np.random.default_rng(0).random((9, 2)), np.random.default_rng(1).random((9, *shape))
        fitted = BlendedRegressor(Mean(), StackedRBFInterpolation(2), random_state=0).fit(lights, images)
        fitted.weight_, fitted.brightness_limit_ = 0.5, None
        members, interpolated = (
            np.mean([member.predict(lights) for member in fitted.members_], axis=0),
            fitted.interpolation_.predict(lights).reshape(images.shape),
        )
        expected = (members + interpolated.clip(images.min(), images.max())) / 2
        np.testing.assert_allclose(fitted.predict(lights), expected)

    def test_the_prediction_is_the_weighted_mean(self, capture):
        lights, images = capture
        fitted = blend(Constant(0.55), n_members=2).fit(lights, images)
        ensemble = np.mean([member.predict(lights[:3]) for member in fitted.members_], axis=0)
        for weight in (0.0, 0.25, 1.0):
            fitted.weight_, fitted.brightness_limit_ = weight, None
            mean = fitted.predict(lights[:3])
            np.testing.assert_allclose(mean, weight * ensemble + (1 - weight) * 0.55, atol=1e-6)
            assert mean.shape == (3, 8, 10, 3)

    def test_one_that_is_nearly_right_has_nearly_all(self, capture):
        lights, images = capture
        assert blend(Oracle(lights, images + np.float32(1e-5))).fit(lights, images).weight_ < 0.01

    def test_one_that_is_far_off_has_little(self, capture):
        lights, images = capture
        fitted = blend(Constant(images.min()), n_members=1, hidden_layer_sizes=(64, 64), max_observations=200_000)
        assert fitted.fit(lights, images).weight_ > 0.8

    def test_two_lights_are_enough(self, capture):
        lights, images = capture
        fitted = blend(NearestPhotograph(), n_members=2).fit(lights[:2], images[:2])
        assert fitted.weight_ == _weights.PRIORS[1][0]
        assert np.isfinite(fitted.predict(lights)).all()

    def test_no_prediction_leaves_the_range_of_the_photographs(self, capture):
        lights, images = capture
        predicted = blend(RBFInterpolation(), n_members=2).fit(lights, images).predict(10 * lights[:4])
        assert images.min() <= predicted.min() <= predicted.max() <= images.max()

    def test_what_cannot_predict_is_refused(self, capture):
        with pytest.raises(ValueError, match="interpolation"):
            blend("linear").fit(*capture)

    def test_what_a_part_returns_is_not_written_to(self, capture):
        lights, images = capture
        # A view of the mean photograph.
        predicted = BlendedRegressor(Mean(), NearestPhotograph(), random_state=0).fit(lights, images).predict(lights)
        assert np.isfinite(predicted).all()

    @pytest.mark.parametrize("interpolation", [RBFInterpolation(), StackedRBFInterpolation(4)], ids=["rbf", "stacked"])
    def test_photographs_on_disk_are_weighted_like_those_in_memory(self, capture, interpolation, tmp_path):
        lights, images = capture
        np.save(tmp_path / "stack.npy", images)
        regressor = BlendedRegressor(Ridge(), interpolation, random_state=0, storage="exact")
        memory = clone(regressor).fit(lights, images)
        disk = clone(regressor).fit(lights, ImageStack(tmp_path / "stack.npy"))
        np.testing.assert_allclose(disk.predict(lights + 0.01), memory.predict(lights + 0.01), rtol=1e-3, atol=1e-4)


class TestPixelWeightAndSaturation:
    def test_pixels_without_weight_change_nothing(self, capture):
        lights, images = capture
        weight = np.ones((8, 10), np.float32)
        weight[:, :3] = 0
        spoilt = images.copy()
        spoilt[:, :, :3] = np.random.default_rng(0).random((24, 8, 3, 3))
        one, other = (blend().fit(lights, y, pixel_weight=weight) for y in (images, spoilt))
        assert (one.weight_, one.brightness_limit_) == (other.weight_, other.brightness_limit_)
        # Sums over more or fewer pixels of a cluster are rounded otherwise.
        inside = np.s_[:, :, 3:]
        np.testing.assert_allclose(one.predict(lights)[inside], other.predict(lights)[inside], rtol=1e-5)

    @pytest.mark.parametrize(
        "interpolation", [StackedRBFInterpolation(4), NearestPhotograph(), RBFInterpolation()], ids=repr
    )
    def test_how_far_a_value_is_saturated_changes_nothing(self, capture, interpolation):
        lights, images = capture
        saturation = float(np.quantile(images, 0.9))
        brighter = np.where(images >= saturation, images + np.float32(0.3), images)
        regressor = BlendedRegressor(Constant(0.45), interpolation, random_state=0)
        one, other = (clone(regressor).fit(lights, y, saturation=saturation) for y in (images, brighter))
        assert (one.weight_, one.brightness_limit_) == (other.weight_, other.brightness_limit_)
        np.testing.assert_array_equal(*(model.predict(lights + 0.01) for model in (one, other)))


class SlowlyFitted(Constant):
    """Is interrupted half-way through its fit, with attributes that make it look fitted."""

    def fit(self, X, y):
        super().fit(X, y)
        raise KeyboardInterrupt


class InterruptedByAll(Mean):
    """Is interrupted when it is fitted to all 24 photographs."""

    def fit(self, X, y):
        if len(X) == 24:
            raise KeyboardInterrupt
        return super().fit(X, y)


@pytest.fixture
def fail_when_going_on(monkeypatch):
    """Return a function that lets the batch of a number fail, of those after the weight is measured."""
    measure, forward = BlendedRegressor._measure, CompositeLoss.forward
    n_calls, found = itertools.count(), []

    def measuring(self, *args):
        measure(self, *args)
        found.append(self.weight_)

    def setting(number, fail):
        def failing(self, *batch_values):
            if found and next(n_calls) == number:
                fail()
            return forward(self, *batch_values)

        monkeypatch.setattr(BlendedRegressor, "_measure", measuring)
        monkeypatch.setattr(CompositeLoss, "forward", failing)
        return found

    return setting


def interrupt():
    raise KeyboardInterrupt


def run_out_of_memory():
    raise MemoryError


class TestEndOfTheFit:
    def test_ctrl_c_keeps_what_was_reached(self, capture, monkeypatch, n_threads):
        lights, images = capture
        n_threads(1)
        forward, n_calls = CompositeLoss.forward, itertools.count()

        def interrupted(self, *batch_values):
            if next(n_calls) == 25:
                raise KeyboardInterrupt
            return forward(self, *batch_values)

        monkeypatch.setattr(CompositeLoss, "forward", interrupted)
        # 2,000 observations each, so that the second is interrupted after 4 batches.
        regressor = blend(batch_size=96)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(lights, images)
        assert [member["mlp"].interrupted_ for member in regressor.members_] == [False, True]
        assert 0 < regressor.weight_ <= 1
        assert np.isfinite(regressor.predict(lights)).all()

    def test_ctrl_c_reaches_all_members_that_are_fitted_at_a_time(self, capture, monkeypatch, n_threads):
        lights, images = capture
        n_threads(2)
        forward, n_calls = CompositeLoss.forward, itertools.count()

        def interrupted(self, *batch_values):
            if next(n_calls) == 40:
                # A signal is handled in the main thread, which waits.
                signal.raise_signal(signal.SIGINT)
            return forward(self, *batch_values)

        monkeypatch.setattr(CompositeLoss, "forward", interrupted)
        regressor = blend(n_members=4, max_observations=10**9)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(lights, images)
        assert len(regressor.members_) == 2
        assert all(member["mlp"].interrupted_ for member in regressor.members_)
        assert np.isfinite(regressor.predict(lights)).all()

    @pytest.mark.parametrize(
        ("fail", "error"), [(interrupt, KeyboardInterrupt), (run_out_of_memory, MemoryError)], ids=["ctrl-c", "memory"]
    )
    def test_networks_that_cannot_go_on_keep_what_they_reached(
        self, capture, measured, fail_when_going_on, n_threads, fail, error
    ):
        lights, images = capture
        n_threads(1)
        # 10 batches of 100 each: the second fails in its fifth.
        found = fail_when_going_on(14, fail)
        regressor = blend(n_members=2, batch_size=100, max_observations=6000, pixel_layer_sizes=())
        with pytest.raises(error):
            regressor.fit(lights, images)
        assert regressor.weight_ == found[0]
        first, second = (member["mlp"] for member in regressor.members_)
        learnt = [
            member["mlp"].n_observations_ - before["mlp"].n_observations_
            for member, before in zip(regressor.members_, measured[0], strict=True)
        ]
        assert learnt[0] == 1000
        assert 400 <= learnt[1] <= 500 if error is KeyboardInterrupt else learnt[1] == 0
        assert (first.interrupted_, second.interrupted_) == (False, error is KeyboardInterrupt)
        assert same(regressor.members_[1], measured[0][1]) == (error is MemoryError)
        assert np.isfinite(regressor.predict(lights)).all()

    def test_ctrl_c_reaches_all_networks_that_go_on_at_a_time(self, capture, fail_when_going_on, n_threads):
        n_threads(2)
        found = fail_when_going_on(4, lambda: signal.raise_signal(signal.SIGINT))
        regressor = blend(n_members=2, batch_size=100, max_observations=120_000)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(*capture)
        assert regressor.weight_ == found[0]
        assert all(member["mlp"].interrupted_ for member in regressor.members_)
        assert np.isfinite(regressor.predict(capture[0])).all()

    def test_a_regressor_whose_second_fit_is_interrupted_stays_as_the_first_left_it(self, capture, held_out):
        lights, images = capture
        regressor = BlendedRegressor(InterruptedByAll(), Constant(images.min()), random_state=0)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(lights, images)
        np.testing.assert_array_equal(regressor.members_[0].seen_[0], lights[held_out[0][0][1]])
        assert regressor.weight_ > 0
        assert np.isfinite(regressor.predict(lights)).all()

    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
    def test_a_weight_that_was_not_measured_is_0(self, capture, monkeypatch, error):
        lights, images = capture

        def fail(*args):
            raise error

        regressor = blend()
        with monkeypatch.context() as patch:
            patch.setattr(_regressor, "find_weights", fail)
            with pytest.raises(error):
                regressor.fit(lights, images)
        assert regressor.weight_ == 0
        expected = StackedRBFInterpolation(4, random_state=regressor.interpolation_.random_state)
        expected = expected.fit(lights, images).predict(lights + 0.01).clip(images.min(), images.max())
        np.testing.assert_array_equal(regressor.predict(lights + 0.01), expected)

    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
    def test_without_an_interpolation_the_model_is_not_fitted(self, capture, monkeypatch, error):
        def fail(*args, **options):
            raise error

        regressor = blend().fit(*capture)
        monkeypatch.setattr(StackedRBFInterpolation, "fit", fail)
        with pytest.raises(error):
            regressor.fit(*capture)
        with pytest.raises(NotFittedError):
            regressor.predict(capture[0])

    @pytest.mark.parametrize("interpolation", [None, NearestPhotograph()], ids=["alone", "blended"])
    def test_a_regressor_that_is_interrupted_half_way_is_no_member(self, capture, interpolation):
        regressor = BlendedRegressor(SlowlyFitted(), interpolation, n_members=1)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(*capture)
        with pytest.raises(NotFittedError):
            regressor.predict(capture[0])

    def test_a_gaussian_process_that_is_interrupted_does_not_predict_its_prior(self, capture, monkeypatch):
        def interrupted(*args, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(GaussianProcessRegressor, "_constrained_optimization", interrupted)
        regressor = BlendedRegressor(GaussianProcessRegressor(n_restarts_optimizer=0))
        monkeypatch.setattr(GaussianProcessRegressor, "log_marginal_likelihood", interrupted)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(*capture)
        with pytest.raises(NotFittedError):
            regressor.predict(capture[0])

    def test_max_time_is_shared(self, capture, n_threads):
        lights, images = capture
        n_threads(1)
        start = time.perf_counter()
        fitted = blend(None, hidden_layer_sizes=(8,), compile=False, max_observations=None, max_time=1.5).fit(
            lights, images
        )
        # Generous above: other processes may hold a batch up.
        assert 1.5 <= time.perf_counter() - start < 6
        histories = [member["mlp"].history_ for member in fitted.members_]
        assert min(sum(history[:, "dur"]) for history in histories) > 0.25
        assert all(0 <= history[-1, "event_lr"] < 0.1 * 4e-3 for history in histories)

    def test_no_time_at_all_is_a_batch_for_each(self, capture):
        fitted = blend(batch_size=100, max_time=1e-9, pixel_layer_sizes=()).fit(*capture)
        # One before the weight is measured, and one after.
        assert [member["mlp"].n_observations_ for member in fitted.members_] == [200] * 3
        assert 0 <= fitted.weight_ <= 1


class TestReproducibility:
    def test_the_same_seed_gives_the_same_bytes(self, capture):
        lights, images = capture
        one, other = (blend(dropout=0.1).fit(lights, images) for _ in range(2))
        assert (one.weight_, one.brightness_limit_) == (other.weight_, other.brightness_limit_)
        assert one.predict(lights).tobytes() == other.predict(lights).tobytes()

    def test_it_does_not_matter_how_many_members_are_fitted_at_a_time(self, capture, n_threads):
        lights, images = capture
        regressor = blend(validation_fraction=0.2, dropout=0.1)
        predicted = []
        for number in (1, 2, 3):
            n_threads(number)
            predicted.append(clone(regressor).fit(lights, images).predict(lights).tobytes())
        assert predicted[1:] == predicted[:1] * 2

    def test_another_seed_gives_other_networks(self, capture):
        one, other = (blend(seed=seed).fit(*capture) for seed in (0, 1))
        assert not same(one.members_[0], other.members_[0])

    def test_the_seed_of_a_part_seeds_all_where_there_is_no_other(self, capture):
        lights, images = capture
        one, other = (blend(seed=None, random_state=seed).fit(lights, images) for seed in (7, 7))
        assert one.predict(lights).tobytes() == other.predict(lights).tobytes()
        assert not same(*one.members_[:2])

    def test_a_saved_model_predicts_the_same_bytes(self, capture, tmp_path):
        lights, images = capture
        fitted = blend().fit(lights, images)
        joblib.dump(fitted, tmp_path / "model.joblib")
        loaded = joblib.load(tmp_path / "model.joblib")
        assert loaded.weight_ == fitted.weight_
        assert loaded.predict(lights).tobytes() == fitted.predict(lights).tobytes()


def find_weights(true, interpolated, *others, limit=None):
    stacks = (np.asarray(stack, float).reshape(len(true), -1, 1, 1) for stack in (true, interpolated, *others))
    true, interpolated, *others = stacks
    compared = _weights.compare(true, interpolated, others, None, None)
    return _weights.find_weights(compared, limit, len(others))


class TestPretrained:
    @pytest.fixture
    def few(self):
        rng = np.random.default_rng(0)
        lights = rng.normal(size=(16, 3)) * [1, 1, 0.3] + [0, 0, 1]
        lights /= np.linalg.norm(lights, axis=1, keepdims=True)
        normals = rng.normal(size=(30, 3)) * [0.4, 0.4, 0] + [0, 0, 1]
        return lights, np.maximum(lights @ normals.T, 0).reshape(16, 5, 6, 1) * np.float32([0.9, 0.5, 0.3])

    @settings(deadline=None)
    @given(arrays(np.float64, (4, 5, 6), elements=VALUES))
    def test_weights_are_shares(self, stacks):
        weights = find_weights(*np.moveaxis(stacks, 1, 0)[:4])
        assert weights.shape == (2,) and (weights >= 0).all() and weights.sum() <= 1 + 1e-9

    @pytest.mark.parametrize("right", range(3))
    def test_who_is_right_has_all_the_weight(self, right):
        true, *models = np.random.default_rng(0).random((4, 6, 50))
        models[right] = true
        assert find_weights(true, *models) == pytest.approx(np.eye(3)[right, 1:], abs=0.01)

    def test_two_that_are_off_in_opposite_ways_share(self):
        true, other, off = np.random.default_rng(0).random((3, 6, 50))
        assert find_weights(true, other, true + off, true - off) == pytest.approx([0.5, 0.5], abs=0.02)

    def test_the_expected_weights_stand_where_nothing_is_told(self):
        true, other = np.random.default_rng(0).random((2, 6, 50))
        assert find_weights(true, other, other, other) == pytest.approx(_weights.PRIORS[2][0])
        assert find_weights(true[:1], other[:1], true[:1], true[:1]) == pytest.approx(_weights.PRIORS[2][0])

    def test_joins_for_few_photographs_under_directions(self, few):
        lights, images = few
        regressor = Constant(0.4)
        fitted = BlendedRegressor(regressor, NearestPhotograph(), random_state=0, pretrained="auto").fit(lights, images)
        assert 0.3 < fitted.pretrained_weight_ <= 1 - fitted.weight_ + 1e-9
        parts = [fitted.interpolation_.predict(lights[:2]), fitted.pretrained_.predict(lights[:2])]
        fitted.brightness_limit_ = None
        nearest, pretrained = (part.clip(*fitted.value_range_) for part in parts)
        expected = fitted.weight_ * 0.4 + fitted.pretrained_weight_ * pretrained
        expected += (1 - fitted.weight_ - fitted.pretrained_weight_) * nearest
        np.testing.assert_allclose(fitted.predict(lights[:2]), expected, atol=1e-6)
        pixels = np.array([3, 4, 17])
        np.testing.assert_array_equal(
            fitted.predict(lights[:2], pixels=pixels), fitted.predict(lights[:2]).reshape(2, -1, 3)[:, pixels]
        )

    def test_stays_out_where_it_is_not_made_for(self, few, tmp_path):
        lights, images = few
        many = np.repeat(lights, 4, axis=0) + np.random.default_rng(0).normal(size=(64, 3)) * 0.01
        np.save(tmp_path / "images.npy", images)
        for X, y, pretrained in (
            (lights, images, False),
            (lights[:, :1], images, "auto"),
            (3 * lights - [0, 0, 4], images, "auto"),
            (many, np.repeat(images, 4, axis=0), "auto"),
            (lights, images.reshape(16, -1), "auto"),
            (lights, ImageStack(tmp_path / "images.npy"), "auto"),
            (lights, images, 40.0),
        ):
            given = {"storage": pretrained} if pretrained == 40 else {"pretrained": pretrained}
            fitted = BlendedRegressor(Mean(), RBFInterpolation(), random_state=0, **{"pretrained": "auto"} | given)
            fitted.fit(X, y)
            assert fitted.pretrained_ is None and fitted.pretrained_weight_ == 0

    def test_is_refused_where_it_cannot_join(self, few, tmp_path):
        lights, images = few
        np.save(tmp_path / "images.npy", images)
        for interpolation, y in ((None, images), (RBFInterpolation(), ImageStack(tmp_path / "images.npy"))):
            with pytest.raises(ValueError, match="pretrained=True needs an interpolation"):
                BlendedRegressor(Mean(), interpolation, pretrained=True).fit(lights, y)
        with pytest.raises(ValueError, match="takes directions"):
            BlendedRegressor(Mean(), RBFInterpolation(), pretrained=True).fit(lights[:, :1], images)
