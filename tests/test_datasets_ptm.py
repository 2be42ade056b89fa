"""Polynomial texture maps as files, read back by a parser written from the format's description alone."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sklrelight import Relighter
from sklrelight.datasets import load_rti, make_scene, save_ptm
from sklrelight.interpolation import NearestPhotograph, PolynomialTextureMap
from sklrelight.metrics import peak_signal_noise_ratio


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
        (nearest, "NearestPhotograph, wanted a PolynomialTextureMap"),
        (Relighter(NearestPhotograph()).fit(scene.lights, scene.images), "Relighter, wanted"),
        (PolynomialTextureMap().fit(scene.lights, scene.images), "no directions"),
        (PolynomialTextureMap().fit(directions(9), np.zeros((9, 4))), "shape"),
        ("model", "wanted a fitted"),
    ]:
        with pytest.raises(ValueError, match=match):
            save_ptm(path, wrong)
    with pytest.raises(NotFittedError):
        save_ptm(path, PolynomialTextureMap())
    with pytest.raises(ValueError, match="white"):
        save_ptm(path, model, white=0)
    assert path.read_bytes() == b"old"
