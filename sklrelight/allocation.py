"""Keep freed memory for the next step, or hand it back to the system."""

import ctypes
import threading
from contextlib import contextmanager

__all__ = ["freed_memory_kept", "return_freed_memory"]

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MIB = 2**20

_lock = threading.Lock()
# One entry a running block.
_users: list[None] = []


@contextmanager
def freed_memory_kept():
    """Let the C library keep what is freed, until the end of the outermost such block.

    Each step of training allocates the same tens of megabytes. Handed back to the system and asked for again, as glibc
    does by itself with blocks of such sizes, they come as new pages that have to be mapped and zeroed one by one, at a
    tenth to a fifth of the step's time. Afterwards what is free is given back, and glibc has the thresholds at which
    its own adaptation ends. Elsewhere than on glibc, nothing is done. No result depends on it.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    _enter(libc)
    try:
        yield
    finally:
        _leave(libc)


def return_freed_memory():
    """Hand free memory back to the system, in the midst of the heap too: after work by blocks, little else is left.

    Elsewhere than on glibc, or while `freed_memory_kept`, nothing is done.
    """
    libc = _glibc()
    with _lock:
        if libc is not None and not _users:
            libc.malloc_trim(0)


def _enter(libc):
    with _lock:
        _users.append(None)
        libc.mallopt(_MMAP_THRESHOLD, 1024 * _MIB)
        libc.mallopt(_TRIM_THRESHOLD, 2047 * _MIB)


def _leave(libc):
    with _lock:
        _users.pop()
        if not _users:
            libc.mallopt(_MMAP_THRESHOLD, 32 * _MIB)
            libc.mallopt(_TRIM_THRESHOLD, 64 * _MIB)
            libc.malloc_trim(0)


def _glibc():
    """Return the C library where it is glibc, else None."""
    try:
        libc = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return libc if hasattr(libc, "gnu_get_libc_version") else None
