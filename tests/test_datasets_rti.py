"""load_rti: which files it reads, what becomes of their values, and what it refuses."""

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from capture_files import directions, pixels, with_exif, write_capture, write_image

from sklrelight.datasets import load_image, load_rti


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [0, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_values_arrive_as_they_are(tmp_path, dtype, channels, suffix):
    images = pixels(dtype=dtype, channels=channels)
    lights = write_capture(tmp_path, images, suffix=suffix)
    capture = load_rti(tmp_path, decode="linear")
    wanted = images[..., :3] if channels else images
    np.testing.assert_allclose(capture.images, wanted / np.iinfo(dtype).max, rtol=1e-6)
    np.testing.assert_allclose(capture.lights, lights, rtol=1e-12)
    assert capture.images.dtype == np.float32
    assert capture.bit_depth == 8 * np.dtype(dtype).itemsize
    assert capture.file_dtype == np.dtype(dtype).name
    assert capture.image_shape == (5, 7)
    assert f"3 photographs of 5 x 7 pixels from {tmp_path}" in capture.DESCR


def test_sixteen_bits_stay_sixteen(tmp_path):
    ramp = np.arange(3000, dtype=np.uint16).reshape(1, 30, 100) * 21
    write_capture(tmp_path, np.stack([ramp] * 3, axis=-1))
    values = load_rti(tmp_path).images[0, :, :, 1]
    assert len(np.unique(values)) == 3000
    np.testing.assert_array_equal(np.round(values * 65535), ramp[0])


def test_the_largest_integer_is_exactly_one(tmp_path):
    for index, dtype in enumerate([np.uint8, np.uint16]):
        folder = tmp_path / str(index)
        write_capture(folder, np.full((1, 2, 2, 3), np.iinfo(dtype).max, dtype=dtype))
        for decode in ["linear", "srgb", 2.2]:
            assert np.all(load_rti(folder, decode=decode).images == 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_decode(tmp_path, dtype):
    images = pixels(dtype=dtype)
    write_capture(tmp_path, images)
    v = images / np.iinfo(dtype).max
    np.testing.assert_allclose(load_rti(tmp_path, decode=2.2).images, v**2.2, rtol=1e-5, atol=1e-12)
    curve = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(load_rti(tmp_path, decode="srgb").images, curve, rtol=1e-5, atol=1e-12)
    # Unless told otherwise, 8 bits are what a camera or a screen encodes, and more bits are linear.
    capture = load_rti(tmp_path)
    assert capture.decode == ("srgb" if dtype == np.uint8 else "linear")
    assert f"decode={capture.decode!r}" in capture.DESCR
    np.testing.assert_allclose(capture.images, curve if dtype == np.uint8 else v, rtol=1e-5, atol=1e-12)
    np.testing.assert_array_equal(load_image(tmp_path / "image00.png"), capture.images[0])


def test_names_lights_and_images_that_are_not_named(tmp_path):
    images = pixels(n=2)
    names = ["shots one/first image.png", "b.png"]
    write_capture(tmp_path, images, lights=[[0.0, 0.0, 0.5], [0.0, 1.8, 2.4]], names=names, count=False)
    write_image(tmp_path / "normals.png", pixels(n=1, height=50)[0])
    text = (tmp_path / "dirs.lp").read_text().replace("/", "\\").replace("\n", "\r\n") + "\r\n\r\n"
    (tmp_path / "dirs.lp").write_bytes(text.encode("utf-8-sig"))
    capture = load_rti(tmp_path)
    assert capture.filenames == [str(tmp_path / name) for name in names]
    assert capture.light_file == str(tmp_path / "dirs.lp")
    np.testing.assert_allclose(capture.lights, [[0, 0, 1], [0, 0.6, 0.8]], atol=1e-15)
    np.testing.assert_allclose(capture.light_norms, [0.5, 3.0])
    assert capture.light_directions is capture.lights
    as_given = load_rti(tmp_path, normalize=False)
    np.testing.assert_array_equal(as_given.lights, [[0, 0, 0.5], [0, 1.8, 2.4]])


def test_more_than_a_thousand_lights(tmp_path):
    lights = write_capture(tmp_path, pixels(n=1200, height=2, width=2))
    capture = load_rti(tmp_path)
    assert capture.images.shape == (1200, 2, 2, 3)
    np.testing.assert_allclose(capture.lights, lights, rtol=1e-12)


def test_crop_then_downscale_average_in_linear_radiance(tmp_path):
    images = pixels(n=2, height=9, width=12)
    write_capture(tmp_path, images)
    capture = load_rti(tmp_path, crop=(1, 8, 2, 12), downscale=3, decode=2.2)
    linear = (images / 255)[:, 1:7, 2:11] ** 2.2
    wanted = linear.reshape(2, 2, 3, 3, 3, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(capture.images, wanted, rtol=1e-5)
    assert capture.image_shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": (0, 6, 0, 7)}, "crop=(0, 6, 0, 7), wanted (top, bottom, left, right)"),
        ({"crop": (0, 5, 0)}, "wanted (top, bottom, left, right)"),
        ({"crop": (3, 3, 0, 7)}, "0 <= top < bottom <= 5"),
        ({"crop": (0, 5, 0.0, 7)}, "crop="),
        ({"downscale": 0}, "downscale=0, wanted an integer from 1 to 5"),
        ({"downscale": 2.0}, "downscale=2.0"),
        ({"crop": (0, 2, 0, 7), "downscale": 3}, "wanted an integer from 1 to 2"),
        ({"decode": "rgb"}, "decode='rgb', wanted 'auto', 'linear', 'srgb' or a finite gamma"),
        ({"decode": 0}, "decode=0"),
        ({"decode": True}, "decode=True"),
        ({"decode": float("nan")}, "decode=nan"),
        ({"dtype": "float64"}, "dtype='float64', wanted 'float32' or 'float16'"),
        ({"orientation": "up"}, "orientation='up', wanted 'first', 'each' or 'ignore'"),
    ],
)
def test_options_out_of_range(tmp_path, options, message):
    write_capture(tmp_path, pixels())
    with pytest.raises(ValueError, match=re.escape(message)):
        load_rti(tmp_path, **options)


def test_half_precision(tmp_path):
    images = pixels()
    write_capture(tmp_path, images)
    capture = load_rti(tmp_path, dtype="float16", decode="linear")
    assert capture.images.dtype == np.float16
    np.testing.assert_allclose(capture.images, images / 255, atol=5e-4)


# -- orientation --------------------------------------------------------------------------------------------------


def _write_jpegs(folder, orientations, order=">"):
    # Smooth and large enough to tell the eight orientations apart after JPEG's losses.
    rows, columns = np.mgrid[0:24, 0:40]
    image = np.stack([rows * 10, columns * 6, np.full_like(rows, 30)], axis=-1).astype(np.uint8)
    names = [f"{index}.jpg" for index in range(len(orientations))]
    write_capture(folder, [image] * len(orientations), names=names)
    for name, orientation in zip(names, orientations, strict=True):
        path = folder / name
        path.write_bytes(with_exif(path.read_bytes(), orientation, order))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_agrees_with_opencv(tmp_path, orientation, order):
    _write_jpegs(tmp_path, [orientation] * 2, order)
    capture = load_rti(tmp_path, decode="linear")
    wanted = cv2.imread(str(tmp_path / "0.jpg"), cv2.IMREAD_COLOR)[:, :, ::-1] / 255
    assert capture.orientation == orientation
    np.testing.assert_allclose(capture.images, [wanted, wanted], rtol=1e-6)
    np.testing.assert_array_equal(load_image(tmp_path / "0.jpg", decode="linear"), capture.images[0])


def test_the_first_orientation_is_applied_to_all(tmp_path):
    _write_jpegs(tmp_path, [6, 8, 1])
    images = load_rti(tmp_path).images
    assert images.shape == (3, 40, 24, 3)
    np.testing.assert_array_equal(images[1], images[0])
    np.testing.assert_array_equal(images[2], images[0])
    assert load_rti(tmp_path, orientation="ignore").images.shape == (3, 24, 40, 3)


def test_each_its_own_orientation(tmp_path):
    _write_jpegs(tmp_path, [6, 8])
    images = load_rti(tmp_path, orientation="each").images
    np.testing.assert_array_equal(images[1], images[0, ::-1, ::-1])


# -- faults -------------------------------------------------------------------------------------------------------


def test_folder_that_is_missing_empty_or_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"No such folder: {tmp_path / 'gone'}")):
        load_rti(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=re.escape(f"No .lp file in {tmp_path} (0 entries)")):
        load_rti(tmp_path)
    (tmp_path / "note.txt").touch()
    with pytest.raises(NotADirectoryError, match=re.escape(str(tmp_path / "note.txt"))):
        load_rti(tmp_path / "note.txt")


def test_several_light_files(tmp_path):
    lights = write_capture(tmp_path, pixels())
    text = (tmp_path / "dirs.lp").read_text()
    (tmp_path / "other.LP").write_text("1\nimage00.png 0 0 1\n")
    with pytest.raises(ValueError, match=re.escape("dirs.lp, other.LP; choose one with light_file=")):
        load_rti(tmp_path)
    assert load_rti(tmp_path, light_file="other.LP").images.shape[0] == 1
    elsewhere = tmp_path / "sub"
    elsewhere.mkdir()
    (elsewhere / "all.lp").write_text(text)
    np.testing.assert_allclose(load_rti(tmp_path, light_file=elsewhere / "all.lp").lights, lights, rtol=1e-12)
    with pytest.raises(FileNotFoundError, match=r"No such light file: .*nothing\.lp"):
        load_rti(tmp_path, light_file="nothing.lp")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".hdr"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_cut_file_is_named(tmp_path, suffix, share):
    images = pixels(n=4, height=40, width=60, dtype=np.float32 if suffix == ".hdr" else np.uint8)
    write_capture(tmp_path, images, suffix=suffix)
    path = tmp_path / f"image02{suffix}"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=re.escape(str(path)) + ": (cannot be read as an image|the file is empty)"):
        load_rti(tmp_path)


def test_a_cut_jpeg_with_a_whole_thumbnail_is_named(tmp_path):
    write_capture(tmp_path, pixels(n=1, height=40, width=60), suffix=".jpg")
    path = tmp_path / "image00.jpg"
    data = path.read_bytes()
    thumbnail = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
    path.write_bytes(data[:2] + thumbnail + data[2 : len(data) // 2])
    with pytest.raises(ValueError, match=re.escape(f"{path}: cannot be read as an image")):
        load_rti(tmp_path)


def test_a_file_that_is_no_image_is_named(tmp_path):
    write_capture(tmp_path, pixels())
    (tmp_path / "image01.png").write_text("not an image")
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'image01.png'}: cannot be read as an image")):
        load_rti(tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (pixels(n=1, height=6)[0], "uint8 of shape (6, 7, 3), wanted uint8 of shape (5, 7, 3) as in "),
        (pixels(n=1, channels=0)[0], "uint8 of shape (5, 7), wanted uint8 of shape (5, 7, 3) as in "),
        (pixels(n=1, dtype=np.uint16)[0], "uint16 of shape (5, 7, 3), wanted uint8 of shape (5, 7, 3) as in "),
    ],
)
def test_photographs_unlike_the_first_are_named(tmp_path, other, message):
    write_capture(tmp_path, [*pixels(n=2), other])
    wanted = f"{tmp_path / 'image02.png'}: {message}{tmp_path / 'image00.png'}"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        load_rti(tmp_path)


def test_the_first_of_several_bad_files_is_reported(tmp_path):
    write_capture(tmp_path, pixels(n=30))
    for index in [25, 7, 29, 8]:
        (tmp_path / f"image{index:02}.png").write_bytes(b"bad")
    for _ in range(5):
        with pytest.raises(ValueError, match=r"image07\.png"):
            load_rti(tmp_path, n_jobs=4)


def test_values_that_are_not_finite_are_located(tmp_path):
    images = pixels(dtype=np.float32)
    images[1, 3, 2, 0] = np.nan
    images[1, 4, 6, 1] = np.inf
    write_capture(tmp_path, images, suffix=".tif")
    wanted = f"{tmp_path / 'image01.tif'}: 2 values are not finite, the first at row 3, column 2"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        load_rti(tmp_path)


def test_without_opencv_the_extra_is_named(tmp_path, monkeypatch):
    write_capture(tmp_path, pixels())
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'sklrelight[images]'")):
        load_rti(tmp_path)


def test_datasets_import_neither_torch_nor_displays_nor_optional_packages():
    unwanted = ["torch", "matplotlib", "sklrelight.plotting", "cv2", "h5py", "OpenEXR", "rawpy", "pooch", "requests"]
    code = f"import sys, sklrelight.datasets; print([name for name in {unwanted} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_any_number_of_threads_gives_the_same(tmp_path):
    write_capture(tmp_path, pixels(n=12), lights=directions(12))
    one = load_rti(tmp_path, n_jobs=1).images
    np.testing.assert_array_equal(load_rti(tmp_path, n_jobs=4).images, one)
