"""Preparation of photographs and lights for a model: encoding, and features of pixels and lights."""

from ._exposure import LogExposureScaler
from ._features import PixelLightFeaturizer
from ._mixtures import demultiplex
from ._product import PixelLightFeatures

__all__ = ["LogExposureScaler", "PixelLightFeatures", "PixelLightFeaturizer", "demultiplex"]
