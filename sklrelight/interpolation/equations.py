"""The equations of radial basis functions over lights: what the models made of them share."""

import numpy as np
from scipy.linalg import eigh, qr, solve_triangular
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
from sklearn.utils import gen_batches

from .base import ROUNDING, AffineSubspace, MergedLights

__all__ = ["KERNELS", "SCALE_INVARIANT", "Equations", "Points", "Polynomial", "inner_products", "residual_matrix"]

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
