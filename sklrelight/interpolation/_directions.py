"""Lights that are directions: how they are told, and what is made of them."""

import numpy as np

__all__ = ["are_directions", "are_in_disc", "check_above_horizon", "normalize"]

# How far the length of a direction may be from 1. In the light files of real captures it is 0.80 to 1.06.
_LENGTH_TOLERANCE = 0.21
# Lights at the horizon get a little below it by errors of calibration: this is 6 degrees.
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
        Whether they have three columns and lengths of 0.79 to 1.21.

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
        Whether they have two columns, and lengths up to 1.21.

    Examples
    --------
    >>> are_in_disc(np.array([[0.6, -0.8], [0.0, 0.0]])), are_in_disc(np.array([[0.0, 3.0]]))
    (True, False)
    """
    return lights.shape[1] == 2 and bool((np.linalg.norm(lights, axis=1) <= 1 + _LENGTH_TOLERANCE).all())


def normalize(lights):
    """Scale directions to the length 1.

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
        If one of them is 0.

    Examples
    --------
    >>> normalize(np.array([[0.0, 0.0, 2.0]]))
    array([[0., 0., 1.]])
    """
    lengths = np.linalg.norm(lights, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError(f"light {int(lengths.argmin())} of X is (0, 0, 0), which is no direction")
    return lights / lengths


def check_above_horizon(directions, model):
    """Refuse directions that lie below the horizon by more than errors of calibration.

    Parameters
    ----------
    directions : ndarray of shape (n, 3)
        Unit vectors.

    model : str
        Name for the message.

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
            f"{model} takes directions of the upper hemisphere, and light {lowest} of X has"
            f" z = {directions[lowest, 2]:.3g}; RBFInterpolation takes those of the whole sphere"
        )
