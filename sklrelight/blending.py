"""How networks and an interpolation over the lights predict together: lights to judge them by, and each one's share."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from .interpolation import StackedRBFInterpolation
from .interpolation.equations import Points
from .weights import value_weights

__all__ = ["choose_n_networks", "fit_interpolation", "hold_out_lights", "leave_out", "network_share"]

# Between few lights a network makes up what it likes, and several networks' mean is steadier. Between many, one is as
# good, and has all of the observations to itself.
_LIGHTS_TIMES_NETWORKS = 150
_MOST_NETWORKS = 4


def choose_n_networks(n_lights):
    """Say how many networks share the observations of a fit.

    Parameters
    ----------
    n_lights : int
        Number of photographs.

    Returns
    -------
    int
        From 4 at 43 lights and less to 1 at 100 and more.

    Examples
    --------
    >>> [choose_n_networks(n) for n in (30, 49, 60, 120)]
    [4, 3, 2, 1]
    """
    return int(np.clip(round(_LIGHTS_TIMES_NETWORKS / n_lights), 1, _MOST_NETWORKS))


def hold_out_lights(n_lights, n_networks, rng, lights=None):
    """Pick lights that a network does not see, others for each network.

    Parameters
    ----------
    n_lights, n_networks : int
        How many there are.

    rng : RandomState
        Picks them.

    lights : ndarray of shape (n_lights, n_light_features) or None, default=None
        The lights, where some may be equal.

    Returns
    -------
    list of ndarray of int
        Rows of the lights for each network: the root of their number, fewer where two would not be left; maybe none,
        as where no other light would be left.
    """
    n_held = min(round(n_lights**0.5), (n_lights - 2) // n_networks)
    order = rng.permutation(n_lights)
    held_out = [np.sort(order[i * n_held : (i + 1) * n_held]) for i in range(n_networks)]
    if lights is not None:
        groups = Points(lights).merged.groups
        if any(np.isin(groups, groups[rows]).all() for rows in held_out):
            return [np.empty(0, np.int64)] * n_networks
    return held_out


def fit_interpolation(interpolation, lights, images, pixel_weight, rng):
    """Fit the interpolation that the networks are averaged with.

    Parameters
    ----------
    interpolation : "auto" or estimator
        ``"auto"``: :class:`~sklrelight.interpolation.StackedRBFInterpolation`. An estimator is cloned.

    lights : ndarray of shape (n_lights, n_light_features)
        As they were given, in their own units.

    images : ndarray of shape (n_lights, ...)
        Encoded photographs.

    pixel_weight : ndarray of shape (H, W) or None
        Passed on where the estimator takes it.

    rng : RandomState
        Seeds the default.

    Returns
    -------
    estimator
        Fitted.
    """
    seed = rng.randint(2**31 - 1)
    model = StackedRBFInterpolation(random_state=seed) if interpolation == "auto" else clone(interpolation)
    weights = {}
    if pixel_weight is not None and has_fit_parameter(model, "pixel_weight"):
        weights["pixel_weight"] = pixel_weight
    return model.fit(lights, images, **weights)


def leave_out(model, rows, lights, images):
    """Predict some of the training photographs from the others.

    Parameters
    ----------
    model : estimator
        A fitted interpolation. It says so by itself if it has a method `leave_out`; else a clone is fitted anew.

    rows : ndarray of int
        The photographs to predict.

    lights, images : ndarray
        All that the model was fitted to.

    Returns
    -------
    ndarray of shape (len(rows), ...)
        Encoded photographs.
    """
    if hasattr(model, "leave_out"):
        return model.leave_out(rows)
    rest = np.setdiff1d(np.arange(len(lights)), rows)
    return clone(model).fit(lights[rest], images[rest]).predict(lights[rows])


def network_share(true, network, interpolated, pixel_weight=None, saturation=None):
    """Find the share of the networks in the mean with the least error on photographs that neither has seen.

    Parameters
    ----------
    true, network, interpolated : ndarray of shape (n_held_out, ...)
        Photographs, and what was predicted of them.

    pixel_weight : ndarray of shape (H, W) or None, default=None
        Weights of the pixels.

    saturation : float or None, default=None
        Values at and above it are left out.

    Returns
    -------
    float
        In [0, 1]; a half where nothing can be told. Least squares, in which a photograph that is hard to interpolate
        counts less: by the root of its error, so that one odd photograph does not decide.

    Examples
    --------
    >>> true = np.zeros((1, 4))
    >>> network_share(true, true + [1, 1, -1, 1], true - [3, 3, -3, 3])
    0.75
    """
    products, squares = [], []
    for i in range(len(true)):
        gap, error = (other[i : i + 1].astype(np.float64) - interpolated[i : i + 1] for other in (network, true))
        weights = value_weights(true[i : i + 1], pixel_weight, saturation)
        weighted = gap if weights is None else gap * weights
        scale = np.sqrt((error * error if weights is None else weights * error * error).sum())
        if scale > 0:
            products.append((weighted * error).sum() / scale)
            squares.append((weighted * gap).sum() / scale)
    if not np.sum(squares) > 0:
        return 0.5
    return float(np.clip(np.sum(products) / np.sum(squares), 0, 1))
