"""R^2 of photographs: :class:`PhotographScore`, and :class:`StreamedR2` of those that come one by one."""

from typing import Any

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .allocation import return_freed_memory
from .stack_inputs import as_stack, in_memory
from .utils import naming, value_weights
from .utils._sklearn_compat import check_sample_weight, num_samples

__all__ = ["PhotographScore", "StreamedR2"]


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


class PhotographScore:
    """Mixin of an estimator of photographs, which has `_target_shape`, `_predict_blocks` and what `fit` weighed by."""

    _target_shape: tuple[int, ...]
    _predict_blocks: Any
    predict: Any
    pixel_weight_: Any
    saturation_: Any

    def score(self, X, y, sample_weight=None, pixel_weight=None, saturation=None):
        """Compute R^2 over all values of all photographs.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), or as in `fit`
            Their photographs, linear radiance. Those on disk are read and predicted some at a time.

        sample_weight : array-like of shape (n_lights,) or None, default=None
            Weight of each photograph.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels; by default those that `fit` was given.

        saturation : float or None, default=None
            Radiance at and above which values are left out; by default that of `fit`.

        Returns
        -------
        float
            1 for a perfect prediction, 0 for one as good as the mean of all values.
        """
        check_is_fitted(self)
        pixel_weight = self.pixel_weight_ if pixel_weight is None else pixel_weight
        saturation = self.saturation_ if saturation is None else saturation
        expected = (num_samples(X), *self._target_shape)
        stack = as_stack(y)
        if stack is not None:
            if stack.shape != expected:
                raise ValueError(f"y has the shape {stack.shape}, the photographs predicted for X have {expected}")
            return self._score_stack(X, stack, sample_weight, pixel_weight, saturation)
        with naming("y"):
            y = check_array(
                in_memory(y), dtype=[np.float32, np.float64], ensure_2d=False, allow_nd=True, input_name="y"
            )
        predicted = self.predict(X)
        if y.shape != predicted.shape:
            raise ValueError(f"y has the shape {y.shape}, the photographs predicted for X have {predicted.shape}")
        weights = value_weights(y, pixel_weight, saturation)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, y).reshape(-1, *[1] * (y.ndim - 1))
            weights = np.broadcast_to(sample_weight, y.shape) * (1 if weights is None else weights)
        return r2_score(y.ravel(), predicted.ravel(), sample_weight=None if weights is None else weights.ravel())

    def _score_stack(self, X, stack, sample_weight, pixel_weight, saturation):
        r2 = StreamedR2()
        sample_weight = None if sample_weight is None else check_sample_weight(sample_weight, stack)
        start = 0
        for predicted in self._predict_blocks(X):
            for image in predicted:
                true = np.asarray(stack[start : start + 1])
                weights = value_weights(true, pixel_weight, saturation)
                r2.add(true, image[None], weights, 1.0 if sample_weight is None else sample_weight[start])
                start += 1
        return_freed_memory()
        return r2.value
