"""Image files and stacks of every kind, damaged, and a process that reads them and reports what happened."""

import io
import json
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import cv2
import h5py
import numpy as np
import OpenEXR
import tifffile
from hostile_files import damage, peak

from sklrelight import ImageStack
from sklrelight.datasets import load_image

_SECONDS = 5
_ODD = [0, 1, 2, 3, 255, 0x7FFF, 0xFFFF, 0x10000, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


def _image(dtype):
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 1, (40, 60, 3)) * np.linspace(0, 1, 60)[:, np.newaxis]
    image[:10] = 0
    return image.astype(dtype) if np.dtype(dtype).kind == "f" else (image * np.iinfo(dtype).max).astype(dtype)


def _exr(folder):
    path = folder / "original.exr"
    planes = {name: np.ascontiguousarray(_image(np.float16)[..., i]) for i, name in enumerate("RGB")}
    layers = {f"ViewLayer.Combined.{name}": plane.astype(np.float32) for name, plane in planes.items()}
    layers["ViewLayer.Depth.Z"] = layers["ViewLayer.Combined.R"]
    depth = OpenEXR.Part({"name": "depth", "type": OpenEXR.scanlineimage}, {"Z": planes["R"]})
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 16
    for compression in ["NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB"]:
        header = {"compression": getattr(OpenEXR, f"{compression}_COMPRESSION")}
        header["type"] = OpenEXR.scanlineimage
        OpenEXR.File(header, layers if compression == "PXR24" else planes).write(str(path))
        yield path.read_bytes()
        colours = OpenEXR.Part(header | {"name": "rgb"}, dict(planes))
        OpenEXR.File([depth, colours]).write(str(path))
        yield path.read_bytes()
        OpenEXR.File(header | {"type": OpenEXR.tiledimage, "tiles": tiles}, dict(planes)).write(str(path))
        yield path.read_bytes()


def _hdr(folder):
    encoded = cv2.imencode(".hdr", _image(np.float32))[1].tobytes()
    yield encoded
    yield encoded.replace(b"rle_rgbe", b"rle_xyze").replace(b"FORMAT", b"EXPOSURE=2\nCOLORCORR=1 1 2\nFORMAT")
    row = bytes([9, 9, 9, 129, 1, 1, 1, 200, 5, 6, 7, 120])
    yield b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20 +X 202\n" + row * 20
    yield b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n+X 20 -Y 40\n" + bytes(range(128, 208)) * 40


def _tiff(folder):
    for dtype, options in [
        (np.uint8, {}),
        (np.uint16, {"compression": "lzw", "predictor": True}),
        (np.uint16, {"compression": "zlib", "tile": (16, 32)}),
        (np.float32, {"compression": "zlib", "predictor": True}),
        (np.float16, {"bigtiff": True}),
        (np.uint8, {"compression": "jpeg", "rowsperstrip": 16}),
        (np.uint8, {"compression": "packbits", "rowsperstrip": 8}),
        (np.uint8, {"compression": "zstd"}),
        (np.uint16, {"compression": "jpeg2000"}),
        (np.uint8, {"compression": "webp"}),
        (np.uint8, {"compression": "jpegxl"}),
    ]:
        file = io.BytesIO()
        tifffile.imwrite(file, _image(dtype), photometric="rgb", **options)
        yield file.getvalue()
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([_image(np.uint8)[..., 0]] * 2), photometric="minisblack", imagej=True)
    yield file.getvalue()


def _hdf5(folder):
    images = np.stack([_image(np.float32)] * 4)
    for options in [
        {},
        {"chunks": (1, 8, 60, 3), "compression": "gzip", "shuffle": True},
        {"chunks": (2, 16, 16, 3), "compression": "lzf", "fletcher32": True},
        {"maxshape": (None, 40, 60, 3), "chunks": (1, 40, 60, 3)},
    ]:
        for version in ["earliest", "latest"]:
            with h5py.File(folder / "original.h5", "w", libver=version, userblock_size=512 * (not options)) as file:
                dataset = file.create_dataset("images", data=images, **options)
                if "compression" in options:
                    dataset.attrs["MATLAB_class"] = np.bytes_("single")
            yield (folder / "original.h5").read_bytes()


KINDS = {".exr": _exr, ".hdr": _hdr, ".tif": _tiff, ".h5": _hdf5}


def write_damaged(folder, suffix, n_files, seed=0):
    """Write damaged files of one kind, from whole ones of several kinds in turn."""
    rng = np.random.default_rng(seed)
    originals = list(KINDS[suffix](folder.parent))
    for number in range(n_files):
        data = originals[number % len(originals)]
        for _ in range(int(rng.integers(1, 4))):
            if len(data) > 1:
                data = damage(data, rng) if rng.random() < 0.4 else _change_number(data, rng)
        (folder / f"{number:05}{suffix}").write_bytes(data)


def _change_number(data, rng):
    """Put an odd number into the file, most often into its header."""
    changed = bytearray(data)
    end = len(data) if rng.random() < 0.3 else min(len(data), 800)
    place, size = int(rng.integers(end)), int(rng.choice([1, 2, 4, 4, 8]))
    value = _ODD[int(rng.integers(len(_ODD)))] % 256**size
    changed[place : place + size] = value.to_bytes(size, str(rng.choice(["little", "big"])))
    return bytes(changed)


def read_all(folder):
    """Read all files of a folder in processes of their own; return what happened to each.

    A crash or a hang ends a process, and another goes on behind the file that was to blame.
    """
    paths, results = sorted(Path(folder).iterdir()), {}
    while len(results) < len(paths):
        rest = [str(path) for path in paths[len(results) :]]
        command = [sys.executable, __file__]
        done = subprocess.run(command, input="\n".join(rest), capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        results |= {line.pop("name"): line for line in lines}
        if len(results) < len(paths):
            culprit = paths[len(results)].name
            results[culprit] = {"outcome": f"died of {done.returncode}", "message": done.stderr[-500:], "growth": 0}
    return results


def main():
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    # What is imported lazily, and the pools of threads, are there before anything is measured.
    for line in sys.stdin.read().splitlines():
        path = Path(line)
        Path("/proc/self/clear_refs").write_text("5")
        before, start = peak(), time.monotonic()
        # Ends the process also where a library does not return.
        signal.alarm(_SECONDS)
        n_bytes = 0
        try:
            result = np.asarray(ImageStack(path)) if path.suffix == ".h5" else load_image(path)
            outcome, message, n_bytes = "read", str(result.shape), result.nbytes
        except ValueError as error:
            outcome, message = "refused", str(error)
        except BaseException as error:
            outcome, message = type(error).__name__, str(error)
        signal.alarm(0)
        growth = peak() - before - n_bytes
        report = {"outcome": outcome, "message": message, "growth": growth, "seconds": time.monotonic() - start}
        print(json.dumps({"name": path.name} | report), flush=True)


if __name__ == "__main__":
    main()
