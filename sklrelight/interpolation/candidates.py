"""The radial basis function interpolations that means are made of."""

from .equations import Equations, Points

__all__ = ["make_candidates"]

# Kernels with factors of epsilon; values of smoothing where neighbouring lights are 1 apart.
_KERNELS = (
    ("thin_plate_spline", 1.0),
    ("cubic", 1.0),
    ("linear", 1.0),
    ("multiquadric", 0.25),
    ("multiquadric", 0.5),
    ("multiquadric", 1.0),
)
_SMOOTHING = (0.0, 0.1, 1.0, 10.0, 100.0)


def make_candidates(lights):
    """List kernels and degrees of smoothing on all coordinates of the lights, and on the first two.

    Parameters
    ----------
    lights : ndarray of shape (n_lights, n_light_features)
        Training lights.

    Returns
    -------
    list of (Equations, float)
        Equations and what is added to the diagonal of their matrix, without those that are singular to rounding. One
        object serves all degrees of smoothing.
    """
    points = [Points(lights)]
    if lights.shape[1] > 2 and points[0].subspace.rank > 2:
        points.append(Points(lights[:, :2]))
    every = [Equations(some, kernel, factor * some.epsilon) for some in points for kernel, factor in _KERNELS]
    return [(equations, value) for equations in every for value in _SMOOTHING if not equations.is_singular(value)]
