"""The base class of regressors of observations: what they accept as features and targets."""

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from ..preprocessing import PixelLightFeatures
from ..stacks import ImageRows, ImageStack
from ..utils import (
    FLOAT32_SAFE,
    DocumentedEstimator,
    VersionedState,
    check_magnitude,
    check_pixel_weight,
    naming,
)

__all__ = ["ObservationRegressor"]


class ObservationRegressor(DocumentedEstimator, VersionedState, RegressorMixin, MultiOutputMixin, BaseEstimator):
    """Base class of regressors from :class:`~sklrelight.PixelLightFeatures` or a plain table to encoded colours.

    A subclass sets `target_shape_`, the shape of the target of a light or of a row, in `fit`.
    """

    def _check_training_data(self, X, y, *, reset):
        """Return features, targets, and the rows of the targets that belong to the features' lights, or None."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        if not isinstance(X, PixelLightFeatures):
            # One by one, so that a message can name the one that is meant.
            with naming("X", X):
                X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2, order="C", reset=reset)
            with naming("y", y):
                y = check_array(y, dtype="numeric", ensure_2d=False, order="C", input_name="y", estimator=self)
                y = check_array(y, dtype=np.float32, ensure_2d=False, input_name="y")
            with naming("X, y"):
                check_consistent_length(X, y)
            check_magnitude(X, "X", FLOAT32_SAFE)
            check_magnitude(y, "y", FLOAT32_SAFE)
            return self._as_features(X), y, None
        features = self._check_features(X, reset=reset)
        with naming("X, y"):
            check_consistent_length(features, y)
        rows = None
        if isinstance(y, ImageRows):
            y, rows = y.images, y.rows
        if not isinstance(y, ImageStack):
            with naming("y", y):
                y = check_array(
                    y, dtype=np.float32, order="C", ensure_2d=False, allow_nd=True, ensure_min_samples=2, input_name="y"
                )
            check_magnitude(y, "y", FLOAT32_SAFE)
        n_pixels = len(features.pixels)
        if int(np.prod(y.shape[1:])) % n_pixels or (features.image_shape and y.shape[1:3] != features.image_shape):
            raise ValueError(f"y of shape {y.shape} does not fit features of image shape {features.image_shape}")
        return features, y, rows

    @staticmethod
    def _check_pixel_weight(pixel_weight, features):
        if pixel_weight is None:
            return None
        if not features.image_shape:
            raise ValueError("pixel_weight is for photographs, X or y has no pixels")
        return check_pixel_weight(pixel_weight, features.image_shape)

    def _check_features(self, X, *, reset):
        if not isinstance(X, PixelLightFeatures):
            with naming("X", X):
                X = validate_data(self, X, dtype=np.float32, reset=reset, order="C")
            check_magnitude(X, "X", FLOAT32_SAFE)
            return self._as_features(X)
        n_features = X.shape[2]
        check_magnitude(X.lights, "X, scaled like the training lights,", FLOAT32_SAFE)
        check_magnitude(X.pixels, "X, in its table of pixels,", FLOAT32_SAFE)
        if reset:
            self.n_features_in_ = n_features
        elif n_features != self.n_features_in_:
            raise ValueError(f"X has {n_features} features, but {type(self).__name__} expects {self.n_features_in_}")
        elif X.image_shape != self.target_shape_[: len(X.image_shape)] and X.part is None:
            raise ValueError(f"X is of images {X.image_shape}, the training photographs were {self.target_shape_}")
        return X

    @staticmethod
    def _as_features(table):
        """Take a plain table as lights that all shine on one pixel without features."""
        return PixelLightFeatures(table, np.empty((1, 0), np.float32), image_shape=())

    def _reshape(self, encoded, features):
        """Give predictions the shape of the targets of `fit`, or that of the part of an image they are for."""
        if features.image_shape and self.target_shape_[:2] != features.image_shape:
            return encoded.reshape(len(features), *features.image_shape, *self.target_shape_[2:])
        return encoded.reshape(len(features), *self.target_shape_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
