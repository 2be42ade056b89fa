"""Files that appear under their name only when they are whole, and the number types that they may hold."""

import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np

__all__ = ["check_claim", "check_file", "check_stack_dtype", "replacing"]

# What deflate reaches at most, on zeros: https://zlib.net/zlib_tech.html.
_DEFLATE_RATIO = 1032


@contextmanager
def replacing(path):
    """Give a temporary path beside `path`, and move it there when the block ends well.

    After an error the temporary file (or folder) is gone and `path` is as it was.

    Parameters
    ----------
    path : path-like
        The file to write. Its folder must exist.

    Yields
    ------
    pathlib.Path
        Where to write: same folder, same suffix.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    OSError
        If the folder cannot be written to, or is full; with `path` in the message.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder, "notes.txt")
    ...     with replacing(target) as temporary:
    ...         _ = temporary.write_text("whole")
    ...     target.read_text(), len(os.listdir(folder))
    ('whole', 1)
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    # The same suffix, because some encoders choose the format by it.
    temporary = path.with_name(f".{path.stem[:100]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(temporary)):
            # About another file, one that the block reads.
            raise
        # Without the target's name the message would speak of the temporary file, or of no file at all.
        message = f"Cannot write {path}: {error.strerror or error}"
        raise type(error)(*([message] if error.errno is None else [error.errno, message])) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def check_file(path):
    """Refuse a pipe, a socket or a device, which might be read for ever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: a pipe, a socket or a device, wanted a file")


def check_claim(n_bytes, n_stored, name, ratio=_DEFLATE_RATIO):
    """Refuse a file that claims more than it can hold, before memory is taken.

    Parameters
    ----------
    n_bytes : int
        Bytes of the values, as the file's header claims.
    n_stored : int
        Bytes in which they are stored.
    name : object
        What the message calls the file.
    ratio : float, default=1032
        How many bytes the compression can make of one; by default what deflate can.

    Raises
    ------
    ValueError
        If the values are more than that.

    Examples
    --------
    >>> check_claim(4 * 10**12, 375, "a.exr")
    Traceback (most recent call last):
    ...
    ValueError: a.exr: damaged: its header claims 4e+12 bytes of values, which cannot be stored in 375 bytes
    """
    if n_bytes > n_stored * ratio:
        raise ValueError(
            f"{name}: damaged: its header claims {n_bytes:.3g} bytes of values, which cannot be stored in "
            f"{n_stored} bytes"
        )


def check_stack_dtype(dtype):
    """Return `dtype` as float16 or float32, or raise.

    Parameters
    ----------
    dtype : dtype-like
        What a user passed.

    Returns
    -------
    numpy.dtype

    Raises
    ------
    ValueError
        If it is another.
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float16, np.float32):
        raise ValueError(f"dtype={dtype.name!r}, wanted 'float32' or 'float16'.")
    return dtype
