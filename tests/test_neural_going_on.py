"""Networks that go on: what `partial_fit` learns, keeps and refuses."""

import itertools

import numpy as np
import pytest

from sklrelight import PixelLightFeaturizer, RelightingMLPRegressor
from sklrelight.neural import BatchSizeStages, CompositeLoss


@pytest.fixture(scope="module")
def capture():
    """Features and photographs of 6 x 8 pixels under 16 lights, of random brightness."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (16, 2))
    images = rng.random((16, 1, 1, 1)) + 0.1 * np.einsum("nd,hwd->nhw", lights, rng.normal(size=(6, 8, 2)))[..., None]
    images = images.astype(np.float32)
    featurizer = PixelLightFeaturizer(n_components=2).fit(lights[:12], images[:12])
    return featurizer.transform(lights), images


def network(**parameters):
    small = {"hidden_layer_sizes": (16,), "pixel_layer_sizes": (8,), "max_observations": 4000, "random_state": 0}
    return RelightingMLPRegressor(**small | parameters)


def test_an_unfitted_network_is_fitted(capture):
    X, y = capture
    one, other = network().partial_fit(X, y), network().fit(X, y)
    assert one.predict(X).tobytes() == other.predict(X).tobytes()
    assert one.n_observations_ == other.n_observations_


def test_other_photographs_are_learnt(capture):
    X, y = capture
    mlp = network(hidden_layer_sizes=(32,), max_observations=60_000).fit(X[:12], y[:12])
    before = np.abs(mlp.predict(X)[12:] - y[12:]).mean()
    mlp.partial_fit(X, y)
    assert np.abs(mlp.predict(X)[12:] - y[12:]).mean() < 0.7 * before


def test_goes_on_with_what_was_learnt(capture):
    X, y = capture
    mlp = network(max_observations=20_000).fit(X, y)
    first, second = mlp.history_[0, "train_loss"], mlp.history_[-1, "train_loss"]
    n_rows = len(mlp.history_)
    mlp.partial_fit(X, y)
    assert mlp.history_[n_rows, "train_loss"] < (first + second) / 2


def test_half_as_many_observations_at_half_the_rate(capture):
    X, y = capture
    mlp = network(batch_size=100, pixel_layer_sizes=(), learning_rate_init=4e-3).fit(X, y)
    counts, configs = [mlp.n_observations_], [mlp.config_]
    for _ in range(2):
        mlp.partial_fit(X, y)
        counts.append(mlp.n_observations_)
        configs.append(mlp.config_)
    assert [config.max_observations for config in configs] == [4000, 2000, 1000]
    assert [config.learning_rate_init for config in configs] == [4e-3, 2e-3, 1e-3]
    # The batch that runs is finished.
    for planned, seen in zip((4000, 2000, 1000), np.diff([0, *counts]), strict=True):
        assert planned <= seen < planned + 100


def test_half_the_time(capture):
    mlp = network(max_observations=None, max_time=0.1).fit(*capture)
    assert mlp.partial_fit(*capture).config_.max_time == pytest.approx(0.05)


def test_half_of_what_stages_had(capture):
    X, y = capture
    stages = BatchSizeStages(n_stages=2, max_epochs=4, patience=None)
    mlp = network(max_observations=None, batch_size=100, pixel_layer_sizes=(), callbacks=[stages]).fit(X, y)
    n_observations, n_rows = mlp.n_observations_, len(mlp.history_)
    mlp.partial_fit(X, y)
    assert mlp.n_observations_ == pytest.approx(1.5 * n_observations, rel=0.1)
    assert min(mlp.history_[n_rows:-1, "event_lr"]) > 0


def test_the_history_is_that_of_the_whole_training(capture):
    X, y = capture
    mlp = network().fit(X, y)
    before = [dict(row) for row in mlp.history_]
    mlp.partial_fit(X, y)
    assert [dict(row) for row in mlp.history_[: len(before)]] == before
    assert mlp.history_[:, "epoch"] == [*range(1, len(mlp.history_) + 1)]
    assert len(mlp.history_) > len(before)
    assert mlp.net_.history is mlp.history_


def test_predictions_reach_the_range_of_all_photographs(capture):
    X, y = capture
    mlp = network().fit(X[:12], y[:12]).partial_fit(X[12:], y[12:])
    assert mlp.target_range_ == (y.min(), y.max())
    assert np.isfinite(mlp.predict(X)).all()


def test_the_same_seed_gives_the_same_bytes(capture):
    X, y = capture
    one, other = (network(dropout=0.1).fit(X[:12], y[:12]).partial_fit(X, y) for _ in range(2))
    assert one.predict(X).tobytes() == other.predict(X).tobytes()


def test_fit_begins_anew(capture):
    X, y = capture
    mlp = network().fit(X, y)
    expected = mlp.predict(X).tobytes()
    assert mlp.partial_fit(X, y).predict(X).tobytes() != expected
    assert mlp.fit(X, y).predict(X).tobytes() == expected


def test_a_table_goes_on():
    X = np.linspace(-1, 1, 200).reshape(-1, 1)
    y = np.sin(3 * X.ravel())
    mlp = network(max_observations=2000).fit(X, y)
    before = mlp.score(X, y)
    assert mlp.partial_fit(X, y).score(X, y) > before


class TestRefused:
    def refuse(self, mlp, X, y, known, message):
        before = mlp.predict(known).tobytes()
        with pytest.raises(ValueError, match=message):
            mlp.partial_fit(X, y)
        assert mlp.predict(known).tobytes() == before

    def test_features_of_another_width(self, capture):
        X, y = capture
        mlp = network().fit(X, y)
        narrow = PixelLightFeaturizer(n_components=1).fit(X.lights, y).transform(X.lights)
        message = f"X has {narrow.shape[2]} features, but RelightingMLPRegressor expects {X.shape[2]}"
        self.refuse(mlp, narrow, y, X, message)

    def test_photographs_of_another_size(self, capture):
        X, y = capture
        mlp = network().fit(X, y)
        small = PixelLightFeaturizer(n_components=2).fit(X.lights, y[:, :5]).transform(X.lights)
        self.refuse(mlp, small, y[:, :5], X, r"X is of images \(5, 8\), the training photographs were \(6, 8, 1\)")

    def test_photographs_of_other_channels(self, capture):
        X, y = capture
        mlp = network().fit(X, y)
        self.refuse(mlp, X, np.repeat(y, 3, axis=-1), X, r"y has the shape \(16, 6, 8, 3\), but .* \(6, 8, 1\)")

    def test_tables_of_another_width(self):
        X, y = np.random.default_rng(0).random((2, 40, 3))
        mlp = network(max_observations=500).fit(X, y)
        self.refuse(mlp, X[:, :2], y, X, "X has 2 features, but RelightingMLPRegressor is expecting 3")
        self.refuse(mlp, X, y[:, :2], X, r"y has the shape \(40, 2\), but the network was fitted to .* \(3,\)")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_network_that_cannot_go_on_stays_fitted(capture, monkeypatch, error):
    X, y = capture
    mlp = network(batch_size=96).fit(X, y)
    n_observations, before = mlp.n_observations_, mlp.predict(X).tobytes()
    forward, n_calls = CompositeLoss.forward, itertools.count()

    def failing(self, *batch_values):
        if next(n_calls) == 5:
            raise error
        return forward(self, *batch_values)

    with monkeypatch.context() as patch:
        patch.setattr(CompositeLoss, "forward", failing)
        with pytest.raises(error):
            mlp.partial_fit(X, y)
    # Ctrl-C keeps what was reached, and an error what there was.
    assert mlp.interrupted_ == (error is KeyboardInterrupt)
    assert (mlp.n_observations_ > n_observations) == (error is KeyboardInterrupt)
    assert (mlp.predict(X).tobytes() == before) == (error is MemoryError)
    mlp.partial_fit(X, y)
    assert not mlp.interrupted_
