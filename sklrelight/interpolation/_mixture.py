"""Interpolations and shading of a pixel, and the features by which a pretrained network weighs and corrects them."""

import math
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from ._equations import Equations, Points, leave_one_out_matrix
from ._shading import Shading, Surface, half_vectors, power

__all__ = ["N_CANDIDATES", "N_LIGHT", "N_QUERY", "N_SUMMARY", "N_TOKEN", "Known", "Mixture"]

# Of the five sets of weights, those that also interpolate decoded values and roots.
_BENT = [0, 1, 4]
# Five sets of weights of the values, three of decoded values, three of roots; shading with deviations; shading alone.
N_CANDIDATES = 5 + 2 * len(_BENT) + 2
# The candidate that stands for all, and those whose difference from it the network sees: the other three kernels, the
# same kernel of decoded values and of roots, and harmonics.
_REFERENCE, _COMPARED = 1, [0, 2, 3, 6, 9, 4]
# Numbers of features: of a photograph at a pixel, of a pixel, of a pixel under a light, and of a light.
N_TOKEN, N_SUMMARY, N_QUERY, N_LIGHT = 20, 2 * (N_CANDIDATES - 1) + 5, 18, 6
# Magnitude at which features are clipped.
_LARGEST = 4.0
# Number of nearest lights whose leave-one-out errors tell how hard it is to predict around a light.
_N_AROUND = 4
# The curve of `LogExposureScaler`, up to its exposure.
_LOG_2, _GAMMA = np.float32(np.log(2)), 2.2


class Known(NamedTuple):
    """What predicting needs of some pixels. The pixels are the last axis.

    `shaded` (n, 3, n_pixels) are the values of the `surface` under the lights of the photographs, `around`
    (n, n_pixels) the squared leave-one-out errors of the photographs. `scale` (n_pixels,) is the size of the values,
    and `unit` (n_pixels,) that of a correction by 1.
    """

    surface: Surface
    shaded: np.ndarray
    around: np.ndarray
    scale: np.ndarray
    unit: np.ndarray


class Mixture:
    """The candidates for the values of a pixel under a light, all in closed form, and the features of them.

    Parameters
    ----------
    lights : ndarray of shape (n, 3), float64
        Unit vectors to the lights of the photographs, no two of them equal.

    values : ndarray of shape (n, 3, n_pixels), float32
        Encoded values of a sample of the pixels, of magnitude 1 at most, from which is found what all pixels share.

    Attributes
    ----------
    shading : Shading
        The shading.

    spacing : float
        Median distance of a light to its nearest neighbour, at least 0.02.

    power : float
        Mean square of the values of the sample.

    errors : ndarray of shape (N_CANDIDATES - 1,), float32
        Mean squared leave-one-out errors in the sample, of all candidates but shading alone.
    """

    def __init__(self, lights, values):
        self._prepare(lights)
        self.shading = Shading(self._directions, values)
        self.power = float(np.square(values).mean())
        _, shaded = self.shading.fit(values)
        self.errors = self._leave_out(values, values - shaded)[1].mean(1)

    def _prepare(self, lights):
        points, flat = Points(lights), Points(lights[:, :2])
        kernels = [("thin_plate_spline", points, 1.0, 0.0), ("linear", points, 1.0, 0.0)]
        kernels += [("multiquadric", points, points.epsilon / 2, 1e-3), ("gaussian", flat, flat.epsilon / 2, 1e-2)]
        self._kernels = [(Equations(where, name, epsilon), smoothing) for name, where, epsilon, smoothing in kernels]
        basis = _harmonics(lights)
        penalty = 0.02 * np.diag([1e-3, 1, 1, 1, 3, 3, 3, 3, 3])
        self._solution = np.linalg.solve(basis.T @ basis + penalty, basis.T)
        rows = np.arange(len(lights))
        residuals = [leave_one_out_matrix(equations, smoothing, rows, rows) for equations, smoothing in self._kernels]
        hat = basis @ self._solution
        residuals.append((np.eye(len(lights)) - hat) / np.maximum(1 - hat.diagonal(), 1e-3)[:, None])
        self._residuals = np.stack(residuals).astype(np.float32)
        self._predicted = np.eye(len(lights), dtype=np.float32) - self._residuals
        self._tree, self._directions = KDTree(lights), lights.astype(np.float32)
        self.spacing = max(float(np.median(self._tree.query(lights, 2)[0][:, 1])), 0.02)

    def weights(self, lights):
        """Compute the weights of the photographs in predicted ones.

        Parameters
        ----------
        lights : ndarray of shape (m, 3), float64
            Unit vectors.

        Returns
        -------
        ndarray of shape (m, 5, n), float32
            For each light, those of four kernels, and those of harmonics of degree 2 with a penalty.
        """
        weights = []
        for equations, smoothing in self._kernels:
            merged = equations.points.merged
            own = equations.weights(lights, [smoothing])[0]
            weights.append((own / merged.counts)[:, merged.groups])
        return np.stack([*weights, _harmonics(lights) @ self._solution], axis=1).astype(np.float32)

    def _leave_out(self, values, deviations):
        """Compute leave-one-out errors.

        Returns
        -------
        residuals : tuple of ndarray of shape (n, 3, n_pixels)
            Those of the thin plate spline, of the linear kernel, and of the deviations from shading by this kernel.

        errors : ndarray of shape (N_CANDIDATES - 1, n_pixels)
            Squares of those of all candidates but shading alone, as means over lights and channels.
        """
        residuals = [_apply(matrix, values) for matrix in self._residuals]
        bent = [
            values - unbend(_apply(self._predicted[number], bend(values)))
            for bend, unbend in _CURVES
            for number in _BENT
        ]
        physical = _apply(self._residuals[_REFERENCE], deviations)
        errors = np.stack([np.square(error).mean((0, 1)) for error in (*residuals, *bent, physical)])
        return (residuals[0], residuals[_REFERENCE], physical), errors

    def describe(self, values):
        """Describe some pixels by their photographs.

        Parameters
        ----------
        values : ndarray of shape (n, 3, n_pixels), float32
            Encoded values.

        Returns
        -------
        known : Known
            What predicting needs.

        tokens : ndarray of shape (n, N_TOKEN, n_pixels), float32
            Features of each photograph.

        summary : ndarray of shape (N_SUMMARY, n_pixels), float32
            Features of all photographs.

        errors : ndarray of shape (2, N_CANDIDATES - 1, n_pixels), float32
            Half logarithms of the squared leave-one-out errors of the candidates: at the pixel, relative to their mean
            there; and in the sample, relative to the least of them.
        """
        surface, shaded = self.shading.fit(values)
        (spline, reference, physical), squares = self._leave_out(values, values - shaded)
        power, lights = self.power, self._directions
        scale = np.sqrt(np.square(values).mean((0, 1))) + np.float32(0.02 * power**0.5) + np.float32(1e-6)
        physical = physical / scale
        rising = np.broadcast_to(lights[:, 2, None], physical[:, 0].shape)
        tokens = np.concatenate(
            [
                values / scale,
                reference / scale,
                np.stack(
                    [
                        spline.mean(1) / scale,
                        np.log(np.maximum(values.mean(1), 0) / scale + 0.05),
                        rising,
                        _quotients(values, shaded),
                        *_angles(surface, lights),
                    ],
                    axis=1,
                ),
                physical,
                np.stack([physical.mean(1) ** 2, shaded.mean(1) / scale, rising**2], axis=1),
            ],
            axis=1,
        )
        ones = np.ones_like(scale)
        summary = [
            *(0.25 * np.log(squares / scale**2 + 1e-5)),
            np.log(scale / (power**0.5 + 1e-6)),
            *(0.25 * np.log(self.errors / (power + 1e-12) + 1e-6)[:, None] * ones),
            math.log(len(values)) / 2 * ones,
            np.sqrt(surface.misfit),
            surface.normals[2],
            surface.highlights[2],
        ]
        level, least = squares.mean(0), 1e-5 * power + 1e-12
        own = 0.5 * np.log((squares + 0.1 * level + least) / (level + least))
        every = 0.5 * np.log(self.errors / (self.errors.min() + 1e-12) + 1e-4)[:, None] * ones
        unit = np.minimum(np.sqrt(squares[_REFERENCE]) + 0.02 * scale, scale)
        known = Known(surface, shaded, np.square(reference.mean(1)), scale, unit)
        return known, _clip(tokens), _clip(np.stack(summary)), np.stack([own, every])

    def query(self, lights):
        """Describe lights to predict for.

        Parameters
        ----------
        lights : ndarray of shape (m, 3), float64
            Unit vectors.

        Returns
        -------
        weights : ndarray of shape (m, 5, n), float32
            Weights of the photographs.

        features : ndarray of shape (m, N_LIGHT), float32
            Features of the lights.
        """
        weights = self.weights(lights)
        nearest = self._tree.query(lights)[0] / self.spacing
        rough, smooth = (np.sqrt(np.square(weights[:, number]).sum(1)) for number in (_REFERENCE, 0))
        features = [lights[:, 2], nearest, rough, np.minimum(smooth, 3)]
        features += [
            np.full(len(lights), constant) for constant in (np.log(self.spacing), np.log(len(self._residuals[0])) / 2)
        ]
        return weights, _clip(np.stack(features, axis=1).astype(np.float32))

    def look(self, values, known, lights, weights):
        """Compute the candidates at some pixels under some lights, and describe them.

        Parameters
        ----------
        values : ndarray of shape (n, 3, n_pixels), float32
            Encoded values of the photographs.

        known : Known
            What `describe` returned for these pixels.

        lights : ndarray of shape (m, 3)
            Unit vectors.

        weights : ndarray of shape (m, 5, n), float32
            What `query` returned for these lights.

        Yields
        ------
        candidates : ndarray of shape (N_CANDIDATES, 3, n_pixels), float32
            Encoded values under one light.

        features : ndarray of shape (N_QUERY, n_pixels), float32
            Features of each pixel under this light.
        """
        n_given, _, n_pixels = values.shape
        bent = [(bend(values).reshape(n_given, -1), unbend) for bend, unbend in _CURVES]
        flat, deviations = values.reshape(n_given, -1), (values - known.shaded).reshape(n_given, -1)
        quotients = _quotients(values, known.shaded)
        nearest = self._tree.query(lights, min(_N_AROUND, n_given))[1].reshape(len(lights), -1)
        surface, inverse = known.surface, 1 / known.scale
        for light, own, near in zip(lights.astype(np.float32), weights, nearest, strict=True):
            candidates = np.empty((N_CANDIDATES, 3, n_pixels), np.float32)
            candidates[:5] = (own @ flat).reshape(5, 3, -1)
            for number, (columns, unbend) in enumerate(bent):
                place = slice(5 + 3 * number, 8 + 3 * number)
                candidates[place] = unbend((own[_BENT] @ columns).reshape(3, 3, -1))
            candidates[-1:] = self.shading.shade(surface, light[None])
            candidates[-2] = candidates[-1] + (own[_REFERENCE] @ deviations).reshape(3, -1)
            grey = candidates.mean(1)
            features = np.empty((N_QUERY, n_pixels), np.float32)
            features[:3] = candidates[_REFERENCE]
            features[3:9] = grey[_COMPARED] - grey[_REFERENCE]
            features[9] = np.sqrt(known.around[near].mean(0))
            features[10:12] = grey[-2:] - grey[_REFERENCE]
            features[12] = grey[-1]
            features[:13] *= inverse
            features[13] = own[_REFERENCE] @ quotients
            features[14:] = np.concatenate([*_angles(surface, light[None])])
            yield candidates, _clip(features)


def _harmonics(lights):
    x, y, z = lights.T
    return np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], axis=1)


def _apply(matrix, values):
    return (matrix @ values.reshape(len(values), -1)).reshape(values.shape)


def _of_magnitudes(bend):
    """Make a function of values of either sign of one of magnitudes."""

    def bend_any(values):
        # Encoded photographs have no negative values, and signs take as long as the rest.
        return bend(values) if values.min() >= 0 else np.copysign(bend(np.abs(values)), values)

    return bend_any


@_of_magnitudes
def _decode(values):
    bent = power(values, _GAMMA)
    bent *= _LOG_2
    np.exp(bent, out=bent)
    bent -= 1
    return bent


@_of_magnitudes
def _encode(values):
    return power(np.log(values + 1) / _LOG_2, 1 / _GAMMA)


_root = _of_magnitudes(np.sqrt)


def _square(values):
    return values * np.abs(values)


# Curves that bend values before they are interpolated, and those that bend them back.
_CURVES = ((_decode, _encode), (_root, _square))


def _quotients(values, shaded):
    """Divide the values by their shading: 0 in shadow, 1 where diffuse reflection explains the value."""
    grey = values.mean(1)
    return (grey / np.maximum(shaded.mean(1) + 0.15 * grey.mean(0) + 1e-4, 1e-4)).clip(0, 2)


def _angles(surface, lights):
    """Compute cosines of normals and highlights to lights, and their distances to the half vectors."""
    halves = half_vectors(lights)
    for vectors in (surface.normals, surface.highlights):
        yield lights @ vectors
        yield np.sqrt(np.maximum(2 - 2 * (halves @ vectors), 1e-6))


def _clip(features):
    return features.clip(-_LARGEST, _LARGEST, out=features)
