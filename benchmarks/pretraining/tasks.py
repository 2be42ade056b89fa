"""A task: photographs under some lights of a capture, what closed forms say about them, and photographs to predict."""

from dataclasses import dataclass

import numpy as np
import torch
from sizes import N_BINS, N_LOBES, NEIGHBOURS, STEPS

from sklrelight import LogExposureScaler
from sklrelight.interpolation._equations import Equations, Points

__all__ = ["Shading", "Task", "box_mean", "half_vectors", "load_capture", "make_task"]


def load_capture(path):
    """Load a capture as a user would: directions, values as floats, and whether they are stored for display."""
    with np.load(path) as file:
        images = file["images"]
        scale = 255 if images.dtype == np.uint8 else 1
        return file["lights"], images.astype(np.float32) / scale, bool(file["is_display"])


@dataclass
class Task:
    """Encoded values of some pixels, and what closed forms make of them. Pixels are the last but one axis.

    Attributes
    ----------
    lights, targets : tensor of shape (n, 3) and (m, 3)
        Given lights and those to predict.

    given, truth : tensor of shape (n, pixels, 3) and (m, pixels, 3)
        Encoded values.

    weights : tensor of shape (m, n)
        Weights of the interpolation.

    predicted, rough, physical : tensor of shape (m, pixels, 3)
        The interpolation; one by a kernel that overshoots less; and shading with the interpolated deviations from it.

    residuals, physical_residuals : tensor of shape (n, pixels, 3)
        Errors of the first and the last when each light is left out.

    local_residuals, local_contrast : tensor of shape (n, pixels, 3)
        Mean of the residuals, and of the values minus the value, over 5 x 5 pixels.

    shading, target_shading : tensor of shape (n, pixels, 3) and (m, pixels, 3)
        Encoded values of the shading alone.

    shadows, target_shadows : tensor of shape (n, pixels, 5) and (m, pixels, 5)
        Height of the light over the horizon of the surface that the normals make, and the quotients of values and
        shading: of the pixel, and of those along the light. For targets they are interpolated.

    normals, highlights : tensor of shape (pixels, 3)
        Normals by diffuse reflection and by highlights.

    misfit, roughness : tensor of shape (pixels,)
        Relative error of the shading; root mean square of the errors of `rough` when each light is left out.

    scale : tensor of shape (pixels,)
        Root mean square of the given values of each pixel.

    power : float
        Mean square of the given values in the whole image.
    """

    lights: torch.Tensor
    targets: torch.Tensor
    given: torch.Tensor
    truth: torch.Tensor
    weights: torch.Tensor
    predicted: torch.Tensor
    rough: torch.Tensor
    physical: torch.Tensor
    residuals: torch.Tensor
    physical_residuals: torch.Tensor
    local_residuals: torch.Tensor
    local_contrast: torch.Tensor
    shading: torch.Tensor
    target_shading: torch.Tensor
    shadows: torch.Tensor
    target_shadows: torch.Tensor
    normals: torch.Tensor
    highlights: torch.Tensor
    misfit: torch.Tensor
    roughness: torch.Tensor
    scale: torch.Tensor
    power: float
    scaler: LogExposureScaler


def box_mean(images, reach=2):
    """Average over windows of pixels; at the rim over those that there are. Shape (n, height, width, channels)."""

    def sums(values, axis):
        length = values.shape[axis]
        total = values.cumsum(axis)
        high = torch.arange(length).add(reach).clamp_max(length - 1)
        low = torch.arange(length).sub(reach + 1)
        lower = total.index_select(axis, low.clamp_min(0))
        shape = [1] * values.ndim
        shape[axis] = -1
        return total.index_select(axis, high) - lower * (low >= 0).view(shape)

    counts = sums(sums(torch.ones(1, *images.shape[1:3], 1), 1), 2)
    return sums(sums(images, 1), 2) / counts


def half_vectors(lights):
    """Compute unit vectors halfway between lights and a camera along z."""
    halves = lights + torch.tensor([0.0, 0.0, 1.0])
    return halves / halves.norm(dim=-1, keepdim=True).clamp_min(1e-6)


def fit_shading(lights, values, iterations=5):
    """Fit diffuse reflection to grey values of shape (n, pixels), robustly.

    Returns
    -------
    vectors : tensor of shape (pixels, 3)
        Normals times albedo.

    weights : tensor of shape (n, pixels)
        How far each value is taken for diffuse reflection of the lamp.
    """
    n_lights = len(lights)
    ordered = values.sort(0).values
    high, middle = ordered[int(0.8 * (n_lights - 1))], ordered[int(0.5 * (n_lights - 1))]
    weights = ((values <= high * 1.001) & (values > 0.2 * high)).float() + 1e-3
    products = (lights[:, :, None] * lights[:, None, :]).reshape(n_lights, 9)
    ridge = 1e-3 * torch.eye(3)
    for _ in range(iterations):
        matrix = (weights.T @ products).view(-1, 3, 3)
        matrix = matrix + ridge * (1e-3 + matrix.diagonal(dim1=1, dim2=2).sum(1)[:, None, None])
        vectors = torch.linalg.solve(matrix, ((weights * values).T @ lights)[..., None])[..., 0]
        shading = lights @ vectors.T
        spread = 0.08 * middle + 0.05 * high + 1e-5
        weights = 1 / (1 + ((values - shading.clamp_min(0)) / spread) ** 2) * ((shading > 0).float() + 1e-3)
    return vectors, weights


def integrate(normals):
    """Find the height field, in pixels, whose slopes come closest to those of normals of shape (height, width, 3)."""
    z = normals[..., 2].clamp_min(0.15)
    # Mirrored, so that the field is periodic.
    right, down = (-normals[..., 0] / z).clamp(-4, 4), (normals[..., 1] / z).clamp(-4, 4)
    right = torch.cat([right, -right.flip(1)], 1)
    right = torch.cat([right, right.flip(0)], 0)
    down = torch.cat([down, down.flip(1)], 1)
    down = torch.cat([down, -down.flip(0)], 0)
    rows, columns = right.shape
    u = 2 * np.pi * torch.fft.rfftfreq(columns)[None]
    v = 2 * np.pi * torch.fft.fftfreq(rows)[:, None]
    squares = u**2 + v**2
    squares[0, 0] = 1
    spectrum = -1j * (u * torch.fft.rfft2(right) + v * torch.fft.rfft2(down)) / squares
    return torch.fft.irfft2(spectrum, s=(rows, columns))[: rows // 2, : columns // 2]


class Shading:
    """Diffuse reflection and highlights of each pixel, and the height field of its normals.

    Parameters
    ----------
    lights : tensor of shape (n, 3)
        Given lights.

    encoded : tensor of shape (n, pixels, 3)
        Encoded values of all pixels.

    shape : tuple of int
        Height and width of the image.

    gammas : tuple of float, default=(2.2, 3.3, 4.8)
        Exponents among which the one is chosen that makes values linear.
    """

    def __init__(self, lights, encoded, shape, gammas=(2.2, 3.3, 4.8)):
        best = None
        for gamma in gammas:
            values = encoded.clamp_min(0) ** gamma
            grey = values[:, ::5].mean(-1)
            vectors, weights = fit_shading(lights, grey, 3)
            mean = (weights * grey).sum(0) / weights.sum(0)
            error, spread = grey - (lights @ vectors.T).clamp_min(0), grey - mean
            score = ((weights * error**2).sum(0) / ((weights * spread**2).sum(0) + 1e-12)).median()
            if best is None or score < best[0]:
                best = (score, gamma, values)
        _, self.gamma, values = best
        grey = values.mean(-1)
        vectors, weights = fit_shading(lights, grey)
        self.normals = vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-9)
        cosines = (lights @ self.normals.T).clamp_min(0)
        base = (weights * cosines**2).sum(0)[:, None] + 1e-4
        self.albedo = torch.einsum("np,npc->pc", weights * cosines, values) / base
        halves = half_vectors(lights)
        relative = grey / grey.amax(0).clamp_min(1e-9)
        highlights = (relative**3).T @ halves
        self.highlights = highlights / highlights.norm(dim=1, keepdim=True).clamp_min(1e-9)
        shaded = self.albedo.mean(-1) * cosines
        self.misfit = (weights * (grey - shaded) ** 2).sum(0) / ((weights * grey**2).sum(0) + 1e-12)
        excess = values - self.albedo * cosines[..., None]
        grey_excess = excess.mean(-1)
        lit = ((cosines > 0.05) & (grey_excess > -0.4 * shaded - 1e-6)).float()
        self._fit_lobes(halves, grey_excess, excess, lit)
        self.heights = integrate(self.normals.view(*shape, 3))
        self.shape = shape

    def _bins(self, halves):
        """Place angles between the normals and half vectors among the bins; shape (n, pixels)."""
        angles = torch.rad2deg(torch.arccos((halves @ self.normals.T).clamp(-1, 1))).clamp_max(89.9)
        return ((angles / 90) ** (1 / 1.5) * (N_BINS - 1)).clamp(0, N_BINS - 1.001)

    def _shapes(self, position):
        """Interpolate the lobes at positions among the bins; shape (..., n_lobes)."""
        lower = position.long()
        return torch.lerp(self.lobes[lower], self.lobes[lower + 1], position.frac()[..., None])

    def _fit_lobes(self, halves, grey, excess, lit):
        """Fit lobes of all pixels, and how much of each a pixel has, in turns."""
        position = self._bins(halves)
        place = position.round().long()
        centres = torch.linspace(0.08, 0.75, N_LOBES)[:, None]
        grid = torch.arange(N_BINS)[None] / (N_BINS - 1)
        # A narrow, a medium and a wide lobe to start from.
        self.lobes = (torch.exp(-0.5 * (grid / centres) ** 2)).T.contiguous()
        size = (grey.clamp_min(0) * lit).sum() / lit.sum().clamp_min(1)
        ridge = 0.7 * torch.eye(N_LOBES)
        flat = place.reshape(-1)
        identity = 1e-2 * torch.eye(N_LOBES)
        mean = torch.full((1, N_LOBES), float(size))
        for turn in range(4):
            shapes = self._shapes(position)
            weighted = shapes * lit[..., None]
            products = torch.einsum("npi,npj->pij", weighted, shapes)
            inverse = torch.linalg.inv(products + ridge)
            right = torch.einsum("npi,np->pi", weighted, grey) + mean @ ridge
            shares = torch.einsum("pij,pj->pi", inverse, right).clamp_min(0)
            mean = shares.mean(0, keepdim=True)
            if turn == 3:
                break
            wide = shares[None].expand(len(halves), -1, -1).reshape(-1, N_LOBES)
            masked = wide * lit.reshape(-1, 1)
            gram = torch.zeros(N_BINS, N_LOBES**2)
            gram.index_add_(0, flat, (masked[:, :, None] * wide[:, None]).flatten(1))
            sums = torch.zeros(N_BINS, N_LOBES).index_add_(0, flat, masked * grey.reshape(-1, 1))
            gram = gram.view(-1, N_LOBES, N_LOBES)
            level = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None].mean() + 1e-9
            lobes = torch.linalg.solve(gram + identity * level, (sums + 1e-2 * level * self.lobes)[..., None])
            self.lobes = lobes[..., 0].clamp_min(0)
            peak = self.lobes.amax(0).clamp_min(1e-9)
            self.lobes, mean = self.lobes / peak, mean * peak
        fitted = (shapes * shares).sum(-1)
        # The colour of the highlights, between that of the lamp and that of the pixel's own excess.
        own = torch.einsum("np,npc->pc", fitted * lit, excess).clamp_min(0)
        own = own + 0.1 * own.mean(-1, keepdim=True) + 1e-9
        self.colour = own / own.mean(-1, keepdim=True)
        self.shares = shares

    def __call__(self, lights):
        """Shade all pixels under lights of shape (m, 3); encoded."""
        cosines = (lights @ self.normals.T).clamp_min(0)
        position = self._bins(half_vectors(lights))
        shapes = self._shapes(position)
        highlight = (shapes * self.shares).sum(-1) * (cosines > 0)
        radiance = self.albedo * cosines[..., None] + highlight[..., None] * self.colour
        return radiance.clamp_min(0) ** (1 / self.gamma)

    def clearance(self, lights, pixels):
        """Compute how far lights stand above the horizon of some pixels, as a difference of slopes from -2 to 2."""
        rows, columns = pixels // self.shape[1], pixels % self.shape[1]
        flat = lights[:, :2].norm(dim=1).clamp_min(0.02)
        ahead, climb = lights[:, :2] / flat[:, None], (lights[:, 2] / flat).clamp_max(20)
        base = self.heights[rows, columns]
        result = torch.full((len(lights), len(pixels)), 2.0)
        for step in STEPS:
            there = self._step(rows, columns, ahead, step)
            slope = (self.heights.reshape(-1)[there] - base) / step
            result = torch.minimum(result, climb[:, None] - slope)
        return result.clamp(-2, 2)

    def _step(self, rows, columns, ahead, step):
        """Find the pixels at a distance along directions; shape (m, pixels)."""
        height, width = self.shape
        row = (rows - step * ahead[:, 1:]).round().clamp(0, height - 1).long()
        column = (columns + step * ahead[:, :1]).round().clamp(0, width - 1).long()
        return row * width + column

    def along(self, lights, pixels):
        """Find neighbours of some pixels along the lights: a list of tensors of shape (m, pixels)."""
        ahead = lights[:, :2] / lights[:, :2].norm(dim=1, keepdim=True).clamp_min(0.02)
        rows, columns = pixels // self.shape[1], pixels % self.shape[1]
        return [self._step(rows, columns, ahead, step) for step in NEIGHBOURS]


def make_task(lights, images, given, targets, pixels=None):
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

    Returns
    -------
    Task
        The task.
    """
    lights = lights / np.linalg.norm(lights, axis=1, keepdims=True)
    scaler = LogExposureScaler().fit(images[given])
    known = torch.as_tensor(scaler.transform(images[given]))
    truth = torch.as_tensor(scaler.transform(images[targets])).flatten(1, 2)
    points = Points(lights[given].astype(np.float64))
    weights, leave_out = [], []
    for kernel in ("thin_plate_spline", "linear"):
        equations = Equations(points, kernel, 1.0)
        solved = equations.weights(lights[targets].astype(np.float64), [0.0])[0]
        weights.append(torch.as_tensor(solved, dtype=torch.float32))
        left = equations.residuals(0.0)
        left[~equations.defined] = 0
        leave_out.append(torch.as_tensor(left, dtype=torch.float32))
    shape = images.shape[1:3]
    local = box_mean(known).flatten(1, 2)
    known = known.flatten(1, 2)
    given_lights = torch.as_tensor(lights[given], dtype=torch.float32)
    target_lights = torch.as_tensor(lights[targets], dtype=torch.float32)
    shading = Shading(given_lights, known, shape)
    power = float(known.square().mean())
    keep = torch.arange(known.shape[1]) if pixels is None else torch.as_tensor(pixels)
    shaded, target_shaded = shading(given_lights), shading(target_lights)[:, keep]
    # How bright the pixels are beside their shading: 0 in shadow.
    grey = shaded.mean(-1)
    quotients = (known.mean(-1) / (grey + 0.15 * known.mean((0, 2)) + 1e-4)).clamp(0, 2)
    shadows = [shading.clearance(given_lights, keep), quotients[:, keep]]
    shadows += [quotients.gather(1, index) for index in shading.along(given_lights, keep)]
    target_shadows = [shading.clearance(target_lights, keep), weights[1] @ quotients[:, keep]]
    for index in shading.along(target_lights, keep):
        target_shadows.append(torch.stack([w @ quotients[:, i] for w, i in zip(weights[1], index, strict=True)]))
    shaded, known, local, truth = (values[:, keep] for values in (shaded, known, local, truth))

    def apply(matrix, values):
        return (matrix @ values.reshape(len(values), -1)).view(-1, *values.shape[1:])

    return Task(
        lights=given_lights,
        targets=target_lights,
        given=known,
        truth=truth,
        weights=weights[0],
        predicted=apply(weights[0], known),
        rough=apply(weights[1], known),
        physical=target_shaded + apply(weights[0], known - shaded),
        residuals=apply(leave_out[0], known),
        physical_residuals=apply(leave_out[0], known - shaded),
        local_residuals=apply(leave_out[0], local),
        local_contrast=local - known,
        shading=shaded,
        target_shading=target_shaded,
        shadows=torch.stack(shadows, -1),
        target_shadows=torch.stack(target_shadows, -1),
        normals=shading.normals[keep],
        highlights=shading.highlights[keep],
        misfit=shading.misfit[keep],
        roughness=apply(leave_out[1], known).square().mean((0, 2)).sqrt(),
        scale=known.square().mean((0, 2)).sqrt() + 0.02 * power**0.5,
        power=power,
        scaler=scaler,
    )
