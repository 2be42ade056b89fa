"""Models as files that run no code when they are read: :func:`save_model` and :func:`load_model`."""

from ._files import load_model, save_model

__all__ = ["load_model", "save_model"]
