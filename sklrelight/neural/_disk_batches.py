"""Observations of photographs on disk: single pixels from a shuffle buffer that is refilled while a net trains."""

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from ._batches import Observations

__all__ = ["ShuffleBuffer", "StackObservations"]

# Pixels of a tile where a photograph can be read from anywhere: 24 KB in float16, some pages of a disk.
_TILE_PIXELS = 4096
# A visit takes one pixel in so many of a tile, but not less than so many pixels. A prime is in step with no image's
# width, so that a visit's pixels lie in different columns.
_VISITS = 61
_VISIT_PIXELS = 64
# Observations in the buffer: 15 MB of three channels, and as much again while it is refilled.
_BUFFERED = 2**19
# What the moments of the targets are estimated from: observations, and visits at most.
_MEASURED = 2**16
_MEASURED_VISITS = 2**14


class StackObservations(Observations):
    """Observations whose colours are read from an :class:`~sklrelight.ImageStack` when they are needed.

    Parameters
    ----------
    lights, pixels, image_shape, rows, pixel_weight, saturation
        As in :class:`~sklrelight.neural.Observations`.

    targets : ImageStack
        Encoded photographs.
    """

    @property
    def n_channels(self):
        """Number of channels."""
        return self.targets.n_channels

    def colours(self, light, pixel):
        """Read the colours of some observations. This is fast if they are ordered by light.

        Parameters
        ----------
        light, pixel : Tensor of int of shape (n_observations,)
            Light and pixel of each observation.

        Returns
        -------
        Tensor of shape (n_observations, n_channels)
            Encoded colours.
        """
        rows, pixels = self.rows[light].cpu().numpy().reshape(-1), pixel.cpu().numpy().reshape(-1)
        values = np.empty((len(rows), self.n_channels), np.float32)
        for row in np.unique(rows):
            some = np.flatnonzero(rows == row)
            first, last = pixels[some].min(), pixels[some].max() + 1
            stretch = self.targets.read(slice(row, row + 1), slice(int(first), int(last)))[0]
            values[some] = stretch[pixels[some] - first]
        return torch.from_numpy(values).to(self.lights.device).reshape(*light.shape, self.n_channels)

    def target_moments(self):
        """Estimate the mean and the standard deviation of the colours whose weight is not 0, from a sample of them.

        Returns
        -------
        mean, deviation : float
            Mean and standard deviation of about 65,536 observations that are spread evenly. If all colours are equal,
            the deviation is given as 1.
        """
        tiles = Tiles(self)
        n_all = self.n_lights * tiles.n_places * tiles.n_visits
        n_wanted = min(_MEASURED_VISITS, math.ceil(_MEASURED / tiles.counts.mean()))
        visits = np.arange(n_all)
        if n_all > n_wanted:
            # Multiples of the golden ratio: evenly spread, and no draw from torch's generator.
            visits = np.unique((np.arange(n_wanted) * ((np.sqrt(5) - 1) / 2) % 1 * n_all).astype(np.int64))
        place, visit, light = np.unravel_index(visits, (tiles.n_places, tiles.n_visits, self.n_lights))
        values = tiles.read(light, place, visit)[2].astype(np.float64)
        if self.saturation is not None:
            values = values[values < self.saturation]
        if not values.size or values.std() <= 1e-6 * abs(values.mean()):
            return (float(values.mean()) if values.size else 0.0), 1.0
        return float(values.mean()), float(values.std())

    def random_batches(self, batch_length, limit, generator):
        """Draw the batches of an epoch from a :class:`ShuffleBuffer`.

        Parameters
        ----------
        batch_length : int
            Number of observations in a batch.

        limit : float
            Number of observations with which the epoch ends, rounded up to whole batches.

        generator : torch.Generator
            Generator of the order, on the CPU.

        Yields
        ------
        X, y : Tensor
            Batches, as from `batch`.
        """
        for light, pixel, y in ShuffleBuffer(self, batch_length, generator, limit):
            device = self.lights.device
            yield self.batch(light.to(device), pixel.to(device), y.to(device))


class Tiles:
    """Tiles: stretches of pixels of one photograph, from which each visit reads an equal part.

    Parameters
    ----------
    observations : StackObservations
        Observations of the photographs.

    Attributes
    ----------
    n_places : int
        Number of stretches of a photograph that contain an observation.

    n_visits : int
        Number of visits after which each pixel of a tile has been read once.
    """

    def __init__(self, observations):
        stack = observations.targets
        self.stack, self.rows = stack, observations.rows.cpu().numpy()
        width = min(_TILE_PIXELS, stack.n_pixels)
        if stack.rows_at_a_time > 1:
            # A chunk is read as a whole, whatever is wanted of it.
            width = min(stack.n_pixels, stack.rows_at_a_time * stack.shape[2])
        self.n_visits = max(1, min(_VISITS, width // _VISIT_PIXELS))
        self.inside = None
        inside = np.ones(stack.n_pixels, bool)
        if observations.n_pixels < stack.n_pixels:
            inside[:] = False
            inside[observations.pixel_rows.cpu().numpy()] = True
            self.inside = inside
        starts = np.arange(0, stack.n_pixels, width)
        counts = np.zeros((len(starts), self.n_visits), np.int64)
        for place, start in enumerate(starts):
            stretch = inside[start : start + width]
            for visit in range(min(self.n_visits, len(stretch))):
                counts[place, visit] = stretch[visit :: self.n_visits].sum()
        held = counts.any(axis=1)
        self.starts, self.counts = starts[held], counts[held]
        self.ends = np.minimum(self.starts + width, stack.n_pixels)
        self.n_places = len(self.starts)

    def read(self, light, place, visit):
        """Read the observations of some visits.

        Parameters
        ----------
        light, place, visit : ndarray of int of shape (n,)
            Light and place of each tile, and the part of it to read.

        Returns
        -------
        light, pixel : ndarray of int of shape (n_observations,)
            Light and pixel of each observation.

        values : ndarray of shape (n_observations, n_channels), float32
            Encoded colours.
        """
        # In the order in which they lie on the disk.
        order = np.lexsort([place, self.rows[light]])
        light, place, visit = light[order], place[order], visit[order]
        starts = self.starts[place] + visit
        values, pixels, counts = self.stack.read_tiles(self.rows[light], starts, self.ends[place], self.n_visits)
        light = np.repeat(light, counts)
        if self.inside is not None:
            kept = self.inside[pixels]
            light, pixels, values = light[kept], pixels[kept], values[kept]
        return light, pixels, values


class ShuffleBuffer:
    """Random observations of photographs on disk, each once in an epoch.

    A visit reads every 61st pixel of a tile, which is a stretch of pixels of one photograph: 67 observations for some
    pages of the disk. The visits are ordered like the pixels in :class:`~sklrelight.neural.TrainingBatches`: in each
    round, every place in the image is visited once, under one of the lights. The half million observations in the
    buffer, from 7,800 tiles, therefore cover the image and the lights evenly. Batches are drawn from the whole buffer.
    When half of it has been drawn, it is replaced by observations that another thread has read meanwhile. The order
    depends on the generator alone, not on the thread.

    Parameters
    ----------
    observations : StackObservations
        Observations to draw from.

    batch_length : int
        Number of observations in a batch.

    generator : torch.Generator
        Generator of the order, on the CPU.

    limit : float, default=inf
        Number of observations with which the epoch ends, rounded up to whole batches.

    buffered : int or None, default=None
        Number of observations in the buffer, which holds at least two batches. None: 524,288.
    """

    def __init__(self, observations, batch_length, generator, limit=math.inf, buffered=None):
        self.generator = generator
        self.tiles = Tiles(observations)
        self.n_lights = observations.n_lights
        self.batch_length = batch_length
        self.limit = math.ceil(limit / batch_length) * batch_length if limit < math.inf else limit
        self.half = max(batch_length, (_BUFFERED if buffered is None else buffered) // 2)

    def __iter__(self):
        plans = self._plans()
        with ThreadPoolExecutor(1) as reader:
            coming: Future | None = reader.submit(self._read, next(plans))
            buffer = None
            while coming is not None:
                read = coming.result()
                buffer = read if buffer is None else [torch.cat(pair) for pair in zip(buffer, read, strict=True)]
                plan = next(plans, None)
                coming = None if plan is None else reader.submit(self._read, plan)
                n_left = 0 if coming is None else self.half
                order = torch.randperm(len(buffer[0]), generator=self.generator)
                n_out = max(0, len(order) - n_left)
                if coming is not None:
                    n_out -= n_out % self.batch_length
                for batch in order[:n_out].split(self.batch_length):
                    if len(batch):
                        yield [column[batch] for column in buffer]
                buffer = [column[order[n_out:]] for column in buffer]

    def _read(self, plan):
        return [torch.from_numpy(column) for column in self.tiles.read(*plan)]

    def _plans(self) -> Iterator[list[np.ndarray]]:
        """Divide the visits of an epoch into halves of a buffer."""
        plan, n_planned, n_all = [], 0, 0
        for light, place, visit in self._rounds():
            counts = self.tiles.counts[place, visit]
            start = 0
            while start < len(counts):
                # As many visits as fill up the half, or reach the limit.
                wanted = min(self.half - n_planned, self.limit - n_all)
                stop = start + int(np.searchsorted(counts[start:].cumsum(), wanted)) + 1
                some = slice(start, stop)
                plan.append((light[some], place[some], visit[some]))
                n_planned += int(counts[some].sum())
                n_all += int(counts[some].sum())
                start = stop
                if n_planned >= self.half or n_all >= self.limit:
                    yield [np.concatenate(column) for column in zip(*plan, strict=True)]
                    plan, n_planned = [], 0
                if n_all >= self.limit:
                    return
        if plan:
            yield [np.concatenate(column) for column in zip(*plan, strict=True)]

    def _rounds(self):
        n_places, n_visits = self.tiles.n_places, self.tiles.n_visits
        # The first pixel of a visit, so that no part of the image has a phase of its own.
        phase_of_light = torch.randint(n_visits, (self.n_lights,), generator=self.generator)
        phase_of_place = torch.randint(n_visits, (n_places,), generator=self.generator)
        for first in range(n_visits):
            light_order = torch.randperm(self.n_lights, generator=self.generator)
            shift = torch.randint(self.n_lights, (n_places,), generator=self.generator)
            for i in range(self.n_lights):
                place = torch.randperm(n_places, generator=self.generator)
                light = light_order[(i + shift[place]) % self.n_lights]
                visit = (first + phase_of_light[light] + phase_of_place[place]) % n_visits
                taken = self.tiles.counts[place.numpy(), visit.numpy()] > 0
                yield light.numpy()[taken], place.numpy()[taken], visit.numpy()[taken]
