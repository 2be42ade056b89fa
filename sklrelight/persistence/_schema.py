"""The vocabulary in which a class declares its fitted state: kinds of values that write themselves and are read back.

A declaration names what is kept of an object, in order. Sizes in it are symbols: the first array or number that has
one sets it, and whatever comes later has to agree.
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
    "Groups",
    "Inner",
    "Integer",
    "Kind",
    "ListOf",
    "Made",
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
# Bounds of what a description may hold: length of a list or a text, number of an array's axes, an integer.
_LONGEST = 2**14
_MOST_AXES = 8
_LARGEST_INTEGER = 2**31 - 1


def check(condition, message):
    """Refuse what a file says.

    Parameters
    ----------
    condition : bool
        Whether it is possible.

    message : str
        Text of the ValueError if it is not.
    """
    if not condition:
        raise ValueError(message)


def take_fields(given, where, names):
    """Check that a description is an object with certain fields and no others.

    Parameters
    ----------
    given : object
        What JSON gave.

    where : str
        Its place, for messages.

    names : iterable of str
        The fields.

    Returns
    -------
    dict
        `given`.

    Raises
    ------
    ValueError
        If a field is missing or unknown.
    """
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
        """Describe a value.

        Parameters
        ----------
        value : object
            The value.

        where : str
            Its place: the name of its array, and of the value in messages.

        arrays : dict of str to ndarray
            The arrays to be saved so far. It gains those of the value.

        Returns
        -------
        object
            Something that JSON takes.

        Raises
        ------
        ValueError
            If it cannot be saved.
        """
        raise NotImplementedError

    def read(self, given, where, file, sizes):
        """Make the value from its description.

        Parameters
        ----------
        given : object
            What `write` returned, or what somebody else put there.

        where : str
            Its place.

        file : Arrays
            The arrays of the file.

        sizes : SimpleNamespace
            The sizes that have been set so far. It may gain some.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ValueError
            If `given` is out of its range, or does not agree with the sizes.
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
    """A finite float.

    Parameters
    ----------
    least, most : float, str or callable
        Its range: numbers, sizes, or functions of the sizes.

    size : str or None, default=None
        The size that it is.
    """

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
    """An int, not negative unless its range says so. The parameters are those of :class:`Number`."""

    types = int
    convert = index

    def __init__(self, least=0, most=_LARGEST_INTEGER, size=None):
        super().__init__(least, most, size)


class Text(Kind):
    """A str.

    Parameters
    ----------
    allowed : iterable of str or None, default=None
        What it may be; None: anything.
    """

    def __init__(self, allowed=None):
        self.allowed = None if allowed is None else tuple(allowed)

    def write(self, value, where, arrays):
        return str(value)

    def read(self, given, where, file, sizes):
        check(isinstance(given, str) and len(given) <= _LONGEST, f"{where} is no text")
        check(self.allowed is None or given in self.allowed, f"{where} is {given[:40]!r}, not one of {self.allowed}")
        return given


class ListOf(Kind):
    """A list of values of one kind.

    Parameters
    ----------
    kind : Kind
        The kind of an item.

    most : int, default=2**14
        The number of items, at most.

    size : str or None, default=None
        The size that their number is.
    """

    def __init__(self, kind, most=_LONGEST, size=None):
        self.kind, self.most, self.size = kind, most, size

    def write(self, value, where, arrays):
        return [self.kind.write(item, f"{where}[{i}]", arrays) for i, item in enumerate(value)]

    def read(self, given, where, file, sizes):
        check(isinstance(given, list) and len(given) <= self.most, f"{where} is no list of up to {self.most}")
        if self.size is not None:
            _agree(self.size, len(given), f"the length of {where}", sizes)
        return [self.kind.read(item, f"{where}[{i}]", file, sizes) for i, item in enumerate(given)]


class TupleOf(Kind):
    """A tuple of values of given kinds.

    Parameters
    ----------
    *kinds : Kind
        The kind of each item.
    """

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


class Shape(Kind):
    """The shape of an array, which is a size.

    Parameters
    ----------
    size : str
        The size.

    most : int, default=8
        The number of axes, at most.
    """

    def __init__(self, size, most=_MOST_AXES):
        self.size, self.axes = size, ListOf(Integer(1), most)

    def write(self, value, where, arrays):
        return self.axes.write(value, where, arrays)

    def read(self, given, where, file, sizes):
        shape = tuple(self.axes.read(given, where, file, sizes))
        _agree(self.size, shape, where, sizes)
        return shape


class Optional(Kind):
    """A value, or None.

    Parameters
    ----------
    kind : Kind
        The kind of a value that is not None.

    may_be_absent : bool, default=False
        Whether an object without a value lacks the attribute.
    """

    def __init__(self, kind, may_be_absent=False):
        self.kind, self.may_be_absent = kind, may_be_absent

    def write(self, value, where, arrays):
        return None if value is None else self.kind.write(value, where, arrays)

    def read(self, given, where, file, sizes):
        return None if given is None else self.kind.read(given, where, file, sizes)


class Made(Kind):
    """A value that is saved as something else, of which it can be made.

    Parameters
    ----------
    kind : Kind
        The kind of what is saved.

    take : callable
        From the value to what is saved.

    make : callable
        From what was saved to the value.
    """

    def __init__(self, kind, take, make):
        self.kind, self.take, self.make = kind, take, make

    def write(self, value, where, arrays):
        return self.kind.write(self.take(value), where, arrays)

    def read(self, given, where, file, sizes):
        return self.make(self.kind.read(given, where, file, sizes))


def Names(size):  # noqa: N802
    """Column names, which an estimator need not have; `size` is their number."""
    texts = Made(ListOf(Text(), size=size), take=list, make=lambda names: np.array(names, dtype=object))
    return Optional(texts, may_be_absent=True)


class Inner(Kind):
    """A value with sizes of its own, which hold within it alone.

    Parameters
    ----------
    kind : Kind
        The kind of the value.

    *shared : str
        The sizes that it has in common with what is around it, beside the number of the file's bytes.

    **sizes : callable
        Sizes that it begins with, as functions of those around it.
    """

    def __init__(self, kind, *shared, **sizes):
        self.kind, self.shared, self.sizes = kind, ("n_bytes", *shared), sizes

    def write(self, value, where, arrays):
        return self.kind.write(value, where, arrays)

    def read(self, given, where, file, sizes):
        shared = {name: getattr(sizes, name) for name in self.shared}
        own = {name: make(sizes) for name, make in self.sizes.items()}
        return self.kind.read(given, where, file, SimpleNamespace(**shared, **own))


class Record(Kind):
    """An object with attributes.

    It is made without its constructor, which would compute anew what the file holds.

    Parameters
    ----------
    cls : type
        Its class.

    finish : callable or None
        Called with the object and the sizes once all fields are read: makes what is not saved, and refuses what does
        not go together.

    **fields : Kind
        Attributes that are saved, in the order in which they are read.
    """

    def __init__(self, cls, finish=None, **fields):
        self.cls, self.finish, self.fields = cls, finish, fields

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
        if self.finish is not None:
            try:
                self.finish(value, sizes)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
        return value


class Array(Kind):
    """An array of finite numbers or of bool, in the order of memory that it has: products of matrices round by it.

    Parameters
    ----------
    shape : tuple
        Sizes of the axes: numbers, symbols, or functions of the sizes that return a number or a tuple of them. A symbol
        may be that of a `Shape`, which stands for several axes.

    dtypes : tuple of dtype, default=(float64,)
        Allowed types.

    least, most : float, str or callable
        Range of the values; a size, or a function of the sizes.

    nan : bool, default=False
        Whether there may be NaN.
    """

    def __init__(self, shape, dtypes=FLOAT64, *, least=-_LARGEST, most=_LARGEST, nan=False):
        self.shape, self.dtypes = shape, [np.dtype(dtype) for dtype in dtypes]
        self.least, self.most, self.nan = least, most, nan

    def write(self, value, where, arrays):
        array = np.asarray(value)
        check(array.dtype in self.dtypes, f"{where} is an array of {array.dtype}, which save_model cannot write")
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        stored = array.T if order == "F" else array
        arrays[where] = np.require(stored, stored.dtype.newbyteorder("="), "C")
        return order

    def read(self, given, where, file, sizes):
        check(given in ("C", "F"), f"{where} has no order of memory")
        dtype, found = file.layout(where)
        found = found[::-1] if given == "F" else found
        check(dtype in self.dtypes, f"{where} is an array of {dtype}, which it cannot be")
        # An empty array takes no bytes, whatever its other axes.
        possible = len(found) <= _MOST_AXES and max(found, default=0) <= file.n_bytes
        wanted = self._wanted(found, sizes)
        check(possible and wanted == found, f"{where} is an array of shape {found}, which does not fit the rest")
        array = file.take(where)
        array = array.T if given == "F" else array
        values = array[~np.isnan(array)] if self.nan else array
        if values.size:
            least, most = _resolve(self.least, sizes), _resolve(self.most, sizes)
            # NaN is in no range.
            # As Python's: a float32 cannot be compared with what it cannot hold.
            within = least <= values.min().item() and values.max().item() <= most
            check(within, f"{where} has values outside of {least:g} to {most:g}, or that are not finite")
        return array

    def _wanted(self, found, sizes):
        wanted: list[int] = []
        for size in self.shape:
            if isinstance(size, str) and not hasattr(sizes, size) and len(wanted) < len(found):
                setattr(sizes, size, found[len(wanted)])
            axes = _resolve(size, sizes)
            wanted.extend(axes if isinstance(axes, tuple) else (axes,))
        return tuple(wanted)


class Groups(Array):
    """For each of some things, the group that it is in. No group is empty.

    Parameters
    ----------
    n_things, n_groups : str or callable
        Sizes.
    """

    def __init__(self, n_things, n_groups):
        super().__init__((n_things,), INDICES, least=0, most=lambda sizes: _resolve(n_groups, sizes) - 1)
        self.n_groups = n_groups

    def read(self, given, where, file, sizes):
        groups = super().read(given, where, file, sizes)
        n_groups = _resolve(self.n_groups, sizes)
        check(n_groups > 0 and len(np.unique(groups)) == n_groups, f"{where} has a group that is empty")
        return groups


def _resolve(size, sizes):
    """Look up a size that may be a symbol or a function."""
    if isinstance(size, str):
        return getattr(sizes, size, None)
    return size(sizes) if callable(size) else size


def _agree(size, value, where, sizes):
    """Set a size, or check that it is what was set before."""
    before = vars(sizes).setdefault(size, value)
    check(before == value, f"{where} is {value}, and {size} is {before} elsewhere")
