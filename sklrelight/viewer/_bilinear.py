"""Principal components over a grid of directions, as RelightLab's bilinear basis: :class:`BilinearTextureMap`."""

import tempfile
from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_array, gen_batches

from ..metrics import display_white, encode_display
from ..utils._lights import are_directions, normalize
from ._coder import Parts
from ._decoder import interpolate, interpolation_weights
from ._distillation import MEASURED, pick_lights, sample_pixels
from ._legacy import to_bytes

__all__ = ["BilinearTextureMap", "grid_directions", "grid_weights", "reduce_to_grid"]

RESOLUTIONS = (8, 12, 16, 24, 32)
# Most pixels that a model predicts for an export, and the bounds to the number of images.
_PREDICTED_PIXELS = 25_000_000
_FEWEST_LIGHTS, _MOST_LIGHTS = 64, 256
# Number of coarse images from which the basis is made, and about their number of pixels.
_COARSE_LIGHTS, _COARSE_PIXELS = 256, 2**14
# Values computed at a time, and bytes of predicted images that are kept in memory.
_BLOCK_VALUES = 2**24
_BYTES_IN_MEMORY = 2**30
# Steps between two directions of the grid at which the grid's values are fitted.
_FINER = 4
# What more planes have to gain in decibels if no number of them reaches what is asked for.
_WORTHWHILE = 0.2


@dataclass(frozen=True)
class BilinearTextureMap:
    r"""A fitted model in the form in which RTI viewers keep one: stored planes, and a basis on a grid of directions.

    :func:`export_openlime` makes one and :func:`load_relight` reads one.

    Parameters
    ----------
    planes : ndarray of shape (n_planes, H, W), uint8
        Coefficients of the pixels, as bytes.

    scale, bias : ndarray of shape (n_planes,)
        A coefficient is ``(byte / 255 - bias) * scale``.

    basis : ndarray of shape (n_planes + 1, N * N, 3), uint8
        Colours of a constant and of each plane, on a grid of N x N directions.

    ranges : ndarray of shape (n_planes,)
        A basis colour is ``(byte - 127) / range``; that of the constant is byte / 255.

    lights_ : ndarray of shape (n, 3)
        Directions of the photographs, or of a dome where they are not known.

    psnr : float or None
        Peak signal-to-noise ratio in decibels to the model it was made from, of encoded values under lights that were
        left out, without the loss by JPEG.

    Notes
    -----
    The grid covers an octahedron that is unfolded into a square: with :math:`s = |x| + |y| + |z|`, a light falls on
    :math:`((x + y) / s, (y - x) / s)` in [-1, 1]. Between the directions of the grid the colours are interpolated
    linearly in both coordinates.

    Examples
    --------
    >>> planes = np.full((3, 2, 4), 255, np.uint8)
    >>> basis = np.zeros((4, 4, 3), np.uint8)
    >>> basis[1:] = 127
    >>> basis[1, :, 0] = 254
    >>> red = BilinearTextureMap(planes, np.ones(3), np.zeros(3), basis, np.full(3, 254.0), np.eye(3), None)
    >>> red.predict([[0.0, 0.6, 0.8]])[0, 0, 0]
    array([0.5, 0. , 0. ], dtype=float32)
    """

    planes: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    basis: np.ndarray
    ranges: np.ndarray
    lights_: np.ndarray
    psnr: float | None

    @property
    def resolution(self):
        """Number of directions along a side of the grid."""
        return round(self.basis.shape[1] ** 0.5)

    def predict(self, lights):
        """Predict images, as the viewers show them.

        Parameters
        ----------
        lights : array-like of shape (m, 3)
            Directions. Those below the horizon are moved up to it.

        Returns
        -------
        ndarray of shape (m, H, W, 3), float32
            Values for display. The viewers show those below 0 as 0, and those above 1 as 1.
        """
        lights = check_array(lights, dtype=np.float64, input_name="lights")
        if not are_directions(lights):
            raise ValueError(f"lights of shape {lights.shape}: wanted directions, three columns of length 1")
        weights = grid_weights(normalize(lights), self.resolution)
        factors = np.tensordot(weights, dequantize(self.basis, self.ranges), axes=(1, 1)).astype(np.float32)
        n_planes, height, width = self.planes.shape
        codes = self.planes.reshape(n_planes, -1)
        # Bytes to coefficients, once for all pixels.
        steps = factors[:, 1:] * (self.scale / 255).astype(np.float32)[:, None]
        offsets = factors[:, 0] - np.einsum("mpc,p->mc", factors[:, 1:], (self.scale * self.bias).astype(np.float32))
        images = np.empty((len(lights), height * width, 3), np.float32)
        for block in gen_batches(height * width, max(1, _BLOCK_VALUES // n_planes)):
            part = codes[:, block].T.astype(np.float32)
            for image, step, offset in zip(images, steps, offsets, strict=True):
                image[block] = part @ step + offset
        return images.reshape(len(lights), height, width, 3)


def dequantize(basis, ranges):
    """Return basis colours of bytes, of the same shape, float64."""
    values = (basis.astype(np.float64) - 127) / np.concatenate([[1.0], ranges])[:, None, None]
    values[0] = basis[0] / 255
    return values


def grid_weights(directions, resolution):
    """Compute the weight of each direction of the grid for each light.

    Parameters
    ----------
    directions : ndarray of shape (m, 3)
        Unit vectors. Those below the horizon are moved up to it.

    resolution : int
        Number N of directions along a side of the grid, at least 2.

    Returns
    -------
    ndarray of shape (m, N * N)
        The weights: four of them are not 0.

    Examples
    --------
    >>> grid_weights(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), 2)
    array([[0.25, 0.25, 0.25, 0.25],
           [0.  , 1.  , 0.  , 0.  ]])
    """
    x, y, z = directions.T
    total = np.abs(x) + np.abs(y) + z.clip(0)
    places = (np.column_stack([x + y, y - x]) / total[:, None] + 1) / 2 * (resolution - 1)
    cells = np.floor(places).astype(int).clip(0, resolution - 2)
    right, up = (places - cells).T
    weights = np.zeros((len(directions), resolution * resolution))
    rows, first = np.arange(len(directions)), cells[:, 0] + resolution * cells[:, 1]
    weights[rows, first] = (1 - right) * (1 - up)
    weights[rows, first + 1] = right * (1 - up)
    weights[rows, first + resolution] = (1 - right) * up
    weights[rows, first + resolution + 1] = right * up
    return weights


def grid_directions(resolution):
    """Return the unit vectors of the grid, of shape (N * N, 3).

    Examples
    --------
    >>> grid_directions(2).astype(int) + 0
    array([[ 0, -1,  0],
           [ 1,  0,  0],
           [-1,  0,  0],
           [ 0,  1,  0]])
    """
    across, along = np.tile(np.linspace(-1, 1, resolution), (2, 1))
    across, along = (grid.ravel() for grid in np.meshgrid(across, along))
    x, y = (across - along) / 2, (across + along) / 2
    return normalize(np.column_stack([x, y, (1 - np.abs(x) - np.abs(y)).clip(0)]))


def reduce_to_grid(relighter, surface, *, white, n_planes, resolution, psnr, n_lights, most_planes, progress):
    """Make a :class:`BilinearTextureMap` that imitates a fitted model.

    Parameters
    ----------
    relighter : estimator
        Model that predicts images of shape (H, W, 3), (H, W, 1) or (H, W).

    surface : LightSurface
        Dome through the lights of the capture.

    white, n_planes, resolution, psnr, n_lights
        As in :func:`export_openlime`.

    most_planes : int
        Most planes that may be chosen.

    progress : callable
        Called with the number of images to predict, and again after each.

    Returns
    -------
    BilinearTextureMap
    """
    candidates = surface.spread_points()
    parts = Parts(relighter, surface.to_lights(candidates[:1]))
    height, width = parts.image_shape
    if n_lights is None:
        n_lights = int(np.clip(_PREDICTED_PIXELS // (height * width), _FEWEST_LIGHTS, _MOST_LIGHTS))
    # Coarse images cost little: many of them tell how values change with the light. Then a few whole ones will do.
    n_points = max(n_lights, _COARSE_LIGHTS) if parts.by_region else n_lights
    points = pick_lights(surface, candidates, min(n_points, len(candidates)))
    nodes, lights = surface.to_nodes(points), surface.to_lights(points)
    n_measured = len(points) // MEASURED
    fitted = np.arange(n_measured, len(points))[: n_lights if parts.by_region else None]
    whole = fitted if parts.by_region else np.arange(len(points))
    # The first lights are spread over all of the dome.
    first = slice(max(1, n_measured))
    if parts.by_region or white == "auto":
        coarse = parts.predict_coarse(lights if parts.by_region else lights[first], _COARSE_PIXELS)
    if white == "auto":
        white = display_white(coarse[first]) or 1.0
    progress(len(whole))
    images = _predict(parts, lights[whole], white, progress)
    if parts.by_region:
        sample = _encode(coarse, white).reshape(len(points), -1, 3).swapaxes(0, 1)
    else:
        pixels = sample_pixels(height * width)
        sample = images.reshape(len(images), -1, 3)[:, pixels].astype(np.float32).swapaxes(0, 1)
    n_planes, resolution, reached = _choose(
        sample, surface, nodes, n_measured, fitted, n_planes, resolution, psnr, most_planes
    )
    mean, axes = _axes(sample, n_planes)
    basis, ranges = _make_basis(mean, axes, surface, nodes, resolution)
    constant, design = _design(basis, ranges, nodes[whole])
    coefficients = _coefficients(images, np.linalg.pinv(design), constant)
    planes, steps, zeros = to_bytes(coefficients)
    return BilinearTextureMap(
        planes, 255 * steps, zeros / 255, basis, ranges, surface.to_lights(surface.points), reached
    )


def _predict(parts, lights, white, progress):
    """Predict encoded images of shape (m, H, W, 3), float16, some in memory and more in a temporary file."""
    shape = (len(lights), *parts.image_shape, 3)
    images: np.ndarray
    if 2 * np.prod(shape) > _BYTES_IN_MEMORY:
        with tempfile.TemporaryFile() as file:
            images = np.memmap(file, np.float16, "w+", shape=shape)
    else:
        images = np.empty(shape, np.float16)
    n_together = max(1, _BLOCK_VALUES // int(np.prod(shape[1:])))
    for block in gen_batches(len(lights), n_together):
        images[block] = _encode(parts.predict(lights[block]), white)
        for _ in range(len(images[block])):
            progress()
    return images


def _encode(images, white):
    """Encode linear radiance for display, with three channels."""
    encoded = images if white is None else encode_display(images, white)
    return np.broadcast_to(encoded.clip(0, 1).astype(np.float32), (*images.shape[:3], 3))


def _axes(sample, n_planes):
    """Compute the mean and the first principal axes of pixels, of the shapes (m, 3) and (m, 3, n_planes)."""
    n_pixels, n_lights, _ = sample.shape
    columns = sample.reshape(n_pixels, -1).astype(np.float64)
    mean = columns.mean(axis=0)
    columns -= mean
    _, vectors = np.linalg.eigh(columns.T @ columns)
    return mean.reshape(n_lights, 3), vectors[:, ::-1][:, :n_planes].reshape(n_lights, 3, -1)


def _make_basis(mean, axes, surface, nodes, resolution):
    """Find the values on the grid that are nearest to functions of the light, and round them to bytes."""
    # Between the directions of the grid, too: values that are right on the grid alone are farther off between.
    n_fine = _FINER * (resolution - 1) + 1
    # Below the captured lights, the directions are moved up to these: a model knows nothing of what is beyond.
    fine = surface.to_nodes(surface.clamp(surface.to_surface(grid_directions(n_fine))))
    values = np.concatenate([mean[..., None], axes], axis=2)
    values = interpolate(fine, nodes, interpolation_weights(nodes, values))
    places = np.linspace(0, resolution - 1, n_fine)
    nearest = np.linalg.pinv((1 - np.abs(places[:, None] - np.arange(resolution))).clip(0))
    values = np.einsum("gi,hj,ijck->ghck", nearest, nearest, values.reshape(n_fine, n_fine, 3, -1), optimize=True)
    values = values.reshape(resolution**2, 3, -1)
    largest = np.abs(values[..., 1:]).max(axis=(0, 1))
    # As they are written, so that a reader has the same numbers.
    ranges = np.array([float(f"{127 / size:.9g}") if size > 0 else 127.0 for size in largest])
    basis = np.round(127 + values * np.concatenate([[0.0], ranges]))
    basis[..., 0] = np.round(255 * values[..., 0])
    return basis.clip(0, 255).astype(np.uint8).transpose(2, 0, 1), ranges


def _design(basis, ranges, nodes):
    """Evaluate a rounded basis at lights: the constants of shape (m * 3,), and the factors (m * 3, n_planes)."""
    resolution = round(basis.shape[1] ** 0.5)
    values = np.tensordot(grid_weights(nodes, resolution), dequantize(basis, ranges), axes=(1, 1))
    values = values.swapaxes(1, 2).reshape(-1, len(basis))
    return values[:, 0], values[:, 1:]


def _coefficients(images, matrix, constant):
    """Compute the coefficients of all pixels, of shape (n_planes, H, W), float32."""
    n_lights, height, width, _ = images.shape
    coefficients = np.empty((len(matrix), height, width), np.float32)
    matrix = matrix.astype(np.float32)
    for rows in gen_batches(height, max(1, _BLOCK_VALUES // (n_lights * width * 3))):
        values = images[:, rows].astype(np.float32) - constant.astype(np.float32).reshape(n_lights, 1, 1, 3)
        coefficients[:, rows] = np.tensordot(matrix.reshape(-1, n_lights, 3), values, axes=([1, 2], [0, 3]))
    return coefficients


def _choose(sample, surface, nodes, n_measured, fitted, n_planes, resolution, psnr, most_planes):
    """Choose the number of planes and the grid by the error under lights that are left out.

    Returns
    -------
    n_planes, resolution : int
        The fewest planes that reach `psnr`, on the coarsest grid with which so many do.

    reached : float or None
        Decibels.
    """
    numbers = [n_planes] if n_planes else range(3, min(most_planes, 3 * len(fitted)) + 1, 3)
    resolutions = [resolution] if resolution else RESOLUTIONS
    if not n_measured:
        return numbers[-1], resolutions[-1], None
    mean, axes = _axes(sample[:, n_measured:], max(numbers))
    known, held_out = (sample[:, rows].reshape(len(sample), -1) for rows in (fitted, slice(n_measured)))
    reached = np.empty((len(numbers), len(resolutions)))
    for column, size in enumerate(resolutions):
        basis, ranges = _make_basis(mean, axes, surface, nodes[n_measured:], size)
        constant, design = _design(basis, ranges, nodes[fitted])
        expected, factors = _design(basis, ranges, nodes[:n_measured])
        for row, number in enumerate(numbers):
            coefficients = (known - constant) @ np.linalg.pinv(design[:, :number]).T
            shown = np.clip(coefficients @ factors[:, :number].T + expected, 0, 1)
            reached[row, column] = -10 * np.log10(max(np.square(shown - held_out).mean(), 1e-12))
    wanted = min(psnr, reached.max() - _WORTHWHILE)
    row, column = np.argwhere(reached >= wanted)[0]
    return numbers[row], resolutions[column], float(reached[row, column])
