"""The benchmark of the published captures, on a small one in their layout."""

import doctest
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from sklrelight import LogExposureScaler
from sklrelight.recipes import RECIPES

pytest.importorskip("h5py")
pytest.importorskip("matplotlib").use("agg")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
benchmark = importlib.import_module("colburn2019")


@pytest.fixture
def small_network(monkeypatch):
    """Make the published network small: one batch of it takes seconds."""
    monkeypatch.setitem(RECIPES["colburn2019"]["mlp"], "hidden_layer_sizes", (32,) * 5)
    monkeypatch.setitem(RECIPES["colburn2019"]["mlp"], "batch_size", 500)


def test_examples():
    assert doctest.testmod(benchmark).failed == 0


def test_the_split_is_seeded_and_holds_out_two_fifths():
    fitted, test = benchmark.split(1024, 0)
    assert len(fitted) == 614
    assert sorted([*fitted, *test]) == list(range(1024))
    np.testing.assert_array_equal(fitted, benchmark.split(1024, 0)[0])
    assert not np.array_equal(fitted, benchmark.split(1024, 1)[0])


def test_errors_are_encoded_and_pooled():
    rng = np.random.default_rng(0)
    images = rng.random((50, 4, 5, 3)).astype(np.float32) ** 3
    predicted = np.clip(images + rng.normal(0, 0.05, images.shape), 0, 1).astype(np.float32)
    scaler = LogExposureScaler(exposure=4, curve="power").fit(images)

    class Predicts:
        def predict(self, lights):
            return predicted[lights[:, 0].astype(int)]

    each, pooled = benchmark.measure(Predicts(), scaler, np.arange(50.0)[:, None], images)
    difference = scaler.transform(predicted) - scaler.transform(images)
    expected = [np.square(difference).mean(), np.abs(difference).max()]
    expected.append(np.sqrt(np.square(difference).sum() / np.square(scaler.transform(images)).sum()))
    assert pooled == pytest.approx(expected, rel=1e-5)
    assert each[7].mean_squared_error == pytest.approx(np.square(difference[7]).mean(), rel=1e-5)
    assert max(errors.max_error for errors in each) == pooled.max_error


def test_a_short_run_on_a_small_capture(data_dir, tmp_path, capsys, small_network):
    folder = str(data_dir / "ltm_figure")
    shape = ["--image-shape", "29", "43"]
    shortened = ["--max-observations", "5000", "--epochs", "1"]
    benchmark.main([folder, *shape, "--downscale", "2", *shortened, "--output", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "1024 photographs of 14 x 21 pixels; 410 to test on" in shown
    rows = [line for line in shown.splitlines() if line.startswith(("| colburn2019", "| default"))]
    assert len(rows) == 4
    assert "published" not in shown
    for recipe in ("colburn2019", "default"):
        assert (tmp_path / f"ltm_figure_{recipe}.png").stat().st_size > 10_000


def test_published_errors_stand_beside_those_of_their_capture(data_dir, tmp_path, capsys, monkeypatch, small_network):
    small = benchmark.load_ltm(data_dir / "ltm_figure", (29, 43), downscale=4)
    monkeypatch.setitem(benchmark.FETCH, "bull", lambda downscale: small)
    benchmark.main(["bull", "--max-observations", "2000", "--output", str(tmp_path)])
    assert "| published, one test photograph | 1.045e-04 | 0.496 | 0.0558 |" in capsys.readouterr().out


def test_without_a_network_it_says_so_and_ends_well(monkeypatch, capsys):
    def fail(downscale):
        raise ConnectionError("no network")

    monkeypatch.setitem(benchmark.FETCH, "waldorf", fail)
    benchmark.main(["waldorf"])
    assert "waldorf cannot be fetched, nothing was measured: no network" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        benchmark.main([str(tmp_path / "nothing")])
    assert stopped.value.code == 2
    assert "No such folder" in capsys.readouterr().err
