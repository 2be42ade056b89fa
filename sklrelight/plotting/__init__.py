"""Plots of captures and models, by scikit-learn's Display convention. They need matplotlib.

Each display has class methods that compute what is shown and draw it, `plot` to draw it again, and the attributes
`figure_` and `axes_`. ``pip install 'sklrelight[plot]'`` brings matplotlib.
"""

from ._contact_sheet import ContactSheetDisplay
from ._light_error import LightErrorDisplay
from ._relighting import RelightingDisplay
from ._training_curve import TrainingCurveDisplay
from ._windows import WindowDistributionDisplay

__all__ = [
    "ContactSheetDisplay",
    "LightErrorDisplay",
    "RelightingDisplay",
    "TrainingCurveDisplay",
    "WindowDistributionDisplay",
]
