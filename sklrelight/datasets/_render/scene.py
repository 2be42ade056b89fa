"""A rendered capture: a still life in front of a wall, under many lights."""

from dataclasses import asdict
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from ...utils._sklearn_compat import Interval, validate_params
from .._formats.images import check_sizes
from .raycaster import Camera, Lamp, Scene, lamp_offsets, render, visible_surface
from .shapes import Box, Material, Plane, Sphere

__all__ = ["make_scene"]

LAMP_RADIUS = 0.12
# A white surface that faces the lamp 3 m away then has radiance 1.
LAMP_INTENSITY = 9 * np.pi
# The lamps' plane leans from high above the wall's foot to low near the camera, and stays above the camera's view.
GRID_HALF_WIDTH = 2.4
GRID_BACK = (3.4, 0.4)  # y, z of the first row
GRID_FRONT = (2.2, 4.2)  # y, z of the last row
# Standard deviation of the read noise, as a share of the noise at radiance 1.
READ_NOISE = 0.1
# Positions beyond this (m) would lose the scene's detail in float32.
FARTHEST_LIGHT = 1e4

DESCRIPTION = """\
Rendered still life under near lights
-------------------------------------
Ray cast by sklrelight.datasets.make_scene: a tiled floor, a wall, four balls (matte, glossy, two metal-like) and
three boxes, seen by a fixed pinhole camera and lit by one small round lamp per image, with fall-off, soft cast
shadows, one mirror bounce and a little indirect light. Radiance is linear and proportional to the lamp's
intensity: images under several lamps at once are sums of these images. Axes: x to the right, y up, z to the camera;
the floor is y = 0. Lengths are in metres.
"""


def value_noise(points: np.ndarray, cell: float) -> np.ndarray:
    """Return smooth noise in [0, 1], shape (n,): random values at the corners of a lattice, blended between them."""
    scaled = points / cell
    corner = np.floor(scaled)
    fraction = scaled - corner
    fraction = fraction * fraction * (3 - 2 * fraction)
    lattice = corner.astype(np.int64)
    total = np.zeros(points.shape[1], dtype=np.float32)
    for step in np.ndindex(2, 2, 2):
        x, y, z = (lattice + np.reshape(step, (3, 1))).astype(np.uint32)
        # A hash of the lattice point for its random value: primes to mix the axes, shifts to mix the bits.
        key = (x * np.uint32(73856093)) ^ (y * np.uint32(19349663)) ^ (z * np.uint32(83492791))
        key = (key ^ (key >> 13)) * np.uint32(1540483477)
        key = (key ^ (key >> 15)) * np.uint32(1540483477)
        value = (key >> 8).astype(np.float32) / 2**24
        weight = np.where(np.reshape(step, (3, 1)) == 1, fraction, 1 - fraction).prod(axis=0)
        total += value * weight
    return total


def checker(points: np.ndarray, cell: float) -> np.ndarray:
    """Return a pattern of chequered cubes; its shift keeps a floor, or a box's face, off the border of two cubes."""
    return np.floor(points / cell + 0.25).sum(axis=0) % 2


def tiles(points: np.ndarray) -> np.ndarray:
    """Return the pattern of a chequered floor with worn tiles."""
    return 0.75 * checker(points, 0.5) + 0.25 * value_noise(points, 0.09)


def plaster(points: np.ndarray) -> np.ndarray:
    """Return a pattern of broad stripes over mottled plaster."""
    stripe = np.sin(points[0] * (2 * np.pi / 0.8)) > 0
    return 0.5 * stripe + 0.3 * value_noise(points, 0.25) + 0.2 * value_noise(points, 0.06)


def marble(points: np.ndarray) -> np.ndarray:
    """Return a pattern of wavy veins."""
    bend = value_noise(points, 0.2) + 0.5 * value_noise(points, 0.1)
    return 0.5 + 0.5 * np.sin(18 * points[0] + 12 * points[1] + 9 * bend)


def grain(points: np.ndarray) -> np.ndarray:
    """Return the pattern of wood: stretched noise cut into rings."""
    rings = 7 * value_noise(points * np.array([[1.0], [0.25], [1.0]]), 0.25)
    return rings % 1


# Reflectance of plastic and of varnish at normal incidence.
GLOSS = (0.04, 0.04, 0.04)

TILES = Material((0.62, 0.55, 0.46), (0.16, 0.15, 0.15), tiles, specular=GLOSS, exponent=40)
PLASTER = Material((0.36, 0.44, 0.50), (0.68, 0.66, 0.60), plaster)
STEEL = Material((0.02, 0.02, 0.02), specular=(0.85, 0.87, 0.9), exponent=90, mirror=1.0)
BRASS = Material((0.12, 0.08, 0.02), specular=(0.95, 0.68, 0.30), exponent=40, mirror=0.5)
RED_PLASTIC = Material((0.62, 0.05, 0.04), specular=GLOSS, exponent=120, mirror=1.0)
BLUE_PLASTIC = Material((0.05, 0.14, 0.45), specular=GLOSS, exponent=120, mirror=1.0)
MARBLE = Material((0.78, 0.74, 0.66), (0.12, 0.30, 0.26), marble)
WOOD = Material((0.55, 0.33, 0.16), (0.30, 0.15, 0.06), grain, specular=GLOSS, exponent=30)
CHEQUERS = Material((0.75, 0.72, 0.2), (0.1, 0.12, 0.3), partial(checker, cell=0.15))


def build_scene() -> Scene:
    """Return the scene that `make_scene` renders."""
    floor = Plane("floor", point=(0.0, 0.0, 0.0), normal=(0.0, 1.0, 0.0), material=TILES)
    wall = Plane("wall", point=(0.0, 0.0, -1.6), normal=(0.0, 0.0, 1.0), material=PLASTER)
    objects = (
        Sphere("steel ball", center=(-0.62, 0.55, -0.55), radius=0.55, material=STEEL),
        Sphere("red ball", center=(0.35, 0.36, 0.62), radius=0.36, material=RED_PLASTIC),
        Sphere("marble ball", center=(-0.95, 0.3, 0.75), radius=0.3, material=MARBLE),
        Sphere("brass ball", center=(0.98, 1.15, -0.5), radius=0.27, material=BRASS),
        Box("wooden box", center=(1.0, 0.44, -0.5), half_size=(0.38, 0.44, 0.38), yaw=0.5, material=WOOD),
        Box("chequered box", center=(0.2, 0.62, -1.1), half_size=(0.2, 0.62, 0.2), yaw=-0.35, material=CHEQUERS),
        Box("blue box", center=(1.22, 0.15, 0.72), half_size=(0.28, 0.15, 0.2), yaw=-0.6, material=BLUE_PLASTIC),
    )
    camera = Camera(position=(0.0, 1.55, 6.0), target=(0.05, 0.62, 0.0), field_of_view=26.0)
    x, depth = np.meshgrid(np.linspace(-1.8, 1.8, 7), np.linspace(-1.4, 1.8, 7))
    floor_patch = np.stack([x.ravel(), np.zeros(x.size), depth.ravel()])
    x, height = np.meshgrid(np.linspace(-1.8, 1.8, 7), np.linspace(0.2, 2.0, 5))
    wall_patch = np.stack([x.ravel(), height.ravel(), np.full(x.size, wall.point[2])])
    return Scene((floor, wall), objects, camera, (floor_patch.astype(np.float32), wall_patch.astype(np.float32)))


def grid_shape(n_lights: int) -> tuple[int, int]:
    """Return rows and columns of a grid for n_lights, as square as possible; see `make_scene`."""
    rows = max(r for r in range(1, int(n_lights**0.5) + 1) if n_lights % r == 0)
    if n_lights <= 2 * rows * rows:
        return rows, n_lights // rows
    columns = int(np.ceil(n_lights**0.5))
    return -(-n_lights // columns), columns


def grid_lights(n_lights: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Return positions (n, 3), cells as column and row (n, 2), and the grid's rows and columns."""
    rows, columns = grid_shape(n_lights)
    row, col = np.divmod(np.arange(n_lights), columns)
    across = _steps(columns)[col]
    forward = _steps(rows)[row][:, None]
    height_depth = (1 - forward) * GRID_BACK + forward * GRID_FRONT
    positions = np.column_stack([GRID_HALF_WIDTH * (2 * across - 1), height_depth])
    return positions, np.column_stack([col, row]), (rows, columns)


def _steps(n: int) -> np.ndarray:
    """Return n even steps from 0 to 1; a single one stands in the middle."""
    return np.linspace(0, 1, n) if n > 1 else np.array([0.5])


def _check_lights(lights, scene: Scene) -> np.ndarray:
    """Return lights as float64 of shape (n, 3) or (n, k, 3), all of them where a lamp can stand."""
    given = np.array(lights, dtype=np.float64)
    if given.ndim not in (2, 3) or given.shape[-1] != 3 or given.size == 0:
        raise ValueError(
            "lights must be positions of shape (n_lights, 3) or, several at once, (n_images, n_lamps, 3), at least one;"
            f" got shape {given.shape}"
        )
    positions = given.reshape(-1, 3)
    unusable = ~(np.abs(positions) <= FARTHEST_LIGHT).all(axis=1)
    if unusable.any():
        i = int(np.flatnonzero(unusable)[0])
        raise ValueError(
            f"lights[{i}] = {tuple(positions[i].tolist())} must be finite and within {FARTHEST_LIGHT:g} m of the scene"
        )
    for surface in scene.surfaces():
        # A hair less than the radius, so that rounding does not refuse a lamp that touches the surface.
        inside = surface.distance(positions.T) < 0.999 * LAMP_RADIUS
        if inside.any():
            i = int(np.flatnonzero(inside)[0])
            where = "behind or too near" if isinstance(surface, Plane) else "inside or too near"
            raise ValueError(
                f"lights[{i}] = {tuple(positions[i].tolist())} is {where} the {surface.name}: a lamp has a radius of "
                f"{LAMP_RADIUS} m and must stand clear of the floor, the wall and every object"
            )
    return given


def _add_noise(images: np.ndarray, noise: float, random_state) -> None:
    """Add shot and read noise in place, image by image so that no second array of images is needed."""
    rng = check_random_state(random_state)
    for image in images:
        sigma = noise * np.sqrt(image + READ_NOISE**2)
        image[...] = np.maximum(image + sigma * rng.standard_normal(image.shape), 0)


@validate_params(
    {
        "n_lights": [Interval(Integral, 1, None, closed="left")],
        "image_shape": [tuple, list],
        "lights": ["array-like", None],
        "shadow_samples": [Interval(Integral, 1, 255, closed="both")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_scene(n_lights=256, *, image_shape=(96, 128), lights=None, shadow_samples=16, noise=0.0, random_state=0):
    """Render a still life under one near light per image.

    A tiled floor, a wall, four balls (matte, glossy, two metal-like) and three boxes, seen by a fixed camera. Each
    image is lit by one small round lamp with inverse-square fall-off; shadows are soft, metal and plastic mirror the
    scene once, and a little indirect light reaches the shadows. The scene is always the same; only the lights differ.

    Parameters
    ----------
    n_lights : int, default=256
        Number of lights, on a grid as square as possible. The grid is full, rows x columns = n_lights, where that is
        possible with at most twice as many columns as rows (256: 16 x 16, 200: 10 x 20, 12: 3 x 4); otherwise it has
        ceil(sqrt(n_lights)) columns and its last row is not full (7: 3 x 3 without the last two, 26: 5 x 6 without
        the last four). The grid always spans the same plane, so a smaller n_lights is a coarser grid. It is ignored
        where `lights` is given.

    image_shape : tuple of 2 ints, default=(96, 128)
        Height and width in pixels. The vertical field of view is fixed; a wider image shows more at the sides.

    lights : array-like of shape (n_lights, 3) or (n_images, n_lamps, 3), default=None
        Positions (m) of lamps that replace the grid, such as held-out lights off the grid: one lamp for each image, or
        several that shine at once. x to the right, y up, z to the camera; the floor is y = 0, the wall z = -1.6, the
        grid runs from (+-2.4, 3.4, 0.4) at the back to (+-2.4, 2.2, 4.2) at the front.

    shadow_samples : int, default=16
        Number of shadow rays per lamp and point, 1 to 255; 1 gives hard shadows. The same rays serve all lamps.

    noise : float, default=0.0
        Sensor noise: standard deviation at radiance 1, about the brightness of a white surface. See Notes.

    random_state : int, RandomState instance or None, default=0
        Source of the noise; not used where ``noise`` is 0.

    Returns
    -------
    scene : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these attributes:

        lights : ndarray of shape (n_lights, 3), or as `lights` was given
            Positions of the lamps (m), float64. Also as ``light_positions``.
        images : ndarray of shape (n_lights, height, width, 3)
            Linear radiance, RGB, float32, not negative; row 0 at the top. Diffuse surfaces reach about 1, highlights
            many times that.
        normals : ndarray of shape (height, width, 3), float32
            Normals of the surface that each pixel shows, unit vectors in the axes of the lights. At edges of objects
            the direction of the mean normal.
        points : ndarray of shape (height, width, 3), float32
            Positions (m) of what each pixel shows, in the axes of the lights.
        light_grid : ndarray of shape (n_lights, 2) or None
            Column and row of each light in the grid, columns from left to right, rows from back to front; None where
            `lights` was given.
        grid_shape : tuple of 2 ints or None
            Rows and columns of the grid; None where `lights` was given.
        image_shape : tuple of 2 ints
            Height and width.
        domain, units : str
            Domain of the images (``"linear radiance"``) and unit of all lengths (``"metre"``).
        light_radius, light_intensity : float
            Radius and intensity of a lamp.
        noise : float
            The parameter.
        camera : :class:`~sklearn.utils.Bunch`
            ``position`` and ``target`` (m), and the vertical ``field_of_view`` (degrees).
        DESCR : str
            Description of the scene.

    Raises
    ------
    ValueError
        If a parameter is out of range, or a light is not finite, or touches or lies behind the floor, the wall or an
        object. The message names the light.

    Notes
    -----
    Radiance is proportional to the lamp's intensity, with no constant term, so that the image under several lamps is
    the sum of the images under each. Highlights are Blinn's [1]_, normalised, with Schlick's Fresnel term [2]_;
    mirrors follow one reflected ray [3]_. Indirect light is the mean light on floor and wall; a surface receives it as
    far as it faces them and lies open.

    With ``noise`` > 0 a value x becomes ``max(0, x + noise * sqrt(x + 0.01) * z)`` with z standard normal: shot
    noise, whose variance grows with x, and read noise a tenth as large as the noise at radiance 1.

    Time grows with lights x pixels; memory is that of the images plus some tens of megabytes.

    References
    ----------
    .. [1] J. F. Blinn, "Models of light reflection for computer synthesized pictures", SIGGRAPH 1977.
    .. [2] C. Schlick, "An inexpensive BRDF model for physically-based rendering", Computer Graphics Forum 13(3), 1994.
    .. [3] T. Whitted, "An improved illumination model for shaded display", Communications of the ACM 23(6), 1980.

    Examples
    --------
    >>> from sklrelight.datasets import make_scene
    >>> scene = make_scene(n_lights=6, image_shape=(12, 16))
    >>> scene.images.shape, scene.grid_shape
    ((6, 12, 16, 3), (2, 3))
    >>> held_out = make_scene(lights=[[0.3, 2.5, 2.0]], image_shape=(12, 16))
    >>> held_out.images.shape
    (1, 12, 16, 3)
    """
    height_width = check_sizes(image_shape, "image_shape", "height, width")
    scene = build_scene()
    if lights is None:
        positions, light_grid, rows_columns = grid_lights(n_lights)
    else:
        positions, light_grid, rows_columns = _check_lights(lights, scene), None, None
    lamp = Lamp(LAMP_RADIUS, LAMP_INTENSITY, lamp_offsets(shadow_samples, LAMP_RADIUS))
    # (n, 3) is one lamp an image.
    images = np.zeros((len(positions), *height_width, 3), np.float32)
    for lit in np.moveaxis(positions.reshape(len(positions), -1, 3), 1, 0):
        images += render(scene, lit, height_width, lamp)
    if noise > 0:
        _add_noise(images, noise, random_state)
    points, normals = visible_surface(scene, height_width)
    return Bunch(
        lights=positions,
        images=images,
        normals=normals,
        points=points,
        light_positions=positions,
        light_grid=light_grid,
        grid_shape=rows_columns,
        image_shape=height_width,
        domain="linear radiance",
        units="metre",
        light_radius=LAMP_RADIUS,
        light_intensity=LAMP_INTENSITY,
        noise=float(noise),
        camera=Bunch(**asdict(scene.camera)),
        DESCR=DESCRIPTION,
    )
