"""Estimators given arrays of any shape, type and values, and any parameters: a result, or an error that names what."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline

from sklrelight import LogExposureScaler, PixelLightFeaturizer, Relighter, RelightingMLPRegressor, metrics
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.neural import BatchSizeStages, PlateauLearningRate

pick = st.sampled_from
# Each has values that are in order several times, so that most cases get past the parameters.
KERNELS = ["thin_plate_spline", "cubic", "quintic", "linear", "multiquadric", "gaussian", "box"]
EPSILON = pick(["auto"] * 4 + [0.1, 1, 1e3, 0, np.nan])
SMOOTHING = pick([0.0] * 4 + [1e-3, 1, 1e6, -1, np.inf])
INTERPOLATIONS = st.one_of(
    st.builds(NearestPhotograph),
    st.builds(
        RBFInterpolation,
        pick(KERNELS),
        epsilon=EPSILON,
        smoothing=SMOOTHING,
        n_dimensions=pick([None] * 4 + [1, 2, 3, 0, 1.0]),
    ),
    st.builds(StackedRBFInterpolation, pick([1, 2, 3, 16, 0]), random_state=pick([0, 0, 1, -1])),
    st.builds(LinearInterpolation),
    st.builds(PolynomialTextureMap),
    st.builds(HemisphericalHarmonics, pick([0, 1, 2, 3, 9, -1])),
    st.builds(PretrainedInterpolation),
)
SCALERS = st.builds(
    LogExposureScaler,
    pick(["auto"] * 4 + [-30, 0, 4, 30, 31, "dark"]),
    pick([2.2] * 4 + [1, 10, 0, np.nan]),
    pick(["log", "log", "power", "power", "line"]),
)
FEATURIZERS = st.builds(
    PixelLightFeaturizer,
    pick([0, 1, 2, 12, 100, -1]),
    brightness_powers=pick([(5.0,), (5.0,), (), (0.1, 30), (0,), "high"]),
    blur_widths=pick([(1.5, 5.0), (1.5, 5.0), (), (0.1, 1e9), (0,), "wide"]),
    scaling=pick(["standard", "standard", "unit", "unit", "box"]),
    random_state=pick([0, 0, 0, "x"]),
)
CALLBACKS = st.one_of(
    pick([None, None, None, [], [3], "plateau"]),
    st.builds(
        lambda *stages: [BatchSizeStages(*stages), PlateauLearningRate()],
        pick([1, 2, 2, 0]),
        pick([0.5, 0.5, 2.0, 0.0]),
        pick([1, 2, 2, 0]),
    ),
)
MLPS = st.builds(
    RelightingMLPRegressor,
    pick([(4,)] * 4 + [(4, 3), (), 4, (0,)]),
    pixel_layer_sizes=pick([(4,)] * 3 + [(), (), (4, 3), 4, (0,)]),
    activation=pick(["relu", "prelu", "silu", "sigmoid", "step"]),
    output_activation=pick(["identity"] * 4 + ["relu", "tanh"]),
    light_pixel_products=pick([True, True, False]),
    dropout=pick([0.0, 0.0, 0.0, 0.5, 1.0]),
    normalization=pick([None, None, "batch", "layer", "group"]),
    luminance_weight=pick([0.0, 1.0, 1.0, -1.0]),
    optimizer=pick(["muon", "muon", "adam", "sgd"]),
    learning_rate_init=pick([2e-3] * 5 + [1e-30, 1e3, 0]),
    batch_size=pick(["auto", 1, 16, 16, 10**9, 0]),
    window_size=pick([1, 1, 1, 2, 9]),
    scale_targets=pick([True, True, False]),
    max_observations=pick([20, 20, 20, 1, 0]),
    validation_fraction=pick([0.0, 0.0, 0.3, 1.0]),
    callbacks=CALLBACKS,
    precision=pick(["auto", "auto", "bfloat16"]),
    random_state=pick([0]),
)
BESIDE = {
    "interpolation": st.one_of(pick([None, None, None, "auto", "best"]), INTERPOLATIONS),
    "n_members": pick([1, 1, 3, 2, 0]),
    "random_state": pick([0, 0, 0, None, -1]),
}
TABLES = st.one_of(st.builds(Ridge), st.builds(KNeighborsRegressor, pick([1, 2])))
RELIGHTERS = st.one_of(
    st.builds(
        Relighter,
        st.one_of(INTERPOLATIONS, INTERPOLATIONS, TABLES),
        transformer=st.one_of(st.none(), SCALERS),
        **BESIDE,
    ),
    st.builds(
        lambda scaler, featurizer, mlp, **beside: Relighter(
            Pipeline([("featurizer", featurizer), ("mlp", mlp)]), transformer=scaler, **beside
        ),
        SCALERS,
        FEATURIZERS,
        MLPS,
        **BESIDE,
    ),
)
# Networks take ten times as long as all the rest.
MODELS = st.one_of(INTERPOLATIONS, SCALERS, FEATURIZERS, st.one_of(RELIGHTERS, RELIGHTERS, MLPS))

KINDS = ["uniform"] * 6 + ["normal", "decades", "constant", "zeros", "repeated", "direction", "direction", "spoilt"]
DTYPES = ["f8"] * 5 + ["f4", "f4", "f2", "u1", "i2", "i8", "?", ">f4", "O", "U3", "c8"]
SCALES = [1.0] * 6 + [1e-30, 1e-3, 255.0, 60000.0, 1e30]
TARGETS = st.one_of(
    st.tuples(),
    st.tuples(st.integers(1, 3)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)),
)


@st.composite
def arrays(draw, shape):
    """Make an array of a shape: values, type and memory layout are drawn."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    kind, dtype = draw(pick(KINDS)), np.dtype(draw(pick(DTYPES)))
    array = rng.random(shape)
    if kind in ("normal", "direction"):
        array = rng.normal(size=shape)
    if kind == "direction" and array.ndim == 2 and array.shape[1]:
        array[:, -1] = np.abs(array[:, -1])
        array /= np.linalg.norm(array, axis=1, keepdims=True)
    elif kind == "decades":
        array = 10 ** rng.uniform(-30, 30, shape)
    elif kind == "constant":
        array = np.full(shape, rng.random())
    elif kind == "zeros":
        array = np.zeros(shape)
    elif kind == "repeated" and len(shape) and shape[0]:
        array = array[rng.integers(0, 2, shape[0]) % shape[0]]
    elif kind == "spoilt" and array.size:
        array.flat[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf, -1.0, 1e300])
    with np.errstate(all="ignore"):
        array = np.asarray(array * draw(pick(SCALES)))
        if dtype.kind in "iu?":
            array = np.nan_to_num(array).clip(-100, 255)
        array = np.asarray(array.astype(dtype))
    layout = draw(pick(["C", "C", "C", "F", "strided", "reversed", "read-only", "list"]))
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "strided" and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if layout == "reversed" and array.ndim:
        return array[::-1]
    if layout == "read-only":
        array.flags.writeable = False
    return array.tolist() if layout == "list" else array


@st.composite
def cases(draw):
    """Draw a model, lights, photographs, new lights, and weights."""
    n, width = draw(pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])), draw(pick([1, 2, 2, 3, 3, 3, 4]))
    target = draw(TARGETS)
    X = draw(arrays(draw(pick([(n, width)] * 12 + [(n,), (n, width, 1), ()]))))
    y = draw(arrays(draw(pick([(n, *target)] * 12 + [(n + 1, *target), ()]))))
    new = draw(arrays((draw(pick([0, 1, 2, 3])), draw(pick([width] * 9 + [width + 1])))))
    weights = draw(st.one_of(*[st.none()] * 3, arrays(target[:2])))
    saturation = draw(pick([None] * 6 + [0.5, 1e-9, 300, -1.0, np.nan, "white"]))
    return draw(MODELS), X, y, new, weights, saturation


def call(model, X, y, new, weights, saturation):
    if isinstance(model, LogExposureScaler):
        return model.fit(y).inverse_transform(model.transform(y))
    if isinstance(model, PixelLightFeaturizer):
        features = model.fit(X, y, pixel_weight=weights).transform(new)
        return np.concatenate([features.lights.ravel(), features.pixels.ravel()])
    options = {}
    if isinstance(model, Relighter):
        options = {"pixel_weight": weights, "saturation": saturation}
    elif isinstance(model, (RBFInterpolation, StackedRBFInterpolation, PretrainedInterpolation)):
        options = {"pixel_weight": weights}
    predicted = model.fit(X, y, **options).predict(new)
    assert predicted.shape == (len(new), *np.shape(y)[1:])
    if isinstance(model, Relighter):
        assert predicted.min() >= 0
    return predicted


def check_model(case):
    model = case[0]
    note(repr(model))
    try:
        result = call(*case)
    except (ValueError, TypeError) as error:
        names = {name.split("__")[-1] for name in model.get_params()} | {"X", "y", "pixel_weight", "saturation"}
        assert re.search(rf"\b({'|'.join(names)})\b", str(error)), f"names no argument: {error!r}"
        return
    assert np.isfinite(result).all()


@st.composite
def pairs(draw):
    """Draw a metric, two stacks and its options."""
    shape = (draw(st.integers(0, 3)), *draw(st.one_of(TARGETS, st.just((7, 8)), st.just((8, 7, 3)))))
    stacks = draw(arrays(shape)), draw(arrays(draw(pick([shape] * 9 + [shape[:-1]]))))
    options = {
        "white": draw(pick([None, None, 1.0, 1e-30, 0, "1"])),
        "pixel_weight": draw(st.one_of(st.none(), st.none(), arrays(shape[1:3]))),
        "saturation": draw(pick([None, None, 0.5, 1e30])),
        "data_range": draw(pick([1.0, 1.0, 255, 0, np.nan, "1"])),
    }
    return draw(pick(["relative_error", "peak_signal_noise_ratio", "structural_similarity"])), stacks, options


def check_metric(case):
    name, stacks, options = case
    if name == "relative_error":
        del options["data_range"]
    if name == "structural_similarity":
        del options["saturation"]
    try:
        result = getattr(metrics, name)(*stacks, **options)
    except (ValueError, TypeError) as error:
        names = {"y_true", "y_pred", *options}
        assert re.search(rf"\b({'|'.join(names)})\b", str(error)), f"names no argument: {error!r}"
        return
    # Infinity is what nothing is relative to, and a ratio without noise.
    assert isinstance(result, float)
    assert not np.isnan(result)


OPTIONS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [*HealthCheck],
    "print_blob": False,
}


@settings(max_examples=120, **OPTIONS)
@given(cases())
def test_models_give_results_or_name_what_is_wrong(case):
    check_model(case)


@settings(max_examples=60, **OPTIONS)
@given(pairs())
def test_metrics_give_figures_or_name_what_is_wrong(case):
    check_metric(case)


@pytest.mark.slow
@settings(max_examples=9000, **OPTIONS)
@given(cases())
def test_nine_thousand_models_give_results_or_name_what_is_wrong(case):
    check_model(case)


@pytest.mark.slow
@settings(max_examples=1000, **OPTIONS)
@given(pairs())
def test_a_thousand_metrics_give_figures_or_name_what_is_wrong(case):
    check_metric(case)
