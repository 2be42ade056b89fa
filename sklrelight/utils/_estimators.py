"""What all estimators share: links to their documentation, and the versions that a saved model was made with."""

import sys
import warnings
from functools import cache
from importlib import metadata

import sklrelight

__all__ = [
    "DOCUMENTATION_URL",
    "DocumentedEstimator",
    "InconsistentVersionsWarning",
    "VersionedState",
    "library_versions",
    "warn_of_other_versions",
]

_LIBRARIES = ("torch", "skorch", "scikit-learn", "numpy")


class InconsistentVersionsWarning(UserWarning):
    """A saved model is loaded with other versions of libraries than those that it was saved with."""


@cache
def library_versions():
    """Look up the versions that matter to a saved model.

    Returns
    -------
    dict of str to str
        Versions of sklrelight, torch, skorch, scikit-learn and numpy. What follows a ``+`` is left out: a model that
        was fitted with torch's build for CUDA is the same model on a build for the CPU.

    Examples
    --------
    >>> sorted(library_versions())
    ['numpy', 'scikit-learn', 'sklrelight', 'skorch', 'torch']
    """
    versions = {name: metadata.version(name).split("+")[0] for name in _LIBRARIES}
    return {"sklrelight": sklrelight.__version__, **versions}


def warn_of_other_versions(saved, stacklevel=2):
    """Warn where a model was saved with other versions of the libraries.

    Parameters
    ----------
    saved : dict of str to str
        Result of :func:`library_versions` when the model was saved.

    stacklevel : int, default=2
        Stack level of the warning: 2 is the caller.

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


# The folder with the pages, without a slash at its end. ``make docs`` sets it to a relative one.
DOCUMENTATION_URL = "https://sklrelight.readthedocs.io/en/latest"


class DocumentedEstimator:
    """Mixin, to the left of scikit-learn's classes: links an estimator's HTML display to its page of the API.

    Only classes that are public, and pages by their public name, are linked; a subclass of a user's own is not.

    Examples
    --------
    >>> from sklrelight.interpolation import NearestPhotograph
    >>> NearestPhotograph()._get_doc_link().removeprefix(DOCUMENTATION_URL)
    '/generated/sklrelight.interpolation.NearestPhotograph.html'
    """

    _doc_link_module = "sklrelight"
    _doc_link_template = "{url}/generated/{name}.html"

    def _doc_link_url_param_generator(self):
        # A public class has the page of where users import it from: sklrelight, or else one of its rooms.
        name, (package, room, *_) = type(self).__name__, type(self).__module__.split(".")
        module = package if name in sys.modules[package].__all__ else f"{package}.{room}"
        return {"url": DOCUMENTATION_URL, "name": f"{module}.{name}"}
