"""Pictures of a model, by scikit-learn's Display convention. Needs matplotlib: ``pip install 'sklrelight[plot]'``."""

import numpy as np

from .datasets.extras import import_extra
from .metrics import DISPLAY_GAMMA, encode_display, relative_error

__all__ = ["RelightingDisplay"]


class RelightingDisplay:
    """One photograph predicted, as it is, and the difference, with figures in the titles.

    Make one by `from_predictions` or `from_estimator`.

    Parameters
    ----------
    predicted, original : ndarray of shape (H, W, 3) or (H, W)
        Encoded for display.

    gamma : float, default=1.0
        Exponent of the encoding, 1 where the values are shown as they are stored.

    Attributes
    ----------
    mean_squared_error, max_error, relative_error : float
        Of the predicted picture, encoded.

    axes_ : ndarray of shape (3,) of Axes
        Predicted, original, difference; set by `plot`.

    figure_ : Figure
        The figure that holds them; set by `plot`.

    Notes
    -----
    The three pictures and their titles are those of Colburn 2019 (github.com/alexcolburn/neural_relighting).
    """

    def __init__(self, *, predicted, original, gamma=1.0):
        if np.shape(predicted) != np.shape(original) or np.ndim(original) not in (2, 3):
            raise ValueError(
                f"one photograph is shown, of shape (H, W) or (H, W, 3): got predicted {np.shape(predicted)} and"
                f" original {np.shape(original)}"
            )
        self.predicted = np.asarray(predicted)
        self.original = np.asarray(original)
        self.gamma = gamma
        difference = np.abs(np.subtract(self.predicted, self.original, dtype=np.float64))
        self.mean_squared_error = float(np.square(difference).mean())
        self.max_error = float(difference.max())
        self.relative_error = relative_error(self.original, self.predicted)

    @classmethod
    def from_predictions(cls, original, predicted, *, white=None, ax=None, exposure=0.0):
        """Show a prediction.

        Parameters
        ----------
        original : array-like of shape (H, W, 3) or (H, W)
            The photograph.

        predicted : array-like of the same shape
            What was predicted of it.

        white : float or None, default=None
            Encode both by :func:`~sklrelight.metrics.encode_display`, for HDR captures. None: the values are encoded
            already, as those of 8-bit captures are.

        ax : sequence of 3 Axes or None, default=None
            Where to draw; a new figure by default.

        exposure : float, default=0.0
            Stops by which the pictures are shown brighter. The figures stay the same.

        Returns
        -------
        RelightingDisplay
            The display, plotted.

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
        gamma = 1.0
        if white is not None:
            original, predicted = (encode_display(images, white) for images in (original, predicted))
            gamma = DISPLAY_GAMMA
        return cls(predicted=predicted, original=original, gamma=gamma).plot(ax, exposure=exposure)

    @classmethod
    def from_estimator(cls, estimator, light, original, *, white=None, ax=None, exposure=0.0):
        """Predict one photograph and show it.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `predict`.

        light : array-like of shape (n_light_features,)
            The photograph's light.

        original : array-like of shape (H, W, 3) or (H, W)
            The photograph.

        white, ax, exposure
            See `from_predictions`.

        Returns
        -------
        RelightingDisplay
            The display, plotted.
        """
        (predicted,) = estimator.predict(np.asarray(light)[None])
        return cls.from_predictions(original, predicted, white=white, ax=ax, exposure=exposure)

    def plot(self, ax=None, *, exposure=0.0):
        """Draw the three pictures.

        Parameters
        ----------
        ax : sequence of 3 Axes or None, default=None
            Where to draw; a new figure by default.

        exposure : float, default=0.0
            Stops by which the pictures are shown brighter.

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
            ax = self._new_axes()
        axes = np.ravel(ax)
        if len(axes) != 3:
            raise ValueError(f"ax must hold three axes, got {len(axes)}")
        difference = np.abs(self.predicted - self.original)
        scale = 1 / self.max_error if self.max_error else 1.0
        brighter = 2.0 ** (exposure / self.gamma)
        titled = {
            f"predicted\nMSE {self.mean_squared_error:.2e}, max |error| {self.max_error:.3f}\n"
            f"relative error {self.relative_error:.4f} (encoded)": self.predicted * brighter,
            "original": self.original * brighter,
            f"difference x {scale:.3g}": difference * scale,
        }
        for axis, (title, picture) in zip(axes, titled.items(), strict=True):
            axis.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
            # Below its title, whatever the shape of the picture.
            axis.set_anchor("N")
        self.axes_ = axes
        self.figure_ = axes[0].figure
        return self

    def _new_axes(self):
        plt = import_extra("matplotlib.pyplot", "plot", "To draw")
        height, width = self.original.shape[:2]
        figure_width = 12.0
        # Three pictures side by side, and room for three lines of title.
        size = (figure_width, figure_width / 3 * height / width + 0.65)
        return plt.subplots(1, 3, figsize=size, layout="constrained")[1]
