"""Captures of random surfaces: height fields of several materials, photographed under many single lamps."""

import numpy as np
import torch
from torch import nn

__all__ = ["render_capture"]

# Pixels of the margin around the image, from which shadows fall into it.
_MARGIN = 16
# Steps of the search for the horizon along the light, in pixels.
_STEPS = np.geomspace(0.8, 28, 15)


def _noise(rng, side, exponent, cutoff=0.5):
    """Make a fractal field with a spectrum of ``frequency ** -exponent``, of mean 0 and standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) * frequency**-exponent * (frequency <= cutoff)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(side, side))
    return field / (field.std() + 1e-12)


def _heights(rng, side, hard=False):
    """Make a height field in units of pixels: a fractal with stamped spheres, blocks, grooves and bumps."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    angle = rng.uniform(0, 2 * np.pi)
    height = rng.choice([0, 0.3, 1, 3, 8], p=[0.1, 0.2, 0.3, 0.25, 0.15]) * _noise(rng, side, rng.uniform(1.6, 3))
    height += rng.choice([0, rng.normal(0, 0.3)]) * (np.cos(angle) * columns + np.sin(angle) * rows)
    if rng.random() < 0.25:
        # A rounded object that fills the image, and falls off to the ground at its rim.
        radius = rng.uniform(0.35, 0.9) * side
        squares = ((columns - rng.normal(0, 8)) / rng.uniform(0.7, 1.3)) ** 2 + (rows - rng.normal(0, 8)) ** 2
        height += rng.uniform(0.5, 1) * np.sqrt(np.maximum(radius**2 - squares, 0))
    for _ in range(rng.poisson(4)):
        x, y = rng.uniform(-0.45, 0.45, 2) * side
        size = rng.choice([3, 5, 8, 14]) * rng.uniform(0.7, 1.4)
        turn = rng.uniform(0, np.pi)
        u = np.cos(turn) * (columns - x) + np.sin(turn) * (rows - y)
        v = np.cos(turn) * (rows - y) - np.sin(turn) * (columns - x)
        kind = rng.integers(5)
        if kind == 0:
            cap = np.sqrt(np.maximum(size**2 - u**2 - v**2, 0)) * rng.uniform(0.4, 1)
            height = np.maximum(height, cap + height.mean()) if rng.random() < 0.5 else height + cap
        elif kind == 1:
            edge = rng.uniform(0.5, 2.5)
            box = np.clip((size - np.abs(u)) / edge, 0, 1)
            box = box * np.clip((size * rng.uniform(0.3, 1) - np.abs(v)) / edge, 0, 1)
            height = height + box * rng.uniform(-0.6, 1) * size
        elif kind == 2:
            height = height - rng.uniform(0.5, 3) * np.exp(-0.5 * (v / rng.uniform(0.7, 2.5)) ** 2)
        elif kind == 3:
            height = height + rng.uniform(-0.6, 1) * size * np.exp(-0.5 * (u**2 + v**2) / (0.6 * size) ** 2)
        else:
            period = rng.uniform(4, 14)
            window = np.exp(-0.5 * (u**2 + v**2) / (2 * size) ** 2)
            height = height + rng.uniform(0.2, 0.16 * period) * window * np.sin(2 * np.pi * u / period)
    if rng.random() < 0.4:
        height = height + rng.uniform(0.02, 0.35) * _noise(rng, side, rng.uniform(0, 1.2))
    if hard and rng.random() < 0.4:
        if rng.random() < 0.5:
            # Rough relief in its own shadow.
            height = height + rng.uniform(0.4, 1.5) * _noise(rng, side, rng.uniform(0.6, 1.4), rng.uniform(0.1, 0.4))
        else:
            # Threads of a textile.
            period = rng.uniform(3, 8)
            u, v = np.cos(angle) * columns + np.sin(angle) * rows, np.cos(angle) * rows - np.sin(angle) * columns
            weave = np.abs(np.sin(np.pi * u / period)) * (np.sin(np.pi * v / period) > 0)
            weave = weave + np.abs(np.sin(np.pi * v / period)) * (np.sin(np.pi * v / period) <= 0)
            height = height + rng.uniform(0.1, 0.4) * period * weave
    return height


def _directions(rng, n_lights):
    """Choose directions of lamps as on domes, rings, spirals, grids, or as held by hand."""
    lowest = np.sin(np.deg2rad(rng.uniform(8, 30)))
    highest = rng.choice([1.0, np.sin(np.deg2rad(rng.uniform(60, 88)))])
    kind = rng.choice(["dome", "rings", "spiral", "hand", "even"], p=[0.2, 0.2, 0.15, 0.25, 0.2])
    if kind in ("dome", "even"):
        ranks = np.arange(n_lights) + 0.5 if kind == "even" else n_lights * rng.random(n_lights)
        z = lowest + (highest - lowest) * ranks / n_lights
        azimuth = ranks * np.pi * (3 - np.sqrt(5)) if kind == "even" else rng.uniform(0, 2 * np.pi, n_lights)
    elif kind == "rings":
        counts = rng.integers(3, 7)
        ring = np.arange(n_lights) % counts
        z = np.sin(np.linspace(np.arcsin(lowest), np.arcsin(min(highest, 0.98)), counts))[ring]
        azimuth = 2 * np.pi * (np.arange(n_lights) // counts) / -(-n_lights // counts) + ring * rng.uniform(0, 1)
    elif kind == "spiral":
        t = (np.arange(n_lights) + 0.5) / n_lights
        z = np.sin(np.arcsin(lowest) + (np.arcsin(highest) - np.arcsin(lowest)) * t)
        azimuth = 2 * np.pi * rng.uniform(3, 8) * t
    else:
        z = lowest + (highest - lowest) * rng.beta(1.5, 1.2, n_lights)
        azimuth = rng.normal(rng.integers(0, 6, n_lights) * np.pi / 3, 0.5)
    azimuth = azimuth + rng.uniform(0, 2 * np.pi)
    radius = np.sqrt(np.maximum(1 - z**2, 0))
    directions = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)
    directions += rng.normal(0, rng.choice([0, 0.02]), directions.shape)
    directions[:, 2] = np.maximum(directions[:, 2], 0.1)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _materials(rng, side, height):
    """Choose, for each pixel, albedo and specular colour of shape (side, side, 3), and squared roughness."""
    n_materials = rng.choice([1, 2, 3, 4], p=[0.35, 0.3, 0.2, 0.15])
    albedo, specular, alpha = np.empty((side, side, 3)), np.empty((side, side, 3)), np.empty((side, side))
    field = _noise(rng, side, rng.uniform(1, 2.5))
    if rng.random() < 0.3:
        field = field + 2 * (height - height.mean()) / (height.std() + 1e-6)
    cuts = np.quantile(field, np.sort(rng.random(n_materials - 1)))
    index = np.searchsorted(cuts, field)
    for number in range(n_materials):
        inside = index == number
        grey = rng.uniform(0.04, 0.9) ** 1.5
        colour = np.clip(grey * np.exp(rng.normal(0, rng.choice([0.03, 0.3, 0.8]), 3)), 0.005, 0.95)
        rough = np.exp(rng.uniform(np.log(0.12), np.log(0.9)))
        if rng.random() < 0.25:
            metal = np.clip(rng.uniform(0.4, 0.95) * np.exp(rng.normal(0, 0.15, 3)), 0.1, 0.98)
            share = rng.choice([0.0, 0.15])
            albedo[inside], specular[inside], rough = share * colour, metal, np.clip(rough, 0.2, 0.7)
        else:
            albedo[inside], specular[inside] = colour, rng.choice([0, 0.02, 0.04, 0.06], p=[0.1, 0.2, 0.5, 0.2])
        alpha[inside] = rough**2
    texture = np.exp(rng.choice([0, 0.08, 0.3, 0.6]) * _noise(rng, side, rng.uniform(0.3, 2)))
    albedo = np.clip(albedo * texture[..., None], 0, 0.98)
    alpha = np.clip(alpha * np.exp(rng.choice([0, 0.15, 0.4]) * _noise(rng, side, rng.uniform(0.5, 2))), 0.01, 1)
    return albedo, specular, alpha


def _blur(images, sigma):
    """Blur images of shape (n, channels, height, width) by a Gaussian; they lose a rim as wide as it reaches."""
    reach = int(np.ceil(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    n_channels = images.shape[1]
    for view in ((1, 1, -1, 1), (1, 1, 1, -1)):
        images = nn.functional.conv2d(images, kernel.view(view).expand(n_channels, -1, -1, -1), groups=n_channels)
    return images


def _place_lamps(rng, directions, position, side):
    """Find unit vectors to the lamps, of shape (n, side, side, 3), and their brightness over that in the middle."""
    to_light = torch.tensor(directions, dtype=torch.float32)[:, None, None, :]
    if rng.random() >= 0.4:
        return to_light.expand(-1, *position.shape[:2], -1), 1.0
    distance = rng.uniform(1.5, 6) * side
    to_light = to_light * distance - position
    length = to_light.norm(dim=-1, keepdim=True)
    return to_light / length, (distance / length) ** 2


def _cast_shadows(rng, height, position, to_light):
    """Find how much of each lamp each pixel sees, from 0 to 1, of shape (n, side, side)."""
    # How far the light's ray stays above the height field, in units of the lamp's apparent size.
    field = torch.tensor(height, dtype=torch.float32)[None, None]
    flat = to_light[..., :2].norm(dim=-1).clamp_min(1e-4)
    ahead, climb = to_light[..., :2] / flat[..., None], to_light[..., 2] / flat
    soft = float(rng.choice([0.03, 0.1, 0.25]))
    mean_height = float(height.mean())
    clearance = torch.full(flat.shape, torch.inf)
    for step in _STEPS:
        where = (position[..., :2] + float(step) * ahead) / (len(height) / 2)
        where = torch.stack([where[..., 0], -where[..., 1]], dim=-1).view(1, -1, where.shape[2], 2)
        there = nn.functional.grid_sample(field, where, align_corners=False, padding_mode="border")
        there = there.view(flat.shape) - mean_height
        clearance = torch.minimum(clearance, climb - (there - position[..., 2] - 0.05) / float(step))
    return (clearance / soft + 0.5).clamp(0, 1)


def _occlude(rng, position, to_light):
    """Let other objects, high above the surface, cast shadows: how much of each lamp is seen, from 0 to 1."""
    side = 192
    seen = torch.ones(to_light.shape[:3])
    for _ in range(rng.integers(1, 4)):
        field = _noise(rng, side, rng.uniform(1.6, 3))
        mask = 1 / (1 + np.exp(-(field - rng.uniform(0.5, 2)) * rng.uniform(3, 30)))
        above = np.exp(rng.uniform(np.log(10), np.log(80)))
        where = position[..., :2] + above * to_light[..., :2] / to_light[..., 2:].clamp_min(0.05)
        where = where / 96 + torch.tensor(rng.uniform(-0.5, 0.5, 2), dtype=torch.float32)
        # The field repeats itself.
        where = (where + 1) % 2 - 1
        mask = torch.tensor(mask, dtype=torch.float32)[None, None].expand(len(where), -1, -1, -1)
        seen = seen * (1 - nn.functional.grid_sample(mask, where, align_corners=False, padding_mode="border")[:, 0])
    return seen


def _reflect(rng, normals, materials, to_light, light):
    """Compute radiance of shape (n, side, side, 3): a diffuse part, a GGX lobe, and some light reflected before."""
    albedo, specular, alpha = materials
    n_l = (normals * to_light).sum(-1, keepdim=True).clamp_min(0)
    halfway = to_light + torch.tensor([0.0, 0.0, 1.0])
    halfway = halfway / halfway.norm(dim=-1, keepdim=True)
    n_h = (normals * halfway).sum(-1, keepdim=True).clamp(0, 1)
    n_v = normals[..., 2:].clamp_min(0.05)
    squared = alpha**2
    facets = squared / (np.pi * (n_h**2 * (squared - 1) + 1) ** 2)
    masked = 0.5 / (
        n_l * (n_v**2 * (1 - squared) + squared).sqrt() + n_v * (n_l**2 * (1 - squared) + squared).sqrt() + 1e-4
    )
    fresnel = specular + (1 - specular) * (1 - halfway[..., 2:].clamp(0, 1)) ** 5 * (specular > 0)
    shadow, falloff = light
    radiance = (albedo / np.pi * (1 - fresnel) + fresnel * facets * masked) * n_l * shadow[..., None] * falloff
    # Light that has been reflected before: about the same everywhere, but less in hollows.
    open_sky = (0.5 + 0.5 * normals[..., 2:]) * (0.3 + specular.mean(-1, keepdim=True))
    bounced = float(rng.choice([0, 0.03, 0.1, 0.25])) * radiance.mean((1, 2), keepdim=True)
    return radiance + bounced * (albedo + 0.3 * specular) * open_sky


def _expose(rng, radiance, clean):
    """Let lamps differ, choose an exposure, and add noise."""
    lamps = np.exp(rng.normal(0, rng.choice([0, 0.01, 0.03, 0.06]), len(radiance)))
    radiance = radiance * lamps[:, None, None, None].astype(np.float32)
    if rng.random() < 0.3:
        radiance = radiance.mean(-1, keepdims=True) + np.zeros(3, np.float32)
    # Exposed for the highlights, but not so that all else is black.
    white = np.quantile(radiance[::5], rng.choice([0.98, 0.995, 0.999, 0.9999]))
    radiance = radiance * rng.uniform(0.6, 1) / max(min(white, rng.uniform(6, 20) * radiance.mean()), 1e-9)
    shot, read = np.exp(rng.uniform(np.log(1e-6), np.log(3e-4))), np.exp(rng.uniform(np.log(3e-4), np.log(4e-3)))
    noise = rng.standard_normal(radiance.shape, dtype=np.float32)
    if clean:
        radiance, noise = radiance / lamps[:, None, None, None].astype(np.float32), np.zeros_like(noise)
    return radiance + np.sqrt(shot * np.maximum(radiance, 0) + read**2).astype(np.float32) * noise


def _store(rng, radiance):
    """Store photographs as a camera or a program may do, and say whether they are encoded for display."""
    if rng.random() < 0.5:
        stored = np.clip(radiance, 0, 1)
        stored = np.where(stored <= 0.0031308, 12.92 * stored, 1.055 * stored ** (1 / 2.4) - 0.055)
        return np.rint(255 * stored).astype(np.uint8), True
    if rng.random() < 0.3:
        return np.rint(255 * np.clip(radiance, 0, 1)).astype(np.uint8), False
    top = 1.0 if rng.random() < 0.5 else 60.0
    return np.clip(radiance, 0, top).astype(np.float16), False


def render_capture(seed, side=48, n_lights=96, clean=False, hard=False):
    """Render the photographs of a random surface.

    Parameters
    ----------
    seed : int
        Seed of everything that is random.

    side : int, default=48
        Height and width of the photographs in pixels.

    n_lights : int, default=96
        Number of photographs.

    clean : bool, default=False
        Whether noise and differences between the lamps are left out. The difference to the photographs with them is
        what no model can predict.

    hard : bool, default=False
        Whether surfaces are rougher or textiles, other things cast shadows on them, and lights are known less well,
        each in a share of the surfaces.

    Returns
    -------
    lights : ndarray of shape (n_lights, 3), float32
        Directions of the lamps as a user knows them: unit vectors from the middle of the image; z points to the camera.

    images : ndarray of shape (n_lights, side, side, 3), float16 or uint8
        The photographs: float16 is linear radiance, uint8 is as stored by a camera.

    is_display : bool
        Whether the photographs of 8 bits are stored by the curve of sRGB, rather than linearly.
    """
    rng = np.random.default_rng(seed)
    whole = side + 2 * _MARGIN
    height = _heights(rng, whole, hard)
    materials = _materials(rng, whole, height)
    directions = _directions(rng, n_lights)
    half = whole / 2
    slope_rows, slope_columns = np.gradient(height)
    # The y axis points up, and rows count down.
    normals = np.stack([-slope_columns, slope_rows, np.ones_like(height)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    # Two pixels more on each side than the image, for the blur.
    pad = 2
    part = (slice(_MARGIN - pad, _MARGIN + side + pad),) * 2
    rows, columns = np.mgrid[:whole, :whole]
    position = np.stack([columns - half + 0.5, half - 0.5 - rows, height - height.mean()], axis=-1)[part]
    position, normals = torch.tensor(position, dtype=torch.float32), torch.tensor(normals[part], dtype=torch.float32)
    albedo, specular, alpha = (torch.tensor(array[part], dtype=torch.float32) for array in materials)

    to_light, falloff = _place_lamps(rng, directions, position, side)
    shadow = _cast_shadows(rng, height, position, to_light)
    if hard and rng.random() < 0.45:
        shadow = shadow * _occlude(rng, position, to_light)
    radiance = _reflect(rng, normals, (albedo, specular, alpha[..., None]), to_light, (shadow, falloff))
    sigma = float(rng.choice([0.3, 0.5, 0.8]))
    radiance = _blur(nn.functional.pad(radiance.permute(0, 3, 1, 2), (2,) * 4, mode="replicate"), sigma)
    trim = (radiance.shape[-1] - side) // 2
    radiance = radiance[:, :, trim : trim + side, trim : trim + side].permute(0, 2, 3, 1).numpy()

    radiance = _expose(rng, radiance, clean)
    known = directions + rng.normal(0, rng.choice([0, 0.01, 0.03] if hard else [0, 0.01]), directions.shape)
    known = (known / np.linalg.norm(known, axis=1, keepdims=True)).astype(np.float32)
    return known, *_store(rng, radiance)
