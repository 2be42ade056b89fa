import importlib
import sys
from pathlib import Path

import pytest

from sklrelight import make_relighter

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
size = importlib.import_module("size")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("large", [size.LARGE, 100])
def test_measures_every_step_of_a_small_capture(tmp_path, monkeypatch, large):
    (tmp_path / "capture").mkdir()
    size.write_capture(tmp_path / "capture", megapixels=0.003, n_lights=9)
    monkeypatch.setattr(size, "LARGE", large)
    monkeypatch.setattr(size, "make_relighter", lambda **given: make_relighter(max_observations=20_000, **given))
    record = size.measure_capture(tmp_path / "capture", tmp_path)
    assert (len(list((tmp_path / "page").iterdir())) > 1) == (large == 100)
    assert record["shape"] == (9, 45, 67, 3)
    assert set(record["steps"]) == set(size.STEPS)
    assert all(step["processor"] >= 0 for step in record["steps"].values())
    table = size.make_table([record, record]).splitlines()
    assert len(table) == 4
    assert len({row.count("|") for row in table}) == 1
    size.plot([record, record], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_compares_what_is_left_out_at_each_size(tmp_path, monkeypatch):
    size.write_capture(tmp_path, megapixels=0.003, n_lights=9)
    monkeypatch.setattr(size, "make_relighter", lambda **given: make_relighter(max_observations=20_000, **given))
    record = size.measure_accuracy(tmp_path)
    assert record["shape"] == (9, 45, 67, 3)
    assert 0 < record["error"] < 0.5
    doubled = record | {"shape": (9, 90, 67, 3), "error": 2 * record["error"]}
    assert size.make_accuracy_table([doubled, record]).splitlines()[2].endswith("| 2.000 |")
