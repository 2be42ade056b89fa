"""Render captures of random surfaces into a folder; what is there already is not rendered again."""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from surfaces import render_capture

# Validation captures have seeds from here on.
VALIDATION = 1_000_000
# Hard training captures have seeds from here on.
HARD = 100_000


def generate(folder, seeds, side=48, *, hard=False):
    """Render captures of some seeds into a folder, by ``seed.npz``, of photographs of a side in pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed}.npz"
        if path.exists():
            continue
        lights, images, is_display = render_capture(seed, side, hard=hard)
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, lights=lights, images=images, is_display=is_display)
        os.replace(partial, path)


def main():
    """Render the captures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=1500, help="number of training captures, with seeds from 0")
    parser.add_argument("--validation", type=int, default=40, help="number of validation captures")
    parser.add_argument("--first", type=int, default=VALIDATION, help="seed of the first validation capture")
    parser.add_argument("--hard", type=int, default=0, help="number of hard training captures, with seeds from 100,000")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [arguments.first + seed for seed in range(arguments.validation)] + [*range(arguments.train)]
    started = time.time()
    generate(arguments.folder, seeds)
    hard = range(HARD, HARD + arguments.hard)
    generate(arguments.folder, hard, hard=True)
    print(f"{len(seeds) + len(hard)} captures in {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
