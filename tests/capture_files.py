"""Small captures for the tests, written with OpenCV alone."""

import struct

import cv2
import numpy as np
import pytest


def pixels(n=3, height=5, width=7, channels=3, dtype=np.uint8, seed=0):
    """Random photographs (n, height, width, channels), or (n, height, width) for no channels."""
    shape = (n, height, width, channels) if channels else (n, height, width)
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.uniform(0, 8, shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def directions(n, seed=0):
    """Unit vectors of the upper hemisphere (n, 3)."""
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2]) + 0.1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_image(path, image):
    """Write RGB(A) or grey values as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codes = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    stored = cv2.cvtColor(image, codes[image.shape[-1]]) if image.ndim == 3 else image
    encoded, data = cv2.imencode(path.suffix, stored)
    assert encoded
    path.write_bytes(data.tobytes())


def write_capture(folder, images, lights=None, suffix=".png", count=True, names=None):
    """Write photographs and ``dirs.lp``; return the lights."""
    lights = directions(len(images)) if lights is None else np.asarray(lights)
    names = names or [f"image{index:02}{suffix}" for index in range(len(images))]
    for name, image in zip(names, images, strict=True):
        write_image(folder / name, image)
    lines = [f"{name} {x!r} {y!r} {z!r}" for name, (x, y, z) in zip(names, lights.tolist(), strict=True)]
    (folder / "dirs.lp").write_text("\n".join([str(len(lines))] * count + lines) + "\n", encoding="utf-8")
    return lights


def exif(orientation, order=">"):
    """Return an EXIF block that holds nothing but the orientation."""
    head = b"MM\0*" if order == ">" else b"II*\0"
    return head + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def with_exif(jpeg, orientation, order=">"):
    """Put an EXIF orientation into an encoded JPEG file."""
    block = b"Exif\0\0" + exif(orientation, order)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def write_dng(path, mosaic, white_level=16383, orientation=1):
    """Write a bare DNG file: an uncompressed RGGB mosaic (height, width) of 16-bit values, black at 0."""
    height, width = mosaic.shape
    data = mosaic.astype("<u2").tobytes()
    short, long = "H", "I"
    types = {"B": 1, "s": 2, short: 3, long: 4, "rational": 5, "srational": 10}
    identity = [number for value in np.eye(3, dtype=int).ravel().tolist() for number in (value, 1)]
    tags = [
        (254, long, [0]),
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [16]),
        (259, short, [1]),
        (262, short, [32803]),
        (271, "s", b"Maker\0"),
        (272, "s", b"Model\0"),
        (273, long, [0]),  # where the pixels start, filled in below
        (274, short, [orientation]),
        (277, short, [1]),
        (278, long, [height]),
        (279, long, [len(data)]),
        (33421, short, [2, 2]),
        (33422, "B", [0, 1, 1, 2]),
        (50706, "B", [1, 4, 0, 0]),
        (50708, "s", b"Model\0"),
        (50714, long, [0]),
        (50717, long, [white_level]),
        (50721, "srational", identity),
        (50728, "rational", [1] * 6),
        (50778, short, [21]),
    ]
    start = 8 + 2 + 12 * len(tags) + 4

    def encoded(kind, values):
        if isinstance(values, bytes):
            return values, len(values)
        code = {"rational": "I", "srational": "i"}.get(kind, kind)
        count = len(values) // 2 if "rational" in kind else len(values)
        return struct.pack(f"<{len(values)}{code}", *values), count

    blocks = [encoded(kind, values)[0] for _, kind, values in tags]
    pixels_at = start + sum(len(block) for block in blocks if len(block) > 4)
    directory, extra = b"", b""
    for tag, kind, values in tags:
        block, count = encoded(kind, [pixels_at] if tag == 273 else values)
        directory += struct.pack("<HHI", tag, types[kind], count)
        if len(block) > 4:
            directory += struct.pack("<I", start + len(extra))
            extra += block
        else:
            directory += block.ljust(4, b"\0")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + struct.pack("<I", 0) + extra + data)


def write_ltm(folder, images, dataset="LTM", **options):
    """Write (n, height, width, 3) as the Waldorf capture comes."""
    h5py = pytest.importorskip("h5py")
    for index, colour in enumerate(["Red", "Green", "Blue"]):
        rows = [image[..., index].ravel(order="F") for image in images]
        with h5py.File(folder / f"{colour}.mat", "w", userblock_size=512) as file:
            file.create_dataset(dataset, data=np.array(rows), **options)
