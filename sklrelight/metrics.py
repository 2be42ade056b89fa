"""How far predicted photographs are from the real ones, and scorers for a search.

Figures of two domains differ widely: linear radiance is dominated by highlights, an encoded picture is what people
see. Each function takes values as they are, linear or encoded, or encodes linear radiance for display itself where
`white` is given. Say the domain beside each figure.
"""

import numpy as np
from sklearn.metrics import make_scorer
from sklearn.utils import check_array

from .weights import value_weights

# Of the fixed display encoding.
DISPLAY_GAMMA = 2.2

__all__ = [
    "DISPLAY_GAMMA",
    "display_white",
    "encode_display",
    "make_psnr_scorer",
    "make_relative_error_scorer",
    "peak_signal_noise_ratio",
    "relative_error",
]


def display_white(images):
    """Find the radiance that a display shows as white.

    Parameters
    ----------
    images : array-like of any shape
        The training photographs, linear radiance.

    Returns
    -------
    float
        Their 99.95th percentile: all but the brightest highlights are within the display's range.

    Examples
    --------
    >>> round(display_white(np.linspace(0, 10, 2001)), 6)
    9.995
    """
    images = np.asarray(images)
    if images.dtype == np.float16:
        # Its three digits are not enough to interpolate in.
        images = images.astype(np.float32)
    return float(np.percentile(images, 99.95))


def encode_display(images, white):
    """Encode linear radiance the way all quoted figures of HDR captures are.

    Parameters
    ----------
    images : array-like of any shape
        Linear radiance.

    white : float
        The radiance that becomes 1, usually :func:`display_white` of the training photographs; positive.

    Returns
    -------
    ndarray of the shape of images, float32 or float64
        ``clip(images / white, 0, 3) ** (1 / 2.2)``. 8-bit captures need none of it: their stored values over 255 are
        encoded already.

    Raises
    ------
    ValueError
        If `white` is not positive and finite.

    Examples
    --------
    >>> encode_display([0.0, 1.0, 2.0, 100.0], white=2.0).round(3)
    array([0.   , 0.73 , 1.   , 1.648])
    """
    if not 0 < white < np.inf:
        raise ValueError(f"white must be positive and finite, got {white!r}")
    encoded = np.array(images, dtype=np.result_type(np.asarray(images), np.float32))
    encoded /= white
    np.clip(encoded, 0, 3, out=encoded)
    return np.power(encoded, 1 / DISPLAY_GAMMA, out=encoded)


def relative_error(y_true, y_pred, *, white=None, pixel_weight=None, saturation=None):
    """Root of the squared error over the squared values, pooled over everything that is passed.

    Parameters
    ----------
    y_true : array-like of shape (n, ...)
        Photographs.

    y_pred : array-like of the same shape
        What was predicted of them.

    white : float or None, default=None
        Encode both by :func:`encode_display` first. None: take the values as they are.

    pixel_weight : array-like of shape (H, W) or None, default=None
        Weights of the pixels: 0 outside a mask, solid angles of a panorama.

    saturation : float or None, default=None
        Values of the photographs, as passed, at and above which a value is left out.

    Returns
    -------
    float
        ``sqrt(sum((y - p)^2) / sum(y^2))``; 0 is perfect, 1 is what all black gives. With photographs that are all
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
    """Peak signal over noise in decibels, pooled over everything that is passed.

    Parameters
    ----------
    y_true : array-like of shape (n, ...)
        Photographs.

    y_pred : array-like of the same shape
        What was predicted of them.

    data_range : float
        The peak: 1 for values encoded to [0, 1]. Positive. There is no default, for a wrong one goes unnoticed.

    white : float or None, default=None
        Encode both by :func:`encode_display` first. None: take the values as they are. Of raw linear HDR radiance this
        ratio says little.

    pixel_weight : array-like of shape (H, W) or None, default=None
        Weights of the pixels: 0 outside a mask, solid angles of a panorama.

    saturation : float or None, default=None
        Values of the photographs, as passed, at and above which a value is left out.

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
    if not 0 < data_range < np.inf:
        raise ValueError(f"data_range must be positive and finite, got {data_range!r}")
    error, _, total_weight = _pooled(y_true, y_pred, white, pixel_weight, saturation)
    if error == 0:
        return float("inf")
    return float(-10 * np.log10(error / total_weight / data_range**2))


def make_relative_error_scorer(*, white=None, pixel_weight=None, saturation=None):
    """Make a scorer of the relative error for ``scoring=`` of a search.

    Parameters
    ----------
    white, pixel_weight, saturation
        As in :func:`relative_error`.

    Returns
    -------
    callable
        The negative relative error: greater is better, as scikit-learn wants it.

    Examples
    --------
    >>> make_relative_error_scorer()
    make_scorer(relative_error, greater_is_better=False, response_method='predict')
    """
    return _make_scorer(relative_error, False, white=white, pixel_weight=pixel_weight, saturation=saturation)


def make_psnr_scorer(*, data_range, white=None, pixel_weight=None, saturation=None):
    """Make a scorer of the peak signal-to-noise ratio for ``scoring=`` of a search.

    Parameters
    ----------
    data_range, white, pixel_weight, saturation
        As in :func:`peak_signal_noise_ratio`.

    Returns
    -------
    callable
        The scorer.

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


def _make_scorer(metric, greater_is_better, **parameters):
    given = {name: value for name, value in parameters.items() if value is not None}
    return make_scorer(metric, greater_is_better=greater_is_better, **given)


def _pooled(y_true, y_pred, white, pixel_weight, saturation):
    """Weighted sums of squared errors, of squares and of ones, in float64 and photograph by photograph."""
    arrays = [
        check_array(y, ensure_2d=False, allow_nd=True, input_name=name)
        for y, name in ((y_true, "y_true"), (y_pred, "y_pred"))
    ]
    y_true, y_pred = arrays
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_true has the shape {y_true.shape}, y_pred {y_pred.shape}; they must be the same")
    error = power = total_weight = 0.0
    # One photograph at a time: float64 copies of whole stacks would be large.
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
        raise ValueError("no value is left to compare: all are saturated or of weight 0")
    return error, power, total_weight
