"""The lights as points in the space that they span, and the equations of radial basis functions at these points."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh, qr, solve_triangular
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN
from sklearn.utils import gen_batches

__all__ = [
    "KERNELS",
    "ROUNDING",
    "SCALE_INVARIANT",
    "AffineSubspace",
    "Equations",
    "MergedLights",
    "Points",
    "Polynomial",
    "inner_products",
    "leave_one_out_matrix",
]

# Share of the extent of the lights up to which differences count as rounding, of float32 or of printed digits.
ROUNDING = 1e-5

# The kernels as functions of r = epsilon * distance. Names, signs and the degrees of the polynomials are those of
# scipy.interpolate.RBFInterpolator. SciPy's class does not serve here: it computes no leave-one-out errors, and it
# refuses a polynomial that the lights do not determine, such as a quadratic one on a sphere.
KERNELS = {
    "thin_plate_spline": lambda r: r**2 * np.log(np.where(r > 0, r, 1)),
    "cubic": lambda r: r**3,
    "quintic": lambda r: -(r**5),
    "linear": lambda r: -r,
    "multiquadric": lambda r: -np.sqrt(1 + r**2),
    "inverse_multiquadric": lambda r: 1 / np.sqrt(1 + r**2),
    "gaussian": lambda r: np.exp(-(r**2)),
}
_DEGREES = {"thin_plate_spline": 1, "cubic": 1, "quintic": 2}
SCALE_INVARIANT = {"thin_plate_spline", "cubic", "quintic", "linear"}

# Ratio of the least eigenvalue to the greatest at which rounding errors would show in predicted photographs.
_SINGULAR = 1e-12
# Number of values whose products are summed at a time, in float64: 32 MB.
_GRAM_VALUES = 2**22


@dataclass(frozen=True)
class AffineSubspace:
    """The point, line, plane or space that some lights span. Its axes are orthonormal, so distances are kept.

    Attributes
    ----------
    center : ndarray of shape (d,)
        Mean of the lights.

    axes : ndarray of shape (rank, d)
        Orthonormal axes: the coordinate axes if the lights span all of them, else the principal axes of the lights,
        in order of decreasing spread.

    spread : float
        Standard deviation of the lights along their first principal axis.
    """

    center: np.ndarray
    axes: np.ndarray
    spread: float

    @classmethod
    def of(cls, lights):
        """Find the subspace. Directions along which the lights differ only by rounding are left out.

        Parameters
        ----------
        lights : ndarray of shape (n, d)
            Lights.

        Returns
        -------
        AffineSubspace
            The subspace, of rank min(n - 1, d) at most.

        Examples
        --------
        >>> plane = AffineSubspace.of(np.array([[0, 0, 5], [4, 0, 5], [4, 3, 5], [0, 3, 5.0]]))
        >>> plane.axes.shape
        (2, 3)
        >>> float(np.linalg.norm(np.diff(plane.project(np.array([[0, 0, 5], [4, 3, 9.0]])), axis=0)))
        5.0
        """
        center = lights.mean(axis=0)
        _, singular, axes = np.linalg.svd(lights - center, full_matrices=False)
        spreads = singular / np.sqrt(len(lights))
        smallest = max(ROUNDING * spreads[0], 1e-12 * np.abs(lights).max())
        axes = axes[spreads > smallest]
        return cls(center, np.eye(len(axes)) if len(axes) == len(center) else axes, float(spreads[0]))

    @property
    def rank(self):
        """Number of dimensions."""
        return len(self.axes)

    def project(self, lights):
        """Project lights onto the subspace.

        Parameters
        ----------
        lights : ndarray of shape (m, d)
            Lights.

        Returns
        -------
        ndarray of shape (m, rank)
            Coordinates along the axes, in the unit of the lights.
        """
        return (lights - self.center) @ self.axes.T


@dataclass(frozen=True)
class MergedLights:
    """Lights among which those that are equal, up to rounding, are merged into one.

    Attributes
    ----------
    points : ndarray of shape (n_merged, rank)
        The merged lights. Each is the mean of equal ones.

    groups : ndarray of shape (n,), int
        Index of the merged light to which each light belongs.
    """

    points: np.ndarray
    groups: np.ndarray

    @cached_property
    def counts(self):
        """Number of lights in each merged light."""
        return np.bincount(self.groups)

    @classmethod
    def of(cls, points, distance):
        """Merge lights.

        Parameters
        ----------
        points : ndarray of shape (n, rank)
            Lights.

        distance : float
            Distance up to which two lights are equal.

        Returns
        -------
        MergedLights
            The merged lights, in the order in which they first occur.

        Examples
        --------
        >>> MergedLights.of(np.array([[3.0], [1.0], [3.0]]), 1e-9).groups
        array([0, 1, 0])
        """
        if points.shape[1] == 0:
            groups = np.zeros(len(points), int)
        else:
            # With a single light as the core of a cluster, clusters are chains of equal lights.
            groups = DBSCAN(distance, min_samples=1).fit_predict(points)
        return cls(cls(points, groups).average(points), groups)

    @property
    def is_trivial(self):
        """Whether no two lights are equal."""
        return len(self.counts) == len(self.groups)

    @property
    def averaging(self):
        """Matrix of shape (n_merged, n) that averages over equal lights."""
        matrix = np.zeros((len(self.counts), len(self.groups)))
        matrix[self.groups, np.arange(len(self.groups))] = 1 / self.counts[self.groups]
        return matrix

    def average(self, values):
        """Average over equal lights.

        Parameters
        ----------
        values : ndarray of shape (n, ...)
            Values for each light, such as photographs.

        Returns
        -------
        ndarray of shape (n_merged, ...)
            The means, in the type of the values, or float64 for integers. If no two lights are equal, this is `values`
            itself and not a copy.
        """
        if self.is_trivial:
            return values
        dtype = values.dtype if values.dtype.kind == "f" else np.float64
        means = np.empty((len(self.counts), *values.shape[1:]), dtype)
        for group in range(len(means)):
            means[group] = values[self.groups == group].mean(axis=0, dtype=np.result_type(dtype, np.float32))
        return means


class Points:
    """Lights in the subspace that they span, with equal ones merged.

    Parameters
    ----------
    lights : ndarray of shape (n, d)
        Lights, with only the coordinates that are used.

    Attributes
    ----------
    n_dimensions : int
        Number of coordinates d.

    subspace : AffineSubspace
        The subspace that the lights span.

    merged : MergedLights
        The lights, projected onto the subspace and merged.
    """

    def __init__(self, lights):
        self.n_dimensions = lights.shape[1]
        self.subspace = AffineSubspace.of(lights)
        self.merged = MergedLights.of(self.subspace.project(lights), ROUNDING * self.subspace.spread)

    @property
    def epsilon(self):
        """Reciprocal of the median distance of a light to its nearest neighbour; 1 for a single light."""
        points = self.merged.points
        if len(points) == 1:
            return 1.0
        return 1 / float(np.median(KDTree(points).query(points, 2)[0][:, 1]))


class Polynomial:
    """A basis of the polynomials up to a degree, as far as values at some points determine them.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Points that span d dimensions, so that they determine all polynomials of degree 1.

    degree : {0, 1, 2}
        Highest degree.
    """

    def __init__(self, points, degree):
        self.degree = degree
        self.scale = np.abs(points).max(axis=0)
        monomials = self._monomials(points)
        n_linear = 1 + points.shape[1]
        self.combinations = np.eye(monomials.shape[1])
        if degree == 2:
            # The points may lie on a quadric, such as a sphere. Then some quadratic monomials depend on the others, and
            # only the independent combinations are kept.
            linear, quadratic = monomials[:, :n_linear], monomials[:, n_linear:]
            fitted = np.linalg.lstsq(linear, quadratic)[0]
            _, singular, axes = np.linalg.svd(quadratic - linear @ fitted, full_matrices=False)
            axes = axes[singular > ROUNDING * np.sqrt(len(points))]
            self.combinations = np.hstack(
                [self.combinations[:, :n_linear], np.vstack([-fitted @ axes.T, axes.T])],
            )

    def __call__(self, points):
        """Evaluate the basis at points of shape (m, d). Each column is a basis function."""
        return self._monomials(points) @ self.combinations

    def _monomials(self, points):
        points = points / self.scale
        columns = [np.ones((len(points), 1))]
        if self.degree >= 1:
            columns.append(points)
        if self.degree >= 2:
            first, second = np.triu_indices(points.shape[1])
            columns.append(points[:, first] * points[:, second])
        return np.hstack(columns)


class Equations:
    """The equations of a kernel at given lights, prepared so that they are quick to solve for any smoothing.

    The matrix of the equations is A, in the notation of :class:`~sklrelight.interpolation.RBFInterpolation`. The
    kernel's matrix is positive definite on the coefficients a with P^T a = 0. Its eigenvectors are computed there, and
    smoothing adds to the eigenvalues.

    Parameters
    ----------
    points : Points
        Lights.

    kernel : str
        Name of the kernel.

    epsilon : float
        Factor of the distances.

    Attributes
    ----------
    scale : float
        Largest absolute value of the kernel between the lights. Values are divided by it, so that whether equations
        count as singular does not depend on the unit of the lights.

    defined : ndarray of shape (n,), bool
        Whether the other lights determine the polynomial when this light is left out.
    """

    def __init__(self, points, kernel, epsilon):
        self.points, self.kernel, self.epsilon = points, kernel, epsilon
        lights = points.merged.points
        values = KERNELS[kernel](cdist(lights, lights) * epsilon)
        self.scale = float(np.abs(values).max()) or 1.0
        values /= self.scale
        self.polynomial = Polynomial(lights, _DEGREES.get(kernel, 0))
        orthogonal, triangular = qr(self.polynomial(lights))
        rank = triangular.shape[1]
        # Views would keep an array alive that is as large as the kernel's matrix.
        self._range, self._triangular = orthogonal[:, :rank].copy(), triangular[:rank].copy()
        self._range_values = self._range.T @ values
        free = orthogonal[:, rank:]
        self.defined = np.square(free).sum(axis=1) > ROUNDING**2
        # With as many monomials as lights nothing is free, and LAPACK does not take an empty matrix.
        self._eigenvalues, vectors = np.empty(0), np.empty((0, 0))
        if free.size:
            self._eigenvalues, vectors = eigh(free.T @ values @ free)
        self._vectors = free @ vectors

    def is_singular(self, smoothing):
        """Tell whether the equations are singular in float64."""
        if not self._eigenvalues.size:
            return False
        eigenvalues = self._eigenvalues + smoothing / self.scale
        return bool(eigenvalues.min() <= _SINGULAR * eigenvalues.max())

    def dual(self, smoothing, rows=slice(None)):
        """Compute rows of the upper left block, of shape (n, n), of the inverse of A, multiplied by `scale`."""
        return (self._vectors[rows] / (self._eigenvalues + smoothing / self.scale)) @ self._vectors.T

    def residuals(self, smoothing):
        """Compute the matrix of shape (n, n) from photographs to their leave-one-out errors."""
        dual = self.dual(smoothing)
        diagonal = dual.diagonal()
        return dual / np.where(diagonal == 0, 1, diagonal)[:, None]

    def weights(self, lights, smoothings):
        """Compute the weights of the n photographs in predicted ones: for each smoothing, an array of shape (m, n).

        They equal the product of kernel values and polynomial with the solution of the equations, but no matrix of
        shape (n, n) has to be stored for each smoothing.
        """
        points = self.points.subspace.project(lights[:, : self.points.n_dimensions])
        values = KERNELS[self.kernel](cdist(points, self.points.merged.points) * self.epsilon) / self.scale
        polynomial = solve_triangular(self._triangular, self.polynomial(points).T, trans="T").T
        rotated = (values - polynomial @ self._range_values) @ self._vectors
        fitted = polynomial @ self._range.T
        return [fitted + (rotated / (self._eigenvalues + s / self.scale)) @ self._vectors.T for s in smoothings]


def inner_products(images, value_weight):
    """Compute the weighted inner products of photographs, in float64.

    The mean photograph is subtracted first. This changes no error, because every model here reproduces a constant.
    """
    columns = images.reshape(len(images), -1)
    gram = np.zeros((len(columns), len(columns)))
    for block in gen_batches(columns.shape[1], max(1, _GRAM_VALUES // len(columns))):
        some = columns[:, block].astype(np.float64)
        some -= some.mean(axis=0)
        if value_weight is not None:
            some *= np.sqrt(value_weight[block])
        gram += some @ some.T
    return gram


def leave_one_out_matrix(equations, smoothing, rows, same):
    """Compute the matrix from photographs to the leave-one-out errors of some of them.

    The leave-one-out error of a photograph is the difference to its prediction from the photographs of other lights.

    Parameters
    ----------
    equations : Equations
        Equations of a kernel at all lights.

    smoothing : float
        Smoothing, which is added to the diagonal of the kernel's matrix.

    rows : ndarray of int
        Indices of the lights to leave out, one at a time.

    same : ndarray of shape (n,), int
        Group of each light. Lights of one group are equal, and are left out together.

    Returns
    -------
    ndarray of shape (len(rows), n)
        The matrix. Where the other lights do not determine the polynomial, the mean of their photographs takes the
        place of the prediction.
    """
    n_lights = len(same)
    averaging = equations.points.merged.averaging
    groups = equations.points.merged.groups[rows]
    dual = equations.dual(smoothing, groups)
    diagonal = dual[np.arange(len(rows)), groups]
    defined = equations.defined[groups]
    residuals = np.eye(n_lights)[rows] - averaging[groups]
    residuals[defined] += (dual @ averaging)[defined] / diagonal[defined, None]
    others = same[rows][:, None] != same
    counts = others.sum(axis=1, keepdims=True)
    mean = others / np.maximum(counts, 1)
    residuals[~defined] = (np.eye(n_lights)[rows] - mean)[~defined]
    # Equations that use the first coordinates alone merge lights that differ in the others. When one of these is left
    # out, the merged light stays, and only the mean of its photographs changes.
    rest = (groups[:, None] == equations.points.merged.groups) & others
    partial = rest.any(axis=1)
    if partial.any():
        average = rest[partial] / rest[partial].sum(axis=1, keepdims=True)
        change = average - averaging[groups[partial]]
        fitted = (dual[partial] @ averaging + diagonal[partial, None] * change) * (smoothing / equations.scale)
        residuals[partial] = np.eye(n_lights)[rows[partial]] - average + fitted
    return residuals
