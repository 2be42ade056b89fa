"""
Daylight of hours that were not rendered
========================================

Radiance renders a small room at a few hours of a year, and a model predicts others. Patches of sun move from hour to
hour. They need no reflections, so they are rendered for every hour at little cost, and the model learns the rest:
:class:`~sklrelight.BaselineRelighter`. ``make daylight`` does this with the weather of a typical year.
"""

# %%
# The hours
# ---------
# Every second hour of every tenth day, under a clear sky, while the sun is above the opening of the room. Forty hours
# stand for them.
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from sklrelight import BaselineRelighter, Relighter
from sklrelight.daylight import (
    DIRECT_ONLY,
    choose_hours,
    daylight_glare_probability,
    luminance,
    render_hours,
    sun_lights,
    vertical_illuminance,
)
from sklrelight.interpolation import NearestPhotograph, RBFInterpolation
from sklrelight.metrics import relative_error

days = pd.date_range("2024-01-05", "2024-12-31", freq="10D", tz="Etc/GMT+5")
times = pd.DatetimeIndex([day + pd.Timedelta(hours=hour) for day in days for hour in range(6, 20, 2)])
lights = sun_lights(times, latitude=36.1, longitude=-79.95)
lights = lights[lights["up"] > np.sin(np.radians(20))]
chosen = choose_hours(lights, 40, random_state=0)
others = np.setdiff1d(np.arange(len(lights)), chosen)
held_out = np.random.default_rng(0).choice(others, 12, replace=False)
print(f"{len(lights)} hours: {len(chosen)} to learn from, {len(held_out)} held out")

# %%
# The renderings
# --------------
# A room of 4 x 4 x 3 m that is open to the south, with a table. The panoramas are small so that this page is quick.
ROOM = """
void plastic paint 0 0 5 .6 .55 .5 0 0
void plastic wood 0 0 5 .4 .25 .15 0 0
wood polygon floor 0 0 12  0 0 0  4 0 0  4 4 0  0 4 0
paint polygon ceiling 0 0 12  0 0 3  0 4 3  4 4 3  4 0 3
paint polygon west 0 0 12  0 0 0  0 4 0  0 4 3  0 0 3
paint polygon east 0 0 12  4 0 0  4 0 3  4 4 3  4 4 0
paint polygon north 0 0 12  0 4 0  4 4 0  4 4 3  0 4 3
paint polygon parapet 0 0 12  0 0 0  0 0 1  4 0 1  4 0 0
paint polygon lintel 0 0 12  0 0 2.2  0 0 3  4 0 3  4 0 2.2
wood polygon table 0 0 12  1 1 .7  2.5 1 .7  2.5 2 .7  1 2 .7
"""
VIEW, FORWARD = (2, 3, 1.2), (0, -1, 0)


def render(rows, options):
    """Render some hours."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder, "room.rad")
        scene.write_text(ROOM)
        path = Path(folder, "images.npy")
        some = lights.iloc[rows]
        return np.asarray(render_hours(scene, some, VIEW, path, height=24, options=options, n_jobs=2, verbose=0))


QUALITY = "-ab 2 -ad 128 -as 0 -ar 16 -aa 0.3"
images, truth = render(chosen, QUALITY), render(held_out, QUALITY)
direct, direct_held_out = render(chosen, DIRECT_ONLY), render(held_out, DIRECT_ONLY)

# %%
# What the direct light is worth
# ------------------------------
learnt, asked = lights.iloc[chosen], lights.iloc[held_out]
predictions = {
    "nearest hour": Relighter(NearestPhotograph()).fit(learnt, images).predict(asked),
    "images alone": Relighter(RBFInterpolation()).fit(learnt, images).predict(asked),
    "with direct light": BaselineRelighter(Relighter(RBFInterpolation()))
    .fit(learnt, images, baseline=direct)
    .predict(asked, baseline=direct_held_out),
}
true_illuminance = np.array([vertical_illuminance(image, FORWARD) for image in truth])
true_glare = np.array([daylight_glare_probability(image, FORWARD, size=100) for image in truth])
for name, predicted in predictions.items():
    illuminance = np.array([vertical_illuminance(image, FORWARD) for image in predicted])
    glare = np.array([daylight_glare_probability(image, FORWARD, size=100) for image in predicted])
    rmse = np.sqrt(np.mean((illuminance - true_illuminance) ** 2)) / true_illuminance.mean()
    print(
        f"{name:18} relative error {relative_error(truth, predicted):.3f} (linear), illuminance {100 * rmse:4.1f} % of"
        f" its mean, glare {np.abs(glare - true_glare).mean():.4f}"
    )

# %%
# One of the held-out hours, as luminance on a logarithmic scale. Its patches of sun are those of no other hour.
hour = np.argmax(direct_held_out.sum(axis=(1, 2, 3)))
shown = {"rendered": truth, **predictions}
figure, axes = plt.subplots(2, 2, figsize=(9, 5), layout="constrained")
for axis, (name, several) in zip(axes.flat, shown.items(), strict=True):
    drawn = axis.imshow(np.log10(luminance(several[hour]) + 1), vmin=1, vmax=5, cmap="inferno")
    axis.set(title=name, xticks=[], yticks=[])
bar = figure.colorbar(drawn, ax=axes, label="luminance (log10 cd/m$^2$)")
