"""Members of the ensemble: fitting them to some of the photographs and to all, and what they take and predict."""

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from ..neural import RelightingMLPRegressor
from ..preprocessing import PixelLightFeatures
from ..stacks import ImageRows, ImageStack
from ..utils import split_target_shape
from ..utils._sklearn_compat import BaseSearchCV, check_method_params, safe_indexing

__all__ = [
    "as_pixels",
    "fit_member",
    "go_on",
    "keep_accepted",
    "list_parts",
    "list_seeds",
    "predict_pixels",
    "predicts_though_interrupted",
    "takes_tables",
]


def fit_member(member, X, y, kept, given, fit_params):
    """Fit a member to some of the photographs."""
    images = y
    if len(kept) < len(y):
        # Like a search: what has a row for each light is cut.
        fit_params = check_method_params(X, fit_params, kept)
        X = safe_indexing(X, kept)
        images = y[kept] if isinstance(y, ImageStack) else ImageRows(y, kept)
    if len(y.shape) > 2 and takes_tables(member):
        images = np.asarray(images).reshape(len(kept), -1)
    accepted = {}
    if get_config()["enable_metadata_routing"]:
        # A Pipeline then passes them on to the steps that ask for them.
        given = {name: value for name, value in given.items() if value is not None}
        routing = member.get_metadata_routing() if hasattr(member, "get_metadata_routing") else None
        names = routing.consumes("fit", given.keys()) if routing is not None else ()
        accepted = {name: given[name] for name in names}
    else:
        for prefix, part in list_parts(member).items():
            accepted |= {prefix + name: value for name, value in keep_accepted(part, given).items()}
    member.fit(X, images, **accepted, **fit_params)


def go_on(member, X, y, given, fit_params):
    """Let a fitted member learn all photographs, and return it, or another that is fitted to them."""
    *steps, last = list_parts(member).values()
    # Others are fitted again: what scikit-learn calls `partial_fit` is a single pass over the photographs.
    if fit_params or not isinstance(last, RelightingMLPRegressor):
        member = clone(member)
        fit_member(member, X, y, np.arange(len(y)), given, fit_params)
        return member
    last.partial_fit(member[:-1].transform(X) if steps else X, y, **keep_accepted(last, given))
    return member


def keep_accepted(estimator, given):
    """Keep what there is, and what the `fit` of an estimator takes."""
    return {name: value for name, value in given.items() if value is not None and has_fit_parameter(estimator, name)}


def list_parts(estimator):
    """Steps of a Pipeline by the prefix of their fit parameters, or the estimator itself."""
    if isinstance(estimator, Pipeline):
        return {f"{name}__": step for name, step in estimator.steps}
    return {"": estimator}


def list_seeds(estimator):
    """Parameters that seed the parts of an estimator."""
    return {name: value for name, value in estimator.get_params().items() if name.endswith("random_state")}


def takes_tables(estimator):
    """Whether the method `fit` is one of scikit-learn's, which takes targets of two dimensions at most."""
    if isinstance(estimator, Pipeline):
        return takes_tables(estimator.steps[-1][1])
    if isinstance(estimator, BaseSearchCV):
        return takes_tables(estimator.estimator)
    return type(estimator).fit.__module__.partition(".")[0] == "sklearn"


def predicts_though_interrupted(member):
    """Whether a member can predict although Ctrl-C has ended its fit. A network can, and says so by an attribute."""
    return getattr([*list_parts(member).values()][-1], "interrupted_", False)


def predict_pixels(member, X, pixels, target_shape):
    """Predict some pixels, without the others if the member allows it, or all if `pixels` is None."""
    if pixels is None:
        return as_pixels(member.predict(X), target_shape)
    if isinstance(member, Pipeline) and len(member) > 1:
        features = member[:-1].transform(X)
        if isinstance(features, PixelLightFeatures) and features.image_shape:
            return member[-1].predict(features.of_pixels(pixels)).reshape(len(features), len(pixels), -1)
    return as_pixels(member.predict(X), target_shape)[:, pixels]


def as_pixels(images, target_shape):
    """View images as (n_lights, n_pixels, n_channels)."""
    image_shape, n_channels = split_target_shape((1, *target_shape))
    return images.reshape(len(images), int(np.prod(image_shape)), n_channels)
