"""The page on which the light is moved, as a folder of tiles for large images: :func:`export_page`."""

import json
import os
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..utils import import_extra, replacing
from ._coder import Parts, encode_codes, make_coder
from ._distillation import training_lights
from ._page import describe_scene, fill_page, read_part

__all__ = ["check_page_folder", "export_page"]

# None of the 32,768 characters from here on has a meaning in a script. data.js has the same number.
_FIRST_CHARACTER = 0x3400
_GENERATOR = "sklrelight export_page"
# Largest side of the image that is shown where light cannot be moved.
_OVERVIEW = 1024


def export_page(
    relighter,
    folder,
    *,
    lights=None,
    title="Relighting",
    white="auto",
    psnr=40.0,
    n_lights=None,
    pixel_size=None,
    tile_size=256,
    verbose=0,
):
    """Write a page on which the light can be moved and that zooms into large images, as a folder.

    A browser opens ``index.html`` from the folder, from disk or from a web server, and loads only the tiles that are
    seen.

    Parameters
    ----------
    relighter : Relighter
        Model fitted to photographs of shape (n, H, W, 3) or (n, H, W). Any estimator with `predict` will do if `lights`
        are given. One whose `predict` knows no `region` predicts whole images, which are held in memory.

    folder : path-like
        The folder to write. It must not exist, be empty, or be such a page, which is replaced.

    lights : array-like of shape (n_lights, d) or None, default=None
        Lights that enclose those of the page. None: the lights that `relighter` was fitted to.

    title : str, default="Relighting"
        Heading of the page, which is always shown as plain text.

    white : float, None or "auto", default="auto"
        Radiance that is shown as white, as in :func:`distill`.

    psnr : float, default=40.0
        Peak signal-to-noise ratio to reach, in decibels, for encoded values with a range of 1. More takes more space.

    n_lights : int or None, default=None
        Number of lights under which all pixels are predicted. None: the fewest, from 4 to 96, that reach `psnr`.

    pixel_size : float or None, default=None
        Side of a pixel on the object, in millimetres. The page then has a scale bar.

    tile_size : int, default=256
        Largest height and width of a tile, 16 to 2048.

    verbose : int, default=0
        1: show a progress bar.

    Returns
    -------
    Decoder
        The small model that the page runs, with the codes of the largest of the page's reduced images that has at most
        1024 pixels along a side. Its ``psnr`` says how near the full size is to `relighter`.

    Raises
    ------
    FileExistsError
        If the folder holds anything else than such a page. It stays as it was.

    ImportError
        If OpenCV or Pillow is missing: ``pip install 'sklrelight[images]'``.

    OSError
        If the folder cannot be written. An existing page then stays as it was.

    ValueError
        If a parameter is out of its range, the model does not predict images of 1 or 3 channels, or the lights span
        neither a dome nor a plane.

    See Also
    --------
    export_html : A page for small images, as a single file.

    Notes
    -----
    The codes of a pixel are a linear function of what the model predicts for it under a few lights. The function is
    found by regression of reduced rank on a sample of pixels under 128 lights. Beyond that, each tile is predicted
    once, and memory does not grow with the image. One light in eight is left out at first, to measure the error.
    Each code is stored as JPEG files, rounded so that the losses of all codes are about the same and `psnr` is kept.
    Reduced images are means of four codes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrelight import Relighter
    >>> from sklrelight.datasets import make_scene
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> from sklrelight.viewer import export_page
    >>> scene = make_scene(n_lights=16, image_shape=(48, 64))
    >>> relighter = Relighter(RBFInterpolation()).fit(scene.lights, scene.images)
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     folder = pathlib.Path(parent, "scene")
    ...     decoder = export_page(relighter, folder, tile_size=32)
    ...     [path.name for path in sorted(folder.iterdir())], decoder.image_shape
    (['index.html', 'tiles'], (48, 64))
    """
    lights = training_lights(relighter, lights)
    _check(white, psnr, n_lights, pixel_size, tile_size)
    folder = Path(folder)
    check_page_folder(folder)
    import_extra("cv2", "images", "To put images into a page")
    with _replacing_page(folder) as temporary:
        parts = Parts(relighter, lights[:1])
        coder = make_coder(parts, lights, white=white, psnr=psnr, n_lights=n_lights)
        pyramid = _Pyramid(parts, coder, temporary / "tiles", tile_size, verbose)
        overview = pyramid.write()
        decoder = replace(coder.decoder, codes=overview)
        scene = describe_scene(decoder, parts.image_shape, levels=pyramid.n_levels, tileSize=int(tile_size))
        scene["shaders"]["code"] = read_part("code.frag")
        scene["pixelSize"] = None if pixel_size is None else float(pixel_size)
        sources = " 'self' file:"
        page = fill_page(title, decoder, scene, "pyramid.js", sources=sources, generator=_GENERATOR)
        (temporary / "index.html").write_text(page, encoding="utf-8")
    return decoder


@contextmanager
def _replacing_page(folder):
    """Do as :func:`replacing`, also with a page that is there: its folder cannot be replaced in one step."""
    old = folder.with_name(f".{folder.name[:100]}.{secrets.token_hex(4)}.old")
    try:
        with replacing(folder) as temporary:
            yield temporary
            check_page_folder(folder)
            if folder.exists():
                os.replace(folder, old)
    finally:
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        elif old.exists():
            os.replace(old, folder)


class _Pyramid:
    """Writes the tiles of all sizes, each from the four of the next larger size."""

    def __init__(self, parts, coder, folder, tile_size, verbose):
        self.parts, self.coder, self.folder, self.tile_size = parts, coder, folder, int(tile_size)
        longest = max(parts.image_shape)
        self.n_levels = 1
        while -(-longest // 2 ** (self.n_levels - 1)) > tile_size:
            self.n_levels += 1
        self.overview_level = next(level for level in range(32) if max(self.shape(level)) <= _OVERVIEW)
        n_tiles = int(np.prod([-(-side // tile_size) for side in parts.image_shape]))
        self.progress = tqdm(desc="Writing tiles", unit="tile", total=n_tiles, disable=not verbose)

    def shape(self, level):
        """Height and width of the image at a level; level 0 has the full size."""
        return [-(-side // 2**level) for side in self.parts.image_shape]

    def write(self):
        """Write all tiles; return the codes of the overview, of shape (n_codes, h, w)."""
        self.overview = np.empty((len(self.coder.step), *self.shape(self.overview_level)), np.uint8)
        with self.progress:
            codes = self._write_tile(self.n_levels - 1, 0, 0)
        # Below the last level, if a tile is larger than the overview.
        for _ in range(self.n_levels, self.overview_level + 1):
            codes = _halve(codes)
        if self.overview_level >= self.n_levels:
            self.overview[...] = codes.transpose(2, 0, 1)
        return self.overview

    def _write_tile(self, level, row, column):
        """Write a tile and all that it is made of; return its codes, of shape (h, w, n_codes)."""
        size = self.tile_size
        top, left = row * size, column * size
        height, width = (min(size, side - start) for side, start in zip(self.shape(level), (top, left), strict=True))
        if level == 0:
            codes = self.coder.encode(self.parts.predict(self.coder.lights, (top, left, height, width)))
            self.progress.update()
        else:
            below = self.shape(level - 1)
            rows = [2 * row + i for i in range(2) if (2 * row + i) * size < below[0]]
            columns = [2 * column + i for i in range(2) if (2 * column + i) * size < below[1]]
            blocks = [np.hstack([self._write_tile(level - 1, r, c) for c in columns]) for r in rows]
            codes = _halve(np.vstack(blocks))
        if level == self.overview_level:
            self.overview[:, top : top + height, left : left + width] = codes.transpose(2, 0, 1)
        name = f"{level}/{row}_{column}"
        planes = zip(np.moveaxis(codes, 2, 0), self.coder.roundings, strict=True)
        stored = ",".join(f'"{_to_text(encode_codes(plane, rounding))}"' for plane, rounding in planes)
        path = self.folder / f"{name}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        # The first character tells browsers that the file is UTF-16.
        path.write_text(f"\ufeffrelightTile({json.dumps(name)},[{stored}])\n", encoding="utf-16-le")
        return codes


def _to_text(data):
    """Write bytes as characters of 15 bits, from U+3400 on, which take 7 % more in UTF-16; Base64 takes 33 %.

    At the end there may be some bits of 0 more.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    groups = np.pad(bits, (0, -len(bits) % 15)).reshape(-1, 15)
    characters = groups @ (1 << np.arange(14, -1, -1)) + _FIRST_CHARACTER
    return characters.astype("<u2").tobytes().decode("utf-16-le")


def _halve(codes):
    """Average codes of shape (h, w, n_codes) over 2 x 2 pixels; an odd last row or column stands for two."""
    codes = np.pad(codes, [(0, codes.shape[0] % 2), (0, codes.shape[1] % 2), (0, 0)], mode="edge").astype(np.uint16)
    rows = codes[::2] + codes[1::2]
    return ((rows[:, ::2] + rows[:, 1::2] + 2) // 4).astype(np.uint8)


def check_page_folder(folder):
    """Refuse a folder that holds anything else than a page of :func:`export_page`."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if folder.is_dir() and {path.name for path in folder.iterdir()} == {"index.html", "tiles"}:
        with open(folder / "index.html", "rb") as file:
            if f'content="{_GENERATOR}"'.encode() in file.read(4096):
                return
    raise FileExistsError(f"{folder} is there already and is no page of export_page, so it stays: give another name")


def _check(white, psnr, n_lights, pixel_size, tile_size):
    if not (white is None or white == "auto" or (isinstance(white, Real) and 0 < float(white) < np.inf)):
        raise ValueError(f"white={white!r}, wanted a finite radiance above 0, None or 'auto'")
    if not (isinstance(psnr, Real) and 0 < float(psnr) < 100):
        raise ValueError(f"psnr={psnr!r}, wanted decibels between 0 and 100")
    if not (n_lights is None or (isinstance(n_lights, Integral) and int(n_lights) >= 1)):
        raise ValueError(f"n_lights={n_lights!r}, wanted an integer of at least 1, or None")
    if not (pixel_size is None or (isinstance(pixel_size, Real) and 0 < float(pixel_size) < np.inf)):
        raise ValueError(f"pixel_size={pixel_size!r}, wanted millimetres above 0, or None")
    if not (isinstance(tile_size, Integral) and 16 <= int(tile_size) <= 2048):
        raise ValueError(f"tile_size={tile_size!r}, wanted an integer from 16 to 2048")
