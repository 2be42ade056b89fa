"""Checks of what a regressor is given: parameters, features of photographs or a plain table, and their targets."""

import os
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from ..preprocessing import PixelLightFeatures
from ..stacks import ImageStack
from ..utils import FLOAT32_SAFE, check_magnitude, check_pixel_weight, naming
from ..utils._sklearn_compat import HasMethods, Interval, StrOptions
from .networks import ACTIVATIONS, NORMALIZATIONS

__all__ = ["ObservationChecks"]


class ObservationChecks:
    """Mixin of an estimator that takes every pixel under every light, or a plain table as that of a single pixel.

    The estimator has `target_shape_` and `n_features_in_` once it is fitted.
    """

    _parameter_constraints: dict[str, list] = {
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "output_activation": [StrOptions(set(ACTIVATIONS))],
        "light_pixel_products": ["boolean"],
        "n_latents": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "mse_weight": [Interval(Real, 0, None, closed="left")],
        "luminance_weight": [Interval(Real, 0, None, closed="left")],
        "relative_weight": [Interval(Real, 0, None, closed="left")],
        "optimizer": [StrOptions({"adam", "muon"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [StrOptions({"linear", "plateau", "constant"})],
        "plateau_factor": [Interval(Real, 0, 1, closed="neither")],
        "plateau_patience": [Interval(Integral, 1, None, closed="left")],
        "min_learning_rate": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_stages": [Interval(Integral, 1, None, closed="left")],
        "batch_size_factor": [Interval(Real, 0, 1, closed="right")],
        "window_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "n_networks": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "interpolation": [StrOptions({"auto"}), HasMethods(["fit", "predict"]), None],
        "scale_targets": ["boolean"],
        "max_observations": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "stage_patience": [Interval(Integral, 1, None, closed="left"), None],
        "target_loss": [Interval(Real, 0, None, closed="left")],
        "restore_best_weights": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "compile": ["boolean", StrOptions({"auto"})],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

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
            # Of each by itself, so that a message can name it.
            with naming("X"):
                X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2, order="C")
            with naming("y"):
                y = check_array(y, dtype="numeric", ensure_2d=False, order="C", input_name="y", estimator=self)
                y = check_array(y, dtype=np.float32, ensure_2d=False, input_name="y")
            with naming("X, y"):
                check_consistent_length(X, y)
            check_magnitude(X, "X", FLOAT32_SAFE)
            check_magnitude(y, "y", FLOAT32_SAFE)
            return self._as_features(X), y
        features = self._check_features(X, reset=True)
        if not isinstance(y, ImageStack):
            with naming("y"):
                y = check_array(
                    y, dtype=np.float32, order="C", ensure_2d=False, allow_nd=True, ensure_min_samples=2, input_name="y"
                )
            check_magnitude(y, "y", FLOAT32_SAFE)
        with naming("X, y"):
            check_consistent_length(features, y)
        n_pixels = len(features.pixels)
        if int(np.prod(y.shape[1:])) % n_pixels or (features.image_shape and y.shape[1:3] != features.image_shape):
            raise ValueError(f"y of shape {y.shape} does not fit features of image shape {features.image_shape}")
        return features, y

    @staticmethod
    def _check_pixel_weight(pixel_weight, features):
        if pixel_weight is None:
            return None
        if not features.image_shape:
            raise ValueError("pixel_weight is for photographs, X or y has no pixels")
        return check_pixel_weight(pixel_weight, features.image_shape)

    def _check_features(self, X, *, reset):
        if not isinstance(X, PixelLightFeatures):
            with naming("X"):
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
        elif X[:1].shape[1] * self._n_channels(X) != int(np.prod(self.target_shape_)):
            raise ValueError(f"X is of images {X.image_shape}, the training photographs were {self.target_shape_}")
        return X

    @staticmethod
    def _as_features(table):
        """Take a plain table as lights that all shine on one pixel without features."""
        return PixelLightFeatures(table, np.empty((1, 0), np.float32), image_shape=())

    def _n_channels(self, features):
        return int(np.prod(self.target_shape_)) // len(features.pixels)
