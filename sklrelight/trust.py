"""How far networks are trusted beside an interpolation, measured on lights that neither has seen: :class:`Trust`."""

from dataclasses import dataclass

import numpy as np

from .blending import least_distance, leave_out, network_change, of_pixels
from .predicting import clip, predict_networks
from .shares import cluster_shares, network_share

__all__ = ["Trust", "measure_trust"]

# Pixels that networks and interpolation are compared on.
_MEASURED_PIXELS = 2**16


@dataclass(frozen=True)
class Trust:
    """How far networks are trusted beside an interpolation; by default there is none, and they are in all.

    Parameters
    ----------
    network_share : float, default=1.0
        Part of the networks in the mean, in [0, 1].

    cluster_shares : ndarray of shape (n_clusters,) or None, default=None
        Those of the interpolation's clusters of pixels, if it has some.

    largest_change : float or None, default=None
        Root mean square by which the networks change the interpolation with these shares, where they change it most.

    largest_deviation : float or None, default=None
        Root mean square by which a network that had not seen a light differed from the mean of the others, which had,
        where it differed most; None where there is a single network.

    held_out_distance : float or None, default=None
        Least distance of a held-out light from those that its network has seen; None where the interpolation has no
        clusters, for such a one need not be exact at the lights that it has seen.

    lights : ndarray of shape (n_lights, n_light_features) or None, default=None
        The training lights, where there is such a distance.
    """

    network_share: float = 1.0
    cluster_shares: np.ndarray | None = None
    largest_change: float | None = None
    largest_deviation: float | None = None
    held_out_distance: float | None = None
    lights: np.ndarray | None = None


def measure_trust(nets, interpolation, held_out, data, target_range, rng):
    """Find how far networks can be trusted, by lights that neither they nor the interpolation have seen.

    Parameters
    ----------
    nets : list of RelightingNet
        Fitted; fewer than in `held_out` where the fit was interrupted.

    interpolation : estimator
        Fitted.

    held_out : list of ndarray of int
        Lights that each net has not seen.

    data : TrainingData
        What they were fitted to.

    target_range : tuple of float or None
        Least and greatest value that is predicted.

    rng : RandomState
        Picks 65,536 pixels, where there are more.

    Returns
    -------
    Trust
        Shares of a half where no light was held out.
    """
    clusters = getattr(interpolation, "clusters_", None)
    n_clusters = 0 if clusters is None else int(clusters.max()) + 1
    known = [(net, rows) for net, rows in zip(nets, held_out, strict=False) if len(rows)]
    if not known:
        return Trust(0.5, None if clusters is None else np.full(n_clusters, 0.5))
    if data.saturation is not None and target_range is not None:
        # How much brighter a saturated value was decides nothing.
        target_range = target_range[0], min(target_range[1], data.saturation)
    lights, images = data.features.light_vectors, data.unsaturated()
    n_pixels, pixels = len(data.features.pixels), None
    if n_pixels > _MEASURED_PIXELS:
        some = n_pixels if data.pixel_weight is None else np.flatnonzero(data.pixel_weight)
        pixels = np.sort(rng.permutation(some)[:_MEASURED_PIXELS])
    features = data.features if pixels is None else data.features.of_pixels(pixels)
    true = of_pixels(data.y[np.concatenate([rows for _, rows in known])], pixels)
    network, of_others, interpolated = [], [], []
    for net, rows in known:
        photographs = features[rows], true.shape[1:], target_range
        network.append(predict_networks([net], *photographs)[0])
        if len(nets) > 1:
            of_others.append(predict_networks([other for other in nets if other is not net], *photographs)[0])
        interpolated.append(clip(leave_out(interpolation, rows, lights, images, pixels), target_range))
    compared = true, np.concatenate(network), np.concatenate(interpolated)
    weight = None if data.pixel_weight is None else of_pixels(data.pixel_weight[None], pixels)[0]
    inside = None if weight is None else weight > 0
    share = network_share(*compared, weight, data.saturation)
    deviation = network_change(compared[1], np.concatenate(of_others), 1.0, inside) if of_others else None
    if clusters is None:
        return Trust(share, None, network_change(*compared[1:], share, inside), deviation)
    clusters = of_pixels(clusters[None], pixels)[0]
    shares = cluster_shares(*compared, clusters, weight, data.saturation, n_clusters)
    change = network_change(*compared[1:], shares[clusters], inside)
    distance = least_distance(lights, held_out[: len(nets)])
    return Trust(share, shares, change, deviation, distance, None if distance is None else lights)
