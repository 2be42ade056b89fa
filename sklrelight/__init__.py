"""scikit-learn compatible estimators for image-based relighting."""

from importlib import import_module
from importlib.metadata import version as _version

__version__ = _version("sklrelight")

# Where each public name is defined. A room is imported when one of its names is first used: torch, which takes seconds,
# is not for those who load photographs or interpolate them.
_ROOMS = {
    "BaselineRelighter": "baseline",
    "ImageStack": "stacks",
    "LogExposureScaler": "preprocessing",
    "PixelLightFeatures": "preprocessing",
    "PixelLightFeaturizer": "preprocessing",
    "Relighter": "relighter",
    "RelightingMLPRegressor": "neural",
    "demultiplex": "preprocessing",
    "load_model": "persistence",
    "make_relighter": "recipes",
    "predict_to_stack": "stacks",
    "save_model": "persistence",
}

_PUBLIC_ROOMS = {"datasets", "daylight", "interpolation", "metrics", "neural", "plotting", "surface", "viewer"}

__all__ = [*_ROOMS]  # noqa: PLE0604, the names are strings


def __getattr__(name):
    if name in _PUBLIC_ROOMS:
        return import_module(f".{name}", __name__)
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)


def __dir__():
    return sorted({*globals(), *_ROOMS, *_PUBLIC_ROOMS})
