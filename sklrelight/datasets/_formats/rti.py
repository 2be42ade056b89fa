"""Captures for reflectance transformation imaging: photographs and an ``.lp`` file."""

import os
from pathlib import Path

from .lp import locate, read_lp
from .photographs import capture_bunch, read_photographs


def load_rti(
    folder,
    *,
    light_file=None,
    normalize=True,
    allow_outside=False,
    decode="linear",
    crop=None,
    downscale=1,
    mask=None,
    flat_field=None,
    orientation="first",
    dtype="float32",
    memmap=None,
    n_jobs=-1,
    progress=None,
):
    """Load a capture for reflectance transformation imaging (RTI).

    A folder with photographs and an ``.lp`` file that gives each one's light. Images that the ``.lp`` file
    does not name are left alone.

    Parameters
    ----------
    folder : path-like
        The folder; the names in the ``.lp`` file are relative to it.
    light_file : path-like, optional
        The ``.lp`` file, relative to `folder` or absolute. Needed where the folder holds several or none.
    normalize : bool, default=True
        Whether to scale the light vectors to unit length. Their lengths as given are in ``light_norms``.
    allow_outside : bool, default=False
        Whether the ``.lp`` file may name files outside of `folder`.
    decode : "linear", "srgb" or float, default="linear"
        How integer values become radiance: as they are, by the sRGB curve, or by the power `decode` (about
        2.2 for most cameras' JPEG files). Floating-point and RAW files are linear already.
    crop : (int, int, int, int), optional
        ``(top, bottom, left, right)``: the rows and columns to keep, in pixels of the photographs.
    downscale : int, default=1
        Average squares of so many pixels a side, in linear radiance, after `crop`. Rows and columns that do
        not fill a square, at the bottom and the right, are left out.
    mask : path-like or array-like of shape (height, width), optional
        Which pixels show the object: those brighter than half of the mask's brightest value, in pixels of
        the photographs. A path is relative to `folder`. The images keep their values outside; pass the
        `mask` that comes back on as `pixel_weight`.
    flat_field : path-like or array-like, optional
        Photographs of a white card, which the others are divided by, in linear radiance: one image file, a
        folder with a file of the same name for each photograph (paths are relative to `folder`), or linear
        radiance of shape (height, width[, 3]) or (n_lights, height, width[, 3]), in pixels of the
        photographs. 1 is then as bright as the card.
    orientation : "first", "each" or "ignore", default="first"
        Which EXIF orientation turns the photographs upright. A camera that looks straight down flips its
        flag by chance, while the pixels stay where they are: "first" applies the first photograph's to all.
        "each" applies to each its own.
    dtype : "float32" or "float16", default="float32"
        Of the images.
    memmap : path-like, optional
        Fill this ``.npy`` file image by image instead of memory, for stacks larger than memory. It appears
        when it is whole; one that exists is replaced.
    n_jobs : int, default=-1
        Files read at a time; -1 takes all cores.
    progress : bool, optional
        Whether to show a progress bar; by default with `memmap` only.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes:

        lights : ndarray of shape (n_lights, 3), float64
            Directions towards the light: x right, y up, z to the camera. Of unit length if `normalize`.
            Also as ``light_directions``.
        images : ndarray of shape (n_lights, height, width, 3) or, for grey files, (n_lights, height, width)
            Linear radiance, RGB, row 0 at the top; in [0, 1] for files of integers.
        light_norms : ndarray of shape (n_lights,)
            Lengths of the vectors in the file.
        filenames : list of str
            The photographs' paths.
        light_file : str
            The ``.lp`` file's path.
        image_shape : (int, int)
            Height and width of `images`.
        bit_depth : int
            Bits of a value in the files: 8, 16 or 32.
        file_dtype : str
            The type of a value in the files, such as "uint16".
        decode : "linear", "srgb" or float
            As passed.
        mask : ndarray of shape (height, width), bool, or None
            True inside; with `downscale`, where all averaged pixels are inside.
        orientation : int
            The EXIF orientation that was applied; the first photograph's for "each".
        DESCR : str
            What was loaded, in words.

    Raises
    ------
    ImportError
        If the package that reads the photographs' format is not installed.
    OSError
        If the folder, or an ``.lp`` file in it, is missing or cannot be read, or `memmap` cannot be written.
    ValueError
        If a line of the ``.lp`` file is malformed or names a missing file (the message has file and line),
        if there are several ``.lp`` files, or if a photograph is cut, damaged or unlike the others (the
        message names it).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.datasets import load_rti
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_rti(pathlib.Path(folder, "holiday"))
    Traceback (most recent call last):
    ...
    FileNotFoundError: No such folder: ...holiday
    """
    folder = Path(folder)
    light_path = _find_light_file(folder, light_file)
    described = read_lp(light_path)
    paths = locate(described, folder, light_path, allow_outside=allow_outside)
    photographs = read_photographs(
        paths,
        decode=decode,
        crop=crop,
        downscale=downscale,
        mask=within(folder, mask),
        flat_field=within(folder, flat_field),
        orientation=orientation,
        dtype=dtype,
        memmap=memmap,
        n_jobs=n_jobs,
        progress=progress,
    )
    return capture_bunch(
        photographs,
        described.vectors,
        paths,
        normalize=normalize,
        decode=decode,
        source=f"{folder} by {light_path.name}",
        light_file=str(light_path),
    )


def check_folder(folder):
    """Raise unless `folder` is a folder.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If it is missing, or is something else.
    """
    if not folder.exists():
        raise FileNotFoundError(f"No such folder: {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"Not a folder, but a file: {folder}")


def within(folder, source):
    """Return a path relative to `folder` (or absolute); anything else as it is.

    Parameters
    ----------
    folder : pathlib.Path
    source : object

    Returns
    -------
    object
    """
    return folder / source if isinstance(source, (str, os.PathLike)) else source


def _find_light_file(folder, light_file):
    check_folder(folder)
    if light_file is not None:
        path = folder / light_file
        if not path.is_file():
            raise FileNotFoundError(f"No such light file: {path}")
        return path
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".lp" and path.is_file())
    if not found:
        raise FileNotFoundError(
            f"No .lp file in {folder} ({sum(1 for _ in folder.iterdir())} entries); wanted one that gives each "
            "photograph's light, or light_file= to name it."
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{len(found)} .lp files in {folder}: {names}; choose one with light_file=.")
    return found[0]
