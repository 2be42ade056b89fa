"""The fitted regressor and its networks, written and read."""

from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from skorch.history import History

from ..interpolation._streamed import StreamedInterpolation
from ..losses import CompositeLoss
from ..networks import ACTIVATIONS, NORMALIZATIONS, RelightingMLP
from ..training import RelightingNet, resolve_device
from .interpolations import read_interpolation, read_names, write_interpolation, write_names
from .templates import read_template, write_template
from .values import check, write_array, write_plain

__all__ = ["read_regressor", "write_regressor"]

_MOST_LAYERS = 256
_MOST_NETWORKS = 1024
_MOST_EPOCHS = 2**24
# What a history's columns are made of: a bool is an int, and an int a real number.
_COLUMNS: dict[str, type] = {"bool": np.bool_, "int": np.int64, "float": np.float64}
_KINDS: dict[str, Any] = {"bool": (bool, np.bool_), "int": Integral, "float": Real}


def write_regressor(regressor, arrays, where):
    """Write a fitted RelightingMLPRegressor.

    Parameters
    ----------
    regressor : RelightingMLPRegressor
        Fitted.

    arrays : dict of str to ndarray
        Gains its arrays.

    where : str
        Its place, for messages and for names of arrays.

    Returns
    -------
    dict
        What :func:`read_regressor` takes.

    Raises
    ------
    ValueError
        If a part is not one that can be saved.
    """
    template = write_template(regressor, where, ("RelightingMLPRegressor",))
    interpolation = regressor.interpolation_
    if isinstance(interpolation, StreamedInterpolation):
        raise ValueError(
            f"{where}.interpolation_ predicts from photographs that stay on disk, and a model file holds all that it"
            " needs: fit with interpolation=None, or photographs in memory, or use joblib, which keeps their path"
        )
    state = {
        "n_features_in": int(regressor.n_features_in_),
        **write_names(regressor),
        "target_shape": [int(n) for n in regressor.target_shape_],
        "target_range": write_plain(regressor.target_range_, f"{where}.target_range_"),
        "network_share": float(regressor.network_share_),
        "largest_change": None if regressor.largest_change_ is None else float(regressor.largest_change_),
        "n_observations": int(regressor.n_observations_),
        "precision": str(regressor.precision_),
        "compiled": bool(regressor.compiled_),
        "interrupted": bool(regressor.interrupted_),
        "device": str(regressor.device_),
        "nets": [_write_net(net, arrays, f"{where}.net{i}") for i, net in enumerate(regressor.nets_)],
    }
    if regressor.cluster_shares_ is not None:
        state["cluster_shares"] = write_array(arrays, regressor.cluster_shares_, f"{where}.cluster_shares")
    if regressor.largest_deviation_ is not None:
        state["largest_deviation"] = float(regressor.largest_deviation_)
    if regressor.held_out_distance_ is not None:
        state["held_out_distance"] = float(regressor.held_out_distance_)
        state["lights"] = write_array(arrays, regressor.lights_, f"{where}.lights")
    if regressor.inside_ is not None:
        state["inside"] = write_array(arrays, regressor.inside_, f"{where}.inside")
    if interpolation is not None:
        state["interpolation"] = write_interpolation(interpolation, arrays, f"{where}.interpolation")
    return {**template, "state": state}


def read_regressor(node, light_width, n_pixel_features, target_shape):
    """Make a fitted RelightingMLPRegressor.

    Parameters
    ----------
    node : Node
        What :func:`write_regressor` wrote.

    light_width : int
        Of the lights.

    n_pixel_features : int
        Width of the pixel table; 0 for a plain table.

    target_shape : tuple of int
        Of an encoded photograph.

    Returns
    -------
    RelightingMLPRegressor
        Fitted.
    """
    regressor = read_template(node, ("RelightingMLPRegressor",))
    state = node.node("state")
    regressor.n_features_in_ = state.integer("n_features_in", 1)
    check(
        regressor.n_features_in_ == light_width + n_pixel_features,
        f"{state.where} has {regressor.n_features_in_} features, lights and pixels have"
        f" {light_width} and {n_pixel_features}",
    )
    read_names(state, regressor)
    regressor.target_shape_ = state.integers("target_shape", 1)
    check(regressor.target_shape_ == tuple(target_shape), f"{state.where} has photographs of another shape")
    regressor.target_range_ = state.plain("target_range")
    if regressor.target_range_ is not None:
        _check_range(regressor.target_range_, state.where)
    regressor.n_observations_ = state.integer("n_observations", 0, 2**62)
    regressor.precision_ = state.text("precision", ("float32", "bfloat16"))
    regressor.compiled_ = state.flag("compiled")
    regressor.interrupted_ = state.flag("interrupted")
    regressor.device_ = state.text("device")
    device = _device(regressor.device_, state.where)
    n_outputs = int(np.prod(target_shape)) if not n_pixel_features else int(np.prod(target_shape[2:]))
    if n_pixel_features and len(target_shape) < 2:
        n_outputs = int(np.prod(target_shape))
    nodes = state.nodes("nets", _MOST_NETWORKS)
    check(len(nodes) > 0, f"{state.where} has no networks")
    n_pixels = int(np.prod(target_shape)) // n_outputs
    sizes = light_width, regressor.n_features_in_, n_pixels, n_outputs
    regressor.nets_ = [_read_net(net, *sizes, device) for net in nodes]
    regressor.net_ = regressor.nets_[0]
    regressor.history_ = regressor.net_.history
    regressor.interpolation_ = None
    if state.has("interpolation"):
        regressor.interpolation_ = read_interpolation(state.node("interpolation"), light_width, target_shape)
    _read_trust(state, regressor, light_width)
    regressor.inside_ = None
    if state.has("inside"):
        regressor.inside_ = state.array("inside", regressor.target_shape_[:2], (np.bool_,))
        check(bool(regressor.inside_.any()), f"{state.where}.inside has no pixel")
    state.end()
    node.end()
    return regressor


def _read_trust(state, regressor, light_width):
    """Read how far the networks are trusted beside the interpolation, which has been read."""
    regressor.network_share_ = state.number("network_share", 0, 1)
    regressor.largest_change_ = state.number("largest_change", 0) if state.has("largest_change") else None
    regressor.largest_deviation_ = state.number("largest_deviation", 0) if state.has("largest_deviation") else None
    regressor.cluster_shares_ = None
    clusters = getattr(regressor.interpolation_, "clusters_", None)
    if state.has("cluster_shares"):
        check(clusters is not None, f"{state.where} has shares of clusters that its interpolation does not have")
        n_clusters = 0 if clusters is None else int(clusters.max()) + 1
        shares = regressor.cluster_shares_ = state.array("cluster_shares", (n_clusters,))
        check(bool(shares.min() >= 0 and shares.max() <= 1), f"{state.where}.cluster_shares is out of its range")
    regressor.held_out_distance_ = regressor.lights_ = None
    if state.has("held_out_distance"):
        regressor.held_out_distance_ = state.number("held_out_distance", np.nextafter(0, 1))
        regressor.lights_ = state.array("lights", (None, light_width), (np.float64, np.float32))
        check(len(regressor.lights_) > 0, f"{state.where}.lights has no light")


def _check_range(bounds, where):
    check(
        isinstance(bounds, tuple) and len(bounds) == 2 and all(isinstance(b, (float, np.floating)) for b in bounds),
        f"{where}.target_range is no pair of numbers",
    )
    check(bool(np.isfinite(bounds).all() and bounds[0] <= bounds[1]), f"{where}.target_range is no range")


def _device(name, where):
    """The device of the fit, if it is here, else the CPU."""
    kind, _, number = name.partition(":")
    known = kind in ("cpu", "cuda", "mps", "xpu") and (not number or (number.isdecimal() and len(number) < 4))
    check(known, f"{where}.device is not known")
    try:
        return resolve_device(name)
    except ValueError:
        return torch.device("cpu")


def _write_net(net, arrays, where):
    parameters = net.get_params_for("module")
    weights = {name: write_array(arrays, value.cpu().numpy(), f"{where}.{name}")
               for name, value in net.module_.state_dict().items()}  # fmt: skip
    return {
        "hidden_layer_sizes": [int(size) for size in parameters["hidden_layer_sizes"]],
        "light_pixel_products": parameters["n_light_features"] is not None,
        "n_latents": int(parameters["n_latents"]),
        "activation": parameters["activation"],
        "output_activation": parameters["output_activation"],
        "dropout": float(parameters["dropout"]),
        "normalization": parameters["normalization"],
        "half_precision": bool(parameters["half_precision"]),
        "output_offset": float(parameters["output_offset"]),
        "output_scale": float(parameters["output_scale"]),
        "weights": weights,
        "interrupted": bool(net.interrupted_),
        "compiled": bool(net.compiled_),
        "history": _write_history(net.history, arrays, where),
    }


def _read_net(node, light_width, n_features, n_pixels, n_outputs, device):
    sizes = node.integers("hidden_layer_sizes", 1, longest=_MOST_LAYERS)
    products = node.flag("light_pixel_products")
    check(not products or (light_width < n_features and len(sizes) > 0), f"{node.where} has no products to make")
    # Before a network is made: the file has to have its weights.
    n_latents = node.integer("n_latents", 0)
    n_in_all = n_features + n_latents
    n_weights = n_pixels * n_latents + sum(n_in * n_out for n_in, n_out in pairwise((n_in_all, *sizes, n_outputs)))
    n_weights += products * n_in_all * sum(sizes[:1])
    check(4 * n_weights <= node.arrays.n_bytes, f"{node.where} is of {n_weights} weights, which the file has not")
    normalization = node.text("normalization", tuple(NORMALIZATIONS)) if node.has("normalization") else None
    parameters = {
        "n_features": n_features,
        "n_outputs": n_outputs,
        "hidden_layer_sizes": sizes,
        "activation": node.text("activation", tuple(ACTIVATIONS)),
        "output_activation": node.text("output_activation", tuple(ACTIVATIONS)),
        "dropout": node.number("dropout", 0, 1),
        "normalization": normalization,
        "half_precision": node.flag("half_precision"),
        "output_offset": node.number("output_offset"),
        "output_scale": node.number("output_scale"),
        "n_light_features": light_width if products else None,
        "n_latents": n_latents,
        "n_pixels": n_pixels,
    }
    net = RelightingNet(
        RelightingMLP,
        CompositeLoss,
        device=str(device),
        **{f"module__{name}": value for name, value in parameters.items()},
    )
    # Whose first weights are random, and replaced at once.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        net.initialize()
    net.trim_for_prediction()
    given, weights = node.node("weights"), {}
    for name, value in net.module_.state_dict().items():
        dtype = np.int64 if value.dtype == torch.int64 else np.float32
        weights[name] = torch.from_numpy(given.array(name, tuple(value.shape), (dtype,)))
    given.end()
    net.module_.load_state_dict(weights)
    net.interrupted_, net.compiled_ = node.flag("interrupted"), node.flag("compiled")
    net.history_ = _read_history(node.node("history"))
    node.end()
    return net


def _write_history(history, arrays, where):
    columns = {}
    for name in {name: None for row in history for name in row if name != "batches"}:
        rows = [i for i, row in enumerate(history) if name in row]
        values = [history[i, name] for i in rows]
        kind = next((kind for kind in _COLUMNS if all(isinstance(value, _KINDS[kind]) for value in values)), "")
        check(bool(kind), f"{where}.history has a column {name!r} that save_model cannot write")
        columns[name] = {
            "kind": kind,
            "values": write_array(arrays, np.array(values, _COLUMNS[kind]), f"{where}.history.{name}"),
        }
        if len(rows) < len(history):
            columns[name]["rows"] = write_array(arrays, np.array(rows, np.int64), f"{where}.history.{name}.rows")
    return {"n_epochs": len(history), "columns": columns}


def _read_history(node):
    n_epochs = node.integer("n_epochs", 0, _MOST_EPOCHS)
    history = History()
    columns = node.node("columns")
    values_of = {}
    for name in columns.names():
        column = columns.node(name)
        dtype = _COLUMNS[column.text("kind", tuple(_COLUMNS))]
        rows = np.arange(0)
        if column.has("rows"):
            rows = column.array("rows", (None,), (np.int64,))
            check(bool((np.diff(rows) > 0).all()), f"{column.where} has rows out of order")
            check(not rows.size or (rows[0] >= 0 and rows[-1] < n_epochs), f"{column.where} has rows outside")
            values = column.array("values", (len(rows),), (dtype,), nan=True)
        else:
            values = column.array("values", (n_epochs,), (dtype,), nan=True)
            rows = np.arange(n_epochs)
        column.end()
        values_of[name] = dict(zip(rows.tolist(), values.tolist(), strict=True))
    columns.end()
    node.end()
    check(n_epochs == 0 or len(values_of) > 0, f"{node.where} has epochs without columns")
    check(all(len(values) == n_epochs for values in values_of.values()) or n_epochs <= 2**16, f"{node.where} has gaps")
    for epoch in range(n_epochs):
        history.append({"batches": [], **{name: v[epoch] for name, v in values_of.items() if epoch in v}})
    return history
