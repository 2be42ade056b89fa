"""How far networks are trusted beside an interpolation, measured on some pixels of photographs that have many."""

import numpy as np
import pytest
from sklearn.base import clone

from sklrelight import PixelLightFeaturizer, RelightingMLPRegressor, trust
from sklrelight.predicting import predict_networks

PARAMETERS = {"max_epochs": 40, "n_networks": 2, "interpolation": "auto", "random_state": 0}


@pytest.fixture(scope="module")
def capture():
    """Photographs of 20 x 30 pixels under 24 lights, whose left half is in hard shadows."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (24, 2))
    shading = 0.5 + 0.1 * np.einsum("nd,hwd->nhw", lights, rng.normal(size=(20, 30, 2)))
    shading[:, :, :15] *= np.sin(4 * lights[:, :1, None] + 20 * rng.random((20, 15))) > 0
    images = shading[..., None].astype(np.float32)
    return PixelLightFeaturizer(n_components=3, random_state=0).fit(lights, images).transform(lights), images


def fit(capture, **given):
    return RelightingMLPRegressor((32,), **PARAMETERS).fit(*capture, **given)


def test_some_pixels_tell_nearly_what_all_do(capture, monkeypatch):
    whole = fit(capture)
    monkeypatch.setattr(trust, "_MEASURED_PIXELS", 300)
    part = fit(capture)
    assert part.network_share_ == pytest.approx(whole.network_share_, abs=0.1)
    assert part.network_share_ != whole.network_share_
    assert part.largest_change_ == pytest.approx(whole.largest_change_, rel=0.3)
    np.testing.assert_allclose(part.predict(capture[0]), whole.predict(capture[0]), atol=0.05)


def test_kinds_of_pixels_that_are_not_among_them_have_the_share_of_all(capture, monkeypatch):
    monkeypatch.setattr(trust, "_MEASURED_PIXELS", 2)
    regressor = fit(capture)
    n_clusters = regressor.interpolation_.clusters_.max() + 1
    assert regressor.cluster_shares_.shape == (n_clusters,)
    _, counts = np.unique(regressor.cluster_shares_.round(6), return_counts=True)
    assert counts.max() >= n_clusters - 2
    assert np.isfinite(regressor.predict(capture[0][:2])).all()


def test_pixels_without_weight_are_not_among_them(capture, monkeypatch):
    _, images = capture
    monkeypatch.setattr(trust, "_MEASURED_PIXELS", 100)
    weight = np.ones((20, 30))
    weight[:, :12] = 0
    seen = []
    monkeypatch.setattr(trust, "network_share", lambda *given: seen.append(given) or 0.5)
    fit(capture, pixel_weight=weight)
    true, network, interpolated, weights = seen[0][:4]
    assert true.shape == network.shape == interpolated.shape == (len(true), 100, 1, 1)
    assert (weights > 0).all()
    assert np.isin(true, images[:, weight > 0]).all()


class TestAgreement:
    def test_is_measured_by_what_networks_disagree_about_lights_that_one_has_not_seen(self, capture):
        features, images = capture
        regressor = fit(capture)
        shape, extent = images.shape[1:], regressor.target_range_
        one, other = (predict_networks([net], features, shape, extent)[0] for net in regressor.nets_)
        differences = np.sqrt(np.square(one - other).mean(axis=(1, 2, 3)))
        assert np.isclose(regressor.largest_deviation_, differences, rtol=1e-4).any()
        alone = clone(regressor).set_params(n_networks=1).fit(*capture)
        assert alone.largest_deviation_ is None

    def test_networks_that_disagree_more_leave_it_to_the_interpolation(self, capture):
        features, _ = capture
        regressor = fit(capture)
        interpolated = regressor.interpolation_.predict(features.light_vectors)
        regressor.held_out_distance_ = None  # these are training lights, near which it would have all anyway
        regressor.largest_deviation_ = np.inf
        trusted = regressor.predict(features)
        assert np.abs(trusted - interpolated).max() > 0.01
        regressor.largest_deviation_ = 1e-6
        np.testing.assert_allclose(regressor.predict(features), interpolated.clip(*regressor.target_range_), atol=1e-5)

    @pytest.mark.parametrize("n_networks", [1, 2, 3])
    def test_deviation_is_the_standard_deviation_between_networks(self, capture, n_networks):
        features, images = capture
        inside = np.arange(600).reshape(20, 30) % 3 > 0
        regressor = RelightingMLPRegressor((32,), **PARAMETERS).set_params(n_networks=n_networks).fit(*capture)
        single = [predict_networks([net], features, images.shape[1:], None)[0] for net in regressor.nets_]
        mean, deviation = predict_networks(regressor.nets_, features, images.shape[1:], None, inside)
        np.testing.assert_allclose(mean, np.mean(single, axis=0), atol=1e-6)
        expected = np.var(single, axis=0, ddof=1)[:, inside].mean(axis=(1, 2)) ** 0.5 if n_networks > 1 else 0
        np.testing.assert_allclose(deviation, np.broadcast_to(expected, 24), rtol=1e-3)
