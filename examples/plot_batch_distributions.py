"""
What a batch shows of the data
==============================

A batch made of whole windows holds few lights and few places in the picture, so it looks unlike the data. Single
pixels, drawn from all photographs, do not have that fault. These are the histograms of Colburn 2019, with a scene of
our own.
"""

# %%
# The features of an observation are its light, its pixel and the pixel's mean colour. The recipe
# ``"colburn2019"`` computes them as published; it need not be trained for this.

import matplotlib.pyplot as plt
import numpy as np
import torch

from sklrelight import LogExposureScaler, PixelLightFeaturizer
from sklrelight.datasets import make_scene
from sklrelight.plotting import WindowDistributionDisplay
from sklrelight.sampling import Observations, TrainingBatches

scene = make_scene(n_lights=225, image_shape=(96, 144))
encoded = LogExposureScaler(exposure=4, curve="power").fit_transform(scene.images)
# Where each lamp stands in the grid, as column and row: the published captures have lights like these.
lights = scene.light_grid / scene.light_grid.max()
featurizer = PixelLightFeaturizer(n_components=0, scaling="unit")
features = featurizer.fit_transform(lights, encoded)
names = featurizer.get_feature_names_out()
print(features, list(names))

# %%
# One batch as large as five photographs, made of windows of 64 x 64 pixels, and one of single pixels. Grey is
# what all the data look like. Feature 0 is a coordinate of the light, feature 2 one of the pixel. The share "in
# common" is the area that two histograms share.
batch_size = 5 * encoded[0, ..., 0].size
options = {"batch_size": batch_size, "columns": (0, 2), "names": names, "random_state": 0}
_ = WindowDistributionDisplay.from_features(features, encoded, window_sizes=(64, 1), **options)

# %%
# Why: here are the lights and the pixels that one batch holds, one dot an observation (a tenth of them is drawn).
# Windows make stripes: some lights, and of each of these a whole block of pixels. Single pixels fill the plane.
observations = Observations(
    lights=torch.as_tensor(features.lights),
    pixels=torch.as_tensor(features.pixels),
    targets=torch.as_tensor(encoded.reshape(*features.shape[:2], 3)),
    image_shape=features.image_shape,
)
figure, axes = plt.subplots(1, 3, figsize=(12, 3.9), sharey=True, layout="constrained")
for axis, window in zip(axes, (64, 8, 1), strict=True):
    torch.manual_seed(0)
    X, _ = next(iter(TrainingBatches(observations, batch_size, window_size=window)))
    light = (X[:, 0] * 14).round() + 15 * (X[:, 1] * 14).round()
    axis.scatter(light[::10], X[::10, 3], s=0.4, color="#2e86c1", linewidths=0, rasterized=True)
    axis.set_title(f"windows of {window} x {window}" if window > 1 else "single pixels", fontsize=10)
    axis.set_xlabel("number of the light")
    axis.set_xlim(0, 225)
axes[0].set_ylabel("column of the pixel")

# %%
# In between, from whole windows to single pixels: the smaller the windows, the more of the data one batch shows.
# Ten batches each; lines are means, bands reach from the least to the greatest.
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
# So a batch of windows does misrepresent the data, and most of all the lights. Whether that costs accuracy is
# another question: :doc:`plot_window_experiment`.
