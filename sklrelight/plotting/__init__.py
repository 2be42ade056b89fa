"""Pictures of captures and models, by scikit-learn's Display convention. Needs matplotlib.

Each display has class methods that compute what is shown and draw it, `plot` to draw it again, and the attributes
`figure_` and `axes_`. ``pip install 'sklrelight[plot]'`` brings matplotlib.
"""

from .contact_sheet import ContactSheetDisplay
from .light_error import LightErrorDisplay
from .relighting import RelightingDisplay
from .training_curve import TrainingCurveDisplay
from .windows import WindowDistributionDisplay

__all__ = [
    "ContactSheetDisplay",
    "LightErrorDisplay",
    "RelightingDisplay",
    "TrainingCurveDisplay",
    "WindowDistributionDisplay",
]
