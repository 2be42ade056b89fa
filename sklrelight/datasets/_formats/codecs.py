"""Single image files: JPEG and PNG by OpenCV, camera RAW by LibRaw, and which module reads the others."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from ...utils import check_claim, check_file, import_extra
from .colour import to_srgb
from .containers import add_profile, read_profile, read_size
from .exr import is_exr, read_exr
from .orientation import read_orientation
from .radiance import is_hdr, read_hdr
from .tiff import is_tiff, read_tiff

__all__ = ["RAW_SUFFIXES", "StoredImage", "decode_image", "encode_jpeg", "encode_png", "read_file"]

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPE = 25  # its place in the file
_PNG_GREY_WITH_ALPHA = 4
# What the coding of a progressive JPEG file without content reaches.
_JPEG_RATIO = 2048
_SWAPPED_ROWS = 256

RAW_SUFFIXES = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
}  # fmt: skip
# EXIF orientation of each value of LibRaw's `flip`.
_EXIF_OF_FLIP = {0: 1, 3: 3, 5: 8, 6: 6}


class StoredImage(NamedTuple):
    """An image as its file holds it."""

    values: np.ndarray
    """Shape (height, width) or (height, width, 3), RGB, in the file's own type, as the sensor saw it."""
    orientation: int = 1
    """EXIF orientation, 1 to 8, that turns it upright."""
    is_linear: bool = False
    """Whether integers are linear radiance, whatever the user says of them."""
    note: str | None = None
    """What the user is to be warned of."""


def read_file(path, decode="linear", layer=None):
    """Read one image file.

    Parameters
    ----------
    path : path-like
        The file.

    decode : "auto", "linear", "srgb" or float, default="linear"
        What the user says of integers. For "auto" those of 8 bits are converted by the file's colour profile to sRGB;
        otherwise values are as they are in the file.

    layer : str or int, optional
        Name of a layer (OpenEXR) or number of a page (TIFF).

    Returns
    -------
    StoredImage

    Raises
    ------
    ImportError, OSError, ValueError
        As `load_image` does.
    """
    path = Path(path)
    check_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise type(error)(error.errno, f"Cannot read the image: {error.strerror}", str(path)) from error
    if not data:
        raise ValueError(f"{path}: the file is empty, wanted an image")
    suffix = path.suffix.lower()
    is_layered = suffix == ".exr" or is_exr(data) or is_tiff(data)
    if layer is not None and not is_layered:
        raise ValueError(f"{path}: layer={layer!r}, but only OpenEXR and TIFF files have layers or pages")
    if suffix in RAW_SUFFIXES:
        return _read_raw(path, data)
    if suffix == ".hdr" or is_hdr(data):
        return StoredImage(read_hdr(data, path))
    if is_tiff(data):
        values, orientation, profile = read_tiff(data, path, layer)
    elif is_layered:
        values, note = read_exr(path, len(data), layer)
        return StoredImage(values, note=note)
    else:
        values, orientation, profile = decode_image(data, path), read_orientation(data), read_profile(data)
    note = None
    if decode == "auto" and profile is not None:
        values, note = to_srgb(values, profile)
    return StoredImage(values, orientation, note=note)


def decode_image(data, path):
    """Decode a JPEG or PNG file, or another that OpenCV reads; `path` is what messages call it."""
    cv2 = import_extra("cv2", "images", f"To read {path}")
    # Some versions of OpenCV fill what is missing with grey and only print a warning. A whole file has the
    # end-of-image marker behind the start of its scan; an embedded thumbnail, before it, has its own.
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.find(b"\xff\xda"):
        raise ValueError(f"{path}: cannot be read as an image: the JPEG file is cut before its end")
    size = read_size(data)
    if size is not None:
        check_claim(int(np.prod(size, dtype=float)), len(data), path, _JPEG_RATIO)
    # These flags keep 16 and 32 bits and grey as they are, drop alpha and leave the orientation to us.
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"{path}: cannot be read as an image: {error.err}") from error
    if values is None:
        raise ValueError(f"{path}: cannot be read as an image: cut, damaged or of an unknown format")
    if values.dtype.kind not in "uf":
        raise ValueError(f"{path}: values of type {values.dtype}, wanted unsigned integers or floats")
    if values.ndim == 3:
        # Without alpha.
        if values.shape[2] == 3:
            # Some rows at a time, because a second image of many megapixels takes much memory.
            for rows in gen_batches(len(values), _SWAPPED_ROWS):
                values[rows] = cv2.cvtColor(values[rows], cv2.COLOR_BGR2RGB)
        else:
            values = cv2.cvtColor(values, cv2.COLOR_BGRA2RGB)
        if data.startswith(_PNG) and data[_PNG_COLOUR_TYPE] == _PNG_GREY_WITH_ALPHA:
            # OpenCV makes three equal channels of it.
            values = np.ascontiguousarray(values[..., 0])
    return values


def _read_raw(path, data):
    """Develop a RAW file linearly, the same way for every file of a camera.

    No automatic brightness, no white balance by the image's content or the camera's guess (daylight instead), and the
    sensor's own white level: nothing that would change from one photograph to the next.
    """
    rawpy = import_extra("rawpy", "raw", f"To read {path}")
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            orientation = _EXIF_OF_FLIP.get(raw.sizes.flip, 1)
            values = raw.postprocess(
                gamma=(1, 1),
                output_bps=16,
                no_auto_bright=True,
                # LibRaw would otherwise take a bright image's own maximum for white.
                adjust_maximum_thr=0.0,
                use_camera_wb=False,
                use_auto_wb=False,
                user_flip=0,
            )
    except rawpy.LibRawError as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"{path}: cannot be read as a RAW image: {reason}") from error
    return StoredImage(np.ascontiguousarray(values), orientation, is_linear=True)


def encode_png(values, profile, path):
    """Encode values of shape (height, width[, 3]), uint8 or uint16, as a PNG file."""
    return _encode(".png", values, [], profile, path)


def encode_jpeg(values, profile, path):
    """Encode values of shape (height, width[, 3]), uint8, as a JPEG file of high quality."""
    cv2 = import_extra("cv2", "images", f"To write {path}")
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(".jpg", values, [cv2.IMWRITE_JPEG_QUALITY, 95, *full_colour], profile, path)


def _encode(suffix, values, options, profile, path):
    cv2 = import_extra("cv2", "images", f"To write {path}")
    stored = cv2.cvtColor(values, cv2.COLOR_RGB2BGR) if values.ndim == 3 else values
    encoded, data = cv2.imencode(suffix, stored, options)
    if not encoded:
        raise OSError(f"OpenCV cannot encode the image as {suffix}")
    return add_profile(data.tobytes(), profile)
