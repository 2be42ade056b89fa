"""A slope that is trusted as far as it can be told: :func:`shrunken_slope`."""

__all__ = ["shrunken_slope"]

# Fewer pairs tell nothing of their own spread.
_LEAST_PAIRS = 4


def shrunken_slope(x, y):
    """Fit y = slope * x by least squares, and shrink the slope by how uncertain it is.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Pairs, of which some may tell more than others: larger ones count for more.

    Returns
    -------
    float
        In [0, 1]: the slope, times one less its variance over its square. The variance holds for errors of any size
        in each pair (White 1980). 0 where there are fewer than four pairs.

    References
    ----------
    H. White, "A heteroskedasticity-consistent covariance matrix estimator and a direct test for heteroskedasticity",
    Econometrica 48(4), 817-838, 1980.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, -2.0, 3.0, -1.0])
    >>> shrunken_slope(x, x / 2), shrunken_slope(x, np.array([1.0, 1.0, -1.0, -1.0]))
    (0.5, 0.0)
    """
    square = float(x @ x)
    if len(x) < _LEAST_PAIRS or square <= 0:
        return 0.0
    slope = float(x @ y) / square
    if slope <= 0:
        return 0.0
    errors = x * (y - slope * x)
    variance = float(errors @ errors) / square**2 * len(x) / (len(x) - 1)
    return min(slope, 1.0) * max(0.0, 1 - variance / slope**2)
