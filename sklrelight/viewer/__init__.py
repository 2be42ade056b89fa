"""A page where the light of a fitted model is dragged, in any browser: :func:`export_html`, :func:`show`."""

from .decoder import Decoder
from .distillation import distill
from .export import NotebookPage, export_html, show
from .lights import LightSurface

__all__ = ["Decoder", "LightSurface", "NotebookPage", "distill", "export_html", "show"]
