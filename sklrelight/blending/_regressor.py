"""An ensemble of regressors beside an interpolation, weighted by photographs that neither has seen."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy.spatial import KDTree
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from ..interpolation import PretrainedInterpolation
from ..interpolation._equations import Points
from ..interpolation._streamed import StreamedInterpolation, sample_pixels
from ..neural import fit_side_by_side
from ..stacks import CodedStack, ImageStack
from ..utils import DocumentedEstimator, VersionedState, naming
from ..utils._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
    get_tags,
    safe_indexing,
)
from ._members import (
    as_pixels,
    fit_member,
    go_on,
    keep_accepted,
    list_parts,
    list_seeds,
    predict_pixels,
    predicts_though_interrupted,
    takes_tables,
)
from ._weights import compare, find_error, find_limit, find_weights

__all__ = ["BlendedRegressor"]

# Part of the training after which the weight is measured. With the rest, held-out photographs are learnt, too.
_SHARE = 2 / 3
# Largest number of pixels that ensemble and interpolation are compared on, and of their values: 32 MB in float32.
_MEASURED_PIXELS = 2**14
_MEASURED_VALUES = 2**23
# Largest number of pixels whose mean is the brightness of an image.
_BRIGHTNESS_PIXELS = 2**12
# What "auto" lets be encoded for a pretrained interpolation: numbers of photographs like those that its network was
# trained with, and of pixels that take a minute and a gigabyte at most.
_PRETRAINED_LIGHTS = (4, 60)
_PRETRAINED_PIXELS = 2**20
# Peak signal-to-noise ratios to which photographs on disk are kept, in decibels: where their noise begins, in between.
STORED_PSNR = (45.0, 55.0)
# Nearest lights that show whether a light has others on all sides.
_NEIGHBOURS = 6


class BlendedRegressor(DocumentedEstimator, VersionedState, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Mean of an ensemble of regressors and an interpolation, with a weight measured on held-out photographs.

    Each member of the ensemble is fitted without a few of the photographs, which differ from member to member. A copy
    of the interpolation is fitted without the same photographs. The predictions of both are compared with these
    photographs, which have entered neither of them: not in training, and not in the features of the pixels. The weight
    with the least squared error is computed. Then the members learn the held-out photographs, too.

    A pretrained interpolation can join them. Its weight is measured in the same way.

    The brightness of an image is its mean over the pixels. A network may be far off there, so the brightness of the
    ensemble is limited to that of the interpolation, plus or minus twice the usual error of the interpolation.

    Parameters
    ----------
    regressor : estimator
        Regressor from lights to encoded photographs. A regressor of scikit-learn's is given the photographs as rows of
        a table.

    interpolation : estimator or None, default=None
        Model over the lights. None: the ensemble alone.

    pretrained : bool or "auto", default=False
        Whether a :class:`~sklrelight.interpolation.PretrainedInterpolation` joins ensemble and interpolation.
        ``"auto"``: if there is an interpolation, and 4 to 60 photographs of at most 1,048,576 pixels are in memory,
        under lights that are directions, and `storage` is no number: it needs the photographs themselves.

    n_members : int, default=1
        Number of members of the ensemble. Fitting and predicting take as many times as long, except that networks share
        `max_observations` and `max_time`.

    random_state : int, RandomState instance or None, default=None
        Seed of all parts and of the choice of held-out lights. None: the first seed that one of the parts has. A single
        member without an interpolation then keeps its own seeds.

    storage : "auto", "exact" or float, default="auto"
        How the photographs that the interpolation needs are kept. ``"exact"``: as they are, which for photographs on
        disk is the path of their file. A number: as codes of 8 bits with at least this peak signal-to-noise ratio, in
        decibels, if 256 codes a pixel reach it. ``"auto"``: 55 decibels for photographs on disk, or 45 to 55 if what is
        left is like noise, and exactly for others.

    Attributes
    ----------
    members_ : list of estimators
        The fitted members. There are fewer if Ctrl-C ended the fit.

    interpolation_ : estimator or None
        The interpolation, fitted to all photographs.

    pretrained_ : PretrainedInterpolation or None
        The pretrained interpolation, with all photographs. None if it has no weight.

    pretrained_weight_ : float
        Weight of the pretrained interpolation, in [0, 1]. It is 0 until it is measured, and without a pretrained
        interpolation. Only defined with an interpolation.

    weight_ : float
        Weight of the ensemble, in [0, 1]. The weight of the interpolation is what is left of 1. It is 0 until it is
        measured: if the fit is interrupted or runs out of memory meanwhile, the model predicts by the interpolation
        alone. Only defined with an interpolation.

    brightness_limit_ : float or None
        Largest difference between the brightness of the ensemble and that of the interpolation, in each channel:
        twice the root mean square of the interpolation's error of brightness on the held-out photographs. None if there
        are none. Only defined with an interpolation.

    brightness_pixels_ : ndarray of shape (n_brightness_pixels,)
        Pixels that the brightness is computed over: at most 4,096 indices into the flattened image, spread according
        to the weights of the pixels. Only defined with an interpolation.

    held_out_error_ : float or None
        Relative error of the mean (see :func:`~sklrelight.metrics.relative_error`), encoded, on the held-out
        photographs, before the members learnt these. Their lights lie among others, not at the rim. None if no
        photographs were held out. Only defined with an interpolation.

    value_range_ : tuple of float
        Least and greatest value of the photographs, to which predictions are clipped.

    target_shape_ : tuple of int
        Shape of a photograph.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklrelight.blending import BlendedRegressor
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> lights = np.random.default_rng(0).random((20, 2))
    >>> images = np.sin(4 * lights[:, :1]) + np.zeros(6)
    >>> blend = BlendedRegressor(Ridge(), RBFInterpolation(), random_state=0).fit(lights, images)
    >>> len(blend.members_), bool(blend.weight_ < 0.1)
    (1, True)
    """

    _parameter_constraints = {
        "regressor": [HasMethods(["fit", "predict"])],
        "interpolation": [HasMethods(["fit", "predict"]), None],
        "pretrained": ["boolean", StrOptions({"auto"})],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "storage": [StrOptions({"auto", "exact"}), Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, regressor, interpolation=None, n_members=1, random_state=None, storage="auto", pretrained=False):
        self.regressor = regressor
        self.interpolation = interpolation
        self.pretrained = pretrained
        self.n_members = n_members
        self.random_state = random_state
        self.storage = storage

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, pixel_weight=None, saturation=None, **fit_params):
        """Fit the members and the interpolation, and measure the weights.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : ndarray of shape (n_lights, ...), or ImageStack
            Encoded photographs. If they are on disk, the interpolation is fitted to a sample of the pixels.

        pixel_weight : ndarray of shape (H, W) or None, default=None
            Weights of the pixels, passed on to the parts that take them.

        saturation : float or None, default=None
            Encoded value at and above which targets are clipped, passed on to the parts that take it.

        **fit_params : dict
            Passed on to the regressor. Values with an entry for each light are passed without those of held-out lights.

        Returns
        -------
        self : BlendedRegressor
            The fitted model.

        Raises
        ------
        ValueError
            If lights and photographs differ in number, if there are fewer than two, or if they hold NaN or infinities.
            If `pretrained` is True and there is no interpolation, or the photographs are on disk.
        KeyboardInterrupt
            On Ctrl-C. The model is then fitted with the members that have got far enough to predict, if there are any.

        Notes
        -----
        A :class:`~sklrelight.RelightingMLPRegressor`, alone or as the last step of a Pipeline, learns the held-out
        photographs by `partial_fit`, with the features that it has, and keeps a third of `max_observations` and
        `max_time` for that. Any other regressor is fitted again, to all photographs.
        """
        X, lights, y = self._check_training(X, y)
        takes_pretrained = self._takes_pretrained(lights, y)
        rng = check_random_state(self._seed())
        learnt = (
            "members_",
            "interpolation_",
            "pretrained_",
            "pretrained_weight_",
            "weight_",
            "brightness_limit_",
            "brightness_pixels_",
            "held_out_error_",
        )
        for name in learnt:
            self.__dict__.pop(name, None)
        self.target_shape_ = tuple(y.shape[1:])
        held_out = self._hold_out(lights, rng)
        members = [self._make_member(len(held_out), rng) for _ in held_out]
        self.value_range_ = _find_range(y, pixel_weight, saturation)
        sample = interpolation = None
        if self.interpolation is not None:
            sample = _Sample(y, pixel_weight, saturation, rng)
            self.brightness_pixels_ = sample.brightness_pixels
            interpolation = self._fit_interpolation(
                self.interpolation, lights, sample.all_images, sample.all_weight, rng, self.value_range_
            )
        given = {"pixel_weight": pixel_weight, "saturation": saturation}
        finished = set()

        def fit_one(number):
            fit_member(members[number], X, y, held_out[number][1], given, fit_params)
            finished.add(number)

        n_workers = 1 if isinstance(y, ImageStack) else None
        # Without an interpolation nothing is held out, and the first part of the training is all of it.
        share = _SHARE if len(held_out[0][0]) else 1.0
        interrupted = False
        try:
            fits = [partial(fit_one, number) for number in range(len(members))]
            fit_side_by_side(fits, n_workers, share)
        except KeyboardInterrupt:
            interrupted = True
        fitted = [
            (member, rows)
            for number, (member, rows) in enumerate(zip(members, held_out, strict=True))
            if number in finished or predicts_though_interrupted(member)
        ]
        if not fitted:
            raise KeyboardInterrupt
        if interpolation is not None:
            self.weight_, self.pretrained_weight_, self.brightness_limit_ = 0.0, 0.0, None
            interpolation = self._store(interpolation, y, pixel_weight, saturation, rng)
        self.interpolation_, self.pretrained_ = interpolation, None
        self.members_ = [member for member, _ in fitted]
        if sample is not None:
            self._measure(
                self._compare(X, lights, fitted, sample, takes_pretrained, rng),
                takes_pretrained,
                partial(
                    self._fit_interpolation,
                    PretrainedInterpolation(),
                    lights,
                    sample.all_images,
                    sample.all_weight,
                    rng,
                    self.value_range_,
                ),
            )
        if interrupted:
            raise KeyboardInterrupt
        del sample, interpolation

        def go_on_with(number):
            self.members_[number] = go_on(self.members_[number], X, y, given, fit_params)

        if share < 1:
            fit_side_by_side([partial(go_on_with, number) for number in range(len(members))], n_workers, done=share)
        for member in members:
            for part in list_parts(member).values():
                if hasattr(part, "remove_checkpoint"):
                    part.remove_checkpoint(len(members))
        return self

    def predict(self, X, pixels=None):
        """Predict encoded images, or some pixels of them.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        pixels : ndarray of int of shape (n_pixels,) or None, default=None
            Indices into the flattened image, in rising order. None: all pixels.

        Returns
        -------
        ndarray of shape (m, ...)
            Encoded images, or of shape (m, n_pixels, ...) encoded pixels.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        check_is_fitted(self)
        lights = None
        if self.interpolation_ is not None:
            with naming("X", X):
                lights = validate_data(self, X, dtype=np.float64, reset=False)
        encoded, interpolated, pretrained = self._predict_parts(X, lights, pixels)
        if interpolated is not None:
            encoded = np.subtract(encoded, interpolated, dtype=encoded.dtype)
            if self.brightness_limit_ is not None:
                brightness = self._brightness(X, lights, None if pixels is not None else encoded)
                encoded += brightness.clip(-self.brightness_limit_, self.brightness_limit_) - brightness
            encoded *= encoded.dtype.type(self.weight_)
            encoded += interpolated
            if pretrained is not None:
                encoded += encoded.dtype.type(self.pretrained_weight_) * (pretrained - interpolated)
        shape = self.target_shape_ if pixels is None else (len(pixels), *self.target_shape_[2:])
        # In place only if it is no longer what a member returned, which may be read-only or a part of the member.
        out = None if interpolated is None else encoded
        return encoded.clip(*self.value_range_, out=out).reshape(-1, *shape)

    def _predict_parts(self, X, lights, pixels):
        """Predict by ensemble, interpolation and pretrained interpolation, (m, n_pixels, n_channels) each, or None."""
        ensemble = predict_pixels(self.members_[0], X, pixels, self.target_shape_)
        for count, member in enumerate(self.members_[1:], start=2):
            ensemble = ensemble + (predict_pixels(member, X, pixels, self.target_shape_) - ensemble) / count
        if self.interpolation_ is None:
            return ensemble, None, None
        interpolated = self._interpolate(self.interpolation_, lights, pixels)
        pretrained = None if self.pretrained_ is None else self._interpolate(self.pretrained_, lights, pixels)
        return ensemble, interpolated, pretrained

    def _interpolate(self, model, lights, pixels):
        if pixels is not None and hasattr(model, "predict_pixels"):
            interpolated = model.predict_pixels(lights, pixels)
        else:
            interpolated = as_pixels(np.asarray(model.predict(lights)), self.target_shape_)
            interpolated = interpolated if pixels is None else interpolated[:, pixels]
        return interpolated.clip(*self.value_range_)

    def _brightness(self, X, lights, distance):
        """Compute by how much the ensemble is brighter than the interpolation, in each channel."""
        if distance is None:
            ensemble, interpolated, _ = self._predict_parts(X, lights, self.brightness_pixels_)
            distance = ensemble - interpolated
        else:
            distance = distance[:, self.brightness_pixels_]
        return distance.mean(axis=1, keepdims=True)

    def _check_training(self, X, y):
        """Return the lights as they are passed on, the lights as numbers, and the photographs."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        with naming("X", X):
            lights = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        X = X if hasattr(X, "iloc") else lights
        if not isinstance(y, ImageStack):
            with naming("y", y):
                y = check_array(y, dtype="numeric", ensure_2d=False, allow_nd=True, input_name="y")
        with naming("X, y"):
            check_consistent_length(X, y)
        return X, lights, y

    def _seed(self):
        """Return the seed of all: this model's own, else the first that a part has."""
        parts = [self.regressor] if self.interpolation is None else [self.regressor, self.interpolation]
        seeds = [value for part in parts for name, value in sorted(list_seeds(part).items()) if value is not None]
        return self.random_state if self.random_state is not None or not seeds else seeds[0]

    def _make_member(self, n_members, rng):
        member = clone(self.regressor)
        if self.random_state is None and self.interpolation is None and n_members == 1:
            return member
        return member.set_params(**{name: rng.randint(2**31 - 1) for name in sorted(list_seeds(member))})

    def _hold_out(self, lights, rng):
        """Pick lights for each member: those held out, and those that it is fitted to.

        As many as the root of their number are held out for a member, or fewer where two would not be left, maybe none.
        They are drawn from the half of the lights that has others on all sides: predicting beyond the outermost lights
        tells little of predicting between them. Lights that equal a held-out one are not fitted to either.
        """
        n_lights, n_members = len(lights), self.n_members
        none = np.empty(0, np.int64), np.arange(n_lights)
        if self.interpolation is None:
            return [none] * n_members
        n_held = min(round(n_lights**0.5), (n_lights - 2) // n_members)
        order = rng.permutation(_most_surrounded(lights)[: max(n_lights // 2, n_members * n_held)])
        groups = Points(lights).merged.groups
        picked = []
        for number in range(n_members):
            rows = np.sort(order[number * n_held : (number + 1) * n_held])
            picked.append((rows, np.flatnonzero(~np.isin(groups, groups[rows]))))
        return picked if all(len(kept) > 1 for _, kept in picked) else [none] * n_members

    def _takes_pretrained(self, lights, y):
        """Tell whether a pretrained interpolation joins the interpolation."""
        if self.pretrained != "auto":
            if self.pretrained and (self.interpolation is None or isinstance(y, ImageStack)):
                raise ValueError(
                    "pretrained=True needs an interpolation, which it joins, and photographs in memory; got"
                    f" interpolation={self.interpolation} and {type(y).__name__}. pretrained='auto' leaves it out there"
                )
            return self.pretrained
        least, most = _PRETRAINED_LIGHTS
        return (
            self.interpolation is not None
            and not isinstance(y, ImageStack)
            and self.storage in ("auto", "exact")
            and y.ndim > 2
            and least <= len(y) <= most
            and np.prod(y.shape[1:3]) <= _PRETRAINED_PIXELS
            and PretrainedInterpolation.takes(lights)
        )

    def _fit_interpolation(self, model, lights, images, pixel_weight, rng, value_range=None):
        model = clone(model)
        unseeded = [name for name, seed in list_seeds(model).items() if seed is None or self.random_state is not None]
        model.set_params(**{name: rng.randint(2**31 - 1) for name in sorted(unseeded)})
        given = {"pixel_weight": pixel_weight, "value_range": value_range}
        images = images.reshape(len(images), -1) if takes_tables(model) else images
        return model.fit(lights, images, **keep_accepted(model, given))

    def _store(self, interpolation, y, pixel_weight, saturation, rng):
        """Keep the photographs that the interpolation needs as `storage` says."""
        on_disk = isinstance(y, ImageStack)
        psnr = (STORED_PSNR if on_disk else "exact") if self.storage == "auto" else self.storage
        # Models of coefficients need no photographs, and other models all of them.
        is_sum = hasattr(interpolation, "weights") or hasattr(interpolation, "weights_by_cluster")
        if not on_disk and (psnr == "exact" or y.ndim < 3 or not is_sum):
            return interpolation
        stack = (y if on_disk else ImageStack(np.ascontiguousarray(y))).clipped(saturation)
        if psnr != "exact":
            stack = CodedStack.of(stack, psnr, pixel_weight, rng)
        return StreamedInterpolation(interpolation, stack, rng)

    def _measure(self, compared, takes_pretrained, fit_pretrained):
        """Find the weights, the limit of the ensemble's brightness and the error, all at once."""
        limit = find_limit(compared)
        weights = find_weights(compared, limit, 1 + takes_pretrained)
        error = find_error(compared, weights, limit)
        pretrained_weight = float(weights[1:].sum())
        pretrained = fit_pretrained() if pretrained_weight else None
        self.pretrained_, self.pretrained_weight_ = pretrained, pretrained_weight
        self.weight_, self.brightness_limit_, self.held_out_error_ = float(weights[0]), limit, error

    def _compare(self, X, lights, fitted, sample, takes_pretrained, rng):
        """Compare all models with photographs that none has seen."""
        compared, models = [], [self.interpolation]
        if takes_pretrained:
            models.append(PretrainedInterpolation())
        for member, (rows, kept) in fitted:
            if not len(rows):
                continue
            seen, shape = sample.images[kept], sample.images[rows].shape
            # What has been seen ends at the saturation: how much brighter a saturated value was decides nothing.
            extent = seen.min(), seen.max()
            interpolated, *others = (
                self._fit_interpolation(model, lights[kept], seen, sample.weight, rng).predict(lights[rows])
                for model in models
            )
            others.insert(0, predict_pixels(member, safe_indexing(X, rows), sample.pixels, self.target_shape_))
            interpolated, *others = (images.reshape(shape).clip(*extent) for images in (interpolated, *others))
            compared += compare(sample.true[rows], interpolated, others, sample.weight, sample.saturation)
        return compared

    def __sklearn_is_fitted__(self):
        return hasattr(self, "members_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        own = get_tags(self.regressor)
        tags.target_tags.multi_output = own.target_tags.multi_output
        tags.regressor_tags.poor_score = own.regressor_tags.poor_score
        return tags


class _Sample:
    """What the interpolation is fitted to, and the pixels that the weight is measured on.

    `all_images` and `all_weight` are all pixels, or the sample of a stack on disk; `images`, `true` and `weight` are
    some of these, of shape (n_lights, n_pixels, 1, ...), at the indices `pixels` into the image. `brightness_pixels`
    are fewer indices, as many for each unit of weight. Where `saturation` is given, `images` and `all_images` are
    clipped at it: of what lies above, no more is known.
    """

    def __init__(self, y, pixel_weight, saturation, rng):
        self.saturation = saturation
        if isinstance(y, ImageStack):
            self.true, self.weight, self.pixels = sample_pixels(y, pixel_weight, rng)
            self.images = self.all_images = _clipped(self.true, saturation)
            self.all_weight = self.weight
        else:
            y = y.reshape(len(y), *y.shape[1:3], -1) if y.ndim > 2 else y.reshape(len(y), 1, 1, -1)
            self.all_images, self.all_weight = _clipped(y, saturation), pixel_weight
            n_pixels = y.shape[1] * y.shape[2]
            self.pixels = np.arange(n_pixels) if pixel_weight is None else np.flatnonzero(pixel_weight)
            n_measured = max(1, min(_MEASURED_PIXELS, _MEASURED_VALUES // (len(y) * y.shape[3])))
            if len(self.pixels) > n_measured:
                self.pixels = np.sort(rng.permutation(self.pixels)[:n_measured])
            self.true = y.reshape(len(y), n_pixels, 1, -1)[:, self.pixels]
            self.images = _clipped(self.true, saturation)
            self.weight = None if pixel_weight is None else pixel_weight.reshape(-1, 1)[self.pixels]
        weight = np.ones(len(self.pixels)) if self.weight is None else self.weight.reshape(-1).astype(np.float64)
        n_pixels = min(len(self.pixels), _BRIGHTNESS_PIXELS)
        shares = (np.arange(n_pixels) + 0.5) / n_pixels
        self.brightness_pixels = self.pixels[np.searchsorted(weight.cumsum(), shares * weight.sum())]


def _find_range(y, pixel_weight, saturation):
    """Find the least and the greatest value that has weight, as far as it is known."""
    if isinstance(y, ImageStack):
        least, greatest = y.within(None if pixel_weight is None else pixel_weight > 0).extent()
    else:
        inside = y if pixel_weight is None else y[:, pixel_weight > 0]
        least, greatest = inside.min(), inside.max()
    return float(least), float(greatest if saturation is None else min(greatest, saturation))


def _clipped(images, saturation):
    return images if saturation is None else np.minimum(images, images.dtype.type(saturation))


def _most_surrounded(lights):
    """List the lights, those first that have others on all sides.

    The nearest lights of such a light have their mean near it. Those of an outermost light are all on one side.
    """
    n_lights, spread = len(lights), lights.std(axis=0)
    scaled = lights / np.where(spread > 0, spread, 1)
    distances, neighbours = KDTree(scaled).query(scaled, min(_NEIGHBOURS, n_lights - 1) + 1)
    offset = np.linalg.norm(scaled[neighbours[:, 1:]].mean(axis=1) - scaled, axis=1)
    return np.argsort(offset / np.maximum(distances[:, 1:].mean(axis=1), np.finfo(float).tiny), kind="stable")
