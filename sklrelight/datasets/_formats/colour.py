"""What the values of a file mean: curves between values and radiance, and colour profiles (ICC)."""

import io
import struct
from functools import lru_cache

import numpy as np

from ...utils import import_extra

__all__ = ["decode_values", "encode_radiance", "make_profile", "to_srgb"]

# The primaries of sRGB and its white as a profile has them, adapted to D50: IEC 61966-2-1, ICC.1:2010.
_SRGB_COLUMNS = {"r": (0.4361, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7141)}
_D50 = (0.9642, 1.0, 0.8249)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# Levels by which a profile may differ from another and count as the same.
_TOLERANCE = 3


def decode_values(values, decode):
    """Turn values in [0, 1] into linear radiance; `decode` is "linear", "srgb" (IEC 61966-2-1) or an exponent."""
    if decode == "linear":
        return values
    if decode == "srgb":
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return values**decode


def encode_radiance(radiance, encoding):
    """Invert `decode_values`, in [0, 1]."""
    values = np.clip(radiance.astype(np.float64), 0, 1)
    if encoding == "linear":
        return values
    if encoding == "srgb":
        return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    return values ** (1 / encoding)


def to_srgb(values, profile):
    """Convert values by the ICC profile of their file, where "auto" decodes them.

    Parameters
    ----------
    values : ndarray of shape (height, width) or (height, width, 3)
        Values of the file.

    profile : bytes
        Its profile.

    Returns
    -------
    values : ndarray of the same shape and type
        Values of 8 bits as sRGB; others as they were.

    note : str or None
        What the reader of the values should know.
    """
    if values.dtype.kind == "f":
        return values, None
    cms = import_extra("PIL.ImageCms", "images", "To convert colours by the profile of an image")
    try:
        name, space, is_srgb, is_linear = _describe(cms, profile)
    except (cms.PyCMSError, OSError, ValueError) as error:
        return values, f"its colour profile cannot be read and is not applied: {error}"
    if values.dtype != np.uint8:
        taken = "the values are taken as linear; pass decode='srgb' or the exponent of its curve if they are not"
        return values, None if is_linear else f"its colour profile {name!r} is not applied to more than 8 bits: {taken}"
    if is_srgb:
        return values, None
    if space not in ("RGB", "GRAY" if values.ndim == 2 else None):
        return values, f"its colour profile {name!r} of {space} is not applied"
    is_grey = values.ndim == 2
    if is_grey and space == "RGB":
        values = np.stack([values] * 3, axis=-1)
    converted = _convert(cms, values, profile, space)
    return np.ascontiguousarray(converted[..., 1]) if is_grey else converted, None


def _convert(cms, values, profile, space):
    image = import_extra("PIL.Image", "images", "To convert colours").fromarray(values)
    opened = cms.ImageCmsProfile(io.BytesIO(profile))
    transform = cms.buildTransform(
        opened, cms.createProfile("sRGB"), "L" if space == "GRAY" else "RGB", "RGB", cms.Intent.RELATIVE_COLORIMETRIC
    )
    return np.asarray(cms.applyTransform(image, transform))


@lru_cache(maxsize=8)
def _describe(cms, profile):
    """Return a profile's name, its colour space, and whether it is sRGB, or sRGB with a linear curve."""
    opened = cms.ImageCmsProfile(io.BytesIO(profile))
    name = cms.getProfileDescription(opened).strip()
    space = opened.profile.xcolor_space.strip()
    if space not in ("RGB", "GRAY"):
        return name, space, False, False
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    if space == "GRAY":
        probe = levels[np.newaxis]
        plain = np.stack([probe] * 3, axis=-1)
    else:
        plain = probe = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    converted = _convert(cms, probe, profile, space).astype(int)

    def equals(expected):
        return bool(np.abs(converted - expected).max() <= _TOLERANCE)

    return name, space, equals(plain), equals(np.round(255 * encode_radiance(plain / 255, "srgb")))


def make_profile(encoding, is_grey):
    """Make the ICC profile of values in sRGB's primaries, encoded as `save_image` says.

    Examples
    --------
    >>> make_profile("srgb", is_grey=False)[36:40]
    b'acsp'
    """
    curve = _SRGB_CURVE if encoding == "srgb" else (1.0 if encoding == "linear" else float(encoding),)
    curve_tag = b"para" + struct.pack(">xxxxHxx", 3 if len(curve) > 1 else 0) + _fixed(curve)
    name = f"sRGB, {encoding}" if encoding != "srgb" else "sRGB"
    tags = {"desc": _text_tag(name), "cprt": _text_tag("No copyright"), "wtpt": b"XYZ \0\0\0\0" + _fixed(_D50)}
    if is_grey:
        tags["kTRC"] = curve_tag
    else:
        for letter, column in _SRGB_COLUMNS.items():
            tags |= {f"{letter}XYZ": b"XYZ \0\0\0\0" + _fixed(column), f"{letter}TRC": curve_tag}
    start = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag.encode(), start + len(content), len(value))
        content += value + b"\0" * (-len(value) % 4)
    space = b"GRAY" if is_grey else b"RGB "
    # Of version 4.3, for a display.
    header = struct.pack(">I4xI4s4s4s12x4s28x", start + len(content), 0x04300000, b"mntr", space, b"XYZ ", b"acsp")
    return (header + _fixed(_D50)).ljust(128, b"\0") + table + content


def _fixed(numbers):
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def _text_tag(text):
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">xxxxII4sII", 1, 12, b"enUS", len(encoded), 28) + encoded
