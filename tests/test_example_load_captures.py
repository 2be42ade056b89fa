"""The example loads one capture in each layout and draws its contact sheet."""

import runpy
import sys
from pathlib import Path

import pytest
from capture_files import pixels, write_capture

from sklrelight.datasets import load_image

EXAMPLE = Path(__file__).parents[1] / "examples" / "load_captures.py"


def test_one_in_each_layout(tmp_path, monkeypatch, capsys):
    for module in ["h5py", "OpenEXR", "matplotlib"]:
        pytest.importorskip(module)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "--output", str(tmp_path)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert all(" 36 x " in line for line in lines[1:7])
    assert load_image(tmp_path / "captures.png").std() > 0.1


def test_a_capture_of_ones_own(tmp_path, monkeypatch, capsys):
    for module in ["h5py", "matplotlib"]:
        pytest.importorskip(module)
    write_capture(tmp_path / "mine", pixels())
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path / "mine"), "--output", str(tmp_path)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "3 x 5 x 7 x 3" in capsys.readouterr().out
