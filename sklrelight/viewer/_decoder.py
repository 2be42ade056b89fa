"""The small model that a page runs in place of a fitted one: :class:`Decoder`."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils import check_array

from ..interpolation._equations import KERNELS
from ..metrics import DISPLAY_GAMMA
from ._surface import LightSurface

__all__ = ["Decoder", "interpolate", "interpolation_weights"]


@dataclass(frozen=True)
class Decoder:
    r"""A small model of a scene: each image is a sum of a few stored ones, whose factors vary smoothly with the light.

    Make one by :func:`~sklrelight.viewer.distill`.

    Parameters
    ----------
    surface : LightSurface
        Surface on which the lights lie.

    codes : ndarray of shape (n_codes, H, W), uint8
        Stored images. Their values at a pixel are the codes of the pixel.

    nodes : ndarray of shape (n_nodes, k), float32
        Lights between which the factors are interpolated, in the coordinates of :meth:`LightSurface.to_nodes`.

    weights : ndarray of shape (n_nodes + 1 + k, n_codes + 1, C), float32
        Weights of the splines that interpolate the factors of a constant and of each code / 255, for each channel.

    white : float or None
        Radiance that is shown as white. None: the values are shown as they are.

    psnr : float
        Peak signal-to-noise ratio in decibels to the fitted model, at lights that the decoder was not made from.

    Notes
    -----
    With the codes :math:`q_{pk}` of a pixel and the node coordinates :math:`x` of the light, an encoded value is

    .. math:: e_{pc} = B_{0c}(x) + \sum_k \frac{q_{pk}}{255} B_{kc}(x), \quad
        B(x) = \sum_i w_i \varphi(|x - x_i|) + w_{n} + \sum_j w_{n + j} x_j,

    with the thin plate spline :math:`\varphi(r) = r^2 \log r`. The factors B are computed once for an image, the
    sum over the codes for each pixel. Encoded values are those of :func:`~sklrelight.metrics.encode_display`; with
    ``white=None`` they are the values that the fitted model predicts.

    Examples
    --------
    >>> from sklrelight import Relighter
    >>> from sklrelight.datasets import make_scene
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> from sklrelight.viewer import distill
    >>> scene = make_scene(n_lights=16, image_shape=(12, 16))
    >>> decoder = distill(Relighter(RBFInterpolation()).fit(scene.lights, scene.images))
    >>> decoder.predict(scene.lights[:2]).shape, decoder.render(scene.lights[:1]).shape
    ((2, 12, 16, 3), (12, 16, 3))
    """

    surface: LightSurface
    codes: np.ndarray
    nodes: np.ndarray
    weights: np.ndarray
    white: float | None
    psnr: float

    @property
    def gamma(self):
        """Exponent that decodes the values."""
        return 1.0 if self.white is None else DISPLAY_GAMMA

    @property
    def image_shape(self):
        """Height and width of the images."""
        return self.codes.shape[1:]

    def encoded(self, lights):
        """Predict encoded images.

        Parameters
        ----------
        lights : array-like of shape (m, d)
            Lights in the units of the capture.

        Returns
        -------
        ndarray of shape (m, H, W, C), float32
            Encoded as by :func:`~sklrelight.metrics.encode_display`; not negative.
        """
        lights = check_array(lights, dtype=np.float64, input_name="lights")
        points = self.surface.to_nodes(self.surface.to_surface(lights))
        # Factors of a constant and of each code / 255, which depend on the light alone.
        factors = interpolate(points, self.nodes, self.weights).astype(np.float32)
        codes = self.codes.reshape(len(self.codes), -1).T.astype(np.float32) / 255
        images = np.empty((len(factors), *self.image_shape, factors.shape[2]), np.float32)
        for image, factor in zip(images, factors, strict=True):
            image[...] = (codes @ factor[1:] + factor[0]).reshape(image.shape)
        return np.maximum(images, 0, out=images)

    def predict(self, lights):
        """Predict photographs, nearly as the fitted model does.

        Parameters
        ----------
        lights : array-like of shape (m, d)
            Lights in the units of the capture.

        Returns
        -------
        ndarray of shape (m, H, W, C), float32
            Radiance in the units of the capture, up to three times `white`. Grey photographs have one channel.
        """
        encoded = self.encoded(lights)
        return encoded if self.white is None else np.float32(self.white) * encoded ** np.float32(self.gamma)

    def render(self, lights, colors=None, exposure=0.0):
        """Compute the image that the page shows.

        Parameters
        ----------
        lights : array-like of shape (m, d)
            Lights that are on at the same time, in the units of the capture.

        colors : array-like of shape (m, 3) or None, default=None
            Brightness of each light in red, green and blue. None: 1.

        exposure : float, default=0.0
            Exposure in stops.

        Returns
        -------
        ndarray of shape (H, W, 3), float32
            Values in [0, 1]. The page shows them times 255, rounded.
        """
        radiance = self.encoded(lights).astype(np.float64) ** self.gamma
        colors = np.ones((len(radiance), 3)) if colors is None else np.asarray(colors, np.float64)
        image = np.einsum("mhwc,mc->hwc", np.broadcast_to(radiance, (*radiance.shape[:3], 3)), colors)
        return np.clip((image * 2.0**exposure) ** (1 / self.gamma), 0, 1).astype(np.float32)


def interpolation_weights(nodes, values):
    """Solve for the weights of a thin plate spline.

    Parameters
    ----------
    nodes : ndarray of shape (n, k)
        Points. Some of them may be equal, or all may lie in a plane.

    values : ndarray of shape (n, ...)
        Values at the points.

    Returns
    -------
    ndarray of shape (n + 1 + k, ...)
        Weights of the kernel at the distances from the nodes, of a constant, and of the coordinates.

    Examples
    --------
    >>> nodes = np.array([[0.0], [1.0], [2.0]])
    >>> weights = interpolation_weights(nodes, 3 * nodes[:, 0] + 1)
    >>> weights.shape
    (5,)
    """
    n, k = nodes.shape
    basis = _spline(nodes, nodes)
    matrix = np.zeros((n + 1 + k, n + 1 + k))
    matrix[:n] = basis
    matrix[n:, :n] = basis[:, n:].T
    rest = np.zeros((1 + k, int(np.prod(values.shape[1:]))))
    # By least squares, because nodes in a plane do not determine all of the polynomial.
    solution = np.linalg.lstsq(matrix, np.vstack([values.reshape(n, -1), rest]))[0]
    return solution.reshape(n + 1 + k, *values.shape[1:])


def interpolate(points, nodes, weights):
    """Evaluate a thin plate spline.

    Parameters
    ----------
    points : ndarray of shape (m, k)
        Points to interpolate at.

    nodes : ndarray of shape (n, k)
        Nodes of the spline.

    weights : ndarray of shape (n + 1 + k, ...)
        Weights that :func:`interpolation_weights` returned for the nodes.

    Returns
    -------
    ndarray of shape (m, ...), float64
        Interpolated values.

    Examples
    --------
    >>> nodes = np.array([[0.0], [1.0], [2.0]])
    >>> interpolate(np.array([[5.0]]), nodes, interpolation_weights(nodes, 3 * nodes[:, 0] + 1)).round(6)
    array([16.])
    """
    return np.tensordot(_spline(points, nodes.astype(np.float64)), weights.astype(np.float64), axes=1)


def _spline(points, nodes):
    """Write kernel values, 1 and coordinates of each point in a row."""
    kernel = KERNELS["thin_plate_spline"](cdist(points, nodes))
    return np.hstack([kernel, np.ones((len(points), 1)), points])
