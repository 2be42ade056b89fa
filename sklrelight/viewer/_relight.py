"""The web format of RelightLab and OpenLIME: a folder of info.json and JPEG files with the coefficients."""

import html
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..interpolation import PolynomialTextureMap
from ..utils import FLOAT32_SAFE, check_file, replacing
from ..utils._lights import are_directions
from ._bilinear import BilinearTextureMap
from ._legacy import (
    FormatError,
    check_map,
    dome_lights,
    from_bytes,
    make_harmonics,
    make_polynomial,
    to_bytes,
    viewer_harmonics,
)
from ._planes import read_plane, write_plane

__all__ = ["check_folder", "load_relight", "save_relight"]

LAYOUTS = ("image", "deepzoom")
# Textures that a browser binds at the same time, and the largest that all of them draw.
_MOST_TEXTURES, _LARGEST_TEXTURE = 16, 4096
_N_TERMS = {"ptm": (6,), "hsh": (4, 9)}


def save_relight(
    folder,
    model,
    *,
    white=1.0,
    layout="image",
    normals=None,
    quality=98,
    title="Relighting",
    openlime_url="openlime.min.js",
):
    """Write a model of RTI as a folder that OpenLIME shows and RelightLab reads.

    Parameters
    ----------
    folder : path-like
        The folder to write, which must not exist or be empty.

    model : PolynomialTextureMap, HemisphericalHarmonics or BilinearTextureMap
        A model for values for display, such as one that :func:`load_ptm` or :func:`load_hsh` read. For other models
        there is :func:`export_openlime`.

    white : float, default=1.0
        The value that is shown as white. A BilinearTextureMap takes only 1.

    layout : {"image", "deepzoom"}, default="image"
        Whole images, of at most 4096 pixels, or tiles of several resolutions, of which a browser loads what it shows.

    normals : array-like of shape (H, W, 3) or None, default=None
        Normals of the surface: unit vectors with x to the right, y up, and z to the camera. The viewer can then show
        them, and diffuse and specular shading.

    quality : int, default=98
        Quality of the JPEG files, 1 to 100.

    title : str, default="Relighting"
        Title of the page, which is shown as plain text.

    openlime_url : str, default="openlime.min.js"
        Where the page loads OpenLIME from. This package does not bring it, because its licence is another.

    Raises
    ------
    ImportError
        If OpenCV is missing: ``pip install 'sklrelight[images]'``.

    OSError
        If the folder holds files already, or cannot be written. Nothing is left of it then.

    ValueError
        If the model is another or is not one of directions, or a parameter is out of its range.

    See Also
    --------
    export_openlime : Write any fitted model.
    load_relight : Read such a folder.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrelight.interpolation import PolynomialTextureMap
    >>> from sklrelight.viewer import load_relight, save_relight
    >>> lights = np.array([[0, 0, 1], [0.6, 0, 0.8], [-0.6, 0, 0.8], [0, 0.6, 0.8], [0, -0.6, 0.8], [0.4, 0.4, 0.82]])
    >>> model = PolynomialTextureMap().fit(lights, np.full((6, 8, 8, 3), 0.5))
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     save_relight(pathlib.Path(parent, "web"), model)
    ...     load_relight(pathlib.Path(parent, "web")).predict(lights[:1]).round(2)[0, 0, 0]
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    if isinstance(model, BilinearTextureMap):
        if white != 1:
            raise ValueError(f"white={white!r} for a BilinearTextureMap, whose values are for display: wanted 1")
        planes, material, more = _describe_bilinear(model)
    else:
        planes, material, more = _describe_terms(model, white)
    height, width = planes.shape[1:]
    normals = check_folder(folder, len(planes), (height, width), layout, normals, quality)
    lights = np.round(getattr(model, "lights_", np.empty((0, 3))), 4)
    info = {"width": width, "height": height, "format": "jpg", **more, "nplanes": len(planes), "quality": int(quality)}
    info |= {"lights": lights.ravel().tolist() if lights.shape[1:] == (3,) else [], "materials": [material]}
    with replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "info.json").write_text(json.dumps(info), encoding="utf-8")
        for number in range(len(planes) // 3):
            levels = np.ascontiguousarray(planes[3 * number : 3 * number + 3].transpose(1, 2, 0))
            write_plane(temporary, f"plane_{number}", levels, layout, quality)
        if normals is not None:
            write_plane(temporary, "normals", normals, layout, quality)
        page = _page(layout, normals is not None, title, openlime_url, lights)
        (temporary / "index.html").write_text(page, encoding="utf-8")


def check_folder(folder, n_planes, shape, layout, normals, quality=98):
    """Check what can be before any work is done; return normals as levels of shape (H, W, 3), or None."""
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already, and stays as it is: give another name")
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}, wanted one of {', '.join(LAYOUTS)}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality={quality!r}, wanted 1 to 100")
    most = 3 * (_MOST_TEXTURES - (normals is not None))
    if n_planes > most:
        beside = " beside normals" if normals is not None else ""
        raise ValueError(f"n_planes={n_planes}: OpenLIME shows at most {most}{beside}")
    if shape is not None and layout == "image" and max(shape) > _LARGEST_TEXTURE:
        raise ValueError(
            f"images of {shape[1]} x {shape[0]} pixels: browsers draw at most {_LARGEST_TEXTURE} at once, wanted"
            " layout='deepzoom'"
        )
    if normals is None:
        return None
    normals = np.asarray(normals, np.float32)
    if normals.ndim != 3 or normals.shape[2] != 3 or (shape is not None and normals.shape[:2] != tuple(shape)):
        raise ValueError(f"normals have the shape {normals.shape}, wanted {(*(shape or ('H', 'W')), 3)}")
    if not (np.isfinite(normals).all() and np.abs(normals).max() <= 1.01):
        raise ValueError("normals must be finite unit vectors")
    return np.round(255 * (normals.clip(-1, 1) + 1) / 2).astype(np.uint8)


def _describe_bilinear(model):
    material = {"scale": model.scale.tolist(), "bias": model.bias.tolist(), "range": model.ranges.tolist()}
    more = {"type": "bilinear", "colorspace": "mrgb", "resolution": model.resolution}
    return model.planes, material, {**more, "basis": model.basis.ravel().tolist()}


def _describe_terms(model, white):
    if not 0 < white < np.inf:
        raise ValueError(f"white={white!r}, wanted a finite value above 0")
    if isinstance(model, PolynomialTextureMap):
        kind, coefficients = "ptm", check_map(model, PolynomialTextureMap)
    else:
        kind, coefficients = "hsh", viewer_harmonics(model)
    # A scale and a bias for the three channels together, as .ptm and .rti files have them: relight converts to these.
    bytes_, steps, zeros = to_bytes(coefficients / np.float32(white))
    # From (term, row, column, channel) to planes, the channels of a term together.
    planes = bytes_.transpose(0, 3, 1, 2).reshape(-1, *bytes_.shape[1:3])
    material = {"scale": np.repeat(255 * steps, 3).tolist(), "bias": np.repeat(zeros / 255, 3).tolist()}
    return planes, material, {"type": kind, "colorspace": "rgb"}


def _page(layout, has_normals, title, openlime_url, lights):
    lowest = float(lights[:, 2].min().clip(0, 1)) if lights.shape[1:] == (3,) and len(lights) else 0.0
    parts = {
        "title": html.escape(title),
        "openlime": html.escape(openlime_url),
        "options": json.dumps({"layout": layout, "normals": has_normals, "reach": round((1 - lowest**2) ** 0.5, 4)}),
    }
    page = files(__package__).joinpath("page", "openlime.html").read_text(encoding="utf-8")
    return re.sub(r"{{(\w+)}}", lambda mark: parts[mark[1]], page)


def load_relight(folder):
    """Read a folder of RelightLab or for OpenLIME as a fitted model.

    Parameters
    ----------
    folder : path-like
        The folder, with ``info.json`` and ``plane_0.jpg`` and so on, or with tiles in the layouts deepzoom or tarzoom.
        Its type is ``ptm`` or ``hsh`` with the colour space ``rgb`` or ``lrgb``, or ``bilinear`` with ``mrgb``.

    Returns
    -------
    PolynomialTextureMap, HemisphericalHarmonics or BilinearTextureMap
        The model, which predicts for directions of three columns values for display, about 0 to 1: pass ``white=None``
        to :func:`export_html`, :func:`export_openlime` and :func:`distill`. Its ``lights_`` are the directions that the
        file lists, or some over the dome.

    Raises
    ------
    ImportError
        If OpenCV is missing.

    OSError
        If a file is missing, or there is no permission to read it.

    ValueError
        If a file is damaged, holds less than it claims, or is of another kind. The message names it.

    See Also
    --------
    save_relight, export_openlime : Write such a folder.

    Notes
    -----
    See :func:`save_relight` for an example.
    """
    path = Path(folder, "info.json")
    check_file(path)
    try:
        return _load(Path(folder), json.loads(path.read_bytes()))
    except FormatError as error:
        raise ValueError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path}: damaged: lists in lists without end") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: damaged: {error}") from error


def _load(folder, info):
    if not isinstance(info, dict):
        raise FormatError(f"damaged: holds a {type(info).__name__}, wanted a description")
    kind, colours = str(info.get("type")), str(info.get("colorspace"))
    if f"{kind} {colours}" not in ("bilinear mrgb", "ptm rgb", "ptm lrgb", "hsh rgb", "hsh lrgb"):
        raise FormatError(
            f"is of type {kind[:20]!r} and colour space {colours[:20]!r}, wanted ptm or hsh with rgb or lrgb,"
            " or bilinear with mrgb"
        )
    materials = info.get("materials")
    material = materials[0] if isinstance(materials, list) and materials else None
    if not isinstance(material, dict):
        raise FormatError("damaged: wanted a list of one description as materials")
    n_planes = _integer(info, "nplanes")
    if n_planes % 3 or not 3 <= n_planes <= 300:
        raise FormatError(f"damaged: nplanes is {n_planes}, wanted a multiple of 3")
    scale, bias = (_numbers(material, name, n_planes) for name in ("scale", "bias"))
    if np.abs(scale * bias).max() > FLOAT32_SAFE:
        raise FormatError("damaged: the products of scale and bias are too large")
    lights = _lights(info)
    if kind == "bilinear":
        resolution = _integer(info, "resolution")
        n_values = (n_planes + 1) * 3 * resolution**2
        basis, ranges = _numbers(info, "basis", n_values), _numbers(material, "range", n_planes)
        if resolution < 2 or basis.min() < 0 or basis.max() > 255 or not ranges.all():
            raise FormatError("damaged: its basis has other values than bytes, or a range of 0")
        if max(np.abs(scale / ranges).max(), np.abs(scale * bias / ranges).max()) > FLOAT32_SAFE:
            raise FormatError("damaged: the quotients of scale and range are too large")
        basis = basis.astype(np.uint8).reshape(n_planes + 1, -1, 3)
        return BilinearTextureMap(_planes(folder, info, n_planes), scale, bias, basis, ranges, lights, None)
    n_terms = n_planes // 3 if colours == "rgb" else n_planes - 3
    if n_terms not in _N_TERMS[kind]:
        raise FormatError(f"damaged: {n_planes} planes for {kind} and {colours}")
    planes = _planes(folder, info, n_planes)
    coefficients = np.empty((n_terms, *planes.shape[1:], 3), np.float32)
    for term in range(n_terms):
        for channel in range(3):
            place = 3 * term + channel if colours == "rgb" else 3 + term
            step, offset = float(scale[place]) / 255, float(-bias[place] * scale[place])
            from_bytes(planes[place], step, offset, coefficients[term, ..., channel])
            if colours == "lrgb":
                colour = np.empty(planes.shape[1:], np.float32)
                from_bytes(planes[channel], scale[channel] / 255, -bias[channel] * scale[channel], colour)
                coefficients[term, ..., channel] *= colour
    return {"ptm": make_polynomial, "hsh": make_harmonics}[kind](coefficients, lights)


def _planes(folder, info, n_planes):
    """Read the planes of a folder, of shape (n_planes, H, W)."""
    shape = _integer(info, "height"), _integer(info, "width")
    planes = None
    for number in range(n_planes // 3):
        levels = read_plane(folder, f"plane_{number}")
        if levels.shape[:2] != shape:
            raise FormatError(f"claims {shape[1]} x {shape[0]} pixels, and plane_{number} has {levels.shape[1::-1]}")
        if planes is None:
            planes = np.empty((n_planes, *shape), np.uint8)
        planes[3 * number : 3 * number + 3] = levels.transpose(2, 0, 1)
    return planes


def _integer(info, name):
    value = info.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise FormatError(f"damaged: {name} is {str(value)[:20]}, wanted a whole number above 0")
    return value


def _numbers(info, name, count):
    """Take a list of so many finite numbers."""
    values = info.get(name)
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)} values" if isinstance(values, list) else type(values).__name__
        raise FormatError(f"damaged: {name} is {found}, wanted {count} numbers")
    if not all(type(value) in (int, float) and abs(value) <= FLOAT32_SAFE for value in values):
        raise FormatError(f"damaged: {name} holds other values than numbers")
    return np.array(values, np.float64)


def _lights(info):
    """Take the directions that are listed; some over the dome if there are none."""
    listed = info.get("lights")
    if not isinstance(listed, list) or not listed:
        return dome_lights()
    lights = _numbers(info, "lights", len(listed))
    if len(lights) % 3 or not are_directions(lights.reshape(-1, 3)):
        return dome_lights()
    return lights.reshape(-1, 3)
