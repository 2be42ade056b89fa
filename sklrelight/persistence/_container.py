"""The file: arrays as safetensors, a description in JSON beside them, and a checksum over the whole."""

import hashlib
import json
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..utils import import_extra, replacing

__all__ = ["open_container", "write_container"]

# Key of the description in the metadata of a safetensors file. It is the only entry: the order of several is random.
_KEY = "sklrelight"
# A description holds no arrays, so that no model has a longer one. Parsing JSON takes some 25 times its size in memory.
_LONGEST_HEADER = 2**22
_NO_DIGEST = "0" * 64
# The description is JSON within the JSON of the header. A text within it cannot look like this: its quotes are escaped
# once more.
_DIGEST_START = b'\\"sha256\\":\\"'
_CHUNK = 2**20
_DTYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32, "BOOL": np.bool_}


def write_container(path, description, arrays):
    """Write a file. It appears under its name when it is whole.

    Parameters
    ----------
    path : path-like
        The file.

    description : dict
        Description that JSON can hold, without numbers that are not finite.

    arrays : dict of str to ndarray
        Arrays of bool or of numbers of up to 8 bytes, in C order.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    OSError
        If the file cannot be written.
    ValueError
        If the description is too long.
    """
    save_file = import_extra("safetensors.numpy", "share", "To save a model").save_file
    text = json.dumps({"sha256": _NO_DIGEST, **description}, allow_nan=False, separators=(",", ":"))
    # The header escapes its quotes once more, and has a line for each array.
    if 2 * len(text) + sum(150 + len(name) for name in arrays) > _LONGEST_HEADER:
        raise ValueError(f"{path}: a model whose description takes {len(text)} characters cannot be saved")
    with replacing(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(arrays, temporary, metadata={_KEY: text})
        # safetensors lets nobody but the owner read a file.
        temporary.chmod(mode)
        with open(temporary, "r+b") as file:
            header = _read_header(file, os.path.getsize(temporary), path)
            start = _digest_start(header, path)
            digest = _digest(file, start)
            file.seek(start)
            file.write(digest.encode())
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def open_container(path):
    """Open a file and verify its checksum.

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
    ImportError
        If safetensors is not installed.
    ValueError
        If the file is cut, damaged, or of another kind. The size of the file bounds the memory that is taken.
    """
    path = Path(path)
    safetensors = import_extra("safetensors", "share", "To load a model")
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {path}")
    with open(path, "rb") as file:
        header = _read_header(file, os.path.getsize(path), path)
        start = _digest_start(header, path)
        digest = _digest(file, start)
    if header[start - 8 : start - 8 + len(digest)] != digest.encode():
        raise ValueError(f"{path}: the checksum does not fit, the file is cut or damaged")
    try:
        file = safetensors.safe_open(path, framework="np")
        metadata = file.metadata() or {}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path}: no readable safetensors file: {error}") from error
    with file:
        yield _parse(metadata.get(_KEY, ""), path), Arrays(file, os.path.getsize(path))


class Arrays:
    """The arrays of an open file, each of which can be taken once.

    Parameters
    ----------
    file : safe_open
        The file.

    n_bytes : int
        Size of the file.
    """

    def __init__(self, file, n_bytes):
        self._file = file
        self._left = set(file.keys())
        self.n_bytes = n_bytes

    def layout(self, name):
        """Look up the type and the shape of an array without reading it."""
        if name not in self._left:
            raise ValueError(f"there is no array {name!r}")
        layout = self._file.get_slice(name)
        dtype = _DTYPES.get(layout.get_dtype())
        if dtype is None:
            raise ValueError(f"array {name!r} has the type {layout.get_dtype()}, which no model has")
        return np.dtype(dtype), tuple(layout.get_shape())

    def take(self, name):
        """Read an array into writable memory."""
        self.layout(name)
        self._left.remove(name)
        return np.require(self._file.get_tensor(name), requirements=["C", "A", "W", "O"])

    def check_all_taken(self):
        """Refuse a file with arrays that the description does not mention."""
        if self._left:
            raise ValueError(f"there are arrays that belong to nothing: {sorted(self._left)[:3]}")


def _parse(text, path):
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its description cannot be read: {error}") from error
    if not isinstance(description, dict) or description.pop("sha256", None) is None:
        raise ValueError(f"{path}: its description is not that of a model")
    return description


def _read_header(file, n_bytes, path):
    """Read the header of a safetensors file."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > n_bytes - 8:
        raise ValueError(f"{path}: the file is cut, or no safetensors file: it has {n_bytes} bytes")
    if length > _LONGEST_HEADER:
        raise ValueError(f"{path}: a header of {length} bytes is longer than that of any model")
    return file.read(length)


def _digest_start(header, path):
    """Find the position of the checksum in the file."""
    if header.count(_DIGEST_START) != 1:
        raise ValueError(f"{path}: not a file that save_model wrote")
    return 8 + header.index(_DIGEST_START) + len(_DIGEST_START)


def _digest(file, start):
    """Compute the checksum of a file with zeros in place of its digits."""
    sha256 = hashlib.sha256()
    file.seek(0)
    sha256.update(file.read(start))
    sha256.update(_NO_DIGEST.encode())
    file.seek(start + len(_NO_DIGEST))
    while chunk := file.read(_CHUNK):
        sha256.update(chunk)
    return sha256.hexdigest()
