"""Light-position (``.lp``) files: which photograph was taken under which light."""

import json
import math
import re
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...utils import check_file, replacing

__all__ = ["LightPositions", "has_usable_length", "read_dome", "read_lines", "read_lp", "read_numbers", "write_lp"]

# Plain decimal numbers only: float() alone would also take "nan", "1_000" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+\.?|\d*[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_SEPARATORS = (";", None, ",")
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_SUFFIX = re.compile(r"\.[A-Za-z]\w{1,4}[\"']?$", re.ASCII)


class LightPositions(NamedTuple):
    """Content of an ``.lp`` file, line by line."""

    filenames: list[str]
    """Names as paths with forward slashes."""
    vectors: np.ndarray
    """Light vectors of shape (n_lights, 3), float64, as given."""
    line_numbers: list[int]
    """The line of the file (from 1) that each came from."""


def read_lp(path):
    r"""Read an ``.lp`` file.

    Each line gives one light: the photograph's name, then x, y and z (x right, y up, z to the camera), separated by
    blanks, tabs, semicolons or commas. A first line with a number alone is the count of the lights; without one, all
    lines are read. Names may hold blanks, stand in quotes, and have sub-folders and Windows separators, which become
    ``/``. Empty lines, lines that begin with ``#``, a first line of column names that end in x, y and z, decimal
    commas, a byte-order mark and any kind of line end are accepted.

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
        If a line is malformed or has further columns, a vector is not finite or has no length, a photograph is named
        twice, the count is not that of the lines, or there is no light at all. The message names the file and the line.

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
    for number, text in read_lines(path):
        if not line_numbers and count is None and _COUNT.fullmatch(text):
            count, count_line = int(text), number
            continue
        if not line_numbers and _is_header(text):
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
        if re.search(r"[\n\r]|^#", line) or _parse(line.strip(), f"{path}, {name!r}")[0] != name:
            raise ValueError(
                f"{path}: the name {name!r} would not read back: no line breaks, backslashes, quotes around it, # at "
                "its start, or blanks at its ends"
            )
        lines.append(line)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def read_dome(path):
    """Read the lights of a ``.dome`` file, as RelightLab writes them.

    The file is JSON. Where it says that its lights are "spherical" or "lights3d", their positions in millimetres are
    read, otherwise the directions.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    LightPositions
        The light vectors in the order of the file, without filenames.

    Raises
    ------
    ValueError
        If it is no such file, or a vector is not finite or has no length. The message names the file and the light.
    """
    check_file(Path(path))
    try:
        content = json.loads(Path(path).read_bytes())
        kind = {"spherical": "positionsSphere", "lights3d": "positions3d"}.get(content.get("lightConfiguration"))
        found = content.get(kind) or content.get("directions") or content.get("positions")
        vectors = [
            [float(value) for value in (light if isinstance(light, list) else [light[axis] for axis in "xyz"])]
            for light in found
        ]
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: cannot be read as a .dome file, wanted JSON with 'directions' of x, y and z: {error}"
        ) from error
    for number, vector in enumerate(vectors):
        if len(vector) != 3 or not has_usable_length(vector):
            raise ValueError(f"{path}: light {number} is {vector}, wanted x, y and z of length 1e-100 to 1e100")
    return LightPositions([], np.array(vectors).reshape(-1, 3), [])


def has_usable_length(vector):
    """Tell whether a vector has a length that can be divided by, and whose square is a number.

    Examples
    --------
    >>> has_usable_length([3.0, 4.0, 0.0]), has_usable_length([0.0, 0.0, 0.0]), has_usable_length([1e200, 0.0, 0.0])
    (True, False, False)
    """
    return 1e-100 <= math.hypot(*vector) <= 1e100


def read_lines(path):
    """Return the lines of a text file that are neither blank nor comments, with their numbers."""
    check_file(Path(path))
    data = Path(path).read_bytes()
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
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # Spreadsheets fill short rows with separators.
    stripped = ((number, line.strip().rstrip(",; \t")) for number, line in enumerate(lines, start=1))
    return [(number, line) for number, line in stripped if line and not line.startswith("#")]


def read_numbers(text):
    """Read a line of numbers: an empty list unless it holds nothing but those."""
    for separator in _SEPARATORS:
        numbers = [_number(field, separator) for field in text.split(separator)]
        if None not in numbers:
            return numbers
    return []


def _number(field, separator):
    """Read a number with a decimal point, or a comma where commas separate nothing; None where it is no plain one."""
    text = _unquoted(field.strip().rstrip(",;")).replace("\N{MINUS SIGN}", "-")
    if not _NUMBER.fullmatch(text) or _THOUSANDS.fullmatch(text) or (separator == "," and "," in text):
        return None
    return float(text.replace(",", "."))


def _is_header(text):
    fields = text.replace(",", " ").replace(";", " ").split()
    return len(fields) > 3 and [field.strip("\"'")[-1:].lower() for field in fields[-3:]] == ["x", "y", "z"]


def _parse(text, where):
    """Split one line into the name and its three numbers."""
    for separator in _SEPARATORS:
        name, *fields = text.rsplit(separator, 3)
        vector = [_number(field, separator) for field in fields]
        if len(vector) == 3 and None not in vector:
            break
    else:
        hint = "; 1,200 may be 1.2 or 1200: write a point" if _THOUSANDS.search(text) else ""
        raise ValueError(f"{where}: got {_shortened(text)}, wanted a file name and three numbers x y z{hint}")
    if "\0" in text:
        raise ValueError(f"{where}: the name in {_shortened(text)} holds a zero byte, which no file name can")
    name = name.strip().rstrip(",; \t")
    if _has_numbers_behind(name, separator):
        raise ValueError(
            f"{where}: got {_shortened(text)}, more than a file name and three numbers x y z: remove the further "
            "columns (intensities of the lights can be given as intensities=), or put the name in quotes"
        )
    if not has_usable_length(vector):
        raise ValueError(
            f"{where}: the vector {vector} has length {math.hypot(*vector):g}, wanted one from 1e-100 to 1e100"
        )
    return _unquoted(name).replace("\\", "/"), vector


def _has_numbers_behind(name, separator):
    """Tell whether what should be a file name is one with further columns."""
    first, *fields = name.split(separator)
    numbers = list(takewhile(lambda field: _number(field, separator) is not None, reversed(fields)))
    before = [first, *fields][-1 - len(numbers)]
    # "shot 12" may be a name; "shot 0.6" and "shot.jpg 12" are a name and a number.
    named = _SUFFIX.search(before.strip()) or not all(number.strip().isdigit() for number in numbers)
    return bool(numbers and named)


def _unquoted(text):
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _shortened(text):
    return repr(text if len(text) <= 80 else text[:77] + "...")
