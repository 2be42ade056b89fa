"""The photographs of a capture: alike in size and type, turned, cropped, divided and averaged alike."""

import os
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ...utils import FLOAT32_SAFE, check_numbers, check_stack_dtype
from .arrays import fill_array
from .codecs import read_file
from .images import (
    check_decode,
    check_values,
    clip_negative_values,
    load_image,
    resolve_decode,
    to_radiance,
    warn_of_file,
)
from .orientation import apply_orientation

__all__ = ["Framing", "check_folder", "check_intensities", "divide_by_intensity", "load_photographs", "within"]


class Framing:
    """The part of the photographs that is kept, and how many of its pixels are averaged into one.

    Parameters
    ----------
    image_shape : tuple of int
        Shape of a photograph: (height, width) or (height, width, channels).

    crop : (int, int, int, int) or None
        ``(top, bottom, left, right)``: rows top to bottom - 1 and columns left to right - 1 are kept. None keeps all.

    downscale : int
        Number of pixels along each side of the squares that are averaged.

    Attributes
    ----------
    image_shape : (int, int)
        Height and width of a photograph.

    shape : (int, int)
        Height and width of what is kept, after averaging.

    corner : (int, int)
        First row and first column that are kept.

    Raises
    ------
    ValueError
        If the crop does not lie within the photographs, or a square within the crop.

    Examples
    --------
    >>> framing = Framing((2, 5), crop=(0, 2, 1, 5), downscale=2)
    >>> framing.average(framing.cut(np.array([[9.0, 1.0, 3.0, 0.0, 0.0], [9.0, 5.0, 7.0, 0.0, 0.0]])))
    array([[4., 0.]])
    >>> framing.mask(np.array([[255, 0, 255, 255, 255]] * 2))
    array([[False,  True]])
    """

    def __init__(self, image_shape, crop, downscale):
        self.image_shape = height, width = tuple(image_shape[:2])
        values = (0, height, 0, width) if crop is None else tuple(crop)
        if (
            len(values) != 4
            or not all(isinstance(value, (int, np.integer)) for value in values)
            or not (0 <= values[0] < values[1] <= height and 0 <= values[2] < values[3] <= width)
        ):
            raise ValueError(
                f"crop={crop!r}, wanted (top, bottom, left, right) with 0 <= top < bottom <= {height} and "
                f"0 <= left < right <= {width}: the photographs have {height} rows and {width} columns"
            )
        top, bottom, left, right = (int(value) for value in values)
        self.corner = top, left
        self._window = slice(top, bottom), slice(left, right)
        height, width = bottom - top, right - left
        if not isinstance(downscale, (int, np.integer)) or not 1 <= downscale <= min(height, width):
            raise ValueError(
                f"downscale={downscale!r}, wanted an integer from 1 to {min(height, width)}, the shorter side of "
                f"images of {height} x {width} pixels (after crop)"
            )
        self._downscale = int(downscale)
        self.shape = height // self._downscale, width // self._downscale

    def cut(self, image):
        """Return the part of an image that is kept, as a view."""
        return image[self._window]

    def average(self, image):
        """Average the squares of an image that is cut; incomplete ones, at the bottom and the right, are left out."""
        n = self._downscale
        if n == 1:
            return image
        height, width = self.shape[0] * n, self.shape[1] * n
        # Sums of strided views are several times as fast as a mean over two short axes.
        rows = sum(image[start:height:n] for start in range(n))
        return sum(rows[:, start:width:n] for start in range(n)) / np.asarray(n * n, dtype=image.dtype)

    def spread(self, inside):
        """Return the pixels of a cut image that are averaged to the pixels of a mask."""
        rows, columns = self._window
        whole = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        n = self._downscale
        whole[: self.shape[0] * n, : self.shape[1] * n] = inside.repeat(n, axis=0).repeat(n, axis=1)
        return whole

    def mask(self, mask):
        """Read a mask, and cut and average it as the photographs are.

        Parameters
        ----------
        mask : path-like, array-like of shape (height, width), or None
            An image file or an array: inside is what is brighter than half of its brightest value.

        Returns
        -------
        ndarray of the framing's shape, bool, or None
            True where all averaged pixels are inside.

        Raises
        ------
        ValueError
            If the mask has another size than the photographs, or nothing is inside.
        """
        if mask is None:
            return None
        if isinstance(mask, (str, os.PathLike)):
            source, values = str(mask), load_image(mask, decode="linear")
            values = values if values.ndim == 2 else values.max(axis=-1)
        else:
            source, values = "mask", check_numbers(mask, "mask").astype(np.float32)
        if values.shape != self.image_shape:
            raise ValueError(
                f"{source}: shape {values.shape}, wanted {self.image_shape} (height, width) as the photographs have "
                "before crop and downscale"
            )
        inside = self.average(self.cut(values > values.max() / 2).astype(np.float32)) > 1 - 1e-6
        if not inside.any():
            raise ValueError(f"{source}: nothing is inside the mask, after crop and downscale={self._downscale}")
        return inside


def load_photographs(
    folder,
    paths,
    vectors,
    *,
    source,
    normalize=True,
    decode="auto",
    layer=None,
    clip_negative=False,
    crop=None,
    downscale=1,
    mask=None,
    flat_field=None,
    orientation="first",
    dtype="float32",
    memmap=None,
    n_jobs=-1,
    progress=None,
    intensities=None,
):
    """Load the photographs of a capture with their lights.

    Parameters
    ----------
    folder : pathlib.Path
        What the paths of `mask` and `flat_field` are relative to.

    paths : list of pathlib.Path
        The photographs, at least one.

    vectors : ndarray of shape (n_lights, 3)
        Light vectors as the capture gives them, none of length 0.

    source : str
        Text for ``DESCR``: where the photographs are from.

    normalize, decode, layer, clip_negative, crop, downscale, mask, flat_field, orientation, dtype, memmap, n_jobs
        As in `load_rti`.

    progress
        As in `load_rti`.

    intensities : ndarray of shape (n_lights, 1) or (n_lights, 3), optional
        What `check_intensities` returned.

    Returns
    -------
    sklearn.utils.Bunch
        As from `load_rti`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or a file cannot be read or is unlike the first. The message names it.
    """
    check_decode(decode)
    check_stack_dtype(dtype)
    if orientation not in ("first", "each", "ignore"):
        raise ValueError(f"orientation={orientation!r}, wanted 'first', 'each' or 'ignore'")
    stored = read_file(paths[0], decode, layer)
    if stored.note:
        warn_of_file(paths[0], stored.note)
    applied = 1 if orientation == "ignore" else stored.orientation
    first = apply_orientation(stored.values, applied)
    first_decode = "linear" if stored.is_linear else resolve_decode(decode, first.dtype)
    shape, file_dtype = first.shape, first.dtype
    # A photograph takes much memory.
    del stored, first
    framing = Framing(shape, crop, downscale)
    inside = framing.mask(within(folder, mask))

    outside = None if inside is None else ~framing.spread(inside)
    n_clipped: dict[int, int] = {}

    def read_upright(path, layer=None):
        stored = read_file(path, decode, layer)
        image = apply_orientation(stored.values, stored.orientation if orientation == "each" else applied)
        return image, "linear" if stored.is_linear else decode

    def read_card(path):
        image, image_decode = read_upright(path)
        return to_radiance(image, image_decode, path)

    find_card = _open_flat_field(within(folder, flat_field), paths, shape, read_card)

    def read(index, dtype=np.float32):
        image, image_decode = read_upright(paths[index], layer)
        _refuse_unlike(image, paths[index], shape, file_dtype, paths[0])
        image = framing.cut(image)
        if outside is not None and image.dtype.kind == "f":
            # Renderers leave infinite values in the background.
            image = np.where((outside if image.ndim == 2 else outside[..., np.newaxis]) & ~np.isfinite(image), 0, image)
        radiance = to_radiance(image, image_decode, paths[index], dtype)
        if clip_negative and image.dtype.kind == "f":
            radiance, n_clipped[index] = clip_negative_values(radiance)
        if find_card is not None:
            card, card_name = find_card(index)
            radiance = _divide_by_card(radiance, card, card_name, framing)
        if intensities is not None:
            radiance = divide_by_intensity(radiance, intensities[index])
        return framing.average(radiance)

    is_computed = file_dtype != np.uint8 or find_card is not None or intensities is not None or downscale > 1
    images = fill_array(
        read,
        len(paths),
        (*framing.shape, *shape[2:]),
        dtype=dtype,
        memmap=memmap,
        read_narrow=None if is_computed else partial(read, dtype=np.float16),
        n_jobs=n_jobs,
        progress=progress,
    )
    if sum(n_clipped.values()):
        n_files = np.count_nonzero(list(n_clipped.values()))
        warn_of_file(folder, f"{sum(n_clipped.values())} negative values in {n_files} photographs were set to 0")
    norms = np.linalg.norm(vectors, axis=1)
    lights = vectors / norms[:, np.newaxis] if normalize else vectors
    height, width = framing.shape
    bit_depth = file_dtype.itemsize * 8
    return Bunch(
        lights=lights,
        light_directions=lights,
        images=images,
        light_norms=norms,
        filenames=[str(path) for path in paths],
        image_shape=(height, width),
        bit_depth=bit_depth,
        file_dtype=file_dtype.name,
        decode=first_decode,
        mask=inside,
        orientation=applied,
        DESCR=(
            f"{len(paths)} photographs of {height} x {width} pixels from {source}, {bit_depth} bit, "
            f"decode={first_decode!r}{', divided by intensities' if intensities is not None else ''}; lengths "
            f"of the light vectors as given {norms.min():.4g} to {norms.max():.4g}."
        ),
    )


def check_intensities(intensities, n_lights):
    """Check what the lights' intensities are.

    Parameters
    ----------
    intensities : array-like of shape (n_lights,), (n_lights, 1) or (n_lights, 3), or None
        Intensities; in three columns those of red, green and blue.

    n_lights : int
        Number of lights.

    Returns
    -------
    ndarray of shape (n_lights, 1) or (n_lights, 3), float64, or None
        The intensities.

    Raises
    ------
    ValueError
        If they have another shape, or one is not within 1e-12 and 1e12.
    """
    if intensities is None:
        return None
    values = check_numbers(intensities, "intensities").astype(np.float64)
    if values.shape not in ((n_lights,), (n_lights, 1), (n_lights, 3)):
        raise ValueError(
            f"intensities has shape {values.shape}, wanted ({n_lights},) or ({n_lights}, 3), a row for each light"
        )
    good = (values >= 1 / FLOAT32_SAFE) & (values <= FLOAT32_SAFE)
    if not good.all():
        raise ValueError(f"intensities holds {values[~good].flat[0]:g}, wanted all from 1e-12 to 1e12")
    return values.reshape(n_lights, -1)


def divide_by_intensity(radiance, intensity):
    """Divide a photograph by its light's intensity, of one or three values; a grey one by their mean."""
    return radiance / (intensity if radiance.ndim == 3 else intensity.mean()).astype(np.float32)


def check_folder(folder):
    """Raise FileNotFoundError or NotADirectoryError unless `folder` is a folder."""
    if not folder.exists():
        raise FileNotFoundError(f"No such folder: {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"Not a folder, but a file: {folder}")


def within(folder, source):
    """Return a path relative to `folder` (or absolute); anything else as it is."""
    return folder / source if isinstance(source, (str, os.PathLike)) else source


def _refuse_unlike(image, path, shape, dtype, first_path):
    if (image.shape, image.dtype) != (shape, dtype):
        raise ValueError(
            f"{path}: {image.dtype} of shape {image.shape}, wanted {dtype} of shape {shape} as in "
            f"{first_path}: the photographs of a capture are of one size and type"
        )


def _open_flat_field(flat_field, paths, image_shape, read):
    """Return a function that gives the white card of photograph i and its name, or None without a flat field."""
    if flat_field is None:
        return None
    if isinstance(flat_field, Path) and flat_field.is_dir():
        files = [flat_field / path.name for path in paths]
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            raise ValueError(
                f"flat_field={str(flat_field)!r} lacks a file for {len(missing)} of {len(files)} photographs, "
                f"the first {missing[0]}"
            )
        return lambda index: (read(files[index]), files[index])
    if isinstance(flat_field, Path):
        card = read(flat_field)
        return lambda index: (card, flat_field)
    array = check_numbers(flat_field, "flat_field").astype(np.float32)
    one_each = array.ndim == 4 or (array.ndim == 3 and array.shape[:2] != image_shape[:2])
    if one_each and len(array) != len(paths):
        raise ValueError(f"flat_field has shape {array.shape}, wanted {len(paths)} images, one a photograph")
    return lambda index: (array[index] if one_each else array, "flat_field")


def _divide_by_card(radiance, card, source, framing):
    shape = (*framing.image_shape, *radiance.shape[2:])
    if card.shape not in (shape, shape[:2]):
        raise ValueError(f"{source}: shape {card.shape}, wanted {shape} as the photographs have")
    card = framing.cut(card)
    hint = "photographs are divided by a flat field: crop to where its card is"
    check_values(np.isfinite(card) & (card > 0), source, "not above 0", hint, framing.corner)
    return radiance / (card[..., np.newaxis] if card.ndim < radiance.ndim else card)
