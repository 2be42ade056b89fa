"""
Channels that die
=================

A network may get stuck with a colour channel that is 0 for every pixel and light. Colburn 2019 adds a luminance term to
the loss to prevent that. Does it help?
"""

# %%
# The recipe is that of Colburn 2019, with a smaller network and a shorter training. The published network ends in a
# ReLU in one of its two versions and is linear in the other. Both are trained here, with and without the luminance
# term, and each from ten initial weights.

import matplotlib.pyplot as plt
import numpy as np

from sklrelight import make_relighter
from sklrelight.datasets import make_scene
from sklrelight.metrics import display_white, encode_display, relative_error

SEEDS = range(10)

scene = make_scene(n_lights=49, image_shape=(36, 48))
some = slice(None, None, 4)
white = display_white(scene.images)


def train(output_activation, luminance_weight, seed):
    """Fit for a short while and predict some of the training photographs."""
    relighter = make_relighter("colburn2019", random_state=seed).set_params(
        regressor__mlp__hidden_layer_sizes=(128,) * 5,
        regressor__mlp__output_activation=output_activation,
        regressor__mlp__luminance_weight=luminance_weight,
        regressor__mlp__relative_weight=0,
        regressor__mlp__batch_size=2000,
        regressor__mlp__max_observations=150_000,
        regressor__mlp__validation_fraction=0.0,
    )
    return relighter.fit(scene.lights, scene.images).predict(scene.lights[some])


settings = {
    "ReLU, MSE": ("relu", 0),
    "ReLU, MSE + luminance": ("relu", 1),
    "linear, MSE": ("identity", 0),
    "linear, MSE + luminance": ("identity", 1),
}
predicted = {name: [train(*setting, seed) for seed in SEEDS] for name, setting in settings.items()}

# %%
# A channel is dead if it has the least value of the data in every pixel of every photograph.
least = scene.images.min()
errors, dead = {}, {}
for name, runs in predicted.items():
    errors[name] = [relative_error(scene.images[some], run, white=white) for run in runs]
    dead[name] = [int((run.reshape(-1, 3).max(axis=0) <= least + 1e-6).sum()) for run in runs]
    print(f"{name:26} channels dead, by initial weights: {dead[name]}")

# %%
# Each dot is one training. Those with dead channels do not get below an error of one half.
figure, axis = plt.subplots(figsize=(8, 3.8), layout="constrained")
marks = {0: ("o", "#2e86c1", "all channels alive"), 1: ("X", "#d9680b", "one dead"), 2: ("D", "#c0392b", "two dead")}
marks[3] = ("s", "#7b241c", "all dead")
spread = np.linspace(-0.18, 0.18, len(SEEDS))
for row, name in enumerate(settings):
    for number, offset, error in zip(dead[name], spread, errors[name], strict=True):
        marker, color, _ = marks[number]
        axis.plot(error, row + offset, marker, color=color, markersize=7, markeredgecolor="white", markeredgewidth=0.5)
for number in sorted({number for numbers in dead.values() for number in numbers}):
    marker, color, label = marks[number]
    axis.plot([], [], marker, color=color, label=label)
axis.set_yticks(
    range(len(settings)),
    [f"{name}\n{sum(map(bool, dead[name]))} of {len(SEEDS)} with dead channels" for name in settings],
)
axis.invert_yaxis()
axis.set_xlim(left=0)
axis.set_xlabel("relative error on training photographs (encoded)")
axis.legend(fontsize=8, loc="lower right")
axis.set_title("output and loss, ten initial weights each", fontsize=10)

# %%
# What it looks like: a photograph, and the same one as predicted with dead channels and without.
worst = int(np.argmax(dead["ReLU, MSE + luminance"]))
views = {
    "the photograph": scene.images[some][6],
    f"ReLU, MSE + luminance: {dead['ReLU, MSE + luminance'][worst]} dead": predicted["ReLU, MSE + luminance"][worst][6],
    "linear, from the same initial weights": predicted["linear, MSE + luminance"][worst][6],
}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
for axis, (name, view) in zip(axes, views.items(), strict=True):
    axis.imshow(np.clip(encode_display(8 * view, white), 0, 1), interpolation="nearest")
    axis.set_title(name, fontsize=9)
    axis.set_axis_off()

# %%
# The outcome in numbers:
n_dead = {name: sum(map(bool, numbers)) for name, numbers in dead.items()}
print(
    f"ReLU output, without the luminance term: {n_dead['ReLU, MSE']} of {len(SEEDS)} trainings end with dead channels"
)
print(f"ReLU output, with it:                    {n_dead['ReLU, MSE + luminance']} of {len(SEEDS)}")
print(f"linear output, without:                  {n_dead['linear, MSE']} of {len(SEEDS)}")
print(f"linear output, with:                     {n_dead['linear, MSE + luminance']} of {len(SEEDS)}")

# %%
# In our runs the luminance term did not save a channel: with a ReLU at the output, no fewer trainings lost channels
# with the term than without. There is a reason. Where the ReLU gives 0 for every observation, its gradient is 0 for
# every loss that depends on its output, and the luminance is such a loss. A channel is lost within the first steps,
# and the term cannot bring it back. What does help is a linear output, with which no channel died here. It is the
# default of this library, also in the recipe ``"colburn2019"``.
