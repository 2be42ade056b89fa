"""How bright photographs are as a whole, interpolated for itself beside their pixels: :class:`Brightness`."""

from dataclasses import dataclass

import numpy as np

from ..utils import check_finite
from .leaving_out import left_out_weights
from .mixing import mix, normalize
from .slopes import shrunken_slope
from .stacking import stack

__all__ = ["Brightness", "fit_brightness", "log_brightness"]


@dataclass(frozen=True)
class Brightness:
    """An interpolation of how bright photographs are as a whole, by which those made of pixels are corrected.

    The lamp that moves around a scene is not always as bright, nor equally far away. An interpolation that suits the
    highlights of a pixel passes this on; one of the brightness alone can be as smooth as the lamps' brightness is.

    Parameters
    ----------
    values : ndarray of shape (n_lights,)
        Logarithms of the training photographs' brightness.

    stacking_weights : ndarray of shape (1, n_curves, n_candidates)
        As of :class:`StackedRBFInterpolation`, for these values.

    share : float
        Part of the correction that is made, in [0, 1].

    limit : float
        What the correction of the logarithm is at most, before this part is taken.

    pixels : ndarray of int
        Those that the brightness is measured on.
    """

    values: np.ndarray
    stacking_weights: np.ndarray
    share: float
    limit: float
    pixels: np.ndarray

    def correct(self, images, measured, weights, shares):
        """Make photographs brighter or darker, in place.

        Parameters
        ----------
        images : ndarray of shape (m, ...)
            Predicted photographs.

        measured : ndarray of shape (m, n_measured, n_channels)
            What they are at `self.pixels`.

        weights : ndarray of shape (1, n_curves, m, n_lights)
            Of the training photographs in the interpolation of their brightness, by curve.

        shares : ndarray of shape (1, n_curves)
            Of the curves.

        Returns
        -------
        ndarray of shape (m, ...)
            `images`.

        Raises
        ------
        ValueError
            If they are too bright for their type.
        """
        found = log_brightness(measured)
        wanted = _interpolate(self.values, weights, shares)
        # A black photograph stays black.
        change = np.where(np.isfinite(found), wanted - found, 0).clip(-self.limit, self.limit)
        factors = np.exp(self.share * change).astype(images.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            images *= factors.reshape(-1, *[1] * (images.ndim - 1))
        check_finite(images)
        return images


def log_brightness(values):
    """Say how bright photographs are.

    Parameters
    ----------
    values : ndarray of shape (n, n_pixels, n_channels)
        Photographs.

    Returns
    -------
    ndarray of shape (n,)
        The logarithm of the root mean square; -inf for black ones.

    Examples
    --------
    >>> np.exp(log_brightness(np.array([[[3.0], [4.0], [0.0], [0.0]]])))
    array([2.5])
    """
    # One by one: the squares of all would be twice as large as the photographs.
    with np.errstate(divide="ignore", over="ignore"):
        return np.log(np.array([np.square(image, dtype=np.float64).mean() for image in values])) / 2


def fit_brightness(columns, left_out, rows, residuals, pixels):
    """Fit the interpolation of brightness, and find how much of its correction helps.

    Parameters
    ----------
    columns : ndarray of shape (n_lights, n_pixels, n_channels)
        Some pixels of the training photographs.

    left_out : ndarray of shape (len(rows), n_pixels, n_channels)
        Predicted each from the others.

    rows : ndarray of int
        Which these are.

    residuals : ndarray of shape (n_candidates, len(rows), n_lights)
        Matrices from photographs to their leave-one-out errors.

    pixels : ndarray of int
        Which pixels these are.

    Returns
    -------
    Brightness or None
        None where nothing is to be corrected: there is a single pixel or a black photograph, or it does not help.
    """
    values = log_brightness(columns)
    found = log_brightness(left_out)
    if columns.shape[1] < 2 or not (np.isfinite(values).all() and np.isfinite(found).all()):
        return None
    normalized = normalize(values[:, None].copy(), (values.min(), values.max()))
    stacking_weights = stack(residuals, rows, normalized, None, 1)[None]
    correction = _interpolate(values, *left_out_weights(stacking_weights, residuals, rows)) - found

    true = columns[rows].astype(np.float64).reshape(len(rows), -1)
    predicted = left_out.astype(np.float64).reshape(len(rows), -1)
    square = np.einsum("ij,ij->i", predicted, predicted)
    # How much brighter a photograph should be for the least error, which those that are predicted well can tell.
    gain = np.log((np.einsum("ij,ij->i", true, predicted) / square).clip(np.exp(-1), np.exp(1)))
    true -= predicted
    error = np.einsum("ij,ij->i", true, true)
    if not error.any():
        return None
    certainty = np.sqrt(square / (error + 1e-3 * error.mean()))
    share = shrunken_slope(certainty * correction, certainty * gain)
    if not share:
        return None
    return Brightness(values, stacking_weights, share, float(np.abs(correction).max()), pixels)


def _interpolate(values, weights, shares):
    extent = (values.min(), values.max())
    return mix([(slice(None), values[:, None, None])], np.zeros(1, int), weights, shares, extent, np.float64)[:, 0, 0]
