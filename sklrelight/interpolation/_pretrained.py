"""Interpolation by a network that was trained on other surfaces: :class:`PretrainedInterpolation`."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches
from threadpoolctl import ThreadpoolController

from ..utils import check_finite, check_lights, check_pixel_weight
from ..utils._lights import check_directions, normalize, unproject
from ._base import LightRegressor, as_pixels, float_type
from ._equations import Points
from ._mixture import N_CANDIDATES, Known, Mixture

__all__ = ["PretrainedInterpolation"]

# Largest number of columns from which exponent and lobes are found, which all columns share.
MOST_SAMPLED = 2**12
# Number of columns that are computed at a time; the processor's cache holds them. Predictions always compute so many,
# because the rounding of matrix products can depend on their number, and a region has to equal the same part of the
# whole image.
_BLOCK = 2**11
# Ratio of the greatest length of lights to the least up to which they count as positions around the origin.
_LENGTHS = 2
# File of the trained weights, in this folder.
_WEIGHTS = "pretrained.npz"


class _Encoded(NamedTuple):
    """What is known of columns, and what the network makes of it. The columns are the last axis.

    `code` (n_code, n_columns) are hidden features, and `prior` (N_CANDIDATES, n_columns) the logarithms of the weights
    of the candidates as far as they do not depend on the light.
    """

    known: Known
    code: np.ndarray
    prior: np.ndarray


class PretrainedInterpolation(LightRegressor):
    """Weigh several interpolations at each pixel by a network that was trained on other surfaces.

    The network is part of the package. It was trained once, on rendered surfaces whose look under any light is known
    (``benchmarks/pretraining``). It is not trained on the photographs, so a fit takes seconds, and few photographs will
    do: it is made for 5 to 60.

    Attributes
    ----------
    directions_ : ndarray of shape (n_merged, 3)
        Unit vectors to the lights. Equal ones are merged.

    images_ : ndarray of shape (n_merged, ...)
        The training photographs; means of those under equal lights.

    sample_ : ndarray of shape (n_sampled,), int
        Indices of the columns from which exponent and lobes are found: pixels of three channels, or single values of
        photographs with another number of channels.

    peak_ : float
        Greatest magnitude of the photographs, by which they are divided; 1 if they are black.

    n_features_in_ : int
        Number of light features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    See Also
    --------
    StackedRBFInterpolation : Learns the weights of interpolations from the photographs. For more photographs, and for
        lights that are no directions.

    Notes
    -----
    The lights must be directions: three columns, or two with the x and y of directions. Three columns may also be
    positions around the object at the origin, the farthest at most twice as far as the nearest; only their directions
    are used. The camera is taken to look along -z.

    There are 13 candidates for each value:

    - interpolations of the values by the kernels thin plate spline, linear, multiquadric and gaussian (the last over x
      and y alone), and by harmonics of degree 2;
    - those by thin plate spline, linear kernel and harmonics of the decoded values, and of the square roots;
    - shading, with the interpolated deviations from it and without them. It is diffuse reflection, which is fitted
      robustly, and a mixture of three lobes of reflection that all pixels share.

    The network sees each photograph at the pixel, the errors of the candidates when each photograph is left out [1]_,
    the normal, the direction of the highlight, and what the candidates predict for the new light. It predicts the
    weights of the candidates, and a small correction of their weighted mean. To learn from other scenes how the look
    changes between two lights is the idea of Xu et al. [2]_.

    Each pixel is predicted by itself. The three channels of a colour photograph are predicted together, those of
    photographs with another number of channels one by one. Values that :class:`~sklrelight.LogExposureScaler` encoded
    suit best, because the network was trained on such values.

    Beside the photographs, a fitted model holds some 250 bytes for each pixel, and 8 more for each photograph of it.

    References
    ----------
    .. [1] S. Rippa, "An algorithm for selecting a good value for the parameter c in radial basis function
       interpolation", Advances in Computational Mathematics 11, 193-210, 1999.

    .. [2] Z. Xu, K. Sunkavalli, S. Hadap, R. Ramamoorthi, "Deep Image-Based Relighting from Optimal Sparse Samples",
       ACM Transactions on Graphics 37 (4), 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.interpolation import PretrainedInterpolation
    >>> lights = np.random.default_rng(0).normal(size=(12, 3))
    >>> lights[:, 2] = abs(lights[:, 2])
    >>> lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    >>> images = lights[:, 2].reshape(-1, 1, 1, 1) * np.array([0.9, 0.5, 0.2])
    >>> model = PretrainedInterpolation().fit(lights, images)
    >>> model.predict([[0.0, 0.6, 0.8]]).round(1)
    array([[[[0.7, 0.4, 0.2]]]])
    """

    __metadata_request__fit = {"pixel_weight": True, "value_range": True}

    def fit(self, X, y, pixel_weight=None, value_range=None):
        """Encode the photographs, and store them.

        Parameters
        ----------
        X : array-like of shape (n_lights, 3) or (n_lights, 2)
            Lights: directions of the upper hemisphere, or positions in these directions, or the x and y of directions.
            At least two differ.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs. In the third form, the k values are k pixels.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels, such as a mask of bool. Exponent and lobes are found from pixels of weight above 0.
            Photographs are predicted whole.

        value_range : tuple of float or None, default=None
            The least and the greatest value of all photographs, if `y` is a sample of their pixels. None takes the
            range of `y`.

        Returns
        -------
        self : PretrainedInterpolation
            The fitted model.

        Raises
        ------
        ValueError
            If the numbers of lights and photographs differ, or if a value is not finite. If the lights are not
            directions, if one lies more than 6 degrees below the horizon, or if all are equal. If the weights do not
            fit the photographs.
        """
        X, y = self._check_training(X, y)
        directions = _find_directions(X)
        weight = None if pixel_weight is None else check_pixel_weight(pixel_weight, y.shape[1:3]).ravel()
        merged = Points(directions).merged
        if len(merged.counts) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least two lights that differ, and all of X (n_lights = {len(X)}) are"
                " equal; NearestPhotograph takes those"
            )
        images = merged.average(y)
        columns = as_columns(images)
        weighted = np.arange(columns.shape[1])
        if weight is not None and weight.any():
            weighted = np.flatnonzero(np.repeat(weight > 0, columns.shape[1] // len(weight)))
        n_sampled = min(len(weighted), MOST_SAMPLED)
        # Those in the middle of parts of equal size.
        self.sample_ = weighted[((np.arange(n_sampled) + 0.5) * len(weighted) / n_sampled).astype(np.int64)]
        extent = np.abs((images.min(), images.max()) if value_range is None else value_range)
        self.peak_ = float(extent.max()) or 1.0
        self.directions_ = normalize(merged.average(directions))
        self._encode(images)
        self.images_ = images
        return self

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
        images = self._predict(X, None)
        return images.reshape(len(images), *self.images_.shape[1:])

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
            As in `predict`.
        """
        return self._predict(X, np.asarray(pixels))

    @staticmethod
    def takes(lights):
        """Tell whether lights are of the kind that this model takes.

        Parameters
        ----------
        lights : ndarray of shape (n, d)
            Lights.

        Returns
        -------
        bool
            Whether they are directions of the upper hemisphere, at least two of which differ.

        Examples
        --------
        >>> PretrainedInterpolation.takes(np.eye(3)), PretrainedInterpolation.takes(np.ones((9, 4)))
        (True, False)
        """
        try:
            return len(Points(_find_directions(lights)).merged.counts) > 1
        except ValueError:
            return False

    def _encode(self, images):
        """Find what all columns share, and encode them block by block."""
        columns, network = as_columns(images), _network()
        n_columns = columns.shape[1]
        self._mixture = Mixture(self.directions_, self._take(columns, self.sample_))

        def encode(block):
            values = self._take(columns, np.arange(block.start, block.stop))
            known, tokens, summary, errors = self._mixture.describe(values)
            # The largest arrays, and no more exact than half precision.
            known = known._replace(shaded=known.shaded.astype(np.float16), around=known.around.astype(np.float16))
            return _Encoded(known, *network.encode(tokens, summary, errors))

        one = encode(slice(0, 1))
        encoded = _map(lambda array: np.empty((*array.shape[:-1], n_columns), array.dtype), one)

        def fill(block):
            # In place: a list of all blocks and their concatenation would be there at a time.
            _map(lambda whole, part: np.copyto(whole[..., block], part), encoded, encode(block))

        _for_each(fill, gen_batches(n_columns, _BLOCK))
        self._encoded = encoded

    def _take(self, columns, some):
        """Copy some columns as float32 of shape (n, 3, n_columns), in units of the greatest magnitude."""
        dtype = float_type(columns)
        # Values of float64 may lie outside of float32 before they are divided.
        values = (columns[:, some].astype(dtype) / dtype(self.peak_)).astype(np.float32, copy=False)
        return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)).transpose(0, 2, 1))

    def _predict(self, X, pixels):
        directions = unproject(check_lights(self, X))
        if not hasattr(self, "_encoded"):
            self._encode(self.images_)
        columns, dtype = as_columns(self.images_), float_type(self.images_)
        n_channels, n_together = as_pixels(self.images_).shape[2], columns.shape[2]
        n_own = n_channels // n_together
        some = None if pixels is None else (pixels[:, None] * n_own + np.arange(n_own)).ravel()
        n_columns = columns.shape[1] if some is None else len(some)
        images = np.empty((len(directions), n_columns, n_together), dtype)
        weights, features = self._mixture.query(directions)

        def predict(block):
            own = _fill(block, some)
            values = self._take(columns, own)
            encoded = _map(lambda array: _widen(array[..., own]), self._encoded)
            looks = self._mixture.look(values, encoded.known, directions, weights)
            for number, (look, feature) in enumerate(zip(looks, features, strict=True)):
                predicted = _network().predict(encoded, feature, *look)[:, : block.stop - block.start]
                # A single channel was given three times.
                images[number, block] = (predicted if n_together == 3 else predicted.mean(axis=0, keepdims=True)).T

        _for_each(predict, gen_batches(n_columns, _BLOCK))
        with np.errstate(over="ignore"):
            images *= dtype(self.peak_)
        check_finite(images)
        return images.reshape(len(images), -1, n_channels)

    def __getstate__(self):
        # What the photographs determine is found again after unpickling.
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_mixture", "_encoded")}


class _Network:
    """The trained network. Features are the rows of what it is given, and columns of values are its columns.

    Parameters
    ----------
    weights : dict of ndarray
        Weights of the layers by name.
    """

    def __init__(self, weights):
        self._weights = weights
        self._n_code = len(weights["first.bias"])

    def _layer(self, name, features, multiply=np.matmul):
        out = multiply(self._weights[f"{name}.weight"], features)
        out += self._weights[f"{name}.bias"][:, None]
        return out

    def _layers(self, name, features):
        return self._layer(f"{name}.2", _rectify(self._layer(f"{name}.0", features)))

    def encode(self, tokens, summary, errors):
        """Compute the code of columns, and the logarithms of the candidates' weights before the light is known."""
        mean, peak = 0.0, 0.0
        for token in tokens:
            embedded = _rectify(self._layers("embed", token))
            mean, peak = mean + embedded, np.maximum(peak, embedded)
        static = self._layers("static", np.concatenate([mean / len(tokens), peak, summary]))
        code, prior = static[: self._n_code], static[self._n_code :]
        errors = np.tensordot(self._weights["temperature"], errors, 1)
        # No error of shading alone is measured, and that of shading with deviations stands for it.
        prior -= np.concatenate([errors, errors[-1:]])
        return code.astype(np.float16), prior

    def predict(self, encoded, light, candidates, features):
        """Predict columns, of shape (3, n_columns), under a light from their candidates and features."""
        multiply, add = np.split(self._layers("light", light[:, None]), 2)
        hidden = self._layer("first", features, _multiply)
        hidden += encoded.code * (1 + multiply)
        hidden += add
        hidden = self._layer("second", _rectify(hidden), _multiply)
        out = self._layer("head", _rectify(hidden), _multiply)
        shares = encoded.prior + 2 * out[:N_CANDIDATES]
        shares -= shares.max(axis=0)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=0)
        return np.einsum("jp,jcp->cp", shares, candidates) + out[N_CANDIDATES:] * encoded.known.unit


@cache
def _network():
    with files(__package__).joinpath(_WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return _Network({name: arrays[name].astype(np.float32) for name in arrays.files if name != "options"})


def _multiply(weights, features):
    """Multiply matrices so that the rounding of a column does not depend on its place, as it does in BLAS."""
    return np.einsum("ij,jp->ip", weights, features)


def _rectify(features):
    return np.maximum(features, 0, out=features)


def _find_directions(lights):
    """Return unit vectors to lights of the upper hemisphere."""
    if lights.shape[1] == 3:
        lengths = np.linalg.norm(lights, axis=1)
        if 0 < lengths.max() <= _LENGTHS * lengths.min():
            lights = lights / lengths[:, None]
    return check_directions(lights, "PretrainedInterpolation")


def as_columns(images):
    """View photographs as (n, n_columns, 3), or as (n, n_columns, 1) if they have another number of channels."""
    pixels = as_pixels(images)
    return pixels if pixels.shape[2] == 3 else pixels.reshape(len(pixels), -1, 1)


def _fill(block, some):
    """Select the columns of a block; if it is not full, the last one is repeated."""
    n_columns = block.stop - block.start
    if n_columns == _BLOCK and some is None:
        return block
    own = np.arange(block.start, block.stop) if some is None else some[block]
    return np.concatenate([own, np.full(_BLOCK - n_columns, own[-1])])


def _for_each(function, blocks):
    """Call a function for each block, in as many threads as NumPy may use for the product of two matrices."""
    libraries = ThreadpoolController().select(user_api="blas")
    n_threads = max([1, *(library["num_threads"] for library in libraries.info())])
    # Products of blocks are too small to be shared.
    with libraries.limit(limits=1), ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(function, blocks):
            pass


def _widen(array):
    """Convert finite numbers of half precision to float32, several times as fast as NumPy, in order in memory."""
    if array.dtype != np.float16:
        return np.ascontiguousarray(array)
    # The fields of the number move to their places in the longer one, and the exponent counts from another number.
    bits = array.view(np.int16).astype(np.int32, order="C")
    bits <<= 13
    bits &= np.int32(-(2**31) + 2**28 - 2**13)
    wide = bits.view(np.float32)
    wide *= np.float32(2.0**112)
    return wide


def _map(function, *trees):
    """Apply a function to the arrays of nested tuples."""
    if isinstance(trees[0], tuple):
        return type(trees[0])(*(_map(function, *parts) for parts in zip(*trees, strict=True)))
    return function(*trees)
