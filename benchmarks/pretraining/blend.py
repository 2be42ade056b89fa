"""The default recipe blended with a pretrained model, on rows of the benchmark, with weights from 0 to 0.6.

    python benchmarks/pretraining/blend.py benchmarks/pretraining/mixture.npz --splits *.npz

The default recipe is fitted to whole photographs. Errors are encoded, of a window in the middle and of at most 10
photographs, relative to those of the default recipe alone.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from few_lights import error_of, load_window, predict_pretrained

from sklrelight import make_relighter

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def predict_default(path, side, max_observations=None):
    """Fit the default recipe to the photographs of a split, and predict the window that `load_window` keeps."""
    whole, window = load_window(path, 2**20), load_window(path, side)
    relighter = make_relighter(max_observations=max_observations, random_state=3)
    predicted = relighter.fit(whole.lights, whole.images).predict(whole.test_lights)
    rows, columns = (max(0, size - side) // 2 for size in predicted.shape[1:3])
    return predicted[:, rows : rows + window.images.shape[1], columns : columns + window.images.shape[2]]


def blend(split, first, second, weights=WEIGHTS):
    """Compute the errors of (1 - weight) * first + weight * second, both encoded."""
    first, second = split.encode(first), split.encode(second)
    mixtures = ((1 - weight) * first + weight * second for weight in weights)
    truth = split.encode(split.test_images)
    return [float(np.sqrt(np.square(mixed - truth).sum() / np.square(truth).sum())) for mixed in mixtures]


def main():
    """Print a line of JSON for each row, and the mean and worst ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+", help="what train_mixture.py wrote")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="files with lights and photographs")
    parser.add_argument("--side", type=int, default=96, help="side of the window, in pixels")
    parser.add_argument("--max-observations", type=int, help="limit of the default recipe, in place of its own")
    parser.add_argument("--cache", type=Path, help="folder in which predictions of the default recipe are kept")
    arguments = parser.parse_args()
    ratios = {path.stem: [] for path in arguments.weights}
    for path in arguments.splits:
        split = load_window(path, arguments.side)
        kept = arguments.cache and arguments.cache / f"{path.stem}.npy"
        if kept and kept.exists():
            default = np.load(kept)
        else:
            default = predict_default(path, arguments.side, arguments.max_observations)
            if kept:
                np.save(kept, default)
        for weights in arguments.weights:
            name, predicted = weights.stem, predict_pretrained(weights, split)
            errors = blend(split, default, predicted)
            ratios[name].append(np.array(errors) / errors[0])
            record = {"row": path.stem, "model": name, "n": len(split.lights), "default": round(errors[0], 4)}
            record["pretrained"] = round(error_of(split, predicted), 4)
            record["ratios"] = dict(zip(WEIGHTS, ratios[name][-1].round(3).tolist(), strict=True))
            print(json.dumps(record), flush=True)
    for name, rows in ratios.items():
        means, worst = np.mean(rows, axis=0).round(3), np.max(rows, axis=0).round(3)
        print(name, "mean", dict(zip(WEIGHTS, means.tolist(), strict=True)))
        print(name, "worst", dict(zip(WEIGHTS, worst.tolist(), strict=True)))
        print(name, "best weight of each row", [WEIGHTS[int(np.argmin(row))] for row in rows])
        print(name, "mean with the best weight of each row", np.min(rows, axis=1).mean().round(3), flush=True)


if __name__ == "__main__":
    main()
