"""The distribution of the values in a batch: :class:`WindowDistributionDisplay`."""

import numpy as np
import torch
from sklearn.utils import check_random_state

from ..neural import Observations, TrainingBatches
from ..preprocessing import PixelLightFeatures
from ._axes import BLUE, GREEN, ORANGE, open_axes, text_color

__all__ = ["WindowDistributionDisplay"]

_COLORS = (ORANGE, BLUE, GREEN)


class WindowDistributionDisplay:
    """Histograms of one training batch, drawn in windows of several sizes, beside those of all the data.

    Make one by `from_estimator` or `from_features`. A quantity is a column of the features, or a channel of the
    photographs.

    Parameters
    ----------
    edges : list of ndarray
        Edges of the bins, for each quantity.

    whole : list of ndarray
        Share of all the data in each bin, for each quantity.

    batches : dict of int to list of ndarray
        Share of one batch in each bin, for each window size and quantity.

    names : list of str
        Name of each quantity.

    batch_size : int
        Number of observations in a batch. Batches of whole windows differ from it a little.

    Attributes
    ----------
    overlaps : dict of int to list of float
        Overlap of the histograms of batch and data, for each window size and quantity: 1 where both are alike, 0 where
        they have no value in common.

    axes_ : ndarray of Axes
        One axes for each quantity; set by `plot`.

    figure_ : Figure
        The figure that holds them; set by `plot`.

    Notes
    -----
    The histograms are those of Colburn 2019, section "Data sampling" (github.com/alexcolburn/neural_relighting).
    """

    def __init__(self, *, edges, whole, batches, names, batch_size):
        self.edges = edges
        self.whole = whole
        self.batches = batches
        self.names = names
        self.batch_size = batch_size
        self.overlaps = {
            size: [float(np.minimum(part, all_).sum()) for part, all_ in zip(shares, whole, strict=True)]
            for size, shares in batches.items()
        }

    @classmethod
    def from_features(
        cls,
        features,
        encoded,
        *,
        window_sizes=(64, 1),
        batch_size=50_000,
        columns=(0, 2),
        channel=0,
        names=None,
        n_bins=32,
        random_state=None,
        ax=None,
    ):
        """Show batches of the observations that given features and photographs make up.

        Parameters
        ----------
        features : PixelLightFeatures
            Features of every pixel under every light.

        encoded : array-like of shape (n_lights, H, W, C) or (n_lights, H, W)
            Encoded photographs, as a network is trained on them.

        window_sizes : sequence of int, default=(64, 1)
            Sides of the windows in pixels, up to three sizes. 1 draws single pixels.

        batch_size : int, default=50_000
            Number of observations in a batch, see :class:`~sklrelight.RelightingMLPRegressor`.

        columns : sequence of int, default=(0, 2)
            Columns of the features to show. The columns of the lights come first, then those of the pixels.

        channel : int, default=0
            Channel of the photographs to show.

        names : sequence of str or None, default=None
            Names of all columns of the features.

        n_bins : int, default=32
            Number of bins.

        random_state : int, RandomState instance or None, default=None
            Seed of the batches.

        ax : sequence of Axes or None, default=None
            One axes for each column and one for the photographs; by default those of a new figure.

        Returns
        -------
        WindowDistributionDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If features and photographs differ in shape, a window is larger than the photographs, or there is no such
            column or channel.
        """
        if not isinstance(features, PixelLightFeatures) or not features.image_shape:
            raise ValueError(f"features must be PixelLightFeatures with pixels, got {features!r}")
        encoded = np.asarray(encoded, np.float32)
        if encoded.shape[:3] != (len(features), *features.image_shape):
            raise ValueError(
                f"encoded has the shape {encoded.shape}, wanted ({len(features)}, {features.image_shape[0]},"
                f" {features.image_shape[1]}) or with channels, as features has"
            )
        if not 1 <= len(window_sizes) <= len(_COLORS):
            raise ValueError(f"window_sizes={window_sizes!r}, wanted one to {len(_COLORS)} sizes")
        n_light_columns = features.lights.shape[1]
        n_columns = features.shape[2]
        targets = encoded.reshape(*features.shape[:2], -1)
        if not all(0 <= column < n_columns for column in columns):
            raise ValueError(f"columns={columns!r}, wanted numbers from 0 to {n_columns - 1}")
        if not 0 <= channel < targets.shape[2]:
            raise ValueError(f"channel={channel!r}, wanted a number from 0 to {targets.shape[2] - 1}")

        # A column depends on the light or on the pixel alone, so its distribution is that of one of the tables.
        tables = [
            features.lights[:, column] if column < n_light_columns else features.pixels[:, column - n_light_columns]
            for column in columns
        ]
        quantities = [*tables, targets[..., channel]]
        edges = [np.histogram_bin_edges(values, n_bins) for values in quantities]
        observations = Observations(
            lights=torch.as_tensor(features.lights),
            pixels=torch.as_tensor(features.pixels),
            targets=torch.as_tensor(targets),
            image_shape=features.image_shape,
        )
        seed = check_random_state(random_state).randint(2**31 - 1)
        batches = {}
        for size in window_sizes:
            X, y = next(iter(TrainingBatches(observations, batch_size, window_size=size, seed=seed)))
            row = torch.cat([X["lights"], X["pixels"]], dim=1)
            batches[size] = _shares([*row[:, list(columns)].T.numpy(), y[:, channel].numpy()], edges)
        shown = [f"feature {column}" + (f": {names[column]}" if names is not None else "") for column in columns]
        target = "target" if targets.shape[2] == 1 else f"target, channel {channel}"
        return cls(
            edges=edges,
            whole=_shares(quantities, edges),
            batches=batches,
            names=[*shown, f"{target} (as trained on)"],
            batch_size=batch_size,
        ).plot(ax)

    @classmethod
    def from_estimator(cls, estimator, lights, images, **options):
        """Show batches of the observations that a relighter is trained on.

        Parameters
        ----------
        estimator : Relighter
            Fitted relighter whose regressor is a pipeline of a featurizer and a network, such as those of
            :func:`~sklrelight.make_relighter`.

        lights : array-like of shape (n, n_light_features)
            Lights to draw from.

        images : array-like of shape (n, H, W, C) or (n, H, W)
            Their photographs, linear radiance.

        **options : dict
            ``window_sizes``, ``batch_size``, ``columns``, ``channel``, ``n_bins``, ``random_state`` and ``ax`` of
            `from_features`.

        Returns
        -------
        WindowDistributionDisplay
            The display, plotted.

        Examples
        --------
        >>> from sklrelight import make_relighter
        >>> from sklrelight.datasets import make_scene
        >>> from sklrelight.plotting import WindowDistributionDisplay
        >>> scene = make_scene(n_lights=16, image_shape=(24, 32))
        >>> relighter = make_relighter("colburn2019", max_observations=1000, random_state=0)
        >>> _ = relighter.fit(scene.lights, scene.images)
        >>> display = WindowDistributionDisplay.from_estimator(
        ...     relighter, scene.lights, scene.images, window_sizes=(24, 1), batch_size=1000, random_state=0)
        >>> display.overlaps[1][0] > display.overlaps[24][0]
        True
        >>> import matplotlib.pyplot as plt
        >>> plt.close(display.figure_)
        """
        featurizer = estimator.regressor_.members_[0][0]
        return cls.from_features(
            featurizer.transform(lights),
            estimator.transformer_.transform(images),
            names=featurizer.get_feature_names_out(),
            **options,
        )

    def plot(self, ax=None):
        """Draw the histograms.

        Parameters
        ----------
        ax : sequence of Axes or None, default=None
            One axes for each quantity; by default those of a new figure.

        Returns
        -------
        WindowDistributionDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` does not hold one axes for each quantity.
        """
        n_quantities = len(self.names)
        size = 4.2 * n_quantities, 3.6
        self.figure_, axes = open_axes(ax, n_quantities, "one a quantity", size=size, n_columns=n_quantities)
        self.axes_ = axes
        for index, axis in enumerate(axes):
            edges = self.edges[index]
            axis.stairs(100 * self.whole[index], edges, fill=True, color=text_color(), alpha=0.2, label="all data")
            for (size, shares), color in zip(self.batches.items(), _COLORS, strict=False):
                name = f"{size} x {size}" if size > 1 else "single pixels"
                label = f"{name}: {100 * self.overlaps[size][index]:.0f} % in common"
                axis.stairs(100 * shares[index], edges, color=color, linewidth=1.6, label=label)
            axis.set_xlabel(self.names[index])
            axis.margins(x=0.02)
            # Room for the legend above the bars.
            axis.set_ylim(0, axis.get_ylim()[1] * 1.45)
            axis.legend(fontsize=8, framealpha=0.85, loc="upper right")
        axes[0].set_ylabel("% of the observations")
        title = f"what one batch of about {self.batch_size:,} observations shows of the data"
        self.figure_.suptitle(title, fontsize=10)
        return self


def _shares(quantities, edges):
    """Share of each quantity's values in each of its bins."""
    counts = [np.histogram(values, edge)[0] for values, edge in zip(quantities, edges, strict=True)]
    return [count / max(count.sum(), 1) for count in counts]
