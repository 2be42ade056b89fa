"""What a model file keeps of each fitted class: one declaration for each, by which it is written and read."""

import math
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from ..blending import BlendedRegressor
from ..interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from ..interpolation._equations import KERNELS, ROUNDING, AffineSubspace, Equations, MergedLights, Points, Polynomial
from ..interpolation._pretrained import MOST_SAMPLED, as_columns
from ..interpolation._stacked import CURVES
from ..interpolation._streamed import StreamedInterpolation
from ..neural import (
    BatchSizeStages,
    ClusteredMLPRegressor,
    PlateauLearningRate,
    RelightingMLPRegressor,
    TrainingConfig,
)
from ..preprocessing import LogExposureScaler, PixelLightFeaturizer
from ..relighter import Relighter
from ..stacks import CodedStack
from ..utils import FLOAT64_SAFE, split_target_shape
from ._estimators import INTERPOLATIONS, REGRESSORS, STEPS, Fitted, Plain, declare
from ._networks import Network
from ._packed import Packed
from ._schema import (
    BOOL,
    FLOAT32,
    FLOATS,
    INDICES,
    Array,
    Flag,
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
)

__all__ = ["RELIGHTER"]

# The least number whose reciprocal is finite, and the least above 0.
_TINY = float(np.finfo(float).tiny)
_LEAST_POSITIVE = float(np.nextafter(0, 1))
# Number of columns that a polynomial may take in predicting.
_MOST_MONOMIALS = 2**20
# Numbers of points to triangulate. In the plane the time can grow with the square of their number, to 10 s for these.
# In space the memory can grow with it, too: 160 bytes times the square. 1/16 for a byte of the file makes it 10 bytes.
# The same bound holds for lights of which matrices are computed.
_MOST_POINTS_OF_PLANE = 2**13
_POINTS_OF_SPACE = 2**10
_SQUARED_POINTS_OF_BYTE = 1 / 16

# Sizes are n_lights, width (number of features of a light), target (shape of a photograph), span and rank (dimensions
# of the lights and of what they span), n_merged (lights that differ) and others. Functions take them as `n`.
_WIDTH = {"n_features_in_": Integer(1, size="width"), "feature_names_in_": Names("width")}
_LIGHTS = {**_WIDTH, "unit_lights_": Flag()}
# Alike are the channels, which come first when they are packed, and neighbours in a row of pixels.
_IMAGES = Packed(("n_lights", "target"), FLOATS, alike=(0, -1))
_MERGED_IMAGES = Packed(("n_merged", "target"), FLOATS, alike=(0, -1))
_POINTS = Array(("n_merged", "rank"))
_GROUPS = Array(("n_lights",), INDICES, least=0, most=lambda n: n.n_merged - 1, every=True)
_SUBSPACE = Record(AffineSubspace, center=Array(("span",)), axes=Array(("rank", "span")), spread=Number(0))


def _check_directions(model, n):
    check(not model.directions_ or n.width == 3, f"directions have {n.width} columns")


def _n_monomials(n):
    return 1 + (n.rank if n.degree else 0) + (n.rank * (n.rank + 1) // 2 if n.degree == 2 else 0)


def _check_polynomial(polynomial, n):
    # Empty combinations take no bytes of the file, and many monomials much memory in predicting.
    check(_n_monomials(n) <= _MOST_MONOMIALS, f"there are {_n_monomials(n)} monomials")


_POLYNOMIAL = Record(
    Polynomial,
    _check_polynomial,
    degree=Integer(0, 2, size="degree"),
    scale=Array(("rank",), least=_LEAST_POSITIVE),
    combinations=Array((_n_monomials, "n_combinations")),
)


def _n_free(n):
    return n.n_merged - n.n_combinations


_EQUATIONS = Record(
    Equations,
    kernel=Text(KERNELS),
    epsilon=Number(0),
    scale=Number(_TINY),
    points=Record(
        Points,
        n_dimensions=Integer(1, "width", size="span"),
        subspace=_SUBSPACE,
        merged=Record(MergedLights, points=_POINTS, groups=_GROUPS),
    ),
    polynomial=_POLYNOMIAL,
    _range=Array(("n_merged", "n_combinations")),
    _triangular=Array(("n_combinations", "n_combinations")),
    _range_values=Array(("n_combinations", "n_merged")),
    defined=Array(("n_merged",), BOOL),
    _eigenvalues=Array((_n_free,)),
    _vectors=Array(("n_merged", _n_free)),
)


def _n_harmonics(n):
    return (n.order + 1) ** 2


declare(
    HemisphericalHarmonics,
    n_features_in_=Integer(2, 3, size="width"),
    feature_names_in_=Names("width"),
    unit_lights_=Flag(),
    _order=Integer(0, 2**15, size="order"),
    _solution=Array((_n_harmonics, "n_lights")),
    coefficients_=Array((_n_harmonics, "target"), FLOATS),
)


def _most_points(n):
    return max(_POINTS_OF_SPACE, int((n.n_bytes * _SQUARED_POINTS_OF_BYTE) ** 0.5))


def _triangulate(model, n):
    _check_directions(model, n)
    check(n.span == (2 if model.directions_ else n.width), f"the lights span some of {n.span} dimensions")
    check(n.rank <= 3, f"the lights span {n.rank} dimensions")
    check(n.rank > 0 or n.n_merged == 1, "several lights span no dimension")
    check(n.rank != 1 or n.n_merged > 1, "one light spans a line")
    model.triangulation_ = None
    if n.rank > 1:
        most = _MOST_POINTS_OF_PLANE if n.rank == 2 else _most_points(n)
        check(n.n_merged <= most, f"{n.n_merged} lights to triangulate are more than the {most} that a file may have")
        model.triangulation_ = model._triangulate(model.points_)


declare(
    LinearInterpolation,
    _triangulate,
    **_LIGHTS,
    directions_=Flag(),
    subspace_=_SUBSPACE,
    points_=_POINTS,
    light_groups_=_GROUPS,
    images_=_MERGED_IMAGES,
)
declare(
    NearestPhotograph,
    **_LIGHTS,
    neighbors_=Made(
        Array(("n_lights", "width")),
        take=lambda neighbors: neighbors._fit_X,
        make=lambda lights: NearestNeighbors(n_neighbors=1).fit(lights),
    ),
    images_=_IMAGES,
)
declare(
    PolynomialTextureMap,
    _check_directions,
    **_LIGHTS,
    directions_=Flag(),
    center_=Array(("width",)),
    axes_=Array((2, "width")),
    _solution=Array((6, "n_lights")),
    coefficients_=Array((6, "target"), FLOATS),
)


def _check_pretrained(model, n):
    directions, most = model.directions_, _most_points(n)
    check(1 < n.n_merged <= most, f"{n.n_merged} directions are not the 2 to {most} that a file may have")
    lengths = np.linalg.norm(directions, axis=1)
    check(np.abs(lengths - 1).max() < ROUNDING, f"directions have lengths of {lengths.min():g} to {lengths.max():g}")
    # A fit merges those that are nearer than this. It measures the spread with equal lights, which makes it smaller.
    nearest = pdist(directions).min()
    check(
        nearest > 0.01 * ROUNDING * AffineSubspace.of(directions).spread, f"two directions are only {nearest:g} apart"
    )
    n_columns = as_columns(model.images_).shape[1]
    check(0 < n.n_sampled <= MOST_SAMPLED, f"there are {n.n_sampled} sampled columns, not 1 to {MOST_SAMPLED}")
    check(model.sample_.max() < n_columns, f"column {model.sample_.max()} is sampled, and there are {n_columns}")
    extent = max(float(model.images_.max()), -float(model.images_.min()))
    check(extent <= 2 * model.peak_, f"images reach {extent:g}, and peak_ is {model.peak_:g}")


declare(
    PretrainedInterpolation,
    _check_pretrained,
    n_features_in_=Integer(2, 3, size="width"),
    feature_names_in_=Names("width"),
    unit_lights_=Flag(),
    directions_=Array(("n_merged", 3), least=-2, most=2),
    images_=_MERGED_IMAGES,
    sample_=Array(("n_sampled",), INDICES, least=0),
    peak_=Number(_LEAST_POSITIVE, FLOAT64_SAFE),
)
declare(
    RBFInterpolation,
    lambda model, n: model._take_equations(model._equations),
    **_LIGHTS,
    _equations=_EQUATIONS,
    smoothing_=Number(0),
    images_=_MERGED_IMAGES,
    _value_weight=Optional(Array((lambda n: math.prod(n.target),), FLOATS)),
    _scatter=Array(("n_merged",)),
)


def _check_stacked(model, n):
    # The weights of all photographs are computed for each cluster.
    n_pixels = getattr(n, "n_labelled", model.clusters_.size)
    check(0 < n.n_clusters <= max(1, n_pixels), f"there are {n.n_clusters} clusters")
    used = [index for _, indices in model._equations for index in indices]
    unused = np.delete(model.stacking_weights_, used, axis=1)
    single = not unused.any() and len(set(used)) == len(used)
    check(single, "there is weight on a candidate without equations, or with several")


_CANDIDATE = Record(
    SimpleNamespace, kernel=Text(KERNELS), epsilon=Number(0), smoothing=Number(0), n_dimensions=Integer(1, "width")
)
_INDICES = ListOf(Integer(0, lambda n: n.n_candidates - 1))
declare(
    StackedRBFInterpolation,
    _check_stacked,
    **_LIGHTS,
    images_=_IMAGES,
    stacking_weights_=Array(("n_clusters", "n_candidates")),
    curve_=Integer(0, len(CURVES) - 1),
    clusters_=Array((lambda n: n.target[:2],), INDICES, least=0, most=lambda n: n.n_clusters - 1),
    value_range_=TupleOf(Number(-FLOAT64_SAFE, FLOAT64_SAFE, size="value_min"), Number("value_min", FLOAT64_SAFE)),
    candidates_=ListOf(Made(_CANDIDATE, take=lambda own: SimpleNamespace(**own), make=vars), size="n_candidates"),
    _equations=ListOf(TupleOf(Inner(_EQUATIONS, "width", "n_lights"), _INDICES)),
)


def _finish_exposure(scaler, n):
    # As in the fit of a Relighter.
    scaler.set_output(transform="default")


declare(
    LogExposureScaler,
    _finish_exposure,
    exposure_=Number(-30, 30),
    data_min_=Number(0, size="data_min"),
    data_max_=Number("data_min"),
    n_features_in_=Optional(Integer(1), may_be_absent=True),
)
_SCALER = {"n_samples_seen_": Plain(), "n_features_in_": Integer(1, size="width")}
_COLUMNS = Array(("width",))
declare(StandardScaler, **_SCALER, **dict.fromkeys(("mean_", "scale_", "var_"), _COLUMNS))
declare(MinMaxScaler, **_SCALER, **dict.fromkeys(("data_max_", "data_min_", "data_range_", "min_", "scale_"), _COLUMNS))


def _n_pixels(n):
    return math.prod(split_target_shape((1, *n.target))[0])


def _finish_featurizer(featurizer, n):
    featurizer.image_shape_, featurizer._n_channels = split_target_shape((1, *n.target))
    # The mean image, the components and the mean lights. Coordinates and blurred copies follow from them.
    expected = featurizer._n_channels + n.n_components + n.n_powers * n.width
    check(n.n_sharp == expected, f"pixels have {n.n_sharp} features, not {expected}")
    widths, inside = featurizer.blur_widths_, featurizer.inside_
    check(len(widths) <= _MOST_WIDTHS, f"there are {len(widths)} widths")
    check(
        not len(widths) or (featurizer.image_shape_ and widths.min() > 0), "pixels are blurred that have no neighbours"
    )
    check(inside is None or inside.any(), "no pixel has weight")
    n.n_pixel_features = 2 + n.n_sharp * (1 + len(widths))


def _make_table(featurizer):
    featurizer.pixel_table_ = featurizer._make_table([vars(featurizer).pop("_sharp")])


# Wider blurs, and more of them, would make a small file take much time and memory.
_LARGEST_WIDTH, _MOST_WIDTHS = 1000, 16
declare(
    PixelLightFeaturizer,
    _finish_featurizer,
    _make_table,
    **_WIDTH,
    n_components_=Integer(size="n_components"),
    brightness_powers_=Array(("n_powers",)),
    blur_widths_=Array(("n_widths",), most=_LARGEST_WIDTH),
    inside_=Optional(Array((_n_pixels,), (bool,))),
    _sharp=Packed((_n_pixels, "n_sharp"), (np.float16, np.float32), alike=(-1,)),
    light_scaler_=Optional(Fitted("StandardScaler", "MinMaxScaler")),
)


def _finish_network(regressor, n):
    expected = n.width + getattr(n, "n_pixel_features", 0)
    check(n.n_features == expected, f"there are {n.n_features} features, and lights and pixels have {expected}")
    regressor.history_ = regressor.net_.history


declare(BatchSizeStages)
declare(PlateauLearningRate)
declare(
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
)


def _finish_clustered(regressor, n):
    expected = n.width + n.n_pixel_features
    check(n.n_features == expected, f"there are {n.n_features} features, and lights and pixels have {expected}")
    check(n.n_neighbors > 0, "no pixel has a network")


def _hidden(*shape):
    return Array(("n_networks", *shape), FLOAT32)


declare(
    ClusteredMLPRegressor,
    _finish_clustered,
    n_features_in_=Integer(1, size="n_features"),
    feature_names_in_=Names("n_features"),
    target_shape_=Shape("target"),
    target_range_=TupleOf(Number(size="target_min"), Number("target_min")),
    n_networks_=ListOf(Integer(1)),
    n_observations_=Integer(0, 2**62),
    weights_=TupleOf(
        _hidden("width", "n_hidden"),
        _hidden("n_pixel_features", "n_hidden"),
        _hidden(1, "n_hidden"),
        _hidden("n_hidden", "n_hidden"),
        _hidden(1, "n_hidden"),
        _hidden("n_hidden", lambda n: split_target_shape((1, *n.target))[1]),
        _hidden(1, lambda n: split_target_shape((1, *n.target))[1]),
    ),
    networks_=Array((_n_pixels, "n_neighbors"), (np.int32,), least=0, most=lambda n: n.n_networks - 1),
)


def _check_steps(pipeline, n):
    names = [name for name, _ in pipeline.steps]
    # What scikit-learn checks in `fit`.
    unusable = [name for name in names if "__" in name or name in pipeline.get_params(deep=False)]
    check(len(set(names)) == len(names) and not unusable, f"there are steps of the names {names}")
    kinds = [type(part) for _, part in pipeline.steps]
    alone = len(kinds) == 1 and kinds != [PixelLightFeaturizer]
    networks = (RelightingMLPRegressor, ClusteredMLPRegressor)
    possible = alone or (kinds[:1] == [PixelLightFeaturizer] and kinds[1:] in ([network] for network in networks))
    check(possible, "the steps are neither a featurizer and a network nor a regressor alone")


declare(Pipeline, _check_steps, steps=ListOf(TupleOf(Text(), Fitted(*STEPS)), most=2))


def _pixel_by_pixel(n):
    """Shape of the photographs that an interpolation is given, which always have pixels and channels."""
    image_shape, n_channels = split_target_shape((1, *n.target))
    return (*(image_shape or (1, 1)), n_channels)


def _n_channels(n):
    return split_target_shape((1, *n.target))[1]


def _check_coded(interpolation, n):
    model, labels = interpolation.model, getattr(interpolation, "clusters_", None)
    n_clusters = len(model.stacking_weights_) if hasattr(model, "weights_by_cluster") else 0
    check((labels is not None) == (n_clusters > 0), "there are clusters without their weights, or the reverse")
    check(labels is None or labels.max() < n_clusters, "there are more clusters than weights")
    check(n_clusters > 0 or hasattr(model, "weights"), "the model predicts from no photographs")


# One code of all pixels after another, because they compress better than those of one pixel together.
_CODES = Made(
    Array(("n_codes", _n_pixels), (np.uint8,), any_order=True),
    take=lambda codes: codes.T,
    make=lambda codes: np.ascontiguousarray(codes.T),
)
_CODED_STACK = Record(
    CodedStack,
    codes=_CODES,
    basis=Array(("n_codes", "n_lights", _n_channels), FLOAT32),
    center=Array(("n_lights", _n_channels), FLOAT32),
    image_shape=Shape("target"),
    value_range=TupleOf(Number(size="coded_min"), Number("coded_min")),
)


class _Interpolation(Kind):
    """A fitted interpolation that has its photographs, or one that predicts from codes of them."""

    own = Inner(Fitted(*INTERPOLATIONS), "width", "n_lights", target=_pixel_by_pixel)
    coded = Record(
        StreamedInterpolation,
        _check_coded,
        # The model keeps a single pixel. That of each pixel's cluster is kept here.
        model=Inner(
            Fitted(*INTERPOLATIONS),
            "width",
            "n_lights",
            target=lambda n: (1, 1, _n_channels(n)),
            n_labelled=_n_pixels,
        ),
        stack=_CODED_STACK,
        clusters_=Optional(Array((lambda n: n.target[:2],), (np.uint8, *INDICES), least=0), may_be_absent=True),
    )

    def write(self, value, where, arrays):
        if not isinstance(value, StreamedInterpolation):
            return self.own.write(value, where, arrays)
        if not isinstance(value.stack, CodedStack):
            raise ValueError(
                f"{where} predicts from photographs that stay on disk, and a model file holds all that it needs: fit"
                " with storage='auto' or a number of decibels, or use joblib, which keeps their path"
            )
        return {"coded": self.coded.write(value, where, arrays)}

    def read(self, given, where, file, sizes):
        if isinstance(given, dict) and set(given) == {"coded"}:
            return self.coded.read(given["coded"], where, file, sizes)
        return self.own.read(given, where, file, sizes)


def _check_blend(blend, n):
    check(len(blend.members_) > 0, "there is no member")
    blend.pretrained_ = getattr(blend, "pretrained_", None)
    if blend.interpolation_ is not None:
        check(hasattr(blend, "weight_") and hasattr(blend, "brightness_pixels_"), "there is no weight")
        blend.pretrained_weight_ = getattr(blend, "pretrained_weight_", 0.0)
        has_weight = blend.pretrained_weight_ > 0
        check(has_weight == (blend.pretrained_ is not None), "a pretrained interpolation or its weight is missing")
        for name in ("brightness_limit_", "held_out_error_"):
            setattr(blend, name, getattr(blend, name, None))


declare(
    BlendedRegressor,
    _check_blend,
    **_WIDTH,
    target_shape_=Shape("target"),
    value_range_=TupleOf(Number(size="encoded_min"), Number("encoded_min")),
    interpolation_=Optional(_Interpolation()),
    pretrained_=Optional(Inner(Fitted("PretrainedInterpolation"), "width", target=_pixel_by_pixel), may_be_absent=True),
    pretrained_weight_=Optional(Number(0, 1), may_be_absent=True),
    weight_=Optional(Number(0, 1), may_be_absent=True),
    brightness_limit_=Optional(Number(0), may_be_absent=True),
    held_out_error_=Optional(Number(0), may_be_absent=True),
    brightness_pixels_=Optional(
        Array(("n_brightness_pixels",), INDICES, least=0, most=lambda n: math.prod(_pixel_by_pixel(n)[:2]) - 1),
        may_be_absent=True,
    ),
    members_=ListOf(Inner(Fitted(*REGRESSORS), "width", "target")),
)


def _finish_relighter(relighter, n):
    weight, saturation = relighter.pixel_weight_, relighter.saturation_
    check(weight is None or weight.ndim == 2, "there are weights of pixels, and no pixels")
    possible = isinstance(saturation, (int, float, np.number)) and 0 < saturation < math.inf
    check(saturation is None or possible, f"a saturation of {saturation!r} is impossible")
    relighter._training_dim = 1 + len(n.target)
    if hasattr(relighter.regressor_, "feature_names_in_"):
        relighter.feature_names_in_ = relighter.regressor_.feature_names_in_


declare(
    Relighter,
    _finish_relighter,
    _target_shape=Shape("target", most=3),
    lights_=Made(Array(("n_lights", "width")), take=lambda lights: lights.astype(np.float64), make=np.asarray),
    pixel_weight_=Optional(Array((lambda n: n.target[:2],), FLOAT32, least=0)),
    saturation_=Plain(),
    interrupted_=Flag(),
    transformer_=Fitted("LogExposureScaler"),
    regressor_=Fitted("BlendedRegressor"),
)
RELIGHTER = Fitted("Relighter")
