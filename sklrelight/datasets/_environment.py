"""Environment maps as sets of lights."""

import heapq

import numpy as np

from ..utils import naming


def environment_to_lights(image, n_lights, *, rotation=0.0):
    """Turn a lat-long environment map into weighted directions, by median cuts.

    The map is cut into regions, always the one with the most energy into two of nearly the same; each
    becomes one light, where the centre of its energy is [1]_. What the lights give together is what the map
    gives, channel by channel.

    Parameters
    ----------
    image : array-like of shape (height, width, 3) or (height, width)
        Linear radiance, not negative. Row 0 is straight up, the last row straight down; the middle of the
        map is where the camera looks (-z), the middle of its right half is to the right (x).
    n_lights : int
        How many lights, from 1 to the number of pixels.
    rotation : float, default=0.0
        Degrees that the map is turned by about the upright axis: positive to the right, as the camera sees
        it.

    Returns
    -------
    lights : ndarray of shape (n_lights, 3), float64
        Unit vectors towards the lights: x right, y up, z to the camera. Lights with z < 0 stand behind the
        scene; a model of lights in front of it cannot know them.
    intensities : ndarray of shape (n_lights, 3) or, for a grey map, (n_lights,), float64
        Radiance times solid angle (steradian), summed over each region: a map of radiance 1 gives 4 pi in
        all.

    Raises
    ------
    ValueError
        If the image has another shape, holds negative or not finite values or is black, or `n_lights` is
        out of range.

    References
    ----------
    .. [1] P. Debevec, "A median cut algorithm for light probe sampling", SIGGRAPH 2005 posters.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.datasets import environment_to_lights
    >>> image = np.zeros((32, 64))
    >>> image[15:17, 47:49] = 10
    >>> lights, intensities = environment_to_lights(image, 1)
    >>> lights.round(3) + 0.0, intensities.round(3)
    (array([[1., 0., 0.]]), array([0.385]))
    """
    image = _check_map(image)
    height, width = image.shape[:2]
    if not isinstance(n_lights, (int, np.integer)) or not 1 <= n_lights <= height * width:
        raise ValueError(f"n_lights={n_lights!r}, wanted an integer from 1 to {height * width}, the number of pixels.")
    latitudes = np.pi / 2 - np.pi * (np.arange(height) + 0.5) / height
    edges = np.sin(np.pi / 2 - np.pi * np.arange(height + 1) / height)
    solid_angles = (edges[:-1] - edges[1:]) * (2 * np.pi / width)
    energy = image * solid_angles.reshape(-1, *[1] * (image.ndim - 1))
    total = energy.sum(axis=-1) if energy.ndim == 3 else energy

    regions = _median_cut(total, latitudes, n_lights)
    directions = _directions(latitudes, width, rotation)
    lights = np.array([_centre(total[region], directions[region]) for region in regions])
    return lights, np.array([energy[region].sum(axis=(0, 1)) for region in regions])


def _check_map(image):
    image = np.asarray(image)
    if image.dtype.kind == "c":
        raise ValueError(f"image must be real numbers, got {image.dtype}.")
    with naming("image"):
        image = image.astype(np.float64)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or image.size == 0:
        raise ValueError(f"image has shape {image.shape}, wanted (height, width, 3) or (height, width).")
    bad = ~(np.isfinite(image) & (image >= 0))
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad)[0][:2])
        raise ValueError(
            f"image holds {np.count_nonzero(bad)} values that are negative or not finite, the first at row {row}, "
            f"column {column}."
        )
    if not image.any():
        raise ValueError("image is black everywhere, wanted an environment that gives light.")
    return image


def _median_cut(energy, latitudes, n_regions):
    """Cut an array into regions (pairs of slices) of nearly the same energy."""
    height, width = energy.shape
    # Sums over any rectangle are differences of four entries.
    table = np.zeros((height + 1, width + 1))
    table[1:, 1:] = energy.cumsum(axis=0).cumsum(axis=1)

    def inside(top, bottom, left, right):
        return table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]

    whole = (0, height, 0, width)
    heap = [(-inside(*whole), whole)]
    done: list[tuple[int, int, int, int]] = []
    while len(heap) + len(done) < n_regions:
        _, region = heapq.heappop(heap)
        top, bottom, left, right = region
        if (bottom - top) * (right - left) == 1:
            done.append(region)  # a single pixel
            continue
        middle = latitudes[(top + bottom - 1) // 2]
        if bottom - top == 1 or (right - left > 1 and (right - left) * np.cos(middle) > bottom - top):
            cuts = np.arange(left + 1, right)
            first = inside(top, bottom, left, cuts)
            cut = cuts[np.argmin(np.abs(2 * first - inside(*region)))]
            halves = [(top, bottom, left, cut), (top, bottom, cut, right)]
        else:
            cuts = np.arange(top + 1, bottom)
            first = inside(top, cuts, left, right)
            cut = cuts[np.argmin(np.abs(2 * first - inside(*region)))]
            halves = [(top, cut, left, right), (cut, bottom, left, right)]
        for half in halves:
            heapq.heappush(heap, (-inside(*half), half))
    regions = sorted(done + [region for _, region in heap])
    return [(slice(top, bottom), slice(left, right)) for top, bottom, left, right in regions]


def _directions(latitudes, width, rotation):
    longitudes = 2 * np.pi * ((np.arange(width) + 0.5) / width - 0.5) + np.radians(rotation)
    cos = np.cos(latitudes)[:, np.newaxis]
    up = np.broadcast_to(np.sin(latitudes)[:, np.newaxis], (len(latitudes), width))
    return np.stack([cos * np.sin(longitudes), up, -cos * np.cos(longitudes)], axis=-1)


def _centre(energy, directions):
    """Return the direction of a region's energy."""
    mean = np.tensordot(energy, directions, axes=2)
    length = np.linalg.norm(mean)
    if length > 1e-6 * energy.sum():
        return mean / length
    # Light from all around has no direction, and neither has a black region: its brightest pixel stands for
    # it.
    return directions[np.unravel_index(np.argmax(energy), energy.shape)]
