"""Pages on which the light of a fitted model can be moved, and the files of other viewers.

Our own page in any browser: :func:`export_html`, :func:`show`, and for large images :func:`export_page`. OpenLIME,
RelightLab and RTI viewers:
:func:`export_openlime`, and a ``save_`` and a ``load_`` for each format.
"""

from ._bilinear import BilinearTextureMap
from ._decoder import Decoder
from ._distillation import distill
from ._hsh import load_hsh, save_hsh
from ._openlime import export_openlime
from ._page import NotebookPage, export_html, show
from ._ptm import load_ptm, save_ptm
from ._relight import load_relight, save_relight
from ._surface import LightSurface
from ._zoom import export_page

__all__ = [
    "BilinearTextureMap",
    "Decoder",
    "LightSurface",
    "NotebookPage",
    "distill",
    "export_html",
    "export_openlime",
    "export_page",
    "load_hsh",
    "load_ptm",
    "load_relight",
    "save_hsh",
    "save_ptm",
    "save_relight",
    "show",
]
