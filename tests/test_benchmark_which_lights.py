"""The benchmark of choosing lights, on a small capture."""

import doctest
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
benchmark = importlib.import_module("which_lights")
accuracy_sets = importlib.import_module("accuracy_sets")


@pytest.fixture(scope="module")
def records():
    lights = np.stack(np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 4)), axis=-1).reshape(-1, 2)
    rows, columns = np.mgrid[0:9, 0:12] / 5 - 1
    distances = np.hypot(lights[:, 0, None, None] - columns, lights[:, 1, None, None] - rows)
    images = np.exp(-distances)[..., None]
    split = accuracy_sets.Split(lights, images, lights[:0], images[:0], white=None)
    return [{"capture": "waves"} | record for record in benchmark.measure(split, numbers=(5, 15), n_draws=3)]


def test_doctests():
    assert doctest.testmod(benchmark).failed == 0


def test_each_method_is_measured_with_each_model_unless_nearly_all_lights_are_chosen(records):
    assert [(record["k"], record["model"]) for record in records] == [(5, name) for name in benchmark.MODELS]
    for record in records:
        assert len(record["random"]) == 3 and set(record["errors"]) == set(benchmark.METHODS)
        assert all(0 <= error < 1 for error in record["errors"].values())


def test_ratios_are_means_over_captures(records):
    first = records[0]
    halved = first | {"capture": "half", "errors": {name: error / 4 for name, error in first["errors"].items()}}
    ratios = benchmark.summarize([first, halved])
    expected = first["errors"]["error"] / np.mean(first["random"]) / 2
    assert ratios[first["model"], 5]["error"] == pytest.approx(expected)
    assert ratios[first["model"], 5]["captures"] == 2


def test_the_report_has_tables_of_both_models(records):
    text = benchmark.report(records)
    assert all(f"## {name}" in text for name in benchmark.MODELS)
    assert "| 5 | " in text and "| waves | " in text
