"""scikit-learn compatible estimators for image-based relighting."""

from .features import PixelLightFeatures, PixelLightFeaturizer
from .model_files import load_model, save_model
from .preprocessing import LogExposureScaler
from .regressor import RelightingMLPRegressor
from .relighter import Relighter, make_relighter

__version__ = "0.1.0"

__all__ = [
    "LogExposureScaler",
    "PixelLightFeatures",
    "PixelLightFeaturizer",
    "Relighter",
    "RelightingMLPRegressor",
    "load_model",
    "make_relighter",
    "save_model",
]
