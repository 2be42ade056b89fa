from types import SimpleNamespace

import numpy as np
import pytest

from sklrelight.persistence._packed import Packed
from sklrelight.persistence._schema import (
    FLOATS,
    INDICES,
    Array,
    Inner,
    Integer,
    ListOf,
    Made,
    Names,
    Number,
    Record,
    Shape,
    TupleOf,
)


class File:
    """Arrays in place of those of a file."""

    def __init__(self, arrays, checking=False):
        self.arrays, self.checking = arrays, checking

    def layout(self, name):
        return self.arrays[name].dtype, self.arrays[name].shape

    def take(self, name):
        return self.arrays[name]


def round_trip(kind, value, change=lambda description: description, **sizes):
    arrays = {}
    description = change(kind.write(value, "it", arrays))
    return kind.read(description, "it", File(arrays), SimpleNamespace(n_bytes=10**6, **sizes))


def record(**fields):
    return Record(SimpleNamespace, **fields)


def test_what_comes_first_sets_a_size_and_the_rest_agrees():
    kind = record(points=Array(("n", "rank")), weights=Array(("n", lambda n: n.rank + 1)))
    value = SimpleNamespace(points=np.zeros((3, 2)), weights=np.ones((3, 3)))
    np.testing.assert_array_equal(round_trip(kind, value).weights, value.weights)
    for shape in [(2, 3), (3, 2), (3,), (3, 3, 1)]:
        value.weights = np.ones(shape)
        with pytest.raises(ValueError, match=r"it\.weights is an array of shape .*, which does not fit the rest"):
            round_trip(kind, value)


def test_a_shape_is_a_size_of_several_axes():
    kind = record(shape=Shape("target"), images=Array(("n", "target"), FLOATS))
    value = SimpleNamespace(shape=(4, 6), images=np.zeros((2, 4, 6), np.float32))
    assert round_trip(kind, value).shape == (4, 6)
    with pytest.raises(ValueError, match=r"it\.shape is \(4, 6\), and target is \(4, 5\) elsewhere"):
        round_trip(kind, value, target=(4, 5))


def test_sizes_within_are_not_those_around():
    kind = record(
        own=ListOf(Inner(Array(("n", "width")), "width", width_of_all=lambda n: n.width)),
        n=Integer(size="n"),
        names=Names("width"),
    )
    value = SimpleNamespace(own=[np.zeros((2, 3)), np.zeros((4, 3))], n=7)
    assert not hasattr(round_trip(kind, value, width=3), "names")
    with pytest.raises(ValueError, match=r"it\.own\[1\] is an array of shape \(4, 2\)"):
        round_trip(kind, SimpleNamespace(own=[np.zeros((2, 3)), np.zeros((4, 2))], n=7), width=3)


def test_bounds_may_be_sizes():
    kind = TupleOf(Number(0, size="least"), Number("least"))
    assert round_trip(kind, (1, np.float64(2))) == (1.0, 2.0)
    with pytest.raises(ValueError, match=r"it\[1\] is out of its range, 1\.0 to"):
        round_trip(kind, (1.0, 0.5))
    kind = record(points=Array(("n",)), numbers=Array(("m",), INDICES, least=0, most=lambda n: n.n - 1, every=True))
    value = SimpleNamespace(points=np.zeros(3), numbers=np.array([2, 1, 0, 1]))
    np.testing.assert_array_equal(round_trip(kind, value).numbers, value.numbers)
    for numbers, message in [([0, 1, 3], "values outside of 0 to 2"), ([0, 2, 2], "leaves out some values")]:
        value.numbers = np.array(numbers)
        with pytest.raises(ValueError, match=message):
            round_trip(kind, value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 10**400, True, "1", None])
def test_only_finite_numbers_are_numbers(value):
    with pytest.raises(ValueError, match="it is"):
        round_trip(Number(), 1.0, lambda _: value)
    with pytest.raises(ValueError, match="it is"):
        round_trip(Integer(), 1, lambda _: value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_arrays_are_finite(value):
    array = np.array([0, value])
    with pytest.raises(ValueError, match="not finite"):
        round_trip(Array(("n",)), array)


@pytest.mark.parametrize("array", [np.ones((3, 4)), np.ones((3, 4)).T, np.asfortranarray(np.ones((2, 3, 4)))])
def test_the_order_in_memory_stays(array):
    found = round_trip(Array(axes_of(array)), array)
    assert found.strides == array.strides


def axes_of(array):
    return tuple(f"axis{i}" for i in range(array.ndim))


def test_unknown_and_missing_fields_are_refused():
    kind = Made(record(n=Integer()), take=lambda n: SimpleNamespace(n=n), make=lambda own: own.n)
    assert round_trip(kind, 3) == 3
    with pytest.raises(ValueError, match="it has no 'n'"):
        round_trip(kind, 3, lambda _: {})
    with pytest.raises(ValueError, match=r"it has fields that are not known: \['m'\]"):
        round_trip(kind, 3, lambda own: own | {"m": 1})
    with pytest.raises(ValueError, match="it is no object"):
        round_trip(kind, 3, lambda _: [1])


PHOTOGRAPHS = Packed(("n_lights", "target"), FLOATS, alike=(0, -1))


@pytest.mark.parametrize(
    "array",
    [
        (np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3)) / 255) ** 0.45,
        np.float32([[np.finfo(np.float32).tiny, 0, -1.5], np.nextafter(np.float32(1), [0, 2, 3])]),
        np.arange(2.0**16)[::-1],
        np.zeros((4, 6, 5, 3), np.float32),
    ],
    ids=["8 bits", "neighbours", "16 bits", "black"],
)
def test_what_has_few_values_is_packed_without_loss(array):
    arrays = {}
    PHOTOGRAPHS.write(array, "it", arrays)
    assert arrays["it"].itemsize == (1 if len(np.unique(array)) <= 256 else 2)
    found = round_trip(PHOTOGRAPHS, array, target=array.shape[1:])
    assert found.dtype == array.dtype
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("kind", [PHOTOGRAPHS, Packed(("n_lights", "target"), FLOATS, alike=(-1,))])
@pytest.mark.parametrize("dtype", FLOATS)
def test_what_has_many_values_is_packed_in_16_bits(kind, dtype):
    array = (np.random.default_rng(0).random((40, 30, 20, 3)) * 7 - 2).astype(dtype)
    found = round_trip(kind, array, target=array.shape[1:])
    assert found.dtype == dtype
    assert 2.0**-19 < np.abs(found - array).max() / np.ptp(array) <= 2.0**-17 * (1 + 1e-2)
    assert (found.min(), found.max()) == (array.min(), array.max())
    np.testing.assert_array_equal(round_trip(kind, found, target=array.shape[1:]), found)


@pytest.mark.parametrize(
    ("values", "evenly", "message"),
    [
        ([0.0], False, "it has places beyond its 1 values"),
        ([0.0, np.inf], False, r"it\.values has values outside of .*, or that are not finite"),
        ([0.0, 1.0, 2.0], True, "it has 3 ends of a range"),
        ([-1.7e308, 1.7e308], True, "it has a range that is not finite"),
        ([0.0, 1.0], 1, "it is no bool"),
    ],
)
def test_lies_about_packed_values_are_refused(values, evenly, message):
    places = np.array([[0, 1]], np.uint8)
    file = File({"it": places, "it.values": np.array(values)})
    with pytest.raises(ValueError, match=message):
        Packed(("n", "m"), FLOATS, alike=()).read(evenly, "it", file, SimpleNamespace(n_bytes=1000))
