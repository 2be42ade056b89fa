"""What several rooms need: checks of arguments, bases of estimators, files, optional packages."""

from ._estimators import (
    DocumentedEstimator,
    InconsistentVersionsWarning,
    VersionedState,
    library_versions,
    warn_of_other_versions,
)
from ._extras import import_extra
from ._files import check_claim, check_file, check_stack_dtype, replacing
from ._look_up import look_up
from ._validation import (
    FLOAT32_SAFE,
    FLOAT64_SAFE,
    check_finite,
    check_lights,
    check_magnitude,
    check_numbers,
    check_pixel_weight,
    is_of,
    naming,
    safe_unit,
    split_target_shape,
    value_weights,
)

__all__ = [
    "FLOAT32_SAFE",
    "FLOAT64_SAFE",
    "DocumentedEstimator",
    "InconsistentVersionsWarning",
    "VersionedState",
    "check_claim",
    "check_file",
    "check_finite",
    "check_lights",
    "check_magnitude",
    "check_numbers",
    "check_pixel_weight",
    "check_stack_dtype",
    "import_extra",
    "is_of",
    "library_versions",
    "look_up",
    "naming",
    "replacing",
    "safe_unit",
    "split_target_shape",
    "value_weights",
    "warn_of_other_versions",
]
