"""Estimators that are not fitted: their class and their parameters, written and read."""

import math
from numbers import Real

import numpy as np

from ._schema import Kind, check, take_fields

__all__ = ["Plain", "read_estimator", "validate", "write_estimator"]

# Bounds of a parameter: depth of lists in lists, length of a list or a text, and integers.
_DEEPEST = 3
_LONGEST = 2**14
_LARGEST_INTEGER = 2**64
_NUMBERS = [np.dtype(c).name for c in "?bBhHiIqQefd"]
# Paths on the machine that fitted the model concern nobody else, and have no part in predicting.
_LEFT_OUT = {"checkpoint", "memory"}


class Plain(Kind):
    """None, a bool, number or text, or lists of such, of the type that it has."""

    def write(self, value, where, arrays):
        return _write_value(value, where)

    def read(self, given, where, file, sizes):
        return _read_value(given, where)


def write_estimator(estimator, where, classes, parts, fitted=()):
    """Describe an estimator by its class and its parameters.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.

    where : str
        Its place, for messages.

    classes : dict of str to type
        The classes that may stand there, by name.

    parts : dict of str to dict
        For the name of a parameter that may hold estimators, their classes.

    fitted : collection of str, default=()
        Parameters that `fit` changes, and that the state holds.

    Returns
    -------
    dict
        Something that :func:`read_estimator` takes.

    Raises
    ------
    ValueError
        If the class or a parameter cannot be saved.
    """
    name = type(estimator).__name__
    if type(estimator) is not classes.get(name):
        raise ValueError(
            f"{where} is a {type(estimator).__module__}.{name}, which save_model cannot write; it takes"
            f" {', '.join(classes)} of sklrelight, and no subclasses. Use joblib among people who trust each other"
        )
    parameters = {
        key: _write_value(value, f"{where}.{key}", parts.get(key, {}), parts)
        for key, value in estimator.get_params(deep=False).items()
        if key not in _LEFT_OUT and key not in fitted
    }
    return {"class": name, "parameters": parameters}


def _write_value(value, where, classes=(), parts=()):
    def write(item, where=where):
        return _write_value(item, where, classes, parts)

    if classes and hasattr(value, "get_params") and not isinstance(value, type):
        return {"estimator": write_estimator(value, where, classes, parts)}
    # NumPy's scalars first: some of them are Python's floats, but calculate otherwise.
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim <= 1 and value.dtype.name in _NUMBERS:
        return {"numpy": [value.dtype.name, write(value.tolist())]}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST_INTEGER:
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(value)}
    if type(value) in (tuple, list):
        return {type(value).__name__: [write(item, f"{where}[{i}]") for i, item in enumerate(value)]}
    raise ValueError(
        f"{where} is of the type {type(value).__name__}, which save_model cannot write: it takes numbers, texts, None"
        " and lists of them. Set it to one of these, or use joblib among people who trust each other"
    )


def read_estimator(given, where, classes, parts, fitted=()):
    """Make an estimator that is not fitted.

    Parameters
    ----------
    given : object
        What :func:`write_estimator` returned, or what somebody else put there.

    where : str
        Its place, for messages.

    classes, parts, fitted
        As in :func:`write_estimator`. Parameters in `fitted` are None.

    Returns
    -------
    estimator
        With parameters that are not validated yet.

    Raises
    ------
    ValueError
        If there is no such class or parameter.
    """
    take_fields(given, where, ("class", "parameters"))
    name, parameters = given["class"], given["parameters"]
    check(isinstance(name, str) and name in classes, f"{where}.class is {str(name)[:40]!r}, not one of {[*classes]}")
    check(isinstance(parameters, dict), f"{where}.parameters is no object")
    refused = [key for key in parameters if key in _LEFT_OUT or key in fitted]
    check(not refused, f"{where}.parameters has {refused}, which no file has")
    values = {
        key: _read_value(value, f"{where}.{key[:40]}", parts.get(key, {}), parts) for key, value in parameters.items()
    }
    try:
        return classes[name](**values, **dict.fromkeys(fitted))
    except TypeError as error:
        raise ValueError(f"{where}.parameters: {error}") from error


def _read_value(given, where, classes=(), parts=(), depth=0):
    if given is None or isinstance(given, (bool, int, float, str)):
        check(not isinstance(given, str) or len(given) <= _LONGEST, f"{where} is too long a text")
        check(not isinstance(given, int) or abs(given) < _LARGEST_INTEGER, f"{where} is too large an int")
        return given
    check(isinstance(given, dict) and len(given) == 1, f"{where} is of no kind that is known")
    ((kind, value),) = given.items()
    if kind == "estimator" and classes:
        estimator = read_estimator(value, where, classes, parts)
        validate(estimator, where)
        return estimator
    if kind == "float":
        check(value in ("nan", "inf", "-inf"), f"{where} is no number")
        return float(value)
    check(kind in ("tuple", "list", "numpy"), f"{where} is of no kind that is known")
    check(isinstance(value, list) and len(value) <= _LONGEST, f"{where} is no list")
    check(depth < _DEEPEST, f"{where} is nested too deeply")
    items = [_read_value(item, f"{where}[{i}]", classes, parts, depth + 1) for i, item in enumerate(value)]
    if kind == "numpy":
        return _make_array(items, where)
    return tuple(items) if kind == "tuple" else items


def _make_array(items, where):
    """Make a one-dimensional array or a scalar of NumPy of the name of its type and its values."""
    check(len(items) == 2 and items[0] in _NUMBERS, f"{where} is no array of numbers")
    values = items[1] if isinstance(items[1], list) else [items[1]]
    check(all(isinstance(value, Real) for value in values), f"{where} is no array of numbers")
    try:
        return np.array(items[1], items[0])[()]
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{where} has numbers that are no {items[0]}") from error


def validate(estimator, where):
    """Refuse an estimator whose parameters are out of their range.

    Parameters
    ----------
    estimator : estimator
        Any.

    where : str
        Its place, for messages.

    Raises
    ------
    ValueError
        If they are.
    """
    try:
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
