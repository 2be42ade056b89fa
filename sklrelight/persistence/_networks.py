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
from ._schema import (
    FLOAT32,
    Array,
    Flag,
    Inner,
    Integer,
    Kind,
    ListOf,
    Made,
    Number,
    Optional,
    Record,
    Text,
    check,
    take_fields,
)

__all__ = ["Network"]

_INT64 = (np.int64,)
# Types of a history's columns, by the kind of NumPy's type.
_COLUMN_TYPES = {"b": np.bool_, "i": np.int64, "f": np.float64}
# A row of a history takes some 350 bytes of memory, whatever it takes of the file.
_MOST_EPOCHS = 2**16
_BYTES_OF_EPOCH = 32


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


def _take_columns(history):
    """Sort a history by columns, which need not have a value in each row. Rows of single batches are left out."""
    names = {name: None for row in history for name in row if name != "batches"}
    columns = []
    for name in names:
        rows = [number for number, row in enumerate(history) if name in row]
        values = np.array([history[number, name] for number in rows])
        values = values.astype(_COLUMN_TYPES.get(values.dtype.kind, values.dtype))
        columns.append(SimpleNamespace(name=name, rows=np.array(rows, np.int64), values=values))
    return SimpleNamespace(n_epochs=len(history), columns=columns)


def _make_history(read):
    history = History()
    for _ in range(read.n_epochs):
        history.new_epoch()
    for column in read.columns:
        for row, value in zip(column.rows.tolist(), column.values.tolist(), strict=True):
            history[row][column.name] = value
    return history


_COLUMN = Record(
    SimpleNamespace,
    name=Text(),
    rows=Array(("n_rows",), _INT64, least=0, most=lambda n: n.n_epochs - 1),
    values=Array(("n_rows",), _COLUMN_TYPES.values(), nan=True),
)
_COLUMNS = Record(
    SimpleNamespace,
    n_epochs=Integer(0, lambda n: max(_MOST_EPOCHS, n.n_bytes // _BYTES_OF_EPOCH), size="n_epochs"),
    columns=ListOf(Inner(_COLUMN, "n_epochs"), most=256),
)
_HISTORY = Made(_COLUMNS, take=_take_columns, make=_make_history)
