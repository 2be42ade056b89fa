"""What the models over the lights share: the space that lights span, and weighted sums of photographs."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from ..utils import DocumentedEstimator, VersionedState, check_finite, check_magnitude, naming

__all__ = ["ROUNDING", "AffineSubspace", "LightRegressor", "MergedLights", "combine"]

# Of the extent of the lights: what differs by less is equal, but for the rounding of float32 and of printed digits.
ROUNDING = 1e-5
# Values converted at a time, where photographs have another type than the sum: 128 MB in float64.
_BLOCK_VALUES = 2**24


class LightRegressor(DocumentedEstimator, VersionedState, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of the models over the lights: checks what comes in.

    Attributes
    ----------
    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights, where they had some that are all strings.
    """

    # What `fit` learns last.
    _learnt_last = "images_"

    def __sklearn_is_fitted__(self):
        # Checking the lights leaves attributes behind, whether or not they are refused then.
        return hasattr(self, self._learnt_last)

    def _check_training(self, X, y):
        """Return lights in float64, and photographs in their own type."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        with naming("X"):
            X = validate_data(self, X, dtype=np.float64)
        with naming("y"):
            y = check_array(y, dtype="numeric", ensure_2d=False, allow_nd=True, input_name="y")
        with naming("X, y"):
            check_consistent_length(X, y)
        if not y.size:
            raise ValueError(f"y of shape {y.shape} has no values")
        check_magnitude(X, "X")
        check_magnitude(y, "y")
        return X, y

    def _check_lights(self, X):
        """Return new lights in float64."""
        check_is_fitted(self)
        with naming("X"):
            X = validate_data(self, X, dtype=np.float64, reset=False)
        check_magnitude(X, "X")
        return X


def combine(weights, images):
    """Sum photographs with weights.

    Parameters
    ----------
    weights : ndarray or sparse array of shape (m, n)
        Weight of each photograph in each sum.

    images : ndarray of shape (n, ...)
        Photographs.

    Returns
    -------
    ndarray of shape (m, ...)
        float32 for photographs in float32 or float16, else float64.

    Raises
    ------
    ValueError
        If a sum overflows.

    Examples
    --------
    >>> combine(np.array([[0.5, 0.5]]), np.array([[1, 2], [3, 6]]))
    array([[2., 4.]])
    """
    dtype = np.float32 if images.dtype in (np.float32, np.float16) else np.float64
    with np.errstate(over="ignore"):
        weights = weights.astype(dtype, copy=False)
    columns = images.reshape(len(images), -1)
    sums = np.empty((weights.shape[0], columns.shape[1]), dtype)
    # Photographs of another type are converted some pixels at a time: as a whole they might not fit into memory.
    width = columns.shape[1] if images.dtype == dtype else max(1, _BLOCK_VALUES // len(columns))
    for block in gen_batches(columns.shape[1], width):
        with np.errstate(over="ignore", invalid="ignore"):
            sums[:, block] = weights @ columns[:, block].astype(dtype, copy=False)
        check_finite(sums[:, block])
    return sums.reshape(len(sums), *images.shape[1:])


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
