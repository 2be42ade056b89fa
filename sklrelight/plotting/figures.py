"""What the displays share: new figures, given axes, colours, the tone curve."""

import numpy as np

from ..utils import import_extra

__all__ = ["BLUE", "GREEN", "ORANGE", "check_axes", "is_dark", "neutral", "new_axes", "show_picture", "tone_map"]

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
