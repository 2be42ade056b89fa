import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from skorch.exceptions import DeviceWarning

from sklrelight import make_relighter
from sklrelight.datasets import make_scene

LOAD_AND_PREDICT = """
import sys
import joblib, numpy as np
model, lights, result = sys.argv[1:]
np.save(result, joblib.load(model).predict(np.load(lights)))
"""


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=12, image_shape=(9, 12), shadow_samples=1)


@pytest.fixture(scope="module")
def relighter(scene):
    relighter = make_relighter(random_state=0).set_params(regressor__mlp__max_observations=10_000)
    return relighter.fit(scene.lights, scene.images)


def test_another_process_predicts_the_same_bytes(scene, relighter, tmp_path):
    model, lights, result = (tmp_path / name for name in ("model.joblib", "lights.npy", "result.npy"))
    joblib.dump(relighter, model)
    np.save(lights, scene.lights + 0.01)
    subprocess.run([sys.executable, "-c", LOAD_AND_PREDICT, model, lights, result], check=True)
    assert np.load(result).tobytes() == relighter.predict(scene.lights + 0.01).tobytes()


def test_the_same_seed_in_another_fit_gives_the_same_bytes(scene, relighter):
    again = make_relighter(random_state=0).set_params(regressor__mlp__max_observations=10_000)
    again.fit(scene.lights, scene.images)
    assert again.predict(scene.lights).tobytes() == relighter.predict(scene.lights).tobytes()


def test_the_file_holds_what_predicting_needs_only(relighter, tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump(relighter, path)
    mlp = relighter.regressor_["mlp"]
    needed = sum(parameter.nbytes for net in mlp.nets_ for parameter in net.module_.parameters())
    needed += relighter.regressor_["featurizer"].pixel_table_.nbytes
    # The interpolation is a mean of the photographs.
    needed += mlp.interpolation_.images_.nbytes
    # No optimiser state; beside the arrays are weights of the interpolation, names, parameters and histories.
    assert path.stat().st_size < 1.1 * needed + 40_000 * len(mlp.nets_)


def test_a_loaded_model_keeps_its_history(relighter, tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump(relighter, path)
    history = joblib.load(path).regressor_["mlp"].history_
    assert history[:, "train_loss"] == relighter.regressor_["mlp"].history_[:, "train_loss"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_model_from_cuda_loads_without_it(scene, relighter, tmp_path):
    path = tmp_path / "model.joblib"
    net = relighter.regressor_["mlp"].net_
    net.device = "cuda"
    try:
        joblib.dump(relighter, path)
    finally:
        net.device = "cpu"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = joblib.load(path)
    assert any('on device "cpu" instead' in str(warning.message) for warning in caught)
    assert {warning.category for warning in caught} == {DeviceWarning}
    np.testing.assert_array_equal(loaded.predict(scene.lights), relighter.predict(scene.lights))
