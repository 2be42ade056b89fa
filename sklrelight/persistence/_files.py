"""Relighters as files: :func:`save_model` and :func:`load_model`."""

from types import SimpleNamespace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..utils import library_versions, warn_of_other_versions
from ._container import open_container, write_container
from ._schema import check, take_fields
from ._states import RELIGHTER

__all__ = ["load_model", "save_model"]

# Number of the description's format: raised with every change of a declaration.
_FORMAT = 2


def save_model(relighter, path):
    """Write a fitted model to a file that runs no code when it is read.

    Parameters
    ----------
    relighter : Relighter
        Fitted, and made of this library's parts alone: :class:`~sklrelight.LogExposureScaler`;
        :class:`~sklrelight.PixelLightFeaturizer`, :class:`~sklrelight.RelightingMLPRegressor` and a pipeline of the
        two; the models of ``sklrelight.interpolation``. No subclasses of them.

    path : path-like
        The file, usually ``.safetensors``. It appears when it is whole, and replaces one of that name.

    Raises
    ------
    ImportError
        If the package safetensors is not installed: ``pip install 'sklrelight[share]'``.
    ValueError
        If the model is not fitted, or has a part or a parameter that a file cannot hold. Nothing is written then.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Reads it.

    Notes
    -----
    The file is one of safetensors (https://github.com/huggingface/safetensors), whose metadata hold a description in
    JSON, of names, numbers and shapes, and with it a SHA-256 over the whole file, its own digits counted as zeros. It
    holds all that predicting needs, and parameters and histories, but no optimiser, and no paths of this machine.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from sklrelight import Relighter, load_model, save_model
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> lights, images = np.eye(3), np.arange(36.0).reshape(3, 2, 2, 3)
    >>> relighter = Relighter(RBFInterpolation()).fit(lights, images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     save_model(relighter, path)
    ...     loaded = load_model(path)
    >>> bool((loaded.predict(lights) == relighter.predict(lights)).all())
    True
    """
    check_is_fitted(relighter)
    arrays: dict[str, np.ndarray] = {}
    description = {
        "format": _FORMAT,
        "versions": library_versions(),
        "relighter": RELIGHTER.write(relighter, "relighter", arrays),
    }
    # What could not be read back is not written.
    try:
        _read(description["relighter"], _Unwritten(arrays))
    except ValueError as error:
        raise ValueError(f"this model cannot be saved: {error}") from error
    write_container(path, description, arrays)


def load_model(path):
    """Read a model that :func:`save_model` wrote.

    Files may come from strangers: no code of theirs runs, and the size of the file bounds the memory that is taken.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    Relighter
        Fitted. It predicts the same bytes as the saved one (on the same machine, with the same number of torch
        threads), on the device of its fit, or on the CPU where there is no such one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the package safetensors is not installed: ``pip install 'sklrelight[share]'``.
    ValueError
        If the file is cut, damaged or of another kind, was written by a newer version, or describes what cannot be.

    Warns
    -----
    InconsistentVersionsWarning
        If it was saved with other versions of sklrelight, torch, skorch, scikit-learn or numpy.

    See Also
    --------
    save_model : Writes it, and has an example.
    """
    with open_container(path) as (description, arrays):
        try:
            versions = _check_format(description)
            relighter = _read(description["relighter"], arrays)
            arrays.check_all_taken()
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    warn_of_other_versions(versions, stacklevel=2)
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


class _Unwritten:
    """Arrays in memory, in place of those of a file."""

    def __init__(self, arrays):
        self._arrays = arrays
        self.n_bytes = sum(array.nbytes for array in arrays.values()) + 2**16

    def layout(self, name):
        return self._arrays[name].dtype, self._arrays[name].shape

    def take(self, name):
        return self._arrays[name]
