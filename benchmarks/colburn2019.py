"""The results that Colburn 2019 shows of Waldorf and Bull, beside those of this library on the same captures.

    python benchmarks/colburn2019.py waldorf
    python benchmarks/colburn2019.py bull
    python benchmarks/colburn2019.py FOLDER --image-shape HEIGHT WIDTH

Half of the photographs are trained on, a tenth validates, the others test, by a seeded permutation. All figures are in
the domain of the published ones: encoded by that work's normalisation, fitted to the photographs for training and
validation. `colburn2019` runs through its own schedule, hours to days without a GPU, unless it is shortened. The
default recipe has the photographs for validation as well, to use as it likes.
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
from sklrelight.datasets.atomic import replacing
from sklrelight.plotting import RelightingDisplay

SHAPE = (464, 696)
FETCH = {"waldorf": fetch_waldorf, "bull": fetch_bull}
RECIPES = ("colburn2019", "default")
# Lights predicted at a time: of a full capture they take 150 MB.
_BLOCK = 40


class Figures(NamedTuple):
    """Of some photographs, or of one."""

    mean_squared_error: float
    max_error: float
    relative_error: float | None = None

    def row(self, name):
        """Write them as a row of a Markdown table."""
        relative = "" if self.relative_error is None else f"{self.relative_error:.4f}"
        return f"| {name} | {self.mean_squared_error:.3e} | {self.max_error:.3f} | {relative} |"


# Each of one test photograph; the relative error is given for Bull alone.
PUBLISHED = {"waldorf": Figures(4.44e-5, 0.111), "bull": Figures(1.045e-4, 0.496, 0.0558)}


def split(n_lights, seed):
    """Hold out 40 % of the lights; the others, for training and validation, are the first of a permutation.

    >>> split(5, 0)
    (array([2, 4, 3]), array([0, 1]))
    """
    order = np.random.default_rng(seed).permutation(n_lights)
    n_fitted = round(0.6 * n_lights)
    return order[:n_fitted], order[n_fitted:]


def errors(relighter, scaler, lights, images):
    """Compute the figures of each test photograph, encoded, and of all of them."""
    each = []
    energies = []
    for start in range(0, len(lights), _BLOCK):
        some = slice(start, start + _BLOCK)
        truth = scaler.transform(images[some])
        difference = np.abs(scaler.transform(relighter.predict(lights[some])) - truth)
        for one, true in zip(difference, truth, strict=True):
            squared, energy = (float(np.square(values, dtype=np.float64).sum()) for values in (one, true))
            each.append(Figures(squared / one.size, float(one.max()), (squared / energy) ** 0.5))
            energies.append(energy)
    mean_squared_error = float(np.mean([figures.mean_squared_error for figures in each]))
    return each, Figures(
        mean_squared_error,
        max(figures.max_error for figures in each),
        (mean_squared_error * images[0].size * len(each) / sum(energies)) ** 0.5,
    )


def load(capture, image_shape, downscale):
    """Fetch a capture by name or read it from its folder."""
    if capture in FETCH:
        return FETCH[capture](downscale=downscale)
    return load_ltm(capture, image_shape, downscale=downscale)


def run(capture, name, output, seed, mlp):
    """Fit both recipes, print their figures beside the published ones and draw a picture of each.

    Parameters
    ----------
    capture : Bunch
        With ``lights`` and ``images``.

    name : str
        Of the capture.

    output : Path
        Folder for the pictures.

    seed : int
        Of the split and of both models.

    mlp : dict
        Parameters of the networks that shorten the fits.
    """
    fitted, test = split(len(capture.lights), seed)
    height, width = capture.image_shape
    print(
        f"{name}: {len(capture.lights)} photographs of {height} x {width} pixels; {len(test)} to test on, seed {seed}"
    )
    lights, images = capture.lights[fitted], capture.images[fitted]
    test_lights, test_images = capture.lights[test], capture.images[test]
    # Of a full capture, the whole stack takes gigabytes beside its two parts.
    capture.images = None
    scaler = make_relighter("colburn2019").transformer.fit(images)
    rows = [PUBLISHED[name].row("published, one test photograph")] if name in PUBLISHED else []
    for recipe in RECIPES:
        relighter = make_relighter(recipe, random_state=seed, verbose=int(sys.stderr.isatty()))
        relighter.set_params(**{f"regressor__mlp__{parameter}": value for parameter, value in mlp.items()})
        start = time.perf_counter()
        relighter.fit(lights, images)
        seconds = time.perf_counter() - start
        each, pooled = errors(relighter, scaler, test_lights, test_images)
        typical = int(np.argsort([figures.relative_error for figures in each])[len(each) // 2])
        rows.append(each[typical].row(f"{recipe}, the test photograph of median relative error"))
        rows.append(pooled.row(f"{recipe}, all test photographs"))
        picture = output / f"{name}_{recipe}.png"
        predicted = scaler.transform(relighter.predict(test_lights[typical : typical + 1]))[0]
        display = RelightingDisplay(
            predicted=predicted,
            original=scaler.transform(test_images[typical : typical + 1])[0],
            encoding_gamma=scaler.gamma,
        ).plot()
        with replacing(picture) as temporary:
            display.figure_.savefig(temporary, dpi=120)
        plt.close(display.figure_)
        print(f"{recipe}: {seconds:,.0f} s of fitting; light {test[typical]}: {picture}", flush=True)
    print("\nEncoded by the normalisation of Colburn 2019 (relative error with the root):\n")
    print("| | MSE | max error | relative error |", "|---|---|---|---|", *rows, sep="\n")


def main(arguments=None):
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "capture", nargs="?", default="waldorf", help="waldorf, bull or a folder with Red.mat and so on"
    )
    parser.add_argument(
        "--image-shape", nargs=2, type=int, default=SHAPE, metavar=("HEIGHT", "WIDTH"), help="of a folder's images"
    )
    parser.add_argument("--downscale", type=int, default=1, help="average squares of so many pixels a side")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the models")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", help="folder for pictures")
    parser.add_argument("--epochs", type=int, help="of each stage, at most")
    parser.add_argument("--max-observations", type=int, help="of each fit")
    parser.add_argument("--max-time", type=float, help="of each fit, in seconds")
    options = parser.parse_args(arguments)
    shortened = {
        "max_epochs": options.epochs,
        "max_observations": options.max_observations,
        "max_time": options.max_time,
    }
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
    mlp = {parameter: value for parameter, value in shortened.items() if value is not None}
    run(capture, name, options.output, options.seed, mlp)


if __name__ == "__main__":
    main()
