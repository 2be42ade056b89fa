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


GREY = "#9aa5b1"
CELLS, COLOUR = 2.9, 9.95


def note(axis, place, text, **options):
    """Write a short text."""
    options = {"ha": "center", "va": "top", "fontsize": 9, "color": plt.rcParams["text.color"]} | options
    axis.text(*place, text, **options)


def arrow(axis, start, end):
    """Draw an arrow."""
    axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": GREY})


def layer(axis, left, middle, label, width, breadth=0.62, tone="#7f8c9a"):
    """Draw a layer, as tall as the square root of its width, and return where it ends."""
    tall = 3.4 * np.sqrt(width / 600)
    axis.add_patch(plt.Rectangle((left, middle - tall / 2), breadth, tall, facecolor=tone, edgecolor="none"))
    note(axis, (left + breadth / 2, middle), label, va="center", fontsize=8.5, color="white")
    return left + breadth


def draw_features(axis, featurizer, gap):
    """Draw the features and where they come from, with a gap between light and pixel. Return the place of the light."""
    parts = images_of_features(featurizer)
    sources = [("light", "#d9680b", len(lights[0])), ("pixel position", "#0b9a6f", 2), ("mean image", "#2e86c1", 3)]
    for name, tone in (
        ("principal components", "#8e5bb5"), ("brightest light", "#b8961e"), ("neighbourhood", "#b0506a")
    ):  # fmt: skip
        if name in parts:
            sources.append((name, tone, parts[name].shape[-1]))
    height = 4.0 / len(sources)
    unit = (4.0 - gap) / sum(count for *_, count in sources)
    top = 4.0
    for number, (name, tone, count) in enumerate(sources):
        bottom = 4.0 - (number + 1) * height
        inset = axis.inset_axes([0.2, bottom + 0.28, 1.5, height - 0.36], transform=axis.transData)
        inset.set(xticks=[], yticks=[])
        if name == "light":
            inset.scatter(*lights.T, s=3, color=GREY)
            inset.scatter(*lights[18], s=40, color=tone)
            inset.margins(0.15)
            inset.set_facecolor("none")
        else:
            image = parts[name]
            if name in ("pixel position", "brightest light"):
                image = np.dstack([image, np.full(image.shape[:2], 0.3)])
            inset.imshow(image[..., :3], aspect="auto", interpolation="nearest")
        note(axis, (0.95, bottom + 0.24), f"{name}: {count} numbers")
        # The cells of these numbers in the vector of features.
        for cell in range(count):
            axis.add_patch(
                plt.Rectangle((CELLS, top - (cell + 1) * unit), 0.3, 0.92 * unit, facecolor=tone, edgecolor="none")
            )
        arrow(axis, (1.75, bottom + height / 2), (CELLS - 0.05, top - count * unit / 2))
        top -= count * unit + (gap if name == "light" else 0)
    note(axis, (CELLS + 0.15, -0.06), f"{sum(count for *_, count in sources)} features")
    return 4.0 - sources[0][2] * unit / 2


def draw_dense_layers(axis, config, middle):
    """Draw layers that are given light and pixel at once."""
    right = CELLS + 0.35
    for place, width in zip(
        np.linspace(4.3, 8.9, len(config.hidden_layer_sizes)), config.hidden_layer_sizes, strict=True
    ):
        arrow(axis, (right + 0.03, middle), (place - 0.05, middle))
        right = layer(axis, place, middle, f"dense\n{width}\n{config.activation}", width)
    arrow(axis, (right + 0.03, middle), (COLOUR - 0.05, middle))


def draw_joined_layers(axis, config, middle, light):
    """Draw layers of the pixel, which the light joins, and layers of both."""
    joined, *others = config.hidden_layer_sizes
    linear = f"linear\n2 x {joined}"
    labels = [*(f"dense\n{width}\n{config.activation}" for width in config.pixel_layer_sizes), linear]
    right = CELLS + 0.35
    for label, width in zip(labels, [*config.pixel_layer_sizes, joined], strict=True):
        arrow(axis, (right + 0.03, middle), (right + 0.33, middle))
        right = layer(axis, right + 0.36, middle, label, width)
    left = right + 0.53
    arrow(axis, (right + 0.03, middle), (left - 0.03, middle))
    arrow(axis, (CELLS + 0.35, light), (right - 0.65, light))
    layer(axis, right - 0.62, light, linear, 25)
    arrow(axis, (right + 0.03, light), (left + 0.55, middle + 1.7 * np.sqrt(joined / 600) + 0.03))
    label = f"light\n+ pixel\n+ light x pixel\n{joined}\n{config.activation}"
    end = layer(axis, left, middle, label, joined, breadth=1.1, tone="#5d6d7e")
    for width in others:
        arrow(axis, (end + 0.03, middle), (end + 0.25, middle))
        end = layer(axis, end + 0.28, middle, f"dense\n{width}\n{config.activation}", width)
    arrow(axis, (end + 0.03, middle), (COLOUR - 0.05, middle))
    note(axis, (right - 0.31, light - 0.4), "once for each light")
    for start, stop, text in ((3.6, right, "once for each pixel"), (left, 10.35, "for each pixel under each light")):
        axis.plot([start, stop], [0.5, 0.5], color=GREY, linewidth=1)
        note(axis, ((start + stop) / 2, 0.42), text)


def draw(relighter):
    """Draw the parts from left to right: images, features, layers, colour."""
    blend = relighter.regressor_
    featurizer, mlp = blend.members_[0]["featurizer"], blend.members_[0]["mlp"]
    _, axis = plt.subplots(figsize=(12, 4.6), layout="constrained")
    axis.set(xlim=(0, 12), ylim=(-0.3, 4.3))
    axis.set_axis_off()
    if mlp.config_.pixel_layer_sizes:
        middle = 1.75
        draw_joined_layers(axis, mlp.config_, middle, draw_features(axis, featurizer, gap=0.5))
    else:
        middle = 2.0
        draw_features(axis, featurizer, gap=0.0)
        draw_dense_layers(axis, mlp.config_, middle)

    # The colour, and the photograph that it is part of.
    for number, tone in enumerate(["#c0392b", "#27ae60", "#2c6fbb"]):
        corner = COLOUR, middle + 0.23 - 0.42 * number
        axis.add_patch(plt.Rectangle(corner, 0.4, 0.38, facecolor=tone, edgecolor="none"))
    note(axis, (11.3, middle + 1.3), "R, G, B\nof one pixel\nunder one light")
    inset = axis.inset_axes([10.65, middle - 0.55, 1.3, 1.1], transform=axis.transData)
    inset.imshow(np.clip(scene.images[18] / np.percentile(scene.images[18], 99), 0, 1) ** 0.45, aspect="auto")
    inset.set(xticks=[], yticks=[])
    title = f"{sum(parameter.numel() for parameter in mlp.net_.module_.parameters()):,} parameters"
    if blend.interpolation_ is not None:
        title += ", averaged with an interpolation over the lights"
    axis.set_title(title, fontsize=11, color=plt.rcParams["text.color"])


# %%
# As published: the features are two light coordinates, the pixel's row and column, and its mean colour over the
# photographs. Five dense layers of 600 units follow, each with a ReLU, and a linear output. All of them are computed
# for each pixel under each light.
published = fit("colburn2019")
draw(published)

# %%
# The default is given more of the pixel. *Salient images* are added to the mean image: the principal components of the
# photographs, which tell pixels apart that have similar colours but shade differently, and the mean of the lights
# weighted by the pixel's brightness, which shows where its highlight comes from. The *neighbourhood* is all three
# blurred by Gaussians: what is around the pixel.
#
# What a pixel is does not depend on the light. So the pixel has layers of its own, which are computed once for all
# lights. The light then joins by linear functions: one is added to a function of the pixel, and another is multiplied
# with one, as the direction of the light and the surface normal are in shading. Only the layers from there on are
# computed for each pixel under each light, and they are small. Much of what the published network computes anew for
# each light is saved.
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
