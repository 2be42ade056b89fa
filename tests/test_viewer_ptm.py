"""Polynomial texture maps as files, read back by a parser written from the format's description alone."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sklrelight import Relighter
from sklrelight.datasets import load_rti, make_scene
from sklrelight.interpolation import NearestPhotograph, PolynomialTextureMap
from sklrelight.metrics import peak_signal_noise_ratio
from sklrelight.viewer import load_ptm, save_ptm


class Ptm:
    """A .ptm file, evaluated pixel by pixel as its description says."""

    def __init__(self, path):
        with open(path, "rb") as file:
            version, kind = (file.readline().decode("ascii").strip() for _ in range(2))
            assert (version, kind) == ("PTM_1.2", "PTM_FORMAT_RGB")
            self.width, self.height = (int(file.readline()) for _ in range(2))
            self.scale = [float(text) for text in file.readline().split()]
            self.bias = [int(text) for text in file.readline().split()]
            self.data = file.read()
        assert len(self.scale) == len(self.bias) == 6
        assert len(self.data) == 18 * self.width * self.height

    def level(self, row, column, channel, u, v):
        """Give the level of 255 of a pixel, rows counted from the top."""
        start = 6 * (channel * self.width * self.height + (self.height - 1 - row) * self.width + column)
        a = [(self.data[start + i] - self.bias[i]) * self.scale[i] for i in range(6)]
        return a[0] * u * u + a[1] * v * v + a[2] * u * v + a[3] * u + a[4] * v + a[5]

    def image(self, u, v):
        size = range(self.height), range(self.width), range(3)
        return np.array([[[self.level(r, c, k, u, v) for k in size[2]] for c in size[1]] for r in size[0]])


def directions(n, seed=0):
    vectors = np.random.default_rng(seed).normal((0, 0, 1.5), size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def model():
    lights = directions(30)
    images = np.random.default_rng(1).random((30, 5, 7, 3))
    return PolynomialTextureMap().fit(lights, images)


def test_a_file_evaluates_to_what_the_model_predicts(tmp_path, model):
    save_ptm(tmp_path / "scene.ptm", model)
    ptm = Ptm(tmp_path / "scene.ptm")
    assert (ptm.width, ptm.height) == (7, 5)
    assert all(0 <= bias <= 255 for bias in ptm.bias)
    # Half a step of each coefficient, times its term, is what rounding may do.
    for x, y, z in directions(5, seed=2):
        terms = np.abs([x * x, y * y, x * y, x, y, 1])
        allowed = 0.51 * np.dot(ptm.scale, terms)
        np.testing.assert_allclose(ptm.image(x, y), 255 * model.predict([[x, y, z]])[0], atol=allowed)


def test_rows_columns_and_channels_are_in_their_places(tmp_path):
    lights, images = directions(20), np.zeros((20, 3, 4, 3))
    images[:, 0, 3, 0] = 0.8
    images[:, 2, 1, 2] = 0.4
    save_ptm(tmp_path / "scene.ptm", PolynomialTextureMap().fit(lights, images))
    image = Ptm(tmp_path / "scene.ptm").image(0.1, 0.2)
    assert [tuple(map(int, place)) for place in np.argwhere(image > 30)] == [(0, 3, 0), (2, 1, 2)]
    np.testing.assert_allclose(image[[0, 2], [3, 1], [0, 2]], [204, 102], atol=1.5)


def test_the_light_from_the_right_is_on_the_right(tmp_path):
    lights = directions(20)
    images = (0.5 + 0.4 * lights[:, :1, None]) * np.ones((1, 2, 2))
    save_ptm(tmp_path / "scene.ptm", PolynomialTextureMap().fit(lights, images))
    ptm = Ptm(tmp_path / "scene.ptm")
    assert ptm.level(0, 0, 0, 0.5, 0) > ptm.level(0, 0, 0, -0.5, 0) + 90
    assert ptm.level(0, 0, 0, 0, 0.5) == pytest.approx(ptm.level(0, 0, 0, 0, -0.5), abs=2)


def test_white_is_level_255_and_grey_is_grey(tmp_path):
    lights, images = directions(20), np.full((20, 2, 3), 4.0)
    save_ptm(tmp_path / "scene.ptm", PolynomialTextureMap().fit(lights[:, :2], images), white=4.0)
    np.testing.assert_allclose(Ptm(tmp_path / "scene.ptm").image(0.3, -0.2), 255, atol=1)


def test_a_black_scene(tmp_path):
    save_ptm(tmp_path / "scene.ptm", PolynomialTextureMap().fit(directions(9), np.zeros((9, 2, 3, 3))))
    assert not Ptm(tmp_path / "scene.ptm").image(0.3, 0.1).any()


def test_a_real_capture_keeps_its_look(tmp_path, data_dir):
    capture = load_rti(data_dir / "realrti_item3")
    images = capture.images[:, 100:160, 100:160]
    model = PolynomialTextureMap().fit(capture.lights, images)
    save_ptm(tmp_path / "scene.ptm", model)
    unit = capture.lights / np.linalg.norm(capture.lights, axis=1, keepdims=True)
    shown = Ptm(tmp_path / "scene.ptm").image(*unit[30, :2]) / 255
    assert peak_signal_noise_ratio(model.predict(capture.lights[30:31])[0], shown, data_range=1) > 34


def test_what_is_no_polynomial_texture_map_is_refused(tmp_path, model):
    path = tmp_path / "scene.ptm"
    path.write_bytes(b"old")
    scene = make_scene(n_lights=12, image_shape=(6, 8))
    nearest = NearestPhotograph().fit(scene.lights, scene.images)
    for wrong, match in [
        (nearest, "NearestPhotograph, wanted a fitted PolynomialTextureMap"),
        (Relighter(NearestPhotograph()).fit(scene.lights, scene.images), "Relighter, wanted"),
        (PolynomialTextureMap().fit(scene.lights, scene.images), "no directions"),
        (PolynomialTextureMap().fit(directions(9), np.zeros((9, 4))), "shape"),
        (PolynomialTextureMap().fit(directions(9), np.zeros((9, 4, 4, 2))), "shape"),
        ("model", "is a .model., wanted a fitted"),
    ]:
        with pytest.raises(ValueError, match=match):
            save_ptm(path, wrong)
    with pytest.raises(NotFittedError):
        save_ptm(path, PolynomialTextureMap())
    with pytest.raises(ValueError, match="white"):
        save_ptm(path, model, white=0)
    with pytest.raises(ValueError, match="layout='lum', wanted one of rgb, lrgb"):
        save_ptm(path, model, layout="lum")
    assert path.read_bytes() == b"old"


def test_a_file_read_back_predicts_the_same_up_to_the_rounding(tmp_path, model):
    save_ptm(tmp_path / "scene.ptm", model)
    loaded, ptm = load_ptm(tmp_path / "scene.ptm"), Ptm(tmp_path / "scene.ptm")
    for x, y, z in directions(4, seed=3):
        np.testing.assert_allclose(255 * loaded.predict([[x, y, z]])[0], ptm.image(x, y), atol=1e-3)
        allowed = 0.51 / 255 * np.dot(ptm.scale, np.abs([x * x, y * y, x * y, x, y, 1]))
        np.testing.assert_allclose(loaded.predict([[x, y, z]]), model.predict([[x, y, z]]), atol=allowed)
    # Once rounded, it stays as it is.
    save_ptm(tmp_path / "again.ptm", loaded)
    np.testing.assert_allclose(
        load_ptm(tmp_path / "again.ptm").coefficients_, loaded.coefficients_, atol=max(ptm.scale) / 255
    )


def test_luminance_with_one_colour(tmp_path):
    lights = directions(30)
    rng = np.random.default_rng(0)
    colour = rng.uniform(0.2, 1, (5, 7, 3))
    shading = rng.uniform(0, 1, (30, 5, 7, 1))
    model = PolynomialTextureMap().fit(lights, shading * colour)
    save_ptm(tmp_path / "rgb.ptm", model)
    save_ptm(tmp_path / "lrgb.ptm", model, layout="lrgb")
    assert (tmp_path / "lrgb.ptm").stat().st_size < 0.6 * (tmp_path / "rgb.ptm").stat().st_size
    near = load_ptm(tmp_path / "lrgb.ptm").predict(lights)
    assert peak_signal_noise_ratio(model.predict(lights), near, data_range=1) > 38


def test_the_older_order_of_luminance_and_colour(tmp_path):
    rng = np.random.default_rng(1)
    luminance, colour = rng.integers(0, 256, (3, 4, 6), np.uint8), rng.integers(0, 256, (3, 4, 3), np.uint8)
    header = b"\nPTM_FORMAT_LRGB\n4\n3\n1 1 1 1 1 1 \n10 20 30 40 50 60\n"
    (tmp_path / "new.ptm").write_bytes(b"PTM_1.2" + header + luminance.tobytes() + colour.tobytes())
    (tmp_path / "old.ptm").write_bytes(b"PTM_1.1" + header + np.concatenate([luminance, colour], axis=2).tobytes())
    new, old = load_ptm(tmp_path / "new.ptm"), load_ptm(tmp_path / "old.ptm")
    np.testing.assert_array_equal(new.coefficients_, old.coefficients_)
    # The last term is the constant, and the last row of the file is at the top.
    expected = (luminance[2, 1, 5] - 60.0) / 255 * colour[2, 1] / 255
    np.testing.assert_allclose(new.predict([[0, 0, 1.0]])[0, 0, 1], expected, rtol=1e-5)


def compressed(n_planes, edit=lambda lists: None):
    """Make a file of planes compressed by JPEG, the second as the difference to the first, and its planes."""
    cv2 = pytest.importorskip("cv2")
    y, x = np.mgrid[:16, :24]
    planes = [np.uint8(100 + 4 * (k % 7) + 2 * x + 3 * y) for k in range(n_planes)]
    planes[1][3, 5] = 250
    stored = list(planes)
    stored[1] = planes[1] - planes[0] + np.uint8(128)
    parts = [cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes() for plane in stored]
    exact = (3 * 24 + 5).to_bytes(4, "big") + bytes([250])
    lists = {name: [0] * n_planes for name in ("transforms", "x", "y", "order", "references", "sizes", "extras")}
    lists["order"] = list(range(n_planes))
    lists["references"] = [-1, 0, *[-1] * (n_planes - 2)]
    lists["sizes"] = [len(part) for part in parts]
    lists["extras"][1] = len(exact)
    edit(lists)
    kind = b"PTM_FORMAT_JPEG_LRGB" if n_planes == 9 else b"PTM_FORMAT_JPEG_RGB"
    lines = [b"PTM_1.2", kind, b"24", b"16", b"1 1 1 1 1 1", b"0 0 0 0 0 0", b"100"]
    lines += [" ".join(map(str, numbers)).encode() for numbers in lists.values()]
    data = b"\n".join(lines) + b"\n" + parts[0] + parts[1] + exact + b"".join(parts[2:])
    return data, planes


@pytest.mark.parametrize("n_planes", [9, 18])
def test_planes_compressed_by_jpeg(tmp_path, n_planes):
    data, planes = compressed(n_planes)
    (tmp_path / "scene.ptm").write_bytes(data)
    loaded = load_ptm(tmp_path / "scene.ptm").coefficients_
    planes = np.stack(planes)[:, ::-1].astype(float) / 255
    for term, place in enumerate([3, 5, 4, 1, 2, 0]):
        expected = planes[term, ..., None] * planes[6:].transpose(1, 2, 0) if n_planes == 9 else None
        if expected is None:
            expected = planes[[term, 6 + term, 12 + term]].transpose(1, 2, 0)
        np.testing.assert_allclose(loaded[place], expected, atol=3 / 255)
    # What the difference could not hold stands exactly beside it.
    assert loaded[5][15 - 3, 5, 0] == pytest.approx(
        250 / 255 * (1 if n_planes == 18 else planes[6, 12, 5]), abs=3 / 255
    )


def put(name, index, value):
    def edit(lists):
        lists[name][index] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (put("transforms", 3, 1), "moving or inverting others"),
        (put("order", 2, 7), "in no order"),
        (put("references", 0, 5), "plane 0 is the difference to one that is not there"),
        (put("sizes", 8, 10**9), "planes take"),
        (put("sizes", 8, -1), "planes take"),
        (put("sizes", 4, 100), "plane 4"),
    ],
)
def test_compressed_planes_that_are_not_as_described(tmp_path, edit, match):
    (tmp_path / "scene.ptm").write_bytes(compressed(9, edit)[0])
    with pytest.raises(ValueError, match=match) as error:
        load_ptm(tmp_path / "scene.ptm")
    assert str(tmp_path / "scene.ptm") in str(error.value)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "begins with b''"),
        (b"GIF89a", "begins with b'GIF89a'"),
        (b"PTM_1.2\nPTM_FORMAT_LUM\n4\n3\n", "is of the format b'PTM_FORMAT_LUM'"),
        (b"PTM_1.2\nPTM_FORMAT_RGB\n4\n", "its header is cut"),
        (b"PTM_1.2\nPTM_FORMAT_RGB\n4\n3\n1 1 1 1 1\n1 0 0 0 0 0 0\n", "header claims"),
        (b"PTM_1.2\nPTM_FORMAT_RGB\n4\n3\n1 1 1 1 1 nan\n0 0 0 0 0 0\n", "wanted 12 numbers"),
        (b"PTM_1.2\nPTM_FORMAT_RGB\n4\nx\n", "wanted 2 numbers"),
        (b"PTM_1.2\nPTM_FORMAT_RGB\n-4\n-3\n1 1 1 1 1 1\n0 0 0 0 0 0\n", "claims -4 x -3 pixels"),
        (b"PTM_1.2\nPTM_FORMAT_RGB\n100000\n90000\n1 1 1 1 1 1\n0 0 0 0 0 0\nabc", "3 bytes follow"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, data, match):
    (tmp_path / "scene.ptm").write_bytes(data)
    with pytest.raises(ValueError, match=match) as error:
        load_ptm(tmp_path / "scene.ptm")
    assert str(error.value).startswith(str(tmp_path / "scene.ptm"))


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_ptm(tmp_path / "scene.ptm")
    with pytest.raises(OSError, match="director"):
        load_ptm(tmp_path)
