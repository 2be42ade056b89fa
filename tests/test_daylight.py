"""Daylight: the sun, real renderings by Radiance, illuminance and glare."""

import numpy as np
import pytest

from sklrelight import BaselineRelighter, Relighter
from sklrelight.daylight import (
    DIRECT_ONLY,
    choose_hours,
    daylight_glare_probability,
    luminance,
    panorama_solid_angles,
    panorama_to_fisheye,
    render_hours,
    sun_lights,
    vertical_illuminance,
)
from sklrelight.daylight._photometry import panorama_directions
from sklrelight.interpolation import RBFInterpolation
from sklrelight.metrics import relative_error

SOUTH = [0, -1, 0]
# A box of 4 x 4 x 3 m without its south side.
ROOM = """
void plastic paint 0 0 5 .5 .5 .5 0 0
paint polygon floor 0 0 12  0 0 0  4 0 0  4 4 0  0 4 0
paint polygon ceiling 0 0 12  0 0 3  0 4 3  4 4 3  4 0 3
paint polygon west 0 0 12  0 0 0  0 4 0  0 4 3  0 0 3
paint polygon east 0 0 12  4 0 0  4 0 3  4 4 3  4 4 0
paint polygon north 0 0 12  0 4 0  4 4 0  4 4 3  0 4 3
"""
VIEW = (2, 3, 1.2)


def sun(azimuth, altitude, direct=0.5, diffuse=0.1):
    around, up = np.radians([azimuth, altitude])
    return [np.cos(up) * np.sin(around), np.cos(up) * np.cos(around), np.sin(up), direct, diffuse]


@pytest.fixture
def room(tmp_path):
    path = tmp_path / "room.rad"
    path.write_text(ROOM)
    return path


@pytest.fixture
def radiance():
    return pytest.importorskip("pyradiance")


def sky_of(height, bright=1.0):
    """A panorama whose upper half is bright."""
    panorama = np.zeros((height, 2 * height, 3), np.float32)
    panorama[: height // 2] = bright
    return panorama


def test_solid_angles_and_directions_cover_the_sphere():
    angles, directions = panorama_solid_angles(32), panorama_directions(32)
    assert angles.sum() == pytest.approx(4 * np.pi)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1)
    np.testing.assert_allclose((directions * angles[..., None]).sum(axis=(0, 1)), 0, atol=1e-12)


@pytest.mark.parametrize("direction", [[0, 1, 0], [1, 0, 0], [-3, -3, 0]])
def test_half_a_sky_lights_an_upright_plane_by_half(direction):
    assert vertical_illuminance(sky_of(64), direction) == pytest.approx(179 * np.pi / 2, rel=1e-3)
    assert vertical_illuminance(panorama_to_fisheye(sky_of(64), direction)) == pytest.approx(179 * np.pi / 2, rel=1e-2)


def test_a_fisheye_image_looks_where_it_should():
    panorama = np.broadcast_to(panorama_directions(64)[..., [0, 1, 2]] + 1, (64, 128, 3))
    fisheye = panorama_to_fisheye(panorama, [0, -1, 0], size=101)
    # The middle is south, the left east, the right west, the top up; the corners are black.
    np.testing.assert_allclose(fisheye[50, 50], [1, 0, 1], atol=0.06)
    np.testing.assert_allclose(fisheye[50, 1], [2, 1, 1], atol=0.08)
    np.testing.assert_allclose(fisheye[50, 99], [0, 1, 1], atol=0.08)
    np.testing.assert_allclose(fisheye[1, 50], [1, 1, 2], atol=0.08)
    assert not fisheye[0, 0].any()


def test_luminance_keeps_float32():
    assert luminance(np.ones((2, 3), np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("image", "direction", "message"),
    [
        (np.ones((4, 6, 3)), SOUTH, "shape"),
        (np.ones((4, 8, 3)), None, "direction=None"),
        (np.ones((4, 8, 3)), [0, 0, 0], "wanted a vector"),
        (np.ones((4, 4, 3)), SOUTH, "leave it out"),
    ],
)
def test_wrong_views_are_refused(image, direction, message):
    with pytest.raises(ValueError, match=message):
        vertical_illuminance(image, direction)


def test_glare_grows_with_the_source(radiance):
    panorama = sky_of(32, 5.0)
    dim = daylight_glare_probability(panorama, SOUTH, size=64)
    panorama[12:16, :4] = 500
    assert 0 < dim < daylight_glare_probability(panorama, SOUTH, size=64) <= 1


def test_the_sun_goes_from_east_to_west_and_night_is_left_out():
    pytest.importorskip("pvlib")
    pandas = pytest.importorskip("pandas")
    times = pandas.date_range("2024-03-20", periods=24, freq="h", tz="Etc/GMT+5")
    lights = sun_lights(times, 36.1, -79.95, weather={"dni": np.full(24, 400.0), "dhi": np.full(24, 100.0)})
    assert len(lights) == 12
    assert list(lights.columns) == ["east", "north", "up", "direct", "diffuse"]
    assert (np.diff(lights["east"]) < 0).all()
    np.testing.assert_allclose(np.linalg.norm(lights[["east", "north", "up"]], axis=1), 1)
    np.testing.assert_allclose(lights[["direct", "diffuse"]], [[0.4, 0.1]] * 12)
    # At an equinox the sun stands at 90 degrees less the latitude at noon.
    assert np.degrees(np.arcsin(lights["up"].max())) == pytest.approx(90 - 36.1, abs=1)
    assert len(sun_lights(times, 36.1, -79.95)) == 12
    with pytest.raises(ValueError, match="negative or not finite"):
        sun_lights(times, 36.1, -79.95, weather={"dni": np.full(24, -1.0), "dhi": np.full(24, 100.0)})
    with pytest.raises(ValueError, match="24 times"):
        sun_lights(times, 36.1, -79.95, weather={"dni": np.ones(3), "dhi": np.ones(3)})


def test_chosen_hours_stand_for_their_neighbours():
    lights = np.random.default_rng(0).normal(size=(6, 1, 5)) * 10 + np.random.default_rng(1).normal(size=(6, 20, 5))
    assert len(np.unique(choose_hours(lights.reshape(-1, 5), 6, random_state=0) // 20)) == 6
    with pytest.raises(ValueError, match="wanted 1 to 2"):
        choose_hours([[0.0], [0.0], [1.0]], 3)


def test_renderings_have_the_energy_of_the_sky(radiance, tmp_path):
    scene = tmp_path / "far.rad"
    scene.write_text("void plastic grey 0 0 5 .5 .5 .5 0 0\ngrey sphere far 0 0 4 90 90 -90 .1\n")
    lights = np.array([sun(180, 30), sun(100, 5, direct=0.0), sun(250, 50)])
    images = render_hours(scene, lights, (0, 0, 0), tmp_path / "a.npy", height=16, options=DIRECT_ONLY, verbose=0)
    assert images.shape == (3, 16, 32, 3)
    assert images.dtype == np.float32
    for light, image in zip(lights, np.asarray(images), strict=True):
        # Between 90 and 150 lm are in a watt of daylight.
        watts = 1000 * (light[2] * light[3] + light[4])
        assert 90 < vertical_illuminance(image, [0, 0, 1]) / watts < 150
    # The pixel of the sun holds all of it.
    brightest = np.unravel_index(np.asarray(images[0]).sum(axis=-1).argmax(), (16, 32))
    assert panorama_directions(16)[brightest] @ lights[0, :3] > 0.98


def test_a_rendering_that_was_stopped_goes_on(radiance, room, tmp_path, monkeypatch):
    lights = np.array([sun(azimuth, 40) for azimuth in (120, 180, 240)])
    arguments = {"height": 4, "options": "-ab 1 -ad 16", "verbose": 0}
    rendered, rtrace = [], radiance.rtrace

    def stop_at_the_last(*args, **keywords):
        rendered.append(1)
        if len(rendered) > 6:
            raise KeyboardInterrupt
        return rtrace(*args, **keywords)

    monkeypatch.setattr(radiance, "rtrace", stop_at_the_last)
    path = tmp_path / "a.npy"
    with pytest.raises(KeyboardInterrupt):
        render_hours(room, lights, VIEW, path, **arguments)
    assert not path.exists()
    rendered.clear()
    # Three calls for an hour: the panorama, and the sun with and without its disc.
    images = render_hours(room, lights, VIEW, path, **arguments)
    assert len(rendered) == 3
    assert np.isfinite(images).all()
    render_hours(room, lights, VIEW, path, **arguments)
    assert len(rendered) == 3
    # Other lights are rendered anew.
    assert len(render_hours(room, lights[:1], VIEW, path, **arguments)) == 1


@pytest.mark.parametrize(
    ("lights", "view", "message"),
    [
        ([[0, 0, 1, 0.5]], VIEW, "wanted \\(n_hours, 5\\)"),
        ([[0, 0, 2, 0.5, 0.1]], VIEW, "row 0"),
        ([[0, 0, 1, -0.5, 0.1]], VIEW, "row 0"),
        ([[0, 0, 1, 0.5, 0.1]], (1, 2), "view"),
    ],
)
def test_wrong_hours_are_refused(radiance, room, tmp_path, lights, view, message):
    with pytest.raises(ValueError, match=message):
        render_hours(room, lights, view, tmp_path / "a.npy", height=4)


def test_what_radiance_says_of_a_bad_scene_is_told(radiance, tmp_path):
    scene = tmp_path / "bad.rad"
    scene.write_text("void plastic paint 0 0 3 1 1 1\n paint polygon")
    with pytest.raises(RuntimeError):
        render_hours(scene, [sun(180, 30)], VIEW, tmp_path / "a.npy", height=4, verbose=0)


def test_an_hour_is_predicted_better_with_its_direct_light(radiance, room, tmp_path):
    lights = np.array([sun(azimuth, altitude) for azimuth in (120, 150, 180, 210, 240) for altitude in (25, 55)])
    lights = np.concatenate([lights, [sun(165, 40), sun(200, 35)]])

    def render(name, options):
        return np.asarray(
            render_hours(room, lights, VIEW, tmp_path / f"{name}.npy", height=8, options=options, verbose=0)
        )

    images, direct = render("all", "-ab 2 -ad 128 -as 0 -ar 16 -aa 0.3"), render("direct", DIRECT_ONLY)
    plain = Relighter(RBFInterpolation(n_dimensions=3)).fit(lights[:-2], images[:-2])
    model = BaselineRelighter(Relighter(RBFInterpolation(n_dimensions=3)))
    model.fit(lights[:-2], images[:-2], baseline=direct[:-2])
    predicted = model.predict(lights[-2:], baseline=direct[-2:])
    assert relative_error(images[-2:], predicted) < 0.5 * relative_error(images[-2:], plain.predict(lights[-2:]))
    for image, true in zip(predicted, images[-2:], strict=True):
        assert vertical_illuminance(image, SOUTH) == pytest.approx(vertical_illuminance(true, SOUTH), rel=0.05)
        # In a tenth of the light, as the probability of all of it is cut off at 1.
        glare = [daylight_glare_probability(0.1 * each, SOUTH, size=64) for each in (image, true)]
        assert 0.1 < glare[1] < 0.9
        assert glare[0] == pytest.approx(glare[1], abs=0.01)
