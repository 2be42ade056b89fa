"""The state of a fit in a file, from which the next fit continues if this one is killed: :class:`FitCheckpoint`."""

import hashlib
import io
import os
import pickle
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.history import History

from ._modules import Dropout

__all__ = ["EpochCheckpoint", "FitCheckpoint", "array_digest", "fit_fingerprint"]

# With the number of the format, which is another one whenever the state or what is done with it changes.
_MAGIC = b"sklrelight checkpoint 4\n"
_DIGEST_SIZE = hashlib.sha256().digest_size

# Words of 8 bytes that are summed into one.
_BLOCK = 512


class FitCheckpoint:
    """The checkpoint file of a fit, with the state of an earlier fit. Only one fit at a time can use it.

    Parameters
    ----------
    path : path-like
        Path of the file, in a folder that exists.

    fingerprint : dict of str
        Description of the fit, which differs from that of other fits (`fit_fingerprint`).

    Attributes
    ----------
    state : dict
        State of the earlier fit. It is empty if there is no file.

    Raises
    ------
    ValueError
        If the file is damaged, not a checkpoint, of another fit, or in use by another fit.
    OSError
        If the file or its lock cannot be read or written.

    Notes
    -----
    The file consists of a line with the name of the format, the SHA-256 digest of the rest, and the rest: fingerprint
    and state as torch saves them. It is loaded with ``weights_only=True``, which runs no code from the file. The lock
    is a second file in the same folder, which the system releases when the process ends, in whatever way.
    """

    def __init__(self, path, fingerprint):
        self.path = Path(path)
        self.fingerprint = fingerprint
        if self.path.is_dir():
            raise ValueError(f"checkpoint={str(self.path)!r} is a folder; it must be the name of a file")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"checkpoint={str(self.path)!r}: the folder {self.path.parent} does not exist")
        self._lock = filelock.FileLock(self.path.with_name(self.path.name + ".lock"))
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise ValueError(
                f"The checkpoint {self.path} is in use by another fit that runs now: each fit needs a file of its own"
            ) from None
        try:
            self.state = self._read()
        except BaseException:
            self.close()
            raise

    def _read(self):
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
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
        """Write the state in place of an earlier one.

        Whenever the process or the machine stops, the file is complete: it is either the earlier one or the new one.

        Parameters
        ----------
        state : dict
            State, of tensors, numbers and strings in dicts and lists.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, "state": state}, buffer)
        body, part = buffer.getbuffer(), _part(self.path)
        try:
            with part.open("wb") as file:
                file.write(_MAGIC)
                file.write(hashlib.sha256(body).digest())
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            message = f"Cannot write the checkpoint {self.path}: {error.strerror or error}"
            raise type(error)(error.errno, message) from error
        self.state = state

    def close(self):
        """Release the file to other fits."""
        # Before it is released: afterwards, it may be another fit's. Windows deletes no open file, but does so then.
        with suppress(OSError):
            os.unlink(self._lock.lock_file)
        self._lock.release()

    @staticmethod
    def remove(path):
        """Delete the file, and the part of a file that a process may have left if it was killed while it wrote."""
        path.unlink(missing_ok=True)
        _part(path).unlink(missing_ok=True)


class EpochCheckpoint(Callback):
    """Write a checkpoint after each epoch, and continue from one. It has to be the last callback of a net.

    Parameters
    ----------
    checkpoint : FitCheckpoint
        The file.

    seed : int
        Seed of the fit, with which a continued fit goes on.
    """

    def __init__(self, checkpoint, seed):
        self.checkpoint = checkpoint
        self.seed = seed

    def on_train_begin(self, net, **kwargs):
        """Restore the state of the earlier fit, or write the first state."""
        state = self.checkpoint.state
        if "module" not in state:
            # That the file cannot be written is to be known before hours of training.
            self._write(net)
            return
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        net.history_ = History(state["history"])
        net.batch_size_ = state["batch_size"]
        net.clock.elapsed = state["elapsed"]
        batches = net.training_batches_
        batches.n_drawn = state["n_drawn"]
        batches.generator.set_state(state["generator"])
        for dropout, drawn in zip(_dropouts(net), state["dropouts"], strict=True):
            if drawn is not None:
                dropout.generator = torch.Generator(net.device)
                dropout.generator.set_state(drawn)
        for name, callback in net.callbacks_:
            for attribute, value in state["callbacks"].get(name, {}).items():
                kept: Any = getattr(callback, attribute, None)
                if hasattr(kept, "load_state_dict"):
                    kept.load_state_dict(value)
                else:
                    setattr(callback, attribute, value)

    def on_epoch_end(self, net, **kwargs):
        """Write the state."""
        self._write(net)

    def _write(self, net):
        dropouts = [None if layer.generator is None else layer.generator.get_state() for layer in _dropouts(net)]
        self.checkpoint.write(
            {
                "seed": self.seed,
                "module": net.module_.state_dict(),
                "optimizer": net.optimizer_.state_dict(),
                "history": net.history_.to_list(),
                "batch_size": net.batch_size_,
                "compiled": net.compiled_,
                "elapsed": net.clock.elapsed,
                "n_drawn": net.training_batches_.n_drawn,
                "generator": net.training_batches_.generator.get_state(),
                "dropouts": dropouts,
                "callbacks": {name: _state_of(callback) for name, callback in net.callbacks_},
            }
        )


def _part(path):
    # Always the same name, so that what a process left that was killed here is overwritten and not left for good.
    return path.with_name(path.name + ".part")


def _dropouts(net):
    return [layer for layer in net.module_.modules() if isinstance(layer, Dropout)]


def _state_of(callback):
    """Collect the fitted attributes of a callback: numbers, strings, tensors by name, and states of objects."""
    state = {}
    for name, value in vars(callback).items():
        # A class, such as the policy of a scheduler, is none of what is learnt.
        if not name.endswith("_") or isinstance(value, type):
            continue
        if hasattr(value, "state_dict"):
            state[name] = value.state_dict()
        elif isinstance(value, float):
            state[name] = float(value)
        elif value is None or isinstance(value, bool | int | str | dict):
            state[name] = value
    return state


def fit_fingerprint(parameters, arrays, **others):
    """Describe everything that the result of a fit depends on.

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
        A text for each name. The texts of two fits differ if the fits do, except that all random generators have the
        same text.

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
    """Describe an array by a short text, many times faster than by a cryptographic digest of its values.

    Parameters
    ----------
    array : ndarray
        Array of numbers.

    Returns
    -------
    str
        Type, shape, and the digest of sums within blocks of 4 KiB and of sums across blocks. The sums are taken over
        words of 8 bytes, modulo 2^64.

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
