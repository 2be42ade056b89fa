"""Metrics that compare predicted photographs with real ones, and scorers that use them in a search.

The same prediction has quite different errors in linear radiance, where highlights dominate, and in encoded values,
which are what people see. Each function compares the values as they are, linear or encoded; with `white` it first
encodes linear radiance for display. Name the domain whenever you quote one of them.
"""

from numbers import Real

import numpy as np
from sklearn.metrics import make_scorer
from sklearn.utils import check_array

from .utils import check_magnitude, check_numbers, check_pixel_weight, import_extra, naming, value_weights

__all__ = [
    "DISPLAY_GAMMA",
    "display_white",
    "encode_display",
    "make_psnr_scorer",
    "make_relative_error_scorer",
    "make_ssim_scorer",
    "peak_signal_noise_ratio",
    "relative_error",
    "structural_similarity",
]

# Exponent of the display encoding.
DISPLAY_GAMMA = 2.2
# Side in pixels of the windows that structural similarity compares: scikit-image's own default.
_SSIM_WINDOW = 7


def display_white(images):
    """Find the radiance that a display shows as white.

    Parameters
    ----------
    images : array-like of any shape
        Training photographs, linear radiance.

    Returns
    -------
    float
        The 99.95th percentile of the values, so that all but the brightest highlights are within the display's range.

    Raises
    ------
    ValueError
        If there are no values, or one is not a finite real number.

    Examples
    --------
    >>> round(display_white(np.linspace(0, 10, 2001)), 6)
    9.995
    """
    images = check_numbers(images, "images")
    if not images.size or not np.isfinite(images).all():
        raise ValueError(f"images, of shape {images.shape}, must be finite values, and some of them")
    if images.dtype == np.float16:
        # float16 has too few digits for the interpolation between two values.
        images = images.astype(np.float32)
    return float(np.percentile(images, 99.95))


def encode_display(images, white):
    """Encode linear radiance for display, as in all errors that this package quotes for HDR captures.

    Parameters
    ----------
    images : array-like of any shape
        Linear radiance.

    white : float
        Radiance that becomes 1, usually :func:`display_white` of the training photographs; positive.

    Returns
    -------
    ndarray of the shape of images, float32 or float64
        ``clip(images / white, 0, 3) ** (1 / 2.2)``. 8-bit captures do not need this: their stored values divided by 255
        are encoded already.

    Raises
    ------
    ValueError
        If `white` is not positive and finite, or the radiance is not made of real numbers. NaN stays NaN.

    Examples
    --------
    >>> encode_display([0.0, 1.0, 2.0, 100.0], white=2.0).round(3)
    array([0.   , 0.73 , 1.   , 1.648])
    """
    _check_positive(white, "white")
    images = check_numbers(images, "images")
    encoded = np.array(images, dtype=np.result_type(images, np.float32))
    # A quotient that overflows is clipped in the next line.
    with np.errstate(over="ignore"):
        encoded /= white
    np.clip(encoded, 0, 3, out=encoded)
    return np.power(encoded, 1 / DISPLAY_GAMMA, out=encoded)


def relative_error(y_true, y_pred, *, white=None, pixel_weight=None, saturation=None):
    """Root of the summed squared error over the summed squared values of all photographs.

    Parameters
    ----------
    y_true : array-like of shape (n, ...)
        Photographs as they were taken.

    y_pred : array-like of the same shape
        Photographs as a model predicts them.

    white : float or None, default=None
        White of :func:`encode_display`, by which both are encoded first. None: the values are compared as they are.

    pixel_weight : array-like of shape (H, W) or None, default=None
        Weights of the pixels, such as 0 outside a mask, or the solid angles of a panorama.

    saturation : float or None, default=None
        Value in `y_true`, before any encoding, at and above which pixels are saturated and left out.

    Returns
    -------
    float
        ``sqrt(sum((y - p)^2) / sum(y^2))``: 0 for a perfect prediction, 1 for a black one. If all photographs are
        black, 0 for a black prediction and infinity for any other.

    Raises
    ------
    ValueError
        If the shapes differ, or a value is NaN or infinite.

    Examples
    --------
    >>> relative_error([[3.0, 4.0]], [[3.0, 4.5]])
    0.1
    """
    error, power, _ = _pooled(y_true, y_pred, white, pixel_weight, saturation)
    if power == 0:
        return 0.0 if error == 0 else float("inf")
    return float(np.sqrt(error / power))


def peak_signal_noise_ratio(y_true, y_pred, *, data_range, white=None, pixel_weight=None, saturation=None):
    """Peak signal-to-noise ratio in decibels, from the mean squared error over all photographs.

    Parameters
    ----------
    y_true : array-like of shape (n, ...)
        Photographs as they were taken.

    y_pred : array-like of the same shape
        Photographs as a model predicts them.

    data_range : float
        Peak of the values, such as 1 for values encoded to [0, 1]; positive. There is no default, because a wrong one
        would go unnoticed.

    white : float or None, default=None
        White of :func:`encode_display`, by which both are encoded first. None: the values are compared as they are,
        which says little about linear HDR radiance.

    pixel_weight : array-like of shape (H, W) or None, default=None
        Weights of the pixels, such as 0 outside a mask, or the solid angles of a panorama.

    saturation : float or None, default=None
        Value in `y_true`, before any encoding, at and above which pixels are saturated and left out.

    Returns
    -------
    float
        ``-10 log10(MSE / data_range^2)``; infinity for a perfect prediction.

    Raises
    ------
    ValueError
        If the shapes differ, a value is NaN or infinite, or `data_range` is not positive.

    Examples
    --------
    >>> round(peak_signal_noise_ratio([[0.5, 0.5]], [[0.6, 0.4]], data_range=1.0), 6)
    20.0
    """
    _check_positive(data_range, "data_range")
    error, _, total_weight = _pooled(y_true, y_pred, white, pixel_weight, saturation)
    if error == 0:
        return float("inf")
    return float(-10 * np.log10(error / total_weight / data_range**2))


def structural_similarity(y_true, y_pred, *, data_range, white=None, pixel_weight=None):
    """Mean structural similarity (SSIM) of all photographs, computed by scikit-image.

    Parameters
    ----------
    y_true : array-like of shape (n, H, W, C) or (n, H, W)
        Photographs as they were taken, of at least 7 x 7 pixels.

    y_pred : array-like of the same shape
        Photographs as a model predicts them.

    data_range : float
        Range of the values, such as 1 for values encoded to [0, 1]; positive. There is no default, because a wrong one
        would go unnoticed.

    white : float or None, default=None
        White of :func:`encode_display`, by which both are encoded first. None: the values are compared as they are.
        The measure is made for encoded values, which people see, not for linear radiance.

    pixel_weight : array-like of shape (H, W) or None, default=None
        Weights of the pixels in the mean, such as 0 outside a mask, or the solid angles of a panorama. The windows of
        pixels near the edge of a mask reach over it.

    Returns
    -------
    float
        1 for a perfect prediction.

    Raises
    ------
    ImportError
        If scikit-image is not installed: ``pip install 'sklrelight[ssim]'``.
    ValueError
        If the shapes differ or are too small, a value is NaN or infinite, or `data_range` is not positive.

    Notes
    -----
    The windows are uniform and of 7 x 7 pixels; each channel is compared by itself. The outermost 3 pixels, whose
    windows would reach over the edge of the image, are left out of the mean.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
    Similarity", IEEE Transactions on Image Processing 13(4), 2004.

    Examples
    --------
    >>> ramp = np.linspace(0, 1, 100).reshape(1, 10, 10)
    >>> round(structural_similarity(ramp, ramp, data_range=1.0), 6)
    1.0
    >>> round(structural_similarity(ramp, 1 - ramp, data_range=1.0), 3)
    -0.886
    """
    _check_positive(data_range, "data_range")
    y_true, y_pred = _check_pair(y_true, y_pred)
    if y_true.ndim not in (3, 4) or min(y_true.shape[1:3]) < _SSIM_WINDOW:
        raise ValueError(
            "y_true and y_pred: photographs of shape (n, H, W) or (n, H, W, C), of at least"
            f" {_SSIM_WINDOW} x {_SSIM_WINDOW} pixels, are compared; got {y_true.shape}"
        )
    border = _SSIM_WINDOW // 2
    inner = slice(border, -border)
    weights = None
    if pixel_weight is not None:
        weights = check_pixel_weight(pixel_weight, y_true.shape[1:3])[inner, inner].astype(np.float64)
        if not weights.any():
            raise ValueError(f"pixel_weight is 0 everywhere but in the outermost {border} pixels, which do not count")
    skimage_metrics = import_extra("skimage.metrics", "ssim", "To compute structural similarity")
    means = []
    for pair in zip(y_true, y_pred, strict=True):
        _, similarity = skimage_metrics.structural_similarity(
            *(np.asarray(y if white is None else encode_display(y, white), np.float64) for y in pair),
            win_size=_SSIM_WINDOW,
            data_range=data_range,
            channel_axis=-1 if y_true.ndim == 4 else None,
            full=True,
        )
        similarity = similarity[inner, inner]
        means.append(np.average(similarity.reshape(*similarity.shape[:2], -1).mean(axis=-1), weights=weights))
    return float(np.mean(means))


def make_relative_error_scorer(*, white=None, pixel_weight=None, saturation=None):
    """Make a scorer of the relative error, for ``scoring=`` of a search.

    Parameters
    ----------
    white, pixel_weight, saturation
        See :func:`relative_error`.

    Returns
    -------
    callable
        Scorer that returns the negative relative error, because scikit-learn takes a greater score for a better one.

    Examples
    --------
    >>> make_relative_error_scorer()
    make_scorer(relative_error, greater_is_better=False, response_method='predict')
    """
    return _make_scorer(relative_error, False, white=white, pixel_weight=pixel_weight, saturation=saturation)


def make_psnr_scorer(*, data_range, white=None, pixel_weight=None, saturation=None):
    """Make a scorer of the peak signal-to-noise ratio, for ``scoring=`` of a search.

    Parameters
    ----------
    data_range, white, pixel_weight, saturation
        See :func:`peak_signal_noise_ratio`.

    Returns
    -------
    callable
        Scorer that returns the peak signal-to-noise ratio.

    Examples
    --------
    >>> make_psnr_scorer(data_range=1.0)
    make_scorer(peak_signal_noise_ratio, response_method='predict', data_range=1.0)
    """
    return _make_scorer(
        peak_signal_noise_ratio,
        True,
        data_range=data_range,
        white=white,
        pixel_weight=pixel_weight,
        saturation=saturation,
    )


def make_ssim_scorer(*, data_range, white=None, pixel_weight=None):
    """Make a scorer of the structural similarity, for ``scoring=`` of a search.

    Parameters
    ----------
    data_range, white, pixel_weight
        See :func:`structural_similarity`.

    Returns
    -------
    callable
        Scorer that returns the structural similarity.

    Examples
    --------
    >>> make_ssim_scorer(data_range=1.0)
    make_scorer(structural_similarity, response_method='predict', data_range=1.0)
    """
    return _make_scorer(structural_similarity, True, data_range=data_range, white=white, pixel_weight=pixel_weight)


def _make_scorer(metric, greater_is_better, **parameters):
    given = {name: value for name, value in parameters.items() if value is not None}
    return make_scorer(metric, greater_is_better=greater_is_better, **given)


def _check_positive(value, argument):
    if not (isinstance(value, Real) and 0 < float(value) < np.inf):
        raise ValueError(f"{argument} must be positive and finite, got {value!r}")


def _check_pair(y_true, y_pred):
    """Check that both are finite and of the same shape."""
    with naming("y_true", y_true):
        y_true = check_array(y_true, ensure_2d=False, allow_nd=True, input_name="y_true")
    with naming("y_pred", y_pred):
        y_pred = check_array(y_pred, ensure_2d=False, allow_nd=True, input_name="y_pred")
    check_magnitude(y_true, "y_true")
    check_magnitude(y_pred, "y_pred")
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_true has the shape {y_true.shape}, y_pred {y_pred.shape}; they must be the same")
    return y_true, y_pred


def _pooled(y_true, y_pred, white, pixel_weight, saturation):
    """Sum the weighted squared errors, the weighted squares and the weights, in float64."""
    y_true, y_pred = _check_pair(y_true, y_pred)
    error = power = total_weight = 0.0
    # One photograph at a time, because float64 copies of all of them would be large.
    for i in range(len(y_true)):
        true, predicted = y_true[i : i + 1], y_pred[i : i + 1]
        weights = value_weights(true, pixel_weight, saturation)
        if white is not None:
            true, predicted = encode_display(true, white), encode_display(predicted, white)
        squares = np.square(np.subtract(true, predicted, dtype=np.float64)), np.square(true, dtype=np.float64)
        if weights is not None:
            squares = tuple(weights * square for square in squares)
        error += float(squares[0].sum())
        power += float(squares[1].sum())
        total_weight += true.size if weights is None else float(weights.sum(dtype=np.float64))
    if total_weight == 0:
        raise ValueError("no value is left to compare in y_true: it is empty, or all are saturated or of weight 0")
    return error, power, total_weight
