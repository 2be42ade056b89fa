"""Where lights are: in the sky, and in an environment map."""

import heapq

import numpy as np

from ..utils import check_numbers
from ._formats.images import check_image_shape, check_values

__all__ = ["environment_to_lights", "sun_to_direction"]


def sun_to_direction(azimuth, altitude, *, heading=0.0):
    """Turn the sun's position into a light direction.

    Parameters
    ----------
    azimuth : array-like of float
        Degrees clockwise from north: 90 is east.

    altitude : array-like of float
        Degrees above the horizon, -90 to 90.

    heading : float, default=0.0
        Direction in which the camera, held level, looks: degrees clockwise from north.

    Returns
    -------
    ndarray of shape (..., 3), float64
        Unit vectors towards the sun: x right, y up, z to the camera (away from where it looks).

    Raises
    ------
    ValueError
        If a value is not finite, or an altitude out of range.

    Examples
    --------
    The camera looks north; the sun rises in the east and is at noon behind it.

    >>> import numpy as np
    >>> from sklrelight.datasets import sun_to_direction
    >>> sun_to_direction([90, 180], [0, 60]).round(3) + 0.0
    array([[1.   , 0.   , 0.   ],
           [0.   , 0.866, 0.5  ]])

    Further columns, such as a sky's turbidity, may follow the three.

    >>> np.column_stack([sun_to_direction([90, 180], [0, 60]), [2.5, 3.0]]).shape
    (2, 4)
    """
    azimuth, altitude = np.broadcast_arrays(
        np.asarray(azimuth, dtype=np.float64), np.asarray(altitude, dtype=np.float64)
    )
    if not (np.all(np.isfinite(azimuth)) and np.isfinite(heading)):
        raise ValueError(f"azimuth and heading must be finite, got {azimuth} and {heading}")
    if not np.all(np.abs(altitude) <= 90):
        worst = altitude[~(np.abs(altitude) <= 90)].flat[0]
        raise ValueError(f"altitude holds {worst}, wanted degrees from -90 to 90")
    turned, raised = np.radians(azimuth - heading), np.radians(altitude)
    return np.stack([np.cos(raised) * np.sin(turned), np.sin(raised), -np.cos(raised) * np.cos(turned)], axis=-1)


def environment_to_lights(image, n_lights, *, rotation=0.0):
    """Turn a latitude-longitude environment map into directions with intensities, by median cuts [1]_.

    The region with the most energy, at first the whole map, is cut into two of nearly the same energy until there are
    `n_lights` regions. Each becomes one light at the centre of its energy. Together the lights give what the map gives,
    channel by channel.

    Parameters
    ----------
    image : array-like of shape (height, width, 3) or (height, width)
        Linear radiance, not negative. Row 0 is straight up, the last row straight down; the middle of the map is where
        the camera looks (-z), the middle of its right half is to the right (x).

    n_lights : int
        Number of lights, from 1 to the number of pixels.

    rotation : float, default=0.0
        Angle in degrees by which the map is turned about the upright axis: positive to the right, as the camera sees
        it.

    Returns
    -------
    lights : ndarray of shape (n_lights, 3), float64
        Unit vectors towards the lights: x right, y up, z to the camera. Lights with z < 0 stand behind the scene; a
        model of lights in front of it cannot know them.

    intensities : ndarray of shape (n_lights, 3) or, for a grey map, (n_lights,), float64
        Radiance times solid angle (steradian), summed over each region: a map of radiance 1 gives 4 pi in all.

    Raises
    ------
    ValueError
        If the image has another shape, holds negative or not finite values or is black, or `n_lights` is out of range.

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
        raise ValueError(f"n_lights={n_lights!r}, wanted an integer from 1 to {height * width}, the number of pixels")
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
    image = check_numbers(image, "image").astype(np.float64)
    check_image_shape(image.shape, "image")
    check_values(np.isfinite(image) & (image >= 0), "image", "negative or not finite")
    if not image.any():
        raise ValueError("image is black everywhere, wanted an environment that gives light")
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
        vertical = bottom - top == 1 or (right - left > 1 and (right - left) * np.cos(middle) > bottom - top)
        cuts = np.arange(left + 1, right) if vertical else np.arange(top + 1, bottom)
        first = inside(top, bottom, left, cuts) if vertical else inside(top, cuts, left, right)
        cut = cuts[np.argmin(np.abs(2 * first - inside(*region)))]
        if vertical:
            halves = [(top, bottom, left, cut), (top, bottom, cut, right)]
        else:
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
    # Light from all around has no direction, and neither has a black region: its brightest pixel stands for it.
    return directions[np.unravel_index(np.argmax(energy), energy.shape)]
