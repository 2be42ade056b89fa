"""A year of daylight: the sun of each hour, images rendered by Radiance, illuminance and glare."""

from ._photometry import (
    daylight_glare_probability,
    luminance,
    panorama_solid_angles,
    panorama_to_fisheye,
    vertical_illuminance,
)
from ._render import DIRECT_ONLY, render_hours
from ._sun import choose_hours, sun_lights

__all__ = [
    "DIRECT_ONLY",
    "choose_hours",
    "daylight_glare_probability",
    "luminance",
    "panorama_solid_angles",
    "panorama_to_fisheye",
    "render_hours",
    "sun_lights",
    "vertical_illuminance",
]
