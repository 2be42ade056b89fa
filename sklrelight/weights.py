"""Weights of pixels: masks, and solid angles of panoramas."""

import numpy as np
from sklearn.utils import check_array

from .arguments import naming

__all__ = ["check_pixel_weight", "value_weights"]


def check_pixel_weight(pixel_weight, image_shape):
    """Check weights of pixels.

    Parameters
    ----------
    pixel_weight : array-like of shape (H, W)
        0 leaves a pixel out, 1 is an ordinary one; a mask of bool will do.

    image_shape : tuple of int
        (H, W) of the photographs.

    Returns
    -------
    ndarray of shape (H, W), float32
        The weights.

    Raises
    ------
    ValueError
        If they have another shape, are negative or not finite, or are all 0.

    Examples
    --------
    >>> check_pixel_weight([[True, False]], (1, 2))
    array([[1., 0.]], dtype=float32)
    """
    with naming("pixel_weight"):
        weight = check_array(pixel_weight, dtype=np.float32, ensure_2d=False, allow_nd=True, input_name="pixel_weight")
    if weight.shape != tuple(image_shape) or weight.ndim != 2:
        raise ValueError(
            f"pixel_weight has the shape {weight.shape}, the photographs {tuple(image_shape)} (H, W); a search slices"
            " weights whose height is the number of lights"
        )
    if weight.min() < 0:
        raise ValueError(f"pixel_weight must not be negative, got {weight.min():g}")
    if not weight.any():
        raise ValueError("pixel_weight is 0 everywhere: no pixel is left")
    return weight


def value_weights(images, pixel_weight, saturation):
    """Weigh each value of some photographs.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C), (n, H, W), (n, k) or (n,)
        Photographs.

    pixel_weight : array-like of shape (H, W) or None
        Weights of the pixels.

    saturation : float or None
        Values at or above it have no weight.

    Returns
    -------
    ndarray of the shape of images, float32, or None
        None where everything weighs alike.

    Raises
    ------
    ValueError
        If the pixels' weights do not fit the photographs.

    Examples
    --------
    >>> value_weights(np.array([[[0.2, 1.0]]]), [[3.0, 1.0]], saturation=1.0)
    array([[[3., 0.]]], dtype=float32)
    """
    if pixel_weight is None and saturation is None:
        return None
    weights = np.ones(images.shape, np.float32)
    if pixel_weight is not None:
        pixel_weight = check_pixel_weight(pixel_weight, images.shape[1:3])
        weights *= pixel_weight.reshape(pixel_weight.shape + (1,) * (images.ndim - 3))
    if saturation is not None:
        # No value of a half reaches what a half cannot hold.
        with np.errstate(over="ignore"):
            weights *= images < saturation
    return weights
