"""Least squares over some functions of the light, what PTM and HSH share: :class:`BasisRegressor`."""

import numpy as np

from .base import ROUNDING, LightRegressor, combine

__all__ = ["BasisRegressor"]


class BasisRegressor(LightRegressor):
    """Base of the models that keep a few coefficients for each pixel instead of the photographs.

    A subclass has `_fit_coordinates`, which settles how its lights are to be read, and `_basis`, which evaluates its
    functions at lights.
    """

    _learnt_last = "coefficients_"

    def fit(self, X, y):
        """Fit the coefficients of each value of the photographs.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs.

        Returns
        -------
        self : estimator
            The fitted model.

        Raises
        ------
        ValueError
            If lights and photographs differ in number, or are not finite; if the model is not defined for the lights.
        """
        X, y = self._check_training(X, y)
        self._fit_coordinates(X)
        self._solution = _least_squares(self._basis(X))
        self.coefficients_ = combine(self._solution, y)
        return self

    def predict(self, X):
        """Evaluate the model.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        images : ndarray of shape (m, ...)
            Photographs: float32 where the training ones are float32 or float16, else float64.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        X = self._check_lights(X)
        return combine(self._basis(X), self.coefficients_)

    def weights(self, X):
        """Give the weights of the training photographs in predicted ones.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        weights : ndarray of shape (m, n_lights)
            Of any sign.
        """
        X = self._check_lights(X)
        return self._basis(X) @ self._solution


def _least_squares(basis):
    """The matrix of shape (k, n) from values at n lights to the coefficients of k functions.

    Of functions that the lights do not tell apart (within 1e-5), the coefficients are the least ones, in units of the
    functions' root mean squares.
    """
    norms = np.linalg.norm(basis, axis=0)
    # What is 0 but for rounding at all lights gets no coefficient, rather than one beyond all numbers.
    norms[norms <= 1e-12 * norms.max()] = np.inf
    return np.linalg.pinv(basis / norms, rtol=ROUNDING) / norms[:, None]
