"""Captures in one NumPy archive."""

import tokenize
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ...utils import check_stack_dtype
from .images import decode_stored
from .mask import read_mask
from .preparation import area_mean, check_crop, check_downscale, cut
from .radiance import check_decode
from .stack import fill_stack

# What zipfile, zlib and NumPy raise over damaged files: of a NumPy header, for instance, Python's tokenizer.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
)
LIGHT_NAMES = ("lights", "light_positions", "light_directions", "light_grid")


def load_npz(
    path,
    *,
    images="images",
    lights=None,
    decode="linear",
    crop=None,
    downscale=1,
    mask=None,
    dtype="float32",
    memmap=None,
    progress=None,
):
    """Load a capture from a NumPy archive (``.npz``), one image at a time.

    Parameters
    ----------
    path : path-like
        The archive.
    images : str, default="images"
        Which of its arrays holds the images: (n_lights, height, width, 3) or (n_lights, height, width),
        unsigned integers or floating-point numbers.
    lights : str, optional
        Which of its arrays, of shape (n_lights, d), becomes ``lights``; by default the first that is there
        of "lights", "light_positions", "light_directions" and "light_grid".
    decode, crop, downscale, dtype, memmap, progress
        As in `load_rti`.
    mask : path-like or array-like of shape (height, width), optional
        As in `load_rti`, a path relative to the working folder; by default the archive's array of this name, where it
        has one.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, and all further arrays of the archive under their names:

        lights : ndarray of shape (n_lights, d), float64
            In the archive's units.
        images : ndarray of shape (n_lights, height, width, 3) or (n_lights, height, width)
            Linear radiance.
        light_name : str
            The array that became ``lights``.
        image_shape : (int, int)
            Height and width of `images`.
        file_dtype : str
            The type of the images in the archive.
        mask : ndarray of shape (height, width), bool, or None
            True inside.
        DESCR : str
            What was loaded, in words.

    Raises
    ------
    FileNotFoundError
        If there is no such archive.
    ValueError
        If it is cut or damaged, lacks an array, or an array has a wrong shape or values that are not
        finite. The message names the archive.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.datasets import load_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "capture.npz")
    ...     np.savez(path, images=np.ones((4, 2, 3, 3), np.float16), light_grid=np.arange(8).reshape(4, 2))
    ...     capture = load_npz(path)
    >>> capture.images.shape, capture.lights.shape, capture.light_name
    ((4, 2, 3, 3), (4, 2), 'light_grid')
    """
    path = Path(path)
    check_decode(decode)
    check_stack_dtype(dtype)
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {path}")
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        with _reading(path):
            archive = stack.enter_context(zipfile.ZipFile(file))
        return _load(path, archive, images, lights, decode, crop, downscale, mask, dtype, memmap, progress)


@contextmanager
def _reading(path, name=None):
    """Turn all that reading a damaged archive can raise into a ValueError that names it."""
    try:
        yield
    except _DAMAGE as error:
        what = "the file" if name is None else f"its array {name!r}"
        raise ValueError(f"{path}: {what} cannot be read, cut or damaged: {error}") from error


def _load(path, archive, images_name, lights_name, decode, crop, downscale, mask, dtype, memmap, progress):
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    if images_name not in names:
        raise ValueError(f"{path}: no array {images_name!r} (images=) among {names}.")
    others = {name: _read_array(path, archive, name) for name in names if name != images_name}
    light_name = lights_name or next((name for name in LIGHT_NAMES if name in others), None)
    if light_name not in others:
        raise ValueError(f"{path}: no array {light_name or LIGHT_NAMES} for the lights (lights=) among {names}.")

    with ExitStack() as stack:
        with _reading(path, images_name):
            file = stack.enter_context(archive.open(f"{images_name}.npy"))
            shape, fortran_order, file_dtype = _read_header(file)
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3) or 0 in shape:
            raise ValueError(
                f"{path}: {images_name!r} has shape {shape}, wanted (n_lights, height, width, 3) or "
                "(n_lights, height, width)."
            )
        if file_dtype.kind not in "uf" or fortran_order:
            raise ValueError(
                f"{path}: {images_name!r} has type {file_dtype} and {'Fortran' if fortran_order else 'C'} order, "
                "wanted unsigned integers or floating-point numbers in C order."
            )
        lights = _check_lights(path, light_name, others[light_name], shape[0])
        window = check_crop(crop, shape[1:])
        kept = cut(np.empty(shape[1:], dtype=bool), window)
        check_downscale(downscale, kept.shape)
        mask = others.pop("mask", None) if mask is None else mask
        inside = None if mask is None else read_mask(mask, shape[1:], window, downscale)

        image_bytes = int(np.prod(shape[1:])) * file_dtype.itemsize

        def read(index):
            where = f"{path}: image {index} of {images_name!r}"
            with _reading(path, images_name):
                data = file.read(image_bytes)
            if len(data) < image_bytes:
                raise ValueError(f"{where} ends after {len(data)} of {image_bytes} bytes.")
            values = np.frombuffer(data, dtype=file_dtype).reshape(shape[1:])
            return area_mean(decode_stored(cut(values, window), decode, where), downscale)

        images = fill_stack(
            read,
            shape[0],
            area_mean(kept.astype(np.float32), downscale).shape,
            dtype=dtype,
            memmap=memmap,
            n_jobs=1,  # an archive is read from its start to its end
            progress=progress,
        )
    height, width = images.shape[1:3]
    known = {
        "lights": lights,
        "images": images,
        "light_name": light_name,
        "image_shape": (height, width),
        "file_dtype": file_dtype.name,
        "mask": inside,
        "DESCR": (
            f"{len(images)} images of {height} x {width} pixels from {path}, {file_dtype.name}; lights are its "
            f"{light_name!r}, {lights.shape[1]} columns."
        ),
    }
    return Bunch(**(others | known))


def _read_header(file):
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    return read[version](file)


def _read_array(path, archive, name):
    with _reading(path, name), archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _check_lights(path, name, values, n_images):
    if values.ndim != 2 or len(values) != n_images or values.shape[1] == 0 or values.dtype.kind not in "iuf":
        raise ValueError(
            f"{path}: {name!r} has shape {values.shape} and type {values.dtype}, "
            f"wanted ({n_images}, d) numbers, one row an image."
        )
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ValueError(f"{path}: {name!r} is not finite in row {row}, wanted finite numbers.")
    return values
