"""Images of which a part is known for every light: :class:`BaselineRelighter`."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils import check_array
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from .relighter import Relighter, StreamedR2
from .stacks import DifferenceStack, ImageStack, as_stack, in_memory, subtract
from .utils import DocumentedEstimator, VersionedState, naming, value_weights
from .utils._sklearn_compat import HasMethods, check_sample_weight, fit_context, get_tags, num_samples, safe_indexing

__all__ = ["BaselineRelighter"]

# Share of a baseline's light that the photographs may lack without a warning: noise of rendering.
_LOST = 0.01
_FLOATS = [np.float32, np.float64]


class BaselineRelighter(DocumentedEstimator, VersionedState, RegressorMixin, BaseEstimator):
    """Learn what photographs have beyond images that are known for every light.

    Some part of an image can often be had for every light at little cost: a rendering of the direct light alone, or the
    light of one lamp of many. This *baseline* is subtracted from the photographs, the model learns the rest, which is
    smoother, and the baseline of a new light is added to what the model predicts. Sharp shadows and patches of sun,
    which move with the light, are then exact.

    Parameters
    ----------
    relighter : Relighter or None, default=None
        Model of the rest. None: ``Relighter()``.

    baseline : callable or None, default=None
        Function that returns the baseline of lights, ``baseline(X)`` of shape (m, H, W, C). None: `fit`, `predict`,
        `relight` and `score` are given the images. Without either, this is `relighter`.

    Attributes
    ----------
    relighter_ : Relighter
        The fitted model of what the baseline lacks.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    See Also
    --------
    sklrelight.daylight.render_hours : Renders images and, without reflections, a baseline.

    Notes
    -----
    In a search, a function as `baseline` needs nothing else. Images need scikit-learn's metadata routing, by which a
    search cuts them into the same parts as the photographs::

        with sklearn.config_context(enable_metadata_routing=True):
            GridSearchCV(BaselineRelighter(), grid).fit(lights, images, baseline=baseline)

    No value is predicted below the baseline. Where the baseline is brighter than the photographs, what they lack is
    lost, and `fit` warns if that is more than 1 % of its light.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import BaselineRelighter, Relighter
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> lights = np.array([[0.0], [0.5], [1.0]])
    >>> direct = np.array([9.0, 0.0, 7.0]).reshape(3, 1, 1, 1)
    >>> images = direct + np.array([1.0, 1.5, 2.0]).reshape(3, 1, 1, 1)
    >>> model = BaselineRelighter(Relighter(RBFInterpolation(kernel="linear")))
    >>> model = model.fit(lights, images, baseline=direct)
    >>> model.predict([[0.5]], baseline=[[[[4.0]]]]).round(3)
    array([[[[5.5]]]])
    """

    _parameter_constraints = {
        "relighter": [HasMethods(["fit", "predict"]), None],
        "baseline": [callable, None],
    }
    __metadata_request__fit = {"baseline": True, "pixel_weight": True, "saturation": True}
    __metadata_request__predict = {"baseline": True}
    __metadata_request__score = {"baseline": True, "pixel_weight": True, "saturation": True}

    def __init__(self, relighter=None, *, baseline=None):
        self.relighter = relighter
        self.baseline = baseline

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, baseline=None, pixel_weight=None, saturation=None, **fit_params):
        """Fit the model to what the photographs have beyond the baseline.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), or as in `Relighter.fit`
            A photograph for each light, linear radiance. Large ones in a file stay on disk.

        baseline : array-like of the shape of y, ImageStack or None, default=None
            The baseline of each light, in the unit of the photographs. None: what the parameter `baseline` returns.

        pixel_weight, saturation
            As in :meth:`Relighter.fit`. `saturation` is that of the photographs, baseline included.

        **fit_params : dict
            Passed on to `relighter`.

        Returns
        -------
        self : BaselineRelighter
            The fitted model.

        Raises
        ------
        ValueError
            If the baseline has another shape than the photographs, or a value that is negative or not finite, and as
            :meth:`Relighter.fit`.

        Warns
        -----
        UserWarning
            If the photographs lack more than 1 % of the baseline's light.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        known = self._known(X, baseline)
        self._has_baseline = known is not None
        missing = y if known is None else self._subtract(y, known, pixel_weight, saturation)
        relighter = self._get_relighter()
        given = {"pixel_weight": pixel_weight, "saturation": saturation}
        self.relighter_ = clone(relighter)
        self.relighter_.fit(
            X, missing, **{name: value for name, value in given.items() if value is not None}, **fit_params
        )
        return self

    def _subtract(self, y, known, pixel_weight, saturation):
        stack = as_stack(y)
        if stack is not None:
            known = known if isinstance(known, ImageStack) else ImageStack(known)
            if known.shape != stack.shape:
                raise ValueError(f"baseline has the shape {known.shape}, the photographs y have {stack.shape}")
            return DifferenceStack(stack, known, saturation)
        with naming("y", y):
            y = check_array(
                in_memory(y), dtype=[np.float32, np.float64], ensure_2d=False, allow_nd=True, input_name="y"
            )
        known = _check_images(in_memory(known), y.shape)
        lost = np.maximum(known - y, 0)
        if pixel_weight is not None:
            lost = lost * (np.asarray(pixel_weight).reshape(y.shape[1:3] + (1,) * (y.ndim - 3)) > 0)
        if saturation is not None:
            lost = lost * (y < saturation)
        if (share := lost.sum() / max(known.sum(), np.finfo(float).tiny)) > _LOST:
            warnings.warn(
                f"the baseline has {100 * share:.0f} % of its light where the photographs are darker, and nothing is"
                " predicted below the baseline: check that both have the same unit, or lower the baseline",
                UserWarning,
                stacklevel=4,
            )
        return subtract(y, known, saturation)

    def predict(self, X, baseline=None):
        """Predict images: what the model has learnt, and the baseline.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw.

        baseline : array-like of shape (m, H, W, C), ImageStack or None, default=None
            The baseline of each light. None: what the parameter `baseline` returns.

        Returns
        -------
        images : ndarray of shape (m, H, W, C), or as in `fit`
            Linear radiance, nowhere below the baseline, and 0 where the weight of the pixel is 0.

        Raises
        ------
        ValueError
            If the baseline is missing, of another shape, negative or not finite, or was not given in `fit`.
        """
        check_is_fitted(self)
        known = self._known_as_fitted(X, baseline)
        images = np.maximum(self.relighter_.predict(X), 0)
        return images if known is None else self._add(images, in_memory(known))

    def iter_predict(self, X, baseline=None):
        """Predict images one by one, in constant memory whatever their number.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw.

        baseline : array-like of shape (m, H, W, C), ImageStack or None, default=None
            The baseline of each light. None: what the parameter `baseline` returns, which is called for one light at a
            time.

        Yields
        ------
        image : ndarray of shape (H, W, C), or of the shape of one photograph in `fit`
            The images that `predict` returns, in their order.
        """
        check_is_fitted(self)
        if baseline is None and self.baseline is None:
            known = iter([self._known_as_fitted(X, None)] * num_samples(X))
        elif baseline is None:
            known = (self.baseline(safe_indexing(X, slice(row, row + 1))) for row in range(num_samples(X)))
        else:
            given = self._known_as_fitted(X, baseline)
            known = (np.asarray(given[row : row + 1]) for row in range(num_samples(X)))
        for image, part in zip(self.relighter_.iter_predict(X), known, strict=True):
            above = np.maximum(image, 0)
            yield above if part is None else self._add(above[np.newaxis], part)[0]

    def relight(self, X, intensities, baseline=None):
        """Predict the scene under a mixture of lights.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw.

        intensities : array-like of shape (m,) or (m, C)
            Brightness of each light, as in :meth:`Relighter.relight`.

        baseline : array-like of shape (m, H, W, C), ImageStack or None, default=None
            The baseline of each light. None: what the parameter `baseline` returns.

        Returns
        -------
        image : ndarray of shape (H, W, C), or of the shape of one photograph in `fit`, float32
            Linear radiance: the sum of the images that `predict` returns, times the intensities.
        """
        check_is_fitted(self)
        known = self._known_as_fitted(X, baseline)
        image = self.relighter_.relight(X, intensities)
        if known is None:
            return image
        intensities = np.asarray(intensities, np.float64)
        mixed = np.zeros(image.shape, np.float64)
        for row in range(num_samples(X)):
            intensity = intensities[row] if image.ndim == 3 else intensities[row].item()
            mixed += intensity * self._add(np.zeros((1, *image.shape)), np.asarray(known[row : row + 1]))[0]
        return (image + mixed).astype(np.float32)

    def score(self, X, y, sample_weight=None, baseline=None, pixel_weight=None, saturation=None):
        """Compute R^2 over all values of all photographs, baseline included.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), or as in `fit`
            Photographs of these lights, linear radiance, in memory or on disk.

        sample_weight : array-like of shape (n_lights,) or None, default=None
            Weight of each photograph.

        baseline : array-like of the shape of y, ImageStack or None, default=None
            The baseline of each light. None: what the parameter `baseline` returns.

        pixel_weight, saturation
            As in :meth:`Relighter.score`.

        Returns
        -------
        float
            1 for a perfect prediction, 0 for one as good as the mean of all values.
        """
        check_is_fitted(self)
        if pixel_weight is None:
            pixel_weight = getattr(self.relighter_, "pixel_weight_", None)
        if saturation is None:
            saturation = getattr(self.relighter_, "saturation_", None)
        factors = np.ones(num_samples(X)) if sample_weight is None else check_sample_weight(sample_weight, X)
        r2 = StreamedR2()
        for row, image in enumerate(self.iter_predict(X, baseline)):
            true = np.asarray(y[row : row + 1])
            if true.shape[1:] != image.shape:
                raise ValueError(
                    f"y has the shape {true.shape[1:]} for a light, the images predicted have {image.shape}"
                )
            r2.add(true, image[np.newaxis], value_weights(true, pixel_weight, saturation), factors[row])
        return r2.value

    def _known(self, X, baseline):
        return self.baseline(X) if baseline is None and self.baseline is not None else baseline

    def _known_as_fitted(self, X, baseline):
        known = self._known(X, baseline)
        if (known is None) == self._has_baseline:
            given, wanted = ("without", "with") if self._has_baseline else ("with", "without")
            raise ValueError(f"called {given} baseline=, but the model was fitted {wanted} it")
        if known is not None and np.shape(known)[0] != num_samples(X):
            raise ValueError(f"baseline has {np.shape(known)[0]} images for {num_samples(X)} lights X")
        return known

    def _add(self, images, known):
        images = images + _check_images(known, images.shape)
        weight = getattr(self.relighter_, "pixel_weight_", None)
        if weight is not None:
            images[:, weight == 0] = 0
        return images.astype(np.float32 if images.dtype != np.float64 else np.float64, copy=False)

    def _get_relighter(self):
        return Relighter() if self.relighter is None else self.relighter

    @property
    def n_features_in_(self):
        """Width of the lights."""
        return self.relighter_.n_features_in_

    @property
    def feature_names_in_(self):
        """Column names of the lights."""
        return self.relighter_.feature_names_in_

    def get_metadata_routing(self):
        """Describe which arguments this estimator and its relighter take beside X and y.

        Returns
        -------
        MetadataRouter
            See scikit-learn's guide to metadata routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="predict", callee="predict")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(relighter=self._get_relighter(), method_mapping=mapping)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "relighter_") and self.relighter_.__sklearn_is_fitted__()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        of_relighter = get_tags(self._get_relighter())
        tags.target_tags = of_relighter.target_tags
        tags.regressor_tags = of_relighter.regressor_tags
        tags.input_tags = of_relighter.input_tags
        tags.non_deterministic = of_relighter.non_deterministic
        return tags


def _check_images(known, shape):
    """Return the images of a baseline as an array, or say what is wrong with them."""
    with naming("baseline", known):
        known = check_array(
            known, dtype=[np.float32, np.float64], ensure_2d=False, allow_nd=True, input_name="baseline"
        )
    if known.shape != tuple(shape):
        raise ValueError(f"baseline has the shape {known.shape}, wanted {tuple(shape)}, that of the photographs")
    if known.min() < 0:
        raise ValueError("baseline has negative values, wanted radiance of at least 0")
    return known
