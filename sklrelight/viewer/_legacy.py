"""What the formats of RTI viewers have in common: headers, coefficients as bytes, and models made of them."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..datasets._formats.codecs import decode_image
from ..interpolation import HemisphericalHarmonics, PolynomialTextureMap
from ..utils import FLOAT32_SAFE
from ._surface import LightSurface

__all__ = [
    "FormatError",
    "check_map",
    "decode_plane",
    "dome_lights",
    "from_bytes",
    "make_harmonics",
    "make_polynomial",
    "read_numbers",
    "to_bytes",
    "viewer_harmonics",
]

# Elevation in radians down to which viewers evaluate hemispherical harmonics.
LOWEST_ELEVATION = 0.15
# The harmonics in the viewers' order, as rows of this library's, which go by degree and then from -m to m, and their
# signs: here they have the Condon-Shortley phase. Measured by fitting to the functions of both viewers.
_HARMONICS = np.array([0, 3, 2, 1, 8, 7, 6, 5, 4])
_SIGNS = np.array([1, -1, 1, -1, -1, -1, 1, -1, -1], np.float32)


class FormatError(ValueError):
    """What a file claims is not so. The reader puts its name before the message."""


def dome_lights():
    """Return directions over the dome, down to the elevation to which viewers move the light, of shape (n, 3)."""
    angles = np.arange(16) * (np.pi / 8)
    reach = 1 - LOWEST_ELEVATION / (np.pi / 2)
    points = [np.zeros((1, 2))]
    points += [r * reach * np.column_stack([np.cos(angles), np.sin(angles)]) for r in (1 / 3, 2 / 3, 1)]
    surface = LightSurface.of(np.eye(3))
    return surface.to_lights(np.concatenate(points))


def make_polynomial(coefficients, lights=None):
    """Make a fitted polynomial texture map of coefficients of shape (6, H, W, 3)."""
    return _make(PolynomialTextureMap(), coefficients, lights)


def make_harmonics(coefficients, lights=None):
    """Make fitted hemispherical harmonics of coefficients in the viewers' order, of shape (4 or 9, H, W, 3)."""
    own = np.empty_like(coefficients)
    n_terms = len(coefficients)
    own[_HARMONICS[:n_terms]] = coefficients * _SIGNS[:n_terms].reshape(-1, 1, 1, 1)
    return _make(HemisphericalHarmonics(order=round(n_terms**0.5) - 1), own, lights)


def _make(model, coefficients, lights):
    # Fitted to a value of 0 under a dome of lights, for all that a fit leaves beside the coefficients.
    lights = dome_lights() if lights is None else lights
    dome = dome_lights()
    model.fit(dome, np.zeros(len(dome), np.float32))
    model.coefficients_ = coefficients
    model.lights_ = lights
    return model


def viewer_harmonics(model):
    """Return the coefficients of hemispherical harmonics in the viewers' order, of shape (4 or 9, H, W, 3)."""
    coefficients = check_map(model, HemisphericalHarmonics)
    n_terms = len(coefficients)
    if n_terms not in (4, 9):
        raise ValueError(f"model has harmonics of order {model.order}, wanted 1 or 2, which RTI viewers show")
    return coefficients[_HARMONICS[:n_terms]] * _SIGNS[:n_terms].reshape(-1, 1, 1, 1)


def check_map(model, kind):
    """Check a fitted model of a kind, and return its coefficients in the shape (n, H, W, 3), float32."""
    if not isinstance(model, kind):
        found = type(model).__name__ if hasattr(type(model), "predict") else repr(model)
        raise ValueError(f"model is a {found}, wanted a fitted {kind.__name__} of values for display")
    check_is_fitted(model)
    if kind is PolynomialTextureMap:
        is_dome = not np.any(model.center_) and np.array_equal(model.axes_, np.eye(*np.shape(model.axes_)))
        if not is_dome:
            raise ValueError(
                "model was fitted to lights that are no directions, which RTI viewers need: wanted unit vectors of"
                " three columns, or their x and y"
            )
    coefficients = model.coefficients_
    shape = coefficients.shape[1:]
    if len(shape) not in (2, 3) or (*shape[2:], 3)[0] not in (1, 3):
        raise ValueError(f"model predicts photographs of shape {shape}, wanted (H, W, 3), (H, W, 1) or (H, W)")
    coefficients = coefficients.reshape(*coefficients.shape[:3], -1).astype(np.float32, copy=False)
    return np.broadcast_to(coefficients, (*coefficients.shape[:3], 3))


def to_bytes(values, whole_bias=False):
    """Round values to bytes, with a scale and a bias for each row.

    Parameters
    ----------
    values : ndarray of shape (n, ...)
        The values.

    whole_bias : bool, default=False
        Whether the bias is a whole number of bytes, as .ptm files want it.

    Returns
    -------
    bytes_ : ndarray of the same shape, uint8
        ``value = (byte - bias) * scale``, up to rounding.

    scale, bias : ndarray of shape (n,)
        In steps of a byte.

    Examples
    --------
    >>> to_bytes(np.array([[-1.0, 0.0, 4.1]]))
    (array([[  0,  50, 255]], dtype=uint8), array([0.02]), array([50.]))
    """
    flat = values.reshape(len(values), -1)
    low, high = flat.min(axis=1).astype(np.float64), flat.max(axis=1).astype(np.float64)
    if whole_bias:
        # Zero is within, so that the bias is a byte; and a step less than a byte has, because a whole bias may move
        # the ends by half a step.
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = (high - low) / (254 if whole_bias else 255)
    # Rounded as a file will have them. A constant is all bias.
    scale = np.array([float(f"{step:.9g}") if step > 0 else 1.0 for step in scale])
    bias = -low / scale
    if whole_bias:
        bias = np.round(bias)
    bytes_ = np.empty(values.shape, np.uint8)
    for row, value, step, zero in zip(bytes_, values, scale, bias, strict=True):
        row[...] = np.clip(np.round(value / step + zero), 0, 255)
    return bytes_, scale, bias


def from_bytes(bytes_, scale, offset, out):
    """Write ``byte * scale + offset`` into an array; refuse numbers that no writer would choose."""
    if not max(abs(scale * 255), abs(offset)) <= FLOAT32_SAFE:
        raise FormatError(f"damaged: a scale of {scale:g} and an offset of {offset:g}")
    np.multiply(bytes_, np.float32(scale), out=out)
    out += np.float32(offset)


def read_numbers(data, start, count, kind):
    """Read lines until they have so many numbers; return these, and where the next line begins."""
    words: list[bytes] = []
    while len(words) < count:
        end = data.find(b"\n", start, start + 4096)
        if end < 0:
            raise FormatError("damaged: its header is cut")
        words += data[start:end].split()
        start = end + 1
    try:
        numbers = [kind(word) for word in words]
        good = len(words) == count and all(abs(number) <= FLOAT32_SAFE for number in numbers)
    except ValueError:
        good = False
    if not good:
        raise FormatError(f"damaged: {b' '.join(words)[:80]!r} in its header, wanted {count} numbers")
    return numbers, start


def decode_plane(data, name, shape):
    """Decode an image of one channel or of three, and check its height and width."""
    plane = decode_image(data, name)
    if plane.shape[: len(shape)] != tuple(shape) or plane.dtype != np.uint8:
        raise FormatError(f"damaged: an image of shape {plane.shape} and type {plane.dtype}, wanted {shape} and bytes")
    return plane
