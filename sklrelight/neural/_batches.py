"""Batches of observations, gathered on the device from a table of lights, a table of pixels and the photographs."""

import math
from typing import Any

import torch
from torch.utils.data import Dataset

__all__ = ["Observations", "SequentialBatches", "TrainingBatches"]


class Observations(Dataset):
    """Observations: pixels under lights, with their photographed colours.

    A plain table counts as many lights on a single pixel without features.

    Parameters
    ----------
    lights : Tensor of shape (n_lights, n_light_features)
        Features of the lights.

    pixels : Tensor of shape (n_pixels, n_pixel_features)
        Features of the pixels.

    targets : Tensor of shape (n_photographs, n_pixels, n_channels)
        Encoded colours. They are not copied.

    image_shape : tuple of int
        (H, W) with H * W = n_pixels, or () for a single pixel.

    rows : Tensor of int of shape (n_lights,) or None, default=None
        Row in `targets` of the photograph of each light. None: the same row as in `lights`.

    pixel_weight : Tensor of shape (n_pixels,) or None, default=None
        Weights of the pixels. None: all have the same weight. Pixels of weight 0 are left out.

    saturation : float or None, default=None
        Value at and above which colours have no weight.
    """

    def __init__(self, lights, pixels, targets, image_shape, rows=None, pixel_weight=None, saturation=None):
        self.lights = lights
        self.pixels = pixels
        self.targets = targets
        self.image_shape = image_shape
        self.rows = torch.arange(len(lights), device=lights.device) if rows is None else rows
        self.pixel_weight = pixel_weight
        self.saturation = saturation
        inside = torch.ones(len(pixels), device=lights.device) if pixel_weight is None else pixel_weight
        self.pixel_rows = torch.nonzero(inside).flatten()

    def subset(self, lights):
        """Pick the observations of some lights.

        Parameters
        ----------
        lights : Tensor of int
            Numbers of the lights.

        Returns
        -------
        Observations
            The observations, which share the pixels and the targets.
        """
        kept = self.lights[lights], self.pixels, self.targets, self.image_shape, self.rows[lights]
        return type(self)(*kept, self.pixel_weight, self.saturation)

    @property
    def n_lights(self):
        """Number of lights."""
        return len(self.lights)

    @property
    def n_pixels(self):
        """Number of pixels whose weight is not 0."""
        return len(self.pixel_rows)

    @property
    def n_features(self):
        """Number of features of an observation."""
        return self.lights.shape[1] + self.pixels.shape[1]

    @property
    def n_channels(self):
        """Number of channels."""
        return self.targets.shape[2]

    def __len__(self):
        return self.n_lights * self.n_pixels

    def target_moments(self):
        """Compute the mean and the standard deviation of the colours whose weight is not 0.

        Returns
        -------
        mean, deviation : float
            Mean and standard deviation, summed photograph by photograph in float64. If all colours are equal, the
            deviation is given as 1.
        """
        count = total = squares = 0.0
        for row in self.rows.tolist():
            values = self.targets[row]
            if self.n_pixels < len(values):
                values = values[self.pixel_rows]
            if self.saturation is not None:
                values = values[values < self.saturation]
            values = values.double()
            count += values.numel()
            total += float(values.sum())
            squares += float(torch.square(values).sum())
        mean = total / max(count, 1.0)
        variance = squares / max(count, 1.0) - mean**2
        # Below the rounding of the sums there is no spread.
        return mean, math.sqrt(variance) if variance > 1e-12 * mean**2 else 1.0

    def features(self, light, pixel):
        """Write out the features of some observations, as `batch` does."""
        return torch.cat([self.lights[light], self.pixels[pixel]], dim=-1)

    def colours(self, light, pixel):
        """Gather the colours of some observations, as `batch` does."""
        # One flat index is several times faster to gather by than a pair of them.
        return self.targets.flatten(0, 1)[self.rows[light] * len(self.pixels) + pixel]

    def batch(self, light, pixel, y=None):
        """Write out some observations, with their weights if they differ.

        Parameters
        ----------
        light, pixel : Tensor of int of shape (n_observations,)
            Light and pixel of each observation.

        y : Tensor of shape (n_observations, n_channels) or None, default=None
            Colours of the observations, if they are already known.

        Returns
        -------
        X : Tensor of shape (n_observations, n_features)
            Features of the light, then of the pixel.

        y : Tensor of shape (n_observations, n_channels), or a pair of such tensors
            Encoded colours, or encoded colours and the weights of their values.
        """
        X = self.features(light, pixel)
        y = self.colours(light, pixel) if y is None else y
        if self.pixel_weight is None and self.saturation is None:
            return X, y
        weight = torch.ones_like(y) if self.saturation is None else (y < self.saturation).to(y.dtype)
        if self.pixel_weight is not None:
            weight *= self.pixel_weight[pixel][:, None]
        return X, (y, weight)

    def __getitem__(self, index):
        index = torch.as_tensor(index, device=self.rows.device)
        return self.batch(index // self.n_pixels, self.pixel_rows[index % self.n_pixels])


class TrainingBatches:
    """Random observations in batches of single pixels or of whole windows.

    Single pixels are drawn without replacement: an epoch has each observation once. It consists of as many rounds as
    there are lights. In a round, each pixel comes once, in random order and under one of the lights. Any part of an
    epoch therefore covers all pixels and all lights evenly, and the order takes memory for the pixels only, not for all
    observations.

    Windows (`window_size` > 1) are drawn with replacement, each under a random light and at a random place in the
    image. An epoch has as many observations as with single pixels. Windows are there for comparison (Colburn 2019,
    section "Data sampling").

    Parameters
    ----------
    observations : Observations
        Observations to draw from.

    batch_size : int
        Number of observations in a batch, which can be changed from epoch to epoch. If there are fewer observations, a
        batch has all of them.

    window_size : int, default=1
        Side of the windows in pixels. A batch has ``max(1, round(batch_size / window_size ** 2))`` windows.

    max_observations : int or None, default=None
        Number of observations after which there are no more batches.

    seed : int, default=0
        Seed of the order.

    Attributes
    ----------
    n_drawn : int
        Number of observations drawn so far, in all epochs.

    generator : torch.Generator
        Generator of the order.

    Raises
    ------
    ValueError
        If a window is larger than the image.

    Examples
    --------
    >>> import torch
    >>> from sklrelight.neural import Observations, TrainingBatches
    >>> observations = Observations(torch.zeros(4, 2), torch.zeros(6, 1), torch.zeros(4, 6, 3), (2, 3))
    >>> [len(y) for X, y in TrainingBatches(observations, batch_size=10)]
    [10, 10, 4]
    """

    def __init__(self, observations, batch_size, window_size=1, max_observations=None, seed=0):
        if window_size > min(observations.image_shape or (1, 1)):
            raise ValueError(
                f"window_size={window_size} is larger than the image, which has the shape {observations.image_shape}"
            )
        self._on_disk = hasattr(observations, "random_batches")
        if window_size > 1 and self._on_disk:
            raise ValueError(f"window_size={window_size}: photographs on disk are sampled by single pixels, 1")
        self.observations = observations
        self.batch_size = batch_size
        self.window_size = window_size
        self.max_observations = math.inf if max_observations is None else max_observations
        self.n_drawn = 0
        # What is read from a disk is shuffled on the CPU.
        self.generator = torch.Generator("cpu" if self._on_disk else observations.rows.device).manual_seed(seed)

    @property
    def exhausted(self):
        """Whether `max_observations` have been drawn."""
        return self.n_drawn >= self.max_observations

    @property
    def epoch_length(self):
        """Number of observations in an epoch: all, or, with windows, as many rounded up to whole batches."""
        n_observations = len(self.observations)
        if self.window_size == 1:
            return n_observations
        return math.ceil(n_observations / self.batch_length) * self.batch_length

    @property
    def batch_length(self):
        """Number of observations in a full batch."""
        if self.window_size == 1:
            return min(self.batch_size, len(self.observations))
        return max(1, round(self.batch_size / self.window_size**2)) * self.window_size**2

    def __iter__(self):
        if self.exhausted:
            return
        if self._on_disk:
            # What is read next is decided where the files are known.
            left = self.max_observations - self.n_drawn
            batches = self.observations.random_batches(self.batch_length, left, self.generator)
        else:
            source = self._single_pixels() if self.window_size == 1 else self._windows()
            batches = (self.observations.batch(light, pixel) for light, pixel in source)
        for batch in batches:
            if self.exhausted:
                return
            self.n_drawn += len(batch[0])
            yield batch

    def _single_pixels(self):
        n_lights, n_pixels = self.observations.n_lights, self.observations.n_pixels
        device = self.observations.rows.device
        length = self.batch_length
        drawn: dict[str, Any] = {"generator": self.generator, "device": device}
        light_order = torch.randperm(n_lights, **drawn)
        shift = torch.randint(n_lights, (n_pixels,), **drawn)
        # Where a batch holds more than all pixels, several rounds are drawn at once.
        n_rounds = math.ceil(length / n_pixels)
        light = pixel = torch.empty(0, dtype=torch.int64, device=device)
        for first in range(0, n_lights, n_rounds):
            rounds = torch.arange(first, min(first + n_rounds, n_lights), device=device)
            order = torch.rand(len(rounds), n_pixels, dtype=torch.float32, **drawn).argsort(dim=1)
            light = torch.cat([light, light_order[(rounds[:, None] + shift[order]) % n_lights].flatten()])
            pixel = torch.cat([pixel, self.observations.pixel_rows[order.flatten()]])
            while len(light) >= length:
                yield light[:length], pixel[:length]
                light, pixel = light[length:], pixel[length:]
        if len(light):
            yield light, pixel

    def _windows(self):
        height, width = self.observations.image_shape
        device = self.observations.rows.device
        side = self.window_size
        n_windows = self.batch_length // side**2
        drawn: dict[str, Any] = {"generator": self.generator, "device": device}
        offset = (torch.arange(side, device=device)[:, None] * width + torch.arange(side, device=device)).flatten()
        for _ in range(self.epoch_length // (n_windows * side**2)):
            light = torch.randint(self.observations.n_lights, (n_windows, 1), **drawn)
            row = torch.randint(height - side + 1, (n_windows, 1), **drawn)
            column = torch.randint(width - side + 1, (n_windows, 1), **drawn)
            pixel = row * width + column + offset
            yield light.expand_as(pixel).flatten(), pixel.flatten()


class SequentialBatches:
    """All observations, light by light, for a validation loss.

    Parameters
    ----------
    observations : Observations
        Observations to go through.

    batch_size : int
        Number of observations in a batch.
    """

    def __init__(self, observations, batch_size):
        self.observations = observations
        self.batch_size = batch_size

    def __iter__(self):
        for first in range(0, len(self.observations), self.batch_size):
            yield self.observations[torch.arange(first, min(first + self.batch_size, len(self.observations)))]
