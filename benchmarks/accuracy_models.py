"""The models of the accuracy benchmark, and the choice among classical ones with hindsight."""

import time
import warnings
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.utils import check_random_state, gen_batches

from sklrelight import PixelLightFeaturizer, make_relighter
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    RBFInterpolation,
)
from sklrelight.metrics import relative_error

TO_THE_END = "colburn2019_to_the_end"
IN_FLOAT32 = "default_float32"
# Gaussian widths, in median distances of a light to its nearest one.
_WIDTHS = (1, 2, 4)
_SMOOTHINGS = (0.0, 1e-4, 1e-2)
# Budget of networks in quick runs.
_QUICK = {"max_observations": 20_000, "batch_size": 1000}
# Rows of the table predicted at a time by scikit-learn's network.
_ROWS = 2**16


class Candidate(NamedTuple):
    """A model that is not fitted yet, and what it is to be fitted to."""

    estimator: BaseEstimator
    domain: str
    """ "encoded" or "linear"; "loaded": photographs as they are loaded, the model has an encoding of its own."""


class Settings(NamedTuple):
    """What a result depends on beside capture, lights, seed and model."""

    seconds: float = 60.0
    """For neural models other than the default recipe, which has a budget of observations of its own."""
    masked: bool = False
    quick: bool = False
    precision: str = "float32"
    """Of `colburn2019` run to its end."""


class Photographs(RegressorMixin, BaseEstimator):
    """A regressor of scikit-learn's from lights to whole photographs, each a row of targets.

    On the table of single observations `KNeighborsRegressor` would have to find the nearest of millions of rows for
    each of millions of others, to find that they are those of the same pixel under the nearest lights.
    """

    def __init__(self, regressor):
        self.regressor = regressor

    def fit(self, lights, images):
        self.image_shape_ = images.shape[1:]
        self.regressor.fit(lights, images.reshape(len(images), -1))
        return self

    def predict(self, lights):
        return self.regressor.predict(lights).reshape(len(lights), *self.image_shape_)


class ObservationTable(RegressorMixin, BaseEstimator):
    """scikit-learn's `MLPRegressor` on rows of the table of observations, drawn anew for each batch until time is up.

    It has the features, the width and the batch of the default recipe; its optimiser is Adam with a constant rate, for
    `partial_fit` knows no schedule.
    """

    def __init__(self, max_time, batch_size=5000, random_state=None):
        self.max_time = max_time
        self.batch_size = batch_size
        self.random_state = random_state

    def fit(self, lights, images):
        end = time.perf_counter() + self.max_time
        rng = check_random_state(self.random_state)
        self.image_shape_ = images.shape[1:]
        self.featurizer_ = PixelLightFeaturizer(random_state=rng.randint(2**31)).fit(lights, images)
        features = self.featurizer_.transform(lights)
        n_lights, n_pixels, _ = features.shape
        targets = images.reshape(n_lights, n_pixels, -1)
        self.mlp_ = MLPRegressor(
            hidden_layer_sizes=(256,) * 3, batch_size=self.batch_size, random_state=rng.randint(2**31)
        )
        self.n_observations_ = 0
        while not self.n_observations_ or time.perf_counter() < end:
            light, pixel = rng.randint(n_lights, size=self.batch_size), rng.randint(n_pixels, size=self.batch_size)
            self.mlp_.partial_fit(np.hstack([features.lights[light], features.pixels[pixel]]), targets[light, pixel])
            self.n_observations_ += self.batch_size
        return self

    def predict(self, lights):
        features = self.featurizer_.transform(lights)
        images = np.empty((len(lights), *self.image_shape_), np.float32)
        for image, of_light in zip(images, (features[i : i + 1] for i in range(len(features))), strict=True):
            table = of_light.to_table()
            rows = [self.mlp_.predict(table[some]) for some in gen_batches(len(table), _ROWS)]
            image[...] = np.concatenate(rows).reshape(self.image_shape_)
        return images


def rbf_grid(lights):
    """Name all radial basis functions that the best is picked from with hindsight.

    Returns
    -------
    dict
        `RBFInterpolation` by name: kernels x smoothing x the first two or all coordinates of the lights.
    """
    grid = {}
    for n_dimensions in sorted({min(2, lights.shape[1]), lights.shape[1]}):
        spaced = RBFInterpolation("gaussian", smoothing=1.0, n_dimensions=n_dimensions)
        spacing = 1 / spaced.fit(lights, np.zeros(len(lights))).epsilon_
        kernels: list[tuple[str, str, dict]] = [
            (kernel, kernel, {}) for kernel in ("thin_plate_spline", "cubic", "linear", "multiquadric")
        ]
        kernels += [(f"gaussian {width}", "gaussian", {"epsilon": 1 / (width * spacing)}) for width in _WIDTHS]
        for (name, kernel, parameters), smoothing in product(kernels, _SMOOTHINGS):
            grid[f"{name}, {n_dimensions}-D, smoothing {smoothing:g}"] = RBFInterpolation(
                kernel, smoothing=smoothing, n_dimensions=n_dimensions, **parameters
            )
    return grid


def _classical(make):
    """Give each of a classical model's variants in each domain."""

    def candidates(split, seed, settings):
        variants = make(split.lights)
        return {
            f"{name}{', ' if name else ''}fitted {domain}": Candidate(estimator, domain)
            for (name, estimator), domain in product(variants.items(), split.domains)
        }

    return candidates


def _recipe(recipe, **mlp):
    """Give a recipe, with the time that all networks have, or for a quick run with hardly any observations.

    Parameters of its network may differ from the recipe's.
    """

    def candidates(split, seed, settings):
        budget = {} if recipe == "default" else {"max_time": settings.seconds}
        parameters = mlp | (_QUICK if settings.quick else budget)
        return {"": Candidate(_make_relighter(recipe, seed, parameters), "loaded")}

    return candidates


def _colburn2019_to_the_end(split, seed, settings):
    """Give the seed's recipe as it was run: its whole schedule, and nothing compiled."""
    mlp = {"precision": settings.precision, **(_QUICK if settings.quick else {})}
    if "regressor__mlp__compile" in make_relighter("colburn2019").get_params():
        mlp["compile"] = False
    return {"": Candidate(_make_relighter("colburn2019", seed, mlp), "loaded")}


def _make_relighter(recipe, seed, mlp):
    relighter = make_relighter(recipe, random_state=seed)
    return relighter.set_params(**{f"regressor__mlp__{name}": value for name, value in mlp.items()})


def _kneighbors(split, seed, settings):
    neighbors = min(3, len(split.lights))
    return {"": Candidate(Photographs(KNeighborsRegressor(neighbors, weights="distance")), "encoded")}


def _mlp(split, seed, settings):
    return {"": Candidate(ObservationTable(1.0 if settings.quick else settings.seconds, random_state=seed), "encoded")}


# From a split, a seed and settings to candidates by name.
MODELS: dict[str, Callable[[object, int, Settings], dict[str, Candidate]]] = {
    "nearest": _classical(lambda lights: {"": NearestPhotograph()}),
    "linear": _classical(lambda lights: {"": LinearInterpolation()}),
    "ptm": _classical(lambda lights: {"": PolynomialTextureMap()}),
    "hsh": _classical(lambda lights: {"": HemisphericalHarmonics()}),
    "rbf": _classical(rbf_grid),
    "kneighbors": _kneighbors,
    "mlp": _mlp,
    "colburn2019": _recipe("colburn2019"),
    "default": _recipe("default"),
    IN_FLOAT32: _recipe("default", precision="float32"),
    TO_THE_END: _colburn2019_to_the_end,
}
CLASSICAL = ("nearest", "linear", "ptm", "hsh", "rbf")


def hindsight_errors(candidates, split):
    """Compute the encoded error of classical models on the test photographs, all in one go.

    Their predictions are sums of training photographs, whose weights depend on the lights alone. So each is fitted to
    the identity in place of photographs, and what it then predicts are its weights.

    Returns
    -------
    dict
        Errors by the candidates' names, without those that are not defined for these lights.
    """
    truth = split.encode(split.test_images)
    photographs = {domain: _in_domain(split, domain).reshape(len(split.images), -1) for domain in split.domains}
    weights: dict[int, np.ndarray | None] = {}
    errors = {}
    for name, (estimator, domain) in candidates.items():
        if id(estimator) not in weights:
            weights[id(estimator)] = _weights(estimator, split)
        weight = weights[id(estimator)]
        if weight is None:
            continue
        predicted = (weight @ photographs[domain]).reshape(truth.shape)
        errors[name] = relative_error(
            truth, encode_prediction(predicted, domain, split), pixel_weight=split.pixel_weight
        )
    return errors


def fit_and_predict(candidate, split):
    """Fit a model to the training photographs and predict the test photographs.

    Returns
    -------
    fitted : estimator

    predicted : ndarray of the shape of split.test_images
        In the domain of the candidate.

    fit_seconds, predict_seconds : float
    """
    images = _in_domain(split, candidate.domain)
    given = {}
    if split.pixel_weight is not None and candidate.domain == "loaded":
        given["pixel_weight"] = split.pixel_weight
    start = time.perf_counter()
    fitted = candidate.estimator.fit(split.lights, images, **given)
    fit_seconds = time.perf_counter() - start
    start = time.perf_counter()
    predicted = fitted.predict(split.test_lights)
    return fitted, predicted, fit_seconds, time.perf_counter() - start


def encode_prediction(predicted, domain, split):
    """Bring a prediction into the domain in which errors are compared."""
    return split.encode(decode_prediction(predicted, domain, split))


def match_brightness(truth, predicted, pixel_weight=None):
    """Make each predicted photograph as bright as a whole as the true one, with hindsight.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n, H, W, C)
        Encoded photographs.

    pixel_weight : ndarray of shape (H, W) or None, default=None
        Weights of the pixels.

    Returns
    -------
    ndarray of shape (n, H, W, C)
        Each photograph times the number for which its squared error is least.
    """
    weighted = predicted if pixel_weight is None else predicted * pixel_weight[:, :, None]
    products, squares = (np.einsum("nhwc,nhwc->n", weighted, other) for other in (truth, predicted))
    return predicted * (products / np.where(squares > 0, squares, 1))[:, None, None, None].astype(predicted.dtype)


def decode_prediction(predicted, domain, split):
    """Bring a prediction into the domain in which the photographs were loaded."""
    return split.decode(predicted) if domain == "encoded" else predicted


def _in_domain(split, domain):
    return split.encode(split.images) if domain == "encoded" else split.images


def _weights(estimator, split):
    """Return (n_test, n_train) weights, or None for lights that the model is not defined for."""
    try:
        with warnings.catch_warnings():
            # Of a grid, some are always badly conditioned.
            warnings.simplefilter("ignore")
            identity = np.eye(len(split.lights))
            return estimator.fit(split.lights, identity).predict(split.test_lights).astype(np.float32)
    except (ValueError, np.linalg.LinAlgError):
        return None
