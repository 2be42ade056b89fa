import numpy as np
import pytest

from sklrelight import ImageStack, Relighter
from sklrelight.datasets import load_image, make_scene
from sklrelight.interpolation import RBFInterpolation
from sklrelight.surface import PhotometricStereo, angular_error, integrate_normals, save_normals

COLOURS = np.array([0.8, 0.4, 0.2])


def dome(n_lights, lowest=0.3):
    rng = np.random.default_rng(0)
    height, azimuth = rng.uniform(lowest, 1, n_lights), rng.uniform(0, 2 * np.pi, n_lights)
    across = np.sqrt(1 - height**2)
    return np.column_stack([across * np.cos(azimuth), across * np.sin(azimuth), height])


def ball(size=12, radius=0.8):
    """Return the normals of half a ball, and where it is in the image."""
    y, x = np.mgrid[1 : -1 : size * 1j, -1 : 1 : size * 1j]
    inside = x**2 + y**2 < radius**2
    normals = np.stack([x, y, np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0))], -1) / radius
    return normals * inside[..., None], inside


def matte(normals, lights):
    return np.maximum(np.einsum("hwi,ni->nhw", normals, lights), 0)[..., None] * COLOURS


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_a_matte_ball_has_its_normals_and_its_albedo(dtype):
    (normals, inside), lights = ball(), dome(30)
    scale = 60000 if dtype == np.uint16 else 1
    images = (matte(normals, lights) * scale).astype(dtype)
    stereo = PhotometricStereo().fit(lights, images)
    assert stereo.normals_.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_array_equal(stereo.mask_, inside)
    assert np.nanmax(angular_error(stereo.normals_, normals)) < 0.1
    np.testing.assert_allclose(stereo.albedo_[inside], np.broadcast_to(COLOURS * scale, (inside.sum(), 3)), rtol=1e-3)
    assert stereo.residuals_.max() < 1e-3 * scale
    assert not stereo.normals_[~inside].any()
    assert not stereo.albedo_[~inside].any()
    np.testing.assert_allclose(stereo.predict(lights), images, atol=2e-3 * scale)
    pixels = np.array([5, 40, 77])
    np.testing.assert_array_equal(
        stereo.predict_pixels(lights, pixels), stereo.predict(lights).reshape(30, -1, 3)[:, pixels]
    )


def test_shadows_and_highlights_are_outliers_of_the_absolute_error_only():
    (normals, inside), lights = ball(), dome(40)
    images = matte(normals, lights)
    rng = np.random.default_rng(1)
    shadowed = rng.random(images.shape[:3]) < 0.15
    bright = rng.random(images.shape[:3]) < 0.1
    images[shadowed] = 0
    images[bright] += 2
    robust, plain = (
        np.nanmean(angular_error(PhotometricStereo(loss=loss).fit(lights, images).normals_, normals)[inside])
        for loss in ("absolute_error", "squared_error")
    )
    assert robust < 2
    assert plain > 5


@pytest.mark.parametrize("shape", [(4, 5), (3,), ()], ids=str)
def test_grey_photographs_and_single_pixels_keep_their_shape(shape):
    lights = dome(12)
    shading = np.maximum(lights @ [0.0, 0.6, 0.8], 0)
    images = np.broadcast_to(shading.reshape(-1, *[1] * len(shape)), (12, *shape)).copy()
    stereo = PhotometricStereo().fit(lights, images)
    image_shape = shape if len(shape) == 2 else ()
    assert stereo.normals_.shape == (*image_shape, 3)
    assert stereo.mask_.shape == stereo.residuals_.shape == image_shape
    assert stereo.albedo_.shape == shape
    np.testing.assert_allclose(stereo.normals_, np.broadcast_to([0, 0.6, 0.8], (*image_shape, 3)), atol=1e-5)
    np.testing.assert_allclose(stereo.predict(lights), images, atol=1e-5)


def test_near_lights_are_given_by_positions_over_a_plane():
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(6, 8, 3)) * [0.2, 0.2, 0] + [0, 0, 1]
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    positions = dome(20) * 5
    x, y = np.meshgrid((np.arange(8) - 3.5) * 0.5, (2.5 - np.arange(6)) * 0.5)
    points = np.stack([x, y, np.zeros_like(x)], -1)
    vectors = positions[:, None, None] - points
    images = (vectors * normals).sum(-1).clip(0) / np.linalg.norm(vectors, axis=-1) ** 3
    for where in (0.5, points):
        stereo = PhotometricStereo(where).fit(positions, images)
        assert angular_error(stereo.normals_, normals).max() < 1e-2
        np.testing.assert_allclose(stereo.albedo_, 1, rtol=1e-3)
        np.testing.assert_allclose(stereo.predict(positions), images, rtol=1e-3, atol=1e-6)
    # Distances of 1 by chance do not make directions of positions.
    close = dome(20) * rng.uniform(0.995, 1.005, (20, 1))
    vectors = close[:, None, None] - points * 0.1
    images = (vectors * normals).sum(-1).clip(0) / np.linalg.norm(vectors, axis=-1) ** 3
    stereo = PhotometricStereo(0.05).fit(close, images)
    np.testing.assert_allclose(stereo.predict(close), images, atol=1e-5)


def test_pixels_of_weight_0_are_left_out():
    (normals, _), lights = ball(), dome(20)
    weight = np.zeros((12, 12))
    weight[6, 6] = 3
    stereo = PhotometricStereo().fit(lights, matte(normals, lights), pixel_weight=weight)
    np.testing.assert_array_equal(stereo.mask_, weight > 0)
    assert angular_error(stereo.normals_, normals)[6, 6] < 0.1
    assert not stereo.predict(lights)[:, 0].any()


def test_photographs_on_disk_and_in_blocks_give_the_same(tmp_path, monkeypatch):
    (normals, _), lights = ball(), dome(20)
    images = matte(normals, lights).astype(np.float32)
    np.save(tmp_path / "stack.npy", images)
    whole = PhotometricStereo().fit(lights, images)
    monkeypatch.setattr("sklrelight.stacks._inputs._IN_MEMORY_VALUES", 0)
    monkeypatch.setattr("sklrelight.stacks._stack._BLOCK_VALUES", 2000)
    monkeypatch.setattr("sklrelight.surface._photometric_stereo._BLOCK_VALUES", 400)
    for source in (ImageStack(tmp_path / "stack.npy"), images):
        stereo = PhotometricStereo().fit(lights, source)
        np.testing.assert_allclose(stereo.normals_, whole.normals_, atol=1e-5)
        np.testing.assert_allclose(stereo.predict(lights), whole.predict(lights), atol=1e-5)
    images[3, 2, 1] = np.nan
    np.save(tmp_path / "broken.npy", images)
    with pytest.raises(ValueError, match="NaN"):
        PhotometricStereo().fit(lights, ImageStack(tmp_path / "broken.npy"))


def test_a_fitted_relighter_stands_in_for_photographs():
    (normals, inside), lights = ball(), dome(60, lowest=0.2)
    images = matte(normals, lights)
    relighter = Relighter(RBFInterpolation()).fit(lights, images, pixel_weight=inside)
    stereo = PhotometricStereo.from_relighter(relighter, n_lights=30, loss="squared_error", n_iter=3)
    assert stereo.n_iter == 3
    np.testing.assert_array_equal(stereo.mask_, inside)
    assert np.nanmedian(angular_error(stereo.normals_, normals)) < 8
    interpolation = RBFInterpolation().fit(lights, images)
    with pytest.raises(ValueError, match="pass lights="):
        PhotometricStereo.from_relighter(object())
    again = PhotometricStereo.from_relighter(interpolation, lights)
    assert np.nanmax(angular_error(again.normals_, normals)) < 0.5


def test_predictions_are_asked_for_between_the_lights_of_the_capture():
    class Recorder:
        lights_ = np.array([[x, y, np.sqrt(1 - x * x - y * y)] for x in (0, 0.3, 0.6) for y in (-0.5, 0, 0.5)])

        def predict(self, lights):
            self.asked = lights
            return np.ones((len(lights), 2, 2))

    recorder = Recorder()
    PhotometricStereo.from_relighter(recorder, n_lights=25)
    assert recorder.asked.shape == (25, 3)
    np.testing.assert_allclose(np.linalg.norm(recorder.asked, axis=1), 1)
    assert recorder.asked[:, 0].min() > -1e-9
    assert recorder.asked[:, 0].max() < 0.6
    assert np.abs(recorder.asked[:, 1]).max() < 0.5
    recorder.lights_ = recorder.lights_ * [1, 0, 1]
    recorder.lights_ /= np.linalg.norm(recorder.lights_, axis=1, keepdims=True)
    with pytest.raises(ValueError, match="in a plane with the origin"):
        PhotometricStereo.from_relighter(recorder)


@pytest.mark.parametrize(
    ("lights", "parameters", "match"),
    [
        (dome(5)[:, :2], {}, r"three columns"),
        (dome(5) * 3, {}, r"positions with points="),
        (dome(2), {}, r"n_samples = 2 .* three or more"),
        (dome(5) * [1, 0, 0] + [0, 0, 0.01], {}, "takes directions"),
        (dome(5)[:, :2], {"points": 0.1}, "positions of three columns"),
        (dome(5), {"points": np.zeros((2, 2, 3))}, r"points has shape \(2, 2, 3\), wanted \(3, 3, 3\)"),
        (np.zeros((5, 3)), {"points": 0.1}, "light 0 of X is at a point"),
        (dome(5), {"points": -1.0}, "points"),
        (dome(5), {"loss": "huber"}, "loss"),
    ],
)
def test_lights_that_are_not_defined_for_it_are_refused(lights, parameters, match):
    with pytest.raises(ValueError, match=match):
        PhotometricStereo(**parameters).fit(lights, np.ones((len(lights), 3, 3)))


def test_the_rendered_scene_knows_its_normals():
    scene = make_scene(12, image_shape=(24, 32))
    assert scene.normals.shape == scene.points.shape == (24, 32, 3)
    np.testing.assert_allclose(np.linalg.norm(scene.normals, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(scene.normals[0], np.broadcast_to([0, 0, 1], (32, 3)))  # the wall
    np.testing.assert_allclose(scene.normals[-1, 0], [0, 1, 0])  # the floor
    np.testing.assert_allclose(scene.points[-1, 0, 1], 0, atol=1e-5)
    np.testing.assert_allclose(scene.points[0, :, 2], -1.6, atol=1e-5)
    stereo = PhotometricStereo(scene.points).fit(scene.lights, scene.images)
    assert np.nanmedian(angular_error(stereo.normals_, scene.normals)) < 12


@pytest.mark.parametrize(("suffix", "tolerance"), [(".exr", 1e-6), (".png", 1e-4), (".tif", 1e-4), (".jpg", 0.06)])
@pytest.mark.parametrize("convention", ["opengl", "directx"])
def test_normals_are_read_back_from_a_file(tmp_path, suffix, tolerance, convention):
    y, x = np.mgrid[0.5:-0.5:16j, -0.5:0.5:24j]
    normals = np.stack([x, y, np.sqrt(1 - x**2 - y**2)], -1)
    normals[3, 4] = 0
    path = tmp_path / f"normals{suffix}"
    save_normals(path, normals, convention=convention)
    stored = load_image(path, decode="linear")
    expected = normals * ([1, -1, 1] if convention == "directx" else 1)
    if suffix != ".exr":
        expected[3, 4] = [0, 0, 1]
        stored = 2 * stored - 1
    # JPEG is far off at a single pixel.
    assert np.quantile(np.abs(stored - expected), 0.99 if suffix == ".jpg" else 1) < tolerance


def test_normals_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"wanted \(H, W, 3\)"):
        save_normals(tmp_path / "normals.png", np.zeros((4, 3)))
    with pytest.raises(ValueError, match="unit vectors"):
        save_normals(tmp_path / "normals.png", np.full((4, 3, 3), 2.0))
    with pytest.raises(ValueError, match="not finite, first at row 0, column 0"):
        save_normals(tmp_path / "normals.png", np.full((4, 3, 3), np.nan))
    with pytest.raises(ValueError, match=r"\.hdr: wanted one of"):
        save_normals(tmp_path / "normals.hdr", np.zeros((4, 3, 3)))
    assert not list(tmp_path.iterdir())


def test_normals_of_a_hill_are_integrated_to_its_height():
    y, x = np.mgrid[20:-20:41j, -30:30:61j]
    depth = 8 * np.exp(-(x**2 + 2 * y**2) / 300)
    normals = np.stack([depth * x / 150, depth * 4 * y / 300, np.ones_like(x)], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    np.testing.assert_allclose(integrate_normals(normals), depth - depth.mean(), atol=0.05)
    normals[0] = 0
    assert np.isfinite(integrate_normals(normals)).all()
    with pytest.raises(ValueError, match=r"wanted \(H, W, 3\)"):
        integrate_normals(normals[0])


def test_angles_between_normals_are_in_degrees():
    np.testing.assert_allclose(
        angular_error([[1, 0, 0], [0, 0, 2], [0, 0, 0]], [[0, 1, 0], [0, 0, -1], [1, 0, 0]]), [90, 180, np.nan]
    )
    with pytest.raises(ValueError, match="wanted the same"):
        angular_error(np.zeros((2, 3)), np.zeros((3, 3)))
