"""`RelightingMLPRegressor`: what it learns, predicts and refuses, and when it ends."""

import inspect
import time

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklrelight import ImageStack, PixelLightFeatures, PixelLightFeaturizer, RelightingMLPRegressor
from sklrelight.neural import BatchSizeStages, CompositeLoss, PlateauLearningRate
from sklrelight.neural._training import make_net

# Two epochs of the capture below.
SMALL = {"hidden_layer_sizes": (16,), "pixel_layer_sizes": (12,), "max_observations": 2 * 12 * 80, "random_state": 0}


@pytest.fixture(scope="module")
def capture():
    """Smooth photographs of 8 x 10 pixels under 12 lights, as features and encoded values."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (12, 2))
    normals = rng.normal(size=(8, 10, 2))
    shading = np.einsum("nd,hwd->nhw", lights, normals)
    images = (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32)
    return PixelLightFeaturizer(n_components=3, random_state=0).fit(lights, images).transform(lights), images


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
    regressor = RelightingMLPRegressor((64, 64), pixel_layer_sizes=(32,), random_state=0).fit(features, images)
    residual = images - regressor.predict(features)
    assert np.square(residual).mean() < 0.02 * images.var()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_pixels_in_half_precision_have_to_be_finite(capture, value):
    features, images = capture
    halves = PixelLightFeatures(features.lights, features.pixels.astype(np.float16), features.image_shape)
    regressor = RelightingMLPRegressor(**SMALL).fit(halves, images)
    assert np.isfinite(regressor.predict(halves)).all()
    halves.pixels[5, 3] = value
    with pytest.raises(ValueError, match="table of pixels, reaches inf"):
        regressor.predict(halves)


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
        {"pixel_layer_sizes": ()},
        {"pixel_layer_sizes": (16, 8)},
        {"optimizer": "adam", "callbacks": [PlateauLearningRate()]},
        {"optimizer": "adam", "callbacks": [BatchSizeStages(3, max_epochs=20)], "validation_fraction": 0.2},
        {"window_size": 4, "batch_size": 100},
        {"window_size": 4, "batch_size": 100, "pixel_layer_sizes": ()},
        {"precision": "bfloat16"},
        {"luminance_weight": 1, "relative_weight": 0.01},
        {"light_pixel_products": False, "scale_targets": False},
    ],
    ids=",".join,
)
def test_every_part_can_be_chosen(capture, parameters):
    features, images = capture
    parameters = {**SMALL, "max_observations": 60 * 960, "learning_rate_init": 0.01, **parameters}
    regressor = RelightingMLPRegressor(**parameters).fit(features, images)
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
    def test_a_linear_rate_ends_at_zero_with_the_budget(self, capture):
        parameters = {"pixel_layer_sizes": (), "batch_size": 100, "max_observations": 1500}
        regressor = RelightingMLPRegressor((8,), **parameters, random_state=0).fit(*capture)
        # Ten batches of an epoch, the last one of 60, and six more.
        assert regressor.n_observations_ == 1560
        rate = regressor.learning_rate_init
        # The rate is that of the last batch, which begins with what was seen before it.
        assert regressor.history_[:, "event_lr"] == pytest.approx([rate * (1 - 900 / 1500), rate * (1 - 1460 / 1500)])

    def test_best_weights_are_kept_on_request(self, capture):
        features, images = capture
        # Noise can be learnt by heart only, so that the validation loss soon rises.
        images = np.random.default_rng(0).random(images.shape)

        def fit(n_epochs, restore_best):
            # A plateau that is never reached: the rate is constant.
            stages = BatchSizeStages(n_stages=1, max_epochs=n_epochs, restore_best=restore_best)
            callbacks = [stages, PlateauLearningRate(patience=100)]
            parameters = {"validation_fraction": 0.3, "batch_size": 60, "random_state": 0, "max_observations": None}
            parameters["pixel_layer_sizes"] = (16,)
            return RelightingMLPRegressor((64, 64), callbacks=callbacks, **parameters).fit(features, images)

        kept, last = fit(8, restore_best=True), fit(8, restore_best=False)
        losses = kept.history_[:, "valid_loss"]
        assert losses == last.history_[:, "valid_loss"]
        best = int(np.argmin(losses))
        assert best < 7, "the case shows nothing if the last epoch is the best"
        until_best = fit(best + 1, restore_best=False)
        np.testing.assert_array_equal(kept.predict(features), until_best.predict(features))
        assert not np.array_equal(kept.predict(features), last.predict(features))

    def test_validation_holds_whole_lights_out(self, capture):
        features, images = capture
        stages = BatchSizeStages(n_stages=1, max_epochs=2)
        parameters = {"max_observations": None, "callbacks": [stages], "validation_fraction": 0.25}
        regressor = RelightingMLPRegressor((16,), pixel_layer_sizes=(8,), **parameters)
        # 12 lights: 9 to train on, 80 observations each.
        assert regressor.fit(features, images).n_observations_ == 2 * 9 * 80

    def test_the_validation_lights_do_not_reach_the_weights(self, capture):
        features, images = capture
        parameters = {**SMALL, "validation_fraction": 0.25}
        one = RelightingMLPRegressor(**parameters).fit(features, images)
        seed = one.config_.seed
        order = torch.randperm(12, generator=torch.Generator().manual_seed(seed)).numpy()
        changed = images.copy()
        changed[order[:3]] = 0.9
        other = RelightingMLPRegressor(**parameters).fit(features, changed)
        assert one.history_[-1, "valid_loss"] != other.history_[-1, "valid_loss"]
        weights = [[*regressor.net_.module_.parameters()] for regressor in (one, other)]
        assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))


class TestReproducibility:
    @pytest.mark.parametrize("on_disk", [False, True])
    @pytest.mark.parametrize("pixel_layer_sizes", [(), (12, 8)])
    def test_the_same_seed_gives_the_same_bytes(self, capture, tmp_path, pixel_layer_sizes, on_disk):
        features, images = capture
        if on_disk:
            np.save(tmp_path / "images.npy", images)
            images = ImageStack(tmp_path / "images.npy")
        parameters = {**SMALL, "pixel_layer_sizes": pixel_layer_sizes, "dropout": 0.1}
        one, other = (RelightingMLPRegressor(**parameters).fit(features, images) for _ in range(2))
        assert one.predict(features).tobytes() == other.predict(features).tobytes()

    def test_another_seed_gives_another_network(self, capture):
        features, images = capture
        one = RelightingMLPRegressor(**SMALL).fit(features, images)
        other = clone(one).set_params(random_state=1).fit(features, images)
        assert not np.array_equal(one.predict(features), other.predict(features))

    @pytest.mark.parametrize("pixel_layer_sizes", [(), (12, 8)])
    def test_a_prediction_does_not_depend_on_the_other_lights(self, capture, pixel_layer_sizes):
        features, images = capture
        regressor = RelightingMLPRegressor(**{**SMALL, "pixel_layer_sizes": pixel_layer_sizes}).fit(features, images)
        together = regressor.predict(features)
        for some in (slice(3, 5), slice(7, 8), slice(5)):
            assert regressor.predict(features[some]).tobytes() == together[some].tobytes()


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
        regressor = RelightingMLPRegressor(**{**SMALL, "max_observations": 50 * 960}, batch_size=96)
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
    RelightingMLPRegressor(**SMALL, verbose=2).fit(features, images)
    shown = capfd.readouterr().err
    assert "100%" in shown
    for name in ("loss ", "learning rate ", "batch "):
        assert name in shown


def test_output_has_more_than_eight_bits_of_mantissa(capture):
    features, images = capture
    predicted = RelightingMLPRegressor(**SMALL, precision="bfloat16").fit(features, images).predict(features)
    assert not np.array_equal(predicted, torch.from_numpy(predicted).bfloat16().float().numpy())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": (16, 0)}, "hidden_layer_sizes must be a sequence of positive integers"),
        ({"hidden_layer_sizes": (16.5,)}, "hidden_layer_sizes"),
        ({"pixel_layer_sizes": (16, 0)}, "pixel_layer_sizes must be a sequence of positive integers"),
        ({"pixel_layer_sizes": (16.5,)}, "pixel_layer_sizes"),
        ({"luminance_weight": -1}, "luminance_weight"),
        ({"relative_weight": -1}, "relative_weight"),
        ({"max_observations": 0}, "max_observations"),
        ({"max_observations": None}, "max_observations and max_time are None"),
        ({"activation": "step"}, "activation"),
        ({"dropout": 1.0}, "dropout"),
        ({"batch_size": 0}, "batch_size"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"window_size": 9}, r"window_size=9 is larger than the image, which has the shape \(8, 10\)"),
        ({"max_time": 0}, "max_time"),
        ({"compile": "often"}, "compile"),
        ({"device": "abacus"}, "device='abacus' cannot be used here"),
        ({"learning_rate_init": 0}, "learning_rate_init"),
        ({"learning_rate_init": 1e30}, r"training diverged: at learning_rate_init=1e\+30"),
    ],
)
def test_parameters_out_of_range_are_refused(capture, parameters, message):
    with pytest.raises(ValueError, match=message):
        RelightingMLPRegressor(**{**SMALL, **parameters}).fit(*capture)


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
    with pytest.raises(ValueError, match="X has 24 features"):
        regressor.predict(features.to_table()[:, 1:])
    lights = np.random.default_rng(0).random((12, 2))
    other = PixelLightFeaturizer(n_components=1).fit(lights, images).transform(lights)
    with pytest.raises(ValueError, match=r"X has \d+ features, but RelightingMLPRegressor expects 25"):
        regressor.predict(other)
    other = PixelLightFeaturizer(n_components=3).fit(lights, images[:, :4]).transform(lights)
    with pytest.raises(ValueError, match=r"X is of images \(4, 10\), the training photographs were \(8, 10, 3\)"):
        regressor.predict(other)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_and_predicts_on_cuda(capture):
    features, images = capture
    regressor = RelightingMLPRegressor((64, 64), random_state=0, device="cuda").fit(features, images)
    assert regressor.config_.device == "cuda:0"
    assert np.square(images - regressor.predict(features)).mean() < 0.02 * images.var()


def test_the_training_loss_counts_a_batch_by_its_weight(capture):
    features, images = capture
    weight = np.zeros((8, 10))
    weight[:4], weight[4:, :5] = 1e-3, 1
    # Nothing is learnt at such a rate, so that all batches together are one mean of the initial network's errors.
    parameters = {**SMALL, "learning_rate_init": 1e-12, "luminance_weight": 0, "relative_weight": 0}
    # One pixel of all lights in a batch.
    regressor = RelightingMLPRegressor(**parameters, batch_size=12).fit(features, images, pixel_weight=weight)
    with torch.inference_mode():
        # Not by `predict`, which keeps within the range of the photographs.
        lights, pixels = torch.as_tensor(features.lights)[:, None], torch.as_tensor(features.pixels)
        predicted = regressor.net_.module_(lights, pixels).numpy().reshape(images.shape)
    weights = np.broadcast_to(weight[..., None], images.shape)
    expected = np.average(np.square(predicted - images), weights=weights)
    assert regressor.history_[0, "train_loss"] == pytest.approx(expected, rel=1e-2)


class TestMaxTime:
    def test_ends_the_fit(self, capture):
        features, images = capture
        start = time.perf_counter()
        parameters = {"pixel_layer_sizes": (8,), "max_observations": None, "max_time": 1.5}
        regressor = RelightingMLPRegressor((8,), **parameters, random_state=0)
        regressor.fit(features, images)
        # Generous above: other processes may hold a batch up.
        assert 1.5 <= time.perf_counter() - start < 5
        assert regressor.n_observations_ > 0
        # The rate has fallen to 0 by then.
        assert 0 <= regressor.history_[-1, "event_lr"] < 0.05 * regressor.learning_rate_init

    def test_does_not_hold_up_a_fit_that_ends_before(self, capture):
        regressor = RelightingMLPRegressor(**{**SMALL, "pixel_layer_sizes": ()}, max_time=1000).fit(*capture)
        assert len(regressor.history_) == 2
        assert regressor.history_[-1, "event_lr"] == pytest.approx(regressor.learning_rate_init / 16, rel=1e-6)

    def test_trains_on_a_batch_at_least(self, capture):
        regressor = RelightingMLPRegressor(**SMALL, batch_size=100, max_time=1e-9).fit(*capture)
        # All 12 lights of 8 pixels.
        assert regressor.n_observations_ == 96


class TestShape:
    def test_has_no_more_parameters_than_scikit_learns_perceptron(self):
        assert len(inspect.signature(RelightingMLPRegressor).parameters) <= 24
        assert len(inspect.signature(make_net).parameters) <= 4

    def test_photographs_on_disk_are_learnt_and_predicted_alike(self, capture, tmp_path):
        features, images = capture
        np.save(tmp_path / "images.npy", images)
        parameters = {**SMALL, "hidden_layer_sizes": (64, 64), "max_observations": 40 * 960}
        regressor = RelightingMLPRegressor(**parameters).fit(features, ImageStack(tmp_path / "images.npy"))
        assert np.square(images - regressor.predict(features)).mean() < 0.02 * images.var()
        assert regressor.target_range_ == pytest.approx((images.min(), images.max()))
        assert regressor.target_shape_ == (8, 10, 3)

    def test_predictions_stay_within_the_range_of_the_photographs_that_have_weight(self, capture):
        features, images = capture
        weight = np.ones((8, 10))
        weight[:4] = 0
        inside = images[:, 4:]
        predicted = RelightingMLPRegressor(**SMALL).fit(features, images, pixel_weight=weight).predict(features)
        assert inside.min() <= predicted.min()
        assert predicted.max() <= inside.max()

    def test_a_table_has_no_weights_of_pixels(self):
        X = np.random.default_rng(0).random((20, 2))
        with pytest.raises(ValueError, match="pixel_weight is for photographs"):
            RelightingMLPRegressor(**SMALL).fit(X, X, pixel_weight=np.ones((4, 5)))

    def test_columns_have_names_where_the_table_has(self):
        pd = pytest.importorskip("pandas")
        X = pd.DataFrame(np.random.default_rng(0).random((40, 2)), columns=["x", "y"])
        regressor = RelightingMLPRegressor(**SMALL).fit(X, X["x"])
        assert [*regressor.feature_names_in_] == ["x", "y"]
        assert regressor.predict(X).shape == (40,)
        with pytest.raises(ValueError, match="feature names"):
            regressor.predict(X[["y", "x"]])
