"""
Which model for your capture
============================

Classical interpolation takes seconds, a network about a minute. Which one is better depends on the capture. Hold some
photographs out to see.
"""

# %%
# The scene is lit from a dome: the lights are directions, unit vectors. Every fourth photograph is held out. The
# models are fitted to all the others, and then to only 30 of them.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from sklrelight import Relighter, make_relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.metrics import display_white, encode_display, relative_error


def dome(n_lights):
    """Directions along a spiral, spread evenly over the upper front quarter of a sphere."""
    number = np.arange(4 * n_lights) + 0.5
    z = 1 - number / (2 * n_lights)
    turn = number * np.pi * (1 + np.sqrt(5))
    directions = np.column_stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z])
    return directions[(directions[:, 1] > 0.08) & (directions[:, 2] > 0.08)]


directions = dome(120)
lamps = np.array([0, 0.6, 0]) + 4.2 * directions
images = make_scene(lights=lamps, image_shape=(60, 80)).images
held_out = np.arange(len(directions)) % 4 == 1
train = np.flatnonzero(~held_out)
white = display_white(images[train])
print(f"{len(directions)} photographs, {held_out.sum()} held out")

# %%
# Each model takes the same place, between the encoding of the photographs and its inverse. The stacked RBF averages
# several for each cluster of pixels. ``make_relighter()`` averages a network with that one, and the network alone is
# shown beside it. The networks see few observations, so that this page is quick.
blend = make_relighter(max_observations=3_000_000, random_state=0)
models = {
    "nearest photograph": Relighter(NearestPhotograph()),
    "polynomial (PTM)": Relighter(PolynomialTextureMap()),
    "harmonics (HSH)": Relighter(HemisphericalHarmonics()),
    "piecewise linear": Relighter(LinearInterpolation()),
    "RBF, thin plate": Relighter(RBFInterpolation()),
    "RBF, stacked": Relighter(StackedRBFInterpolation(random_state=0)),
    "network alone": clone(blend).set_params(interpolation=None),
    "make_relighter()": blend,
}

errors, seconds, predicted = {}, {}, {}
for n_lights in (len(train), 30):
    chosen = train[np.linspace(0, len(train) - 1, n_lights).astype(int)]
    for name, model in models.items():
        start = time.perf_counter()
        model.fit(directions[chosen], images[chosen])
        seconds[name, n_lights] = time.perf_counter() - start
        predicted[name, n_lights] = model.predict(directions[held_out])
        errors[name, n_lights] = relative_error(images[held_out], predicted[name, n_lights], white=white)

# %%
# The errors. With few lights no model is good, and the order differs from that with many.
numbers = [len(train), 30]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
for axis, n_lights in zip(axes, numbers, strict=True):
    values = [errors[name, n_lights] for name in models]
    best = min(values)
    colors = ["#2e86c1" if value == best else "#9aa5b1" for value in values]
    bars = axis.barh(range(len(models)), values, color=colors)
    axis.bar_label(bars, fmt="%.3f", padding=3, fontsize=8)
    axis.set_title(f"{n_lights} photographs to learn from", fontsize=10)
    axis.set_xlabel("relative error (encoded), less is better")
    axis.set_xlim(0, 1.2 * max(values))
axes[0].set_yticks(range(len(models)), list(models))
axes[0].invert_yaxis()

# %%
# The models differ at the edges of shadows and in highlights. Here is one held-out photograph as each model predicts it
# from all training lights.
sample = int(np.argmax(images[held_out].std(axis=(1, 2, 3)) / images[held_out].mean(axis=(1, 2, 3))))
views = {"the photograph": images[held_out][sample]}
views |= {name: predicted[name, len(train)][sample] for name in models}
figure, axes = plt.subplots(3, 3, figsize=(9, 7.2), layout="constrained")
for axis, (name, view) in zip(axes.flat, views.items(), strict=True):
    axis.imshow(np.clip(encode_display(4 * view, white), 0, 1), interpolation="nearest")
    error = "" if name == "the photograph" else f", {relative_error(images[held_out][sample], view, white=white):.3f}"
    axis.set_title(f"{name}{error}", fontsize=9)
    axis.set_axis_off()

# %%
# The time of fitting. Only the order of magnitude means something, since these are seconds of the machine that built
# this page.
for name in models:
    print(f"{name:20} {seconds[name, len(train)]:6.1f} s")

# %%
# How to choose: hold out every fourth photograph of your own capture, as here, and take the fastest model that looks
# good enough. If that is an interpolation, there is no need for a network. If shadows double, or highlights fade from
# one light to the next, try ``make_relighter()`` with its own, larger number of observations next.
best = {n_lights: min(models, key=lambda name: errors[name, n_lights]) for n_lights in numbers}
print("\n".join(f"least error with {n_lights} photographs: {name}" for n_lights, name in best.items()))
