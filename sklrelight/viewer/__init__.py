"""A page on which the light of a fitted model can be moved, in any browser: :func:`export_html`, :func:`show`."""

from ._decoder import Decoder
from ._distillation import distill
from ._page import NotebookPage, export_html, show
from ._surface import LightSurface

__all__ = ["Decoder", "LightSurface", "NotebookPage", "distill", "export_html", "show"]
