"""Radial basis functions over the lights: :class:`RBFInterpolation`."""

from numbers import Integral, Real

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils.validation import check_is_fitted

from ..utils import check_pixel_weight
from ..utils._sklearn_compat import Interval, StrOptions, fit_context
from ._base import LightRegressor, combine
from ._equations import KERNELS, SCALE_INVARIANT, Equations, Points, inner_products, residual_matrix

__all__ = ["RBFInterpolation"]

# What "auto" chooses from: kernels with factors of epsilon, and smoothing as a share of the kernel's largest value.
_AUTO_KERNELS = (
    ("thin_plate_spline", 1.0),
    ("cubic", 1.0),
    ("linear", 1.0),
    ("multiquadric", 1.0),
    ("gaussian", 0.5),
    ("gaussian", 1.0),
    ("gaussian", 2.0),
)
_AUTO_SMOOTHING = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)


class RBFInterpolation(LightRegressor):
    r"""Interpolate photographs by radial basis functions of the distance between lights.

    Parameters
    ----------
    kernel : str, default="thin_plate_spline"
        The radial basis function, ``"thin_plate_spline"``, ``"cubic"``, ``"quintic"``, ``"linear"``,
        ``"multiquadric"``, ``"inverse_multiquadric"`` or ``"gaussian"``, as in SciPy's ``RBFInterpolator``, and with
        its polynomial: of degree 1 for the first two, 2 for the third, else a constant. ``"auto"``: see Notes.

    epsilon : float or "auto", default="auto"
        For the last three kernels: the reciprocal of their width, in the reciprocal unit of the lights, above 0.
        ``"auto"``: 1 / the median distance of a light to its nearest neighbour. Other kernels ignore it.

    smoothing : float or "auto", default=0.0
        0: the training photographs are reproduced. Larger: they are smoothed, towards the best polynomial. As in SciPy
        it is added to the diagonal of the kernel's matrix as it is, so that its effect depends on the unit of the
        lights. ``"auto"``: see Notes.

    n_dimensions : int, "auto" or None, default=None
        The first so many coordinates of the lights are used, for directions 2: x and y. None: all. ``"auto"``: see
        Notes.

    Attributes
    ----------
    kernel_ : str
        The kernel in use.

    epsilon_ : float
        The reciprocal of its width; 1 where the kernel has none.

    smoothing_ : float
        The smoothing in use.

    n_dimensions_ : int
        The number of coordinates in use.

    subspace_ : AffineSubspace
        The point, line, plane or space that the lights span. Distances are measured in there, between projected lights.

    lights_ : ndarray of shape (n_merged, rank)
        The training lights, in coordinates of the subspace, equal ones merged.

    light_groups_ : ndarray of shape (n_lights,), int
        For each training light, its row in `lights_`.

    images_ : ndarray of shape (n_merged, ...)
        The training photographs in their own type, those of equal lights averaged.

    leave_one_out_errors_ : ndarray of shape (n_merged,)
        For each merged light the squared error, times the pixels' weights and summed over all values of its
        photographs, of predicting them from the photographs of other lights, by the kernel, epsilon and smoothing in
        use. NaN for a light without which the others do not determine the polynomial. Computed when first asked for,
        unless something was chosen by it.

    leave_one_out_error_ : float
        The square root of their sum over the like sum of squares of the photographs, lights of error NaN left out; NaN
        if none is left, or all is black.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights, where they had some that are all strings.

    See Also
    --------
    scipy.interpolate.RBFInterpolator : The same interpolation, of values rather than photographs.

    Notes
    -----
    With :math:`K` the kernel's matrix, :math:`P` the monomials at the lights and :math:`s` the smoothing, the
    coefficients of photographs :math:`Y` solve

    .. math:: A \begin{pmatrix} a \\ b \end{pmatrix} = \begin{pmatrix} Y \\ 0 \end{pmatrix}, \quad
        A = \begin{pmatrix} K + s I & P \\ P^T & 0 \end{pmatrix}.

    :math:`A` does not depend on the photographs: it is solved once, and a prediction is one matrix product. The error
    at light i of a model fitted without it is :math:`a_i / (A^{-1})_{ii}` [1]_, so that the squared errors of
    all lights follow from the matrix of the photographs' inner products, whatever their size.

    What is ``"auto"`` is chosen for the least squared error of that kind, in all combinations of: the kernels thin
    plate spline, cubic, linear, multiquadric, and Gaussian with half, once and twice `epsilon`; smoothing 0, 1e-4,
    1e-3, 1e-2 and 1e-1 times the largest value in :math:`K`; all coordinates, or the first two. A light without which a
    polynomial is not determined counts as if it were predicted as black.

    Lights that differ by less than 1e-5 of their standard deviation are equal, and a direction in which they spread by
    less than that is none. Monomials that the lights do not tell from those of lower degree (x^2 + y^2 + z^2 and
    1 for unit vectors, or any where there are few lights) are left out.

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

    _parameter_constraints = {
        "kernel": [StrOptions({*KERNELS, "auto"})],
        "epsilon": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "smoothing": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "n_dimensions": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
    }

    def __init__(self, kernel="thin_plate_spline", *, epsilon="auto", smoothing=0.0, n_dimensions=None):
        self.kernel = kernel
        self.epsilon = epsilon
        self.smoothing = smoothing
        self.n_dimensions = n_dimensions

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None):
        """Solve for the weights, and keep the photographs.

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
            If lights and photographs differ in number, or are not finite; if there are less than `n_dimensions`
            coordinates; if the equations of the kernel and smoothing that were asked for are singular in float64.
        """
        X, y = self._check_training(X, y)
        if isinstance(self.n_dimensions, Integral) and self.n_dimensions > X.shape[1]:
            raise ValueError(f"n_dimensions={self.n_dimensions}, but the lights have {X.shape[1]} coordinates")
        value_weight = None
        if pixel_weight is not None:
            pixel_weight = check_pixel_weight(pixel_weight, y.shape[1:3])
            value_weight = np.repeat(pixel_weight.ravel(), int(np.prod(y.shape[3:])))
        if "auto" in (self.kernel, self.smoothing, self.n_dimensions):
            equations, smoothing, errors = self._choose(X, y, value_weight)
        else:
            errors = None
            points = Points(X[:, : self.n_dimensions])
            equations = Equations(points, self.kernel, self._scaled_epsilon(points, self.kernel, 1.0))
            smoothing = float(self.smoothing)
            if equations.is_singular(smoothing):
                raise ValueError(
                    f"the equations of kernel={self.kernel!r}, epsilon={equations.epsilon:g} and"
                    f" smoothing={smoothing:g} are singular to rounding for these {len(points.merged.points)} lights:"
                    " take a larger smoothing, a larger epsilon if the kernel has one, or another kernel"
                )
        points = equations.points
        solution = equations.solution(smoothing)
        # Of photographs of equal lights about their mean, which is all that is kept of them.
        scatter, images = _scatter(points.merged, y, value_weight), points.merged.average(y)
        self.kernel_, self.epsilon_, self.smoothing_ = equations.kernel, equations.epsilon, smoothing
        self.n_dimensions_ = points.n_dimensions
        self.subspace_ = points.subspace
        self.lights_, self.light_groups_ = points.merged.points, points.merged.groups
        self._polynomial = equations.polynomial
        self._kernel_scale = equations.scale
        self._solution = solution
        self._defined = equations.defined
        self._value_weight, self._scatter, self._errors = value_weight, scatter, errors
        self.images_ = images
        return self

    def predict(self, X):
        """Interpolate photographs.

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
        return combine(self._merged_weights(X), self.images_)

    def weights(self, X):
        """Give the weights of the training photographs in predicted ones.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        weights : ndarray of shape (m, n_lights)
            Their sum is 1 for each light; some are negative.
        """
        weights = self._merged_weights(X)
        return (weights / np.bincount(self.light_groups_))[:, self.light_groups_]

    def leave_one_out(self):
        """Predict each training photograph from those of other lights.

        Returns
        -------
        images : ndarray of shape (n_lights, ...)
            What a model with the kernel, epsilon and smoothing in use predicts for each training light when it is
            fitted to the others; NaN where the others do not determine the polynomial.
        """
        check_is_fitted(self)
        dual = self._solution[: len(self.lights_)]
        images = combine(np.eye(len(dual)) - residual_matrix(dual), self.images_)
        images[~self._defined] = np.nan
        return images if len(images) == len(self.light_groups_) else images[self.light_groups_]

    @property
    def leave_one_out_errors_(self):
        """Squared error for each merged light."""
        check_is_fitted(self)
        if self._errors is None:
            residuals = residual_matrix(self._solution[: len(self.lights_)])
            errors = np.einsum("ij,ij->i", residuals @ inner_products(self.images_, self._value_weight), residuals)
            self._errors = np.bincount(self.light_groups_) * errors.clip(0) + self._scatter
            self._errors[~self._defined] = np.nan
        return self._errors

    @property
    def leave_one_out_error_(self):
        """Relative error over all lights."""
        errors = self.leave_one_out_errors_
        energies = np.bincount(self.light_groups_) * _energies(self.images_, self._value_weight) + self._scatter
        energy = energies[self._defined].sum()
        return float(np.sqrt(errors[self._defined].sum() / energy)) if energy > 0 else np.nan

    def _merged_weights(self, X):
        X = self._check_lights(X)
        points = self.subspace_.project(X[:, : self.n_dimensions_])
        values = KERNELS[self.kernel_](cdist(points, self.lights_) * self.epsilon_) / self._kernel_scale
        return np.hstack([values, self._polynomial(points)]) @ self._solution

    def _scaled_epsilon(self, points, kernel, factor):
        if kernel in SCALE_INVARIANT:
            return 1.0
        return factor * (points.epsilon if self.epsilon == "auto" else float(self.epsilon))

    def _choose(self, X, y, value_weight):
        """Find the equations and the smoothing of least leave-one-out error, and give that of each light."""
        kernels = _AUTO_KERNELS if self.kernel == "auto" else ((self.kernel, 1.0),)
        dimensions = [self.n_dimensions]
        if self.n_dimensions == "auto":
            dimensions = [None, 2] if X.shape[1] > 2 else [None]
        gram = inner_products(y, value_weight)
        energies = _energies(y, value_weight)
        chosen, least = None, np.inf
        for n_dimensions in dimensions:
            points = Points(X[:, :n_dimensions])
            merged = points.merged
            merged_gram = merged.averaging @ gram @ merged.averaging.T
            energy = np.bincount(merged.groups, energies)
            scatter = np.bincount(merged.groups, gram.diagonal()) - merged.counts * merged_gram.diagonal()
            for kernel, factor in kernels:
                equations = Equations(points, kernel, self._scaled_epsilon(points, kernel, factor))
                rotated = equations.rotate(merged_gram)
                for share in _AUTO_SMOOTHING if self.smoothing == "auto" else (None,):
                    smoothing = float(self.smoothing) if share is None else share * equations.scale
                    if equations.is_singular(smoothing):
                        continue
                    errors = merged.counts * equations.errors(smoothing, rotated).clip(0) + scatter.clip(0)
                    total = np.where(equations.defined, errors, energy).sum()
                    # Not even inf is less than inf, but something has to be chosen.
                    if chosen is None or total < least:
                        chosen, least = (equations, smoothing, np.where(equations.defined, errors, np.nan)), total
        if chosen is None:
            raise ValueError(
                f"the equations of kernel={self.kernel!r} and smoothing={self.smoothing!r} are singular to rounding for"
                f" these {len(X)} lights, whatever is chosen: take a larger smoothing or another kernel"
            )
        return chosen


def _energies(images, value_weight):
    """Weighed sum of squares of each photograph, in float64."""
    squares = (np.square(image.ravel(), dtype=np.float64) for image in images.reshape(len(images), -1))
    return np.array([square.sum() if value_weight is None else square @ value_weight for square in squares])


def _scatter(merged, images, value_weight):
    """Weighed sum of squared differences of photographs to the mean of those of equal lights, of shape (n_merged,)."""
    scatter = np.zeros(len(merged.counts))
    for group in np.flatnonzero(merged.counts > 1):
        scatter[group] = np.trace(inner_products(images[merged.groups == group], value_weight))
    return scatter
