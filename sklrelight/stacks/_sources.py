"""Where a stack of photographs lies on disk: a file or a folder, and the array in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils import check_claim, check_file, import_extra, is_of

__all__ = ["DAMAGE", "StackSource"]

# What the HDF5 library and h5py raise over damaged files.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, NotImplementedError)
_HDF5_SUFFIXES = {".h5", ".hdf5", ".mat"}


@dataclass(frozen=True)
class StackSource:
    """An array on disk, which any process can open again.

    Parameters
    ----------
    kind : {"raw", "hdf5", "matlab", "zarr"}
        Kind of the file. The values of a ``.npy`` file are raw ones behind a header; MATLAB's files are HDF5 with the
        axes reversed.

    path : str
        Absolute path of the file or folder.

    detail : object, default=None
        Name of a dataset in an HDF5 file; offset, type, shape and order of raw values.
    """

    kind: str
    path: str
    detail: Any = None

    @classmethod
    def of_path(cls, path, dataset):
        """Find the array in a file or folder; `dataset` names it where an HDF5 file has several."""
        if not path.exists():
            raise FileNotFoundError(f"there is no stack of photographs at {path}")
        check_file(path)
        path = path.absolute()
        if path.suffix == ".npy":
            try:
                return cls.of_array(np.load(path, mmap_mode="r"))
            except OSError:
                raise
            except Exception as error:
                # NumPy raises half a dozen types over damaged headers.
                raise ValueError(f"{path} cannot be read as a .npy file, cut or damaged: {error}") from error
        if path.suffix in _HDF5_SUFFIXES:
            return cls._of_hdf5(path, dataset)
        if path.is_dir():
            return cls("zarr", str(path))
        raise ValueError(f"{path} is no .npy file, no zarr array and no HDF5 file ({', '.join(_HDF5_SUFFIXES)})")

    @classmethod
    def _of_hdf5(cls, path, dataset):
        h5py = import_extra("h5py", "matlab", f"To read {path}")
        # Opened here, so that a missing permission is told apart from a damaged file.
        with path.open("rb"):
            pass
        try:
            with h5py.File(path, "r") as file:
                names = [name for name in file if isinstance(_linked(h5py, file, name), h5py.Dataset)]
                found: Any = file.get(dataset or names[0]) if dataset or len(names) == 1 else None
                is_dataset = isinstance(found, h5py.Dataset)
                elsewhere = is_dataset and (found.is_virtual or found.external or found.file.filename != file.filename)
                is_matlab = is_dataset and "MATLAB_class" in found.attrs
                name, n_bytes = (found.name, found.nbytes) if is_dataset else (None, 0)
        except DAMAGE as error:
            raise ValueError(f"{path} cannot be read as an HDF5 file, cut or damaged: {error}") from error
        if name is None and dataset is None:
            raise ValueError(f"{path} has the datasets {names}: say which one with dataset=")
        if name is None:
            raise ValueError(f"{path} has no dataset {dataset!r}, but {names}")
        if elsewhere:
            raise ValueError(
                f"{path}: the dataset {name!r} lies in another file; pass an opened h5py dataset to read it"
            )
        check_claim(n_bytes, path.stat().st_size, path)
        return cls("matlab" if is_matlab else "hdf5", str(path), name)

    @classmethod
    def of_array(cls, array):
        """Find the source of an opened array; None for an array that no other process could open."""
        if isinstance(array, np.memmap):
            root: Any = array
            while isinstance(root.base, np.memmap):
                root = root.base
            if not root.filename or root.mode == "c" or not array.flags.forc:
                return None
            offset = root.offset + array.ctypes.data - root.ctypes.data
            order = "C" if array.flags.c_contiguous else "F"
            return cls("raw", str(Path(root.filename).absolute()), (offset, array.dtype.str, array.shape, order))
        if is_of(array, "h5py"):
            path = Path(array.file.filename).absolute()
            return cls("hdf5", str(path), array.name) if path.exists() else None
        if is_of(array, "zarr"):
            path = Path(getattr(array.store, "root", ""), array.path).absolute()
            return cls("zarr", str(path)) if hasattr(array.store, "root") and path.is_dir() else None
        if isinstance(array, np.ndarray):
            return None
        raise ValueError(
            f"an ImageStack is of a path, an np.memmap, an h5py dataset or a zarr array, got {type(array).__name__}"
        )

    def open(self):
        """Open the array, without reading it."""
        if not Path(self.path).exists():
            raise FileNotFoundError(
                f"the stack of photographs {self.path} is gone; a model with an interpolation that was fitted to it"
                " needs it to predict"
            )
        if self.kind == "raw":
            offset, dtype, shape, order = self.detail
            return np.memmap(self.path, dtype, "r", offset, shape, order)
        if self.kind in ("hdf5", "matlab"):
            h5py = import_extra("h5py", "matlab", f"To read {self.path}")
            dataset = h5py.File(self.path, "r")[self.detail]
            return MatlabArray(dataset) if self.kind == "matlab" else dataset
        zarr = import_extra("zarr", "zarr", f"To read {self.path}")
        return zarr.open_array(self.path, mode="r")

    def versions(self):
        """List size in bytes and time of the last change of every file, sorted by path."""
        path = Path(self.path)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def _linked(h5py, file, name):
    """Return what a name of an HDF5 file stands for, unless that lies in another file."""
    return None if isinstance(file.get(name, getlink=True), h5py.ExternalLink) else file[name]


class MatlabArray:
    """A dataset of a MATLAB file with the axes that MATLAB shows, read lazily.

    The photographs may also be the last of four axes, as MATLAB's functions for images have them: (H, W, C, n).

    Parameters
    ----------
    dataset : h5py.Dataset
        The dataset, whose axes are in the reverse order.
    """

    def __init__(self, dataset):
        self._dataset = dataset
        # The dataset's axis for each of this array's.
        self._order = list(range(dataset.ndim))[::-1]
        if dataset.ndim == 4 and dataset.shape[1] in (1, 3) and dataset.shape[0] not in (1, 3):
            self._order = [self._order[-1], *self._order[:-1]]
        self.shape = tuple(dataset.shape[axis] for axis in self._order)
        self.chunks = dataset.chunks and tuple(dataset.chunks[axis] for axis in self._order)
        self.dtype, self.ndim = dataset.dtype, dataset.ndim

    def __getitem__(self, key):
        given = dict(zip(self._order, key if isinstance(key, tuple) else (key,), strict=False))
        values = self._dataset[tuple(given.get(axis, slice(None)) for axis in range(self.ndim))]
        kept = [axis for axis in self._order if isinstance(given.get(axis, slice(None)), slice)]
        return values.transpose([sorted(kept).index(axis) for axis in kept])
