"""Checks of what a regressor is given: parameters, features of photographs or a plain table, and their targets."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from .features import PixelLightFeatures
from .stacks import ImageStack

__all__ = ["ObservationChecks"]


class ObservationChecks:
    """Mixin of an estimator that takes every pixel under every light, or a plain table as that of a single pixel.

    The estimator has `target_shape_` and `n_features_in_` once it is fitted.
    """

    target_shape_: tuple[int, ...]
    n_features_in_: int
    hidden_layer_sizes: Any
    mse_weight: float
    luminance_weight: float
    relative_weight: float

    def _check_parameters(self):
        """Check what spans several parameters, or lies inside one."""
        sizes = self.hidden_layer_sizes
        if not all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) > 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be a sequence of positive integers, got {sizes!r}")
        if not (self.mse_weight or self.luminance_weight or self.relative_weight):
            raise ValueError("mse_weight, luminance_weight and relative_weight are all 0: there is nothing to learn")

    def _check_training_data(self, X, y):
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        if not isinstance(X, PixelLightFeatures):
            X, y = validate_data(
                self, X, y, dtype=np.float32, multi_output=True, y_numeric=True, ensure_min_samples=2, order="C"
            )
            return self._as_features(X), np.ascontiguousarray(y, dtype=np.float32)
        features = self._check_features(X, reset=True)
        if not isinstance(y, ImageStack):
            y = check_array(
                y, dtype=np.float32, order="C", ensure_2d=False, allow_nd=True, ensure_min_samples=2, input_name="y"
            )
        check_consistent_length(features, y)
        n_pixels = len(features.pixels)
        if int(np.prod(y.shape[1:])) % n_pixels or (features.image_shape and y.shape[1:3] != features.image_shape):
            raise ValueError(f"y of shape {y.shape} does not fit features of image shape {features.image_shape}")
        return features, y

    def _check_features(self, X, *, reset):
        if not isinstance(X, PixelLightFeatures):
            return self._as_features(validate_data(self, X, dtype=np.float32, reset=reset, order="C"))
        n_features = X.shape[2]
        if reset:
            self.n_features_in_ = n_features
        elif n_features != self.n_features_in_:
            raise ValueError(f"X has {n_features} features, but {type(self).__name__} expects {self.n_features_in_}")
        elif X[:1].shape[1] * self._n_channels(X) != int(np.prod(self.target_shape_)):
            raise ValueError(f"X is of images {X.image_shape}, the training photographs were {self.target_shape_}")
        return X

    @staticmethod
    def _as_features(table):
        """Take a plain table as lights that all shine on one pixel without features."""
        return PixelLightFeatures(table, np.empty((1, 0), np.float32), image_shape=())

    def _n_channels(self, features):
        return int(np.prod(self.target_shape_)) // len(features.pixels)
