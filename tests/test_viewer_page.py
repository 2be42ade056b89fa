"""The page where the light is dragged, in a real browser."""

import html

import numpy as np
import pytest
from browser import open_browser
from selenium.webdriver.common.keys import Keys

from sklrelight import Relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import RBFInterpolation
from sklrelight.metrics import display_white, encode_display
from sklrelight.viewer import export_html, show

TITLE = """</title><script>window.hacked = 1</script> "a" 'b' &amp; {{codes}} </script> long""" + "g" * 200


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


def directions(n):
    rng = np.random.default_rng(0)
    vectors = rng.normal((0, 0, 1), size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2]) + 0.1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def shaded(lights, shape):
    """A bumpy coloured surface under directions."""
    y, x = np.mgrid[: shape[0], : shape[1]] / 8
    normals = np.stack([0.6 * np.sin(x), 0.6 * np.cos(y), np.ones(shape)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    albedo = np.stack([0.5 + 0.4 * np.sin(x * k + y) for k in (0.7, 1.1, 1.6)], axis=-1)
    shading = np.maximum(np.einsum("hwk,nk->nhw", normals, lights), 0)
    return albedo * shading[..., None]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of a plane of lights with photographs, one of a dome without, and one of grey values as they are."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {}
    scene = make_scene(n_lights=64, image_shape=(48, 64))
    model = Relighter(RBFInterpolation()).fit(scene.lights, scene.images)
    path = folder / "plane #1.html"
    decoder = export_html(model, path, lights=scene.lights, images=scene.images, title=TITLE, n_lights=64)
    pages["plane"] = path, decoder
    lights = directions(40)
    images = shaded(lights, (30, 40))
    model = Relighter(RBFInterpolation()).fit(lights, images)
    pages["dome"] = folder / "dome.html", export_html(model, folder / "dome.html", n_lights=48)
    grey = Relighter(RBFInterpolation()).fit(lights, images[..., 0])
    path = folder / "grey.html"
    pages["grey"] = path, export_html(grey, path, white=None, n_lights=48)
    return pages


KINDS = ["plane", "dome", "grey"]


def levels(decoder, points, **more):
    return np.round(255 * decoder.render(decoder.surface.to_lights(points), **more)).astype(int)


@pytest.mark.parametrize("kind", KINDS)
def test_it_loads_from_a_file_without_a_network_and_a_message(browser, pages, kind):
    browser.open(pages[kind][0])
    assert browser.is_shown("#image")
    assert not browser.is_shown("#still")
    assert not browser.is_shown("#message")
    assert browser.run("return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:'))") == []
    browser.image()
    assert browser.messages() == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_canvas_is_the_decoder_at_twenty_lights(browser, pages, kind):
    path, decoder = pages[kind]
    browser.open(path)
    points = decoder.surface.spread_points()
    points = points[np.random.default_rng(0).choice(len(points), 20, replace=False)]
    seen = []
    for point in points:
        browser.run("relightViewer.moveTo(arguments[0])", point.tolist())
        reached = browser.run("return relightViewer.point")
        np.testing.assert_allclose(reached, point, atol=1e-9)
        np.testing.assert_allclose(browser.run("return relightViewer.light"), decoder.surface.to_lights([point])[0])
        seen.append(browser.image().astype(int))
        assert np.abs(seen[-1] - levels(decoder, [reached])).max() <= 2
    assert np.ptp(seen, axis=0).max() > 50


@pytest.mark.parametrize("kind", KINDS)
def test_two_coloured_lights_and_exposure_are_the_decoders_too(browser, pages, kind):
    path, decoder = pages[kind]
    browser.open(path)
    first = browser.run("return relightViewer.point")
    browser.set("#color", "#ff8040")
    browser.set("#two", True, "change")
    browser.set("#color", "#4080ff")
    second = browser.run("return relightViewer.point")
    browser.set("#exposure", -0.7)
    colors = (np.array([[255, 128, 64], [64, 128, 255]]) / 255) ** decoder.gamma
    assert np.abs(browser.image() - levels(decoder, [first, second], colors=colors, exposure=-0.7)).max() <= 2
    assert "Second light" in browser.text("#where")
    browser.press("#which input", " ")
    browser.run("relightViewer.moveTo([0, 0])")
    middle = browser.run("return relightViewer.point")
    assert np.abs(browser.image() - levels(decoder, [middle, second], colors=colors, exposure=-0.7)).max() <= 2
    browser.run("document.getElementById('reset').click()")
    assert np.abs(browser.image() - levels(decoder, [first])).max() <= 2


@pytest.mark.parametrize("selector", ["#image", "#dome"])
@pytest.mark.parametrize("kind", ["plane", "dome"])
def test_dragging_moves_the_light_and_changes_the_image(browser, pages, kind, selector):
    browser.open(pages[kind][0])
    before, text = browser.image(), browser.text("#where")
    browser.drag(browser.at(selector, 0.45, 0.45), browser.at(selector, 0.65, 0.4))
    x, y = browser.run("return relightViewer.point")
    assert x > 0.1
    assert y > 0.05
    assert (browser.image() != before).mean() > 0.3
    assert browser.text("#where") != text
    if selector == "#dome":
        sun = browser.at('.sun[data-light="0"]', 0.5, 0.5)
        assert sun == pytest.approx(browser.at("#dome", 0.65, 0.4), abs=3)
    # Moving without a button held does nothing.
    browser.mouse("mouseMoved", browser.at(selector, 0.2, 0.2), "none")
    assert browser.run("return relightViewer.point") == [x, y]


def test_the_light_stays_between_the_photographs_lights(browser, pages):
    path, decoder = pages["dome"]
    browser.open(path)
    browser.drag(browser.at("#dome", 0.5, 0.5), browser.at("#dome", 0.99, 0.99))
    point = np.array(browser.run("return relightViewer.point"))
    corners = np.vstack([decoder.surface.hull, decoder.surface.hull[:1]])
    edges, offsets = np.diff(corners, axis=0), point - corners[:-1]
    distances = (edges[:, 0] * offsets[:, 1] - edges[:, 1] * offsets[:, 0]) / np.linalg.norm(edges, axis=1)
    assert distances.min() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("selector", ["#image", "#dome"])
def test_arrow_keys_move_the_light(browser, pages, selector):
    browser.open(pages["dome"][0])
    x, y = browser.run("return relightViewer.point")
    browser.press(selector, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    np.testing.assert_allclose(browser.run("return relightViewer.point"), [x + 0.08, y - 0.04], atol=1e-9)
    browser.press(selector, Keys.SHIFT, Keys.ARROW_RIGHT)
    np.testing.assert_allclose(browser.run("return relightViewer.point"), [x + 0.28, y - 0.04], atol=1e-9)
    # What is said aloud follows, once the light rests.
    browser.wait("document.getElementById('spoken').textContent === document.getElementById('where').textContent")
    assert browser.run("return document.getElementById('spoken').ariaLive") == "polite"


def test_every_control_has_a_name_and_can_be_reached_by_tab(browser, pages):
    browser.open(pages["plane"][0])
    browser.set("#two", True, "change")
    browser.set("#compare", True, "change")
    tree = browser.command("Accessibility.getFullAXTree")["nodes"]
    focusable = [
        node
        for node in tree
        if any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))
        and node["role"]["value"] not in ("RootWebArea",)
    ]
    assert len(focusable) >= 15
    assert all(node.get("name", {}).get("value", "").strip() for node in focusable)
    browser.run("document.activeElement.blur()")
    reached = set()
    for _ in range(25):
        # Not by Selenium: what it sends to an input of a colour is taken for the colour.
        for kind in ("keyDown", "keyUp"):
            browser.command("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(browser.run("return document.activeElement.id || document.activeElement.tagName"))
        outline = browser.run(
            "const e = document.activeElement, s = getComputedStyle(e.id === 'image' ? e.parentElement : e,"
            " e.id === 'image' ? '::after' : null); return [s.outlineStyle, s.borderTopWidth, e.tagName, e.name]"
        )
        assert outline[0] != "none" or outline[1] == "3px" or outline[2] == "BODY" or outline[3] == "which", outline
    assert reached >= {"image", "dome", "first", "second", "color", "two", "exposure", "compare", "split", "pan"}


def test_sliders_move_the_light_and_are_read_in_words(browser, pages):
    browser.open(pages["dome"][0])
    browser.set("#first", 90)
    browser.set("#second", 60)
    np.testing.assert_allclose(browser.run("return relightViewer.point"), [0, 1 / 3], atol=1e-3)
    assert "from the top, 60° above" in browser.text("#where")
    browser.press("#second", Keys.ARROW_RIGHT)
    assert browser.run("return document.getElementById('second').getAttribute('aria-valuetext')") == "61°"
    browser.set("#second", 90)
    assert "from the camera" in browser.text("#where")


def test_touch_moves_the_light_and_two_fingers_zoom(browser, pages):
    browser.resize(360, 740, mobile=True)
    browser.command("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    try:
        browser.open(pages["dome"][0])
        before = browser.image()
        browser.touch([browser.at("#image", 0.5, 0.5)], [browser.at("#image", 0.6, 0.45)])
        point = browser.run("return relightViewer.point")
        assert point[0] > 0.1
        assert (browser.image() != before).mean() > 0.3
        width = browser.box("#image")[2]
        middle = browser.at("#image", 0.5, 0.5)
        browser.touch(*[[(middle[0] - d, middle[1]), (middle[0] + d, middle[1])] for d in (20, 40, 60)])
        assert browser.box("#image")[2] > 2 * width
        assert browser.run("return window.scrollY") == 0
    finally:
        browser.command("Emulation.setTouchEmulationEnabled", enabled=False)
        browser.resize(1280, 800)


def test_wheel_keys_and_buttons_zoom(browser, pages):
    browser.open(pages["plane"][0])
    width = browser.box("#image")[2]
    place = browser.at("#image", 0.75, 0.25)
    browser.mouse("mouseWheel", place, "none", deltaX=0, deltaY=-400)
    browser.wait(f"document.getElementById('image').getBoundingClientRect().width > {1.5 * width}")
    # What is under the pointer stays there.
    np.testing.assert_allclose(browser.at("#image", 0.75, 0.25), place, atol=1.5)
    before = browser.box("#image")
    browser.drag((400, 400), (350, 420), "middle")
    after = browser.box("#image")
    np.testing.assert_allclose(np.subtract(after, before), [-50, 20, 0, 0], atol=1)
    light = browser.run("return relightViewer.point")
    browser.run("document.getElementById('pan').click()")
    browser.drag((400, 400), (420, 410))
    np.testing.assert_allclose(np.subtract(browser.box("#image"), after), [20, 10, 0, 0], atol=1)
    assert browser.run("return relightViewer.point") == light
    browser.press("#image", "0")
    assert browser.box("#image")[2] == pytest.approx(width)
    browser.press("#image", "+")
    assert browser.box("#image")[2] == pytest.approx(1.25 * width)
    browser.press("#image", "-", "-", "-")
    assert browser.box("#image")[2] == pytest.approx(width)
    browser.run("document.getElementById('zoom-in').click()")
    assert "150" in browser.text("#zoom-fit")


def test_the_nearest_photograph_stands_beside(browser, pages):
    path, decoder = pages["plane"]
    browser.open(path)
    scene = make_scene(n_lights=64, image_shape=(48, 64))
    white = decoder.white
    browser.set("#compare", True, "change")
    browser.set("#split", 25)
    for row in (13, 40):
        point = decoder.surface.to_surface(scene.lights[[row]])[0] + 0.02
        browser.run("relightViewer.moveTo(arguments[0])", point.tolist())
        browser.wait(f"document.getElementById('nearest').textContent.includes('Photograph {row + 1},')")
        photograph = 255 * np.clip(encode_display(scene.images[row], white), 0, 1)

        def differs(photograph=photograph):
            return np.abs(browser.image()[:, 16:] - photograph[:, 16:]).mean()

        # The photograph is unpacked beside.
        assert any(differs() < 4 for _ in range(100))
        browser.run("document.getElementById('same-light').click()")
        shown = browser.image()
        near = decoder.surface.to_surface(scene.lights[[row]])
        assert np.abs(shown[:, :16] - levels(decoder, near)[:, :16]).max() <= 2
    left = browser.run("return document.getElementById('divider').getBoundingClientRect().left")
    assert left == pytest.approx(browser.at("#image", 0.25, 0)[0], abs=2)
    assert browser.messages() == []


@pytest.mark.parametrize("size", [(320, 600), (360, 740), (768, 1024), (1280, 800), (3840, 2160)])
@pytest.mark.parametrize("kind", ["plane", "dome"])
def test_nothing_sticks_out_at_any_width(browser, pages, kind, size):
    browser.resize(*size, mobile=size[0] < 500)
    try:
        browser.open(pages[kind][0])
        browser.set("#two", True, "change")
        if kind == "plane":
            browser.set("#compare", True, "change")
        browser.run("document.querySelector('details').open = true")
        assert browser.run("return document.documentElement.scrollWidth") <= size[0]
        outside = browser.run(
            "return [...document.querySelectorAll('header *, .panel *')].filter(e => e.checkVisibility()"
            " && e.id !== 'spoken' && !e.closest('svg') && !e.matches('.choice input')).filter(e => {"
            " const b = e.getBoundingClientRect(); return b.left < -0.5 || b.right > innerWidth + 0.5; })"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert outside == []
        smallest = browser.run(
            "return Math.min(...[...document.querySelectorAll('p, label, button, output, summary')]"
            ".filter(e => e.checkVisibility()).map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        assert smallest >= (14 if size[0] < 3000 else 18)
        assert browser.box("#image")[2] > 0.4 * min(size)
    finally:
        browser.resize(1280, 800)


def test_a_hostile_title_is_text(browser, pages):
    browser.open(pages["plane"][0])
    heading = browser.run("return document.querySelector('h1').textContent")
    assert heading == TITLE
    assert browser.driver.title.split() == TITLE.split()
    assert browser.run("return window.hacked") is None
    assert browser.run("return document.scripts.length") == 2


def test_a_lost_graphics_context_comes_back(browser, pages):
    path, decoder = pages["dome"]
    browser.open(path)
    browser.run(
        "const gl = document.getElementById('image').getContext('webgl2');"
        "window.loss = gl.getExtension('WEBGL_lose_context'); loss.loseContext();"
        "document.getElementById('image').addEventListener('webglcontextrestored', () => { window.back = true; });"
        "setTimeout(() => loss.restoreContext(), 100)"
    )
    browser.wait("window.back")
    point = browser.run("return relightViewer.point")
    assert np.abs(browser.image() - levels(decoder, [point])).max() <= 2


@pytest.mark.parametrize("flag", ["--disable-3d-apis", "--blink-settings=scriptEnabled=false"])
def test_without_webgl_or_scripts_there_are_a_message_and_an_image(pages, flag):
    path, decoder = pages["dome"]
    with open_browser(flag) as browser:
        if flag == "--disable-3d-apis":
            browser.open(path)
            message = browser.text("#message")
            assert "WebGL2" in message
            assert browser.messages() == []
        else:
            browser.driver.get(path.as_uri())
            message = browser.text("noscript p")
        assert "The scene under one light" not in message
        assert "This is the scene under one light" in message
        assert browser.is_shown("#still")
        assert browser.run("return document.getElementById('still').naturalWidth") == decoder.image_shape[1]
        assert not browser.is_shown("#image")
        assert not browser.is_shown(".panel")
        assert not browser.is_shown(".view")


def test_a_notebook_shows_the_page_in_a_frame(browser, tmp_path):
    lights = directions(12)
    model = Relighter(RBFInterpolation()).fit(lights, shaded(lights, (12, 16)))
    shown = show(model, title='"<i>&', n_lights=16, height=500)
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><html><body>{shown._repr_html_()}</body></html>", encoding="utf-8")
    browser.driver.get_log("browser")
    browser.driver.get(path.as_uri())
    assert browser.box("iframe")[3] == 500
    assert browser.run("return document.querySelector('iframe').title") == '"<i>&'
    browser.driver.switch_to.frame(0)
    browser.wait("window.relightViewer")
    assert browser.text("h1") == '"<i>&'
    point = browser.run("return relightViewer.point")
    assert np.abs(browser.image() - levels(shown.decoder, [point])).max() <= 2
    assert browser.messages() == []
    assert html.escape('"<i>&') in shown._repr_html_()


def test_display_white_is_the_default(pages):
    _, decoder = pages["plane"]
    scene = make_scene(n_lights=64, image_shape=(48, 64))
    assert decoder.white == pytest.approx(display_white(scene.images), rel=0.3)
    assert pages["grey"][1].white is None


def test_normals_enhance_the_image(browser, tmp_path):
    lights = directions(40)
    y, x = np.mgrid[:30, :40] / 8
    normals = np.stack([0.6 * np.sin(x), 0.6 * np.cos(y), np.ones((30, 40))], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    model = Relighter(RBFInterpolation()).fit(lights, shaded(lights, (30, 40)))
    path = tmp_path / "enhanced.html"
    decoder = export_html(model, path, normals=normals, n_lights=48)
    browser.open(path)
    browser.wait("!document.getElementById('enhancement').hidden")
    point = browser.run("return relightViewer.point")
    plain = browser.image().astype(int)
    assert np.abs(plain - levels(decoder, [point])).max() <= 1

    def enhance(name, percent):
        browser.set(f"#{name}", percent)
        image = browser.image().astype(float)
        browser.set(f"#{name}", 0)
        return image

    # At full strength, the map hides the image.
    assert np.quantile(np.abs(enhance("normals", 100) - 255 * (normals + 1) / 2), 0.95) < 4
    light = decoder.surface.to_nodes([point])[0]
    cosines = (normals @ light).clip(0)[..., None]
    assert np.quantile(np.abs(enhance("diffuse", 50) - plain * (1 - 1.5 * (1 - cosines)).clip(0)), 0.95) < 4
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    highlight = (normals @ half).clip(0)[..., None] ** 75
    assert np.quantile(np.abs(enhance("specular", 100) - (0.4 * plain + 0.7 * 255 * highlight).clip(0, 255)), 0.95) < 8
    sharp = enhance("unsharp", 100)
    assert sharp.std(axis=(0, 1)).min() > plain.std(axis=(0, 1)).min()
    assert browser.text("#unsharp-value") == "0 %"
    np.testing.assert_array_equal(browser.image(), plain)
    assert not browser.messages()


def test_normals_that_do_not_fit_are_refused(tmp_path):
    lights = directions(12)
    model = Relighter(RBFInterpolation()).fit(lights, shaded(lights, (8, 10)))
    for normals, match in [(np.ones((8, 10)), r"wanted \(H, W, 3\)"), (np.ones((8, 8, 3)), "images are")]:
        with pytest.raises(ValueError, match=match):
            export_html(model, tmp_path / "page.html", normals=normals, n_lights=12)
    grid = Relighter(RBFInterpolation()).fit(lights[:, :2], shaded(lights, (8, 10)))
    with pytest.raises(ValueError, match="not of 2 columns"):
        export_html(grid, tmp_path / "page.html", normals=np.ones((8, 10, 3)), n_lights=12)
