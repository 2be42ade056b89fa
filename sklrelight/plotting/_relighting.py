"""A predicted photograph beside the real one: :class:`RelightingDisplay`."""

import numpy as np

from ..metrics import DISPLAY_GAMMA, display_white, encode_display, relative_error
from ._axes import check_axes, new_axes, show_picture, tone_map

__all__ = ["RelightingDisplay"]


class RelightingDisplay:
    """One photograph predicted, as it is, and the difference, with figures in the titles.

    Make one by `from_predictions` or `from_estimator`.

    Parameters
    ----------
    predicted, original : ndarray of shape (H, W, 3) or (H, W)
        In the domain that the figures are of.

    domain : str, default="encoded"
        Its name, for the title.

    encoding_gamma : float, default=1.0
        Exponent of the values' encoding: ``values ** encoding_gamma`` is radiance. 1 where they are radiance, or are
        shown as they are stored.

    white : float, default=1.0
        Value that is shown as white.

    Attributes
    ----------
    mean_squared_error, max_error, relative_error : float
        Of the predicted picture, in `domain`.

    axes_ : ndarray of shape (3,) of Axes
        Predicted, original, difference; set by `plot`.

    figure_ : Figure
        The figure that holds them; set by `plot`.

    Notes
    -----
    The three pictures and their titles are those of Colburn 2019 (github.com/alexcolburn/neural_relighting).
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
        """Show a prediction.

        Parameters
        ----------
        original : array-like of shape (H, W, 3) or (H, W)
            The photograph.

        predicted : array-like of the same shape
            What was predicted of it.

        white : float or None, default=None
            With ``domain="encoded"``, encode both by :func:`~sklrelight.metrics.encode_display`, for HDR captures;
            None: the values are encoded already, as those of 8-bit captures are. With ``domain="linear"``, the radiance
            that is shown as white; None: the photograph's 99.95th percentile.

        domain : {"encoded", "linear"}, default="encoded"
            Which values the figures and the difference are of: those that people see, or radiance as it is.

        ax : sequence of 3 Axes or None, default=None
            Where to draw; a new figure by default.

        exposure : float, default=0.0
            Stops by which the pictures are shown brighter. The figures stay the same.

        gamma : float or None, default=None
            Exponent of the tone curve of the pictures. None: that of the encoding; of radiance, 2.2.

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
            original, predicted = (encode_display(images, white) for images in (original, predicted))
            values["encoding_gamma"] = DISPLAY_GAMMA
        display = cls(predicted=predicted, original=original, **values)
        return display.plot(ax, exposure=exposure, gamma=gamma)

    @classmethod
    def from_estimator(
        cls, estimator, light, original, *, white=None, domain="encoded", ax=None, exposure=0.0, gamma=None
    ):
        """Predict one photograph and show it.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `predict`.

        light : array-like of shape (n_light_features,)
            The photograph's light.

        original : array-like of shape (H, W, 3) or (H, W)
            The photograph.

        white, domain, ax, exposure, gamma
            See `from_predictions`.

        Returns
        -------
        RelightingDisplay
            The display, plotted.
        """
        (predicted,) = estimator.predict(np.asarray(light)[None])
        return cls.from_predictions(
            original, predicted, white=white, domain=domain, ax=ax, exposure=exposure, gamma=gamma
        )

    def plot(self, ax=None, *, exposure=0.0, gamma=None):
        """Draw the three pictures.

        Parameters
        ----------
        ax : sequence of 3 Axes or None, default=None
            Where to draw; a new figure by default.

        exposure : float, default=0.0
            Stops by which the pictures are shown brighter.

        gamma : float or None, default=None
            Exponent of the tone curve; None: `encoding_gamma`, which shows encoded values as they are.

        Returns
        -------
        RelightingDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` does not hold three axes.
        """
        if ax is None:
            height, width = self.original.shape[:2]
            figure_width = 12.0
            # Three pictures side by side, and room for three lines of title.
            ax = new_axes(1, 3, size=(figure_width, figure_width / 3 * height / width + 0.65))
        axes = check_axes(ax, 3, "for predicted, original and difference")
        scale = 1 / self.max_error if self.max_error else 1.0
        shown = {
            f"predicted\nMSE {self.mean_squared_error:.2e}, max |error| {self.max_error:.3f}\n"
            f"relative error {self.relative_error:.4f} ({self.domain})": self._toned(self.predicted, exposure, gamma),
            "original" + (f"\nboth shown at {exposure:+g} stops" if exposure else ""): self._toned(
                self.original, exposure, gamma
            ),
            f"difference x {scale:.3g}": self._difference * scale,
        }
        for axis, (title, picture) in zip(axes, shown.items(), strict=True):
            show_picture(axis, picture, title)
            # Below its title, whatever the shape of the picture.
            axis.set_anchor("N")
        self.axes_ = axes
        self.figure_ = axes[0].figure
        return self

    def _toned(self, values, exposure, gamma):
        gamma = self.encoding_gamma if gamma is None else gamma
        radiance = np.clip(values, 0, None) ** self.encoding_gamma
        return tone_map(radiance, white=self.white, exposure=exposure, gamma=gamma)
