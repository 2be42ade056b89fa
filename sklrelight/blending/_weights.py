"""How much each of several models counts in their mean: what photographs tell that none of them has seen."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from ..utils import value_weights

__all__ = ["PRIORS", "compare", "find_error", "find_limit", "find_weights"]

# Weights of the ensemble, and of the pretrained interpolation if there is one, before anything is measured, and their
# standard deviation, by the number of both. Networks are mostly better. Three models are harder to tell apart.
PRIORS = {1: (np.array([0.7]), 0.3), 2: (np.array([0.5, 0.3]), 0.15)}


class _Compared(NamedTuple):
    """Sums over a photograph from which least squares find the weights, for details and brightness apart.

    The rows of `means` are the distances of the ensemble, and of a pretrained interpolation if there is one, from the
    interpolation, and then the error of the interpolation: their means over the pixels, in each channel. `details` are
    the inner products of all of them without these means. `total` is the weight of all pixels in each channel, and
    `power` the square of the photograph.
    """

    details: np.ndarray
    means: np.ndarray
    total: np.ndarray
    power: float

    def sums(self, limit):
        """Return the inner products, with the brightness of the ensemble limited."""
        means = self.means
        if limit is not None:
            means = np.concatenate([means[:1].clip(-limit, limit), means[1:]])
        return self.details + (means * self.total) @ means.T


def compare(true, interpolated, others, pixel_weight, saturation):
    """Compare the interpolation, and other models, the ensemble first, with each photograph."""
    compared = []
    for number in range(len(true)):
        some = slice(number, number + 1)
        weights = value_weights(true[some], pixel_weight, saturation)
        weights = np.ones(true[some].shape) if weights is None else weights
        total = weights.sum(axis=(0, 1, 2))
        shares = weights / np.maximum(total, np.finfo(float).tiny)
        distances = np.stack([model[some].astype(np.float64) - interpolated[some] for model in (*others, true)])
        means = (shares * distances).sum(axis=(1, 2, 3))
        distances -= means[:, None, None, None]
        flat = distances.reshape(len(distances), -1)
        details = (flat * weights.ravel()) @ flat.T
        power = float((weights * np.square(true[some], dtype=np.float64)).sum())
        compared.append(_Compared(details, means, total, power))
    return compared


def find_limit(compared):
    """Find by how much the brightness of ensemble and interpolation may differ.

    The interpolation is seldom wrong by more than twice its usual error, over all channels of all photographs. If the
    ensemble differs from it by more, the ensemble is wrong.
    """
    errors = np.concatenate([np.empty(0), *(photograph.means[-1, photograph.total > 0] for photograph in compared)])
    return float(2 * np.sqrt(np.square(errors).mean())) if errors.size else None


def find_error(compared, weights, limit):
    """Compute the relative error of the weighted mean, or None if there is nothing to compare with."""
    power = sum(photograph.power for photograph in compared)
    if not power > 0:
        return None
    difference = np.append(weights, -1)
    error = difference @ sum(photograph.sums(limit) for photograph in compared) @ difference
    return float(np.sqrt(max(0.0, error) / power))


def find_weights(compared, limit, n_models):
    """Find the weights with the least squared error, as far as the photographs agree about them.

    The weights that single photographs suggest can differ widely, where lamps differ in brightness for example. What
    they say together is a normal estimate, with a covariance, and is combined with the normal prior.
    """
    prior, deviation = PRIORS[n_models]
    sums = np.array([photograph.sums(limit) for photograph in compared])
    size = sum(np.trace(square) for square in sums[:, :-1, :-1]) if len(sums) > 1 else 0
    if not size > np.finfo(float).tiny:
        return prior
    squares, products = sums[:, :-1, :-1] / size, sums[:, :-1, -1] / size
    # Two models that say the same leave open which of them counts.
    total = squares.sum(axis=0) + 1e-9 * np.eye(n_models)
    weights = np.linalg.solve(total, products.sum(axis=0))
    deviations = np.linalg.solve(total, (products - squares @ weights).T)
    n_photographs = len(sums)
    covariance = deviations @ deviations.T * n_photographs / (n_photographs - 1)
    own = deviation**2 * np.eye(n_models)
    weights = prior + own @ np.linalg.solve(own + covariance, weights - prior)
    return _make_shares(weights, total)


def _make_shares(weights, squares):
    """Find the weights, not negative and at most 1 together, that raise the squared error least."""
    root = np.linalg.cholesky(squares).T
    root /= np.abs(root).max()
    # The first is the weight of the interpolation. The last row makes them add up to 1.
    n_models = len(weights)
    rows = np.vstack([np.hstack([np.zeros((n_models, 1)), root]), np.full((1, n_models + 1), 1e4)])
    shares = nnls(rows, np.append(root @ weights, 1e4))[0]
    return shares[1:] / shares.sum()
