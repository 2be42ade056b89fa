"""Codecs of single image files: JPEG, PNG and TIFF by OpenCV, OpenEXR, camera RAW by LibRaw, Radiance HDR."""

import io
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...utils import import_extra
from .orientation import read_orientation, read_tiff_tag, undo_orientation

__all__ = ["RAW_SUFFIXES", "StoredImage", "encode_hdr", "encode_png", "read_file", "write_exr"]

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPE = 25  # its place in the file
_PNG_GREY_WITH_ALPHA = 4
_TIFF = (b"II*\0", b"MM\0*")
_TIFF_SAMPLES_TAG, _TIFF_PLANAR_TAG = 277, 284

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
    orientation: int
    """EXIF orientation, 1 to 8, that turns it upright."""
    is_linear: bool = False
    """Whether integers are linear radiance, whatever the user says of them."""


def read_file(path):
    """Read one image file without interpreting its values.

    Raises ImportError, OSError or ValueError as `load_image` does.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise type(error)(error.errno, f"Cannot read the image: {error.strerror}", str(path)) from error
    if not data:
        raise ValueError(f"{path}: the file is empty, wanted an image")
    suffix = path.suffix.lower()
    if suffix == ".exr":
        return StoredImage(_read_exr(path), orientation=1)
    if suffix in RAW_SUFFIXES:
        return _read_raw(path, data)
    return _read_with_opencv(path, data)


def _read_with_opencv(path, data):
    cv2 = import_extra("cv2", "images", f"To read {path}")
    orientation = read_orientation(data)
    is_tiff = data[:4] in _TIFF
    # Some versions of OpenCV fill what is missing with grey and only print a warning. A whole file has the
    # end-of-image marker behind the start of its scan; an embedded thumbnail, before it, has its own.
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.find(b"\xff\xda"):
        raise ValueError(f"{path}: cannot be read as an image: the JPEG file is cut before its end")
    if is_tiff:
        _refuse_planar_tiff(path, data)
    # These flags keep 16 and 32 bits and grey as they are, drop alpha and leave the orientation to us.
    values = _decode(cv2, path, data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None and is_tiff:
        # Floats with alpha are only read with everything as it is.
        values = _decode(cv2, path, data, cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError(f"{path}: cannot be read as an image: cut, damaged or of an unknown format")
    if values.dtype.kind not in "uf":
        raise ValueError(f"{path}: values of type {values.dtype}, wanted unsigned integers or floats")
    if is_tiff:
        # OpenCV turns TIFF files upright whatever the flags say.
        values = undo_orientation(values, orientation)
    if values.ndim == 3:
        # From BGR or BGRA, without alpha.
        values = np.ascontiguousarray(values[..., 2::-1])
        if data.startswith(_PNG) and data[_PNG_COLOUR_TYPE] == _PNG_GREY_WITH_ALPHA:
            # OpenCV makes three equal channels of it.
            values = np.ascontiguousarray(values[..., 0])
    return StoredImage(values, orientation)


def _decode(cv2, path, data, flags):
    try:
        if path.suffix.lower() == ".hdr":
            # OpenCV would decode this format from memory by way of a temporary file.
            return cv2.imread(str(path), flags)
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"{path}: cannot be read as an image: {error.err}") from error


def _refuse_planar_tiff(path, data):
    try:
        planar = read_tiff_tag(data, _TIFF_PLANAR_TAG) == 2 and read_tiff_tag(data, _TIFF_SAMPLES_TAG) != 1
    except struct.error as error:
        raise ValueError(f"{path}: cannot be read as an image: the TIFF file is cut") from error
    if planar:
        # OpenCV reads such a file as if its channels were interleaved, and says nothing.
        raise ValueError(f"{path}: a TIFF file with one plane a channel, wanted one with interleaved channels")


def _read_exr(path):
    """Read R, G and B, or Y, or the only channel of an OpenEXR file's first part, in its display window."""
    openexr = import_extra("OpenEXR", "exr", f"To read {path}")
    try:
        part = openexr.File(str(path), separate_channels=True).parts[0]
        channels = {name: channel.pixels for name, channel in part.channels.items()}
        header = part.header
    except (RuntimeError, ValueError, IndexError) as error:
        # The package gives a file with unreadable pixels no parts at all.
        raise ValueError(f"{path}: cannot be read as an OpenEXR image: cut, damaged or of another format") from error
    if {"R", "G", "B"} <= channels.keys():
        names = ["R", "G", "B"]
    elif "Y" in channels and not {"RY", "BY"} & channels.keys():
        names = ["Y"]
    elif len(channels) == 1:
        names = list(channels)
    else:
        raise ValueError(
            f"{path}: channels {sorted(channels)}, wanted R, G and B, or Y without chroma, or a single one"
        )
    shapes = {channels[name].shape for name in names}
    if len(shapes) > 1:
        raise ValueError(f"{path}: channels {names} have the shapes {sorted(shapes)}, wanted one size")
    pixels = np.stack([channels[name] for name in names], axis=-1) if len(names) > 1 else channels[names[0]]
    return _in_display_window(pixels, header)


def _in_display_window(pixels, header):
    """Put pixels into the window that is shown; what a renderer left out is 0."""
    # Both windows as their first and last pixel, as (row, column).
    shown, data = (np.array(header[name], dtype=int)[:, ::-1] for name in ("displayWindow", "dataWindow"))
    image = np.zeros((*(shown[1] - shown[0] + 1), *pixels.shape[2:]), dtype=pixels.dtype)
    first, stop = np.maximum(shown[0], data[0]), np.minimum(shown[1], data[1]) + 1
    if np.all(first < stop):
        into, source = (tuple(map(slice, first - corner, stop - corner)) for corner in (shown[0], data[0]))
        image[into] = pixels[source]
    return image


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


def write_exr(path, image):
    """Write an image of shape (height, width[, 3]), float16 or float32, as an OpenEXR file with zip compression."""
    openexr = import_extra("OpenEXR", "exr", f"To write {path}")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    planes = {"Y": image} if image.ndim == 2 else dict(zip("RGB", np.moveaxis(image, -1, 0), strict=True))
    file = openexr.File(header, {name: np.ascontiguousarray(plane) for name, plane in planes.items()})
    try:
        file.write(str(path))
    except RuntimeError as error:
        raise OSError(str(error)) from error


def encode_png(values, path):
    """Encode values of shape (height, width[, 3]), uint8 or uint16, as a PNG file."""
    cv2 = import_extra("cv2", "images", f"To write {path}")
    encoded, data = cv2.imencode(".png", cv2.cvtColor(values, cv2.COLOR_RGB2BGR) if values.ndim == 3 else values)
    if not encoded:
        raise OSError("OpenCV cannot encode the image as PNG")
    return data.tobytes()


def encode_hdr(image):
    r"""Encode an image of shape (height, width[, 3]) as a Radiance HDR file, without run lengths.

    Written here because OpenCV encodes this format by way of a temporary file elsewhere, whose disk may be full. Grey
    becomes RGB; values are clipped to [0, 1.69e38].

    Examples
    --------
    >>> encode_hdr(np.array([[[1.0, 0.5, 0.0]]]))[-4:]
    b'\x80@\x00\x81'
    """
    colours = np.broadcast_to(image[..., np.newaxis], (*image.shape, 3)) if image.ndim == 2 else image
    # 2 ** 127 is about the largest value of the format.
    colours = np.clip(colours.astype(np.float64), 0, 2.0**127 * 255 / 256)
    brightest = colours.max(axis=-1)
    _, exponents = np.frexp(brightest)
    # 255.6 would round to 256, which is no byte; with the next exponent it is 128.
    exponents += np.round(brightest * np.exp2(8.0 - exponents)) > 255
    pixels = np.zeros((*exponents.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.round(colours * np.exp2(8.0 - exponents)[..., np.newaxis])
    # Below 2 ** -127 there is no exponent left: black.
    representable = (exponents > -128) & (brightest > 0)
    pixels[..., 3] = np.where(representable, exponents + 128, 0)
    pixels[~representable] = 0
    header = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {image.shape[0]} +X {image.shape[1]}\n"
    return header.encode("ascii") + pixels.tobytes()
