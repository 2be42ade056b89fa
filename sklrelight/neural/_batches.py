"""Batches of observations, gathered on the device from a table of lights, a table of pixels and the photographs."""

import math

import torch
from torch.utils.data import Dataset

__all__ = ["Observations", "SequentialBatches", "TrainingBatches", "count_observations"]


def count_observations(batch):
    """Count the observations of a batch.

    Parameters
    ----------
    batch : tuple
        Features and colours, or features and a pair of colours and weights.

    Returns
    -------
    int
        Number of observations.
    """
    _, y = batch
    return math.prod((y[0] if isinstance(y, tuple) else y).shape[:-1])


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

    def colours(self, light, pixel):
        """Gather the colours of some observations, as `batch` does."""
        # One flat index is several times faster to gather by than a pair of them.
        return self.targets.flatten(0, 1)[self.rows[light] * len(self.pixels) + pixel]

    def batch(self, light, pixel, y=None):
        """Write out some observations, with their weights if they differ.

        Parameters
        ----------
        light, pixel : Tensor of int of shape (n_observations,), or (n_lights, 1) and (n_pixels,)
            Light and pixel of each observation, or lights and pixels: each light with each pixel.

        y : Tensor of shape (n_observations, n_channels) or (n_lights, n_pixels, n_channels), or None, default=None
            Colours of the observations, if they are already known.

        Returns
        -------
        X : dict
            Features of the lights, of shape (n_observations, n_light_features) or (n_lights, 1, n_light_features), and
            of the pixels, as the network takes them.

        y : Tensor of shape (n_observations, n_channels) or (n_lights, n_pixels, n_channels), or a pair of such tensors
            Encoded colours, or encoded colours and the weights of their values.
        """
        X = {"lights": self.lights[light], "pixels": self.pixels[pixel].float()}
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
    """Random observations in batches of single observations, of grids of lights and pixels, or of whole windows.

    An epoch has each observation once. It consists of rounds, in each of which each pixel comes once, in random order,
    with `lights_per_pixel` of the lights. Any part of an epoch therefore covers all pixels and all lights evenly, and
    the order takes memory for the pixels only, not for all observations. With ``lights_per_pixel=1``, each pixel of a
    batch has a light of its own. Otherwise, all pixels of a batch have the same lights, so that what a network computes
    of a pixel is computed once for all of them.

    Windows (`window_size` > 1) are drawn with replacement, each at a random place in the image, and under a random
    light of its own, or `lights_per_pixel` random lights for all windows of a batch. An epoch has as many observations
    as with single pixels. Windows are there for comparison (Colburn 2019, section "Data sampling").

    Parameters
    ----------
    observations : Observations
        Observations to draw from.

    batch_size : int
        Number of observations in a batch, which can be changed from epoch to epoch. If there are fewer observations, a
        batch has all of them.

    window_size : int, default=1
        Side of the windows in pixels. A batch has ``batch_size / lights_per_pixel / window_size ** 2`` windows,
        rounded, and at least one.

    max_observations : int or None, default=None
        Number of observations after which there are no more batches.

    lights_per_pixel : int, default=1
        Number of lights under which a batch has each of its pixels. If there are fewer lights, it is their number. In a
        round, the lights are divided into groups of about this size.

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
    >>> [tuple(y.shape) for X, y in TrainingBatches(observations, batch_size=10, lights_per_pixel=2)]
    [(2, 5, 3), (2, 5, 3), (2, 1, 3), (2, 1, 3)]
    """

    def __init__(self, observations, batch_size, window_size=1, max_observations=None, lights_per_pixel=1, seed=0):
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
        self.lights_per_pixel = lights_per_pixel
        self.n_drawn = 0
        # What is read from a disk is shuffled on the CPU.
        self.generator = torch.Generator("cpu" if self._on_disk else observations.rows.device).manual_seed(seed)

    @property
    def exhausted(self):
        """Whether `max_observations` have been drawn."""
        return self.n_drawn >= self.max_observations

    @property
    def n_groups(self):
        """Number of groups into which a round divides the lights."""
        return math.ceil(self.observations.n_lights / self.lights_per_pixel)

    @property
    def pixels_per_batch(self):
        """Number of pixels in a full batch."""
        n_pixels = self.batch_size if self.lights_per_pixel == 1 else self.batch_size // self._group_size
        if self.window_size > 1:
            return max(1, round(n_pixels / self.window_size**2)) * self.window_size**2
        most = len(self.observations) if self.lights_per_pixel == 1 else self.observations.n_pixels
        return min(max(1, n_pixels), most)

    @property
    def batch_length(self):
        """Number of observations in a full batch."""
        return self.pixels_per_batch * self._group_size

    @property
    def epoch_length(self):
        """Number of observations in an epoch: all, or, with windows, as many rounded up to whole batches."""
        n_observations = len(self.observations)
        if self.window_size == 1:
            return n_observations
        return math.ceil(n_observations / self.batch_length) * self.batch_length

    @property
    def _group_size(self):
        return math.ceil(self.observations.n_lights / self.n_groups)

    def __iter__(self):
        if self.exhausted:
            return
        if self._on_disk:
            # What is read next is decided where the files are known.
            batches = self.observations.random_batches(self.pixels_per_batch, self.n_groups, self.generator)
        else:
            if self.window_size > 1:
                source = self._windows()
            else:
                source = self._pairs() if self.lights_per_pixel == 1 else self._grids()
            batches = (self.observations.batch(light, pixel) for light, pixel in source)
        for batch in batches:
            self.n_drawn += count_observations(batch)
            yield batch
            if self.exhausted:
                return

    def _pairs(self):
        """Draw pixels, each with a light of its own."""
        n_lights, n_pixels = self.observations.n_lights, self.observations.n_pixels
        length = self.batch_length
        light_order = self._order(n_lights)
        shift = self._integers(n_lights, n_pixels)
        # Where a batch holds more than all pixels, several rounds are drawn at once.
        n_rounds = math.ceil(length / n_pixels)
        light = pixel = light_order[:0]
        for first in range(0, n_lights, n_rounds):
            rounds = torch.arange(first, min(first + n_rounds, n_lights), device=light_order.device)
            drawn = torch.rand(
                len(rounds), n_pixels, dtype=torch.float32, generator=self.generator, device=light_order.device
            )
            order = drawn.argsort(dim=1)
            light = torch.cat([light, light_order[(rounds[:, None] + shift[order]) % n_lights].flatten()])
            pixel = torch.cat([pixel, self.observations.pixel_rows[order.flatten()]])
            while len(light) >= length:
                yield light[:length], pixel[:length]
                light, pixel = light[length:], pixel[length:]
        if len(light):
            yield light, pixel

    def _grids(self):
        """Draw pixels, with a group of lights for all pixels of a batch."""
        n_groups, n_pixels = self.n_groups, self.observations.n_pixels
        groups = self._order(self.observations.n_lights).tensor_split(n_groups)
        shift = self._integers(n_groups, n_pixels)
        left = [shift[:0]] * n_groups
        for number in range(n_groups):
            order = self._order(n_pixels)
            group_of_pixel = (number + shift[order]) % n_groups
            batches = []
            for group, lights in enumerate(groups):
                own = torch.cat([left[group], self.observations.pixel_rows[order[group_of_pixel == group]]])
                n_whole = len(own) - len(own) % self.pixels_per_batch
                batches += [
                    (lights[:, None], pixels) for pixels in own[:n_whole].split(self.pixels_per_batch) if n_whole
                ]
                left[group] = own[n_whole:]
            for index in self._order(len(batches)).tolist():
                yield batches[index]
        for lights, pixels in zip(groups, left, strict=True):
            if len(pixels):
                yield lights[:, None], pixels

    def _windows(self):
        height, width = self.observations.image_shape
        side = self.window_size
        n_windows = self.pixels_per_batch // side**2
        steps = torch.arange(side, device=self.generator.device)
        offset = (steps[:, None] * width + steps).flatten()
        n_lights = self.observations.n_lights
        for _ in range(self.epoch_length // self.batch_length):
            if self.lights_per_pixel == 1:
                light = self._integers(n_lights, n_windows).repeat_interleave(side**2)
            else:
                light = self._order(n_lights)[: self._group_size, None]
            row = self._integers(height - side + 1, n_windows)
            column = self._integers(width - side + 1, n_windows)
            yield light, ((row * width + column)[:, None] + offset).flatten()

    def _order(self, length):
        return torch.randperm(length, generator=self.generator, device=self.generator.device)

    def _integers(self, most, length):
        return torch.randint(most, (length,), generator=self.generator, device=self.generator.device)


class SequentialBatches:
    """All observations, block by block of the pixels, for a validation loss.

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
        lights = torch.arange(self.observations.n_lights, device=self.observations.rows.device)[:, None]
        n_pixels = max(1, self.batch_size // len(lights))
        for pixels in self.observations.pixel_rows.split(n_pixels):
            for some in lights.split(max(1, self.batch_size // n_pixels)):
                yield self.observations.batch(some, pixels)
