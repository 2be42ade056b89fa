"""Scenes and captures: generated (``make_*``) and read from disk (``load_*``)."""

from .diligent import load_diligent
from .download import get_data_home
from .environment import environment_to_lights
from .fetch import fetch_bull, fetch_realrti_item3, fetch_waldorf
from .images import load_image
from .lights import lights_from_sphere, sun_to_direction
from .lp import read_lp, write_lp
from .ltm import load_ltm
from .npz import load_npz
from .ptm import save_ptm
from .rti import load_rti
from .scene import make_scene
from .writing import save_image, save_stack

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
