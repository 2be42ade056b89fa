"""Polynomial texture maps as .ptm files of RTI viewers."""

from pathlib import Path

import numpy as np

from ..interpolation import PolynomialTextureMap
from ..utils import check_file, replacing
from ._legacy import FormatError, check_map, decode_plane, from_bytes, make_polynomial, read_numbers, to_bytes

__all__ = ["load_ptm", "save_ptm"]

# Order of the file's terms, u^2, v^2, u v, u, v, 1, among the model's, 1, u, v, u^2, u v, v^2.
_ORDER = [3, 5, 4, 1, 2, 0]
_FORMATS = {"rgb": "PTM_FORMAT_RGB", "lrgb": "PTM_FORMAT_LRGB"}
# Means of the products of two terms, in the model's order, over directions that are spread evenly in x and y.
_MOMENTS = np.array(
    [
        [1, 0, 0, 1 / 4, 0, 1 / 4],
        [0, 1 / 4, 0, 0, 0, 0],
        [0, 0, 1 / 4, 0, 0, 0],
        [1 / 4, 0, 0, 1 / 8, 0, 1 / 24],
        [0, 0, 0, 0, 1 / 24, 0],
        [1 / 4, 0, 0, 1 / 24, 0, 1 / 8],
    ]
)
_BLOCK_ROWS = 64


def save_ptm(path, model, *, white=1.0, layout="rgb"):
    """Write a fitted polynomial texture map as a .ptm file, which RTI viewers open.

    Parameters
    ----------
    path : path-like
        The file to write; one that exists is replaced.

    model : PolynomialTextureMap
        A model fitted to photographs of shape (n, H, W, 3) or (n, H, W) under directions. Viewers show its values as
        they are: fit it to values for display, such as :func:`~sklrelight.metrics.encode_display` of linear radiance.

    white : float, default=1.0
        The value that is shown as white, 255.

    layout : {"rgb", "lrgb"}, default="rgb"
        ``"rgb"``: six coefficients for each channel, 18 bytes for each pixel. ``"lrgb"``: six coefficients of the
        luminance and one colour, 9 bytes for each pixel, so that highlights have the colour of the surface.

    Raises
    ------
    OSError
        If the file cannot be written; one that was there stays.

    ValueError
        If the model is no polynomial texture map, or was fitted to lights that are no directions, or to targets that
        are no photographs.

    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    See Also
    --------
    load_ptm : Read such a file.

    Notes
    -----
    The format is PTM 1.2 [1]_: a byte for each coefficient, with one scale and one bias for each of six terms, and
    rows from the bottom up. A coefficient is rounded to a 254th of its range over all pixels, so that single glaring
    pixels make all coarser.
    For ``"lrgb"``, colour and luminance are the nearest to the six coefficients of the three channels, by
    the squared error over all directions.

    References
    ----------
    .. [1] T. Malzbender, D. Gelb, "Polynomial Texture Map (.ptm) File Format", version 1.2, Hewlett-Packard
       Laboratories, 2001.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrelight.interpolation import PolynomialTextureMap
    >>> from sklrelight.viewer import save_ptm
    >>> lights = np.array([[0, 0, 1], [0.6, 0, 0.8], [-0.6, 0, 0.8], [0, 0.6, 0.8], [0, -0.6, 0.8], [0.4, 0.4, 0.82]])
    >>> model = PolynomialTextureMap().fit(lights, np.full((6, 2, 3, 3), 0.5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "scene.ptm")
    ...     save_ptm(path, model)
    ...     path.read_bytes().split(bytes([10]))[:4]
    [b'PTM_1.2', b'PTM_FORMAT_RGB', b'3', b'2']
    """
    coefficients = check_map(model, PolynomialTextureMap)
    if not (0 < white < np.inf):
        raise ValueError(f"white={white!r}, wanted a finite value above 0")
    if layout not in _FORMATS:
        raise ValueError(f"layout={layout!r}, wanted one of {', '.join(_FORMATS)}")
    height, width = coefficients.shape[1:3]
    values = coefficients * np.float32(255 / white)
    if layout == "lrgb":
        values, colours = _separate(values)
    bytes_, scale, bias = to_bytes(values[_ORDER], whole_bias=True)
    if layout == "lrgb":
        # From (term, row, column) to row from the bottom, column, term.
        blocks = [bytes_[:, ::-1].transpose(1, 2, 0), colours[::-1]]
    else:
        # From (term, row, column, channel) to channel, row from the bottom, column, term.
        blocks = [bytes_[:, ::-1].transpose(3, 1, 2, 0)]
    scales, biases = " ".join(f"{step:.9g}" for step in scale), " ".join(f"{zero:.0f}" for zero in bias)
    header = f"PTM_1.2\n{_FORMATS[layout]}\n{width}\n{height}\n{scales}\n{biases}\n"
    with replacing(path) as temporary, open(temporary, "xb") as file:
        file.write(header.encode("ascii"))
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)


def _separate(values):
    """Find the nearest luminance, of shape (6, H, W), and colour in bytes, of shape (H, W, 3)."""
    luminance, colours = np.empty(values.shape[:3], np.float32), np.empty(values.shape[1:], np.uint8)
    for start in range(0, values.shape[1], _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = values[:, rows].astype(np.float64)
        products = np.einsum("thwk,ts,shwl->hwkl", block, _MOMENTS, block)
        # All are positive for most pixels, of whichever sign they come.
        colour = np.abs(np.linalg.eigh(products)[1][..., -1])
        colours[rows] = np.round(255 * colour / colour.max(axis=-1, keepdims=True))
        shares = colours[rows] / 255
        luminance[:, rows] = np.einsum("thwk,hwk->thw", block, shares) / np.square(shares).sum(axis=-1)
    return luminance, colours


def load_ptm(path):
    """Read a .ptm file as a fitted polynomial texture map.

    Parameters
    ----------
    path : path-like
        The file, of version 1.1 or 1.2 and of the format ``PTM_FORMAT_RGB``, ``PTM_FORMAT_LRGB``,
        ``PTM_FORMAT_JPEG_RGB`` or ``PTM_FORMAT_JPEG_LRGB``.

    Returns
    -------
    PolynomialTextureMap
        The model, which predicts for directions of three columns values for display, about 0 to 1: pass ``white=None``
        to :func:`export_html`, :func:`export_openlime` and :func:`distill`. Its ``lights_`` are directions over the
        dome, because the file does not hold those of the photographs.

    Raises
    ------
    ImportError
        If the file is compressed by JPEG, and OpenCV is missing.

    OSError
        If there is no such file, or no permission to read it.

    ValueError
        If the file is damaged, holds less than it claims, or is of another format. The message names it.

    See Also
    --------
    load_hsh, load_relight : Other files of RTI software.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrelight.interpolation import PolynomialTextureMap
    >>> from sklrelight.viewer import load_ptm, save_ptm
    >>> lights = np.array([[0, 0, 1], [0.6, 0, 0.8], [-0.6, 0, 0.8], [0, 0.6, 0.8], [0, -0.6, 0.8], [0.4, 0.4, 0.82]])
    >>> model = PolynomialTextureMap().fit(lights, np.full((6, 2, 3, 3), 0.5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_ptm(pathlib.Path(folder, "scene.ptm"), model)
    ...     load_ptm(pathlib.Path(folder, "scene.ptm")).predict(lights[:1]).round(2)[0, 0, 0]
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    path = Path(path)
    check_file(path)
    data = path.read_bytes()
    try:
        return make_polynomial(_read(data, path))
    except FormatError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(data, path):
    """Read coefficients of shape (6, H, W, 3)."""
    version, kind = (line.strip() for line in [*data[:256].split(b"\n", 2), b"", b""][:2])
    if version not in (b"PTM_1.1", b"PTM_1.2"):
        raise FormatError(f"begins with {version[:20]!r}, wanted PTM_1.1 or PTM_1.2")
    is_compressed = kind.startswith(b"PTM_FORMAT_JPEG_")
    plain = kind.replace(b"JPEG_", b"").decode("latin-1")
    if plain not in _FORMATS.values():
        raise FormatError(f"is of the format {kind[:40]!r}, wanted PTM_FORMAT_ with RGB, LRGB, JPEG_RGB or JPEG_LRGB")
    is_lrgb = plain == _FORMATS["lrgb"]
    start = data.index(kind) + len(kind)
    (width, height), start = read_numbers(data, data.index(b"\n", start) + 1, 2, int)
    numbers, start = read_numbers(data, start, 12, float)
    if width < 1 or height < 1:
        raise FormatError(f"damaged: its header claims {width} x {height} pixels")
    n_planes = 9 if is_lrgb else 18
    if is_compressed:
        planes = _decode_planes(data, start, n_planes, (height, width), path)
    else:
        planes = _split(data, start, n_planes, (height, width), version)
    coefficients = np.empty((6, height, width, 3), np.float32)
    for term, place in enumerate(_ORDER):
        scale, bias = numbers[term] / 255, numbers[6 + term]
        offset = -bias * scale
        if is_lrgb:
            from_bytes(planes[term][..., None], scale, offset, coefficients[place])
            for channel in range(3):
                coefficients[place, ..., channel] *= planes[6 + channel] / np.float32(255)
        else:
            for channel in range(3):
                from_bytes(planes[6 * channel + term], scale, offset, coefficients[place, ..., channel])
    return coefficients


def _split(data, start, n_planes, shape, version):
    """Take uncompressed planes apart, rows from the top."""
    n_pixels = shape[0] * shape[1]
    if len(data) - start < n_planes * n_pixels:
        raise FormatError(
            f"damaged: its header claims {shape[1]} x {shape[0]} pixels of {n_planes} bytes, and {len(data) - start}"
            " bytes follow"
        )
    # How many bytes of a pixel stand together.
    sizes = [6, 6, 6] if n_planes == 18 else [9] if version == b"PTM_1.1" else [6, 3]
    planes = []
    for size in sizes:
        block = np.frombuffer(data, np.uint8, n_pixels * size, start).reshape(*shape, size)
        planes += list(np.moveaxis(block[::-1], 2, 0))
        start += block.size
    return planes


def _decode_planes(data, start, n_planes, shape, path):
    """Decode planes that are compressed by JPEG, rows from the top."""
    numbers, start = read_numbers(data, start, 1 + 7 * n_planes, int)
    transforms, moves_x, moves_y, order, references, sizes, extras = np.reshape(numbers[1:], (7, n_planes))
    if np.any(transforms) or np.any(moves_x) or np.any(moves_y):
        raise FormatError("its planes are predicted by moving or inverting others, which is not read")
    if sorted(order - order.min()) != list(range(n_planes)):
        raise FormatError("damaged: its planes are in no order")
    ends = start + np.cumsum(sizes + extras)
    if min(sizes.min(), extras.min()) < 0 or ends[-1] > len(data):
        raise FormatError(f"damaged: its planes take {ends[-1] - start} bytes, and {len(data) - start} follow")
    planes: dict[int, np.ndarray] = {}
    for index in np.argsort(order):
        middle = ends[index] - extras[index]
        plane = decode_plane(data[middle - sizes[index] : middle], f"{path}: plane {index}", shape)
        if plane.ndim == 3:
            plane = plane[..., 0]
        if references[index] != -1:
            reference = planes.get(int(references[index]))
            if reference is None:
                raise FormatError(f"damaged: plane {index} is the difference to one that is not there")
            # In bytes, which go round. Those that did are mended by what follows.
            plane = plane + reference - np.uint8(128)
        exact = np.frombuffer(data, np.uint8, extras[index] // 5 * 5, middle).reshape(-1, 5)
        places = exact[:, :4].astype(np.int64) @ (256 ** np.arange(3, -1, -1))
        if len(places) and places.max() >= plane.size:
            raise FormatError(f"damaged: plane {index} has values outside of the image")
        plane = plane.copy()
        plane.ravel()[places] = exact[:, 4]
        planes[int(index)] = plane
    return [planes[index][::-1] for index in range(n_planes)]
