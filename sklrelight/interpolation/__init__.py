"""Models over the lights without a network, with the interface of scikit-learn's regressors.

A predicted photograph is a weighted sum of the training ones, and the weights depend on the lights alone; those of
StackedRBFInterpolation on the kind of pixel, too.
"""

from .harmonics import HemisphericalHarmonics
from .linear import LinearInterpolation
from .nearest import NearestPhotograph
from .polynomial import PolynomialTextureMap
from .rbf import RBFInterpolation
from .stacked import StackedRBFInterpolation

__all__ = [
    "HemisphericalHarmonics",
    "LinearInterpolation",
    "NearestPhotograph",
    "PolynomialTextureMap",
    "RBFInterpolation",
    "StackedRBFInterpolation",
]
