"""What it costs to keep photographs as codes: the error of an interpolation from codes, over that from the photographs.

    python benchmarks/codes.py --data FOLDER [--sets realrti] [--most-lights 128]

The captures, their lights and what counts as encoded are those of ``benchmarks/accuracy.py``. Ratios of several peak
signal-to-noise ratios, in decibels, stand beside each other, and in brackets the numbers of codes. The first column is
what models of photographs on disk are kept with.
"""

import argparse
from pathlib import Path

import numpy as np
from accuracy_sets import SETS, expand, is_there, load_split

from sklrelight import ImageStack, LogExposureScaler
from sklrelight.blending._regressor import STORED_PSNR
from sklrelight.interpolation import StackedRBFInterpolation
from sklrelight.metrics import relative_error
from sklrelight.stacks import CodedStack

WANTED = (STORED_PSNR, 50.0, 45.0, 40.0)
# Photographs of each row that are predicted.
_TESTS = 20


def measure(split, seed):
    """Compare predictions from codes with those from photographs.

    Returns
    -------
    list of (float, float, int)
        For each of the ratios wanted, the error over that from the photographs, encoded and linear, and the number of
        codes.
    """
    scaler = LogExposureScaler().fit(split.images)
    encoded = scaler.transform(split.images)
    split = split.with_tests(_TESTS)
    lights, true = split.test_lights, split.test_images
    model = StackedRBFInterpolation(random_state=seed).fit(split.lights, encoded)

    def errors():
        predicted = scaler.inverse_transform(model.predict(lights).clip(encoded.min(), encoded.max()))
        compared = (split.encode(true), split.encode(predicted)), (split.to_linear(true), split.to_linear(predicted))
        return np.array([relative_error(*pair) for pair in compared])

    exact, results = errors(), []
    for psnr in WANTED:
        coded = CodedStack.of(ImageStack(encoded), psnr, random_state=seed)
        model.images_ = coded.read().reshape(encoded.shape)
        results.append((*(errors() / exact).tolist(), len(coded.basis)))
    return results


def main():
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of captures")
    parser.add_argument("--sets", nargs="+", default=["all"], help="captures, or groups of them")
    parser.add_argument("--most-lights", type=int, default=128, help="rows with more lights are left out")
    parser.add_argument("--seed", type=int, default=3, help="seed of the splits and of the models")
    options = parser.parse_args()
    heads = ["-".join(f"{ratio:g}" for ratio in np.atleast_1d(psnr)) for psnr in WANTED]
    print("| capture | lights | " + " | ".join(heads) + " |\n|" + " --- |" * (2 + len(heads)))
    ratios = []
    for capture in expand(options.sets):
        if not is_there(capture, options.data):
            continue
        for lights in SETS[capture]:
            split = load_split(capture, options.data, lights, options.seed)
            if len(split.lights) > options.most_lights:
                continue
            results = measure(split, options.seed)
            ratios.append([result[:2] for result in results])
            cells = [f"{own:.3f}, {linear:.3f} ({n_codes})" for own, linear, n_codes in results]
            print(f"| {capture} | {len(split.lights)} | " + " | ".join(cells) + " |", flush=True)
    means = np.exp(np.log(ratios).mean(axis=0))
    print("| geometric mean | | " + " | ".join(f"{own:.3f}, {linear:.3f}" for own, linear in means) + " |")


if __name__ == "__main__":
    main()
