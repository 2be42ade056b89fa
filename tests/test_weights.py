"""Masks, weights of pixels and saturated values, from fit to figures; and mixtures of lights."""

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklrelight import PixelLightFeaturizer, Relighter, RelightingMLPRegressor, make_relighter
from sklrelight import relighter as relighter_module
from sklrelight.datasets import environment_to_lights, make_scene
from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import make_relative_error_scorer, peak_signal_noise_ratio, relative_error
from sklrelight.neural import CompositeLoss, Observations, TrainingBatches


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=20, image_shape=(9, 12), shadow_samples=4)


@pytest.fixture(scope="module")
def mask():
    mask = np.zeros((9, 12), bool)
    mask[2:7, 3:9] = True
    return mask


def small(**parameters):
    parameters = {"hidden_layer_sizes": (24,), "pixel_layer_sizes": (16,), "max_observations": 6_000, **parameters}
    relighter = make_relighter(random_state=0).set_params(n_members=2)
    return relighter.set_params(**{f"regressor__mlp__{name}": value for name, value in parameters.items()})


class TestMask:
    def test_outside_nothing_is_looked_at(self, scene, mask):
        changed = scene.images.copy()
        changed[:, ~mask] = 100 * np.random.default_rng(0).random(changed[:, ~mask].shape)
        one, other = (small().fit(scene.lights, images, pixel_weight=mask) for images in (scene.images, changed))
        assert vars(one.transformer_) == vars(other.transformer_)
        # Sums over more or fewer pixels of a cluster are rounded otherwise.
        np.testing.assert_allclose(
            one.predict(scene.lights)[:, mask], other.predict(scene.lights)[:, mask], rtol=1e-4, atol=1e-6
        )

    @pytest.mark.parametrize("window_size", [1, 4])
    def test_outside_nothing_is_learnt_from_in_windows_either(self, scene, mask, window_size):
        changed = scene.images.copy()
        changed[:, ~mask] = 0.123
        one, other = (
            small(window_size=window_size).fit(scene.lights, images, pixel_weight=mask)
            for images in (scene.images, changed)
        )
        np.testing.assert_allclose(
            one.predict(scene.lights)[:, mask], other.predict(scene.lights)[:, mask], rtol=1e-4, atol=1e-6
        )

    @pytest.mark.parametrize("model", [small(), Relighter(NearestPhotograph())], ids=["network", "nearest"])
    def test_outside_0_is_predicted(self, scene, mask, model):
        predicted = model.fit(scene.lights, scene.images, pixel_weight=mask).predict(scene.lights)
        assert not predicted[:, ~mask].any()
        assert predicted[:, mask].all(axis=-1).mean() > 0.5

    def test_only_pixels_inside_are_sampled(self):
        weight = torch.tensor([0.0, 1.0, 2.0, 0.0, 1.0, 1.0])
        pixels = torch.arange(6.0)[:, None]
        observations = Observations(torch.zeros(5, 1), pixels, torch.rand(5, 6, 3), (2, 3), pixel_weight=weight)
        drawn = torch.cat([X["pixels"][:, 0] for X, _ in TrainingBatches(observations, batch_size=7)])
        assert len(observations) == 5 * 4
        assert sorted(drawn.tolist()) == [1] * 5 + [2] * 5 + [4] * 5 + [5] * 5

    def test_grey_photographs_and_a_search_take_it(self, scene, mask):
        grey = scene.images.mean(axis=3)
        search = GridSearchCV(small(max_observations=4000), {"transformer__exposure": [2, 4]}, cv=2)
        search.fit(scene.lights, grey, pixel_weight=mask)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert not search.predict(scene.lights)[:, ~mask].any()

    def test_score_looks_inside_by_default(self, scene, mask):
        model = Relighter(NearestPhotograph()).fit(scene.lights[::2], scene.images[::2], pixel_weight=mask)
        y, p = (stack[:, mask].astype(float) for stack in (scene.images, model.predict(scene.lights)))
        expected = 1 - np.square(y - p).sum() / np.square(y - y.mean()).sum()
        assert model.score(scene.lights, scene.images) == pytest.approx(expected, rel=1e-4)


class TestWeight:
    def test_heavy_pixels_are_learnt_better(self, scene):
        left = np.zeros((9, 12), bool)
        left[:, :6] = True
        errors = {}
        for side, heavy in (("left", left), ("right", ~left)):
            weight = np.where(heavy, 1, 1e-3)
            # The network alone: an interpolation does as well everywhere.
            model = small(max_observations=40_000).set_params(interpolation=None)
            model.fit(scene.lights, scene.images, pixel_weight=weight)
            errors[side] = relative_error(scene.images[:, left], model.predict(scene.lights)[:, left])
        assert errors["left"] < errors["right"]

    def test_of_2_counts_a_pixel_twice_in_the_figures(self):
        rng = np.random.default_rng(0)
        y, p = rng.random((2, 4, 3, 2, 3))
        twice = [np.concatenate([images, images[:, :, :1]], axis=2) for images in (y, p)]
        weight = [[2, 1]] * 3
        assert relative_error(y, p, pixel_weight=weight) == pytest.approx(relative_error(*twice))
        assert peak_signal_noise_ratio(y, p, data_range=1, pixel_weight=weight) == pytest.approx(
            peak_signal_noise_ratio(*twice, data_range=1)
        )

    def test_loss_is_that_of_the_repeated_observation(self):
        generator = torch.Generator().manual_seed(0)
        y, p = torch.rand(2, 5, 3, generator=generator)
        weight = torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0])[:, None].expand(5, 3)
        kept = [0, 1, 1, 3, 4]
        loss = CompositeLoss()
        torch.testing.assert_close(loss(p, y, weight), loss(p[kept], y[kept]))

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (np.ones((12, 9)), r"pixel_weight has the shape \(12, 9\), the photographs \(9, 12\)"),
            (-np.ones((9, 12)), "must not be negative"),
            (np.zeros((9, 12)), "0 everywhere"),
            (np.full((9, 12), np.nan), "pixel_weight contains NaN"),
        ],
    )
    def test_that_makes_no_sense_is_refused(self, scene, weight, message):
        relighter = small()
        with pytest.raises(ValueError, match=message):
            relighter.fit(scene.lights, scene.images, pixel_weight=weight)
        assert not hasattr(relighter, "regressor_")
        with pytest.raises(ValueError, match=message):
            relative_error(scene.images, scene.images, pixel_weight=weight)
        features = PixelLightFeaturizer().fit_transform(scene.lights, scene.images)
        with pytest.raises(ValueError, match=message):
            RelightingMLPRegressor().fit(features, scene.images, pixel_weight=weight)


def fitted_alike(one, other, lights):
    np.testing.assert_array_equal(one.pixel_weight_, other.pixel_weight_)
    assert one.saturation_ == other.saturation_
    np.testing.assert_array_equal(one.predict(lights), other.predict(lights))


class TestMetadataRouting:
    """What is given beside X and y gets to where it belongs, with scikit-learn's metadata routing and without."""

    @pytest.fixture(scope="class", params=["default", "ridge"])
    @staticmethod
    def model(request):
        return small(max_observations=4000) if request.param == "default" else Relighter(Ridge())

    @pytest.fixture
    def expected(self, scene, mask, model):
        return clone(model).fit(scene.lights, scene.images, pixel_weight=mask, saturation=0.5)

    def test_fit(self, scene, mask, model, expected):
        with config_context(enable_metadata_routing=True):
            routed = clone(model).fit(scene.lights, scene.images, pixel_weight=mask, saturation=0.5)
        fitted_alike(routed, expected, scene.lights)

    def test_through_a_pipeline(self, scene, mask, model, expected):
        pipeline = Pipeline([("lights", FunctionTransformer()), ("relighter", model)])
        with config_context(enable_metadata_routing=True):
            routed = clone(pipeline).fit(scene.lights, scene.images, pixel_weight=mask, saturation=0.5)
            score = routed.score(scene.lights, scene.images, pixel_weight=mask, saturation=0.5)
        fitted_alike(routed["relighter"], expected, scene.lights)
        assert score == expected.score(scene.lights, scene.images)
        plain = pipeline.fit(scene.lights, scene.images, relighter__pixel_weight=mask, relighter__saturation=0.5)
        fitted_alike(plain["relighter"], expected, scene.lights)

    def test_through_a_search(self, scene, mask, model, expected):
        search = GridSearchCV(model, {"check_inverse": [True]}, cv=KFold(2))
        plain = clone(search).fit(scene.lights, scene.images, pixel_weight=mask, saturation=0.5)
        with config_context(enable_metadata_routing=True):
            routed = clone(search).fit(scene.lights, scene.images, pixel_weight=mask, saturation=0.5)
        for found in (plain, routed):
            fitted_alike(found.best_estimator_, expected, scene.lights)
        np.testing.assert_array_equal(*(found.cv_results_["mean_test_score"] for found in (plain, routed)))


class TestSearchOfAsManyLightsAsRows:
    """A search takes weights of that height for one weight a light."""

    @pytest.fixture
    def lights(self, scene):
        return scene.lights[:9]

    @pytest.mark.parametrize("enabled", [False, True], ids=["plain", "routed"])
    def test_takes_weights_with_an_axis_more(self, scene, lights, mask, enabled):
        search = GridSearchCV(Relighter(Ridge()), {"regressor__alpha": [0.1, 1.0]}, cv=3)
        with config_context(enable_metadata_routing=enabled):
            search.fit(lights, scene.images[:9], pixel_weight=mask[None])
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        np.testing.assert_array_equal(search.best_estimator_.pixel_weight_, mask)

    def test_says_so_otherwise(self, scene, lights, mask):
        search = GridSearchCV(Relighter(Ridge()), {"regressor__alpha": [0.1, 1.0]}, cv=3)
        with pytest.raises(ValueError, match=r"a search cuts weights .*pixel_weight\[None\], of shape \(1, H, W\)"):
            search.fit(lights, scene.images[:9], pixel_weight=mask)


class TestSaturation:
    def test_clipped_values_do_not_matter(self, scene):
        clipped = np.minimum(scene.images, 0.3)
        other = clipped.copy()
        # Anything above the threshold says the same: "too bright to tell".
        other[clipped >= 0.3] = 0.31
        other[0, 0, 0], clipped[0, 0, 0] = 0.31, 0.31
        one, two = (
            small().set_params(transformer__exposure=4).fit(scene.lights, images, saturation=0.3)
            for images in (clipped, other)
        )
        # The features do see them: only the loss and the weight do not.
        assert one.regressor_.weight_ == pytest.approx(two.regressor_.weight_, abs=0.2)
        assert one.saturation_ == 0.3
        assert np.isfinite(one.score(scene.lights, clipped))

    def test_saturated_targets_have_no_part_in_the_loss(self):
        rng = np.random.default_rng(0)
        X = rng.random((200, 2)).astype(np.float32)
        y = X.sum(axis=1)
        wrong = np.where(y > 1.2, 77.0, y)
        parameters = {
            "hidden_layer_sizes": (16,),
            "pixel_layer_sizes": (16,),
            "max_observations": 1000,
            "random_state": 0,
        }
        one = RelightingMLPRegressor(**parameters).fit(X, y, saturation=1.2)
        other = RelightingMLPRegressor(**parameters).fit(X, wrong, saturation=1.2)
        np.testing.assert_array_equal(one.predict(X), other.predict(X))

    def test_the_figures_leave_them_out(self):
        y, p = np.array([[0.2, 1.0, 0.5]]), np.array([[0.2, 3.0, 0.6]])
        assert relative_error(y, p, saturation=1.0) == pytest.approx(relative_error(y[:, ::2], p[:, ::2]))
        with pytest.raises(ValueError, match="no value is left"):
            relative_error(y, p, saturation=0.1)

    def test_scorers_take_weights_and_saturation(self, scene, mask):
        model = Relighter(NearestPhotograph()).fit(scene.lights[::2], scene.images[::2])
        scorer = make_relative_error_scorer(pixel_weight=mask, saturation=0.5)
        expected = relative_error(scene.images, model.predict(scene.lights), pixel_weight=mask, saturation=0.5)
        assert scorer(model, scene.lights, scene.images) == pytest.approx(-expected)

    @pytest.mark.parametrize("saturation", [np.nan, np.inf, 0, -1, "x"])
    def test_that_is_no_radiance_is_refused(self, scene, saturation):
        with pytest.raises(ValueError, match="saturation must be a finite radiance above 0"):
            small().fit(scene.lights, scene.images, saturation=saturation)

    def test_a_batch_without_any_weight_does_no_harm(self, scene):
        loss = CompositeLoss()
        prediction = torch.rand(8, 3, requires_grad=True)
        value = loss(prediction, torch.rand(8, 3), torch.zeros(8, 3))
        value.backward()
        assert value == 0
        assert not prediction.grad.any()
        clipped = np.minimum(scene.images, np.quantile(scene.images, 0.5))
        model = small(batch_size=83).fit(scene.lights, clipped, saturation=float(clipped.max()))
        assert np.isfinite(model.predict(scene.lights)).all()

    def test_everything_saturated_is_refused(self, scene):
        with pytest.raises(ValueError, match=r"all values are at or above saturation=0\.5"):
            small().fit(scene.lights, scene.images + 1, saturation=0.5)

    @pytest.mark.parametrize("saturation", [254.5, 300])
    def test_of_integers_may_be_any_number(self, scene, saturation):
        images = np.clip(scene.images * 200, 0, 255).astype(np.uint8)
        model = small().fit(scene.lights, images, saturation=saturation)
        assert np.isfinite(model.predict(scene.lights)).all()


class TestRelight:
    def test_light_adds_up_in_the_scene(self):
        lights = [[-1.0, 2.5, 2.0], [1.5, 2.8, 1.5]]
        each = make_scene(lights=lights, image_shape=(24, 32)).images
        (together,) = make_scene(lights=[lights], image_shape=(24, 32)).images
        np.testing.assert_allclose(together, each[0] + each[1], rtol=1e-6)

    def test_and_in_the_model(self, scene):
        model = small().fit(scene.lights, scene.images)
        lights = scene.lights[:2] + 0.03
        one, two = model.predict(lights)
        np.testing.assert_allclose(model.relight(lights, [1, 1]), one + two, rtol=1e-6)
        np.testing.assert_allclose(model.relight(lights, [0.5, 3]), 0.5 * one + 3 * two, rtol=1e-6)

    def test_lights_may_be_coloured(self, scene):
        model = Relighter(NearestPhotograph()).fit(scene.lights, scene.images)
        colour = np.random.default_rng(0).random((20, 3))
        expected = np.einsum("nc,nhwc->hwc", colour, model.predict(scene.lights).astype(float))
        np.testing.assert_allclose(model.relight(scene.lights, colour), expected, rtol=1e-6)

    def test_in_blocks_is_the_same(self, scene, monkeypatch):
        model = Relighter(NearestPhotograph()).fit(scene.lights, scene.images)
        whole = model.relight(scene.lights, np.arange(20))
        monkeypatch.setattr(relighter_module, "_BLOCK_VALUES", 3 * scene.images[0].size)
        np.testing.assert_allclose(model.relight(scene.lights, np.arange(20)), whole, rtol=1e-6)

    @pytest.mark.parametrize("shape", [(6, 5), (3,), ()], ids=["grey", "pixel", "value"])
    def test_works_for_every_kind_of_photograph(self, shape):
        rng = np.random.default_rng(0)
        lights, images = rng.random((8, 2)), rng.random((8, *shape))
        model = Relighter(NearestPhotograph()).fit(lights, images)
        image = model.relight(lights, np.full(8, 0.5))
        assert image.shape == shape
        np.testing.assert_allclose(image, 0.5 * images.sum(axis=0), rtol=1e-4)

    def test_under_an_environment(self, scene):
        environment = np.zeros((16, 32, 3))
        environment[3, 20] = [2.0, 1.0, 0.5]
        directions, intensities = environment_to_lights(environment, 8)
        model = Relighter(NearestPhotograph()).fit(scene.lights / 3, scene.images)
        image = model.relight(directions, intensities)
        assert image.shape == (9, 12, 3)
        # A reddish environment makes a reddish image.
        assert image[..., 0].mean() / scene.images[..., 0].mean() > image[..., 2].mean() / scene.images[..., 2].mean()

    @pytest.mark.parametrize("shape", [(19,), (20, 2), (20, 3, 1), (20, 1)])
    def test_intensities_that_do_not_fit_are_refused(self, scene, shape):
        model = Relighter(NearestPhotograph()).fit(scene.lights, scene.images)
        with pytest.raises(ValueError, match="20 lights X and 3 channels need"):
            model.relight(scene.lights, np.ones(shape))
