"""Photographs that stay on disk: :class:`ImageStack`."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import joblib
import numpy as np
from sklearn.utils import gen_batches

from ..utils import look_up
from ._sources import DAMAGE, StackSource

__all__ = ["ImageStack", "Summary"]

# Most values in a block, 8 MB in float32, and fewest photographs that it is taken from.
_BLOCK_VALUES = 2**21
_BLOCK_PHOTOGRAPHS = 16
# Values of these types are places in a table of what they are encoded as, if there are at least so many of them.
_PLACES = {np.dtype(np.uint8): np.uint8, np.dtype(np.uint16): np.uint16, np.dtype(np.float16): np.uint16}
_TABLE_PAYS = 2**20


class ImageStack:
    """Photographs on disk, which are read only as far as they are needed.

    A stack goes where an array of photographs goes: into `Relighter.fit` and `score`, and into a search. Indexing picks
    lights without reading anything, so that scikit-learn's splitters copy no photographs, and another process is sent
    the name of the file instead of its contents.

    Parameters
    ----------
    source : path-like, numpy.memmap, h5py.Dataset or zarr.Array
        A ``.npy`` file, a zarr array, an HDF5 file (``.h5``, ``.hdf5``, ``.mat``), or one of these already opened. It
        holds real numbers of shape (n, H, W, C) or (n, H, W). An array in chunks is read a chunk's rows at a time; it
        is read fastest if each chunk holds one photograph or some rows of one. Of a MATLAB file the axes are taken as
        MATLAB shows them; its photographs may also be the last axis of four, (H, W, C, n).

    dataset : str or None, default=None
        Name of a dataset in an HDF5 file. None: the only one.

    Attributes
    ----------
    shape : tuple of int
        Shape of the photographs, (n, H, W, C) or (n, H, W).

    dtype : numpy.dtype
        Type of the values in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the source holds anything else, is damaged, claims more than its file can hold, or lies in another file by a
        link of HDF5. The message names the file.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklrelight import ImageStack
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(folder + "/stack.npy", np.zeros((20, 4, 6, 3), np.float16))
    ...     stack = ImageStack(folder + "/stack.npy")
    ...     stack, stack[::2], stack[3].shape
    (ImageStack(shape=(20, 4, 6, 3), dtype=float16), ImageStack(shape=(10, 4, 6, 3), dtype=float16), (4, 6, 3))
    """

    def __init__(self, source, dataset=None):
        is_path = isinstance(source, str | Path)
        self._source = StackSource.of_path(Path(source), dataset) if is_path else StackSource.of_array(source)
        self._opened = None if is_path else source
        array = self._array
        if array.dtype.kind not in "fiub" or not 3 <= array.ndim <= 4 or 0 in array.shape:
            raise ValueError(
                f"{source if is_path else type(source).__name__} holds {array.dtype} of shape {tuple(array.shape)};"
                " expected photographs of real numbers, (n, H, W, C) or (n, H, W), none of them 0"
            )
        self._rows = np.arange(array.shape[0])
        self._image_shape = tuple(array.shape[1:])
        self.dtype = np.dtype(array.dtype)
        # What `encoded`, `clipped`, `within` and `summary` have set.
        self._transformer = self._extent = self._ceiling = self._inside = self._summary = None

    @property
    def shape(self):
        """Shape of the photographs."""
        return (len(self._rows), *self._image_shape)

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def n_pixels(self):
        """Number of pixels in a photograph."""
        return self.shape[1] * self.shape[2]

    @property
    def n_channels(self):
        """Number of channels."""
        return int(np.prod(self.shape[3:]))

    @property
    def rows_at_a_time(self):
        """Number of rows of a photograph that are stored together: 1, or those of a chunk."""
        chunks = getattr(self._array, "chunks", None)
        return chunks[1] if chunks else 1

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, key):
        # scikit-learn writes stack[rows, ...].
        rows = key[0] if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis else key
        if isinstance(rows, tuple):
            raise IndexError(f"ImageStack is indexed by lights only, got {key!r}")
        chosen = self._rows[rows]
        if chosen.ndim == 0:
            return self._with(_rows=chosen[None]).read(slice(0, 1)).reshape(self.shape[1:])
        return self._with(_rows=chosen)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("ImageStack is on disk: an array of it is always a copy")
        values = np.empty(self.shape, dtype or self._value_dtype)
        flat = values.reshape(len(self), self.n_pixels, self.n_channels)
        for rows, pixels, block in self.blocks():
            flat[rows, pixels] = block
        return values

    def __repr__(self):
        return f"ImageStack(shape={self.shape}, dtype={self.dtype})"

    def fingerprint(self):
        """Summarize in a short string which values the stack reads, without reading them.

        Returns
        -------
        str
            Hexadecimal digits. They depend on the file, its size and time of the last change, the photographs that were
            picked, and how they are encoded and clipped: stacks with the same digits read the same values. A stack that
            has no file of its own, such as a dataset in memory, is read for it.
        """
        source = self._source
        file = (np.asarray(self),) if source is None else (source, source.versions())
        return joblib.hash((*file, self.dtype, self.shape, self._rows, self._transformer, self._ceiling))

    def encoded(self, transformer, extent=None):
        """View the photographs through a transformer.

        Parameters
        ----------
        transformer : transformer
            Fitted transformer that maps each value by itself.

        extent : tuple of float or None, default=None
            Smallest and largest encoded value, where they are known.

        Returns
        -------
        ImageStack
            Stack that encodes what it reads, as float32.
        """
        return self._with(_transformer=transformer, _extent=extent)

    def clipped(self, ceiling):
        """View the photographs with values above `ceiling` lowered to it; None leaves them as they are."""
        return self if ceiling is None else self._with(_ceiling=np.float32(ceiling))

    def read(self, rows=slice(None), pixels=slice(None)):
        """Read some photographs, or the same stretch of pixels in each of them.

        Parameters
        ----------
        rows : slice or array of int, default=slice(None)
            Photographs to read.

        pixels : slice, default=slice(None)
            Pixels to read, numbered row by row.

        Returns
        -------
        ndarray of shape (n_rows, n_pixels, n_channels)
            float32, or float64 where the file holds float64 and the values are not encoded.
        """
        first, last, step = pixels.indices(self.n_pixels)
        chosen = self._rows[rows]
        return self._encode(np.stack([self._run(row, first, last)[::step] for row in chosen]))

    def read_tiles(self, rows, starts, ends, step):
        """Read every `step`-th pixel of some stretches of pixels.

        Parameters
        ----------
        rows, starts, ends : ndarray of int of shape (n,)
            Photograph, first pixel and end of each stretch.

        step : int
            Distance from one pixel to the next.

        Returns
        -------
        values : ndarray of shape (n_read, n_channels), float32
            Values of the pixels, one stretch after the other.

        pixels : ndarray of int of shape (n_read,)
            Numbers of the pixels.

        counts : ndarray of int of shape (n,)
            Number of pixels read from each stretch.
        """
        stretches = zip(self._rows[rows], starts, ends, strict=True)
        values = np.concatenate([self._run(row, start, end)[::step] for row, start, end in stretches])
        counts = -(-(ends - starts) // step)
        # 0, 1, 2, ... within each stretch.
        numbers = np.arange(len(values)) - np.repeat(counts.cumsum() - counts, counts)
        return self._encode(values).astype(np.float32, copy=False), np.repeat(starts, counts) + step * numbers, counts

    def columns(self, pixels):
        """Read some pixels of all photographs.

        Parameters
        ----------
        pixels : ndarray of int
            Numbers of the pixels, in rising order.

        Returns
        -------
        ndarray of shape (n, len(pixels), n_channels)
            Values as `read` returns them.
        """
        values = np.empty((len(self), len(pixels), self.n_channels), self._value_dtype)
        first, last = (int(pixels[0]), int(pixels[-1]) + 1) if len(pixels) else (0, 0)
        for i, row in enumerate(self._rows):
            values[i] = self._encode(self._run(row, first, last)[pixels - first])
        return values

    def blocks(self):
        """Read everything once, in blocks of bounded size: a stretch of pixels in some photographs each.

        Yields
        ------
        rows, pixels : slice
            Photographs and pixels of the block.

        values : ndarray of shape (n_rows, n_pixels, n_channels)
            Values as `read` returns them.
        """
        n_photographs = max(_BLOCK_PHOTOGRAPHS, _BLOCK_VALUES // (self.n_pixels * self.n_channels))
        for rows in gen_batches(len(self), n_photographs):
            # The last, smaller block is divided into the same stretches, because sums are taken over them.
            for pixels in self.stretches(n_photographs):
                yield rows, pixels, self.read(rows, pixels)

    def stretches(self, n_photographs):
        """Divide the pixels into stretches of whole rows, so that blocks of some photographs are of bounded size.

        Parameters
        ----------
        n_photographs : int
            Number of photographs in a block.

        Returns
        -------
        iterable of slice
            Pixels of each stretch: at least one row, or the rows of a chunk.
        """
        row_values = n_photographs * self.shape[2] * self.n_channels
        n_rows = max(1, _BLOCK_VALUES // (row_values * self.rows_at_a_time)) * self.rows_at_a_time
        return gen_batches(self.n_pixels, n_rows * self.shape[2])

    def within(self, inside):
        """Restrict `summary` and `extent` to the pixels in a mask of shape (H, W); None: all pixels."""
        return self if inside is None else self._with(_inside=np.asarray(inside, bool).ravel())

    def summary(self, n_sampled=2**20):
        """Find the range of the values in the mask, and draw an even sample of them, in one pass.

        Parameters
        ----------
        n_sampled : int, default=2**20
            Largest number of values in the sample.

        Returns
        -------
        Summary
            The result, which is kept for the next call.

        Raises
        ------
        ValueError
            If a value is NaN or infinite; the message names the photograph.
        """
        if self._summary is not None and self._summary[0] == n_sampled:
            return self._summary[1]
        mask = np.ones(self.n_pixels, bool) if self._inside is None else self._inside
        before = np.concatenate([[0], np.cumsum(mask)])
        per_photograph = int(before[-1]) * self.n_channels
        size = len(self) * per_photograph
        # Multiples of the golden ratio are spread evenly, and are in step with no row, column or channel.
        spread = np.arange(n_sampled) * ((np.sqrt(5) - 1) / 2) % 1
        positions = np.sort((spread * size).astype(np.int64)) if size > n_sampled else np.arange(size)
        sample = np.empty(len(positions), self._value_dtype)
        least_of_all, least, greatest = np.inf, np.inf, -np.inf
        for rows, pixels, values in self.blocks():
            lowest, highest = float(values.min()), float(values.max())
            if not np.isfinite([lowest, highest]).all():
                bad = rows.start + int(np.argmin(np.isfinite(values).all(axis=(1, 2))))
                # If a value is NaN, numpy's minimum is.
                kind = "NaN" if np.isnan(lowest) else "infinity"
                raise ValueError(f"Input y contains {kind}: photograph {bad}")
            least_of_all = min(least_of_all, lowest)
            counted = values if self._inside is None else values[:, mask[pixels]]
            if not counted.size:
                continue
            least, greatest = min(least, float(counted.min())), max(greatest, float(counted.max()))
            for row, photograph in zip(range(rows.start, rows.stop), counted, strict=True):
                start = row * per_photograph + int(before[pixels.start]) * self.n_channels
                some = slice(*np.searchsorted(positions, [start, start + photograph.size]))
                sample[some] = photograph.reshape(-1)[positions[some] - start]
        summary = Summary(least, greatest, least_of_all, sample)
        self._summary = n_sampled, summary
        return summary

    def extent(self):
        """Find the smallest and the largest value of the pixels in the mask."""
        if self._extent is not None:
            return self._extent
        summary = self.summary()
        return summary.minimum, summary.maximum

    @property
    def _value_dtype(self):
        if self._transformer is None and self.dtype == np.float64:
            return np.dtype(np.float64)
        return np.dtype(np.float32)

    @property
    def _array(self):
        if self._opened is None:
            self._opened = self._source.open()
        return self._opened

    @cached_property
    def _flat(self):
        """The file as a plain array of shape (n_in_file, n_pixels, n_channels); None where that takes reading it."""
        array = self._array
        if not isinstance(array, np.ndarray) or not array.flags.c_contiguous:
            return None
        return np.asarray(array).reshape(len(array), self.n_pixels, self.n_channels)

    def _run(self, row, first, last):
        """Read a stretch of pixels of a photograph as it is in the file, of shape (last - first, n_channels)."""
        if self._flat is not None:
            return self._flat[row, first:last]
        width = self.shape[2]
        top, bottom = first // width, -(-last // width)
        try:
            values = np.asarray(self._array[int(row), top:bottom]).reshape(-1, self.n_channels)
        except DAMAGE as error:
            name = "the stack of photographs" if self._source is None else self._source.path
            raise ValueError(f"{name}: photograph {row} cannot be read, damaged: {error}") from error
        return values[first - top * width : last - top * width]

    def _encode(self, values):
        places = None if self._table is None else values.view(_PLACES[values.dtype])
        # Others are negative or not finite, and are the transformer's to refuse.
        if places is not None and (not places.size or places.max() < len(self._table)):
            values = look_up(self._table, places)
        else:
            # Arithmetic in the file's own type would overflow in float16, and truncate in integers.
            values = values.astype(np.float64 if values.dtype == np.float64 else np.float32)
            values = self._transform(values) if values.size else values
        return values if self._ceiling is None else np.minimum(values, self._ceiling, out=values)

    def _transform(self, values):
        if self._transformer is None:
            return values
        flat = values.reshape(1, -1, 1, self.n_channels)
        return np.asarray(self._transformer.transform(flat), np.float32).reshape(values.shape)

    @cached_property
    def _table(self):
        """What each value of 8 or 16 bits is encoded as, or None where that does not pay or differs by channel."""
        if self._transformer is None or self.dtype not in _PLACES or self.size < _TABLE_PAYS:
            return None
        kinds = np.arange(2 ** (8 * self.dtype.itemsize), dtype=_PLACES[self.dtype]).view(self.dtype)
        if self.dtype == np.float16:
            # Finite values that are not negative come first.
            kinds = kinds[: np.flatnonzero(kinds == np.inf)[0]]
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                table = self._transform(np.repeat(kinds[:, None].astype(np.float32), self.n_channels, axis=1))
        except ValueError:
            # There are values that the transformer refuses, which need not be in the file.
            return None
        return table[:, 0].copy() if (table == table[:, :1]).all() else None

    def _with(self, **changed):
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.__dict__.update(changed, _summary=None)
        if "_transformer" in changed:
            other.__dict__.pop("_table", None)
        return other

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_flat", None)
        state.pop("_table", None)
        state["_summary"] = None
        if self._source is not None:
            state["_opened"] = None
        elif not isinstance(self._opened, np.ndarray):
            raise TypeError(f"an ImageStack of a {type(self._opened).__name__} that is no file cannot be pickled")
        return state


@dataclass(frozen=True)
class Summary:
    """Range of the values of a stack, and a sample of them.

    Attributes
    ----------
    minimum, maximum : float
        Smallest and largest value of the pixels in the mask.

    minimum_of_all : float
        Smallest value of all pixels.

    sample : ndarray of shape (n_sampled,)
        Values spread evenly over the pixels in the mask.
    """

    minimum: float
    maximum: float
    minimum_of_all: float
    sample: np.ndarray
