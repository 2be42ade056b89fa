"""
The network
===========

What goes in, what is in between, and what comes out: the network of Colburn 2019 and that of the default recipe.
"""

# %%
# Models are fitted for a moment only, since this page draws their parts. All numbers in the drawings are read from the
# models.

import matplotlib.pyplot as plt
import numpy as np

from sklrelight import make_relighter
from sklrelight.datasets import make_scene

scene = make_scene(n_lights=64, image_shape=(60, 80))
lights = scene.light_grid / scene.light_grid.max()


def fit(recipe):
    """Fit a recipe on hardly any observations."""
    return make_relighter(recipe, max_observations=20_000, random_state=0).fit(lights, scene.images)


def images_of_features(featurizer):
    """Columns of the pixel table as images, by their meaning."""
    table = featurizer.pixel_table_.reshape(*featurizer.image_shape_, -1)
    table = (table - table.min(axis=(0, 1))) / np.ptp(table, axis=(0, 1))
    parts = {"pixel position": table[..., :2], "mean image": table[..., 2:5]}
    if featurizer.n_components_:
        n_widths = len(featurizer.blur_widths_)
        # The position is not blurred.
        sharp, *blurred = np.split(table[..., 2:], 1 + n_widths, axis=-1)
        parts["principal components"] = sharp[..., 3 : 3 + featurizer.n_components_]
        parts["brightest light"] = sharp[..., 3 + featurizer.n_components_ :]
        if n_widths:
            parts["neighbourhood"] = np.dstack(blurred[::-1])
    return parts


def draw(relighter):
    """Draw the parts from left to right: images, features, layers, colour."""
    blend = relighter.regressor_
    featurizer, mlp = blend.members_[0]["featurizer"], blend.members_[0]["mlp"]
    module = mlp.net_.module_
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    color, grey = plt.rcParams["text.color"], "#9aa5b1"
    figure, axis = plt.subplots(figsize=(12, 4.6), layout="constrained")
    axis.set(xlim=(0, 12), ylim=(-0.3, 4.3))
    axis.set_axis_off()

    # Where the features come from.
    parts = images_of_features(featurizer)
    sources = [("light", "#d9680b", len(lights[0])), ("pixel position", "#0b9a6f", 2), ("mean image", "#2e86c1", 3)]
    if "principal components" in parts:
        sources.append(("principal components", "#8e5bb5", featurizer.n_components_))
        sources.append(("brightest light", "#b8961e", parts["brightest light"].shape[-1]))
    if "neighbourhood" in parts:
        sources.append(("neighbourhood", "#b0506a", parts["neighbourhood"].shape[-1]))
    height = 4.0 / len(sources)
    n_features = sum(count for *_, count in sources)
    top = 4.0
    unit = 4.0 / n_features
    for number, (name, tone, count) in enumerate(sources):
        bottom = 4.0 - (number + 1) * height
        inset = axis.inset_axes([0.2, bottom + 0.28, 1.5, height - 0.36], transform=axis.transData)
        inset.set(xticks=[], yticks=[])
        if name == "light":
            inset.scatter(*lights.T, s=3, color=grey)
            inset.scatter(*lights[18], s=40, color=tone)
            inset.margins(0.15)
            inset.set_facecolor("none")
        else:
            image = parts[name]
            if name in ("pixel position", "brightest light"):
                image = np.dstack([image, np.full(image.shape[:2], 0.3)])
            inset.imshow(image[..., :3], aspect="auto", interpolation="nearest")
        axis.text(0.95, bottom + 0.24, f"{name}: {count} numbers", ha="center", va="top", fontsize=9, color=color)
        # The cells of these numbers in the vector of features.
        for cell in range(count):
            axis.add_patch(
                plt.Rectangle((2.9, top - (cell + 1) * unit), 0.3, 0.92 * unit, facecolor=tone, edgecolor="none")
            )
        axis.annotate(
            "",
            (2.85, top - count * unit / 2),
            (1.75, bottom + height / 2),
            arrowprops={"arrowstyle": "->", "color": grey},
        )
        top -= count * unit
    axis.text(3.05, -0.1, f"{n_features} features", ha="center", va="top", fontsize=9, color=color)

    # The layers, as tall as the square root of their width.
    widths = mlp.hidden_layer_sizes
    places = np.linspace(4.3, 8.9, len(widths))
    box = min(0.62, 0.6 * (places[1] - places[0]))
    for place, width in zip(places, widths, strict=True):
        tall = 3.4 * np.sqrt(width / 600)
        axis.add_patch(plt.Rectangle((place, 2 - tall / 2), box, tall, facecolor="#7f8c9a", edgecolor="none"))
        axis.text(
            place + box / 2,
            2,
            f"dense\n{width}\n{mlp.activation}",
            ha="center",
            va="center",
            fontsize=8.5,
            color="white",
        )
    ends = [3.25, *places, 9.95]
    starts = [3.25, *(places + box)]
    for start, end in zip(starts, ends[1:], strict=True):
        axis.annotate("", (end - 0.05, 2), (start + 0.03, 2), arrowprops={"arrowstyle": "->", "color": grey})

    # The colour, and the photograph that it is part of.
    for number, tone in enumerate(["#c0392b", "#27ae60", "#2c6fbb"]):
        axis.add_patch(plt.Rectangle((9.95, 2.2 - 0.42 * number), 0.4, 0.38, facecolor=tone, edgecolor="none"))
    axis.text(10.15, 1.2, "R, G, B\nof one pixel\nunder one light", ha="center", va="top", fontsize=9, color=color)
    inset = axis.inset_axes([10.65, 1.45, 1.35, 1.1], transform=axis.transData)
    inset.imshow(np.clip(scene.images[18] / np.percentile(scene.images[18], 99), 0, 1) ** 0.45, aspect="auto")
    inset.set(xticks=[], yticks=[])
    n_networks = len(blend.members_)
    title = f"{n_parameters:,} parameters" + (f", {n_networks} of these networks" if n_networks > 1 else "")
    if blend.interpolation_ is not None:
        title += ", averaged with an interpolation over the lights"
    axis.set_title(title, fontsize=11, color=color)


# %%
# As published: the features are two light coordinates, the pixel's row and column, and its mean colour over the
# photographs. Five dense layers of 600 units follow, each with a ReLU, and a linear output.
published = fit("colburn2019")
draw(published)

# %%
# The default. *Salient images* are added to the mean image: the principal components of the photographs, which tell
# pixels apart that have similar colours but shade differently, and the light under which a pixel is brightest, where
# its highlight comes from. The *neighbourhood* is all three blurred by Gaussians: what is around the pixel. The first
# layer also multiplies functions of the light by functions of the pixel. So a smaller network gets further in the same
# time. It is averaged with an interpolation, and where there are few lights, with other networks of its kind.
default = fit("default")
draw(default)

# %%
# The principal components as images: the first follow the large shadows, later ones the highlights. The last two
# images show where the brightest light is, from left to right and from bottom to top.
featurizer = default.regressor_.members_[0]["featurizer"]
images = images_of_features(featurizer)
salient = np.dstack([images["principal components"], images["brightest light"]])
n_before = len(lights[0]) + 2 + 3
names = featurizer.get_feature_names_out()[n_before : n_before + salient.shape[-1]]
figure, axes = plt.subplots(1, len(names), figsize=(12, 1.7), layout="constrained")
for number, (name, axis) in enumerate(zip(names, axes, strict=True)):
    axis.set_axis_off()
    axis.imshow(salient[..., number], cmap="gray", interpolation="nearest")
    axis.set_title(name, fontsize=9)

# %%
# The whole model, with the encoding of the photographs before and after. Press a part to see its parameters, or its
# question mark to see its page.
published
