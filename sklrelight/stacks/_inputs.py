"""Photographs as a user passes them, in memory or on disk, and transformers that are fitted to either."""

import numpy as np

from ..utils import is_of
from ..utils._sklearn_compat import get_tags
from ._stack import ImageStack

__all__ = ["ImageRows", "as_stack", "fit_to_stack", "in_memory"]

# Stacks of no more values are read as a whole: in float32 they take 256 MB.
_IN_MEMORY_VALUES = 2**26


def as_stack(images):
    """Make an :class:`ImageStack` of photographs on disk that are too many to be read as a whole.

    Parameters
    ----------
    images : object
        Photographs as a user passed them.

    Returns
    -------
    ImageStack or None
        None for photographs in memory, and for those that take at most 256 MB there in float32.
    """
    on_disk = isinstance(images, ImageStack | np.memmap) or is_of(images, "h5py") or is_of(images, "zarr")
    if isinstance(images, np.memmap) and "joblib_memmapping_folder" in str(images.filename):
        # An array in memory that joblib passes to another process by a file, which is gone when that process ends.
        return None
    if not on_disk or len(images.shape) < 3 or np.prod(images.shape, dtype=float) <= _IN_MEMORY_VALUES:
        return None
    return images if isinstance(images, ImageStack) else ImageStack(images)


def fit_to_stack(transformer, stack):
    """Fit a transformer to photographs on disk.

    Parameters
    ----------
    transformer : transformer
        Transformer that takes an ImageStack, such as LogExposureScaler, has `partial_fit`, or learns nothing.

    stack : ImageStack
        Photographs.

    Returns
    -------
    transformer
        The fitted transformer.

    Raises
    ------
    ValueError
        If the transformer can only be fitted to all photographs at once, or a value is not finite.
    """
    if getattr(transformer, "takes_stacks", False):
        return transformer.fit(stack)
    # Raises where a value is not finite.
    stack.summary()
    if hasattr(transformer, "partial_fit"):
        for _, _, values in stack.blocks():
            transformer.partial_fit(values)
        return transformer
    if get_tags(transformer).requires_fit:
        raise ValueError(
            f"transformer={transformer!r} has no partial_fit, and cannot be fitted to photographs that stay on disk"
        )
    return transformer.fit(np.asarray(stack[:1]))


def in_memory(images):
    """Read photographs that are on disk; others are returned as they are."""
    if isinstance(images, ImageStack):
        return np.asarray(images)
    return images[...] if is_of(images, "h5py") or is_of(images, "zarr") else images


class ImageRows:
    """Some photographs of an array in memory, picked without a copy.

    It goes where an array of photographs goes. Code that does not know it makes an array of it, which is a copy.

    Parameters
    ----------
    images : ndarray of shape (n, ...)
        Photographs.

    rows : ndarray of int of shape (n_picked,)
        Numbers of the picked photographs.

    Examples
    --------
    >>> ImageRows(np.array([[1.0], [2.0], [3.0]]), np.array([0, 2])).shape
    (2, 1)
    """

    def __init__(self, images, rows):
        self.images = images
        self.rows = rows

    @property
    def shape(self):
        """Shape of the picked photographs."""
        return (len(self.rows), *self.images.shape[1:])

    @property
    def dtype(self):
        """Type of the values."""
        return self.images.dtype

    @property
    def ndim(self):
        """Number of axes."""
        return self.images.ndim

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        return self.images[self.rows[key]]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.images[self.rows], dtype)
