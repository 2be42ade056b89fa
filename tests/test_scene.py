"""The rendered scene: what it returns, how its light behaves, and what it refuses."""

import time

import numpy as np
import pytest

from sklrelight.datasets import make_scene
from sklrelight.datasets._render.raycaster import Lamp, Scene, lamp_offsets, render
from sklrelight.datasets._render.scene import LAMP_INTENSITY, LAMP_RADIUS, build_scene, value_noise
from sklrelight.datasets._render.shapes import Box, Material, Plane, Sphere

SMALL = (24, 32)
LEFT, RIGHT = (-2.4, 2.2, 4.2), (2.4, 2.2, 4.2)
# The middle of the brass ball's shadow on the wall under LEFT: the lamp, the ball's centre and this are in line.
IN_SHADOW = (1.77, 0.904, -1.6)


def pixel_of(point, camera, image_shape):
    """Row and column, as floats, where the camera sees a point."""
    forward = np.subtract(camera.target, camera.position)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0, 1, 0))
    right /= np.linalg.norm(right)
    offset = np.subtract(point, camera.position)
    x, y, z = offset @ right, offset @ np.cross(right, forward), offset @ forward
    focal = image_shape[0] / 2 / np.tan(np.radians(camera.field_of_view) / 2)
    return image_shape[0] / 2 - focal * y / z, image_shape[1] / 2 + focal * x / z


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=12, image_shape=SMALL)


def test_what_is_returned(scene):
    assert scene.images.shape == (12, *SMALL, 3)
    assert scene.images.dtype == np.float32
    assert scene.lights.shape == (12, 3)
    assert scene.lights.dtype == np.float64
    np.testing.assert_array_equal(scene.light_positions, scene.lights)
    assert scene.grid_shape == (3, 4)
    assert scene.image_shape == SMALL
    assert (scene.domain, scene.units, scene.noise) == ("linear radiance", "metre", 0.0)
    assert "still life" in scene.DESCR


def test_radiance_is_finite_positive_and_hdr(scene):
    images = make_scene(n_lights=9, image_shape=(48, 64)).images
    assert np.isfinite(images).all()
    # A little indirect light everywhere, diffuse surfaces about 1 at most, highlights far above.
    assert images.min() > 0
    assert 0.05 < np.median(images) < 0.5
    assert images.max() > 50 * np.median(images)
    assert (images > 3).mean() < 0.01


def test_the_same_call_gives_the_same_bytes(scene):
    again = make_scene(n_lights=12, image_shape=SMALL, random_state=5)
    np.testing.assert_array_equal(again.images, scene.images)


def test_an_image_does_not_depend_on_the_other_lights(scene):
    chosen = [7, 2]
    again = make_scene(lights=scene.lights[chosen], image_shape=SMALL)
    np.testing.assert_array_equal(again.images, scene.images[chosen])
    assert again.light_grid is None
    assert again.grid_shape is None


def test_bands_of_rows_join_without_a_seam():
    # The same view, cut into ten strips and into two.
    fine = make_scene(lights=[LEFT], image_shape=(126, 300)).images[0]
    coarse = make_scene(lights=[LEFT], image_shape=(42, 100)).images[0]
    shrunk = fine.reshape(42, 3, 100, 3, 3).mean(axis=(1, 3))
    assert np.median(np.abs(shrunk - coarse) / coarse) < 0.01


@pytest.mark.parametrize(
    ("n_lights", "rows_columns"),
    [
        (1, (1, 1)),
        (2, (1, 2)),
        (3, (2, 2)),
        (7, (3, 3)),
        (12, (3, 4)),
        (26, (5, 6)),
        (200, (10, 20)),
        (256, (16, 16)),
    ],
)
def test_grid(n_lights, rows_columns):
    scene = make_scene(n_lights, image_shape=(1, 1), shadow_samples=1)
    assert scene.grid_shape == rows_columns
    assert scene.lights.shape == (n_lights, 3)
    assert len(np.unique(scene.lights, axis=0)) == n_lights
    column, row = scene.light_grid.T
    np.testing.assert_array_equal(row * rows_columns[1] + column, np.arange(n_lights))
    # Columns run from left to right, rows from high at the back to low at the front, on one plane.
    if n_lights >= 12:
        np.testing.assert_allclose(scene.lights[0], (-2.4, 3.4, 0.4))
        assert scene.lights[-1, 1:] == pytest.approx((2.2, 4.2))
        assert scene.lights[:, 0].max() == pytest.approx(2.4)
    flat = scene.lights - scene.lights.mean(axis=0)
    assert np.linalg.matrix_rank(flat, tol=1e-9) <= 2


def test_no_grid_light_stands_in_the_view():
    scene = make_scene(256, image_shape=(1, 1), shadow_samples=1)
    rows = [pixel_of(light, scene.camera, SMALL)[0] for light in scene.lights]
    assert max(rows) < 0


def test_grid_lights_may_be_rendered_as_given(scene):
    make_scene(lights=scene.lights.tolist(), image_shape=(1, 1))


def test_cast_shadow():
    images = make_scene(lights=[LEFT, RIGHT], image_shape=(96, 128))
    row, column = (int(value) for value in pixel_of(IN_SHADOW, images.camera, images.image_shape))
    shadowed, lit = images.images[:, row - 1 : row + 2, column - 1 : column + 2].mean(axis=(1, 2, 3))
    # Without the ball, the two lamps would differ by this factor at the same spot of the wall.
    to_lamp = np.subtract([LEFT, RIGHT], IN_SHADOW)
    expected = to_lamp[:, 2] / np.linalg.norm(to_lamp, axis=1) ** 3
    assert shadowed / lit < 0.4 * expected[0] / expected[1]
    assert shadowed > 0


def test_shadows_have_penumbrae_and_one_sample_gives_hard_ones():
    ball = next(item for item in build_scene().objects if item.name == "brass ball")
    across = np.linspace(-0.6, 0.6, 200)
    points = np.array(IN_SHADOW)[:, None] + np.array([[1.0], [0.0], [0.0]]) * across
    points = points.astype(np.float32)
    to_lamp = np.array(LEFT, dtype=np.float32)[:, None] - points
    soft = ball.blocks(points, to_lamp, lamp_offsets(16, LAMP_RADIUS)).mean(axis=0)
    hard = ball.blocks(points, to_lamp, lamp_offsets(1, LAMP_RADIUS)).mean(axis=0)
    assert set(hard) == {0, 1}
    assert len(set(soft)) >= 8
    # Dark in the middle, and it only ever gets lighter on the way out.
    middle = len(across) // 2
    assert soft[middle] == 1
    assert (np.diff(soft[middle:]) <= 0).all()
    assert (np.diff(soft[:middle]) >= 0).all()


def test_falls_off_with_the_square_of_the_distance():
    direction = np.array([0.1, 0.5, 0.9])
    near, far = make_scene(lights=[30 * direction, 60 * direction], image_shape=SMALL).images
    assert np.median(far / near) == pytest.approx(0.25, rel=0.08)


def test_lambert_law_on_a_bare_wall():
    # No floor light (black floor), no objects: what remains is albedo / pi * intensity * cosine / distance ** 2.
    scene = build_scene()
    floor = Plane("floor", (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), Material((0.0, 0.0, 0.0)))
    wall = Plane("wall", (0.0, 0.0, -1.6), (0.0, 0.0, 1.0), Material((1.0, 0.5, 0.25)))
    bare = Scene((floor, wall), (), scene.camera, scene.patches)
    shape = (48, 64)
    light = np.array([0.4, 2.2, 1.4])
    lamp = Lamp(LAMP_RADIUS, LAMP_INTENSITY, lamp_offsets(4, LAMP_RADIUS))
    image = render(bare, light[None], shape, lamp)[0]
    point = np.array([-0.8, 1.2, -1.6])
    row, column = pixel_of(point, scene.camera, shape)
    found = image[int(row), int(column)]
    squared = ((light - point) ** 2).sum()
    expected = 9 * 3 / squared**1.5 * np.array([1, 0.5, 0.25])
    np.testing.assert_allclose(found, expected, rtol=0.03)
    # The lamp's own definition: a white surface that faces it 3 m away has radiance 1.
    assert image[..., 0].max() == pytest.approx(9 / 3**2, rel=0.03)


def test_intensity_only_scales_the_images():
    scene = build_scene()
    offsets = lamp_offsets(4, LAMP_RADIUS)
    one, four = (render(scene, np.array([LEFT]), SMALL, Lamp(LAMP_RADIUS, i, offsets)) for i in (1.0, 4.0))
    # A power of two, so that the floats scale without rounding: there is no constant term at all.
    np.testing.assert_allclose(four, 4 * one, rtol=1e-6)


def test_images_change_smoothly_with_the_light():
    start, shifts = np.array([0.3, 2.7, 2.4]), np.outer([0, 0.02, 0.32], [1, 0, 0])
    images = make_scene(lights=start + shifts, image_shape=SMALL).images
    small, large = (np.abs(images[i] - images[0]).mean() / images[0].mean() for i in (1, 2))
    assert 0 < small < 0.02
    assert small < 0.3 * large


def test_mirror_shows_its_surroundings():
    # The steel ball's mirror image of the wall is as bright as steel's diffuse part never is.
    images = make_scene(n_lights=16, image_shape=(96, 128))
    row, column = (int(value) for value in pixel_of((-0.62, 0.55, 0.0), images.camera, images.image_shape))
    patch = images.images[:, row - 12 : row + 12, column - 12 : column + 12]
    typical = np.median(patch, axis=(0, 3))
    assert typical.std() > 0.03
    assert patch.max() > 5


def test_noise_has_the_documented_size():
    light = [0.3, 2.7, 2.4]
    noise = 0.05
    clean = make_scene(lights=[light], image_shape=(12, 16)).images[0]
    noisy = make_scene(lights=[light] * 400, image_shape=(12, 16), noise=noise).images
    sigma = noise * np.sqrt(clean + 0.01)
    unclipped = clean > 5 * sigma
    assert unclipped.mean() > 0.5
    error = (noisy - clean) / sigma
    assert error.std(axis=0)[unclipped].mean() == pytest.approx(1, abs=0.01)
    assert error.mean(axis=0)[unclipped].mean() == pytest.approx(0, abs=0.01)


def test_noise_comes_from_random_state(scene):
    def noisy(random_state):
        return make_scene(n_lights=2, image_shape=SMALL, noise=0.5, random_state=random_state).images

    first = noisy(0)
    assert first.dtype == np.float32
    assert first.min() == 0
    np.testing.assert_array_equal(first, noisy(0))
    np.testing.assert_array_equal(first, noisy(np.random.RandomState(0)))
    assert not np.array_equal(first, noisy(1))


def test_without_noise_nothing_is_drawn():
    rng = np.random.RandomState(3)
    make_scene(n_lights=1, image_shape=(2, 2), random_state=rng)
    assert rng.randint(2**31) == np.random.RandomState(3).randint(2**31)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_lights": 0}, "'n_lights' parameter"),
        ({"n_lights": 2.5}, "'n_lights' parameter"),
        ({"image_shape": 96}, "'image_shape' parameter"),
        ({"image_shape": (96,)}, "wanted two integers above 0: height, width"),
        ({"image_shape": (0, 4)}, "wanted two integers above 0: height, width"),
        ({"image_shape": (4.0, 4)}, "wanted two integers above 0: height, width"),
        ({"shadow_samples": 0}, "'shadow_samples' parameter"),
        ({"shadow_samples": 256}, "'shadow_samples' parameter"),
        ({"noise": -0.1}, "'noise' parameter"),
        ({"noise": np.nan}, "'noise' parameter"),
        ({"noise": np.inf}, "'noise' parameter"),
        ({"random_state": "seed"}, "'random_state' parameter"),
        ({"lights": [0.0, 2.0, 2.0]}, r"shape \(n_lights, 3\) or, .*, at least one; got shape \(3,\)"),
        ({"lights": [[0.0, 2.0]]}, r"got shape \(1, 2\)"),
        ({"lights": np.empty((0, 3))}, r"got shape \(0, 3\)"),
        ({"lights": [LEFT, (0, np.nan, 2)]}, r"lights\[1\] = \(0\.0, nan, 2\.0\) must be finite"),
        ({"lights": [(0, np.inf, 2)]}, r"lights\[0\] = \(0\.0, inf, 2\.0\) must be finite"),
        ({"lights": [(0, 2e4, 2)]}, "within 10000 m"),
        ({"lights": [LEFT, (0, -1, 2)]}, r"lights\[1\] = \(0\.0, -1\.0, 2\.0\) is behind or too near the floor"),
        ({"lights": [(0, 0.1, 2)]}, "too near the floor"),
        ({"lights": [(0, 2, -2)]}, "behind or too near the wall"),
        ({"lights": [(0.35, 0.36, 0.62)]}, "inside or too near the red ball"),
        ({"lights": [(-0.62, 1.15, -0.55)]}, "inside or too near the steel ball"),
        ({"lights": [(1.0, 0.44, -0.5)]}, "inside or too near the wooden box"),
    ],
)
def test_refuses(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_scene(**{"n_lights": 1, "image_shape": (2, 2)} | parameters)


GREY = Material((0.5, 0.5, 0.5))
SHAPES = [
    Sphere("ball", (0.3, 0.2, -0.1), 0.7, GREY),
    Box("box", (0.1, -0.2, 0.3), (0.3, 0.6, 0.45), GREY, yaw=0.6),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
class TestShapes:
    """Closed forms against the signed distance, which is simple enough to trust."""

    def outside(self, shape, n):
        points = np.random.default_rng(0).uniform(-2, 2, (3, 4 * n)).astype(np.float32)
        return points[:, shape.distance(points) > 0.01][:, :n]

    def test_shadow_rays(self, shape):
        points, lamps = np.split(self.outside(shape, 1000), 2, axis=1)
        offsets = lamp_offsets(5, 0.005)
        blocked = shape.blocks(points, lamps - points, offsets)
        share = np.linspace(0, 1, 400)[:, None, None]
        for offset, found in zip(offsets, blocked, strict=True):
            along = points + share * (lamps + offset[:, None] - points)
            flat = np.moveaxis(along, 1, 0).reshape(3, -1)
            depth = shape.distance(flat).reshape(along.shape[0], -1).min(axis=0)
            # A ray that cuts a corner between two of the 400 steps looks clear to this check.
            clear_cut = np.abs(depth) > 0.01
            np.testing.assert_array_equal(found[clear_cut], depth[clear_cut] < 0)
        assert 0.1 < blocked.mean() < 0.9

    def test_rays_end_on_the_surface(self, shape):
        origins = self.outside(shape, 500)
        aim = np.reshape(shape.center, (3, 1)) + np.random.default_rng(1).normal(0, 0.4, origins.shape)
        directions = (aim - origins) / np.linalg.norm(aim - origins, axis=0)
        distances = shape.intersect(origins, directions.astype(np.float32))
        hit = np.isfinite(distances)
        assert 0.2 < hit.mean() < 1
        ends = (origins + directions * np.where(hit, distances, 0))[:, hit]
        np.testing.assert_allclose(shape.distance(ends), 0, atol=1e-5)
        # Normals point outwards and against the ray.
        normals = shape.normals(ends)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=0), 1, atol=1e-5)
        np.testing.assert_allclose(shape.distance(ends + 0.01 * normals), 0.01, atol=1e-4)
        assert ((normals * directions[:, hit]).sum(axis=0) < 1e-3).all()


def test_value_noise_is_smooth_and_fills_its_range():
    line = np.linspace(-20, 20, 4001)
    values = value_noise(np.stack([line, 0.3 * line, np.full_like(line, 0.5)]), 0.5)
    assert 0 <= values.min() < 0.2
    assert 0.8 < values.max() <= 1
    assert np.abs(np.diff(values)).max() < 0.06


@pytest.mark.slow
def test_256_lights_take_less_than_20_seconds():
    start = time.perf_counter()
    make_scene(256, image_shape=(96, 128))
    assert time.perf_counter() - start < 20
