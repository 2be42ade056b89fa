"""The base class of the models over the lights, and weighted sums of photographs."""

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import check_consistent_length, validate_data

from ..utils import DocumentedEstimator, VersionedState, check_finite, check_lights, check_magnitude, naming
from ..utils._lights import are_unit_vectors, make_unit_vectors

__all__ = ["LightRegressor", "as_pixels", "combine", "float_type"]

# Number of values that are converted to another type at a time: 128 MB in float64.
_BLOCK_VALUES = 2**24


class LightRegressor(DocumentedEstimator, VersionedState, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base class of the models over the lights. It checks what `fit` is given.

    A subclass defines `_weights`, which computes what the fitted photographs or coefficients are weighted with to
    predict photographs for lights that have been checked, or its own `predict`.

    Attributes
    ----------
    n_features_in_ : int
        Number of light features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    unit_lights_ : bool
        Whether the training lights are unit vectors: three columns, and lengths of 0.99 to 1.01. All lights are then
        scaled to length 1.
    """

    # Name of the attribute that `fit` sets last, of which predictions are weighted sums.
    _summed = "images_"

    def __sklearn_is_fitted__(self):
        # scikit-learn would take any attribute that ends in an underscore for a sign, and a `fit` that refuses its
        # arguments may leave `n_features_in_` behind.
        return hasattr(self, self._summed)

    def predict(self, X):
        """Predict photographs.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        images : ndarray of shape (m, ...)
            Predicted photographs: float32 if the training photographs are float32 or float16, else float64.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        return combine(self._weights(check_lights(self, X)), getattr(self, self._summed))

    def predict_pixels(self, X, pixels):
        """Predict some pixels of photographs.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        pixels : ndarray of int of shape (n_pixels,)
            Indices into the flattened image.

        Returns
        -------
        ndarray of shape (m, n_pixels, n_channels)
            These pixels of what `predict` returns.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        weights, images = self._weights(check_lights(self, X)), as_pixels(getattr(self, self._summed))
        width = max(1, _BLOCK_VALUES // images[:, 0].size)
        # The pixels of a block are copied.
        blocks = [combine(weights, images[:, pixels[some]]) for some in gen_batches(len(pixels), width)]
        return np.concatenate(blocks, axis=1)

    def _check_training(self, X, y):
        """Return the lights in float64, and the photographs in their own type."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        with naming("X", X):
            X = validate_data(self, X, dtype=np.float64)
        with naming("y", y):
            y = check_array(y, dtype="numeric", ensure_2d=False, allow_nd=True, input_name="y")
        with naming("X, y"):
            check_consistent_length(X, y)
        if not y.size:
            raise ValueError(f"y of shape {y.shape} has no values")
        check_magnitude(X, "X")
        check_magnitude(y, "y")
        self.unit_lights_ = are_unit_vectors(X)
        return make_unit_vectors(X) if self.unit_lights_ else X, y


def as_pixels(images):
    """View photographs, or coefficients of their pixels, as (n, n_pixels, n_channels).

    Examples
    --------
    >>> as_pixels(np.zeros((5, 4, 6, 3))).shape
    (5, 24, 3)
    """
    return images.reshape(len(images), int(np.prod(images.shape[1:3])), -1)


def float_type(images):
    """Choose the type in which photographs are predicted.

    Examples
    --------
    >>> float_type(np.zeros(2, np.float16)).__name__, float_type(np.zeros(2, np.uint8)).__name__
    ('float32', 'float64')
    """
    return np.float32 if images.dtype in (np.float32, np.float16) else np.float64


def combine(weights, images):
    """Compute weighted sums of photographs.

    Parameters
    ----------
    weights : ndarray or sparse array of shape (m, n)
        Weight of each photograph in each sum.

    images : ndarray of shape (n, ...)
        Photographs.

    Returns
    -------
    ndarray of shape (m, ...)
        The sums: float32 if the photographs are float32 or float16, else float64.

    Raises
    ------
    ValueError
        If a sum overflows.

    Examples
    --------
    >>> combine(np.array([[0.5, 0.5]]), np.array([[1, 2], [3, 6]]))
    array([[2., 4.]])
    """
    dtype = float_type(images)
    with np.errstate(over="ignore"):
        weights = weights.astype(dtype, copy=False)
    columns = images.reshape(len(images), -1)
    sums = np.empty((weights.shape[0], columns.shape[1]), dtype)
    # A converted copy of all photographs might not fit into memory, so they are converted some pixels at a time.
    width = columns.shape[1] if images.dtype == dtype else max(1, _BLOCK_VALUES // len(columns))
    for block in gen_batches(columns.shape[1], width):
        with np.errstate(over="ignore", invalid="ignore"):
            sums[:, block] = weights @ columns[:, block].astype(dtype, copy=False)
        check_finite(sums[:, block])
    return sums.reshape(len(sums), *images.shape[1:])
