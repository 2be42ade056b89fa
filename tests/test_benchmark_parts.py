"""The benchmarks of the parts of the default recipe, and of photographs as codes."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from sklrelight.datasets import make_scene

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
ablations, codes, sets = (importlib.import_module(name) for name in ("ablations", "codes", "accuracy_sets"))


@pytest.fixture(scope="module")
def split():
    scene = make_scene(n_lights=24, image_shape=(16, 24))
    white = float(np.percentile(scene.images, 99.5))
    return sets.Split(scene.lights[:16], scene.images[:16], scene.lights[16:], scene.images[16:], white)


def test_each_part_can_be_left_out(split, monkeypatch):
    monkeypatch.setattr(ablations, "OBSERVATIONS", 60_000)
    results = {("scene", 16, variant): ablations.measure(split, variant, 0) for variant in ablations.VARIANTS}
    errors = [result["error"] for result in results.values()]
    assert all(0 < error < 1 for error in errors)
    # Each variant is another model.
    assert len(set(errors)) == len(errors)
    table = ablations.make_table(results, list(ablations.VARIANTS)).splitlines()
    assert len(table) == 4
    assert len({row.count("|") for row in table}) == 1


def test_codes_are_compared_with_photographs(split):
    results = codes.measure(split, 0)
    assert len(results) == len(codes.WANTED)
    assert [n_codes for *_, n_codes in results[1:]] == sorted((n_codes for *_, n_codes in results[1:]), reverse=True)
    # The more exact, the nearer to the error from the photographs.
    assert abs(results[1][0] - 1) <= abs(results[-1][0] - 1) < 0.5
