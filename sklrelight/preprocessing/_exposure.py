"""An encoding of radiance that networks learn well: :class:`LogExposureScaler`."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from ..stacks import ImageStack
from ..utils import DocumentedEstimator, VersionedState, check_magnitude, naming
from ..utils._sklearn_compat import Interval, StrOptions, fit_context

__all__ = ["LogExposureScaler"]

# Values that "auto" exposure looks at, at most.
_METERED_VALUES = 2**20
# Percentile that is shown as white, as in `metrics.display_white`.
_WHITE = 99.95


class LogExposureScaler(DocumentedEstimator, VersionedState, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Spread high dynamic range radiance evenly over [0, 1].

    Most values of a calibrated HDR photograph lie in a small part of its range. They are scaled to [0, 1], multiplied
    by an exposure, bent by a curve, and scaled to [0, 1] again. Dark and bright regions then have about the same weight
    in a loss.

    Parameters
    ----------
    exposure : float or "auto", default="auto"
        Exposure in stops, in [-30, 30]: the scaled radiance is multiplied by ``2 ** exposure``. The larger it is, the
        further a logarithm spreads the dark values. With ``curve="power"`` it has no effect, because the second scaling
        undoes it. ``"auto"`` meters the values that are not black. With ``curve="display"``, it brings their 99.95th
        percentile, which is shown as white, to 1; else their median to 2. There the logarithm bends, and a few
        highlights change neither.

    gamma : float, default=2.2
        Exponent for ``curve="display"`` and ``curve="power"``, in [1, 10]: values are raised to ``1 / gamma``. It has
        no effect with ``curve="log"``.

    curve : {"display", "log", "power"}, default="display"
        Curve that bends the values. ``"log"`` is a logarithm, as in the text of [1]_. ``"power"`` is the power by which
        screens show radiance, as in the published code of [1]_. ``"display"`` is the power of the logarithm, which is
        close to the power up to white, and compresses what is brighter.

    Attributes
    ----------
    exposure_ : float
        The exposure in use, in stops.

    data_min_ : float
        The least value of the training data.

    data_max_ : float
        The greatest value of the training data.

    n_features_in_ : int
        Number of columns of the training data. Defined only if they are a table.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the training data. Defined only if they are a table and all names are strings.

    See Also
    --------
    sklrelight.Relighter : Applies the scaler to the photographs and its inverse to the predictions.

    Notes
    -----
    With :math:`x` the radiance, :math:`e` the exposure and :math:`u = (x - \min) / (\max - \min)`,

    .. math:: \text{encoded}(x) = \frac{c(2^e u)}{c(2^e)},

    with :math:`c(v) = \log(1 + v)^{1/\gamma}` for ``"display"``, :math:`\log(1 + v)` for ``"log"`` and
    :math:`v^{1/\gamma}` for ``"power"``.

    A model averages photographs as they are encoded. The more a curve bends the noise, the darker is such a mean after
    decoding. The logarithm, which bends most at the median, therefore darkens noisy caustics and shadows more than the
    display curve, which bends at white.

    The minimum and the maximum are taken over all training data, not over each column, so that ratios between pixels
    and between channels are kept. Values outside of the training range are encoded by the same formula, below the
    minimum by the odd extension of the curve, :math:`-c(-v)`. Encoding and decoding therefore returns a highlight that
    is brighter than any in training. Radiance is never negative: ``inverse_transform`` returns 0 instead of a negative
    value.

    float32 and float64 keep their type. Other types are computed in float32. In float32, encoding and decoding changes
    values by at most 5e-6 of their size over ten decades, up to 10,000 times the training maximum. With
    ``curve="display"`` the bound is :math:`2 \cdot 10^{-7} \, \gamma \log(1 + v)`, if that is more. Below the training
    minimum, the error is at most as large as at the minimum.

    References
    ----------
    .. [1] A. Colburn, "Image Based Relighting Using Neural Networks", 2019, section "Data Normalization",
       https://github.com/alexcolburn/neural_relighting

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import LogExposureScaler
    >>> images = np.array([0.0, 0.01, 0.1, 1.0]).reshape(2, 1, 2, 1)
    >>> encoded = LogExposureScaler(curve="power").fit_transform(images)
    >>> encoded.ravel().round(3)
    array([0.   , 0.123, 0.351, 1.   ])
    """

    _parameter_constraints = {
        "exposure": [Interval(Real, -30, 30, closed="both"), StrOptions({"auto"})],
        "gamma": [Interval(Real, 1, 10, closed="both")],
        "curve": [StrOptions({"display", "log", "power"})],
    }

    # `fit` reads photographs on disk by itself.
    takes_stacks = True

    def __init__(self, exposure="auto", gamma=2.2, curve="display"):
        self.exposure = exposure
        self.gamma = gamma
        self.curve = curve

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the range of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or ImageStack
            Linear radiance, finite and not negative, with at least two dimensions.

        y : None
            Ignored.

        Returns
        -------
        self : LogExposureScaler
            The fitted scaler.

        Raises
        ------
        ValueError
            If `X` holds NaN, an infinity or a negative value.
        """
        if isinstance(X, ImageStack):
            return self._fit_summary(X.summary(_METERED_VALUES))
        X = self._check_radiance(X, reset=True)
        self.data_min_ = float(X.min())
        self.data_max_ = float(X.max())
        self.exposure_ = self._meter(X.reshape(-1)) if self.exposure == "auto" else float(self.exposure)
        return self

    def transform(self, X):
        """Encode radiance.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Radiance in the units that `fit` saw.

        Returns
        -------
        encoded : ndarray of the shape of X, float32 or float64
            Encoded values, in [0, 1] for radiance within the training range.

        Raises
        ------
        ValueError
            If `X` holds NaN, an infinity or a negative value.
        """
        check_is_fitted(self)
        encoded = self._check_radiance(X, reset=False, copy=True)
        encoded -= self.data_min_
        encoded /= self._range
        encoded *= 2.0**self.exposure_
        self._apply_oddly(self._bend, encoded)
        encoded /= self._bent_maximum
        return encoded

    def inverse_transform(self, X):
        """Decode to radiance.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Encoded values.

        Returns
        -------
        radiance : ndarray of the shape of X, float32 or float64
            Radiance in the units that `fit` saw, never negative and always finite.

        Raises
        ------
        ValueError
            If `X` holds NaN or an infinity.
        """
        check_is_fitted(self)
        radiance = self._check(X, reset=False, copy=True)
        # The exponential of a prediction that has gone astray may overflow: it becomes the brightest number there is.
        with np.errstate(over="ignore"):
            radiance *= self._bent_maximum
            self._apply_oddly(self._unbend, radiance)
            radiance /= 2.0**self.exposure_
            radiance *= self._range
            radiance += self.data_min_
        return np.clip(radiance, 0, np.finfo(radiance.dtype).max, out=radiance)

    def _fit_summary(self, summary):
        self._check_sign(summary.minimum_of_all)
        self.data_min_, self.data_max_ = summary.minimum, summary.maximum
        self.exposure_ = self._meter(summary.sample) if self.exposure == "auto" else float(self.exposure)
        return self

    def _meter(self, flat):
        if flat.size > _METERED_VALUES:
            # Multiples of the golden ratio: evenly spread, and in step with no row, column or channel.
            spread = np.arange(_METERED_VALUES) * ((np.sqrt(5) - 1) / 2) % 1
            flat = flat[(spread * flat.size).astype(np.int64)]
        scaled = (flat.astype(np.float64) - self.data_min_) / self._range
        # Black is told from visible by what is bright in the scene, not by its maximum: that may be a single glint.
        visible = scaled[scaled > 1e-3 * np.percentile(scaled, 99)]
        # Constant data have no visible values, and any exposure serves them.
        if not visible.size:
            return 0.0
        gain = 1 / np.percentile(visible, _WHITE) if self.curve == "display" else 2 / np.median(visible)
        return min(30.0, float(np.log2(gain)))

    @property
    def _range(self):
        # Constant data have no range: they are then only shifted.
        return (self.data_max_ - self.data_min_) or 1.0

    @property
    def _bent_maximum(self):
        maximum = np.full(1, 2.0**self.exposure_)
        self._bend(maximum)
        return float(maximum[0])

    def _bend(self, values):
        if self.curve != "power":
            np.log1p(values, out=values)
        if self.curve != "log":
            np.power(values, 1 / self.gamma, out=values)

    def _unbend(self, values):
        if self.curve != "log":
            np.power(values, self.gamma, out=values)
        if self.curve != "power":
            np.expm1(values, out=values)

    @staticmethod
    def _apply_oddly(function, values):
        """Apply a function of non-negative numbers in place, and -f(-v) to negative ones."""
        if values.min() >= 0:
            function(values)
            return
        # By blocks: the signs are a temporary, which should not grow to the size of the stack.
        for rows in gen_batches(len(values), max(1, 2**20 // values[0].size)):
            block = values[rows]
            sign = np.sign(block)
            np.abs(block, out=block)
            function(block)
            block *= sign

    def _check(self, X, *, reset, copy=False):
        # float16 and integers become float32: their own arithmetic would overflow or truncate.
        with naming("X", X):
            array = check_array(
                X, dtype=[np.float32, np.float64], allow_nd=True, copy=copy, order="C", estimator=self, input_name="X"
            )
            check_magnitude(array, "X")
            if not array.size:
                raise ValueError(f"Found array of shape {array.shape}, which has no values")
            # Only a table has columns: photographs of a masked scene are scaled by their inside and applied to all.
            if array.ndim == 2:
                validate_data(self, X, reset=reset, skip_check_array=True)
        return array

    def _check_radiance(self, X, *, reset, copy=False):
        X = self._check(X, reset=reset, copy=copy)
        self._check_sign(X.min())
        return X

    def _check_sign(self, least):
        if least < 0:
            raise ValueError(
                f"Negative values in data passed to {type(self).__name__}: X is radiance, which is not negative; got"
                f" {least:g}"
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
