"""Estimators by class and parameters, and fitted ones with the state that is declared of their class."""

import math
from numbers import Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import interpolation
from ..utils._sklearn_compat import validate_parameter_constraints
from ._schema import Kind, Record, check, take_fields

__all__ = ["INTERPOLATIONS", "REGRESSORS", "STEPS", "Fitted", "Plain", "declare"]

# Bounds of a parameter: depth of lists in lists, length of a list or a text, and integers.
_DEEPEST = 3
_LONGEST = 2**14
_LARGEST_INTEGER = 2**64
_NUMBERS = [np.dtype(character).name for character in "?bBhHiIqQefd"]
# Paths on the machine that fitted the model concern nobody else, and have no part in predicting.
_LEFT_OUT = {"checkpoint", "memory"}

INTERPOLATIONS = tuple(name for name in interpolation.__all__ if name != "choose_lights")
STEPS = ("PixelLightFeaturizer", "RelightingMLPRegressor", "ClusteredMLPRegressor", *INTERPOLATIONS)
REGRESSORS = ("Pipeline", "RelightingMLPRegressor", "ClusteredMLPRegressor", *INTERPOLATIONS)
# Classes of the estimators that a parameter of some name may hold.
_PARTS = {
    "callbacks": ("BatchSizeStages", "PlateauLearningRate"),
    "interpolation": INTERPOLATIONS,
    "regressor": REGRESSORS,
    "steps": STEPS,
    "transformer": ("LogExposureScaler",),
}
_DECLARED: dict[str, Record] = {}


def declare(cls, finish=None, make=None, **fields):
    """Declare what is kept of the fitted state of a class. Nothing else can be saved, or be named by a file."""
    _DECLARED[cls.__name__] = Record(cls, finish, make, **fields)


class Plain(Kind):
    """None, a bool, a number, a text or a list of such, of the type that it has."""

    def write(self, value, where, arrays):
        return _write_value(value, where)

    def read(self, given, where, file, sizes):
        return _read_value(given, where)


class Fitted(Kind):
    """A fitted estimator of one of some classes."""

    def __init__(self, *names):
        self.names = names

    def write(self, value, where, arrays):
        description = _write_estimator(value, where, self.names)
        check_is_fitted(value)
        state = _DECLARED[type(value).__name__]
        # A Pipeline is fitted in place: its steps are a parameter as well as a part of the state.
        for name in state.fields:
            description["parameters"].pop(name, None)
        return description | {"state": state.write(value, where, arrays)}

    def read(self, given, where, file, sizes):
        take_fields(given, where, ("class", "parameters", "state"))
        estimator = _make_estimator(given["class"], given["parameters"], where, self.names, fitted=True)
        _DECLARED[given["class"]].fill(estimator, given["state"], where, file, sizes)
        return _validated(estimator, where)


def _write_estimator(estimator, where, names):
    name = type(estimator).__name__
    if name not in names or type(estimator) is not _DECLARED[name].cls:
        raise ValueError(
            f"{where} is a {type(estimator).__module__}.{name}, which save_model cannot write; it takes"
            f" {', '.join(names)} of sklrelight, and no subclasses. Use joblib among people who trust each other"
        )
    parameters = {
        key: _write_value(value, f"{where}.{key}", _PARTS.get(key, ()))
        for key, value in estimator.get_params(deep=False).items()
        if key not in _LEFT_OUT
    }
    return {"class": name, "parameters": parameters}


def _make_estimator(name, parameters, where, names, fitted=False):
    check(isinstance(name, str) and name in names, f"{where}.class is {str(name)[:40]!r}, not one of {names}")
    check(isinstance(parameters, dict), f"{where}.parameters is no object")
    placeholders = dict.fromkeys(_PARTS.keys() & _DECLARED[name].fields.keys()) if fitted else {}
    refused = [key for key in parameters if key in _LEFT_OUT or key in placeholders]
    check(not refused, f"{where}.parameters has {refused}, which no file has")
    values = {key: _read_value(value, f"{where}.{key[:40]}", _PARTS.get(key, ())) for key, value in parameters.items()}
    try:
        return _DECLARED[name].cls(**values, **placeholders)
    except TypeError as error:
        raise ValueError(f"{where}.parameters: {error}") from error


def _validated(estimator, where):
    constraints = getattr(estimator, "_parameter_constraints", {})
    try:
        validate_parameter_constraints(constraints, estimator.get_params(deep=False), type(estimator).__name__)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return estimator


def _write_value(value, where, names=()):
    """Describe a parameter that may hold estimators of some classes."""
    if names and hasattr(value, "get_params") and not isinstance(value, type):
        return {"estimator": _write_estimator(value, where, names)}
    # NumPy's scalars first: some of them are Python's floats, but calculate otherwise.
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim <= 1 and value.dtype.name in _NUMBERS:
        return {"numpy": [value.dtype.name, _write_value(value.tolist(), where)]}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST_INTEGER:
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(value)}
    if type(value) in (tuple, list):
        return {type(value).__name__: [_write_value(item, f"{where}[{i}]", names) for i, item in enumerate(value)]}
    raise ValueError(
        f"{where} is of the type {type(value).__name__}, which save_model cannot write: it takes numbers, texts, None"
        " and lists of them. Set it to one of these, or use joblib among people who trust each other"
    )


def _read_value(given, where, names=(), depth=0):
    if given is None or isinstance(given, (bool, int, float, str)):
        check(not isinstance(given, str) or len(given) <= _LONGEST, f"{where} is too long a text")
        check(not isinstance(given, int) or abs(given) < _LARGEST_INTEGER, f"{where} is too large an int")
        return given
    check(isinstance(given, dict) and len(given) == 1, f"{where} is of no kind that is known")
    ((kind, value),) = given.items()
    if kind == "estimator" and names:
        take_fields(value, where, ("class", "parameters"))
        return _validated(_make_estimator(value["class"], value["parameters"], where, names), where)
    if kind == "float":
        check(value in ("nan", "inf", "-inf"), f"{where} is no number")
        return float(value)
    check(kind in ("tuple", "list", "numpy"), f"{where} is of no kind that is known")
    check(isinstance(value, list) and len(value) <= _LONGEST, f"{where} is no list")
    check(depth < _DEEPEST, f"{where} is nested too deeply")
    items = [_read_value(item, f"{where}[{i}]", names, depth + 1) for i, item in enumerate(value)]
    if kind == "numpy":
        return _make_numbers(items, where)
    return tuple(items) if kind == "tuple" else items


def _make_numbers(items, where):
    """Make NumPy's array or scalar of the name of its type and its values."""
    values = items[1] if len(items) == 2 and isinstance(items[1], list) else items[1:]
    possible = len(items) == 2 and items[0] in _NUMBERS and all(isinstance(value, Real) for value in values)
    check(possible, f"{where} is no array of numbers")
    try:
        return np.array(items[1], items[0])[()]
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{where} has numbers that are no {items[0]}") from error
