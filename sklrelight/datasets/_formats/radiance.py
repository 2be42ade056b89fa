"""Radiance's format for pictures of any range: ``.hdr``."""

import re

import numpy as np

from ...utils import check_claim

__all__ = ["encode_hdr", "is_hdr", "read_hdr"]

# Radiance's primaries and its white, of equal energy: https://radsite.lbl.gov/radiance/refer/filefmts.pdf.
_PRIMARIES = np.array([[0.64, 0.33], [0.29, 0.60], [0.15, 0.06]])
# Radiance's lumens in a watt: XYZE holds candelas where RGBE holds watts.
_LUMENS_PER_WATT = 179.0
_SIZE = re.compile(rb"([-+])([XY]) +(\d{1,9}) +([-+])([XY]) +(\d{1,9}) *")


def is_hdr(data):
    """Tell whether a file's bytes begin as Radiance's do."""
    return data.startswith(b"#?")


def read_hdr(data, path):
    """Read a Radiance file's bytes as radiance of shape (height, width, 3), float32.

    Values are divided by every ``EXPOSURE=`` and ``COLORCORR=`` of the header. CIE XYZ becomes Radiance's own RGB, in
    watts.

    Raises ValueError if the file is cut, damaged, or of another pixel format.
    """
    header, end, rest = data.partition(b"\n\n")
    size, end_of_size, pixels = rest.partition(b"\n")
    sides = _SIZE.fullmatch(size)
    if not (is_hdr(data) and end and end_of_size and sides and {sides[2], sides[5]} == {b"X", b"Y"}):
        raise ValueError(f"{path}: cannot be read as an image: the header of a Radiance file is cut or damaged")
    pixel_format, factor = _read_header(header, path)
    shape = n_rows, n_columns = int(sides[3]), int(sides[6])
    check_claim(4 * n_rows * n_columns, len(pixels), path)
    stored = np.empty((*shape, 4), np.uint8)
    at = 0
    try:
        for row in stored:
            at = _read_row(pixels, at, row)
    except (IndexError, ValueError) as error:
        raise ValueError(
            f"{path}: cannot be read as an image: the rows of a Radiance file are cut or damaged"
        ) from error
    exponents = stored[..., 3:].astype(np.int32)
    radiance = np.ldexp(np.where(exponents > 0, stored[..., :3], np.float32(0)), exponents - 136)
    if pixel_format == b"32-bit_rle_xyze":
        radiance = np.maximum(radiance @ _xyz_to_rgb().T / _LUMENS_PER_WATT, 0)
    radiance = (radiance / factor).astype(np.float32)
    if sides[2] == b"X":
        radiance = radiance.swapaxes(0, 1)
    signs = {sides[2]: sides[1], sides[5]: sides[4]}
    return radiance[:: 1 if signs[b"Y"] == b"-" else -1, :: 1 if signs[b"X"] == b"+" else -1]


def _read_header(header, path):
    """Return the pixel format, and by what red, green and blue are to be divided."""
    pixel_format, factor = b"32-bit_rle_rgbe", np.ones(3)
    for line in header.split(b"\n")[1:]:
        name, _, value = line.partition(b"=")
        if name == b"FORMAT":
            pixel_format = value.strip()
        elif name in (b"EXPOSURE", b"COLORCORR"):
            try:
                factor = factor * np.array(value.split(), dtype=float).reshape(1 if name == b"EXPOSURE" else 3)
            except ValueError:
                factor = np.zeros(3)
            if not np.all((factor > 0) & (factor < np.inf)):
                raise ValueError(f"{path}: {_text(line)}, wanted numbers above 0")
    if pixel_format not in (b"32-bit_rle_rgbe", b"32-bit_rle_xyze"):
        raise ValueError(f"{path}: FORMAT={_text(pixel_format)}, wanted 32-bit_rle_rgbe or 32-bit_rle_xyze")
    return pixel_format, factor


def _text(line):
    return repr(line[:80].decode("ascii", "replace"))


def _read_row(data, at, row):
    """Fill a row of shape (n_columns, 4) from the bytes at `at`; return where it ends."""
    n_columns = len(row)
    if 8 <= n_columns < 2**15 and data[at : at + 4] == b"\2\2" + n_columns.to_bytes(2, "big"):
        # Each of the four bytes of a pixel has run lengths of its own.
        at += 4
        values = bytearray()
        while len(values) < 4 * n_columns:
            count = data[at]
            if count > 128:
                values += data[at + 1 : at + 2] * (count - 128)
                at += 2
            else:
                values += data[at + 1 : at + 1 + count]
                at += 1 + count
        row[:] = np.frombuffer(values, np.uint8).reshape(4, n_columns).T
        return at
    pixels = np.frombuffer(data, np.uint8, 4 * min(n_columns, (len(data) - at) // 4), at).reshape(-1, 4)
    runs = np.flatnonzero((pixels[:, :3] == 1).all(axis=1))
    if not len(runs) and len(pixels) == n_columns:
        row[:] = pixels
        return at + 4 * n_columns
    # The older run lengths: (1, 1, 1, n) repeats the pixel before it n times, and 256 n times if it is the second.
    n_filled, shift = 0, 0
    for pixel in pixels:
        at += 4
        if n_filled and (pixel[:3] == 1).all():
            count = int(pixel[3]) << shift
            row[n_filled : n_filled + count] = row[n_filled - 1]
            shift += 8
        else:
            count, shift = 1, 0
            row[n_filled] = pixel
        n_filled += count
        if n_filled >= n_columns:
            return at
    raise IndexError


def _xyz_to_rgb():
    primaries = np.array([[x / y, 1, (1 - x - y) / y] for x, y in _PRIMARIES]).T
    # White, which is 1 in X, Y and Z, is 1 in red, green and blue.
    return np.linalg.inv(primaries * np.linalg.solve(primaries, np.ones(3)))


def encode_hdr(image, header=()):
    r"""Encode an image of shape (height, width[, 3]) as a Radiance HDR file, without run lengths.

    Grey becomes RGB; values are clipped to [0, 1.69e38]. `header` has further lines for the file's header.

    Examples
    --------
    >>> encode_hdr(np.array([[[1.0, 0.5, 0.0]]]))[-4:]
    b'\x80@\x00\x81'
    """
    colours = np.broadcast_to(image[..., np.newaxis], (*image.shape, 3)) if image.ndim == 2 else image
    # 2 ** 127 is about the largest value of the format.
    colours = np.clip(colours.astype(np.float64), 0, 2.0**127 * 255 / 256)
    brightest = colours.max(axis=-1)
    _, exponents = np.frexp(brightest)
    # 255.6 would round to 256, which is no byte; with the next exponent it is 128.
    exponents += np.round(brightest * np.exp2(8.0 - exponents)) > 255
    pixels = np.zeros((*exponents.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.round(colours * np.exp2(8.0 - exponents)[..., np.newaxis])
    # Below 2 ** -127 there is no exponent left: black.
    representable = (exponents > -128) & (brightest > 0)
    pixels[..., 3] = np.where(representable, exponents + 128, 0)
    pixels[~representable] = 0
    lines = ["#?RADIANCE", *header, "FORMAT=32-bit_rle_rgbe", "", f"-Y {image.shape[0]} +X {image.shape[1]}", ""]
    return "\n".join(lines).encode() + pixels.tobytes()
