"""EXIF orientation: how the camera was held."""

import struct

from .containers import read_exif

__all__ = ["apply_orientation", "read_orientation"]

_ORIENTATION_TAG = 0x0112


def read_orientation(data):
    """Return the EXIF orientation, 1 to 8, of an encoded JPEG or PNG file; 1 (upright) where it says none.

    Examples
    --------
    >>> read_orientation(b"no photograph")
    1
    """
    try:
        value = _read_tag(read_exif(data), _ORIENTATION_TAG)
    except struct.error:
        # The tag lies behind the end of a cut file, which the decoder reports better than we could here.
        return 1
    return value if value is not None and 1 <= value <= 8 else 1


def apply_orientation(image, orientation):
    """Turn an image of shape (height, width[, channels]) upright; the result is a view.

    Examples
    --------
    >>> import numpy as np
    >>> apply_orientation(np.array([[1, 2], [3, 4], [5, 6]]), 6)
    array([[5, 3, 1],
           [6, 4, 2]])
    """
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def _read_tag(data, wanted):
    """Return a tag with one 16-bit value in the first directory of an EXIF block.

    None where there is no such tag, or no block. Raises struct.error where the data end before the directory does.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (n_entries,) = struct.unpack_from(order + "H", data, directory)
    for entry in range(n_entries):
        tag, _, _, value = struct.unpack_from(order + "HHIH", data, directory + 2 + 12 * entry)
        if tag == wanted:
            return value
    return None
