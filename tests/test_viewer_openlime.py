"""Any fitted model for OpenLIME: what the folder holds, and what the real OpenLIME shows of it."""

import base64
import contextlib
import functools
import http.server
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from browser import open_browser

from sklrelight import Relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import LinearInterpolation, NearestPhotograph, RBFInterpolation
from sklrelight.metrics import encode_display, peak_signal_noise_ratio
from sklrelight.viewer import LightSurface, export_openlime, load_relight
from sklrelight.viewer._bilinear import grid_directions, grid_weights

cv2 = pytest.importorskip("cv2")


def directions(n, lowest=0.3, seed=0):
    """Directions spread over the dome, down to a height."""
    rng = np.random.default_rng(seed)
    z, turn = rng.uniform(lowest, 1, n), np.arange(n) * 2.399963
    return np.column_stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z])


def photographs(lights, height=24, width=32):
    """A bumpy coloured surface with a soft highlight and shadows, in linear light."""
    y, x = np.mgrid[:height, :width] / 8
    normals = np.stack([0.5 * np.sin(x), 0.5 * np.cos(y), np.ones_like(x)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    albedo = np.stack([0.5 + 0.3 * np.sin(x * k + y) for k in (0.7, 1.1, 1.6)], axis=-1)
    half = lights + np.array([0, 0, 1])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    diffuse, shine = (np.maximum(np.einsum("hwk,nk->nhw", normals, to), 0) for to in (lights, half))
    return (albedo * diffuse[..., None] + 0.2 * shine[..., None] ** 20).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """A model of linear radiance, of 1 as white."""
    lights = directions(60)
    return Relighter(RBFInterpolation()).fit(lights, photographs(lights))


@pytest.fixture(scope="module")
def export(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "web"
    return folder, export_openlime(model, folder, n_planes=27, resolution=16, n_lights=120, white=1.0)


def test_what_the_folder_shows_is_near_the_model(model, export):
    _, shown = export
    new = directions(20, lowest=0.35, seed=5)
    predicted = model.predict(new)
    seen = shown.predict(new).clip(0, 1)
    assert peak_signal_noise_ratio(encode_display(predicted, 1.0), seen, data_range=1) > 38
    assert peak_signal_noise_ratio(predicted, seen**2.2, data_range=1) > 38
    assert shown.psnr > 38


def test_the_description_is_as_the_viewers_want_it(export):
    folder, shown = export
    info = json.loads((folder / "info.json").read_text())
    assert {key: info[key] for key in ("type", "colorspace", "nplanes", "resolution", "width", "height", "format")} == {
        "type": "bilinear",
        "colorspace": "mrgb",
        "nplanes": 27,
        "resolution": 16,
        "width": 32,
        "height": 24,
        "format": "jpg",
    }
    assert len(info["basis"]) == 28 * 16 * 16 * 3
    assert {type(value) for value in info["basis"]} == {int}
    assert min(info["basis"]) >= 0
    assert max(info["basis"]) <= 255
    (material,) = info["materials"]
    assert {len(material[name]) for name in ("scale", "bias", "range")} == {27}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["index.html", "info.json", *(f"plane_{number}.jpg" for number in range(9))]
    )
    planes = [cv2.imread(str(folder / f"plane_{number}.jpg"))[..., ::-1] for number in range(9)]
    np.testing.assert_array_equal(np.concatenate(planes, axis=2), shown.planes.transpose(1, 2, 0))


def formula(folder, light):
    """Evaluate a folder as the format's description says, without this library."""
    info = json.loads((folder / "info.json").read_text())
    n, size, material = info["nplanes"], info["resolution"], info["materials"][0]
    basis = np.reshape(info["basis"], (n + 1, size, size, 3))
    x, y, z = light
    s = abs(x) + abs(y) + abs(z)
    u, v = ((x + y) / s + 1) / 2 * (size - 1), ((y - x) / s + 1) / 2 * (size - 1)
    i, j = min(int(u), size - 2), min(int(v), size - 2)
    u, v = u - i, v - j
    corners = [((1 - u) * (1 - v), j, i), (u * (1 - v), j, i + 1), ((1 - u) * v, j + 1, i), (u * v, j + 1, i + 1)]
    image = sum(w * basis[0, a, b] / 255 for w, a, b in corners) * np.ones((info["height"], info["width"], 1))
    for number in range(n // 3):
        levels = cv2.imread(str(folder / f"plane_{number}.jpg"))[..., ::-1] / 255
        for k in range(3):
            p = 3 * number + k
            colour = sum(w * (basis[p + 1, a, b] - 127) / material["range"][p] for w, a, b in corners)
            image = image + ((levels[..., k] - material["bias"][p]) * material["scale"][p])[..., None] * colour
    return image


def test_our_decoder_is_the_formula_of_the_format(export):
    folder, shown = export
    for light in directions(6, lowest=0.01, seed=3):
        np.testing.assert_allclose(shown.predict([light])[0], formula(folder, light), atol=2e-4)


def test_the_grid_is_where_the_weights_say():
    for resolution in (2, 5, 8):
        np.testing.assert_allclose(
            grid_weights(grid_directions(resolution), resolution), np.eye(resolution**2), atol=1e-9
        )
    # Below the horizon is at the horizon.
    np.testing.assert_allclose(grid_weights(np.array([[0.6, 0, -0.8]]), 4), grid_weights(np.array([[1.0, 0, 0]]), 4))


def test_directions_below_the_captured_ones_look_as_the_nearest_of_these(tmp_path):
    lights = directions(60, lowest=0.6)
    asked = []

    class Spy(RBFInterpolation):
        def predict(self, X):
            asked.append(np.array(X))
            return super().predict(X)

    model = Spy().fit(lights, encode_display(photographs(lights), 1.0))
    shown = export_openlime(model, tmp_path / "web", lights=lights, white=None, n_planes=9, resolution=24, n_lights=60)
    assert np.concatenate(asked)[:, 2].min() > 0.55
    low, edge = (np.array([[np.sqrt(1 - z * z), 0, z]]) for z in (0.05, 0.6))
    assert peak_signal_noise_ratio(shown.predict(edge), shown.predict(low), data_range=1) > 30


def test_points_outside_of_the_lights_are_moved_to_the_nearest_within():
    square = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    surface = LightSurface.of(square)
    points = np.array([[0.5, 0.2], [2.0, 0.5], [3.0, 3.0], [1.0, 0.0]])
    np.testing.assert_allclose(surface.clamp(points), [[0.5, 0.2], [1.0, 0.5], [1.0, 1.0], [1.0, 0.0]])
    line = LightSurface.of(np.array([[0.0, 0.0], [1.0, 0.0]]))
    assert np.ptp(line.clamp(np.array([[0.3, 0.5], [9.0, 0.0]]))[:, 1]) < 1e-9


def test_planes_and_grid_follow_the_decibels_asked_for(model, tmp_path):
    sizes = []
    for psnr in (25, 38):
        shown = export_openlime(model, tmp_path / str(psnr), psnr=psnr, n_lights=80, white=1.0)
        assert shown.psnr >= psnr
        sizes.append((len(shown.planes), shown.resolution))
    assert sizes[0][0] < sizes[1][0]
    # What cannot be reached takes no more planes than help.
    shown = export_openlime(model, tmp_path / "most", psnr=99, n_lights=80, white=1.0)
    assert shown.psnr < 99
    assert len(shown.planes) <= 48


def test_grey_photographs_and_those_of_one_colour(tmp_path):
    lights = directions(40)
    images = photographs(lights)
    for number, stack in enumerate([images[..., 0], images[..., :1], np.full_like(images, 0.5)]):
        fitted = RBFInterpolation().fit(lights, stack)
        shown = export_openlime(
            fitted, tmp_path / str(number), lights=lights, white=None, n_planes=9, resolution=12, n_lights=60
        )
        seen = shown.predict(lights)
        wanted = np.broadcast_to(stack.reshape(*images.shape[:3], -1), images.shape)
        assert peak_signal_noise_ratio(wanted.clip(0, 1), seen.clip(0, 1), data_range=1) > 30


def test_white_is_found(tmp_path):
    lights = directions(40)
    fitted = RBFInterpolation().fit(lights, 1000 * photographs(lights))
    shown = export_openlime(fitted, tmp_path / "web", lights=lights, n_planes=9, resolution=12, n_lights=60)
    assert 0.9 < shown.predict(lights).max() < 1.2


def test_many_images_are_kept_on_disk(model, export, tmp_path, monkeypatch):
    monkeypatch.setattr("sklrelight.viewer._bilinear._BYTES_IN_MEMORY", 0)
    again = export_openlime(model, tmp_path / "web", n_planes=27, resolution=16, n_lights=120, white=1.0)
    np.testing.assert_array_equal(again.planes, export[1].planes)


def test_tiles_hold_the_same_planes(model, export, tmp_path):
    again = export_openlime(
        model, tmp_path / "web", n_planes=27, resolution=16, n_lights=120, white=1.0, layout="deepzoom"
    )
    difference = np.abs(again.planes.astype(int) - export[1].planes)
    assert np.percentile(difference, 99) <= 2
    assert "deepzoom" in (tmp_path / "web" / "index.html").read_text()


def test_only_directions_are_taken(tmp_path):
    scene = make_scene(n_lights=12, image_shape=(6, 8))
    plane = Relighter(NearestPhotograph()).fit(scene.lights, scene.images)
    flat = directions(12)[:, :2]
    for fitted in (plane, Relighter(LinearInterpolation()).fit(flat, photographs(directions(12)))):
        with pytest.raises(ValueError, match="are positions, or lie in a plane; OpenLIME moves directions"):
            export_openlime(fitted, tmp_path / "web")
    nearest = NearestPhotograph().fit(directions(12), photographs(directions(12)))
    with pytest.raises(ValueError, match="pass lights="):
        export_openlime(nearest, tmp_path / "web")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"n_planes": 10}, "n_planes=10, wanted a multiple of 3 from 3 to 48"),
        ({"n_planes": 51}, "n_planes=51"),
        ({"n_planes": 48, "normals": np.zeros((24, 32, 3))}, "from 3 to 45"),
        ({"resolution": 1}, "resolution=1"),
        ({"resolution": 65}, "resolution=65"),
        ({"psnr": 0}, "psnr=0"),
        ({"white": -1.0}, "white=-1.0"),
        ({"n_lights": 5}, "n_lights=5"),
        ({"layout": "iiif"}, "layout='iiif'"),
        ({"quality": 101}, "quality=101"),
    ],
)
def test_parameters_are_checked_before_any_work(tmp_path, wrong, match):
    class Never:
        lights_ = directions(12)

        def predict(self, lights):
            raise AssertionError

    with pytest.raises(ValueError, match=match):
        export_openlime(Never(), tmp_path / "web", **wrong)


def test_the_title_and_the_address_are_plain_text(model, tmp_path):
    hostile = '</title><script>alert("1")</script>'
    export_openlime(
        model,
        tmp_path / "web",
        n_planes=3,
        resolution=4,
        n_lights=24,
        title=hostile,
        openlime_url='a"><b>.js',
    )
    page = (tmp_path / "web" / "index.html").read_text()
    assert hostile not in page
    assert "<b>" not in page


# The real OpenLIME.


@pytest.fixture(scope="module")
def openlime():
    """Return OpenLIME as one script, which the tester provides."""
    found = os.environ.get("SKLRELIGHT_OPENLIME")
    if not found:
        pytest.skip("needs OpenLIME: name its openlime.min.js, or a checkout that holds it, in SKLRELIGHT_OPENLIME")
    path = Path(found)
    return path if path.is_file() else next(path.rglob("openlime.min.js"))


@contextlib.contextmanager
def served(folder):
    """Serve a folder on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def show(browser, address, width, height):
    """Open a page with its image as large as its pixels."""
    browser.driver.get(address)
    browser.wait("window.openlimePage && openlimePage.layer.status === 'ready'")
    browser.run(
        "const v = document.getElementById('viewer'); document.body.style.display = 'block';"
        "v.style.width = arguments[0] + 'px'; v.style.height = arguments[1] + 'px';",
        width,
        height,
    )
    browser.wait(f"openlimePage.viewer.canvasElement.width === {width}")
    browser.run("openlimePage.viewer.camera.setPosition(0, 0, 0, 1, 0); openlimePage.viewer.redraw()")


def seen_under(browser, light):
    """Give what the canvas shows under a light, of shape (H, W, 3)."""
    drawn = browser.driver.execute_async_script(
        "const done = arguments[2], viewer = openlimePage.viewer;"
        "openlimePage.layer.setLight([arguments[0], arguments[1]], 0); viewer.redraw();"
        "let left = 3; const wait = () => { if (left-- > 0) { viewer.redraw(); requestAnimationFrame(wait); } else"
        " done(viewer.canvasElement.toDataURL()); }; requestAnimationFrame(wait);",
        *light[:2].tolist(),
    )
    data = np.frombuffer(base64.b64decode(drawn.split(",")[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("layout", ["image", "deepzoom"])
def test_openlime_shows_what_our_decoder_predicts(model, openlime, tmp_path, layout):
    normals = np.broadcast_to(np.array([0.6, 0, 0.8]), (24, 32, 3))
    folder = tmp_path / "web"
    shown = export_openlime(
        model, folder, n_planes=27, resolution=16, n_lights=120, white=1.0, layout=layout, normals=normals
    )
    shutil.copy(openlime, folder)
    with open_browser() as browser, served(folder) as address:
        browser.command("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1,
                        uploadThroughput=-1)  # fmt: skip
        show(browser, address, 32, 24)
        browser.wait("openlimePage.viewer.canvas.ready !== false")
        good = []
        for light in directions(20, seed=7):
            seen = (seen_under(browser, light) / 255) ** 2.2
            expected = shown.predict([light])[0].clip(0, 1) ** 2.2
            # Half a step of a frame buffer with 8 bits of linear light, and half of one of the encoded 8 bits that are
            # read of it.
            steps = 0.5 + 0.5 * 2.2 * expected ** (1.2 / 2.2) + 0.1
            good.append(np.abs(seen - expected) <= steps / 255)
        assert np.mean(good) > 0.999, np.mean(good)
        browser.run("openlimePage.layer.setMode('normals')")
        seen = seen_under(browser, np.array([0.0, 0.0]))
        # Encoded, as everything that is drawn.
        np.testing.assert_allclose(seen[12, 16], 255 * (np.array([204, 127.5, 229.5]) / 255) ** (1 / 2.2), atol=3)
        serious = [entry["message"] for entry in browser.messages() if entry["level"] == "SEVERE"]
        assert not [message for message in serious if "favicon" not in message]


def test_the_page_says_what_is_missing(model, tmp_path):
    export_openlime(model, tmp_path / "web", n_planes=3, resolution=4, n_lights=24)
    with open_browser() as browser:
        browser.driver.get((tmp_path / "web" / "index.html").as_uri())
        browser.wait("document.querySelector('#message').textContent.includes('from a web server')")
        browser.command("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1,
                        uploadThroughput=-1)  # fmt: skip
        with served(tmp_path / "web") as address:
            browser.driver.get(address)
            browser.wait("document.querySelector('#message').textContent.includes('OpenLIME is missing')")
    assert len(load_relight(tmp_path / "web").planes) == 3
