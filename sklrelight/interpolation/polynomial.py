"""Polynomial texture maps: :class:`PolynomialTextureMap`."""

import numpy as np

from .base import AffineSubspace
from .basis import BasisRegressor
from .directions import are_directions, are_in_disc, normalize

__all__ = ["PolynomialTextureMap"]


class PolynomialTextureMap(BasisRegressor):
    """Fit a quadratic polynomial in two coordinates of the light to each value of the photographs (PTM).

    Attributes
    ----------
    coefficients_ : ndarray of shape (6, ...)
        Six photographs, the coefficients of 1, u, v, u^2, u v and v^2 for each value: float32 where the training
        photographs are float32 or float16, else float64.

    directions_ : bool
        Whether the lights are taken for directions.

    center_ : ndarray of shape (`n_features_in_`,)
        The light, scaled to the length 1 if it is a direction, at which u = v = 0.

    axes_ : ndarray of shape (2, `n_features_in_`)
        From a light's offset to `center_` to u and v.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights, where they had some that are all strings.

    Notes
    -----
    For directions, lights in three columns with lengths of 0.79 to 1.21, u and v are the x and y of the unit vector,
    as published [1]_. Lights in two columns with lengths up to 1.21 are taken for the x and y of directions, and are u
    and v themselves. All other lights have to lie in a plane: u and v are their coordinates in it, about their
    mean, divided by the largest.

    Coefficients minimise the squared error. Where the lights do not determine them all, because there are less than six
    or because they lie on a ring, the least ones are taken, in units of the root mean squares of u, v and so on.

    References
    ----------
    .. [1] T. Malzbender, D. Gelb, H. Wolters, "Polynomial Texture Maps", Proceedings of SIGGRAPH 2001, 519-528.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.interpolation import PolynomialTextureMap
    >>> x, y = np.meshgrid([-0.5, 0.0, 0.5], [-0.5, 0.0, 0.5])
    >>> lights = np.column_stack([x.ravel(), y.ravel()])
    >>> model = PolynomialTextureMap().fit(lights, 1 + lights[:, 0] + 2 * lights[:, 1] ** 2)
    >>> model.coefficients_.round(6) + 0.0
    array([1., 1., 0., 0., 0., 2.])
    >>> model.predict([[0.25, 0.5]]).round(6)
    array([1.75])
    """

    def _fit_coordinates(self, X):
        width = X.shape[1]
        directions = are_directions(X)
        if directions or are_in_disc(X):
            self.directions_, self.center_, self.axes_ = directions, np.zeros(width), np.eye(2, width)
            return
        subspace = AffineSubspace.of(X)
        if width < 2 or subspace.rank > 2:
            raise ValueError(
                f"{type(self).__name__} takes unit directions, or lights in a plane; those of X, of n_features ="
                f" {width}, span {subspace.rank} dimensions and are no directions (three columns, lengths of 0.79 to"
                " 1.21)"
            )
        points = subspace.project(X)
        self.directions_, self.center_, self.axes_ = False, subspace.center, np.zeros((2, width))
        self.axes_[: subspace.rank] = subspace.axes / (np.abs(points).max() if points.size else 1)

    def _basis(self, X):
        if self.directions_:
            X = normalize(X)
        u, v = ((X - self.center_) @ self.axes_.T).T
        return np.column_stack([np.ones_like(u), u, v, u**2, u * v, v**2])
