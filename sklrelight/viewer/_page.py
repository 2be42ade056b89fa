"""The page as one file: :func:`make_page`."""

import base64
import html
import json
import zlib
from importlib import metadata
from importlib.resources import files

import numpy as np

from ..metrics import encode_display
from ..utils import import_extra
from ._distillation import resize
from ._surface import farthest_points

__all__ = ["make_page"]

# In the order in which they need each other.
_SCRIPTS = ("data.js", "surface.js", "renderer.js", "dome.js", "view.js", "stage.js", "main.js")
_MOST_PHOTOGRAPHS = 64
# Bytes of all photographs together, for pictures of up to 400 x 400 pixels, and qualities of JPEG to come below by.
_PHOTOGRAPHS_BYTES, _PIXELS = 2_250_000, 160_000
_QUALITIES = (90, 80, 65, 50, 30)
# Lights that are drawn on the dome.
_MOST_MARKS = 400


def make_page(decoder, *, lights=None, images=None, title="Relighting"):
    """Write a page around a decoder.

    Parameters
    ----------
    decoder : Decoder
        What the page runs.

    lights, images : array-like of shape (n, d) and (n, H, W, C) or (n, H, W), or None, default=None
        Photographs to compare with, linear radiance; at most 64 of them, that cover the lights, are taken.

    title : str, default="Relighting"
        Its heading.

    Returns
    -------
    str
        HTML that needs no other file.

    Raises
    ------
    ImportError
        If OpenCV is missing.

    ValueError
        If lights and images do not fit together, or to the decoder.
    """
    cv2 = import_extra("cv2", "images", "To put pictures into a page")
    surface = decoder.surface
    start = _start(surface)
    planes, differences = pack_codes(decoder.codes)
    height, width = decoder.image_shape
    scene = {
        "width": width,
        "height": height,
        "channels": decoder.weights.shape[2],
        "gamma": decoder.gamma,
        "start": start.tolist(),
        "differences": differences,
        "surface": {
            "kind": surface.kind,
            "center": surface.center.tolist(),
            "axes": surface.axes.tolist(),
            "radius": surface.radius,
            "hull": surface.hull.tolist(),
            "points": _spread(surface, surface.points, _MOST_MARKS)[0].round(4).tolist(),
        },
        "nodes": _base64(decoder.nodes.astype("<f4").tobytes()),
        "weights": _base64(decoder.weights.astype("<f4").tobytes()),
        "photographs": _photographs(cv2, decoder, lights, images),
        "shaders": {"vertex": _read("picture.vert"), "fragment": _read("picture.frag")},
        "about": _about(decoder),
    }
    still = decoder.render(surface.to_lights(start[None]))
    parts = {
        "title": html.escape(title),
        "css": _read("page.css"),
        "still": _jpeg(cv2, still, 85),
        # A script's text ends at the first </script, and JSON may write any character by its number.
        "scene": json.dumps(scene).replace("<", "\\u003c"),
        "codes": _base64(planes),
        "scripts": "\n".join(_read(name) for name in _SCRIPTS),
    }
    # Cut at the marks of the template alone: a part may hold what looks like one.
    pieces = _read("page.html").split("{{")
    page = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        page += [parts[name], rest]
    return "".join(page)


def pack_codes(codes):
    """Compress codes.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, H, W), uint8
        Of a decoder.

    Returns
    -------
    packed : bytes
        A zlib stream of the planes, one after the other.

    differences : list of int
        For each plane, 1 if each pixel is stored as the difference to the one on its left, modulo 256.

    Examples
    --------
    >>> packed, differences = pack_codes(np.arange(200, dtype=np.uint8).reshape(1, 10, 20))
    >>> len(packed) < 50, differences
    (True, [1])
    """
    packer = zlib.compressobj(6)
    packed, differences = [], []
    for plane in codes:
        stepped = np.diff(plane, axis=1, prepend=np.uint8(0))
        # Smooth planes have small differences; in planes of noise they are larger than the values.
        sizes = [len(zlib.compress(np.ascontiguousarray(form).tobytes(), 1)) for form in (plane, stepped)]
        differences.append(int(sizes[1] < sizes[0]))
        packed.append(packer.compress(np.ascontiguousarray(stepped if differences[-1] else plane).tobytes()))
    return b"".join(packed) + packer.flush(), differences


def _photographs(cv2, decoder, lights, images):
    if images is None:
        return []
    if lights is None:
        raise ValueError("images need their lights to be compared with: pass lights=")
    surface = decoder.surface
    lights = np.asarray(lights, np.float64)
    shape = np.shape(images)
    n_channels = decoder.weights.shape[2]
    if lights.ndim != 2 or len(lights) != shape[0] or (*shape[3:], 1)[0] != n_channels or len(shape) not in (3, 4):
        raise ValueError(
            f"lights of shape {lights.shape} and images of shape {shape}: wanted one light an image, and"
            f" {n_channels} channels as in the model"
        )
    if not len(lights):
        return []
    points, rows = _spread(surface, surface.to_surface(lights), _MOST_PHOTOGRAPHS)
    pictures = []
    for row in rows:
        image = np.asarray(images[row], np.float32).reshape(1, *shape[1:3], n_channels)
        image = resize(image, max(decoder.image_shape))[0]
        if image.shape[:2] != decoder.image_shape:
            raise ValueError(f"images of shape {shape}: the model's pictures are {decoder.image_shape}")
        pictures.append(np.clip(image if decoder.white is None else encode_display(image, decoder.white), 0, 1))
    most_bytes = _PHOTOGRAPHS_BYTES * max(1, np.prod(decoder.image_shape) / _PIXELS)
    for quality in _QUALITIES:
        sources = [_jpeg(cv2, picture, quality) for picture in pictures]
        if sum(map(len, sources)) <= most_bytes:
            break
    return [
        {"number": int(row) + 1, "point": point.round(5).tolist(), "source": source}
        for row, point, source in zip(rows, points, sources, strict=True)
    ]


def _spread(surface, points, most):
    """Take some of the points, that cover them all, in their order."""
    rows = np.arange(len(points))
    if len(points) > most:
        rows = np.sort(farthest_points(surface.to_nodes(points), most))
    return points[rows], rows


def _start(surface):
    """A light from the upper left, as draughtsmen have it, well within the reach."""
    if surface.kind == "dome":
        reach = min(1.0, np.linalg.norm(surface.hull, axis=1).max())
        return np.array([-0.4, 0.4]) * reach
    low, high = surface.hull.min(axis=0), surface.hull.max(axis=0)
    return (low + high) / 2 + np.array([-0.2, 0.2]) * (high - low)


def _jpeg(cv2, picture, quality):
    levels = np.round(picture * 255).astype(np.uint8)
    if levels.shape[2] == 3:
        levels = cv2.cvtColor(levels, cv2.COLOR_RGB2BGR)
    # Colours at the full resolution: photographs are looked at pixel by pixel.
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    encoded, data = cv2.imencode(".jpg", levels, options)
    if not encoded:
        raise OSError("OpenCV cannot encode a picture as JPEG")
    return "data:image/jpeg;base64," + _base64(data.tobytes())


def _about(decoder):
    nearness = ""
    if np.isfinite(decoder.psnr):
        nearness = (
            f" Between the lights it was made from, it is {decoder.psnr:.1f} dB (peak signal-to-noise ratio) from the"
            " fitted model."
        )
    return (
        f"Every picture is computed on this page, from {len(decoder.codes)} numbers a pixel, by a small copy of a"
        f" fitted model.{nearness} Made with sklrelight {metadata.version('sklrelight')}."
    )


def _base64(data):
    return base64.b64encode(data).decode("ascii")


def _read(name):
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8").strip("\n")
