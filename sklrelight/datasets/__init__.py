"""Scenes and captures: generated (``make_*``) and read from disk (``load_*``)."""

from ._download import get_data_home
from ._environment import environment_to_lights
from ._fetch import fetch_bull, fetch_realrti_item3, fetch_waldorf
from ._formats.diligent import load_diligent
from ._formats.images import load_image
from ._formats.lp import read_lp, write_lp
from ._formats.ltm import load_ltm
from ._formats.npz import load_npz
from ._formats.ptm import save_ptm
from ._formats.rti import load_rti
from ._formats.writing import save_image, save_stack
from ._lights import lights_from_sphere, sun_to_direction
from ._render.scene import make_scene

__all__ = [
    "environment_to_lights",
    "fetch_bull",
    "fetch_realrti_item3",
    "fetch_waldorf",
    "get_data_home",
    "lights_from_sphere",
    "load_diligent",
    "load_image",
    "load_ltm",
    "load_npz",
    "load_rti",
    "make_scene",
    "read_lp",
    "save_image",
    "save_ptm",
    "save_stack",
    "sun_to_direction",
    "write_lp",
]
