"""What fitted networks, and an interpolation beside them, predict for every pixel under some lights."""

import numpy as np

from .blending import blend, light_reach
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


def predict_networks(nets, features, target_shape, target_range):
    """Predict the mean over some networks, each kept within the range of the targets.

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

    Returns
    -------
    ndarray of shape (n_lights, *target_shape), float32
        Encoded photographs.
    """
    mean = np.zeros((len(features), *target_shape), np.float32)
    for net in nets:
        module = net.module_.eval()
        device = next(module.parameters()).device
        pixels = features.pixels if module.latents is None else features.numbered_pixels()
        lights, pixels = (as_tensor(table, device) for table in (features.lights, pixels))
        encoded = clip(module.predict_product(lights, pixels), target_range).reshape(mean.shape)
        if len(nets) == 1:
            return encoded
        encoded /= len(nets)
        mean += encoded
    return mean


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
        The pixels that count for how the networks change a photograph; None: all.

    Returns
    -------
    ndarray of shape (n_lights, *target_shape), float32
        Encoded photographs.
    """
    if interpolation is None:
        return predict_networks(nets, features, target_shape, target_range)
    interpolated = clip(interpolation.predict(features.light_vectors), target_range).astype(np.float32, copy=False)
    interpolated = interpolated.reshape(len(features), *target_shape)
    share = trust.network_share
    if trust.cluster_shares is not None:
        share = trust.cluster_shares[interpolation.clusters_]
    if not np.any(share):
        return interpolated
    network = predict_networks(nets, features, target_shape, target_range)
    reach = None
    if trust.held_out_distance is not None:
        reach = light_reach(features.light_vectors, trust.lights, trust.held_out_distance)
    return blend(network, interpolated, share, trust.largest_change, inside, reach)
