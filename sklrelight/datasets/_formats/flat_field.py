"""White-card photographs, by which the others are divided."""

import os
from pathlib import Path

import numpy as np


def open_flat_field(flat_field, paths, image_shape, read):
    """Prepare to divide photographs by photographs of a white card.

    Parameters
    ----------
    flat_field : path-like or array-like
        One image file for all photographs, a folder with a file of the same name for each, or linear
        radiance of shape (height, width), (height, width, 3), (n_lights, height, width) or (n_lights,
        height, width, 3).
    paths : list of pathlib.Path
        The photographs.
    image_shape : tuple of int
        Theirs, before cropping: (height, width) or (height, width, 3).
    read : callable
        Reads a path as upright linear radiance.

    Returns
    -------
    callable
        ``divide(image, index, window)`` divides the part `window` of photograph `index`.

    Raises
    ------
    ValueError
        If the flat field has another size, or there is not one for each photograph.

    Examples
    --------
    >>> divide = open_flat_field(np.array([[2.0, 4.0]]), ["a.png"], (1, 2, 3), read=None)
    >>> divide(np.ones((1, 1, 3)), 0, (0, 1, 1, 2))
    array([[[0.25, 0.25, 0.25]]])
    """
    if isinstance(flat_field, (str, os.PathLike)):
        source = Path(flat_field)
        if source.is_dir():
            files = [source / path.name for path in paths]
            missing = [str(file) for file in files if not file.is_file()]
            if missing:
                raise ValueError(
                    f"flat_field={str(source)!r} lacks a file for {len(missing)} of {len(files)} photographs, "
                    f"the first {missing[0]}."
                )
            return lambda image, index, window: _divided(
                image, _checked(read(files[index]), image_shape, files[index]), window, files[index]
            )
        flat = _checked(read(source), image_shape, source)
        return lambda image, index, window: _divided(image, flat, window, source)
    array = np.asarray(flat_field, dtype=np.float32)
    one_each = array.ndim == 4 or (array.ndim == 3 and array.shape[:2] != tuple(image_shape[:2]))
    if one_each and len(array) != len(paths):
        raise ValueError(f"flat_field has shape {array.shape}, wanted {len(paths)} images, one a photograph.")
    flats = array if one_each else array[np.newaxis]
    for flat in flats:
        _checked(flat, image_shape, "flat_field")
    return lambda image, index, window: _divided(image, flats[index if one_each else 0], window, "flat_field")


def _checked(flat, image_shape, source):
    if flat.shape[:2] != tuple(image_shape[:2]) or flat.shape[2:] not in ((), tuple(image_shape[2:])):
        raise ValueError(f"{source}: shape {flat.shape}, wanted {tuple(image_shape)} as the photographs have.")
    return flat


def _divided(image, flat, window, source):
    top, bottom, left, right = window
    flat = flat[top:bottom, left:right]
    bad = ~(np.isfinite(flat) & (flat > 0))
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad)[0][:2])
        raise ValueError(
            f"{source}: {np.count_nonzero(bad)} values are not above 0, the first at row {row + top}, column "
            f"{column + left}; a flat field is divided by (crop to where the card is)."
        )
    return image / (flat[..., np.newaxis] if flat.ndim < image.ndim else flat)
