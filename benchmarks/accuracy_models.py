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
from sklrelight.blending import BlendedRegressor
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    RBFInterpolation,
)
from sklrelight.metrics import relative_error
from sklrelight.neural._config import OBSERVATIONS

TO_THE_END = "colburn2019_to_the_end"
IN_FLOAT32 = "default_float32"
# The default recipe without the pretrained interpolation.
UNPRETRAINED = "default_unpretrained"
# Gaussian widths, in median distances of a light to its nearest one.
_WIDTHS = (1, 2, 4)
_SMOOTHINGS = (0.0, 1e-4, 1e-2)
# What networks are given in quick runs.
_QUICK = {"max_observations": 20_000, "batch_size": 1000}
# Number of observations that scikit-learn's network predicts at a time.
_ROWS = 2**16


class Candidate(NamedTuple):
    """A model that is not fitted yet, and what it is to be fitted to."""

    estimator: BaseEstimator
    domain: str
    """ "encoded" or "linear"; "loaded" for a model that encodes the photographs itself."""


class Settings(NamedTuple):
    """What a result depends on beside capture, lights, seed and model."""

    seconds: float = 60.0
    """Time of fitting for neural models other than the default recipe, which has a budget of observations."""
    masked: bool = False
    quick: bool = False
    precision: str = "float32"
    """Precision of `colburn2019` where it runs to its end."""
    budget: float = 1.0
    """Share of its own number of observations that the default recipe is given."""

    def of(self, model):
        """Reset what a model does not depend on, so that its results hold for other such settings too.

        >>> Settings(precision="bfloat16", budget=0.5).of("rbf") == Settings()
        True
        """
        return self._replace(
            precision=self.precision if model == TO_THE_END else Settings().precision,
            budget=self.budget if model in ("default", IN_FLOAT32, UNPRETRAINED) else Settings().budget,
        )


class ObservationTable(RegressorMixin, BaseEstimator):
    """scikit-learn's `MLPRegressor`, trained on observations that are drawn at random until the time is up.

    It has the features of the default recipe and three layers of 256. Its optimiser is Adam with a constant learning
    rate, because `partial_fit` has no schedule.
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
    """List the radial basis functions from which the best is picked with hindsight.

    Returns
    -------
    dict
        `RBFInterpolation` by name: each kernel with each smoothing, on the first two and on all coordinates of lights.
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
    """Give each variant of a classical model in each domain."""

    def candidates(split, seed, settings):
        variants = make(split.lights)
        return {
            f"{name}{', ' if name else ''}fitted {domain}": Candidate(estimator, domain)
            for (name, estimator), domain in product(variants.items(), split.domains)
        }

    return candidates


def _recipe(recipe, seed, settings, **mlp):
    """Give a recipe with other parameters of its network; in a quick run, it has hardly any observations."""
    mlp |= _QUICK if settings.quick else {}
    relighter = make_relighter(recipe, random_state=seed)
    relighter.set_params(**{f"regressor__mlp__{name}": value for name, value in mlp.items()})
    return {"": Candidate(relighter, "loaded")}


def _default(split, seed, settings, **mlp):
    if settings.budget != 1:
        mlp["max_observations"] = round(settings.budget * OBSERVATIONS)
    return _recipe("default", seed, settings, **mlp)


def _unpretrained(split, seed, settings):
    candidates = _default(split, seed, settings)
    candidates[""].estimator.set_params(pretrained=False)
    return candidates


def _kneighbors(split, seed, settings):
    # The nearest observations are those of the same pixel under the nearest lights, so neighbours are sought among the
    # lights. In the table of observations, the same search would take hours.
    regressor = KNeighborsRegressor(min(3, len(split.lights)), weights="distance")
    return {"": Candidate(BlendedRegressor(regressor), "encoded")}


def _mlp(split, seed, settings):
    return {"": Candidate(ObservationTable(1.0 if settings.quick else settings.seconds, random_state=seed), "encoded")}


# Each makes candidates, by name, from a split, a seed and settings.
MODELS: dict[str, Callable[[object, int, Settings], dict[str, Candidate]]] = {
    "nearest": _classical(lambda lights: {"": NearestPhotograph()}),
    "linear": _classical(lambda lights: {"": LinearInterpolation()}),
    "ptm": _classical(lambda lights: {"": PolynomialTextureMap()}),
    "hsh": _classical(lambda lights: {"": HemisphericalHarmonics()}),
    "rbf": _classical(rbf_grid),
    "kneighbors": _kneighbors,
    "mlp": _mlp,
    "colburn2019": lambda split, seed, settings: _recipe("colburn2019", seed, settings, max_time=settings.seconds),
    "ren2015": lambda split, seed, settings: _recipe("ren2015", seed, settings),
    "default": _default,
    IN_FLOAT32: lambda split, seed, settings: _default(split, seed, settings, precision="float32"),
    UNPRETRAINED: _unpretrained,
    # As it was published: the whole schedule, and nothing compiled.
    TO_THE_END: lambda split, seed, settings: _recipe(
        "colburn2019", seed, settings, precision=settings.precision, compile=False
    ),
}
CLASSICAL = ("nearest", "linear", "ptm", "hsh", "rbf")


def hindsight_errors(candidates, split):
    """Compute the encoded errors of classical models on the test photographs.

    They predict weighted sums of the training photographs, and the weights depend on the lights alone. So the equations
    of a model are solved once for all domains, without photographs.

    Returns
    -------
    dict
        Errors by the candidates' names, without candidates that are not defined for these lights.
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
        The fitted model.

    predicted : ndarray of the shape of split.test_images
        Test photographs in the domain of the candidate.

    seconds : dict of float
        Time of fitting and of predicting, and the time of all processors meanwhile.
    """
    images = _in_domain(split, candidate.domain)
    given = {}
    if split.pixel_weight is not None and candidate.domain == "loaded":
        given["pixel_weight"] = split.pixel_weight
    clocks = [(time.perf_counter(), time.process_time())]
    fitted = candidate.estimator.fit(split.lights, images, **given)
    clocks.append((time.perf_counter(), time.process_time()))
    predicted = fitted.predict(split.test_lights)
    clocks.append((time.perf_counter(), time.process_time()))
    names = (("fit_seconds", "fit_processor_seconds"), ("predict_seconds", "predict_processor_seconds"))
    seconds = {
        name: end - start
        for own, starts, ends in zip(names, clocks, clocks[1:], strict=False)
        for name, start, end in zip(own, starts, ends, strict=True)
    }
    return fitted, predicted, seconds


def encode_prediction(predicted, domain, split):
    """Bring a prediction into the domain in which errors are compared."""
    return split.encode(decode_prediction(predicted, domain, split))


def match_brightness(truth, predicted, pixel_weight=None):
    """Scale each predicted photograph to the brightness of the true one, with hindsight.

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
    """Return weights of shape (n_test, n_train), or None for lights that the model is not defined for."""
    try:
        with warnings.catch_warnings():
            # Some models of a grid are always badly conditioned.
            warnings.simplefilter("ignore")
            fitted = estimator.fit(split.lights, np.zeros(len(split.lights)))
            return fitted.weights(split.test_lights).astype(np.float32)
    except (ValueError, np.linalg.LinAlgError):
        return None
