"""Every file format: values to the bit, cut files named, missing packages named."""

import re
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from capture_files import pixels, with_exif, write_capture, write_dng, write_image

from sklrelight.datasets import load_image, load_rti
from sklrelight.datasets._formats.exr import write_exr


def write_lights(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dirs.lp").write_text("".join(f"{name} 0 0 1\n" for name in names))


# -- TIFF and Radiance HDR ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [0, 3])
def test_tiff_of_32_bit_floats_is_linear_whatever_decode_says(tmp_path, channels):
    images = pixels(dtype=np.float32, channels=channels)
    write_capture(tmp_path, images, suffix=".tif")
    capture = load_rti(tmp_path, decode="srgb")
    np.testing.assert_array_equal(capture.images, images)
    assert (capture.bit_depth, capture.file_dtype) == (32, "float32")


def test_tiff_of_32_bit_integers(tmp_path):
    images = pixels(n=1, dtype=np.uint32)
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", images[0], photometric="rgb")
    np.testing.assert_allclose(load_image(tmp_path / "a.tif"), images[0] / (2**32 - 1), rtol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_orientation_is_applied_once(tmp_path, orientation):
    image = pixels(n=1, dtype=np.uint16)[0]
    write_image(tmp_path / "a.tif", image)
    data = (tmp_path / "a.tif").read_bytes()
    # OpenCV writes no orientation; the tag of the rows per strip (278), which one strip does without, becomes it.
    at = data.index(b"\x16\x01\x03\x00") if b"\x16\x01\x03\x00" in data else data.index(b"\x16\x01\x04\x00")
    tag = (274).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    write_lights(tmp_path, ["a.tif"])
    (tmp_path / "a.tif").write_bytes(data[:at] + tag + orientation.to_bytes(4, "little") + data[at + 12 :])
    sensor = load_rti(tmp_path, orientation="ignore").images[0]
    np.testing.assert_allclose(sensor, image / 65535, rtol=1e-6)
    upright = load_rti(tmp_path).images[0]
    # The same flag in a JPEG file, which the test of load_rti compares with OpenCV's own reading.
    marks = np.zeros((16, 32, 3), np.uint8)
    marks[:8, :16] = 255
    marks[:8, 16:] = 80
    encoded = cv2.imencode(".jpg", marks)[1].tobytes()
    (tmp_path / "b.jpg").write_bytes(with_exif(encoded, orientation))
    corners = cv2.imread(str(tmp_path / "b.jpg"))[[0, 0, -1, -1], [0, -1, 0, -1], 0] // 60
    order = np.array([4, 1, 0, 0])  # top left, top right, bottom left, bottom right of the sensor
    turned = {
        1: [0, 1, 2, 3], 2: [1, 0, 3, 2], 3: [3, 2, 1, 0], 4: [2, 3, 0, 1],
        5: [0, 2, 1, 3], 6: [2, 0, 3, 1], 7: [3, 1, 2, 0], 8: [1, 3, 0, 2],
    }[orientation]  # fmt: skip
    np.testing.assert_array_equal(corners, order[turned])
    sensor_corners = sensor[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_array_equal(upright[[0, 0, -1, -1], [0, -1, 0, -1]], sensor_corners[turned])


def test_radiance_hdr(tmp_path):
    images = pixels(dtype=np.float32) * 100
    write_capture(tmp_path, images, suffix=".hdr")
    capture = load_rti(tmp_path, decode=2.2)
    # The format shares one exponent of 8 bits among the three mantissas of a pixel.
    assert np.all(np.abs(capture.images - images) <= images.max(axis=-1, keepdims=True) / 128)
    assert capture.images.max() > 100


def test_tiff_kinds_that_photo_tools_write(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    image = pixels(n=1, height=70, width=90, dtype=np.uint16)[0]
    alpha = np.dstack([image, image[..., :1]])
    path = tmp_path / "a.tif"
    for values, options in [
        (image, {"tile": (32, 32)}),
        (image, {"bigtiff": True}),
        (image, {"byteorder": ">"}),
        (alpha, {"extrasamples": ["unassalpha"]}),
        (alpha.astype(np.float32), {"extrasamples": ["unassalpha"]}),
    ]:
        tifffile.imwrite(path, values, photometric="rgb", **options)
        wanted = image if values.dtype.kind == "f" else image / 65535
        np.testing.assert_allclose(load_image(path), wanted, rtol=1e-6, err_msg=str(options))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_of_grey_with_alpha_is_grey(tmp_path, dtype):
    grey = pixels(n=1, channels=0, dtype=dtype)[0]
    path = tmp_path / "a.png"
    # OpenCV writes no such file, so it is put together here: bit depth, colour type 4, and rows without a filter.
    big_endian = np.stack([grey, grey // 3], axis=-1).astype(grey.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in big_endian)
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8 * grey.dtype.itemsize, 4, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    np.testing.assert_allclose(load_image(path, decode="linear"), grey / np.iinfo(dtype).max, rtol=1e-6)


# -- OpenEXR ------------------------------------------------------------------------------------------------------


@pytest.fixture
def openexr():
    return pytest.importorskip("OpenEXR")


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("channels", [0, 3])
def test_exr(tmp_path, openexr, dtype, channels):
    images = pixels(dtype=dtype, channels=channels)
    names = [f"{index}.exr" for index in range(len(images))]
    for name, image in zip(names, images, strict=True):
        write_exr(tmp_path / name, image)
    write_lights(tmp_path, names)
    capture = load_rti(tmp_path, decode=2.2)
    np.testing.assert_array_equal(capture.images, images)
    assert capture.bit_depth == 8 * np.dtype(dtype).itemsize
    assert capture.file_dtype == np.dtype(dtype).name


def _write_channels(openexr, path, channels, **header):
    header |= {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    openexr.File(header, channels).write(str(path))


def test_exr_alpha_and_other_layers_are_dropped(tmp_path, openexr):
    image = pixels(n=1, dtype=np.float32, channels=4)[0]
    planes = {name: np.ascontiguousarray(image[..., index]) for index, name in enumerate("RGBA")}
    _write_channels(openexr, tmp_path / "a.exr", planes | {"depth.Z": planes["A"]})
    np.testing.assert_array_equal(load_image(tmp_path / "a.exr"), image[..., :3])


def test_exr_without_colour_names_its_channels(tmp_path, openexr):
    plane = pixels(n=1, dtype=np.float32, channels=0)[0]
    _write_channels(openexr, tmp_path / "z.exr", {"Z": plane})
    np.testing.assert_array_equal(load_image(tmp_path / "z.exr"), plane)
    _write_channels(openexr, tmp_path / "uv.exr", {"U": plane, "V": plane})
    chroma = {"Y": plane, "RY": plane, "BY": plane}
    _write_channels(openexr, tmp_path / "y.exr", chroma)
    with pytest.raises(ValueError, match="wanted R, G and B, or Y without chroma"):
        load_image(tmp_path / "y.exr")
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'uv.exr'}: channels ['U', 'V'], wanted R, G and B")):
        load_image(tmp_path / "uv.exr")


def test_exr_data_window_is_put_into_the_display_window(tmp_path, openexr):
    plane = pixels(n=1, height=4, width=6, dtype=np.float32, channels=0)[0]

    def window(left, top, right, bottom):
        return np.array([left, top], np.int32), np.array([right, bottom], np.int32)

    windows = {"dataWindow": window(-1, 2, 4, 5), "displayWindow": window(0, 0, 7, 4)}
    _write_channels(openexr, tmp_path / "a.exr", {"Y": plane}, **windows)
    wanted = np.zeros((5, 8), np.float32)
    wanted[2:5, 0:5] = plane[:3, 1:]
    np.testing.assert_array_equal(load_image(tmp_path / "a.exr"), wanted)


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.95])
def test_a_cut_exr_file_is_named(tmp_path, openexr, share):
    write_exr(tmp_path / "a.exr", pixels(n=1, height=60, width=80, dtype=np.float16)[0])
    data = (tmp_path / "a.exr").read_bytes()
    (tmp_path / "a.exr").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "a.exr"))):
        load_image(tmp_path / "a.exr")


# -- RAW ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rawpy():
    return pytest.importorskip("rawpy")


def test_raw_is_linear_without_automatic_brightness(tmp_path, rawpy):
    rows, columns = np.mgrid[0:48, 0:64]
    scene = (500 + 20 * rows + 10 * columns).astype(np.uint16)
    # The second is exposed twice as long; the third, nearly white in one spot, must not change the scale.
    spot = scene.copy()
    spot[20:24, 20:24] = 16000
    for name, mosaic in [("a.dng", scene), ("b.dng", scene * 2), ("c.dng", spot)]:
        write_dng(tmp_path / name, mosaic)
    write_lights(tmp_path, ["a.dng", "b.dng", "c.dng"])
    capture = load_rti(tmp_path, decode="srgb")
    first, second, third = capture.images
    assert capture.images.shape == (3, 48, 64, 3)
    assert (capture.bit_depth, capture.file_dtype) == (16, "uint16")
    np.testing.assert_allclose(second, 2 * first, atol=3e-4)
    np.testing.assert_allclose(third[30:], first[30:], atol=3e-4)
    # The pattern's mean level, up to the colour matrix, which keeps grey nearly grey.
    np.testing.assert_allclose(first.mean(), scene.mean() / 16383, rtol=0.2)


def test_raw_orientation(tmp_path, rawpy):
    mosaic = np.zeros((32, 48), np.uint16)
    mosaic[:16, :24] = 8000
    write_dng(tmp_path / "a.dng", mosaic)
    write_dng(tmp_path / "b.dng", mosaic, orientation=6)
    upright, turned = load_image(tmp_path / "a.dng"), load_image(tmp_path / "b.dng")
    assert turned.shape == (48, 32, 3)
    np.testing.assert_array_equal(turned, np.rot90(upright, -1))


@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.95])
def test_a_cut_raw_file_is_named(tmp_path, rawpy, share):
    write_dng(tmp_path / "a.dng", np.full((64, 64), 1000, np.uint16))
    data = (tmp_path / "a.dng").read_bytes()
    (tmp_path / "a.dng").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "a.dng"))):
        load_image(tmp_path / "a.dng")


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("a.exr", "OpenEXR", "exr"), ("a.nef", "rawpy", "raw"), ("a.jpg", "cv2", "images")]
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, name, module, extra):
    (tmp_path / name).write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImportError, match=re.escape(f"To read {tmp_path / name} the package {module} is needed: ")
    ) as e:
        load_image(tmp_path / name)
    assert f"pip install 'sklrelight[{extra}]'" in str(e.value)


# -- masks and flat fields ----------------------------------------------------------------------------------------


def test_mask_is_cut_and_averaged_like_the_images(tmp_path):
    write_capture(tmp_path, pixels(height=8, width=9))
    mask = np.zeros((8, 9), np.uint8)
    mask[2:7, 3:8] = 255
    write_image(tmp_path / "mask.png", mask)
    assert load_rti(tmp_path).mask is None
    np.testing.assert_array_equal(load_rti(tmp_path, mask="mask.png").mask, mask > 0)
    np.testing.assert_array_equal(load_rti(tmp_path, mask=mask > 0).mask, mask > 0)
    capture = load_rti(tmp_path, mask=tmp_path / "mask.png", crop=(1, 8, 1, 9), downscale=2)
    assert capture.mask.shape == capture.image_shape == (3, 4)
    # Rows 3-6 and columns 3-6 of the photograph are the squares that lie inside altogether.
    np.testing.assert_array_equal(capture.mask, [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]])


def test_a_mask_of_zeros_and_ones_counts_too(tmp_path):
    write_capture(tmp_path, pixels())
    mask = np.zeros((5, 7), np.uint8)
    mask[2, 3] = 1
    write_image(tmp_path / "mask.png", mask)
    np.testing.assert_array_equal(load_rti(tmp_path, mask="mask.png").mask, mask == 1)


def test_masks_that_do_not_fit(tmp_path):
    write_capture(tmp_path, pixels())
    with pytest.raises(ValueError, match=re.escape("mask: shape (5, 6), wanted (5, 7)")):
        load_rti(tmp_path, mask=np.ones((5, 6)))
    with pytest.raises(ValueError, match="nothing is inside the mask"):
        load_rti(tmp_path, mask=np.zeros((5, 7)))
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "gone.png"))):
        load_rti(tmp_path, mask="gone.png")


@pytest.fixture
def card(tmp_path):
    """A capture of 16-bit photographs under a light that falls off to the sides, and the card under it."""
    scene = np.random.default_rng(1).uniform(0.1, 0.9, (3, 6, 8, 3))
    falloff = np.linspace(0.3, 1, 8)[:, np.newaxis] * np.array([1, 0.9, 0.8])
    write_capture(tmp_path, np.round(scene * falloff * 65535).astype(np.uint16))
    flat = np.broadcast_to(falloff, (6, 8, 3))
    write_image(tmp_path / "card.png", np.round(flat * 65535).astype(np.uint16))
    return scene, flat


def test_flat_field_from_one_file_a_folder_and_arrays(tmp_path, card):
    scene, flat = card
    for index in range(3):
        write_image(tmp_path / "cards" / f"image{index:02}.png", np.round(flat * 65535).astype(np.uint16))
    stack = np.stack([flat] * 3)
    for flat_field in ["card.png", tmp_path / "cards", flat, stack]:
        np.testing.assert_allclose(load_rti(tmp_path, flat_field=flat_field).images, scene, rtol=5e-4)
    grey = flat[..., 1]
    wanted = scene * flat / grey[..., np.newaxis]
    for flat_field in [grey, np.stack([grey] * 3)]:
        np.testing.assert_allclose(load_rti(tmp_path, flat_field=flat_field).images, wanted, rtol=5e-4)


def test_flat_field_is_divided_by_before_averaging(tmp_path, card):
    scene, _ = card
    capture = load_rti(tmp_path, flat_field="card.png", crop=(1, 5, 2, 8), downscale=2)
    wanted = scene[:, 1:5, 2:8].reshape(3, 2, 2, 3, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(capture.images, wanted, rtol=5e-4)


def test_flat_fields_that_do_not_fit(tmp_path, card):
    _, flat = card
    with pytest.raises(ValueError, match=re.escape("flat_field: shape (6, 7, 3), wanted (6, 8, 3)")):
        load_rti(tmp_path, flat_field=np.stack([flat[:, :7]] * 3))
    with pytest.raises(ValueError, match=re.escape("flat_field has shape (2, 6, 8, 3), wanted 3 images")):
        load_rti(tmp_path, flat_field=np.stack([flat] * 2))
    dark = flat.copy()
    dark[4, 5, 1] = 0
    wanted = "flat_field: 1 values are not above 0, the first at row 4, column 5"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        load_rti(tmp_path, flat_field=dark, crop=(1, 6, 2, 8))
    assert load_rti(tmp_path, flat_field=dark, crop=(0, 4, 0, 8)).image_shape == (4, 8)
    (tmp_path / "cards").mkdir()
    with pytest.raises(ValueError, match=r"lacks a file for 3 of 3 photographs, the first .*image00\.png"):
        load_rti(tmp_path, flat_field="cards")
