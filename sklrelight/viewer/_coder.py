"""Codes of the pixels of large images, from what a model predicts under few lights: :func:`make_coder`."""

import inspect
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from ..datasets._formats.codecs import decode_image
from ..metrics import display_white, encode_display
from ..utils import import_extra
from ._decoder import Decoder, interpolate, interpolation_weights
from ._distillation import MEASURED, pick_lights, with_channels
from ._surface import LightSurface

__all__ = ["Coder", "Parts", "encode_codes", "make_coder"]

# Lights and pixels of the sample from which it is learnt how the pixels vary with the light.
_SAMPLE_LIGHTS, _SAMPLE_PIXELS = 128, 2**15
# Numbers of lights to try. Every pixel is predicted under as many as are chosen.
_N_LIGHTS = (4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96)
_LAYER, _MOST_CODES = 4, 64
# What the coefficients of JPEG can be rounded to.
_ROUNDINGS = (64, 48, 32, 24, 20, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
# Parts of the image on which the loss by JPEG is measured, along each axis, and their largest side.
_N_PARTS, _PART_SIZE = 3, 256
# What more lights or codes have to gain if the error asked for is out of reach: 0.2 decibels.
_WORTHWHILE = 10**0.02
# Smallest share of an eigenvalue in the largest one that is more than rounding, and of a ridge in the mean variance.
_EPS = 1e-9


class Parts:
    """Predictions of parts of images, at their own cost if the model offers that.

    Parameters
    ----------
    relighter : estimator
        Model that predicts images of shape (H, W, 3), (H, W, 1) or (H, W). If its `predict` knows no `region`, whole
        images are predicted, and those of the last lights are kept.

    light : ndarray of shape (1, d)
        Any light, to learn the shape of the images.

    Attributes
    ----------
    image_shape : tuple of int
        Height and width.
    """

    def __init__(self, relighter, light):
        self.relighter = relighter
        self.by_region = "region" in inspect.signature(relighter.predict).parameters
        self._lights: Any = None
        self._images: Any = None
        known = getattr(relighter, "_target_shape", None) if self.by_region else None
        self.image_shape = self.predict(light).shape[1:3] if known is None or len(known) < 2 else known[:2]

    def predict(self, lights, region=None, step=1):
        """Predict images of shape (m, h, w, C) for lights, in a region, at each `step`-th pixel."""
        if self.by_region:
            part = {} if region is None and step == 1 else {"region": region, "downscale": step}
            return with_channels(self.relighter.predict(lights, **part))
        if self._lights is None or not np.array_equal(self._lights, lights):
            self._lights, self._images = lights, with_channels(self.relighter.predict(lights))
        top, left, height, width = (0, 0, *self._images.shape[1:3]) if region is None else region
        return self._images[:, top : top + height : step, left : left + width : step]

    def predict_coarse(self, lights, n_pixels):
        """Predict images of about so many pixels, some lights at a time."""
        height, width = self.image_shape
        step = int(np.ceil(np.sqrt(height * width / n_pixels)))
        return np.concatenate([self.predict(lights[block], step=step) for block in gen_batches(len(lights), 16)])


@dataclass(frozen=True)
class Coder:
    """What makes codes of pixels, and the decoder for these codes.

    Parameters
    ----------
    decoder : Decoder
        Decoder whose codes are those of no pixel.

    lights : ndarray of shape (m, d)
        Lights under which the pixels have to be predicted.

    center : ndarray of shape (m * C,)
        Encoded values under these lights whose components are all 0.

    axes : ndarray of shape (m * C, n_codes)
        A component is the product of the values and a column.

    low, step : ndarray of shape (n_codes,)
        Component whose code is 0, and what a code adds.

    roundings : list of int
        What the coefficients of the JPEG file of each code are rounded to.
    """

    decoder: Decoder
    lights: np.ndarray
    center: np.ndarray
    axes: np.ndarray
    low: np.ndarray
    step: np.ndarray
    roundings: list

    def components(self, images):
        """Compute components of shape (h, w, n_codes) of images under `lights`, of shape (m, h, w, C)."""
        return _columns(images, self.decoder.white, self.center) @ self.axes

    def encode(self, images):
        """Compute codes of shape (h, w, n_codes), uint8, of images under `lights`, of shape (m, h, w, C)."""
        codes = np.rint((self.components(images) - self.low) / self.step)
        return np.clip(codes, 0, 255, out=codes).astype(np.uint8)


def make_coder(parts, lights, *, white, psnr, n_lights):
    """Learn from a sample of pixels under many lights what codes say about them, and from which few lights they follow.

    Parameters
    ----------
    parts : Parts
        The model.

    lights : ndarray of shape (n, d)
        Lights that enclose those of the decoder.

    white, psnr, n_lights
        As in :func:`~sklrelight.viewer.export_page`.

    Returns
    -------
    Coder
    """
    surface = LightSurface.of(lights)
    candidates = surface.spread_points()
    points = pick_lights(surface, candidates, min(_SAMPLE_LIGHTS, len(candidates)))
    nodes, lights = surface.to_nodes(points), surface.to_lights(points)
    images = parts.predict_coarse(lights, _SAMPLE_PIXELS).astype(np.float32, copy=False)
    if white == "auto":
        white = display_white(images) or 1.0
    n_channels = images.shape[3]
    values = _columns(images, white).reshape(-1, len(lights) * n_channels).astype(np.float64)
    del images
    mean = values.mean(axis=0)
    values -= mean
    n_measured = len(points) // MEASURED
    wanted = 10 ** (-psnr / 10)
    tried = [n for n in _N_LIGHTS if n < len(points) - n_measured] if n_lights is None else [n_lights]
    errors = {}
    for n in tried or [len(points) - n_measured]:
        errors[n] = _errors(values, mean, nodes, n_measured, n, n_channels)
        # Half of the error is left to the rounding of the codes.
        if errors[n].min() <= wanted / 2:
            break
    n_lights = next(
        n for n in errors if errors[n].min() <= max(wanted / 2, _WORTHWHILE * min(map(np.min, errors.values())))
    )
    errors = errors[n_lights]
    n_codes = int(np.flatnonzero(errors <= max(wanted / 2, _WORTHWHILE * errors.min()))[0])
    few = slice(n_measured * n_channels, (n_measured + n_lights) * n_channels)
    axes, factors = _components(values, few, np.arange(len(mean)), max(1, -(-n_codes // _LAYER) * _LAYER))
    n_codes = axes.shape[1]
    reached = errors[min(n_codes, len(errors) - 1)]
    components = values[:, few] @ axes
    low, high = components.min(axis=0), components.max(axis=0)
    # Other pixels may lie a little outside.
    margin = 0.1 * (high - low) + 1e-6
    low, step = low - margin, (high - low + 2 * margin) / 255
    table = np.vstack([mean + low @ factors, 255 * step[:, None] * factors])
    table = table.reshape(n_codes + 1, len(points), n_channels).swapaxes(0, 1)
    weights = interpolation_weights(nodes.astype(np.float32).astype(np.float64), table).astype(np.float32)
    decoder = Decoder(surface, np.empty((n_codes, 0, 0), np.uint8), nodes.astype(np.float32), weights, white, np.inf)
    few_lights = lights[n_measured : n_measured + n_lights]
    center, axes, low, step = (array.astype(np.float32) for array in (mean[few], axes, low, step))
    coder = Coder(decoder, few_lights, center, axes, low, step, [])
    # The norm of each row of factors is 1, so that an error of a component is spread over all values.
    most = max(wanted - reached, wanted / 4) * len(mean) / n_codes
    roundings, losses = _choose_roundings(parts, coder, most)
    reached = float(-10 * np.log10(max(reached + sum(losses) / len(mean), 1e-12))) if n_measured else np.inf
    return replace(coder, decoder=replace(decoder, psnr=reached), roundings=roundings)


def _components(values, few, of, n_codes):
    """Find components of the columns `of` that follow from few columns: axes to multiply the few with, and factors.

    This is regression of reduced rank: principal components of what a linear regression on the few columns predicts.
    """
    some, all_ = values[:, few], values[:, of]
    gram = some.T @ some
    ridge = max(_EPS * np.trace(gram) / len(gram), 1e-30)
    predictors = np.linalg.solve(gram + ridge * np.eye(len(gram)), some.T @ all_)
    variances, vectors = np.linalg.eigh(predictors.T @ gram @ predictors)
    kept = np.flatnonzero(variances > _EPS * max(variances[-1], 1e-30))[::-1][:n_codes]
    if not len(kept):
        # All pixels are alike: one code without information.
        kept = np.array([len(variances) - 1])
    factors = vectors[:, kept].T
    return predictors @ factors.T, factors


def _errors(values, mean, nodes, n_measured, n_lights, n_channels):
    """Measure the mean squared error of the first 0, 1, 2, ... components at lights that are left out."""
    if not n_measured:
        return np.zeros(min(_MOST_CODES, n_lights * n_channels) + 1)
    start = n_measured * n_channels
    few = slice(start, start + n_lights * n_channels)
    axes, factors = _components(values, few, np.arange(start, values.shape[1]), _MOST_CODES)
    table = np.vstack([mean[None, start:], factors]).reshape(len(factors) + 1, -1, n_channels).swapaxes(0, 1)
    weights = interpolation_weights(nodes[n_measured:], table)
    held_out = interpolate(nodes[:n_measured], nodes[n_measured:], weights).swapaxes(0, 1).reshape(len(factors) + 1, -1)
    rest = values[:, :start] + mean[:start] - held_out[0]
    errors = [np.square(rest).mean()]
    for component, factor in zip((values[:, few] @ axes).T, held_out[1:], strict=True):
        rest -= component[:, None] * factor
        errors.append(np.square(rest).mean())
    return np.array(errors)


def _choose_roundings(parts, coder, most):
    """Choose the coarsest rounding of each code whose mean squared error is at most `most`; return the errors, too."""
    height, width = parts.image_shape
    shape = min(height, _PART_SIZE), min(width, _PART_SIZE)
    corners = [
        np.unique(np.linspace(0, side - size, _N_PARTS).astype(int))
        for side, size in zip((height, width), shape, strict=True)
    ]
    blocks = []
    for top in corners[0]:
        for left in corners[1]:
            blocks.append(coder.components(parts.predict(coder.lights, (int(top), int(left), *shape))))
    roundings, losses = [], []
    for code, (low, step) in enumerate(zip(coder.low, coder.step, strict=True)):
        planes = [block[..., code] for block in blocks]
        levels = [np.clip(np.rint((plane - low) / step), 0, 255).astype(np.uint8) for plane in planes]
        for rounding in _ROUNDINGS:
            loss = np.mean(
                [
                    np.square(decode_image(encode_codes(level, rounding), "a tile") * step + low - plane).mean()
                    for level, plane in zip(levels, planes, strict=True)
                ]
            )
            if loss <= most:
                break
        roundings.append(rounding)
        losses.append(loss)
    return roundings, losses


def encode_codes(levels, rounding):
    """Encode levels of shape (h, w), uint8, as a JPEG file, of which all coefficients are rounded alike."""
    file = io.BytesIO()
    image = import_extra("PIL.Image", "images", "To write tiles").fromarray(levels)
    # Tables meant for eyes would round high frequencies more, at more bytes for the same error.
    image.save(file, "JPEG", qtables=[[rounding] * 64], optimize=True)
    return file.getvalue()


def _columns(images, white, center=0):
    """Encode images of shape (m, h, w, C) as values of shape (h, w, m * C)."""
    values = images if white is None else encode_display(images, white)
    values = np.moveaxis(np.asarray(values, np.float32), 0, 2)
    return values.reshape(*values.shape[:2], -1) - np.float32(center)
