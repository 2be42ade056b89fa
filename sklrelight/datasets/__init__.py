"""Scenes and captures: rendered (``make_*``), read from disk (``load_*``), fetched (``fetch_*``) and written."""

from ._fetch import fetch_bull, fetch_realrti_item3, fetch_waldorf, get_data_home
from ._formats.capture import load_capture
from ._formats.diligent import load_diligent
from ._formats.images import load_image, save_image
from ._formats.lp import read_lp, write_lp
from ._formats.ltm import load_ltm
from ._formats.npz import load_npz
from ._formats.rti import load_rti, save_stack
from ._lights import environment_to_lights, sun_to_direction
from ._render.scene import make_scene
from ._spheres import find_sphere, lights_from_sphere

__all__ = [
    "environment_to_lights",
    "fetch_bull",
    "fetch_realrti_item3",
    "fetch_waldorf",
    "find_sphere",
    "get_data_home",
    "lights_from_sphere",
    "load_capture",
    "load_diligent",
    "load_image",
    "load_ltm",
    "load_npz",
    "load_rti",
    "make_scene",
    "read_lp",
    "save_image",
    "save_stack",
    "sun_to_direction",
    "write_lp",
]
