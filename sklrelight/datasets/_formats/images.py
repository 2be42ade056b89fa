"""Single images: linear radiance from a file, and into one."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from ...utils import check_numbers, replacing
from .codecs import encode_hdr, encode_png, read_file, write_exr
from .orientation import apply_orientation

__all__ = [
    "check_decode",
    "check_file_format",
    "check_image_shape",
    "check_sizes",
    "check_values",
    "expose",
    "load_image",
    "resolve_decode",
    "save_image",
    "to_radiance",
    "write_image",
]

# Bits of a value that each format can have, the default first.
_BIT_DEPTHS = {".png": (8, 16), ".exr": (16, 32), ".hdr": (8,)}


def load_image(path, *, decode="auto"):
    """Read one image file as linear radiance.

    Parameters
    ----------
    path : path-like
        The file. Its suffix tells OpenEXR (half or float), camera RAW and DNG; everything else is read by OpenCV: JPEG,
        PNG (8 or 16 bit), TIFF (8, 16 or 32 bit, integer or float), Radiance HDR and more.

    decode : "auto", "linear", "srgb" or float, default="auto"
        How integer values become radiance: as they are ("linear"), by the sRGB curve ("srgb"), or by the power
        `decode`. "auto" takes the sRGB curve for 8 bits, which is what JPEG files and most PNG files hold, and values
        of more bits as they are. Floating-point and RAW files are linear already.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3), float32
        Linear radiance, RGB, row 0 at the top; integers become [0, 1]. EXIF orientation is applied, alpha is dropped.

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
    stored = read_file(path)
    upright = apply_orientation(stored.values, stored.orientation)
    return to_radiance(upright, "linear" if stored.is_linear else decode, path)


def save_image(path, image, *, exposure=0.0, encoding="auto", bit_depth=None):
    """Write linear radiance to an image file.

    The file appears, or is replaced, when it is whole.

    Parameters
    ----------
    path : path-like
        The file. Its suffix chooses the format: ``.png`` for display, ``.exr`` (OpenEXR) or ``.hdr`` (Radiance) for
        linear radiance of any range.

    image : array-like of shape (height, width, 3) or (height, width)
        Linear radiance, RGB or grey, finite.

    exposure : float, default=0.0
        Exposure in stops: values are multiplied by ``2 ** exposure`` first.

    encoding : "auto", "srgb", "linear" or float, default="auto"
        How radiance becomes the values of a PNG file: by the sRGB curve, as it is, or by the power ``1 / encoding``.
        "auto" takes the sRGB curve for 8 bits, and values of 16 bits as they are, as `load_image` reads them. Values
        outside of [0, 1] are clipped. EXR and HDR files are linear in any case.

    bit_depth : int, optional
        Bits of a value: 8 (default) or 16 for PNG; 16 (half, default) or 32 (float) for EXR; 8 for HDR, whose pixels
        have an exponent beside.

    Raises
    ------
    ImportError
        If the package that writes this format is not installed.

    OSError
        If the file cannot be written; `path` is then as it was.

    ValueError
        If the format, the shape or a parameter is none of these, or a value is not finite or beyond what a half holds
        (65504).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.datasets import load_image, save_image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "relit.png")
    ...     save_image(path, np.array([[0.0, 0.1, 0.4]]), exposure=1)
    ...     load_image(path).round(2)
    array([[0. , 0.2, 0.8]], dtype=float32)
    """
    path = Path(path)
    bit_depth = check_file_format(path.suffix, bit_depth, encoding)
    image = expose(image, exposure, f"{path}: image")
    with replacing(path) as temporary:
        write_image(temporary, image, encoding, bit_depth)


def check_decode(decode, name="decode"):
    """Refuse what is not "auto", "linear", "srgb" or a gamma above 0."""
    is_gamma = isinstance(decode, (int, float, np.number)) and not isinstance(decode, bool) and 0 < decode < np.inf
    if not (is_gamma or (isinstance(decode, str) and decode in ("auto", "linear", "srgb"))):
        raise ValueError(f"{name}={decode!r}, wanted 'auto', 'linear', 'srgb' or a finite gamma above 0 (such as 2.2)")


def resolve_decode(decode, dtype):
    """Return what "auto" means for values of a type: "srgb" for 8 bits, otherwise "linear".

    Examples
    --------
    >>> resolve_decode("auto", np.uint8), resolve_decode("auto", np.uint16), resolve_decode(2.2, np.uint8)
    ('srgb', 'linear', 2.2)
    """
    if decode != "auto":
        return decode
    return "srgb" if np.dtype(dtype) == np.uint8 else "linear"


def check_image_shape(shape, name, axes="height, width"):
    """Refuse what is no image, colour or grey; with more `axes`, what is no array of images."""
    n_axes = len(axes.split(","))
    if shape[n_axes:] not in ((), (3,)) or len(shape) < n_axes or 0 in shape:
        raise ValueError(f"{name} has shape {shape}, wanted ({axes}, 3) or ({axes})")


def check_sizes(sizes, name, axes):
    """Return two integers above 0 as ints; `axes` says what they are."""
    values = tuple(sizes) if isinstance(sizes, (tuple, list, np.ndarray)) else ()
    if len(values) != 2 or not all(isinstance(value, (int, np.integer)) and value > 0 for value in values):
        raise ValueError(f"{name}={sizes!r}, wanted two integers above 0: {axes}")
    return int(values[0]), int(values[1])


def check_values(good, name, fault, hint="wanted finite radiance", corner=(0, 0)):
    """Refuse an image by its first value that is not `good`; `corner` is what was cropped at the top and the left."""
    if not good.all():
        row, column = np.argwhere(~good)[0][:2] + corner
        raise ValueError(
            f"{name}: {np.count_nonzero(~good)} values are {fault}, the first at row {row}, column {column}; {hint}"
        )


def to_radiance(values, decode, source):
    """Turn stored values into linear radiance, and check that they are finite.

    Parameters
    ----------
    values : ndarray
        Unsigned integers, whose largest possible value becomes 1, or floating-point numbers, which stay as they are.

    decode : "auto", "linear", "srgb" or float
        How integers v in [0, 1] become radiance: as they are, by the sRGB curve (IEC 61966-2-1), or as ``v ** decode``;
        "auto" as `resolve_decode` says.

    source : object
        Where the values are from, for the message.

    Returns
    -------
    ndarray of the same shape, float32
        Linear radiance.

    Examples
    --------
    >>> to_radiance(np.array([0, 51, 255], dtype=np.uint8), "linear", "photograph")
    array([0. , 0.2, 1. ], dtype=float32)
    >>> to_radiance(np.array([0, 51, 255], dtype=np.uint8), "srgb", "photograph").round(4)
    array([0.    , 0.0331, 1.    ], dtype=float32)
    """
    if values.dtype.kind != "f":
        decode = resolve_decode(decode, values.dtype)
        largest = np.iinfo(values.dtype).max
        if values.dtype.itemsize > 2:
            return _decoded(values / float(largest), decode).astype(np.float32)
        return _decoding_table(largest, decode).take(values)
    radiance = values.astype(np.float32, copy=False)
    check_values(np.isfinite(radiance), source, "not finite")
    return radiance


@lru_cache(maxsize=8)
def _decoding_table(largest, decode):
    return _decoded(np.arange(largest + 1) / largest, decode).astype(np.float32)


def _decoded(values, decode):
    if decode == "linear":
        return values
    if decode == "srgb":
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return values**decode


def _encoded(radiance, encoding):
    """Invert `_decoded`, in [0, 1]."""
    values = np.clip(radiance.astype(np.float64), 0, 1)
    if encoding == "linear":
        return values
    if encoding == "srgb":
        return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    return values ** (1 / encoding)


def check_file_format(suffix, bit_depth, encoding):
    """Refuse a format, bit depth or encoding that cannot be written; return the bit depth."""
    check_decode(encoding, "encoding")
    depths = _BIT_DEPTHS.get(suffix.lower())
    if depths is None:
        raise ValueError(f"Cannot write the format {suffix!r}, wanted one of {', '.join(_BIT_DEPTHS)}")
    if bit_depth is not None and bit_depth not in depths:
        raise ValueError(f"bit_depth={bit_depth!r} for {suffix}, wanted {' or '.join(map(str, depths))}")
    return depths[0] if bit_depth is None else bit_depth


def expose(image, exposure, name):
    """Check an image, and multiply it by ``2 ** exposure``; `name` is what messages call it."""
    if not abs(exposure) <= 100:
        raise ValueError(f"exposure={exposure!r}, wanted a number of stops from -100 to 100")
    image = check_numbers(image, name)
    check_image_shape(image.shape, name)
    image = image.astype(np.float32) * np.float32(2.0**exposure)
    check_values(np.isfinite(image), name, "not finite")
    return image


def write_image(path, image, encoding, bit_depth):
    """Write checked radiance to a file, in the format that its suffix says."""
    suffix = path.suffix.lower()
    if suffix == ".hdr":
        path.write_bytes(encode_hdr(image))
    elif suffix == ".png":
        dtype = np.dtype(np.uint8 if bit_depth == 8 else np.uint16)
        values = np.round(_encoded(image, resolve_decode(encoding, dtype)) * np.iinfo(dtype).max)
        path.write_bytes(encode_png(values.astype(dtype), path))
    elif bit_depth == 32:
        write_exr(path, image)
    elif np.abs(image).max() > np.finfo(np.float16).max:
        raise ValueError(f"The image reaches {np.abs(image).max():.4g}, more than a half holds (65504): bit_depth=32")
    else:
        write_exr(path, image.astype(np.float16))
