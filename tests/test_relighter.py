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
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.preprocessing import FunctionTransformer

from sklrelight import LogExposureScaler, Relighter, make_relighter
from sklrelight import relighter as relighter_module
from sklrelight.datasets import make_scene
from sklrelight.interpolation import NearestPhotograph
from sklrelight.recipes import RECIPES


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=20, image_shape=(9, 12), shadow_samples=4)


def small(recipe="default", **parameters):
    """Return a recipe that is over in a moment."""
    parameters = {"hidden_layer_sizes": (24,), "max_observations": 20_000, **parameters}
    relighter = make_relighter(recipe, random_state=0)
    return relighter.set_params(**{f"regressor__mlp__{name}": value for name, value in parameters.items()})


class TestPrediction:
    @pytest.mark.parametrize("shape", [(9, 12, 3), (9, 12, 1), (9, 12), (5,), (1,), ()], ids=str)
    def test_has_the_shape_of_the_photographs(self, scene, shape):
        images = np.random.default_rng(0).random((20, *shape))
        predicted = small().fit(scene.lights, images).predict(scene.lights[:3])
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
    unseeded = small().set_params(regressor__featurizer__random_state=None, regressor__mlp__random_state=None)
    one, other = (
        clone(unseeded).set_params(random_state=seed).fit(scene.lights, scene.images).predict(scene.lights)
        for seed in (3, 3)
    )
    np.testing.assert_array_equal(one, other)
    another = clone(unseeded).set_params(random_state=4).fit(scene.lights, scene.images).predict(scene.lights)
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
        tables = [relighter.regressor_["featurizer"].pixel_table_ for relighter in (one, other)]
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


class TestRecipes:
    def test_all_have_the_same_steps(self):
        for recipe in RECIPES:
            assert [*make_relighter(recipe).regressor.named_steps] == ["featurizer", "mlp"]

    def test_the_default_is_what_relighter_is_without_arguments(self, scene):
        lights, images = scene.lights[:3], scene.images[:3, :2, :2]
        relighter = Relighter().fit(lights, images)
        default = make_relighter().fit(lights, images)
        assert repr(relighter.transformer_) == repr(default.transformer_)
        assert repr(relighter.regressor_) == repr(default.regressor_)

    def test_colburn2019_is_the_published_system(self, scene):
        relighter = make_relighter("colburn2019", random_state=0)
        relighter.set_params(regressor__mlp__max_epochs=1, regressor__mlp__n_stages=1)
        relighter.fit(scene.light_grid / 5, scene.images)
        network = relighter.regressor_["mlp"].net_.module_
        assert sum(parameter.numel() for parameter in network.parameters()) == 1_449_003
        parameters = relighter.get_params()
        published = {
            "transformer__exposure": 4,
            "transformer__gamma": 2.2,
            "transformer__curve": "power",
            "regressor__mlp__mse_weight": 1,
            "regressor__mlp__luminance_weight": 1,
            "regressor__mlp__relative_weight": 0.01,
            "regressor__mlp__learning_rate_init": 1e-3,
        }
        assert {name: parameters[name] for name in published} == published
        assert relighter.predict(scene.light_grid[:1] / 5).shape == (1, 9, 12, 3)

    def test_colburn2019_has_four_stages_of_at_most_five_epochs(self, scene):
        relighter = make_relighter("colburn2019", random_state=0)
        relighter.set_params(regressor__mlp__hidden_layer_sizes=(8,), regressor__mlp__target_loss=0.0)
        history = relighter.fit(scene.lights, scene.images).regressor_["mlp"].history_
        sizes = dict(zip(history[:, "stage"], history[:, "batch_size"], strict=True))
        assert sizes == {0: 50_000, 1: 25_000, 2: 12_500, 3: 6_250}
        assert history[:, "stage"].count(0) == 5
        assert all(1 <= history[:, "stage"].count(stage) <= 5 for stage in (1, 2, 3))
        # 20 photographs: 17 to train on, 3 to validate.
        assert relighter.regressor_["mlp"].n_observations_ == 17 * 9 * 12 * len(history)

    def test_unknown_ones_are_refused(self):
        with pytest.raises(ValueError, match=r"recipe='fast' is not known; there are \['colburn2019', 'default'\]"):
            make_relighter("fast")


class TestSearch:
    def test_over_all_parts_with_two_workers(self, scene):
        grid = {
            "regressor__mlp__hidden_layer_sizes": [(8,), (16, 16)],
            "regressor__mlp__luminance_weight": [0, 1],
            "regressor__featurizer__n_components": [0, 4],
            "transformer__exposure": [2, 4],
        }
        search = GridSearchCV(small(max_observations=2000), grid, cv=2, n_jobs=2).fit(scene.lights, scene.images)
        assert len(search.cv_results_["params"]) == 16
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert len(set(search.cv_results_["mean_test_score"])) > 8
        assert search.predict(scene.lights[:2]).shape == (2, 9, 12, 3)

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
            predicted = small().fit(scene.lights, images).predict(scene.lights)
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
        with pytest.raises(ValueError, match="X has 2 features, but PixelLightFeaturizer is expecting 3 features"):
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
relighter = make_relighter(random_state=0, verbose=1)
relighter.set_params(regressor__mlp__max_epochs=10**6, regressor__mlp__max_observations=None)
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
    while "loss=" not in shown:
        shown += process.stderr.read(1)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out == "interrupted True True\n"
    assert process.returncode == 0
