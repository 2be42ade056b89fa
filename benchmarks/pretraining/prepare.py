"""Turn captures into tasks: some pixels under 4 to 55 lights, at random or far from each other, and 8 to predict."""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from generate import HARD, VALIDATION

from sklrelight import LogExposureScaler
from sklrelight.interpolation._mixture import Mixture
from sklrelight.metrics import display_white, encode_display

# Numbers of lights of the validation tasks.
COUNTS = (5, 8, 12, 30)
# Numbers of lights to predict, and of pixels, of a task.
_TARGETS = 8
_PIXELS = 256
# Step in encoded values by which the slope of the encoding for display is measured.
_STEP = 0.01


def load_capture(path):
    """Load a capture: directions, values as floats, and whether they are stored in 8 bits."""
    with np.load(path) as file:
        images = file["images"]
        stored = images.dtype == np.uint8
        return file["lights"], images.astype(np.float32) / (255 if stored else 1), stored


def spread(lights, k, rng):
    """Choose k lights, each as far as possible from those before it."""
    chosen, distances = [int(rng.integers(len(lights)))], np.inf
    for _ in range(k - 1):
        distances = np.minimum(distances, np.linalg.norm(lights - lights[chosen[-1]], axis=1))
        chosen.append(int(distances.argmax()))
    return np.array(chosen)


def make_task(lights, images, given, targets, pixels, *, stored=False):
    """Compute what the network is given, and what it is to find.

    Parameters
    ----------
    lights : ndarray of shape (n_lights, 3)
        Unit vectors to all lights of a capture.

    images : ndarray of shape (n_lights, height, width, 3)
        All photographs.

    given, targets : ndarray of int
        Indices of the lights that are given, and of those to predict.

    pixels : ndarray of int
        Indices of the pixels to keep.

    stored : bool, default=False
        Whether values are shown as they are. Those of 8 bits are.

    Returns
    -------
    dict
        Arrays by name. Pixels are the last axis. ``truth`` are the encoded values to predict, and ``slope`` is how
        steep the encoding for display is there.
    """
    lights = np.asarray(lights, np.float64)
    scaler = LogExposureScaler().fit(images[given])

    def columns(some):
        return scaler.transform(images[some]).reshape(len(some), -1, 3).transpose(0, 2, 1).astype(np.float32)

    known, truth = np.ascontiguousarray(columns(given)), columns(targets)[..., pixels]
    mixture = Mixture(lights[given], known)
    values = np.ascontiguousarray(known[..., pixels])
    pixel, tokens, summary, errors = mixture.describe(values)
    weights, light = mixture.query(lights[targets])
    looks = [*mixture.look(values, pixel, lights[targets], weights)]
    white = None if stored else display_white(images[given])
    shown = []
    for encoded in (truth + _STEP, (truth - _STEP).clip(0)):
        decoded = scaler.inverse_transform(encoded)
        shown.append(decoded.clip(0, 1) if stored else encode_display(decoded, white))
    slope = (shown[0] - shown[1]) / (2 * _STEP)
    return {
        "tokens": tokens,
        "summary": summary,
        "errors": errors,
        "unit": pixel.unit,
        "light": light,
        "candidates": np.stack([candidates for candidates, _ in looks]),
        "features": np.stack([features for _, features in looks]),
        "truth": truth,
        "slope": slope / max(float(np.sqrt(np.square(slope).mean())), 1e-6),
        "power": np.float32(mixture.power),
    }


def _pack(value):
    """Make an array one of half precision. Only candidates far off exceed its range."""
    largest = np.finfo(np.float16).max
    return value.clip(-largest, largest).astype(np.float16) if value.ndim else value.astype(np.float32)


def prepare_capture(path):
    """Prepare the tasks of a capture: one for each of `COUNTS` for validation, two of hard captures, else one."""
    seed = int(path.stem)
    lights, images, stored = load_capture(path)
    lights = lights / np.linalg.norm(lights, axis=1, keepdims=True)
    rng = np.random.default_rng([seed, 27])
    counts = (
        COUNTS if seed >= VALIDATION else np.exp(rng.uniform(np.log(4), np.log(56), 1 + (seed >= HARD))).astype(int)
    )
    tasks = {}
    for number, count in enumerate(counts):
        order = rng.permutation(len(lights))
        if count <= 24 and (number % 2 if seed >= VALIDATION else rng.random() < 0.5):
            first = spread(lights, count, rng)
            order = np.concatenate([first, rng.permutation(np.setdiff1d(order, first))])
        pixels = np.sort(rng.choice(images[0, ..., 0].size, min(_PIXELS, images[0, ..., 0].size), replace=False))
        targets = order[count : count + _TARGETS]
        task = make_task(lights, images, order[:count], targets, pixels, stored=stored)
        tasks |= {f"{number} {name}": _pack(value) for name, value in task.items()}
    return tasks


def prepare(captures, folder):
    """Prepare the tasks of all captures of a folder; those that are there already are skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    for capture in captures:
        path = folder / f"{capture.stem}.npz"
        if not path.exists():
            partial = path.with_suffix(".part")
            with partial.open("wb") as file:
                np.savez(file, **prepare_capture(capture))
            os.replace(partial, path)


def main():
    """Prepare the tasks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captures", type=Path)
    parser.add_argument("tasks", type=Path)
    parser.add_argument(
        "--part", type=int, nargs=2, default=(0, 1), metavar=("NUMBER", "OF"), help="part of the captures"
    )
    arguments = parser.parse_args()
    started = time.time()
    number, n_parts = arguments.part
    prepare(sorted(arguments.captures.glob("*.npz"))[number::n_parts], arguments.tasks)
    print(f"{time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
