"""Photographs predicted as sums of bent photographs, whose weights vary by pixel: :func:`mix`."""

import numpy as np

from ..utils import check_finite
from .stacking import CURVES

__all__ = ["mix", "normalize"]


def mix(parts, labels, weights, shares, value_range, dtype):
    """Predict some pixels by sums of bent photographs.

    Parameters
    ----------
    parts : iterable of (slice, ndarray of shape (n_rows, n_pixels, n_channels))
        Training photographs, some at a time, with their rows.

    labels : ndarray of shape (n_pixels,), int
        The cluster of each pixel.

    weights : ndarray of shape (n_clusters, n_curves, m, n_lights)
        Of the photographs, by cluster and curve.

    shares : ndarray of shape (n_clusters, n_curves)
        Of the curves.

    value_range : tuple of float
        The values between which the curves bend.

    dtype : type
        That this is computed in.

    Returns
    -------
    images : ndarray of shape (m, n_pixels, n_channels)
        Of this type.

    Raises
    ------
    ValueError
        If what is predicted is not finite.
    """
    kinds = [(cluster, np.flatnonzero(labels == cluster)) for cluster in np.unique(labels)]
    used = np.flatnonzero(shares[np.unique(labels)].any(axis=0))
    sums = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, columns in parts:
            some = normalize(columns.astype(dtype), value_range)
            n_channels = some.shape[2]
            for curve in used:
                if curve not in sums:
                    sums[curve] = np.zeros((weights.shape[2], len(labels), n_channels), dtype)
                for cluster, pixels in kinds:
                    if shares[cluster, curve]:
                        bent = CURVES[curve].bend(some[:, pixels]).reshape(len(some), -1)
                        own = weights[cluster, curve][:, rows].astype(dtype) @ bent
                        sums[curve][:, pixels] += own.reshape(len(own), -1, n_channels)
        images = np.zeros((weights.shape[2], len(labels), n_channels), dtype)
        for curve, of_curve in sums.items():
            share = shares[labels, curve].astype(dtype)[:, None]
            images += share * CURVES[curve].unbend(of_curve / np.where(share > 0, share, 1))
        least, greatest = value_range
        images *= dtype((greatest - least) or 1.0)
        images += dtype(least)
    check_finite(images)
    return images


def normalize(values, value_range):
    """Bring a range of values to [0, 1], in place.

    Parameters
    ----------
    values : ndarray
        Of floats.

    value_range : tuple of float
        The least and the greatest; where they are equal, the least becomes 0.

    Returns
    -------
    ndarray
        `values`.
    """
    least, greatest = value_range
    values -= values.dtype.type(least)
    values /= values.dtype.type((greatest - least) or 1.0)
    return values
