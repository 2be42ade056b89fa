"""Radial basis function interpolation over the lights."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..utils import check_lights, check_pixel_weight
from ..utils._sklearn_compat import Interval, StrOptions, fit_context
from ._base import LightRegressor, combine
from ._equations import KERNELS, SCALE_INVARIANT, Equations, Points, inner_products

__all__ = ["RBFInterpolation"]


class RBFInterpolation(LightRegressor):
    r"""Interpolate photographs by radial basis functions of the distance between lights.

    Parameters
    ----------
    kernel : str, default="thin_plate_spline"
        Radial basis function: ``"thin_plate_spline"``, ``"cubic"``, ``"quintic"``, ``"linear"``, ``"multiquadric"``,
        ``"inverse_multiquadric"`` or ``"gaussian"``. As in SciPy's ``RBFInterpolator``, a polynomial is added, of
        degree 1 for the first two, of degree 2 for the third and of degree 0 for the others.

    epsilon : float or "auto", default="auto"
        Reciprocal of the kernel's width, above 0, in the reciprocal unit of the lights. ``"auto"`` is 1 / the median
        distance of a light to its nearest neighbour. Only the last three kernels have a width; the others ignore it.

    smoothing : float, default=0.0
        Amount of smoothing, at least 0. With 0 the training photographs are reproduced; the larger it is, the more the
        interpolation approaches the best polynomial. As in SciPy, it is added to the diagonal of the kernel's matrix
        unscaled, so its effect depends on the unit of the lights.

    n_dimensions : int or None, default=None
        Number of leading coordinates of the lights to use, such as 2 for the x and y of directions. None uses all.

    Attributes
    ----------
    kernel_ : str
        The kernel in use.

    epsilon_ : float
        The reciprocal of its width; 1 if the kernel has no width.

    smoothing_ : float
        The smoothing in use.

    n_dimensions_ : int
        The number of coordinates in use.

    subspace_ : AffineSubspace
        The point, line, plane or space that the lights span. Lights are projected onto it before distances are
        measured.

    points_ : ndarray of shape (n_merged, rank)
        The training lights, in coordinates of the subspace. Equal ones, up to 1e-5 of the lights' standard deviation,
        are merged.

    light_groups_ : ndarray of shape (n_lights,), int
        Row in `points_` of each training light.

    images_ : ndarray of shape (n_merged, ...)
        The training photographs in their own type. Those of equal lights are averaged.

    leave_one_out_errors_ : ndarray of shape (n_merged,)
        Squared error of predicting the photographs of each merged light from those of the other lights, with the same
        kernel, epsilon and smoothing. It is weighted by pixel and summed over all values. NaN for a light without which
        the others do not determine the polynomial. It is computed at each access.

    leave_one_out_error_ : float
        Relative leave-one-out error: the square root of the summed `leave_one_out_errors_` over the summed squares of
        the photographs. Lights with NaN are left out of both sums. NaN if no light remains or all photographs are
        black.

    n_features_in_ : int
        Number of light features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    See Also
    --------
    StackedRBFInterpolation : Weighted means of many such interpolations, fitted to each cluster of pixels.
    scipy.interpolate.RBFInterpolator : The same interpolation of values instead of photographs.

    Notes
    -----
    Let :math:`K` be the kernel's matrix between the lights, :math:`P` the monomials at the lights and :math:`s` the
    smoothing. The coefficients of photographs :math:`Y` solve

    .. math:: A \begin{pmatrix} a \\ b \end{pmatrix} = \begin{pmatrix} Y \\ 0 \end{pmatrix}, \quad
        A = \begin{pmatrix} K + s I & P \\ P^T & 0 \end{pmatrix}.

    Because :math:`A` does not depend on the photographs, it is solved once, and a prediction is a single matrix
    product. The error of predicting photograph i from the others, with the same kernel, epsilon and smoothing, is
    :math:`a_i / (A^{-1})_{ii}` [1]_, so leave-one-out errors need no further fits.

    Lights that differ by less than 1e-5 of their standard deviation count as equal. A direction along which the lights
    spread by less than that does not count as a dimension. Monomials are left out if the lights do not tell them from
    monomials of lower degree: on unit vectors x^2 + y^2 + z^2 cannot be told from 1, and few lights tell few monomials
    apart.

    References
    ----------
    .. [1] S. Rippa, "An algorithm for selecting a good value for the parameter c in radial basis function
       interpolation", Advances in Computational Mathematics 11, 193-210, 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> lights = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> images = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    >>> model = RBFInterpolation().fit(lights, images)
    >>> model.predict([[0.5, 0.25]]).round(6)
    array([[1., 1.]])
    >>> model.weights([[0.5, 0.5]]).round(6)
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    __metadata_request__fit = {"pixel_weight": True}

    _parameter_constraints = {
        "kernel": [StrOptions({*KERNELS})],
        "epsilon": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "smoothing": [Interval(Real, 0, None, closed="left")],
        "n_dimensions": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, kernel="thin_plate_spline", *, epsilon="auto", smoothing=0.0, n_dimensions=None):
        self.kernel = kernel
        self.epsilon = epsilon
        self.smoothing = smoothing
        self.n_dimensions = n_dimensions

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None):
        """Solve the equations and store the photographs.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels in the leave-one-out errors, such as a mask of bool. Photographs are predicted whole.

        Returns
        -------
        self : RBFInterpolation
            The fitted model.

        Raises
        ------
        ValueError
            If the numbers of lights and photographs differ, or if a value is not finite. If `n_dimensions` exceeds the
            number of light features. If the equations are singular in float64 for this kernel and smoothing.
        """
        X, y = self._check_training(X, y)
        if self.n_dimensions is not None and self.n_dimensions > X.shape[1]:
            raise ValueError(f"n_dimensions={self.n_dimensions}, but the lights have {X.shape[1]} coordinates")
        value_weight = None
        if pixel_weight is not None:
            pixel_weight = check_pixel_weight(pixel_weight, y.shape[1:3])
            value_weight = np.repeat(pixel_weight.ravel(), int(np.prod(y.shape[3:])))
        points = Points(X[:, : self.n_dimensions])
        epsilon = 1.0
        if self.kernel not in SCALE_INVARIANT:
            epsilon = points.epsilon if self.epsilon == "auto" else float(self.epsilon)
        equations = Equations(points, self.kernel, epsilon)
        smoothing = float(self.smoothing)
        if equations.is_singular(smoothing):
            raise ValueError(
                f"the equations of kernel={self.kernel!r}, epsilon={epsilon:g} and smoothing={smoothing:g} are singular"
                f" in float64 for these {len(points.merged.points)} lights: take a larger smoothing, a larger epsilon"
                " if the kernel has a width, or another kernel"
            )
        # Only means are kept of the photographs of equal lights, so their scatter has to be measured now.
        scatter, images = _scatter(points.merged, y, value_weight), points.merged.average(y)
        self._take_equations(equations)
        self.smoothing_, self._value_weight, self._scatter = smoothing, value_weight, scatter
        self.images_ = images
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
            The weights, of which some are negative. Their sum is 1 for each light.
        """
        weights = self._weights(check_lights(self, X))
        return (weights / np.bincount(self.light_groups_))[:, self.light_groups_]

    def leave_one_out(self):
        """Predict each training photograph from those of other lights.

        Returns
        -------
        images : ndarray of shape (n_lights, ...)
            For each training light, the prediction of a model with the same kernel, epsilon and smoothing that is
            fitted to the other lights; NaN if these do not determine the polynomial.
        """
        check_is_fitted(self)
        residuals = self._equations.residuals(self.smoothing_)
        images = combine(np.eye(len(residuals)) - residuals, self.images_)
        images[~self._equations.defined] = np.nan
        return images if len(images) == len(self.light_groups_) else images[self.light_groups_]

    @property
    def leave_one_out_errors_(self):
        """Squared leave-one-out error of each merged light."""
        check_is_fitted(self)
        residuals = self._equations.residuals(self.smoothing_)
        errors = np.einsum("ij,ij->i", residuals @ inner_products(self.images_, self._value_weight), residuals)
        errors = np.bincount(self.light_groups_) * errors.clip(0) + self._scatter
        errors[~self._equations.defined] = np.nan
        return errors

    @property
    def leave_one_out_error_(self):
        """Relative leave-one-out error over all lights."""
        errors = self.leave_one_out_errors_
        energies = np.bincount(self.light_groups_) * _energies(self.images_, self._value_weight) + self._scatter
        energy = energies[self._equations.defined].sum()
        return float(np.sqrt(np.nansum(errors) / energy)) if energy > 0 else np.nan

    def _take_equations(self, equations):
        points = equations.points
        self._equations, self.kernel_, self.epsilon_ = equations, equations.kernel, equations.epsilon
        self.n_dimensions_, self.subspace_ = points.n_dimensions, points.subspace
        self.points_, self.light_groups_ = points.merged.points, points.merged.groups

    def _weights(self, X):
        return self._equations.weights(X, [self.smoothing_])[0]


def _energies(images, value_weight):
    """Compute the weighted sum of squares of each photograph, in float64."""
    squares = (np.square(image.ravel(), dtype=np.float64) for image in images.reshape(len(images), -1))
    return np.array([square.sum() if value_weight is None else square @ value_weight for square in squares])


def _scatter(merged, images, value_weight):
    """Compute, for each merged light, the weighted squared deviations of its photographs from their mean."""
    scatter = np.zeros(len(merged.counts))
    for group in np.flatnonzero(merged.counts > 1):
        scatter[group] = np.trace(inner_products(images[merged.groups == group], value_weight))
    return scatter
