"""Fresh surfaces: the error of the pretrained interpolation over that of the radial-basis interpolation.

    python benchmarks/pretraining/gate.py

No weights were trained on surfaces of these seeds, and none were chosen by them.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).resolve().parents[1]))

from accuracy_sets import Split
from few_lights import use_weights
from surfaces import render_capture

from sklrelight import Relighter
from sklrelight.interpolation import PretrainedInterpolation, RBFInterpolation
from sklrelight.metrics import display_white, relative_error

NUMBERS = (12, 24, 48)
# The first seed.
FRESH = 2_000_000
# Photographs of each surface that are predicted.
_TESTS = 12


def render_split(seed, n_lights, side=48):
    """Render a surface, of which some photographs under random lights are given and others are to be predicted."""
    lights, images, is_display = render_capture(seed, side)
    stored = images.dtype == np.uint8
    images = images.astype(np.float32) / (255 if stored else 1)
    order = np.random.default_rng([seed, n_lights]).permutation(len(lights))
    given, tests = order[:n_lights], order[n_lights : n_lights + _TESTS]
    white = None if stored else display_white(images[given])
    gamma = 2.2 if is_display else 1.0
    return Split(lights[given], images[given], lights[tests], images[tests], white, gamma)


def measure(split):
    """Measure both interpolations.

    Returns
    -------
    ndarray of shape (2, 2)
        Relative errors of the pretrained interpolation and of the radial-basis interpolation, encoded and linear.
    """
    errors = []
    for model in (PretrainedInterpolation(), RBFInterpolation()):
        predicted = Relighter(model).fit(split.lights, split.images).predict(split.test_lights)
        errors.append(
            [relative_error(turn(split.test_images), turn(predicted)) for turn in (split.encode, split.to_linear)]
        )
    return np.array(errors)


def main():
    """Print mean, pooled and worst ratio for each number of lights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--surfaces", type=int, default=30, help="number of surfaces")
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS, help="numbers of lights")
    parser.add_argument("--weights", type=Path, help="a file that train.py wrote, instead of the package's weights")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # Lights at random leave some of the others outside.
    warnings.filterwarnings("ignore", message=".* lie outside of the lights")
    if arguments.weights:
        use_weights(arguments.weights)
    for n_lights in arguments.numbers:
        seeds = range(FRESH, FRESH + arguments.surfaces)
        errors = np.stack([measure(render_split(seed, n_lights)) for seed in seeds])
        ratios, pooled = errors[:, 0] / errors[:, 1], np.sqrt(np.square(errors).mean(0))
        shown = {
            "mean of the ratios": ratios.mean(0),
            "ratio of the pooled errors": pooled[0] / pooled[1],
            "worst surface": ratios.max(0),
        }
        told = ", ".join(f"{name} {values[0]:.3f} / {values[1]:.3f}" for name, values in shown.items())
        print(f"{n_lights} lights, encoded / linear: {told}", flush=True)


if __name__ == "__main__":
    main()
