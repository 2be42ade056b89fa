"""Messages that name the argument that is meant."""

import re
from contextlib import contextmanager

import numpy as np

__all__ = ["check_numbers", "naming"]


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
        yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{argument}\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{argument}: {error}") from error


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
