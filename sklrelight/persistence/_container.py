"""The file: a zip archive of a description in JSON and of compressed arrays, which the archive has checksums of."""

import json
import math
import os
import struct
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..utils import replacing
from ._schema import check

__all__ = ["Arrays", "open_container", "write_container"]

_DESCRIPTION = "model.json"
# A description holds no arrays but the history. Parsing JSON takes some 25 times its size in memory.
_LONGEST_DESCRIPTION = 2**24
_DTYPES = {
    name: np.dtype(name) for name in ("bool", "uint8", "uint16", "int32", "int64", "float16", "float32", "float64")
}
# The coding gives frequent bytes fewer bits, and at least one. It looks for no repeats, of which photographs have none.
_MOST_EXPANSION = 8
# Bytes that are coded, and read, at a time.
_CODED_BYTES, _READ_BYTES = 2**26, 2**20
# What reading an archive that is cut, damaged or made up may raise.
_UNREADABLE = (EOFError, OSError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error)


class Arrays:
    """Arrays of a file or in memory, each of which can be taken once.

    Parameters
    ----------
    layouts : dict of str to (dtype, tuple of int)
        Type and shape of each array.

    read : callable
        Returns the array of a name, a type and a shape.

    checking : bool, default=False
        Whether the arrays are those of a model that is there already, and what is read only has to be possible. Then
        nothing is made that would take as much memory as the model.

    Attributes
    ----------
    n_bytes : int
        Number of bytes of all arrays, and some for the description.
    """

    def __init__(self, layouts, read, checking=False):
        self._left = dict(layouts)
        self._read = read
        self.checking = checking
        self.n_bytes = 2**16 + sum(_n_bytes(*layout) for layout in layouts.values())

    def layout(self, name):
        """Look up the type and the shape of an array without reading it."""
        if name not in self._left:
            raise ValueError(f"there is no array {name!r}")
        return self._left[name]

    def take(self, name):
        """Read an array into writable memory."""
        layout = self.layout(name)
        del self._left[name]
        return self._read(name, *layout)

    def check_all_taken(self):
        """Refuse a file with arrays that the description does not mention."""
        if self._left:
            raise ValueError(f"there are arrays that belong to nothing: {sorted(self._left)[:3]}")


def write_container(path, description, arrays):
    """Write a file. It appears under its name when it is whole.

    Parameters
    ----------
    path : path-like
        The file.

    description : dict
        Description that JSON can hold, without numbers that are not finite.

    arrays : dict of str to ndarray
        Arrays of bool or of numbers of up to 8 bytes.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the description is too long.
    """
    layouts = {name: [array.dtype.name, array.shape] for name, array in arrays.items()}
    text = json.dumps({**description, "arrays": layouts}, allow_nan=False, separators=(",", ":"))
    if len(text) > _LONGEST_DESCRIPTION:
        raise ValueError(f"{path}: a model whose description takes {len(text)} characters cannot be saved")
    with replacing(path) as temporary, open(temporary, "wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            # An entry of its own has no time of day, so that the same model makes the same file.
            archive.writestr(zipfile.ZipInfo(_DESCRIPTION), text)
            for name, array in arrays.items():
                entry = zipfile.ZipInfo(name)
                # Tells whether the entry may need the fields of a large one.
                entry.file_size = array.nbytes
                with archive.open(entry, "w") as stream:
                    stream.writelines(_compress(array))
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def open_container(path):
    """Open a file.

    Parameters
    ----------
    path : path-like
        The file.

    Yields
    ------
    description : dict
        What :func:`write_container` was given.

    arrays : Arrays
        The arrays, which are not read yet.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut, damaged, or of another kind. The size of the file bounds the memory that is taken.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {path}")
    with open(path, "rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except _UNREADABLE as error:
            raise ValueError(f"{path}: the file is cut, or not one that save_model wrote: {error}") from error
        with archive:
            try:
                yield _read_description(archive, path.stat().st_size)
            except _UNREADABLE as error:
                raise ValueError(f"{path}: {error}") from error


def _read_description(archive, n_bytes):
    """Give the description and the arrays of an archive whose sizes are possible."""
    members = {info.filename: info for info in archive.infolist()}
    check(_DESCRIPTION in members, f"not a file that save_model wrote: there is no {_DESCRIPTION}")
    plain = all(info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1 for info in members.values())
    sizes = {name: info.file_size for name, info in members.items()}
    check(plain and sum(sizes.values()) <= n_bytes, "the sizes of its parts are impossible")
    length = sizes.pop(_DESCRIPTION)
    check(length <= _LONGEST_DESCRIPTION, f"a description of {length} bytes is longer than that of any model")
    try:
        description = json.loads(_read(archive, _DESCRIPTION))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the description cannot be read: {error}") from error
    check(isinstance(description, dict), "the description is no object")
    layouts = description.pop("arrays", None)
    check(isinstance(layouts, dict) and layouts.keys() == sizes.keys(), "the arrays are not those of the description")
    layouts = {name: _check_layout(name, layout, sizes[name]) for name, layout in layouts.items()}
    return description, Arrays(layouts, lambda name, *layout: _decompress(archive, name, *layout))


def _check_layout(name, layout, n_bytes):
    """Give the type and the shape that a file states of an array, which takes these bytes in it."""
    possible = isinstance(layout, list) and len(layout) == 2 and isinstance(layout[0], str) and layout[0] in _DTYPES
    check(possible, f"array {name!r} has a type that no model has")
    dtype, shape = _DTYPES[layout[0]], layout[1]
    possible = isinstance(shape, list) and all(isinstance(n, int) and n >= 0 for n in shape)
    fits = possible and _n_bytes(dtype, shape) <= _MOST_EXPANSION * n_bytes
    check(fits, f"array {name!r} has a shape that does not fit its {n_bytes} bytes")
    return dtype, tuple(shape)


def _n_bytes(dtype, shape):
    return dtype.itemsize * math.prod(shape)


def _read(archive, name):
    try:
        return archive.read(name)
    except _UNREADABLE as error:
        raise ValueError(f"{name} is damaged: {error}") from error


def _compress(array):
    """Code an array: the first bytes of all numbers, then the second, and so on, because like bytes compress well."""
    rows = np.atleast_1d(array)
    n_rows = max(1, _CODED_BYTES // max(1, _n_bytes(array.dtype, rows.shape[1:])))
    stream = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    # Some rows at a time, because a copy of all may be large.
    for number in range(array.itemsize):
        for first in range(0, len(rows), n_rows):
            # Little-endian on every machine.
            block = np.require(rows[first : first + n_rows], array.dtype.newbyteorder("<"), "C")
            plane = block.reshape(-1).view(np.uint8)[number :: array.itemsize]
            yield stream.compress(np.ascontiguousarray(plane).data)
    yield stream.flush()


def _decompress(archive, name, dtype, shape):
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    planes = np.empty(_n_bytes(dtype, shape), np.uint8)
    end, complete = 0, True
    try:
        with archive.open(name) as file:
            while complete and (data := file.read(_READ_BYTES)):
                # One more than there should be: 0 would be no limit.
                part = stream.decompress(data, len(planes) - end + 1)
                complete = end + len(part) <= len(planes) and not stream.unused_data
                if complete:
                    planes[end : end + len(part)] = np.frombuffer(part, np.uint8)
                end += len(part)
    except _UNREADABLE as error:
        raise ValueError(f"array {name!r} is damaged: {error}") from error
    check(complete and end == len(planes) and stream.eof, f"array {name!r} has other bytes than its shape takes")
    numbers = np.ascontiguousarray(planes.reshape(dtype.itemsize, -1).T)
    return numbers.reshape(-1).view(dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
