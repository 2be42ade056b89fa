"""Where a stack of photographs lies on disk: a file or a folder, and what is in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils import import_extra

__all__ = ["StackPlace", "is_of"]

_HDF5_SUFFIXES = {".h5", ".hdf5", ".mat"}


@dataclass(frozen=True)
class StackPlace:
    """Where an array lies on disk, to be opened there again by any process."""

    kind: str
    path: str
    # Name of a dataset; offset, type and shape of a raw file.
    detail: Any = None

    @classmethod
    def of_path(cls, path, dataset):
        """Find the array in a file or folder; `dataset` names it where there may be several."""
        if not path.exists():
            raise FileNotFoundError(f"there is no stack of photographs at {path}")
        path = path.absolute()
        if path.suffix == ".npy":
            return cls("npy", str(path))
        if path.suffix in _HDF5_SUFFIXES:
            h5py = import_extra("h5py", "matlab", f"To read {path}")
            with h5py.File(path, "r") as file:
                names = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
                if dataset is None and len(names) != 1:
                    raise ValueError(f"{path} has the datasets {names}: say which one with dataset=")
                if dataset is not None and dataset not in file:
                    raise ValueError(f"{path} has no dataset {dataset!r}, but {names}")
                return cls("hdf5", str(path), dataset or names[0])
        if path.is_dir():
            return cls("zarr", str(path))
        raise ValueError(f"{path} is no .npy file, no zarr array and no HDF5 file ({', '.join(_HDF5_SUFFIXES)})")

    @classmethod
    def of_array(cls, array):
        """Find the place of an opened array; None where it has none that can be told."""
        if isinstance(array, np.memmap):
            root: Any = array
            while isinstance(root.base, np.memmap):
                root = root.base
            if not root.filename or root.mode == "c" or not array.flags.c_contiguous:
                return None
            offset = root.offset + array.ctypes.data - root.ctypes.data
            return cls("raw", str(Path(root.filename).absolute()), (offset, array.dtype.str, array.shape))
        if is_of(array, "h5py") and Path(array.file.filename).exists():
            return cls("hdf5", str(Path(array.file.filename).absolute()), array.name)
        if is_of(array, "zarr"):
            root = getattr(array.store, "root", None)
            path = None if root is None else Path(root, array.path)
            if path is not None and path.is_dir():
                return cls("zarr", str(path.absolute()))
        elif not isinstance(array, np.ndarray) and not is_of(array, "h5py"):
            raise ValueError(
                f"an ImageStack is of a path, an np.memmap, an h5py dataset or a zarr array, got {type(array).__name__}"
            )
        return None

    def open(self):
        """Open the array, without reading it."""
        if not Path(self.path).exists():
            raise FileNotFoundError(
                f"the stack of photographs {self.path} is gone; a model with an interpolation that was fitted to it"
                " needs it to predict"
            )
        if self.kind == "npy":
            return np.load(self.path, mmap_mode="r")
        if self.kind == "raw":
            offset, dtype, shape = self.detail
            return np.memmap(self.path, dtype, "r", offset, shape)
        if self.kind == "hdf5":
            h5py = import_extra("h5py", "matlab", f"To read {self.path}")
            return h5py.File(self.path, "r")[self.detail]
        zarr = import_extra("zarr", "zarr", f"To read {self.path}")
        return zarr.open_array(self.path, mode="r")


def is_of(array, package):
    """Whether it is an array of a package, which need not be installed."""
    return type(array).__module__.split(".")[0] == package and hasattr(array, "shape")
