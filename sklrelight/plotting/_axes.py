"""What the displays share: axes, colours, the tone curve, and maps of the lights."""

import numpy as np
from sklearn.utils import check_array

from ..interpolation._directions import are_directions
from ..utils import import_extra

__all__ = [
    "BLUE",
    "GREEN",
    "ORANGE",
    "LightMap",
    "check_axes",
    "is_dark",
    "neutral",
    "new_axes",
    "show_picture",
    "tone_map",
]

# Told apart by colour-blind people, and of a lightness that reads on white and on black.
BLUE = "#2e86c1"
ORANGE = "#d9680b"
GREEN = "#0b9a6f"


def new_axes(n_rows=1, n_columns=1, *, size, **options):
    """Open a figure that can be read on a light and on a dark page.

    Parameters
    ----------
    n_rows, n_columns : int
        Of axes.

    size : (float, float)
        Width and height, inches.

    **options : dict
        For ``matplotlib.pyplot.subplots``.

    Returns
    -------
    ndarray of Axes, of shape (n_rows * n_columns,)
        Of a figure with an opaque background: matplotlib's own, or, where that is see-through, one that the text can be
        read on, whatever lies behind.
    """
    plt = import_extra("matplotlib.pyplot", "plot", "To draw")
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False, **options)
    if figure.get_facecolor()[3] < 1:
        figure.set_facecolor("#14181e" if is_dark() else "white")
    return axes.ravel()


def check_axes(ax, n_axes, what):
    """Take axes as they were given.

    Parameters
    ----------
    ax : Axes or array-like of Axes
        As given.

    n_axes : int
        How many are wanted.

    what : str
        What they are for, to complete the message.

    Returns
    -------
    ndarray of shape (n_axes,)
        The axes.

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    axes = np.ravel(ax)
    if len(axes) != n_axes:
        wanted = {1: "one axes", 2: "two axes", 3: "three axes"}.get(n_axes, f"{n_axes} axes")
        raise ValueError(f"ax must hold {wanted}, {what}; got {len(axes)}")
    return axes


def show_picture(axis, picture, title):
    """Draw a picture pixel by pixel, with its title and a hairline around it.

    Parameters
    ----------
    axis : Axes
        Where to draw.

    picture : ndarray of shape (H, W, 3) or (H, W)
        In [0, 1].

    title : str
        Written above.
    """
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(title, fontsize=9)
    axis.set_xticks([])
    axis.set_yticks([])
    # A black picture on a black page, and a white one on a white, has to end somewhere.
    for spine in axis.spines.values():
        spine.set(color="#808080", linewidth=0.6)


def is_dark():
    """Whether matplotlib's style writes bright on dark.

    Returns
    -------
    bool
        By the colour of the text.
    """
    mpl = import_extra("matplotlib", "plot", "To draw")
    colors = import_extra("matplotlib.colors", "plot", "To draw")
    return bool(np.mean(colors.to_rgb(mpl.rcParams["text.color"])) > 0.5)


def neutral():
    """Colour of the style's text, for marks that are no series.

    Returns
    -------
    color
        As matplotlib takes it.
    """
    return import_extra("matplotlib", "plot", "To draw").rcParams["text.color"]


def tone_map(radiance, *, white=1.0, exposure=0.0, gamma=1.0):
    """Bring radiance into the range of a screen.

    Parameters
    ----------
    radiance : array-like of any shape
        Linear.

    white : float, default=1.0
        Radiance that a screen shows as white, before exposure.

    exposure : float, default=0.0
        Stops: each doubles the radiance.

    gamma : float, default=1.0
        The curve is ``x ** (1 / gamma)``.

    Returns
    -------
    ndarray of the shape of radiance
        In [0, 1].

    Examples
    --------
    >>> tone_map([0.0, 0.25, 0.5, 4.0], exposure=1.0, gamma=2.0).round(3)
    array([0.   , 0.707, 1.   , 1.   ])
    """
    return np.clip(np.asarray(radiance) / white * 2.0**exposure, 0, 1) ** (1 / gamma)


class LightMap:
    """Two columns of the lights that can be drawn.

    Parameters
    ----------
    lights : array-like of shape (n_lights, n_light_features)
        As a model is given them.

    columns : (int, int) or None, default=None
        Which to draw. None: x and y of directions, so that the map shows the dome from the camera; otherwise the two
        that vary most, in their order.

    Attributes
    ----------
    points : ndarray of shape (n_lights, 2)
        Where to draw them.

    columns : tuple of int
        The columns in use. With lights of a single number, that one and -1: the other axis says nothing.

    labels : tuple of str
        Names of both axes.

    is_dome : bool
        Whether they are directions, which lie within a circle of radius 1, the horizon.

    Raises
    ------
    ValueError
        If there are no such columns.
    """

    def __init__(self, lights, columns=None):
        lights = check_array(lights, input_name="lights")
        n_columns = lights.shape[1]
        self.is_dome = columns is None and n_columns == 3 and bool(are_directions(lights))
        if columns is None and n_columns > 1:
            by_extent = np.argsort(-np.ptp(lights, axis=0), kind="stable")[:2]
            columns = (0, 1) if self.is_dome else tuple(sorted(by_extent.tolist()))
        elif columns is None:
            columns = (0, -1)
        elif len(columns) != 2 or not all(0 <= column < n_columns for column in columns):
            raise ValueError(f"columns={columns!r}, wanted two of the {n_columns} columns of the lights, from 0")
        self.columns = tuple(columns)
        self.points = self.place(lights)
        names = "xyz" if n_columns <= 3 else [f"column {column}" for column in range(n_columns)]
        self.labels = tuple("" if column < 0 else f"light {names[column]}" for column in columns)

    def place(self, lights):
        """Find where lights lie on this map.

        Parameters
        ----------
        lights : array-like of shape (m, n_light_features)
            Of the same kind.

        Returns
        -------
        ndarray of shape (m, 2)
            Their points.
        """
        lights = check_array(lights, input_name="lights")
        if self.columns[1] < 0:
            return np.column_stack([lights[:, 0], np.zeros(len(lights))])
        return lights[:, list(self.columns)]

    def outline(self, axis, color):
        """Draw the horizon of a dome, and make both axes alike.

        Parameters
        ----------
        axis : Axes
            Of the map.

        color : color
            Of the line.
        """
        axis.set_aspect("equal", adjustable="box" if self.is_dome else "datalim")
        if self.is_dome:
            angle = np.linspace(0, 2 * np.pi, 181)
            axis.plot(np.cos(angle), np.sin(angle), color=color, linewidth=0.8, zorder=0)
