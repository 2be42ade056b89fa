"""Polynomial texture maps as files, for RTI viewers."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ...utils import replacing

__all__ = ["save_ptm"]

# Order of the file's terms, u^2, v^2, u v, u, v, 1, among the model's, 1, u, v, u^2, u v, v^2.
_ORDER = [3, 5, 4, 1, 2, 0]


def save_ptm(path, model, *, white=1.0):
    """Write a fitted polynomial texture map as a .ptm file, which RTI viewers open.

    Parameters
    ----------
    path : path-like
        The file to write; one that exists is replaced.

    model : PolynomialTextureMap
        A model fitted to photographs of shape (n, H, W, 3) or (n, H, W) under directions. Viewers show its values as
        they are: fit it to values for display, such as the stored ones of 8-bit captures, or
        :func:`~sklrelight.metrics.encode_display` of linear radiance.

    white : float, default=1.0
        The value that is shown as white, 255.

    Raises
    ------
    OSError
        If the file cannot be written; one that was there stays.

    ValueError
        If the model is no polynomial texture map, or was fitted to lights that are no directions, or to targets that
        are no photographs.

    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Notes
    -----
    The format is PTM 1.2, ``PTM_FORMAT_RGB`` [1]_: six bytes for each pixel and channel, with one scale and one bias
    for each coefficient, rows from the bottom up. A coefficient is rounded to a 254th of its range over all pixels, so
    that single glaring pixels make all coarser.

    References
    ----------
    .. [1] T. Malzbender, D. Gelb, "Polynomial Texture Map (.ptm) File Format", version 1.2, Hewlett-Packard
       Laboratories, 2001.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrelight.datasets import save_ptm
    >>> from sklrelight.interpolation import PolynomialTextureMap
    >>> lights = np.array([[0, 0, 1], [0.6, 0, 0.8], [-0.6, 0, 0.8], [0, 0.6, 0.8], [0, -0.6, 0.8], [0.4, 0.4, 0.82]])
    >>> model = PolynomialTextureMap().fit(lights, np.full((6, 2, 3, 3), 0.5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "scene.ptm")
    ...     save_ptm(path, model)
    ...     path.read_bytes().split(bytes([10]))[:4]
    [b'PTM_1.2', b'PTM_FORMAT_RGB', b'3', b'2']
    """
    coefficients = _coefficients(model)
    if not (0 < white < np.inf):
        raise ValueError(f"white={white!r}, wanted a finite value above 0")
    height, width = coefficients.shape[1:3]
    values = coefficients[_ORDER].astype(np.float64) * (255 / white)
    flat = values.reshape(6, -1)
    # Zero is within, so that the bias is a byte as well.
    low, high = np.minimum(flat.min(axis=1), 0), np.maximum(flat.max(axis=1), 0)
    # One step less than a byte has: the bias is a whole number too, and may move the ends by half a step.
    scale = np.where(high > low, (high - low) / 254, 1.0)
    # Rounded as the file will have them.
    scale = np.array([float(f"{step:.9g}") for step in scale])
    bias = np.round(-low / scale).astype(int)
    shape = (6, 1, 1, 1)
    bytes_ = np.clip(np.round(values / scale.reshape(shape) + bias.reshape(shape)), 0, 255).astype(np.uint8)
    scales, biases = " ".join(f"{step:.9g}" for step in scale), " ".join(map(str, bias))
    with replacing(path) as temporary, open(temporary, "xb") as file:
        file.write(f"PTM_1.2\nPTM_FORMAT_RGB\n{width}\n{height}\n{scales}\n{biases}\n".encode("ascii"))
        # From (term, row, column, channel) to channel, row from the bottom, column, term.
        file.write(np.ascontiguousarray(bytes_[:, ::-1].transpose(3, 1, 2, 0)).data)


def _coefficients(model):
    """Check a model, and return its coefficients in the shape (6, H, W, 3)."""
    if not hasattr(type(model), "predict"):
        raise ValueError(f"model is {model!r}, wanted a fitted PolynomialTextureMap")
    check_is_fitted(model)
    coefficients, axes = (getattr(model, name, None) for name in ("coefficients_", "axes_"))
    if coefficients is None or axes is None or len(coefficients) != 6:
        raise ValueError(
            f"model is a {type(model).__name__}, wanted a PolynomialTextureMap, fitted to values for display"
        )
    if np.any(model.center_) or not np.array_equal(axes, np.eye(*np.shape(axes))):
        raise ValueError(
            "model was fitted to lights that are no directions, which RTI viewers need: wanted unit vectors of three "
            "columns, or their x and y"
        )
    shape = coefficients.shape[1:]
    if len(shape) not in (2, 3) or (*shape[2:], 3)[0] != 3:
        raise ValueError(f"model predicts photographs of shape {shape}, wanted (H, W, 3) or (H, W)")
    return np.repeat(coefficients[..., None], 3, axis=3) if len(shape) == 2 else coefficients
