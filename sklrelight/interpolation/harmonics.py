"""Hemispherical harmonics: :class:`HemisphericalHarmonics`."""

from numbers import Integral

import numpy as np
from scipy.special import factorial, lpmv

from ..utils._sklearn_compat import Interval, fit_context
from .basis import BasisRegressor
from .directions import are_directions, are_in_disc, check_above_horizon, normalize

__all__ = ["HemisphericalHarmonics"]


class HemisphericalHarmonics(BasisRegressor):
    r"""Fit hemispherical harmonics of the light's direction to each value of the photographs (HSH).

    Parameters
    ----------
    order : int, default=2
        Highest degree l of the harmonics, at least 0: there are (order + 1)^2 of them, 4 for 1, 9 for 2, 16 for 3.

    Attributes
    ----------
    coefficients_ : ndarray of shape ((order + 1) ** 2, ...)
        Coefficients for each value of the photographs, by l, then by m from -l to l: float32 where the training
        photographs are float32 or float16, else float64.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights, where they had some that are all strings.

    Notes
    -----
    Lights are directions: three columns with lengths of 0.79 to 1.21, which are scaled to the length 1, or two columns,
    x and y, with lengths up to 1.21. Others are refused. With :math:`\cos\theta = z`, negative z counting as 0,
    :math:`\phi` the angle from x to y, and :math:`P_l^m` the associated Legendre functions with the Condon-Shortley
    sign, the harmonics are [1]_

    .. math::
        H_l^m = \begin{cases}
            \sqrt 2 K_l^m \cos(m \phi) P_l^m(2 \cos\theta - 1) & m > 0 \\
            K_l^0 P_l^0(2 \cos\theta - 1) & m = 0 \\
            \sqrt 2 K_l^{|m|} \sin(|m| \phi) P_l^{|m|}(2 \cos\theta - 1) & m < 0
        \end{cases}, \quad
        K_l^m = \sqrt{\frac{(2 l + 1) (l - m)!}{2 \pi (l + m)!}},

    orthonormal over the hemisphere. Coefficients minimise the squared error at the lights. Where these do not determine
    them all, the least ones are taken, in units of the harmonics' root mean squares.

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
            Lights: directions of the upper hemisphere, or the x and y of them.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs.

        Returns
        -------
        self : HemisphericalHarmonics
            The fitted model.

        Raises
        ------
        ValueError
            If lights and photographs differ in number, or are not finite; if the lights are no directions, or lie more
            than 6 degrees below the horizon.
        """
        return super().fit(X, y)

    def _fit_coordinates(self, X):
        if not (are_directions(X) or are_in_disc(X)):
            lengths = np.linalg.norm(X, axis=1)
            raise ValueError(
                f"{type(self).__name__} takes directions: three columns with lengths of 0.79 to 1.21, or two with"
                f" lengths up to 1.21; those of X, of n_features = {X.shape[1]}, have lengths of {lengths.min():.3g} to"
                f" {lengths.max():.3g}. A position becomes a direction when the object's is subtracted and what is left"
                " divided by its length"
            )
        if X.shape[1] == 3:
            check_above_horizon(normalize(X), type(self).__name__)
        self._order = self.order

    def _basis(self, X):
        height = normalize(X)[:, 2] if X.shape[1] == 3 else np.sqrt((1 - np.square(X).sum(axis=1)).clip(0))
        height = height.clip(0, 1)
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
