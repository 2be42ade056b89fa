"""From photographs and lights to what a model is fitted to: encoding, and features of pixels and lights."""

from ._exposure import LogExposureScaler
from ._features import PixelLightFeatures, PixelLightFeaturizer

__all__ = ["LogExposureScaler", "PixelLightFeatures", "PixelLightFeaturizer"]
