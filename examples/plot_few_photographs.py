"""
Few photographs
===============

What can be done with 5 to 20 photographs? A model that has seen many surfaces before guesses better how light moves.
"""

# %%
# A coin of bronze on matt paper, under 90 lamps on a dome. A few of them are taken to learn from, as
# :func:`~sklrelight.interpolation.choose_lights` chooses them, and the others are predicted.
# :class:`~sklrelight.interpolation.PretrainedInterpolation` has a small network that was trained on rendered surfaces,
# and comes with the package. It learns nothing here: it looks at what each pixel shows in the photographs, and weighs
# several interpolations, and what is known of matt and shiny surfaces, by that.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from sklrelight import Relighter
from sklrelight.interpolation import PretrainedInterpolation, RBFInterpolation, StackedRBFInterpolation, choose_lights
from sklrelight.metrics import display_white, encode_display, relative_error

# Models warn of lamps outside of those that they learnt from. With few of them some are.
warnings.filterwarnings("ignore", message=".*lie outside of the lights")

turns, height = np.arange(90) * np.pi * (3 - np.sqrt(5)), np.linspace(0.25, 0.98, 90)
ring = np.sqrt(1 - height**2)
lights = np.stack([ring * np.cos(turns), ring * np.sin(turns), height], axis=1)

y, x = np.mgrid[1:-1:80j, -1:1:80j]
radius, angle = np.hypot(x, y), np.arctan2(y, x)
is_coin = radius < 0.85
relief = 0.03 * np.cos(24 * radius) * is_coin + 0.05 * np.cos(5 * angle) * np.exp(-(((radius - 0.45) / 0.15) ** 2))
relief += 0.004 * np.random.default_rng(0).normal(size=relief.shape)
down, right = np.gradient(relief, y[0, 0] - y[1, 0])
normals = np.stack([-right, down, np.ones_like(relief)], axis=-1)
normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
albedo = np.where(is_coin[..., None], [0.16, 0.10, 0.05], [0.5, 0.5, 0.45])
shine = np.where(is_coin[..., None], [0.9, 0.6, 0.3], 0.0)


def photograph(light):
    """Diffuse reflection, and a highlight around the half vector of light and camera."""
    half = light + np.array([0, 0, 1])
    facing = np.maximum(normals @ light, 0)[..., None]
    mirrored = np.maximum(normals @ (half / np.linalg.norm(half)), 0)[..., None]
    return (albedo * facing + shine * mirrored**40 * (facing > 0)).astype(np.float32)


images = np.stack([photograph(light) for light in lights])
white = display_white(images)

models = {
    "RBFInterpolation": RBFInterpolation(),
    "StackedRBFInterpolation": StackedRBFInterpolation(random_state=0),
    "PretrainedInterpolation": PretrainedInterpolation(),
}


def fit(name, taken):
    """Fit a model to some of the photographs."""
    return Relighter(models[name]).fit(lights[taken], images[taken])


# %%
# The error of all other photographs, for each number of photographs to learn from.
numbers = [5, 8, 12, 20]
errors = {name: [] for name in models}
for number in numbers:
    taken = choose_lights(lights, number)
    others = np.setdiff1d(np.arange(len(lights)), taken)
    for name in models:
        predicted = fit(name, taken).predict(lights[others])
        errors[name].append(relative_error(images[others], predicted, white=white))
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
    taken = choose_lights(lights, number)
    lamp = int(np.setdiff1d(np.arange(len(lights)), taken)[number])
    shown = {}
    for name in ("RBFInterpolation", "PretrainedInterpolation"):
        shown[f"{name}\n{number} photographs"] = fit(name, taken).predict(lights[[lamp]])[0]
    for axis, (title, image) in zip(row, {**shown, "photograph": images[lamp]}.items(), strict=True):
        axis.imshow(encode_display(image, white).clip(0, 1))
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()

# %%
# :func:`~sklrelight.make_relighter` has the pretrained interpolation as a part: for at most 60 photographs it is one of
# the three models whose mean is predicted, by weights that held-out photographs decide. ``Relighter(pretrained=False)``
# leaves it out.
