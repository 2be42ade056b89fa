"""Optional packages, asked for when they are needed."""

import importlib

__all__ = ["import_extra"]


def import_extra(module, extra, purpose):
    """Import a module of an optional package, or say how to install it.

    Parameters
    ----------
    module : str
        Its name, as in ``import cv2``.
    extra : str
        The extra of this package that brings it.
    purpose : str
        What it is needed for, to complete "... is needed".

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it is not installed; the message has the pip command.

    Examples
    --------
    >>> import_extra("no_such_module", "images", "To read a.png")
    Traceback (most recent call last):
    ...
    ImportError: To read a.png the package no_such_module is needed: pip install 'sklrelight[images]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{purpose} the package {module} is needed: pip install 'sklrelight[{extra}]'") from error
