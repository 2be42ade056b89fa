"""Single images: linear radiance from a file, and into one."""

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...utils import check_numbers, look_up, replacing
from .codecs import encode_jpeg, encode_png, read_file
from .colour import decode_values, encode_radiance, make_profile
from .exr import write_exr
from .orientation import apply_orientation
from .radiance import encode_hdr
from .tiff import encode_tiff

__all__ = [
    "check_decode",
    "check_file_format",
    "check_image_shape",
    "check_sizes",
    "check_values",
    "clip_negative_values",
    "expose",
    "load_image",
    "resolve_decode",
    "save_image",
    "to_radiance",
    "warn_of_file",
    "write_image",
]

# Bits of a value that each format can have, the default first.
_BIT_DEPTHS = {
    ".png": (8, 16),
    **dict.fromkeys([".jpg", ".jpeg"], (8,)),
    **dict.fromkeys([".tif", ".tiff"], (16, 8, 32)),
    ".exr": (16, 32),
    ".hdr": (8,),
}


def load_image(path, *, decode="auto", layer=None, clip_negative=False):
    """Read one image file as linear radiance.

    Parameters
    ----------
    path : path-like
        The file: OpenEXR (half or float), Radiance HDR, TIFF (8, 16 or 32 bits, integers or floats), camera RAW and DNG
        by its suffix, JPEG, PNG (8 or 16 bits), and what else OpenCV reads. Values of a Radiance file are divided by
        the exposures in its header.

    decode : "auto", "linear", "srgb" or float, default="auto"
        How integer values become radiance: as they are ("linear"), by the sRGB curve ("srgb"), or by the power
        `decode`. "auto" takes the sRGB curve for 8 bits, which is what JPEG files and most PNG files hold, and values
        of more bits as they are. Floating-point and RAW files are linear already.
        Only "auto" follows a colour profile (ICC) in the file: 8 bits are converted from it to sRGB, and of one that is
        not applied to more bits a warning tells.

    layer : str or int, optional
        Which image of a file with several: the name of an OpenEXR file's layer, such as "ViewLayer.Combined", or the
        number of a TIFF file's page, from 0. An OpenEXR file needs it where several layers hold colours and none of
        them is without a name.

    clip_negative : bool, default=False
        Whether negative values become 0, with a warning that counts them. Files with lossy compression may have some.

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
        If the file is no image, is cut, holds several images, claims more values than it can hold, is of a kind that is
        not read, or holds values that are not finite. The message names it.
    """
    check_decode(decode)
    stored = read_file(path, decode, layer)
    if stored.note:
        warn_of_file(path, stored.note)
    upright = apply_orientation(stored.values, stored.orientation)
    radiance = to_radiance(upright, "linear" if stored.is_linear else decode, path)
    if clip_negative:
        radiance, n_clipped = clip_negative_values(radiance)
        if n_clipped:
            warn_of_file(path, f"{n_clipped} negative values were set to 0")
    return radiance


def save_image(path, image, *, exposure=0.0, encoding="auto", bit_depth=None, header=()):
    """Write linear radiance to an image file.

    The file appears, or is replaced, when it is whole.

    Parameters
    ----------
    path : path-like
        The file. Its suffix chooses the format: ``.png`` or ``.jpg`` for display, ``.tif`` for other programs, ``.exr``
        (OpenEXR) or ``.hdr`` (Radiance) for linear radiance of any range.

    image : array-like of shape (height, width, 3) or (height, width)
        Linear radiance, RGB or grey, finite.

    exposure : float, default=0.0
        Exposure in stops: values are multiplied by ``2 ** exposure`` first.

    encoding : "auto", "srgb", "linear" or float, default="auto"
        How radiance becomes integers: by the sRGB curve, as it is, or by the power ``1 / encoding``. "auto" takes the
        sRGB curve for 8 bits, and values of 16 bits as they are, as `load_image` reads them. Values outside of [0, 1]
        are clipped. Floats, EXR and HDR files are linear in any case. A colour profile in the file says which it is.

    bit_depth : int, optional
        Bits of a value: 8 (default) or 16 for PNG; 8 for JPEG; 16 (default), 8 or 32 (float) for TIFF; 16 (half,
        default) or 32 (float) for EXR; 8 for HDR, whose pixels have an exponent beside.

    header : list of str, default=()
        Lines for the header of an HDR file, such as "VIEW= -vta -vh 180 -vv 180", without which Radiance's evalglare
        refuses a file.

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
    if header and (path.suffix.lower() != ".hdr" or any(not line.strip() or "\n" in line for line in header)):
        raise ValueError(f"header={header!r} for {path.suffix}, wanted lines that are not blank, for an .hdr file")
    image = expose(image, exposure, f"{path}: image")
    with replacing(path) as temporary:
        write_image(temporary, image, encoding, bit_depth, header)


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


def to_radiance(values, decode, source, dtype=np.float32):
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

    dtype : dtype, default=float32
        Type of the result for integers of 8 or 16 bits, which are looked up in a table. Others become float32.

    Returns
    -------
    ndarray of the same shape
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
            return decode_values(values / float(largest), decode).astype(np.float32)
        return look_up(_decoding_table(largest, decode).astype(dtype), values)
    radiance = values.astype(np.float32, copy=False)
    check_values(np.isfinite(radiance), source, "not finite")
    return radiance


@lru_cache(maxsize=8)
def _decoding_table(largest, decode):
    return decode_values(np.arange(largest + 1) / largest, decode).astype(np.float32)


def clip_negative_values(radiance):
    """Return radiance with 0 in place of what is negative, and how many values that are."""
    n_clipped = np.count_nonzero(radiance < 0)
    return np.maximum(radiance, 0) if n_clipped else radiance, n_clipped


def warn_of_file(path, note):
    """Warn of something about a file, as from the code that called a loader."""
    warnings.warn(f"{path}: {note}", UserWarning, stacklevel=3)


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


def write_image(path, image, encoding, bit_depth, header=()):
    """Write checked radiance to a file, in the format that its suffix says."""
    suffix = path.suffix.lower()
    if suffix == ".hdr":
        path.write_bytes(encode_hdr(image, header))
    elif suffix == ".exr":
        if bit_depth == 16:
            largest = np.abs(image).max()
            if largest > np.finfo(np.float16).max:
                raise ValueError(f"The image reaches {largest:.4g}, more than a half holds (65504): bit_depth=32")
            image = image.astype(np.float16)
        write_exr(path, image)
    elif bit_depth == 32:
        path.write_bytes(encode_tiff(image, make_profile("linear", image.ndim == 2), path))
    else:
        dtype = np.uint8 if bit_depth == 8 else np.uint16
        encoding = resolve_decode(encoding, dtype)
        values = np.round(encode_radiance(image, encoding) * (2**bit_depth - 1)).astype(dtype)
        encode = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}.get(suffix, encode_tiff)
        path.write_bytes(encode(values, make_profile(encoding, image.ndim == 2), path))
