"""What fitted networks, and an interpolation beside them, predict for every pixel under some lights."""

import numpy as np

from .blending import agreement, blend, light_reach, mean_square
from .training import as_tensor

__all__ = ["clip", "predict_blend", "predict_networks"]


def clip(encoded, target_range):
    """Keep within the range of the training photographs.

    Parameters
    ----------
    encoded : ndarray
        Predicted values. Overwritten.

    target_range : tuple of float or None
        Least and greatest value; None: as they are.

    Returns
    -------
    ndarray
        `encoded`.
    """
    return encoded if target_range is None else np.clip(encoded, *target_range, out=encoded)


def predict_networks(nets, features, target_shape, target_range, inside=None):
    """Predict the mean over some networks, each kept within the range of the targets, and how far they agree.

    Parameters
    ----------
    nets : list of RelightingNet
        Fitted.

    features : PixelLightFeatures
        Of the lights and pixels to predict.

    target_shape : tuple of int
        Of one photograph.

    target_range : tuple of float or None
        As in `clip`.

    inside : ndarray of bool of shape (H, W) or None, default=None
        The pixels that count for how far they agree; None: all.

    Returns
    -------
    mean : ndarray of shape (n_lights, *target_shape), float32
        Encoded photographs.

    deviation : ndarray of shape (n_lights,)
        Standard deviation between the networks, root mean square over the pixels; 0 for a single one.
    """
    shape = (len(features), *target_shape)
    mean = _predict_network(nets[0], features, target_range).reshape(shape)
    variance = np.zeros(len(features))
    for count, net in enumerate(nets[1:], start=2):
        encoded = _predict_network(net, features, target_range).reshape(shape)
        encoded -= mean
        variance += [mean_square(one, inside) * (count - 1) / count for one in encoded]
        encoded /= count
        mean += encoded
    return mean, np.sqrt(variance / max(1, len(nets) - 1))


def _predict_network(net, features, target_range):
    module = net.module_.eval()
    device = next(module.parameters()).device
    pixels = features.pixels if module.latents is None else features.numbered_pixels()
    lights, pixels = (as_tensor(table, device) for table in (features.lights, pixels))
    return clip(module.predict_product(lights, pixels), target_range)


def predict_blend(nets, interpolation, trust, inside, features, target_shape, target_range):
    """Predict the weighted mean of networks and an interpolation.

    Parameters
    ----------
    nets, features, target_shape, target_range
        As in `predict_networks`.

    interpolation : estimator or None
        Fitted; None: the networks alone.

    trust : Trust
        How far the networks are trusted.

    inside : ndarray of bool of shape (H, W) or None
        The pixels that count for how the networks change a photograph, and agree; None: all.

    Returns
    -------
    ndarray of shape (n_lights, *target_shape), float32
        Encoded photographs.
    """
    if interpolation is None:
        return predict_networks(nets, features, target_shape, target_range)[0]
    interpolated = clip(interpolation.predict(features.light_vectors), target_range).astype(np.float32, copy=False)
    interpolated = interpolated.reshape(len(features), *target_shape)
    share = trust.network_share
    if trust.cluster_shares is not None:
        share = trust.cluster_shares[interpolation.clusters_]
    if not np.any(share):
        return interpolated
    network, deviation = predict_networks(nets, features, target_shape, target_range, inside)
    agreed = None if trust.largest_deviation is None else agreement(deviation, trust.largest_deviation)
    reach = None
    if trust.held_out_distance is not None:
        reach = light_reach(features.light_vectors, trust.lights, trust.held_out_distance)
    return blend(network, interpolated, share, trust.largest_change, inside, reach, agreed)
