"""EXIF orientation: how the camera was held."""

import struct

__all__ = ["apply_orientation", "read_orientation", "read_tiff_tag", "undo_orientation"]

_ORIENTATION_TAG = 0x0112


def read_orientation(data):
    """Return the EXIF orientation, 1 to 8, of an encoded JPEG, PNG or TIFF file; 1 (upright) where it says none.

    Examples
    --------
    >>> read_orientation(b"no photograph")
    1
    """
    try:
        if data.startswith(b"\xff\xd8"):
            data = _exif_of_jpeg(data)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            data = _exif_of_png(data)
        value = read_tiff_tag(data, _ORIENTATION_TAG)
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


def undo_orientation(image, orientation):
    """Invert `apply_orientation`."""
    # Each is its own inverse, except the two quarter turns, which are each other's.
    return apply_orientation(image, {6: 8, 8: 6}.get(orientation, orientation))


def read_tiff_tag(data, wanted):
    """Return a tag with one 16-bit value in the first directory of a TIFF file or an EXIF block.

    None where there is no such tag, or no TIFF file. Raises struct.error where the data end before the directory does.
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


def _exif_of_jpeg(data):
    position = 2
    while data[position : position + 1] == b"\xff":
        marker, length = struct.unpack_from(">xBH", data, position)
        if marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            return data[position + 10 : position + 2 + length]
        if marker == 0xDA or length < 2:
            break
        position += 2 + length
    return b""


def _exif_of_png(data):
    position = 8
    while position + 8 <= len(data):
        length, chunk_type = struct.unpack_from(">I4s", data, position)
        if chunk_type == b"eXIf":
            return data[position + 8 : position + 8 + length]
        position += 12 + length
    return b""
