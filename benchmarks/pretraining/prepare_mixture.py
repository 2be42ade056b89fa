"""Turn captures into tasks for the mixture: 4 to 55 lights, at random or far from each other, and some pixels."""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from candidates import make_task
from generate import HARD, VALIDATION
from tasks import load_capture

COUNTS = (5, 8, 12, 30)
_TARGETS = 8
_PIXELS = 256


def spread(lights, k, rng):
    """Choose k lights, each as far as possible from those before it."""
    chosen, distances = [int(rng.integers(len(lights)))], np.inf
    for _ in range(k - 1):
        distances = np.minimum(distances, np.linalg.norm(lights - lights[chosen[-1]], axis=1))
        chosen.append(int(distances.argmax()))
    return np.array(chosen)


def prepare_capture(path):
    """Prepare the tasks of a capture: one for each of `COUNTS` for validation, two of hard captures, else one."""
    seed = int(path.stem)
    lights, images, _ = load_capture(path)
    with np.load(path) as file:
        stored = file["images"].dtype == np.uint8
    rng = np.random.default_rng([seed, 27])
    counts = (
        COUNTS if seed >= VALIDATION else np.exp(rng.uniform(np.log(4), np.log(56), 1 + (seed >= HARD))).astype(int)
    )
    tasks = []
    for number, count in enumerate(counts):
        order = rng.permutation(len(lights))
        if count <= 24 and (number % 2 if seed >= VALIDATION else rng.random() < 0.5):
            first = spread(lights, count, rng)
            order = np.concatenate([first, rng.permutation(np.setdiff1d(order, first))])
        pixels = rng.choice(images[0, ..., 0].size, min(_PIXELS, images[0, ..., 0].size), replace=False)
        targets = order[count : count + _TARGETS]
        task = make_task(lights, images, order[:count], targets, pixels, stored=stored)
        tasks.append({name: value.half() if value.ndim > 2 else value for name, value in task.items()})
    return tasks


def prepare(captures, folder):
    """Prepare the tasks of all captures of a folder; those that are there already are skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    for capture in sorted(captures.glob("*.npz")):
        path = folder / f"{capture.stem}.pt"
        if not path.exists():
            partial = path.with_suffix(".part")
            torch.save(prepare_capture(capture), partial)
            os.replace(partial, path)


def main():
    """Prepare the tasks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captures", type=Path)
    parser.add_argument("tasks", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.time()
    prepare(arguments.captures, arguments.tasks)
    print(f"{time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
