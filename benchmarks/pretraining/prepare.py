"""Turn captures into tasks: random lights as given, others to predict, and some of the pixels."""

import argparse
import dataclasses
import os
import time
from pathlib import Path

import numpy as np
import torch
from generate import VALIDATION
from tasks import load_capture, make_task

COUNTS = (12, 24, 48)
_TARGETS = 10
_PIXELS = 320


def pack(task):
    """Turn a task into a dictionary of tensors of half precision."""
    packed = {}
    for field in dataclasses.fields(task):
        value = getattr(task, field.name)
        if isinstance(value, torch.Tensor):
            packed[field.name] = value.half() if value.ndim > 2 else value.clone()
        elif isinstance(value, float):
            packed[field.name] = value
    return packed


def prepare(captures, folder, repeats=2):
    """Prepare the tasks of all captures of a folder; those that are there already are skipped.

    Parameters
    ----------
    captures, folder : Path
        Folders of the captures and of the tasks.

    repeats : int, default=2
        Number of tasks of each training capture. Validation captures have one for each of `COUNTS`.

    Returns
    -------
    int
        The number of captures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = sorted(int(path.stem) for path in captures.glob("*.npz"))
    for seed in seeds[::-1]:
        path = folder / f"{seed}.pt"
        if path.exists():
            continue
        lights, images, _ = load_capture(captures / f"{seed}.npz")
        n_pixels = images[0, ..., 0].size
        packed = []
        rng = np.random.default_rng([seed, 26])
        counts = np.exp(rng.uniform(np.log(8), np.log(60.99), repeats))
        counts[::2] = rng.uniform(16, 60.99, len(counts[::2]))
        for count in COUNTS if seed >= VALIDATION else counts.astype(int):
            order = rng.permutation(len(lights))
            pixels = rng.choice(n_pixels, _PIXELS, replace=False)
            task = make_task(lights, images, order[:count], order[count : count + _TARGETS], pixels)
            packed.append(pack(task))
        partial = path.with_suffix(".part")
        torch.save(packed, partial)
        os.replace(partial, path)
    return len(seeds)


def main():
    """Prepare the tasks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captures", type=Path)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--repeats", type=int, default=2, help="tasks of each training capture")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.time()
    n_captures = prepare(arguments.captures, arguments.tasks, arguments.repeats)
    print(f"{n_captures} captures in {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
