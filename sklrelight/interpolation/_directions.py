"""Lights that are directions: how they are recognised, normalised and checked."""

import numpy as np

__all__ = ["are_directions", "are_in_disc", "check_above_horizon", "normalize"]

# How far the length of a direction may be from 1. The light files of real captures hold lengths of 0.80 to 1.06.
_LENGTH_TOLERANCE = 0.21
# Errors of calibration put lights at the horizon a little below it. This z is 6 degrees below.
_BELOW_HORIZON = -0.1


def are_directions(lights):
    """Tell whether lights are directions.

    Parameters
    ----------
    lights : ndarray of shape (n, d)
        Lights.

    Returns
    -------
    bool
        Whether there are three columns, and all lengths are 0.79 to 1.21.

    Examples
    --------
    >>> are_directions(np.array([[0.0, 0.6, 0.8], [0.5, 0.0, 0.7]])), are_directions(np.array([[0.0, 0.0, 2.0]]))
    (True, False)
    """
    if lights.shape[1] != 3:
        return False
    return bool((np.abs(np.linalg.norm(lights, axis=1) - 1) <= _LENGTH_TOLERANCE).all())


def are_in_disc(lights):
    """Tell whether lights can be the x and y of directions.

    Parameters
    ----------
    lights : ndarray of shape (n, d)
        Lights.

    Returns
    -------
    bool
        Whether there are two columns, and all lengths are at most 1.21.

    Examples
    --------
    >>> are_in_disc(np.array([[0.6, -0.8], [0.0, 0.0]])), are_in_disc(np.array([[0.0, 3.0]]))
    (True, False)
    """
    return lights.shape[1] == 2 and bool((np.linalg.norm(lights, axis=1) <= 1 + _LENGTH_TOLERANCE).all())


def normalize(lights):
    """Scale directions to length 1.

    Parameters
    ----------
    lights : ndarray of shape (n, 3)
        Directions.

    Returns
    -------
    ndarray of shape (n, 3)
        Unit vectors.

    Raises
    ------
    ValueError
        If a light is (0, 0, 0).

    Examples
    --------
    >>> normalize(np.array([[0.0, 0.0, 2.0]]))
    array([[0., 0., 1.]])
    """
    lengths = np.linalg.norm(lights, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError(f"light {int(lengths.argmin())} of X is (0, 0, 0), which is not a direction")
    return lights / lengths


def check_above_horizon(directions, model):
    """Refuse directions that lie further below the horizon than errors of calibration explain.

    Parameters
    ----------
    directions : ndarray of shape (n, 3)
        Unit vectors.

    model : str
        Name of the model, for the message.

    Raises
    ------
    ValueError
        If a z is below -0.1.

    Examples
    --------
    >>> check_above_horizon(np.array([[1.0, 0.0, 0.0]]), "A model")
    """
    lowest = int(directions[:, 2].argmin())
    if directions[lowest, 2] < _BELOW_HORIZON:
        raise ValueError(
            f"{model} takes directions of the upper hemisphere, but light {lowest} of X has"
            f" z = {directions[lowest, 2]:.3g}; RBFInterpolation takes directions of the whole sphere"
        )
