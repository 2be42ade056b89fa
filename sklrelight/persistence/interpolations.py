"""The fitted models over the lights, written and read."""

import numpy as np
from scipy.spatial import Delaunay
from sklearn.neighbors import NearestNeighbors

from ..interpolation._brightness import Brightness
from ..interpolation._equations import KERNELS, Equations
from ..interpolation._stacked import CURVES
from ..utils import FLOAT64_SAFE
from .equations import (
    GROUPS,
    check_groups,
    read_equations,
    read_polynomial,
    read_subspace,
    write_equations,
    write_polynomial,
    write_subspace,
)
from .templates import INTERPOLATIONS, read_template, write_template
from .values import check, write_array

__all__ = ["read_interpolation", "read_names", "write_interpolation", "write_names"]

_FLOATS = (np.float32, np.float64)


def write_interpolation(model, arrays, where):
    """Write a fitted model.

    Parameters
    ----------
    model : estimator
        One of sklrelight.interpolation.

    arrays : dict of str to ndarray
        Gains those of the model.

    where : str
        Its place, for messages and for names of arrays.

    Returns
    -------
    dict
        What :func:`read_interpolation` takes.
    """
    template = write_template(model, where, tuple(INTERPOLATIONS))

    def array(value, name):
        return write_array(arrays, value, f"{where}.{name}")

    state = {"n_features_in": int(model.n_features_in_), **write_names(model)}
    return {**template, "state": state | _WRITERS[template["class"]](model, array)}


def read_interpolation(node, width, target_shape):
    """Make a fitted model.

    Parameters
    ----------
    node : Node
        What :func:`write_interpolation` wrote.

    width : int
        Of the lights.

    target_shape : tuple of int
        Of a photograph.

    Returns
    -------
    estimator
        Fitted.
    """
    model = read_template(node, tuple(INTERPOLATIONS))
    state = node.node("state")
    model.n_features_in_ = state.integer("n_features_in", 1)
    check(model.n_features_in_ == width, f"{state.where} is of lights of another width than {width}")
    read_names(state, model)
    _READERS[type(model).__name__](model, state, tuple(target_shape))
    state.end()
    node.end()
    return model


def write_names(estimator):
    """Write the names of columns, where there are some."""
    names = getattr(estimator, "feature_names_in_", None)
    return {} if names is None else {"feature_names_in": [str(name) for name in names]}


def read_names(node, estimator):
    """Set the names of columns, where there are some."""
    if node.has("feature_names_in"):
        names = node.texts("feature_names_in")
        check(len(names) == estimator.n_features_in_, f"{node.where} has another number of names than of columns")
        estimator.feature_names_in_ = np.array(names, dtype=object)


def _write_groups(model, array):
    return {
        "subspace": write_subspace(model.subspace_, array, "subspace"),
        "lights": array(model.lights_, "lights"),
        "light_groups": array(model.light_groups_, "light_groups"),
        "images": array(model.images_, "images"),
    }


def _read_groups(model, state, width, target_shape):
    model.subspace_ = read_subspace(state.node("subspace"), width)
    model.lights_ = state.array("lights", (None, model.subspace_.rank))
    model.light_groups_ = state.array("light_groups", (None,), GROUPS)
    check_groups(model.light_groups_, len(model.lights_), state.where)
    model.images_ = state.array("images", (len(model.lights_), *target_shape), _FLOATS)


def _write_nearest(model, array):
    return {"lights": array(model.neighbors_._fit_X, "lights"), "images": array(model.images_, "images")}


def _read_nearest(model, state, target_shape):
    lights = state.array("lights", (None, model.n_features_in_))
    check(len(lights) > 0, f"{state.where} has no lights")
    model.images_ = state.array("images", (len(lights), *target_shape), _FLOATS)
    model.neighbors_ = NearestNeighbors(n_neighbors=1).fit(lights)


def _write_basis(model, array):
    return {
        "coefficients": array(model.coefficients_, "coefficients"),
        "solution": array(model._solution, "solution"),
    }


def _read_basis(model, state, n_functions, target_shape):
    model._solution = state.array("solution", (n_functions, None))
    model.coefficients_ = state.array("coefficients", (n_functions, *target_shape), _FLOATS)


def _write_polynomial_texture_map(model, array):
    return {
        "directions": bool(model.directions_),
        "center": array(model.center_, "center"),
        "axes": array(model.axes_, "axes"),
        **_write_basis(model, array),
    }


def _read_polynomial_texture_map(model, state, target_shape):
    width = model.n_features_in_
    model.directions_ = state.flag("directions")
    check(not model.directions_ or width == 3, f"{state.where} has directions in {width} columns")
    model.center_ = state.array("center", (width,))
    model.axes_ = state.array("axes", (2, width))
    _read_basis(model, state, 6, target_shape)


def _write_harmonics(model, array):
    return {"order": int(model._order), **_write_basis(model, array)}


def _read_harmonics(model, state, target_shape):
    check(model.n_features_in_ in (2, 3), f"{state.where} has directions in {model.n_features_in_} columns")
    model._order = state.integer("order", 0, 2**15)
    _read_basis(model, state, (model._order + 1) ** 2, target_shape)


# What scipy's triangulation consists of; it has no constructor but the triangulation itself, whose time and memory
# nothing bounds that a file says.
_TRIANGULATION = {
    "simplices": np.int32,
    "neighbors": np.int32,
    "equations": np.float64,
    "coplanar": np.int32,
    "good": np.int32,
    "min_bound": np.float64,
    "max_bound": np.float64,
}


def _write_linear(model, array):
    triangulation = model.triangulation_
    written = None
    if triangulation is not None:
        written = {
            name: array(np.asarray(getattr(triangulation, name), dtype), f"triangulation.{name}")
            for name, dtype in _TRIANGULATION.items()
        }
        written["paraboloid_scale"] = float(triangulation.paraboloid_scale)
        written["paraboloid_shift"] = float(triangulation.paraboloid_shift)
        written["points"] = array(triangulation.points, "triangulation.points")
    return {"directions": bool(model.directions_), "triangulation": written, **_write_groups(model, array)}


def _read_linear(model, state, target_shape):
    width = model.n_features_in_
    model.directions_ = state.flag("directions")
    check(not model.directions_ or width == 3, f"{state.where} has directions in {width} columns")
    _read_groups(model, state, 2 if model.directions_ else width, target_shape)
    rank = model.subspace_.rank
    check(rank <= 3, f"{state.where} has lights in {rank} dimensions")
    check(rank > 0 or len(model.lights_) == 1, f"{state.where} has several lights in no dimension")
    check(rank != 1 or len(model.lights_) > 1, f"{state.where} has one light on a line")
    model.triangulation_ = None
    if rank > 1:
        model.triangulation_ = _read_triangulation(state.node("triangulation"), len(model.lights_), rank)
    else:
        check(not state.has("triangulation"), f"{state.where} has triangles in {rank} dimensions")


def _read_triangulation(node, n_points, rank):
    shapes = {
        "simplices": (None, rank + 1),
        "neighbors": (None, rank + 1),
        "equations": (None, rank + 2),
        "coplanar": (None, 3),
        "good": (None,),
        "min_bound": (rank,),
        "max_bound": (rank,),
    }
    found = {name: node.array(name, shapes[name], (dtype,)) for name, dtype in _TRIANGULATION.items()}
    points = node.array("points", (n_points, rank))
    n_simplices = len(found["simplices"])
    check(
        n_simplices > 0 and all(len(found[name]) == n_simplices for name in ("neighbors", "equations", "good")),
        f"{node.where} has no triangles, or parts of different lengths",
    )
    # They are followed without another look.
    for name, least, most in (("simplices", 0, n_points), ("neighbors", -1, n_simplices), ("coplanar", -1, 2**31 - 1)):
        within = not found[name].size or (found[name].min() >= least and found[name].max() < most)
        check(bool(within), f"{node.where}.{name} points outside")
    check(
        not found["coplanar"].size
        or bool((found["coplanar"] < [n_points, n_simplices, n_points]).all() and found["coplanar"].min() >= 0),
        f"{node.where}.coplanar points outside",
    )
    triangulation = Delaunay.__new__(Delaunay)
    triangulation.__dict__.update(
        found,
        _qhull=None,
        _points=points,
        _transform=None,
        _vertex_to_simplex=None,
        _vertex_neighbor_vertices=None,
        nsimplex=n_simplices,
        npoints=n_points,
        ndim=rank,
        paraboloid_scale=node.number("paraboloid_scale"),
        paraboloid_shift=node.number("paraboloid_shift"),
        furthest_site=False,
    )
    node.end()
    return triangulation


def _write_rbf(model, array):
    optional = {"value_weight": model._value_weight, "errors": model._errors}
    return {
        "kernel": str(model.kernel_),
        "epsilon": float(model.epsilon_),
        "smoothing": float(model.smoothing_),
        "n_dimensions": int(model.n_dimensions_),
        "kernel_scale": float(model._kernel_scale),
        **_write_groups(model, array),
        "polynomial": write_polynomial(model._polynomial, array, "polynomial"),
        "solution": array(model._solution, "solution"),
        "defined": array(model._defined, "defined"),
        "scatter": array(model._scatter, "scatter"),
        **{name: None if value is None else array(value, name) for name, value in optional.items()},
    }


def _read_rbf(model, state, target_shape):
    model.kernel_ = state.text("kernel", tuple(KERNELS))
    model.epsilon_ = state.number("epsilon", 0)
    model.smoothing_ = state.number("smoothing", 0)
    model.n_dimensions_ = state.integer("n_dimensions", 1, model.n_features_in_)
    model._kernel_scale = state.number("kernel_scale", np.finfo(float).tiny)
    _read_groups(model, state, model.n_dimensions_, target_shape)
    n = len(model.lights_)
    model._polynomial = read_polynomial(state.node("polynomial"), model.subspace_.rank)
    rank = model._polynomial.combinations.shape[1]
    model._solution = state.array("solution", (n + rank, n))
    model._defined = state.array("defined", (n,), (np.bool_,))
    model._scatter = state.array("scatter", (n,))
    model._value_weight = model._errors = None
    if state.has("value_weight"):
        model._value_weight = state.array("value_weight", (int(np.prod(target_shape)),), _FLOATS)
    if state.has("errors"):
        model._errors = state.array("errors", (n,), nan=True)


def _write_stacked(model, array):
    different: list[Equations] = []
    for equations in model._equations:
        if equations is not None and not any(equations is other for other in different):
            different.append(equations)
    indices = {id(equations): i for i, equations in enumerate(different)}
    return {
        "candidates": [
            {
                "kernel": str(candidate["kernel"]),
                "epsilon": float(candidate["epsilon"]),
                "smoothing": float(candidate["smoothing"]),
                "n_dimensions": int(candidate["n_dimensions"]),
                "equations": None if own is None else indices[id(own)],
            }
            for candidate, own in zip(model.candidates_, model._equations, strict=True)
        ],
        "equations": [write_equations(some, array, f"equations{i}") for i, some in enumerate(different)],
        "clusters": array(model.clusters_, "clusters"),
        "stacking_weights": array(model.stacking_weights_, "stacking_weights"),
        "least": float(model.value_range_[0]),
        "greatest": float(model.value_range_[1]),
        "same": array(model._same, "same"),
        "images": array(model.images_, "images"),
        "brightness": None if model.brightness_ is None else _write_brightness(model.brightness_, array),
    }


def _write_brightness(brightness, array):
    return {
        "values": array(brightness.values, "brightness.values"),
        "stacking_weights": array(brightness.stacking_weights, "brightness.stacking_weights"),
        "share": float(brightness.share),
        "limit": float(brightness.limit),
        "pixels": array(brightness.pixels, "brightness.pixels"),
    }


def _read_brightness(node, n_lights, n_candidates, n_pixels):
    pixels = node.array("pixels", (None,), GROUPS)
    check(len(pixels) > 0, f"{node.where} has no pixels")
    check(bool(pixels.min() >= 0 and pixels.max() < n_pixels), f"{node.where}.pixels points outside")
    values = node.array("values", (n_lights,), (np.float64,))
    stacking_weights = node.array("stacking_weights", (1, len(CURVES), n_candidates))
    # A photograph a hundred times as bright would do; what is beyond overflows.
    brightness = Brightness(values, stacking_weights, node.number("share", 0, 1), node.number("limit", 0, 100), pixels)
    node.end()
    return brightness


def _read_stacked(model, state, target_shape):
    model.images_ = state.array("images", (None, *target_shape), _FLOATS)
    n_lights = len(model.images_)
    model._same = state.array("same", (n_lights,), GROUPS)
    check_groups(model._same, int(model._same.max(initial=-1)) + 1, state.where)
    model.clusters_ = state.array("clusters", target_shape[:2], GROUPS)
    different = [read_equations(node, model.n_features_in_, n_lights) for node in state.nodes("equations", 64)]
    model.candidates_, model._equations = [], []
    for node in state.nodes("candidates", 256):
        candidate = {
            "kernel": node.text("kernel", tuple(KERNELS)),
            "epsilon": node.number("epsilon", 0),
            "smoothing": node.number("smoothing", 0),
            "n_dimensions": node.integer("n_dimensions", 1, model.n_features_in_),
        }
        own = None
        if node.has("equations"):
            own = different[node.integer("equations", 0, len(different) - 1)]
        model.candidates_.append(candidate)
        model._equations.append(own)
        node.end()
    model.stacking_weights_ = state.array("stacking_weights", (None, len(CURVES), len(model.candidates_)))
    least = state.number("least", -FLOAT64_SAFE, FLOAT64_SAFE)
    model.value_range_ = (least, state.number("greatest", least, FLOAT64_SAFE))
    n_clusters = len(model.stacking_weights_)
    # Weights of all photographs are made for each cluster.
    check(0 < n_clusters <= max(1, model.clusters_.size), f"{state.where} has more clusters than pixels, or none")
    clusters = model.clusters_
    check(bool(clusters.min() >= 0 and clusters.max() < n_clusters), f"{state.where} has pixels of no cluster")
    model.brightness_ = None
    if state.has("brightness"):
        node = state.node("brightness")
        model.brightness_ = _read_brightness(node, n_lights, len(model.candidates_), clusters.size)
    unused = [own is None for own in model._equations]
    check(not model._have_weight()[unused].any(), f"{state.where} gives weight to candidates without equations")


_WRITERS = {
    "HemisphericalHarmonics": _write_harmonics,
    "LinearInterpolation": _write_linear,
    "NearestPhotograph": _write_nearest,
    "PolynomialTextureMap": _write_polynomial_texture_map,
    "RBFInterpolation": _write_rbf,
    "StackedRBFInterpolation": _write_stacked,
}
_READERS = {
    "HemisphericalHarmonics": _read_harmonics,
    "LinearInterpolation": _read_linear,
    "NearestPhotograph": _read_nearest,
    "PolynomialTextureMap": _read_polynomial_texture_map,
    "RBFInterpolation": _read_rbf,
    "StackedRBFInterpolation": _read_stacked,
}
