"""Reading the photographs of a capture: alike in size and kind, prepared alike."""

from typing import NamedTuple

import numpy as np

from sklrelight.datasets.images import decode_stored, read_stored
from sklrelight.datasets.orientation import apply_orientation
from sklrelight.datasets.preparation import area_mean, check_crop, check_downscale, cut
from sklrelight.datasets.radiance import check_decode
from sklrelight.datasets.stack import check_stack_dtype, fill_stack


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


def read_photographs(
    paths,
    *,
    decode="linear",
    crop=None,
    downscale=1,
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
    decode, crop, downscale, orientation, dtype, memmap, n_jobs, progress
        As in `load_rti`.

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

    def read(index):
        stored = read_stored(paths[index])
        image = apply_orientation(stored.values, stored.orientation if orientation == "each" else turned)
        _refuse_unlike(image, paths[index], upright, paths[0])
        return area_mean(decode_stored(cut(image, window), decode, paths[index]), downscale)

    images = fill_stack(
        read,
        len(paths),
        read(0).shape,
        dtype=dtype,
        memmap=memmap,
        n_jobs=n_jobs,
        progress=progress,
    )
    return Photographs(images, upright.dtype.itemsize * 8, upright.dtype, turned)


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
