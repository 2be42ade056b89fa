"""Images of a scene under the light of each hour, rendered by Radiance."""

import hashlib
import os
import tempfile
from pathlib import Path

import joblib
import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from ..stacks import ImageStack
from ..utils import import_extra, replacing
from ._photometry import panorama_directions, panorama_solid_angles, pixels_of
from ._sun import check_hours

__all__ = ["DIRECT_ONLY", "render_hours"]

# Options of rtrace for the light that comes without reflection from the sun and, seen directly, from the sky.
DIRECT_ONLY = "-ab 0"
# Whole sky and ground of the brightness that gendaylit has computed.
_SKY = b"""
skyfunc glow sky_glow 0 0 4 1 1 1 0
sky_glow source sky 0 0 4 0 0 1 180
skyfunc glow ground_glow 0 0 4 1 1 1 0
ground_glow source ground 0 0 4 0 0 -1 180
"""
# Solid angle of gendaylit's sun, which is 0.533 degrees wide.
_SUN_SOLID_ANGLE = 2 * np.pi * (1 - np.cos(np.radians(0.533 / 2)))


def render_hours(
    scene,
    lights,
    view,
    path,
    *,
    height=64,
    options="-ab 2 -ad 256 -as 64 -ar 32 -aa 0.2",
    n_jobs=None,
    verbose=1,
):
    """Render a panorama for each hour into a file.

    Radiance's ``rtrace`` renders under the sky of Perez's all-weather model (``gendaylit``). If the function is stopped
    and called again with the same arguments, it goes on where it was, and what is complete is not rendered again: a
    hidden file beside `path` has the hours that are ready, and a text file what the images were made of.

    Parameters
    ----------
    scene : path-like or list of path-like
        Files of Radiance that describe the scene: x points east, y north and z up. They have no sky.

    lights : array-like of shape (n_hours, 5)
        Lights of the hours, as from :func:`sun_lights`.

    view : array-like of shape (3,)
        Point from which the panorama is seen, in the scene's unit.

    path : path-like
        ``.npy`` file to write, which appears when it is complete.

    height : int, default=64
        Height of a panorama in pixels. The width is twice that.

    options : str, default="-ab 2 -ad 256 -as 64 -ar 32 -aa 0.2"
        Options of ``rtrace`` that set the quality. ``DIRECT_ONLY`` renders what comes without a reflection: the
        sun's patches, and the sky in the windows. It takes a hundredth of the time, see
        :class:`~sklrelight.BaselineRelighter`.

    n_jobs : int or None, default=None
        Number of hours that are rendered at a time, as in joblib.

    verbose : int, default=1
        1: show a progress bar.

    Returns
    -------
    ImageStack
        Panoramas of shape (n_hours, `height`, 2 * `height`, 3), float32: radiance in W/(m^2 sr), red, green and blue,
        see :func:`luminance`. Row 0 is straight up. The middle column looks north, the middle of the right half east.

    Raises
    ------
    ImportError
        If pyradiance is not installed.
    ValueError
        If the lights or the view are of another shape, or there are no hours.
    RuntimeError
        If a program of Radiance fails. The message is its own.

    Notes
    -----
    One ray is traced through the middle of each pixel. The sun is smaller than a pixel, so a further ray is traced to
    its middle, and its light is spread over the pixel in which it stands. The illuminance is then right, but glare by
    the sun itself is that of a source as large as the pixel.

    The *matrix method* (``rcontrib`` with ``gendaymtx`` and ``dctimestep``) renders a year as well: the light of each
    of 145 or more patches of the sky is traced once, and an hour is a weighted sum. This is right for the light of the
    sky, and fast. The sun becomes as large as a patch, unless it is simulated apart (5-phase method).

    References
    ----------
    G. Ward, "The RADIANCE lighting simulation and rendering system", SIGGRAPH 1994, https://www.radiance-online.org
    """
    radiance = import_extra("pyradiance", "daylight", "To render")
    files = [Path(file) for file in ([scene] if isinstance(scene, str | os.PathLike) else scene)]
    hours = check_hours(lights)
    view = np.asarray(view, np.float64)
    if view.shape != (3,) or not np.isfinite(view).all():
        raise ValueError(f"view={view.tolist()}, wanted a point: x, y and z")
    if not isinstance(height, int | np.integer) or height < 2:
        raise ValueError(f"height={height!r}, wanted an integer of at least 2")
    path = Path(path)
    # What the file depends on. Of the scene's files only their own bytes count, not those that they refer to.
    contents = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    made_of = joblib.hash((contents, hours, view, int(height), options))
    note, partial = path.with_name(path.name + ".txt"), path.with_name(f".{path.stem}.{made_of}.part.npy")
    if path.exists() and note.exists() and note.read_text() == made_of:
        return ImageStack(path)
    if not partial.exists():
        with replacing(partial) as temporary:
            # Hours that are NaN are still to be rendered.
            shape = (len(hours), int(height), 2 * int(height), 3)
            np.lib.format.open_memmap(temporary, "w+", np.float32, shape)[...] = np.nan
    images = np.load(partial, mmap_mode="r+")
    missing = [row for row in range(len(hours)) if not np.isfinite(images[row]).all()]
    with tempfile.TemporaryDirectory() as folder:
        octree = Path(folder, "scene.oct")
        octree.write_bytes(radiance.oconv(*files, frozen=True, warning=False))
        # Threads suffice, as they wait for programs of their own.
        rendered = Parallel(n_jobs, prefer="threads", return_as="generator_unordered")(
            delayed(_render_hour)(octree, row, hours[row], view, int(height), options.split()) for row in missing
        )
        with tqdm(total=len(hours), initial=len(hours) - len(missing), desc="Rendering", disable=not verbose) as bar:
            for row, image in rendered:
                images[row] = image
                images.flush()
                bar.update()
    os.replace(partial, path)
    note.write_text(made_of)
    return ImageStack(path)


def _render_hour(scene, row, hour, view, height, options):
    """Render one hour under the scene's octree; return its row with its image."""
    radiance = import_extra("pyradiance", "daylight", "To render")
    sun, (direct, diffuse) = hour[:3], 1000 * hour[3:]
    # Degrees above the horizon, and west of south.
    altitude, azimuth = np.degrees([np.arcsin(min(sun[2], 1.0)), np.arctan2(-sun[0], -sun[1])])
    sky = radiance.gendaylit(altitude=altitude, azimuth=azimuth, dirnorm=direct, diffhor=diffuse, silent=True)
    octree = scene.with_name(f"{row}.oct")
    octree.write_bytes(radiance.oconv(stdin=sky + _SKY, octree=scene, warning=False))
    try:
        # Without the sun's own disc, which the middle of a pixel hits or misses by chance.
        image = _trace(octree, view, panorama_directions(height).reshape(-1, 3), [*options, "-dv-"])
        image = image.reshape(height, 2 * height, 3)
        disc, gap = (_trace(octree, view, sun[np.newaxis], ["-ab", "0", option])[0] for option in ("-dv+", "-dv-"))
    finally:
        octree.unlink()
    pixel = tuple(int(index) for index in pixels_of(sun, height))
    image[pixel] += (disc - gap) * (_SUN_SOLID_ANGLE / panorama_solid_angles(height)[pixel])
    return row, image


def _trace(octree, view, directions, options):
    radiance = import_extra("pyradiance", "daylight", "To render")
    rays = np.concatenate([np.broadcast_to(view, directions.shape), directions], axis=1).astype(np.float32)
    traced = radiance.rtrace(rays.tobytes(), octree, header=False, inform="f", outform="f", params=options)
    return np.frombuffer(traced, np.float32).reshape(-1, 3).copy()
