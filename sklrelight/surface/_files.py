"""Files of normals: :func:`save_normals`."""

from pathlib import Path

import numpy as np

from ..datasets import save_image
from ..datasets._formats.colour import decode_values
from ..utils import check_numbers
from ..utils._sklearn_compat import StrOptions, validate_params

__all__ = ["check_normals", "save_normals"]


@validate_params(
    {"path": "no_validation", "normals": ["array-like"], "convention": [StrOptions({"opengl", "directx"})]},
    prefer_skip_nested_validation=True,
)
def save_normals(path, normals, *, convention="opengl"):
    """Write normals to a file.

    Parameters
    ----------
    path : path-like
        The file. Its suffix chooses the format: ``.exr`` holds the vectors themselves as floats; ``.png`` and ``.tif``
        (16 bits) and ``.jpg`` (8 bits) hold (n + 1) / 2 as red, green and blue, without a transfer curve. The viewer
        OpenLIME looks for ``normals.jpg`` beside its planes.

    normals : array-like of shape (H, W, 3)
        Unit vectors: x to the right, y up, z to the camera. Vectors of (0, 0, 0), as outside of a mask, are written as
        (0, 0, 1) except to ``.exr``.

    convention : {"opengl", "directx"}, default="opengl"
        Where green points: up, as OpenGL, Blender and OpenLIME take it, or down, as DirectX and Unreal do.

    Raises
    ------
    ImportError
        If the package that writes this format is not installed.
    OSError
        If the file cannot be written.
    ValueError
        If the shape, a vector or the format is none of these.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.datasets import load_image
    >>> from sklrelight.surface import save_normals
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "normals.png")
    ...     save_normals(path, [[[0.0, 0.6, 0.8]]])
    ...     load_image(path, decode="linear").round(3)
    array([[[0.5, 0.8, 0.9]]], dtype=float32)
    """
    path, vectors = Path(path), check_normals(normals)
    if np.abs(vectors).max() > 1 + 1e-3:
        raise ValueError("normals must be unit vectors, whose coordinates are -1 to 1")
    bit_depths = {".exr": 32, ".png": 16, ".tif": 16, ".tiff": 16, ".jpg": 8, ".jpeg": 8}
    suffix = path.suffix.lower()
    if suffix not in bit_depths:
        raise ValueError(f"{path}: wanted one of {', '.join(bit_depths)}")
    if convention == "directx":
        vectors = vectors * [1, -1, 1]
    if suffix != ".exr":
        empty = ~vectors.any(axis=2, keepdims=True)
        vectors = (np.where(empty, [0, 0, 1], vectors) + 1) / 2
    if bit_depths[suffix] == 8:
        # The profile of sRGB keeps browsers, which convert linear ones, from changing the numbers.
        save_image(path, decode_values(vectors, "srgb"), encoding="srgb")
    else:
        save_image(path, vectors, encoding="linear", bit_depth=bit_depths[suffix])


def check_normals(normals):
    """Make an array of normals, of shape (H, W, 3), in float64; refuse values that are not finite.

    Examples
    --------
    >>> check_normals([[[0, 0, 1]]])
    array([[[0., 0., 1.]]])
    """
    vectors = check_numbers(normals, "normals").astype(np.float64)
    if vectors.ndim != 3 or vectors.shape[2] != 3 or not vectors.size:
        raise ValueError(f"normals has shape {vectors.shape}, wanted (H, W, 3)")
    if not np.isfinite(vectors).all():
        row, column = np.argwhere(~np.isfinite(vectors))[0][:2]
        raise ValueError(f"normals are not finite, first at row {row}, column {column}")
    return vectors
