"""Light-position (``.lp``) files: which photograph was taken under which light."""

import math
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...utils import replacing

__all__ = ["LightPositions", "has_usable_length", "locate", "read_lp", "write_lp"]

# Plain decimal numbers only: float() alone would also take "nan", "1_000" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_DRIVE = re.compile(r"[A-Za-z]:")


class LightPositions(NamedTuple):
    """Content of an ``.lp`` file, line by line."""

    filenames: list[str]
    """Names as relative paths with forward slashes."""
    vectors: np.ndarray
    """Light vectors of shape (n_lights, 3), float64, as given."""
    line_numbers: list[int]
    """The line of the file (from 1) that each came from."""


def read_lp(path):
    r"""Read an ``.lp`` file.

    Each line gives one light: the photograph's name, then x, y and z (x right, y up, z to the camera), separated by
    blanks or tabs. A first line with a number alone is the count of the lights; without one, all lines are read. Names
    may hold spaces, sub-folders and Windows separators, which become ``/``. Empty lines, a byte-order mark and any kind
    of line end are accepted.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    LightPositions
        A named tuple of ``filenames``, ``vectors`` of shape (n_lights, 3) and ``line_numbers``.

    Raises
    ------
    ValueError
        If a line is malformed, a vector is not finite or has no length, a photograph is named twice, the count is not
        that of the lines, or there is no light at all. The message names the file and the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "dirs.lp")
    ...     _ = path.write_text("1\nshots\\first light.jpg 0.6 0 0.8\n")
    ...     read_lp(path)
    LightPositions(filenames=['shots/first light.jpg'], vectors=array([[0.6, 0. , 0.8]]), line_numbers=[2])
    """
    path = Path(path)
    count, count_line = None, 0
    vectors: list[list[float]] = []
    line_numbers: dict[str, int] = {}  # by name
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip()
        if not text:
            continue
        if not line_numbers and count is None and _COUNT.fullmatch(text):
            count, count_line = int(text), number
            continue
        name, vector = _parse(text, f"{path}, line {number}")
        if name in line_numbers:
            raise ValueError(
                f"{path}, line {number}: {name!r} is already named in line {line_numbers[name]}; "
                "each photograph has one light"
            )
        line_numbers[name] = number
        vectors.append(vector)
    if not vectors:
        raise ValueError(f"{path}, line 1: no light in this file; wanted lines such as 'image01.jpg 0.6 0.0 0.8'")
    if count is not None and count != len(vectors):
        raise ValueError(
            f"{path}, line {count_line}: the count is {count}, but {len(vectors)} lights follow "
            f"(the last in line {max(line_numbers.values())})"
        )
    return LightPositions(list(line_numbers), np.array(vectors), list(line_numbers.values()))


def write_lp(path, filenames, vectors):
    """Write an ``.lp`` file, with its count line.

    Parameters
    ----------
    path : path-like
        The file; replaced in one step where it exists.

    filenames : sequence of str
        Names of the photographs, one a light; without line breaks.

    vectors : array-like of shape (n_lights, 3)
        Light vectors; written so that they read back to the bit.

    Raises
    ------
    ValueError
        If the numbers of names and vectors differ, or one of them would not read back.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.shape != (len(filenames), 3):
        raise ValueError(f"{path}: vectors has shape {vectors.shape}, wanted ({len(filenames)}, 3) for as many names")
    lines = [str(len(filenames))]
    for name, vector in zip(filenames, vectors, strict=True):
        line = " ".join([name, *(repr(float(value)) for value in vector)])
        if "\n" in line or "\r" in line or _parse(line.strip(), f"{path}, {name!r}")[0] != name:
            raise ValueError(
                f"{path}: the name {name!r} would not read back: no line breaks, backslashes, or blanks at its ends"
            )
        lines.append(line)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def locate(lights, folder, light_file, *, allow_outside=False):
    """Turn the names in an ``.lp`` file into paths of files that exist.

    Parameters
    ----------
    lights : LightPositions
        What `read_lp` returned.

    folder : path-like
        What the names are relative to.

    light_file : path-like
        The ``.lp`` file, for the messages.

    allow_outside : bool, default=False
        Whether names may lead out of `folder`: absolute ones, those with ``..`` and symbolic links.

    Returns
    -------
    list of pathlib.Path
        The files, one a light.

    Raises
    ------
    ValueError
        If a name leads out of `folder` unallowed, or to no file. The message names the ``.lp`` file and the line.
    """
    root = os.path.realpath(folder)
    paths = []
    for name, number in zip(lights.filenames, lights.line_numbers, strict=True):
        path = os.path.join(folder, name)
        inside = not _DRIVE.match(name) and os.path.commonpath([root, os.path.realpath(path)]) == root
        if not (inside or allow_outside):
            raise ValueError(
                f"{light_file}, line {number}: {name!r} lies outside of the folder {folder}; "
                "pass allow_outside=True to read it nevertheless"
            )
        if not os.path.isfile(path):
            raise ValueError(f"{light_file}, line {number}: no such file: {path}")
        paths.append(Path(path))
    return paths


def has_usable_length(vector):
    """Tell whether a vector has a length that can be divided by, and whose square is a number.

    Examples
    --------
    >>> has_usable_length([3.0, 4.0, 0.0]), has_usable_length([0.0, 0.0, 0.0]), has_usable_length([1e200, 0.0, 0.0])
    (True, False, False)
    """
    return 1e-100 <= math.hypot(*vector) <= 1e100


def _lines(path):
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        # What some Windows editors call "Unicode".
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            # Old Windows files with accents in the names; Latin-1 takes any byte.
            text = data.decode("latin-1")
    # Not splitlines(), which would break names at exotic characters as well.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _parse(text, where):
    """Split one line into the name and its three numbers."""
    fields = text.rsplit(maxsplit=3)
    if len(fields) < 4 or not all(_NUMBER.fullmatch(field) for field in fields[1:]):
        raise ValueError(f"{where}: got {_shortened(text)}, wanted a file name and three numbers x y z")
    if "\0" in text:
        raise ValueError(f"{where}: the name in {_shortened(text)} holds a zero byte, which no file name can")
    vector = [float(field) for field in fields[1:]]
    if not has_usable_length(vector):
        raise ValueError(
            f"{where}: the vector {vector} has length {math.hypot(*vector):g}, wanted one from 1e-100 to 1e100"
        )
    return fields[0].replace("\\", "/"), vector


def _shortened(text):
    return repr(text if len(text) <= 80 else text[:77] + "...")
