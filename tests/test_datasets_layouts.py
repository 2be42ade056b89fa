"""The DiLiGenT layout, NumPy archives and light-transport matrices: small ones, whole and damaged."""

import io
import os
import re
import tracemalloc
import zipfile
from inspect import signature

import numpy as np
import pytest
from capture_files import directions, pixels, write_capture, write_image, write_ltm
from scipy.io import savemat

from sklrelight.datasets import load_diligent, load_ltm, load_npz, load_rti, read_lp
from sklrelight.datasets._formats.lp import read_dome
from sklrelight.datasets._formats.photographs import load_photographs

h5py = pytest.importorskip("h5py")


# -- DiLiGenT -----------------------------------------------------------------------------------------------------


@pytest.fixture
def diligent(tmp_path):
    images = pixels(dtype=np.uint16)
    lights = write_capture(tmp_path, images)
    (tmp_path / "dirs.lp").unlink()
    intensities = np.random.default_rng(2).uniform(0.5, 3, (3, 3))
    (tmp_path / "filenames.txt").write_bytes(b"image00.png\r\nimage01.png\r\n\r\nimage02.png")
    np.savetxt(tmp_path / "light_directions.txt", lights * 1.5)
    np.savetxt(tmp_path / "light_intensities.txt", intensities)
    mask = np.zeros((5, 7), np.uint8)
    mask[1:4, 2:6] = 255
    write_image(tmp_path / "mask.png", mask)
    return tmp_path, images / 65535, lights, intensities


def test_diligent(diligent):
    folder, images, lights, intensities = diligent
    capture = load_diligent(folder)
    np.testing.assert_allclose(capture.images, images / intensities[:, np.newaxis, np.newaxis], rtol=1e-5)
    np.testing.assert_allclose(capture.lights, lights)
    np.testing.assert_allclose(capture.light_norms, 1.5)
    np.testing.assert_allclose(capture.light_intensities, intensities)
    assert np.count_nonzero(capture.mask) == 12
    assert capture.bit_depth == 16
    with pytest.raises(TypeError, match="'normalise'"):
        load_diligent(folder, normalise=False)
    plain = load_diligent(folder, divide_intensities=False, mask=None)
    np.testing.assert_allclose(plain.images, images, rtol=1e-6)
    assert plain.mask is None


@pytest.mark.parametrize("width", [3, 7])
def test_diligent_in_grey_is_divided_by_the_mean(diligent, width):
    folder, images, _, intensities = diligent
    grey = pixels(dtype=np.uint16)[:, :, :width, 0]
    for number, image in enumerate(grey):
        write_image(folder / f"image{number:02}.png", image)
    expected = images[:, :, :width, 0] / intensities.mean(axis=1)[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(load_diligent(folder, mask=None).images, expected, rtol=1e-5)
    plain = load_diligent(folder, divide_intensities=False, mask=None)
    np.testing.assert_allclose(plain.images, images[:, :, :width, 0], rtol=1e-6)


def test_diligent_has_the_defaults_of_rti():
    own, public = (signature(load).parameters for load in (load_photographs, load_rti))
    shared = own.keys() & public.keys() - {"folder"}
    assert len(shared) == 14
    assert all(own[name].default == public[name].default for name in shared)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("filenames.txt", "image00.png\n\ngone.png\nimage02.png\n", "filenames.txt, line 3: no such file"),
        ("filenames.txt", "../a.png\nimage01.png\nimage02.png\n", "filenames.txt, line 1: '../a.png' lies outside"),
        (
            "filenames.txt",
            "image00.png\nimage00.png\nimage02.png\n",
            "line 2: 'image00.png' is already named in line 1",
        ),
        ("filenames.txt", "\n", "filenames.txt: the file names no photograph"),
        ("light_directions.txt", "0 0 1\n0 0\n0 0 1\n", "light_directions.txt, line 2: got '0 0', wanted three"),
        ("light_directions.txt", "0 0 1\n0 0 1\n0 0 0\n", "light_directions.txt, line 3"),
        ("light_directions.txt", "0 0 1\n0 nan 1\n0 0 1\n", "light_directions.txt, line 2"),
        ("light_directions.txt", "0 0 1\n", "light_directions.txt: 1 lines, wanted 3"),
        ("light_intensities.txt", "1 1 1\n1 -1 1\n1 1 1\n", "light_intensities.txt: intensities holds -1, wanted"),
    ],
)
def test_diligent_faults_are_named_with_file_and_line(diligent, name, text, message):
    folder = diligent[0]
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_diligent(folder)


@pytest.mark.parametrize("name", ["filenames.txt", "light_directions.txt", "light_intensities.txt", "mask.png"])
def test_diligent_missing_files_are_named(diligent, name):
    folder = diligent[0]
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(folder / name))):
        load_diligent(folder)


# -- NumPy archives -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [0, 3])
def test_npz(tmp_path, save, dtype, channels):
    images = pixels(dtype=dtype, channels=channels)
    lights = directions(3)
    save(tmp_path / "a.npz", images=images, light_directions=lights, light_grid=np.arange(6).reshape(3, 2))
    capture = load_npz(tmp_path / "a.npz", decode=2.2)
    is_float = np.dtype(dtype).kind == "f"
    np.testing.assert_allclose(
        capture.images, images if is_float else (images / np.iinfo(dtype).max) ** 2.2, rtol=1e-5, atol=1e-12
    )
    np.testing.assert_array_equal(capture.lights, lights)
    np.testing.assert_array_equal(capture.light_grid, [[0, 1], [2, 3], [4, 5]])
    assert (capture.light_name, capture.file_dtype) == ("light_directions", np.dtype(dtype).name)


def test_npz_with_other_names_crop_and_mask(tmp_path):
    images = pixels(n=2, height=6, width=8, dtype=np.float32)
    mask = np.zeros((6, 8), bool)
    mask[:4] = True
    sun = np.array([[10.0, 40.0, 2.5], [20.0, 45.0, 2.7]])
    np.savez(tmp_path / "a.npz", hours=images, sun=sun, mask=mask, image_shape=[1, 1], DESCR="mine")
    capture = load_npz(tmp_path / "a.npz", images="hours", lights="sun", crop=(0, 6, 2, 8), downscale=2)
    wanted = images[:, :, 2:].reshape(2, 3, 2, 3, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(capture.images, wanted, rtol=1e-6)
    np.testing.assert_array_equal(capture.lights, sun)
    np.testing.assert_array_equal(capture.mask, [[True] * 3, [True] * 3, [False] * 3])
    assert capture.image_shape == (3, 3)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"lights": np.ones((3, 2))}, {}, "no array 'images'"),
        ({"images": np.ones((3, 2, 2))}, {}, "no array ('lights', 'light_positions'"),
        ({"images": np.ones((3, 2, 2)), "lights": np.ones((3, 2))}, {"lights": "sun"}, "no array sun"),
        ({"images": np.ones((3, 2)), "lights": np.ones((3, 2))}, {}, "'images' has shape (3, 2)"),
        ({"images": np.ones((3, 2, 2, 4)), "lights": np.ones((3, 2))}, {}, "has shape (3, 2, 2, 4)"),
        ({"images": np.ones((3, 2, 2), int), "lights": np.ones((3, 2))}, {}, "has type int64"),
        ({"images": np.ones((2, 2, 3)).T, "lights": np.ones((3, 2))}, {}, "Fortran order"),
        ({"images": np.ones((3, 2, 2)), "lights": np.ones((2, 2))}, {}, "inconsistent numbers of samples: [2, 3]"),
        ({"images": np.ones((3, 2, 2)), "lights": np.ones(3)}, {}, "Expected 2D array, got 1D array"),
        ({"images": np.ones((3, 2, 2)), "lights": np.full((3, 2), np.nan)}, {}, "contains NaN"),
        ({"images": np.full((3, 2, 2), np.inf), "lights": np.ones((3, 2))}, {}, "image 0 of 'images': 4 values"),
        ({"images": np.ones((3, 2, 2)), "lights": np.array([None])}, {}, "its array 'lights' cannot be read"),
    ],
)
def test_npz_faults_are_named(tmp_path, arrays, options, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'a.npz'}: ") + ".*" + re.escape(message)):
        load_npz(tmp_path / "a.npz", **options)


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_cut_npz_is_named(tmp_path, share):
    np.savez_compressed(tmp_path / "a.npz", images=pixels(), lights=directions(3))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'a.npz'}: the file cannot be read")):
        load_npz(tmp_path / "a.npz")


def test_a_damaged_npz_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", lights=directions(40), images=pixels(n=40, height=40, width=40))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[len(data) // 2] ^= 0x55
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'a.npz'}: its array 'images' cannot be read")):
        load_npz(tmp_path / "a.npz")


def test_npz_reads_no_array_that_is_larger_than_its_photographs(tmp_path):
    images = pixels(dtype=np.uint8)
    path = tmp_path / "a.npz"
    extra = np.zeros((300, 1000, 1000), np.uint8)
    np.savez_compressed(path, images=images, lights=directions(3), sun=[1, 2], extra=extra)
    tracemalloc.start()
    capture = load_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert "extra" not in capture
    assert capture.DESCR.endswith("Larger than the images, and not read: extra.")
    assert (capture.sun.tolist(), capture.decode) == ([1, 2], "srgb")


def test_npz_that_claims_more_than_it_holds(tmp_path):
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (3, 10**6, 10**6)})
    np.savez(path, lights=directions(3))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(100))
    with pytest.raises(ValueError, match=r"a\.npz: its array 'images' cannot be read.* its header claims 3e\+12 bytes"):
        load_npz(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("load", [load_npz, read_lp, read_dome])
def test_pipes_are_refused(tmp_path, load):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: a pipe, a socket or a device, wanted a file"):
        load(tmp_path / "pipe")


# -- light-transport matrices -------------------------------------------------------------------------------------


@pytest.fixture
def ltm(tmp_path):
    images = pixels(n=12, height=5, width=7, dtype=np.float32)
    write_ltm(tmp_path, images, chunks=(5, 10), compression="gzip")
    return tmp_path, images


def test_ltm(ltm):
    folder, images = ltm
    capture = load_ltm(folder, (5, 7), grid_shape=(3, 4))
    np.testing.assert_array_equal(capture.images, images)
    np.testing.assert_array_equal(capture.lights[[0, 3, 4, 11]], [[0, 0], [3, 0], [0, 1], [3, 2]])
    assert (capture.grid_shape, capture.image_shape, capture.file_dtype) == ((3, 4), (5, 7), "float32")
    smaller = load_ltm(folder, (5, 7), grid_shape=(3, 4), crop=(1, 5, 0, 7), downscale=2, mask=np.ones((5, 7)))
    np.testing.assert_allclose(
        smaller.images, images[:, 1:, :6].reshape(12, 2, 2, 3, 2, 3).mean(axis=(2, 4)), rtol=1e-6
    )


def test_ltm_faults(ltm):
    folder = ltm[0]
    with pytest.raises(ValueError, match=r"Red\.mat: 'LTM' has shape \(12, 35\), wanted \(n_lights, 30\)"):
        load_ltm(folder, (5, 6))
    with pytest.raises(ValueError, match=r"image_shape=35, wanted two integers above 0: height, width"):
        load_ltm(folder, 35)
    with pytest.raises(ValueError, match=r"12 lights make no square grid; give grid_shape"):
        load_ltm(folder, (5, 7))
    with pytest.raises(ValueError, match=r"grid_shape=\(3, 3\) is 9 lights, but the files hold 12"):
        load_ltm(folder, (5, 7), grid_shape=(3, 3))
    with pytest.raises(ValueError, match=r"Red\.mat: no dataset 'T' among \['LTM'\]"):
        load_ltm(folder, (5, 7), dataset="T")
    with h5py.File(folder / "Blue.mat", "w") as file:
        file["LTM"] = np.ones((11, 35), np.float32)
    with pytest.raises(ValueError, match=r"Blue\.mat: 11 lights, wanted 12 as in .*Red\.mat"):
        load_ltm(folder, (5, 7), grid_shape=(3, 4))
    (folder / "Blue.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"No Blue\.mat in .*; parts Blue\.mat\.000 .* joined"):
        load_ltm(folder, (5, 7))


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_cut_ltm_is_named(ltm, share):
    folder = ltm[0]
    path = folder / "Green.mat"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=re.escape(f"{path}: cannot be read as a MATLAB ")):
        load_ltm(folder, (5, 7), grid_shape=(3, 4))


def test_a_damaged_ltm_is_named(ltm):
    folder = ltm[0]
    data = bytearray((folder / "Red.mat").read_bytes())
    with h5py.File(folder / "Red.mat") as file:
        at = file["LTM"].id.get_chunk_info(0).byte_offset + 512
    data[at + 5 : at + 25] = b"\0" * 20
    (folder / "Red.mat").write_bytes(data)
    with pytest.raises(ValueError, match=r"Red\.mat: damaged from row 0 on"):
        load_ltm(folder, (5, 7), grid_shape=(3, 4))


_NUMERIC = [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.float32, np.float64]


def _write_older_ltm(folder, images, transposed=True, **options):
    for index, colour in enumerate(["Red", "Green", "Blue"]):
        rows = np.array([image[..., index].ravel(order="F") for image in images])
        savemat(folder / f"{colour}.mat", {"notes": "x" * 100, "LTM": rows.T if transposed else rows}, **options)


@pytest.mark.parametrize("dtype", _NUMERIC)
@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}], ids=["v5", "v7", "v4"])
def test_ltm_of_older_matlab_in_any_numeric_type(tmp_path, dtype, options):
    if options == {"format": "4"} and dtype in (np.uint32, np.int8):
        pytest.skip("MATLAB v4 has no such type")
    dtype = np.dtype(dtype)
    images = np.abs(pixels(n=4, dtype=dtype))
    _write_older_ltm(tmp_path, images, **options)
    expected = images / (1 if dtype.kind == "f" else np.iinfo(dtype).max)
    capture = load_ltm(tmp_path, (5, 7), decode="linear")
    np.testing.assert_allclose(capture.images, expected, rtol=1e-5)
    np.testing.assert_array_equal(capture.lights, [[0, 0], [1, 0], [0, 1], [1, 1]])
    by_lights = tmp_path / "by lights"
    by_lights.mkdir()
    _write_older_ltm(by_lights, images, transposed=False, **options)
    np.testing.assert_array_equal(load_ltm(by_lights, (5, 7), decode="linear").images, capture.images)


@pytest.mark.parametrize("dtype", _NUMERIC)
def test_ltm_of_hdf5_in_any_numeric_type(tmp_path, dtype):
    images = np.abs(pixels(n=4, dtype=dtype))
    write_ltm(tmp_path, images)
    expected = images / (1 if images.dtype.kind == "f" else np.iinfo(dtype).max)
    np.testing.assert_allclose(load_ltm(tmp_path, (5, 7), decode="linear").images, expected, rtol=1e-5)


def test_ltm_of_8_bits_is_decoded_as_photographs_are(tmp_path):
    images = pixels(n=4)
    _write_older_ltm(tmp_path, images)
    capture = load_ltm(tmp_path, (5, 7))
    np.testing.assert_array_equal(capture.images, load_ltm(tmp_path, (5, 7), decode="srgb").images)
    assert capture.decode == "srgb"


def test_faults_of_older_ltm_are_named(tmp_path):
    _write_older_ltm(tmp_path, pixels(n=4))
    with pytest.raises(ValueError, match=r"Red\.mat: no matrix 'T' among \['LTM', 'notes'\]"):
        load_ltm(tmp_path, (5, 7), dataset="T")
    with pytest.raises(
        ValueError, match=r"Red\.mat: 'LTM' has shape \(4, 35\), wanted \(n_lights, 30\) for image_shape"
    ):
        load_ltm(tmp_path, (5, 6))
    whole = (tmp_path / "Green.mat").read_bytes()
    (tmp_path / "Green.mat").write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"Green\.mat: cannot be read as a MATLAB file"):
        load_ltm(tmp_path, (5, 7))
    savemat(tmp_path / "Red.mat", {"LTM": np.ones((35, 4)) * 1j})
    with pytest.raises(ValueError, match=r"Red\.mat: 'LTM' has type complex128, wanted real numbers"):
        load_ltm(tmp_path, (5, 7))
    huge = (tmp_path / "Blue.mat").read_bytes().replace(np.int32([35, 4]).tobytes(), np.int32([35, 2**30]).tobytes())
    (tmp_path / "Red.mat").write_bytes(huge)
    with pytest.raises(ValueError, match=r"Red\.mat: .*its header claims 3\.76e\+10 bytes"):
        load_ltm(tmp_path, (5, 7))
