"""Shapes and materials for the ray caster: where a ray meets a surface, and how it reflects light there.

Points and directions are float32 arrays of shape (3, n), one contiguous row per axis, because a sum over three rows is
several times faster in numpy than one over the last axis of an (n, 3) array. Lengths are in metres.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Box", "Material", "Plane", "Sphere", "Vector", "column", "dot", "norm", "unit"]

Color = tuple[float, float, float]
Vector = tuple[float, float, float]


def column(vector: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """Return a vector as float32 of shape (3, 1)."""
    return np.asarray(vector, dtype=np.float32).reshape(3, 1)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return dot products along the first axis, which has length 3."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def norm(a: np.ndarray) -> np.ndarray:
    """Return lengths along the first axis."""
    return np.sqrt(dot(a, a))


def unit(a: np.ndarray) -> np.ndarray:
    """Scale to length 1 along the first axis."""
    return a / np.maximum(norm(a), 1e-12)


def plain(points: np.ndarray) -> np.ndarray:
    """Pattern of a material with one colour."""
    return np.zeros(points.shape[1:], dtype=np.float32)


@dataclass(frozen=True)
class Material:
    """How a surface reflects light: a diffuse part, a highlight and a mirror image.

    Parameters
    ----------
    color, second_color : tuple of 3 floats
        Diffuse albedo where `pattern` is 0 and where it is 1.

    pattern : callable, (3, n) -> (n,)
        Solid texture in [0, 1], in the object's own coordinates (m).

    specular : tuple of 3 floats
        Reflectance of the highlight and of the mirror image at normal incidence.

    exponent : float
        Exponent of the Blinn-Phong highlight: the larger, the smaller and brighter it is.

    mirror : float
        Share of `specular` that shows the surroundings; 0 casts no reflected ray.
    """

    color: Color
    second_color: Color = (0.0, 0.0, 0.0)
    pattern: Callable[[np.ndarray], np.ndarray] = plain
    specular: Color = (0.0, 0.0, 0.0)
    exponent: float = 1.0
    mirror: float = 0.0

    def albedo(self, local_points: np.ndarray) -> np.ndarray:
        """Return the diffuse albedo, shape (3, n), at points in the object's own coordinates."""
        mix = self.pattern(local_points)
        return column(self.color) * (1 - mix) + column(self.second_color) * mix


@dataclass(frozen=True)
class Plane:
    """An infinite plane, here a floor or a wall; lamps stand on the side that its normal points to."""

    name: str
    point: Vector
    normal: Vector
    material: Material

    def to_local(self, points: np.ndarray) -> np.ndarray:
        """Return coordinates for the texture, here those of the scene."""
        return points

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the signed distance (m), negative behind the plane."""
        return dot(column(self.normal), points - column(self.point))

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return the distance along each ray to the front of the plane, inf where it is missed."""
        approach = -dot(column(self.normal), directions)
        return np.where(approach > 1e-6, self.distance(origins) / np.maximum(approach, 1e-6), np.inf)

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Return the unit normals, shape (3, n)."""
        return np.broadcast_to(column(self.normal), points.shape)


@dataclass(frozen=True)
class Sphere:
    """A ball."""

    name: str
    center: Vector
    radius: float
    material: Material

    @property
    def bounding_radius(self) -> float:
        """Radius of a ball round `center` that holds the object."""
        return self.radius

    def to_local(self, points: np.ndarray) -> np.ndarray:
        """Return coordinates from the centre."""
        return points - column(self.center)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the signed distance (m), negative inside."""
        return norm(self.to_local(points)) - self.radius

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return the distance along each ray from outside (unit directions), inf where the ball is missed."""
        local = self.to_local(origins)
        b = dot(local, directions)
        discriminant = b * b - dot(local, local) + self.radius**2
        hit = (discriminant > 0) & (b < 0)
        return np.where(hit, -b - np.sqrt(np.maximum(discriminant, 0)), np.inf)

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Return the unit normals, shape (3, n), at points of the surface."""
        return self.to_local(points) / np.float32(self.radius)

    def blocks(self, points: np.ndarray, to_lamp: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Tell whether the ball stands between each point and each sample of the lamp, shape (n_samples, n).

        Both ends lie outside, so the segment is cut exactly where the line is and its nearest point to the centre lies
        between the ends: no square root. Dot products with the offsets are one small matrix product each.
        """
        local = self.to_local(points)
        a = dot(to_lamp, to_lamp) + offsets @ (2 * to_lamp) + (offsets * offsets).sum(axis=1, keepdims=True)
        b = dot(local, to_lamp) + offsets @ local
        c = dot(local, local) - np.float32(self.radius**2)
        return (b * b > a * c) & (b < 0) & (a + b > 0)


@dataclass(frozen=True)
class Box:
    """A box that stands upright, turned about the vertical axis by `yaw` radians."""

    name: str
    center: Vector
    half_size: Vector
    material: Material
    yaw: float = 0.0

    @cached_property
    def rotation(self) -> np.ndarray:
        """Matrix from the scene's axes to those of the box."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]], dtype=np.float32)

    @property
    def bounding_radius(self) -> float:
        """Radius of a ball round `center` that holds the object."""
        return float(np.linalg.norm(self.half_size))

    def to_local(self, points: np.ndarray) -> np.ndarray:
        """Return coordinates from the centre along the box's edges."""
        return self.rotation @ (points - column(self.center))

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the signed distance (m), negative inside."""
        outside = np.abs(self.to_local(points)) - column(self.half_size)
        return norm(np.maximum(outside, 0)) + np.minimum(outside.max(axis=0), 0)

    def slabs(self, local: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where lines enter and leave the box, as multiples of `directions`; entry > exit is a miss."""
        entry, leave = column((-np.inf,) * 3)[0], column((np.inf,) * 3)[0]
        for position, direction, half in zip(local, directions, self.half_size, strict=True):
            # A direction parallel to the slab would give 0 / 0 for a point on its border.
            inverse = 1 / np.where(np.abs(direction) < 1e-12, np.float32(1e-12), direction)
            middle, width = -position * inverse, np.abs(inverse) * np.float32(half)
            entry = np.maximum(entry, middle - width)
            leave = np.minimum(leave, middle + width)
        return entry, leave

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return the distance along each ray from outside (unit directions), inf where the box is missed."""
        entry, leave = self.slabs(self.to_local(origins), self.rotation @ directions)
        return np.where((entry < leave) & (entry > 0), entry, np.inf)

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Return the unit normals, shape (3, n), of the faces nearest to points of the surface."""
        local = self.to_local(points)
        axis = np.argmax(np.abs(local) - column(self.half_size), axis=0)
        face = np.where(np.arange(3)[:, None] == axis, np.sign(local), 0).astype(np.float32)
        return self.rotation.T @ face

    def blocks(self, points: np.ndarray, to_lamp: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Tell whether the box stands between each point and each sample of the lamp, shape (n_samples, n)."""
        local = self.to_local(points)
        turned_offsets = (offsets @ self.rotation.T).T
        directions = (self.rotation @ to_lamp)[:, None, :] + turned_offsets[:, :, None]
        entry, leave = self.slabs(local[:, None, :], directions)
        return (entry < leave) & (leave > 0) & (entry < 1)
