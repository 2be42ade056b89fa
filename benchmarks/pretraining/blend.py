"""The default recipe blended with the mixture, on rows of the benchmark, with shares from 0 to 0.6.

    python benchmarks/pretraining/blend.py benchmarks/pretraining/mixture.npz --splits *.npz
    python benchmarks/pretraining/blend.py benchmarks/pretraining/mixture.npz --measure --splits *.npz

The default recipe is fitted to whole photographs. Errors are encoded, of a window in the middle and of at most 10
photographs, relative to those of the default recipe alone. With ``--measure`` there is also the share that a sixth of
the photographs to train on finds when both are given the others alone.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from few_lights import error_of, load_window, predict_pretrained

from sklrelight import make_relighter

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_WHOLE = 2**20


def cut(images, side):
    """Cut a window out of the middle of images."""
    rows, columns = (max(0, size - side) // 2 for size in images.shape[1:3])
    return images[:, rows : rows + side, columns : columns + side]


def predict_default(split, side, max_observations=None):
    """Fit the default recipe to the photographs of a split, and predict a window of those to test."""
    relighter = make_relighter(max_observations=max_observations, random_state=3)
    return cut(relighter.fit(split.lights, split.images).predict(split.test_lights), side)


def blend(split, first, second, shares=SHARES):
    """Compute the errors of (1 - share) * first + share * second, both encoded."""
    first, second, truth = (split.encode(images) for images in (first, second, split.test_images))
    mixtures = ((1 - share) * first + share * second for share in shares)
    return [float(np.sqrt(np.square(mixed - truth).sum() / np.square(truth).sum())) for mixed in mixtures]


def hold_out(split):
    """Turn a sixth of the photographs to train on, at random, into those to test on."""
    order = np.random.default_rng(0).permutation(len(split.lights))
    n_held = max(1, round(len(order) / 6))
    held, rest = order[:n_held], order[n_held:]
    given = {"lights": split.lights[rest], "images": split.images[rest]}
    return replace(split, **given, test_lights=split.lights[held], test_images=split.images[held])


def best_share(split, first, second):
    """Find the share of least squared error, between 0 and 1."""
    first, second, truth = (split.encode(images) for images in (first, second, split.test_images))
    difference = second - first
    return float(np.clip((difference * (truth - first)).sum() / np.square(difference).sum(), 0, 1))


def measure_share(whole, side, weights, max_observations=None):
    """Find the share of the mixture by held-out photographs."""
    held = hold_out(whole)
    window = replace(held, images=cut(held.images, side), test_images=cut(held.test_images, side))
    return best_share(window, predict_default(held, side, max_observations), predict_pretrained(weights, window))


def main():
    """Print a line of JSON for each row, and the mean and worst ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="what train_mixture.py wrote")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="files with lights and photographs")
    parser.add_argument("--side", type=int, default=96, help="side of the window, in pixels")
    parser.add_argument("--measure", action="store_true", help="measure the share by held-out photographs, too")
    parser.add_argument(
        "--measure-observations", type=int, help="limit of the default recipe there, in place of its own"
    )
    parser.add_argument("--cache", type=Path, help="folder in which predictions of the default recipe are kept")
    arguments = parser.parse_args()
    ratios, measured = [], []
    for path in arguments.splits:
        whole, split = load_window(path, _WHOLE), load_window(path, arguments.side)
        kept = arguments.cache and arguments.cache / f"{path.stem}.npy"
        if kept and kept.exists():
            default = np.load(kept)
        else:
            default = predict_default(whole, arguments.side)
            if kept:
                np.save(kept, default)
        predicted = predict_pretrained(arguments.weights, split)
        errors = blend(split, default, predicted)
        ratios.append(np.array(errors) / errors[0])
        record = {"row": path.stem, "n": len(split.lights), "default": round(errors[0], 4)}
        record["pretrained"] = round(error_of(split, predicted), 4)
        record["ratios"] = dict(zip(SHARES, ratios[-1].round(3).tolist(), strict=True))
        if arguments.measure:
            share = measure_share(whole, arguments.side, arguments.weights, arguments.measure_observations)
            measured.append(blend(split, default, predicted, (share,))[0] / errors[0])
            record |= {"share": round(share, 3), "measured": round(measured[-1], 3)}
        print(json.dumps(record), flush=True)
    means, worst = np.mean(ratios, axis=0).round(3), np.max(ratios, axis=0).round(3)
    print("mean", dict(zip(SHARES, means.tolist(), strict=True)))
    print("worst", dict(zip(SHARES, worst.tolist(), strict=True)))
    print("mean with the best share of each row", np.min(ratios, axis=1).mean().round(3))
    if measured:
        print("with the measured share: mean", np.mean(measured).round(3), "worst", np.max(measured).round(3))


if __name__ == "__main__":
    main()
