"""What load_model makes of damaged files, and of files whose checksum fits but that lie."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import hostile_files
import numpy as np
import pytest

from sklrelight import Relighter, make_relighter, save_model
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")

RNG = np.random.default_rng(0)
LIGHTS = RNG.normal(size=(9, 3)) * [1, 1, 0.2] + [0, 0, 1]
LIGHTS /= np.linalg.norm(LIGHTS, axis=1, keepdims=True)
IMAGES = RNG.random((9, 4, 6, 3))


def small(recipe):
    sizes = (16, 16) if recipe == "default" else (24,)
    parameters = {"hidden_layer_sizes": sizes, "max_observations": 500, "batch_size": 50}
    relighter = make_relighter(recipe, random_state=0)
    return relighter.set_params(**{f"regressor__mlp__{name}": value for name, value in parameters.items()})


MODELS = {
    "default": small("default"),
    "colburn2019": small("colburn2019").set_params(regressor__mlp__normalization="batch"),
    "ren2015": make_relighter("ren2015", random_state=0).set_params(regressor__mlp__n_steps=10),
    "nearest": Relighter(NearestPhotograph()),
    "rbf": Relighter(RBFInterpolation()),
    "quintic": Relighter(RBFInterpolation("quintic", smoothing=0.1)),
    "stacked": Relighter(StackedRBFInterpolation(n_clusters=3, random_state=0)),
    "pretrained": Relighter(PretrainedInterpolation()),
    "linear": Relighter(LinearInterpolation()),
    "ptm": Relighter(PolynomialTextureMap()),
    "hsh": Relighter(HemisphericalHarmonics()),
}


def read_mutations(name, n_files, folder, seed=0):
    """Save a model, make files out of it, half of them damaged, half of them lying, and have a process read them."""
    lights = LIGHTS * 3 if name == "linear" else LIGHTS
    model = MODELS[name].fit(lights, IMAGES)
    original = folder / "original.zip"
    save_model(model, original)
    np.save(folder / "lights.npy", lights[:2] * 0.995)
    np.save(folder / "predicted.npy", model.predict(lights[:2] * 0.995))
    rng = np.random.default_rng(seed)
    data, files = original.read_bytes(), folder / "files"
    files.mkdir()
    for i in range(n_files):
        mutate, kind = ((hostile_files.damage, "damaged"), (hostile_files.deceive, "lying"))[i % 2]
        (files / f"{i:04}_{kind}").write_bytes(mutate(data, rng))
    (files / "whole").write_bytes(hostile_files.join(*hostile_files.split(data)))
    arguments = [files, original, folder / "lights.npy", folder / "predicted.npy"]
    command = [sys.executable, hostile_files.__file__, *map(str, arguments)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(run.stdout)
    return found, max(path.stat().st_size for path in files.iterdir())


def check(found, n_bytes):
    results = found["results"]
    print(n_bytes, found["growth"], Counter((name.split("_")[-1], outcome) for name, (outcome, _) in results.items()))
    assert results.pop("whole")[0] == "equal"
    assert found["events"] == [], set(found["events"])
    # Beside what the file's size bounds, a block of observations and what libraries keep.
    assert found["growth"] < 2**23 + 10 * n_bytes
    for name, (outcome, message) in results.items():
        if name.endswith("damaged"):
            assert outcome in ("refused", "equal"), (name, message)
        # A lie may make another model, but one that predicts such photographs.
        elif outcome == "another":
            assert message == str(IMAGES.shape[1:]), name


@pytest.mark.parametrize("name", ["default", "linear"])
def test_mutated_files_are_refused_or_predict(name, tmp_path):
    found, n_bytes = read_mutations(name, 60, tmp_path)
    check(found, n_bytes)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_thousand_mutated_files_are_refused_or_predict(name, tmp_path):
    found, n_bytes = read_mutations(name, 1000 if name == "default" else 250, tmp_path, seed=1)
    check(found, n_bytes)
