"""Interpolation by a network that was trained on other surfaces: :class:`PretrainedInterpolation`."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from ..utils import check_lights, check_pixel_weight
from ..utils._lights import check_directions, normalize, unproject
from ._base import LightRegressor, as_pixels
from ._equations import Points
from ._mixture import N_CANDIDATES, Known, Mixture

__all__ = ["PretrainedInterpolation"]

# Largest number of columns by which what all have in common is found.
_SAMPLED_COLUMNS = 2**12
# Number of columns that are computed at a time, which the cache holds. Always so many, because the rounding of matrix
# products can depend on the number of columns, and a region is to equal the same part of the whole image.
_BLOCK = 2**11
# Ratio of the lengths of lights up to which they count as lamps around the origin, of which only directions matter.
_LENGTHS = 2
# The trained weights.
_WEIGHTS = "pretrained.npz"


class _Encoded(NamedTuple):
    """What is known of all columns, and the code and the logarithmic weights that the network makes of it."""

    known: Known
    code: np.ndarray
    prior: np.ndarray


class PretrainedInterpolation(LightRegressor):
    """Weigh several interpolations at each pixel by a network that was trained on other surfaces.

    The network is part of the package. It was trained once, on rendered surfaces whose look under any light is known
    (``benchmarks/pretraining``). Nothing is learnt from the photographs, so a fit takes seconds and needs few of them:
    it is made for 5 to 60.

    Attributes
    ----------
    directions_ : ndarray of shape (n_merged, 3)
        Unit vectors to the lights. Equal ones are merged.

    images_ : ndarray of shape (n_merged, ...)
        The training photographs; means of those under equal lights.

    sample_ : ndarray of shape (n_sampled,), int
        Indices of the columns by which exponent and lobes are found: pixels of three channels, or single values of
        photographs with another number of channels.

    peak_ : float
        Greatest magnitude of the photographs.

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
    positions around the object at the origin, of lengths up to twice the least one; only their directions are used. The
    camera is taken to look along -z.

    There are 13 candidates for each value: interpolations by the kernels thin plate spline, linear, multiquadric and
    gaussian (over x and y), and by harmonics of degree 2; by three of these of decoded values and of square roots; and
    two by shading, which is diffuse reflection, fitted robustly, and a mixture of three lobes of reflection that all
    pixels share, with and without the interpolated deviations from it. The network sees each photograph at the pixel,
    the errors of the candidates when each photograph is left out [1]_, normal and direction of the highlight, and what
    the candidates say of the light. It predicts their weights, and a small correction of their mean. Learning from
    other scenes what moves between two lights is the idea of Xu et al. [2]_.

    Each pixel is predicted by itself. Photographs of three channels are predicted together, those of another number
    channel by channel. Values that were encoded by :class:`~sklrelight.LogExposureScaler` suit best, because the
    network was trained on such.

    What a fit finds is kept at some 8 bytes for each photograph and 250 bytes for each pixel, beside the photographs.

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
            Lights: directions of the upper hemisphere, or their x and y. At least two differ.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs. In the third form, the k values are k pixels.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels, such as a mask of bool. Those of weight 0 have no part in what is found for all
            pixels. Photographs are predicted whole.

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
            directions, if one lies more than 6 degrees below the horizon, or if all are equal.
        """
        X, y = self._check_training(X, y)
        directions = _find_directions(X)
        weight = None if pixel_weight is None else check_pixel_weight(pixel_weight, y.shape[1:3]).ravel()
        merged = Points(directions).merged
        if len(merged.counts) < 2:
            raise ValueError(
                f"{type(self).__name__} needs photographs under at least two lights that differ, and got {len(y)} under"
                " one light; NearestPhotograph takes those"
            )
        images = merged.average(y)
        columns = _as_columns(images)
        weighted = np.arange(columns.shape[1])
        if weight is not None and weight.any():
            weighted = np.flatnonzero(np.repeat(weight > 0, columns.shape[1] // len(weight)))
        n_sampled = min(len(weighted), _SAMPLED_COLUMNS)
        # In the middle of parts of equal size.
        self.sample_ = weighted[((np.arange(n_sampled) + 0.5) * len(weighted) / n_sampled).astype(np.int64)]
        extent = np.abs((images.min(), images.max()) if value_range is None else value_range)
        self.peak_ = float(extent.max()) or 1.0
        self.directions_ = np.stack([directions[merged.groups == group].mean(axis=0) for group in range(len(images))])
        self.directions_ = normalize(self.directions_)
        self.images_ = images
        self._encode()
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

    def _encode(self):
        """Find what all columns have in common, and encode them block by block."""
        columns, network = _as_columns(self.images_), _network()
        n_columns = columns.shape[1]
        self._mixture = Mixture(self.directions_, self._take(columns, self.sample_))
        encoded = []
        for block in gen_batches(n_columns, _BLOCK):
            values = self._take(columns, np.arange(block.start, block.stop))
            known, tokens, summary, errors = self._mixture.describe(values)
            # Shading and errors are the largest, and no more exact than this.
            known = known._replace(shaded=known.shaded.astype(np.float16), around=known.around.astype(np.float16))
            encoded.append(_Encoded(known, *network.encode(tokens, summary, errors)))
        self._encoded = _map(lambda *arrays: np.concatenate(arrays, axis=-1), *encoded)

    def _take(self, columns, some):
        """Copy some columns as float32 of shape (n, 3, n_columns), in units of the greatest value."""
        values = columns[:, some].astype(np.float32) / np.float32(self.peak_)
        return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)).transpose(0, 2, 1))

    def _predict(self, X, pixels):
        directions = unproject(check_lights(self, X))
        if not hasattr(self, "_encoded"):
            self._encode()
        columns = _as_columns(self.images_)
        n_channels = as_pixels(self.images_).shape[2]
        # A pixel is a column of three values, or as many columns as it has channels.
        n_own = 1 if columns.shape[2] == 3 else n_channels
        some = None if pixels is None else (pixels[:, None] * n_own + np.arange(n_own)).ravel()
        n_columns = columns.shape[1] if some is None else len(some)
        dtype = np.float32 if self.images_.dtype in (np.float32, np.float16) else np.float64
        images = np.empty((len(directions), n_columns, columns.shape[2]), dtype)
        weights, features = self._mixture.query(directions)
        for block in gen_batches(n_columns, _BLOCK):
            own = _fill(block, some)
            values, encoded = (
                self._take(columns, own),
                _map(lambda array, own=own: array[..., own].astype(np.float32), self._encoded),
            )
            looks = self._mixture.look(values, encoded.known, directions, weights)
            for number, (look, feature) in enumerate(zip(looks, features, strict=True)):
                predicted = _network().predict(encoded, feature, *look)[:, : block.stop - block.start]
                images[number, block] = (predicted if len(images[0, 0]) == 3 else predicted.mean(0, keepdims=True)).T
        images *= dtype(self.peak_)
        return images.reshape(len(images), -1, n_channels)

    def __getstate__(self):
        # What the photographs determine is found again after unpickling.
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_mixture", "_encoded")}


class _Network:
    """The trained network. Features come in rows, one column of values each in its column.

    Parameters
    ----------
    weights : dict of ndarray
        Weights of the layers by name.
    """

    def __init__(self, weights):
        self._weights = weights
        self._n_code = len(weights["first.bias"])

    def _layer(self, name, features):
        out = self._weights[f"{name}.weight"] @ features
        out += self._weights[f"{name}.bias"][:, None]
        return out

    def _layers(self, name, features):
        return self._layer(f"{name}.2", _rectify(self._layer(f"{name}.0", features)))

    def encode(self, tokens, summary, errors):
        """Compute the codes of columns, and the logarithms of their weights before the light is known."""
        mean, peak = 0.0, 0.0
        for token in tokens:
            embedded = _rectify(self._layers("embed", token))
            mean, peak = mean + embedded, np.maximum(peak, embedded)
        static = self._layers("static", np.concatenate([mean / len(tokens), peak, summary]))
        code, prior = static[: self._n_code], static[self._n_code :]
        errors = np.tensordot(self._weights["temperature"], errors, 1)
        # Shading alone has no errors of its own: it predicts what it was fitted to.
        prior -= np.concatenate([errors, errors[-1:]])
        return code.astype(np.float16), prior

    def predict(self, encoded, light, candidates, features):
        """Predict columns of shape (3, n_columns) under a light, from their candidates and features."""
        multiply, add = np.split(self._layers("light", light[:, None]), 2)
        hidden = self._layer("first", features)
        hidden += encoded.code * (1 + multiply)
        hidden += add
        out = self._layer("head", _rectify(self._layer("second", _rectify(hidden))))
        shares = encoded.prior + 2 * out[:N_CANDIDATES]
        shares -= shares.max(axis=0)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=0)
        return np.einsum("jp,jcp->cp", shares, candidates) + out[N_CANDIDATES:] * encoded.known.unit


@cache
def _network():
    with files(__package__).joinpath(_WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return _Network({name: arrays[name].astype(np.float32) for name in arrays.files if name != "options"})


def _rectify(features):
    return np.maximum(features, 0, out=features)


def _find_directions(lights):
    """Return unit vectors to lights of the upper hemisphere."""
    if lights.shape[1] == 3:
        lengths = np.linalg.norm(lights, axis=1)
        if 0 < lengths.max() <= _LENGTHS * lengths.min():
            lights = lights / lengths[:, None]
    return check_directions(lights, "PretrainedInterpolation")


def _as_columns(images):
    """View photographs as columns of three channels, or of one where they have another number of channels."""
    pixels = as_pixels(images)
    return pixels if pixels.shape[2] == 3 else pixels.reshape(len(pixels), -1, 1)


def _fill(block, some):
    """Select a block of columns, of which the last is repeated if it is not full."""
    n_columns = block.stop - block.start
    if n_columns == _BLOCK and some is None:
        return block
    own = np.arange(block.start, block.stop) if some is None else some[block]
    return np.concatenate([own, np.full(_BLOCK - n_columns, own[-1])])


def _map(function, *trees):
    """Apply a function to the arrays of nested tuples."""
    if isinstance(trees[0], tuple):
        return type(trees[0])(*(_map(function, *parts) for parts in zip(*trees, strict=True)))
    return function(*trees)
