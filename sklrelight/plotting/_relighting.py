"""A predicted photograph beside the real one: :class:`RelightingDisplay`."""

import numpy as np

from ..metrics import DISPLAY_GAMMA, display_white, encode_display, relative_error
from ._axes import open_axes, show_image, tone_map

__all__ = ["RelightingDisplay"]


class RelightingDisplay:
    """One photograph as predicted, as it was taken, and the difference, with the errors in the titles.

    Make one by `from_predictions` or `from_estimator`.

    Parameters
    ----------
    predicted, original : ndarray of shape (H, W, 3) or (H, W)
        The photograph as predicted and as it was taken, in the domain of the errors.

    domain : str, default="encoded"
        Name of that domain, for the title.

    encoding_gamma : float, default=1.0
        Exponent that decodes the values: ``values ** encoding_gamma`` is radiance. 1 for values that are radiance, or
        that are shown as they are stored.

    white : float, default=1.0
        Radiance that is shown as white.

    Attributes
    ----------
    mean_squared_error, max_error, relative_error : float
        Errors of the predicted photograph, in `domain`.

    axes_ : ndarray of shape (3,) of Axes
        Predicted, original, difference; set by `plot`.

    figure_ : Figure
        The figure that holds them; set by `plot`.

    Notes
    -----
    The three images and their titles are those of Colburn 2019 (github.com/alexcolburn/neural_relighting).
    """

    def __init__(self, *, predicted, original, domain="encoded", encoding_gamma=1.0, white=1.0):
        if np.shape(predicted) != np.shape(original) or np.ndim(original) not in (2, 3):
            raise ValueError(
                f"one photograph is shown, of shape (H, W) or (H, W, 3): got predicted {np.shape(predicted)} and"
                f" original {np.shape(original)}"
            )
        self.predicted = np.asarray(predicted)
        self.original = np.asarray(original)
        self.domain = domain
        self.encoding_gamma = encoding_gamma
        self.white = white
        self._difference = np.abs(np.subtract(self.predicted, self.original, dtype=np.float64))
        self.mean_squared_error = float(np.square(self._difference).mean())
        self.max_error = float(self._difference.max())
        self.relative_error = relative_error(self.original, self.predicted)

    @classmethod
    def from_predictions(cls, original, predicted, *, white=None, domain="encoded", ax=None, exposure=0.0, gamma=None):
        """Show a predicted photograph.

        Parameters
        ----------
        original : array-like of shape (H, W, 3) or (H, W)
            The photograph as it was taken.

        predicted : array-like of the same shape
            The photograph as a model predicts it.

        white : float or None, default=None
            With ``domain="encoded"``, the white of :func:`~sklrelight.metrics.encode_display`, by which both are
            encoded; None: the values are encoded already, as those of 8-bit captures are. With ``domain="linear"``, the
            radiance that is shown as white; None: the 99.95th percentile of the photograph.

        domain : {"encoded", "linear"}, default="encoded"
            Values that the errors and the difference are computed from: those that people see, or linear radiance.

        ax : sequence of 3 Axes or None, default=None
            Where to draw; by default the axes of a new figure.

        exposure : float, default=0.0
            Exposure in stops at which the photographs are shown. It does not change the errors.

        gamma : float or None, default=None
            Exponent of the tone curve ``x ** (1 / gamma)`` by which the photographs are shown. None: that of the
            encoding; for linear radiance, 2.2.

        Returns
        -------
        RelightingDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If there is no such domain, or the shapes are not those of one photograph.

        Examples
        --------
        >>> import numpy as np
        >>> from sklrelight.plotting import RelightingDisplay
        >>> display = RelightingDisplay.from_predictions(np.full((8, 9, 3), 0.5), np.full((8, 9, 3), 0.6))
        >>> [axes.get_title().split(chr(10))[0] for axes in display.axes_]
        ['predicted', 'original', 'difference x 10']
        >>> import matplotlib.pyplot as plt
        >>> plt.close(display.figure_)
        """
        if domain not in ("encoded", "linear"):
            raise ValueError(f"domain={domain!r} is not known; there are 'encoded' and 'linear'")
        values = {"domain": domain}
        if domain == "linear":
            values["white"] = (display_white(original) or 1.0) if white is None else white
            gamma = DISPLAY_GAMMA if gamma is None else gamma
        elif white is not None:
            original, predicted = (encode_display(image, white) for image in (original, predicted))
            values["encoding_gamma"] = DISPLAY_GAMMA
        display = cls(predicted=predicted, original=original, **values)
        return display.plot(ax, exposure=exposure, gamma=gamma)

    @classmethod
    def from_estimator(cls, estimator, light, original, **options):
        """Predict one photograph and show it.

        Parameters
        ----------
        estimator : estimator
            Fitted model of photographs, with `predict`.

        light : array-like of shape (n_light_features,)
            Light of the photograph.

        original : array-like of shape (H, W, 3) or (H, W)
            The photograph as it was taken.

        **options : dict
            ``white``, ``domain``, ``ax``, ``exposure`` and ``gamma`` of `from_predictions`.

        Returns
        -------
        RelightingDisplay
            The display, plotted.
        """
        (predicted,) = estimator.predict(np.asarray(light)[None])
        return cls.from_predictions(original, predicted, **options)

    def plot(self, ax=None, *, exposure=0.0, gamma=None):
        """Draw predicted photograph, original and difference.

        Parameters
        ----------
        ax : sequence of 3 Axes or None, default=None
            Where to draw; by default the axes of a new figure.

        exposure : float, default=0.0
            Exposure in stops at which the photographs are shown.

        gamma : float or None, default=None
            Exponent of the tone curve ``x ** (1 / gamma)``. None: `encoding_gamma`, which shows encoded values as they
            are.

        Returns
        -------
        RelightingDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` does not hold three axes.
        """
        height, width = self.original.shape[:2]
        # Three images side by side, and room for three lines of title.
        size, what = (12, 4 * height / width + 0.65), "for predicted, original and difference"
        self.figure_, self.axes_ = open_axes(ax, 3, what, size=size, n_columns=3)
        gamma = self.encoding_gamma if gamma is None else gamma
        predicted, original = (
            tone_map(np.clip(image, 0, None) ** self.encoding_gamma, white=self.white, exposure=exposure, gamma=gamma)
            for image in (self.predicted, self.original)
        )
        scale = 1 / self.max_error if self.max_error else 1.0
        errors = (
            f"MSE {self.mean_squared_error:.2e}, max |error| {self.max_error:.3f}\n"
            f"relative error {self.relative_error:.4f} ({self.domain})"
        )
        shown = {
            f"predicted\n{errors}": predicted,
            "original" + (f"\nboth shown at {exposure:+g} stops" if exposure else ""): original,
            f"difference x {scale:.3g}": self._difference * scale,
        }
        for axis, (title, image) in zip(self.axes_, shown.items(), strict=True):
            show_image(axis, image, title)
            # Directly below its title, whatever the shape of the image.
            axis.set_anchor("N")
        return self
