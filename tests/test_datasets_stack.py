"""Filling stacks: in a file as in memory, on all cores, with constant memory."""

import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from capture_files import directions, pixels, write_capture

from sklrelight.datasets import load_diligent, load_ltm, load_npz, load_rti, save_stack
from sklrelight.datasets._formats.arrays import fill_array
from sklrelight.datasets._formats.photographs import Framing


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_stack_on_disk_equals_the_one_in_memory(tmp_path, dtype):
    write_capture(tmp_path, pixels(n=20, height=9), lights=directions(20))
    options = {"downscale": 2, "decode": 2.2, "dtype": dtype}
    in_memory = load_rti(tmp_path, **options).images
    capture = load_rti(tmp_path, memmap=tmp_path / "stack.npy", progress=False, **options)
    assert isinstance(capture.images, np.memmap)
    assert capture.images.dtype == dtype
    assert not capture.images.flags.writeable
    np.testing.assert_array_equal(capture.images, in_memory)
    np.testing.assert_array_equal(np.load(tmp_path / "stack.npy"), in_memory)
    load_rti(tmp_path, memmap=tmp_path / "stack.npy", progress=False)
    assert np.load(tmp_path / "stack.npy", mmap_mode="r").shape == (20, 9, 7, 3)  # replaced
    assert [path.name for path in tmp_path.iterdir() if "stack" in path.name] == ["stack.npy"]


def test_photographs_of_8_bits_take_little_memory_on_their_way_to_half_precision(tmp_path):
    write_capture(tmp_path, pixels(n=3, height=1000, width=1200), lights=directions(3))
    expected = load_rti(tmp_path).images.astype(np.float16)
    tracemalloc.start()
    try:
        images = load_rti(tmp_path, memmap=tmp_path / "a.npy", dtype="float16", n_jobs=1, progress=False).images
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A byte for each value that is decoded and two for each that is written, besides blocks.
    assert peak < 4.5 * images[0].size
    np.testing.assert_array_equal(images, expected)


def test_more_than_a_quarter_of_the_memory_goes_to_a_file_that_python_deletes(tmp_path, monkeypatch):
    write_capture(tmp_path, pixels(n=20, height=9), lights=directions(20))
    expected = load_rti(tmp_path).images
    # Of a machine with 4 kB of memory.
    monkeypatch.setattr(os, "sysconf", lambda name: 64)
    with pytest.warns(UserWarning, match=r"20 photographs take .* GB, more than a quarter .* memmap= names another"):
        images = load_rti(tmp_path).images
    assert isinstance(images, np.memmap)
    # In 16 bits, which hold 8 bits well enough to tell them apart.
    assert images.dtype == np.float16
    np.testing.assert_allclose(images, expected, rtol=1e-3)
    with pytest.warns(UserWarning, match="float16 as dtype= halves"):
        images = load_rti(tmp_path, intensities=np.full(20, 2.0)).images
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, expected / 2)
    program = (
        "import os, warnings; os.sysconf = lambda name: 64; warnings.simplefilter('ignore');"
        "from sklrelight.datasets import load_rti; import sys; print(load_rti(sys.argv[1]).images.filename)"
    )
    shown = subprocess.run([sys.executable, "-c", program, tmp_path], check=True, capture_output=True, text=True)
    path = Path(shown.stdout.strip())
    assert path.name == "photographs.npy"
    assert not path.parent.exists()


def test_every_loader_fills_a_file(tmp_path, data_dir):
    pytest.importorskip("h5py")
    for number, load in enumerate(
        [
            lambda **options: load_npz(data_dir / "figure_reference.npz", **options),
            lambda **options: load_ltm(data_dir / "ltm_figure", (29, 43), **options),
            lambda **options: load_diligent(data_dir / "diligent_cat", downscale=4, **options),
            lambda **options: load_rti(data_dir / "loewenkopf", **options),
        ]
    ):
        path = tmp_path / f"{number}.npy"
        images = load(memmap=path, progress=False).images
        assert isinstance(images, np.memmap)
        np.testing.assert_array_equal(images, load().images)


def test_the_bar_shows_with_a_file_only(tmp_path, capsys):
    write_capture(tmp_path, pixels(n=4))
    load_rti(tmp_path)
    assert capsys.readouterr().err == ""
    load_rti(tmp_path, memmap=tmp_path / "stack.npy")
    assert "4/4" in capsys.readouterr().err
    load_rti(tmp_path, progress=True)
    assert "4/4" in capsys.readouterr().err


def test_values_beyond_half_precision_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Image 1 reaches 70000, more than float16 holds \(65504\)"):
        fill_array(lambda index: np.full((2, 2), [65504, 70000][index], np.float32), 2, (2, 2), dtype="float16")


def test_images_are_read_at_the_same_time_and_no_more_than_asked():
    barrier = threading.Barrier(3, timeout=30)
    running, most = set(), []

    def read(index):
        running.add(index)
        most.append(len(running))
        barrier.wait()  # passes only if three images are being read at once
        running.remove(index)
        return np.zeros((2, 2), np.float32)

    fill_array(read, 12, (2, 2), n_jobs=3)
    assert max(most) == 3


def test_after_an_error_no_more_images_are_begun():
    begun = []

    def read(index):
        begun.append(index)
        time.sleep(0.01)
        raise ValueError(f"image {index}")

    with pytest.raises(ValueError, match="image 0"):
        fill_array(read, 10_000, (2, 2), n_jobs=2)
    # Those that are begun before the error is noticed.
    assert len(begun) < 100


@pytest.mark.parametrize("shape", [(12, 18), (13, 19, 3)])
@pytest.mark.parametrize("factor", [1, 2, 3, 12])
def test_averages_of_squares(shape, factor):
    image = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    height, width = shape[0] // factor, shape[1] // factor
    squares = image[: height * factor, : width * factor].reshape(height, factor, width, factor, *shape[2:])
    averaged = Framing(shape, None, factor).average(image)
    np.testing.assert_allclose(averaged, squares.mean(axis=(1, 3)), rtol=1e-5)
    assert averaged.dtype == np.float32


# -- speed and memory ---------------------------------------------------------------------------------------------

# Loads captures into a file while a thread watches the process's anonymous memory.
_WATCHED = """
import json, re, sys, threading
from pathlib import Path
from sklrelight.datasets import load_rti

def anonymous_mb():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def watch(stop, seen):
    while not stop.wait(0.005):
        seen.append(anonymous_mb())

target, *folders = sys.argv[1:]
start, results = anonymous_mb(), []
for folder in folders:
    stop, seen = threading.Event(), [anonymous_mb()]
    watcher = threading.Thread(target=watch, args=(stop, seen))
    watcher.start()
    capture = load_rti(folder, memmap=target, progress=False)
    total = sum(float(image.sum()) for image in capture.images)
    stop.set()
    watcher.join()
    results.append({"start_mb": start, "peak_mb": max(seen), "stack_mb": capture.images.nbytes / 2**20})
print(json.dumps(results))
"""


def _watched(target, *folders):
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(target), *map(str, folders)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_stack(tmp_path):
    folders = [tmp_path / str(n) for n in (20, 200)]
    for folder in folders:
        n = int(folder.name)
        write_capture(folder, np.zeros((n, 150, 300, 3), np.uint8), lights=directions(n))
    small, large = _watched(tmp_path / "stack.npy", *folders)
    assert large["stack_mb"] > 100
    assert large["peak_mb"] - small["peak_mb"] < 20


@pytest.fixture(scope="module")
def large_capture(tmp_path_factory):
    """1024 photographs of 174 x 116 pixels, 16-bit PNG, of a smooth scene with some noise."""
    folder = tmp_path_factory.mktemp("large") / "capture"
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:116, 0:174]
    lights = directions(1024)
    images = np.empty((1024, 116, 174, 3), np.float32)
    for image, (x, y, z) in zip(images, lights, strict=True):
        shading = 0.5 + 0.2 * (x * np.sin(columns / 20) + y * np.cos(rows / 15) + z)
        image[:] = np.clip(shading[..., np.newaxis] + rng.normal(0, 0.003, (116, 174, 3)), 0, 1)
    save_stack(folder, images, lights)
    return folder


class _Stopwatch:
    """Append the seconds that a block took, and how many cores it kept busy."""

    def __init__(self, runs):
        self.runs = runs

    def __enter__(self):
        self.start, self.start_cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *error):
        seconds = time.perf_counter() - self.start
        self.runs.append((seconds, (time.process_time() - self.start_cpu) / seconds))


def _decode(path):
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.slow
def test_loading_takes_little_longer_than_decoding(large_capture):
    paths = sorted(large_capture.glob("*.png"))
    alone, loading = [], []
    for _ in range(9):
        # Both in two threads, in turn, in one run: what else the machine does then falls on both.
        with _Stopwatch(alone), ThreadPoolExecutor(2) as pool:
            decoded = list(pool.map(_decode, paths))
        assert len(decoded) == 1024
        del decoded
        with _Stopwatch(loading):
            capture = load_rti(large_capture, n_jobs=2)
        assert capture.images.shape == (1024, 116, 174, 3)
        assert capture.bit_depth == 16
        del capture
    ratio = float(np.median([ours[0] / theirs[0] for ours, theirs in zip(loading, alone, strict=True)]))
    (seconds_alone, cores_alone), (seconds, cores) = np.median(alone, axis=0), np.median(loading, axis=0)
    print(
        f"\ndecoding alone {seconds_alone:.2f} s on {cores_alone:.2f} cores, "
        f"load_rti {seconds:.2f} s on {cores:.2f} cores: {ratio:.2f} x"
    )
    if cores_alone < 0.9:
        pytest.skip(f"two threads got {cores_alone:.2f} cores: the machine is too busy to time anything")
    assert ratio <= 1.5
    # On a machine that others use too, there is less than two cores to be had for either.
    assert cores >= min(1.5, 0.85 * cores_alone)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_capture_in_constant_memory(large_capture, tmp_path):
    (watched,) = _watched(tmp_path / "stack.npy", large_capture)
    print(
        f"\nstack of {watched['stack_mb']:.0f} MB filled with {watched['peak_mb']:.0f} MB of anonymous memory, "
        f"{watched['start_mb']:.0f} MB of them taken by the imports"
    )
    assert watched["peak_mb"] < 300
