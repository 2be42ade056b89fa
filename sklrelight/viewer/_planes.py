"""Stored images as JPEG files, whole or in tiles, as the web format of RTI viewers has them."""

import json
import re
from pathlib import Path

import numpy as np

from ..datasets._formats.codecs import decode_image
from ..utils import check_file, import_extra

__all__ = ["encode_jpeg", "read_plane", "write_plane"]

_TILE_SIZE, _OVERLAP = 254, 1
_DZI = """\
<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="jpg" Overlap="{overlap}" TileSize="{tile_size}">
  <Size Width="{width}" Height="{height}"/>
</Image>
"""


def encode_jpeg(levels, quality):
    """Encode levels of shape (H, W, 3) or (H, W, 1), uint8, as a JPEG file with colours at full resolution."""
    cv2 = import_extra("cv2", "images", "To encode JPEG")
    if levels.shape[2] == 3:
        levels = cv2.cvtColor(levels, cv2.COLOR_RGB2BGR)
    # Colours at full resolution, because photographs are compared pixel by pixel, and planes are no colours.
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    encoded, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])
    if not encoded:
        raise OSError("OpenCV cannot encode an image as JPEG")
    return data.tobytes()


def write_plane(folder, name, levels, layout, quality):
    """Write an image of shape (H, W, 3), uint8, as one JPEG file or in tiles of several resolutions."""
    if layout == "image":
        (folder / f"{name}.jpg").write_bytes(encode_jpeg(levels, quality))
        return
    cv2 = import_extra("cv2", "images", "To make tiles")
    height, width = levels.shape[:2]
    # Viewers count levels from the first that fits into a tile, and need it to be more than half of one.
    size = min(_TILE_SIZE, max(height, width))
    (folder / f"{name}.dzi").write_text(_DZI.format(overlap=_OVERLAP, tile_size=size, width=width, height=height))
    for level in range(_n_levels(height, width, size) - 1, -1, -1):
        tiles = folder / f"{name}_files" / str(level)
        tiles.mkdir(parents=True)
        for top in range(0, levels.shape[0], size):
            for left in range(0, levels.shape[1], size):
                rows = slice(max(0, top - _OVERLAP), top + size + _OVERLAP)
                columns = slice(max(0, left - _OVERLAP), left + size + _OVERLAP)
                data = encode_jpeg(np.ascontiguousarray(levels[rows, columns]), quality)
                (tiles / f"{left // size}_{top // size}.jpg").write_bytes(data)
        if level:
            half = (-(-levels.shape[1] // 2), -(-levels.shape[0] // 2))
            levels = cv2.resize(levels, half, interpolation=cv2.INTER_AREA)


def _n_levels(height, width, tile_size):
    return 1 + int(np.ceil(np.log2(max(height, width, tile_size) / tile_size)))


def read_plane(folder, name):
    """Read an image of shape (H, W, 3), uint8, from a JPEG file or from tiles.

    Raises
    ------
    OSError
        If there is no such file.

    ValueError
        If a file is damaged; FormatError without its name.
    """
    path = Path(folder, f"{name}.jpg")
    for suffix, read in ((".dzi", _read_deepzoom), (".tzi", _read_tarzoom)):
        description = Path(folder, f"{name}{suffix}")
        if not path.exists() and description.exists():
            return read(folder, name, description)
    return _read_jpeg(path)


def _read_jpeg(path):
    check_file(path)
    return _decode(path.read_bytes(), path)


def _decode(data, path):
    levels = decode_image(data, path)
    if levels.ndim != 3 or levels.dtype != np.uint8:
        raise ValueError(f"{path}: an image of shape {levels.shape} and {levels.dtype}, wanted three channels of bytes")
    return levels


def _read_deepzoom(folder, name, description):
    check_file(description)
    text = description.read_bytes()[:4096].decode("utf-8", "replace")
    found = {
        key: re.search(rf'\b{key}\s*=\s*"(\d{{1,9}})"', text) for key in ("TileSize", "Overlap", "Width", "Height")
    }
    if None in found.values():
        raise ValueError(f"{description}: damaged: wanted TileSize, Overlap, Width and Height")
    size, overlap, width, height = (int(match[1]) for match in found.values() if match)
    if not (size and width and height):
        raise ValueError(f"{description}: damaged: {width} x {height} pixels in tiles of {size}")
    tiles = Path(folder, f"{name}_files", str(_n_levels(height, width, size) - 1))

    def read_tile(row, column):
        path = tiles / f"{column}_{row}.jpg"
        return _read_jpeg(path)[overlap if row else 0 :, overlap if column else 0 :][:size, :size], path

    return _join_tiles(height, width, size, read_tile)


def _read_tarzoom(folder, name, description):
    """Read tiles that are one after another in a file, row by row, those of the largest resolution last."""
    check_file(description)
    try:
        info = json.loads(description.read_bytes())
        height, width, size, offsets = (info[name] for name in ("height", "width", "tilesize", "offsets"))
        good = isinstance(offsets, list) and all(
            type(value) is int and 0 <= value < 2**40 for value in (height, width, size, *offsets)
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{description}: damaged: wanted height, width, tilesize and offsets") from error
    n_columns = -(-width // max(size, 1)) if good else 0
    first = len(offsets) - 1 - n_columns * -(-height // max(size, 1)) if good else -1
    if not (good and size and width and height and first >= 0 and offsets == sorted(offsets)):
        raise ValueError(f"{description}: damaged: the offsets are not those of {width} x {height} pixels")
    path = Path(folder, f"{name}.tzb")
    check_file(path)
    data = memoryview(path.read_bytes())

    def read_tile(row, column):
        place = first + row * n_columns + column
        return _decode(bytes(data[offsets[place] : offsets[place + 1]]), path), path

    return _join_tiles(height, width, size, read_tile)


def _join_tiles(height, width, size, read_tile):
    """Join tiles to an image; `read_tile(row, column)` gives each with the path that messages name."""
    rows = []
    for row in range(-(-height // size)):
        tiles = []
        for column in range(-(-width // size)):
            tile, path = read_tile(row, column)
            if tile.shape[:2] != (min(size, height - row * size), min(size, width - column * size)):
                raise ValueError(f"{path}: {tile.shape[1]} x {tile.shape[0]} pixels beside its overlap, wanted others")
            tiles.append(tile)
        rows.append(np.hstack(tiles))
    return np.vstack(rows)
