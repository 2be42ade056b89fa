"""Photographs under several lights at once, and what each light contributes to them: :func:`demultiplex`."""

import numpy as np
from scipy.optimize import nnls
from sklearn.utils import check_array, gen_batches

from ..stacks import in_memory
from ..utils import check_magnitude, naming

__all__ = ["demultiplex"]

# Number of values that are computed at a time: 32 MB in float64.
_BLOCK_VALUES = 2**22
# Sweeps over the lights, and the change, as a share of the largest value, at which they end.
_N_SWEEPS = 200
_TOLERANCE = 1e-7
# Ratio of singular values from which mixtures count as dependent.
_DEPENDENT = 1e-6


def demultiplex(images, intensities):
    r"""Compute a photograph for each light from photographs that were each taken under several lights.

    Light adds up: a photograph under several lights is the sum of the photographs under each, times their intensities.
    This finds the photographs, none of them negative, whose sums are nearest to those that were taken.

    Parameters
    ----------
    images : array-like of shape (n_photographs, H, W, C), (n_photographs, H, W), (n_photographs, k) or (n_photographs,)
        Photographs, in linear radiance and without clipped values.

    intensities : array-like of shape (n_photographs, n_lights) or (n_photographs, n_lights, C)
        Intensity of each light in each photograph, not negative, in any unit; with a third axis, for each channel. A
        light that is always on, such as that of the room, is a column of equal numbers.

    Returns
    -------
    images : ndarray of shape (n_lights, ...)
        A photograph for each light, at intensity 1: float32 if the given photographs are float32 or float16, else
        float64.

    noise_gain : ndarray of shape (n_lights,) or (n_lights, C)
        Noise of each returned photograph, as a multiple of the noise of a given one: less than 1 if patterns of many
        lights average noise out, much more than 1 if the mixtures hardly differ.

    Raises
    ------
    ValueError
        If the numbers of photographs and of rows differ, if a value is not finite or an intensity is negative, or if
        the mixtures do not tell the lights apart: there have to be at least as many different ones as lights.

    See Also
    --------
    Relighter : Its `fit` takes photographs under mixtures, too.

    Notes
    -----
    With :math:`M` the intensities, each value :math:`x \ge 0` minimises :math:`\|M x - y\|^2`. It is solved by least
    squares. Where that has negative values, it is solved again by coordinate descent, and by SciPy's ``nnls`` where
    that takes too long. The gains are the square roots of the diagonal of :math:`(M^T M)^{-1}`, for noise that does not
    depend on the brightness, and before negative values are excluded. The noise of photons grows with the brightness,
    and patterns of many lights gain less against it, or nothing.

    References
    ----------
    Y. Y. Schechner, S. K. Nayar, P. N. Belhumeur, "Multiplexing for Optimal Lighting", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 29, 1339-1354, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import demultiplex
    >>> mixtures = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    >>> images, noise_gain = demultiplex(mixtures @ [0.5, 0.0, 2.0], mixtures)
    >>> images.round(6), noise_gain.round(3)
    (array([0.5, 0. , 2. ]), array([0.866, 0.866, 0.866]))
    """
    with naming("images", images):
        images = check_array(in_memory(images), dtype="numeric", ensure_2d=False, allow_nd=True, input_name="images")
    check_magnitude(images, "images")
    n_channels = images.shape[-1] if images.ndim in (2, 4) else 1
    intensities = _check_intensities(intensities, len(images), n_channels)
    dtype = np.float32 if images.dtype in (np.float32, np.float16) else np.float64
    n_lights = intensities.shape[1]
    columns = images.reshape(len(images), -1, n_channels)
    single = np.empty((n_lights, *columns.shape[1:]), dtype)
    gains = []
    for channel in range(n_channels):
        mixtures = intensities if intensities.ndim == 2 else intensities[:, :, channel]
        inverse = np.linalg.pinv(mixtures)
        gains.append(np.linalg.norm(inverse, axis=1))
        for pixels in gen_batches(columns.shape[1], max(1, _BLOCK_VALUES // max(images.shape[0], n_lights))):
            values = columns[:, pixels, channel].astype(np.float64)
            single[:, pixels, channel] = _solve(mixtures, inverse, values)
    gain = gains[0] if intensities.ndim == 2 else np.stack(gains, axis=1)
    return single.reshape(n_lights, *images.shape[1:]), gain


def _solve(mixtures, inverse, values):
    """Solve non-negative least squares for each column of values."""
    solution = inverse @ values
    negative = np.flatnonzero(solution.min(axis=0) < 0)
    if not len(negative):
        return solution
    products, gram = mixtures.T @ values[:, negative], mixtures.T @ mixtures
    some = solution[:, negative].clip(0)
    moving = np.arange(len(negative))
    for _ in range(_N_SWEEPS):
        now = some[:, moving]
        before = now.copy()
        for light, row in enumerate(gram):
            now[light] += (products[light, moving] - row @ now) / row[light]
            now[light].clip(0, out=now[light])
        some[:, moving] = now
        changes = np.abs(now - before).max(axis=0)
        moving = moving[changes > _TOLERANCE * np.abs(now).max(axis=0)]
        if not len(moving):
            break
    for column in moving:
        some[:, column] = nnls(mixtures, values[:, negative[column]], maxiter=100 * len(gram))[0]
    solution[:, negative] = some
    return solution


def _check_intensities(intensities, n_photographs, n_channels):
    with naming("intensities", intensities):
        intensities = check_array(
            intensities, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name="intensities"
        )
    check_magnitude(intensities, "intensities")
    shape = intensities.shape
    if intensities.ndim not in (2, 3) or len(intensities) != n_photographs or shape[2:] not in ((), (n_channels,)):
        raise ValueError(
            f"intensities has the shape {shape}; {n_photographs} photographs of {n_channels} channels need"
            f" ({n_photographs}, n_lights) or ({n_photographs}, n_lights, {n_channels})"
        )
    if intensities.min() < 0:
        raise ValueError(f"intensities must not be negative, got {intensities.min():g}")
    for channel in range(1 if intensities.ndim == 2 else n_channels):
        mixtures = intensities if intensities.ndim == 2 else intensities[:, :, channel]
        rank = np.linalg.matrix_rank(mixtures, rtol=_DEPENDENT)
        if rank < shape[1]:
            raise ValueError(
                f"intensities of {n_photographs} photographs tell only {rank} of {shape[1]} lights apart: take at least"
                f" {shape[1]} photographs, each with another mixture of lights, and leave out lights that are never on"
            )
    return intensities
