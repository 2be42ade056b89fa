"""What people see of a rendered image: luminance, illuminance and glare."""

import re
import tempfile
from pathlib import Path

import numpy as np

from ..datasets import save_image
from ..utils import check_numbers, import_extra

__all__ = [
    "daylight_glare_probability",
    "luminance",
    "panorama_directions",
    "panorama_solid_angles",
    "panorama_to_fisheye",
    "vertical_illuminance",
]

# Radiance's lumens in a watt, and how much red, green and blue count.
_EFFICACY = 179.0
_WEIGHTS = np.array([0.265, 0.670, 0.065])


def luminance(images):
    """Compute luminance from Radiance's radiance.

    Parameters
    ----------
    images : array-like of shape (..., 3)
        Radiance in W/(m^2 sr), red, green and blue, as :func:`render_hours` returns it.

    Returns
    -------
    ndarray of shape (...), float32 or float64
        Luminance in cd/m^2: ``179 * (0.265 R + 0.670 G + 0.065 B)``.

    Raises
    ------
    ValueError
        If there are no three channels.

    Examples
    --------
    >>> from sklrelight.daylight import luminance
    >>> luminance([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]).round(2)
    array([179.  , 119.93])
    """
    images = check_numbers(images, "images")
    if images.shape[-1:] != (3,):
        raise ValueError(f"images has the shape {images.shape}, wanted red, green and blue in the last axis")
    return images @ (_EFFICACY * _WEIGHTS).astype(np.result_type(images, np.float32))


def vertical_illuminance(image, direction=None):
    """Compute the illuminance of an upright plane, such as that of an eye.

    Parameters
    ----------
    image : array-like of shape (height, 2 * height, 3) or (size, size, 3)
        Panorama, as from :func:`render_hours`, or square fisheye image of a half-space, as from
        :func:`panorama_to_fisheye`. Radiance in W/(m^2 sr).

    direction : array-like of shape (3,) or None, default=None
        Where the plane looks in a panorama: east, north, up. A fisheye image looks along its axis, and takes None.

    Returns
    -------
    float
        Illuminance in lux: the luminance of the half-space in front, times the cosine of the angle to `direction`,
        integrated over the solid angle.

    Raises
    ------
    ValueError
        If the image is neither, or the direction is missing or not wanted.

    Examples
    --------
    Under a sky of 1 W/(m^2 sr) all around, the illuminance is 179 pi.

    >>> import numpy as np
    >>> from sklrelight.daylight import vertical_illuminance
    >>> round(vertical_illuminance(np.ones((64, 128, 3)), [0, -1, 0]) / np.pi)
    179
    """
    image, forward = _check_view(image, direction)
    if forward is None:
        directions, solid_angles = _fisheye(len(image))
        cosines = directions[..., 2]
    else:
        cosines = panorama_directions(len(image)) @ forward
        solid_angles = panorama_solid_angles(len(image))
    return float(np.sum(luminance(image) * np.maximum(cosines, 0) * solid_angles, dtype=np.float64))


def daylight_glare_probability(image, direction=None, *, size=200):
    """Compute the daylight glare probability by Radiance's ``evalglare``.

    Parameters
    ----------
    image : array-like of shape (height, 2 * height, 3) or (size, size, 3)
        Panorama, as from :func:`render_hours`, or square fisheye image of a half-space, as from
        :func:`panorama_to_fisheye`. Radiance in W/(m^2 sr).

    direction : array-like of shape (3,) or None, default=None
        Where the eye looks in a panorama: east, north, up. A fisheye image looks along its axis, and takes None.

    size : int, default=200
        Side in pixels of the fisheye image that a panorama becomes.

    Returns
    -------
    float
        Share of people whom the glare would disturb, 0 to 1. Below 0.35 glare is imperceptible, above 0.45 intolerable.

    Raises
    ------
    ImportError
        If pyradiance is not installed.
    ValueError
        If the image is of another shape, or the direction is missing or not wanted.
    RuntimeError
        If ``evalglare`` fails. The message is its own.

    References
    ----------
    J. Wienold, J. Christoffersen, "Evaluation methods and development of a new glare prediction model for daylight
    environments with the use of CCD cameras", Energy and Buildings 38(7), 743-757, 2006.
    """
    radiance = import_extra("pyradiance", "daylight", "To compute glare")
    # That of a panorama itself: resampling shifts the edges of windows.
    illuminance = vertical_illuminance(image, direction)
    image, forward = _check_view(image, direction)
    if forward is not None:
        image = panorama_to_fisheye(image, forward, size=size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fisheye.hdr")
        save_image(path, image, header=["VIEW= -vta -vh 180 -vv 180"])
        # Lines such as "dgp,av_lum,E_v,...: 0.23 ..."
        answer = radiance.evalglare(path, ev=illuminance).decode()
    found = re.search(r"^dgp[^:]*:\s*(\S+)", answer, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"evalglare says nothing of glare: {answer.strip()!r}")
    return float(found[1])


def panorama_to_fisheye(panorama, direction, *, size=200):
    """Turn a panorama into what a fisheye lens of 180 degrees sees.

    Parameters
    ----------
    panorama : array-like of shape (height, 2 * height, 3)
        Panorama, as from :func:`render_hours`.

    direction : array-like of shape (3,)
        Where the lens looks: east, north, up. Straight up and down are allowed.

    size : int, default=200
        Side of the fisheye image in pixels.

    Returns
    -------
    ndarray of shape (size, size, 3)
        Angular (equidistant) fisheye image, Radiance's view type ``-vta``: the angle to the axis grows evenly up to 90
        degrees at the middle of each side, and is black beyond. Row 0 is up. Each pixel is that of the panorama at
        its place, so that small sources keep their brightness.

    Raises
    ------
    ValueError
        If the panorama is of another shape, or the direction is (0, 0, 0).

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.daylight import panorama_to_fisheye, vertical_illuminance
    >>> panorama = np.random.default_rng(0).random((64, 128, 3))
    >>> fisheye = panorama_to_fisheye(panorama, [1, 0, 0])
    >>> round(vertical_illuminance(fisheye) / vertical_illuminance(panorama, [1, 0, 0]), 2)
    1.0
    """
    panorama, forward = _check_view(panorama, direction)
    if forward is None:
        raise ValueError(f"panorama has the shape {panorama.shape}, wanted (height, 2 * height, 3)")
    if not isinstance(size, int | np.integer) or size < 1:
        raise ValueError(f"size={size!r}, wanted an integer above 0")
    up = np.array([0.0, 1.0, 0.0]) if abs(forward[2]) > 1 - 1e-9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    directions, solid_angles = _fisheye(int(size))
    rows, columns = pixels_of(directions @ np.stack([right, np.cross(right, forward), forward]), len(panorama))
    return panorama[rows, columns] * (solid_angles > 0)[..., np.newaxis]


def panorama_directions(height):
    """Compute the direction of each pixel of a panorama, of shape (height, 2 * height, 3): east, north, up."""
    up = np.pi / 2 - np.pi * (np.arange(height) + 0.5) / height
    around = np.pi * ((np.arange(2 * height) + 0.5) / height - 1)
    level = np.cos(up)[:, np.newaxis]
    sines = np.broadcast_to(np.sin(up)[:, np.newaxis], (height, 2 * height))
    return np.stack([level * np.sin(around), level * np.cos(around), sines], axis=-1)


def panorama_solid_angles(height):
    """Compute the solid angle in steradian of each pixel of a panorama.

    Parameters
    ----------
    height : int
        Height of the panorama in pixels.

    Returns
    -------
    ndarray of shape (height, 2 * height), float64
        Solid angles, 4 pi in all. They are suitable as `pixel_weight` of a model and a metric.

    Examples
    --------
    >>> from sklrelight.daylight import panorama_solid_angles
    >>> float(round(panorama_solid_angles(32).sum(), 4))
    12.5664
    """
    edges = np.cos(np.pi * np.arange(height + 1) / height)
    return np.repeat((edges[:-1] - edges[1:])[:, np.newaxis] * np.pi / height, 2 * height, axis=1)


def pixels_of(directions, height):
    """Find the rows and columns of a panorama in which directions, of shape (..., 3), lie."""
    up = np.arcsin(np.clip(directions[..., 2], -1, 1))
    around = np.arctan2(directions[..., 0], directions[..., 1])
    rows = np.floor((0.5 - up / np.pi) * height).astype(int)
    columns = np.floor((around / np.pi + 1) * height).astype(int)
    return np.clip(rows, 0, height - 1), columns % (2 * height)


def _fisheye(size):
    """Return the directions (right, up, forward) of a fisheye image's pixels, and their solid angles, 0 outside."""
    across = (np.arange(size) + 0.5) * 2 / size - 1
    x, y = np.meshgrid(across, -across)
    radius = np.hypot(x, y)
    angle = np.pi / 2 * radius
    # sin(angle) / angle is the stretch around the axis, 1 on it.
    stretch = np.sinc(angle / np.pi)
    directions = np.stack([np.pi / 2 * x * stretch, np.pi / 2 * y * stretch, np.cos(angle)], axis=-1)
    return directions, np.where(radius < 1, (np.pi / size) ** 2 * stretch, 0)


def _check_view(image, direction):
    """Return the image and, for a panorama, the unit vector along which it is looked at."""
    image = check_numbers(image, "image")
    if image.ndim != 3 or image.shape[2] != 3 or image.shape[1] not in (image.shape[0], 2 * image.shape[0]):
        raise ValueError(
            f"image has the shape {image.shape}, wanted a panorama, (height, 2 * height, 3), or a fisheye image,"
            " (size, size, 3)"
        )
    if image.shape[0] == image.shape[1]:
        if direction is not None:
            raise ValueError(f"direction={direction!r} for a fisheye image, which looks along its axis: leave it out")
        return image, None
    forward = np.asarray(np.nan if direction is None else direction, np.float64)
    length = np.linalg.norm(forward)
    if forward.shape != (3,) or not 0 < length < np.inf:
        raise ValueError(f"direction={direction!r}, wanted a vector for a panorama: east, north, up")
    return image, forward / length
