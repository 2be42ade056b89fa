"""Models over the lights without a network, with the interface of scikit-learn's regressors.

All of them are linear in the photographs: a predicted photograph is a weighted sum of the training ones, and the
weights depend on the lights alone.
"""

from .harmonics import HemisphericalHarmonics
from .linear import LinearInterpolation
from .nearest import NearestPhotograph
from .polynomial import PolynomialTextureMap
from .rbf import RBFInterpolation

__all__ = [
    "HemisphericalHarmonics",
    "LinearInterpolation",
    "NearestPhotograph",
    "PolynomialTextureMap",
    "RBFInterpolation",
]
