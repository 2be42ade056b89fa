"""Damaged image files and stacks: a result or a ValueError that names the file, little memory, and no hang."""

import collections
import os
import re
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from capture_files import pixels, write_image

from sklrelight.datasets import load_image

pytest.importorskip("OpenEXR")
tifffile = pytest.importorskip("tifffile")
if sys.platform != "linux":
    pytest.skip("memory is measured in Linux's /proc", allow_module_level=True)

from hostile_images import KINDS, read_all, write_damaged  # noqa: E402

from sklrelight.datasets._formats.exr import write_exr  # noqa: E402


def check_all(folder, n_files):
    results = read_all(folder)
    assert len(results) == n_files
    for name, result in results.items():
        assert result["outcome"] in ("read", "refused"), (name, result)
        assert result["outcome"] == "read" or str(folder / name) in result["message"], (name, result)
        assert result["growth"] < 200 * 2**20, (name, result)
    return collections.Counter(result["outcome"] for result in results.values())


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("n_files", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files(tmp_path, suffix, n_files):
    (tmp_path / "files").mkdir()
    write_damaged(tmp_path / "files", suffix, n_files, seed=n_files)
    outcomes = check_all(tmp_path / "files", n_files)
    # Some are hurt and others are not: the damage is neither too mild nor the same each time.
    assert min(outcomes["read"], outcomes["refused"]) > n_files / 25, outcomes


def replaced(data, old, new):
    assert data.count(old) >= 1
    return data.replace(old, new)


def test_small_files_with_large_claims(tmp_path):
    """Each header claims a gigabyte or more."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, dtype in [("a.exr", np.float16), ("b.exr", np.float32)]:
        write_exr(folder / name, np.zeros((2, 3, 3), dtype))
        data = (folder / name).read_bytes()
        assert len(data) < 500
        window = struct.pack("<4i", 0, 0, 2, 1)
        (folder / name).write_bytes(replaced(data, window, struct.pack("<4i", 0, 0, 11999, 11999)))
        # What is shown, but not what is stored.
        place = data.index(b"displayWindow") + len("displayWindow\0box2i\0") + 4
        shown = data[:place] + struct.pack("<4i", 0, 0, 29999, 29999) + data[place + 16 :]
        (folder / f"shown_{name}").write_bytes(shown)
    (folder / "a.hdr").write_bytes(b"#?RADIANCE\n\n-Y 30000 +X 30000\n" + bytes(4000))
    (folder / "b.hdr").write_bytes(b"#?RADIANCE\n\n-Y 1 +X 999999999\n" + bytes([9, 9, 9, 129, 1, 1, 1, 255] * 9))
    write_image(folder / "a.png", pixels(n=1)[0])
    data = bytearray((folder / "a.png").read_bytes())
    data[16:24] = struct.pack(">II", 30000, 30000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (folder / "a.png").write_bytes(data)
    jpeg = cv2.imencode(".jpg", pixels(n=1, height=16, width=24)[0])[1].tobytes()
    frame = replaced(jpeg, struct.pack(">HBHH", 17, 8, 16, 24), struct.pack(">HBHH", 17, 8, 65000, 65000))
    (folder / "a.jpg").write_bytes(frame)
    for number, options in enumerate([{}, {"compression": "zlib"}, {"compression": "lzw", "tile": (16, 16)}]):
        tifffile.imwrite(folder / f"{number}.tif", np.zeros((20, 30), np.uint8), **options)
        with tifffile.TiffFile(folder / f"{number}.tif", mode="r+") as file:
            file.pages[0].tags["ImageWidth"].overwrite(50000)
            file.pages[0].tags["ImageLength"].overwrite(50000)
    n_files = len(list(folder.iterdir()))
    results = read_all(folder)
    for name, result in results.items():
        assert result["outcome"] == "refused", (name, result)
        assert str(folder / name) in result["message"], (name, result)
        assert result["growth"] < 20 * 2**20, (name, result)
    assert len(results) == n_files == 11


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["a.png", "a.exr", "a.hdr", "a.tif"])
def test_pipes_and_devices_are_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / name}: a pipe, a socket or a device, wanted a file")):
        load_image(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / name}: a pipe, a socket or a device, wanted a file")):
        load_image(tmp_path / name)
