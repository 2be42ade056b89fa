"""
Few photographs
===============

What can be done with 5 to 20 photographs? A model that has seen many surfaces before guesses better how light moves.
"""

# %%
# 90 lamps stand on a dome around the scene. A few of them are taken to learn from, as
# :func:`~sklrelight.interpolation.choose_lights` chooses them, and the others are predicted.
# :class:`~sklrelight.interpolation.PretrainedInterpolation` has a small network that was trained on rendered surfaces,
# and comes with the package. It learns nothing here: it looks at what each pixel shows in the photographs, and weighs
# several interpolations, and what is known of matt and shiny surfaces, by that.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from sklrelight import Relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import PretrainedInterpolation, RBFInterpolation, StackedRBFInterpolation, choose_lights
from sklrelight.metrics import display_white, encode_display, relative_error

# Models warn of lamps outside of those that they learnt from. With few of them some are.
warnings.filterwarnings("ignore", message=".*lie outside of the lights")

turns = np.arange(90) * np.pi * (3 - np.sqrt(5))
height = np.linspace(0.35, 0.95, 90)
dome = np.stack([np.sqrt(1 - height**2) * np.cos(turns), height, np.sqrt(1 - height**2) * np.sin(turns)], axis=1)
# Those behind the wall light nothing.
scene = make_scene(lights=4 * dome[dome[:, 2] > 0], image_shape=(60, 80))
white = display_white(scene.images)

models = {
    "RBFInterpolation": RBFInterpolation(),
    "StackedRBFInterpolation": StackedRBFInterpolation(random_state=0),
    "PretrainedInterpolation": PretrainedInterpolation(),
}


def fit(name, taken):
    """Fit a model to some of the photographs."""
    return Relighter(models[name]).fit(scene.lights[taken], scene.images[taken])


# %%
# The error of all other photographs, for each number of photographs to learn from.
numbers = [5, 8, 12, 20]
errors = {name: [] for name in models}
for number in numbers:
    taken = choose_lights(scene.lights, number)
    others = np.setdiff1d(np.arange(len(scene.lights)), taken)
    for name in models:
        predicted = fit(name, taken).predict(scene.lights[others])
        errors[name].append(relative_error(scene.images[others], predicted, white=white))
        print(f"{number} photographs, {name}: {errors[name][-1]:.3f}")

figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
for (name, curve), marker in zip(errors.items(), "os^", strict=True):
    axis.plot(numbers, curve, marker=marker, label=name)
axis.set_xscale("log")
axis.set_xticks(numbers, [str(number) for number in numbers])
axis.minorticks_off()
axis.set_xlabel("photographs to learn from")
axis.set_ylabel("relative error of the others (encoded)")
axis.set_ylim(bottom=0)
axis.legend()

# %%
# A lamp that was not photographed, predicted from 5 and from 12 photographs. A plain interpolation fades one highlight
# or shadow out and the next one in. The pretrained one moves part of the way, where it recognises the surface.
figure, axes = plt.subplots(2, 3, figsize=(9, 4.8), layout="constrained")
for row, number in zip(axes, (5, 12), strict=True):
    taken = choose_lights(scene.lights, number)
    lamp = int(np.setdiff1d(np.arange(len(scene.lights)), taken)[number])
    shown = {}
    for name in ("RBFInterpolation", "PretrainedInterpolation"):
        shown[f"{name}\n{number} photographs"] = fit(name, taken).predict(scene.lights[[lamp]])[0]
    for axis, (title, image) in zip(row, {**shown, "photograph": scene.images[lamp]}.items(), strict=True):
        axis.imshow(encode_display(image, white))
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()

# %%
# :func:`~sklrelight.make_relighter` has the pretrained interpolation as a part: for at most 60 photographs it is one of
# the three models whose mean is predicted, by weights that held-out photographs decide. ``Relighter(pretrained=False)``
# leaves it out.
