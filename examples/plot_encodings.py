"""
Display curve, logarithm, power, or none
========================================

In photographs of high dynamic range, most values lie in a small part of that range. What a network learns depends on
how they are spread before it sees them.
"""

# %%
# The text of Colburn 2019 takes a logarithm, its published code a power of 1 / 2.2, by which screens show radiance. The
# default is the *display curve*: it is close to that power up to white, and compresses what is brighter, like a
# logarithm. All three are curves of :class:`~sklrelight.LogExposureScaler`. scikit-learn's ``FunctionTransformer()``
# leaves the radiance as it is.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import FunctionTransformer

from sklrelight import LogExposureScaler, make_relighter
from sklrelight.datasets import make_scene
from sklrelight.metrics import display_white, encode_display, relative_error

scene = make_scene(n_lights=100, image_shape=(60, 80))
held_out = np.arange(len(scene.lights)) % 5 == 2
train_images, test_images = scene.images[~held_out], scene.images[held_out]
white = display_white(train_images)
transformers = {
    "display": LogExposureScaler(),
    "logarithm": LogExposureScaler(curve="log"),
    "power 1 / 2.2": LogExposureScaler(curve="power", gamma=2.2),
    "none": FunctionTransformer(),
}
colors = {"display": "#7d3c98", "logarithm": "#2e86c1", "power 1 / 2.2": "#0b9a6f", "none": "#d9680b"}

# %%
# The distribution of the values, scaled by the greatest one. Without a curve, nearly all of them share a few
# hundredths of the range at its dark end, and a few highlights have the rest.
figure, axes = plt.subplots(1, 4, figsize=(14, 3), sharey=True, layout="constrained")
for axis, (name, transformer) in zip(axes, transformers.items(), strict=True):
    encoded = transformer.fit_transform(train_images)
    encoded = encoded / encoded.max()
    shares = np.histogram(encoded, np.linspace(0, 1, 51))[0] / encoded.size
    axis.stairs(100 * shares, np.linspace(0, 1, 51), fill=True, color=colors[name])
    inner = np.percentile(encoded, [5, 95])
    axis.set_title(f"{name}: 90 % of the values within {inner[1] - inner[0]:.3f}", fontsize=10)
    axis.set_xlabel("value that the network learns")
axes[0].set_yscale("log")
axes[0].set_ylabel("% of all values")

# %%
# The same network is trained on each for the same number of observations, and predicts the held-out photographs.
# Nothing but the curve differs. The interpolation of the default recipe is left out.
predicted = {}
for name, transformer in transformers.items():
    relighter = make_relighter(max_observations=1_000_000, random_state=0).set_params(
        transformer=transformer, interpolation=None
    )
    relighter.fit(scene.lights[~held_out], train_images)
    predicted[name] = np.maximum(relighter.predict(scene.lights[held_out]), 0)

# %%
# Errors in two domains. A curve helps where values are compared as encoded for display. Highlights outweigh
# everything else in linear radiance, so the order need not be the same there. Judge by the domain that you will use.
domains = {"encoded (what people see)": white, "linear radiance (highlights)": None}
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), layout="constrained")
for axis, (domain, domain_white) in zip(axes, domains.items(), strict=True):
    errors = [relative_error(test_images, predicted[name], white=domain_white) for name in transformers]
    bars = axis.barh(range(len(transformers)), errors, color=[colors[name] for name in transformers])
    axis.bar_label(bars, fmt="%.3f", padding=3, fontsize=9)
    axis.set_yticks(range(len(transformers)), transformers)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.2 * max(errors))
    axis.set_xlabel("relative error, less is better")
    axis.set_title(domain, fontsize=10)

# %%
# What people see: a dark photograph, four stops brighter. Without a curve, errors that are small beside a highlight
# are large in the shadows.
darkest = int(np.argmin(np.median(test_images, axis=(1, 2, 3))))
views = {"the photograph": test_images[darkest]} | {name: images[darkest] for name, images in predicted.items()}
figure, axes = plt.subplots(2, len(views), figsize=(14, 4.5), layout="constrained")
for column, (name, view) in enumerate(views.items()):
    shown, truth = (encode_display(16 * image, white) for image in (view, test_images[darkest]))
    axes[0, column].imshow(np.clip(shown, 0, 1), interpolation="nearest")
    axes[0, column].set_title(name, fontsize=10)
    axes[1, column].imshow(np.clip(4 * np.abs(shown - truth), 0, 1), interpolation="nearest")
    axes[0, column].set_axis_off()
    axes[1, column].set_axis_off()
axes[1, 0].text(0.5, 0.5, "differences x 4", color="white", ha="center", va="center", transform=axes[1, 0].transAxes)

# %%
# The exposure sets where the display curve and the logarithm begin to compress. It does not matter for the power.
# ``"auto"`` meters the values that are not black: for the display curve, their 99.95th percentile, which is shown as
# white; for the logarithm, their median. A search over ``transformer__exposure`` finds the one of the least error.
for curve in ("display", "log"):
    print(f"metered for {curve!r}: {LogExposureScaler(curve=curve).fit(train_images).exposure_:.1f} stops")
