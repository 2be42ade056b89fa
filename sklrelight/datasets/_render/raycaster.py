"""A small ray caster: shapes seen by a camera under one small round lamp at a time.

The scene itself is in `scene.py`. Everything that does not depend on the lamp (what the camera sees, what mirrors show,
how open a point is to its surroundings) is computed once as `SurfacePoints`; for each lamp only shadow rays and shading
remain. As in `shapes.py`, points are (3, n) float32 arrays.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .shapes import Box, Plane, Sphere, Vector, column, dot, norm, unit

__all__ = ["Camera", "Lamp", "Scene", "lamp_offsets", "render", "visible_surface"]

# Points shaded together. Temporaries of this length stay in a core's cache, and bound the memory for any image.
TILE_POINTS = 16384
# Antialiasing: each pixel is the mean of SUPERSAMPLING x SUPERSAMPLING rays.
SUPERSAMPLING = 2
# Rays per point that measure how open it is to its surroundings, and the distance (m) beyond which nothing counts.
OPENNESS_RAYS = 32
OPENNESS_RANGE = 1.2
# A ray that leaves the scene ends on a grey surface this far (m) away: the dim end of a large hall.
HALL_DISTANCE = 12.0
HALL_ALBEDO = 0.4


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; `field_of_view` is the full vertical angle in degrees."""

    position: Vector
    target: Vector
    field_of_view: float

    def axes(self) -> np.ndarray:
        """Right, up and forward as the rows of a (3, 3) array."""
        forward = np.subtract(self.target, self.position)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 1.0, 0.0))
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(right, forward), forward])

    def rays(self, rows: range, image_shape: tuple[int, int]) -> np.ndarray:
        """Unit directions, shape (3, n), of the given rows: subpixel, row, column, the last fastest."""
        height, width = image_shape
        sub = (np.arange(SUPERSAMPLING) + 0.5) / SUPERSAMPLING
        y = 1 - 2 * (sub[:, None, None, None] + np.array(rows)[:, None]) / height
        x = 2 * (sub[:, None, None] + np.arange(width)) / width - 1
        half_height = np.tan(np.radians(self.field_of_view) / 2)
        x, y = np.broadcast_arrays(x * half_height * width / height, y * half_height)
        in_camera = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
        return unit(self.axes().T @ in_camera).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """Shapes and the camera that sees them.

    `planes` are the floor and the wall: they throw no shadow on what stands before them, and the indirect light comes
    from them, through the `patches` of shape (3, n) on each.
    """

    planes: tuple[Plane, Plane]
    objects: tuple[Sphere | Box, ...]
    camera: Camera
    patches: tuple[np.ndarray, np.ndarray]

    def surfaces(self) -> tuple[Plane | Sphere | Box, ...]:
        """All shapes: objects first, so that an object's number is its place in `objects`."""
        return self.objects + self.planes


@dataclass(frozen=True)
class Lamp:
    """A small round lamp: `intensity` over squared distance (m), seen by shadow rays at `offsets` (n_samples, 3)."""

    radius: float
    intensity: float
    offsets: np.ndarray


class SurfacePoints(NamedTuple):
    """Points to shade, along the last axis, with everything that no lamp changes.

    `diffuse` is albedo / pi, `owner` the shape's number, `bounce` (2, 3, n) the share of the light from each plane.
    """

    position: np.ndarray
    normal: np.ndarray
    view: np.ndarray
    diffuse: np.ndarray
    specular: np.ndarray
    exponent: np.ndarray
    mirror: np.ndarray
    owner: np.ndarray
    bounce: np.ndarray


def sphere_lattice(n: int) -> np.ndarray:
    """Spread n directions evenly over the unit sphere (Fibonacci lattice), shape (n, 3)."""
    index = np.arange(n) + 0.5
    height = 1 - 2 * index / n
    angle = np.pi * (1 + np.sqrt(5)) * index
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], axis=1)


def lamp_offsets(n_samples: int, radius: float) -> np.ndarray:
    """Spread n_samples points evenly through a ball round 0, shape (n_samples, 3).

    The ball has no preferred side, so a lamp needs no orientation. All lamps share the offsets: penumbrae then move
    smoothly from lamp to lamp, where new random offsets would add noise to every image.
    """
    if n_samples == 1:
        return np.zeros((1, 3), dtype=np.float32)
    # Equal shares of the volume, in an order (golden ratio) that is unrelated to the lattice's run over the sphere.
    golden = (1 + np.sqrt(5)) / 2
    share = (np.argsort(np.argsort(np.arange(n_samples) * golden % 1)) + 0.5) / n_samples
    offsets = radius * np.cbrt(share)[:, None] * sphere_lattice(n_samples)
    return (offsets - offsets.mean(axis=0)).astype(np.float32)


def first_hits(
    scene: Scene, origins: np.ndarray, directions: np.ndarray, owner: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance to the nearest surface along each ray, and its number; the hall's is -1.

    A convex shape cannot hit itself: rays skip their `owner`, which makes an epsilon against self-hits needless.
    """
    distances = np.full(directions.shape[1], HALL_DISTANCE, dtype=np.float32)
    numbers = np.full(directions.shape[1], -1)
    for number, surface in enumerate(scene.surfaces()):
        found = surface.intersect(origins, directions)
        nearer = found < distances
        if owner is not None:
            nearer &= owner != number
        distances[nearer] = found[nearer]
        numbers[nearer] = number
    return distances, numbers


def openness(scene: Scene, position: np.ndarray, normal: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return the share of the surroundings that reaches each point: ambient occlusion, in [0, 1].

    A normal plus an even spread over the sphere is a cosine-weighted spread over the hemisphere.
    """
    total = np.zeros(position.shape[1], dtype=np.float32)
    for direction in sphere_lattice(OPENNESS_RAYS):
        distances, _ = first_hits(scene, position, unit(normal + column(direction)), owner)
        total += np.minimum(distances / np.float32(OPENNESS_RANGE), 1)
    return total / OPENNESS_RAYS


def surface_points(
    scene: Scene, origins: np.ndarray, directions: np.ndarray, owner: np.ndarray | None = None
) -> SurfacePoints:
    """Follow rays to the surfaces that they meet."""
    distances, numbers = first_hits(scene, origins, directions, owner)
    position = origins + directions * distances
    normal = -directions
    diffuse = np.full(directions.shape, HALL_ALBEDO, dtype=np.float32)
    specular = np.zeros(directions.shape, dtype=np.float32)
    exponent = np.ones(len(numbers), dtype=np.float32)
    mirror = np.zeros(len(numbers), dtype=np.float32)
    for number, surface in enumerate(scene.surfaces()):
        here = np.flatnonzero(numbers == number)
        points = position[:, here]
        material = surface.material
        normal[:, here] = surface.normals(points)
        diffuse[:, here] = material.albedo(surface.to_local(points))
        specular[:, here] = column(material.specular)
        exponent[here] = material.exponent
        mirror[here] = material.mirror
    view = -directions
    # Schlick's Fresnel term. Highlights lie where the half-way vector is near the normal, so the angle between normal
    # and view serves them too, and the term is computed once for all lamps.
    grazing = (1 - np.clip(dot(normal, view), 0, 1)) ** 5
    specular = np.where(specular > 0, specular + (1 - specular) * grazing, 0)
    diffuse /= np.float32(np.pi)
    reached = diffuse * openness(scene, position, normal, numbers)
    # The more a surface turns to the floor (or wall), the more of its hemisphere that plane fills.
    bounce = np.stack([reached * (1 - dot(normal, column(plane.normal))) / 2 for plane in scene.planes])
    return SurfacePoints(position, normal, view, diffuse, specular, exponent, mirror, numbers, bounce)


def visible_points(scene: Scene, directions: np.ndarray) -> tuple[SurfacePoints, np.ndarray, np.ndarray]:
    """Follow the camera's rays, and those that mirrors send on.

    Returns the points that the camera sees, then those that mirrors show; the numbers of the points that mirror; and
    the share of light that each of them sends back.
    """
    seen = surface_points(scene, np.broadcast_to(column(scene.camera.position), directions.shape), directions)
    reflecting = np.flatnonzero(seen.mirror > 0)
    incoming, normal = directions[:, reflecting], seen.normal[:, reflecting]
    outgoing = incoming - 2 * dot(incoming, normal) * normal
    mirrored = surface_points(scene, seen.position[:, reflecting], outgoing, seen.owner[reflecting])
    points = SurfacePoints(*(np.concatenate(pair, axis=-1) for pair in zip(seen, mirrored, strict=True)))
    return points, reflecting, seen.specular[:, reflecting] * seen.mirror[reflecting]


def visibility(scene: Scene, points: SurfacePoints, to_lamp: np.ndarray, facing: np.ndarray, lamp: Lamp) -> np.ndarray:
    """Return the share of the lamp's samples that each point sees, in [0, 1]; any value where it is not `facing` it."""
    blocked = np.zeros((len(lamp.offsets), len(facing)), dtype=bool)
    squared = dot(to_lamp, to_lamp)
    for number, item in enumerate(scene.objects):
        # Every shadow ray stays within the lamp's radius of the one to its centre: a cheap test finds the few points
        # whose centre ray passes near enough to the object for any of the rays to meet it.
        local = points.position - column(item.center)
        along = np.clip(-dot(local, to_lamp) / squared, 0, 1)
        miss = local + along * to_lamp
        near = dot(miss, miss) < np.float32((item.bounding_radius + lamp.radius) ** 2)
        index = np.flatnonzero(near & facing & (points.owner != number))
        blocked[:, index] |= item.blocks(points.position[:, index], to_lamp[:, index], lamp.offsets)
    return 1 - blocked.sum(axis=0, dtype=np.float32) / np.float32(len(lamp.offsets))


def indirect_light(scene: Scene, light: np.ndarray, lamp: Lamp) -> list[np.ndarray]:
    """Return the light that floor and wall give back (radiosity, RGB of shape (3, 1)), from their mean irradiance."""
    radiosity = []
    for plane, patch in zip(scene.planes, scene.patches, strict=True):
        to_lamp = light - patch
        squared = dot(to_lamp, to_lamp)
        irradiance = lamp.intensity * dot(column(plane.normal), to_lamp) / squared**1.5
        albedo = plane.material.albedo(plane.to_local(patch)).mean(axis=1)
        radiosity.append(column(albedo * irradiance.mean()))
    return radiosity


def shade(scene: Scene, points: SurfacePoints, light: np.ndarray, lamp: Lamp) -> np.ndarray:
    """Return the radiance, shape (3, n), that each point sends to its viewer; proportional to the lamp's intensity."""
    to_lamp = light - points.position
    inverse = 1 / norm(to_lamp)
    to_lamp_unit = to_lamp * inverse
    cosine = dot(points.normal, to_lamp_unit)
    facing = cosine > 0
    seen = visibility(scene, points, to_lamp, facing, lamp)
    irradiance = np.float32(lamp.intensity) * np.maximum(cosine, 0) * inverse**2 * seen
    half = to_lamp_unit + points.view
    # Blinn's highlight, scaled by (e + 8) / (8 pi) so that it sends back the same light whatever the exponent.
    aligned = np.maximum(dot(points.normal, half), 0) / np.maximum(norm(half), 1e-12)
    lobe = (points.exponent + 8) / np.float32(8 * np.pi) * aligned**points.exponent
    radiance = (points.diffuse + points.specular * lobe) * irradiance
    for received, radiosity in zip(points.bounce, indirect_light(scene, light, lamp), strict=True):
        radiance += received * radiosity
    return radiance


def render(scene: Scene, lights: np.ndarray, image_shape: tuple[int, int], lamp: Lamp) -> np.ndarray:
    """Render one image for each light.

    Parameters
    ----------
    scene : Scene
        Shapes and camera.

    lights : ndarray of shape (n_lights, 3)
        Positions (m) of the lamp, outside of all shapes by at least its radius.

    image_shape : tuple of 2 ints
        Height and width in pixels.

    lamp : Lamp
        Size, intensity and shadow samples of the lamp.

    Returns
    -------
    images : ndarray of shape (n_lights, height, width, 3), float32
        Linear radiance. An image depends on its own light only, to the last bit.
    """
    height, width = image_shape
    images = np.empty((len(lights), height, width, 3), dtype=np.float32)
    # In strips of whole rows, each about `TILE_POINTS` rays.
    step = max(1, TILE_POINTS // (width * SUPERSAMPLING**2))
    for start in range(0, height, step):
        rows = range(start, min(start + step, height))
        directions = scene.camera.rays(rows, image_shape)
        points, reflecting, reflectance = visible_points(scene, directions)
        for image, light in zip(images, lights, strict=True):
            radiance = shade(scene, points, column(light), lamp)
            seen, mirrored = np.split(radiance, [directions.shape[1]], axis=1)
            seen[:, reflecting] += reflectance * mirrored
            pixels = seen.reshape(3, SUPERSAMPLING**2, len(rows), width).mean(axis=1)
            image[rows.start : rows.stop] = np.moveaxis(pixels, 0, -1)
    return images


def visible_surface(scene: Scene, image_shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Find the surface that each pixel shows.

    Parameters
    ----------
    scene : Scene
        Shapes and camera.

    image_shape : tuple of 2 ints
        Height and width in pixels.

    Returns
    -------
    positions, normals : ndarray of shape (height, width, 3), float32
        Mean position (m) of a pixel's points, and the direction of their mean normal, in the scene's axes. What shows
        the hall faces the camera.
    """
    shape = (3, SUPERSAMPLING**2, *image_shape)
    directions = scene.camera.rays(range(image_shape[0]), image_shape)
    distances, numbers = first_hits(scene, np.broadcast_to(column(scene.camera.position), directions.shape), directions)
    positions = column(scene.camera.position) + directions * distances
    normals = -directions
    for number, surface in enumerate(scene.surfaces()):
        here = np.flatnonzero(numbers == number)
        normals[:, here] = surface.normals(positions[:, here])
    positions, normals = (values.reshape(shape).mean(axis=1) for values in (positions, unit(normals)))
    return np.moveaxis(positions, 0, -1), np.moveaxis(unit(normals), 0, -1)
