"""Captures in the layout of the DiLiGenT benchmark for photometric stereo."""

from pathlib import Path

import numpy as np

from ...utils import naming
from .lp import LightPositions, has_usable_length, read_lines, read_numbers
from .matching import locate
from .photographs import check_folder, check_intensities, load_photographs

__all__ = ["load_diligent"]


def load_diligent(
    folder,
    *,
    divide_intensities=True,
    intensities=None,
    mask="mask.png",
    missing="error",
    allow_outside=False,
    **options,
):
    """Load a capture in the layout of the DiLiGenT benchmark [1]_.

    The folder holds ``filenames.txt`` (one photograph a line), ``light_directions.txt`` (three numbers a line),
    ``light_intensities.txt`` (three numbers a line, or one) and a mask. Between numbers are blanks, tabs, commas or
    semicolons.

    Parameters
    ----------
    folder : path-like
        The folder; the names in ``filenames.txt`` are relative to it.

    divide_intensities : bool, default=True
        Whether to divide each photograph's channels by its light's intensities, so that all lights are of intensity 1;
        grey photographs by the mean of the three. Values may then exceed 1. Where it is False, the file of intensities
        may be missing.

    intensities : array-like of shape (n_lights,) or (n_lights, 3), optional
        Intensities to take in place of those in the file, which may then be missing.

    mask : path-like, array-like or None, default="mask.png"
        As in `load_rti`; None for a capture without a mask.

    missing : "error" or "skip", default="error"
        Whether photographs that ``filenames.txt`` names and that are not there are an error, or a warning.

    allow_outside : bool, default=False
        Whether ``filenames.txt`` may name files outside of `folder`.

    **options
        ``normalize``, ``decode``, ``layer``, ``clip_negative``, ``crop``, ``downscale``, ``flat_field``,
        ``orientation``, ``dtype``, ``memmap``, ``n_jobs`` and ``progress``, as in `load_rti`.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with the attributes that `load_rti` returns (without ``light_file``), and

        light_intensities : ndarray of shape (n_lights, 3) or (n_lights, 1), float64, or None
            Intensities of each light's red, green and blue, or of all, as in the file; None without it.

    Raises
    ------
    ImportError
        If the package that reads the photographs' format is not installed.

    OSError
        If the folder or one of the text files is missing or cannot be read, or `memmap` cannot be written.

    ValueError
        If a line is malformed or names a missing file (the message has file and line), the files differ in length, a
        photograph is cut, damaged or unlike the others (the message names it).

    References
    ----------
    .. [1] B. Shi, Z. Wu, Z. Mo, D. Duan, S.-K. Yeung, P. Tan, "A Benchmark Dataset and Evaluation for
       Non-Lambertian and Uncalibrated Photometric Stereo", CVPR 2016.

    Examples
    --------
    >>> from sklrelight.datasets import load_diligent
    >>> load_diligent("no/such/capture")
    Traceback (most recent call last):
    ...
    FileNotFoundError: No such folder: no/such/capture
    """
    folder = Path(folder)
    check_folder(folder)
    names_file = folder / "filenames.txt"
    names, line_numbers = _read_names(names_file)
    vectors = _read_rows(folder / "light_directions.txt", names, (3,))
    intensities_file = folder / "light_intensities.txt"
    if intensities is None and (divide_intensities or intensities_file.exists()):
        intensities = _read_rows(intensities_file, names, (1, 3))
        with naming(str(intensities_file)):
            check_intensities(intensities, len(names))
    intensities = check_intensities(intensities, len(names))
    paths = locate(
        LightPositions(names, vectors, line_numbers), folder, names_file, allow_outside=allow_outside, missing=missing
    )
    found = [path is not None for path in paths]
    intensities = None if intensities is None else intensities[found]
    capture = load_photographs(
        folder,
        [path for path in paths if path is not None],
        vectors[found],
        source=str(folder),
        mask=mask,
        intensities=intensities if divide_intensities else None,
        **options,
    )
    capture.light_intensities = intensities
    return capture


def _read_lines(path):
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {path}; the DiLiGenT layout has one")
    return read_lines(path)


def _read_names(path):
    numbers: dict[str, int] = {}  # of the lines, by name
    for number, name in _read_lines(path):
        if name in numbers:
            raise ValueError(f"{path}, line {number}: {name!r} is already named in line {numbers[name]}")
        numbers[name] = number
    if not numbers:
        raise ValueError(f"{path}: the file names no photograph")
    return [name.replace("\\", "/") for name in numbers], list(numbers.values())


def _read_rows(path, names, widths):
    """Read as many rows of numbers as there are names, all of the same one of the widths."""
    rows: list[list[float]] = []
    for number, line in _read_lines(path):
        row = read_numbers(line)
        if len(row) not in widths or not has_usable_length(row):
            wanted = " or ".join({1: "one number", 3: "three numbers"}[width] for width in widths)
            raise ValueError(
                f"{path}, line {number}: got {line[:80]!r}, wanted {wanted}, a vector of length 1e-100 to 1e100"
            )
        widths = (len(row),)
        rows.append(row)
    if len(rows) != len(names):
        raise ValueError(f"{path}: {len(rows)} lines, wanted {len(names)}, as many as filenames.txt names")
    return np.array(rows)
