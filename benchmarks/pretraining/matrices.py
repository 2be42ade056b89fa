"""Weights of the given photographs in predicted ones, by several interpolations."""

import numpy as np

from sklrelight.interpolation._equations import Equations, Points

__all__ = ["BENT", "GAMMAS", "N_CANDIDATES", "Matrices"]

# Of the five sets of weights, those that also interpolate the squares and the roots of the values.
BENT = (0, 1, 4)
# Five sets of weights, three of them with squares and with roots; shading with interpolated deviations; shading alone.
N_CANDIDATES = 5 + 2 * len(BENT) + 2
# Exponents among which the shading chooses the one that makes values linear.
GAMMAS = (1.0, 2.2, 3.3)


def _harmonics(lights):
    x, y, z = lights.T
    return np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], 1)


class Matrices:
    """Weights of photographs in predicted ones: four kernels, and harmonics of degree 2 with a penalty.

    Parameters
    ----------
    lights : ndarray of shape (n, 3)
        Unit vectors to the given lights.

    Attributes
    ----------
    residuals : ndarray of shape (5, n, n), float32
        From photographs to their leave-one-out errors. Where the other lights do not determine a model, the mean of
        their photographs stands for its prediction.
    """

    def __init__(self, lights):
        lights = lights.astype(np.float64)
        points, flat = Points(lights), Points(lights[:, :2])
        kernels = [("thin_plate_spline", points, 1.0, 0.0), ("linear", points, 1.0, 0.0)]
        kernels += [("multiquadric", points, points.epsilon / 2, 1e-3), ("gaussian", flat, flat.epsilon / 2, 1e-2)]
        self._kernels = [(Equations(where, name, epsilon), smoothing) for name, where, epsilon, smoothing in kernels]
        basis = _harmonics(lights)
        penalty = 0.02 * np.diag([1e-3, 1, 1, 1, 3, 3, 3, 3, 3])
        self._solved = np.linalg.solve(basis.T @ basis + penalty, basis.T)
        n_lights, residuals = len(lights), []
        for equations, smoothing in self._kernels:
            matrix = equations.residuals(smoothing)
            matrix = matrix if np.isfinite(matrix).all() else np.zeros_like(matrix)
            undefined = ~equations.defined
            others = (1 - np.eye(n_lights)) / max(n_lights - 1, 1)
            matrix[undefined] = (np.eye(n_lights) - others)[undefined]
            residuals.append(matrix)
        hat = basis @ self._solved
        residuals.append((np.eye(n_lights) - hat) / np.maximum(1 - hat.diagonal(), 1e-3)[:, None])
        self.residuals = np.stack(residuals).astype(np.float32)

    def weights(self, lights):
        """Compute the weights, of shape (5, m, n), in photographs under lights of shape (m, 3)."""
        lights = lights.astype(np.float64)
        weights = [equations.weights(lights, [smoothing])[0] for equations, smoothing in self._kernels]
        return np.stack([*weights, _harmonics(lights) @ self._solved]).astype(np.float32)
