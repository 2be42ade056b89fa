"""The names that are private in scikit-learn, in one place: what another version of it may have moved."""

import inspect

from sklearn.base import _fit_context as fit_context
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils._tags import get_tags
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as num_samples

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
except ImportError:  # scikit-learn 1.6
    from sklearn.utils._estimator_html_repr import _VisualBlock as VisualBlock

__all__ = [
    "BaseSearchCV",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "VisualBlock",
    "check_method_params",
    "check_sample_weight",
    "fit_context",
    "get_tags",
    "metrics_of_search",
    "num_samples",
    "safe_indexing",
    "validate_parameter_constraints",
    "validate_params",
]


def metrics_of_search():
    """Find scikit-learn's own metrics among the scorers of the search or cross-validation that calls a `fit`.

    They refuse photographs only after each fit, and do not say what to use. No argument tells `fit` what is done with
    it, so this looks at the callers.

    Returns
    -------
    list of str
        Names of the functions, such as ``"r2_score"``. Empty outside of a search, and with other scorers.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "_fit_and_score":
        frame = frame.f_back
    scorer = None if frame is None else frame.f_locals.get("scorer")
    scorers = getattr(scorer, "_scorers", {"": scorer}).values()
    metrics = [one._score_func for one in scorers if hasattr(one, "_score_func")]
    return [metric.__name__ for metric in metrics if metric.__module__.startswith("sklearn.")]
