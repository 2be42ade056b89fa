"""Captures in the layout of the DiLiGenT benchmark for photometric stereo."""

from pathlib import Path

import numpy as np

from .lp import LightPositions, has_usable_length, locate
from .photographs import check_folder, load_photographs

__all__ = ["load_diligent"]


def load_diligent(
    folder,
    *,
    divide_intensities=True,
    mask="mask.png",
    allow_outside=False,
    **options,
):
    """Load a capture in the layout of the DiLiGenT benchmark [1]_.

    The folder holds ``filenames.txt`` (one photograph a line), ``light_directions.txt`` and ``light_intensities.txt``
    (three numbers a line), and a mask.

    Parameters
    ----------
    folder : path-like
        The folder; the names in ``filenames.txt`` are relative to it.

    divide_intensities : bool, default=True
        Whether to divide each photograph's channels by its light's intensities, so that all lights are of intensity 1.
        Values may then exceed 1. The photographs have to be in colour.

    mask : path-like, array-like or None, default="mask.png"
        As in `load_rti`; None for a capture without a mask.

    allow_outside : bool, default=False
        Whether ``filenames.txt`` may name files outside of `folder`.

    **options
        ``normalize``, ``decode``, ``crop``, ``downscale``, ``flat_field``, ``orientation``, ``dtype``, ``memmap``,
        ``n_jobs`` and ``progress``, as in `load_rti`.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with the attributes that `load_rti` returns (without ``light_file``), and

        light_intensities : ndarray of shape (n_lights, 3), float64
            Intensities of each light's red, green and blue, as in the file.

    Raises
    ------
    ImportError
        If the package that reads the photographs' format is not installed.

    OSError
        If the folder or one of the text files is missing or cannot be read, or `memmap` cannot be written.

    ValueError
        If a line is malformed or names a missing file (the message has file and line), the files differ in length, a
        photograph is cut, damaged or unlike the others (the message names it), or grey photographs are to be divided.

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
    vectors = _read_triples(folder / "light_directions.txt", len(names), names_file)
    intensities = _read_triples(folder / "light_intensities.txt", len(names), names_file)
    if not np.all(intensities > 0):
        raise ValueError(f"{folder / 'light_intensities.txt'}: an intensity is {intensities.min()}, wanted all above 0")
    capture = load_photographs(
        folder,
        locate(LightPositions(names, vectors, line_numbers), folder, names_file, allow_outside=allow_outside),
        vectors,
        source=f"{folder}, {'' if divide_intensities else 'not '}divided by the lights' intensities",
        mask=mask,
        divide_by=intensities if divide_intensities else None,
        **options,
    )
    capture.light_intensities = intensities
    return capture


def _read_lines(path):
    """Return the lines that are not blank, with their numbers."""
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {path}; the DiLiGenT layout has one")
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]


def _read_names(path):
    numbers: dict[str, int] = {}  # of the lines, by name
    for number, name in _read_lines(path):
        if name in numbers:
            raise ValueError(f"{path}, line {number}: {name!r} is already named in line {numbers[name]}")
        numbers[name] = number
    if not numbers:
        raise ValueError(f"{path}: the file names no photograph")
    return [name.replace("\\", "/") for name in numbers], list(numbers.values())


def _read_triples(path, n_wanted, names_file):
    triples = []
    for number, line in _read_lines(path):
        try:
            values = [float(field) for field in line.split()]
        except ValueError:
            values = []
        if len(values) != 3 or not has_usable_length(values):
            raise ValueError(
                f"{path}, line {number}: got {line[:80]!r}, wanted three numbers, a vector of length 1e-100 to 1e100"
            )
        triples.append(values)
    if len(triples) != n_wanted:
        raise ValueError(f"{path}: {len(triples)} lines, wanted {n_wanted}, as many as {names_file} names")
    return np.array(triples)
