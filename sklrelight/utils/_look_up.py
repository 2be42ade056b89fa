"""Values by their place in a table."""

import numpy as np
from sklearn.utils import gen_batches

__all__ = ["look_up"]

_BLOCK_VALUES = 2**18


def look_up(table, places):
    """Look values up in a table, some at a time: NumPy makes 8 bytes of each place.

    Parameters
    ----------
    table : ndarray of shape (n,)
        Values.

    places : ndarray of int
        Their places, all below n.

    Returns
    -------
    ndarray of the shape of places
        The values.

    Examples
    --------
    >>> look_up(np.array([0.0, 0.5, 2.0]), np.array([[2, 0]], np.uint8))
    array([[2., 0.]])
    """
    found, flat = np.empty(places.size, table.dtype), np.ravel(places)
    for block in gen_batches(len(flat), _BLOCK_VALUES):
        # As no place is beyond the table, nothing is clipped. NumPy is quicker if it need not check.
        np.take(table, flat[block], out=found[block], mode="clip")
    return found.reshape(places.shape)
