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
        array = self._check_type(value, where)
        flat = array.reshape(-1)
        values = _find_values(flat)
        evenly = values is None
        if evenly:
            values = np.array([flat.min(), flat.max()])
        places = np.moveaxis(_find_places(flat, values, evenly).reshape(array.shape), -1, 0)
        for axis in self.alike:
            places = np.diff(places, axis=axis, prepend=places.dtype.type(0))
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
        self._check_shape((*found[1:], *found[:1]), where, sizes)
        places = file.take(where)
        for axis in self.alike:
            places = np.add.accumulate(places, axis=axis, dtype=dtype)
        check(not places.size or places.max() < len(values), f"{where} has places beyond its {len(values)} values")
        return look_up(values, np.moveaxis(places, 0, -1))


def _find_values(flat):
    """Find the values that occur, in ascending order, or None if they are more than a table takes."""
    if flat.dtype == np.float16:
        occurs = np.zeros(_MOST_VALUES, bool)
        occurs[flat.view(np.uint16)] = True
        return np.unique(np.flatnonzero(occurs).astype(np.uint16).view(np.float16))
    values = flat[:0]
    for block in gen_batches(len(flat), _BLOCK_VALUES):
        values = np.union1d(values, flat[block])
        if len(values) > _MOST_VALUES:
            return None
    return values


def _find_places(flat, values, evenly):
    """Find the places of values among all that there are, or evenly spaced between two."""
    dtype = np.uint8 if len(values) <= 2**8 and not evenly else np.uint16
    if flat.dtype == np.float16:
        kinds = np.arange(_MOST_VALUES, dtype=np.uint16).view(np.float16)
        return look_up(np.searchsorted(values, kinds).astype(dtype), flat.view(np.uint16))
    places = np.empty(len(flat), dtype)
    for block in gen_batches(len(flat), _BLOCK_VALUES):
        if evenly:
            scaled = (flat[block] - values[0]) * ((_MOST_VALUES - 1) / np.float64(values[1] - values[0]))
            places[block] = np.rint(scaled)
        else:
            places[block] = np.searchsorted(values, flat[block])
    return places
