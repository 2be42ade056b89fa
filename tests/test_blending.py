"""Networks beside an interpolation: which lights judge them, and what both predict together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.neighbors import KNeighborsRegressor

from sklrelight.blending import (
    agreement,
    blend,
    fit_interpolation,
    hold_out_lights,
    least_distance,
    leave_out,
    light_reach,
    network_change,
)
from sklrelight.interpolation import NearestPhotograph, RBFInterpolation, StackedRBFInterpolation


class Recorder(RegressorMixin, BaseEstimator):
    """Keeps what it was fitted to, and predicts the mean."""

    def fit(self, X, y, pixel_weight=None):
        self.seen_ = X, y, pixel_weight
        return self

    def predict(self, X):
        return np.repeat(self.seen_[1].mean(axis=0, keepdims=True), len(X), axis=0)


@pytest.fixture(scope="module")
def photographs():
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (12, 2))
    return lights, np.exp(-np.square(lights[:, None, :1] - rng.uniform(-1, 1, (5, 1)))).reshape(12, 5)


class TestReach:
    @settings(deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 3))
    def test_is_1_at_held_out_lights_and_0_at_training_lights(self, seed, width):
        lights = np.random.default_rng(seed).normal(size=(20, width))
        held_out = hold_out_lights(20, 3, np.random.RandomState(seed))
        distance = least_distance(lights, held_out)
        np.testing.assert_array_equal(light_reach(lights, lights, distance), 0)
        for rows in held_out:
            np.testing.assert_allclose(light_reach(lights[rows], np.delete(lights, rows, axis=0), distance), 1)

    def test_is_not_known_without_held_out_lights_or_with_one_that_was_seen(self):
        lights = np.array([[0.0], [1.0], [1.0]])
        assert least_distance(lights, [np.empty(0, int)]) is None
        assert least_distance(lights, [np.array([2])]) is None


class TestHeldOutLights:
    @settings(deadline=None)
    @given(st.integers(2, 500), st.integers(1, 10), st.integers(0, 2**32 - 1))
    def test_are_others_for_each_network_and_leave_two_at_least(self, n_lights, n_networks, seed):
        held_out = hold_out_lights(n_lights, n_networks, np.random.RandomState(seed))
        assert len(held_out) == n_networks
        together = np.concatenate(held_out)
        assert len(np.unique(together)) == len(together) <= n_lights - 2
        assert np.isin(together, np.arange(n_lights)).all()
        for rows in held_out:
            assert len(rows) == len(held_out[0])
            assert (np.diff(rows) > 0).all()

    @settings(deadline=None)
    @given(st.integers(2, 500), st.integers(1, 10), st.integers(0, 2**32 - 1))
    def test_are_the_same_for_the_same_seed(self, n_lights, n_networks, seed):
        one, other = (hold_out_lights(n_lights, n_networks, np.random.RandomState(seed)) for _ in range(2))
        assert all(np.array_equal(*rows) for rows in zip(one, other, strict=True))

    @settings(deadline=None)
    @given(st.integers(8, 500), st.integers(1, 4))
    def test_there_are_some_where_there_are_enough_lights(self, n_lights, n_networks):
        assert all(len(rows) for rows in hold_out_lights(n_lights, n_networks, np.random.RandomState(0)))

    def test_two_lights_are_left_to_train_on(self):
        assert [len(rows) for rows in hold_out_lights(2, 3, np.random.RandomState(0))] == [0, 0, 0]


class TestFittingTheInterpolation:
    def test_auto_is_the_stacked_one_and_follows_the_seed(self, photographs):
        models = [
            fit_interpolation("auto", *photographs, None, np.random.RandomState(seed)).random_state
            for seed in (0, 0, 1)
        ]
        assert models[0] == models[1] != models[2]
        model = fit_interpolation("auto", *photographs, None, np.random.RandomState(0))
        assert isinstance(model, StackedRBFInterpolation)

    def test_an_estimator_is_cloned(self, photographs):
        given_model = NearestPhotograph()
        model = fit_interpolation(given_model, *photographs, None, np.random.RandomState(0))
        assert model is not given_model
        assert not hasattr(given_model, "n_features_in_")

    def test_weights_are_passed_on_to_those_that_take_them(self, photographs):
        lights, images = photographs
        weight = np.array([[1.0, 0, 1, 1, 1]])
        images = images.reshape(12, 1, 5)
        model = fit_interpolation(Recorder(), lights, images, weight, np.random.RandomState(0))
        assert model.seen_[2] is weight
        flat = images.reshape(12, 5)
        # It takes none, and would refuse them.
        fit_interpolation(KNeighborsRegressor(), lights, flat, weight, np.random.RandomState(0))


class TestLeavingOut:
    def test_a_model_that_cannot_say_is_fitted_to_the_others(self, photographs):
        lights, images = photographs
        rows = np.array([2, 7])
        rest = np.setdiff1d(np.arange(12), rows)
        model = NearestPhotograph().fit(lights, images)
        expected = NearestPhotograph().fit(lights[rest], images[rest]).predict(lights[rows])
        np.testing.assert_array_equal(leave_out(model, rows, lights, images), expected)
        # The fitted model is as it was: it still knows them.
        np.testing.assert_array_equal(model.predict(lights[rows]), images[rows])

    @pytest.mark.parametrize("model", [NearestPhotograph(), RBFInterpolation(), StackedRBFInterpolation()], ids=repr)
    def test_the_photographs_themselves_do_not_count(self, photographs, model):
        lights, images = photographs
        rows = np.array([0, 5])
        known = leave_out(model.fit(lights, images), rows, lights, images)
        assert known.shape == (2, 5)
        assert not np.allclose(known, images[rows], atol=1e-6)

    @pytest.mark.parametrize("channels", [(), (2,)], ids=["grey", "colour"])
    @pytest.mark.parametrize("model", [NearestPhotograph(), StackedRBFInterpolation(2, random_state=0)], ids=repr)
    def test_some_pixels_come_as_those_of_whole_photographs(self, model, channels):
        rng = np.random.default_rng(0)
        lights = rng.uniform(-1, 1, (20, 2))
        images = np.exp(lights @ rng.normal(size=(2, 35 * 2))).reshape(20, 5, 7, 2)[..., : len(channels) + 1]
        # Lamps that vary: brightness is measured on pixels that are not asked for, too.
        images *= np.exp(rng.normal(0, 0.2, (20, 1, 1, 1)))
        images = images.reshape(20, 5, 7, *channels)
        rows, pixels = np.array([1, 4, 9]), np.array([3, 17, 34])
        model = clone(model).fit(lights, images)
        whole = leave_out(model, rows, lights, images)
        some = leave_out(model, rows, lights, images, pixels)
        assert whole.shape == (3, 5, 7, *channels)
        np.testing.assert_allclose(some, whole.reshape(3, 35, 1, *channels)[:, pixels], rtol=1e-12)


class TestBlend:
    @settings(deadline=None)
    @given(arrays(np.float64, (2, 3, 2, 2), elements=st.floats(-10, 10)), st.floats(0, 1))
    def test_is_the_weighted_mean(self, predicted, share):
        network, interpolated = predicted
        expected = share * network + (1 - share) * interpolated
        np.testing.assert_allclose(blend(network.copy(), interpolated, share), expected, atol=1e-12)

    def test_has_the_share_of_each_pixel(self):
        share = np.array([[0.0, 1.0]])
        mean = blend(np.ones((3, 1, 2, 3)), np.zeros((3, 1, 2, 3)), share)
        np.testing.assert_array_equal(mean, np.broadcast_to(share[..., None], mean.shape))

    @settings(deadline=None)
    @given(arrays(np.float64, (2, 5, 4), elements=st.floats(-10, 10)), st.floats(0, 1), st.floats(1e-3, 10))
    def test_changes_no_photograph_by_more_than_the_limit_and_in_no_other_direction(self, predicted, share, limit):
        network, interpolated = predicted
        free = blend(network.copy(), interpolated, share) - interpolated
        change = blend(network.copy(), interpolated, share, limit) - interpolated
        size, free_size = (np.sqrt(np.square(of).mean(axis=1, keepdims=True)) for of in (change, free))
        assert (size <= limit * (1 + 1e-9)).all()
        within = (free_size <= limit)[:, 0]
        np.testing.assert_array_equal(change[within], free[within])
        np.testing.assert_allclose(change * free_size, free * size, atol=1e-9)

    def test_is_the_interpolation_at_a_training_light_and_nearer_to_it_beside_one(self):
        network, interpolated = np.ones((3, 4)), np.zeros((3, 4))
        reach = np.array([0.0, 0.5, 1.0])
        np.testing.assert_allclose(blend(network.copy(), interpolated, 0.8, reach=reach)[:, 0], [0, 0.4, 0.8])
        # A change of 0.4 and of 0.8, bounded by a quarter of 0.6 and by all of it.
        limited = blend(network.copy(), interpolated, 0.8, 0.6, reach=reach)
        np.testing.assert_allclose(limited[:, 0], [0, 0.15, 0.6])

    def test_follows_networks_as_far_as_they_agree(self):
        network, interpolated, agreed = np.ones((3, 4)), np.zeros((3, 4)), agreement(np.array([1.0, 2.0, 4.0]), 2.0)
        np.testing.assert_allclose(blend(network.copy(), interpolated, 0.8, agreed=agreed)[:, 0], [0.8, 0.8, 0.2])
        limited = blend(network.copy(), interpolated, 0.8, 0.6, agreed=agreed)
        np.testing.assert_allclose(limited[:, 0], [0.6, 0.6, 0.2])

    @given(arrays(np.float64, 5, elements=st.floats(0, 1e6)), st.floats(0, 1e6))
    def test_networks_agree_until_they_differ_by_more_than_ever(self, deviation, largest):
        agreed = agreement(deviation, largest)
        assert ((agreed >= 0) & (agreed <= 1)).all()
        np.testing.assert_array_equal(agreed == 1, deviation <= largest)

    def test_is_exact_where_the_limit_is_what_was_measured(self):
        rng = np.random.default_rng(0)
        network, interpolated, share = rng.random((3, 4, 5, 3)), rng.random((3, 4, 5, 3)), rng.random((4, 5))
        limit = network_change(network, interpolated, share)
        limited = blend(network.copy(), interpolated, share, limit)
        np.testing.assert_allclose(limited, blend(network.copy(), interpolated, share))
