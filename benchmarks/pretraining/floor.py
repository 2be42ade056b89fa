"""Print what no model can predict, noise and lamps of the validation photographs, over the interpolation's error."""

import sys
from pathlib import Path

import numpy as np
import torch
from generate import VALIDATION
from prepare import COUNTS
from surfaces import render_capture
from tasks import load_capture, make_task


def main():
    """Print the ratio for each capture and number of lights, and the mean."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    rows = []
    for seed in range(VALIDATION, VALIDATION + 40):
        lights, images, _ = load_capture(folder / f"{seed}.npz")
        _, clean, _ = render_capture(seed, clean=True)
        clean = clean.astype(np.float32) / (255 if clean.dtype == np.uint8 else 1)
        row = []
        for count in COUNTS:
            order = np.random.default_rng([seed, count]).permutation(len(lights))
            given, targets = order[:count], order[count : count + 8]
            task = make_task(lights, images, given, targets)
            best = torch.as_tensor(task.scaler.transform(clean[targets])).flatten(1, 2)
            mean = [float((one - task.truth).square().mean()) for one in (best, task.predicted)]
            row += [np.sqrt(mean[0] / mean[1]), np.sqrt(mean[1] / task.power)]
        rows.append(row)
        print(seed, np.round(row, 3), flush=True)
    print("mean", np.mean(rows, axis=0).round(4))


if __name__ == "__main__":
    main()
