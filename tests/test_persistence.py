import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from skorch.exceptions import DeviceWarning

from sklrelight import Relighter, load_model, make_relighter, save_model
from sklrelight.datasets import make_scene
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.interpolation._equations import Equations

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
    relighter = make_relighter(max_observations=10_000, random_state=0)
    return relighter.fit(scene.lights, scene.images)


def test_another_process_predicts_the_same_bytes(scene, relighter, tmp_path):
    model, lights, result = (tmp_path / name for name in ("model.joblib", "lights.npy", "result.npy"))
    joblib.dump(relighter, model)
    np.save(lights, scene.lights + 0.01)
    subprocess.run([sys.executable, "-c", LOAD_AND_PREDICT, model, lights, result], check=True)
    assert np.load(result).tobytes() == relighter.predict(scene.lights + 0.01).tobytes()


def test_the_same_seed_in_another_fit_gives_the_same_bytes(scene, relighter):
    again = make_relighter(max_observations=10_000, random_state=0)
    again.fit(scene.lights, scene.images)
    assert again.predict(scene.lights).tobytes() == relighter.predict(scene.lights).tobytes()


def needed_bytes(relighter):
    """Sum up the arrays that predicting takes: networks, table of pixels, photographs or what stands for them."""
    parts, needed = [relighter.regressor_.interpolation_, relighter.regressor_.pretrained_], 0
    for member in relighter.regressor_.members_:
        if isinstance(member, Pipeline):
            needed += member["featurizer"].pixel_table_.nbytes
            needed += sum(value.nbytes for value in member["mlp"].net_.module_.state_dict().values())
        else:
            parts.append(member)
    for part in parts:
        arrays = [getattr(part, name, None) for name in ("images_", "coefficients_", "_solution", "clusters_")]
        # The equations: two matrices of the number of lights for each kernel. A mean of interpolations has several.
        equations = getattr(part, "_equations", [])
        different = [equations] if isinstance(equations, Equations) else [own for own, _ in equations]
        arrays += [array for e in different for array in (e._vectors, e._range, e._range_values)]
        needed += sum(array.nbytes for array in arrays if array is not None)
    return needed


@pytest.fixture(
    scope="module",
    params=[
        make_relighter(max_observations=2000, random_state=0),
        make_relighter("colburn2019", max_observations=2000, random_state=0),
        Relighter(NearestPhotograph()),
        Relighter(RBFInterpolation()),
        Relighter(StackedRBFInterpolation(random_state=0)),
        Relighter(PretrainedInterpolation()),
        Relighter(LinearInterpolation()),
        Relighter(PolynomialTextureMap()),
        Relighter(HemisphericalHarmonics()),
    ],
    ids=["default", "colburn2019", "nearest", "rbf", "stacked", "pretrained", "linear", "ptm", "hsh"],
)
def any_model(request):
    rng = np.random.default_rng(0)
    lights = rng.normal(size=(40, 3)) * [1, 1, 0.2] + [0, 0, 1]
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    return clone(request.param).fit(lights, rng.random((40, 32, 40, 3), np.float32))


@pytest.mark.parametrize("write", [joblib.dump, save_model])
def test_a_file_holds_little_but_the_arrays_that_predicting_takes(any_model, write, tmp_path):
    path = tmp_path / "model"
    write(any_model, path)
    excess = path.stat().st_size / needed_bytes(any_model) - 1
    print(f"{path.stat().st_size} bytes, {excess:.1%} more than the arrays")
    assert excess < 0.1


@pytest.mark.parametrize(
    "regressor",
    [NearestPhotograph(), RBFInterpolation(), StackedRBFInterpolation(random_state=0), PretrainedInterpolation()],
)
def test_a_file_holds_photographs_of_8_bits_in_8_bits(regressor, tmp_path):
    rng = np.random.default_rng(0)
    lights, bits = 0.7 * rng.random((20, 2)), rng.integers(0, 256, (20, 50, 40, 3))
    model = Relighter(regressor).fit(lights, (bits / 255) ** 2.2)
    save_model(model, tmp_path / "model")
    # The weights of the stacked interpolation's candidates come to it.
    assert (tmp_path / "model").stat().st_size < 1.15 * bits.size + 50_000
    assert load_model(tmp_path / "model").predict(lights).tobytes() == model.predict(lights).tobytes()


def test_a_loaded_model_keeps_its_history(relighter, tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump(relighter, path)
    loaded, own = (some.regressor_.members_[0]["mlp"].history_ for some in (joblib.load(path), relighter))
    assert loaded[:, "train_loss"] == own[:, "train_loss"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_model_from_cuda_loads_without_it(scene, relighter, tmp_path):
    path = tmp_path / "model.joblib"
    net = relighter.regressor_.members_[0]["mlp"].net_
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
