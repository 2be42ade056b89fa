"""Piecewise linear interpolation over the lights."""

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import Delaunay, KDTree, QhullError

from ..utils import check_lights
from ..utils._lights import are_directions, check_above_horizon, normalize
from ._base import LightRegressor
from ._equations import ROUNDING, Points

__all__ = ["LinearInterpolation"]

_MAX_RANK = 3


class LinearInterpolation(LightRegressor):
    """Interpolate photographs linearly between the lights of a triangle.

    The lights are triangulated (Delaunay). The prediction for a light inside a triangle is a weighted mean of the
    photographs at its corners. For a light outside of all triangles it is the photograph of the nearest light. In three
    dimensions the triangles are tetrahedra, in one dimension they are intervals.

    Attributes
    ----------
    directions_ : bool
        Whether the lights are directions, which means three columns and lengths of 0.79 to 1.21. Directions are scaled
        to length 1, and their x and y are triangulated, as is usual in reflectance transformation imaging.

    subspace_ : AffineSubspace
        The point, line, plane or space that the lights, or the x and y of directions, span. New lights are projected
        onto it.

    points_ : ndarray of shape (n_merged, rank)
        The training lights, in coordinates of the subspace. Equal ones, up to 1e-5 of the lights' standard deviation,
        are merged.

    light_groups_ : ndarray of shape (n_lights,), int
        Row in `points_` of each training light.

    images_ : ndarray of shape (n_merged, ...)
        The training photographs in their own type. Those of equal lights are averaged.

    triangulation_ : scipy.spatial.Delaunay or None
        The triangles; None if the lights lie on a line or are all equal.

    n_features_in_ : int
        Number of light features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    See Also
    --------
    scipy.interpolate.LinearNDInterpolator : The same interpolation of values instead of photographs. It predicts
        nothing outside of the triangles.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.interpolation import LinearInterpolation
    >>> lights, images = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([[0.0], [1.0], [2.0]])
    >>> LinearInterpolation().fit(lights, images).predict([[0.5, 0.25], [2.0, 0.0]])
    array([[1.],
           [1.]])
    """

    def fit(self, X, y):
        """Triangulate the lights and store the photographs.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs.

        Returns
        -------
        self : LinearInterpolation
            The fitted model.

        Raises
        ------
        ValueError
            If the numbers of lights and photographs differ, or if a value is not finite. If the lights span more than
            three dimensions, because a triangulation takes seconds in 7 dimensions and minutes in 10. If a light is a
            direction more than 6 degrees below the horizon, because its x and y could belong to one above.
        """
        X, y = self._check_training(X, y)
        directions = are_directions(X)
        if directions:
            X = normalize(X)
            check_above_horizon(X, type(self).__name__)
            X = X[:, :2]
        points = Points(X)
        subspace, merged = points.subspace, points.merged
        if subspace.rank > _MAX_RANK:
            raise ValueError(
                f"the lights X span {subspace.rank} dimensions; LinearInterpolation triangulates up to {_MAX_RANK},"
                " because a triangulation takes seconds in 7 dimensions and minutes in 10: use RBFInterpolation"
            )
        self.directions_, self.subspace_ = directions, subspace
        self.points_, self.light_groups_ = merged.points, merged.groups
        self.triangulation_ = self._triangulate(merged.points) if subspace.rank > 1 else None
        self.images_ = merged.average(y)
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
            The weights. They are not negative, and their sum is 1 for each light.
        """
        weights = self._weights(check_lights(self, X)).toarray()
        return (weights / np.bincount(self.light_groups_))[:, self.light_groups_]

    def _weights(self, X):
        points = self.subspace_.project(normalize(X)[:, :2] if self.directions_ else X)
        if self.triangulation_ is not None:
            corners, shares = self._in_triangles(self.triangulation_, points)
        elif self.subspace_.rank == 1:
            corners, shares = self._in_intervals(points[:, 0])
        else:
            corners, shares = np.zeros((len(points), 1), int), np.ones((len(points), 1))
        rows = np.arange(0, corners.size + 1, corners.shape[1])
        return csr_array((shares.ravel(), corners.ravel(), rows), shape=(len(points), len(self.points_)))

    @staticmethod
    def _triangulate(points):
        try:
            return Delaunay(points)
        except QhullError as error:
            reason = str(error).strip().split("\n")[0]
            raise ValueError(f"the lights X cannot be triangulated: {reason}; use RBFInterpolation") from error

    def _in_triangles(self, triangulation, points):
        """Find the corners of the triangle around each point, and their weights."""
        rank = points.shape[1]
        triangles = triangulation.find_simplex(points)
        # Rounding may put points of the border outside, so these are searched again with a tolerance. With it, points
        # inside might be found in a sliver next to their own triangle.
        lost = np.flatnonzero(triangles < 0)
        triangles[lost] = triangulation.find_simplex(points[lost], tol=ROUNDING)
        corners = triangulation.simplices[triangles].astype(int)
        transform = triangulation.transform[triangles]
        shares = np.einsum("mij,mj->mi", transform[:, :rank], points - transform[:, rank])
        shares = np.column_stack([shares, 1 - shares.sum(axis=1)]).clip(0)
        shares /= shares.sum(axis=1, keepdims=True)
        # A flat triangle has no finite weights.
        outside = (triangles < 0) | ~np.isfinite(shares).all(axis=1)
        if outside.any():
            corners[outside, 0] = KDTree(self.points_).query(points[outside])[1]
            shares[outside] = np.eye(1, rank + 1)
        return corners, shares

    def _in_intervals(self, positions):
        """Find the ends of the interval around each position on a line, and their weights."""
        order = self.points_[:, 0].argsort()
        ordered = self.points_[order, 0]
        right = np.searchsorted(ordered, positions).clip(1, len(ordered) - 1)
        share = ((positions - ordered[right - 1]) / (ordered[right] - ordered[right - 1])).clip(0, 1)
        return np.column_stack([order[right - 1], order[right]]), np.column_stack([1 - share, share])
