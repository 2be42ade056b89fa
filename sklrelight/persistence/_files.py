"""Relighters as files: :func:`save_model` and :func:`load_model`."""

from types import SimpleNamespace

import numpy as np

from ..utils import library_versions, warn_of_other_versions
from ._container import Arrays, open_container, write_container
from ._schema import check, take_fields
from ._states import RELIGHTER

__all__ = ["load_model", "save_model"]

# Number of the description's format: raised with every change of a declaration.
_FORMAT = 5


def save_model(relighter, path):
    """Write a fitted model to a file from which no code runs when it is read.

    Parameters
    ----------
    relighter : Relighter
        Fitted model. Each of its parts has to be one of this library's: :class:`~sklrelight.LogExposureScaler`, a
        pipeline of :class:`~sklrelight.PixelLightFeaturizer` and :class:`~sklrelight.RelightingMLPRegressor` with the
        callbacks of ``sklrelight.neural``, and the models of ``sklrelight.interpolation``. Subclasses are refused.

    path : path-like
        The file to write, usually with the suffix ``.zip``. It appears when it is whole, and replaces a file of that
        name.

    Raises
    ------
    ValueError
        If the model is not fitted, or has a part or a parameter that a file cannot hold, such as photographs that stay
        on disk. Nothing is written then.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Reads the file.

    Notes
    -----
    The file is a zip archive of compressed arrays and of a description in JSON, which consists of names, numbers and
    shapes. It holds all that predicting needs, the parameters and the histories of training, but no optimiser and no
    paths of this machine.

    The photographs of an interpolation and the features of the pixels take up most of it. If they have at most 65,536
    different values, as photographs of 8 or 16 bits do however they are encoded, each value is saved as its place among
    these, in 8 or 16 bits, and nothing is lost. Otherwise each value is rounded to one of 65,536 that are evenly spaced
    from the least to the greatest, and changes by at most 2^-17 of this range. Use joblib where that is too much.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from sklrelight import Relighter, load_model, save_model
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> lights, images = np.eye(3), np.arange(36.0).reshape(3, 2, 2, 3)
    >>> relighter = Relighter(RBFInterpolation()).fit(lights, images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.zip")
    ...     save_model(relighter, path)
    ...     loaded = load_model(path)
    >>> bool((loaded.predict(lights) == relighter.predict(lights)).all())
    True
    """
    arrays: dict[str, np.ndarray] = {}
    description = {
        "format": _FORMAT,
        "versions": library_versions(),
        "relighter": RELIGHTER.write(relighter, "relighter", arrays),
    }
    # What could not be read back is not written.
    try:
        layouts = {name: (array.dtype, array.shape) for name, array in arrays.items()}
        _read(description["relighter"], Arrays(layouts, lambda name, *_: arrays[name], checking=True))
    except ValueError as error:
        raise ValueError(f"this model cannot be saved: {error}") from error
    write_container(path, description, arrays)


def load_model(path):
    """Read a model that :func:`save_model` wrote.

    The file may come from a stranger: no code in it is run, and its size bounds the memory that reading it takes.

    Parameters
    ----------
    path : path-like
        The file to read.

    Returns
    -------
    Relighter
        Fitted model. It predicts on the device of its fit, or on the CPU if there is no such device. If nothing was
        rounded in saving, it predicts the same bytes as the saved one on the same machine with the same number of torch
        threads.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut, damaged or of another kind, if a version of this library with another format wrote it, or if
        it describes an impossible model.

    Warns
    -----
    InconsistentVersionsWarning
        If the model was saved with other versions of sklrelight, torch, skorch, scikit-learn or numpy.

    See Also
    --------
    save_model : Writes the file, and has an example.
    """
    with open_container(path) as (description, arrays):
        # The warning comes first: it explains what may go wrong afterwards.
        warn_of_other_versions(_check_format(description), stacklevel=2)
        relighter = _read(description["relighter"], arrays)
        arrays.check_all_taken()
    return relighter


def _read(description, arrays):
    return RELIGHTER.read(description, "relighter", arrays, SimpleNamespace(n_bytes=arrays.n_bytes))


def _check_format(description):
    """Refuse another format by name, and give the versions of the libraries that wrote the file."""
    found, versions = description.get("format"), description.get("versions")
    check(isinstance(found, int), "the file has no format")
    check(
        isinstance(versions, dict)
        and len(versions) <= 16
        and all(isinstance(v, str) and len(v) <= 40 and v.isprintable() for item in versions.items() for v in item),
        "the versions of the libraries cannot be read",
    )
    here, there = library_versions()["sklrelight"], versions.get("sklrelight", "of another version")
    way_out = "update it" if found > _FORMAT else f"load it with sklrelight {there}, or fit the model anew"
    check(
        found == _FORMAT,
        f"written by sklrelight {there} in format {found}, and sklrelight {here} reads format {_FORMAT}: {way_out}",
    )
    take_fields(description, "the description", ("format", "versions", "relighter"))
    return versions
