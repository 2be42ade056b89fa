"""A fitted network and the history of its training, written and read."""

import re
from types import SimpleNamespace

import numpy as np
import torch
from skorch.history import History

from ..neural import CompositeLoss, RelightingMLP, RelightingNet
from ..neural._config import resolve_device
from ..neural._modules import ACTIVATIONS, NORMALIZATIONS
from ..utils import split_target_shape
from ._estimators import Plain
from ._schema import (
    FLOAT32,
    Array,
    Flag,
    Integer,
    Kind,
    ListOf,
    Made,
    MapOf,
    Number,
    Optional,
    Record,
    Text,
    check,
    take_fields,
)

__all__ = ["Network"]

_INT64 = (np.int64,)
_MOST_EPOCHS = 2**20


def _n_channels(n):
    return split_target_shape((1, *n.target))[1]


def _n_pixel_features(n):
    # A plain table has no table of pixels.
    return getattr(n, "n_pixel_features", 0)


_WIDTHS = Made(ListOf(Integer(1), most=256), list, tuple)
_MODULE = Record(
    SimpleNamespace,
    n_light_features=Integer(1, size="width"),
    n_pixel_features=Integer(_n_pixel_features, _n_pixel_features),
    n_outputs=Integer(_n_channels, _n_channels),
    hidden_layer_sizes=_WIDTHS,
    pixel_layer_sizes=_WIDTHS,
    activation=Text(ACTIVATIONS),
    output_activation=Text(ACTIVATIONS),
    dropout=Number(0, 1),
    normalization=Optional(Text(NORMALIZATIONS)),
    half_precision=Flag(),
    output_offset=Number(),
    output_scale=Number(),
    light_pixel_products=Flag(),
    seed=Integer(0, 2**32),
)


class Network(Kind):
    """A net that is trimmed for prediction: its module's parameters and weights, its device and its history."""

    def write(self, value, where, arrays):
        module = SimpleNamespace(**value.get_params_for("module"))
        for name, tensor in value.module_.state_dict().items():
            _weights_kind(tensor).write(tensor.cpu().numpy(), f"{where}.{name}", arrays)
        return {
            "device": str(value.device),
            "module": _MODULE.write(module, f"{where}.module", arrays),
            "history": _HISTORY.write(value.history, f"{where}.history", arrays),
        }

    def read(self, given, where, file, sizes):
        take_fields(given, where, ("device", "module", "history"))
        module = _MODULE.read(given["module"], f"{where}.module", file, sizes)
        try:
            # Without memory, to learn what weights there have to be.
            with torch.device("meta"):
                expected = RelightingMLP(**vars(module)).state_dict()
        except RuntimeError as error:
            raise ValueError(f"{where} is a network that is too large: {error}") from error
        weights = {
            name: torch.from_numpy(_weights_kind(tensor).read("C", f"{where}.{name}", file, sizes))
            for name, tensor in expected.items()
        }
        net = RelightingNet(
            RelightingMLP,
            CompositeLoss,
            device=str(_device(given["device"], where)),
            **{f"module__{name}": value for name, value in vars(module).items()},
        )
        net.initialize()
        net.trim_for_prediction()
        net.module_.load_state_dict(weights)
        net.history_ = _HISTORY.read(given["history"], f"{where}.history", file, sizes)
        return net


def _weights_kind(tensor):
    return Array(tuple(tensor.shape), FLOAT32 if tensor.dtype.is_floating_point else _INT64)


def _device(name, where):
    """The device of the fit if there is such a one here, else the CPU."""
    known = isinstance(name, str) and re.fullmatch(r"(cpu|cuda|mps|xpu)(:[0-9]{1,3})?", name)
    check(known, f"{where}.device is not known")
    try:
        return resolve_device(name)
    except ValueError:
        return torch.device("cpu")


def _take_rows(history):
    """List what is noted of each epoch, as Python's numbers. What is noted of single batches is left out."""
    return [{name: np.asarray(row[name]).item() for name in row if name != "batches"} for row in history]


def _make_history(rows):
    history = History()
    for row in rows:
        history.new_epoch()
        history[-1].update(row)
    return history


_HISTORY = Made(ListOf(MapOf(Plain()), most=_MOST_EPOCHS), take=_take_rows, make=_make_history)
