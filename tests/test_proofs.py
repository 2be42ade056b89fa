"""The long proofs of the core: accuracy on a real capture, memory and rate. Run by ``make proof``."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sklrelight import Relighter, make_relighter
from sklrelight.datasets import load_rti
from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import relative_error

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def test_the_network_alone_halves_the_nearest_photographs_error(data_dir):
    capture = load_rti(data_dir / "realrti_item3")
    test = np.zeros(len(capture.lights), bool)
    test[2::5] = True
    lights, images = capture.lights, capture.images
    nearest = Relighter(NearestPhotograph()).fit(lights[~test], images[~test])
    start = time.perf_counter()
    relighter = make_relighter(random_state=0).set_params(interpolation=None)
    relighter.fit(lights[~test], images[~test])
    assert time.perf_counter() - start < 90
    errors = [relative_error(images[test], model.predict(lights[test])) for model in (relighter, nearest)]
    assert errors[0] < 0.45 * errors[1]


FIT = """
import re, sys
from pathlib import Path
import numpy as np
from sklrelight import make_relighter

def peak():
    # Not getrusage's: that one begins with the peak of the process that started this one.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

imported = peak()
with np.load(sys.argv[1]) as capture:
    lights, images = capture["light_positions"], capture["images"]
relighter = make_relighter(max_observations=500_000, random_state=0)
relighter.fit(lights, images)
print((peak() - imported) / (images.size * 4))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_fitting_takes_less_than_three_float32_stacks_of_memory(data_dir):
    command = [sys.executable, "-c", FIT, data_dir / "figure_olat.npz"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print("peak memory of fitting, in float32 image stacks:", shown)
    assert float(shown) < 3


def test_the_library_trains_at_the_rate_of_a_loop_by_hand():
    command = [sys.executable, ROOT / "benchmarks" / "training_rate.py", "--repeats", "5", "--seconds", "4"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
    print(shown)
    ratios = [float(row.split("|")[6].split(",")[0]) for row in shown.splitlines() if row.startswith(("| 3", "| 5"))]
    assert len(ratios) >= 2
    assert min(ratios) >= 0.9


def test_training_and_predicting_reach_their_shares_of_a_bare_product_at_any_number_of_observations():
    command = [sys.executable, ROOT / "benchmarks" / "throughput.py", "--repeats", "5", "--seconds", "8"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
    print(shown)
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in shown.splitlines() if row.startswith("|")]
    published = next(row for row in rows if row[0] == "5 x 600")
    assert float(published[4]) >= 0.8
    assert float(published[6]) >= 0.7
    against_1_million = next(row for row in rows if row[0] == "10 M")[2]
    assert 1 / 1.15 <= float(against_1_million) <= 1.15
