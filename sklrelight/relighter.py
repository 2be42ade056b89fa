"""The model of a scene under any light: :class:`Relighter`."""

import inspect
import warnings
from itertools import chain
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, gen_batches
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from .blending import BlendedRegressor
from .interpolation import StackedRBFInterpolation
from .neural import RelightingMLPRegressor
from .preprocessing import LogExposureScaler, PixelLightFeaturizer, demultiplex
from .stacks import as_stack, fit_to_stack, in_memory
from .utils import DocumentedEstimator, VersionedState, check_pixel_weight, naming, split_target_shape, value_weights
from .utils._lights import are_unit_vectors, make_unit_vectors, warn_of_outer_lights
from .utils._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    VisualBlock,
    check_sample_weight,
    fit_context,
    get_tags,
    num_samples,
    safe_indexing,
)

__all__ = ["Relighter", "StreamedR2"]

# Values predicted at a time, in float32: 64 MB.
_BLOCK_VALUES = 2**24


class Relighter(DocumentedEstimator, VersionedState, TransformedTargetRegressor):
    """Predict images of a scene under lights that were not photographed.

    `transformer` encodes the photographs. `regressor` and `interpolation` are fitted from lights to encoded
    photographs, and the weighted mean of their predictions is decoded. One sample is one light with its photograph, so
    that all splitters of scikit-learn hold out whole photographs.

    Parameters
    ----------
    regressor : estimator or None, default=None
        Regressor from lights to encoded photographs. None: the pipeline of
        :class:`~sklrelight.PixelLightFeaturizer` (step ``featurizer``) and :class:`~sklrelight.RelightingMLPRegressor`
        (step ``mlp``). A regressor of scikit-learn's is given the photographs as rows of a table.

    transformer : transformer or None, default=None
        Encoding of the photographs. None: :class:`~sklrelight.LogExposureScaler`. For a pair of functions, pass
        scikit-learn's ``FunctionTransformer(func, inverse_func)``. ``FunctionTransformer()`` leaves the photographs as
        they are.

    interpolation : estimator, "auto" or None, default="auto"
        Model over the lights. What it predicts is averaged with what `regressor` predicts, by a weight that is measured
        on held-out photographs (see :class:`~sklrelight.blending.BlendedRegressor`). ``"auto"``:
        :class:`~sklrelight.interpolation.StackedRBFInterpolation` if `regressor` is None, else None.

    pretrained : bool or "auto", default="auto"
        Whether a :class:`~sklrelight.interpolation.PretrainedInterpolation`, whose network was trained on rendered
        surfaces, joins `regressor` and `interpolation` by a weight that is measured, too. ``"auto"``: if `regressor` is
        None or ends in a :class:`~sklrelight.RelightingMLPRegressor`, there is an interpolation, and at most 60
        photographs (see :class:`~sklrelight.blending.BlendedRegressor`).

    n_members : int, default=1
        Number of copies of `regressor` whose mean is predicted. Copies that are networks share `max_observations`.

    check_inverse : bool, default=True
        Whether `fit` warns if encoding and decoding the photographs does not return them.

    random_state : int, RandomState instance or None, default=None
        Seed of every part that draws random numbers, in place of the parts' own seeds. None: each part uses its own.

    storage : "auto", "exact" or float, default="auto"
        How the photographs that the interpolation needs to predict are kept. ``"exact"``: as they are, which for
        photographs on disk is the path of their file. A number: as codes of 8 bits with at least this peak
        signal-to-noise ratio, in decibels, if 256 codes a pixel reach it. ``"auto"``: 55 decibels for photographs on
        disk, or 45 to 55 if what is left is like noise, so that the model needs their file no more, and exactly for
        others.

    Attributes
    ----------
    regressor_ : BlendedRegressor
        The fitted copies of `regressor` (``members_``), the fitted interpolation (``interpolation_``), and the weight
        of the copies in the mean (``weight_``).

    transformer_ : transformer
        The fitted transformer.

    lights_ : ndarray of shape (n_lights, `n_features_in_`)
        The lights of the photographs.

    pixel_weight_ : ndarray of shape (H, W) or None
        Weights of the pixels that `fit` was given.

    saturation_ : float or None
        Radiance at and above which photographs are clipped, as given to `fit`.

    interrupted_ : bool
        Whether Ctrl-C ended the last fit. The model then predicts with what it had learnt until then.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    See Also
    --------
    make_relighter : Models by name, whose parts exist before `fit`.
    sklearn.compose.TransformedTargetRegressor : The base class.

    Examples
    --------
    >>> from sklrelight import make_relighter
    >>> from sklrelight.datasets import make_scene
    >>> scene = make_scene(n_lights=16, image_shape=(12, 16))
    >>> relighter = make_relighter(max_observations=20_000, random_state=0)
    >>> relighter.fit(scene.lights, scene.images).predict(scene.lights[:2] + 0.05).shape
    (2, 12, 16, 3)
    """

    regressor_: Any

    # The parent's pair of functions is one more way of saying what FunctionTransformer says.
    func = None
    inverse_func = None

    _parameter_constraints = {
        name: TransformedTargetRegressor._parameter_constraints[name]
        for name in ("regressor", "transformer", "check_inverse")
    } | {
        "interpolation": [HasMethods(["fit", "predict"]), StrOptions({"auto"}), None],
        "pretrained": ["boolean", StrOptions({"auto"})],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "storage": [StrOptions({"auto", "exact"}), Interval(Real, 0, None, closed="neither")],
    }
    # What `fit` and `score` are given beside X and y is meant for them wherever scikit-learn routes such data.
    __metadata_request__fit = {"pixel_weight": True, "saturation": True}
    __metadata_request__score = {"pixel_weight": True, "saturation": True}

    def __init__(
        self,
        regressor=None,
        *,
        transformer=None,
        interpolation="auto",
        pretrained="auto",
        n_members=1,
        check_inverse=True,
        random_state=None,
        storage="auto",
    ):
        self.regressor = regressor
        self.transformer = transformer
        self.interpolation = interpolation
        self.pretrained = pretrained
        self.n_members = n_members
        self.check_inverse = check_inverse
        self.random_state = random_state
        self.storage = storage

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, pixel_weight=None, saturation=None, intensities=None, **fit_params):
        """Fit the model of a scene.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights: grid positions, 3-D positions, unit directions, sun positions, ...

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            A photograph for each light, linear radiance in any unit. Photographs in an :class:`~sklrelight.ImageStack`,
            np.memmap, h5py dataset or zarr array stay on disk if they would take more than 256 MB in float32, see
            Notes.

        pixel_weight : array-like of shape (H, W) or (1, H, W), or None, default=None
            Weights of the pixels, such as a mask of bool or the solid angles of a panorama. Pixels of weight 0 have no
            effect on the fit and are predicted as 0, but they have to be finite and not negative. If H equals the
            number of lights, a search takes the weights for one weight of each light, and cuts them. Give it
            ``pixel_weight[None]``, with an additional axis of length 1.

        saturation : float or None, default=None
            Radiance at and above which the photographs are clipped. Such values are left out of the loss and of
            `score`.

        intensities : array-like of shape (n_photographs, n_lights) or None, default=None
            Intensity of each light in each photograph, if `y` has photographs under several lights. They are taken
            apart by :func:`~sklrelight.demultiplex`, which also tells how much noise that adds. One more column than
            there are lights is a light that was on, too, and is to be removed, such as that of the room. A search has
            to be given photographs that were taken apart before.

        **fit_params : dict
            Passed on to the regressor. Values with an entry for each light are passed without those of held-out lights.

        Returns
        -------
        self : Relighter
            The fitted model.

        Raises
        ------
        ValueError
            Before any work is done: if lights and photographs differ in number, if there are fewer than two, if they
            hold NaN or infinities, if a photograph has a negative value, if the dimensions are wrong, or in a search
            whose `scoring` is a metric of scikit-learn's, because these take only tables.
        KeyboardInterrupt
            On Ctrl-C. If a network has already been trained for a while, the model is fitted as far as that got, and
            `interrupted_` is True.

        Notes
        -----
        If the photographs stay on disk, memory holds the features of all pixels, a sample of the pixels under all
        lights, and blocks of photographs of limited size, however many photographs there are. The transformer has to
        map each value separately. It has to be a :class:`~sklrelight.LogExposureScaler`, to have ``partial_fit``, or to
        need no fitting. An interpolation is fitted to the sample. What it needs in `predict` is kept as `storage` says.
        The default regressor reads photographs from disk in blocks; a regressor that does not know
        :class:`~sklrelight.ImageStack` reads all of them into memory.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        with naming("X", X):
            lights = check_array(X, ensure_min_samples=2, input_name="X", estimator=self)
        if intensities is not None:
            y = self._demultiplex(len(lights), y, intensities, saturation)
        # Only the shape is asked of a stack that may lie on disk.
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
        with naming("y", y):
            split_target_shape(shape)
        if len(shape) > 2 and (metrics := _metrics_of_search()):
            raise ValueError(
                f"scoring by scikit-learn's {metrics[0]} takes tables, not photographs: leave scoring= out for R^2 over"
                " all values, or pass a scorer of sklrelight.metrics, such as make_relative_error_scorer() or"
                " make_psnr_scorer(data_range=1), whose order is that of the mean squared error"
            )
        if len(lights) != shape[0]:
            raise ValueError(f"inconsistent numbers of samples: {len(lights)} lights X and {shape[0]} images y")
        # Known before training, so that an interrupted model predicts like any other.
        self.pixel_weight_ = None if pixel_weight is None else check_pixel_weight(pixel_weight, shape[1:3])
        if saturation is not None and not (isinstance(saturation, Real) and 0 < float(saturation) < np.inf):
            raise ValueError(f"saturation must be a finite radiance above 0, or None; got {saturation!r}")
        self.saturation_ = saturation
        self.lights_ = lights
        X = self._scale_directions(X)
        with naming("X"):
            self.lights_ = check_array(X, dtype=lights.dtype)
        self._target_shape = tuple(shape[1:])
        self._training_dim = len(shape)
        self.interrupted_ = False
        # What was fitted before would not go with the shapes and weights of these photographs.
        self.__dict__.pop("regressor_", None)
        encode = self._encode_array if (stack := as_stack(y)) is None else self._encode_stack
        encoded = encode(y if stack is None else stack)
        self.regressor_ = self._get_regressor(get_clone=True)
        given = {"pixel_weight": self.pixel_weight_, "saturation": self._encode_saturation(encoded)}
        try:
            self.regressor_.fit(X, encoded, **given, **fit_params)
        except KeyboardInterrupt:
            self.interrupted_ = self.__sklearn_is_fitted__()
            raise
        if hasattr(self.regressor_, "feature_names_in_"):
            self.feature_names_in_ = self.regressor_.feature_names_in_
        return self

    def _demultiplex(self, n_lights, y, intensities, saturation):
        if saturation is not None:
            raise ValueError("intensities and saturation: clipped photographs are no sums of lights; expose them less")
        y = demultiplex(y, intensities)[0]
        # Without the photograph under the light of the room.
        return y[:n_lights] if len(y) == n_lights + 1 else y

    def _encode_array(self, y):
        with naming("y"):
            y = check_array(in_memory(y), ensure_2d=False, allow_nd=True, input_name="y")
        y = y.reshape(len(y), -1) if y.ndim == 1 else y
        inside = self._inside(y)
        self._check_saturation(inside.min())
        with naming("y"):
            self.transformer_ = self._get_transformer(get_clone=True).fit(inside)
        # Where there is a mask it is a copy.
        del inside
        self._warn_of_no_inverse(self._inside(y[:: max(1, len(y) // 10)]))
        encoded = self.transformer_.transform(y)
        return encoded.reshape(len(y)) if self._training_dim == 1 else encoded

    def _encode_stack(self, stack):
        inside = stack.within(None if self.pixel_weight_ is None else self.pixel_weight_ > 0)
        self._check_saturation(inside.extent()[0])
        self.transformer_ = fit_to_stack(self._get_transformer(get_clone=True), inside)
        self._warn_of_no_inverse(inside.summary().sample.reshape(1, -1, *[1] * (stack.ndim - 2)))
        # A function of single values that has an inverse rises or falls throughout.
        ends = np.array(inside.extent(), np.float64).reshape(2, *[1] * (stack.ndim - 1))
        extent = tuple(np.sort(np.asarray(self.transformer_.transform(ends), np.float32).ravel()))
        return stack.encoded(self.transformer_, extent)

    def _check_saturation(self, least):
        if self.saturation_ is not None and least >= self.saturation_:
            raise ValueError(
                f"all values are at or above saturation={self.saturation_!r}: there is nothing to learn from"
            )

    def _encode_saturation(self, encoded):
        if self.saturation_ is None:
            return None
        one = np.full((1, *self._target_shape), self.saturation_, np.result_type(encoded.dtype, np.float32))
        least = float(self.transformer_.transform(one.reshape(1, -1) if one.ndim == 1 else one).min())
        # A hair less, so that rounding cannot lift a saturated value over it.
        return least - 1e-6 * abs(least)

    def _warn_of_no_inverse(self, some):
        if not self.check_inverse:
            return
        if not np.allclose(some, self.transformer_.inverse_transform(self.transformer_.transform(some))):
            warnings.warn(
                f"{self.transformer_} does not return to the photographs that it encoded; set check_inverse=False if"
                " that is meant",
                UserWarning,
                stacklevel=3,
            )

    def _inside(self, y):
        """Leave out the pixels of weight 0."""
        return y if self.pixel_weight_ is None else y[:, self.pixel_weight_ > 0]

    def iter_predict(self, X, region=None, downscale=1):
        """Predict images one by one, in constant memory whatever their number.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw.

        region, downscale
            See `predict`.

        Yields
        ------
        image : ndarray of shape (H, W, C), or of the shape of one photograph in `fit`
            The images that `predict` returns, in their order.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from sklrelight import Relighter
        >>> from sklrelight.interpolation import NearestPhotograph
        >>> relighter = Relighter(NearestPhotograph()).fit([[0.0], [1.0]], np.ones((2, 4, 6, 3)))
        >>> hours = np.linspace(0, 1, 8760)[:, None]
        >>> sum(1 for image in relighter.iter_predict(hours))
        8760
        """
        check_is_fitted(self)
        with naming("X", X):
            check_array(X, dtype=np.float64, input_name="X")
        blocks = self._predict_blocks(X, self._part(region, downscale))
        # Bad lights are refused here, not when the first photograph is asked for.
        blocks = chain([next(blocks)], blocks)
        # Not views, which would keep all of a block.
        return (image.copy() for block in blocks for image in block)

    def predict(self, X, region=None, downscale=1):
        """Predict images.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw. If all training lights are unit vectors, these are scaled to length 1.

        region : tuple of int or None, default=None
            Top, left, height and width in pixels of the part of the images to predict. None: the whole images.

        downscale : int, default=1
            Step, in pixels, of what is predicted: 4 predicts each fourth pixel of each fourth row.

        Returns
        -------
        images : ndarray of shape (m, H, W, C), or as in `fit`
            Linear radiance, in the units that `fit` saw. They are computed some lights at a time, so that memory beside
            the result itself is limited.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite. If the region is not within the images,
            or the model has not seen images.

        Warns
        -----
        UserWarning
            If a light that is scaled has a length that is not 0.99 to 1.01. If a light lies outside of the training
            lights by more than these are apart.

        Notes
        -----
        No encoded value lies outside of the range of the encoded training photographs, so that no predicted radiance
        exceeds the greatest one in the photographs, except for rounding.
        """
        check_is_fitted(self)
        with naming("X", X):
            num_samples(X)
        blocks = self._predict_blocks(X, self._part(region, downscale))
        first = next(blocks)
        if len(first) == num_samples(X):
            return first
        images = np.empty((num_samples(X), *first.shape[1:]), first.dtype)
        start = 0
        for block in chain([first], blocks):
            images[start : start + len(block)] = block
            start += len(block)
        return images

    def _scale_directions(self, X):
        """Scale directions to length 1 if the training lights are unit vectors, and warn of lights far from those."""
        lights = np.asarray(X)
        known = lights.ndim == 2 and lights.shape[1] == self.lights_.shape[1] and lights.dtype.kind in "iuf"
        # What is wrong with others is told where they are predicted.
        if not known or not np.isfinite(lights).all():
            return X
        lights = lights.astype(np.float64, copy=False)
        fitted = np.asarray(self.lights_, np.float64)
        if are_unit_vectors(fitted):
            scaled = make_unit_vectors(lights)
            if scaled is not lights:
                lights = scaled
                # Frames keep the names of their columns.
                X = type(X)(dict(zip(X.columns, scaled.T, strict=True))) if hasattr(X, "columns") else scaled
        warn_of_outer_lights(lights, fitted)
        return X

    def _part(self, region, downscale):
        """Find the pixels of a part of the images, or None for all, and the shape of this part."""
        if region is None and isinstance(downscale, Integral) and downscale == 1:
            return None, self._target_shape
        if len(self._target_shape) < 2:
            raise ValueError(f"region and downscale are of images; the model predicts values of {self._target_shape}")
        height, width = self._target_shape[:2]
        given = (0, 0, height, width) if region is None else tuple(region)
        fits = len(given) == 4 and all(isinstance(number, Integral) for number in given)
        for first, length, side in zip(given[:2], given[2:], (height, width), strict=False) if fits else ():
            fits = fits and first >= 0 and 0 < length <= side - first
        if not fits:
            raise ValueError(
                f"region={region!r}: wanted integers for top, left, height and width, within images of {height} x"
                f" {width}"
            )
        if not isinstance(downscale, Integral) or downscale < 1:
            raise ValueError(f"downscale={downscale!r}: wanted an integer of at least 1")
        top, left, height, width = given
        step = int(downscale)
        rows, columns = np.arange(top, top + height, step), np.arange(left, left + width, step)
        pixels = (rows[:, None] * self._target_shape[1] + columns).ravel()
        return pixels, (len(rows), len(columns), *self._target_shape[2:])

    def _predict_blocks(self, X, part=(None, None)):
        """Predict some lights at a time, as many as stay within a bounded number of values."""
        pixels, shape = part if part[1] is not None else (None, self._target_shape)
        n_lights = max(1, _BLOCK_VALUES // int(np.prod(shape)))
        n_samples = num_samples(X)
        X = self._scale_directions(X)
        for block in gen_batches(max(1, n_samples), n_lights):
            # Lights that fit into one block go on as they are, whatever kind of table they are.
            some = X if n_samples <= n_lights else safe_indexing(X, block)
            encoded = self.regressor_.predict(some, pixels)
            table = encoded.reshape(len(encoded), -1) if encoded.ndim == 1 else encoded
            images = self.transformer_.inverse_transform(table).reshape(len(encoded), *shape)
            if self.pixel_weight_ is not None:
                outside = self.pixel_weight_ == 0
                images[:, outside if pixels is None else outside.ravel()[pixels].reshape(shape[:2])] = 0
            yield images

    def relight(self, X, intensities, region=None, downscale=1):
        """Predict the scene under a mixture of lights.

        Light adds up, so the image of the scene under several lights is the sum of the images under each. An
        environment is a mixture of directions (:func:`sklrelight.datasets.environment_to_lights`), and an area light is
        a mixture of its parts.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw.

        intensities : array-like of shape (m,) or (m, C)
            Brightness of each light, as a multiple of the lights that were photographed. With C columns, one for each
            channel of the photographs, the lights are coloured.

        region, downscale
            See `predict`.

        Returns
        -------
        image : ndarray of shape (H, W, C), or of the shape of one photograph in `fit`, float32
            Linear radiance. It is summed in float64, some lights at a time, so that memory does not grow with their
            number.

        Raises
        ------
        ValueError
            If the shape of `intensities` does not fit the lights or the channels, or a value is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from sklrelight import Relighter
        >>> from sklrelight.interpolation import NearestPhotograph
        >>> lights, images = np.eye(2), np.array([[[[1.0, 0.0, 0.0]]], [[[0.0, 1.0, 0.0]]]])
        >>> relighter = Relighter(NearestPhotograph()).fit(lights, images)
        >>> relighter.relight(lights, [2.0, 0.5]).round(4)
        array([[[2. , 0.5, 0. ]]], dtype=float32)
        """
        check_is_fitted(self)
        with naming("intensities", intensities):
            intensities = check_array(
                intensities, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name="intensities"
            )
        with naming("X", X):
            n_lights = num_samples(X)
        n_channels = split_target_shape((1, *self._target_shape))[1]
        if intensities.shape not in ((n_lights,), (n_lights, n_channels)):
            raise ValueError(
                f"intensities has the shape {intensities.shape}; {n_lights} lights X and {n_channels} channels need"
                f" ({n_lights},) or ({n_lights}, {n_channels})"
            )
        intensities = intensities.reshape(n_lights, -1)
        if not self._has_channels:
            # Grey photographs have no axis for the one channel that they have.
            intensities = intensities[:, 0]
        part = self._part(region, downscale)
        image = np.zeros(part[1], np.float64)
        start = 0
        for block in self._predict_blocks(X, part):
            for photograph, intensity in zip(block, intensities[start : start + len(block)], strict=True):
                image += photograph * intensity
            start += len(block)
        return image.astype(np.float32)

    @property
    def _has_channels(self):
        return len(self._target_shape) in (1, 3)

    def score(self, X, y, sample_weight=None, pixel_weight=None, saturation=None):
        """Compute R^2 over all values of all photographs.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), or as in `fit`
            Photographs of these lights, linear radiance. If they are on disk, they are read and predicted some at a
            time.

        sample_weight : array-like of shape (n_lights,) or None, default=None
            Weight of each photograph.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels. None: those that `fit` was given.

        saturation : float or None, default=None
            Radiance at and above which values are left out. None: that of `fit`.

        Returns
        -------
        float
            1 for a perfect prediction, 0 for one as good as the mean of all values.
        """
        check_is_fitted(self)
        pixel_weight = self.pixel_weight_ if pixel_weight is None else pixel_weight
        saturation = self.saturation_ if saturation is None else saturation
        expected = (num_samples(X), *self._target_shape)
        stack = as_stack(y)
        if stack is not None:
            if stack.shape != expected:
                raise ValueError(f"y has the shape {stack.shape}, the photographs predicted for X have {expected}")
            return self._score_stack(X, stack, sample_weight, pixel_weight, saturation)
        with naming("y", y):
            y = check_array(
                in_memory(y), dtype=[np.float32, np.float64], ensure_2d=False, allow_nd=True, input_name="y"
            )
        predicted = self.predict(X)
        if y.shape != predicted.shape:
            raise ValueError(f"y has the shape {y.shape}, the photographs predicted for X have {predicted.shape}")
        weights = value_weights(y, pixel_weight, saturation)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, y).reshape(-1, *[1] * (y.ndim - 1))
            weights = np.broadcast_to(sample_weight, y.shape) * (1 if weights is None else weights)
        return r2_score(y.ravel(), predicted.ravel(), sample_weight=None if weights is None else weights.ravel())

    def _score_stack(self, X, stack, sample_weight, pixel_weight, saturation):
        r2 = StreamedR2()
        sample_weight = None if sample_weight is None else check_sample_weight(sample_weight, stack)
        start = 0
        for predicted in self._predict_blocks(X):
            for image in predicted:
                true = np.asarray(stack[start : start + 1])
                weights = value_weights(true, pixel_weight, saturation)
                r2.add(true, image[None], weights, 1.0 if sample_weight is None else sample_weight[start])
                start += 1
        return r2.value

    def _get_transformer(self, get_clone=False):
        transformer = LogExposureScaler() if self.transformer is None else self.transformer
        if not get_clone:
            return transformer
        transformer = clone(transformer)
        if hasattr(transformer, "set_output"):
            # Photographs are no tables, whatever the global configuration makes of transformers' results.
            transformer.set_output(transform="default")
        return transformer

    def _get_pipeline(self):
        """Return the regressor as it was given, or the default one."""
        if self.regressor is not None:
            return self.regressor
        return Pipeline([("featurizer", PixelLightFeaturizer()), ("mlp", RelightingMLPRegressor())])

    def _get_regressor(self, get_clone=False):
        interpolation = self.interpolation
        if isinstance(interpolation, str):
            interpolation = StackedRBFInterpolation() if self.regressor is None else None
        regressor, pretrained = self._get_pipeline(), self.pretrained
        last = regressor[-1] if isinstance(regressor, Pipeline) else regressor
        if pretrained == "auto" and not isinstance(last, RelightingMLPRegressor):
            pretrained = False
        return BlendedRegressor(regressor, interpolation, self.n_members, self.random_state, self.storage, pretrained)

    def get_metadata_routing(self):
        """Describe which arguments this estimator and its regressor take beside X and y.

        Returns
        -------
        MetadataRouter
            See scikit-learn's guide to metadata routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="predict", callee="predict")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(regressor=self._get_pipeline(), method_mapping=mapping)

    def __sklearn_is_fitted__(self):
        # A fit that failed or was interrupted before training has left a regressor behind that is not fitted.
        try:
            check_is_fitted(self.regressor_)
        except (AttributeError, NotFittedError):
            return False
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        regressor = self._get_regressor()
        tags.target_tags.positive_only = get_tags(self._get_transformer()).input_tags.positive_only
        seeds = {**self._get_transformer().get_params(), **self._get_pipeline().get_params()}
        unseeded = any(name.endswith("random_state") and seed is None for name, seed in seeds.items())
        tags.non_deterministic = unseeded and self.random_state is None
        tags.regressor_tags.poor_score = get_tags(regressor).regressor_tags.poor_score
        return tags

    def _sk_visual_block_(self):
        parts = {
            "transformer": getattr(self, "transformer_", self._get_transformer()),
            "regressor": self._get_pipeline(),
        }
        interpolation = self._get_regressor().interpolation
        if interpolation is not None:
            parts["interpolation"] = interpolation
        return VisualBlock(
            "parallel",
            [*parts.values()],
            names=[f"{name}: {type(part).__name__}" for name, part in parts.items()],
            name_details=[str(part) for part in parts.values()],
            dash_wrapped=True,
        )


def _metrics_of_search():
    """Find scikit-learn's own metrics among the scorers of the search or cross-validation that calls a `fit`.

    They refuse photographs only after each fit, and do not say what to use. No argument tells `fit` what is done with
    it, so this looks at the callers.

    Returns
    -------
    list of str
        Names of the functions, such as ``"r2_score"``. Empty outside of a search, and with other scorers.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "_fit_and_score":
        frame = frame.f_back
    scorer = None if frame is None else frame.f_locals.get("scorer")
    scorers = getattr(scorer, "_scorers", {"": scorer}).values()
    metrics = [one._score_func for one in scorers if hasattr(one, "_score_func")]
    return [metric.__name__ for metric in metrics if metric.__module__.startswith("sklearn.")]


class StreamedR2:
    """Coefficient of determination over photographs that are not in memory at the same time.

    Examples
    --------
    >>> import numpy as np
    >>> r2 = StreamedR2()
    >>> for true, predicted in [([1.0, 2.0], [1.0, 2.5]), ([3.0], [3.0])]:
    ...     r2.add(np.array(true), np.array(predicted))
    >>> r2.value
    0.875
    """

    def __init__(self):
        self.weight = self.mean = self.spread = self.error = 0.0

    def add(self, true, predicted, weights=None, factor=1.0):
        """Count a photograph.

        Parameters
        ----------
        true, predicted : ndarray of one shape
            A photograph, and the predicted image.

        weights : ndarray of the same shape or None, default=None
            Weights of the values.

        factor : float, default=1.0
            Weight of the photograph.
        """
        true = true.astype(np.float64)
        squares = np.square(true - predicted)
        if weights is None:
            weight = factor * true.size
            mean = true.mean()
            spread, error = (factor * values.sum() for values in (np.square(true - mean), squares))
        else:
            weight = factor * weights.sum(dtype=np.float64)
            mean = np.average(true, weights=weights) if weights.any() else 0.0
            spread, error = (factor * (weights * values).sum() for values in (np.square(true - mean), squares))
        total = self.weight + weight
        if total == 0:
            return
        # Spreads about two means, and about that of both.
        self.spread += spread + (mean - self.mean) ** 2 * self.weight * weight / total
        self.mean += (mean - self.mean) * weight / total
        self.weight = total
        self.error += error

    @property
    def value(self):
        """R^2. For values that are all equal it is 1 if the predictions equal them, else 0, as in scikit-learn."""
        if self.spread == 0:
            return float(self.error == 0)
        return float(1 - self.error / self.spread)
