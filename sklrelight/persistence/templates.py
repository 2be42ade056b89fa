"""Estimators that are not fitted: which classes a file may name, and their parameters."""

from itertools import pairwise
from typing import Any

from sklearn.pipeline import Pipeline

from ..featurizer import PixelLightFeaturizer
from ..interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from ..preprocessing import LogExposureScaler
from ..regressor import RelightingMLPRegressor
from ..relighter import Relighter
from .values import check, write_plain

__all__ = ["INTERPOLATIONS", "read_template", "write_template"]

INTERPOLATIONS = {
    "HemisphericalHarmonics": HemisphericalHarmonics,
    "LinearInterpolation": LinearInterpolation,
    "NearestPhotograph": NearestPhotograph,
    "PolynomialTextureMap": PolynomialTextureMap,
    "RBFInterpolation": RBFInterpolation,
    "StackedRBFInterpolation": StackedRBFInterpolation,
}
_CLASSES: dict[str, Any] = {
    **INTERPOLATIONS,
    "LogExposureScaler": LogExposureScaler,
    "Pipeline": Pipeline,
    "PixelLightFeaturizer": PixelLightFeaturizer,
    "RelightingMLPRegressor": RelightingMLPRegressor,
    "Relighter": Relighter,
}
# What an estimator may have as a parameter, by the parameter's name.
_PARTS = {
    "regressor": (*INTERPOLATIONS, "Pipeline", "RelightingMLPRegressor"),
    "transformer": ("LogExposureScaler",),
    "interpolation": tuple(INTERPOLATIONS),
    "steps": ("PixelLightFeaturizer", "RelightingMLPRegressor", *INTERPOLATIONS),
}
# Places on the machine that fitted the model are nobody else's business, and have no part in predicting.
_LEFT_OUT = {"checkpoint", "memory"}


def write_template(estimator, where, allowed):
    """Write an estimator's class and parameters.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.

    where : str
        Its place, for messages.

    allowed : tuple of str
        Which classes may stand there.

    Returns
    -------
    dict
        What :func:`read_template` takes.

    Raises
    ------
    ValueError
        If the class or a parameter is not one that can be saved.
    """
    name = type(estimator).__name__
    if name not in allowed or type(estimator) is not _CLASSES[name]:
        raise ValueError(
            f"{where} is a {type(estimator).__module__}.{name}, which save_model cannot write; it takes"
            f" {', '.join(allowed)} of sklrelight, and no subclasses"
        )
    parameters = {}
    for key, value in estimator.get_params(deep=False).items():
        place = f"{where}.{key}"
        if key == "steps":
            parts = [(step, write_template(part, f"{where}[{step!r}]", _PARTS[key])) for step, part in value]
            parameters[key] = {"steps": [{"name": step, "estimator": part} for step, part in parts]}
        elif key in _PARTS and hasattr(value, "get_params"):
            parameters[key] = {"estimator": write_template(value, place, _PARTS[key])}
        elif key not in _LEFT_OUT:
            parameters[key] = write_plain(value, place)
    return {"class": name, "parameters": parameters}


def read_template(node, allowed):
    """Make an estimator.

    Parameters
    ----------
    node : Node
        What :func:`write_template` wrote; `class` and `parameters` are taken.

    allowed : tuple of str
        Which classes may stand there.

    Returns
    -------
    estimator
        Not fitted; its parameters are within their ranges.
    """
    cls = _CLASSES[node.text("class", allowed)]
    fields = node.node("parameters")
    known = set(cls._get_param_names()) - _LEFT_OUT
    parameters = {}
    for key in fields.names():
        check(key in known, f"{fields.where} has the parameter {key[:40]!r}, which {cls.__name__} has not")
        value = fields.peek(key)
        if key == "steps":
            parameters[key] = _read_steps(fields.node(key))
        elif key in _PARTS and isinstance(value, dict) and "estimator" in value:
            holder = fields.node(key)
            part = holder.node("estimator")
            parameters[key] = read_template(part, _PARTS[key])
            part.end()
            holder.end()
        else:
            parameters[key] = fields.plain(key)
    check(cls is not Pipeline or "steps" in parameters, f"{node.where} has no steps")
    estimator = cls(**parameters)
    try:
        if cls is not Pipeline and hasattr(cls, "_parameter_constraints"):
            estimator._validate_params()
        if cls is RelightingMLPRegressor:
            estimator._check_parameters()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{fields.where}: {error}") from error
    return estimator


def _read_steps(holder):
    steps = []
    for node in holder.nodes("steps", most=2):
        name, part = node.text("name"), node.node("estimator")
        steps.append((name, read_template(part, _PARTS["steps"])))
        part.end()
        node.end()
    holder.end()
    names = [name for name, _ in steps]
    taken = Pipeline._get_param_names()
    check(len(set(names)) == len(names) > 0, f"{holder.where} has no step, or two of one name")
    check(
        all(n and "__" not in n and n not in taken for n in names), f"{holder.where} has a step of a name like {names}"
    )
    check(
        all(isinstance(part, PixelLightFeaturizer) for _, part in steps[:-1])
        and not isinstance(steps[-1][1], PixelLightFeaturizer)
        and all(isinstance(b[1], RelightingMLPRegressor) for _, b in pairwise(steps)),
        f"{holder.where} is neither a PixelLightFeaturizer with a RelightingMLPRegressor, nor a regressor alone",
    )
    return steps
