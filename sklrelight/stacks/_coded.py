"""Photographs as codes: a few numbers of 8 bits for each pixel, from which all photographs are computed."""

import numpy as np
from sklearn.utils import check_random_state, gen_batches

__all__ = ["CodedStack"]

# Largest number of pixels by which the components are found, and half as many by which their error is measured.
_SAMPLE_PIXELS = 2**13
_MOST_CODES = 256
# Percentile that is shown as white, as in `metrics.display_white`.
_WHITE = 99.95
_LEVELS = 255
# Components of less variance than so many times the median are like noise, as noise has the same in all directions.
_NOISE = 2.0
# Part of the squared error that is left to the rounding of the codes.
_ROUNDING = 0.25
# Number of values that are computed at a time.
_BLOCK_VALUES = 2**22


class CodedStack:
    """Photographs of a stack as principal components of their pixels, rounded to 8 bits.

    The components are those of a table with a row for each pixel and a column for each value of it. It is read like an
    :class:`ImageStack`, and needs no file.

    Parameters
    ----------
    codes : ndarray of shape (n_pixels, n_codes), uint8
        Codes of the pixels.

    basis : ndarray of shape (n_codes, n_lights, n_channels), float32
        What a step of each code adds to the values of a pixel.

    center : ndarray of shape (n_lights, n_channels), float32
        Values of a pixel whose codes are 0.

    image_shape : tuple of int
        (H, W, C) or (H, W).

    value_range : tuple of float
        Least and greatest value, to which values are clipped.

    Attributes
    ----------
    shape : tuple of int
        Shape of the photographs, (n_lights, H, W, C) or (n_lights, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import ImageStack
    >>> images = np.random.default_rng(0).random((5, 1, 1, 3)) * np.linspace(0, 1, 600).reshape(20, 30, 1)
    >>> coded = CodedStack.of(ImageStack(images), psnr=45)
    >>> coded.codes.shape, bool(np.abs(coded.read() - images.reshape(5, 600, 3)).max() < 0.01)
    ((600, 1), True)
    """

    def __init__(self, codes, basis, center, image_shape, value_range):
        self.codes = codes
        self.basis = basis
        self.center = center
        self.image_shape = tuple(image_shape)
        self.value_range = tuple(value_range)

    @classmethod
    def of(cls, stack, psnr, pixel_weight=None, random_state=0):
        """Find the codes of a stack.

        Parameters
        ----------
        stack : ImageStack
            Encoded photographs.

        psnr : float or (float, float)
            Peak signal-to-noise ratio of the coded photographs to reach, in decibels. The peak is what is shown as
            white: the 99.95th percentile of the values above the least one. There are as many codes as this takes, at
            most 256. Of two ratios, the first is reached in any case, and the second as far as there are components
            with at least twice the median of the variances. Those with less are like noise [1]_.

        pixel_weight : ndarray of shape (H, W) or None, default=None
            Weights of the pixels. Those of weight 0 have no part in choosing the components.

        random_state : RandomState or int, default=0
            Draws the pixels by which the components are found.

        Returns
        -------
        CodedStack
            The coded photographs.

        References
        ----------
        .. [1] M. Gavish and D. L. Donoho, "The optimal hard threshold for singular values is 4/sqrt(3)", IEEE
           Transactions on Information Theory 60, 5040-5053, 2014. With many more pixels than values of a pixel, the
           threshold is sqrt(2) times the median singular value.
        """
        inside = np.arange(stack.n_pixels) if pixel_weight is None else np.flatnonzero(pixel_weight)
        least, greatest = stack.within(None if pixel_weight is None else pixel_weight > 0).extent()
        sample = np.sort(check_random_state(random_state).permutation(inside)[: _SAMPLE_PIXELS * 3 // 2])
        table = _rows(stack.columns(sample)).astype(np.float64)
        measured = np.arange(len(table)) % 3 == 2 if len(table) > 2 else np.ones(len(table), bool)
        center, axes, variances = _principal_axes(table[~measured] if len(table) > 2 else table)
        # What k components leave of the pixels that they were not found by.
        rest = table[measured] - center
        left = np.square(rest).sum(axis=1).mean() - np.square(rest @ axes.T).mean(axis=0).cumsum()
        power = (np.percentile(table, _WHITE) - least) ** 2 * table.shape[1]
        allowed = 10 ** (-np.array([np.min(psnr), np.max(psnr)]) / 10) * power
        fewest, most = (np.searchsorted(-left, -allowed * (1 - _ROUNDING)) + 1).tolist()
        n_signals = np.count_nonzero(variances > _NOISE * np.median(variances))
        axes = axes[: min(max(fewest, min(most, n_signals)), _MOST_CODES)]
        wanted = allowed[1]
        # In float32, which is twice as fast for all pixels.
        factors, zeros = axes.T.astype(np.float32), (center @ axes.T).astype(np.float32)

        blocks = list(gen_batches(stack.n_pixels, max(1, _BLOCK_VALUES // table.shape[1])))
        low, high = np.full(len(axes), np.inf), np.full(len(axes), -np.inf)
        mask = np.zeros(stack.n_pixels, bool)
        mask[inside] = True
        for block in blocks:
            components = (_rows(stack.read(slice(None), block)) @ factors - zeros)[mask[block]]
            if len(components):
                low, high = np.minimum(low, components.min(axis=0)), np.maximum(high, components.max(axis=0))
        # Finer steps would only take space.
        finest = np.sqrt(12 * _ROUNDING * max(wanted, left[len(axes) - 1]) / len(axes))
        step = np.maximum((high - low) / _LEVELS, finest)
        step[step == 0] = 1 / _LEVELS
        codes = np.empty((stack.n_pixels, len(axes)), np.uint8)
        for block in blocks:
            components = _rows(stack.read(slice(None), block)) @ factors - zeros
            codes[block] = np.rint(((components - low) / step).clip(0, _LEVELS))
        n_lights, n_channels = len(stack), stack.n_channels
        basis = (axes * step[:, None]).reshape(len(axes), n_lights, n_channels).astype(np.float32)
        center = (center + low @ axes).reshape(n_lights, n_channels).astype(np.float32)
        return cls(codes, basis, center, stack.shape[1:], (float(least), float(greatest)))

    @property
    def shape(self):
        """Shape of the photographs."""
        return (len(self), *self.image_shape)

    @property
    def n_pixels(self):
        """Number of pixels in a photograph."""
        return len(self.codes)

    @property
    def n_channels(self):
        """Number of channels."""
        return self.center.shape[1]

    def __len__(self):
        return len(self.center)

    def __repr__(self):
        return f"CodedStack(shape={self.shape}, n_codes={len(self.basis)})"

    def read(self, rows=slice(None), pixels=slice(None)):
        """Compute some pixels of some photographs.

        Parameters
        ----------
        rows, pixels : slice or ndarray of int, default=slice(None)
            Photographs, and pixels, numbered row by row.

        Returns
        -------
        ndarray of shape (n_rows, n_pixels, n_channels), float32
            Encoded values.
        """
        center = self.center[rows]
        codes = self.codes[pixels].astype(np.float32)
        values = codes @ self.basis[:, rows].reshape(len(self.basis), -1)
        values += center.reshape(-1)
        np.clip(values, *self.value_range, out=values)
        return values.reshape(len(codes), *center.shape).swapaxes(0, 1)

    def mixed(self, weights):
        """Add photographs up, without computing them.

        Parameters
        ----------
        weights : ndarray of shape (m, n_lights)
            Weights of the photographs in each of m sums.

        Returns
        -------
        CodedStack
            The sums, with the codes of this one. They are not clipped.
        """
        basis = np.tensordot(weights, self.basis, (1, 1)).swapaxes(0, 1).astype(np.float32, order="C")
        center = (weights @ self.center).astype(np.float32)
        return CodedStack(self.codes, basis, center, self.image_shape, (-np.inf, np.inf))

    def columns(self, pixels):
        """Compute some pixels of all photographs; see `read`."""
        return self.read(slice(None), pixels)

    def stretches(self, n_photographs):
        """Divide the pixels into stretches, so that blocks of some photographs are of bounded size."""
        return gen_batches(self.n_pixels, max(1, _BLOCK_VALUES // (n_photographs * self.n_channels)))


def _rows(values):
    """Turn photographs of shape (n, n_pixels, n_channels) into a table with a row for each pixel."""
    return values.swapaxes(0, 1).reshape(values.shape[1], -1)


def _principal_axes(table):
    """Find the center of the rows, their principal axes, at most 256, and the variances along all axes."""
    center = table.mean(axis=0)
    rest = table - center
    variances, axes = np.linalg.eigh(rest.T @ rest)
    return center, axes.T[::-1][: min(_MOST_CODES, len(table))], variances
