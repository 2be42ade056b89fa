"""The surface on which a user moves a light: a dome of directions, or a plane of positions."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.spatial import ConvexHull, Delaunay, QhullError
from scipy.stats import qmc

from ..interpolation._equations import AffineSubspace
from ..utils._lights import are_directions, normalize

__all__ = ["LightSurface", "farthest_points"]

# Positions that deviate from a plane by less than this share of their extent are taken for a measured plane.
_FLAT = 0.05
# Number of points on the surface from which lights are picked.
_N_CANDIDATES = 4096


@dataclass(frozen=True)
class LightSurface:
    """A dome or plane through the lights of a capture, with two coordinates for each light.

    On a dome, the coordinates point to the right and up in the image, and their length is the angle from the camera's
    axis, 1 at 90 degrees. On a plane, they are the position to the right and up, as far as the plane allows, scaled so
    that its longer side reaches from -1 to 1.

    Parameters
    ----------
    kind : {"dome", "plane"}
        Kind of the surface.

    center : ndarray of shape (d,)
        Light at the coordinates (0, 0) of a plane; zeros for a dome.

    axes : ndarray of shape (2, d)
        Steps in a plane that change one coordinate by 1. The second row is 0 where the lights lie on a line.

    radius : float
        Length of the lights of a dome: 1 for directions.

    points : ndarray of shape (n, 2)
        Coordinates of the capture's lights.

    Examples
    --------
    >>> surface = LightSurface.of(np.array([[0.0, 0.0, 1.0], [0.8, 0.0, 0.6], [0.0, 0.8, 0.6]]))
    >>> surface.kind, surface.to_surface([[0.0, 1.0, 0.0]]).round(3)
    ('dome', array([[0., 1.]]))
    >>> surface.to_lights([[0.5, 0.0]]).round(3)
    array([[0.707, 0.   , 0.707]])
    """

    kind: str
    center: np.ndarray
    axes: np.ndarray
    radius: float
    points: np.ndarray

    @classmethod
    def of(cls, lights):
        """Find the surface of the lights of a capture.

        Parameters
        ----------
        lights : array-like of shape (n, d)
            Lights of the capture.

        Returns
        -------
        LightSurface
            A dome for unit directions, and for positions in space that lie in no plane, around the origin at their
            median distance; otherwise a plane.

        Raises
        ------
        ValueError
            If the lights have more than three columns and lie in no plane.
        """
        lights = np.asarray(lights, np.float64)
        width = lights.shape[1]
        if are_directions(lights):
            return cls._dome(lights, 1.0)
        if width <= 2:
            return cls._plane(lights, np.eye(2, width))
        if width == 3:
            _, spreads, rows = np.linalg.svd(lights - lights.mean(axis=0), full_matrices=False)
            if len(spreads) == 3 and spreads[2] > _FLAT * spreads[0]:
                return cls._dome(lights, float(np.median(np.linalg.norm(lights, axis=1))))
            return cls._plane(lights, _upright(lights, rows))
        subspace = AffineSubspace.of(lights)
        if subspace.rank <= 2:
            axes = np.zeros((2, width))
            axes[: subspace.rank] = subspace.axes
            return cls._plane(lights, axes)
        raise ValueError(
            "a light is moved over a dome or a plane: wanted directions or positions of three columns, or lights that"
            f" lie in a plane; these have {width} columns and span {subspace.rank} dimensions"
        )

    @classmethod
    def _dome(cls, lights, radius):
        surface = cls("dome", np.zeros(3), np.eye(2, 3), radius, np.empty((0, 2)))
        return replace(surface, points=surface.to_surface(lights))

    @classmethod
    def _plane(cls, lights, axes):
        along = lights @ axes.T
        low, high = along.min(axis=0), along.max(axis=0)
        half = float((high - low).max()) / 2 or 1.0
        # The middle of the extent along both axes; across the plane, the mean.
        mean = lights.mean(axis=0)
        center = mean + ((low + high) / 2 - mean @ axes.T) @ axes
        axes = axes * half
        return cls("plane", center, axes, 1.0, (along - (low + high) / 2) / half)

    def to_surface(self, lights):
        """Compute the coordinates of lights.

        Parameters
        ----------
        lights : array-like of shape (m, d)
            Lights in the units of the capture.

        Returns
        -------
        ndarray of shape (m, 2)
            Coordinates. A light off the surface gets those of its direction on a dome, and of the nearest point on a
            plane.
        """
        lights = np.asarray(lights, np.float64)
        if self.kind == "plane":
            lengths = np.square(self.axes).sum(axis=1)
            return (lights - self.center) @ self.axes.T / np.where(lengths > 0, lengths, 1)
        x, y, z = normalize(lights).T
        across = np.hypot(x, y)
        angle = np.arctan2(across, z) / (np.pi / 2)
        return np.column_stack([x, y]) * (angle / np.where(across > 0, across, 1))[:, None]

    def to_lights(self, points):
        """Compute the lights at some coordinates.

        Parameters
        ----------
        points : array-like of shape (m, 2)
            Coordinates on the surface.

        Returns
        -------
        ndarray of shape (m, d)
            Lights in the units of the capture.
        """
        points = np.asarray(points, np.float64)
        if self.kind == "plane":
            return self.center + points @ self.axes
        return self.radius * self.to_nodes(points)

    def to_nodes(self, points):
        """Compute the positions between which distances are measured.

        Parameters
        ----------
        points : array-like of shape (m, 2)
            Coordinates on the surface.

        Returns
        -------
        ndarray of shape (m, 3) or (m, 2)
            Unit vectors on a dome, the coordinates themselves on a plane.
        """
        points = np.asarray(points, np.float64)
        if self.kind == "plane":
            return points
        lengths = np.linalg.norm(points, axis=1)
        angle = lengths * (np.pi / 2)
        across = np.sin(angle) / np.where(lengths > 0, lengths, 1)
        return np.column_stack([points * across[:, None], np.cos(angle)])

    @cached_property
    def hull(self):
        """Corners of the convex hull of `points`, counterclockwise, of shape (k, 2); two for points on a line."""
        try:
            return self.points[ConvexHull(self.points).vertices]
        except (QhullError, ValueError):
            # There are fewer than three lights, or all lie on a line.
            _, _, rows = np.linalg.svd(self.points - self.points.mean(axis=0))
            along = self.points @ rows[0]
            return self.points[[int(along.argmin()), int(along.argmax())]]

    def clamp(self, points):
        """Move points that lie outside of the hull to the nearest point of it, as the page does.

        Parameters
        ----------
        points : array-like of shape (m, 2)
            Coordinates on the surface.

        Returns
        -------
        ndarray of shape (m, 2)
            Coordinates within the hull, or on it.
        """
        points = np.asarray(points, np.float64)
        corners = np.vstack([self.hull, self.hull[:1]])
        edges = np.diff(corners, axis=0)
        offsets = points[:, None] - corners[:-1]
        lengths = np.square(edges).sum(axis=1)
        shares = (offsets * edges).sum(axis=2) / np.where(lengths > 0, lengths, 1)
        nearest = corners[:-1] + shares.clip(0, 1)[..., None] * edges
        chosen = np.linalg.norm(points[:, None] - nearest, axis=2).argmin(axis=1)
        inside = (edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0] >= 0).all(axis=1)
        inside &= len(self.hull) > 2
        return np.where(inside[:, None], points, nearest[np.arange(len(points)), chosen])

    def spread_points(self):
        """Spread points evenly over the hull and its border.

        Returns
        -------
        ndarray of shape (m, 2)
            Coordinates of distinct lights, the same in each call.
        """
        corners = np.vstack([self.hull, self.hull[:1]])
        steps = np.linspace(0, 1, 65)[:-1, None]
        border = np.concatenate([a + steps * (b - a) for a, b in pairwise(corners)])
        points = border
        if len(self.hull) >= 3:
            low, high = self.hull.min(axis=0), self.hull.max(axis=0)
            points = low + (high - low) * qmc.Halton(2, scramble=False).random(_N_CANDIDATES)
            points = np.vstack([points[Delaunay(self.hull).find_simplex(points) >= 0], border])
        _, rows = np.unique(self.to_nodes(points).round(6), axis=0, return_index=True)
        return points[np.sort(rows)]


def farthest_points(nodes, n_points):
    """Pick points that lie far from each other.

    Parameters
    ----------
    nodes : ndarray of shape (m, k)
        Points to pick from.

    n_points : int
        Number of points to pick, at most m.

    Returns
    -------
    ndarray of shape (n_points,), int
        Rows of the picked points: first the one nearest to the mean, then always the one farthest from those before.

    Examples
    --------
    >>> farthest_points(np.array([[0.0], [1.0], [2.1], [4.0]]), 3)
    array([2, 0, 3])
    """
    picked = [int(np.linalg.norm(nodes - nodes.mean(axis=0), axis=1).argmin())]
    distances = np.full(len(nodes), np.inf)
    while len(picked) < n_points:
        distances = np.minimum(distances, np.linalg.norm(nodes - nodes[picked[-1]], axis=1))
        picked.append(int(distances.argmax()))
    return np.array(picked[:n_points])


def _upright(lights, rows):
    """Turn the axes of a plane in space: x to the right and y up, as far as the plane has them, or else depth."""
    axes = np.zeros((2, 3))
    if AffineSubspace.of(lights).rank < 2:
        # A line, or a single light.
        longest = np.abs(rows[0]).argmax()
        axes[0] = rows[0] * np.sign(rows[0][longest])
        return axes
    normal = np.cross(rows[0], rows[1])
    right = np.array([1.0, 0, 0]) - normal * normal[0]
    if np.linalg.norm(right) < 0.1:
        # The plane is perpendicular to x: depth goes to the right.
        right = np.array([0, 0, -1.0]) + normal * normal[2]
    axes[0] = right / np.linalg.norm(right)
    up = np.cross(normal, axes[0])
    # A floor or a ceiling has no y axis: points farther from the camera are drawn higher.
    height = up[1] if abs(up[1]) > 0.1 else -up[2]
    axes[1] = up if height > 0 else -up
    return axes
