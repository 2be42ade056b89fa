"""What a model file keeps of each fitted class: one declaration for each, by which it is written and read."""

import math
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from ..blending import BlendedRegressor
from ..interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from ..interpolation._equations import KERNELS, AffineSubspace, Equations, MergedLights, Points, Polynomial
from ..interpolation._stacked import CURVES
from ..interpolation._streamed import StreamedInterpolation
from ..neural import BatchSizeStages, PlateauLearningRate, RelightingMLPRegressor, TrainingConfig
from ..preprocessing import LogExposureScaler, PixelLightFeaturizer
from ..relighter import Relighter
from ..utils import FLOAT64_SAFE, split_target_shape
from ._networks import Network
from ._parameters import Plain, read_estimator, validate, write_estimator
from ._schema import (
    BOOL,
    FLOAT32,
    FLOATS,
    INDICES,
    Array,
    Flag,
    Groups,
    Inner,
    Integer,
    Kind,
    ListOf,
    Made,
    Names,
    Number,
    Optional,
    Record,
    Shape,
    Text,
    TupleOf,
    check,
    take_fields,
)

# Least numbers: the least there is, and the least whose reciprocal is a number.
_LEAST_POSITIVE = float(np.nextafter(0, 1))
_TINY = float(np.finfo(float).tiny)
_MOST_MONOMIALS = 2**20
# A triangulation's memory is not that of its points. In the plane it is in proportion, but it can take a time in
# proportion to their square: 10 s. In space its memory can, too: 160 bytes times the square.
_MOST_POINTS_OF_PLANE = 2**13
_POINTS_OF_SPACE = 2**10
_POINTS_SQUARED_OF_BYTE = 1 / 16


class Fitted(Kind):
    """A fitted estimator of one of some classes: its parameters, and what `STATES` declares of it.

    Parameters
    ----------
    *names : str
        The classes.
    """

    def __init__(self, *names):
        self.names = names

    def write(self, value, where, arrays):
        if isinstance(value, StreamedInterpolation):
            raise ValueError(
                f"{where} predicts from photographs that stay on disk, and a model file holds all that it needs: fit"
                " with interpolation=None, or photographs in memory, or use joblib, which keeps their path"
            )
        name = type(value).__name__
        description = write_estimator(value, where, self._classes(), PARTS, _FITTED_PARAMETERS.get(name, ()))
        return description | {"state": STATES[name].write(value, where, arrays)}

    def read(self, given, where, file, sizes):
        take_fields(given, where, ("class", "parameters", "state"))
        template = {"class": given["class"], "parameters": given["parameters"]}
        name = str(given["class"])
        estimator = read_estimator(template, where, self._classes(), PARTS, _FITTED_PARAMETERS.get(name, ()))
        STATES[name].fill(estimator, given["state"], where, file, sizes)
        validate(estimator, where)
        return estimator

    def _classes(self):
        return {name: STATES[name].cls for name in self.names}


def _n_monomials(n):
    return 1 + (n.rank if n.degree else 0) + (n.rank * (n.rank + 1) // 2 if n.degree == 2 else 0)


def _count_lights(merged, n):
    vars(merged)["counts"] = np.bincount(merged.groups)


def _check_polynomial(polynomial, n):
    n_monomials = _n_monomials(n)
    # Empty combinations take no bytes, and many monomials much memory in predicting.
    check(n_monomials <= _MOST_MONOMIALS, f"a polynomial has {n_monomials} monomials")


_WIDTH = Integer(1, size="width")
_SUBSPACE = Record(AffineSubspace, center=Array(("span",)), axes=Array(("rank", "span")), spread=Number(0))
_POLYNOMIAL = Record(
    Polynomial,
    _check_polynomial,
    degree=Integer(0, 2, size="degree"),
    scale=Array(("rank",), least=_LEAST_POSITIVE),
    combinations=Array((_n_monomials, "n_combinations")),
)
_EQUATIONS = Record(
    Equations,
    kernel=Text(KERNELS),
    epsilon=Number(0),
    scale=Number(_TINY),
    points=Record(
        Points,
        n_dimensions=Integer(1, "width", size="span"),
        subspace=_SUBSPACE,
        merged=Record(
            MergedLights, _count_lights, points=Array(("n_merged", "rank")), groups=Groups("n_lights", "n_merged")
        ),
    ),
    polynomial=_POLYNOMIAL,
    _range=Array(("n_merged", "n_combinations")),
    _triangular=Array(("n_combinations", "n_combinations")),
    _range_values=Array(("n_combinations", "n_merged")),
    defined=Array(("n_merged",), BOOL),
    _eigenvalues=Array((lambda n: n.n_merged - n.n_combinations,)),
    _vectors=Array(("n_merged", lambda n: n.n_merged - n.n_combinations)),
)


def _number_equations(equations):
    """From the equations of each candidate, which several share, to the different ones and their numbers."""
    different = {id(own): own for own in equations if own is not None}
    numbers = {key: number for number, key in enumerate(different)}
    return SimpleNamespace(
        different=list(different.values()), numbers=[-1 if own is None else numbers[id(own)] for own in equations]
    )


def _share_equations(read):
    check(max(read.numbers, default=-1) < len(read.different), "a candidate has equations that there are not")
    return [None if number < 0 else read.different[number] for number in read.numbers]


def _check_stacked(model, n):
    # The weights of all photographs are computed for each cluster.
    check(0 < n.n_clusters <= max(1, model.clusters_.size), f"there are {n.n_clusters} clusters")
    unused = [own is None for own in model._equations]
    check(not model.stacking_weights_[:, :, unused].any(), "there is weight on a candidate without equations")


def _check_directions(model, n):
    check(not model.directions_ or n.width == 3, f"directions have {n.width} columns")


def _triangulate(model, n):
    _check_directions(model, n)
    check(n.span == (2 if model.directions_ else n.width), f"the lights span some of {n.span} dimensions")
    check(n.rank <= 3, f"the lights span {n.rank} dimensions")
    check(n.rank != 0 or n.n_merged == 1, "several lights span no dimension")
    check(n.rank != 1 or n.n_merged > 1, "one light spans a line")
    model.triangulation_ = None
    if n.rank > 1:
        most = _MOST_POINTS_OF_PLANE
        if n.rank == 3:
            most = max(_POINTS_OF_SPACE, int((n.n_bytes * _POINTS_SQUARED_OF_BYTE) ** 0.5))
        check(n.n_merged <= most, f"{n.n_merged} lights to triangulate are more than the {most} that a file may have")
        model.triangulation_ = model._triangulate(model.lights_)


def _finish_exposure(scaler, n):
    # As in a fit within the parent of Relighter.
    scaler.set_output(transform="default")


def _finish_featurizer(featurizer, n):
    featurizer.image_shape_, n_channels = split_target_shape((1, *n.target))
    featurizer._n_channels = n_channels
    # Two coordinates, and the mean image.
    n_features = 2 + n_channels + n.n_components + n.n_powers * n.width
    check(n.n_pixel_features == n_features, f"pixels have {n.n_pixel_features} features, not {n_features}")


def _finish_network(regressor, n):
    expected = n.width + getattr(n, "n_pixel_features", 0)
    check(n.n_features == expected, f"there are {n.n_features} features, and lights and pixels have {expected}")
    regressor.history_ = regressor.net_.history


def _check_steps(pipeline, n):
    names, parts = zip(*pipeline.steps, strict=True) if pipeline.steps else ((), ())
    # What scikit-learn checks in `fit`.
    unusable = [name for name in names if "__" in name or name in pipeline.get_params(deep=False)]
    check(len(set(names)) == len(names) and not unusable, f"there are steps of the names {names}")
    kinds = tuple(type(part) for part in parts)
    possible = len(kinds) == 1 and kinds[0] is not PixelLightFeaturizer
    possible = possible or kinds == (PixelLightFeaturizer, RelightingMLPRegressor)
    check(possible, "the steps are neither a featurizer and a network nor a regressor alone")


def _check_blend(blend, n):
    check(len(blend.members_) > 0, "there is no member")
    interpolation = blend.interpolation_
    check(interpolation is None or hasattr(blend, "weights_"), "an interpolation has no weight")
    if interpolation is not None:
        clusters = getattr(interpolation, "clusters_", np.zeros(1, int))
        check(n.n_weights == clusters.max() + 1, f"there are {n.n_weights} weights for {clusters.max() + 1} clusters")
        check(hasattr(blend, "value_range_"), "an interpolation has no range of values")


def _pixel_by_pixel(n):
    """The shape of a photograph, or of a single pixel, with an axis of channels."""
    image_shape, n_channels = split_target_shape((1, *n.target))
    return (*(image_shape or (1, 1)), n_channels)


def _finish_relighter(relighter, n):
    weight, saturation = relighter.pixel_weight_, relighter.saturation_
    check(weight is None or weight.ndim == 2, "there are weights of pixels, and no pixels")
    possible = isinstance(saturation, (int, float, np.number)) and 0 < saturation < math.inf
    check(saturation is None or possible, f"a saturation of {saturation!r} is impossible")
    relighter._training_dim = 1 + len(n.target)
    if hasattr(relighter.regressor_, "feature_names_in_"):
        relighter.feature_names_in_ = relighter.regressor_.feature_names_in_


def _n_pixels(n):
    return math.prod(split_target_shape((1, *n.target))[0])


def _model_over_lights(cls, finish=None, width=_WIDTH, **fields):
    return Record(cls, finish, n_features_in_=width, feature_names_in_=Names("width"), **fields)


_STATES_OF_INTERPOLATIONS = {
    "HemisphericalHarmonics": _model_over_lights(
        HemisphericalHarmonics,
        width=Integer(2, 3, size="width"),
        _order=Integer(0, 2**15, size="order"),
        _solution=Array((lambda n: (n.order + 1) ** 2, "n_lights")),
        coefficients_=Array((lambda n: (n.order + 1) ** 2, "target"), FLOATS),
    ),
    "LinearInterpolation": _model_over_lights(
        LinearInterpolation,
        _triangulate,
        directions_=Flag(),
        subspace_=_SUBSPACE,
        lights_=Array(("n_merged", "rank")),
        light_groups_=Groups("n_lights", "n_merged"),
        images_=Array(("n_merged", "target"), FLOATS),
    ),
    "NearestPhotograph": _model_over_lights(
        NearestPhotograph,
        neighbors_=Made(
            Array(("n_lights", "width")),
            take=lambda neighbors: neighbors._fit_X,
            make=lambda lights: NearestNeighbors(n_neighbors=1).fit(lights),
        ),
        images_=Array(("n_lights", "target"), FLOATS),
    ),
    "PolynomialTextureMap": _model_over_lights(
        PolynomialTextureMap,
        _check_directions,
        directions_=Flag(),
        center_=Array(("width",)),
        axes_=Array((2, "width")),
        _solution=Array((6, "n_lights")),
        coefficients_=Array((6, "target"), FLOATS),
    ),
    "RBFInterpolation": _model_over_lights(
        RBFInterpolation,
        kernel_=Text(KERNELS),
        epsilon_=Number(0),
        smoothing_=Number(0),
        n_dimensions_=Integer(1, "width", size="span"),
        subspace_=_SUBSPACE,
        lights_=Array(("n_merged", "rank")),
        light_groups_=Groups("n_lights", "n_merged"),
        images_=Array(("n_merged", "target"), FLOATS),
        _polynomial=_POLYNOMIAL,
        _kernel_scale=Number(_TINY),
        _solution=Array((lambda n: n.n_merged + n.n_combinations, "n_merged")),
        _defined=Array(("n_merged",), BOOL),
        _value_weight=Optional(Array((lambda n: math.prod(n.target),), FLOATS)),
        _scatter=Array(("n_merged",)),
    ),
    "StackedRBFInterpolation": _model_over_lights(
        StackedRBFInterpolation,
        _check_stacked,
        images_=Array(("n_lights", "target"), FLOATS),
        stacking_weights_=Array(("n_clusters", len(CURVES), "n_candidates")),
        clusters_=Array((lambda n: n.target[:2],), INDICES, least=0, most=lambda n: n.n_clusters - 1),
        value_range_=TupleOf(Number(-FLOAT64_SAFE, FLOAT64_SAFE, size="value_min"), Number("value_min", FLOAT64_SAFE)),
        candidates_=ListOf(
            Made(
                Record(
                    SimpleNamespace,
                    kernel=Text(KERNELS),
                    epsilon=Number(0),
                    smoothing=Number(0),
                    n_dimensions=Integer(1, "width"),
                ),
                take=lambda candidate: SimpleNamespace(**candidate),
                make=vars,
            ),
            size="n_candidates",
        ),
        _equations=Made(
            Record(
                SimpleNamespace,
                different=ListOf(Inner(_EQUATIONS, "width", "n_lights")),
                numbers=ListOf(Integer(-1), size="n_candidates"),
            ),
            take=_number_equations,
            make=_share_equations,
        ),
    ),
}
INTERPOLATIONS = tuple(_STATES_OF_INTERPOLATIONS)
# What a regressor of a Relighter may be, in a Pipeline and without.
_STEPS = ("PixelLightFeaturizer", "RelightingMLPRegressor", *INTERPOLATIONS)
_REGRESSORS = ("Pipeline", "RelightingMLPRegressor", *INTERPOLATIONS)
STATES = {
    **_STATES_OF_INTERPOLATIONS,
    "BlendedRegressor": _model_over_lights(
        BlendedRegressor,
        _check_blend,
        target_shape_=Shape("target"),
        value_range_=Optional(TupleOf(Number(size="encoded_min"), Number("encoded_min")), may_be_absent=True),
        interpolation_=Optional(Inner(Fitted(*INTERPOLATIONS), "width", "n_lights", target=_pixel_by_pixel)),
        weights_=Optional(Array(("n_weights",), least=0, most=1), may_be_absent=True),
        members_=ListOf(Inner(Fitted(*_REGRESSORS), "width", "target")),
    ),
    "LogExposureScaler": Record(
        LogExposureScaler,
        _finish_exposure,
        exposure_=Number(-30, 30),
        data_min_=Number(0, size="data_min"),
        data_max_=Number("data_min"),
        n_features_in_=Optional(Integer(1), may_be_absent=True),
    ),
    "MinMaxScaler": Record(
        MinMaxScaler,
        **{name: Array(("width",)) for name in ("data_max_", "data_min_", "data_range_", "min_", "scale_")},
        n_samples_seen_=Plain(),
        n_features_in_=Integer(1, size="width"),
    ),
    "PixelLightFeaturizer": _model_over_lights(
        PixelLightFeaturizer,
        _finish_featurizer,
        n_components_=Integer(size="n_components"),
        brightness_powers_=Array(("n_powers",)),
        pixel_table_=Array((_n_pixels, "n_pixel_features"), FLOAT32),
        light_scaler_=Optional(Fitted("StandardScaler", "MinMaxScaler")),
    ),
    "Pipeline": Record(
        Pipeline,
        _check_steps,
        steps=ListOf(TupleOf(Text(), Fitted(*_STEPS)), most=2),
    ),
    "Relighter": Record(
        Relighter,
        _finish_relighter,
        _target_shape=Shape("target", most=3),
        lights_=Made(Array(("n_lights", "width")), take=lambda lights: lights.astype(np.float64), make=np.asarray),
        pixel_weight_=Optional(Array((lambda n: n.target[:2],), FLOAT32, least=0)),
        saturation_=Plain(),
        interrupted_=Flag(),
        transformer_=Fitted("LogExposureScaler"),
        regressor_=Fitted("BlendedRegressor"),
    ),
    "RelightingMLPRegressor": Record(
        RelightingMLPRegressor,
        _finish_network,
        n_features_in_=Integer(1, size="n_features"),
        feature_names_in_=Names("n_features"),
        config_=Record(TrainingConfig, **{field.name: Plain() for field in fields(TrainingConfig)}),
        target_shape_=Shape("target"),
        target_range_=Optional(TupleOf(Number(size="target_min"), Number("target_min"))),
        n_observations_=Integer(0, 2**62),
        compiled_=Flag(),
        interrupted_=Flag(),
        net_=Network(),
    ),
    "StandardScaler": Record(
        StandardScaler,
        **{name: Array(("width",)) for name in ("mean_", "scale_", "var_")},
        n_samples_seen_=Plain(),
        n_features_in_=Integer(1, size="width"),
    ),
}
# Parameters that `fit` changes.
_FITTED_PARAMETERS = {"Pipeline": ("steps",)}
# Classes of the estimators that a parameter may hold, by its name.
PARTS = {
    "callbacks": {"BatchSizeStages": BatchSizeStages, "PlateauLearningRate": PlateauLearningRate},
    **{
        name: {cls: STATES[cls].cls for cls in classes}
        for name, classes in {
            "interpolation": INTERPOLATIONS,
            "regressor": _REGRESSORS,
            "steps": _STEPS,
            "transformer": ["LogExposureScaler"],
        }.items()
    },
}
