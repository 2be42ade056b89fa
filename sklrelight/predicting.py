"""What fitted networks, and an interpolation beside them, predict for every pixel under some lights."""

import numpy as np

from .blending import blend
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
        lights, pixels = (as_tensor(table, device) for table in (features.lights, features.pixels))
        encoded = clip(module.predict_product(lights, pixels), target_range).reshape(mean.shape)
        if len(nets) == 1:
            return encoded
        encoded /= len(nets)
        mean += encoded
    return mean


def predict_blend(nets, interpolation, network_share, limits, features, target_shape, target_range):
    """Predict the weighted mean of networks and an interpolation.

    Parameters
    ----------
    nets, features, target_shape, target_range
        As in `predict_networks`.

    interpolation : estimator or None
        Fitted; None: the networks alone.

    network_share : float or ndarray
        Part of the networks, in [0, 1]: one number, or those of the interpolation's clusters of pixels.

    limits : tuple
        `largest_change`, `inside` and `reach`, as in `blend`.

    Returns
    -------
    ndarray of shape (n_lights, *target_shape), float32
        Encoded photographs.
    """
    if interpolation is None:
        return predict_networks(nets, features, target_shape, target_range)
    interpolated = clip(interpolation.predict(features.light_vectors), target_range).astype(np.float32, copy=False)
    interpolated = interpolated.reshape(len(features), *target_shape)
    if not np.any(network_share):
        return interpolated
    share = np.asarray(network_share)
    share = share[interpolation.clusters_] if share.ndim else share
    encoded = predict_networks(nets, features, target_shape, target_range)
    return blend(encoded, interpolated, share, *limits)
