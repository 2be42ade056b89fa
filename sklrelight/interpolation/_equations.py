"""The equations of radial basis functions over lights: what the models made of them share."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, qr, solve_triangular
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
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
    "left_out_weights",
    "residual_matrix",
    "weights_without",
]

# Of the extent of the lights: what differs by less is equal, but for the rounding of float32 and of printed digits.
ROUNDING = 1e-5

# Of r = epsilon * distance. Names, signs and degrees of the polynomial are those of scipy.interpolate.RBFInterpolator,
# which returns no leave-one-out errors, and neither takes a polynomial that lights on a sphere do not determine.
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

# Equations whose eigenvalues lie further apart would show in the predicted photographs.
_SINGULAR = 1e-12
# Values whose products are summed at a time, in float64: 32 MB.
_GRAM_VALUES = 2**22


@dataclass(frozen=True)
class AffineSubspace:
    """The point, line, plane or space that some lights span, with axes at right angles: it keeps distances.

    Attributes
    ----------
    center : ndarray of shape (d,)
        Mean of the lights.

    axes : ndarray of shape (rank, d)
        Orthonormal: those of the coordinates where the lights span all of them, else by falling spread of the lights.

    spread : float
        Standard deviation of the lights in the direction in which it is largest.
    """

    center: np.ndarray
    axes: np.ndarray
    spread: float

    @classmethod
    def of(cls, lights):
        """Find it. A direction in which the lights spread by rounding is none.

        Parameters
        ----------
        lights : ndarray of shape (n, d)
            Lights.

        Returns
        -------
        AffineSubspace
            Of rank min(n - 1, d) at most.

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
        """Give the coordinates of lights, dropping what sticks out.

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
    """Lights, the ones that are equal but for rounding merged.

    Attributes
    ----------
    points : ndarray of shape (n_merged, rank)
        Means of the equal lights.

    groups : ndarray of shape (n,), int
        For each light, the merged one that it is in.

    counts : ndarray of shape (n_merged,), int
        Number of lights in each.
    """

    points: np.ndarray
    groups: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, points, distance):
        """Merge lights.

        Parameters
        ----------
        points : ndarray of shape (n, rank)
            Lights.

        distance : float
            Up to which they are equal.

        Returns
        -------
        MergedLights
            In the order of the first light of each.

        Examples
        --------
        >>> MergedLights.of(np.array([[3.0], [1.0], [3.0]]), 1e-9).groups
        array([0, 1, 0], dtype=int32)
        """
        n = len(points)
        if points.shape[1] == 0:
            groups = np.zeros(n, np.int32)
        else:
            pairs = KDTree(points).query_pairs(distance, output_type="ndarray")
            graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
            groups = connected_components(graph, directed=False)[1]
        merged = cls(points, groups, np.bincount(groups))
        return merged if merged.is_trivial else cls(merged.average(points), groups, merged.counts)

    @property
    def is_trivial(self):
        """Whether no two lights are equal."""
        return len(self.counts) == len(self.groups)

    @property
    def averaging(self):
        """The matrix of shape (n_merged, n) that averages what belongs to equal lights."""
        matrix = np.zeros((len(self.counts), len(self.groups)))
        matrix[self.groups, np.arange(len(self.groups))] = 1 / self.counts[self.groups]
        return matrix

    def average(self, values):
        """Average what belongs to equal lights, such as their photographs.

        Parameters
        ----------
        values : ndarray of shape (n, ...)
            Of each light.

        Returns
        -------
        ndarray of shape (n_merged, ...)
            The same array, not a copy, where no two lights are equal; else in the same type, integers in float64.
        """
        if self.is_trivial:
            return values
        dtype = values.dtype if values.dtype.kind == "f" else np.float64
        means = np.empty((len(self.counts), *values.shape[1:]), dtype)
        for group in range(len(means)):
            means[group] = values[self.groups == group].mean(axis=0, dtype=np.result_type(dtype, np.float32))
        return means


class Points:
    """Lights in the subspace that they span, equal ones merged.

    Parameters
    ----------
    lights : ndarray of shape (n, d)
        Lights, of the coordinates that are used.

    Attributes
    ----------
    n_dimensions : int
        d.

    subspace : AffineSubspace
        What they span.

    merged : MergedLights
        The projected lights.
    """

    def __init__(self, lights):
        self.n_dimensions = lights.shape[1]
        self.subspace = AffineSubspace.of(lights)
        self.merged = MergedLights.of(self.subspace.project(lights), ROUNDING * self.subspace.spread)

    @property
    def epsilon(self):
        """The reciprocal of the median distance between neighbours; 1 for a single light."""
        points = self.merged.points
        if len(points) == 1:
            return 1.0
        return 1 / float(np.median(KDTree(points).query(points, 2)[0][:, 1]))


class Polynomial:
    """Polynomials up to a degree that values at some points determine.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Points that span d dimensions, so that all polynomials of degree 1 are determined.

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
            # Of the quadratic monomials, what is independent of the linear ones and of each other on the points.
            linear, quadratic = monomials[:, :n_linear], monomials[:, n_linear:]
            fitted = np.linalg.lstsq(linear, quadratic)[0]
            _, singular, axes = np.linalg.svd(quadratic - linear @ fitted, full_matrices=False)
            axes = axes[singular > ROUNDING * np.sqrt(len(points))]
            self.combinations = np.hstack(
                [self.combinations[:, :n_linear], np.vstack([-fitted @ axes.T, axes.T])],
            )

    def __call__(self, points):
        """Evaluate a basis, as columns, at points of shape (m, d)."""
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
    """The equations of a kernel over given lights, prepared for all values of smoothing.

    On coefficients that the polynomial leaves free, all a with P^T a = 0, the kernel's matrix is positive definite. In
    the eigenvectors of that part the smoothing adds to the eigenvalues.

    Parameters
    ----------
    points : Points
        Lights.

    kernel : str
        Name of the radial basis function.

    epsilon : float
        Factor of the distances.

    Attributes
    ----------
    scale : float
        The kernel's largest value between the lights. Values are divided by it, so that the unit of the lights does not
        make equations look singular.

    defined : ndarray of shape (n,), bool
        Whether the polynomial is determined without the light.
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
        # Not views, which would keep what is as large as the kernel's matrix.
        self._range, self._triangular = orthogonal[:, :rank].copy(), triangular[:rank].copy()
        self._range_values = self._range.T @ values
        free = orthogonal[:, rank:]
        self.defined = np.square(free).sum(axis=1) > ROUNDING**2
        # LAPACK takes no empty matrix: as many monomials as lights leave nothing free.
        self._eigenvalues, vectors = np.empty(0), np.empty((0, 0))
        if free.size:
            self._eigenvalues, vectors = eigh(free.T @ values @ free)
        self._vectors = free @ vectors

    def is_singular(self, smoothing):
        """Tell whether rounding would show."""
        if not self._eigenvalues.size:
            return False
        eigenvalues = self._eigenvalues + smoothing / self.scale
        return bool(eigenvalues.min() <= _SINGULAR * eigenvalues.max())

    def is_determined_without(self, rows):
        """Tell whether the other lights determine the polynomial."""
        rest = np.delete(self._range, rows, axis=0)
        if len(rest) < rest.shape[1]:
            return False
        return bool(np.linalg.svd(rest, compute_uv=False).min() > ROUNDING)

    def dual(self, smoothing, rows=slice(None)):
        """The first n columns of some of the first n rows of the inverse of A, times `scale`."""
        return (self._vectors[rows] / (self._eigenvalues + smoothing / self.scale)) @ self._vectors.T

    def solution(self, smoothing):
        """The matrix of shape (n + rank, n) from photographs to coefficients: of kernel values / `scale`, then of P."""
        dual = self.dual(smoothing)
        return np.vstack([dual, solve_triangular(self._triangular, self._range.T - self._range_values @ dual)])

    def weights(self, lights, smoothings):
        """The weights of the n photographs in predicted ones, of shape (m, n), for each smoothing.

        The same as kernel values and polynomial times `solution`, without a matrix of shape (n, n) to be kept for each
        smoothing.
        """
        points = self.points.subspace.project(lights[:, : self.points.n_dimensions])
        values = KERNELS[self.kernel](cdist(points, self.points.merged.points) * self.epsilon) / self.scale
        polynomial = solve_triangular(self._triangular, self.polynomial(points).T, trans="T").T
        rotated = (values - polynomial @ self._range_values) @ self._vectors
        fitted = polynomial @ self._range.T
        return [fitted + (rotated / (self._eigenvalues + s / self.scale)) @ self._vectors.T for s in smoothings]

    def rotate(self, gram):
        """Inner products of the photographs, in the eigenvectors."""
        return self._vectors.T @ gram @ self._vectors

    def errors(self, smoothing, rotated_gram):
        """Squared leave-one-out errors, of shape (n,); without meaning where not `defined`."""
        scaled = self._vectors / (self._eigenvalues + smoothing / self.scale)
        diagonal = np.einsum("ij,ij->i", scaled, self._vectors)
        squares = np.einsum("ij,ij->i", scaled @ rotated_gram, scaled)
        return squares / np.where(self.defined, diagonal, 1) ** 2


def residual_matrix(dual):
    """The matrix of shape (n, n) from photographs to what is left of each when predicted from the others."""
    diagonal = dual.diagonal()
    return dual / np.where(diagonal == 0, 1, diagonal)[:, None]


def inner_products(images, value_weight):
    """Inner products, weighed, of photographs less their mean, which no model here mispredicts; in float64."""
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
    """Give what is left of some photographs when each is predicted from those of other lights.

    Parameters
    ----------
    equations : Equations
        Of a kernel over all lights.

    smoothing : float
        Added to the diagonal of the kernel's matrix.

    rows : ndarray of int
        Lights.

    same : ndarray of shape (n,), int
        Lights of the same number are equal, and left out together.

    Returns
    -------
    ndarray of shape (len(rows), n)
        The matrix from all photographs to the errors. Where the others do not determine the polynomial, their mean
        stands for a prediction.
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
    # Where lights that differ have equal first coordinates, the equations stay but for the average.
    rest = (groups[:, None] == equations.points.merged.groups) & others
    partial = rest.any(axis=1)
    if partial.any():
        average = rest[partial] / rest[partial].sum(axis=1, keepdims=True)
        change = average - averaging[groups[partial]]
        fitted = (dual[partial] @ averaging + diagonal[partial, None] * change) * (smoothing / equations.scale)
        residuals[partial] = np.eye(n_lights)[rows[partial]] - average + fitted
    return residuals


def left_out_weights(stacking_weights, residuals, rows):
    """Weigh the photographs for means of candidates that each predict a photograph from the others.

    Parameters
    ----------
    stacking_weights : ndarray of shape (n_clusters, n_curves, n_candidates)
        Of the candidates in the means.

    residuals : ndarray of shape (n_candidates, len(rows), n)
        As of `leave_one_out_matrix`, one for each candidate.

    rows : ndarray of int
        Their lights.

    Returns
    -------
    weights : ndarray of shape (n_clusters, n_curves, len(rows), n)
        Of all photographs.

    shares : ndarray of shape (n_clusters, n_curves)
        Of the curves: the sums of their `stacking_weights`, and of the weights of each photograph.
    """
    shares = stacking_weights.sum(axis=2)
    weights = -np.tensordot(stacking_weights, residuals, axes=1)
    weights[:, :, np.arange(len(rows)), rows] += shares[:, :, None]
    return weights, shares


def weights_without(equations, smoothing, rows, kept):
    """Weigh the photographs of some lights for what they predict at lights that are left out.

    Parameters
    ----------
    equations : Equations
        Of a kernel over all lights.

    smoothing : float
        Added to the diagonal of the kernel's matrix.

    rows : ndarray of int
        Lights to predict, none of which is kept.

    kept : ndarray of shape (n,), bool
        Which lights the equations are solved for.

    Returns
    -------
    ndarray of shape (len(rows), n) or None
        0 for what is not kept. None where the polynomial is not determined.
    """
    merged = equations.points.merged
    averaging = merged.averaging * kept
    shares = averaging.sum(axis=1, keepdims=True)
    averaging /= np.where(shares > 0, shares, 1)
    gone = np.flatnonzero(shares[:, 0] == 0)
    if not equations.is_determined_without(gone):
        return None
    asked, where = np.unique(merged.groups[rows], return_inverse=True)
    dual = equations.dual(smoothing, gone)
    # Columns of what is gone vanish: photographs that are averages of none.
    norms = np.sqrt(dual[np.arange(len(gone)), gone])
    block = dual[:, gone] / norms / norms[:, None]
    solved = np.linalg.solve(block, (dual @ averaging) / norms[:, None]) / norms[:, None]
    weights = np.empty((len(asked), len(kept)))
    lost = np.isin(asked, gone)
    weights[lost] = -solved[np.searchsorted(gone, asked[lost])]
    # Of equal first coordinates, some of whose photographs are kept.
    if not lost.all():
        own = equations.dual(smoothing, asked[~lost])
        left = own @ averaging - own[:, gone] @ solved
        weights[~lost] = averaging[asked[~lost]] - left * (smoothing / equations.scale)
    return weights[where]
