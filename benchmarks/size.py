"""What a capture costs by its size: processor seconds, wall time and memory of each step, and the size of the model.

A capture of JPEG files is written for each size: a rendered scene, tiled to the size, with noise. Each capture is then
loaded, fitted, relit, saved and exported in a process of its own. Memory is the largest of what the process holds
besides its imports; pages of files do not count. Run it on an idle machine:

    python benchmarks/size.py [--megapixels 0.2 2 6] [--lights 40] [--plot size.png]
    python benchmarks/size.py --megapixels --captures FOLDER

The second line measures captures that are there already, folders of photographs with an .lp file. The page of a
photograph of more than 4 megapixels is one that zooms.

With --accuracy, every eighth photograph of each capture is left out of the fit instead, and the error of predicting it
is computed. The scene and the noise are the same at all sizes, so the error should be, too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np

from sklrelight import ImageStack, make_relighter, save_model
from sklrelight.datasets import load_rti, make_scene, save_image, write_lp
from sklrelight.metrics import encode_display, relative_error
from sklrelight.viewer import export_html, export_page

STEPS = ("load", "fit", "relight", "relight 1 megapixel", "save", "page")
# Height and width of the scene that is tiled.
SCENE = (200, 300)
# Every so many photographs one is left out.
HELD_OUT = 8
# Pixels above which the page is one that zooms.
LARGE = 4_000_000


def write_capture(folder, megapixels, n_lights, seed=0):
    """Write photographs of a scene as JPEG files, and an .lp file.

    Parameters
    ----------
    folder : Path
        Folder for the files.

    megapixels : float
        Millions of pixels of a photograph.

    n_lights : int
        Number of photographs.

    seed : int, default=0
        Seed of the noise, which has a standard deviation of 1 of 255 levels.
    """
    scene = make_scene(n_lights=n_lights, image_shape=SCENE, shadow_samples=4)
    height = round((megapixels * 1e6 * 2 / 3) ** 0.5)
    width = round(megapixels * 1e6 / height)
    rng = np.random.default_rng(seed)
    names = [f"{number:03}.jpg" for number in range(n_lights)]
    white = np.percentile(scene.images, 99.5)
    for name, image in zip(names, scene.images, strict=True):
        repeats = (-(-height // image.shape[0]), -(-width // image.shape[1]), 1)
        tiled = np.tile(image / white, repeats)[:height, :width]
        levels = np.clip(tiled, 0, 1) ** (1 / 2.2)
        levels += rng.standard_normal(levels.shape, np.float32) / 255
        save_image(folder / name, np.clip(levels, 0, 1), encoding="linear")
    directions = scene.lights - np.array([0, 0.5, 0])
    write_lp(folder / "lights.lp", names, directions / np.linalg.norm(directions, axis=1, keepdims=True))


class Meter:
    """Measure steps: processor and wall seconds, and the largest memory of the process besides what it began with."""

    def __init__(self):
        self.steps = {}
        self._first = _memory()

    def measure(self, name, work):
        """Run a step and keep what it took.

        Returns
        -------
        object
            What the step returns.
        """
        peak, over = [_memory()], threading.Event()

        def watch():
            while not over.wait(0.05):
                peak[0] = max(peak[0], _memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        wall, processor = time.perf_counter(), time.process_time()
        try:
            result = work()
        finally:
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            over.set()
            watcher.join()
        self.steps[name] = {"wall": wall, "processor": processor, "gigabytes": (peak[0] - self._first) / 1e9}
        return result


def _memory():
    """Read how much memory the process holds, without pages of files, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def measure_capture(folder, output):
    """Load, fit, relight, save and export a capture, the last two into another folder.

    Returns
    -------
    dict
        Seconds and memory of each step, and the sizes of what was written.
    """
    warnings.simplefilter("ignore")
    meter, folder, model, page = Meter(), Path(folder), Path(output) / "model.zip", Path(output) / "page"
    capture = meter.measure("load", lambda: load_rti(folder, progress=False))
    relighter = make_relighter(random_state=0)
    meter.measure("fit", lambda: relighter.fit(capture.lights, capture.images))
    light = capture.lights[:2].mean(axis=0, keepdims=True)
    meter.measure("relight", lambda: relighter.predict(light))
    height, width = capture.images.shape[1:3]
    region = (0, 0, min(height, 1000), min(width, 1000))
    meter.measure("relight 1 megapixel", lambda: relighter.predict(light, region=region))
    meter.measure("save", lambda: save_model(relighter, model))
    page.mkdir()
    zooms = height * width > LARGE
    export = (lambda: export_page(relighter, page)) if zooms else (lambda: export_html(relighter, page / "index.html"))
    meter.measure("page", export)
    return {
        "shape": capture.images.shape,
        "on_disk": isinstance(capture.images, np.memmap),
        "steps": meter.steps,
        "model_megabytes": model.stat().st_size / 1e6,
        "page_megabytes": _megabytes(page.rglob("*")),
        "jpeg_megabytes": _megabytes(folder.glob("*.jpg")),
    }


def _megabytes(paths):
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def measure_accuracy(folder):
    """Fit a capture without every eighth photograph, and compare regions of these with what is predicted.

    Returns
    -------
    dict
        Shape of the capture, and the relative error of the encoded photographs that were left out.
    """
    warnings.simplefilter("ignore")
    capture = load_rti(folder, progress=False)
    held_out = np.arange(len(capture.lights)) % HELD_OUT == HELD_OUT // 2
    on_disk = isinstance(capture.images, np.memmap)
    images = ImageStack(capture.images) if on_disk else capture.images
    relighter = make_relighter(random_state=0).fit(capture.lights[~held_out], images[~held_out])
    # Regions of the size of the scene hold all of it, wherever they are, and are as hard to predict at every size.
    tops, lefts = (
        np.linspace(0, max(0, size - side), 3).astype(int).tolist()
        for size, side in zip(capture.images.shape[1:3], SCENE, strict=True)
    )
    seen, predicted = [], []
    for top, left in product(tops, lefts):
        photographs = capture.images[held_out, top : top + SCENE[0], left : left + SCENE[1]]
        region = (top, left, *photographs.shape[1:3])
        predicted.append(relighter.predict(capture.lights[held_out], region=region))
        seen.append(photographs)
    error = relative_error(*(encode_display(np.asarray(part, np.float32), 1.0) for part in (seen, predicted)))
    return {"shape": capture.images.shape, "on_disk": on_disk, "error": float(error)}


def make_accuracy_table(records):
    """Write errors as a table in Markdown, each beside that of the smallest photographs."""
    smallest = min(records, key=lambda record: record["shape"][1] * record["shape"][2])
    rows = [
        "| megapixels | photographs | error of those left out | over that of the smallest |",
        "| --- | --- | --- | --- |",
    ]
    for record in records:
        n_lights, height, width, _ = record["shape"]
        share = record["error"] / smallest["error"]
        rows.append(f"| {height * width / 1e6:.1f} | {n_lights} | {record['error']:.4f} | {share:.3f} |")
    return "\n".join(rows)


def make_table(records):
    """Write results as a table in Markdown."""
    heads = ["megapixels", "photographs", "JPEG, MB", *(f"{step}, s (GB)" for step in STEPS), "model, MB", "page, MB"]
    rows = [heads, ["---"] * len(heads)]
    for record in records:
        n_lights, height, width, _ = record["shape"]
        costs = [record["steps"][step] for step in STEPS]
        rows.append(
            [
                f"{height * width / 1e6:.1f}",
                f"{n_lights}",
                f"{record['jpeg_megabytes']:.0f}",
                *(f"{cost['processor']:.1f} ({cost['gigabytes']:.2f})" for cost in costs),
                f"{record['model_megabytes']:.0f}",
                f"{record['page_megabytes']:.1f}",
            ]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def plot(records, path):
    """Draw seconds and memory of each step over the size of the photographs, both axes logarithmic."""
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    sizes = [record["shape"][1] * record["shape"][2] / 1e6 for record in records]
    for panel, key, label in zip(axes, ("processor", "gigabytes"), ("processor seconds", "memory in GB"), strict=True):
        for step in STEPS:
            panel.loglog(sizes, [max(record["steps"][step][key], 1e-3) for record in records], marker="o", label=step)
        panel.set(xlabel="megapixels", ylabel=label)
        panel.set_xticks(sizes, [f"{size:.1f}" for size in sizes])
        panel.minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(path)


def main(argv=None):
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, nargs="*", default=[0.2, 2, 6], help="sizes of the photographs")
    parser.add_argument("--captures", nargs="+", default=[], help="folders of captures to measure, too")
    parser.add_argument("--lights", type=int, default=40, help="number of photographs")
    parser.add_argument("--plot", help="file for a picture of the results")
    parser.add_argument("--accuracy", action="store_true", help="compare photographs that are left out of the fit")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.folder:
        with tempfile.TemporaryDirectory() as output:
            record = measure_accuracy(given.folder) if given.accuracy else measure_capture(given.folder, output)
        print(json.dumps(record))
        return
    records = []
    for size in [*given.megapixels, *given.captures]:
        with tempfile.TemporaryDirectory() as written:
            if size not in given.captures:
                write_capture(Path(written), size, given.lights)
            folder = size if size in given.captures else written
            command = [sys.executable, __file__, "--folder", folder, *["--accuracy"] * given.accuracy]
            shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ).stdout
            records.append(json.loads(shown.splitlines()[-1]))
        print(f"{size} measured", file=sys.stderr, flush=True)
    print((make_accuracy_table if given.accuracy else make_table)(records))
    if given.plot and not given.accuracy:
        plot(records, given.plot)


if __name__ == "__main__":
    main()
