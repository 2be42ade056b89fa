"""The small model that a page runs in the place of a fitted one: :class:`Decoder`."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils import check_array

from ..interpolation._equations import KERNELS
from ..metrics import DISPLAY_GAMMA
from ._surface import LightSurface

__all__ = ["Decoder", "interpolate", "interpolation_weights"]

# A power, in operations: its logarithm, a product and an exponential, as series.
_POWER_FLOPS = 30


@dataclass(frozen=True)
class Decoder:
    r"""Pictures of a scene as sums of a few, with factors that vary smoothly with the light.

    Made by :func:`~sklrelight.viewer.distill`.

    Parameters
    ----------
    surface : LightSurface
        Where lights are, and what distances between them are.

    codes : ndarray of shape (n_codes, H, W), uint8
        What is stored for each pixel.

    nodes : ndarray of shape (n_nodes, k), float32
        The lights between which factors are interpolated, as :meth:`LightSurface.to_nodes` gives them.

    weights : ndarray of shape (n_nodes + 1 + k, n_codes + 1, C), float32
        Of the factors of a constant and of each code / 255, for each channel.

    white : float or None
        The radiance that is shown as white. None: values are shown as they are.

    psnr : float
        Peak signal-to-noise ratio to the fitted model in decibels, over lights that the decoder was not made from.

    Notes
    -----
    With :math:`q_{pk}` the codes of a pixel and :math:`x` the node coordinates of the light, an encoded value is

    .. math:: e_{pc} = B_{0c}(x) + \sum_k \frac{q_{pk}}{255} B_{kc}(x), \quad
        B(x) = \sum_i w_i \varphi(|x - x_i|) + w_{n} + \sum_j w_{n + j} x_j,

    with the thin plate spline :math:`\varphi(r) = r^2 \log r`. The factors B are computed once a picture, the
    sum over the codes for each pixel. Encoded values are those of :func:`~sklrelight.metrics.encode_display`, or with
    ``white=None`` the photographs' own.

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
        """Exponent of the encoding."""
        return 1.0 if self.white is None else DISPLAY_GAMMA

    @property
    def image_shape(self):
        """Height and width."""
        return self.codes.shape[1:]

    def flops_per_pixel(self, n_lights=1):
        """Count the floating-point operations of a pixel in a picture.

        Parameters
        ----------
        n_lights : int, default=1
            Lights that shine at once.

        Returns
        -------
        float
            Products and sums are one each, a power is 30. The part that is computed once a picture is spread over its
            pixels.
        """
        n_nodes, n_axes = self.nodes.shape
        n_channels = self.weights.shape[2]
        once = n_nodes * (3 * n_axes + _POWER_FLOPS) + 2 * self.weights.size
        # The sum over codes, the power that makes radiance of it, its light's color and the sum over lights.
        each = n_channels * (2 * len(self.codes) + 1 + _POWER_FLOPS + 2)
        # Exposure, the power for the display, the limits.
        shown = n_channels * (1 + _POWER_FLOPS + 2)
        return n_lights * (each + once / np.prod(self.image_shape)) + shown

    def factors(self, lights):
        """Compute what depends on the light alone.

        Parameters
        ----------
        lights : array-like of shape (m, d)
            Lights, in the units of the capture.

        Returns
        -------
        ndarray of shape (m, n_codes + 1, C), float64
            Factors of the constant and of each code / 255.
        """
        lights = check_array(lights, dtype=np.float64, input_name="lights")
        nodes = self.surface.to_nodes(self.surface.to_surface(lights))
        return interpolate(nodes, self.nodes, self.weights)

    def encoded(self, lights):
        """Compute encoded pictures.

        Parameters
        ----------
        lights : array-like of shape (m, d)
            Lights, in the units of the capture.

        Returns
        -------
        ndarray of shape (m, H, W, C), float32
            As :func:`~sklrelight.metrics.encode_display` gives them; not negative.
        """
        factors = self.factors(lights).astype(np.float32)
        codes = self.codes.reshape(len(self.codes), -1).T.astype(np.float32) / 255
        pictures = np.empty((len(factors), *self.image_shape, factors.shape[2]), np.float32)
        for picture, factor in zip(pictures, factors, strict=True):
            picture[...] = (codes @ factor[1:] + factor[0]).reshape(picture.shape)
        return np.maximum(pictures, 0, out=pictures)

    def predict(self, lights):
        """Predict photographs, as the fitted model does.

        Parameters
        ----------
        lights : array-like of shape (m, d)
            Lights, in the units of the capture.

        Returns
        -------
        ndarray of shape (m, H, W, C), float32
            Radiance in the units of the capture, up to three times `white`; of grey photographs, one channel.
        """
        encoded = self.encoded(lights)
        return encoded if self.white is None else np.float32(self.white) * encoded ** np.float32(self.gamma)

    def render(self, lights, colors=None, exposure=0.0):
        """Compute the picture that the page shows.

        Parameters
        ----------
        lights : array-like of shape (m, d)
            Lights that shine at once, in the units of the capture.

        colors : array-like of shape (m, 3) or None, default=None
            How bright each is in red, green and blue; by default 1.

        exposure : float, default=0.0
            Stops by which the picture is brighter.

        Returns
        -------
        ndarray of shape (H, W, 3), float32
            In [0, 1]; times 255 and rounded they are the page's levels.
        """
        radiance = self.encoded(lights).astype(np.float64) ** self.gamma
        colors = np.ones((len(radiance), 3)) if colors is None else np.asarray(colors, np.float64)
        picture = np.einsum("mhwc,mc->hwc", np.broadcast_to(radiance, (*radiance.shape[:3], 3)), colors)
        return np.clip((picture * 2.0**exposure) ** (1 / self.gamma), 0, 1).astype(np.float32)


def interpolation_weights(nodes, values):
    """Solve for the weights of a thin plate spline.

    Parameters
    ----------
    nodes : ndarray of shape (n, k)
        Points, of which some may be equal or all in a plane.

    values : ndarray of shape (n, ...)
        What is interpolated between them.

    Returns
    -------
    ndarray of shape (n + 1 + k, ...)
        Weights of the kernel's values at distances to the nodes, of 1 and of the coordinates.

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
    # Least squares: nodes in a plane leave a part of the polynomial open.
    solution = np.linalg.lstsq(matrix, np.vstack([values.reshape(n, -1), rest]))[0]
    return solution.reshape(n + 1 + k, *values.shape[1:])


def interpolate(points, nodes, weights):
    """Evaluate a thin plate spline.

    Parameters
    ----------
    points : ndarray of shape (m, k)
        Where.

    nodes : ndarray of shape (n, k)
        Between what.

    weights : ndarray of shape (n + 1 + k, ...)
        As :func:`interpolation_weights` gives them.

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
    """Kernel values, 1 and coordinates at points, in rows."""
    kernel = KERNELS["thin_plate_spline"](cdist(points, nodes))
    return np.hstack([kernel, np.ones((len(points), 1)), points])
