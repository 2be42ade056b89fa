"""The mean of an ensemble of regressors and interpolations, with weights measured on held-out photographs."""

from ._regressor import BlendedRegressor

__all__ = ["BlendedRegressor"]
