"""From stored values to linear radiance and back."""

from functools import lru_cache

import numpy as np


def check_decode(decode, name="decode"):
    """Raise unless `decode` is "linear", "srgb" or a gamma above 0.

    Parameters
    ----------
    decode : object
        What a user passed.
    name : str
        The parameter's name, for the message.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    is_gamma = isinstance(decode, (int, float, np.number)) and not isinstance(decode, bool) and 0 < decode < np.inf
    if not (is_gamma or (isinstance(decode, str) and decode in ("linear", "srgb"))):
        raise ValueError(f"{name}={decode!r}, wanted 'linear', 'srgb' or a finite gamma above 0 (such as 2.2).")


def to_radiance(values, decode="linear"):
    """Turn stored values into linear radiance.

    Parameters
    ----------
    values : ndarray
        Unsigned integers, whose largest possible value becomes 1, or floating-point numbers, which are linear
        already and stay as they are.
    decode : "linear", "srgb" or float, default="linear"
        How integers v in [0, 1] became values: not at all, by the sRGB curve (IEC 61966-2-1), or by a power
        ``v ** (1 / decode)``.

    Returns
    -------
    ndarray of the same shape, float32

    Raises
    ------
    ValueError
        If `decode` is none of these.
    TypeError
        If the values are neither unsigned integers nor floating-point numbers.

    Examples
    --------
    >>> to_radiance(np.array([0, 51, 255], dtype=np.uint8))
    array([0. , 0.2, 1. ], dtype=float32)
    >>> to_radiance(np.array([0, 51, 255], dtype=np.uint8), decode="srgb").round(4)
    array([0.    , 0.0331, 1.    ], dtype=float32)
    """
    check_decode(decode)
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    if values.dtype.kind != "u":
        raise TypeError(f"values of type {values.dtype}, wanted unsigned integers or floating-point numbers.")
    largest = np.iinfo(values.dtype).max
    if values.dtype.itemsize > 2:
        return _decoded(values / float(largest), decode).astype(np.float32)
    if decode == "linear":
        return np.divide(values, np.float32(largest), dtype=np.float32)
    return _decoding_table(largest, decode).take(values)


def from_radiance(radiance, encode="srgb"):
    """Invert `to_radiance` on values in [0, 1].

    Parameters
    ----------
    radiance : ndarray
        Linear values; clipped to [0, 1].
    encode : "linear", "srgb" or float, default="srgb"
        The curve, as `to_radiance` takes it.

    Returns
    -------
    ndarray of the same shape, float64, in [0, 1]

    Examples
    --------
    >>> from_radiance(np.array([0.0, 0.2, 4.0]), encode=2.0).round(4)
    array([0.    , 0.4472, 1.    ])
    """
    check_decode(encode, "encoding")
    values = np.clip(np.asarray(radiance, dtype=np.float64), 0, 1)
    if encode == "linear":
        return values
    if encode == "srgb":
        return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    return values ** (1 / encode)


@lru_cache(maxsize=8)
def _decoding_table(largest, decode):
    return _decoded(np.arange(largest + 1) / largest, decode).astype(np.float32)


def _decoded(values, decode):
    if decode == "linear":
        return values
    if decode == "srgb":
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return values**decode
