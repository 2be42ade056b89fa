"""R^2 of photographs that come one by one: :class:`StreamedR2`."""

import numpy as np

__all__ = ["StreamedR2"]


class StreamedR2:
    """Coefficient of determination over all values of photographs that are not in memory together.

    Examples
    --------
    >>> import numpy as np
    >>> r2 = StreamedR2()
    >>> for true, predicted in [([1.0, 2.0], [1.0, 2.5]), ([3.0], [3.0])]:
    ...     r2.add(np.array(true), np.array(predicted))
    >>> r2.value
    0.875
    """

    def __init__(self):
        self.weight = self.mean = self.spread = self.error = 0.0

    def add(self, true, predicted, weights=None, factor=1.0):
        """Count a photograph.

        Parameters
        ----------
        true, predicted : ndarray of one shape
            Photograph, and what was predicted.

        weights : ndarray of the same shape or None, default=None
            Weights of the values.

        factor : float, default=1.0
            Weight of the photograph.
        """
        true = true.astype(np.float64)
        squares = np.square(true - predicted)
        if weights is None:
            weight = factor * true.size
            mean = true.mean()
            spread, error = (factor * values.sum() for values in (np.square(true - mean), squares))
        else:
            weight = factor * weights.sum(dtype=np.float64)
            mean = np.average(true, weights=weights) if weights.any() else 0.0
            spread, error = (factor * (weights * values).sum() for values in (np.square(true - mean), squares))
        total = self.weight + weight
        if total == 0:
            return
        # Spreads about two means, and about that of both.
        self.spread += spread + (mean - self.mean) ** 2 * self.weight * weight / total
        self.mean += (mean - self.mean) * weight / total
        self.weight = total
        self.error += error

    @property
    def value(self):
        """R^2; for values without spread 1 where they are met, else 0, as in scikit-learn."""
        if self.spread == 0:
            return float(self.error == 0)
        return float(1 - self.error / self.spread)
