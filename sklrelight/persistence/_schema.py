"""The vocabulary in which a class declares its fitted state: kinds of values that write themselves and are read back.

A declaration names what is kept of an object, in order, with its type, shape and range. Sizes are symbols such as
"n_lights": whatever comes first sets one, and whatever comes later has to agree. Instead of a number or a symbol, a
shape or a range can have a function of the sizes that were set before.
"""

from numbers import Real
from operator import index
from types import SimpleNamespace
from typing import Any

import numpy as np

__all__ = [
    "BOOL",
    "FLOAT32",
    "FLOAT64",
    "FLOATS",
    "INDICES",
    "Array",
    "Flag",
    "Inner",
    "Integer",
    "Kind",
    "ListOf",
    "Made",
    "MapOf",
    "Names",
    "Number",
    "Optional",
    "Record",
    "Shape",
    "Text",
    "TupleOf",
    "check",
    "take_fields",
]

BOOL = (np.bool_,)
FLOAT32 = (np.float32,)
FLOAT64 = (np.float64,)
FLOATS = (np.float32, np.float64)
INDICES = (np.int32, np.int64)
_LARGEST = float(np.finfo(np.float64).max)
_LARGEST_INTEGER = 2**31 - 1
# Bounds of what a description may hold: length of a list or a text, number of axes.
_LONGEST = 2**14
_MOST_AXES = 8


def check(condition, message):
    """Refuse what a file says."""
    if not condition:
        raise ValueError(message)


def take_fields(given, where, names):
    """Check that a description is an object with these fields and no others."""
    check(isinstance(given, dict), f"{where} is no object")
    for name in names:
        check(name in given, f"{where} has no {name!r}")
    unknown = [name for name in given if name not in names]
    check(not unknown, f"{where} has fields that are not known: {unknown[:3]}")
    return given


class Kind:
    """Base class of the kinds of values."""

    # Whether an attribute of this kind may be missing.
    may_be_absent = False

    def write(self, value, where, arrays):
        """Describe a value by something that JSON takes.

        Parameters
        ----------
        value : object
            The value.

        where : str
            Its place: the name of its array, and of the value in messages.

        arrays : dict of str to ndarray
            The arrays to be saved, which gain those of the value.

        Returns
        -------
        object
            The description.
        """
        return value

    def read(self, given, where, file, sizes):
        """Make a value from its description, or raise a ValueError.

        Parameters
        ----------
        given : object
            What `write` returned, or whatever somebody else put there.

        where : str
            Its place.

        file : Arrays
            The arrays of the file.

        sizes : SimpleNamespace
            The sizes that have been set so far. They may gain some.

        Returns
        -------
        object
            The value.
        """
        raise NotImplementedError


class Flag(Kind):
    """A bool."""

    def write(self, value, where, arrays):
        return bool(value)

    def read(self, given, where, file, sizes):
        check(isinstance(given, bool), f"{where} is no bool")
        return given


class Number(Kind):
    """A finite float from `least` to `most`, which may set a size."""

    types: Any = Real
    convert: Any = float

    def __init__(self, least=-_LARGEST, most=_LARGEST, size=None):
        self.least, self.most, self.size = least, most, size

    def write(self, value, where, arrays):
        return self.convert(value)

    def read(self, given, where, file, sizes):
        check(isinstance(given, self.types) and not isinstance(given, bool), f"{where} is not a number of its kind")
        least, most = _resolve(self.least, sizes), _resolve(self.most, sizes)
        # NaN is in no range.
        check(least <= given <= most, f"{where} is out of its range, {least} to {most}")
        if self.size is not None:
            _agree(self.size, given, where, sizes)
        return self.convert(given)


class Integer(Number):
    """An int from `least` to `most`, which may set a size."""

    types = int
    convert = index

    def __init__(self, least=0, most=_LARGEST_INTEGER, size=None):
        super().__init__(least, most, size)


class Text(Kind):
    """A str, one of those that are allowed."""

    def __init__(self, allowed=None):
        self.allowed = None if allowed is None else tuple(allowed)

    def read(self, given, where, file, sizes):
        check(isinstance(given, str) and len(given) <= _LONGEST, f"{where} is no text")
        check(self.allowed is None or given in self.allowed, f"{where} is {given[:40]!r}, not one of {self.allowed}")
        return given


class ListOf(Kind):
    """A list of up to `most` values of one kind. Their number may set a size."""

    def __init__(self, kind, most=_LONGEST, size=None):
        self.kind, self.most, self.size = kind, most, size

    def write(self, value, where, arrays):
        return [self.kind.write(item, f"{where}[{i}]", arrays) for i, item in enumerate(value)]

    def read(self, given, where, file, sizes):
        check(isinstance(given, list) and len(given) <= self.most, f"{where} is no list of up to {self.most}")
        if self.size is not None:
            _agree(self.size, len(given), f"the length of {where}", sizes)
        return [self.kind.read(item, f"{where}[{i}]", file, sizes) for i, item in enumerate(given)]


class MapOf(Kind):
    """Values of one kind by names."""

    def __init__(self, kind):
        self.kind = kind

    def write(self, value, where, arrays):
        return {name: self.kind.write(item, f"{where}.{name}", arrays) for name, item in value.items()}

    def read(self, given, where, file, sizes):
        check(isinstance(given, dict) and len(given) <= _LONGEST, f"{where} is no object of up to {_LONGEST}")
        return {name: self.kind.read(item, f"{where}.{name[:40]}", file, sizes) for name, item in given.items()}


class TupleOf(Kind):
    """A tuple of values of given kinds."""

    def __init__(self, *kinds):
        self.kinds = kinds

    def write(self, value, where, arrays):
        pairs = zip(self.kinds, value, strict=True)
        return [kind.write(item, f"{where}[{i}]", arrays) for i, (kind, item) in enumerate(pairs)]

    def read(self, given, where, file, sizes):
        n = len(self.kinds)
        check(isinstance(given, list) and len(given) == n, f"{where} is no list of {n}")
        pairs = zip(self.kinds, given, strict=True)
        return tuple(kind.read(item, f"{where}[{i}]", file, sizes) for i, (kind, item) in enumerate(pairs))


class Shape(ListOf):
    """The shape of an array, which sets a size that stands for several axes."""

    def __init__(self, size, most=_MOST_AXES):
        super().__init__(Integer(1), most)
        self.shape = size

    def read(self, given, where, file, sizes):
        shape = tuple(super().read(given, where, file, sizes))
        _agree(self.shape, shape, where, sizes)
        return shape


class Optional(Kind):
    """A value or None. An attribute that is None may also be absent."""

    def __init__(self, kind, may_be_absent=False):
        self.kind, self.may_be_absent = kind, may_be_absent

    def write(self, value, where, arrays):
        return None if value is None else self.kind.write(value, where, arrays)

    def read(self, given, where, file, sizes):
        return None if given is None else self.kind.read(given, where, file, sizes)


class Made(Kind):
    """A value of which another is saved: `take` gives it, and `make` makes the value of it again."""

    def __init__(self, kind, take, make):
        self.kind, self.take, self.make = kind, take, make

    def write(self, value, where, arrays):
        return self.kind.write(self.take(value), where, arrays)

    def read(self, given, where, file, sizes):
        return self.make(self.kind.read(given, where, file, sizes))


class Inner(Kind):
    """A value whose sizes are its own. `shared` names those that hold around it as well; `sizes` makes others."""

    def __init__(self, kind, *shared, **sizes):
        self.kind, self.shared, self.sizes = kind, ("n_bytes", *shared), sizes

    def write(self, value, where, arrays):
        return self.kind.write(value, where, arrays)

    def read(self, given, where, file, sizes):
        shared = {name: getattr(sizes, name) for name in self.shared}
        own = {name: make(sizes) for name, make in self.sizes.items()}
        return self.kind.read(given, where, file, SimpleNamespace(**shared, **own))


class Record(Kind):
    """An object with attributes, which are read in the order of `fields`.

    It is made without its constructor, which would compute anew what the file holds. In the end `finish` is called with
    the object and the sizes. It makes what is not saved, and refuses what does not go together. What takes much memory
    is made by `make`, which is called with the object, unless the file is only checked.
    """

    def __init__(self, cls, finish=None, make=None, **fields):
        self.cls, self.finish, self.make, self.fields = cls, finish, make, fields

    def write(self, value, where, arrays):
        description = {}
        for name, kind in self.fields.items():
            attribute = getattr(value, name, None) if kind.may_be_absent else getattr(value, name)
            description[name] = kind.write(attribute, f"{where}.{name}", arrays)
        return description

    def read(self, given, where, file, sizes):
        return self.fill(self.cls.__new__(self.cls), given, where, file, sizes)

    def fill(self, value, given, where, file, sizes):
        """Read the attributes of an object that is there already."""
        take_fields(given, where, self.fields)
        for name, kind in self.fields.items():
            attribute = kind.read(given[name], f"{where}.{name}", file, sizes)
            if attribute is not None or not kind.may_be_absent:
                # Past the guard of a frozen dataclass.
                vars(value)[name] = attribute
        try:
            if self.finish is not None:
                self.finish(value, sizes)
            if self.make is not None and not file.checking:
                self.make(value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        return value


class Array(Kind):
    """An array of finite numbers or of bool.

    `shape` has a size for each axis, or one for several. `every` says that each integer from `least` to `most` has to
    occur. The order in memory is kept, because the rounding of matrix products depends on it, unless `any_order` says
    that it does not matter.
    """

    def __init__(self, shape, dtypes=FLOAT64, *, least=-_LARGEST, most=_LARGEST, every=False, any_order=False):
        self.shape, self.dtypes = shape, [np.dtype(dtype) for dtype in dtypes]
        self.least, self.most, self.every, self.any_order = least, most, every, any_order

    def write(self, value, where, arrays):
        array = self._check_type(np.asarray(value), where)
        columns_first = array.flags.f_contiguous and not array.flags.c_contiguous
        order = "F" if columns_first and not self.any_order else "C"
        arrays[where] = array.T if order == "F" else array
        return order

    def read(self, given, where, file, sizes):
        check(given in ("C", "F"), f"{where} has no order in memory")
        _, found = file.layout(where)
        self._check_shape(found[::-1] if given == "F" else found, where, sizes)
        array = self._check_type(file.take(where), where)
        array = array.T if given == "F" else array
        least, most = _resolve(self.least, sizes), _resolve(self.most, sizes)
        # As Python's numbers: a float32 cannot be compared with what it cannot hold. NaN is in no range.
        within = not array.size or (least <= array.min().item() and array.max().item() <= most)
        check(within, f"{where} has values outside of {least:g} to {most:g}, or that are not finite")
        check(not self.every or len(np.unique(array)) == most - least + 1, f"{where} leaves out some values")
        return array

    def _check_type(self, array, where):
        check(array.dtype in self.dtypes, f"{where} is an array of {array.dtype}, which no model has there")
        return array

    def _check_shape(self, found, where, sizes):
        # An empty array takes no bytes, whatever its other axes.
        possible = len(found) <= _MOST_AXES and max(found, default=0) <= sizes.n_bytes
        fits = possible and self._expected(found, sizes) == found
        check(fits, f"{where} is an array of shape {found}, which does not fit the rest")

    def _expected(self, found, sizes):
        shape: list[int] = []
        for size in self.shape:
            if isinstance(size, str) and not hasattr(sizes, size) and len(shape) < len(found):
                setattr(sizes, size, found[len(shape)])
            axes = _resolve(size, sizes)
            shape.extend(axes if isinstance(axes, tuple) else (axes,))
        return tuple(shape)


def Names(size):  # noqa: N802
    """Column names, which an estimator need not have."""
    names = Made(ListOf(Text(), size=size), take=list, make=lambda texts: np.array(texts, dtype=object))
    return Optional(names, may_be_absent=True)


def _resolve(size, sizes):
    """Look up a size that may be a symbol or a function."""
    if isinstance(size, str):
        return getattr(sizes, size, None)
    return size(sizes) if callable(size) else size


def _agree(size, value, where, sizes):
    """Set a size, or check that it is what was set before."""
    before = vars(sizes).setdefault(size, value)
    check(before == value, f"{where} is {value}, and {size} is {before} elsewhere")
