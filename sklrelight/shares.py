"""Each one's share where networks and an interpolation predict together, by photographs that neither has seen."""

import numpy as np

from .utils import value_weights

__all__ = ["cluster_shares", "network_share"]

# Evidence of all pixels together that counts for each kind of them.
_PRIOR = 0.02


def network_share(true, network, interpolated, pixel_weight=None, saturation=None):
    """Find the share of the networks in the mean with the least error on photographs that neither has seen.

    Parameters
    ----------
    true, network, interpolated : ndarray of shape (n_held_out, ...)
        Photographs, and what was predicted of them.

    pixel_weight : ndarray of shape (H, W) or None, default=None
        Weights of the pixels.

    saturation : float or None, default=None
        Values at and above it are left out.

    Returns
    -------
    float
        In [0, 1]; a half where nothing can be told. Least squares of errors relative to the interpolation's of each
        photograph, so that those at the rim of the lights, which are hard to interpolate, do not decide for all.

    Examples
    --------
    >>> true = np.zeros((1, 4))
    >>> network_share(true, true + [1, 1, -1, 1], true - [3, 3, -3, 3])
    0.75
    """
    products, squares = _moments(true, network, interpolated, pixel_weight, saturation)
    return _share(products.sum(), squares.sum())


def cluster_shares(true, network, interpolated, clusters, pixel_weight=None, saturation=None, n_clusters=None):
    """Find the share of the networks for each kind of pixel, as `network_share` does for all.

    Networks win where highlights and shadows move, an interpolation where nothing much happens.

    Parameters
    ----------
    true, network, interpolated : ndarray of shape (n_held_out, ...)
        Photographs, and what was predicted of them.

    clusters : ndarray of int
        The kind of each pixel, of as many as the photographs have.

    pixel_weight, saturation
        As for `network_share`.

    n_clusters : int or None, default=None
        How many kinds there are, should these pixels not be of all; None: as many as the largest number tells.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Each in [0, 1]. A kind that tells little has the share that suits all kinds: as much evidence as a fiftieth of
        the whole counts for that.

    Examples
    --------
    >>> true = np.zeros((1, 4))
    >>> cluster_shares(true, true + [0, 0, 1, -1], true + [1, -1, 0, 0], np.array([0, 0, 1, 1])).round(2)
    array([0.98, 0.02])
    """
    products, squares = _moments(true, network, interpolated, pixel_weight, saturation)
    labels = clusters.ravel()
    n_clusters = n_clusters or labels.max() + 1
    prior = _PRIOR * squares.sum()
    products_of = np.bincount(labels, products, n_clusters) + prior * _share(products.sum(), squares.sum())
    squares_of = np.bincount(labels, squares, n_clusters) + prior
    return np.array([_share(*sums) for sums in zip(products_of, squares_of, strict=True)])


def _moments(true, network, interpolated, pixel_weight, saturation):
    """Sum, for each pixel, what least squares of the share are made of, photographs weighted."""
    n_pixels = int(np.prod(true.shape[1:3]))
    products: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    errors: list[np.ndarray] = []
    for i in range(len(true)):
        gap, error = (other[i : i + 1].astype(np.float64) - interpolated[i : i + 1] for other in (network, true))
        weights = value_weights(true[i : i + 1], pixel_weight, saturation)
        weights = np.ones(1) if weights is None else weights
        for sums, values in ((products, gap * error), (squares, gap * gap), (errors, error * error)):
            sums.append((weights * values).reshape(n_pixels, -1).sum(axis=1))
    error = np.array([values.sum() for values in errors])
    scale = 1 / (error + 1e-3 * error.mean()) if error.any() else np.ones(len(error))
    return scale @ np.array(products), scale @ np.array(squares)


def _share(product, square):
    return float(np.clip(product / square, 0, 1)) if square > 0 else 0.5
