"""Least squares over functions of the light's direction: polynomial texture maps and hemispherical harmonics."""

from numbers import Integral

import numpy as np
from scipy.special import factorial, lpmv

from ..utils import check_lights
from ..utils._lights import are_directions, are_in_disc, check_directions, normalize, unproject
from ..utils._sklearn_compat import Interval, fit_context
from ._base import LightRegressor, combine
from ._equations import ROUNDING, AffineSubspace

__all__ = ["BasisRegressor", "HemisphericalHarmonics", "PolynomialTextureMap"]


class BasisRegressor(LightRegressor):
    """Base class of the models that keep a few coefficients for each pixel instead of the photographs.

    A subclass defines `_fit_coordinates`, which checks the training lights and determines their coordinates, and
    `_weights`, which evaluates the basis functions at lights.
    """

    _summed = "coefficients_"

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
            If the numbers of lights and photographs differ, or if a value is not finite. If the model is not defined
            for lights of this kind.
        """
        X, y = self._check_training(X, y)
        self._fit_coordinates(X)
        self._solution = _least_squares(self._weights(X))
        self.coefficients_ = combine(self._solution, y)
        return self

    def weights(self, X):
        """Compute the weights of the training photographs in predicted ones.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        weights : ndarray of shape (m, n_lights)
            The weights, of any sign.
        """
        return self._weights(check_lights(self, X)) @ self._solution


def _least_squares(basis):
    """Compute the matrix of shape (k, n) from values at n lights to the coefficients of k functions.

    Where the lights do not determine all coefficients, up to 1e-5, the smallest ones are taken, in units of the root
    mean squares of the functions.
    """
    norms = np.linalg.norm(basis, axis=0)
    # A function that is 0 at all lights, up to rounding, gets the coefficient 0 and not an enormous one.
    norms[norms <= 1e-12 * norms.max()] = np.inf
    return np.linalg.pinv(basis / norms, rtol=ROUNDING) / norms[:, None]


class PolynomialTextureMap(BasisRegressor):
    """Fit a quadratic polynomial in two coordinates of the light to each value of the photographs (PTM).

    Attributes
    ----------
    coefficients_ : ndarray of shape (6, ...)
        Coefficients of 1, u, v, u^2, u v and v^2 for each value of the photographs: float32 if the training photographs
        are float32 or float16, else float64.

    directions_ : bool
        Whether the lights are directions.

    center_ : ndarray of shape (`n_features_in_`,)
        Light at which u = v = 0. Directions are first scaled to length 1.

    axes_ : ndarray of shape (2, `n_features_in_`)
        Matrix from the offset of a light from `center_` to u and v.

    n_features_in_ : int
        Number of light features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    Notes
    -----
    Lights in three columns with lengths of 0.79 to 1.21 are directions: u and v are the x and y of the unit vector, as
    published [1]_. Lights in two columns with lengths up to 1.21 are the x and y of directions, and thus u and v. All
    other lights have to lie in a plane: u and v are coordinates in this plane, relative to the mean of the lights and
    divided by the largest coordinate.

    The coefficients minimise the squared error. Fewer than six lights, or lights on a ring, do not determine all of
    them. Then the smallest ones are taken, in units of the root mean squares of the monomials.

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

    def _weights(self, X):
        if self.directions_:
            X = normalize(X)
        u, v = ((X - self.center_) @ self.axes_.T).T
        return np.column_stack([np.ones_like(u), u, v, u**2, u * v, v**2])


class HemisphericalHarmonics(BasisRegressor):
    r"""Fit hemispherical harmonics of the light's direction to each value of the photographs (HSH).

    Parameters
    ----------
    order : int, default=2
        Highest degree l of the harmonics, at least 0. The number of harmonics is (order + 1)^2: 4 for order 1, 9 for
        order 2, 16 for order 3.

    Attributes
    ----------
    coefficients_ : ndarray of shape ((order + 1) ** 2, ...)
        Coefficients for each value of the photographs, ordered by l, then by m from -l to l: float32 if the training
        photographs are float32 or float16, else float64.

    n_features_in_ : int
        Number of light features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    Notes
    -----
    The lights must be directions: three columns with lengths of 0.79 to 1.21, which are scaled to length 1, or two
    columns with the x and y of directions, with lengths up to 1.21. Others are refused.

    Let :math:`\cos\theta = z`, where a negative z counts as 0, let :math:`\phi` be the angle from x to y, and let
    :math:`P_l^m` be the associated Legendre functions with the Condon-Shortley sign. The harmonics are [1]_

    .. math::
        H_l^m = \begin{cases}
            \sqrt 2 K_l^m \cos(m \phi) P_l^m(2 \cos\theta - 1) & m > 0 \\
            K_l^0 P_l^0(2 \cos\theta - 1) & m = 0 \\
            \sqrt 2 K_l^{|m|} \sin(|m| \phi) P_l^{|m|}(2 \cos\theta - 1) & m < 0
        \end{cases}, \quad
        K_l^m = \sqrt{\frac{(2 l + 1) (l - m)!}{2 \pi (l + m)!}}.

    They are orthonormal over the hemisphere. The coefficients minimise the squared error at the lights. If the lights
    do not determine all of them, the smallest ones are taken, in units of the root mean squares of the harmonics.

    References
    ----------
    .. [1] P. Gautron, J. Krivanek, S. Pattanaik, K. Bouatouch, "A Novel Hemispherical Basis for Accurate and Efficient
       Rendering", Eurographics Symposium on Rendering, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.interpolation import HemisphericalHarmonics
    >>> lights = np.random.default_rng(0).normal(size=(30, 3))
    >>> lights[:, 2] = abs(lights[:, 2])
    >>> lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    >>> model = HemisphericalHarmonics(order=1).fit(lights, lights[:, 2])
    >>> model.coefficients_.shape, model.predict([[0.0, 0.6, 0.8]]).round(6)
    ((4,), array([0.8]))
    """

    _parameter_constraints = {"order": [Interval(Integral, 0, None, closed="left")]}

    def __init__(self, order=2):
        self.order = order

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Fit the coefficients of each value of the photographs.

        Parameters
        ----------
        X : array-like of shape (n_lights, 3) or (n_lights, 2)
            Lights: directions of the upper hemisphere, or their x and y.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs.

        Returns
        -------
        self : HemisphericalHarmonics
            The fitted model.

        Raises
        ------
        ValueError
            If the numbers of lights and photographs differ, or if a value is not finite. If the lights are not
            directions, or one lies more than 6 degrees below the horizon.
        """
        return super().fit(X, y)

    def _fit_coordinates(self, X):
        check_directions(X, type(self).__name__)
        self._order = self.order

    def _weights(self, X):
        height = unproject(X)[:, 2].clip(0, 1)
        azimuth = np.arctan2(X[:, 1], X[:, 0])
        columns = []
        for degree in range(self._order + 1):
            for m in range(-degree, degree + 1):
                norm = (2 * degree + 1) * factorial(degree - abs(m)) / (2 * np.pi * factorial(degree + abs(m)))
                values = np.sqrt(norm) * lpmv(abs(m), degree, 2 * height - 1)
                if m:
                    values *= np.sqrt(2) * (np.cos(m * azimuth) if m > 0 else np.sin(-m * azimuth))
                columns.append(values)
        return np.column_stack(columns)
