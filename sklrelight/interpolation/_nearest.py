"""The photograph of the nearest light."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from ..utils import check_lights
from ._base import LightRegressor, as_pixels

__all__ = ["NearestPhotograph"]


class NearestPhotograph(LightRegressor):
    """Predict the photograph of the nearest training light. This is a baseline for the other models.

    Attributes
    ----------
    neighbors_ : NearestNeighbors
        scikit-learn's index of the training lights, by Euclidean distance.

    images_ : ndarray of shape (n_lights, ...)
        The training photographs.

    n_features_in_ : int
        Number of light features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.interpolation import NearestPhotograph
    >>> lights, images = np.array([[0.0, 0.0], [1.0, 0.0]]), np.arange(8.0).reshape(2, 2, 2)
    >>> NearestPhotograph().fit(lights, images).predict([[0.9, 0.1]])
    array([[[4., 5.],
            [6., 7.]]])
    """

    def fit(self, X, y):
        """Store the photographs and index the lights.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs.

        Returns
        -------
        self : NearestPhotograph
            The fitted model.

        Raises
        ------
        ValueError
            If the numbers of lights and photographs differ, or if a value is not finite.
        """
        X, y = self._check_training(X, y)
        self.neighbors_ = NearestNeighbors(n_neighbors=1).fit(X)
        self.images_ = y
        return self

    def predict(self, X):
        """Look up the photographs of the nearest lights.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        images : ndarray of shape (m, ...)
            For each light, one training photograph.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        nearest = self._nearest(X)
        return self.images_[nearest]

    def predict_pixels(self, X, pixels):
        """Look up some pixels of the photographs of the nearest lights.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        pixels : ndarray of int of shape (n_pixels,)
            Indices into the flattened image.

        Returns
        -------
        ndarray of shape (m, n_pixels, n_channels)
            These pixels of what `predict` returns.
        """
        return as_pixels(self.images_)[self._nearest(X)[:, None], pixels]

    def weights(self, X):
        """Compute the weights of the training photographs in predicted ones.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        weights : ndarray of shape (m, n_lights)
            1 for the nearest light, 0 for the others.
        """
        nearest = self._nearest(X)
        return np.eye(len(self.images_))[nearest]

    def _nearest(self, X):
        X = check_lights(self, X)
        return self.neighbors_.kneighbors(X, return_distance=False)[:, 0]
