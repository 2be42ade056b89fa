"""
Which lights to photograph
==========================

Photographs cost time. Which lights should be photographed, and how many are enough?
"""

# %%
# A dense capture shows what could have been photographed: 225 lamps on a grid over the scene. Some of them are taken
# to learn from, and the others are predicted. The model is an interpolation, which takes a moment to fit.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans

from sklrelight import Relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import RBFInterpolation
from sklrelight.metrics import display_white, relative_error
from sklrelight.plotting import LightErrorDisplay

dense = make_scene(n_lights=225, image_shape=(48, 64))
white = display_white(dense.images)
rng = np.random.default_rng(0)


def at_random(n_lights):
    """Lamps picked by chance."""
    return rng.choice(len(dense.lights), n_lights, replace=False)


def on_one_side(n_lights):
    """Evenly spread lamps over the left side, as of an arm that does not reach further."""
    left = np.flatnonzero(dense.lights[:, 0] < 0)
    return left[by_clusters(n_lights, dense.lights[left])]


def by_clusters(n_lights, lights=dense.lights):
    """The lamps nearest to the centres of as many clusters (k-means)."""
    clusters = KMeans(n_lights, n_init=1, random_state=0).fit(lights)
    return np.unique(np.argmin(np.linalg.norm(lights[:, None] - clusters.cluster_centers_, axis=-1), axis=0))


def farthest_first(n_lights):
    """The lamp in the middle, then always the one farthest from all before, so that the rim comes first."""
    taken = [int(np.argmin(np.linalg.norm(dense.lights - dense.lights.mean(axis=0), axis=1)))]
    while len(taken) < n_lights:
        gaps = np.linalg.norm(dense.lights[:, None] - dense.lights[taken], axis=-1).min(axis=1)
        taken.append(int(np.argmax(gaps)))
    return np.array(taken)


def error_with(taken):
    """Relative error of all other photographs."""
    others = np.setdiff1d(np.arange(len(dense.lights)), taken)
    model = Relighter(RBFInterpolation()).fit(dense.lights[taken], dense.images[taken])
    return relative_error(dense.images[others], model.predict(dense.lights[others]), white=white)


# %%
# Error against number of photographs, for four ways of choosing them.
ways = {
    "one side only": on_one_side,
    "at random (mean of 5)": at_random,
    "evenly (k-means)": by_clusters,
    "farthest first": farthest_first,
}
numbers = [6, 12, 24, 48, 96]
curves = {}
for name, choose in ways.items():
    repeats = 5 if choose is at_random else 1
    curves[name] = [np.mean([error_with(choose(number)) for _ in range(repeats)]) for number in numbers]

figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
for (name, curve), marker in zip(curves.items(), "os^D", strict=True):
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
# The same from above: 24 lamps each, and the errors of all others in the same colours. Outside of the lamps that were
# photographed, the interpolation can only guess.
figure, axes = plt.subplots(1, 3, figsize=(13, 4.8), layout="constrained")
rng = np.random.default_rng(0)
for axis, name in zip(axes, ["one side only", "at random (mean of 5)", "farthest first"], strict=True):
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
start = farthest_first(24)
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
