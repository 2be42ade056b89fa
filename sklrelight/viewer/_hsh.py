"""Hemispherical harmonics as .rti files of RTI viewers."""

from pathlib import Path

import numpy as np

from ..utils import check_file, replacing
from ._legacy import FormatError, from_bytes, make_harmonics, read_numbers, to_bytes, viewer_harmonics

__all__ = ["load_hsh", "save_hsh"]


def save_hsh(path, model, *, white=1.0):
    """Write fitted hemispherical harmonics as an .rti file, which RTI viewers open.

    Parameters
    ----------
    path : path-like
        The file to write; one that exists is replaced.

    model : HemisphericalHarmonics
        A model of order 1 or 2, fitted to photographs of shape (n, H, W, 3) or (n, H, W). Viewers show its values as
        they are: fit it to values for display, such as :func:`~sklrelight.metrics.encode_display` of linear radiance.

    white : float, default=1.0
        The value that is shown as white, 255.

    Raises
    ------
    OSError
        If the file cannot be written; one that was there stays.

    ValueError
        If the model is another, is of another order, or was fitted to targets that are no photographs.

    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    See Also
    --------
    load_hsh : Read such a file.

    Notes
    -----
    The file holds a byte for each coefficient, with one scale and one bias for each harmonic, rows from the top down.
    Viewers evaluate harmonics no lower than 0.15 radians (9 degrees) above the horizon.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrelight.interpolation import HemisphericalHarmonics
    >>> from sklrelight.viewer import load_hsh, save_hsh
    >>> lights = np.array([[0, 0, 1], [0.6, 0, 0.8], [-0.6, 0, 0.8], [0, 0.6, 0.8], [0, -0.6, 0.8]])
    >>> model = HemisphericalHarmonics(order=1).fit(lights, lights[:, 2, None, None] * np.full((5, 2, 3), 0.5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_hsh(pathlib.Path(folder, "scene.rti"), model)
    ...     load_hsh(pathlib.Path(folder, "scene.rti")).predict(lights[:2]).round(2)[:, 0, 0, 0]
    array([0.5, 0.4], dtype=float32)
    """
    coefficients = viewer_harmonics(model)
    if not (0 < white < np.inf):
        raise ValueError(f"white={white!r}, wanted a finite value above 0")
    n_terms, height, width = coefficients.shape[:3]
    bytes_, scale, bias = to_bytes(coefficients / np.float32(white))
    with replacing(path) as temporary, open(temporary, "xb") as file:
        file.write(f"#HSH1.2\n3\n{width} {height} 3\n{n_terms} 2 1\n".encode("ascii"))
        # The file's value is byte / 255 * scale + bias.
        file.write((255 * scale).astype("<f4").data)
        file.write((-bias * scale).astype("<f4").data)
        # From (term, row, column, channel) to row, column, channel, term.
        file.write(np.ascontiguousarray(bytes_.transpose(1, 2, 3, 0)).data)


def load_hsh(path):
    """Read an .rti file as fitted hemispherical harmonics.

    Parameters
    ----------
    path : path-like
        The file, with 4 or 9 harmonics.

    Returns
    -------
    HemisphericalHarmonics
        The model, which predicts for directions of three columns values for display, about 0 to 1: pass ``white=None``
        to :func:`export_html`, :func:`export_openlime` and :func:`distill`. Its ``lights_`` are directions over the
        dome, because the file does not hold those of the photographs.

    Raises
    ------
    OSError
        If there is no such file, or no permission to read it.

    ValueError
        If the file is damaged, holds less than it claims, or holds another basis. The message names it.

    See Also
    --------
    load_ptm, load_relight : Other files of RTI software.

    Notes
    -----
    See :func:`save_hsh` for an example. Viewers evaluate harmonics no lower than 0.15 radians above the horizon; the
    model evaluates them where it is asked to.
    """
    path = Path(path)
    check_file(path)
    data = path.read_bytes()
    try:
        return make_harmonics(_read(data))
    except FormatError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(data):
    """Read coefficients in the viewers' order, of shape (terms, H, W, 3)."""
    start = 0
    while data[start : start + 1] == b"#":
        start = data.find(b"\n", start) + 1
        if not start:
            raise FormatError("damaged: its header is cut")
    (kind,), start = read_numbers(data, start, 1, int)
    (width, height, n_channels), start = read_numbers(data, start, 3, int)
    (n_terms, _, size), start = read_numbers(data, start, 3, int)
    if (kind, n_channels, size) != (3, 3, 1) or n_terms not in (4, 9):
        raise FormatError(
            f"is of kind {kind} with {n_terms} terms of {n_channels} channels and {size} bytes, wanted hemispherical"
            " harmonics: kind 3, 4 or 9 terms, 3 channels, 1 byte"
        )
    n_bytes = n_terms * (8 + 3 * width * height)
    if width < 1 or height < 1 or len(data) - start < n_bytes:
        raise FormatError(
            f"damaged: its header claims {width} x {height} pixels of {3 * n_terms} bytes, and {len(data) - start}"
            " bytes follow"
        )
    numbers = np.frombuffer(data, "<f4", 2 * n_terms, start).tolist()
    pixels = np.frombuffer(data, np.uint8, 3 * n_terms * width * height, start + 8 * n_terms)
    pixels = pixels.reshape(height, width, 3, n_terms)
    coefficients = np.empty((n_terms, height, width, 3), np.float32)
    for term in range(n_terms):
        from_bytes(pixels[..., term], numbers[term] / 255, numbers[n_terms + term], coefficients[term])
    return coefficients
