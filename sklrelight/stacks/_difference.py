"""What photographs on disk have beyond other images on disk: :class:`DifferenceStack`."""

import joblib
import numpy as np

from ._stack import ImageStack

__all__ = ["DifferenceStack", "subtract"]


class DifferenceStack(ImageStack):
    """Photographs less images that go with them, 0 where these are brighter. Nothing is read before it is needed.

    Parameters
    ----------
    stack, other : ImageStack of one shape
        The photographs, and the images to subtract.

    saturation : float or None, default=None
        Value at and above which the photographs are clipped. The difference has this value there.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import ImageStack
    >>> stack, other = ImageStack(np.full((2, 1, 1, 1), 3.0)), ImageStack(np.array([1.0, 4.0]).reshape(2, 1, 1, 1))
    >>> np.asarray(DifferenceStack(stack, other)).ravel()
    array([2., 0.], dtype=float32)
    """

    def __init__(self, stack, other, saturation=None):
        self.stack, self.other, self.saturation = stack, other, saturation
        self._rows = np.arange(len(stack))
        self._image_shape = stack.shape[1:]
        self.dtype = np.dtype(np.float32)
        self._transformer = self._extent = self._ceiling = self._inside = self._summary = None

    @property
    def rows_at_a_time(self):
        """Number of rows of a photograph that are stored together."""
        return max(self.stack.rows_at_a_time, self.other.rows_at_a_time)

    def fingerprint(self):
        """Summarize in a short string which values the stack reads."""
        parts = self.stack.fingerprint(), self.other.fingerprint(), self.saturation
        return joblib.hash((*parts, self._rows, self._transformer, self._ceiling))

    def _run(self, row, first, last):
        true, known = (stack.read(slice(row, row + 1), slice(first, last))[0] for stack in (self.stack, self.other))
        return subtract(true, known, self.saturation).astype(np.float32, copy=False)

    def __getstate__(self):
        return self.__dict__ | {"_summary": None}


def subtract(images, baseline, saturation=None):
    """Subtract a baseline from photographs: 0 where it is brighter, and `saturation` where they reach that."""
    missing = np.maximum(np.subtract(images, baseline, dtype=np.result_type(images, baseline, np.float32)), 0)
    return missing if saturation is None else np.where(images >= saturation, saturation, missing).astype(missing.dtype)
