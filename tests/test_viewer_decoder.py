"""The decoder behind the page: its lights, its fidelity, its costs, and the files it goes into."""

import json
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from sklrelight import Relighter, make_relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import NearestPhotograph, RBFInterpolation
from sklrelight.metrics import display_white, encode_display, peak_signal_noise_ratio
from sklrelight.viewer import LightSurface, distill, export_html, show


def directions(n, seed=0, lowest=0.1):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2]) + lowest
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def smooth(lights, shape):
    """Photographs that vary smoothly with lights of any width."""
    rng = np.random.default_rng(7)
    span = np.ptp(lights, axis=0).max() or 1
    waves = rng.normal(size=(lights.shape[1], *shape)) / span
    return 0.5 + 0.4 * np.sin(np.tensordot(lights, waves, axes=1))


class Known:
    """A fitted model without the lights it was fitted to."""

    def __init__(self, shape):
        self.shape = shape

    def predict(self, lights):
        return smooth(lights, self.shape)


# ---- where lights are


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 2 * np.pi), st.floats(0.001, 1.99), st.floats(0.5, 1e4))
def test_a_dome_gives_its_lights_back(angle, radius, distance):
    surface = LightSurface.of(distance * directions(9))
    assert surface.kind == "dome"
    point = radius * np.array([[np.cos(angle), np.sin(angle)]])
    np.testing.assert_allclose(surface.to_surface(surface.to_lights(point)), point, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(surface.to_lights(point)), surface.radius)


@pytest.mark.parametrize(
    ("right", "up", "expected"),
    [
        ([1, 0, 0], [0, 1, 0], ([1, 0, 0], [0, 1, 0])),
        ([0, -2, 0], [-1, 0, 0], ([1, 0, 0], [0, 1, 0])),
        # A ceiling: what is farther from the camera is higher. A wall across x: depth goes to the right.
        ([1, 0, 0], [0, 0, 1], ([1, 0, 0], [0, 0, -1])),
        ([0, 1, 0], [0, 0, 1], ([0, 0, -1], [0, 1, 0])),
        ([1, 0, 0.5], [0, 1, 0], ([0.894, 0, 0.447], [0, 1, 0])),
    ],
)
def test_a_plane_in_space_stands_upright(right, up, expected):
    grid = np.random.default_rng(0).uniform(-3, 3, (20, 2))
    lights = grid @ np.array([right, up], float) + [4, 5, 6]
    surface = LightSurface.of(lights)
    assert surface.kind == "plane"
    axes = surface.axes / np.linalg.norm(surface.axes, axis=1, keepdims=True)
    np.testing.assert_allclose(axes, expected, atol=1e-3)
    np.testing.assert_allclose(surface.to_lights(surface.points), lights, atol=1e-9)
    assert np.abs(surface.points).max() == pytest.approx(1)


def test_lights_of_other_widths():
    rng = np.random.default_rng(0)
    assert LightSurface.of(rng.random((9, 2))).kind == "plane"
    line = LightSurface.of(rng.random((9, 1)))
    assert line.hull.tolist() == [[-1, 0], [1, 0]] or line.hull.tolist() == [[1, 0], [-1, 0]]
    rod = LightSurface.of(np.array([[1, 2 - 3 * i, 3] for i in range(5)], float))
    np.testing.assert_allclose(rod.to_lights(rod.points)[:, 1], 2 - 3 * np.arange(5.0))
    sun = rng.random((9, 2)) @ rng.random((2, 4))
    np.testing.assert_allclose(LightSurface.of(sun).to_lights(LightSurface.of(sun).points), sun)
    with pytest.raises(ValueError, match="4 columns and span 4"):
        LightSurface.of(rng.random((9, 4)))


def test_points_lie_evenly_between_the_lights():
    surface = LightSurface.of(directions(30))
    points = surface.spread_points()
    corners = np.vstack([surface.hull, surface.hull[:1]])
    edges, offsets = np.diff(corners, axis=0), points[:, None] - corners[:-1]
    assert (edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0]).min() > -1e-9
    assert len(points) > 1000


# ---- how near it is


def test_it_is_near_a_networks_predictions_of_lights_that_it_did_not_see():
    scene = make_scene(n_lights=100, image_shape=(48, 64))
    test = np.arange(100) % 5 == 2
    model = make_relighter(random_state=0).set_params(regressor__mlp__max_observations=300_000)
    model.fit(scene.lights[~test], scene.images[~test])
    decoder = distill(model)
    assert decoder.white == pytest.approx(display_white(model.predict(scene.lights)), rel=0.2)
    predicted = model.predict(scene.lights[test])
    true = encode_display(predicted, decoder.white)
    reached = peak_signal_noise_ratio(true, decoder.encoded(scene.lights[test]), data_range=1)
    assert reached >= 38
    # It was measured at other lights, and is not praised.
    assert decoder.psnr < reached + 2
    within = predicted < 2.5 * decoder.white
    error = np.abs(decoder.predict(scene.lights[test]) - predicted)[within].mean()
    assert error < 0.02 * decoder.white


def test_more_is_asked_more_is_stored():
    scene = make_scene(n_lights=64, image_shape=(48, 64))
    model = Relighter(RBFInterpolation()).fit(scene.lights, scene.images)
    sizes = []
    for psnr in (30, 36, 42):
        decoder = distill(model, psnr=psnr, n_lights=100)
        true = encode_display(model.predict(scene.lights), decoder.white)
        assert peak_signal_noise_ratio(true, decoder.encoded(scene.lights), data_range=1) > psnr - 1
        assert decoder.psnr >= psnr
        sizes.append(len(decoder.codes))
    assert sizes == sorted(set(sizes))
    assert (
        distill(model, psnr=36, n_lights=100).codes.tobytes() == distill(model, psnr=36, n_lights=100).codes.tobytes()
    )


@pytest.mark.parametrize("shape", [(6, 9, 3), (6, 9, 1), (6, 9), (1, 1, 3)], ids=str)
@pytest.mark.parametrize("width", [1, 2, 3])
def test_shapes_and_widths(shape, width):
    lights = np.random.default_rng(0).random((12, width)) * 5
    decoder = distill(Known(shape), lights=lights, n_lights=40, white=None, psnr=60)
    colors = (*shape, 1)[2]
    asked = decoder.surface.to_lights(decoder.surface.points)
    assert decoder.predict(asked).shape == (12, *shape[:2], colors)
    np.testing.assert_allclose(decoder.predict(asked).reshape(12, *shape), smooth(asked, shape), atol=0.03)
    assert decoder.render(asked[:1]).shape == (*shape[:2], 3)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_lights_will_do(n):
    for lights in (directions(n), np.random.default_rng(0).random((n, 2))):
        decoder = distill(Known((5, 6, 3)), lights=lights, white=None, n_lights=60, psnr=60)
        expected = smooth(decoder.surface.to_lights(decoder.surface.points), (5, 6, 3))
        np.testing.assert_allclose(decoder.predict(lights), expected, atol=0.05)


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_scene_that_is_all_the_same(value):
    class Same:
        def predict(self, lights):
            return np.full((len(lights), 5, 6, 3), value, np.float32)

    decoder = distill(Same(), lights=directions(9))
    np.testing.assert_allclose(decoder.predict(directions(4, seed=1)), value, atol=0.005)


def test_lights_exposure_and_colours_add_up_in_linear_light():
    lights = directions(20)
    decoder = distill(Known((5, 6, 3)), lights=lights, white=2.0, n_lights=40)
    one = decoder.predict(lights[:2]) / 2
    mixed = 2 * (one[0] * [1, 0.5, 0] + one[1] * [0, 0.25, 1])
    expected = np.clip(mixed, 0, 1) ** (1 / 2.2)
    rendered = decoder.render(lights[:2], colors=[[1, 0.5, 0], [0, 0.25, 1]], exposure=1)
    np.testing.assert_allclose(rendered, expected, atol=1e-5)


def test_large_images_are_reduced():
    scene = make_scene(n_lights=16, image_shape=(40, 60))
    model = Relighter(RBFInterpolation()).fit(scene.lights, scene.images)
    decoder = distill(model, max_size=30, n_lights=100, psnr=50)
    assert decoder.image_shape == (20, 30)
    reduced = model.predict(scene.lights[5:6])[0].reshape(20, 2, 30, 2, 3).mean(axis=(1, 3))
    difference = np.abs(decoder.encoded(scene.lights[5:6])[0] - encode_display(reduced, decoder.white))
    assert difference.mean() < 0.01
    assert difference.max() < 0.2


# ---- what is refused


def test_what_is_no_fitted_model_of_photographs_is_refused(tmp_path):
    lights = directions(9)
    with pytest.raises(NotFittedError):
        distill(make_relighter())
    with pytest.raises(ValueError, match="pass lights="):
        distill(NearestPhotograph().fit(lights, smooth(lights, (5, 6, 3))))
    for shape in [(5, 6, 2), (5,), ()]:
        with pytest.raises(ValueError, match="a page shows images"):
            distill(Known(shape), lights=lights)
    for parameters in ({"white": 0}, {"white": "grey"}, {"psnr": 0}, {"n_lights": 1}, {"max_size": 4096}):
        with pytest.raises(ValueError, match=next(iter(parameters))):
            distill(Known((5, 6, 3)), lights=lights, **parameters)
    with pytest.raises(ValueError, match="lights contains NaN"):
        distill(Known((5, 6, 3)), lights=np.full((3, 3), np.nan))


def test_an_export_that_fails_leaves_the_old_file(tmp_path):
    lights = directions(9)
    images = smooth(lights, (5, 6, 3))
    model = Relighter(RBFInterpolation()).fit(lights, images)
    path = tmp_path / "scene.html"
    path.write_text("old")
    for more, match in [
        ({"images": images}, "pass lights="),
        ({"images": images, "lights": lights[:5]}, "one light an image"),
        ({"images": images[..., 0], "lights": lights}, "3 channels"),
        ({"images": smooth(lights, (6, 5, 3)), "lights": lights}, "model's images"),
        ({"psnr": -1}, "psnr"),
    ]:
        with pytest.raises(ValueError, match=match):
            export_html(model, path, **more)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileNotFoundError):
        export_html(model, tmp_path / "no" / "scene.html")


# ---- what is written


def scene_of(page):
    return json.loads(re.search(r'<script type="application/json" id="scene">(.*?)</script>', page, re.DOTALL)[1])


def test_photographs_are_at_most_64_and_cover_the_lights(tmp_path):
    scene = make_scene(n_lights=144, image_shape=(12, 16))
    model = Relighter(RBFInterpolation()).fit(scene.lights, scene.images)
    export_html(model, tmp_path / "scene.html", lights=scene.lights, images=scene.images, n_lights=24)
    page = (tmp_path / "scene.html").read_text(encoding="utf-8")
    photographs = scene_of(page)["photographs"]
    numbers = [photograph["number"] for photograph in photographs]
    assert len(numbers) == len(set(numbers)) == 64
    surface = LightSurface.of(scene.lights)
    taken = np.array([photograph["point"] for photograph in photographs])
    np.testing.assert_allclose(taken, surface.to_surface(scene.lights[np.array(numbers) - 1]), atol=1e-4)
    gaps = np.linalg.norm(surface.points[:, None] - taken, axis=2).min(axis=1)
    step = np.sort(np.linalg.norm(surface.points - surface.points[0], axis=1))[1]
    assert gaps.max() < 1.5 * step
    # Nothing in it names another place.
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_a_page_of_400_x_400_stays_small_and_is_made_quickly(tmp_path):
    lights = directions(60)
    rng = np.random.default_rng(0)
    texture = rng.random((400, 400, 3)).astype(np.float32)
    y, x = np.mgrid[:400, :400] / 20
    normals = np.stack([0.5 * np.sin(x + 3 * texture[..., 0]), 0.5 * np.cos(y), np.ones((400, 400))], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    shading = np.maximum(np.tensordot(lights, normals, axes=(1, 2)), 0)[..., None].astype(np.float32)
    images = texture * shading + 0.5 * shading**12
    model = Relighter(RBFInterpolation()).fit(lights, images)
    start = time.process_time()
    decoder = export_html(model, tmp_path / "scene.html", lights=lights, images=images)
    # Seconds of processors, whatever else they do; the model itself takes next to none of them here.
    assert time.process_time() - start < 60
    assert (tmp_path / "scene.html").stat().st_size < 8.5e6
    assert decoder.psnr >= 30


def test_show_has_the_page_in_a_frame():
    lights = directions(9)
    model = Relighter(RBFInterpolation()).fit(lights, smooth(lights, (5, 6, 3)))
    shown = show(model, title="<b>", n_lights=16)
    assert repr(shown) == "NotebookPage(title='<b>')"
    assert 'title="&lt;b&gt;"' in shown._repr_html_()
    assert shown.decoder.image_shape == (5, 6)
