"""Depth from normals: :func:`integrate_normals`."""

import numpy as np
from scipy.fft import dctn, idctn

from ..utils._sklearn_compat import validate_params
from ._files import check_normals

__all__ = ["integrate_normals"]

# Normals that are seen more edge-on than this are taken for steeper than what a grid of pixels can tell.
_LEAST_Z = 0.05


@validate_params({"normals": ["array-like"]}, prefer_skip_nested_validation=True)
def integrate_normals(normals):
    """Compute the depth whose slopes come nearest to those of normals.

    Parameters
    ----------
    normals : array-like of shape (H, W, 3)
        Normals in the axes of the image: x to the right, y up, z to the camera. Vectors of (0, 0, 0), as outside of a
        mask, are taken for flat.

    Returns
    -------
    ndarray of shape (H, W), float64
        Height towards the camera, in pixels, with a mean of 0.

    Raises
    ------
    ValueError
        If the shape is another, or a value is not finite.

    Notes
    -----
    Slopes between neighbouring pixels are the means of both. The least squares over all of them are a Poisson equation,
    solved by cosine transforms [1]_. The camera is taken to be far away, and the surface to have no steps. A z below
    0.05 counts as 0.05.

    References
    ----------
    .. [1] T. Simchony, R. Chellappa, M. Shao, "Direct analytical methods for solving Poisson equations in computer
       vision problems", IEEE Transactions on Pattern Analysis and Machine Intelligence 12(5), 435-446, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.surface import integrate_normals
    >>> integrate_normals(np.broadcast_to([-0.6, 0.0, 0.8], (2, 3, 3))).round(3) + 0.0
    array([[-0.75,  0.  ,  0.75],
           [-0.75,  0.  ,  0.75]])
    """
    vectors = check_normals(normals)
    height, width = vectors.shape[:2]
    z = np.where(vectors.any(axis=2), np.maximum(vectors[..., 2], _LEAST_Z), 1)
    # Rows run downwards, and y upwards.
    across, down = -vectors[..., 0] / z, vectors[..., 1] / z
    divergence = np.zeros((height, width))
    for slopes, axis in ((across, 1), (down, 0)):
        steps = np.moveaxis(slopes, axis, 0)
        flow = np.pad((steps[1:] + steps[:-1]) / 2, [(1, 1), (0, 0)])
        divergence += np.moveaxis(np.diff(flow, axis=0), 0, axis)
    frequencies = [2 * np.cos(np.pi * np.arange(size) / size) - 2 for size in (height, width)]
    laplacian = frequencies[0][:, None] + frequencies[1]
    laplacian[0, 0] = 1
    spectrum = dctn(divergence, norm="ortho") / laplacian
    spectrum[0, 0] = 0
    return idctn(spectrum, norm="ortho")
