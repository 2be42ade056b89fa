"""The versions of libraries that a saved model depends on, and the warning where they are others."""

import warnings
from functools import cache
from importlib import metadata

__all__ = ["InconsistentVersionsWarning", "VersionedState", "library_versions", "warn_of_other_versions"]

_LIBRARIES = ("torch", "skorch", "scikit-learn", "numpy")


class InconsistentVersionsWarning(UserWarning):
    """A saved model is loaded with other versions of libraries than those that it was saved with."""


@cache
def library_versions():
    """Look up the versions that matter to a saved model.

    Returns
    -------
    dict of str to str
        Of sklrelight, torch, skorch, scikit-learn and numpy. What follows a ``+`` is left out: a model fitted with
        torch's build for CUDA is no other on one for the CPU.

    Examples
    --------
    >>> sorted(library_versions())
    ['numpy', 'scikit-learn', 'sklrelight', 'skorch', 'torch']
    """
    import sklrelight  # noqa: PLC0415, which imports this file

    versions = {name: metadata.version(name).split("+")[0] for name in _LIBRARIES}
    return {"sklrelight": sklrelight.__version__, **versions}


def warn_of_other_versions(saved, stacklevel=2):
    """Warn where a model was saved with other versions of the libraries.

    Parameters
    ----------
    saved : dict of str to str
        What :func:`library_versions` gave then.

    stacklevel : int, default=2
        Of the warning: 2 is the caller.

    Warns
    -----
    InconsistentVersionsWarning
        Naming each library whose version differs.

    Examples
    --------
    >>> warn_of_other_versions(library_versions())
    """
    here = library_versions()
    differing = [
        f"{name} {saved[name]} (here {here[name]})" for name in here if saved.get(name, here[name]) != here[name]
    ]
    if differing:
        warnings.warn(
            f"The model was saved with {', '.join(differing)}. It may fail to load, or predict something else: fit it"
            " anew, or install what it was saved with",
            InconsistentVersionsWarning,
            stacklevel=stacklevel + 1,
        )


class VersionedState:
    """Mixin of estimators whose pickles carry versions, left of BaseEstimator."""

    def __getstate__(self):
        state: dict = super().__getstate__()  # type: ignore[assignment]
        return {**state, "_versions": dict(library_versions())}

    def __setstate__(self, state):
        state = dict(state)
        warn_of_other_versions(state.pop("_versions", {}))
        super().__setstate__(state)  # type: ignore[misc]
