"""The page that zooms: its tiles, and what a real browser shows of them."""

import base64
import html
import json
import math
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from browser import open_browser
from selenium.webdriver.common.keys import Keys
from test_viewer_page import directions, levels, shaded

from sklrelight import Relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import RBFInterpolation
from sklrelight.metrics import encode_display
from sklrelight.viewer import export_page

SHAPE, TILE = (96, 128), 32
# As a conservator's title may be.
TITLE = 'Coin <"&> {{codes}}'


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def model():
    lights = directions(40)
    return Relighter(RBFInterpolation()).fit(lights, shaded(lights, SHAPE))


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "coin #1"
    return folder, export_page(model, folder, title=TITLE, tile_size=TILE, pixel_size=0.05)


def read_tile(path):
    """Read codes of shape (n_codes, h, w) from a tile."""
    text = path.read_text(encoding="utf-16").strip()
    name, codes = json.loads(f"[{re.fullmatch(r'relightTile[(](.*)[)]', text)[1]}]")
    assert path.as_posix().endswith(f"{name}.js")
    return np.stack([cv2.imdecode(from_text(code), -1) for code in codes])


def from_text(text):
    """Read bytes from characters of 15 bits each, the highest first; the first character is U+3400."""
    number = int("".join(f"{ord(character) - 0x3400:015b}" for character in text), 2)
    n_bits = 15 * len(text)
    return np.frombuffer((number >> n_bits % 8).to_bytes(n_bits // 8, "big"), np.uint8)


def read_level(folder, level, shape, tile_size):
    shape = [math.ceil(side / 2**level) for side in shape]
    rows, columns = (range(math.ceil(side / tile_size)) for side in shape)
    tiles = folder / "tiles" / str(level)
    codes = [np.dstack([read_tile(tiles / f"{row}_{column}.js") for column in columns]) for row in rows]
    codes = np.concatenate(codes, axis=1)
    assert list(codes.shape[1:]) == shape
    return codes


def open_page(browser, folder, address=""):
    browser.driver.get("about:blank")
    browser.driver.get_log("browser")
    browser.driver.get((folder / "index.html").as_uri() + address)
    browser.wait("window.relightViewer || document.body.classList.contains('still-only')")
    loaded(browser)


def loaded(browser):
    # Twice, because tiles are asked for when the next frame is drawn.
    for _ in range(2):
        browser.run("return new Promise(requestAnimationFrame)")
        browser.wait("relightViewer.complete")


# ---- what is written


def psnr(model, decoder, codes):
    lights = decoder.surface.to_lights(decoder.surface.spread_points()[:1000:20])
    true = encode_display(model.predict(lights), decoder.white)
    return -10 * np.log10(
        np.square(replace(decoder, codes=codes).encoded(lights) - true.reshape((*true.shape[:3], -1))).mean()
    )


@pytest.mark.parametrize("wanted", [34, 44])
def test_the_tiles_are_the_model_to_the_decibels_asked_for(model, tmp_path, wanted):
    decoder = export_page(model, tmp_path / "page", psnr=wanted, tile_size=TILE)
    assert decoder.psnr >= wanted - 0.2
    assert psnr(model, decoder, read_level(tmp_path / "page", 0, SHAPE, TILE)) >= wanted - 1


def test_fewer_decibels_take_less_space(model, tmp_path):
    def size(name, **options):
        export_page(model, tmp_path / name, tile_size=TILE, **options)
        return sum(path.stat().st_size for path in (tmp_path / name).rglob("*.js"))

    assert size("coarse", psnr=32) < 0.7 * size("fine", psnr=44)


@pytest.mark.parametrize("shape", [(1, 1), (17, 70), (33, 64)])
def test_any_shape_of_grey_images_without_region(tmp_path, shape):
    scene = make_scene(n_lights=12, image_shape=shape)
    model = RBFInterpolation().fit(scene.lights, scene.images.mean(axis=3))
    decoder = export_page(model, tmp_path / "page", lights=scene.lights, tile_size=16, psnr=36)
    whole = read_level(tmp_path / "page", 0, shape, 16)
    assert psnr(model, decoder, whole) >= 34
    last = max(int(path.name) for path in (tmp_path / "page" / "tiles").iterdir())
    assert read_level(tmp_path / "page", last, shape, 16).shape[1:] <= (16, 16)
    assert decoder.image_shape == shape


def test_each_pixel_is_predicted_once_and_in_tiles(model, tmp_path):
    asked = []

    class Counting:
        def predict(self, lights, region=None, downscale=1):
            images = model.predict(lights, region, downscale)
            asked.append((images[0, ..., 0].size * len(images), region))
            return images

    export_page(Counting(), tmp_path / "page", lights=model.lights_, tile_size=TILE, n_lights=8)
    tiles = [region for _, region in asked if region and region[2:] == (TILE, TILE)]
    assert len(set(tiles)) == len(tiles) == 12
    assert (tmp_path / "page" / "tiles" / "2" / "0_0.js").exists()


def test_reduced_images_are_means(page):
    folder, decoder = page
    lights = decoder.surface.to_lights([[0.1, 0.2], [-0.3, 0.4]])
    whole, half = (replace(decoder, codes=read_level(folder, level, SHAPE, TILE)).encoded(lights) for level in (0, 1))
    # Both have been through JPEG.
    assert np.abs(half - whole.reshape(2, 48, 2, 64, 2, 3).mean(axis=(2, 4))).mean() < 0.01
    assert decoder.image_shape == SHAPE


# ---- the folder


def test_nothing_is_left_after_an_error_or_ctrl_c(model, tmp_path):
    export_page(model, tmp_path / "old", tile_size=TILE, psnr=30)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

    class Stopping:
        def __init__(self, error):
            self.error, self.n_tiles = error, 0

        def predict(self, lights, region=None, downscale=1):
            self.n_tiles += region is not None and region[2] == TILE
            if self.n_tiles > 3:
                raise self.error
            return model.predict(lights, region, downscale)

    for error in (KeyboardInterrupt(), RuntimeError(), OSError(28, "no space")):
        for name in ("old", "new"):
            with pytest.raises(type(error)):
                export_page(Stopping(error), tmp_path / name, lights=model.lights_, tile_size=TILE, n_lights=4)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_page_is_replaced_and_other_folders_are_not(model, tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    export_page(model, folder, tile_size=TILE, psnr=30)
    export_page(model, folder, tile_size=64, psnr=30, title="Again")
    assert "<h1>Again" in (folder / "index.html").read_text(encoding="utf-8")
    assert len(list(folder.rglob("*.js"))) == 4 + 1
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    (folder / "notes.txt").write_text("mine")
    site = tmp_path / "site"
    (site / "tiles").mkdir(parents=True)
    (site / "index.html").write_text("my own page")
    file = tmp_path / "file"
    file.write_text("mine")
    for path in (folder, site, file):
        with pytest.raises(FileExistsError, match="give another name"):
            export_page(model, path, tile_size=TILE)
    assert (site / "index.html").read_text() == "my own page"
    assert (folder / "notes.txt").read_text() == file.read_text() == "mine"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        export_page(model, tmp_path / "missing" / "page", tile_size=TILE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tile_size", 15), ("tile_size", 64.0), ("pixel_size", 0), ("psnr", 0), ("n_lights", 0), ("white", -1)],
)
def test_parameters_are_checked_before_any_work(model, tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        export_page(model, tmp_path / "page", **{name: value})
    assert not any(tmp_path.iterdir())


# ---- in the browser


def expected(folder, decoder, window, point):
    level = int(math.log2(window["step"]))
    codes = read_level(folder, level, SHAPE, TILE)
    shown = levels(replace(decoder, codes=codes), [point])
    return shown[window["top"] :, window["left"] :][: window["height"], : window["width"]]


def check(browser, page, tolerance=2):
    loaded(browser)
    image = browser.image().astype(int)
    window, point = browser.run("return [relightViewer.window, relightViewer.point]")
    wanted = expected(*page, window, point)
    assert image.shape == wanted.shape
    assert np.abs(image - wanted).max() <= tolerance
    return window


def test_from_the_whole_to_the_last_level_it_shows_the_tiles(browser, page):
    browser.resize(360, 400)
    try:
        open_page(browser, page[0])
        # All of 128 x 96 pixels fit; in a small window, a lower resolution does.
        assert check(browser, page)["step"] == 1
        browser.resize(100, 400)
        browser.run("document.getElementById('stage').style.cssText = 'flex: none; height: 30px; min-height: 0'")
        loaded(browser)
        assert check(browser, page)["step"] == 4
        for _ in range(20):
            browser.run("document.getElementById('zoom-in').click()")
        browser.drag(browser.at("#stage", 0.1, 0.5), browser.at("#stage", 0.9, 0.5), "middle")
        browser.drag(browser.at("#stage", 0.1, 0.5), browser.at("#stage", 0.9, 0.5), "middle")
        window = check(browser, page)
        assert window["step"] == 1
        assert window["width"] < SHAPE[1]
        scale = browser.box("#image")[2] / window["width"]
        assert scale == pytest.approx(8)
        browser.run("relightViewer.moveTo([0.2, -0.3])")
        check(browser, page)
        assert browser.messages() == []
    finally:
        browser.resize(1280, 800)


def test_dragging_moves_the_light_the_image_and_loads_on(browser, page):
    open_page(browser, page[0], "#zoom=4&at=0.2,0.2")
    before = browser.run("return relightViewer.point")
    browser.drag(browser.at("#stage", 0.5, 0.5), browser.at("#stage", 0.6, 0.4))
    x, y = browser.run("return relightViewer.point")
    assert (x, y) != tuple(before)
    assert x > 0
    assert y > 0
    first = check(browser, page)
    browser.drag(browser.at("#stage", 0.8, 0.8), browser.at("#stage", 0.2, 0.2), "middle")
    browser.drag(browser.at("#stage", 0.8, 0.8), browser.at("#stage", 0.2, 0.2), "middle")
    second = check(browser, page)
    assert second != first
    assert browser.run("return relightViewer.point") == [x, y]
    assert browser.messages() == []


def test_turning_moves_the_image_the_dome_and_what_is_said(browser, page):
    open_page(browser, page[0])
    browser.run("relightViewer.moveTo([0, 0.4])")
    assert "from the top" in browser.text("#where")
    browser.press("#image", "r")
    assert "from the right" in browser.text("#where")
    width, height = browser.box("#image")[2:]
    assert width / height == pytest.approx(SHAPE[0] / SHAPE[1])
    assert browser.at('.sun[data-light="0"]', 0.5, 0.5)[0] > browser.at("#dome", 0.55, 0.5)[0]
    # Right on the screen is up in the photographs.
    browser.run("relightViewer.moveTo([0, 0])")
    browser.press("#image", Keys.ARROW_RIGHT)
    np.testing.assert_allclose(browser.run("return relightViewer.point"), [0, 0.04], atol=1e-9)
    for selector in ("#image", "#dome"):
        browser.drag(browser.at(selector, 0.5, 0.5), browser.at(selector, 0.7, 0.5))
        x, y = browser.run("return relightViewer.point")
        assert y > 0.2
        assert x == pytest.approx(0, abs=0.02)
    browser.set("#first", 0)
    np.testing.assert_allclose(browser.run("return relightViewer.point[0]"), 0, atol=0.02)
    check(browser, page)
    for _ in range(3):
        browser.run("document.getElementById('turn').click()")
    assert browser.box("#image")[2] > browser.box("#image")[3]
    assert browser.messages() == []


def test_the_address_keeps_light_zoom_and_place(browser, page):
    open_page(browser, page[0])
    browser.run("relightViewer.moveTo([0.1, 0.2])")
    browser.press("#image", "+", "+", "r")
    browser.drag(browser.at("#stage", 0.5, 0.5), browser.at("#stage", 0.4, 0.45), "middle")
    browser.wait("location.hash.includes('turn=1') && location.hash.includes('light=0.1,0.2')")
    browser.run("return new Promise((done) => setTimeout(done, 600))")
    address, box = browser.run("return location.hash"), browser.box("#image")
    open_page(browser, page[0], address)
    np.testing.assert_allclose(browser.box("#image"), box, atol=0.5)
    np.testing.assert_allclose(browser.run("return relightViewer.point"), [0.1, 0.2])
    # One that is written by hand and wrong.
    open_page(browser, page[0], "#light=a,b&zoom=-3&at=7,1e9&turn=x")
    check(browser, page)
    browser.run("location.hash = '#zoom=2'")
    browser.wait("document.getElementById('zoom').textContent.startsWith('200')")
    assert browser.messages() == []


def test_the_scale_bar_has_its_length(browser, page):
    open_page(browser, page[0])
    bar, image = browser.box("#bar"), browser.box("#image")
    number, unit = browser.text("#bar").split()
    millimetres = float(number) * {"mm": 1, "cm": 10}[unit]
    assert millimetres / 0.05 * image[2] / SHAPE[1] == pytest.approx(bar[2], rel=0.01)
    assert 30 < bar[2] <= 160
    browser.press("#image", *(12 * "+"))
    assert "mm" in browser.text("#bar") or "µm" in browser.text("#bar")


def test_saving_gives_what_is_seen(browser, page, tmp_path):
    open_page(browser, page[0], "#zoom=1.5")
    browser.command("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("document.getElementById('save').click()")
    for _ in range(200):
        if found := [path for path in tmp_path.iterdir() if path.suffix == ".png"]:
            break
        browser.run("return new Promise((done) => setTimeout(done, 20))")
    saved = cv2.imdecode(np.frombuffer(found[0].read_bytes(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    width, height = browser.box("#stage")[2:]
    assert saved.shape[0] == pytest.approx(height, abs=1)
    assert saved.shape[1] == pytest.approx(width, abs=1)
    screen = base64.b64decode(browser.driver.get_screenshot_as_base64())
    screen = cv2.imdecode(np.frombuffer(screen, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    left, top = np.round(browser.box("#stage")[:2]).astype(int)
    part = np.s_[100:300, 100:400]
    seen = screen[top:, left:][part].astype(int)
    assert np.abs(saved[part].astype(int) - seen).mean() < 3


def test_full_screen_shows_the_image_and_its_buttons(browser, page):
    open_page(browser, page[0])
    browser.press("#image", "f")
    browser.wait("document.fullscreenElement")
    browser.wait("document.getElementById('full-screen').getAttribute('aria-pressed') === 'true'")
    assert browser.is_shown("#save")
    browser.press("#image", "f")
    browser.wait("!document.fullscreenElement")


def test_every_control_has_a_name(browser, page):
    open_page(browser, page[0])
    tree = browser.command("Accessibility.getFullAXTree")["nodes"]
    names = [
        node.get("name", {}).get("value", "").strip()
        for node in tree
        if any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))
    ]
    assert all(names)
    assert {"Turn a quarter", "Full screen", "Save what is seen"} <= set(names)
    assert html.unescape(browser.text("h1")) == TITLE


@pytest.mark.parametrize("size", [(360, 740), (1200, 800)])
def test_nothing_sticks_out(browser, page, size):
    browser.resize(*size, mobile=size[0] < 500)
    try:
        open_page(browser, page[0])
        assert browser.run("return document.documentElement.scrollWidth") <= size[0]
        buttons, bar = browser.box(".view"), browser.box("#bar")
        assert buttons[0] + buttons[2] < min(bar[0], size[0]) or bar[1] + bar[3] < buttons[1]
    finally:
        browser.resize(1280, 800)


def test_a_lost_graphics_context_comes_back(browser, page):
    open_page(browser, page[0])
    browser.run(
        "const gl = document.getElementById('image').getContext('webgl2');"
        "window.loss = gl.getExtension('WEBGL_lose_context'); loss.loseContext();"
        "document.getElementById('image').addEventListener('webglcontextrestored', () => { window.back = true; });"
        "setTimeout(() => loss.restoreContext(), 100)"
    )
    browser.wait("window.back")
    check(browser, page)


def test_only_what_is_seen_is_loaded_and_what_is_missing_is_told(browser, page, tmp_path):
    shutil.copytree(page[0], tmp_path / "page")
    tiles = tmp_path / "page" / "tiles"
    (tiles / "0" / "1_1.js").unlink()
    # The stage is larger than the image, of which the last quarter is seen.
    open_page(browser, tmp_path / "page", "#zoom=4&at=0.9,0.9")
    check(browser, page)
    assert browser.messages() == []
    browser.press("#image", "0")
    loaded(browser)
    assert "could not be loaded" in browser.text("#message")
    # The next smaller size stands in.
    assert browser.image()[32:64, 32:64].std() > 5
    shutil.rmtree(tiles)
    browser.driver.get("about:blank")
    browser.driver.get((tmp_path / "page" / "index.html").as_uri())
    browser.wait("document.body.classList.contains('still-only')")
    assert "tiles is not beside" in browser.text("#message")
    assert browser.is_shown("#still")
