"""Lights: which are directions, which have to be made unit vectors, and which lie far outside of others."""

import math
import warnings

import numpy as np
from scipy.spatial import ConvexHull, KDTree, QhullError

__all__ = [
    "are_directions",
    "are_in_disc",
    "are_unit_vectors",
    "check_above_horizon",
    "check_directions",
    "make_unit_vectors",
    "normalize",
    "unproject",
    "warn_of_outer_lights",
]

# How far the length of a unit vector may be from 1.
_UNIT_TOLERANCE = 1e-2
# A hull in more dimensions takes too long.
_MOST_DIMENSIONS = 4

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
    return _are_of_length_1(lights, _LENGTH_TOLERANCE)


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


def check_directions(lights, model):
    """Refuse lights that are no directions of the upper hemisphere.

    Parameters
    ----------
    lights : ndarray of shape (n, d)
        Lights.

    model : str
        Name of the model, for the message.

    Returns
    -------
    ndarray of shape (n, 3)
        Unit vectors.

    Raises
    ------
    ValueError
        If lights are neither directions nor the x and y of directions, or if a z is below -0.1.

    Examples
    --------
    >>> check_directions(np.array([[0.6, 0.0]]), "A model")
    array([[0.6, 0. , 0.8]])
    """
    if not (are_directions(lights) or are_in_disc(lights)):
        lengths = np.linalg.norm(lights, axis=1)
        raise ValueError(
            f"{model} takes directions: three columns with lengths of 0.79 to 1.21, or two with lengths up to 1.21;"
            f" those of X, of n_features = {lights.shape[1]}, have lengths of {lengths.min():.3g} to"
            f" {lengths.max():.3g}. To make a position a direction, subtract the position of the object and divide by"
            " the length"
        )
    directions = unproject(lights)
    check_above_horizon(directions, model)
    return directions


def unproject(lights):
    """Compute unit vectors of directions, or of their x and y.

    Parameters
    ----------
    lights : ndarray of shape (n, 3) or (n, 2)
        Directions, or their x and y. What lies outside of the unit circle is put at the horizon.

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
    >>> unproject(np.array([[0.0, 0.0, 2.0]])), unproject(np.array([[0.6, 0.0]]))
    (array([[0., 0., 1.]]), array([[0.6, 0. , 0.8]]))
    """
    if lights.shape[1] == 3:
        return normalize(lights)
    height = np.sqrt((1 - np.square(lights).sum(axis=1, keepdims=True)).clip(0))
    return normalize(np.concatenate([lights, height], axis=1))


def are_unit_vectors(lights):
    """Tell whether lights are directions that were normalised.

    Parameters
    ----------
    lights : ndarray of shape (n, d)
        Lights.

    Returns
    -------
    bool
        Whether there are three columns, and all lengths are 0.99 to 1.01.

    Examples
    --------
    >>> are_unit_vectors(np.array([[0.0, 0.6, 0.8]])), are_unit_vectors(np.array([[0.5, 0.0, 0.7]]))
    (True, False)
    """
    return _are_of_length_1(lights, _UNIT_TOLERANCE)


def _are_of_length_1(lights, tolerance):
    if lights.shape[1] != 3:
        return False
    # What is longer anyway would overflow when squared.
    lengths = np.linalg.norm(lights.clip(-2, 2), axis=1)
    return bool((np.abs(lengths - 1) <= tolerance).all())


def make_unit_vectors(lights):
    """Scale directions to length 1 for a model that was fitted to unit vectors.

    Parameters
    ----------
    lights : ndarray of shape (n, 3)
        Directions.

    Returns
    -------
    ndarray of shape (n, 3)
        Unit vectors. The array itself where they differ from it by rounding alone.

    Raises
    ------
    ValueError
        If a light is (0, 0, 0).

    Warns
    -----
    UserWarning
        If a length is not 0.99 to 1.01.

    Examples
    --------
    >>> make_unit_vectors(np.array([[0.0, 0.0, 1.005]]))
    array([[0., 0., 1.]])
    """
    lengths = np.linalg.norm(lights, axis=1)
    off = np.abs(lengths - 1)
    if not len(lights) or off.max() < 1e-6:
        return lights
    worst = int(off.argmax())
    if off[worst] > _UNIT_TOLERANCE and lengths[worst]:
        warnings.warn(
            f"light {worst} of X has a length of {lengths[worst]:.4g}; the model was fitted to directions of length 1,"
            f" so {np.count_nonzero(off > _UNIT_TOLERANCE)} of {len(lights)} lights are scaled to that length. To"
            " silence this, divide each light by its length",
            UserWarning,
            stacklevel=3,
        )
    return normalize(lights)


def warn_of_outer_lights(lights, fitted):
    """Warn where lights lie outside of those that a model was fitted to by more than these are apart.

    Parameters
    ----------
    lights : ndarray of shape (m, d)
        Lights to predict for.

    fitted : ndarray of shape (n, d)
        Lights that the model was fitted to. They are apart by the distance of the light that has the farthest nearest
        neighbour.

    Warns
    -----
    UserWarning
        If lights are outside of the convex hull by more than this distance, once for all of them.

    Examples
    --------
    >>> grid = np.stack(np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0]), -1).reshape(-1, 2)
    >>> warn_of_outer_lights(np.array([[2.5, 0.5]]), grid)
    """
    directions = are_directions(fitted)
    # The squares of positions have to be finite, in whatever unit they are. A power of 2 rounds nothing.
    unit = 2.0 ** (math.frexp(np.abs(fitted).max())[1] - 1)
    given, fitted = lights / unit, fitted / unit
    center, scale = fitted.mean(axis=0), fitted.std(axis=0)
    # Features of different units, such as a time and a position, count alike. Those of a direction are comparable.
    # What differs by rounding does not differ.
    differs = scale > 1e-5 * np.abs(fitted).max(axis=0)
    scale = np.ones_like(scale) if directions else np.where(differs, scale, 1)
    points = np.unique((fitted - center) / scale, axis=0)
    if len(points) < 2:
        return
    spacing = KDTree(points).query(points, 2)[0][:, 1].max()
    beyond = _distance_outside((given - center) / scale, points)
    outside = np.flatnonzero(beyond > spacing)
    if len(outside):
        worst = int(beyond.argmax())
        named = ", ".join(map(str, outside[:5]))
        warnings.warn(
            f"{len(outside)} of {len(lights)} lights X lie outside of the lights that the model was fitted to, by more"
            f" than these are apart: {named}{', ...' if len(outside) > 5 else ''}. The farthest is"
            f" {np.round(lights[worst], 4).tolist()}. Images of such lights are guesses",
            UserWarning,
            stacklevel=4,
        )


def _distance_outside(points, others):
    """Bound from below how far points are outside of the convex hull of others, at the origin."""
    _, singular, axes = np.linalg.svd(others, full_matrices=False)
    axes = axes[singular > 1e-6 * singular[0]]
    inner, around = points @ axes.T, others @ axes.T
    off = np.linalg.norm(points - inner @ axes, axis=1)
    beyond = np.maximum(inner - around.max(axis=0), around.min(axis=0) - inner).max(axis=1)
    if 1 < len(axes) <= _MOST_DIMENSIONS and len(others) > len(axes):
        try:
            planes = ConvexHull(around).equations
        except QhullError:
            planes = np.empty((0, len(axes) + 1))
        for normal in planes:
            beyond = np.maximum(beyond, inner @ normal[:-1] + normal[-1])
    return np.hypot(off, beyond.clip(0))
