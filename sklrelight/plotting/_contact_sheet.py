"""Many photographs at a glance: :class:`ContactSheetDisplay`."""

import math

import numpy as np

from ..metrics import DISPLAY_GAMMA, display_white
from ._axes import BLUE, ORANGE, LightMap, check_axes, new_axes, show_picture, tone_map

__all__ = ["ContactSheetDisplay"]

# Side of the map of the lights, as a share of the picture's shorter side.
_MAP = 0.3


class ContactSheetDisplay:
    """Photographs side by side, each with a map of where its light stands.

    Make one by `from_predictions` or `from_estimator`.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, 3) or (n, H, W)
        The photographs to show.

    titles : sequence of n str
        What is written over each.

    light_map : LightMap or None, default=None
        All lights, for the small maps.

    points : ndarray of shape (n, 2) or None, default=None
        Where on it the photographs' lights are.

    white : float, default=1.0
        Value that is shown as white.

    Attributes
    ----------
    axes_ : ndarray of shape (n,) of Axes
        One a photograph; set by `plot`.

    figure_ : Figure
        The figure that holds them; set by `plot`.
    """

    def __init__(self, *, images, titles, light_map=None, points=None, white=1.0):
        self.images = images
        self.titles = titles
        self.light_map = light_map
        self.points = points
        self.white = white

    @classmethod
    def from_predictions(
        cls, images, lights=None, *, n_images=12, columns=None, white=None, ax=None, exposure=0.0, gamma=DISPLAY_GAMMA
    ):
        """Show predicted photographs, or those of a capture.

        Parameters
        ----------
        images : array-like of shape (n, H, W, 3) or (n, H, W)
            Photographs, linear radiance. Only those that are shown are read, so a stack may lie on disk.

        lights : array-like of shape (n, n_light_features) or None, default=None
            Their lights.

        n_images : int or None, default=12
            How many to show, evenly spread over the stack; None: all.

        columns : (int, int) or None, default=None
            Columns of the lights that the maps show, see :class:`LightErrorDisplay`.

        white : float or None, default=None
            Radiance that is shown as white. None: the 99.5th percentile of what is shown. 1.0 for values that are
            encoded already, with ``gamma=1``.

        ax : sequence of Axes or None, default=None
            Where to draw, one a photograph; a new figure by default.

        exposure : float, default=0.0
            Stops by which the pictures are shown brighter.

        gamma : float, default=2.2
            Exponent of the tone curve.

        Returns
        -------
        ContactSheetDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If images are no stack of photographs, or lights and images differ in number.

        Examples
        --------
        >>> from sklrelight.datasets import make_scene
        >>> from sklrelight.plotting import ContactSheetDisplay
        >>> scene = make_scene(n_lights=9, image_shape=(12, 16))
        >>> display = ContactSheetDisplay.from_predictions(scene.images, scene.lights, n_images=4)
        >>> [axes.get_title() for axes in display.axes_]
        ['light 0', 'light 3', 'light 5', 'light 8']
        >>> import matplotlib.pyplot as plt
        >>> plt.close(display.figure_)
        """
        images = images if hasattr(images, "shape") else np.asarray(images)
        if len(images.shape) not in (3, 4) or 0 in images.shape:
            raise ValueError(
                f"images of shape {tuple(images.shape)}: expected (n, H, W, 3) or (n, H, W), none of them 0"
            )
        n_given = len(images)
        if lights is not None and len(lights) != n_given:
            raise ValueError(f"inconsistent numbers of samples: {len(lights)} lights and {n_given} images")
        n_images = n_given if n_images is None else min(n_images, n_given)
        chosen = np.linspace(0, n_given - 1, n_images).round().astype(int)
        shown = np.asarray(images[chosen], dtype=np.float32)
        light_map = points = None
        if lights is not None:
            light_map = LightMap(lights, columns)
            points = light_map.points[chosen]
        if white is None:
            white = float(np.percentile(shown, 99.5)) or display_white(shown) or 1.0
        display = cls(
            images=shown, titles=[f"light {index}" for index in chosen], light_map=light_map, points=points, white=white
        )
        return display.plot(ax, exposure=exposure, gamma=gamma)

    @classmethod
    def from_estimator(
        cls, estimator, lights, *, n_images=12, columns=None, white=None, ax=None, exposure=0.0, gamma=DISPLAY_GAMMA
    ):
        """Predict photographs and show them.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `predict`.

        lights : array-like of shape (n, n_light_features)
            Lights to predict.

        n_images : int or None, default=12
            How many to predict and show, evenly spread over the lights; None: all.

        columns, white, ax, exposure, gamma
            See `from_predictions`.

        Returns
        -------
        ContactSheetDisplay
            The display, plotted.
        """
        lights = np.asarray(lights)
        n_images = len(lights) if n_images is None else min(n_images, len(lights))
        chosen = lights[np.linspace(0, len(lights) - 1, n_images).round().astype(int)]
        return cls.from_predictions(
            estimator.predict(chosen),
            chosen,
            n_images=None,
            columns=columns,
            white=white,
            ax=ax,
            exposure=exposure,
            gamma=gamma,
        )

    def plot(self, ax=None, *, exposure=0.0, gamma=DISPLAY_GAMMA):
        """Draw the photographs.

        Parameters
        ----------
        ax : sequence of Axes or None, default=None
            Where to draw, one a photograph; a new figure by default, whose empty places are taken out.

        exposure : float, default=0.0
            Stops by which the pictures are shown brighter.

        gamma : float, default=2.2
            Exponent of the tone curve.

        Returns
        -------
        ContactSheetDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` does not hold one axes a photograph.
        """
        n_images = len(self.images)
        if ax is None:
            height, width = self.images.shape[1:3]
            n_columns = n_images if n_images <= 4 else max(2, round(math.sqrt(2.2 * n_images * height / width)))
            n_rows = -(-n_images // n_columns)
            cell = 12 / max(n_columns, 4)
            ax = new_axes(n_rows, n_columns, size=(cell * n_columns, n_rows * (cell * height / width + 0.25)))
            for empty in ax[n_images:]:
                empty.remove()
            ax = ax[:n_images]
        axes = check_axes(ax, n_images, "one a photograph")
        pictures = tone_map(np.clip(self.images, 0, None), white=self.white, exposure=exposure, gamma=gamma)
        for index, axis in enumerate(axes):
            show_picture(axis, pictures[index], self.titles[index])
            if self.light_map is not None:
                self._draw_map(axis, self.points[index])
        self.axes_ = axes
        self.figure_ = axes[0].figure
        return self

    def _draw_map(self, axis, point):
        """Draw all lights in a corner of the picture, and the one that burns."""
        height, width = self.images.shape[1:3]
        shorter = min(height, width)
        share = (_MAP * shorter / width, _MAP * shorter / height)
        inset = axis.inset_axes([0.02, 0.98 - share[1], *share])
        # On a card of its own: the picture behind may have any colour.
        inset.set_facecolor((0, 0, 0, 0.6))
        inset.set_xticks([])
        inset.set_yticks([])
        for spine in inset.spines.values():
            spine.set_visible(False)
        self.light_map.outline(inset, "white")
        inset.scatter(*self.light_map.points.T, s=2, color=BLUE, linewidths=0)
        inset.scatter(*point, s=30, color=ORANGE, edgecolors="white", linewidths=0.6, zorder=3)
        inset.margins(0.15)
