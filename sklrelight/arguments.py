"""Messages that name the argument that is meant."""

import re
from contextlib import contextmanager

import numpy as np

__all__ = ["FLOAT32_SAFE", "FLOAT64_SAFE", "check_magnitude", "check_numbers", "naming"]

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
