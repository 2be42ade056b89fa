"""The error of a model at each light: :class:`LightErrorDisplay`."""

import numpy as np
from sklearn.utils.validation import check_consistent_length

from ..metrics import relative_error
from ._axes import LightMap, open_axes, text_color

__all__ = ["LightErrorDisplay"]


class LightErrorDisplay:
    """A map of the lights, coloured by the error of each predicted photograph, with the training lights marked.

    Make one by `from_predictions` or `from_estimator`.

    Parameters
    ----------
    errors : array-like of shape (n,)
        Relative error of each photograph.

    light_map : LightMap
        Map of all lights.

    points : ndarray of shape (n, 2)
        Places of the photographs' lights on the map.

    training_points : ndarray of shape (m, 2) or None, default=None
        Places of the training lights on the map. None: they are not shown.

    domain : str, default="encoded"
        Name of the values that the errors are computed from, for the colour bar.

    Attributes
    ----------
    axes_ : Axes
        The map; set by `plot`.

    figure_ : Figure
        The figure that holds it; set by `plot`.

    colorbar_ : Colorbar
        The scale of the errors; set by `plot`.
    """

    def __init__(self, *, errors, light_map, points, training_points=None, domain="encoded"):
        self.errors = np.asarray(errors)
        self.light_map = light_map
        self.points = points
        self.training_points = training_points
        self.domain = domain

    @classmethod
    def from_predictions(
        cls,
        lights,
        original,
        predicted,
        *,
        training_lights=None,
        columns=None,
        white=None,
        domain="encoded",
        pixel_weight=None,
        ax=None,
    ):
        """Show the errors of predicted photographs.

        Parameters
        ----------
        lights : array-like of shape (n, n_light_features)
            Lights of the photographs.

        original : array-like of shape (n, H, W, C) or (n, H, W)
            Photographs as they were taken.

        predicted : array-like of the same shape
            Photographs as a model predicts them.

        training_lights : array-like of shape (m, n_light_features) or None, default=None
            Lights that the model was fitted to, which the map then marks.

        columns : (int, int) or None, default=None
            Columns of the lights to draw. None: x and y of directions, so that the map shows the dome as the camera
            sees it; of other lights, the two columns that vary most.

        white : float or None, default=None
            White of :func:`~sklrelight.metrics.encode_display`, by which both are encoded: for linear radiance. None:
            the values are compared as they are.

        domain : str, default="encoded"
            Name of the values that are compared, for the colour bar: ``"linear"`` for radiance as it is.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels.

        ax : Axes or None, default=None
            Where to draw; by default the axes of a new figure.

        Returns
        -------
        LightErrorDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If lights and photographs differ in number, or the shapes of the photographs differ.

        Examples
        --------
        >>> import numpy as np
        >>> from sklrelight.plotting import LightErrorDisplay
        >>> lights, images = [[0.0, 0.0], [1.0, 0.0]], np.ones((2, 4, 5))
        >>> display = LightErrorDisplay.from_predictions(lights, images, images * [[[1.1]], [[0.8]]])
        >>> display.errors.round(3)
        array([0.1, 0.2])
        >>> import matplotlib.pyplot as plt
        >>> plt.close(display.figure_)
        """
        check_consistent_length(lights, original, predicted)
        errors = [
            relative_error(true[None], guess[None], white=white, pixel_weight=pixel_weight)
            for true, guess in zip(np.asarray(original), np.asarray(predicted), strict=True)
        ]
        light_map = LightMap(lights if training_lights is None else np.vstack([lights, training_lights]), columns)
        points, training_points = np.split(light_map.points, [len(errors)])
        return cls(
            errors=errors,
            light_map=light_map,
            points=points,
            training_points=None if training_lights is None else training_points,
            domain=domain,
        ).plot(ax)

    @classmethod
    def from_estimator(cls, estimator, lights, original, **options):
        """Predict photographs and show their errors.

        Parameters
        ----------
        estimator : estimator
            Fitted model of photographs, with `predict`.

        lights : array-like of shape (n, n_light_features)
            Lights of the photographs.

        original : array-like of shape (n, H, W, C) or (n, H, W)
            Photographs as they were taken.

        **options : dict
            ``training_lights``, ``columns``, ``white``, ``domain``, ``pixel_weight`` and ``ax`` of `from_predictions`.

        Returns
        -------
        LightErrorDisplay
            The display, plotted.
        """
        return cls.from_predictions(lights, original, estimator.predict(lights), **options)

    def plot(self, ax=None, *, cmap="viridis", vmin=0.0, vmax=None):
        """Draw the map.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; by default the axes of a new figure.

        cmap : str or Colormap, default="viridis"
            Colours of the errors.

        vmin, vmax : float or None, default=0.0, None
            Errors at both ends of the scale; None: the smallest and the largest error. Two maps can be compared where
            both have the same scale.

        Returns
        -------
        LightErrorDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` is more than one axes.
        """
        self.figure_, (axis,) = open_axes(ax, 1, "for the map", size=(6.4, 5.0))
        color = text_color()
        self.light_map.outline(axis, color)
        if self.training_points is not None:
            label = f"{len(self.training_points)} training lights"
            axis.scatter(*self.training_points.T, s=28, marker="+", color=color, linewidths=0.9, label=label)
        points = axis.scatter(
            *self.points.T,
            c=self.errors,
            cmap=cmap,
            vmin=vmin,
            vmax=vmax,
            # Small enough that many points do not hide the training lights between them.
            s=float(np.clip(4500 / len(self.light_map.points), 14, 60)),
            edgecolors=color,
            linewidths=0.6,
            zorder=2,
            label=f"{len(self.errors)} photographs predicted",
        )
        worst = int(np.argmax(self.errors))
        largest = f"{self.errors[worst]:.3f}"
        offset = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
        axis.annotate(largest, self.points[worst], fontsize=8, color=color, **offset)
        axis.set_title(f"error by light: median {np.median(self.errors):.3f}, largest {largest}", fontsize=10)
        axis.set(xlabel=self.light_map.labels[0], ylabel=self.light_map.labels[1])
        if not self.light_map.labels[1]:
            axis.set_yticks([])
        axis.margins(0.08)
        if self.training_points is not None:
            # Below the map, where it hides no light.
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8, frameon=False)
        self.axes_ = axis
        self.colorbar_ = self.figure_.colorbar(points, ax=axis, label=f"relative error ({self.domain})", shrink=0.9)
        return self
