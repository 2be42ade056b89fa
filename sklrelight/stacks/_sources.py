"""Where a stack of photographs lies on disk: a file or a folder, and the array in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils import import_extra, is_of

__all__ = ["StackSource"]

_HDF5_SUFFIXES = {".h5", ".hdf5", ".mat"}


@dataclass(frozen=True)
class StackSource:
    """An array on disk, which any process can open again.

    Parameters
    ----------
    kind : {"raw", "hdf5", "zarr"}
        Kind of the file. The values of a ``.npy`` file are raw ones behind a header.

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
        path = path.absolute()
        if path.suffix == ".npy":
            return cls.of_array(np.load(path, mmap_mode="r"))
        if path.suffix in _HDF5_SUFFIXES:
            h5py = import_extra("h5py", "matlab", f"To read {path}")
            with h5py.File(path, "r") as file:
                names = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
                if dataset is None and len(names) != 1:
                    raise ValueError(f"{path} has the datasets {names}: say which one with dataset=")
                if dataset is not None and dataset not in file:
                    raise ValueError(f"{path} has no dataset {dataset!r}, but {names}")
                return cls("hdf5", str(path), file[dataset or names[0]].name)
        if path.is_dir():
            return cls("zarr", str(path))
        raise ValueError(f"{path} is no .npy file, no zarr array and no HDF5 file ({', '.join(_HDF5_SUFFIXES)})")

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
        if self.kind == "hdf5":
            h5py = import_extra("h5py", "matlab", f"To read {self.path}")
            return h5py.File(self.path, "r")[self.detail]
        zarr = import_extra("zarr", "zarr", f"To read {self.path}")
        return zarr.open_array(self.path, mode="r")

    def versions(self):
        """List size in bytes and time of the last change of every file, sorted by path."""
        path = Path(self.path)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
