"""Finding out where lights were: on a mirror ball, or in the sky."""

import numpy as np
from scipy import ndimage

# A highlight that covers more of the ball than this is no small lamp.
_LARGEST_HIGHLIGHT = 0.2


def lights_from_sphere(images, circle):
    """Find light directions from the highlight on a mirror ball.

    The ball is seen from far away, so that all rays to the camera run along z. The highlight is what is
    connected with the brightest pixel and at least half as bright, with a rim of one pixel; the mirror
    directions of its pixels are averaged by brightness (each pixel of a mirror ball shows the same solid
    angle).

    Parameters
    ----------
    images : array-like of shape (n_lights, height, width, 3) or (n_lights, height, width)
        Linear radiance, row 0 at the top; one photograph a light.
    circle : (float, float, float)
        The ball's outline in pixels: column and row of its centre (0, 0 is the middle of the first pixel),
        and radius. It must lie in the image.

    Returns
    -------
    ndarray of shape (n_lights, 3), float64
        Unit vectors towards the lights: x right, y up, z to the camera.

    Raises
    ------
    ValueError
        If the shapes are others, the circle is not in the image, or a photograph shows no single small
        highlight. The message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.datasets import lights_from_sphere
    >>> image = np.zeros((101, 101))
    >>> image[50, 75] = 1  # half-way to the right rim, where the ball is inclined by 30 degrees
    >>> lights_from_sphere([image], circle=(50, 50, 50)).round(3)
    array([[0.866, 0.   , 0.5  ]])
    """
    images = images if isinstance(images, np.ndarray) else np.asarray(images)
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise ValueError(
            f"images has shape {images.shape}, wanted (n_lights, height, width, 3) or (n_lights, height, width)."
        )
    height, width = images.shape[1:3]
    centre_column, centre_row, radius = _check_circle(circle, height, width)
    rows, columns = np.mgrid[0:height, 0:width]
    right, up = (columns - centre_column) / radius, (centre_row - rows) / radius
    squared = right**2 + up**2
    on_ball = squared < 1
    # The mirror direction of the view (0, 0, 1) about the normal (right, up, n_z).
    towards = np.sqrt(np.maximum(1 - squared, 0))
    mirrored = np.stack([2 * towards * right, 2 * towards * up, 2 * towards**2 - 1], axis=-1)

    lights = np.empty((len(images), 3))
    for index, image in enumerate(images):
        grey = np.where(on_ball, image.mean(axis=-1) if image.ndim == 3 else image, 0)
        highlight = _highlight(grey, np.count_nonzero(on_ball), index)
        # The rim is only partly lit: brightness says how much.
        rim = ndimage.binary_dilation(highlight, structure=np.ones((3, 3)))
        mean = grey[rim] @ mirrored[rim]
        lights[index] = mean / np.linalg.norm(mean)
    return lights


def sun_to_direction(azimuth, altitude, *, heading=0.0):
    """Turn the sun's position into a light direction.

    Parameters
    ----------
    azimuth : array-like of float
        Degrees clockwise from north: 90 is east.
    altitude : array-like of float
        Degrees above the horizon, -90 to 90.
    heading : float, default=0.0
        Where the camera, held level, looks: degrees clockwise from north.

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
        raise ValueError(f"azimuth and heading must be finite, got {azimuth} and {heading}.")
    if not np.all(np.abs(altitude) <= 90):
        worst = altitude[~(np.abs(altitude) <= 90)].flat[0]
        raise ValueError(f"altitude holds {worst}, wanted degrees from -90 to 90.")
    turned, raised = np.radians(azimuth - heading), np.radians(altitude)
    return np.stack([np.cos(raised) * np.sin(turned), np.sin(raised), -np.cos(raised) * np.cos(turned)], axis=-1)


def _check_circle(circle, height, width):
    values = np.asarray(circle, dtype=np.float64)
    if values.shape != (3,) or not np.all(np.isfinite(values)) or values[2] <= 0:
        raise ValueError(f"circle={circle!r}, wanted (column, row, radius) with a radius above 0.")
    column, row, radius = (float(value) for value in values)
    # Half a pixel of slack: the outermost pixels reach that far.
    if not (radius - 0.5 <= column <= width - 0.5 - radius and radius - 0.5 <= row <= height - 0.5 - radius):
        raise ValueError(f"circle={circle!r} (column, row, radius) is not within images of {height} x {width} pixels.")
    return column, row, radius


def _highlight(grey, n_ball, index):
    peak = grey.max()
    if not (np.isfinite(peak) and peak > 0):
        raise ValueError(f"images[{index}] shows no highlight: the brightest value on the ball is {peak}.")
    labels, _ = ndimage.label(grey >= peak / 2, structure=np.ones((3, 3)))
    highlight = labels == labels[np.unravel_index(np.argmax(grey), grey.shape)]
    share = np.count_nonzero(highlight) / n_ball
    if share > _LARGEST_HIGHLIGHT:
        raise ValueError(
            f"images[{index}] shows no small highlight: what is at least half as bright as the brightest pixel covers "
            f"{share:.0%} of the ball."
        )
    return highlight
