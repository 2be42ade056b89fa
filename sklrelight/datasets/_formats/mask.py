"""Masks: which pixels show the object."""

import os

import numpy as np

from .images import load_image
from .preparation import area_mean, cut


def read_mask(mask, image_shape, window, downscale):
    """Read a mask and cut and average it as the photographs are.

    Parameters
    ----------
    mask : path-like or array-like of shape (height, width)
        Inside is what is brighter than half of the mask's brightest value.
    image_shape : (int, int, ...)
        Height and width of the photographs, before cropping.
    window : (int, int, int, int)
        ``(top, bottom, left, right)`` to keep.
    downscale : int
        Pixels averaged along each side.

    Returns
    -------
    ndarray of shape (height, width), bool
        After averaging, a pixel is inside where all that it averages are.

    Raises
    ------
    ValueError
        If the mask has another size, or nothing is inside.

    Examples
    --------
    >>> read_mask(np.array([[0, 255, 255, 255]] * 2), (2, 4), (0, 2, 0, 4), 2)
    array([[False,  True]])
    """
    if isinstance(mask, (str, os.PathLike)):
        source, values = str(mask), load_image(mask)
        values = values if values.ndim == 2 else values.max(axis=-1)
    else:
        source, values = "mask", np.asarray(mask, dtype=np.float32)
    if values.shape != tuple(image_shape[:2]):
        raise ValueError(
            f"{source}: shape {values.shape}, wanted {tuple(image_shape[:2])} (height, width) as the photographs "
            "have before crop and downscale."
        )
    inside = values > values.max() / 2
    kept = area_mean(cut(inside, window).astype(np.float32), downscale) > 1 - 1e-6
    if not kept.any():
        raise ValueError(f"{source}: nothing is inside the mask, after crop and downscale={downscale}.")
    return kept
