"""The model of a scene under any light: :class:`Relighter`."""

import warnings
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .allocation import return_freed_memory
from .mixtures import LightMixtures
from .preprocessing import LogExposureScaler
from .recipes import make_pipeline
from .scoring import PhotographScore
from .stack_inputs import as_stack, fit_to_stack, in_memory
from .utils import DocumentedEstimator, VersionedState, check_pixel_weight, naming, split_target_shape
from .utils._sklearn_compat import VisualBlock, get_tags, num_samples, safe_indexing

__all__ = ["Relighter"]

# Values predicted at a time, in float32: 64 MB.
_BLOCK_VALUES = 2**24


class Relighter(DocumentedEstimator, VersionedState, PhotographScore, LightMixtures, TransformedTargetRegressor):
    """Predict photographs of a scene under lights that nobody photographed.

    Encodes the photographs by `transformer`, fits `regressor` from lights to encoded photographs, and decodes what it
    predicts. One sample is one light with its photograph, so that all of scikit-learn's splitters hold out whole
    photographs.

    Parameters
    ----------
    regressor : estimator or None, default=None
        From lights to encoded photographs; None: the pipeline of the default recipe
        (:class:`~sklrelight.PixelLightFeaturizer`, then :class:`~sklrelight.RelightingMLPRegressor`).

    transformer : transformer or None, default=None
        Encodes photographs; None: :class:`~sklrelight.LogExposureScaler`. For a pair of functions pass scikit-learn's
        ``FunctionTransformer(func, inverse_func)``; without arguments that one leaves the photographs as they are.

    check_inverse : bool, default=True
        Warn in `fit` if the transformer does not return to the photographs.

    random_state : int, RandomState instance or None, default=None
        Seeds every part of the regressor that draws random numbers, in place of the parts' own seeds. None: those hold.

    Attributes
    ----------
    regressor_ : estimator
        The fitted regressor.

    transformer_ : transformer
        The fitted transformer.

    lights_ : ndarray of shape (n_lights, `n_features_in_`)
        The lights of the photographs.

    interrupted_ : bool
        Whether Ctrl-C ended the last fit. The model then predicts with what the network had learnt until then.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights, where they had some that are all strings.

    See Also
    --------
    make_relighter : Named set-ups, with all their parts open to a search.
    sklearn.compose.TransformedTargetRegressor : The parent.

    Examples
    --------
    >>> from sklrelight import make_relighter
    >>> from sklrelight.datasets import make_scene
    >>> scene = make_scene(n_lights=16, image_shape=(12, 16))
    >>> relighter = make_relighter(random_state=0).set_params(regressor__mlp__max_observations=20_000)
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
    } | {"random_state": ["random_state"]}

    def __init__(self, regressor=None, *, transformer=None, check_inverse=True, random_state=None):
        self.regressor = regressor
        self.transformer = transformer
        self.check_inverse = check_inverse
        self.random_state = random_state

    def fit(self, X, y, pixel_weight=None, saturation=None, **fit_params):
        """Fit the model of a scene.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights: grid positions, 3-D positions, unit directions, sun positions, ...

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            A photograph for each light, linear radiance in any unit. An :class:`~sklrelight.ImageStack`, np.memmap,
            h5py dataset or zarr array of photographs that would take more than 256 MB in float32 stays on disk, see
            Notes.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels, such as a mask of bool or the solid angles of a panorama. Pixels of weight 0 reach no
            fitted value, and are predicted as 0; they still have to be finite and not negative. A search passes the
            weights on, but takes those whose height is the number of lights for one weight a light.

        saturation : float or None, default=None
            Radiance at and above which the photographs are clipped: such values are left out of the loss, and of
            `score`.

        **fit_params : dict
            Passed on to the regressor.

        Returns
        -------
        self : Relighter
            The fitted model.

        Raises
        ------
        ValueError
            Before any work is done: if lights and photographs differ in number, there are less than two, they hold
            NaN or infinities, a photograph is negative somewhere, or the dimensions are others.
        KeyboardInterrupt
            On Ctrl-C. Once training has begun, the model is fitted as far as that got, and `interrupted_` is True.

        Notes
        -----
        Of photographs that stay on disk, memory is taken for some photographs' pixels (the features), for some pixels
        of all photographs, and for blocks of bounded size, whatever their number. The transformer has to map each value
        by itself, and has ``partial_fit`` or needs no data, or is a :class:`~sklrelight.LogExposureScaler`. An
        interpolation is fitted to a sample of the pixels, and the fitted model refers to the file: it is needed in
        `predict`, but not where there is no interpolation, or the networks have all of the share. A regressor that does
        not know of stacks, unlike the recipes' ones, reads all photographs into memory.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        with naming("X"):
            lights = check_array(X, ensure_min_samples=2, input_name="X", estimator=self)
        # Only the shape is asked of a stack that may lie on disk.
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
        with naming("y"):
            split_target_shape(shape)
        if len(lights) != shape[0]:
            raise ValueError(f"inconsistent numbers of samples: {len(lights)} lights X and {shape[0]} images y")
        # Known before training, so that an interrupted model predicts like any other.
        self.pixel_weight_ = None if pixel_weight is None else check_pixel_weight(pixel_weight, shape[1:3])
        if saturation is not None and not (isinstance(saturation, Real) and 0 < float(saturation) < np.inf):
            raise ValueError(f"saturation must be a finite radiance above 0, or None; got {saturation!r}")
        self.saturation_ = saturation
        self.lights_ = lights
        self._target_shape = tuple(shape[1:])
        self.interrupted_ = False
        stack = as_stack(y)
        if stack is not None:
            return self._fit_stack(X, stack, fit_params)
        with naming("y"):
            y = check_array(in_memory(y), ensure_2d=False, allow_nd=True, input_name="y")
        columns = y.reshape(len(y), -1) if y.ndim == 1 else y
        inside = self._inside(columns)
        if saturation is not None and inside.min() >= saturation:
            raise ValueError(f"all values are at or above saturation={saturation!r}: there is nothing to learn from")
        # What was fitted before would not go with the shapes and weights of these photographs.
        if hasattr(self, "regressor_"):
            del self.regressor_
        # Before the parent would: what it passes on to the regressor depends on the transformer.
        with naming("y"):
            self.transformer_ = self._get_transformer(get_clone=True).fit(inside)
        # Of a masked stack it is a copy, which training has no use for.
        del inside
        try:
            return super().fit(X, y, **self._weight_params(columns), **fit_params)
        except KeyboardInterrupt:
            self.interrupted_ = self.__sklearn_is_fitted__()
            raise

    def _fit_stack(self, X, stack, fit_params):
        """Do what the parent does, without a copy of the photographs in memory."""
        inside = stack.within(None if self.pixel_weight_ is None else self.pixel_weight_ > 0)
        if self.saturation_ is not None and inside.extent()[0] >= self.saturation_:
            raise ValueError(
                f"all values are at or above saturation={self.saturation_!r}: there is nothing to learn from"
            )
        if hasattr(self, "regressor_"):
            del self.regressor_
        self.transformer_ = fit_to_stack(self._get_transformer(get_clone=True), inside)
        for row in range(0, len(stack), max(1, len(stack) // 10)):
            self._fit_transformer(np.asarray(stack[row : row + 1]))
        return_freed_memory()
        self._training_dim = stack.ndim
        # A function of single values that has an inverse rises or falls throughout.
        ends = np.array(inside.extent(), np.float64).reshape(2, *[1] * (stack.ndim - 1))
        extent = tuple(np.sort(np.asarray(self.transformer_.transform(ends), np.float32).ravel()))
        self.regressor_ = self._get_regressor(get_clone=True)
        try:
            self.regressor_.fit(X, stack.encoded(self.transformer_, extent), **self._weight_params(stack), **fit_params)
        except KeyboardInterrupt:
            self.interrupted_ = self.__sklearn_is_fitted__()
            raise
        if hasattr(self.regressor_, "feature_names_in_"):
            self.feature_names_in_ = self.regressor_.feature_names_in_
        return self

    def iter_predict(self, X):
        """Predict photographs one by one, in constant memory whatever their number.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw.

        Yields
        ------
        image : ndarray of shape (H, W, C), or of a single photograph as in `fit`
            The photographs that `predict` returns, in their order.

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
        with naming("X"):
            check_array(X, dtype=np.float64, input_name="X")
        blocks = self._predict_blocks(X)
        # Bad lights are refused here, not when the first photograph is asked for.
        blocks = chain([next(blocks)], blocks)
        # Not views, which would keep all of a block.
        return (image.copy() for block in blocks for image in block)

    def predict(self, X, **predict_params):
        """Predict photographs.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw.

        **predict_params : dict
            Passed on to the regressor.

        Returns
        -------
        images : ndarray of shape (m, H, W, C), or as in `fit`
            Linear radiance, in the units that `fit` saw. Computed some lights at a time: beside the result itself,
            memory stays bounded.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        check_is_fitted(self)
        with naming("X"):
            num_samples(X)
        blocks = self._predict_blocks(X, **predict_params)
        first = next(blocks)
        if len(first) == num_samples(X):
            return first
        images = np.empty((num_samples(X), *first.shape[1:]), first.dtype)
        start = 0
        for block in chain([first], blocks):
            images[start : start + len(block)] = block
            start += len(block)
        return images

    def _predict_blocks(self, X, **predict_params):
        """Predict some lights at a time, as many as stay within a bounded number of values."""
        n_lights = max(1, _BLOCK_VALUES // int(np.prod(self._target_shape)))
        n_samples = num_samples(X)
        for block in gen_batches(max(1, n_samples), n_lights):
            # Lights that fit into one block go on as they are, whatever kind of table they are.
            some = X if n_samples <= n_lights else safe_indexing(X, block)
            images = super().predict(some, **predict_params)
            if self.pixel_weight_ is not None:
                images[:, self.pixel_weight_ == 0] = 0
            yield images

    def _inside(self, y):
        """Leave out the pixels of weight 0."""
        return y if self.pixel_weight_ is None else y[:, self.pixel_weight_ > 0]

    def _fit_transformer(self, y):
        # `fit` has done it: the parent would take None for an identity, which refuses images.
        if not self.check_inverse:
            return
        some = self._inside(y[:: max(1, len(y) // 10)])
        if not np.allclose(some, self.transformer_.inverse_transform(self.transformer_.transform(some))):
            warnings.warn(
                f"{self.transformer_} does not return to the photographs that it encoded; set check_inverse=False if"
                " that is meant",
                UserWarning,
                stacklevel=3,
            )

    def _weight_params(self, y):
        """Name what `fit` was told of weights the way the regressor, or a pipeline's steps, take it."""
        given = {}
        if self.pixel_weight_ is not None:
            given["pixel_weight"] = self.pixel_weight_
        if self.saturation_ is not None:
            float_type = np.result_type(y.dtype, np.float32)
            saturated = self.transformer_.transform(np.full(y[:1].shape, self.saturation_, float_type))
            # A hair less, so that rounding cannot lift a saturated value over it.
            least = float(saturated.min())
            given["saturation"] = least - 1e-6 * abs(least)
        regressor = self._get_regressor()
        parts = {"": regressor}
        if isinstance(regressor, Pipeline):
            parts = {f"{name}__": step for name, step in regressor.steps}
        return {
            prefix + name: value
            for prefix, part in parts.items()
            for name, value in given.items()
            if has_fit_parameter(part, name)
        }

    def _get_transformer(self, get_clone=False):
        transformer = LogExposureScaler() if self.transformer is None else self.transformer
        if not get_clone:
            return transformer
        transformer = clone(transformer)
        if hasattr(transformer, "set_output"):
            # Photographs are no tables, whatever the global configuration makes of transformers' results.
            transformer.set_output(transform="default")
        return transformer

    def _get_regressor(self, get_clone=False):
        regressor = make_pipeline() if self.regressor is None else super()._get_regressor(get_clone)
        if get_clone and self.random_state is not None:
            rng = check_random_state(self.random_state)
            names = [name for name in regressor.get_params() if name.endswith("random_state")]
            regressor.set_params(**{name: rng.randint(2**31 - 1) for name in sorted(names)})
        return regressor

    def __sklearn_is_fitted__(self):
        # A fit that failed or was interrupted before training has left a regressor behind that is not fitted.
        try:
            check_is_fitted(self.regressor_)
        except (AttributeError, NotFittedError):
            return False
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = get_tags(self._get_transformer()).input_tags.positive_only
        seeds = {**self._get_transformer().get_params(), **self._get_regressor().get_params()}
        unseeded = any(name.endswith("random_state") and seed is None for name, seed in seeds.items())
        tags.non_deterministic = unseeded and self.random_state is None
        tags.regressor_tags.poor_score = get_tags(self._get_regressor()).regressor_tags.poor_score
        return tags

    def _sk_visual_block_(self):
        parts = {
            "transformer": getattr(self, "transformer_", self._get_transformer()),
            "regressor": getattr(self, "regressor_", self._get_regressor()),
        }
        return VisualBlock(
            "parallel",
            [*parts.values()],
            names=[f"{name}: {type(part).__name__}" for name, part in parts.items()],
            name_details=[str(part) for part in parts.values()],
            dash_wrapped=True,
        )
