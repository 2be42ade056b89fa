"""The gallery: the order of its pages, and warnings in them as errors."""

import warnings
from pathlib import Path

# From the first thing that a visitor wants to what an expert asks. Pages that are not named come last, by name.
ORDER = [
    "plot_relight_capture",
    "plot_which_model",
    "plot_which_lights",
    "plot_environment",
    "plot_two_scenes",
    "plot_network_structure",
    "plot_batch_distributions",
    "plot_window_experiment",
    "plot_dying_channels",
    "plot_encodings",
    "plot_tuning",
]


def page_order(path):
    """Sort key of a page."""
    name = Path(path).stem
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


class _Filters:
    """The warning filters from before a page, to go back to."""

    saved: list | None = None


def warnings_are_errors(gallery_conf, fname, when):
    """Have a page fail on the first warning, and leave the rest of the build as it was."""
    if when == "before":
        _Filters.saved = warnings.filters[:]
        warnings.simplefilter("error")
    elif _Filters.saved is not None:
        warnings.filters[:] = _Filters.saved
        _Filters.saved = None
