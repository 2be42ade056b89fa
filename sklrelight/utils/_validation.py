"""Checks of arguments, with messages that name the argument."""

import math
import re
from contextlib import contextmanager

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from ._lights import make_unit_vectors
from ._sklearn_compat import InvalidParameterError

__all__ = [
    "FLOAT32_SAFE",
    "FLOAT64_SAFE",
    "check_finite",
    "check_lights",
    "check_magnitude",
    "check_numbers",
    "check_pixel_weight",
    "is_of",
    "naming",
    "safe_unit",
    "split_target_shape",
    "value_weights",
]

# Largest values whose squares, and cubes of distances, stay far from the largest number there is. Radiance and lights
# in any unit are below.
FLOAT32_SAFE = 1e12
FLOAT64_SAFE = 1e50
# Largest number of half precision, and the bits of infinity.
_LARGEST_HALF, _INFINITE_HALF = 65504, 0x7C00


@contextmanager
def naming(argument, given=None):
    """Put the name of an argument before the messages that do without, as some of scikit-learn's.

    A masked array is refused, because scikit-learn and NumPy take its masked values for ordinary ones.

    Parameters
    ----------
    argument : str
        Its name.

    given : object, optional
        The argument itself.

    Raises
    ------
    ValueError, TypeError
        Whichever of the two the block raises; ValueError for a masked array.

    Examples
    --------
    >>> with naming("lights"):
    ...     raise ValueError("Expected 2D array")
    Traceback (most recent call last):
    ...
    ValueError: lights: Expected 2D array
    """
    if any(map(np.ma.is_masked, given if isinstance(given, list | tuple) else [given])):
        raise ValueError(
            f"{argument} is a masked array, whose masked values would count like all others: leave pixels out by"
            f" pixel_weight=, or pass {argument}.filled(value)"
        )
    try:
        # What overflows in a conversion, or is no number, is refused by what the block checks.
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except InvalidParameterError:
        # It names a parameter, of an estimator that the block fits.
        raise
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{re.escape(argument)}\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{argument}: {error}") from error


def check_magnitude(values, argument, largest=FLOAT64_SAFE):
    """Refuse numbers that are too large to calculate with.

    Parameters
    ----------
    values : ndarray
        Numbers.

    argument : str
        Their name.

    largest : float, default=1e50
        What they may reach.

    Raises
    ------
    ValueError
        If one is larger.

    Examples
    --------
    >>> check_magnitude(np.array([1.0, -1e70]), "X")
    Traceback (most recent call last):
    ...
    ValueError: X reaches 1e+70 in magnitude, and what is computed of it would overflow beyond 1e+50: take another unit
    """
    if not values.size or (values.dtype == np.float16 and largest >= _LARGEST_HALF and _all_are_finite(values)):
        return
    # As Python's floats: a half cannot be compared with what it cannot hold.
    found = max(float(values.max()), -float(values.min()))
    if found > largest:
        raise ValueError(
            f"{argument} reaches {found:.3g} in magnitude, and what is computed of it would overflow beyond"
            f" {largest:g}: take another unit"
        )


def _all_are_finite(values):
    """Tell whether numbers of half precision are finite, by their bits: ten times as fast as comparing them."""
    return values.view(np.int16).max() < _INFINITE_HALF and values.view(np.uint16).max() < _INFINITE_HALF + 2**15


def check_finite(predicted):
    """Refuse what has overflowed in predicting.

    Parameters
    ----------
    predicted : ndarray
        Values.

    Raises
    ------
    ValueError
        If one is not finite.

    Examples
    --------
    >>> check_finite(np.array([np.inf]))
    Traceback (most recent call last):
    ...
    ValueError: X has lights so far from the training ones, or y values so large, that predicted ones overflow
    """
    if not np.isfinite(predicted).all():
        raise ValueError(
            "X has lights so far from the training ones, or y values so large, that predicted ones overflow"
        )


def check_lights(model, X):
    """Check the lights for which a fitted model is to predict photographs.

    Parameters
    ----------
    model : estimator
        Fitted model over the lights. Its `_summed` names the attribute that a fit sets last.

    X : array-like of shape (m, n_light_features)
        Lights.

    Returns
    -------
    ndarray of shape (m, n_light_features), float64
        The lights. Where the training lights are unit vectors, these are, too.

    Raises
    ------
    NotFittedError
        If the model is not fitted.

    ValueError
        If the lights have another width than in `fit`, are not finite or exceed 1e50 in magnitude.
    """
    check_is_fitted(model, model._summed)
    with naming("X", X):
        X = validate_data(model, X, dtype=np.float64, reset=False)
    check_magnitude(X, "X")
    return make_unit_vectors(X) if model.unit_lights_ else X


def check_numbers(values, argument):
    """Make an array of real numbers.

    Parameters
    ----------
    values : array-like
        Numbers, in an array of any shape.

    argument : str
        Name of the argument, for the message.

    Returns
    -------
    ndarray
        The numbers. An array is not copied.

    Raises
    ------
    ValueError
        If they are something else.

    Examples
    --------
    >>> check_numbers([1j], "images")
    Traceback (most recent call last):
    ...
    ValueError: images must be real numbers, got complex128
    """
    with naming(argument, values):
        array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{argument} must be real numbers, got {array.dtype}")
    return array


def safe_unit(values):
    """Find what to divide values by, where their squares are beyond float32.

    Parameters
    ----------
    values : ndarray
        Not empty.

    Returns
    -------
    float
        1 for most; for very large or very small ones a power of 2, so that dividing rounds nothing.

    Examples
    --------
    >>> safe_unit(np.array([0.5, 100.0])), safe_unit(np.array([2.0**-100]))
    (1.0, 1.5777218104420236e-30)
    """
    largest = max(float(values.max()), -float(values.min()))
    return 1.0 if largest == 0 or 1 / FLOAT32_SAFE < largest < FLOAT32_SAFE else 2.0 ** math.frexp(largest)[1]


def split_target_shape(shape):
    """Tell the pixels of a target from its channels.

    Parameters
    ----------
    shape : tuple of int
        Shape of a target: (n, H, W, C) colour, (n, H, W) grey, (n, k) one pixel with k channels, (n,) one value.

    Returns
    -------
    image_shape : tuple of int
        (H, W), or () where the target is a single pixel.

    n_channels : int
        C, k or 1.

    Raises
    ------
    ValueError
        If there are no such targets.

    Examples
    --------
    >>> split_target_shape((10, 48, 64, 3))
    ((48, 64), 3)
    >>> split_target_shape((10, 5))
    ((), 5)
    """
    if not 1 <= len(shape) <= 4 or 0 in shape:
        raise ValueError(
            f"images of shape {tuple(shape)}: expected (n, H, W, C), (n, H, W), (n, k) or (n,), none of them 0"
        )
    if len(shape) <= 2:
        return (), int(np.prod(shape[1:]))
    return tuple(shape[1:3]), int(np.prod(shape[3:]))


def check_pixel_weight(pixel_weight, image_shape):
    """Check weights of pixels.

    Parameters
    ----------
    pixel_weight : array-like of shape (H, W) or (1, H, W)
        0 leaves a pixel out, 1 is an ordinary one; a mask of bool will do.

    image_shape : tuple of int
        (H, W) of the photographs.

    Returns
    -------
    ndarray of shape (H, W), float32
        The weights.

    Raises
    ------
    ValueError
        If they have another shape, are negative or not finite, or are all 0.

    Examples
    --------
    >>> check_pixel_weight([[True, False]], (1, 2))
    array([[1., 0.]], dtype=float32)
    """
    with naming("pixel_weight", pixel_weight):
        weight = check_array(pixel_weight, dtype=np.float32, ensure_2d=False, allow_nd=True, input_name="pixel_weight")
    if weight.ndim == 3 and len(weight) == 1:
        weight = weight[0]
    if weight.shape != tuple(image_shape) or weight.ndim != 2:
        raise ValueError(
            f"pixel_weight has the shape {weight.shape}, the photographs {tuple(image_shape)} (H, W); a search cuts"
            " weights whose height is the number of lights: give it pixel_weight[None], of shape (1, H, W)"
        )
    if weight.min() < 0:
        raise ValueError(f"pixel_weight must not be negative, got {weight.min():g}")
    if not weight.any():
        raise ValueError("pixel_weight is 0 everywhere: no pixel is left")
    return weight


def value_weights(images, pixel_weight, saturation):
    """Weigh each value of some photographs.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C), (n, H, W), (n, k) or (n,)
        Photographs.

    pixel_weight : array-like of shape (H, W) or None
        Weights of the pixels.

    saturation : float or None
        Values at or above it have no weight.

    Returns
    -------
    ndarray of the shape of images, float32, or None
        None where everything weighs alike.

    Raises
    ------
    ValueError
        If the pixels' weights do not fit the photographs.

    Examples
    --------
    >>> value_weights(np.array([[[0.2, 1.0]]]), [[3.0, 1.0]], saturation=1.0)
    array([[[3., 0.]]], dtype=float32)
    """
    if pixel_weight is None and saturation is None:
        return None
    weights = np.ones(images.shape, np.float32)
    if pixel_weight is not None:
        pixel_weight = check_pixel_weight(pixel_weight, images.shape[1:3])
        weights *= pixel_weight.reshape(pixel_weight.shape + (1,) * (images.ndim - 3))
    if saturation is not None:
        # No value of a half reaches what a half cannot hold.
        with np.errstate(over="ignore"):
            weights *= images < saturation
    return weights


def is_of(array, package):
    """Tell whether an object is an array of a package, which need not be installed."""
    return type(array).__module__.split(".")[0] == package and hasattr(array, "shape")
