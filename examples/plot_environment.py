"""
Relight by an environment
=========================

Put the scene under a sky, a window or a studio: an environment is many lights at once, and light adds up.
"""

# %%
# The scene, photographed under 100 directions over its upper front.

import matplotlib.pyplot as plt
import numpy as np

from sklrelight import make_relighter
from sklrelight.datasets import environment_to_lights, make_scene
from sklrelight.metrics import DISPLAY_GAMMA, relative_error

CENTRE, RADIUS = np.array([0, 0.6, 0]), 4.2


def photograph(directions):
    """Render the scene under lamps in these directions."""
    return make_scene(lights=CENTRE + RADIUS * directions, image_shape=(60, 80)).images


number = np.arange(400) + 0.5
turn = number * np.pi * (1 + np.sqrt(5))
z = 1 - number / 200
directions = np.column_stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z])
directions = directions[(directions[:, 1] > 0.05) & (directions[:, 2] > 0)]
images = photograph(directions)
relighter = make_relighter(max_observations=700_000, random_state=0).fit(directions, images)
print(f"{len(directions)} photographs")

# %%
# Three environments as panoramas. Row 0 is straight up, the camera looks at the middle, and the left and right edges
# are behind the camera. ``load_image`` loads real ones from HDR or EXR files.
height, width = 32, 64
altitude = np.pi / 2 - np.pi * (np.arange(height) + 0.5) / height
azimuth = 2 * np.pi * (np.arange(width) + 0.5) / width - np.pi
rows, columns = np.meshgrid(altitude, azimuth, indexing="ij")


def lamp(at_azimuth, at_altitude, size, colour):
    """A round lamp with a soft rim; angles in degrees, azimuth 0 straight ahead, 90 to the right, 180 behind."""
    turned = (columns - np.radians(at_azimuth) + np.pi) % (2 * np.pi) - np.pi
    distance = np.hypot(turned * np.cos(rows), rows - np.radians(at_altitude))
    return np.exp(-((distance / np.radians(size)) ** 2))[..., None] * np.array(colour)


above = np.clip(np.sin(rows), 0, None)[..., None]
environments = {
    "evening sky": 0.15 * above * [0.5, 0.7, 1.0] + lamp(128, 14, 9, [9.0, 4.2, 1.4]),
    "overcast": above * [0.9, 0.95, 1.0],
    "two coloured lamps": lamp(-130, 40, 14, [4.5, 0.7, 2.2]) + lamp(125, 30, 14, [0.4, 2.4, 4.2]),
}

# %%
# Each is cut into 40 parts of equal energy, which become directions with colours. All lamps were in front of the
# scene and above its floor. The model does not know light from behind or below, which is left out.
results = {}
for name, environment in environments.items():
    lights, colours = environment_to_lights(environment, 40)
    known = (lights[:, 1] > 0.05) & (lights[:, 2] > 0)
    truth = np.einsum("nhwc,nc->hwc", photograph(lights[known]), colours[known])
    results[name] = environment, lights[known], relighter.relight(lights[known], colours[known]), truth

# %%
# The panoramas with their lights, the scene as predicted, and the same rendered light by light.
figure, axes = plt.subplots(3, 3, figsize=(11, 7.6), layout="constrained", width_ratios=(1.5, 1, 1))
for line, (name, (environment, lights, predicted, truth)) in zip(axes, results.items(), strict=True):
    white = np.percentile(truth, 99)
    line[0].imshow(np.clip(environment, 0, 1) ** (1 / DISPLAY_GAMMA), extent=(-180, 180, -90, 90), aspect="auto")
    # The camera looks along -z, at the middle of a panorama.
    line[0].scatter(
        np.degrees(np.arctan2(lights[:, 0], -lights[:, 2])),
        np.degrees(np.arcsin(lights[:, 1])),
        s=16, facecolors="white", edgecolors="black", linewidths=0.6,
    )  # fmt: skip
    line[0].axvspan(-90, 90, facecolor="none", edgecolor="#808080", hatch="//", linewidth=0, alpha=0.5)
    line[0].text(0, 4, "behind the scene: left out", ha="center", color="white", fontsize=8)
    line[0].set(xlim=(-180, 180), ylim=(-90, 90), xticks=(-180, -90, 0, 90, 180), yticks=(-90, 0, 90))
    line[0].set_title(f"{name}: {len(lights)} lights", fontsize=10)
    line[0].set_ylabel("altitude (degrees)")
    for axis, image in zip(line[1:], (predicted, truth), strict=True):
        axis.imshow(np.clip(image / white, 0, 1) ** (1 / DISPLAY_GAMMA), interpolation="nearest")
        axis.set_axis_off()
    error = relative_error(truth[None], predicted[None], white=white)
    line[1].set_title(f"predicted, relative error {error:.3f} (encoded)", fontsize=10)
    line[2].set_title("rendered", fontsize=10)
axes[2, 0].set_xlabel("azimuth (degrees): 0 is straight ahead, 90 to the right")

# %%
# A mixture is easier to predict than a single light, because the errors of its parts have either sign and its shadows
# are soft.
held_out = np.array([[0.3, 0.5, 0.81], [-0.62, 0.45, 0.64], [0.55, 0.75, 0.36]])
singles = photograph(held_out)
white = np.percentile(images, 99.95)
print("relative error (encoded) of single lights that were not photographed:")
print(
    np.round([relative_error(*pair, white=white) for pair in zip(singles, relighter.predict(held_out), strict=True)], 3)
)

# %%
# The environment can be turned about the scene. Here the evening sun goes from one side to the other.
figure, axes = plt.subplots(1, 4, figsize=(12, 2.6), layout="constrained")
white = np.percentile(results["evening sky"][3], 99)
for axis, rotation in zip(axes, (0, 30, 75, 105), strict=True):
    lights, colours = environment_to_lights(environments["evening sky"], 40, rotation=rotation)
    known = (lights[:, 1] > 0.05) & (lights[:, 2] > 0)
    image = relighter.relight(lights[known], colours[known])
    axis.imshow(np.clip(image / white, 0, 1) ** (1 / DISPLAY_GAMMA), interpolation="nearest")
    axis.set_title(f"turned by {rotation} degrees", fontsize=10)
    axis.set_axis_off()
