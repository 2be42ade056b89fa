"""OpenEXR files, through the OpenEXR package."""

import numpy as np

from ...utils import import_extra


def read_exr(path):
    """Read the colour or grey channels of an OpenEXR file.

    Parameters
    ----------
    path : pathlib.Path
        The file; of several parts the first counts.

    Returns
    -------
    ndarray of shape (height, width, 3) or (height, width), float16 or float32
        Channels R, G and B, or Y, or the only one there is. The size is that of the display window: what a
        renderer left out of the data window is 0.

    Raises
    ------
    ImportError
        If the OpenEXR package is not installed.
    ValueError
        If the file is cut, damaged, or has no such channels.
    """
    openexr = import_extra("OpenEXR", "exr", f"To read {path}")
    try:
        part = openexr.File(str(path), separate_channels=True).parts[0]
        channels = {name: channel.pixels for name, channel in part.channels.items()}
        header = part.header
    except (RuntimeError, ValueError, IndexError) as error:
        # The package gives a file with unreadable pixels no parts at all.
        raise ValueError(f"{path}: cannot be read as an OpenEXR image: cut, damaged or of another format.") from error
    names = _channels_to_read(path, channels)
    shapes = {channels[name].shape for name in names}
    if len(shapes) > 1:
        raise ValueError(f"{path}: channels {names} have the shapes {sorted(shapes)}, wanted one size.")
    pixels = np.stack([channels[name] for name in names], axis=-1) if len(names) > 1 else channels[names[0]]
    return _in_display_window(pixels, header)


def write_exr(path, image):
    """Write an OpenEXR file with zip compression.

    Parameters
    ----------
    path : path-like
        The file.
    image : ndarray of shape (height, width, 3) or (height, width), float16 or float32

    Raises
    ------
    ImportError
        If the OpenEXR package is not installed.
    OSError
        If the file cannot be written.
    """
    openexr = import_extra("OpenEXR", "exr", f"To write {path}")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    planes = {"Y": image} if image.ndim == 2 else dict(zip("RGB", np.moveaxis(image, -1, 0), strict=True))
    file = openexr.File(header, {name: np.ascontiguousarray(plane) for name, plane in planes.items()})
    try:
        file.write(str(path))
    except RuntimeError as error:
        raise OSError(str(error)) from error


def _channels_to_read(path, channels):
    if {"R", "G", "B"} <= channels.keys():
        return ["R", "G", "B"]
    if "Y" in channels and not {"RY", "BY"} & channels.keys():
        return ["Y"]
    if len(channels) == 1:
        return list(channels)
    raise ValueError(f"{path}: channels {sorted(channels)}, wanted R, G and B, or Y without chroma, or a single one.")


def _in_display_window(pixels, header):
    (left, top), (right, bottom) = (np.asarray(corner, dtype=int) for corner in header["displayWindow"])
    (data_left, data_top), (data_right, data_bottom) = (
        np.asarray(corner, dtype=int) for corner in header["dataWindow"]
    )
    if (left, top, right, bottom) == (data_left, data_top, data_right, data_bottom):
        return pixels
    shown = np.zeros((bottom - top + 1, right - left + 1, *pixels.shape[2:]), dtype=pixels.dtype)
    first_row, last_row = max(top, data_top), min(bottom, data_bottom)
    first_column, last_column = max(left, data_left), min(right, data_right)
    if first_row <= last_row and first_column <= last_column:
        shown[first_row - top : last_row - top + 1, first_column - left : last_column - left + 1] = pixels[
            first_row - data_top : last_row - data_top + 1,
            first_column - data_left : last_column - data_left + 1,
        ]
    return shown
