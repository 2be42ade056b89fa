"""Files as cameras, scanners, renderers and Radiance write them: read rightly, or refused by name."""

import io
import os
import re
import warnings

import cv2
import numpy as np
import pytest
from capture_files import pixels, write_image
from PIL import Image, ImageCms

from sklrelight.datasets import load_image, load_rti, save_image, save_stack
from sklrelight.datasets._formats.colour import make_profile

tifffile = pytest.importorskip("tifffile")

# -- Radiance HDR -------------------------------------------------------------------------------------------------

SCENE = np.array([[[2.0, 0.5, 1.0], [0.25, 8.0, 0.0]]], np.float32)


def write_hdr(path, pixels_of_bytes, lines=("FORMAT=32-bit_rle_rgbe",), size=b"-Y 1 +X 2"):
    header = "\n".join(["#?RADIANCE", *lines, "", ""]).encode()
    path.write_bytes(header + size + b"\n" + bytes(pixels_of_bytes))
    return path


# 2, 1/2, 1 and 1/4, 8, 0 with one exponent each.
BYTES = [128, 32, 64, 130, 4, 128, 0, 132]


@pytest.mark.parametrize(
    ("lines", "divisor"),
    [
        ([], 1),
        (["EXPOSURE=4"], 4),
        (["EXPOSURE= 4.0", "pfilt -e 2", "EXPOSURE=2"], 8),
        (["COLORCORR= 1 2 4", "EXPOSURE=2"], [2, 4, 8]),
        (["\tEXPOSURE=4"], 1),  # of a picture that this one was made of
        (["VIEW= -vta -vh 180", "SOFTWARE=RADIANCE", "FORMAT=32-bit_rle_rgbe"], 1),
    ],
)
def test_hdr_is_in_the_unit_before_exposure(tmp_path, lines, divisor):
    np.testing.assert_allclose(load_image(write_hdr(tmp_path / "a.hdr", BYTES, lines)), SCENE / divisor, rtol=1e-6)


@pytest.mark.parametrize("line", ["EXPOSURE=", "EXPOSURE=0", "EXPOSURE=nan", "EXPOSURE=1 2", "COLORCORR=1 2"])
def test_an_hdr_exposure_that_is_none_is_named(tmp_path, line):
    path = write_hdr(tmp_path / "a.hdr", BYTES, [line])
    with pytest.raises(ValueError, match=re.escape(f"{path}: {line!r}, wanted numbers above 0")):
        load_image(path)


def test_hdr_in_cie_xyz_becomes_rgb_in_watts(tmp_path):
    # Radiance's own matrix (ra_xyze), and candelas for watts.
    to_xyz = np.array([[0.514, 0.324, 0.162], [0.265, 0.670, 0.065], [0.024, 0.123, 0.853]])
    xyz = SCENE @ to_xyz.T * 179
    save_image(tmp_path / "b.hdr", xyz)
    data = (tmp_path / "b.hdr").read_bytes().replace(b"rle_rgbe", b"rle_xyze")
    (tmp_path / "a.hdr").write_bytes(data)
    np.testing.assert_allclose(load_image(tmp_path / "a.hdr"), SCENE, atol=0.04)
    path = write_hdr(tmp_path / "c.hdr", BYTES, ["FORMAT=Radiance_spectra"])
    with pytest.raises(ValueError, match=re.escape(f"{path}: FORMAT='Radiance_spectra', wanted 32-bit_rle_rgbe or")):
        load_image(path)


@pytest.mark.parametrize("signs", ["-+", "--", "++", "+-"])
@pytest.mark.parametrize("major", ["Y", "X"])
def test_hdr_of_every_order_of_the_pixels(tmp_path, signs, major):
    image = np.float32([[[1, 1, 1], [2, 2, 2], [4, 4, 4]], [[8, 8, 8], [16, 16, 16], [32, 32, 32]]])
    stored = image[:: 1 if signs[0] == "-" else -1, :: 1 if signs[1] == "+" else -1]
    sides = [f"{signs[0]}Y 2", f"{signs[1]}X 3"]
    if major == "X":
        stored, sides = stored.swapaxes(0, 1), sides[::-1]
    save_image(tmp_path / "b.hdr", stored)
    end = (tmp_path / "b.hdr").read_bytes()[-24:]
    path = write_hdr(tmp_path / "a.hdr", end, size=" ".join(sides).encode())
    np.testing.assert_array_equal(load_image(path), image)


def test_hdr_run_lengths_old_and_new(tmp_path):
    row = [10, 20, 30, 129, 1, 1, 1, 44, 1, 1, 1, 1, 9, 9, 9, 129]  # 1 + 44 + 256 + 1 pixels
    image = load_image(write_hdr(tmp_path / "a.hdr", row * 2, size=b"-Y 2 +X 302"))
    np.testing.assert_array_equal(image[:, :-1], np.broadcast_to(np.float32([10, 20, 30]) / 128, (2, 301, 3)))
    np.testing.assert_array_equal(image[:, -1], np.full((2, 3), 9 / 128, np.float32))
    image = pixels(n=1, height=9, width=300, dtype=np.float32)[0]
    image[:, 40:200] = image[:, 40:41]  # long runs
    encoded = cv2.imencode(".hdr", image[..., ::-1])[1].tobytes()
    assert len(encoded) < 9 * 300 * 3  # with run lengths
    (tmp_path / "a.hdr").write_bytes(encoded)
    np.testing.assert_array_equal(load_image(tmp_path / "a.hdr"), cv2.imdecode(
        np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1])  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="names of files are text on Windows")
@pytest.mark.parametrize("suffix", [".hdr", ".exr", ".tif", ".png", ".jpg"])
def test_names_that_are_not_utf_8(tmp_path, suffix):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")
    os.mkdir(folder)
    path = os.path.join(folder, os.fsdecode(b"\xe4") + suffix)
    save_image(path, np.full((6, 8, 3), 0.5))
    np.testing.assert_allclose(load_image(path), 0.5, atol=5e-3)


def test_lines_of_the_header_of_an_hdr_file(tmp_path):
    save_image(tmp_path / "a.hdr", SCENE, header=["VIEW= -vta -vh 180 -vv 180", "EXPOSURE=0.5"])
    lines = (tmp_path / "a.hdr").read_bytes().split(b"\n")
    assert lines[:4] == [b"#?RADIANCE", b"VIEW= -vta -vh 180 -vv 180", b"EXPOSURE=0.5", b"FORMAT=32-bit_rle_rgbe"]
    np.testing.assert_allclose(load_image(tmp_path / "a.hdr"), 2 * SCENE)


# -- TIFF ---------------------------------------------------------------------------------------------------------


def grey_and_colour(dtype):
    return pixels(n=1, height=40, width=50, channels=0, dtype=dtype)[0], pixels(n=1, height=40, width=50, dtype=dtype)[
        0
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_tiff_of_white_that_is_zero(tmp_path, dtype):
    grey, _ = grey_and_colour(dtype)
    tifffile.imwrite(tmp_path / "a.tif", np.iinfo(dtype).max - grey, photometric="miniswhite")
    np.testing.assert_allclose(load_image(tmp_path / "a.tif", decode="linear"), grey / np.iinfo(dtype).max, rtol=1e-6)


def test_tiff_of_grey_with_alpha_keeps_its_bits(tmp_path):
    grey, _ = grey_and_colour(np.uint16)
    for values, options in [
        (np.dstack([grey, grey // 3]), {"planarconfig": "contig"}),
        (np.stack([grey, grey // 3]), {"planarconfig": "separate"}),
    ]:
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", extrasamples=["unassalpha"], **options)
        np.testing.assert_allclose(load_image(tmp_path / "a.tif"), grey / 65535, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "tile": (16, 32)},
        {"tile": (16, 32), "compression": "zlib", "predictor": True},
        {"bigtiff": True, "byteorder": ">"},
        {"compression": "lzw", "predictor": True, "rowsperstrip": 7},
        {"compression": "packbits"},
        {"compression": "lzma"},
        {"compression": "zstd"},
    ],
)
def test_tiff_of_every_layout_and_type(tmp_path, dtype, options):
    grey, colour = grey_and_colour(dtype)
    for image in [grey, colour]:
        stored = np.moveaxis(image, -1, 0) if image.ndim == 3 and "planarconfig" in options else image
        kept = {key: value for key, value in options.items() if key != "planarconfig" or image.ndim == 3}
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb" if image.ndim == 3 else "minisblack", **kept)
        largest = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
        read = load_image(tmp_path / "a.tif", decode="linear")
        np.testing.assert_allclose(read, (image / largest).astype(np.float32), rtol=1e-6)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
def test_a_black_tiff_is_no_claim_that_its_file_cannot_hold(tmp_path, compression):
    black = np.zeros((3000, 4000), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", black, photometric="minisblack", compression=compression, rowsperstrip=3000)
    assert not load_image(tmp_path / "a.tif").any()


def test_tiff_of_palettes_bits_and_jpeg(tmp_path):
    numbers, colour = pixels(n=1, channels=0)[0], np.zeros((40, 50, 3), np.uint8)
    colour[:20] = 200, 100, 50
    colour_map = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="palette", colormap=colour_map)
    read = load_image(tmp_path / "a.tif", decode="linear")
    np.testing.assert_allclose(read, np.moveaxis(colour_map[:, numbers], 0, -1) / 65535, rtol=1e-6)
    tifffile.imwrite(tmp_path / "a.tif", numbers > 99, photometric="minisblack")
    np.testing.assert_array_equal(load_image(tmp_path / "a.tif"), numbers > 99)
    Image.fromarray(colour).save(tmp_path / "a.tif", compression="jpeg", quality=95)
    np.testing.assert_allclose(load_image(tmp_path / "a.tif", decode="linear"), colour / 255, atol=0.03)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros((8, 9), np.int16), {}, "signed integers of 16 bits in a TIFF file of the kind MINISBLACK"),
        (np.zeros((8, 9), np.complex64), {}, "in a TIFF file of the kind MINISBLACK"),
        (np.zeros((8, 9, 4), np.uint8), {"photometric": "separated"}, "a TIFF file of the kind SEPARATED, wanted"),
        (np.zeros((8, 9, 3), np.uint8), {"photometric": "cielab"}, "a TIFF file of the kind CIELAB, wanted grey"),
        (np.zeros((8, 9), np.uint16), {"photometric": "cfa"}, "a TIFF file of the kind CFA, wanted grey"),
        (np.zeros((8, 9), np.float32), {"photometric": "miniswhite"}, "floats of 32 bits in a TIFF file of the kind"),
        (
            np.zeros((8, 9, 3), np.uint16),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "3 channels in a TIFF",
        ),
        (np.zeros((8, 9), np.uint64), {}, "unsigned integers of 64 bits"),
    ],
)
def test_tiff_of_other_kinds_is_refused_by_name(tmp_path, values, options, message):
    tifffile.imwrite(tmp_path / "a.tif", values, **{"photometric": "minisblack"} | options)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'a.tif'}: ") + ".*" + re.escape(message)):
        load_image(tmp_path / "a.tif")


def test_tiff_of_several_pages(tmp_path):
    images = pixels(n=3, channels=0, dtype=np.uint16)
    path = tmp_path / "a.tif"
    # ImageJ describes further pages in words only.
    for options in [{}, {"imagej": True}, {"ome": True}]:
        tifffile.imwrite(path, images, photometric="minisblack", metadata={"axes": "TYX"}, **options)
        with pytest.raises(ValueError, match=re.escape(f"{path}: a TIFF file of 3 pages") + ".*say which with layer="):
            load_image(path)
        if "imagej" not in options:
            np.testing.assert_allclose(load_image(path, layer=1), images[1] / 65535, rtol=1e-6)
    with pytest.raises(ValueError, match=re.escape(f"{path}: no page 3 (layer=), wanted an integer from 0 to 2")):
        load_image(path, layer=3)
    # A preview and smaller copies are no further photographs.
    with tifffile.TiffWriter(path) as writer:
        writer.write(images[0], photometric="minisblack", subifds=1)
        writer.write(images[0, ::2, ::2], photometric="minisblack", subfiletype=1)
        writer.write(images[0, ::2, ::2], photometric="minisblack", subfiletype=1)
    np.testing.assert_allclose(load_image(path), images[0] / 65535, rtol=1e-6)
    write_image(tmp_path / "a.png", images[0])
    with pytest.raises(ValueError, match=re.escape("layer=1, but only OpenEXR and TIFF files have layers or pages")):
        load_image(tmp_path / "a.png", layer=1)


# -- OpenEXR ------------------------------------------------------------------------------------------------------


@pytest.fixture
def openexr():
    return pytest.importorskip("OpenEXR")


def write_layers(openexr, path, layers, **header):
    """Write {name of a channel: plane} as one part."""
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage} | header
    openexr.File(header, {name: np.ascontiguousarray(plane) for name, plane in layers.items()}).write(str(path))


def named(layer, image):
    return {f"{layer}.{letter}" if layer else letter: image[..., i] for i, letter in enumerate("RGB")}


def test_exr_layers(tmp_path, openexr):
    combined, diffuse, beauty = pixels(dtype=np.float32)
    path, depth = tmp_path / "a.exr", combined[..., 0]
    blender = named("ViewLayer.Combined", combined) | {"ViewLayer.Combined.A": depth, "ViewLayer.Depth.Z": depth}
    for layers, wanted in [
        (blender, combined),
        (named("beauty", beauty), beauty),
        (named("", beauty) | named("diffuse", diffuse), beauty),
        ({"ViewLayer.Mist.Z": depth}, depth),
    ]:
        write_layers(openexr, path, layers)
        np.testing.assert_array_equal(load_image(path), wanted)
    write_layers(openexr, path, blender | named("ViewLayer.DiffCol", diffuse))
    wanted = "several layers, say which one with layer=: ['ViewLayer.Combined', 'ViewLayer.DiffCol']"
    with pytest.raises(ValueError, match=re.escape(f"{path}: {wanted}")):
        load_image(path)
    np.testing.assert_array_equal(load_image(path, layer="ViewLayer.DiffCol"), diffuse)
    np.testing.assert_array_equal(load_image(path, layer="ViewLayer.Depth"), depth)
    with pytest.raises(
        ValueError, match=re.escape(f"{path}: no layer 'Combined' (layer=), wanted one of ['ViewLayer.C")
    ):
        load_image(path, layer="Combined")


@pytest.mark.parametrize("n_images", [1, 2])
def test_exr_of_several_parts_whose_first_is_depth(tmp_path, openexr, n_images):
    images = pixels(dtype=np.float32)[:n_images]
    parts = [
        openexr.Part({"name": "depth", "type": openexr.scanlineimage}, {"Z": np.ascontiguousarray(images[0, ..., 0])})
    ]
    for number, image in enumerate(images):
        planes = {name: np.ascontiguousarray(plane) for name, plane in named("", image).items()}
        parts.append(openexr.Part({"name": f"view{number}", "type": openexr.scanlineimage}, planes))
    openexr.File(parts).write(str(tmp_path / "a.exr"))
    if n_images == 1:
        np.testing.assert_array_equal(load_image(tmp_path / "a.exr"), images[0])
    else:
        with pytest.raises(ValueError, match=re.escape("say which one with layer=: ['view0', 'view1']")):
            load_image(tmp_path / "a.exr")
    np.testing.assert_array_equal(load_image(tmp_path / "a.exr", layer=f"view{n_images - 1}"), images[-1])


@pytest.mark.parametrize("compression", ["NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB"])
@pytest.mark.parametrize("content", [0, None])
def test_exr_of_every_compression_and_without_content(tmp_path, openexr, compression, content):
    image = (
        np.zeros((300, 400, 3), np.float16) if content == 0 else pixels(n=1, height=30, width=40, dtype=np.float16)[0]
    )
    kind = getattr(openexr, f"{compression}_COMPRESSION")
    write_layers(openexr, tmp_path / "a.exr", named("", image), compression=kind)
    np.testing.assert_allclose(load_image(tmp_path / "a.exr"), image, atol=1 if "B44" in compression else 0.2)


def test_exr_of_integers_is_refused(tmp_path, openexr):
    write_layers(openexr, tmp_path / "a.exr", named("", np.ones((4, 5, 3), np.uint32)))
    with pytest.raises(
        ValueError, match=re.escape(f"{tmp_path / 'a.exr'}: channels ['R', 'G', 'B']") + ".*wanted floats"
    ):
        load_image(tmp_path / "a.exr")


def test_negative_values_are_clipped_where_asked(tmp_path, openexr):
    image = pixels(n=1, dtype=np.float32)[0]
    image[1, 2, 0], image[3, 4] = -1e-4, -2e-3
    save_image(tmp_path / "a.exr", image, bit_depth=32)
    np.testing.assert_array_equal(load_image(tmp_path / "a.exr"), image)
    with pytest.warns(UserWarning, match=re.escape(f"{tmp_path / 'a.exr'}: 4 negative values were set to 0")):
        clipped = load_image(tmp_path / "a.exr", clip_negative=True)
    np.testing.assert_array_equal(clipped, np.maximum(image, 0))


def test_a_capture_of_layers_clips_and_counts_for_all_photographs(tmp_path, openexr):
    images = pixels(dtype=np.float32)
    images[1, 2, 3] = images[2, 0, 0, 0] = -1e-4
    for number, image in enumerate(images):
        layers = named("ViewLayer.Combined", image) | named("ViewLayer.DiffCol", image / 2)
        write_layers(openexr, tmp_path / f"{number}.exr", layers)
    (tmp_path / "dirs.lp").write_text("".join(f"{number}.exr 0 0 1\n" for number in range(3)))
    with pytest.raises(ValueError, match="say which one with layer="):
        load_rti(tmp_path)
    with pytest.warns(
        UserWarning, match=re.escape(f"{tmp_path}: 4 negative values in 2 photographs were set")
    ) as caught:
        capture = load_rti(tmp_path, layer="ViewLayer.DiffCol", clip_negative=True)
    assert len(caught) == 1
    np.testing.assert_array_equal(capture.images, np.maximum(images / 2, 0))


def test_infinite_pixels_outside_of_the_mask_are_allowed(tmp_path, openexr):
    images = pixels(height=6, width=8, dtype=np.float32)
    images[:, 0, 1], images[1, 5, 7, 2] = np.inf, np.nan
    mask = np.ones((6, 8), bool)
    mask[0], mask[:, 7] = False, False
    for number, image in enumerate(images):
        save_image(tmp_path / f"{number}.exr", np.zeros_like(image))
        write_layers(openexr, tmp_path / f"{number}.exr", named("", image))
    (tmp_path / "dirs.lp").write_text("".join(f"{number}.exr 0 0 1\n" for number in range(3)))
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / '0.exr'}: 3 values are not finite")):
        load_rti(tmp_path)
    capture = load_rti(tmp_path, mask=mask)
    np.testing.assert_array_equal(capture.images, np.where(np.isfinite(images), images, 0))
    halved = load_rti(tmp_path, mask=mask, crop=(0, 6, 1, 8), downscale=2)
    assert halved.images.shape == (3, 3, 3, 3)
    assert np.isfinite(halved.images).all()
    wanted = images[:, 2:, 1:7].reshape(3, 2, 2, 3, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(halved.images[:, 1:], wanted, rtol=1e-6)
    mask[0, 1] = True
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / '0.exr'}: 3 values are not finite")):
        load_rti(tmp_path, mask=mask)


def test_exr_says_what_its_colours_are(tmp_path, openexr):
    save_image(tmp_path / "a.exr", SCENE)
    header = openexr.File(str(tmp_path / "a.exr")).parts[0].header
    srgb = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
    np.testing.assert_allclose(header["chromaticities"], srgb, atol=1e-6)
    aces = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    write_layers(openexr, tmp_path / "b.exr", named("", SCENE), chromaticities=aces)
    with pytest.warns(
        UserWarning, match=re.escape(f"{tmp_path / 'b.exr'}: the file's chromaticities are 0.7347 0.2653")
    ):
        np.testing.assert_array_equal(load_image(tmp_path / "b.exr"), SCENE)


# -- colour profiles ----------------------------------------------------------------------------------------------


def profile_of(primaries, gamma, white=(0.3127, 0.3290)):
    """Make a profile of an RGB space as its standard gives it: xy of red, green, blue and white, and an exponent."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in [*primaries, white]]).T
    columns = xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gain = bradford @ [0.9642, 1.0, 0.8249] / (bradford @ xyz[:, 3])
    return columns, np.linalg.inv(bradford) @ (gain[:, np.newaxis] * bradford) @ columns, make_profile(gamma, False)


def embedded(columns, profile):
    """Put other primaries into a profile."""
    for letter, column in zip(b"rgb", columns.T, strict=True):
        entry = profile.index(bytes([letter]) + b"XYZ")
        place = int.from_bytes(profile[entry + 4 : entry + 8], "big") + 8
        numbers = b"".join(round(value * 65536).to_bytes(4, "big", signed=True) for value in column)
        profile = profile[:place] + numbers + profile[place + 12 :]
    return profile


ADOBE = [(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)], 2.2
P3 = [(0.68, 0.32), (0.265, 0.69), (0.15, 0.06)], "srgb"
SRGB = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)], "srgb"


def to_linear_srgb(values, space):
    """Convert values in [0, 1] as the standards say."""
    (primaries, gamma), (srgb, _) = space, SRGB
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    linear = linear if gamma == "srgb" else values**gamma
    columns = profile_of(primaries, gamma)[0]
    return np.clip(linear @ (np.linalg.inv(profile_of(srgb, "srgb")[0]) @ columns).T, 0, 1)


def save_with_profile(path, values, profile):
    if path.suffix == ".tif":
        photometric = "rgb" if values.ndim == 3 else "minisblack"
        tifffile.imwrite(path, values, photometric=photometric, iccprofile=profile)
    else:
        Image.fromarray(values).save(path, icc_profile=profile, **{"quality": 100} if path.suffix == ".jpg" else {})


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("space", [ADOBE, P3, SRGB])
def test_profiles_of_colour_are_applied(tmp_path, suffix, space):
    rows, columns = np.mgrid[0:16, 0:24]
    values = np.stack([60 + 6 * rows, 40 + 5 * columns, 90 + 2 * rows + 3 * columns], axis=-1).astype(np.uint8)
    _, adapted, profile = profile_of(*space)
    path = tmp_path / f"a{suffix}"
    save_with_profile(path, values, embedded(adapted, profile))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = load_image(path)
        as_stored = load_image(path, decode=2.2)
    # A level at the steepest point of the curve, and JPEG's losses.
    np.testing.assert_allclose(read, to_linear_srgb(values / 255, space), atol=0.03 if suffix == ".jpg" else 0.012)
    # Whoever says what the values are is believed.
    np.testing.assert_allclose(as_stored, (values / 255) ** 2.2, atol=0.03 if suffix == ".jpg" else 1e-6)


def test_profiles_of_grey_are_applied(tmp_path):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for suffix in [".png", ".tif"]:
        for gamma in [1.8, 2.2]:
            save_with_profile(tmp_path / f"a{suffix}", values, make_profile(gamma, is_grey=True))
            read = load_image(tmp_path / f"a{suffix}")
            assert read.shape == (16, 16)
            np.testing.assert_allclose(read, (values / 255) ** gamma, atol=0.006)


def test_profiles_that_are_not_applied_are_named_once_for_a_capture(tmp_path):
    images = pixels(n=3, dtype=np.uint16)
    _, adapted, profile = profile_of(*ADOBE)
    for number, image in enumerate(images):
        save_with_profile(tmp_path / f"{number}.tif", image, embedded(adapted, profile))
    (tmp_path / "dirs.lp").write_text("".join(f"{number}.tif 0 0 1\n" for number in range(3)))
    wanted = "0.tif: its colour profile 'sRGB, 2.2' is not applied to more than 8 bits: the values are taken as linear"
    with pytest.warns(UserWarning, match=re.escape(wanted)) as caught:
        capture = load_rti(tmp_path)
    assert len(caught) == 1
    np.testing.assert_allclose(capture.images, images / 65535, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_rti(tmp_path, decode=2.2)
    save_with_profile(tmp_path / "b.png", pixels(n=1)[0], b"no profile")
    with pytest.warns(UserWarning, match="its colour profile cannot be read and is not applied"):
        load_image(tmp_path / "b.png")
    ink = Image.fromarray(np.full((8, 8, 4), 50, np.uint8), "CMYK")
    ink.save(tmp_path / "c.jpg", icc_profile=_of_cmyk(profile))
    with pytest.warns(UserWarning, match="its colour profile 'sRGB, 2.2' of CMYK is not applied"):
        load_image(tmp_path / "c.jpg")


def _of_cmyk(profile):
    return profile[:16] + b"CMYK" + profile[20:]


@pytest.mark.parametrize(("suffix", "bit_depth"), [(".png", 8), (".png", 16), (".jpg", 8), (".tif", 8), (".tif", 16)])
@pytest.mark.parametrize("encoding", ["auto", "srgb", "linear", 1.8])
@pytest.mark.parametrize("channels", [0, 3])
def test_what_is_written_says_what_it_is(tmp_path, suffix, bit_depth, encoding, channels):
    rows, columns = np.mgrid[0:16, 0:24]
    image = np.stack([0.1 + rows / 20, 0.2 + columns / 40, 0.5 + rows / 60], axis=-1)
    image = image if channels else image[..., 0]
    path = tmp_path / f"a{suffix}"
    save_image(path, image, encoding=encoding, bit_depth=bit_depth)
    # Another program reads the profile.
    opened = Image.open(path) if bit_depth == 8 else None
    if opened is not None:
        stored = ImageCms.ImageCmsProfile(io.BytesIO(opened.info["icc_profile"]))
        to_srgb = ImageCms.buildTransform(stored, ImageCms.createProfile("sRGB"), opened.mode, "RGB")
        shown = np.asarray(ImageCms.applyTransform(opened, to_srgb)) / 255
        linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
        np.testing.assert_allclose(linear if channels else linear[..., 0], image, atol=0.03)
    # So do we, if nothing else is said, where the file has 8 bits; a warning tells where more bits are no radiance.
    if bit_depth == 8 or encoding in ("auto", "linear"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_allclose(load_image(path), image, atol=0.03 if bit_depth == 8 else 1e-4)
    else:
        with pytest.warns(UserWarning, match="is not applied to more than 8 bits"):
            load_image(path)
    decode = encoding if encoding != "auto" else "srgb" if bit_depth == 8 else "linear"
    np.testing.assert_allclose(load_image(path, decode=decode), image, atol=0.03 if suffix == ".jpg" else 0.005)


@pytest.mark.parametrize("channels", [0, 3])
def test_tiff_of_floats_reads_back_exactly(tmp_path, channels):
    image = pixels(n=1, dtype=np.float32, channels=channels)[0] * 1000 - 5
    save_image(tmp_path / "a.tiff", image, bit_depth=32)
    np.testing.assert_array_equal(load_image(tmp_path / "a.tiff"), image)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tiff"), image)


@pytest.mark.parametrize("file_format", ["jpg", "tif"])
def test_stacks_in_the_new_formats(tmp_path, file_format):
    images = np.linspace(0.1, 0.9, 2 * 16 * 24, dtype=np.float32).reshape(2, 16, 24)
    save_stack(tmp_path / "capture", images, [[0, 0, 1], [0.6, 0, 0.8]], file_format=file_format)
    np.testing.assert_allclose(load_rti(tmp_path / "capture").images, images, atol=0.02)
    with pytest.raises(ValueError, match=re.escape("images[0] reaches 2 at exposure=0 and would be clipped at 1")):
        save_stack(tmp_path / "other", images * 0 + 2, [[0, 0, 1], [0.6, 0, 0.8]], file_format=file_format)
