"""Where among the lights a model errs: :class:`LightErrorDisplay`."""

import numpy as np

from ..metrics import relative_error
from ._axes import LightMap, check_axes, neutral, new_axes

__all__ = ["LightErrorDisplay"]


class LightErrorDisplay:
    """A map of the lights, each in the colour of its photograph's error, with the training lights marked.

    Make one by `from_predictions` or `from_estimator`.

    Parameters
    ----------
    errors : array-like of shape (n,)
        Relative error of each photograph.

    light_map : LightMap
        Where all lights are drawn.

    points : ndarray of shape (n, 2)
        Where on it the photographs' lights are.

    training_points : ndarray of shape (m, 2) or None, default=None
        Where on it the training lights are.

    domain : str, default="encoded"
        What the errors are of, for the colour bar.

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
            The photographs.

        predicted : array-like of the same shape
            What was predicted of them.

        training_lights : array-like of shape (m, n_light_features) or None, default=None
            Lights that the model was fitted on, to be marked.

        columns : (int, int) or None, default=None
            Columns of the lights to draw. None: x and y of unit vectors, so that one looks at the dome from the camera;
            of other lights the two columns that vary most.

        white : float or None, default=None
            Encode both by :func:`~sklrelight.metrics.encode_display`, for HDR captures. None: take the values as they
            are.

        domain : str, default="encoded"
            Name of the values, for the colour bar: ``"linear"`` where they are radiance as it is.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels.

        ax : Axes or None, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        LightErrorDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If lights and photographs differ in number, or the shapes do not fit.

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
        if not len(lights) == len(original) == len(predicted):
            raise ValueError(
                f"inconsistent numbers of samples: {len(lights)} lights, {len(original)} photographs and"
                f" {len(predicted)} predicted ones"
            )
        errors = [
            relative_error(true[None], guess[None], white=white, pixel_weight=pixel_weight)
            for true, guess in zip(np.asarray(original), np.asarray(predicted), strict=True)
        ]
        known = None if training_lights is None else np.asarray(training_lights)
        light_map = LightMap(lights if known is None else np.vstack([lights, known]), columns)
        display = cls(
            errors=errors,
            light_map=light_map,
            points=light_map.points[: len(errors)],
            training_points=None if known is None else light_map.points[len(errors) :],
            domain=domain,
        )
        return display.plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        lights,
        original,
        *,
        training_lights=None,
        columns=None,
        white=None,
        domain="encoded",
        pixel_weight=None,
        ax=None,
    ):
        """Predict photographs and show their errors.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `predict`.

        lights : array-like of shape (n, n_light_features)
            Lights of the photographs.

        original : array-like of shape (n, H, W, C) or (n, H, W)
            The photographs.

        training_lights, columns, white, domain, pixel_weight, ax
            See `from_predictions`.

        Returns
        -------
        LightErrorDisplay
            The display, plotted.
        """
        return cls.from_predictions(
            lights,
            original,
            estimator.predict(lights),
            training_lights=training_lights,
            columns=columns,
            white=white,
            domain=domain,
            pixel_weight=pixel_weight,
            ax=ax,
        )

    def plot(self, ax=None, *, cmap="viridis", vmin=0.0, vmax=None):
        """Draw the map.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; a new figure by default.

        cmap : str or Colormap, default="viridis"
            Colours of the errors.

        vmin, vmax : float or None, default=0.0, None
            Errors at the ends of the scale; None: the least or the greatest. Give two maps the same to compare them.

        Returns
        -------
        LightErrorDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` is more than one axes.
        """
        if ax is None:
            ax = new_axes(size=(6.4, 5.0))
        (axis,) = check_axes(ax, 1, "for the map")
        color = neutral()
        self.light_map.outline(axis, color)
        if self.training_points is not None:
            label = f"{len(self.training_points)} training lights"
            axis.scatter(*self.training_points.T, s=28, marker="+", color=color, linewidths=0.9, label=label)
        worst = int(np.argmax(self.errors))
        points = axis.scatter(
            *self.points.T,
            c=self.errors,
            cmap=cmap,
            vmin=vmin,
            vmax=vmax,
            # Not so large that many of them hide the marks between.
            s=float(np.clip(4500 / len(self.light_map.points), 14, 60)),
            edgecolors=color,
            linewidths=0.6,
            zorder=2,
            label=f"{len(self.errors)} photographs predicted",
        )
        axis.annotate(
            f"{self.errors[worst]:.3f}",
            self.points[worst],
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=color,
        )
        axis.set_title(
            f"error by light: median {np.median(self.errors):.3f}, largest {self.errors[worst]:.3f}", fontsize=10
        )
        axis.set_xlabel(self.light_map.labels[0])
        axis.set_ylabel(self.light_map.labels[1])
        if self.light_map.columns[1] < 0:
            axis.set_yticks([])
        axis.margins(0.08)
        figure = axis.figure
        if self.training_points is not None:
            # Below the map: it hides no light there.
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8, frameon=False)
        self.colorbar_ = figure.colorbar(points, ax=axis, label=f"relative error ({self.domain})", shrink=0.9)
        self.axes_ = axis
        self.figure_ = figure
        return self
