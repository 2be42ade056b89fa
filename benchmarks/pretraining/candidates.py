"""What the mixture is given: interpolations by several kernels, their leave-one-out errors, and closed forms."""

from functools import partial

import numpy as np
import torch
from matrices import BENT, GAMMAS, Matrices
from sklearn.preprocessing import FunctionTransformer
from tasks import Shading, box_mean

from sklrelight import LogExposureScaler
from sklrelight.metrics import display_white, encode_display

__all__ = ["make_scaler", "make_task"]


def make_scaler(images, stored):
    """Fit the encoding of photographs: as they are stored, of which none is negative, or by exposure."""
    scaler = FunctionTransformer(inverse_func=partial(np.maximum, 0)) if stored else LogExposureScaler()
    return scaler.fit(images)


def apply(matrix, values):
    """Multiply values of shape (n, ...) by a matrix of shape (m, n)."""
    return (matrix @ values.reshape(len(values), -1)).view(-1, *values.shape[1:])


def interpolate(matrices, values):
    """List the interpolations of values: as they are, of their squares, and of their roots."""

    def square(x):
        return x * x.abs()

    def root(x):
        return x.abs().sqrt() * x.sign()

    plain = [apply(matrix, values) for matrix in matrices]
    squares = [root(apply(matrices[j], square(values))) for j in BENT]
    return plain + squares + [square(apply(matrices[j], root(values))) for j in BENT]


def make_task(lights, images, given, targets, pixels=None, *, stored=False):
    """Encode the given photographs, and compute what closed forms say.

    Parameters
    ----------
    lights : ndarray of shape (n_lights, 3)
        All lights of a capture.

    images : ndarray of shape (n_lights, height, width, 3)
        All photographs.

    given, targets : ndarray of int
        Indices of the lights that are given, and of those to predict.

    pixels : ndarray of int or None, default=None
        Indices of the pixels to keep. None: all.

    stored : bool, default=False
        Whether values count as encoded as they are, which those of 8 bits do.

    Returns
    -------
    dict
        Tensors by name. Pixels are the last axis but one of those with channels, and else the last one.
        ``truth`` and ``slope`` serve for training: encoded values to predict, and how steep the encoding for display
        is there.
    """
    lights = (lights / np.linalg.norm(lights, axis=1, keepdims=True)).astype(np.float32)
    scaler = make_scaler(images[given], stored)
    known = torch.as_tensor(scaler.transform(images[given]))
    matrices = Matrices(lights[given])
    weights = torch.as_tensor(matrices.weights(lights[targets]))
    residuals = torch.as_tensor(matrices.residuals)
    local = box_mean(known).flatten(1, 2)
    known = known.flatten(1, 2)
    given_lights, target_lights = torch.as_tensor(lights[given]), torch.as_tensor(lights[targets])
    shading = Shading(given_lights, known, images.shape[1:3], GAMMAS)
    power = float(known.square().mean())
    keep = torch.arange(known.shape[1]) if pixels is None else torch.as_tensor(pixels)
    shaded, target_shaded = shading(given_lights), shading(target_lights)[:, keep]
    quotients = (known.mean(-1) / (shaded.mean(-1) + 0.15 * known.mean((0, 2)) + 1e-4)).clamp(0, 2)
    shadows = [shading.clearance(given_lights, keep), quotients[:, keep]]
    shadows += [quotients.gather(1, index) for index in shading.along(given_lights, keep)]
    target_shadows = [shading.clearance(target_lights, keep), weights[1] @ quotients[:, keep]]
    for index in shading.along(target_lights, keep):
        target_shadows.append(torch.stack([w @ quotients[:, i] for w, i in zip(weights[1], index, strict=True)]))
    shaded, known, local = shaded[:, keep], known[:, keep], local[:, keep]
    physical = apply(residuals[1], known - shaded)
    left_out = torch.eye(len(known)) - residuals
    errors = [*(known - predicted for predicted in interpolate(left_out, known)), physical]
    task = {
        "lights": given_lights,
        "targets": target_lights,
        "weights": weights,
        "given": known,
        "candidates": torch.stack(
            [
                *interpolate(weights, known),
                target_shaded + apply(weights[1], known - shaded),
                target_shaded,
            ]
        ),
        "residuals": errors[1],
        "spline_residuals": errors[0].mean(-1, keepdim=True),
        "physical_residuals": physical,
        "local_residuals": apply(residuals[1], local).mean(-1, keepdim=True),
        "local_contrast": (local - known).mean(-1, keepdim=True),
        "shading": shaded,
        "shadows": torch.stack(shadows, -1),
        "target_shadows": torch.stack(target_shadows, -1),
        "normals": shading.normals[keep],
        "highlights": shading.highlights[keep],
        "misfit": shading.misfit[keep],
        # Mean squares of the leave-one-out errors of all candidates but the last.
        "squares": torch.stack([error.square().mean((0, 2)) for error in errors]),
        "scale": known.square().mean((0, 2)).sqrt() + 0.02 * power**0.5,
        "power": torch.tensor(power),
    }
    task["all_squares"] = task["squares"].mean(1)
    truth = torch.as_tensor(scaler.transform(images[targets])).flatten(1, 2)[:, keep]
    white = None if stored else display_white(images[given])
    step = 0.01
    shown = []
    for encoded in (truth + step, (truth - step).clamp_min(0)):
        values = scaler.inverse_transform(encoded.numpy())
        shown.append(np.clip(values, 0, 1) if stored else encode_display(values, white))
    slope = torch.as_tensor((shown[0] - shown[1]) / (2 * step))
    return task | {"truth": truth, "slope": slope / slope.square().mean().sqrt().clamp_min(1e-6)}
