"""
Which lights to photograph
==========================

Photographs cost time. Which lights should be photographed, and how many are enough?
"""

# %%
# A dense capture shows what could have been photographed: 225 lamps on a grid over the scene. Some of them are taken
# to learn from, and the others are predicted. The model is an interpolation, which takes a moment to fit.
# :func:`~sklrelight.interpolation.choose_lights` has four ways of choosing lamps, which see only where the lamps are.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from sklrelight import Relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import RBFInterpolation, choose_lights
from sklrelight.metrics import display_white, relative_error
from sklrelight.plotting import LightErrorDisplay

# Models warn of lamps far outside of those that they learnt from. Here some are, to show what that does.
warnings.filterwarnings("ignore", message=".*lie outside of the lights")

dense = make_scene(n_lights=225, image_shape=(48, 64))
white = display_white(dense.images)
rng = np.random.default_rng(0)


def at_random(n_lights):
    """Lamps picked by chance."""
    return rng.choice(len(dense.lights), n_lights, replace=False)


def on_one_side(n_lights):
    """Evenly spread lamps over the left side, as of an arm that does not reach further."""
    left = np.flatnonzero(dense.lights[:, 0] < 0)
    return left[choose_lights(dense.lights[left], n_lights, method="medoids")]


def by(method):
    """Lamps that `choose_lights` chooses."""
    return lambda n_lights: choose_lights(dense.lights, n_lights, method=method)


def error_with(taken):
    """Relative error of all other photographs."""
    others = np.setdiff1d(np.arange(len(dense.lights)), taken)
    model = Relighter(RBFInterpolation()).fit(dense.lights[taken], dense.images[taken])
    return relative_error(dense.images[others], model.predict(dense.lights[others]), white=white)


# %%
# Error against number of photographs, for six ways of choosing them. Chance leaves gaps, and forgets the rim. The
# default, ``method="error"``, takes the lamps that leave the least expected error of all others. On real captures it is
# the best of the four, too, in the mean over 16 of them (``benchmarks/which_lights.py``).
ways = {
    "one side only": on_one_side,
    "at random (mean of 5)": at_random,
    "medoids": by("medoids"),
    "farthest": by("farthest"),
    "d_optimal": by("d_optimal"),
    "error (default)": by("error"),
}
numbers = [6, 12, 24, 48]
curves = {}
for name, choose in ways.items():
    repeats = 5 if choose is at_random else 1
    curves[name] = [np.mean([error_with(choose(number)) for _ in range(repeats)]) for number in numbers]

figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
for (name, curve), marker in zip(curves.items(), "osv^Dx", strict=True):
    axis.plot(numbers, curve, marker=marker, label=name)
axis.set_xscale("log")
axis.set_xticks(numbers, [str(number) for number in numbers])
axis.minorticks_off()
axis.set_xlabel("photographs to learn from")
axis.set_ylabel("relative error of the others (encoded)")
axis.set_ylim(bottom=0)
axis.legend()
axis.set_title("how lights are chosen matters as much as how many", fontsize=10)

# %%
# A rough rendering of the scene under all lamps, or a quick and small photograph of each, may be given as ``proxy``.
# Here each photograph is reduced to 6 x 8 pixels. In this scene, whose lamps stand on a grid and are equally bright,
# that changes little. On real captures it lowers the error, most of all if a third or more of the lights are taken.
# Photographs of another object do not help.
rough = np.log1p(8 * dense.images.reshape(len(dense.images), 6, 8, 8, 8, 3).mean(axis=(2, 4)))
for number in (6, 12, 24):
    blind, seeing = (error_with(choose_lights(dense.lights, number, proxy=proxy)) for proxy in (None, rough))
    print(f"{number} lamps: error {blind:.3f} without a proxy, {seeing:.3f} with it")

# %%
# The same from above: 24 lamps each, and the errors of all others in the same colours. Outside of the lamps that were
# photographed, the interpolation can only guess.
figure, axes = plt.subplots(1, 3, figsize=(13, 4.8), layout="constrained")
rng = np.random.default_rng(0)
for axis, name in zip(axes, ["one side only", "at random (mean of 5)", "error (default)"], strict=True):
    taken = ways[name](24)
    others = np.setdiff1d(np.arange(len(dense.lights)), taken)
    model = Relighter(RBFInterpolation()).fit(dense.lights[taken], dense.images[taken])
    display = LightErrorDisplay.from_estimator(
        model, dense.lights[others], dense.images[others], training_lights=dense.lights[taken], white=white, ax=axis
    )
    for points in axis.collections:
        points.set_clim(0, 0.5)
    if axis is not axes[-1]:
        display.colorbar_.remove()
    axis.set_title(f"{name.removesuffix(' (mean of 5)')}\n{axis.get_title().partition(': ')[2]}", fontsize=10)

# %%
# Where to photograph next? A fitted interpolation knows how well each photograph would have been predicted from the
# others (its leave-one-out error), without any further photograph. Where that error is large, add lights.
start = choose_lights(dense.lights, 24)
model = RBFInterpolation().fit(dense.lights[start], np.log1p(8 * dense.images[start]))
leave_one_out = np.sqrt(model.leave_one_out_errors_[model.light_groups_])
figure, axis = plt.subplots(figsize=(6.2, 4.4), layout="constrained")
axis.scatter(*dense.lights[:, [0, 2]].T, s=4, color="#9aa5b1", label="could be photographed")
axis.scatter(
    *dense.lights[start][:, [0, 2]].T,
    s=500 * (leave_one_out / np.nanmax(leave_one_out)) ** 2,
    color="#d9680b",
    alpha=0.6,
    label="photographed; area: squared error of predicting it from the others",
)
axis.set_xlabel("light x")
axis.set_ylabel("light z")
axis.set_aspect("equal")
axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8, frameon=False)
axis.set_title("how badly each photograph is predicted from the others", fontsize=10)
