"""TIFF files, of one page or of several."""

import io

import numpy as np

from ...utils import check_claim, import_extra

__all__ = ["encode_tiff", "is_tiff", "read_tiff"]

# Classic and large files, of either order of the bytes.
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION, _PROFILE = 274, 34675  # tags
_GREY, _COLOUR = ("MINISBLACK", "MINISWHITE", "PALETTE"), ("RGB", "YCBCR")
_JPEG_COMPRESSIONS = (6, 7)
# How many bytes each compression makes of one at most, in black images: none, LZW, JPEG, deflate, PackBits, deflate.
_RATIOS = {1: 1, 5: 2048, 7: 2048, 8: 1032, 32773: 64, 32946: 1032}
_LARGEST_RATIO = 2**17


def is_tiff(data):
    """Tell whether a file's bytes begin as a TIFF file's do."""
    return data[:4] in _MAGIC


def read_tiff(data, path, layer=None):
    """Read one page of a TIFF file's bytes.

    Parameters
    ----------
    data : bytes
        The file.

    path : pathlib.Path
        Its name for messages.

    layer : int, optional
        Number of the page, from 0. Needed where there are several, previews aside.

    Returns
    -------
    values : ndarray of shape (height, width) or (height, width, 3)
        uint8, uint16, uint32 or floats. 0 is black; alpha is left out.

    orientation : int
        The tag of that name, 1 to 8.

    profile : bytes or None
        The ICC profile.

    Raises
    ------
    ImportError
        If tifffile is not installed.

    ValueError
        If the file is cut or damaged, has several pages, or is of a kind that is not read.
    """
    tifffile = import_extra("tifffile", "images", f"To read {path}")
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = _choose_page(file, layer, path)
            kind = _check_kind(page, path)
            _check_size(page, len(data), path)
            values = np.asarray(page.asarray(maxworkers=1))
            tags = {tag: page.tags[tag].value for tag in (_ORIENTATION, _PROFILE) if tag in page.tags}
            colour_map = page.colormap if kind == "PALETTE" else None
            axes, is_bilevel = page.axes, page.bitspersample == 1
    except _RefusedError as refusal:
        raise ValueError(*refusal.args) from None
    except Exception as error:
        # tifffile and the decoders raise a dozen types over damaged files.
        raise ValueError(f"{path}: cannot be read as an image: cut, damaged or of an unknown kind: {error}") from error
    if values.ndim != len(axes):
        raise ValueError(f"{path}: cannot be read as an image: damaged")
    values = _interleaved(values, axes, kind, path)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if is_bilevel:
        values = (values != 0) * np.uint8(255)
    if kind == "MINISWHITE":
        values = np.iinfo(values.dtype).max - values
    if colour_map is not None:
        shift = 8 if colour_map.max() > 255 else 0
        values = np.moveaxis((colour_map >> shift).astype(np.uint8)[:, values], 0, -1)
    orientation = tags.get(_ORIENTATION, 1)
    return np.ascontiguousarray(values), orientation if orientation in range(1, 9) else 1, tags.get(_PROFILE)


class _RefusedError(Exception):
    """A file that is in order, but not of a kind that is read; or that claims too much."""


def _choose_page(file, layer, path):
    pages = [page for page in file.pages if not page.is_reduced]
    n_pages = max(len(pages), int((file.imagej_metadata or {}).get("images", 1)))
    if not pages:
        raise _RefusedError(f"{path}: cannot be read as an image: the TIFF file is cut")
    if layer is None and n_pages > 1:
        raise _RefusedError(
            f"{path}: a TIFF file of {n_pages} pages, wanted one photograph a file: say which with layer=, or write "
            "each page into a file of its own"
        )
    number = 0 if layer is None else layer
    if not isinstance(number, (int, np.integer)) or not 0 <= number < len(pages):
        raise _RefusedError(f"{path}: no page {layer!r} (layer=), wanted an integer from 0 to {len(pages) - 1}")
    return pages[number].aspage()


def _check_kind(page, path):
    """Refuse a page whose values would not be read as what they mean; return its photometric interpretation."""
    kind = getattr(page.photometric, "name", str(page.photometric))
    bits, is_float = page.bitspersample, page.sampleformat == 3
    if kind not in _GREY + _COLOUR or (kind == "YCBCR" and page.compression not in _JPEG_COMPRESSIONS):
        raise _RefusedError(f"{path}: a TIFF file of the kind {kind}, wanted grey, a palette or RGB")
    if is_float and kind != "MINISWHITE" and bits in (16, 24, 32, 64):
        return kind
    if page.sampleformat != 1 or bits not in ((8, 16, 32) if kind != "MINISBLACK" else (1, 8, 16, 32)):
        name = {1: "unsigned integers", 2: "signed integers", 3: "floats"}.get(page.sampleformat, "values")
        raise _RefusedError(
            f"{path}: {name} of {bits} bits in a TIFF file of the kind {kind}, wanted unsigned integers of 8, 16 or 32 "
            "bits, or floats"
        )
    return kind


def _check_size(page, n_stored, path):
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        if not (start > 0 and length > 0 and start + length <= n_stored):
            raise _RefusedError(f"{path}: cannot be read as an image: the TIFF file is cut")
    try:
        n_bytes = page.nbytes // 8 if page.bitspersample == 1 else page.nbytes
        check_claim(n_bytes, sum(page.databytecounts), path, _RATIOS.get(page.compression, _LARGEST_RATIO))
    except ValueError as error:
        raise _RefusedError(*error.args) from None


def _interleaved(values, axes, kind, path):
    """Return an image with its channels last, one or three of them, without alpha."""
    if sorted(axes) not in (["X", "Y"], ["S", "X", "Y"]):
        raise ValueError(f"{path}: axes {axes} in a TIFF file, wanted height, width and channels")
    if "S" not in axes:
        return values
    values = np.moveaxis(values, axes.index("S"), -1)
    n_channels = values.shape[-1]
    if kind in _COLOUR and n_channels >= 3:
        return values[..., :3]
    if kind in _GREY and n_channels <= 2:
        return values[..., 0]
    raise ValueError(f"{path}: {n_channels} channels in a TIFF file of the kind {kind}, wanted 1 of grey or 3 of RGB")


def encode_tiff(values, profile, path):
    """Encode values of shape (height, width[, 3]) as a TIFF file."""
    tifffile = import_extra("tifffile", "images", f"To write {path}")
    file = io.BytesIO()
    photometric = "minisblack" if values.ndim == 2 else "rgb"
    tifffile.imwrite(file, values, photometric=photometric, compression="zlib", iccprofile=profile, metadata=None)
    return file.getvalue()
