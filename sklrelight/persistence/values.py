"""What a description says, written and read field by field: each value is checked before anything is made of it."""

import math
from numbers import Real

import numpy as np

__all__ = ["Node", "check", "write_array", "write_plain"]

# Depth of lists in a parameter, number of values in one, length of a text.
_DEEPEST = 3
_LONGEST = 2**14
_LARGEST = 2**63
_NUMBERS = "biuf"
_MOST_DIMENSIONS = 8


def write_plain(value, where):
    """Write a parameter.

    Parameters
    ----------
    value : None, bool, number, str, or a tuple, list or array of such
        A parameter.

    where : str
        Its name, for messages.

    Returns
    -------
    object
        What JSON takes, and :meth:`Node.plain` makes the same value of.

    Raises
    ------
    ValueError
        If it is of another kind.

    Examples
    --------
    >>> write_plain((256, 256), "hidden_layer_sizes")
    {'tuple': [256, 256]}
    """
    # NumPy's scalars first: some of them are Python's floats, but calculate otherwise.
    if isinstance(value, np.generic) and value.dtype.kind in _NUMBERS and value.dtype.itemsize <= 8:
        return {"scalar": value.dtype.name, "value": write_plain(value.item(), where)}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST:
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in _NUMBERS:
        return {"array": value.dtype.name, "value": [write_plain(item, where) for item in value.tolist()]}
    if type(value) in (tuple, list):
        return {type(value).__name__: [write_plain(item, where) for item in value]}
    raise ValueError(
        f"{where} is of the type {type(value).__name__}, which save_model cannot write: it takes numbers, texts, None"
        " and lists of them. Set it to one of these, or use joblib among people who trust each other"
    )


def write_array(arrays, array, name):
    """Put an array among those to be saved.

    Parameters
    ----------
    arrays : dict
        Those so far; gains one.

    array : ndarray
        Of numbers or bool.

    name : str
        A free name.

    Returns
    -------
    dict
        What :meth:`Node.array` reads it by. The order of the memory is kept: products of matrices round by it.
    """
    array = np.asarray(array)
    if array.dtype.kind not in _NUMBERS or array.dtype.itemsize > 8:
        raise ValueError(f"{name} is an array of {array.dtype}, which save_model cannot write")
    transposed = array.flags.f_contiguous and not array.flags.c_contiguous
    stored = array.T if transposed else array
    arrays[name] = np.require(stored, stored.dtype.newbyteorder("="), "C")
    return {"array": name, "transposed": transposed}


def check(condition, message):
    """Refuse what a file says.

    Parameters
    ----------
    condition : bool
        Whether it can be so.

    message : str
        Of the ValueError where it cannot.
    """
    if not condition:
        raise ValueError(message)


class Node:
    """An object of a description. Each field is taken once; `end` refuses those that nobody knows.

    Parameters
    ----------
    fields : object
        What JSON gave; a dict, or it is refused.

    where : str
        Its place, for messages.

    arrays : Arrays
        The arrays of the file.
    """

    def __init__(self, fields, where, arrays):
        check(isinstance(fields, dict), f"{where} is no object")
        self.where = where
        self.arrays = arrays
        self._fields = dict(fields)

    def take(self, name):
        """Take a field as it is."""
        check(name in self._fields, f"{self.where} has no {name!r}")
        return self._fields.pop(name)

    def peek(self, name):
        """Look at a field, which stays; None where it is missing."""
        return self._fields.get(name)

    def has(self, name):
        """Whether the field is there, and not null, which is taken."""
        if self._fields.get(name) is None:
            self._fields.pop(name, None)
            return False
        return True

    def names(self):
        """Names of the fields that are left."""
        return list(self._fields)

    def end(self):
        """Refuse fields that are left."""
        check(not self._fields, f"{self.where} has fields that are not known: {[*self._fields][:3]}")

    def node(self, name):
        """Take an object."""
        return Node(self.take(name), f"{self.where}.{name}", self.arrays)

    def nodes(self, name, most=_LONGEST):
        """Take a list of objects."""
        items = self.list(name, most)
        return [Node(item, f"{self.where}.{name}[{i}]", self.arrays) for i, item in enumerate(items)]

    def list(self, name, most=_LONGEST):
        """Take a list."""
        value = self.take(name)
        check(isinstance(value, list) and len(value) <= most, f"{self.where}.{name} is no list of up to {most}")
        return value

    def text(self, name, allowed=None):
        """Take a text, one of those allowed."""
        value = self.take(name)
        check(isinstance(value, str) and len(value) <= _LONGEST, f"{self.where}.{name} is no text")
        check(allowed is None or value in allowed, f"{self.where}.{name} is {value[:40]!r}, not one of {allowed}")
        return value

    def texts(self, name):
        """Take a list of texts."""
        values = self.list(name)
        check(all(isinstance(v, str) and len(v) <= _LONGEST for v in values), f"{self.where}.{name} has no texts")
        return values

    def flag(self, name):
        """Take a bool."""
        value = self.take(name)
        check(isinstance(value, bool), f"{self.where}.{name} is no bool")
        return value

    def integer(self, name, least=0, most=2**31 - 1):
        """Take an int within bounds."""
        value = self.take(name)
        return self._integer(value, name, least, most)

    def _integer(self, value, name, least, most):
        check(isinstance(value, int) and not isinstance(value, bool), f"{self.where}.{name} is no int")
        check(least <= value <= most, f"{self.where}.{name} is out of its range, {least} to {most}")
        return value

    def integers(self, name, least=0, most=2**31 - 1, longest=_MOST_DIMENSIONS):
        """Take a tuple of int."""
        values = self.list(name, longest)
        return tuple(self._integer(value, name, least, most) for value in values)

    def number(self, name, least=-math.inf, most=math.inf):
        """Take a finite float within bounds."""
        value = self.take(name)
        check(isinstance(value, Real) and not isinstance(value, bool), f"{self.where}.{name} is no number")
        check(math.isfinite(value) and least <= value <= most, f"{self.where}.{name} is out of its range")
        return float(value)

    def plain(self, name):
        """Take what :func:`write_plain` wrote."""
        return self._plain(self.take(name), f"{self.where}.{name}", 0)

    def _plain(self, value, where, depth):
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            check(len(value) <= _LONGEST, f"{where} is too long a text")
            return value
        if isinstance(value, int):
            check(abs(value) < 2 * _LARGEST, f"{where} is too large an int")
            return value
        if isinstance(value, float):
            return value
        node = Node(value, where, self.arrays)
        kind = node.names()[0] if node.names() else ""
        check(kind in ("scalar", "float", "array", "tuple", "list"), f"{where} is of no kind that is known")
        if kind == "float":
            value = float(node.text("float", ("nan", "inf", "-inf")))
        elif kind in ("tuple", "list"):
            check(depth < _DEEPEST, f"{where} is nested too deeply")
            items = [self._plain(item, where, depth + 1) for item in node.list(kind)]
            value = tuple(items) if kind == "tuple" else items
        else:
            dtype = np.dtype(node.text(kind, ("bool", *(f"{k}{n}" for k in ("int", "uint") for n in (8, 16, 32, 64)),
                                              "float16", "float32", "float64")))  # fmt: skip
            items = [node.take("value")] if kind == "scalar" else node.list("value")
            items = [self._plain(item, where, _DEEPEST) for item in items]
            check(all(isinstance(item, Real) for item in items), f"{where} is not made of numbers")
            try:
                array = np.array(items, dtype)
            except (OverflowError, ValueError) as error:
                raise ValueError(f"{where} has numbers that are no {dtype}") from error
            value = array[0] if kind == "scalar" else array
        node.end()
        return value

    def array(self, name, shape, dtypes=(np.float64,), nan=False):
        """Take an array that :func:`write_array` wrote.

        Parameters
        ----------
        name : str
            The field.

        shape : tuple of int or None
            What shape it must have, None for any length of an axis. An Ellipsis in the end stands for any further axes.

        dtypes : tuple of dtype
            Allowed types.

        nan : bool, default=False
            Whether there may be NaN.

        Returns
        -------
        ndarray
            Finite, in memory of its own.
        """
        where = f"{self.where}.{name}"
        node = self.node(name)
        stored, transposed = node.text("array"), node.flag("transposed")
        node.end()
        try:
            dtype, found = self.arrays.layout(stored)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        found = found[::-1] if transposed else found
        check(dtype in [np.dtype(d) for d in dtypes], f"{where} is an array of {dtype}, which it cannot be")
        asked = tuple(shape)
        head = found
        if asked and asked[-1] is Ellipsis:
            asked = asked[:-1]
            head = found[: len(asked)]
        fits = len(head) == len(asked) and all(a is None or a == f for a, f in zip(asked, head, strict=True))
        # An empty array takes no bytes, whatever its other axes.
        fits = fits and len(found) <= _MOST_DIMENSIONS and max(found, default=0) <= self.arrays.n_bytes
        check(fits, f"{where} is an array of shape {found}, which does not fit the rest")
        array = self.arrays.take(stored)
        array = array.T if transposed else array
        if array.dtype.kind == "f":
            finite = np.isnan(array) | np.isfinite(array) if nan else np.isfinite(array)
            check(bool(finite.all()), f"{where} is an array with values that are not finite")
        return array
