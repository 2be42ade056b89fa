"""Models over the lights without a network, with the interface of scikit-learn's regressors.

A predicted photograph is a weighted sum of the training photographs. The weights depend on the lights alone, except in
StackedRBFInterpolation, where they also depend on the cluster of a pixel and where the values are bent before summing,
and in PretrainedInterpolation, where they depend on all that the pixel shows.
"""

from ._basis import HemisphericalHarmonics, PolynomialTextureMap
from ._design import choose_lights
from ._linear import LinearInterpolation
from ._nearest import NearestPhotograph
from ._pretrained import PretrainedInterpolation
from ._rbf import RBFInterpolation
from ._stacked import StackedRBFInterpolation

__all__ = [
    "HemisphericalHarmonics",
    "LinearInterpolation",
    "NearestPhotograph",
    "PolynomialTextureMap",
    "PretrainedInterpolation",
    "RBFInterpolation",
    "StackedRBFInterpolation",
    "choose_lights",
]
