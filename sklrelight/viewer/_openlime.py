"""Any fitted model for OpenLIME, the viewer of museums: :func:`export_openlime`."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from tqdm import tqdm

from ..utils._lights import are_directions
from ._bilinear import reduce_to_grid
from ._distillation import training_lights
from ._relight import check_folder, load_relight, save_relight
from ._surface import LightSurface

__all__ = ["export_openlime"]

_FEWEST_LIGHTS = 24
_LARGEST_RESOLUTION = 64


def export_openlime(
    relighter,
    folder,
    *,
    n_planes=None,
    resolution=None,
    psnr=42.0,
    layout="image",
    normals=None,
    lights=None,
    white="auto",
    n_lights=None,
    quality=98,
    title="Relighting",
    openlime_url="openlime.min.js",
    verbose=0,
):
    """Write a fitted model as a folder for OpenLIME, the viewer in which museums show RTI.

    Parameters
    ----------
    relighter : Relighter
        Model fitted to photographs of shape (n, H, W, 3) or (n, H, W) under directions. Any estimator with `predict`
        will do if `lights` are given.

    folder : path-like
        The folder to write, which must not exist or be empty.

    n_planes : int or None, default=None
        Number of bytes stored for each pixel, before compression: a multiple of 3, at most 48, or 45 with `normals`.
        None: the fewest that reach `psnr`.

    resolution : int or None, default=None
        Number N of the N x N directions of the grid, between which the viewer interpolates, 2 to 64. None: 8, 12, 16,
        24 or 32, the fewest with which so many planes reach `psnr`.

    psnr : float, default=42.0
        Peak signal-to-noise ratio to reach, in decibels, for encoded values with a range of 1. It is measured under
        directions that are left out for this.

    layout : {"image", "deepzoom"}, default="image"
        Whole images, of at most 4096 pixels, or tiles of several resolutions, of which a browser loads what it shows.

    normals : array-like of shape (H, W, 3) or None, default=None
        Normals of the surface: unit vectors with x to the right, y up, and z to the camera. The viewer can then show
        them, and diffuse and specular shading.

    lights : array-like of shape (n_lights, 3) or None, default=None
        Directions that enclose those of the grid. None: the lights that `relighter` was fitted to. The light below them
        looks as the nearest of them.

    white : float, None or "auto", default="auto"
        Radiance that is shown as white, by the encoding :func:`~sklrelight.metrics.encode_display`. None: values are
        shown as they are, which suits models that predict values for display. ``"auto"``:
        :func:`~sklrelight.metrics.display_white` of predictions.

    n_lights : int or None, default=None
        Number of whole images that the model predicts for it, at least 24. None: as many as have 25 million pixels
        together, at least 64 and at most 256. A :class:`~sklrelight.Relighter` also predicts coarse images, which cost
        little, for at least 256 lights.

    quality : int, default=98
        Quality of the JPEG files, 1 to 100.

    title : str, default="Relighting"
        Title of the page, which is shown as plain text.

    openlime_url : str, default="openlime.min.js"
        Where the page loads OpenLIME from. This package does not bring it, because its licence is another.

    verbose : int, default=0
        1: show a progress bar.

    Returns
    -------
    BilinearTextureMap
        What was written, as it is read from the folder: it predicts what the viewer shows. Its `psnr` says how near it
        is to `relighter`, without the loss by JPEG.

    Raises
    ------
    ImportError
        If OpenCV is missing: ``pip install 'sklrelight[images]'``.

    OSError
        If the folder holds files already, or cannot be written. Nothing is left of it then.

    ValueError
        If the lights are positions or lie in a plane, the model does not predict images of 1 or 3 channels, or a
        parameter is out of its range.

    See Also
    --------
    export_html : A page of our own, as one file, which also shows lights at positions.
    save_relight : Write a polynomial texture map or hemispherical harmonics in the same format.

    Notes
    -----
    The format is that of RelightLab [1]_, type ``bilinear``, colour space ``mrgb``: see :class:`BilinearTextureMap`.
    The planes are principal components of the pixels, described by the values that they take under the predicted
    lights. The basis is interpolated to the grid by a thin plate spline and rounded to bytes, and then the coefficients
    are fitted anew to the rounded basis. Large images are predicted some lights at a time, into a temporary file.

    The page has to come from a web server, such as ``python -m http.server``: browsers do not read `info.json` from a
    file. OpenLIME draws in linear light with 8 bits, so that encoded values below 0.06 are shown in two steps.

    References
    ----------
    .. [1] F. Ponchio, M. Corsini, R. Scopigno, "RELIGHT: A compact and accurate RTI representation for the web",
       Graphical Models 105, 2019.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> from sklrelight.viewer import export_openlime
    >>> lights = np.random.default_rng(0).normal((0, 0, 1), 0.4, size=(20, 3))
    >>> lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    >>> model = RBFInterpolation().fit(lights, np.maximum(lights[:, 2], 0)[:, None, None] * np.ones((20, 8, 8)))
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     folder = pathlib.Path(parent, "web")
    ...     shown = export_openlime(model, folder, lights=lights, white=None, n_planes=3, resolution=8, n_lights=40)
    ...     sorted(path.name for path in folder.iterdir())
    ['index.html', 'info.json', 'plane_0.jpg']
    """
    lights = training_lights(relighter, lights)
    if not are_directions(lights):
        raise ValueError(
            f"lights of shape {lights.shape} are positions, or lie in a plane; OpenLIME moves directions: wanted three"
            " columns of length 1. To make a position a direction, subtract the position of the object and divide by"
            " the length, before the fit; export_html shows positions"
        )
    most_planes = _check(n_planes, resolution, psnr, white, n_lights, normals)
    check_folder(folder, n_planes or 3, None if normals is None else np.shape(normals)[:2], layout, normals, quality)
    with tqdm(desc="Predicting", unit="image", disable=not verbose) as bar:

        def progress(total=None):
            if total is None:
                bar.update()
            else:
                bar.total = total

        reduced = reduce_to_grid(
            relighter,
            LightSurface.of(lights),
            white=white,
            n_planes=n_planes,
            resolution=resolution,
            psnr=psnr,
            n_lights=n_lights,
            most_planes=most_planes,
            progress=progress,
        )
    save_relight(
        folder, reduced, layout=layout, normals=normals, quality=quality, title=title, openlime_url=openlime_url
    )
    return replace(load_relight(folder), psnr=reduced.psnr)


def _check(n_planes, resolution, psnr, white, n_lights, normals):
    """Check parameters; return the most planes."""
    most = 48 if normals is None else 45
    if n_planes is not None and not (
        isinstance(n_planes, Integral) and 3 <= int(n_planes) <= most and n_planes % 3 == 0
    ):
        raise ValueError(f"n_planes={n_planes!r}, wanted a multiple of 3 from 3 to {most}, what OpenLIME shows")
    if resolution is not None and not (
        isinstance(resolution, Integral) and 2 <= int(resolution) <= _LARGEST_RESOLUTION
    ):
        raise ValueError(f"resolution={resolution!r}, wanted an integer from 2 to {_LARGEST_RESOLUTION}")
    if not (isinstance(psnr, Real) and 0 < float(psnr) < 100):
        raise ValueError(f"psnr={psnr!r}, wanted decibels between 0 and 100")
    if not (white is None or white == "auto" or (isinstance(white, Real) and 0 < float(white) < np.inf)):
        raise ValueError(f"white={white!r}, wanted a finite radiance above 0, None or 'auto'")
    if n_lights is not None and not (isinstance(n_lights, Integral) and int(n_lights) >= _FEWEST_LIGHTS):
        raise ValueError(f"n_lights={n_lights!r}, wanted an integer of at least {_FEWEST_LIGHTS}")
    return most
