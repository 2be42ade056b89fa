"""Photographs that stay on disk: reading them by blocks, and predicting into a file."""

from ._coded import CodedStack
from ._difference import DifferenceStack, subtract
from ._inputs import ImageRows, as_stack, fit_to_stack, in_memory
from ._prediction import predict_to_stack
from ._stack import ImageStack

__all__ = [
    "CodedStack",
    "DifferenceStack",
    "ImageRows",
    "ImageStack",
    "as_stack",
    "fit_to_stack",
    "in_memory",
    "predict_to_stack",
    "subtract",
]
