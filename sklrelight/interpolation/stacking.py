"""Weights of interpolations, and of curves that they are done on, for the least leave-one-out error of their mean."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from .equations import inner_products

__all__ = ["CURVES", "Curve", "stack"]

# Candidates that a mean is made of, and the least weight of one in it.
_N_BEST = 12
_LEAST_WEIGHT = 1e-3


class Curve(NamedTuple):
    """A bend of the values between the darkest, 0, and the brightest, 1, that they are interpolated on.

    Outside, where there are only pixels without weight, bent values need not be told apart.
    """

    name: str
    exponent: float

    def bend(self, values):
        """Bend values."""
        if self.name == "exponential":
            # In place: values of all photographs are large.
            bent = np.minimum(values, 1)
            bent *= values.dtype.type(self.exponent)
            np.expm1(bent, out=bent)
            bent /= values.dtype.type(np.expm1(self.exponent))
            return bent
        return values if self.exponent == 1 else np.maximum(values, 0) ** values.dtype.type(self.exponent)

    def unbend(self, values):
        """Undo `bend`; what is below 0 becomes 0, but for the straight curve."""
        if self.name == "exponential":
            return np.log1p(np.maximum(values, 0) * values.dtype.type(np.expm1(self.exponent))) / self.exponent
        return values if self.exponent == 1 else np.maximum(values, 0) ** values.dtype.type(1 / self.exponent)


# From what lifts the shadows to what gives the highlights their due: the exponentials undo an encoding by a logarithm.
CURVES = (
    Curve("power", 0.5),
    Curve("power", 1.0),
    Curve("exponential", 1.25),
    Curve("exponential", 2.5),
    Curve("exponential", 4.0),
)


def stack(residuals, rows, columns, value_weight, n_compared):
    """Weigh candidates on each curve, and the curves.

    Parameters
    ----------
    residuals : ndarray of shape (n_candidates, len(rows), n_lights)
        Matrices from photographs to their leave-one-out errors.

    rows : ndarray of int
        Lights of the errors.

    columns : ndarray of shape (n_lights, n_values), float
        Photographs, of which the darkest value is 0 and the brightest 1.

    value_weight : ndarray of shape (n_values,) or None
        Weights of the values.

    n_compared : int
        The first so many values are what the curves are compared on.

    Returns
    -------
    ndarray of shape (n_curves, n_candidates)
        Not negative, of sum 1.
    """
    weights, errors = np.zeros((len(CURVES), len(residuals))), []
    some = columns[:, :n_compared]
    for own, curve in zip(weights, CURVES, strict=True):
        bent = curve.bend(columns)
        own[:] = _stack_candidates(residuals, rows, inner_products(bent, value_weight))
        used = np.flatnonzero(own)
        bent = bent[:, :n_compared]
        errors.append(curve.unbend(bent[rows] - np.tensordot(own[used], residuals[used], 1) @ bent) - some[rows])
    if value_weight is not None:
        errors = [error * np.sqrt(value_weight[:n_compared]) for error in errors]
    stacked = np.stack(errors)
    light_weight = _light_weights(np.einsum("cij,cij->ci", stacked, stacked))
    stacked *= np.sqrt(light_weight)[:, None]
    flat = stacked.reshape(len(stacked), -1)
    return _least_mean(flat @ flat.T)[:, None] * weights


def _stack_candidates(residuals, rows, gram):
    """Weigh candidates for the least leave-one-out error of their mean.

    Parameters
    ----------
    residuals : ndarray of shape (n_candidates, len(rows), n)
        From photographs to errors.

    rows : ndarray of int
        Lights of the errors.

    gram : ndarray of shape (n, n)
        Inner products of the photographs.

    Returns
    -------
    ndarray of shape (n_candidates,)
        Not negative, of sum 1.
    """
    n_candidates, _, n_lights = residuals.shape
    products = (residuals.reshape(-1, n_lights) @ gram).reshape(residuals.shape)
    errors = np.einsum("cij,cij->ci", products, residuals).clip(0)
    weights = _light_weights(errors)
    best = np.sort(np.argsort(errors @ weights, kind="stable")[:_N_BEST])
    weighted = (products[best] * weights[:, None]).reshape(len(best), -1)
    squares = weighted @ residuals[best].reshape(len(best), -1).T
    means = np.zeros(n_candidates)
    means[best] = _least_mean((squares + squares.T) / 2)
    return means


def _light_weights(errors):
    """Weigh lights, by the least of the candidates' errors, so that one odd photograph does not decide."""
    least = errors.min(axis=0)
    return (least + 1e-3 * least.mean()) ** -0.25 if least.any() else np.ones(len(least))


def _least_mean(squares):
    """The a >= 0 of sum 1 for which a^T squares a is least, but for what is small."""
    largest = squares.diagonal().max()
    if largest <= 0:
        return np.full(len(squares), 1 / len(squares))
    # What is exact has errors of rounding, of any sign. In units of each candidate's own, exact ones stay comparable.
    norms = np.sqrt((squares.diagonal() / largest).clip(0) + 1e-14)
    eigenvalues, vectors = np.linalg.eigh(squares / largest / norms / norms[:, None])
    root = np.sqrt(eigenvalues.clip(1e-10 * eigenvalues.max()))[:, None] * vectors.T
    # Whatever the row for the sum weighs, the solution is that of sum 1, but scaled.
    rows = np.vstack([root, norms.min() / norms])
    shares = nnls(rows, np.eye(len(rows))[-1], maxiter=100 * len(rows))[0] / norms
    shares /= shares.sum()
    shares[shares < _LEAST_WEIGHT] = 0
    return shares / shares.sum()
