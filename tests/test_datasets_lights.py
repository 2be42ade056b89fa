"""Environment maps, mirror balls, the sun."""

import re

import numpy as np
import pytest

from sklrelight.datasets import environment_to_lights, lights_from_sphere, sun_to_direction

RNG = np.random.default_rng(0)


def sky(height=32, width=64):
    """A map with a bright sun, a dim gradient and noise."""
    image = RNG.uniform(0, 1, (height, width, 3)) * np.linspace(1, 0.2, height)[:, np.newaxis, np.newaxis]
    image[height // 4, width // 3] = [9000, 8000, 6000]
    return image


def energy(image):
    """Radiance times solid angle, per channel, by the solid angles between circles of latitude."""
    height, width = image.shape[:2]
    edges = np.cos(np.pi * np.arange(height + 1) / height)
    return np.einsum("h,hw...->...", -np.diff(edges) * 2 * np.pi / width, image)


@pytest.mark.parametrize("n", [1, 2, 7, 64, 500])
@pytest.mark.parametrize("grey", [False, True])
def test_energy_is_kept_channel_by_channel(n, grey):
    image = sky()[..., 0] if grey else sky()
    lights, intensities = environment_to_lights(image, n)
    assert lights.shape == (n, 3)
    assert intensities.shape == ((n,) if grey else (n, 3))
    np.testing.assert_allclose(np.linalg.norm(lights, axis=1), 1)
    np.testing.assert_allclose(intensities.sum(axis=0), energy(image), rtol=1e-9)


def test_the_whole_sphere_is_four_pi():
    _, intensities = environment_to_lights(np.ones((16, 32)), 10)
    np.testing.assert_allclose(intensities.sum(), 4 * np.pi)


def test_a_uniform_map_is_cut_evenly_and_balanced():
    lights, intensities = environment_to_lights(np.ones((64, 128)), 64)
    assert intensities.max() / intensities.min() < 1.5
    np.testing.assert_allclose(intensities @ lights / intensities.sum(), 0, atol=1e-2)
    nearest = np.sort(np.degrees(np.arccos(np.clip(lights @ lights.T, -1, 1))), axis=1)[:, 1]
    assert nearest.min() > 5


@pytest.mark.parametrize(
    ("row", "column", "wanted"),
    [
        (16, 32, [0, 0, -1]),  # the middle: where the camera looks
        (16, 48, [1, 0, 0]),  # the right half
        (16, 16, [-1, 0, 0]),
        (16, 0, [0, 0, 1]),  # the edge: behind the camera
        (8, 0, [0, np.sqrt(0.5), np.sqrt(0.5)]),
        (0, 10, [0, 1, 0]),
        (31, 10, [0, -1, 0]),
    ],
)
def test_directions(row, column, wanted):
    image = np.zeros((32, 64))
    image[row, column] = 1
    lights, _ = environment_to_lights(image, 1)
    np.testing.assert_allclose(lights[0], wanted, atol=0.11)  # a pixel is 5.6 degrees wide


def test_rotation_turns_the_middle_to_the_right():
    image = np.zeros((32, 64))
    image[16, 32] = 1
    lights, _ = environment_to_lights(image, 1, rotation=90)
    np.testing.assert_allclose(lights[0], [1, 0, 0], atol=0.11)


def test_a_sun_keeps_its_place_and_its_light():
    image = np.full((32, 64, 3), 0.001)
    image[8, 50] = [500, 400, 300]
    lights, intensities = environment_to_lights(image, 16)
    only_sun = np.zeros_like(image)
    only_sun[8, 50] = image[8, 50]
    sun, sun_energy = environment_to_lights(only_sun, 1)
    brightest = np.argmax(intensities[:, 0])
    np.testing.assert_allclose(lights[brightest], sun[0], atol=1e-2)
    np.testing.assert_allclose(intensities[brightest], sun_energy[0], rtol=1e-2)


def test_every_pixel_can_become_a_light():
    image = RNG.uniform(0, 1, (4, 6, 3))
    image[0, :3] = 0
    lights, intensities = environment_to_lights(image, 24)
    assert lights.shape == (24, 3)
    np.testing.assert_allclose(intensities.sum(axis=0), energy(image))


@pytest.mark.parametrize(
    ("image", "n", "message"),
    [
        (np.ones((4, 8)), 0, "n_lights=0, wanted an integer from 1 to 32"),
        (np.ones((4, 8)), 33, "n_lights=33"),
        (np.ones((4, 8)), 2.0, "n_lights=2.0"),
        (np.ones((4, 8, 4)), 2, "image has shape (4, 8, 4)"),
        (np.zeros((4, 8)), 2, "image is black"),
        (-np.eye(4), 2, "image: 4 values are negative or not finite, the first at row 0, column 0"),
        (np.full((4, 8, 3), np.nan), 2, "96 values are negative or not finite"),
    ],
)
def test_maps_that_are_refused(image, n, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        environment_to_lights(image, n)


# -- mirror balls -------------------------------------------------------------------------------------------------


def mirror_ball(direction, circle, shape=(120, 160), radius_degrees=4, background=0.1):
    """Photograph of a mirror ball under a round lamp, 4 x 4 rays a pixel."""
    column, row, radius = circle
    steps = (np.arange(4) + 0.5) / 4 - 0.5
    rows = (np.arange(shape[0])[:, np.newaxis] + steps).ravel()[:, np.newaxis]
    columns = (np.arange(shape[1])[:, np.newaxis] + steps).ravel()
    right, up = np.broadcast_arrays((columns - column) / radius, (row - rows) / radius)
    squared = right**2 + up**2
    normal = np.stack([right, up, np.sqrt(np.maximum(1 - squared, 0))], axis=-1)
    mirrored = 2 * normal[..., 2:] * normal - [0, 0, 1]
    lamp = mirrored @ direction > np.cos(np.radians(radius_degrees))
    image = np.where(squared < 1, np.where(lamp, 50.0, background), 0.3)
    return image.reshape(shape[0], 4, shape[1], 4).mean(axis=(1, 3))


@pytest.mark.parametrize("channels", [0, 3])
def test_lights_from_a_mirror_ball(channels):
    circle = (80.3, 61.8, 50.5)
    lights = RNG.normal(size=(40, 3))
    lights[:, 2] = np.abs(lights[:, 2]) - 0.3  # some a little behind the ball
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    images = np.stack([mirror_ball(light, circle) for light in lights])
    if channels:
        images = images[..., np.newaxis] * [1.0, 0.8, 0.6]
    found = lights_from_sphere(images, circle)
    errors = np.degrees(np.arccos(np.clip((found * lights).sum(axis=1), -1, 1)))
    assert errors.max() < 0.5
    # Overexposed photographs have no brightest pixel, but still a centre.
    clipped = lights_from_sphere(np.minimum(images, 1), circle)
    errors = np.degrees(np.arccos(np.clip((clipped * lights).sum(axis=1), -1, 1)))
    assert errors.max() < 1


def test_a_brighter_object_beside_the_ball_is_ignored():
    circle = (80, 60, 50)
    light = np.array([0.48, 0.6, 0.64])
    image = mirror_ball(light, circle)
    image[:20, :20] = 1000
    np.testing.assert_allclose(lights_from_sphere([image], circle)[0], light, atol=1e-2)


@pytest.mark.parametrize(
    ("image", "circle", "message"),
    [
        (np.zeros((40, 40)), (20, 20, 15), "images[0] shows no highlight: the brightest value on the ball is 0"),
        (np.ones((40, 40)), (20, 20, 15), "images[0] shows no small highlight"),
        (np.full((40, 40), np.nan), (20, 20, 15), "images[0] shows no highlight"),
        (np.ones((40, 40)), (20, 20, 25), "is not within images of 40 x 40 pixels"),
        (np.ones((40, 40)), (20, 5, 10), "is not within images of 40 x 40 pixels"),
        (np.ones((40, 40)), (20, 20, 0), "wanted (column, row, radius)"),
        (np.ones((40, 40)), (20, 20), "wanted (column, row, radius)"),
        (np.ones(40), (20, 20, 10), "images has shape (1, 40)"),
    ],
)
def test_balls_that_are_refused(image, circle, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        lights_from_sphere([image], circle)


# -- the sun ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("azimuth", "altitude", "heading", "wanted"),
    [
        (0, 0, 0, [0, 0, -1]),  # the camera looks into it
        (90, 0, 0, [1, 0, 0]),
        (180, 0, 0, [0, 0, 1]),
        (270, 0, 0, [-1, 0, 0]),
        (123, 90, 45, [0, 1, 0]),
        (90, 0, 90, [0, 0, -1]),
        (180, 0, 90, [1, 0, 0]),
        (180, 30, 0, [0, 0.5, np.sqrt(0.75)]),
    ],
)
def test_the_sun(azimuth, altitude, heading, wanted):
    np.testing.assert_allclose(sun_to_direction(azimuth, altitude, heading=heading), wanted, atol=1e-12)


def test_the_sun_over_arrays():
    directions = sun_to_direction(np.arange(360), 40)
    assert directions.shape == (360, 3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)


def test_suns_that_are_refused():
    with pytest.raises(ValueError, match=r"altitude holds 91\.0, wanted degrees from -90 to 90"):
        sun_to_direction([0, 0], [10, 91])
    with pytest.raises(ValueError, match="altitude holds nan"):
        sun_to_direction(0, np.nan)
    with pytest.raises(ValueError, match="azimuth and heading must be finite"):
        sun_to_direction(np.inf, 0)
