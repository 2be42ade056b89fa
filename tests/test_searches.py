"""Searches over photographs on disk: nothing is copied into the workers, and they share the cores."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, cpu_count, delayed
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold, RandomizedSearchCV

from sklrelight import ImageStack, make_relighter, predict_to_stack
from sklrelight.datasets import make_scene
from sklrelight.interpolation import StackedRBFInterpolation
from sklrelight.stacks import _inputs

SEARCH = Path(__file__).with_name("search_stack.py")


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=18, image_shape=(12, 16), shadow_samples=1)


@pytest.fixture
def stack(tmp_path, scene):
    np.save(tmp_path / "stack.npy", scene.images)
    return ImageStack(tmp_path / "stack.npy")


def quick(interpolation=None):
    relighter = make_relighter(max_observations=3000, random_state=0)
    sizes = {"regressor__mlp__hidden_layer_sizes": (16,), "regressor__mlp__pixel_layer_sizes": (8,)}
    return relighter.set_params(**sizes, interpolation=interpolation, n_members=1)


GRID = {"regressor__mlp__luminance_weight": [0, 1], "regressor__featurizer__n_components": [0, 4]}
SEARCHES = [
    lambda n_jobs: GridSearchCV(quick(), GRID, cv=KFold(3), n_jobs=n_jobs),
    lambda n_jobs: GridSearchCV(
        quick(StackedRBFInterpolation()), {"interpolation__n_clusters": [2]}, cv=KFold(3), n_jobs=n_jobs
    ),
    lambda n_jobs: RandomizedSearchCV(quick(), GRID, n_iter=3, cv=KFold(3), random_state=0, n_jobs=n_jobs),
    lambda n_jobs: HalvingGridSearchCV(
        quick(), GRID, cv=KFold(3), resource="regressor__mlp__max_observations", max_resources=4000, n_jobs=n_jobs
    ),
    lambda n_jobs: HalvingGridSearchCV(quick(), GRID, cv=KFold(3), min_resources=9, random_state=0, n_jobs=n_jobs),
]


@pytest.mark.parametrize(
    "make", SEARCHES, ids=["grid", "interpolation", "randomized", "halving", "halving photographs"]
)
def test_searches_over_a_file_score_as_over_the_photographs(scene, stack, make):
    found = make(1).fit(scene.lights, stack)
    expected = make(1).fit(scene.lights, scene.images)
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])


def test_two_workers_find_what_one_finds(scene, stack):
    one, two = (SEARCHES[0](n_jobs).fit(scene.lights, stack) for n_jobs in (1, 2))
    assert one.best_params_ == two.best_params_
    np.testing.assert_allclose(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"], rtol=0.01)


def test_a_fold_of_a_file_is_no_copy(stack):
    rows = np.arange(18) % 3 > 0
    assert len(pickle.dumps(stack[rows])) < 2000


THREADS = """
import os
from joblib import Parallel, delayed
import torch

def n_threads(nested=False):
    own = torch.get_num_threads()
    return [own, *Parallel(n_jobs=2)(delayed(n_threads)() for _ in range(2))] if nested else own

print(Parallel(n_jobs=2)(delayed(n_threads)(nested) for nested in (False, True)))
"""


def test_workers_divide_torchs_threads_among_them(tmp_path):
    """joblib's workers each get a part of the cores; what they start themselves are threads that share it."""
    script = tmp_path / "threads.py"
    script.write_text(THREADS)
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    shown = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True, env=environment).stdout
    share = max(1, cpu_count() // 2)
    assert shown.strip() == f"[{share}, [{share}, {share}, {share}]]"


@pytest.mark.parametrize("suffix", [".npy", ".zarr"])
def test_many_lights_are_predicted_into_a_file(tmp_path, scene, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    model = quick(StackedRBFInterpolation()).fit(scene.lights, scene.images)
    lights = scene.lights[:7] + 0.05
    predicted = predict_to_stack(model, lights, tmp_path / f"predicted{suffix}", n_jobs=2)
    np.testing.assert_allclose(np.asarray(predicted), model.predict(lights), rtol=1e-5, atol=1e-7)
    assert [path.name for path in tmp_path.iterdir()] == [f"predicted{suffix}"]
    half = predict_to_stack(model, lights, tmp_path / f"half{suffix}", dtype="float16")
    np.testing.assert_allclose(np.asarray(half), model.predict(lights), rtol=1e-3, atol=1e-6)
    assert half.dtype == np.float16


def test_a_failure_leaves_no_file(tmp_path, scene):
    model = quick().fit(scene.lights, scene.images)
    with pytest.raises(ValueError, match="features"):
        predict_to_stack(model, scene.lights[:, :2], tmp_path / "predicted.npy")
    one_pixel = quick().fit(scene.lights, scene.images[:, 0, 0])
    with pytest.raises(ValueError, match=r"values of shape \(3,\), expected photographs"):
        predict_to_stack(one_pixel, scene.lights, tmp_path / "predicted.npy")
    assert not [*tmp_path.iterdir()]


def test_large_arrays_that_joblib_maps_are_fitted_as_in_memory(scene, monkeypatch):
    """A map of what was in memory goes the way of what is: the file is gone after the search."""
    monkeypatch.setattr(_inputs, "_IN_MEMORY_VALUES", 10)
    fitted = Parallel(n_jobs=2, max_nbytes=1000, mmap_mode="r")(
        delayed(_fit)(scene.lights, scene.images) for _ in range(2)
    )
    expected = quick().fit(scene.lights, scene.images).predict(scene.lights)
    for model in fitted:
        np.testing.assert_allclose(model.predict(scene.lights), expected, rtol=0.05, atol=1e-3)


def _fit(lights, images):
    _inputs._IN_MEMORY_VALUES = 10
    return quick().fit(lights, images)
