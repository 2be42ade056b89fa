"""Captures in one NumPy archive."""

import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch, check_array
from sklearn.utils.validation import check_consistent_length

from ...utils import check_claim, check_file, check_stack_dtype, naming
from .arrays import fill_array
from .images import check_decode, check_image_shape, resolve_decode, to_radiance
from .photographs import Framing, check_intensities, divide_by_intensity

__all__ = ["load_npz"]

# Arrays of up to so many bytes are read whatever the size of the photographs.
_SMALL = 2**24
_LIGHT_NAMES = ("lights", "light_positions", "light_directions", "light_grid")


def load_npz(
    path,
    *,
    images="images",
    lights=None,
    intensities=None,
    decode="auto",
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
        Name of its array of photographs: (n_lights, height, width, 3) or (n_lights, height, width), unsigned integers
        or floating-point numbers.

    lights : str, optional
        Name of its array of shape (n_lights, d) that becomes ``lights``; by default the first that is there of
        "lights", "light_positions", "light_directions" and "light_grid".

    intensities, decode, crop, downscale, dtype, memmap, progress
        As in `load_rti`.

    mask : path-like or array-like of shape (height, width), optional
        As in `load_rti`, a path relative to the working folder; by default the archive's array of this name, where it
        has one.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with these attributes, and further arrays of the archive under their names, unless one is
        larger than the photographs:

        lights : ndarray of shape (n_lights, d), float64
            Lights, in the archive's units.
        images : ndarray of shape (n_lights, height, width, 3) or (n_lights, height, width)
            Linear radiance.
        light_name : str
            Name of the array that became ``lights``.
        image_shape : (int, int)
            Height and width of `images`.
        file_dtype : str
            Type of the images in the archive.
        decode : "linear", "srgb" or float
            The parameter, or what "auto" took.
        mask : ndarray of shape (height, width), bool, or None
            True inside.
        DESCR : str
            Description of what was loaded.

    Raises
    ------
    FileNotFoundError
        If there is no such archive.

    ValueError
        If it is cut or damaged, lacks an array, or an array has a wrong shape or values that are not finite. The
        message names the archive.

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
    check_file(path)
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {path}")
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        with _reading(path, "the file"):
            archive = stack.enter_context(zipfile.ZipFile(file))
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if images not in names:
            raise ValueError(f"{path}: no array {images!r} (images=) among {names}")
        with _reading(path, f"its array {images!r}"):
            stored = stack.enter_context(archive.open(f"{images}.npy"))
            shape, fortran_order, file_dtype = _read_header(archive, stored)
        largest = max(_SMALL, 4 * int(np.prod(shape, dtype=float)))
        read_too = {name: _read_array(path, archive, name, largest) for name in names if name != images}
        others = {name: array for name, array in read_too.items() if array is not None}
        light_name = lights or next((name for name in _LIGHT_NAMES if name in others), None)
        if light_name not in others:
            raise ValueError(f"{path}: no array {light_name or _LIGHT_NAMES} for the lights (lights=) among {names}")
        check_image_shape(shape, f"{path}: {images!r}", "n_lights, height, width")
        if file_dtype.kind not in "uf" or fortran_order:
            raise ValueError(
                f"{path}: {images!r} has type {file_dtype} and {'Fortran' if fortran_order else 'C'} order, "
                "wanted unsigned integers or floating-point numbers in C order"
            )
        with naming(f"{path}: {light_name!r} (lights=)"):
            vectors = check_array(others[light_name], dtype=np.float64)
            check_consistent_length(vectors, range(shape[0]))
        intensities = check_intensities(intensities, shape[0])
        framing = Framing(shape[1:], crop, downscale)
        inside = framing.mask(others.pop("mask", None) if mask is None else mask)
        image_bytes = int(np.prod(shape[1:])) * file_dtype.itemsize

        def read(index):
            where = f"{path}: image {index} of {images!r}"
            with _reading(path, f"its array {images!r}"):
                data = stored.read(image_bytes)
            if len(data) < image_bytes:
                raise ValueError(f"{where} ends after {len(data)} of {image_bytes} bytes")
            values = np.frombuffer(data, dtype=file_dtype).reshape(shape[1:])
            radiance = to_radiance(framing.cut(values), decode, where)
            if intensities is not None:
                radiance = divide_by_intensity(radiance, intensities[index])
            return framing.average(radiance)

        loaded = fill_array(
            read,
            shape[0],
            (*framing.shape, *shape[3:]),
            dtype=dtype,
            memmap=memmap,
            n_jobs=1,  # an archive is read from its start to its end
            progress=progress,
        )
    height, width = framing.shape
    left_out = ", ".join(name for name, array in read_too.items() if array is None)
    known = {
        "lights": vectors,
        "images": loaded,
        "light_name": light_name,
        "image_shape": (height, width),
        "file_dtype": file_dtype.name,
        "decode": resolve_decode(decode, file_dtype),
        "mask": inside,
        "DESCR": (
            f"{shape[0]} images of {height} x {width} pixels from {path}, {file_dtype.name}; lights are its "
            f"{light_name!r}, {vectors.shape[1]} columns."
            + (f" Larger than the images, and not read: {left_out}." if left_out else "")
        ),
    }
    return Bunch(**(others | known))


@contextmanager
def _reading(path, what):
    """Turn whatever reading a damaged archive raises into a ValueError that names it."""
    try:
        yield
    except Exception as error:
        # zipfile, zlib and NumPy raise a dozen types over damaged files, such as Python's TokenError over a header.
        raise ValueError(f"{path}: {what} cannot be read, cut or damaged: {error}") from error


def _read_header(archive, file):
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, fortran_order, dtype = read[version](file)
    check_claim(int(np.prod(shape, dtype=float)) * dtype.itemsize, archive.getinfo(file.name).compress_size, file.name)
    return shape, fortran_order, dtype


def _read_array(path, archive, name, largest):
    """Read an array of up to `largest` bytes; None for a larger one."""
    with _reading(path, f"its array {name!r}"):
        with archive.open(f"{name}.npy") as file:
            shape, _, dtype = _read_header(archive, file)
            if int(np.prod(shape, dtype=float)) * dtype.itemsize > largest:
                return None
        with archive.open(f"{name}.npy") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
