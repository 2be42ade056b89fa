"""`n_networks` and `interpolation` of RelightingMLPRegressor: several networks, and what they are averaged with."""

import signal
import threading
import time

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression

from sklrelight import PixelLightFeaturizer, RelightingMLPRegressor, fitting, trust
from sklrelight.budget import choose_n_networks
from sklrelight.interpolation import NearestPhotograph, RBFInterpolation, StackedRBFInterpolation
from sklrelight.losses import CompositeLoss

SMALL = {"hidden_layer_sizes": (16,), "max_epochs": 2, "random_state": 0}
BLEND = {**SMALL, "n_networks": 3, "interpolation": "auto"}


class Constant(RegressorMixin, BaseEstimator):
    """Predicts one value, whatever it has seen, and keeps what it was fitted to."""

    def __init__(self, value=0.5):
        self.value = value

    def fit(self, X, y):
        self.seen_ = X, y
        return self

    def predict(self, X):
        return np.full((len(X), *self.seen_[1].shape[1:]), self.value)


class Oracle(Constant):
    """Says `right` of lights that it was told of beforehand."""

    def __init__(self, lights=None, right=None):
        self.lights = lights
        self.right = right

    def predict(self, X):
        rows = [np.abs(self.lights - light).sum(axis=1).argmin() for light in X]
        return self.right[rows].astype(np.float64)


@pytest.fixture(scope="module")
def capture():
    """Smooth photographs of 8 x 10 pixels under 24 lights, as features and encoded values."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (24, 2))
    shading = np.einsum("nd,hwd->nhw", lights, rng.normal(size=(8, 10, 2)))
    images = (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32)
    return PixelLightFeaturizer(n_components=3, random_state=0).fit(lights, images).transform(lights), images


def weights(net):
    return [*net.module_.parameters()]


def same(one, other):
    return all(torch.equal(*pair) for pair in zip(weights(one), weights(other), strict=True))


class TestSeveralNetworks:
    def test_their_mean_is_predicted(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor(**SMALL, n_networks=3).fit(features, images)
        assert len(regressor.nets_) == 3
        assert regressor.net_ is regressor.nets_[0]
        assert regressor.interpolation_ is None
        assert regressor.network_share_ == 1
        single = []
        for net in regressor.nets_:
            alone = clone(regressor).set_params(n_networks=1).fit(features[:2], images[:2])
            alone.nets_, alone.target_range_ = [net], regressor.target_range_
            single.append(alone.predict(features))
        np.testing.assert_allclose(regressor.predict(features), np.mean(single, axis=0), atol=1e-6)
        assert not same(*regressor.nets_[:2])

    def test_share_the_observations(self, capture):
        regressor = RelightingMLPRegressor((16,), n_networks=4, max_observations=4000, batch_size=50, random_state=0)
        assert regressor.fit(*capture).n_observations_ == 4000

    def test_auto_is_one_for_a_plain_table_and_follows_the_lights_otherwise(self, capture):
        features, images = capture
        few = RelightingMLPRegressor(**SMALL, n_networks="auto").fit(features, images)
        assert len(few.nets_) == choose_n_networks(24, 80) > 1
        table = RelightingMLPRegressor(**SMALL, n_networks="auto").fit(features.light_vectors, images[:, 0, 0])
        assert len(table.nets_) == 1

    @pytest.mark.parametrize("n_networks", [0, 1.5, "many"])
    def test_their_number_is_checked(self, capture, n_networks):
        with pytest.raises(ValueError, match="n_networks"):
            RelightingMLPRegressor(**SMALL, n_networks=n_networks).fit(*capture)

    def test_the_first_is_the_one_that_trains_alone(self, capture):
        features, images = capture
        one = RelightingMLPRegressor(**SMALL).fit(features, images)
        three = RelightingMLPRegressor(**SMALL, n_networks=3, max_observations=None).fit(features, images)
        assert same(one.net_, three.net_)


class TestInterpolation:
    def test_auto_is_the_stacked_one_for_photographs_and_none_for_a_table(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor(**BLEND).fit(features, images)
        assert isinstance(regressor.interpolation_, StackedRBFInterpolation)
        assert 0 <= regressor.network_share_ <= 1
        table = RelightingMLPRegressor(**BLEND).fit(features.light_vectors, images[:, 0, 0])
        assert table.interpolation_ is None
        assert table.network_share_ == 1

    def test_an_estimator_serves_a_plain_table_too(self):
        X = np.random.default_rng(0).uniform(-1, 1, (60, 3))
        y = X @ [1.0, 2.0, 3.0]
        model = LinearRegression()
        regressor = RelightingMLPRegressor(**SMALL, interpolation=model).fit(X, y)
        assert not hasattr(model, "coef_")
        # The targets are linear, and the network has seen next to nothing.
        assert regressor.network_share_ < 0.05
        np.testing.assert_allclose(regressor.predict(X), y, atol=0.3)

    def test_the_prediction_is_the_mean_by_share(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor(**SMALL, n_networks=2, interpolation=Constant(0.55)).fit(features, images)
        for share in (0.0, 0.25, 1.0):
            regressor.network_share_, regressor.largest_change_, regressor.largest_deviation_ = share, None, None
            blend = regressor.predict(features[:3])
            alone = clone(regressor).fit(features, images)
            alone.interpolation_, alone.nets_ = None, regressor.nets_
            expected = share * alone.predict(features[:3]) + (1 - share) * 0.55
            np.testing.assert_allclose(blend, expected, atol=1e-6)
            assert blend.dtype == np.float32
            assert blend.shape == (3, 8, 10, 3)

    def test_one_that_is_nearly_right_has_nearly_all(self, capture):
        features, images = capture
        right = Oracle(features.light_vectors, images + np.float32(1e-5))
        assert RelightingMLPRegressor(**BLEND).set_params(interpolation=right).fit(*capture).network_share_ < 0.01

    def test_one_that_is_far_off_has_little(self, capture):
        features, images = capture
        parameters = {"n_networks": 1, "interpolation": Constant(images.min()), "max_epochs": 100}
        regressor = RelightingMLPRegressor((64, 64), random_state=0, **parameters).fit(features, images)
        assert regressor.network_share_ > 0.8

    def test_two_lights_are_enough(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor(**SMALL, n_networks=2, interpolation=NearestPhotograph())
        regressor.fit(features[:2], images[:2])
        assert regressor.network_share_ == 0.5

    def test_no_prediction_leaves_the_range_of_the_photographs(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor(**SMALL, n_networks=2, interpolation=RBFInterpolation())
        regressor.fit(features, images)
        far = features[:4]
        far.light_vectors[:] *= 10
        predicted = regressor.predict(far)
        assert images.min() <= predicted.min() <= predicted.max() <= images.max()

    def test_what_cannot_predict_is_refused(self, capture):
        with pytest.raises(ValueError, match="interpolation"):
            RelightingMLPRegressor(**SMALL, interpolation="linear").fit(*capture)


class TestHeldOutLights:
    @pytest.fixture
    def held_out(self, monkeypatch):
        """Lists the held-out lights of the fits to come."""
        drawn = []

        def recording(*args):
            drawn.append(hold_out_lights(*args))
            return drawn[-1]

        hold_out_lights = fitting.hold_out_lights
        monkeypatch.setattr(fitting, "hold_out_lights", recording)
        return drawn

    def test_do_not_reach_the_network_concerned_and_reach_the_others(self, capture, held_out):
        features, images = capture
        one = RelightingMLPRegressor(**BLEND).fit(features, images)
        changed = images.copy()
        changed[held_out[0][1]] = 0.9
        other = RelightingMLPRegressor(**BLEND).fit(features, changed)
        np.testing.assert_array_equal(held_out[0], held_out[1])
        assert len(held_out[0][1])
        assert [same(*nets) for nets in zip(one.nets_, other.nets_, strict=True)] == [False, True, False]

    def test_are_predicted_from_the_others_to_find_the_share(self, capture, held_out, monkeypatch):
        features, images = capture
        seen = []
        monkeypatch.setattr(trust, "network_share", lambda *args: seen.append(args) or 0.5)
        RelightingMLPRegressor(**SMALL, n_networks=2, interpolation=NearestPhotograph()).fit(features, images)
        true, network, interpolated = seen[0][:3]
        rows = np.concatenate(held_out[0])
        np.testing.assert_array_equal(true, images[rows])
        assert network.shape == interpolated.shape == true.shape
        # The nearest photograph of a light that the model knows would be its own.
        assert not np.isclose(interpolated, true, atol=1e-6).all(axis=(1, 2, 3)).any()

    def test_without_an_interpolation_every_light_is_trained_on(self, capture, held_out):
        regressor = RelightingMLPRegressor(**SMALL, n_networks=2).fit(*capture)
        assert held_out == []
        assert regressor.n_observations_ == 2 * 2 * 24 * 80


class TestWeightsAndSaturation:
    def test_pixels_without_weight_change_nothing(self, capture):
        features, images = capture
        weight = np.ones((8, 10))
        weight[:, :3] = 0
        spoilt = images.copy()
        spoilt[:, :, :3] = np.random.default_rng(0).random((24, 8, 3, 3))
        one, other = (RelightingMLPRegressor(**BLEND).fit(features, y, pixel_weight=weight) for y in (images, spoilt))
        assert one.network_share_ == other.network_share_
        inside = np.s_[:, :, 3:]
        np.testing.assert_array_equal(one.predict(features)[inside], other.predict(features)[inside])

    @pytest.mark.parametrize("interpolation", ["auto", NearestPhotograph(), RBFInterpolation()], ids=repr)
    def test_how_far_a_value_is_saturated_changes_nothing(self, capture, interpolation):
        features, images = capture
        saturation = float(np.quantile(images, 0.9))
        brighter = np.where(images >= saturation, images + np.float32(0.3), images)
        parameters = {**BLEND, "interpolation": interpolation}
        one, other = (
            RelightingMLPRegressor(**parameters).fit(features, y, saturation=saturation) for y in (images, brighter)
        )
        assert one.network_share_ == other.network_share_
        assert all(same(*nets) for nets in zip(one.nets_, other.nets_, strict=True))
        lights = features.light_vectors + 0.01
        np.testing.assert_array_equal(*(model.interpolation_.predict(lights) for model in (one, other)))


class TestSideBySide:
    @pytest.fixture
    def training_at(self, monkeypatch):
        """Give each thread that trains, with the number of torch's threads in it, and call something at a batch."""
        forward, seen = CompositeLoss.forward, []

        def install(batch=0, action=None):
            def noting(self, *batch_values):
                seen.append((threading.get_ident(), torch.get_num_threads()))
                if len(seen) == batch:
                    action()
                return forward(self, *batch_values)

            monkeypatch.setattr(CompositeLoss, "forward", noting)
            return seen

        return install

    def test_each_has_its_part_of_torchs_threads(self, capture, training_at, n_threads):
        n_threads(4)
        seen = training_at()
        RelightingMLPRegressor(**SMALL, n_networks=2).fit(*capture)
        assert {number for _, number in seen} == {2}
        assert len({thread for thread, _ in seen}) == 2
        assert torch.get_num_threads() == 4

    @pytest.mark.parametrize("parameters", [{"n_networks": 1}, {"n_networks": 3, "dropout": 0.1}])
    def test_one_at_a_time(self, capture, training_at, n_threads, parameters):
        n_threads(2)
        seen = training_at()
        RelightingMLPRegressor(**SMALL, **parameters).fit(*capture)
        assert set(seen) == {(threading.get_ident(), 2)}

    def test_they_are_the_same_whatever_their_number_at_a_time(self, capture, n_threads):
        features, images = capture
        regressor = RelightingMLPRegressor(**BLEND, validation_fraction=0.2)
        predicted = []
        for number in (1, 2, 3):
            n_threads(number)
            predicted.append(clone(regressor).fit(features, images).predict(features).tobytes())
        assert predicted[1:] == predicted[:1] * 2

    def test_ctrl_c_reaches_all_of_them(self, capture, training_at, n_threads):
        features, images = capture
        n_threads(2)
        # A signal is handled in the main thread, which waits.
        training_at(40, lambda: signal.raise_signal(signal.SIGINT))
        regressor = RelightingMLPRegressor(**{**BLEND, "max_epochs": 1000, "n_networks": 4, "max_observations": None})
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(features, images)
        assert regressor.interrupted_
        assert len(regressor.nets_) == 2
        assert np.isfinite(regressor.predict(features)).all()
        assert torch.get_num_threads() == 2

    def test_an_error_in_one_ends_the_others(self, capture, training_at, n_threads):
        n_threads(2)

        def fail():
            raise RuntimeError("no more")

        seen = training_at(20, fail)
        with pytest.raises(RuntimeError, match="no more"):
            RelightingMLPRegressor(**{**SMALL, "max_epochs": 1000}, n_networks=4, max_observations=None).fit(*capture)
        assert len({thread for thread, _ in seen}) == 2
        assert torch.get_num_threads() == 2


class TestEndOfTheFit:
    def test_ctrl_c_keeps_what_was_reached(self, capture, monkeypatch, n_threads):
        features, images = capture
        n_threads(1)
        forward, n_calls = CompositeLoss.forward, 0

        def interrupted(self, *batch_values):
            nonlocal n_calls
            n_calls += 1
            if n_calls == 25:
                raise KeyboardInterrupt
            return forward(self, *batch_values)

        monkeypatch.setattr(CompositeLoss, "forward", interrupted)
        # 19 lights x 80 pixels, 5 held out: 16 batches an epoch, so that the second network is in its first.
        regressor = RelightingMLPRegressor(**{**BLEND, "max_epochs": 1}, batch_size=96)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(features, images)
        assert regressor.interrupted_
        assert [net.interrupted_ for net in regressor.nets_] == [False, True]
        assert regressor.interpolation_ is not None
        assert 0 <= regressor.network_share_ <= 1
        assert np.isfinite(regressor.predict(features)).all()

    def test_max_time_is_shared(self, capture):
        features, images = capture
        start = time.perf_counter()
        regressor = RelightingMLPRegressor(
            (8,), n_networks=3, max_epochs=10**6, max_observations=None, max_time=1.5, random_state=0
        ).fit(features, images)
        # Generous above: other processes may hold a batch up.
        assert 1.5 <= time.perf_counter() - start < 6
        assert len(regressor.nets_) == 3
        seconds = [sum(net.history[:, "dur"]) for net in regressor.nets_]
        assert min(seconds) > 0.25
        assert all(0 <= net.history[-1, "event_lr"] < 0.1 * regressor.learning_rate_init for net in regressor.nets_)

    def test_no_time_at_all_is_a_batch_for_each(self, capture):
        regressor = RelightingMLPRegressor(**BLEND, batch_size=100, max_time=1e-9).fit(*capture)
        assert regressor.n_observations_ == 300
        assert 0 <= regressor.network_share_ <= 1


class TestReproducibility:
    def test_the_same_seed_gives_the_same_bytes(self, capture):
        features, images = capture
        one, other = (RelightingMLPRegressor(**BLEND, dropout=0.1).fit(features, images) for _ in range(2))
        assert one.network_share_ == other.network_share_
        assert one.predict(features).tobytes() == other.predict(features).tobytes()

    def test_another_seed_gives_other_networks(self, capture):
        one, other = (RelightingMLPRegressor(**{**BLEND, "random_state": seed}).fit(*capture) for seed in (0, 1))
        assert not same(one.net_, other.net_)

    def test_a_saved_model_predicts_the_same_bytes(self, capture, tmp_path):
        features, images = capture
        regressor = RelightingMLPRegressor(**BLEND).fit(features, images)
        joblib.dump(regressor, tmp_path / "model.joblib")
        loaded = joblib.load(tmp_path / "model.joblib")
        assert loaded.network_share_ == regressor.network_share_
        assert loaded.predict(features).tobytes() == regressor.predict(features).tobytes()
