"""scikit-learn compatible estimators for image-based relighting."""

from .features import PixelLightFeatures
from .featurizer import PixelLightFeaturizer
from .making import make_relighter
from .model_files import load_model, save_model
from .prediction import predict_to_stack
from .preprocessing import LogExposureScaler
from .regressor import RelightingMLPRegressor
from .relighter import Relighter
from .stacks import ImageStack

__version__ = "0.1.0"

__all__ = [
    "ImageStack",
    "LogExposureScaler",
    "PixelLightFeatures",
    "PixelLightFeaturizer",
    "Relighter",
    "RelightingMLPRegressor",
    "load_model",
    "make_relighter",
    "predict_to_stack",
    "save_model",
]
