"""What the displays share: axes, colours, the tone curve, and maps of the lights."""

import numpy as np
from sklearn.utils import check_array

from ..utils import import_extra
from ..utils._lights import are_directions

__all__ = ["BLUE", "GREEN", "ORANGE", "LightMap", "open_axes", "show_image", "text_color", "tone_map"]

# Colour-blind people can tell them apart, and their lightness can be read on white and on black.
BLUE = "#2e86c1"
ORANGE = "#d9680b"
GREEN = "#0b9a6f"


def open_axes(ax, n_axes, what, *, size, n_columns=1, **options):
    """Open a figure that can be read on a light and on a dark page, or check the axes that a user passed.

    Parameters
    ----------
    ax : Axes, array-like of Axes, or None
        Axes as passed. None: a new figure is opened, with an opaque background: that of matplotlib's style, or, where
        the style has a transparent one, white or nearly black, so that the text can be read on any page.

    n_axes : int
        Number of axes wanted.

    what : str
        What they are for, to complete the message.

    size : (float, float)
        Width and height of a new figure in inches.

    n_columns : int, default=1
        Number of axes side by side in a new figure.

    **options : dict
        Further arguments of ``matplotlib.pyplot.subplots``.

    Returns
    -------
    figure : Figure
        The figure that holds the axes.

    axes : ndarray of shape (n_axes,)
        The axes.

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    if ax is not None:
        axes = np.ravel(ax)
        if len(axes) != n_axes:
            raise ValueError(f"ax must hold {n_axes} axes, {what}; got {len(axes)}")
        return axes[0].figure, axes
    plt = import_extra("matplotlib.pyplot", "plot", "To draw")
    grid = -(-n_axes // n_columns), n_columns
    figure, axes = plt.subplots(*grid, figsize=size, layout="constrained", squeeze=False, **options)
    if figure.get_facecolor()[3] < 1:
        colors = import_extra("matplotlib.colors", "plot", "To draw")
        writes_bright = np.mean(colors.to_rgb(text_color())) > 0.5
        figure.set_facecolor("#14181e" if writes_bright else "white")
    for empty in axes.flat[n_axes:]:
        empty.remove()
    return figure, axes.ravel()[:n_axes]


def show_image(axis, image, title):
    """Draw an image pixel by pixel, with its title and a thin line around it.

    Parameters
    ----------
    axis : Axes
        Where to draw.

    image : ndarray of shape (H, W, 3) or (H, W)
        Values in [0, 1].

    title : str
        Text above the image.
    """
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(title, fontsize=9)
    axis.set(xticks=[], yticks=[])
    # The line shows where a black image ends on a black page, and a white one on a white page.
    axis.spines[:].set(color="#808080", linewidth=0.6)


def text_color():
    """Look up the colour of the style's text, for marks that belong to no series.

    Returns
    -------
    color
        A colour as matplotlib takes it.
    """
    return import_extra("matplotlib", "plot", "To draw").rcParams["text.color"]


def tone_map(radiance, *, white=1.0, exposure=0.0, gamma=1.0):
    """Bring radiance into the range of a screen.

    Parameters
    ----------
    radiance : array-like of any shape
        Linear radiance.

    white : float, default=1.0
        Radiance that a screen shows as white, before the exposure is applied.

    exposure : float, default=0.0
        Exposure in stops: each doubles the radiance.

    gamma : float, default=1.0
        Exponent of the tone curve ``x ** (1 / gamma)``.

    Returns
    -------
    ndarray of the shape of radiance
        Values in [0, 1].

    Examples
    --------
    >>> tone_map([0.0, 0.25, 0.5, 4.0], exposure=1.0, gamma=2.0).round(3)
    array([0.   , 0.707, 1.   , 1.   ])
    """
    return np.clip(np.asarray(radiance) / white * 2.0**exposure, 0, 1) ** (1 / gamma)


class LightMap:
    """Lights as points in a plane, by two of their columns.

    Parameters
    ----------
    lights : array-like of shape (n_lights, n_light_features)
        Lights as a model takes them.

    columns : (int, int) or None, default=None
        Columns to draw. None: x and y of directions, so that the map shows the dome as the camera sees it; otherwise
        the two columns that vary most, in their order.

    Attributes
    ----------
    points : ndarray of shape (n_lights, 2)
        Where the lights are drawn.

    labels : tuple of str
        Names of both axes; the second is empty where a light is a single number, and the points lie on a line.

    is_dome : bool
        Whether the lights are directions, which lie within a circle of radius 1, the horizon.

    Raises
    ------
    ValueError
        If there are no such columns.
    """

    def __init__(self, lights, columns=None):
        lights = check_array(lights, input_name="lights")
        n_columns = lights.shape[1]
        self.is_dome = columns is None and are_directions(lights)
        if columns is None:
            widest = np.argsort(-np.ptp(lights, axis=0), kind="stable")[:2]
            columns = (0, 1) if self.is_dome else sorted(widest.tolist())
        elif len(columns) != 2 or not all(0 <= column < n_columns for column in columns):
            raise ValueError(f"columns={columns!r}, wanted two of the {n_columns} columns of the lights, from 0")
        names = "xyz" if n_columns <= 3 else [f"column {column}" for column in range(n_columns)]
        # A second coordinate of 0 where there is a single column.
        self.points = np.column_stack([lights[:, list(columns)], np.zeros(len(lights))])[:, :2]
        self.labels = (*(f"light {names[column]}" for column in columns), "")[:2]

    def outline(self, axis, color):
        """Draw the horizon of a dome, and give both axes the same scale.

        Parameters
        ----------
        axis : Axes
            Axes of the map.

        color : color
            Colour of the line.
        """
        axis.set_aspect("equal", adjustable="box" if self.is_dome else "datalim")
        if self.is_dome:
            angle = np.linspace(0, 2 * np.pi, 181)
            axis.plot(np.cos(angle), np.sin(angle), color=color, linewidth=0.8, zorder=0)
