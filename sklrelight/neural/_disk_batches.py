"""Observations of photographs on disk, drawn from a shuffle buffer that is refilled while a net trains."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, product

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
# Loads in the buffer, and observations of each: 25 MB of three channels in all, and as much that is read ahead. With a
# quarter of it, networks were 3 % worse than those that are given photographs in memory.
_LOADS = 4
_LOADED = 2**19
# Lights that are read together if a batch has single observations.
_GROUP = 32
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
        light, pixel : Tensor of int of shape (n_observations,), or (n_lights, 1) and (n_pixels,)
            Light and pixel of each observation, or lights and pixels: each light with each pixel.

        Returns
        -------
        Tensor of shape (n_observations, n_channels) or (n_lights, n_pixels, n_channels)
            Encoded colours.
        """
        light, pixel = torch.broadcast_tensors(light, pixel)
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

    def random_batches(self, n_pixels, n_groups, generator):
        """Draw the batches of an epoch from a :class:`ShuffleBuffer`.

        Parameters
        ----------
        n_pixels : int
            Number of pixels in a batch.

        n_groups : int
            Number of groups of lights, of which a batch has one. If there are as many as lights, each pixel of a batch
            has a light of its own.

        generator : torch.Generator
            Generator of the order, on the CPU.

        Yields
        ------
        X, y
            Batches, as from `batch`.
        """
        device = self.lights.device
        for light, pixel, y in ShuffleBuffer(self, n_pixels, n_groups, generator):
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
    pages of the disk. A load is the same visits to each photograph of a group of lights. The visits are ordered like
    the pixels in :class:`~sklrelight.neural.TrainingBatches`: in each round, every place in the image is visited once,
    under one of the groups. The buffer holds four loads of 524,288 observations, or, for single observations, as many
    smaller ones as there are groups. All batches are drawn from it, in random order, before it is filled again by what
    another thread has read meanwhile. The order depends on the generator alone, not on the thread.

    Parameters
    ----------
    observations : StackObservations
        Observations to draw from.

    n_pixels : int
        Number of pixels in a batch.

    n_groups : int
        Number of groups of lights, of which a batch has one. If there are as many as lights, each pixel of a batch has
        a light of its own.

    generator : torch.Generator
        Generator of the order, on the CPU.

    n_loaded : int or None, default=None
        Number of observations in each of four loads, which have the pixels of a batch at least. None: 524,288.
    """

    def __init__(self, observations, n_pixels, n_groups, generator, n_loaded=None):
        self.generator = generator
        self.tiles = Tiles(observations)
        self.n_lights = observations.n_lights
        self.n_pixels = n_pixels
        self.in_pairs = n_groups == self.n_lights
        # A load of a single light would not be mixed well, and single observations are mixed from all groups.
        self.n_groups = math.ceil(self.n_lights / _GROUP) if self.in_pairs else n_groups
        self.n_loads = self.n_groups if self.in_pairs else _LOADS
        per_light = (n_loaded or _LOADED) // math.ceil(self.n_lights / self.n_groups)
        # Pixels of a load, or of one load of each group.
        self.n_loaded = _LOADS * max(1, per_light) if self.in_pairs else max(n_pixels, per_light)

    def __iter__(self):
        plans = self._plans()
        mix = self._mix_pairs if self.in_pairs else self._mix_grids
        # What batches of whole size leave over, by group.
        left: dict[int, tuple] = {}
        with ThreadPoolExecutor(1) as reader:
            plan = [*islice(plans, self.n_loads)]
            coming = reader.submit(self._read, plan)
            while plan:
                loads = coming.result()
                plan = [*islice(plans, self.n_loads)]
                coming = reader.submit(self._read, plan)
                batches = mix(loads, left)
                for index in torch.randperm(len(batches), generator=self.generator).tolist():
                    yield batches[index]
        for light, pixel, y in left.values():
            if len(pixel):
                yield light, pixel, y

    def _mix_pairs(self, loads, left):
        """Divide single observations of all loads into batches."""
        flat = [
            (light.expand(-1, len(pixel)).flatten(), pixel.expand(len(light), -1).flatten(), y.flatten(0, 1))
            for _, light, pixel, y in loads
        ]
        flat += [left[0]] if left else []
        columns = [torch.cat(parts) for parts in zip(*flat, strict=True)]
        *batches, rest = self._divide(len(columns[0]))
        left[0] = tuple(column[rest] for column in columns)
        return [tuple(column[some] for column in columns) for some in batches]

    def _mix_grids(self, loads, left):
        """Divide the pixels of each load into batches."""
        batches = []
        for group, light, *loaded in loads:
            pixel, y = loaded
            if group in left:
                pixel, y = torch.cat([left[group][1], pixel]), torch.cat([left[group][2], y], dim=1)
            *own, rest = self._divide(len(pixel))
            left[group] = light, pixel[rest], y[:, rest]
            batches += [(light, pixel[some], y[:, some]) for some in own]
        return batches

    def _divide(self, length):
        """Divide a random order into batches of whole size and what is left over."""
        order = torch.randperm(length, generator=self.generator)
        n_whole = length - length % self.n_pixels
        return [*(order[:n_whole].split(self.n_pixels) if n_whole else ()), order[n_whole:]]

    def _read(self, plan):
        """Read loads: for each the number of its group, its lights and pixels, and their colours."""
        loads = []
        for group, lights, places, visits in plan:
            n_visits = len(places)
            light, pixel, values = self.tiles.read(
                np.repeat(lights, n_visits), np.tile(places, len(lights)), np.tile(visits, len(lights))
            )
            light, pixel = light.reshape(len(lights), -1)[:, :1], pixel.reshape(len(lights), -1)[0]
            values = values.reshape(len(lights), len(pixel), -1)
            loads.append((group, *(torch.from_numpy(column) for column in (light, pixel, values))))
        return loads

    def _plans(self) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Divide the visits of an epoch into loads."""
        n_places, n_visits = self.tiles.n_places, self.tiles.n_visits
        groups = torch.randperm(self.n_lights, generator=self.generator).tensor_split(self.n_groups)
        # The first pixel of a visit, so that no part of the image has a phase of its own.
        phase_of_group = torch.randint(n_visits, (self.n_groups,), generator=self.generator)
        phase_of_place = torch.randint(n_visits, (n_places,), generator=self.generator)
        shift = torch.randint(self.n_groups, (n_places,), generator=self.generator)
        planned: list[list[tuple[int, int]]] = [[] for _ in groups]
        n_planned = [0] * self.n_groups
        for first, number in product(range(n_visits), range(self.n_groups)):
            order = torch.randperm(n_places, generator=self.generator)
            group_of_place = (number + shift[order]) % self.n_groups
            visit_of_place = (first + phase_of_group[group_of_place] + phase_of_place[order]) % n_visits
            columns = (column.tolist() for column in (order, group_of_place, visit_of_place))
            for place, group, visit in zip(*columns, strict=True):
                count = int(self.tiles.counts[place, visit])
                if not count:
                    continue
                planned[group].append((place, visit))
                n_planned[group] += count
                # All groups at once have every place about equally often, since a round is divided among them.
                full = range(self.n_groups) if self.in_pairs else (group,)
                if sum(n_planned[some] for some in full) < self.n_loaded:
                    continue
                for some in full:
                    if planned[some]:
                        yield some, groups[some].numpy(), *np.array(planned[some]).T
                    planned[some], n_planned[some] = [], 0
        for group, lights in enumerate(groups):
            if planned[group]:
                yield group, lights.numpy(), *np.array(planned[group]).T
