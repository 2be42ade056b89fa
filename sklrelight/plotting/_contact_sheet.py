"""Many photographs at a glance: :class:`ContactSheetDisplay`."""

import math

import numpy as np
from sklearn.utils.validation import check_consistent_length

from ..metrics import DISPLAY_GAMMA, display_white
from ._axes import BLUE, ORANGE, LightMap, open_axes, show_image, tone_map

__all__ = ["ContactSheetDisplay"]

# Side of the small map of the lights, as a share of the image's shorter side.
_MAP = 0.3


class ContactSheetDisplay:
    """Photographs side by side, each with a small map that shows its light among the others.

    Make one by `from_predictions` or `from_estimator`.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, 3) or (n, H, W)
        Photographs to show, linear radiance.

    titles : sequence of n str
        Text above each photograph.

    light_map : LightMap or None, default=None
        Map of all lights. None: the photographs are shown without maps.

    points : ndarray of shape (n, 2) or None, default=None
        Places of the photographs' lights on the map.

    white : float, default=1.0
        Radiance that is shown as white.

    Attributes
    ----------
    axes_ : ndarray of shape (n,) of Axes
        One axes for each photograph; set by `plot`.

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
            Photographs, linear radiance. Only those that are shown are read, so they may lie on disk.

        lights : array-like of shape (n, n_light_features) or None, default=None
            Lights of the photographs. None: no maps are drawn.

        n_images : int or None, default=12
            Number of photographs to show, evenly spread over all of them. None: all.

        columns : (int, int) or None, default=None
            Columns of the lights that the maps show, see :class:`LightErrorDisplay`.

        white : float or None, default=None
            Radiance that is shown as white. None: the 99.5th percentile of what is shown. For values that are encoded
            already, pass 1.0 together with ``gamma=1``.

        ax : sequence of Axes or None, default=None
            One axes for each photograph; by default those of a new figure.

        exposure : float, default=0.0
            Exposure in stops: each doubles the radiance that is shown.

        gamma : float, default=2.2
            Exponent of the tone curve ``x ** (1 / gamma)``.

        Returns
        -------
        ContactSheetDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If `images` has another shape, or lights and images differ in number.

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
        check_consistent_length(lights, images)
        chosen = _spread(len(images), n_images)
        shown = np.asarray(images[chosen], dtype=np.float32)
        light_map = points = None
        if lights is not None:
            light_map = LightMap(lights, columns)
            points = light_map.points[chosen]
        if white is None:
            white = float(np.percentile(shown, 99.5)) or display_white(shown) or 1.0
        titles = [f"light {index}" for index in chosen]
        display = cls(images=shown, titles=titles, light_map=light_map, points=points, white=white)
        return display.plot(ax, exposure=exposure, gamma=gamma)

    @classmethod
    def from_estimator(cls, estimator, lights, *, n_images=12, **options):
        """Predict photographs and show them.

        Parameters
        ----------
        estimator : estimator
            Fitted model of photographs, with `predict`.

        lights : array-like of shape (n, n_light_features)
            Lights to predict.

        n_images : int or None, default=12
            Number of photographs to predict and show, evenly spread over the lights. None: all.

        **options : dict
            ``columns``, ``white``, ``ax``, ``exposure`` and ``gamma`` of `from_predictions`.

        Returns
        -------
        ContactSheetDisplay
            The display, plotted.
        """
        chosen = np.asarray(lights)[_spread(len(lights), n_images)]
        return cls.from_predictions(estimator.predict(chosen), chosen, n_images=None, **options)

    def plot(self, ax=None, *, exposure=0.0, gamma=DISPLAY_GAMMA):
        """Draw the photographs.

        Parameters
        ----------
        ax : sequence of Axes or None, default=None
            One axes for each photograph; by default those of a new figure.

        exposure : float, default=0.0
            Exposure in stops: each doubles the radiance that is shown.

        gamma : float, default=2.2
            Exponent of the tone curve ``x ** (1 / gamma)``.

        Returns
        -------
        ContactSheetDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` does not hold one axes for each photograph.
        """
        n_images = len(self.images)
        height, width = self.images.shape[1:3]
        n_columns = n_images if n_images <= 4 else max(2, round(math.sqrt(2.2 * n_images * height / width)))
        cell = 12 / max(n_columns, 4)
        size = cell * n_columns, -(-n_images // n_columns) * (cell * height / width + 0.25)
        self.figure_, self.axes_ = open_axes(ax, n_images, "one a photograph", size=size, n_columns=n_columns)
        toned = tone_map(np.clip(self.images, 0, None), white=self.white, exposure=exposure, gamma=gamma)
        for index, axis in enumerate(self.axes_):
            show_image(axis, toned[index], self.titles[index])
            if self.light_map is not None:
                self._draw_map(axis, self.points[index])
        return self

    def _draw_map(self, axis, point):
        """Draw all lights in a corner of the image, and mark the one of the photograph."""
        height, width = self.images.shape[1:3]
        side = _MAP * min(height, width)
        inset = axis.inset_axes([0.02, 0.98 - side / height, side / width, side / height])
        # A dark ground of its own: the image behind may have any colour.
        inset.set_facecolor((0, 0, 0, 0.6))
        inset.set(xticks=[], yticks=[])
        inset.spines[:].set_visible(False)
        self.light_map.outline(inset, "white")
        inset.scatter(*self.light_map.points.T, s=2, color=BLUE, linewidths=0)
        inset.scatter(*point, s=30, color=ORANGE, edgecolors="white", linewidths=0.6, zorder=3)
        inset.margins(0.15)


def _spread(n_given, n_wanted):
    """Row numbers of photographs that are spread evenly over all; None: every one."""
    n_rows = n_given if n_wanted is None else min(n_wanted, n_given)
    return np.linspace(0, n_given - 1, n_rows).round().astype(int)
