"""The same search on a cluster, one of whose workers is killed; and predicting over its workers."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, KFold

from sklrelight import ImageStack, make_relighter, predict_to_stack
from sklrelight.datasets import make_scene

distributed = pytest.importorskip("distributed")

# What a cluster has to say about workers that end is no fault of the code under test.
pytestmark = pytest.mark.filterwarnings("ignore:::distributed", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def cluster():
    # With 1 thread each, which dask also gives to the workers' arithmetic.
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def quick(n_observations):
    relighter = make_relighter(max_observations=n_observations, random_state=0)
    return relighter.set_params(regressor__mlp__hidden_layer_sizes=(32, 32), interpolation=None)


def kill_one_at_work(client, killed):
    """As soon as a worker has been at its second task or a later one, end its process."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        at_work = [worker for worker, tasks in client.processing().items() if tasks]
        done = sum(key.startswith("batch") for keys in client.has_what().values() for key in map(str, keys))
        if at_work and done:
            process = client.run(os.getpid, workers=at_work[:1])[at_work[0]]
            os.kill(process, signal.SIGKILL)
            killed.append(process)
            return
        time.sleep(0.02)


def test_a_search_ends_as_the_serial_one_though_a_worker_is_killed(cluster, tmp_path):
    scene = make_scene(n_lights=18, image_shape=(24, 32), shadow_samples=1)
    np.save(tmp_path / "stack.npy", scene.images)
    stack = ImageStack(tmp_path / "stack.npy")
    grid = {"regressor__mlp__luminance_weight": [0, 1], "transformer__exposure": [1, 4]}
    serial = GridSearchCV(quick(30_000), grid, cv=KFold(3)).fit(scene.lights, stack)
    killed = []
    killer = threading.Thread(target=kill_one_at_work, args=(cluster, killed))
    search = GridSearchCV(quick(30_000), grid, cv=KFold(3), n_jobs=-1)
    killer.start()
    # Each worker has the lights: what only one of them has is lost with it.
    with parallel_config(backend="dask", scatter=[scene.lights]):
        search.fit(scene.lights, stack)
    killer.join()
    assert len(killed) == 1
    assert search.best_params_ == serial.best_params_
    scores, expected = (found.cv_results_["mean_test_score"] for found in (search, serial))
    np.testing.assert_allclose(scores, expected, rtol=0.01)
    if os.environ.get("OMP_NUM_THREADS") == "1":
        np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize("suffix", [".npy", ".zarr"])
def test_workers_write_what_they_predict(cluster, tmp_path, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    scene = make_scene(n_lights=9, image_shape=(12, 16), shadow_samples=1)
    model = quick(2000).fit(scene.lights, scene.images)
    lights = np.random.default_rng(0).uniform(-1, 1, (20, 3)) + scene.lights.mean(axis=0)
    with parallel_config(backend="dask"):
        predicted = predict_to_stack(model, lights, tmp_path / f"predicted{suffix}", n_jobs=-1)
    np.testing.assert_allclose(np.asarray(predicted), model.predict(lights), rtol=1e-5)
