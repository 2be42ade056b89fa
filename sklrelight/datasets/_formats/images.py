"""Reading one image file, whatever its format."""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...utils import import_extra
from .exr import read_exr
from .orientation import apply_orientation, read_orientation, read_tiff_tag, undo_orientation
from .radiance import check_decode, to_radiance
from .raw import RAW_SUFFIXES, read_raw

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPE = 25  # where it is in the file
_PNG_GREY_WITH_ALPHA = 4
_TIFF_SAMPLES_TAG, _TIFF_PLANAR_TAG = 277, 284


class StoredImage(NamedTuple):
    """An image as its file holds it."""

    values: np.ndarray
    """Shape (height, width) or (height, width, 3), RGB, in the file's own type, as the sensor saw it."""
    orientation: int
    """EXIF orientation, 1 to 8, that turns it upright."""
    is_linear: bool = False
    """Whether the values are radiance whatever the user says of the others: floats, developed RAW."""


def load_image(path, *, decode="linear"):
    """Read one image file as linear radiance.

    Parameters
    ----------
    path : path-like
        By its suffix OpenEXR (half or float), camera RAW or DNG; otherwise JPEG, PNG (8 or 16 bit), TIFF
        (8, 16 or 32 bit, integer or float), Radiance HDR and whatever else OpenCV reads.
    decode : "linear", "srgb" or float, default="linear"
        How integer values become radiance: as they are, by the sRGB curve, or by the power `decode` (2.2
        for most cameras' JPEG files). Floating-point and RAW files are linear already.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3), float32
        Row 0 at the top, RGB; integers become [0, 1]. EXIF orientation is applied, alpha is dropped.

    Raises
    ------
    ImportError
        If the package that reads this format is not installed.
    OSError
        If there is no such file, or no permission to read it.
    ValueError
        If the file is no image, is cut, or holds values that are not finite. The message names it.
    """
    check_decode(decode)
    stored = read_stored(path)
    upright = apply_orientation(stored.values, stored.orientation)
    return decode_stored(upright, "linear" if stored.is_linear else decode, path)


def read_stored(path):
    """Read one image file without interpreting its values.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    StoredImage

    Raises
    ------
    ImportError, OSError, ValueError
        As `load_image`.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise type(error)(error.errno, f"Cannot read the image: {error.strerror}", str(path)) from error
    if not data:
        raise ValueError(f"{path}: the file is empty, wanted an image.")
    suffix = path.suffix.lower()
    if suffix == ".exr":
        return StoredImage(read_exr(path), orientation=1, is_linear=True)
    if suffix in RAW_SUFFIXES:
        values, orientation = read_raw(path, data)
        return StoredImage(values, orientation, is_linear=True)
    return _read_with_opencv(path, data)


def decode_stored(values, decode, path):
    """Turn one file's values into radiance, and check them.

    Parameters
    ----------
    values : ndarray
        From `read_stored`.
    decode : "linear", "srgb" or float
        As in `load_image`.
    path : path-like
        The file, for the message.

    Returns
    -------
    ndarray, float32

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    radiance = to_radiance(values, decode)
    if values.dtype.kind == "f":
        finite = np.isfinite(radiance)
        if not finite.all():
            where = tuple(int(index) for index in np.argwhere(~finite)[0])
            raise ValueError(
                f"{path}: {finite.size - np.count_nonzero(finite)} values are not finite, the first at "
                f"row {where[0]}, column {where[1]}; wanted finite radiance."
            )
    return radiance


def _read_with_opencv(path, data):
    cv2 = import_extra("cv2", "images", f"To read {path}")
    orientation = read_orientation(data)
    is_tiff = data[:4] in (b"II*\0", b"MM\0*")
    _refuse_cut_jpeg(path, data)
    if is_tiff:
        _refuse_planar_tiff(path, data)
    # These flags keep 16 and 32 bits and grey as they are, drop alpha and leave the orientation to us.
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    values = _opencv_values(cv2, path, data, flags)
    if values is None and is_tiff:
        # Floats with alpha are only read with everything as it is.
        values = _opencv_values(cv2, path, data, cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError(f"{path}: cannot be read as an image: cut, damaged or of an unknown format.")
    if values.dtype.kind not in "uf":
        raise ValueError(f"{path}: values of type {values.dtype}, wanted unsigned integers or floats.")
    if is_tiff:
        # OpenCV turns TIFF files upright whatever the flags say.
        values = undo_orientation(values, orientation)
    if values.ndim == 3:
        values = _rgb(cv2, values)
        if data.startswith(_PNG) and data[_PNG_COLOUR_TYPE] == _PNG_GREY_WITH_ALPHA:
            # OpenCV makes three equal channels of it.
            values = np.ascontiguousarray(values[..., 0])
    return StoredImage(values, orientation, is_linear=values.dtype.kind == "f")


def _opencv_values(cv2, path, data, flags):
    try:
        if path.suffix.lower() == ".hdr":
            # From memory, OpenCV would decode this format by way of a temporary file.
            return cv2.imread(str(path), flags)
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"{path}: cannot be read as an image: {error.err}") from error


def _rgb(cv2, values):
    """Return RGB of OpenCV's BGR or BGRA."""
    if values.dtype in (np.uint8, np.uint16, np.float32):
        code = cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGB
        return cv2.cvtColor(np.ascontiguousarray(values), code)
    return np.ascontiguousarray(values[..., 2::-1])


def _refuse_planar_tiff(path, data):
    try:
        planar = read_tiff_tag(data, _TIFF_PLANAR_TAG) == 2 and read_tiff_tag(data, _TIFF_SAMPLES_TAG) != 1
    except struct.error as error:
        raise ValueError(f"{path}: cannot be read as an image: the TIFF file is cut.") from error
    if planar:
        # OpenCV reads such a file as if its channels were interleaved, and says nothing.
        raise ValueError(f"{path}: a TIFF file with one plane a channel, wanted one with interleaved channels.")


def _refuse_cut_jpeg(path, data):
    # Some versions of OpenCV fill what is missing with grey and only print a warning. A whole file has the
    # end-of-image marker behind the start of its scan (an embedded thumbnail, before it, has its own).
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.find(b"\xff\xda"):
        raise ValueError(f"{path}: cannot be read as an image: the JPEG file is cut before its end.")
