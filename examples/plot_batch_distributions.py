"""
What a batch shows of the data
==============================

A batch of whole windows holds few lights and few places in the image, so it is unlike the data. A batch of single
pixels, drawn from all photographs, is not. These are the histograms of Colburn 2019, with a scene of our own.
"""

# %%
# The features of an observation are its light, its pixel and the pixel's mean colour. The parts of the recipe
# ``"colburn2019"`` compute them as published. Nothing is trained on this page.

import matplotlib.pyplot as plt
import numpy as np
import torch

from sklrelight import make_relighter
from sklrelight.datasets import make_scene
from sklrelight.neural import Observations, TrainingBatches
from sklrelight.plotting import WindowDistributionDisplay

scene = make_scene(n_lights=225, image_shape=(96, 144))
relighter = make_relighter("colburn2019")
encoded = relighter.transformer.fit_transform(scene.images)
# The column and the row of each lamp in the grid, as the published captures give their lights.
lights = scene.light_grid / scene.light_grid.max()
featurizer = relighter.regressor["featurizer"]
features = featurizer.fit_transform(lights, encoded)
names = featurizer.get_feature_names_out()
print(features, list(names))

# %%
# One batch of as many observations as five photographs have, made of windows of 64 x 64 pixels, and one of single
# pixels. The grey histograms are those of all the data. Feature 0 is a coordinate of the light, feature 2 one of the
# pixel. The share "in common" is the area that two histograms share.
batch_size = 5 * encoded[0, ..., 0].size
options = {"batch_size": batch_size, "columns": (0, 2), "names": names, "random_state": 0}
_ = WindowDistributionDisplay.from_features(features, encoded, window_sizes=(64, 1), **options)

# %%
# The reason: here are the lights and the pixels of one batch, with a dot for every tenth observation. Windows make
# stripes, because they hold a whole block of pixels under each of a few lights. Single pixels fill the plane.
observations = Observations(
    lights=torch.as_tensor(features.lights),
    pixels=torch.as_tensor(features.pixels),
    targets=torch.as_tensor(encoded.reshape(*features.shape[:2], 3)),
    image_shape=features.image_shape,
)
figure, axes = plt.subplots(1, 3, figsize=(12, 3.9), sharey=True, layout="constrained")
for axis, window in zip(axes, (64, 8, 1), strict=True):
    X, _ = next(iter(TrainingBatches(observations, batch_size, window_size=window)))
    light = (X["lights"] * 14).round() @ torch.tensor([1.0, 15.0])
    axis.scatter(light[::10], X["pixels"][::10, 1], s=0.4, color="#2e86c1", linewidths=0, rasterized=True)
    axis.set_title(f"windows of {window} x {window}" if window > 1 else "single pixels", fontsize=10)
    axis.set_xlabel("number of the light")
    axis.set_xlim(0, 225)
axes[0].set_ylabel("column of the pixel")

# %%
# The smaller the windows, the more of the data a batch shows. There are ten batches of each size: lines are their
# means, and bands reach from the least to the greatest.
sizes = (96, 64, 32, 16, 8, 4, 2, 1)
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
overlaps = {}
for size in sizes:
    drawn = []
    for seed in range(10):
        display = WindowDistributionDisplay.from_features(
            features, encoded, window_sizes=(size,), **(options | {"random_state": seed})
        )
        plt.close(display.figure_)
        drawn.append(display.overlaps[size])
    overlaps[size] = 100 * np.array(drawn)
for column, (label, color) in enumerate([("light", "#d9680b"), ("pixel", "#2e86c1"), ("target", "#0b9a6f")]):
    values = np.array([overlaps[size][:, column] for size in sizes])
    axis.plot(sizes, values.mean(axis=1), "o-", color=color, label=label)
    axis.fill_between(sizes, values.min(axis=1), values.max(axis=1), color=color, alpha=0.15, linewidth=0)
axis.set_xscale("log", base=2)
axis.set_xticks(sizes, [str(size) for size in sizes])
axis.invert_xaxis()
axis.set_xlabel("side of the windows")
axis.set_ylabel("% in common with all data")
axis.set_ylim(0, 103)
axis.legend()
axis.set_title(f"one batch of about {float(f'{batch_size:.2g}'):,.0f} observations", fontsize=10)

# %%
# So a batch of windows does misrepresent the data, and most of all the lights. :doc:`plot_window_experiment` asks
# whether that costs accuracy. Batches of the default recipe lie in between: they have single pixels, but each of them
# under the same 64 lights, because layers of the pixel are then computed once for 64 observations.
