"""The surface in the photographs: its normals and albedo, files of normals, and depth."""

from ._depth import integrate_normals
from ._files import save_normals
from ._photometric_stereo import PhotometricStereo, angular_error

__all__ = ["PhotometricStereo", "angular_error", "integrate_normals", "save_normals"]
