import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import BaggingRegressor, ExtraTreesRegressor
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures

from sklrelight import LogExposureScaler, PixelLightFeaturizer, Relighter, RelightingMLPRegressor, make_relighter
from sklrelight import relighter as relighter_module
from sklrelight.datasets import make_scene
from sklrelight.interpolation import NearestPhotograph, RBFInterpolation, StackedRBFInterpolation
from sklrelight.metrics import make_relative_error_scorer
from sklrelight.recipes import RECIPES


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=20, image_shape=(9, 12), shadow_samples=4)


def small(**parameters):
    """Return a default model whose fit is over in a moment."""
    parameters = {"hidden_layer_sizes": (24,), "pixel_layer_sizes": (16,), "max_observations": 6_000, **parameters}
    relighter = make_relighter(random_state=0).set_params(n_members=2)
    return relighter.set_params(**{f"regressor__mlp__{name}": value for name, value in parameters.items()})


class TestPrediction:
    @pytest.mark.parametrize("shape", [(9, 12, 3), (9, 12, 1), (9, 12), (5,), (1,), ()], ids=str)
    def test_has_the_shape_of_the_photographs(self, scene, shape):
        images = np.random.default_rng(0).random((20, *shape))
        predicted = small(max_observations=2000).fit(scene.lights, images).predict(scene.lights[:3])
        assert predicted.shape == (3, *shape)

    def test_has_the_units_of_the_photographs(self, scene):
        one = small().fit(scene.lights, scene.images).predict(scene.lights)
        other = small().fit(scene.lights, 1000 * scene.images).predict(scene.lights)
        assert np.median(other) == pytest.approx(1000 * np.median(one), rel=0.05)
        assert 0.3 < np.median(one) / np.median(scene.images) < 3

    def test_is_never_negative(self, scene):
        assert small(max_observations=2000).fit(scene.lights, scene.images).predict(scene.lights).min() >= 0

    def test_is_never_brighter_than_all_photographs(self, scene):
        predicted = small(max_observations=2000).fit(scene.lights, scene.images).predict(scene.lights * 10)
        assert predicted.max() <= scene.images.max() * (1 + 1e-5)

    def test_in_blocks_is_the_same(self, scene, monkeypatch):
        whole = small().fit(scene.lights, scene.images)
        monkeypatch.setattr(relighter_module, "_BLOCK_VALUES", 3 * scene.images[0].size)
        blocks = small().fit(scene.lights, scene.images)
        frame = pd.DataFrame(scene.lights)
        for lights in (scene.lights, frame, scene.lights.tolist()):
            np.testing.assert_allclose(blocks.predict(lights), whole.predict(scene.lights), rtol=1e-4, atol=1e-6)

    def test_beats_the_mean_photograph(self, scene):
        relighter = small(hidden_layer_sizes=(64, 64), max_observations=200_000).fit(scene.lights, scene.images)
        assert relighter.score(scene.lights, scene.images) > 0.5

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.uint16])
    def test_takes_any_type(self, scene, dtype):
        images = (scene.images / scene.images.max() * 255).astype(dtype)
        predicted = small().fit(scene.lights, images).predict(scene.lights)
        assert np.isfinite(predicted).all()
        assert predicted.dtype == np.float32


def test_a_seed_of_its_own_reaches_all_parts(scene):
    one, other, another = (
        small().set_params(random_state=seed).fit(scene.lights, scene.images).predict(scene.lights)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, another)


class TestScore:
    def test_is_r2_over_all_values(self, scene):
        relighter = Relighter(NearestPhotograph()).fit(scene.lights[::2], scene.images[::2])
        y, p = scene.images[1::2].astype(float), relighter.predict(scene.lights[1::2])
        expected = 1 - np.square(y - p).sum() / np.square(y - y.mean()).sum()
        assert relighter.score(scene.lights[1::2], scene.images[1::2]) == pytest.approx(expected, rel=1e-5)

    def test_weighs_photographs(self, scene):
        relighter = Relighter(NearestPhotograph()).fit(scene.lights[::2], scene.images[::2])
        lights, images = scene.lights[1::2], scene.images[1::2]
        weight = np.arange(10) < 4
        assert relighter.score(lights, images, sample_weight=weight) == pytest.approx(
            relighter.score(lights[:4], images[:4]), rel=1e-5
        )

    def test_refuses_other_shapes(self, scene):
        relighter = Relighter(NearestPhotograph()).fit(scene.lights, scene.images)
        with pytest.raises(ValueError, match="y has the shape"):
            relighter.score(scene.lights, scene.images[:, :5])


class TestNoLeak:
    def test_held_out_photographs_change_no_fitted_value(self, scene):
        train, test = next(KFold(5).split(scene.lights))
        changed = scene.images.copy()
        changed[test] = 50 * np.random.default_rng(0).random(changed[test].shape)
        one, other = (small().fit(scene.lights[train], images[train]) for images in (scene.images, changed))
        assert vars(one.transformer_) == vars(other.transformer_)
        tables = [relighter.regressor_.members_[0]["featurizer"].pixel_table_ for relighter in (one, other)]
        np.testing.assert_array_equal(*tables)
        np.testing.assert_array_equal(one.predict(scene.lights), other.predict(scene.lights))

    def test_held_out_photographs_change_no_fitted_value_within_cross_validation(self, scene):
        """The scores of one fold depend on that fold's own photographs and the training ones only."""
        folds = [(np.arange(10), np.arange(10, 15)), (np.arange(10), np.arange(15, 20))]
        changed = scene.images.copy()
        changed[15:] *= 3
        one, other = (cross_val_score(small(), scene.lights, images, cv=folds) for images in (scene.images, changed))
        assert one[0] == other[0]
        assert one[1] != other[1]

    def test_a_change_of_a_training_photograph_would_be_seen(self, scene):
        changed = scene.images.copy()
        changed[3] *= 2
        one, other = (small().fit(scene.lights, images) for images in (scene.images, changed))
        assert not np.array_equal(one.predict(scene.lights), other.predict(scene.lights))


class TestRegressorsOfScikitLearn:
    """Regressors that take tables are given photographs as rows of one."""

    REGRESSORS = [
        Ridge(1e-3),
        KNeighborsRegressor(3),
        GaussianProcessRegressor(alpha=1e-3, optimizer=None),
        ExtraTreesRegressor(5, random_state=0),
        Pipeline([("features", PolynomialFeatures()), ("ridge", Ridge(1e-3))]),
        GridSearchCV(Ridge(), {"alpha": [1e-3, 1.0]}, cv=2),
        BaggingRegressor(n_estimators=2, random_state=0),
    ]

    @pytest.mark.parametrize("regressor", REGRESSORS, ids=lambda regressor: type(regressor).__name__)
    @pytest.mark.parametrize("shape", [(9, 12, 3), (9, 12), (5,), ()], ids=str)
    def test_predict_what_they_predict_by_themselves(self, scene, regressor, shape):
        images = np.random.default_rng(0).random((20, 108 * 3))[:, : int(np.prod(shape))].reshape(20, *shape)
        predicted = Relighter(regressor).fit(scene.lights, images).predict(scene.lights[:4] + 0.1)
        encoder = LogExposureScaler()
        encoded = encoder.fit_transform(images.reshape(20, -1))
        alone = clone(regressor).fit(scene.lights, encoded if shape else encoded.ravel())
        # Nothing brighter or darker than all photographs is predicted.
        within = alone.predict(scene.lights[:4] + 0.1).reshape(4, -1).clip(encoded.min(), encoded.max())
        expected = encoder.inverse_transform(within)
        np.testing.assert_allclose(predicted, expected.reshape(4, *shape), rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize("regressor", REGRESSORS, ids=lambda regressor: type(regressor).__name__)
    def test_stand_beside_an_interpolation(self, scene, regressor):
        relighter = Relighter(regressor, interpolation=RBFInterpolation(), n_members=2, random_state=0)
        relighter.fit(scene.lights, scene.images)
        assert len(relighter.regressor_.members_) == 2
        relighter.regressor_.weight_, relighter.regressor_.brightness_limit_ = 1, None
        encoded = np.mean([member.predict(scene.lights) for member in relighter.regressor_.members_], axis=0)
        expected = relighter.transformer_.inverse_transform(encoded.reshape(scene.images.shape))
        np.testing.assert_allclose(relighter.predict(scene.lights), expected, rtol=1e-4, atol=1e-6)

    def test_may_be_interpolations(self, scene):
        relighter = Relighter(Ridge(), interpolation=KNeighborsRegressor(1), random_state=0)
        relighter.fit(scene.lights, scene.images)
        relighter.regressor_.weight_, relighter.regressor_.brightness_limit_ = 0, None
        np.testing.assert_allclose(relighter.predict(scene.lights), scene.images, rtol=1e-4, atol=1e-6)

    def test_are_searched_over(self, scene):
        relighter = Relighter(Ridge(), transformer=LogExposureScaler())
        search = GridSearchCV(relighter, {"regressor__alpha": [1e-3, 1.0], "transformer__exposure": [2, 4]})
        search.fit(scene.lights, scene.images)
        assert len({*search.cv_results_["mean_test_score"]}) == 4
        regressors = GridSearchCV(Relighter(), {"regressor": [Ridge(), KNeighborsRegressor()]}, cv=2)
        assert np.isfinite(regressors.fit(scene.lights, scene.images).cv_results_["mean_test_score"]).all()


class TestScoring:
    """scikit-learn's metrics refuse photographs."""

    @pytest.mark.parametrize("scoring", ["r2", "neg_mean_squared_error", {"one": "r2"}], ids=str)
    def test_by_a_metric_of_tables_says_at_once_what_to_use(self, scene, scoring):
        message = r"not photographs: leave scoring= out .*make_relative_error_scorer\(\)"
        relighter = Relighter(NearestPhotograph())
        with pytest.raises(ValueError, match=message):
            cross_validate(relighter, scene.lights, scene.images, scoring=scoring)
        search = GridSearchCV(relighter, {"check_inverse": [True, False]}, scoring=scoring, refit=False)
        with pytest.raises(ValueError, match=message):
            search.fit(scene.lights, scene.images)

    def test_what_is_named_works(self, scene):
        relighter = Relighter(NearestPhotograph())
        for scoring in (None, make_relative_error_scorer()):
            assert np.isfinite(cross_val_score(relighter, scene.lights, scene.images, scoring=scoring)).all()

    def test_by_a_metric_of_tables_is_for_tables(self, scene):
        for images in (scene.images[:, 3, 4], scene.images[:, 3, 4, 0]):
            assert np.isfinite(cross_val_score(Relighter(Ridge()), scene.lights, images, scoring="r2")).all()


class TestRecipes:
    def test_all_have_the_same_steps(self):
        for recipe in RECIPES:
            assert [*make_relighter(recipe).regressor.named_steps] == ["featurizer", "mlp"]

    def test_the_default_relighter_and_the_parts_say_the_same(self, scene):
        def parts(relighter):
            regressor = relighter._get_regressor()
            return {
                "transformer": relighter._get_transformer(),
                "featurizer": regressor.regressor["featurizer"],
                "mlp": regressor.regressor["mlp"],
                "interpolation": regressor.interpolation,
            }

        expected = {
            "transformer": LogExposureScaler(),
            "featurizer": PixelLightFeaturizer(),
            "mlp": RelightingMLPRegressor(),
            "interpolation": StackedRBFInterpolation(),
        }
        for relighter in (Relighter(), make_relighter()):
            for name, part in parts(relighter).items():
                assert type(part) is type(expected[name])
                assert part.get_params() == expected[name].get_params()
        own, made = Relighter().get_params(deep=False), make_relighter().get_params(deep=False)
        composed = {"regressor", "transformer", "interpolation"}
        assert {name: own[name] for name in own if name not in composed} == {
            name: made[name] for name in made if name not in composed
        }

    def test_the_interpolation_goes_with_the_default_regressor(self):
        assert isinstance(Relighter()._get_regressor().interpolation, StackedRBFInterpolation)
        assert Relighter(Ridge())._get_regressor().interpolation is None
        assert Relighter(interpolation=None)._get_regressor().interpolation is None
        given = NearestPhotograph()
        assert Relighter(Ridge(), interpolation=given)._get_regressor().interpolation is given

    def test_the_commonest_settings_are_arguments(self):
        relighter = make_relighter(max_observations=500, max_time=3, random_state=7, device="cpu", verbose=1)
        mlp = relighter.regressor["mlp"]
        assert (mlp.max_observations, mlp.max_time, mlp.device, mlp.verbose) == (500, 3, "cpu", 1)
        assert relighter.random_state == 7
        colburn = make_relighter("colburn2019", max_time=3).regressor["mlp"]
        assert (colburn.max_observations, colburn.max_time) == (None, 3)

    def test_no_two_models_share_a_part(self):
        one, other = make_relighter("colburn2019"), make_relighter("colburn2019")
        one.set_params(regressor__mlp__callbacks__stages__n_stages=1)
        assert other.get_params()["regressor__mlp__callbacks__stages__n_stages"] == 4
        assert make_relighter().interpolation is not make_relighter().interpolation

    def test_colburn2019_is_the_published_system(self, scene):
        relighter = make_relighter("colburn2019", random_state=0)
        relighter.set_params(regressor__mlp__max_observations=100)
        relighter.fit(scene.light_grid / 5, scene.images)
        assert relighter.regressor_.interpolation_ is None
        (member,) = relighter.regressor_.members_
        network = member["mlp"].net_.module_
        assert sum(parameter.numel() for parameter in network.parameters()) == 1_449_003
        parameters = relighter.get_params()
        published = {
            "transformer__exposure": 4,
            "transformer__gamma": 2.2,
            "transformer__curve": "power",
            "regressor__mlp__luminance_weight": 1,
            "regressor__mlp__relative_weight": 0.01,
            "regressor__mlp__learning_rate_init": 1e-3,
            "regressor__mlp__batch_size": 50_000,
            "regressor__mlp__callbacks__stages__n_stages": 4,
            "regressor__mlp__callbacks__stages__factor": 0.5,
            "regressor__mlp__callbacks__stages__max_epochs": 5,
            "regressor__mlp__callbacks__plateau__factor": 0.5,
        }
        assert {name: parameters[name] for name in published} == published
        assert relighter.predict(scene.light_grid[:1] / 5).shape == (1, 9, 12, 3)

    def test_colburn2019_has_four_stages_of_at_most_five_epochs(self, scene):
        relighter = make_relighter("colburn2019", random_state=0)
        relighter.set_params(
            regressor__mlp__hidden_layer_sizes=(8,), regressor__mlp__callbacks__stages__target_loss=0.0
        )
        (member,) = relighter.fit(scene.lights, scene.images).regressor_.members_
        history = member["mlp"].history_
        sizes = dict(zip(history[:, "stage"], history[:, "batch_size"], strict=True))
        assert sizes == {0: 50_000, 1: 25_000, 2: 12_500, 3: 6_250}
        assert history[:, "stage"].count(0) == 5
        assert all(1 <= history[:, "stage"].count(stage) <= 5 for stage in (1, 2, 3))
        # 20 photographs: 17 to train on, 3 to validate.
        assert member["mlp"].n_observations_ == 17 * 9 * 12 * len(history)

    def test_unknown_ones_are_refused(self):
        with pytest.raises(
            ValueError, match=r"recipe='fast' is not known; there are \['colburn2019', 'default', 'ren2015'\]"
        ):
            make_relighter("fast")


class TestSearch:
    def test_over_all_parts_with_two_workers(self, scene):
        grid = {
            "regressor__mlp__hidden_layer_sizes": [(8,), (16, 16)],
            "regressor__mlp__luminance_weight": [0, 1],
            "regressor__featurizer__n_components": [0, 4],
            "transformer__exposure": [2, 4],
        }
        relighter = small(max_observations=2000).set_params(interpolation=None)
        search = GridSearchCV(relighter, grid, cv=2, n_jobs=2).fit(scene.lights, scene.images)
        assert len(search.cv_results_["params"]) == 16
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert len(set(search.cv_results_["mean_test_score"])) > 8
        assert search.predict(scene.lights[:2]).shape == (2, 9, 12, 3)

    def test_over_the_interpolation(self, scene):
        grid = {"interpolation": [None, NearestPhotograph(), RBFInterpolation()], "n_members": [1, 2]}
        search = GridSearchCV(small(max_observations=2000), grid, cv=2).fit(scene.lights, scene.images)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        relighter = small(max_observations=2000).set_params(interpolation=StackedRBFInterpolation())
        search = GridSearchCV(relighter, {"interpolation__n_clusters": [1, 2]}, cv=2).fit(scene.lights, scene.images)
        assert len({*search.cv_results_["mean_test_score"]}) == 2

    def test_a_failing_candidate_gets_the_error_score(self, scene):
        grid = {"regressor__mlp__window_size": [1, 100]}
        search = GridSearchCV(small(max_observations=2000), grid, cv=2, error_score=-1e6)
        with pytest.warns(FitFailedWarning, match="(?s)2 fits failed.*window_size=100"):
            search.fit(scene.lights, scene.images)
        assert search.cv_results_["mean_test_score"][1] == -1e6
        assert search.best_params_ == {"regressor__mlp__window_size": 1}

    def test_a_failing_candidate_raises_on_request(self, scene):
        grid = {"regressor__mlp__window_size": [1, 100]}
        search = GridSearchCV(small(max_observations=2000), grid, cv=2, error_score="raise")
        with pytest.raises(ValueError, match="window_size=100 is larger than the image"):
            search.fit(scene.lights, scene.images)

    def test_clones_are_unfitted_and_equal(self, scene):
        fitted = small().fit(scene.lights, scene.images)
        copy = clone(fitted)
        assert not hasattr(copy, "regressor_")
        assert repr(copy) == repr(small())


def test_works_where_transformers_give_pandas(scene):
    with config_context(transform_output="pandas"):
        for images in (scene.images, scene.images.reshape(20, -1)[:, :5]):
            predicted = small(max_observations=2000).fit(scene.lights, images).predict(scene.lights)
            assert isinstance(predicted, np.ndarray)


def test_a_fit_that_failed_leaves_nothing_that_predicts(scene):
    relighter = small().fit(scene.lights, scene.images)
    with pytest.raises(ValueError, match="window_size=100"):
        relighter.set_params(regressor__mlp__window_size=100).fit(scene.lights, scene.images)
    with pytest.raises(NotFittedError):
        relighter.predict(scene.lights)


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda lights, images: (lights[1:], images), "19 lights X and 20 images y"),
            (lambda lights, images: (lights[:1], images[:1]), "1 sample"),
            (lambda lights, images: (lights, images - 1), "y: Negative values .* is not negative; got -"),
            (lambda lights, images: (lights, _with(images, np.nan)), "y contains NaN"),
            (lambda lights, images: (lights, _with(images, np.inf)), "y contains infinity"),
            (lambda lights, images: (_with(lights, np.nan), images), "X contains NaN"),
            (lambda lights, images: (_with(lights, np.inf), images), "X contains infinity"),
            (lambda lights, images: (lights[:, 0], images), "Expected 2D array, got 1D array instead"),
            (lambda lights, images: (lights, images[..., None]), r"images of shape \(20, 9, 12, 3, 1\): expected"),
            (lambda lights, images: (lights, images[:, :0]), "none of them 0"),
            (lambda lights, images: (lights, None), "requires y to be passed"),
            (lambda lights, images: (lights, images.astype(str)), "could not convert|dtype='numeric'"),
            (lambda lights, images: (lights.astype(complex), images), "Complex data not supported"),
        ],
    )
    def test_is_refused_before_any_work(self, scene, change, message):
        lights, images = change(scene.lights, scene.images)
        relighter = small()
        with pytest.raises(ValueError, match=message):
            relighter.fit(lights, images)
        assert not hasattr(relighter, "regressor_")

    def test_lights_of_another_width_are_refused_in_predict(self, scene):
        relighter = small().fit(scene.lights, scene.images)
        with pytest.raises(ValueError, match=r"X has 2 features, but \w+ is expecting 3 features"):
            relighter.predict(scene.lights[:, :2])
        with pytest.raises(ValueError, match="NaN"):
            relighter.predict(_with(scene.lights, np.nan))

    def test_a_transformer_that_is_no_inverse_is_warned_of(self, scene):
        halves = FunctionTransformer(np.sqrt, np.sqrt, check_inverse=False)
        with pytest.warns(UserWarning, match="does not return to the photographs"):
            Relighter(NearestPhotograph(), transformer=halves).fit(scene.lights, scene.images)

    @pytest.mark.parametrize("curve", ["log", "power"])
    def test_the_scaler_passes_the_inverse_check_silently(self, curve):
        images = np.geomspace(1e-10, 1, 4000, dtype=np.float32).reshape(20, 200)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            relighter = Relighter(NearestPhotograph(), transformer=LogExposureScaler(curve=curve))
            relighter.fit(np.arange(20.0).reshape(-1, 1), images)


def _with(array, value):
    array = array.copy()
    array.flat[7] = value
    return array


def test_images_are_not_changed(scene):
    before = scene.images.copy()
    small().fit(scene.lights, scene.images).score(scene.lights, scene.images)
    np.testing.assert_array_equal(scene.images, before)


def test_the_html_display_shows_the_parts(scene):
    for relighter in (small(), small().fit(scene.lights, scene.images), Relighter()):
        html = relighter._repr_html_()
        for name in ("LogExposureScaler", "PixelLightFeaturizer", "RelightingMLPRegressor"):
            assert name in html


INTERRUPTED = """
import numpy as np
from sklrelight import make_relighter
from sklrelight.datasets import make_scene

scene = make_scene(n_lights=9, image_shape=(12, 16), shadow_samples=1)
relighter = make_relighter(max_observations=10**9, random_state=0, verbose=2)
relighter.set_params(regressor__mlp__compile=False)
print("starting", flush=True)
try:
    relighter.fit(scene.lights, scene.images)
except KeyboardInterrupt:
    print("interrupted", relighter.interrupted_, np.isfinite(relighter.predict(scene.lights)).all())
"""


def test_ctrl_c_leaves_a_model_that_predicts():
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout.readline() == "starting\n"
    # The bar's first words with a loss tell that training is under way.
    shown = ""
    while "loss " not in shown:
        shown += (read := process.stderr.read(1))
        assert read, shown
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out == "interrupted True True\n"
    assert process.returncode == 0
