"""Files that appear under their name only when they are whole, and the number types that they may hold."""

import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np

__all__ = ["check_stack_dtype", "replacing"]


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
