"""Messages that name the argument that is meant."""

import math
import re
from contextlib import contextmanager

import numpy as np

__all__ = ["FLOAT32_SAFE", "FLOAT64_SAFE", "check_finite", "check_magnitude", "check_numbers", "naming", "safe_unit"]

# Largest values whose squares, and cubes of distances, stay far from the largest number there is. Radiance and lights
# in any unit are below.
FLOAT32_SAFE = 1e12
FLOAT64_SAFE = 1e50


@contextmanager
def naming(argument):
    """Put the name of an argument before the messages that do without, as some of scikit-learn's.

    Parameters
    ----------
    argument : str
        Its name.

    Raises
    ------
    ValueError, TypeError
        Whichever of the two the block raises.

    Examples
    --------
    >>> with naming("lights"):
    ...     raise ValueError("Expected 2D array")
    Traceback (most recent call last):
    ...
    ValueError: lights: Expected 2D array
    """
    try:
        # What overflows in a conversion, or is no number, is refused by what the block checks.
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{argument}\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{argument}: {error}") from error


def check_magnitude(values, argument, largest=FLOAT64_SAFE):
    """Refuse numbers that are too large to calculate with.

    Parameters
    ----------
    values : ndarray
        Numbers.

    argument : str
        Their name.

    largest : float, default=1e50
        What they may reach.

    Raises
    ------
    ValueError
        If one is larger.

    Examples
    --------
    >>> check_magnitude(np.array([1.0, -1e70]), "X")
    Traceback (most recent call last):
    ...
    ValueError: X reaches 1e+70 in magnitude, and what is computed of it would overflow beyond 1e+50: take another unit
    """
    # As Python's floats: a half cannot be compared with what it cannot hold.
    found = max(float(values.max()), -float(values.min())) if values.size else 0.0
    if found > largest:
        raise ValueError(
            f"{argument} reaches {found:.3g} in magnitude, and what is computed of it would overflow beyond"
            f" {largest:g}: take another unit"
        )


def check_finite(predicted):
    """Refuse what has overflowed in predicting.

    Parameters
    ----------
    predicted : ndarray
        Values.

    Raises
    ------
    ValueError
        If one is not finite.

    Examples
    --------
    >>> check_finite(np.array([np.inf]))
    Traceback (most recent call last):
    ...
    ValueError: X has lights so far from the training ones, or y values so large, that predicted ones overflow
    """
    if not np.isfinite(predicted).all():
        raise ValueError(
            "X has lights so far from the training ones, or y values so large, that predicted ones overflow"
        )


def check_numbers(values, argument):
    """Make an array of real numbers.

    Parameters
    ----------
    values : array-like
        Of any shape.

    argument : str
        Its name.

    Returns
    -------
    ndarray
        Not a copy, where `values` is one.

    Raises
    ------
    ValueError
        If they are something else.

    Examples
    --------
    >>> check_numbers([1j], "images")
    Traceback (most recent call last):
    ...
    ValueError: images must be real numbers, got complex128
    """
    with naming(argument):
        array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{argument} must be real numbers, got {array.dtype}")
    return array


def safe_unit(values):
    """Find what to divide values by, where their squares are beyond float32.

    Parameters
    ----------
    values : ndarray
        Not empty.

    Returns
    -------
    float
        1 for most; for very large or very small ones a power of 2, so that dividing rounds nothing.

    Examples
    --------
    >>> safe_unit(np.array([0.5, 100.0])), safe_unit(np.array([2.0**-100]))
    (1.0, 1.5777218104420236e-30)
    """
    largest = float(np.abs(values).max())
    return 1.0 if largest == 0 or 1 / FLOAT32_SAFE < largest < FLOAT32_SAFE else 2.0 ** math.frexp(largest)[1]
