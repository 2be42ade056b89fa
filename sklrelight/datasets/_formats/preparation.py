"""What happens to each photograph between its file and the stack: cutting and averaging."""

import numpy as np


def check_crop(crop, image_shape):
    """Return `crop` as four integers, or raise unless it lies within the image.

    Parameters
    ----------
    crop : (int, int, int, int) or None
        ``(top, bottom, left, right)``: rows top to bottom - 1 and columns left to right - 1 are kept.
    image_shape : (int, int, ...)
        Height and width.

    Returns
    -------
    (int, int, int, int)
        The whole image for None.

    Raises
    ------
    ValueError
        If it is not four such integers.
    """
    height, width = image_shape[:2]
    if crop is None:
        return 0, height, 0, width
    values = tuple(crop)
    if (
        len(values) != 4
        or not all(isinstance(value, (int, np.integer)) for value in values)
        or not (0 <= values[0] < values[1] <= height and 0 <= values[2] < values[3] <= width)
    ):
        raise ValueError(
            f"crop={crop!r}, wanted (top, bottom, left, right) with 0 <= top < bottom <= {height} and "
            f"0 <= left < right <= {width}: the photographs have {height} rows and {width} columns."
        )
    top, bottom, left, right = (int(value) for value in values)
    return top, bottom, left, right


def check_downscale(downscale, image_shape):
    """Raise unless `downscale` is an integer from 1 to the shorter side of the image.

    Parameters
    ----------
    downscale : int
        Pixels averaged along each side.
    image_shape : (int, int, ...)
        Height and width, after cropping.

    Raises
    ------
    ValueError
        If it is not.
    """
    shorter = min(image_shape[:2])
    if not isinstance(downscale, (int, np.integer)) or not 1 <= downscale <= shorter:
        raise ValueError(
            f"downscale={downscale!r}, wanted an integer from 1 to {shorter}, the shorter side of images of "
            f"{image_shape[0]} x {image_shape[1]} pixels (after crop)."
        )


def cut(image, crop):
    """Return the part of an image that `crop` names (a view).

    Parameters
    ----------
    image : ndarray of shape (height, width, ...)
    crop : (int, int, int, int)
        ``(top, bottom, left, right)``.

    Returns
    -------
    ndarray of shape (bottom - top, right - left, ...)
    """
    top, bottom, left, right = crop
    return image[top:bottom, left:right]


def area_mean(image, factor):
    """Average squares of `factor` x `factor` pixels.

    Parameters
    ----------
    image : ndarray of shape (height, width, ...)
        Linear radiance. Rows and columns that do not fill a square, at the bottom and at the right, are
        left out.
    factor : int
        From 1 to the shorter side.

    Returns
    -------
    ndarray of shape (height // factor, width // factor, ...)

    Examples
    --------
    >>> area_mean(np.array([[1.0, 3.0, 9.0], [5.0, 7.0, 9.0]]), 2)
    array([[4.]])
    """
    if factor == 1:
        return image
    height, width = image.shape[0] // factor * factor, image.shape[1] // factor * factor
    # Sums of strided views, along one side after the other: much faster than a mean over two short axes.
    rows = _strided_sum(image[:height, :width], factor, axis=0)
    return _strided_sum(rows, factor, axis=1) / np.asarray(factor * factor, dtype=image.dtype)


def _strided_sum(image, factor, axis):
    """Sum `factor` neighbours along one axis, whose length is a multiple of it."""
    views = [image[start::factor] if axis == 0 else image[:, start::factor] for start in range(factor)]
    total = views[0].copy()
    for view in views[1:]:
        total += view
    return total
