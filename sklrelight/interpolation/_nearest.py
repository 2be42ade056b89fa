"""The photograph of the nearest light: :class:`NearestPhotograph`."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from ._base import LightRegressor

__all__ = ["NearestPhotograph"]


class NearestPhotograph(LightRegressor):
    """Predict the photograph whose light is nearest: the least that any other model has to beat.

    Attributes
    ----------
    neighbors_ : NearestNeighbors
        scikit-learn's index of the training lights, by Euclidean distance.

    images_ : ndarray of shape (n_lights, ...)
        The training photographs.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights, where they had some that are all strings.

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
        """Keep the photographs.

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
            If lights and photographs differ in number, or are not finite.
        """
        X, y = self._check_training(X, y)
        self.neighbors_ = NearestNeighbors(n_neighbors=1).fit(X)
        self.images_ = y
        return self

    def predict(self, X):
        """Look up the nearest photographs.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        images : ndarray of shape (m, ...)
            One training photograph a light.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        nearest = self._nearest(X)
        return self.images_[nearest]

    def weights(self, X):
        """Give the weights of the training photographs in predicted ones.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        weights : ndarray of shape (m, n_lights)
            1 for the nearest, 0 for the others.
        """
        nearest = self._nearest(X)
        return np.eye(len(self.images_))[nearest]

    def _nearest(self, X):
        X = self._check_lights(X)
        return self.neighbors_.kneighbors(X, return_distance=False)[:, 0]
