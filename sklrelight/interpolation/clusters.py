"""Pixels that behave alike under the lights."""

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.utils import gen_batches

from ..utils import safe_unit

__all__ = ["cluster_pixels"]

# What the clusters are found on: pixels, their values, and components of these.
_CLUSTERED_PIXELS = 2**14
_CLUSTERED_VALUES = 256
_N_COMPONENTS = 16
_PIXELS_PER_CLUSTER = 4
# Values gathered at a time.
_BLOCK_VALUES = 2**22


def cluster_pixels(columns, weight, n_clusters, random):
    """Find clusters of pixels.

    Parameters
    ----------
    columns : ndarray of shape (n_lights, n_pixels, n_channels)
        Photographs.

    weight : ndarray of shape (n_pixels,) or None
        Pixels of weight 0 have no part in it.

    n_clusters : int
        How many, at most.

    random : RandomState
        Draws what the clusters are found on.

    Returns
    -------
    ndarray of shape (n_pixels,), int
        The cluster of each pixel.
    """
    n_lights, n_pixels, n_channels = columns.shape
    weighted = np.arange(n_pixels) if weight is None else np.flatnonzero(weight)
    n_clusters = min(n_clusters, max(1, len(weighted) // _PIXELS_PER_CLUSTER))
    if n_clusters == 1:
        return np.zeros(n_pixels, np.int32)
    lights = random.permutation(n_lights)[: max(_N_COMPONENTS, _CLUSTERED_VALUES // n_channels)]
    unit = safe_unit(columns[lights])

    def features(pixels):
        some = columns[lights[:, None], pixels].transpose(1, 0, 2).reshape(len(pixels), -1)
        return (some if unit == 1 else some / unit).astype(np.float32)

    sample = features(random.permutation(weighted)[:_CLUSTERED_PIXELS])
    if (sample == sample[0]).all():
        return np.zeros(n_pixels, np.int32)
    n_components = min(_N_COMPONENTS, *sample.shape)
    reduction = PCA(n_components, svd_solver="covariance_eigh") if sample.shape[1] > n_components else None
    if reduction is not None:
        sample = reduction.fit_transform(sample)
    clustering = MiniBatchKMeans(n_clusters, n_init=1, random_state=random).fit(sample)
    labels = np.empty(n_pixels, np.int32)
    for block in gen_batches(n_pixels, max(1, _BLOCK_VALUES // (len(lights) * n_channels))):
        some = features(np.arange(n_pixels)[block])
        labels[block] = clustering.predict(some if reduction is None else reduction.transform(some))
    return labels
