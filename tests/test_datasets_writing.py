"""What is written reads back; nothing is left behind when writing fails."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from capture_files import directions, pixels, write_capture

from sklrelight.datasets import load_image, load_npz, load_rti, save_image, save_stack

RADIANCE = np.random.default_rng(0).uniform(0, 1, (12, 16, 3))


# -- save_image ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("encoding", ["auto", "srgb", "linear", 2.2])
@pytest.mark.parametrize("shape", [(12, 16, 3), (12, 16)])
def test_png_reads_back_to_half_a_level(tmp_path, bit_depth, encoding, shape):
    image = RADIANCE[..., 0] if len(shape) == 2 else RADIANCE
    path = tmp_path / "a.png"
    save_image(path, image, encoding=encoding, bit_depth=bit_depth)
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == (np.uint8 if bit_depth == 8 else np.uint16)
    back = load_image(path, decode=encoding)
    assert back.shape == shape
    # Half a level, times the steepest slope of the curve.
    np.testing.assert_allclose(back, image, atol=2.5 * 0.5 / (2**bit_depth - 1))


def test_known_srgb_values(tmp_path):
    save_image(tmp_path / "a.png", [[0.0, 0.002, 0.2158605, 1.0, 7.0, -1.0]])
    stored = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, [[0, 7, 128, 255, 255, 0]])


def test_exposure_is_in_stops(tmp_path):
    for suffix in [".png", ".exr", ".hdr"]:
        if suffix == ".exr":
            pytest.importorskip("OpenEXR")
        path = tmp_path / f"a{suffix}"
        save_image(path, np.full((2, 2, 3), 0.125), exposure=2, bit_depth=None)
        np.testing.assert_allclose(load_image(path), 0.5, atol=5e-3)


@pytest.mark.parametrize(("bit_depth", "dtype"), [(16, np.float16), (32, np.float32)])
@pytest.mark.parametrize("channels", [0, 3])
def test_exr_reads_back_exactly(tmp_path, bit_depth, dtype, channels):
    pytest.importorskip("OpenEXR")
    image = pixels(n=1, dtype=dtype, channels=channels)[0] * 1000
    save_image(tmp_path / "a.exr", image, bit_depth=bit_depth)
    np.testing.assert_array_equal(load_image(tmp_path / "a.exr"), image.astype(np.float32))


@pytest.mark.parametrize("shape", [(12, 16, 3), (12, 16)])
def test_hdr_reads_back(tmp_path, shape):
    image = (RADIANCE[..., 0] if len(shape) == 2 else RADIANCE) * 1000
    save_image(tmp_path / "a.hdr", image)
    back = load_image(tmp_path / "a.hdr")
    colours = image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
    # Half a step of the mantissa, which is at least 128.
    assert np.all(np.abs(back - colours) <= colours.max(axis=-1, keepdims=True) / 255)


def test_hdr_over_all_magnitudes(tmp_path):
    scales = 10.0 ** np.linspace(-36, 38, 75)
    image = scales[:, np.newaxis, np.newaxis] * np.array([[1.0, 0.4, 0.0], [0.1, 0.99, 0.5]])
    save_image(tmp_path / "a.hdr", image)
    error = np.abs(load_image(tmp_path / "a.hdr") - image)
    assert np.all(error <= image.max(axis=-1, keepdims=True) / 255)
    save_image(tmp_path / "a.hdr", np.array([[[0.0, 0, 0], [-1, 2, -3], [3e38, 0, 0]]]))
    np.testing.assert_allclose(load_image(tmp_path / "a.hdr")[0, :, :2], [[0, 0], [0, 2], [1.69e38, 0]], rtol=1e-2)


@pytest.mark.parametrize(
    ("name", "image", "options", "message"),
    [
        (
            "a.bmp",
            RADIANCE,
            {},
            "Cannot write the format '.bmp', wanted one of .png, .jpg, .jpeg, .tif, .tiff, .exr, .hdr",
        ),
        ("a.jpg", RADIANCE, {"bit_depth": 16}, "bit_depth=16 for .jpg, wanted 8"),
        (
            "a.png",
            RADIANCE,
            {"header": ["VIEW= -vta"]},
            "header=['VIEW= -vta'] for .png, wanted lines that are not blank",
        ),
        ("a.hdr", RADIANCE, {"header": ["a\n\nb"]}, "wanted lines that are not blank, for an .hdr file"),
        ("a.png", RADIANCE, {"bit_depth": 32}, "bit_depth=32 for .png, wanted 8 or 16"),
        ("a.exr", RADIANCE, {"bit_depth": 8}, "bit_depth=8 for .exr, wanted 16 or 32"),
        ("a.png", RADIANCE, {"encoding": "sRGB"}, "encoding='sRGB', wanted 'auto', 'linear', 'srgb'"),
        ("a.png", RADIANCE, {"exposure": np.nan}, "exposure=nan, wanted a number of stops"),
        ("a.png", RADIANCE[..., :2], {}, "image has shape (12, 16, 2), wanted (height, width, 3)"),
        ("a.png", RADIANCE[0, 0], {}, "image has shape (3,)"),
        ("a.png", np.where(RADIANCE > 0.999, np.nan, RADIANCE), {}, "values are not finite, the first at row"),
        ("a.exr", RADIANCE * 1e6, {}, "more than a half holds (65504): bit_depth=32"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, image, options, message):
    if name == "a.exr":
        pytest.importorskip("OpenEXR")
    with pytest.raises(ValueError, match=re.escape(message)):
        save_image(tmp_path / name, image, **options)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"the folder {tmp_path / 'gone'} does not exist")):
        save_image(tmp_path / "gone" / "a.png", RADIANCE)


# -- save_stack ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["auto", "linear", "srgb", 2.2])
def test_a_stack_loads_back(tmp_path, encoding):
    lights = directions(5)
    images = np.random.default_rng(1).uniform(0, 1, (5, 12, 16, 3)).astype(np.float32)
    save_stack(tmp_path / "capture", images, lights, encoding=encoding)
    capture = load_rti(tmp_path / "capture", decode=encoding)
    assert capture.bit_depth == 16
    np.testing.assert_allclose(capture.images, images, atol=2e-5)
    np.testing.assert_allclose(capture.lights, lights, rtol=1e-15)


@pytest.mark.parametrize("file_format", ["exr", "hdr", "png"])
def test_bright_stacks_and_positions_load_back(tmp_path, file_format):
    if file_format == "exr":
        pytest.importorskip("OpenEXR")
    positions = np.random.default_rng(2).normal(size=(3, 3)) * 7
    images = pixels(dtype=np.float16).astype(np.float32)
    exposure = -3 if file_format == "png" else 0
    save_stack(tmp_path / "capture", images, positions, file_format=file_format, exposure=exposure)
    capture = load_rti(tmp_path / "capture", normalize=False)
    np.testing.assert_array_equal(capture.lights, positions)
    tolerance = {"exr": 0, "hdr": 8 / 128, "png": 1e-5}[file_format]
    np.testing.assert_allclose(capture.images, images * 2.0**exposure, rtol=1e-6, atol=tolerance)


def test_grey_stacks_from_a_file_on_disk_into_an_empty_folder(tmp_path):
    images = RADIANCE.transpose(2, 0, 1).astype(np.float32)
    np.save(tmp_path / "stack.npy", images)
    (tmp_path / "capture").mkdir()
    save_stack(tmp_path / "capture", np.load(tmp_path / "stack.npy", mmap_mode="r"), directions(3))
    np.testing.assert_allclose(load_rti(tmp_path / "capture").images, images, atol=1e-5)


def test_stacks_that_cannot_be_written_leave_nothing(tmp_path):
    target, lights = tmp_path / "capture", directions(2)
    for images, options, message in [
        (np.full((2, 3, 4), 5.0), {}, "images[0] reaches 5 at exposure=0 and would be clipped at 1: pass exposure=-3"),
        (np.ones((3, 3, 4)), {}, "lights has shape (2, 3), wanted (3, 3)"),
        (np.ones((2, 3)), {}, "images has shape (2, 3), wanted (n_lights, height, width, 3)"),
        (
            np.stack([np.ones((3, 4)), np.full((3, 4), np.inf)]),
            {},
            "images[1]: 12 values are not finite, the first at row 0, column 0",
        ),
        (np.ones((2, 3, 4)), {"file_format": "bmp"}, "Cannot write the format '.bmp'"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            save_stack(target, images, lights, **options)
        assert not list(tmp_path.iterdir())
    save_stack(target, np.full((2, 3, 4), 5.0), lights, exposure=-3)  # as the message says
    with pytest.raises(FileExistsError, match="is there already and not empty"):
        save_stack(target, np.ones((2, 3, 4)), lights)


# -- folders without permission, full disks -----------------------------------------------------------------------


@pytest.fixture
def as_nobody():
    """A folder for everyone, and a process without privileges (where the tests run as root)."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if user == 0:
                os.seteuid(0)
            for path in Path(folder).rglob("*"):
                path.chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_folders_without_permission(as_nobody):
    folder = as_nobody / "capture"
    write_capture(folder, pixels())
    save_image(folder / "a.png", RADIANCE)
    before = (folder / "a.png").read_bytes()
    folder.chmod(0o500)  # may be read, not written to
    for write in [
        lambda: save_image(folder / "a.png", RADIANCE / 2),
        lambda: save_image(folder / "b.png", RADIANCE),
        lambda: save_stack(folder / "new", RADIANCE, directions(12)),
        lambda: load_rti(folder, memmap=folder / "stack.npy"),
    ]:
        with pytest.raises(PermissionError, match=re.escape(f"Cannot write {folder}/")):
            write()
    assert (folder / "a.png").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("image")) == ["a.png", "dirs.lp"]
    (folder / "image01.png").chmod(0)
    with pytest.raises(PermissionError, match=re.escape(str(folder / "image01.png"))):
        load_rti(folder)
    folder.chmod(0)
    for path in [folder, folder / "sub"]:
        with pytest.raises(PermissionError, match=re.escape(str(folder))):
            load_rti(path)


# Runs with 1 MB left for files, either on a disk of that size or under a limit on the size of a file.
_ON_A_FULL_DISK = """
import sys
from pathlib import Path
import numpy as np
from sklrelight.datasets import load_npz, save_image, save_stack

disk, source = Path(sys.argv[1]), sys.argv[2]
large = np.random.default_rng(0).uniform(0, 1, (600, 800, 3))
save_image(disk / "a.png", large[:10])
save_image(disk / "a.exr", large[:10])
before = {path.name: path.read_bytes() for path in disk.iterdir()}
for name, write in {
    "a.png": lambda: save_image(disk / "a.png", large, bit_depth=16),
    "b.png": lambda: save_image(disk / "b.png", large, bit_depth=16),
    "a.exr": lambda: save_image(disk / "a.exr", large, bit_depth=32),
    "b.hdr": lambda: save_image(disk / "b.hdr", large),
    "new": lambda: save_stack(disk / "new", [large] * 2, np.ones((2, 3))),
    "stack.npy": lambda: load_npz(source, memmap=disk / "stack.npy", progress=False),
}.items():
    try:
        write()
    except OSError as error:
        assert f"Cannot write {disk / name}: " in str(error), error
        print(name, "|", error)
    else:
        raise AssertionError(f"{name} was written")
    assert {path.name: path.read_bytes() for path in disk.iterdir()} == before, name
"""


def _run_on_a_full_disk(before, tmp_path):
    np.savez(tmp_path / "source.npz", images=np.zeros((100, 60, 80), np.float32), lights=np.ones((100, 2)))
    (tmp_path / "disk").mkdir()
    command = f'{before} && exec "$0" -c "$1" "$2" "$3"'
    return [
        "sh", "-c", command, sys.executable, _ON_A_FULL_DISK, str(tmp_path / "disk"), str(tmp_path / "source.npz"),
    ]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's mounts")
def test_a_full_disk(tmp_path):
    pytest.importorskip("OpenEXR")
    mount = f"mount -t tmpfs -o size=1m tmpfs '{tmp_path / 'disk'}'"
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    command = unshare + _run_on_a_full_disk(mount, tmp_path)
    allowed = subprocess.run([*unshare, "sh", "-c", mount], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip(f"needs leave to mount a small disk: {allowed.stderr.decode().strip()}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["a.png", "b.png", "a.exr", "b.hdr", "new", "stack.npy"]
    assert all("No space left on device" in line for line in lines)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX resource limits")
def test_a_file_beyond_the_limit(tmp_path):
    pytest.importorskip("OpenEXR")
    # In units of 512 bytes: about 1 MB.
    command = _run_on_a_full_disk("ulimit -f 2000", tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("File too large") == 6, done.stdout


def test_a_failed_load_keeps_the_old_stack(tmp_path):
    write_capture(tmp_path, pixels(n=20))
    np.savez(tmp_path / "a.npz", images=np.array([[[0.0]], [[np.nan]]]), lights=np.ones((2, 2)))
    (tmp_path / "stack.npy").write_bytes(b"old")
    (tmp_path / "image15.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"image15\.png"):
        load_rti(tmp_path, memmap=tmp_path / "stack.npy", progress=False)
    with pytest.raises(ValueError, match="image 1 of 'images': 1 values are not finite"):
        load_npz(tmp_path / "a.npz", memmap=tmp_path / "stack.npy", progress=False)
    assert (tmp_path / "stack.npy").read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))
