"""Clustered ensembles of small networks."""

import numpy as np
import pytest
from sklearn.base import clone

from sklrelight import PixelLightFeaturizer, load_model, make_relighter, save_model
from sklrelight.metrics import relative_error
from sklrelight.neural import ClusteredMLPRegressor

LIGHTS = np.stack(np.meshgrid(np.linspace(-1, 1, 6), np.linspace(-1, 1, 5)), axis=-1).reshape(-1, 2)
ROW, COLUMN = np.mgrid[0:16, 0:20] / 10 - 1
# Each pixel is brightest under a light of its own. Most of the pixels have narrow peaks, which are harder to learn.
SHARPNESS = np.where(COLUMN > -0.5, 4, 0.1)
IMAGES = np.exp(-((LIGHTS[:, 0, None, None] - COLUMN) ** 2) - (LIGHTS[:, 1, None, None] - ROW) ** 2 * SHARPNESS)
IMAGES = (IMAGES[..., None] * [1.0, 0.5]).astype(np.float32)
FEATURES = PixelLightFeaturizer(n_components=0, brightness_powers=(), blur_widths=(), scaling="unit")
X = FEATURES.fit_transform(LIGHTS, IMAGES)


def small(**parameters):
    """Return a regressor with two levels, of 5 and of about 20 clusters, that learns in a second."""
    parameters = {"samples_per_weight": 1.1, "n_steps": 150, "max_error": 0.1, "random_state": 0} | parameters
    return ClusteredMLPRegressor(**parameters)


@pytest.fixture(scope="module")
def fitted():
    return small().fit(X, IMAGES)


def test_it_learns_photographs_and_predicts_others(fitted):
    new = FEATURES.transform(LIGHTS[:3] + 0.1)
    images = fitted.predict(new)
    assert images.shape == (3, 16, 20, 2) and images.dtype == np.float32
    assert relative_error(IMAGES, fitted.predict(X)) < 0.25
    assert images.min() >= IMAGES.min() and images.max() <= IMAGES.max()


def test_pixels_above_the_error_go_on_to_a_level_of_four_times_as_many_clusters(fitted):
    first, second = fitted.n_networks_
    assert first == 5 and 5 < second <= 20
    # A level's networks are numbered after those of the level before.
    went_on = (fitted.networks_ >= first).all(axis=1)
    assert (went_on | (fitted.networks_ < first).all(axis=1)).all() and 0 < went_on.mean() < 1
    coarse = small(max_error=10.0).fit(X, IMAGES)
    assert coarse.n_networks_ == [5]
    stayed = relative_error(IMAGES, fitted.predict(X)), relative_error(IMAGES, coarse.predict(X))
    assert stayed[0] < stayed[1]


def test_a_pixel_is_the_mean_of_its_networks(fitted):
    light, pixel = 3, 123
    first, of_pixel, bias, second, second_bias, last, last_bias = fitted.weights_
    values = []
    for network in fitted.networks_[pixel]:
        hidden = np.tanh(X.lights[light] @ first[network] + X.pixels[pixel] @ of_pixel[network] + bias[network, 0])
        hidden = np.tanh(hidden @ second[network] + second_bias[network, 0])
        values.append(hidden @ last[network] + last_bias[network, 0])
    predicted = fitted.predict(X[[light]]).reshape(-1, 2)[pixel]
    np.testing.assert_allclose(predicted, np.clip(np.mean(values, axis=0), *fitted.target_range_), atol=1e-5)


def test_the_number_of_clusters_leaves_enough_samples_for_each_weight():
    # (4 + 2 + 1) * 15 + 16 * 15 + 16 * 2 weights, where the light has 2 and the pixel 4 features.
    assert X.shape[2] == 6
    most = 30 * 320 / (7 * 15 + 16 * 15 + 16 * 2)
    regressor = small(samples_per_weight=most / 12, n_steps=1).fit(X, IMAGES)
    assert regressor.n_networks_ == [12]
    assert small(samples_per_weight=100 * most, n_steps=1).fit(X, IMAGES).n_networks_ == [1]


def test_blocks_of_networks_do_not_change_what_is_predicted(fitted, monkeypatch):
    expected = fitted.predict(X[:2])
    monkeypatch.setattr("sklrelight.neural._clustered._BLOCK_PIXELS", 100)
    np.testing.assert_allclose(fitted.predict(X[:2]), expected, atol=1e-6)


def test_parts_of_an_image_are_predicted_by_the_networks_of_their_pixels(fitted):
    pixels = np.array([300, 7, 150])
    part = fitted.predict(X[:2].of_pixels(pixels))
    np.testing.assert_allclose(part.reshape(2, 3, 2), fitted.predict(X[:2]).reshape(2, -1, 2)[:, pixels], atol=1e-6)


def test_the_same_seed_gives_the_same_bytes(fitted):
    again = small().fit(X, IMAGES)
    assert again.predict(X).tobytes() == fitted.predict(X).tobytes()
    assert small(random_state=1).fit(X, IMAGES).predict(X).tobytes() != fitted.predict(X).tobytes()


def test_budgets_end_the_training():
    assert small(max_observations=10_000).fit(X, IMAGES).n_observations_ <= 10_000
    assert small(max_time=1e-9).fit(X, IMAGES).n_observations_ == 0


def test_pixels_without_weight_and_saturated_values_are_not_learnt():
    spoilt = IMAGES.copy()
    spoilt[:, :, :4] = 50
    spoilt[::5, 8:] = 0.95
    regressor = small().fit(X, spoilt, pixel_weight=COLUMN > -0.65, saturation=0.94)
    learnt = np.arange(30) % 5 > 0
    assert relative_error(IMAGES[learnt, :, 4:], regressor.predict(X[learnt])[:, :, 4:]) < 0.35
    assert regressor.target_range_[1] < 1.5


def test_a_plain_table_has_one_network():
    table = np.random.default_rng(0).uniform(-1, 1, size=(300, 3))
    regressor = small(n_steps=400).fit(table, table[:, 0] * table[:, 1])
    assert regressor.n_networks_ == [1]
    assert regressor.score(table, table[:, 0] * table[:, 1]) > 0.95


def test_levels_are_told_if_asked_for(capsys):
    small(verbose=1, n_steps=2).fit(X, IMAGES)
    assert "5 networks: 100% of the pixels are above max_error" in capsys.readouterr().out


def test_the_recipe_is_saved_and_loaded(tmp_path):
    relighter = make_relighter("ren2015", random_state=0, max_observations=100_000)
    relighter.set_params(regressor__mlp__samples_per_weight=2.0)
    relighter = clone(relighter).fit(LIGHTS, IMAGES)
    assert relighter.regressor_.members_[0]["mlp"].n_neighbors == 5
    save_model(relighter, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.predict(LIGHTS[:2]).tobytes() == relighter.predict(LIGHTS[:2]).tobytes()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"n_neighbors": 0}, "n_neighbors"), ({"max_error": -1.0}, "max_error"), ({"device": "abacus"}, "abacus")],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(X, IMAGES)
