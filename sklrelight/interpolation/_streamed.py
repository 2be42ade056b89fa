"""Interpolation of photographs on disk or in codes, by a model that is fitted to their pixels or a sample of them."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import gen_batches

from ..stacks import CodedStack
from ._stacked import CURVES, STRAIGHT, mix

__all__ = ["StreamedInterpolation", "sample_pixels"]

# Largest number of pixels in the sample, and of their values: 128 MB in float32.
_SAMPLE_PIXELS = 2**16
_SAMPLE_VALUES = 2**25
# Number of values of a pixel by which its cluster is found.
_CLUSTER_VALUES = 256
# Number of values that are read at a time. At least one chunk of the file is read.
_BLOCK_VALUES = 2**22


def sample_pixels(stack, pixel_weight, random_state):
    """Read some pixels of all photographs, to fit a model for which all pixels would not fit into memory.

    Parameters
    ----------
    stack : ImageStack
        Encoded photographs.

    pixel_weight : ndarray of shape (H, W) or None
        Weights of the pixels. Those of weight 0 are not sampled.

    random_state : RandomState
        Draws the pixels.

    Returns
    -------
    images : ndarray of shape (n_lights, n_sampled, 1, n_channels), float32
        Values of the sample, as photographs that are one pixel wide. There are at most 65,536 pixels and 33 million
        values.

    pixel_weight : ndarray of shape (n_sampled, 1) or None
        Weights of the sampled pixels.

    pixels : ndarray of shape (n_sampled,), int
        Indices of the sampled pixels into the flattened (H, W), in increasing order.
    """
    sampled = np.arange(stack.n_pixels) if pixel_weight is None else np.flatnonzero(pixel_weight)
    n_sampled = max(1, min(_SAMPLE_PIXELS, _SAMPLE_VALUES // (len(stack) * stack.n_channels)))
    if n_sampled < len(sampled):
        sampled = np.sort(random_state.permutation(sampled)[:n_sampled])
    weight = None if pixel_weight is None else pixel_weight.ravel()[sampled, None]
    return stack.columns(sampled)[:, :, None], weight, sampled


class StreamedInterpolation:
    """Predict photographs by a model over the lights, from training photographs on disk or in codes.

    Each prediction reads the training photographs once, for all requested lights together. A pickle holds the name of
    their file, or their codes, and not the photographs.

    Parameters
    ----------
    model : estimator
        Model that is fitted to all pixels or a sample of them: a
        :class:`~sklrelight.interpolation.StackedRBFInterpolation`, or another with a method ``weights(lights)``, which
        returns weights of the photographs that hold for all pixels. To save memory, only the first pixel of its
        `images_` is kept, if it has this attribute.

    stack : ImageStack or CodedStack
        All pixels of the training photographs, encoded.

    random_state : RandomState
        Draws the photographs by which the cluster of a pixel is found.

    Attributes
    ----------
    clusters_ : ndarray of shape (H, W), int
        The cluster of each pixel. Defined only if the model has clusters.

    Raises
    ------
    ValueError
        If the model has neither clusters nor a method `weights`.
    """

    def __init__(self, model, stack, random_state):
        self.model, self.stack = model, stack
        if hasattr(model, "weights_by_cluster"):
            self.clusters_ = self._find_clusters(random_state).reshape(stack.shape[1:3])
        elif not hasattr(model, "weights"):
            raise ValueError(
                f"interpolation={model!r} has no method weights(lights), so it cannot predict from photographs that"
                " stay on disk: use StackedRBFInterpolation or RBFInterpolation, or photographs in memory"
            )
        for name, first in (("images_", np.s_[:, :1, :1]), ("clusters_", np.s_[:1, :1])):
            if hasattr(model, name):
                setattr(model, name, getattr(model, name)[first].copy())

    def predict_pixels(self, lights, pixels):
        """Interpolate some pixels of photographs.

        Parameters
        ----------
        lights : ndarray of shape (m, n_light_features)
            Lights.

        pixels : ndarray of int of shape (n_pixels,)
            Indices into the flattened image, in rising order.

        Returns
        -------
        ndarray of shape (m, n_pixels, n_channels), float32
            Encoded pixels.
        """
        return self._predict(lights, self._picked(pixels), len(pixels))

    def predict(self, lights):
        """Interpolate photographs.

        Parameters
        ----------
        lights : ndarray of shape (m, n_light_features)
            Lights.

        Returns
        -------
        ndarray of shape (m, H, W, C) or (m, H, W), float32
            Encoded photographs.
        """
        stack = self.stack
        return self._predict(lights, self._stretches(), stack.n_pixels).reshape(len(lights), *stack.shape[1:])

    def _picked(self, pixels):
        """Read some pixels: yield their places in `pixels`, the pixels, and the photographs, read on demand."""
        width = max(1, _BLOCK_VALUES // (len(self.stack) * self.stack.n_channels))
        for place in gen_batches(len(pixels), width):
            yield place, pixels[place], map(self._read_all, [pixels[place]])

    def _read_all(self, pixels):
        return slice(None), self.stack.columns(pixels)

    def _stretches(self):
        """Read the photographs in stretches of pixels: yield the pixels, twice, and parts of the photographs."""
        stack = self.stack
        for pixels in stack.stretches(len(stack)):
            # A stretch covers at least one chunk of the file, which may hold whole photographs.
            n_photographs = max(1, _BLOCK_VALUES // ((pixels.stop - pixels.start) * stack.n_channels))
            yield pixels, pixels, ((rows, stack.read(rows, pixels)) for rows in gen_batches(len(stack), n_photographs))

    def _predict(self, lights, blocks, n_pixels):
        model, stack, has_clusters = self.model, self.stack, hasattr(self, "clusters_")
        images = np.empty((len(lights), n_pixels, stack.n_channels), np.float32)
        if has_clusters:
            weights, labels, curve = model.weights_by_cluster(lights), self.clusters_.ravel(), CURVES[model.curve_]
        else:
            weights, labels, curve = model.weights(lights)[None], np.zeros(stack.n_pixels, np.uint8), STRAIGHT
        if curve is STRAIGHT and isinstance(stack, CodedStack):
            # Sums of photographs that are not bent are computed from the codes at once.
            sums = [stack.mixed(own) for own in weights]
            for place, pixels, _ in blocks:
                numbers = np.r_[pixels]
                for cluster in np.unique(labels[numbers]).tolist():
                    own = labels[numbers] == cluster
                    images[:, place][:, own] = sums[cluster].read(slice(None), numbers[own])
            return images
        for place, pixels, parts in blocks:
            value_range = model.value_range_ if has_clusters else (0.0, 1.0)
            images[:, place] = mix(parts, labels[pixels], weights, curve, value_range, np.float32)
        return images

    def _find_clusters(self, random_state):
        """Assign each pixel to the cluster of the sample whose mean is nearest."""
        labels, sample = self.model.clusters_.ravel(), self.model.images_
        if len(labels) == self.stack.n_pixels:
            return labels
        clusters = np.full(self.stack.n_pixels, labels[0], np.uint8 if labels.max() < 256 else np.int32)
        found = np.unique(labels)
        if len(found) == 1:
            return clusters
        n_photographs = max(16, _CLUSTER_VALUES // self.stack.n_channels)
        rows = np.sort(random_state.permutation(len(sample))[:n_photographs])
        means = [sample[rows[:, None], np.flatnonzero(labels == label), 0].mean(axis=1).ravel() for label in found]
        for pixels in self.stack.stretches(len(rows)):
            table = self.stack.read(rows, pixels).swapaxes(0, 1).reshape(-1, len(means[0]))
            clusters[pixels] = found[pairwise_distances_argmin(table, np.array(means))]
        return clusters
