"""Arrays of photographs, filled one by one in threads: in memory, or in a file that is larger than memory."""

import os
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
from tqdm import tqdm

from ...utils import check_stack_dtype, replacing

__all__ = ["fill_array", "run_in_threads"]

# Part of the machine's memory that photographs may take. A fit in memory takes up to three times as much as they do.
_MOST_MEMORY = 1 / 4
# Folders with photographs that did not fit. They are deleted when Python ends.
_FOLDERS: list[tempfile.TemporaryDirectory] = []


def fill_array(
    read, n_images, image_shape, *, dtype="float32", memmap=None, read_narrow=None, n_jobs=-1, progress=None
):
    """Call ``read(i)`` for every image, in threads, and collect what it returns.

    Each thread holds one image at a time and puts it in its place, so that no more than `n_jobs` images are in memory
    beside the array (or instead of it, with `memmap`).

    Parameters
    ----------
    read : callable
        Function that returns image i, of shape `image_shape`. It is called from several threads, unless `n_jobs` is 1.

    n_images : int
        Number of images.

    image_shape : tuple of int
        Shape of an image: (height, width) or (height, width, channels).

    dtype : "float32" or "float16", default="float32"
        Type of the array. Values beyond what float16 holds (65504) are an error.

    memmap : path-like, optional
        A ``.npy`` file to fill instead of memory. It appears under its name when it is whole; one that exists is
        replaced. None: memory, or, for images that would take more than a quarter of the machine's, a file in the
        folder for temporary files, which is deleted when Python ends.

    read_narrow : callable, optional
        As `read`, but returns float16, which takes less memory. To be given if float16 holds the values as exactly as
        the files do. A file in the folder for temporary files is then float16.

    n_jobs : int, default=-1
        Number of threads; -1 takes all cores.

    progress : bool, optional
        Whether to show a progress bar; by default with `memmap` only.

    Returns
    -------
    ndarray or numpy.memmap of shape (n_images, *image_shape)
        The images; read-only if they are in a file.

    Raises
    ------
    ValueError
        If a value does not fit into `dtype`, and whatever `read` raises.

    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        If the images go to a file that was not asked for.
    """
    dtype = check_stack_dtype(dtype)
    shape = (n_images, *image_shape)
    if memmap is None:
        memmap, dtype = _temporary_file(shape, dtype, read_narrow is not None)
    if read_narrow is not None and dtype == np.float16:
        read = read_narrow
    show = bool(memmap) if progress is None else progress

    def fill(put):
        run_in_threads(lambda index: put(index, _fitting(read(index), dtype, index)), n_images, n_jobs, "Loading", show)

    if memmap is None:
        images = np.empty(shape, dtype=dtype)
        fill(images.__setitem__)
        return images
    with _open_npy(memmap, shape, dtype) as put:
        fill(put)
    return np.load(memmap, mmap_mode="r")


def _temporary_file(shape, dtype, narrow):
    """Name a file for images that are too large for memory, or None; and their type in it."""
    n_bytes, memory = int(np.prod(shape, dtype=float)) * dtype.itemsize, _physical_memory()
    if memory is None or n_bytes <= _MOST_MEMORY * memory:
        return None, dtype
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="sklrelight-", ignore_cleanup_errors=True))
    path = Path(_FOLDERS[-1].name, "photographs.npy")
    warnings.warn(
        f"{shape[0]} photographs take {n_bytes / 1e9:.1f} GB, more than a quarter of this machine's memory of"
        f" {memory / 1e9:.1f} GB. They are kept in {path}, which is deleted when Python ends; memmap= names another"
        f" file, which stays{'' if narrow else ', and float16 as dtype= halves its size'}",
        UserWarning,
        stacklevel=4,
    )
    return path, np.dtype(np.float16) if narrow else dtype


def _physical_memory():
    """Look up the memory of the machine in bytes, or None where Python does not know it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def run_in_threads(work, n_images, n_jobs, description, progress):
    """Call ``work(i)`` for every image, in threads.

    The error of the first image that has one is raised, and then no further image is begun.

    Parameters
    ----------
    work : callable
        Function of an image's number that holds no more than one image at a time.

    n_images : int
        Number of images.

    n_jobs : int
        Number of threads; -1 takes all cores.

    description : str
        Text of the progress bar.

    progress : bool
        Whether to show it.
    """
    with (
        tqdm(total=n_images, desc=description, unit="image", disable=not progress) as bar,
        ThreadPoolExecutor(joblib.effective_n_jobs(n_jobs)) as pool,
    ):
        # In order, so that of several bad files it is always the first that is reported. After it none is begun.
        for _ in pool.map(work, range(n_images)):
            bar.update()


def _fitting(image, dtype, index):
    """Convert an image to `dtype`, if it holds the values."""
    if dtype == np.float16:
        largest = max(float(image.max()), -float(image.min()))
        if largest > float(np.finfo(np.float16).max):
            raise ValueError(
                f"Image {index} reaches {largest:g}, more than float16 holds (65504); load with dtype='float32'"
            )
    return image.astype(dtype, copy=False)


@contextmanager
def _open_npy(path, shape, dtype):
    """Open a ``.npy`` file to be filled image by image; it is at `path` only if the block ends well."""
    lock = threading.Lock()
    image_bytes = int(np.prod(shape[1:])) * dtype.itemsize
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with replacing(path) as temporary, open(temporary, "xb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()

        def put(index, image):
            # Written, not mapped: in a map a full disk would end the process with a signal instead of an error.
            with lock:
                file.seek(start + index * image_bytes)
                file.write(np.ascontiguousarray(image).data)

        if hasattr(os, "posix_fallocate"):
            file.flush()
            # A disk that is too small is reported now, not after hours of reading.
            os.posix_fallocate(file.fileno(), 0, start + shape[0] * image_bytes)
        yield put
        file.flush()
