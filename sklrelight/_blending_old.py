"""How networks and an interpolation over the lights predict together: lights to judge them by, and their mean."""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from .interpolation import StackedRBFInterpolation
from .interpolation.equations import Points

__all__ = [
    "agreement",
    "blend",
    "fit_interpolation",
    "hold_out_lights",
    "least_distance",
    "leave_out",
    "light_reach",
    "mean_square",
    "network_change",
    "of_pixels",
]


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


def fit_interpolation(interpolation, lights, images, pixel_weight, rng, value_range=None):
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

    value_range : tuple of float or None, default=None
        Of all pixels, where `images` are a sample; passed on where the estimator takes it.

    Returns
    -------
    estimator
        Fitted.
    """
    seed = rng.randint(2**31 - 1)
    model = StackedRBFInterpolation(random_state=seed) if interpolation == "auto" else clone(interpolation)
    given = {}
    if pixel_weight is not None and has_fit_parameter(model, "pixel_weight"):
        given["pixel_weight"] = pixel_weight
    if value_range is not None and has_fit_parameter(model, "value_range"):
        given["value_range"] = value_range
    return model.fit(lights, images, **given)


def leave_out(model, rows, lights, images, pixels=None):
    """Predict some of the training photographs from the others.

    Parameters
    ----------
    model : estimator
        A fitted interpolation. It says so by itself if it has a method `leave_out`; else a clone is fitted anew.

    rows : ndarray of int
        The photographs to predict.

    lights, images : ndarray
        All that the model was fitted to.

    pixels : ndarray of int or None, default=None
        Which pixels to predict; None: all.

    Returns
    -------
    ndarray of shape (len(rows), ...)
        Encoded photographs, of some pixels one pixel wide.
    """
    if hasattr(model, "leave_out"):
        return model.leave_out(rows, pixels)
    rest = np.setdiff1d(np.arange(len(lights)), rows)
    return of_pixels(clone(model).fit(lights[rest], images[rest]).predict(lights[rows]), pixels)


def of_pixels(images, pixels):
    """Keep some pixels of photographs.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C) or (n, H, W)
        Photographs.

    pixels : ndarray of int of shape (n_kept,) or None
        Which ones; None: all, as they are.

    Returns
    -------
    ndarray of shape (n, n_kept, 1, C) or (n, n_kept, 1)
        Photographs one pixel wide.

    Examples
    --------
    >>> of_pixels(np.arange(6).reshape(1, 2, 3), np.array([0, 4]))
    array([[[0],
            [4]]])
    """
    if pixels is None:
        return images
    return images.reshape(len(images), -1, 1, *images.shape[3:])[:, pixels]


def mean_square(change, inside=None):
    """Average the squares of a photograph's values.

    Parameters
    ----------
    change : ndarray of shape (H, W) or (H, W, C)
        Values.

    inside : ndarray of bool of shape (H, W) or None, default=None
        The pixels that count; None: all.

    Returns
    -------
    float
        The mean.

    Examples
    --------
    >>> mean_square(np.array([[1.0, 3.0]]), np.array([[False, True]]))
    9.0
    """
    return float(np.square(change if inside is None else change[inside]).mean())


def network_change(network, interpolated, share, inside=None):
    """Find by how much, at most, networks change an interpolation on photographs that neither has seen.

    Parameters
    ----------
    network, interpolated : ndarray of shape (n_held_out, ...)
        What was predicted of them.

    share : float or ndarray of shape (H, W)
        Of the networks.

    inside : ndarray of bool of shape (H, W) or None, default=None
        The pixels that count; None: all.

    Returns
    -------
    float
        Root mean square over the pixels, that of the photograph where it is largest.

    Examples
    --------
    >>> network_change(np.array([[3.0, 3.0], [1.0, 2.0]]), np.ones((2, 2)), 0.25)
    0.5
    """
    share = _beside(share, interpolated)
    changes = (share * (one - other) for one, other in zip(network, interpolated, strict=True))
    return float(np.sqrt(max(mean_square(change, inside) for change in changes)))


def least_distance(lights, held_out):
    """Find how near a held-out light came to those that a network has seen, at the nearest.

    Parameters
    ----------
    lights : ndarray of shape (n_lights, n_light_features)
        All lights.

    held_out : list of ndarray of int
        Lights that each network has not seen.

    Returns
    -------
    float or None
        Euclidean distance; None where no light was held out, or one was that equals another.

    Examples
    --------
    >>> least_distance(np.array([[0.0], [3.0], [4.0], [9.0]]), [np.array([0]), np.array([1, 2])])
    3.0
    """
    distances = [cdist(lights[rows], np.delete(lights, rows, axis=0)).min() for rows in held_out if len(rows)]
    return (float(min(distances)) or None) if distances else None


def light_reach(lights, trained, distance):
    """Say how far lights are from the training lights, in units of a distance, and at most 1.

    Parameters
    ----------
    lights : ndarray of shape (m, n_light_features)
        Lights.

    trained : ndarray of shape (n_lights, n_light_features)
        Training lights.

    distance : float
        The unit.

    Returns
    -------
    ndarray of shape (m,)
        In [0, 1].

    Examples
    --------
    >>> light_reach(np.array([[0.5], [7.0]]), np.array([[0.0], [4.0]]), 2.0)
    array([0.25, 1.  ])
    """
    return np.minimum(1, cdist(lights, trained).min(axis=1) / distance)


def agreement(deviation, largest):
    """Say how far networks agree under some lights, measured by what they disagreed under held-out ones.

    Parameters
    ----------
    deviation : ndarray of shape (m,)
        Standard deviation between the networks under some lights.

    largest : float
        Root mean square by which a network that had not seen a light differed from those that had, at most.

    Returns
    -------
    ndarray of shape (m,)
        In (0, 1], or 0 where they never disagreed: 1 up to the largest, beyond it the square of the largest over the
        variance.

    Examples
    --------
    >>> agreement(np.array([0.0, 1.0, 2.0, 4.0]), 2.0)
    array([1.  , 1.  , 1.  , 0.25])
    """
    beyond = deviation > largest
    return np.where(beyond, largest / np.where(beyond, deviation, 1), 1.0) ** 2


def blend(network, interpolated, share, largest_change=None, inside=None, reach=None, agreed=None):
    """Predict the weighted mean of networks and an interpolation.

    How far networks can be trusted was measured on lights that may be unlike these: held-out lights of a dome lie on
    rings with others, and none between two rings. Where networks are wrong there, they differ from an interpolation,
    and from each other, by more than they ever did. And nearer to a training light than any held-out one was, it is the
    interpolation that becomes exact, its error falling with the square of the distance, while a network keeps what it
    has not learnt.

    Parameters
    ----------
    network, interpolated : ndarray of shape (n_lights, ...), float32
        What both predict. `network` is overwritten.

    share : float or ndarray of shape (H, W)
        Of the networks, in [0, 1].

    largest_change : float or None, default=None
        Root mean square that the change of a photograph by the networks is scaled down to, where it is larger.

    inside : ndarray of bool of shape (H, W) or None, default=None
        The pixels that count for this; None: all.

    reach : ndarray of shape (n_lights,) or None, default=None
        Distance to the nearest training light as a part of the least one of a held-out light, in [0, 1]; None: all 1.
        The networks' share is multiplied by it, and `largest_change` by its square.

    agreed : ndarray of shape (n_lights,) or None, default=None
        How far the networks agree, in [0, 1], which their share is multiplied by, too; None: all 1.

    Returns
    -------
    ndarray of shape (n_lights, ...), float32
        `network`.

    Examples
    --------
    >>> blend(np.full((2, 3), [[2.0], [8.0]]), np.zeros((2, 3)), 0.5, largest_change=2.0)
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    reach = np.ones(len(network)) if reach is None else reach
    agreed = np.ones(len(network)) if agreed is None else agreed
    network -= interpolated
    network *= _beside(share, network).astype(network.dtype)
    for i, part in enumerate(reach):
        scale = part * agreed[i]
        if largest_change is not None:
            size = scale * np.sqrt(mean_square(network[i], inside))
            limit = largest_change * part**2
            scale *= limit / size if size > limit else 1
        if scale != 1:
            network[i] *= network.dtype.type(scale)
    network += interpolated
    return network


def _beside(share, images):
    """Give shares of pixels the axes of a photograph."""
    share = np.asarray(share)
    return share.reshape(share.shape + (1,) * (images.ndim - 1 - share.ndim)) if share.ndim else share
