"""The file that a fit which was killed goes on from: how it is written, read, and told from another fit's."""

import hashlib
import io
import os
import pickle
import re
from pathlib import Path

import numpy as np
import torch

__all__ = ["CheckpointFile", "array_digest", "fit_fingerprint"]

# With the number of the format, which is another one whenever the state or what is done with it changes.
_MAGIC = b"sklrelight checkpoint 3\n"
_DIGEST_SIZE = hashlib.sha256().digest_size

# Words of 8 bytes that are summed into one.
_BLOCK = 512


class CheckpointFile:
    """A file with the state of a fit.

    Parameters
    ----------
    path : path-like
        The file. Its folder must exist.

    fingerprint : dict of str
        Tells the fit from others (`fit_fingerprint`).

    Notes
    -----
    The file holds a line with the name of the format, the SHA-256 digest of the rest, and the rest: fingerprint and
    state as torch saves them. It is loaded with ``weights_only=True``, which runs no code out of a file.
    """

    def __init__(self, path, fingerprint):
        self.path = Path(path)
        self.fingerprint = fingerprint

    def read(self):
        """Read the state.

        Returns
        -------
        dict or None
            None where there is no file.

        Raises
        ------
        ValueError
            If the file is damaged, no checkpoint, or of another fit.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except IsADirectoryError:
            raise ValueError(f"checkpoint={str(self.path)!r} is a folder; it must be the name of a file") from None
        if not content.startswith(_MAGIC):
            raise ValueError(
                f"{self.path} is damaged, or not a checkpoint of this version of sklrelight. Delete it to train from"
                " the start, or give another checkpoint="
            )
        digest, body = content[len(_MAGIC) :][:_DIGEST_SIZE], content[len(_MAGIC) + _DIGEST_SIZE :]
        if hashlib.sha256(body).digest() != digest:
            raise ValueError(f"The checkpoint {self.path} is damaged. Delete it to train from the start")
        try:
            saved = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ValueError(f"{self.path} is no checkpoint of sklrelight: it holds more than data") from error
        self._compare(saved["fingerprint"])
        return saved["state"]

    def _compare(self, other):
        differences = []
        for name in self.fingerprint.keys() | other.keys():
            before, now = other.get(name, "not there"), self.fingerprint.get(name, "not there")
            if before != now:
                differences.append(f"{name} was {before} and is {now}")
        if differences:
            raise ValueError(
                f"The checkpoint {self.path} is of another fit: {'; '.join(sorted(differences))}. Fit with what it was"
                " made with to go on, delete it to train from the start, or give another checkpoint="
            )

    def write(self, state):
        """Write the state, in place of an earlier one.

        Whenever the process or the machine stops, there is a whole file under the name: the earlier one or this one.

        Parameters
        ----------
        state : dict
            Tensors, numbers and strings in dicts and lists.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, "state": state}, buffer)
        body = buffer.getbuffer()
        try:
            with self._part.open("wb") as file:
                file.write(_MAGIC)
                file.write(hashlib.sha256(body).digest())
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._part, self.path)
        except OSError as error:
            self._part.unlink(missing_ok=True)
            message = f"Cannot write the checkpoint {self.path}: {error.strerror or error}"
            raise type(error)(error.errno, message) from error

    @property
    def _part(self):
        # Always the same name, so that what a process left that was killed here is overwritten and not left for good.
        return self.path.with_name(self.path.name + ".part")

    def remove(self):
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)


def fit_fingerprint(parameters, arrays, **others):
    """Describe what a fit depends on.

    Parameters
    ----------
    parameters : dict
        Name and value of each parameter.

    arrays : dict of ndarray or None
        Name and value of each table of data.

    **others
        More names and values.

    Returns
    -------
    dict of str
        A text for each name. Two of them differ where fits do; but a random generator counts as any other one.

    Examples
    --------
    >>> fit_fingerprint({"dropout": 0.1}, {"y": None}, device="cpu")
    {'dropout': '0.1', 'device': "'cpu'", 'y': 'None'}
    """
    described = {name: _describe(value) for name, value in (parameters | others).items()}
    tables = {name: "None" if table is None else array_digest(table) for name, table in arrays.items()}
    return described | tables


def _describe(value):
    if isinstance(value, np.ndarray):
        return array_digest(value)
    if hasattr(value, "get_params"):
        # Its parameters stand under names of their own.
        return f"{type(value).__module__}.{type(value).__qualname__}"
    # Where something lies in memory says nothing.
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))


def array_digest(array):
    """Tell an array from another one, many times faster than a cryptographic digest of its values would.

    Parameters
    ----------
    array : ndarray
        Of numbers.

    Returns
    -------
    str
        Shape, type, and the digest of the sums of all blocks of 4 KiB and of the sums across blocks, which are taken
        over words of 8 bytes, modulo 2^64.

    Examples
    --------
    >>> array_digest(np.zeros((2, 3))) == array_digest(np.zeros((2, 3)))
    True
    >>> array_digest(np.array([1.0, 2.0])) == array_digest(np.array([2.0, 1.0]))
    False
    """
    values = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    n_words = len(values) // (8 * _BLOCK) * _BLOCK
    blocks = values[: 8 * n_words].view(np.uint64).reshape(-1, _BLOCK)
    digest = hashlib.sha256()
    for part in (blocks.sum(axis=1, dtype=np.uint64), blocks.sum(axis=0, dtype=np.uint64), values[8 * n_words :]):
        digest.update(part.tobytes())
    return f"{array.dtype} {array.shape} {digest.hexdigest()[:16]}"
