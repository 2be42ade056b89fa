"""A small decoder made of a fitted model: :func:`distill`."""

from numbers import Integral, Real

import numpy as np
from scipy.stats import entropy
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from ..metrics import display_white, encode_display
from ..utils import import_extra
from ._decoder import Decoder, interpolate, interpolation_weights
from ._surface import LightSurface, farthest_points

__all__ = ["MEASURED", "distill", "pick_lights", "predict_images", "sample_pixels", "training_lights", "with_channels"]

# Most pixels that the fitted model predicts for the decoder. Three networks of the default recipe take about 40 s for
# them on two cores.
_TEACHER_PIXELS = 6_400_000
_FEWEST_LIGHTS, _MOST_LIGHTS = 40, 256
# One light in so many is left out to measure the error.
MEASURED = 8
# A layer of the page's texture holds four codes.
_LAYER = 4
_MOST_CODES = 64
# Most bits of a pixel's codes, compressed: 400 x 400 pixels then take 3.8 million bytes, and 5.1 million as text.
_BITS = 8 * 24
# Number of pixels from which principal axes are computed, and on which errors are measured.
_SAMPLE_PIXELS = 2**14
# Standard deviation that the rounding of one code adds to encoded values: a tenth of a step of 255.
_ROUNDING = 0.1 / 255
# Values predicted at a time: 64 MB.
_BLOCK_VALUES = 2**24


def distill(relighter, *, lights=None, white="auto", psnr=42.0, n_lights=None, max_size=1024, verbose=0):
    """Make a small decoder that imitates a fitted model.

    Parameters
    ----------
    relighter : Relighter
        Model fitted to photographs of shape (n, H, W, 3) or (n, H, W). Any estimator with `predict` will do if `lights`
        are given.

    lights : array-like of shape (n_lights, d) or None, default=None
        Lights that enclose those of the decoder. None: the lights that `relighter` was fitted to.

    white : float, None or "auto", default="auto"
        Radiance that is shown as white, by the encoding :func:`~sklrelight.metrics.encode_display`. None: values are
        shown as they are, which suits the stored values of 8-bit captures. ``"auto"``:
        :func:`~sklrelight.metrics.display_white` of the predictions.

    psnr : float, default=42.0
        Peak signal-to-noise ratio to reach, in decibels, for encoded values with a range of 1. The decoder gets no more
        codes than this takes, at most 64, and at most as many as 24 bytes for each pixel can hold once compressed.

    n_lights : int or None, default=None
        Number of images that the model predicts for it. None: as many as have 6.4 million pixels together, at least 40
        and at most 256.

    max_size : int, default=1024
        Largest height and width of the decoder's images. Larger ones are reduced.

    verbose : int, default=0
        1: show a progress bar.

    Returns
    -------
    Decoder
        The decoder, with its measured `psnr`.

    Raises
    ------
    ImportError
        If images have to be reduced, and OpenCV is missing.

    ValueError
        If a parameter is out of its range, the model does not predict images of 1 or 3 channels, or the lights span
        neither a dome nor a plane.

    Notes
    -----
    The codes are principal components of the pixels, rounded to 8 bits. A pixel is described by the values that it
    takes under the predicted lights, in all channels together. One light in eight is left out at first, to measure how
    many codes reach `psnr`; the decoder is then made from all lights, so that it is nearer to the model than what was
    measured.

    A network of codes and light, as in [1]_, was tried in place of the sum: with as many codes, 20 times the operations
    and a minute of training, it stays 3.5 to 4.4 dB below the sum (docs/viewer.md has the measurements).

    References
    ----------
    .. [1] T. G. Dulecha, F. A. Fanni, F. Ponchio, F. Pellacini, A. Giachetti, "Neural reflectance transformation
       imaging", The Visual Computer 36, 2161-2174, 2020.

    Examples
    --------
    >>> from sklrelight import Relighter
    >>> from sklrelight.datasets import make_scene
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> from sklrelight.viewer import distill
    >>> scene = make_scene(n_lights=16, image_shape=(12, 16))
    >>> decoder = distill(Relighter(RBFInterpolation()).fit(scene.lights, scene.images), psnr=40)
    >>> decoder.psnr > 40
    True
    """
    surface = LightSurface.of(training_lights(relighter, lights))
    _check_parameters(white, psnr, n_lights, max_size)
    candidates = surface.spread_points()
    blocks: list[np.ndarray] = []
    with tqdm(desc="Predicting", unit="image", disable=not verbose) as progress:
        first = predict_images(relighter, surface.to_lights(candidates[:1]), max_size)
        if n_lights is None:
            n_lights = int(np.clip(_TEACHER_PIXELS // np.prod(first.shape[1:3]), _FEWEST_LIGHTS, _MOST_LIGHTS))
        points = pick_lights(surface, candidates, min(n_lights, len(candidates)))
        progress.total = len(points)
        for block in gen_batches(len(points), max(1, _BLOCK_VALUES // first.size)):
            blocks.append(predict_images(relighter, surface.to_lights(points[block]), max_size))
            progress.update(len(blocks[-1]))
    images = np.concatenate(blocks)
    del blocks
    if white == "auto":
        white = display_white(images) or 1.0
    if white is not None:
        images = encode_display(images, white)
    nodes = surface.to_nodes(points)

    measured = np.arange(len(points)) < len(points) // MEASURED
    n_codes, reached = _MOST_CODES, np.inf
    if measured.any():
        errors = _errors(images, nodes, measured)
        n_codes, reached = _choose(-10 * np.log10(np.maximum(errors, 1e-12)), psnr)
    codes, factors, _ = _components(images, n_codes)
    weights = interpolation_weights(nodes.astype(np.float32).astype(np.float64), factors)
    return Decoder(surface, codes, nodes.astype(np.float32), weights.astype(np.float32), white, float(reached))


def pick_lights(surface, candidates, n_lights):
    """Pick lights: first some spread evenly to measure the error, then others that lie far from each other."""
    measured = candidates[: n_lights // MEASURED]
    rest = candidates[len(measured) :]
    return np.vstack([measured, rest[farthest_points(surface.to_nodes(rest), n_lights - len(measured))]])


def training_lights(relighter, lights):
    """Return the lights that were passed, or else those that a model was fitted to."""
    if lights is None:
        lights = getattr(relighter, "lights_", None)
        if lights is None:
            check_is_fitted(relighter)
            raise ValueError(f"this {type(relighter).__name__} does not know the lights it was fitted to: pass lights=")
    return check_array(lights, dtype=np.float64, input_name="lights")


def _check_parameters(white, psnr, n_lights, max_size):
    if not (white is None or white == "auto" or (isinstance(white, Real) and 0 < float(white) < np.inf)):
        raise ValueError(f"white must be a finite radiance above 0, None or 'auto'; got {white!r}")
    if not (isinstance(psnr, Real) and 0 < float(psnr) < 100):
        raise ValueError(f"psnr must lie between 0 and 100 decibels, got {psnr!r}")
    if not (n_lights is None or (isinstance(n_lights, Integral) and int(n_lights) >= 2)):
        raise ValueError(f"n_lights must be an integer of at least 2, or None; got {n_lights!r}")
    if not (isinstance(max_size, Integral) and 1 <= int(max_size) <= 2048):
        raise ValueError(f"max_size must be an integer from 1 to 2048, what all browsers draw; got {max_size!r}")


def predict_images(relighter, lights, max_size):
    """Predict images of shape (m, h, w, C), reduced to at most `max_size`."""
    return resize(with_channels(relighter.predict(lights)), max_size)


def with_channels(images):
    """Check that predictions are images, and give them an axis of channels."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            f"predictions of shape {images.shape[1:]}: a page shows images of shape (H, W, 3), (H, W, 1) or (H, W)"
        )
    return images


def resize(images, max_size):
    """Reduce images to a largest side, by means over areas.

    Parameters
    ----------
    images : ndarray of shape (m, H, W, C)
        Linear radiance.

    max_size : int
        Largest height and width of the result.

    Returns
    -------
    ndarray of shape (m, h, w, C), float32
        Reduced images, or the images as they are where they are no larger.

    Examples
    --------
    >>> resize(np.ones((1, 40, 20, 3), np.float32), 10).shape
    (1, 10, 5, 3)
    """
    images = images.astype(np.float32, copy=False)
    factor = max_size / max(images.shape[1:3])
    if factor >= 1:
        return images
    cv2 = import_extra("cv2", "images", f"To reduce images to max_size={max_size}")
    height, width = (max(1, round(side * factor)) for side in images.shape[1:3])
    reduced = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(reduced).reshape(len(images), height, width, -1)


def _errors(images, nodes, measured):
    """Measure the mean squared errors of the first 0, 1, 2, ... codes at lights that are left out."""
    codes, factors, zeros = _components(images[~measured], _MOST_CODES)
    weights = interpolation_weights(nodes[~measured], factors)
    held_out = interpolate(nodes[measured], nodes[~measured], weights)
    pixels = sample_pixels(images[0].shape[0] * images[0].shape[1])
    # Without any code: the constant is meant for codes whose zeros are moved.
    constant = held_out[:, 0] + np.tensordot(held_out[:, 1:], zeros, axes=(1, 0))
    rest = images[measured].reshape(measured.sum(), -1, images.shape[3])[:, pixels] - constant[:, None]
    errors = [np.square(rest).mean()]
    for code, zero, factor in zip(codes, zeros, held_out.swapaxes(0, 1)[1:], strict=True):
        rest -= (code.ravel()[pixels] / 255 - zero)[:, None] * factor[:, None]
        errors.append(np.square(rest).mean())
    return np.array(errors)


def _choose(measured, wanted):
    """Choose the fewest codes in whole layers that reach `wanted` decibels, or nearly the best that was measured."""
    layers = measured[_LAYER::_LAYER] if len(measured) > _LAYER else measured[-1:]
    good = np.flatnonzero(layers >= min(wanted, layers.max() - 0.2))[0]
    return min(_LAYER * (int(good) + 1), len(measured) - 1), layers[good]


def _components(images, n_codes):
    """Compute principal components of the pixels.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C)
        Encoded images.

    n_codes : int
        Largest number of components.

    Returns
    -------
    codes : ndarray of shape (n_codes, H, W), uint8
        The components, rounded; fewer than asked for where they would take too much space.

    factors : ndarray of shape (n, n_codes + 1, C)
        Factors of a constant and of each code / 255, under each light.

    zeros : ndarray of shape (n_codes,)
        Value of each code / 255 that stands for 0.
    """
    n, height, width, n_channels = images.shape
    columns = images.reshape(n, -1, n_channels)
    sample = columns[:, sample_pixels(columns.shape[1])].swapaxes(0, 1).reshape(-1, n * n_channels).astype(np.float64)
    mean = sample.mean(axis=0)
    centred = sample - mean
    eigenvalues, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    # Smaller eigenvalues are noise of the arithmetic in float32.
    kept = np.flatnonzero(eigenvalues > 1e-12 * max(eigenvalues[-1], 1e-30))[::-1][:n_codes]
    if not len(kept):
        # All pixels are alike: one code without information.
        kept = np.array([len(mean) - 1])
    axes = vectors[:, kept]
    codes = np.empty((len(kept), columns.shape[1]), np.uint8)
    low, step = np.empty(len(kept)), np.empty(len(kept))
    bits, n_codes = 0.0, 0
    for block in gen_batches(len(kept), _LAYER):
        values = np.zeros((columns.shape[1], axes[:, block].shape[1]), np.float32)
        for image, part, center in zip(
            columns, axes[:, block].reshape(n, n_channels, -1), mean.reshape(n, -1), strict=True
        ):
            values += (image - center.astype(np.float32)) @ part.astype(np.float32)
        low[block], high = values.min(axis=0), values.max(axis=0)
        # A code of variance 1 changes encoded values by 1 / sqrt(n * C) on average. Finer steps would only take space.
        finest = _ROUNDING * np.sqrt(12 * n * n_channels)
        step[block] = np.maximum((high - low[block]) / 255, finest)
        codes[block] = np.round((values - low[block]) / step[block]).T
        bits += sum(entropy(np.bincount(code), base=2) for code in codes[block])
        if bits > _BITS and n_codes:
            break
        n_codes = block.stop
    codes, low, step, axes = codes[:n_codes], low[:n_codes], step[:n_codes], axes[:, :n_codes]
    factors = np.empty((n_codes + 1, n * n_channels))
    factors[0] = mean + axes @ low
    factors[1:] = (axes * (255 * step)).T
    zeros = -low / (255 * step)
    return codes.reshape(-1, height, width), factors.reshape(-1, n, n_channels).swapaxes(0, 1), zeros


def sample_pixels(n_pixels):
    """Pick pixels that are spread evenly and in step with no row or column."""
    if n_pixels <= _SAMPLE_PIXELS:
        return np.arange(n_pixels)
    golden = (5**0.5 - 1) / 2
    return np.unique((np.arange(1, _SAMPLE_PIXELS + 1) * golden % 1 * n_pixels).astype(np.int64))
