"""The page on which a user moves the light, as one file: :func:`export_html`, :func:`show`."""

import base64
import html
import json
import re
import zlib
from importlib import metadata
from importlib.resources import files

import numpy as np

from ..metrics import encode_display
from ..surface._files import check_normals
from ..utils import import_extra, replacing
from ._distillation import distill, resize
from ._planes import encode_jpeg
from ._surface import farthest_points

__all__ = ["NotebookPage", "describe_scene", "export_html", "fill_page", "first_point", "read_part", "show"]

# In the order in which they need each other, after the one that has the codes.
_SCRIPTS = ("data.js", "surface.js", "renderer.js", "dome.js", "view.js", "tools.js", "stage.js", "main.js")
_MOST_PHOTOGRAPHS = 64
# Most bytes of all photographs together, for images of up to 400 x 400 pixels, and the qualities of JPEG to try for it.
_PHOTOGRAPHS_BYTES, _PIXELS = 2_250_000, 160_000
_QUALITIES = (90, 80, 65, 50, 30)
# Most lights that are drawn on the dome.
_MOST_MARKS = 400


def export_html(relighter, path, *, lights=None, images=None, normals=None, title="Relighting", **distillation):
    """Write a page on which the light can be moved, as a single file that works without a network.

    Parameters
    ----------
    relighter : Relighter
        Model fitted to photographs of shape (n, H, W, 3) or (n, H, W).

    path : path-like
        Path of the file, such as ``"scene.html"``; an existing one is replaced.

    lights, images : array-like of shape (n, d) and (n, H, W, C) or (n, H, W), or None, default=None
        Photographs for comparison and their lights, in the units that `relighter` was fitted to. At most 64 photographs
        that cover the lights go into the page. If only `lights` are given, they set how far the light can be moved.

    normals : array-like of shape (H, W, 3) or None, default=None
        Normals of the surface, such as ``normals_`` of a :class:`~sklrelight.surface.PhotometricStereo`. The page then
        has sliders that enhance the image with them, as RTI viewers do.

    title : str, default="Relighting"
        Heading of the page, which is always shown as plain text.

    **distillation : dict
        ``white``, ``psnr``, ``n_lights``, ``max_size`` and ``verbose`` of :func:`distill`.

    Returns
    -------
    Decoder
        The small model that the page runs. Its ``psnr`` says how near it is to `relighter`.

    Raises
    ------
    ImportError
        If OpenCV is missing: ``pip install 'sklrelight[images]'``.

    OSError
        If the file cannot be written. An existing file then stays as it was.

    ValueError
        If lights and images do not fit together, normals do not fit the images or the lights are neither directions nor
        positions in space, or :func:`distill` refuses an argument.

    See Also
    --------
    show : The same page in a notebook.
    export_openlime : A folder for OpenLIME, the viewer of museums.
    save_ptm : A polynomial texture map, for RTI viewers.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrelight import Relighter
    >>> from sklrelight.datasets import make_scene
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> from sklrelight.viewer import export_html
    >>> scene = make_scene(n_lights=16, image_shape=(12, 16))
    >>> relighter = Relighter(RBFInterpolation()).fit(scene.lights, scene.images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "scene.html")
    ...     decoder = export_html(relighter, path, lights=scene.lights, images=scene.images)
    ...     path.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    with replacing(path) as temporary:
        decoder, page = _make(relighter, lights, images, normals, title, distillation)
        temporary.write_text(page, encoding="utf-8")
    return decoder


def show(relighter, *, lights=None, images=None, normals=None, title="Relighting", height=640, **distillation):
    """Show the page of :func:`export_html` in a notebook.

    Parameters
    ----------
    relighter, lights, images, normals, title, **distillation
        See :func:`export_html`.

    height : int, default=640
        Height of the page in CSS pixels.

    Returns
    -------
    NotebookPage
        The page. A notebook shows it if it is the last value of a cell, or by ``display``. Its `decoder` is the small
        model that it runs.

    Examples
    --------
    >>> from sklrelight import Relighter
    >>> from sklrelight.datasets import make_scene
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> from sklrelight.viewer import show
    >>> scene = make_scene(n_lights=16, image_shape=(12, 16))
    >>> show(Relighter(RBFInterpolation()).fit(scene.lights, scene.images))
    NotebookPage(title='Relighting')
    """
    decoder, page = _make(relighter, lights, images, normals, title, distillation)
    return NotebookPage(decoder, page, title, int(height))


class NotebookPage:
    """A page that a notebook shows in a frame.

    Parameters
    ----------
    decoder : Decoder
        The small model that the page runs.

    page : str
        The page as HTML.

    title : str
        Heading of the page.

    height : int
        Height of the frame in CSS pixels.
    """

    def __init__(self, decoder, page, title, height):
        self.decoder = decoder
        self.page = page
        self.title = title
        self.height = height

    def _repr_html_(self):
        # Scripts run in the frame, and cannot reach the notebook.
        return (
            f'<iframe sandbox="allow-scripts allow-downloads" allow="fullscreen" title="{html.escape(self.title)}"'
            f' width="100%" height="{self.height}"'
            f' style="border: 0" srcdoc="{html.escape(self.page)}"></iframe>'
        )

    def __repr__(self):
        return f"NotebookPage(title={self.title!r})"


def _make(relighter, lights, images, normals, title, distillation):
    """Make a decoder and its page, as HTML."""
    if images is not None and lights is None:
        raise ValueError("images need their lights to be compared with: pass lights=")
    # The model may know more lights than those of a few photographs for comparison.
    known = lights if images is None or not hasattr(relighter, "lights_") else None
    import_extra("cv2", "images", "To put images into a page")
    decoder = distill(relighter, lights=known, **distillation)
    planes, differences = pack_codes(decoder.codes)
    scene = describe_scene(
        decoder,
        decoder.image_shape,
        differences=differences,
        photographs=_photographs(decoder, lights, images),
        normals=None if normals is None else _normals(decoder, normals),
    )
    codes = f'<script type="text/plain" id="codes">{_base64(planes)}</script>'
    return decoder, fill_page(title, decoder, scene, "whole.js", codes=codes)


def describe_scene(decoder, image_shape, **more):
    """List what the page needs to know of a decoder for images of a height and width."""
    surface = decoder.surface
    scene = {
        "width": image_shape[1],
        "height": image_shape[0],
        "layers": -(-len(decoder.codes) // 4),
        "channels": decoder.weights.shape[2],
        "gamma": decoder.gamma,
        "start": first_point(surface).tolist(),
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
        "photographs": [],
        "shaders": {"vertex": read_part("image.vert"), "fragment": read_part("image.frag")},
        "about": _about(decoder),
    }
    return scene | more


def fill_page(title, decoder, scene, source, *, codes="", sources="", generator="sklrelight"):
    """Write the page as HTML, whose codes come by the script `source`; it may load scripts from `sources`."""
    still = decoder.render(decoder.surface.to_lights(first_point(decoder.surface)[None]))
    parts = {
        "title": html.escape(title),
        "generator": generator,
        "sources": sources,
        "css": read_part("page.css"),
        "still": _jpeg(still, 85),
        # A script would end at the first "</script" in it. JSON may write any character by its number.
        "scene": json.dumps(scene).replace("<", "\\u003c"),
        "codes": codes,
        "scripts": "\n".join(map(read_part, (source, *_SCRIPTS))),
    }
    # In one pass: a part may hold what looks like a mark of the template.
    return re.sub(r"{{(\w+)}}", lambda mark: parts[mark[1]], read_part("page.html"))


def pack_codes(codes):
    """Compress codes.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, H, W), uint8
        Codes of a decoder.

    Returns
    -------
    packed : bytes
        Codes of all pixels, one plane after the other, as a zlib stream.

    differences : list of int
        1 for each plane in which a pixel is stored as its difference to the one on its left, modulo 256; otherwise 0.

    Examples
    --------
    >>> packed, differences = pack_codes(np.arange(200, dtype=np.uint8).reshape(1, 10, 20))
    >>> len(packed) < 50, differences
    (True, [1])
    """
    packer = zlib.compressobj(6)
    packed, differences = [], []
    for plane in codes:
        # Differences are smaller than the values in smooth planes, and larger in noisy ones.
        forms = [plane.tobytes(), np.diff(plane, axis=1, prepend=np.uint8(0)).tobytes()]
        sizes = [len(zlib.compress(form, 1)) for form in forms]
        differences.append(int(sizes[1] < sizes[0]))
        packed.append(packer.compress(forms[differences[-1]]))
    return b"".join(packed) + packer.flush(), differences


def _photographs(decoder, lights, images):
    """Encode photographs for comparison, and list where their lights are on the surface."""
    if images is None:
        return []
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
    photographs = []
    for row in rows:
        image = np.asarray(images[row], np.float32).reshape(1, *shape[1:3], n_channels)
        image = resize(image, max(decoder.image_shape))[0]
        if image.shape[:2] != decoder.image_shape:
            raise ValueError(f"images of shape {shape}: the model's images are {decoder.image_shape}")
        photographs.append(np.clip(image if decoder.white is None else encode_display(image, decoder.white), 0, 1))
    most_bytes = _PHOTOGRAPHS_BYTES * max(1, np.prod(decoder.image_shape) / _PIXELS)
    for quality in _QUALITIES:
        sources = [_jpeg(photograph, quality) for photograph in photographs]
        if sum(map(len, sources)) <= most_bytes:
            break
    return [
        {"number": int(row) + 1, "point": point.round(5).tolist(), "source": source}
        for row, point, source in zip(rows, points, sources, strict=True)
    ]


def _normals(decoder, normals):
    """Encode normals as the data URL of an image, grey where there is none."""
    vectors = check_normals(normals)
    n_columns = len(decoder.surface.center)
    if n_columns != 3:
        raise ValueError(f"normals need lights that are directions or positions in space, not of {n_columns} columns")
    vectors = resize(vectors[None], max(decoder.image_shape))[0]
    if vectors.shape[:2] != decoder.image_shape:
        raise ValueError(f"normals has shape {np.shape(normals)}: the model's images are {decoder.image_shape}")
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    return _jpeg((vectors / np.where(lengths > 0, lengths, 1) + 1) / 2, 95)


def _spread(surface, points, most):
    """Pick at most so many points that cover them all, in their order."""
    rows = np.arange(len(points))
    if len(points) > most:
        rows = np.sort(farthest_points(surface.to_nodes(points), most))
    return points[rows], rows


def first_point(surface):
    """Choose the first light: from the upper left, as in drawings, well within the lights of the capture."""
    if surface.kind == "dome":
        reach = min(1.0, np.linalg.norm(surface.hull, axis=1).max())
        return np.array([-0.4, 0.4]) * reach
    low, high = surface.hull.min(axis=0), surface.hull.max(axis=0)
    return (low + high) / 2 + np.array([-0.2, 0.2]) * (high - low)


def _jpeg(image, quality):
    """Encode an image as a data URL of a JPEG."""
    return "data:image/jpeg;base64," + _base64(encode_jpeg(np.round(image * 255).astype(np.uint8), quality))


def _about(decoder):
    """Say in words what the page computes."""
    text = (
        f"This page computes every image from {len(decoder.codes)} numbers for each pixel, by a small copy of a model."
    )
    if np.isfinite(decoder.psnr):
        text += f" At lights new to it, its peak signal-to-noise ratio to that model is {decoder.psnr:.1f} dB."
    return f"{text} Made with sklrelight {metadata.version('sklrelight')}."


def _base64(data):
    return base64.b64encode(data).decode("ascii")


def read_part(name):
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8").strip("\n")
