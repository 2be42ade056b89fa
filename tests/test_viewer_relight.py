"""Hemispherical harmonics as .rti files, and the web folders of RelightLab and OpenLIME."""

import json
import shutil

import numpy as np
import pytest
from hostile_rti import write_files
from sklearn.exceptions import NotFittedError

from sklrelight import make_relighter
from sklrelight.interpolation import HemisphericalHarmonics, NearestPhotograph, PolynomialTextureMap
from sklrelight.metrics import peak_signal_noise_ratio
from sklrelight.viewer import (
    BilinearTextureMap,
    distill,
    export_html,
    export_openlime,
    load_hsh,
    load_ptm,
    load_relight,
    save_hsh,
    save_ptm,
    save_relight,
)

cv2 = pytest.importorskip("cv2")


def directions(n, seed=0):
    vectors = np.random.default_rng(seed).normal((0, 0, 1.5), size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2]) + 0.1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def smooth_images(lights, height=20, width=28):
    """Photographs of a coloured, bumpy surface, smooth enough for JPEG."""
    y, x = np.mgrid[:height, :width] / 9
    normals = np.stack([0.5 * np.sin(x), 0.5 * np.cos(y), np.ones_like(x)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    shading = np.maximum(np.einsum("hwk,nk->nhw", normals, lights), 0)
    return shading[..., None] * np.stack([0.9 - 0.1 * x / 30, 0.6 + 0 * x, 0.3 + 0.2 * y / 30], axis=-1)


def viewer_harmonics(x, y, z):
    """Evaluate the harmonics as the viewers of .rti files do."""
    phi, c = np.arctan2(y, x), z
    s = np.sqrt(c - c * c)
    return np.array(
        [
            1 / np.sqrt(2 * np.pi),
            np.sqrt(6 / np.pi) * np.cos(phi) * s,
            np.sqrt(3 / (2 * np.pi)) * (2 * c - 1),
            np.sqrt(6 / np.pi) * np.sin(phi) * s,
            np.sqrt(30 / np.pi) * np.cos(2 * phi) * (c * c - c),
            np.sqrt(30 / np.pi) * np.cos(phi) * (2 * c - 1) * s,
            np.sqrt(5 / (2 * np.pi)) * (1 - 6 * c + 6 * c * c),
            np.sqrt(30 / np.pi) * np.sin(phi) * (2 * c - 1) * s,
            np.sqrt(30 / np.pi) * np.sin(2 * phi) * (c * c - c),
        ]
    )


def rti_image(path, light):
    """Evaluate an .rti file as its description says, without this library."""
    lines = path.read_bytes().split(b"\n", 4)
    assert lines[:2] == [b"#HSH1.2", b"3"]
    (width, height, n_channels), (n_terms, _, size) = ([int(word) for word in line.split()] for line in lines[2:4])
    assert (n_channels, size) == (3, 1)
    scale, bias = np.frombuffer(lines[4], "<f4", 2 * n_terms).reshape(2, n_terms)
    values = np.frombuffer(lines[4], np.uint8, offset=8 * n_terms).reshape(height, width, 3, n_terms)
    return (values / 255 * scale + bias) @ viewer_harmonics(*light)[:n_terms]


@pytest.mark.parametrize("order", [1, 2])
def test_an_rti_file_evaluates_to_what_the_model_predicts(tmp_path, order):
    lights = directions(40)
    model = HemisphericalHarmonics(order=order).fit(lights, np.random.default_rng(1).random((40, 5, 7, 3)))
    save_hsh(tmp_path / "scene.rti", model)
    for light in directions(5, seed=2):
        np.testing.assert_allclose(rti_image(tmp_path / "scene.rti", light), model.predict([light])[0], atol=0.05)
    loaded = load_hsh(tmp_path / "scene.rti")
    assert loaded.order == order
    light = directions(1, seed=3)
    np.testing.assert_allclose(loaded.predict(light)[0], rti_image(tmp_path / "scene.rti", light[0]), atol=1e-5)
    save_hsh(tmp_path / "again.rti", loaded)
    np.testing.assert_allclose(load_hsh(tmp_path / "again.rti").coefficients_, loaded.coefficients_, atol=1e-5)


def test_white_and_grey_in_an_rti_file(tmp_path):
    lights = directions(20)
    model = HemisphericalHarmonics().fit(lights, np.full((20, 3, 4), 5.0))
    save_hsh(tmp_path / "scene.rti", model, white=5.0)
    np.testing.assert_allclose(load_hsh(tmp_path / "scene.rti").predict(lights), np.ones((20, 3, 4, 3)), atol=0.01)


def test_a_single_coefficient_that_is_constant(tmp_path):
    lights = directions(20)
    model = HemisphericalHarmonics(order=1).fit(lights, np.full((20, 1, 1, 3), 0.25))
    save_hsh(tmp_path / "scene.rti", model)
    np.testing.assert_allclose(load_hsh(tmp_path / "scene.rti").predict(lights[:1]), 0.25, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "header is cut"),
        (b"#HSH1.2", "header is cut"),
        (b"#HSH1.2\n1\n4 4 3\n6 1 1\n", "is of kind 1 with 6 terms"),
        (b"#HSH1.2\n3\n4 4 3\n16 2 1\n", "with 16 terms"),
        (b"#HSH1.2\n3\n4 4\n9 2 1\n", "wanted 3 numbers"),
        (b"#HSH1.2\n3\n90000 90000 3\n9 2 1\n" + bytes(1000), "1000 bytes follow"),
        (b"#HSH1.2\n3\n0 4 3\n9 2 1\n" + bytes(1000), "claims 0 x 4 pixels"),
        (b"#HSH1.2\n3\n1 1 3\n4 2 1\n" + bytes.fromhex("0000c07f") * 8 + bytes(12), "a scale of nan"),
    ],
)
def test_damaged_rti_files_are_refused_by_name(tmp_path, data, match):
    (tmp_path / "scene.rti").write_bytes(data)
    with pytest.raises(ValueError, match=match) as error:
        load_hsh(tmp_path / "scene.rti")
    assert str(error.value).startswith(str(tmp_path / "scene.rti"))


def test_what_is_no_model_of_rti_is_refused(tmp_path):
    lights = directions(30)
    nearest = NearestPhotograph().fit(lights, smooth_images(lights))
    third = HemisphericalHarmonics(order=3).fit(lights, smooth_images(lights))
    for save in (save_hsh, save_relight):
        with pytest.raises(ValueError, match="wanted a fitted HemisphericalHarmonics"):
            save(tmp_path / "scene", nearest)
        with pytest.raises(ValueError, match="order 3, wanted 1 or 2"):
            save(tmp_path / "scene", third)
        with pytest.raises(NotFittedError):
            save(tmp_path / "scene", HemisphericalHarmonics())
        with pytest.raises(ValueError, match="white=0"):
            save(tmp_path / "scene", HemisphericalHarmonics().fit(lights, smooth_images(lights)), white=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layout", ["image", "deepzoom"])
@pytest.mark.parametrize("kind", [PolynomialTextureMap, HemisphericalHarmonics])
def test_a_web_folder_predicts_the_same_up_to_rounding_and_jpeg(tmp_path, kind, layout):
    lights = directions(40)
    model = kind().fit(lights, smooth_images(lights, 20, 300))
    save_relight(tmp_path / "web", model, layout=layout, quality=100)
    loaded = load_relight(tmp_path / "web")
    assert isinstance(loaded, kind)
    assert peak_signal_noise_ratio(model.predict(lights), loaded.predict(lights), data_range=1) > 42
    info = json.loads((tmp_path / "web" / "info.json").read_text())
    assert (info["type"], info["colorspace"]) == ("ptm" if kind is PolynomialTextureMap else "hsh", "rgb")
    assert len(info["materials"][0]["scale"]) == info["nplanes"]
    if layout == "deepzoom":
        # The smallest level fits one tile, and the largest has all pixels.
        tiles = tmp_path / "web" / "plane_0_files"
        assert sorted(path.relative_to(tiles).as_posix() for path in tiles.rglob("*.jpg")) == [
            "0/0_0.jpg",
            "1/0_0.jpg",
            "1/1_0.jpg",
        ]
        assert cv2.imread(str(tiles / "0" / "0_0.jpg")).shape == (10, 150, 3)


def test_luminance_and_colour_in_a_web_folder(tmp_path):
    lights = directions(30)
    model = PolynomialTextureMap().fit(lights, smooth_images(lights, 16, 16))
    save_relight(tmp_path / "web", model, quality=100)
    info = json.loads((tmp_path / "web" / "info.json").read_text())
    # Colour 0.5, 0.25, 1; a luminance of 0.8 x + 0.1.
    colours, terms = np.full((16, 16, 3), [64, 128, 255]), np.zeros((2, 16, 16, 3))
    terms[0] = [0.1 * 255, 0.8 * 255, 0]
    for number, values in enumerate([colours, *terms]):
        encoded = np.ascontiguousarray(np.round(values[..., ::-1]).astype(np.uint8))
        if number == 0:
            encoded = np.ascontiguousarray(encoded[..., ::-1])[..., ::-1]
        cv2.imwrite(str(tmp_path / "web" / f"plane_{number}.jpg"), encoded, [cv2.IMWRITE_JPEG_QUALITY, 100])
    info |= {"colorspace": "lrgb", "nplanes": 9, "materials": [{"scale": [1.0] * 9, "bias": [0.0] * 9}]}
    (tmp_path / "web" / "info.json").write_text(json.dumps(info))
    loaded = load_relight(tmp_path / "web")
    expected = (0.1 + 0.8 * 0.6) * np.array([64, 128, 255]) / 255
    np.testing.assert_allclose(loaded.predict([[0.6, 0, 0.8]])[0, 8, 8], expected, atol=0.02)


def test_loaded_models_work_where_others_do(tmp_path):
    lights = directions(30)
    images = smooth_images(lights)
    save_ptm(tmp_path / "scene.ptm", PolynomialTextureMap().fit(lights, images))
    save_hsh(tmp_path / "scene.rti", HemisphericalHarmonics().fit(lights, images))
    export_openlime(
        PolynomialTextureMap().fit(lights, images),
        tmp_path / "web",
        lights=lights,
        white=None,
        n_planes=6,
        resolution=8,
        n_lights=40,
    )
    for number, model in enumerate(
        [load_ptm(tmp_path / "scene.ptm"), load_hsh(tmp_path / "scene.rti"), load_relight(tmp_path / "web")]
    ):
        decoder = distill(model, white=None, n_lights=40)
        seen = model.predict(lights).clip(0, 1)
        assert peak_signal_noise_ratio(seen, decoder.encoded(lights).clip(0, 1), data_range=1) > 30
        export_html(model, tmp_path / f"{number}.html", white=None, n_lights=40)
        shown = export_openlime(model, tmp_path / str(number), white=None, n_planes=9, resolution=8, n_lights=40)
        assert shown.psnr > 30
        if not isinstance(model, BilinearTextureMap):
            # The weights of training photographs are those under the lights that stand in for them.
            assert model.weights(lights[:2]).shape[0] == 2


def test_a_folder_that_is_there_stays(tmp_path):
    lights = directions(20)
    model = PolynomialTextureMap().fit(lights, smooth_images(lights))
    (tmp_path / "web").mkdir()
    save_relight(tmp_path / "web", model)
    before = sorted((tmp_path / "web").iterdir())
    with pytest.raises(FileExistsError, match="is there already"):
        save_relight(tmp_path / "web", model)
    assert sorted((tmp_path / "web").iterdir()) == before
    with pytest.raises(FileNotFoundError):
        save_relight(tmp_path / "none" / "web", model)
    assert [path.name for path in tmp_path.iterdir()] == ["web"]


def test_limits_of_the_viewer(tmp_path):
    lights = directions(20)
    model = PolynomialTextureMap().fit(lights, smooth_images(lights, 1, 4100))
    with pytest.raises(ValueError, match=r"4100 x 1 pixels.*layout='deepzoom'"):
        save_relight(tmp_path / "web", model)
    save_relight(tmp_path / "web", model, layout="deepzoom")
    model = PolynomialTextureMap().fit(lights, smooth_images(lights))
    for wrong, match in [
        ({"layout": "zoomify"}, "layout='zoomify'"),
        ({"quality": 0}, "quality=0"),
        ({"normals": np.zeros((20, 27, 3))}, r"normals have the shape \(20, 27, 3\), wanted \(20, 28, 3\)"),
        ({"normals": np.full((20, 28, 3), np.nan)}, "finite unit vectors"),
        ({"normals": np.full((20, 28, 3), 200)}, "finite unit vectors"),
    ]:
        with pytest.raises(ValueError, match=match):
            save_relight(tmp_path / "other", model, **wrong)
    assert not (tmp_path / "other").exists()


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A web folder of each kind."""
    folder, lights = tmp_path_factory.mktemp("web"), directions(30)
    model = PolynomialTextureMap().fit(lights, smooth_images(lights))
    save_relight(folder / "ptm", model)
    options = {"lights": lights, "white": None, "n_planes": 6, "resolution": 4, "n_lights": 40}
    export_openlime(model, folder / "bilinear", **options)
    export_openlime(model, folder / "deepzoom", layout="deepzoom", **options)
    return folder


def put(**values):
    return lambda info: info.update(values)


@pytest.mark.parametrize(
    ("kind", "edit", "match"),
    [
        ("ptm", put(type="rbf"), "is of type 'rbf'"),
        ("ptm", put(colorspace="mrgb"), "colour space 'mrgb'"),
        ("ptm", put(nplanes=10**9), "nplanes is 1000000000"),
        ("ptm", put(nplanes=12), "scale is 18 values, wanted 12 numbers"),
        ("ptm", put(materials=[]), "materials"),
        ("ptm", put(width=10**8), "claims 100000000 x 20 pixels"),
        ("ptm", put(height="20"), "height is 20, wanted a whole number"),
        ("bilinear", put(resolution=10**6), "basis is 336 values"),
        ("bilinear", put(basis=[256] * 336), "other values than bytes"),
        ("bilinear", put(basis=[True] * 336), "other values than numbers"),
        ("bilinear", put(basis={}), "basis is dict"),
        ("bilinear", lambda info: info["materials"][0].update(range=[0] * 6), "range of 0"),
        ("bilinear", lambda info: info["materials"][0].update(range=[1e-300] * 6), "quotients of scale and range"),
        ("bilinear", lambda info: info["materials"][0].update(scale=[1e300] * 6), "other values than numbers"),
    ],
)
def test_descriptions_that_lie_are_refused(web, tmp_path, kind, edit, match):
    shutil.copytree(web / kind, tmp_path / "web")
    info = json.loads((tmp_path / "web" / "info.json").read_text())
    edit(info)
    (tmp_path / "web" / "info.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match=match) as error:
        load_relight(tmp_path / "web")
    assert str(error.value).startswith(str(tmp_path / "web" / "info.json"))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"type": 1e999}', "[" * 100_000, "\xff"])
def test_descriptions_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "info.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"info\.json"):
        load_relight(tmp_path)


def test_planes_that_are_missing_or_damaged(web, tmp_path):
    for kind, name in [("bilinear", "plane_1.jpg"), ("deepzoom", "plane_1_files/0/0_0.jpg")]:
        shutil.copytree(web / kind, tmp_path / kind)
        path = tmp_path / kind / name
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(ValueError, match=path.name):
            load_relight(tmp_path / kind)
        path.unlink()
        with pytest.raises(FileNotFoundError):
            load_relight(tmp_path / kind)
    path = tmp_path / "deepzoom" / "plane_0.dzi"
    path.write_text(path.read_text().replace("TileSize", "Size"))
    with pytest.raises(ValueError, match="TileSize"):
        load_relight(tmp_path / "deepzoom")
    grey = cv2.imencode(".jpg", np.zeros((20, 28), np.uint8))[1].tobytes()
    (tmp_path / "bilinear" / "plane_0.jpg").write_bytes(grey)
    with pytest.raises(ValueError, match="wanted three channels"):
        load_relight(tmp_path / "bilinear")


@pytest.mark.parametrize("n_files", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_mutated_files_give_a_result_or_an_error(web, tmp_path, n_files):
    outcomes = write_files(web, tmp_path, n_files)
    assert sum(outcomes.values()) == n_files
    # Some are hurt and others are not: the damage is neither too mild nor the same each time.
    assert min(outcomes["read"], outcomes["refused"]) > n_files / 25, outcomes


def test_an_encoded_relighter_cannot_be_saved_as_harmonics(tmp_path):
    with pytest.raises(ValueError, match="Relighter, wanted a fitted"):
        save_hsh(tmp_path / "scene.rti", make_relighter())


def to_tarzoom(folder, size=10):
    """Put the planes of a folder into files of tiles, with one tile of a smaller resolution before the others."""
    for path in folder.glob("plane_*.jpg"):
        levels = cv2.imread(str(path))
        height, width = levels.shape[:2]
        tiles = [levels[::3, ::3]]
        tiles += [levels[y : y + size, x : x + size] for y in range(0, height, size) for x in range(0, width, size)]
        # PNG, so that nothing is lost.
        data = [cv2.imencode(".png", np.ascontiguousarray(tile))[1].tobytes() for tile in tiles]
        info = {"tilesize": size, "overlap": 0, "format": "jpg", "width": width, "height": height, "nlevels": 2}
        info["offsets"] = np.cumsum([0, *map(len, data)]).tolist()
        path.with_suffix(".tzb").write_bytes(b"".join(data))
        path.with_suffix(".tzi").write_text(json.dumps(info))
        path.unlink()


def test_tiles_in_one_file_are_read(web, tmp_path):
    shutil.copytree(web / "bilinear", tmp_path / "web")
    expected = load_relight(tmp_path / "web")
    to_tarzoom(tmp_path / "web")
    np.testing.assert_array_equal(load_relight(tmp_path / "web").planes, expected.planes)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 1000},
        {"tilesize": 0},
        {"offsets": [0, 5]},
        {"offsets": [9, 3] * 4},
        {"height": "20"},
        {"width": 2**39, "height": 2**39},
        {"offsets": None},
    ],
    ids=str,
)
def test_tiles_in_one_file_that_lie_are_refused(web, tmp_path, change):
    shutil.copytree(web / "bilinear", tmp_path / "web")
    to_tarzoom(tmp_path / "web")
    path = tmp_path / "web" / "plane_1.tzi"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=r"plane_1\.tzi: damaged"):
        load_relight(tmp_path / "web")
    (tmp_path / "web" / "plane_0.tzb").unlink()
    with pytest.raises(FileNotFoundError):
        load_relight(tmp_path / "web")
