"""Scenes and captures: generated (``make_*``) and read from disk (``load_*``)."""

from sklrelight.datasets.diligent import load_diligent
from sklrelight.datasets.download import get_data_home
from sklrelight.datasets.environment import environment_to_lights
from sklrelight.datasets.fetch import fetch_bull, fetch_realrti_item3, fetch_waldorf
from sklrelight.datasets.images import load_image
from sklrelight.datasets.lights import lights_from_sphere, sun_to_direction
from sklrelight.datasets.lp import read_lp, write_lp
from sklrelight.datasets.ltm import load_ltm
from sklrelight.datasets.npz import load_npz
from sklrelight.datasets.ptm import save_ptm
from sklrelight.datasets.rti import load_rti
from sklrelight.datasets.scene import make_scene
from sklrelight.datasets.writing import save_image, save_stack

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
