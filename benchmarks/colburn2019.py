"""The errors that Colburn 2019 states for Waldorf and Bull, beside those of this library on the same captures.

    python benchmarks/colburn2019.py waldorf
    python benchmarks/colburn2019.py bull
    python benchmarks/colburn2019.py FOLDER --image-shape HEIGHT WIDTH

A seeded permutation picks half of the photographs for training, a tenth for validation and the others for testing. All
errors are in the domain of the published ones: encoded by the normalisation of that work, which is fitted to the
photographs for training and validation. `colburn2019` runs through its own schedule, which takes hours to days without
a GPU, unless it is shortened. The default recipe is given the photographs for validation as well, to use as it likes.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from sklrelight import make_relighter
from sklrelight.datasets import fetch_bull, fetch_waldorf, load_ltm
from sklrelight.plotting import RelightingDisplay
from sklrelight.utils import replacing

SHAPE = (464, 696)
FETCH = {"waldorf": fetch_waldorf, "bull": fetch_bull}
RECIPES = ("colburn2019", "default")
# Number of photographs predicted at a time, which take 150 MB for a full capture.
_BLOCK = 40


class Errors(NamedTuple):
    """Errors of a photograph, or of several together."""

    mean_squared_error: float
    max_error: float
    relative_error: float | None = None

    def row(self, name):
        """Write the errors as a row of a Markdown table."""
        relative = "" if self.relative_error is None else f"{self.relative_error:.4f}"
        return f"| {name} | {self.mean_squared_error:.3e} | {self.max_error:.3f} | {relative} |"


# Each is for one test photograph. The relative error is stated for Bull alone.
PUBLISHED = {"waldorf": Errors(4.44e-5, 0.111), "bull": Errors(1.045e-4, 0.496, 0.0558)}


def split(n_lights, seed):
    """Hold out the last 40 % of a permutation of the lights; the others are for training and validation.

    >>> split(5, 0)
    (array([2, 4, 3]), array([0, 1]))
    """
    order = np.random.default_rng(seed).permutation(n_lights)
    n_fitted = round(0.6 * n_lights)
    return order[:n_fitted], order[n_fitted:]


def measure(relighter, scaler, lights, images):
    """Compute the encoded errors of each test photograph, and of all together."""
    each, powers = [], []
    for start in range(0, len(lights), _BLOCK):
        some = slice(start, start + _BLOCK)
        truth, predicted = scaler.transform(images[some]), scaler.transform(relighter.predict(lights[some]))
        for true, guess in zip(truth, predicted, strict=True):
            squared, power = (float(np.square(values, dtype=np.float64).mean()) for values in (true - guess, true))
            each.append(Errors(squared, float(np.abs(true - guess).max()), (squared / power) ** 0.5))
            powers.append(power)
    squared = float(np.mean([errors.mean_squared_error for errors in each]))
    return each, Errors(squared, max(errors.max_error for errors in each), (squared / float(np.mean(powers))) ** 0.5)


def load(capture, image_shape, downscale):
    """Fetch a capture by name or read it from its folder."""
    if capture in FETCH:
        return FETCH[capture](downscale=downscale)
    return load_ltm(capture, image_shape, downscale=downscale)


def run(capture, name, output, seed, epochs=None, **budget):
    """Fit both recipes, print their errors beside the published ones, and draw a photograph by each.

    Parameters
    ----------
    capture : Bunch
        Capture with ``lights`` and ``images``.

    name : str
        Name of the capture.

    output : Path
        Folder for the plots.

    seed : int
        Seed of the split and of both models.

    epochs : int or None, default=None
        Largest number of epochs in a stage of `colburn2019`. None: as published.

    **budget : dict
        ``max_observations`` and ``max_time`` of each fit.
    """
    fitted, test = split(len(capture.lights), seed)
    height, width = capture.image_shape
    print(
        f"{name}: {len(capture.lights)} photographs of {height} x {width} pixels; {len(test)} to test on, seed {seed}"
    )
    lights, images = capture.lights[fitted], capture.images[fitted]
    test_lights, test_images = capture.lights[test], capture.images[test]
    # All photographs of a full capture take gigabytes beside the two parts.
    capture.images = None
    scaler = make_relighter("colburn2019").transformer.fit(images)
    rows = [PUBLISHED[name].row("published, one test photograph")] if name in PUBLISHED else []
    for recipe in RECIPES:
        relighter = make_relighter(recipe, random_state=seed, verbose=int(sys.stderr.isatty()), **budget)
        if recipe == "colburn2019" and epochs is not None:
            relighter.set_params(regressor__mlp__callbacks__stages__max_epochs=epochs)
        start = time.perf_counter()
        relighter.fit(lights, images)
        seconds = time.perf_counter() - start
        each, pooled = measure(relighter, scaler, test_lights, test_images)
        typical = int(np.argsort([errors.relative_error for errors in each])[len(each) // 2])
        rows.append(each[typical].row(f"{recipe}, the test photograph of median relative error"))
        rows.append(pooled.row(f"{recipe}, all test photographs"))
        path = output / f"{name}_{recipe}.png"
        predicted = scaler.transform(relighter.predict(test_lights[typical : typical + 1]))[0]
        display = RelightingDisplay(
            predicted=predicted,
            original=scaler.transform(test_images[typical : typical + 1])[0],
            encoding_gamma=scaler.gamma,
        ).plot()
        with replacing(path) as temporary:
            display.figure_.savefig(temporary, dpi=120)
        plt.close(display.figure_)
        print(f"{recipe}: {seconds:,.0f} s of fitting; light {test[typical]}: {path}", flush=True)
    print("\nEncoded by the normalisation of Colburn 2019 (the relative error is a root):\n")
    print("| | MSE | max error | relative error |", "|---|---|---|---|", *rows, sep="\n")


def main(arguments=None):
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "capture", nargs="?", default="waldorf", help="waldorf, bull or a folder with Red.mat and so on"
    )
    parser.add_argument(
        "--image-shape",
        nargs=2,
        type=int,
        default=SHAPE,
        metavar=("HEIGHT", "WIDTH"),
        help="shape of a folder's images",
    )
    parser.add_argument("--downscale", type=int, default=1, help="side of the squares of pixels that are averaged")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split and the models")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", help="folder for plots")
    parser.add_argument("--epochs", type=int, help="largest number of epochs in a stage of colburn2019")
    parser.add_argument("--max-observations", type=int, help="largest number of observations of each fit")
    parser.add_argument("--max-time", type=float, help="seconds after which each fit ends")
    options = parser.parse_args(arguments)
    try:
        capture = load(options.capture, tuple(options.image_shape), options.downscale)
    except (ImportError, ConnectionError) as error:
        if options.capture not in FETCH:
            parser.exit(2, f"{error}\n")
        # A machine without a network is no failure of this benchmark.
        print(f"{options.capture} cannot be fetched, nothing was measured: {error}")
        return
    except (OSError, ValueError) as error:
        parser.exit(2, f"{error}\n")
    mpl.use("agg")
    options.output.mkdir(parents=True, exist_ok=True)
    name = options.capture if options.capture in FETCH else Path(options.capture).resolve().name
    budget = {"max_observations": options.max_observations, "max_time": options.max_time}
    run(capture, name, options.output, options.seed, options.epochs, **budget)


if __name__ == "__main__":
    main()
