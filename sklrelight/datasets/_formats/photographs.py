"""Reading the photographs of a capture: alike in size and kind, prepared alike."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from ...utils import check_stack_dtype
from .flat_field import open_flat_field
from .images import decode_stored, read_stored
from .mask import read_mask
from .orientation import apply_orientation
from .preparation import area_mean, check_crop, check_downscale, cut
from .radiance import check_decode
from .stack import fill_stack


class Photographs(NamedTuple):
    """The photographs of one capture."""

    images: np.ndarray
    """Shape (n_lights, height, width, 3) or (n_lights, height, width), linear radiance."""
    bit_depth: int
    """Bits of one value in the files."""
    file_dtype: np.dtype
    """The type of the files' values."""
    orientation: int
    """The EXIF orientation that was applied to all."""
    mask: np.ndarray | None
    """Shape (height, width), bool, or None."""


def read_photographs(
    paths,
    *,
    decode="linear",
    crop=None,
    downscale=1,
    mask=None,
    flat_field=None,
    divide_by=None,
    orientation="first",
    dtype="float32",
    memmap=None,
    n_jobs=-1,
    progress=None,
):
    """Read image files of one size and kind into one stack.

    Parameters
    ----------
    paths : list of path-like
        The files, at least one.
    decode, crop, downscale, mask, flat_field, orientation, dtype, memmap, n_jobs, progress
        As in `load_rti`, the paths relative to the working folder.
    divide_by : ndarray of shape (n_lights, 3), optional
        Intensities of the lights, which the photographs' channels are divided by.

    Returns
    -------
    Photographs

    Raises
    ------
    ValueError
        If a file cannot be read, or is unlike the first. The message names it.
    """
    check_decode(decode)
    check_stack_dtype(dtype)
    if orientation not in ("first", "each", "ignore"):
        raise ValueError(f"orientation={orientation!r}, wanted 'first', 'each' or 'ignore'.")
    first = read_stored(paths[0])
    turned = first.orientation if orientation != "ignore" else 1
    upright = apply_orientation(first.values, turned)
    window = check_crop(crop, upright.shape)
    check_downscale(downscale, cut(upright, window).shape)
    inside = None if mask is None else read_mask(mask, upright.shape, window, downscale)

    def read_upright(path):
        stored = read_stored(path)
        image = apply_orientation(stored.values, stored.orientation if orientation == "each" else turned)
        return image, "linear" if stored.is_linear else decode

    def read_card(path):
        image, image_decode = read_upright(path)
        return decode_stored(image, image_decode, path)

    divide = None
    if flat_field is not None:
        divide = open_flat_field(flat_field, paths, upright.shape, read_card)

    def read(index):
        image, image_decode = read_upright(paths[index])
        _refuse_unlike(image, paths[index], upright, paths[0])
        radiance = decode_stored(cut(image, window), image_decode, paths[index])
        if divide is not None:
            radiance = divide(radiance, index, window)
        if divide_by is not None:
            radiance = radiance / divide_by[index].astype(np.float32)
        return area_mean(radiance, downscale)

    images = fill_stack(
        read,
        len(paths),
        read(0).shape,
        dtype=dtype,
        memmap=memmap,
        n_jobs=n_jobs,
        progress=progress,
    )
    return Photographs(images, upright.dtype.itemsize * 8, upright.dtype, turned, inside)


def capture_bunch(photographs, vectors, paths, *, normalize, decode, source, **more):
    """Put photographs and their light vectors into the form that the loaders of photographs return.

    Parameters
    ----------
    photographs : Photographs
    vectors : ndarray of shape (n_lights, 3)
        As given in the capture; none of length 0.
    paths : list of pathlib.Path
    normalize, decode
        As in `load_rti`.
    source : str
        Where from, for ``DESCR``.
    **more
        Further attributes.

    Returns
    -------
    sklearn.utils.Bunch
    """
    norms = np.linalg.norm(vectors, axis=1)
    lights = vectors / norms[:, np.newaxis] if normalize else vectors
    height, width = photographs.images.shape[1:3]
    return Bunch(
        lights=lights,
        light_directions=lights,
        images=photographs.images,
        light_norms=norms,
        filenames=[str(path) for path in paths],
        image_shape=(height, width),
        bit_depth=photographs.bit_depth,
        file_dtype=photographs.file_dtype.name,
        decode=decode,
        mask=photographs.mask,
        orientation=photographs.orientation,
        DESCR=(
            f"{len(paths)} photographs of {height} x {width} pixels from {source}, {photographs.bit_depth} bit, "
            f"decode={decode!r}; lengths of the light vectors as given {norms.min():.4g} to {norms.max():.4g}."
        ),
        **more,
    )


def _refuse_unlike(image, path, first, first_path):
    for what, got, wanted in [
        ("height, width", image.shape[:2], first.shape[:2]),
        ("channels", image.shape[2:] or (1,), first.shape[2:] or (1,)),
        ("type", image.dtype, first.dtype),
    ]:
        if got != wanted:
            raise ValueError(
                f"{path}: {what} {_listed(got)}, wanted {_listed(wanted)} as in {first_path}: "
                "the photographs of a capture are of one size and kind."
            )


def _listed(value):
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)
