"""How networks and an interpolation over the lights predict together: lights to judge them by, and each one's share."""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from .interpolation import StackedRBFInterpolation
from .interpolation.equations import Points
from .weights import value_weights

__all__ = [
    "blend",
    "cluster_shares",
    "fit_interpolation",
    "hold_out_lights",
    "least_distance",
    "leave_out",
    "light_reach",
    "network_change",
    "network_share",
    "of_pixels",
]

# Evidence of all pixels together that counts for each kind of them.
_PRIOR = 0.02


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
        In [0, 1]; a half where nothing can be told. Least squares of errors relative to the interpolation's of each
        photograph, so that those at the rim of the lights, which are hard to interpolate, do not decide for all.

    Examples
    --------
    >>> true = np.zeros((1, 4))
    >>> network_share(true, true + [1, 1, -1, 1], true - [3, 3, -3, 3])
    0.75
    """
    products, squares = _moments(true, network, interpolated, pixel_weight, saturation)
    return _share(products.sum(), squares.sum())


def cluster_shares(true, network, interpolated, clusters, pixel_weight=None, saturation=None, n_clusters=None):
    """Find the share of the networks for each kind of pixel, as `network_share` does for all.

    Networks win where highlights and shadows move, an interpolation where nothing much happens.

    Parameters
    ----------
    true, network, interpolated : ndarray of shape (n_held_out, ...)
        Photographs, and what was predicted of them.

    clusters : ndarray of int
        The kind of each pixel, of as many as the photographs have.

    pixel_weight, saturation
        As for `network_share`.

    n_clusters : int or None, default=None
        How many kinds there are, should these pixels not be of all; None: as many as the largest number tells.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Each in [0, 1]. A kind that tells little has the share that suits all kinds: as much evidence as a fiftieth of
        the whole counts for that.

    Examples
    --------
    >>> true = np.zeros((1, 4))
    >>> cluster_shares(true, true + [0, 0, 1, -1], true + [1, -1, 0, 0], np.array([0, 0, 1, 1])).round(2)
    array([0.98, 0.02])
    """
    products, squares = _moments(true, network, interpolated, pixel_weight, saturation)
    labels = clusters.ravel()
    n_clusters = n_clusters or labels.max() + 1
    prior = _PRIOR * squares.sum()
    products_of = np.bincount(labels, products, n_clusters) + prior * _share(products.sum(), squares.sum())
    squares_of = np.bincount(labels, squares, n_clusters) + prior
    return np.array([_share(*sums) for sums in zip(products_of, squares_of, strict=True)])


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
    return float(np.sqrt(max(_mean_square(change, inside) for change in changes)))


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


def blend(network, interpolated, share, largest_change=None, inside=None, reach=None):
    """Predict the weighted mean of networks and an interpolation.

    How far networks can be trusted was measured on lights that may be unlike these: held-out lights of a dome lie on
    rings with others, and none between two rings. Where networks are wrong there, they differ from an interpolation by
    more than they ever did. And nearer to a training light than any held-out one was, it is the interpolation that
    becomes exact, its error falling with the square of the distance, while a network keeps what it has not learnt.

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
    network -= interpolated
    network *= _beside(share, network).astype(network.dtype)
    for i, part in enumerate(reach):
        scale = part
        if largest_change is not None:
            size = part * np.sqrt(_mean_square(network[i], inside))
            limit = largest_change * part**2
            scale *= limit / size if size > limit else 1
        if scale != 1:
            network[i] *= network.dtype.type(scale)
    network += interpolated
    return network


def _mean_square(change, inside):
    return np.square(change if inside is None else change[inside]).mean()


def _beside(share, images):
    """Give shares of pixels the axes of a photograph."""
    share = np.asarray(share)
    return share.reshape(share.shape + (1,) * (images.ndim - 1 - share.ndim)) if share.ndim else share


def _moments(true, network, interpolated, pixel_weight, saturation):
    """Sum, for each pixel, what least squares of the share are made of, photographs weighted."""
    n_pixels = int(np.prod(true.shape[1:3]))
    products: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    errors: list[np.ndarray] = []
    for i in range(len(true)):
        gap, error = (other[i : i + 1].astype(np.float64) - interpolated[i : i + 1] for other in (network, true))
        weights = value_weights(true[i : i + 1], pixel_weight, saturation)
        weights = np.ones(1) if weights is None else weights
        for sums, values in ((products, gap * error), (squares, gap * gap), (errors, error * error)):
            sums.append((weights * values).reshape(n_pixels, -1).sum(axis=1))
    error = np.array([values.sum() for values in errors])
    scale = 1 / (error + 1e-3 * error.mean()) if error.any() else np.ones(len(error))
    return scale @ np.array(products), scale @ np.array(squares)


def _share(product, square):
    return float(np.clip(product / square, 0, 1)) if square > 0 else 0.5
