"""Settings of the gallery: the order of its pages, and a check that no page warns."""

import warnings
from pathlib import Path

# What visitors want first comes first, what experts ask comes last. Pages that are not listed follow by name.
ORDER = [
    "plot_relight_capture",
    "plot_which_model",
    "plot_which_lights",
    "plot_few_photographs",
    "plot_environment",
    "plot_daylight",
    "plot_normals",
    "plot_two_scenes",
    "plot_network_structure",
    "plot_batch_distributions",
    "plot_window_experiment",
    "plot_dying_channels",
    "plot_encodings",
    "plot_tuning",
]


def page_order(path):
    """Return the sort key of a page."""
    name = Path(path).stem
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


class _Filters:
    """The warning filters that were set before a page ran."""

    saved: list | None = None


def warnings_are_errors(gallery_conf, fname, when):
    """Turn warnings into errors before a page runs, and restore the filters after it."""
    if when == "before":
        _Filters.saved = warnings.filters[:]
        warnings.simplefilter("error")
    elif _Filters.saved is not None:
        warnings.filters[:] = _Filters.saved
        _Filters.saved = None
