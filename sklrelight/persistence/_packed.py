"""Photographs and tables of pixels in 8 or 16 bits a value."""

from types import SimpleNamespace

import numpy as np
from sklearn.utils import gen_batches

from ..utils import look_up
from ._schema import Array, check

__all__ = ["Packed"]

_MOST_VALUES = 2**16
# Values that are looked up at a time. NumPy makes 8 bytes of each place.
_BLOCK_VALUES = 2**20


class Packed(Array):
    """A large array of finite floats, saved as the places of its values in a table.

    The table has all values that occur if they are at most 65,536, as in photographs of 8 or 16 bits, however these
    were encoded. Nothing is lost then. Otherwise it has 65,536 values evenly spaced from the least to the greatest, and
    each value changes by at most 2^-17 of their range.

    What is saved are differences of places along the axes `alike`, which compress better. The last axis, of channels or
    columns, comes first.
    """

    def __init__(self, shape, dtypes, alike):
        super().__init__(shape, dtypes)
        self.alike = alike

    def write(self, value, where, arrays):
        columns = np.moveaxis(self._check_type(value, where), -1, 0)
        values = _find_values(columns)
        evenly = values is None
        if evenly:
            values = np.array([columns.min(), columns.max()])
        places = np.empty(columns.shape, np.uint8 if len(values) <= 2**8 and not evenly else np.uint16)
        # One column at a time, because copies of all may be large.
        for number, column in enumerate(columns):
            places[number] = _find_places(column.ravel(), values, evenly).reshape(column.shape)
        if 0 in self.alike:
            for number in range(len(places) - 1, 0, -1):
                places[number : number + 1] -= places[number - 1 : number]
        if -1 in self.alike:
            for own in np.atleast_2d(places):
                own[..., 1:] = np.diff(own)
        arrays[where], arrays[f"{where}.values"] = places, values
        return evenly

    def read(self, given, where, file, sizes):
        check(isinstance(given, bool), f"{where} is no bool")
        own_sizes = SimpleNamespace(n_bytes=sizes.n_bytes)
        values = Array(("n_values",), self.dtypes).read("C", f"{where}.values", file, own_sizes)
        if given:
            check(len(values) == 2, f"{where} has {len(values)} ends of a range")
            with np.errstate(over="ignore", invalid="ignore"):
                values = np.linspace(values[0], values[1], _MOST_VALUES, dtype=values.dtype)
            check(np.isfinite(values).all(), f"{where} has a range that is not finite")
        dtype, found = file.layout(where)
        check(dtype in (np.uint8, np.uint16), f"{where} has places of the type {dtype}")
        shape = (*found[1:], *found[:1])
        self._check_shape(shape, where, sizes)
        places = file.take(where)
        if file.checking:
            # The places were found among the values, and looking them up again would only take memory.
            return np.broadcast_to(np.zeros((), values.dtype), shape)
        for axis in self.alike:
            np.add.accumulate(places, axis=axis, dtype=dtype, out=places)
        check(not places.size or places.max() < len(values), f"{where} has places beyond its {len(values)} values")
        array = np.empty(shape, values.dtype)
        for number, own in enumerate(places):
            array[..., number] = look_up(values, own)
        return array


def _find_values(columns):
    """Find the values that occur, in ascending order, or None if they are more than a table takes."""
    occurs, values = np.zeros(_MOST_VALUES, bool), np.empty(0, columns.dtype)
    for column in columns:
        flat = column.ravel()
        for block in gen_batches(len(flat), _BLOCK_VALUES):
            if flat.dtype == np.float16:
                occurs[flat[block].view(np.uint16)] = True
                continue
            values = np.union1d(values, flat[block])
            if len(values) > _MOST_VALUES:
                return None
    if columns.dtype == np.float16:
        return np.unique(np.flatnonzero(occurs).astype(np.uint16).view(np.float16))
    return values


def _find_places(flat, values, evenly):
    """Find the places of values among all that there are, or evenly spaced between two."""
    if flat.dtype == np.float16:
        kinds = np.arange(_MOST_VALUES, dtype=np.uint16).view(np.float16)
        return look_up(np.searchsorted(values, kinds).astype(np.uint16), flat.view(np.uint16))
    places = np.empty(len(flat), np.uint16)
    for block in gen_batches(len(flat), _BLOCK_VALUES):
        if evenly:
            scaled = (flat[block] - values[0]) * ((_MOST_VALUES - 1) / np.float64(values[1] - values[0]))
            places[block] = np.rint(scaled)
        else:
            places[block] = np.searchsorted(values, flat[block])
    return places
