"""Interpolation of photographs on disk by a model that was fitted to a sample of their pixels."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import gen_batches

from ._stacked import mix

__all__ = ["StreamedInterpolation", "sample_pixels"]

# Pixels of the sample that a model is fitted to, and its values: 128 MB in float32.
_SAMPLE_PIXELS = 2**16
_SAMPLE_VALUES = 2**25
# Values of a pixel by which its kind is told.
_KIND_VALUES = 256
# Values read at a time, at least a chunk.
_BLOCK_VALUES = 2**22


def sample_pixels(features, stack, pixel_weight, random_state):
    """Read some pixels of all photographs, to fit to them what would not fit into memory for all.

    Parameters
    ----------
    features : PixelLightFeatures
        Of all pixels.

    stack : ImageStack
        Encoded photographs.

    pixel_weight : ndarray of shape (H, W) or None
        Pixels of weight 0 are left out.

    random_state : RandomState
        Picks them.

    Returns
    -------
    features : PixelLightFeatures
        Of the sample: 65,536 pixels, or as many as have 33 million values, or all.

    images : ndarray of shape (n_lights, n_sampled, 1, n_channels), float32
        Their values, as photographs one pixel wide.

    pixel_weight : ndarray of shape (n_sampled, 1) or None
        Their weights.

    pixels : ndarray of shape (n_sampled,), int
        Which they are.
    """
    inside = np.arange(stack.n_pixels) if pixel_weight is None else np.flatnonzero(pixel_weight)
    n_sampled = max(1, min(_SAMPLE_PIXELS, _SAMPLE_VALUES // (len(stack) * stack.n_channels)))
    if n_sampled < len(inside):
        inside = np.sort(random_state.permutation(inside)[:n_sampled])
    weight = None if pixel_weight is None else pixel_weight.ravel()[inside, None]
    return features.of_pixels(inside), stack.columns(inside)[:, :, None], weight, inside


class StreamedInterpolation:
    """Predict photographs by a model over the lights, from training photographs that stay on disk.

    Each prediction reads the training photographs once for all lights that are asked for. A pickle holds the name of
    their file, not the photographs.

    Parameters
    ----------
    model : estimator
        Fitted to a sample of pixels. It has a method ``weights(lights)``, which gives the weights of the photographs
        for all pixels; or is a :class:`StackedRBFInterpolation`, for pixels of several kinds. Of the photographs that
        it keeps only the first pixel is left.

    stack : ImageStack
        All pixels.

    sampled : ndarray of int
        The pixels of the sample.

    random_state : RandomState
        Picks the photographs by which the kind of a pixel is told.
    """

    def __init__(self, model, stack, sampled, random_state):
        self.model, self.stack = model, stack
        self.kinds = self._find_kinds(random_state)
        model.images_ = model.images_[:, :1].copy()

    def predict(self, lights):
        """Interpolate photographs.

        Parameters
        ----------
        lights : ndarray of shape (m, n_light_features)
            Lights.

        Returns
        -------
        ndarray of shape (m, H, W, C), or (m, H, W); float32
            Encoded photographs.
        """
        stack, model = self.stack, self.model
        images = np.empty((len(lights), stack.n_pixels, stack.n_channels), np.float32)
        if self.kinds is None:
            weights = model.weights(lights).astype(np.float32)
        else:
            weights, shares = model.weights_by_cluster(lights), model.stacking_weights_.sum(axis=2)
        for pixels in stack.stretches(len(stack)):
            # A stretch is a chunk at least, and a chunk may be a whole photograph.
            n_photographs = max(1, _BLOCK_VALUES // ((pixels.stop - pixels.start) * stack.n_channels))
            parts = ((rows, stack.read(rows, pixels)) for rows in gen_batches(len(stack), n_photographs))
            if self.kinds is None:
                images[:, pixels] = sum(_product(weights[:, rows], values) for rows, values in parts)
            else:
                kinds = self.kinds[pixels]
                images[:, pixels] = mix(parts, kinds, weights, shares, model.value_range_, np.float32)
        return images.reshape(len(lights), *stack.shape[1:])

    @property
    def clusters_(self):
        """The kind of each pixel, of shape (H, W); there are none where the model has none."""
        if self.kinds is None:
            raise AttributeError("clusters_")
        return self.kinds.reshape(self.stack.shape[1:3])

    def _find_kinds(self, random_state):
        """Give each pixel the cluster of the sample whose mean it is most like; None where there are no clusters."""
        if not hasattr(self.model, "weights_by_cluster"):
            if not hasattr(self.model, "weights"):
                raise ValueError(
                    f"interpolation={self.model!r} has no method weights(lights), and cannot predict from photographs"
                    " that stay on disk"
                )
            return None
        labels, sample = self.model.clusters_.ravel(), self.model.images_
        kinds = np.full(self.stack.n_pixels, labels[0], np.uint8 if labels.max() < 256 else np.int32)
        found = np.unique(labels)
        if len(found) == 1:
            return kinds
        n_photographs = max(16, _KIND_VALUES // self.stack.n_channels)
        rows = np.sort(random_state.permutation(len(sample))[:n_photographs])
        means = [sample[rows[:, None], np.flatnonzero(labels == label), 0].mean(axis=1).ravel() for label in found]
        for pixels in self.stack.stretches(len(rows)):
            table = self.stack.read(rows, pixels).swapaxes(0, 1).reshape(-1, len(means[0]))
            kinds[pixels] = found[pairwise_distances_argmin(table, np.array(means))]
        return kinds


def _product(weights, values):
    """Sums of photographs of shape (n, n_pixels, n_channels), with weights of shape (m, n)."""
    return (weights @ values.reshape(len(values), -1)).reshape(len(weights), *values.shape[1:])
