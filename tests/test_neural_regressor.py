import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklrelight import PixelLightFeaturizer, RelightingMLPRegressor, fitting
from sklrelight.building import LinearDecay
from sklrelight.features import PixelLightFeatures
from sklrelight.losses import CompositeLoss
from sklrelight.predicting import predict_networks
from sklrelight.training import has_bfloat16_units

SMALL = {"hidden_layer_sizes": (16,), "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def capture():
    """Smooth photographs of 8 x 10 pixels under 12 lights, as features and encoded values."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (12, 2))
    normals = rng.normal(size=(8, 10, 2))
    shading = np.einsum("nd,hwd->nhw", lights, normals)
    images = (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32)
    return PixelLightFeaturizer(n_components=3, random_state=0).fit(lights, images).transform(lights), images


@pytest.mark.parametrize(
    ("n_lights", "side", "expected"), [(10, 70, 5000), (40, 50, 2500), (200, 20, 1000), (8, 8, 64)]
)
def test_between_few_lights_batches_are_larger(n_lights, side, expected):
    lights = np.random.default_rng(0).uniform(-1, 1, (n_lights, 2))
    images = np.full((n_lights, side, side), 0.5, np.float32) + lights[:, :1, None].astype(np.float32)
    features = PixelLightFeaturizer(n_components=0).fit(lights, images).transform(lights)
    regressor = RelightingMLPRegressor((4,), max_observations=expected, random_state=0).fit(features, images)
    assert regressor.history_[-1, "batch_size"] == expected


@pytest.mark.parametrize("target", ["colour", "grey", "pixel", "value"])
def test_predicts_the_shape_of_the_targets(target):
    rng = np.random.default_rng(0)
    shape = {"colour": (7, 4, 5, 3), "grey": (7, 4, 5), "pixel": (7, 3), "value": (7,)}[target]
    lights, images = rng.random((7, 2)), rng.random(shape)
    features = PixelLightFeaturizer().fit(lights, images).transform(lights)
    predicted = RelightingMLPRegressor(**SMALL).fit(features, images).predict(features[:2])
    assert predicted.shape == (2, *shape[1:])
    assert predicted.dtype == np.float32


def test_learns_a_capture(capture):
    features, images = capture
    regressor = RelightingMLPRegressor((64, 64), random_state=0).fit(features, images)
    residual = images - regressor.predict(features)
    assert np.square(residual).mean() < 0.02 * images.var()


class TestLatents:
    @pytest.fixture
    def unlike_pixels(self):
        """Pixels that no feature tells apart, each bright under lights of its own."""
        rng = np.random.default_rng(0)
        lights = rng.uniform(-1, 1, (60, 2))
        images = 0.5 + 0.1 * np.einsum("nd,hwd->nhw", lights, rng.normal(size=(6, 5, 2)))
        return PixelLightFeatures(lights, np.zeros((30, 1)), (6, 5)), images.astype(np.float32)

    @staticmethod
    def error(regressor, features, images):
        return np.square(images - regressor.predict(features)).mean() / images.var()

    def test_tell_pixels_apart(self, unlike_pixels):
        without, with_some = (
            RelightingMLPRegressor((64, 64), n_latents=number, random_state=0).fit(*unlike_pixels) for number in (0, 4)
        )
        assert self.error(without, *unlike_pixels) > 0.5
        assert self.error(with_some, *unlike_pixels) < 0.02
        assert with_some.n_features_in_ == without.n_features_in_ == 3

    def test_some_pixels_keep_theirs(self, unlike_pixels):
        features, images = unlike_pixels
        regressor = RelightingMLPRegressor((64, 64), n_latents=4, random_state=0).fit(features, images)
        some = np.array([17, 3, 29])
        expected = regressor.predict(features).reshape(60, 30)[:, some]
        of_some = predict_networks(regressor.nets_, features.of_pixels(some), (3, 1), None)[0]
        np.testing.assert_allclose(of_some[:, :, 0], expected, atol=1e-6)

    def test_are_their_own_where_only_some_pixels_have_weight(self, unlike_pixels):
        features, images = unlike_pixels
        weight = np.ones((6, 5))
        weight[2] = 0
        parameters = {"n_latents": 4, "learning_rate_init": 0.02, "random_state": 0}
        regressor = RelightingMLPRegressor((64, 64), **parameters).fit(features, images, pixel_weight=weight)
        latents = regressor.net_.module_.latents.detach().reshape(6, 5, 4)
        assert not latents[2].any()
        assert latents[[0, 1, 3, 4, 5]].any(axis=2).all()

    def test_more_pixels_than_can_be_told_apart_are_refused(self, unlike_pixels, monkeypatch):
        monkeypatch.setattr(fitting, "_MOST_NUMBERED_PIXELS", 29)
        with pytest.raises(ValueError, match=r"n_latents=3 with 30 pixels: it is for 29 at most"):
            RelightingMLPRegressor((4,), n_latents=3).fit(*unlike_pixels)


def test_learns_a_plain_table():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    y = np.c_[np.sin(3 * X[:, 0]), X[:, 0] * X[:, 1]]
    regressor = RelightingMLPRegressor((64, 64), random_state=0).fit(X[:300], y[:300])
    assert regressor.score(X[300:], y[300:]) > 0.95


@pytest.mark.parametrize(
    "parameters",
    [
        {"activation": "prelu", "normalization": "batch", "dropout": 0.2},
        {"activation": "tanh", "normalization": "layer", "output_activation": "sigmoid"},
        {"hidden_layer_sizes": ()},
        {"optimizer": "adam", "learning_rate": "constant"},
        {"optimizer": "adam", "learning_rate": "plateau", "n_stages": 3, "validation_fraction": 0.2},
        {"window_size": 4, "batch_size": 100},
        {"precision": "bfloat16"},
        {"mse_weight": 0, "luminance_weight": 0, "relative_weight": 1},
    ],
    ids=",".join,
)
def test_every_part_can_be_chosen(capture, parameters):
    features, images = capture
    regressor = RelightingMLPRegressor(**{**SMALL, "max_epochs": 60, "learning_rate_init": 0.01, **parameters}).fit(
        features, images
    )
    error = np.square(images - regressor.predict(features)).mean()
    assert error < images.var()


def test_a_hidden_layers_output_relu_is_possible_but_not_the_default(capture):
    features, images = capture
    dark = images - images.mean()
    linear = RelightingMLPRegressor(**SMALL)
    assert linear.fit(features, dark).predict(features).min() < 0
    relu = RelightingMLPRegressor(**SMALL, output_activation="relu").fit(features, dark)
    assert relu.predict(features).min() >= 0


class TestSchedule:
    def test_the_history_tells_stages_batch_sizes_and_rates(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor(
            (8,),
            optimizer="adam",
            learning_rate="plateau",
            learning_rate_init=1e-3,
            batch_size=400,
            n_stages=3,
            max_epochs=2,
            validation_fraction=0.25,
            random_state=0,
        ).fit(features, images)
        history = regressor.history_
        assert history[:, "stage"] == [0, 0, 1, 1, 2, 2]
        assert history[:, "batch_size"] == [400, 400, 200, 200, 100, 100]
        # 9 lights of 80 pixels are left to train on.
        assert history[:, "train_batch_count"] == [2, 2, 4, 4, 8, 8]
        assert all(np.isfinite(history[:, "valid_loss"]))
        assert set(history[:, "event_lr"]) == {1e-3}
        assert regressor.net_.history == history

    def test_the_plateau_reduces_the_rate(self, capture):
        features, images = capture
        # At such a rate nothing is learnt any more: every second epoch after the first is one too many.
        regressor = RelightingMLPRegressor(
            (8,), optimizer="adam", learning_rate="plateau", learning_rate_init=1e-12, min_learning_rate=0, max_epochs=6
        )
        rates = regressor.set_params(random_state=0).fit(features, images).history_[:, "event_lr"]
        assert rates == [1e-12, 1e-12, 1e-12, 0.5e-12, 0.5e-12, 0.25e-12]

    def test_a_linear_rate_ends_at_zero_with_the_budget(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor((8,), batch_size=100, max_observations=1500, random_state=0)
        regressor.fit(features, images)
        assert 1500 <= regressor.n_observations_ < 1600
        assert regressor.history_[-1, "event_lr"] == pytest.approx(0, abs=1e-9)
        assert regressor.history_[0, "event_lr"] > 0

    def test_best_weights_are_kept_on_request(self, capture):
        features, images = capture
        # Noise can be learnt by heart only, so that the validation loss soon rises.
        images = np.random.default_rng(0).random(images.shape)
        parameters = {
            "hidden_layer_sizes": (64, 64),
            "max_epochs": 8,
            "validation_fraction": 0.3,
            "learning_rate": "constant",
            "batch_size": 60,
            "random_state": 0,
        }
        kept = RelightingMLPRegressor(**parameters).fit(features, images)
        last = RelightingMLPRegressor(**parameters, restore_best_weights=False).fit(features, images)
        losses = kept.history_[:, "valid_loss"]
        assert losses == last.history_[:, "valid_loss"]
        best = int(np.argmin(losses))
        assert best < 7, "the case shows nothing if the last epoch is the best"
        until_best = RelightingMLPRegressor(**{**parameters, "max_epochs": best + 1}).fit(features, images)
        np.testing.assert_array_equal(kept.predict(features), until_best.predict(features))
        assert not np.array_equal(kept.predict(features), last.predict(features))

    def test_validation_holds_whole_lights_out(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor(**SMALL, validation_fraction=0.25).fit(features, images)
        # 12 lights: 9 to train on, 80 observations each.
        assert regressor.n_observations_ == 2 * 9 * 80

    def test_the_validation_lights_do_not_reach_the_weights(self, capture):
        features, images = capture
        parameters = {**SMALL, "validation_fraction": 0.25, "restore_best_weights": False}
        order = np.random.RandomState(0).permutation(12)
        changed = images.copy()
        changed[order[:3]] = 0.9
        one = RelightingMLPRegressor(**parameters).fit(features, images)
        other = RelightingMLPRegressor(**parameters).fit(features, changed)
        assert one.history_[-1, "valid_loss"] != other.history_[-1, "valid_loss"]
        weights = [[*regressor.net_.module_.parameters()] for regressor in (one, other)]
        assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))


class TestReproducibility:
    def test_the_same_seed_gives_the_same_bytes(self, capture):
        features, images = capture
        one, other = (RelightingMLPRegressor(**SMALL, dropout=0.1).fit(features, images) for _ in range(2))
        assert one.predict(features).tobytes() == other.predict(features).tobytes()

    def test_another_seed_gives_another_network(self, capture):
        features, images = capture
        one = RelightingMLPRegressor(**SMALL).fit(features, images)
        other = clone(one).set_params(random_state=1).fit(features, images)
        assert not np.array_equal(one.predict(features), other.predict(features))

    def test_torchs_own_generator_is_left_alone(self, capture):
        features, images = capture
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        RelightingMLPRegressor(**SMALL).fit(features, images)
        assert torch.equal(torch.rand(3), expected)

    def test_a_prediction_does_not_depend_on_the_other_lights(self, capture):
        features, images = capture
        regressor = RelightingMLPRegressor(**SMALL).fit(features, images)
        np.testing.assert_allclose(regressor.predict(features[3:5]), regressor.predict(features)[3:5], atol=1e-6)


class TestInterruption:
    @staticmethod
    def interrupt_at(monkeypatch, batch):
        forward = CompositeLoss.forward
        n_calls = 0

        def interrupted(self, *batch_values):
            nonlocal n_calls
            n_calls += 1
            if n_calls == batch:
                raise KeyboardInterrupt
            return forward(self, *batch_values)

        monkeypatch.setattr(CompositeLoss, "forward", interrupted)

    def test_leaves_the_regressor_fitted_and_goes_on(self, capture, monkeypatch):
        features, images = capture
        regressor = RelightingMLPRegressor(**{**SMALL, "max_epochs": 50}, batch_size=96)
        self.interrupt_at(monkeypatch, batch=15)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(features, images)
        assert regressor.interrupted_
        assert regressor.n_observations_ == 15 * 96
        assert np.isfinite(regressor.predict(features)).all()

    def test_stops_a_search(self, capture, monkeypatch):
        features, images = capture
        search = GridSearchCV(
            RelightingMLPRegressor(**SMALL), {"dropout": [0.0, 0.1]}, cv=2, scoring="neg_mean_squared_error"
        )
        table, values = features[:2].to_table(), images[:2].reshape(-1, 3)
        self.interrupt_at(monkeypatch, batch=3)
        with pytest.raises(KeyboardInterrupt):
            search.fit(table, values)
        assert not hasattr(search, "cv_results_")

    def test_a_whole_fit_is_not_interrupted(self, capture):
        features, images = capture
        assert RelightingMLPRegressor(**SMALL).fit(features, images).interrupted_ is False


def test_verbose_shows_loss_rate_and_batch_size(capture, capfd):
    features, images = capture
    RelightingMLPRegressor(**SMALL, verbose=1).fit(features, images)
    shown = capfd.readouterr().err
    assert "100%" in shown
    for name in ("loss=", "learning_rate=", "batch_size="):
        assert name in shown


class TestPrecision:
    def test_auto_is_float32_for_little_data(self, capture):
        assert RelightingMLPRegressor(**SMALL).fit(*capture).precision_ == "float32"

    def test_auto_is_bfloat16_for_photographs_where_there_are_units(self):
        lights = np.linspace(-1, 1, 10).reshape(-1, 1)
        images = np.ones((10, 120, 120), np.float32) * lights[:, :, None] ** 2
        features = PixelLightFeaturizer(n_components=0).fit(lights, images).transform(lights)
        regressor = RelightingMLPRegressor((4,), max_observations=5000, random_state=0).fit(features, images)
        expected = "bfloat16" if has_bfloat16_units(torch.device("cpu")) else "float32"
        assert regressor.precision_ == (expected if regressor.device_ == "cpu" else "bfloat16")

    def test_output_has_more_than_eight_bits_of_mantissa(self, capture):
        features, images = capture
        predicted = RelightingMLPRegressor(**SMALL, precision="bfloat16").fit(features, images).predict(features)
        assert not np.array_equal(predicted, torch.from_numpy(predicted).bfloat16().float().numpy())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": (16, 0)}, "hidden_layer_sizes must be a sequence of positive integers"),
        ({"hidden_layer_sizes": (16.5,)}, "hidden_layer_sizes"),
        ({"mse_weight": 0, "luminance_weight": 0, "relative_weight": 0}, "nothing to learn"),
        ({"mse_weight": -1}, "mse_weight"),
        ({"activation": "step"}, "activation"),
        ({"dropout": 1.0}, "dropout"),
        ({"batch_size": 0}, "batch_size"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"window_size": 9}, r"window_size=9 is larger than the image, which has the shape \(8, 10\)"),
        ({"max_time": 0}, "max_time"),
        ({"compile": "often"}, "compile"),
        ({"device": "abacus"}, "device='abacus' cannot be used here"),
        ({"learning_rate": "falling"}, "learning_rate"),
    ],
)
def test_parameters_out_of_range_are_refused(capture, parameters, message):
    with pytest.raises(ValueError, match=message):
        RelightingMLPRegressor(**{**SMALL, **parameters}).fit(*capture)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_card_is_refused(capture):
    with pytest.raises(ValueError, match="device='cuda' cannot be used here"):
        RelightingMLPRegressor(**SMALL, device="cuda").fit(*capture)


def test_data_that_do_not_fit_are_refused(capture):
    features, images = capture
    regressor = RelightingMLPRegressor(**SMALL)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        regressor.fit(features, images[1:])
    with pytest.raises(ValueError, match="does not fit features of image shape"):
        regressor.fit(features, images[:, :7])
    with pytest.raises(ValueError, match="NaN"):
        regressor.fit(features, np.where(images == images[0, 0, 0, 0], np.nan, images))
    with pytest.raises(ValueError, match="1 sample"):
        regressor.fit(features[:1], images[:1])
    with pytest.raises(ValueError, match="y is None"):
        regressor.fit(features, None)
    regressor.fit(features, images)
    with pytest.raises(ValueError, match="features"):
        regressor.predict(features.to_table()[:, 1:])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_and_predicts_on_cuda(capture):
    features, images = capture
    regressor = RelightingMLPRegressor((64, 64), random_state=0, device="cuda").fit(features, images)
    assert regressor.device_ == "cuda"
    assert np.square(images - regressor.predict(features)).mean() < 0.02 * images.var()


def test_the_training_loss_counts_a_batch_by_its_weight(capture):
    features, images = capture
    weight = np.zeros((8, 10))
    weight[:4], weight[4:, :5] = 1e-3, 1
    # Nothing is learnt at such a rate, so that all batches together are one mean of the initial network's errors.
    parameters = {**SMALL, "learning_rate_init": 1e-12, "luminance_weight": 0, "relative_weight": 0}
    regressor = RelightingMLPRegressor(**parameters, batch_size=7).fit(features, images, pixel_weight=weight)
    with torch.inference_mode():
        # Not by `predict`, which keeps within the range of the photographs.
        predicted = regressor.net_.module_(torch.as_tensor(features.to_table())).numpy().reshape(images.shape)
    weights = np.broadcast_to(weight[..., None], images.shape)
    expected = np.average(np.square(predicted - images), weights=weights)
    assert regressor.history_[0, "train_loss"] == pytest.approx(expected, rel=1e-2)


class TestMaxTime:
    def test_ends_the_fit(self, capture):
        features, images = capture
        start = time.perf_counter()
        regressor = RelightingMLPRegressor((8,), max_epochs=10**6, max_observations=None, max_time=1.5, random_state=0)
        regressor.fit(features, images)
        # Generous above: other processes may hold a batch up.
        assert 1.5 <= time.perf_counter() - start < 5
        assert regressor.n_observations_ > 0
        # The rate has fallen to 0 by then.
        assert 0 <= regressor.history_[-1, "event_lr"] < 0.05 * regressor.learning_rate_init

    def test_does_not_hold_up_a_fit_that_ends_before(self, capture):
        regressor = RelightingMLPRegressor(**SMALL, max_time=1000).fit(*capture)
        assert len(regressor.history_) == 2
        assert regressor.history_[-1, "event_lr"] == pytest.approx(0, abs=1e-6)

    def test_trains_on_a_batch_at_least(self, capture):
        regressor = RelightingMLPRegressor(**SMALL, batch_size=100, max_time=1e-9).fit(*capture)
        assert regressor.n_observations_ == 100

    def test_the_rate_falls_by_batches_or_by_time_whichever_is_further_on(self):
        clock = SimpleNamespace(progress=0.0)
        factor = LinearDecay(10, clock)
        assert [factor(n) for n in (0, 5, 10, 11)] == pytest.approx([1, 0.5, 0, 0])
        clock.progress = 0.5
        assert [factor(n) for n in (0, 5, 10)] == pytest.approx([0.5, 0.5, 0])
        clock.progress = 1.5
        assert factor(0) == 0
