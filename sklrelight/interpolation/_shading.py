"""What the brightness of a pixel says of its surface: normal, albedo and highlights, found in closed form."""

from typing import NamedTuple

import numpy as np

__all__ = ["Shading", "Surface", "half_vectors", "power"]

# Exponents among which the one is chosen that makes encoded values linear: those of linear values, of values encoded
# for display, and of values encoded twice, because those of a file were encoded already and were taken for radiance.
_GAMMAS = (1.0, 2.2, 4.84)
# Number of bins of the angle between normal and half vector. They are narrow where highlights are.
_N_BINS = 16
_BIN_EXPONENT = 1 / 1.5
# Number of lobes of reflection, of which each pixel has a share.
_N_LOBES = 3
# Number of turns in which lobes and shares are fitted one after the other.
_TURNS = 3
# Number of iterations of the robust fit of diffuse reflection.
_ITERATIONS = 5
# How strongly the shares of each pixel are drawn to the mean shares of all.
_RIDGE = 0.7 * np.eye(_N_LOBES, dtype=np.float32)


class Surface(NamedTuple):
    """What is known of some pixels. The pixels are the last axis.

    `normals` (3, n_pixels) are the unit normals, and `highlights` (3, n_pixels) the mean half vectors where it is
    brightest, of length 1. `albedo` and `colour` (3, n_pixels) are the colours of diffuse reflection and of the
    highlights, and `shares` (n_lobes, n_pixels) how much of each lobe there is. `misfit` (n_pixels,) is the relative
    squared error of diffuse reflection alone. Colour and shares are None until they are fitted.
    """

    normals: np.ndarray
    highlights: np.ndarray
    albedo: np.ndarray
    misfit: np.ndarray
    colour: np.ndarray | None = None
    shares: np.ndarray | None = None


def half_vectors(lights):
    """Compute unit vectors halfway between lights and a camera along z.

    Parameters
    ----------
    lights : ndarray of shape (n, 3)
        Unit vectors.

    Returns
    -------
    ndarray of shape (n, 3)
        Unit vectors.

    Examples
    --------
    >>> half_vectors(np.array([[0.0, 0.0, 1.0]]))
    array([[0., 0., 1.]])
    """
    return _unit(lights + np.array([0, 0, 1], lights.dtype), axis=1)


def power(values, exponent):
    """Raise values to a power by vectorised logarithms and exponentials, several times as fast as NumPy's power.

    Parameters
    ----------
    values : ndarray, float32
        Values. Negative ones count as 0.

    exponent : float
        Exponent, greater than 0.

    Returns
    -------
    ndarray of the shape of `values`, float32
        The powers, to some 1e-6 of their size.

    Examples
    --------
    >>> power(np.array([-1.0, 0.0, 4.0], np.float32), 0.5).round(4)
    array([0., 0., 2.], dtype=float32)
    """
    logarithms = np.log(np.maximum(values, np.finfo(np.float32).tiny))
    return np.exp(np.multiply(logarithms, np.float32(exponent), out=logarithms), out=logarithms)


class Shading:
    """Diffuse reflection, and highlights as a mixture of lobes that all pixels of a capture share.

    Parameters
    ----------
    lights : ndarray of shape (n, 3), float32
        Unit vectors to the lights of the photographs.

    values : ndarray of shape (n, 3, n_pixels), float32
        Encoded values of some pixels, from which the exponent and the lobes are found.

    Attributes
    ----------
    gamma : float
        Exponent that makes values linear.

    lobes : ndarray of shape (n_bins, n_lobes), float32
        Brightness of the lobes over the angle between normal and half vector.

    mean_shares : ndarray of shape (n_lobes,), float32
        Mean share of each lobe.
    """

    def __init__(self, lights, values):
        self.lights, self._halves = lights, half_vectors(lights)
        self.gamma = min(_GAMMAS, key=lambda gamma: self._misfit(power(values, gamma)))
        _, excess, lit, position = self._fit_diffuse(values)
        self._fit_lobes(excess.mean(1), lit, position)

    def _misfit(self, values):
        """Compute the median over the pixels of the error of diffuse reflection, relative to the spread of values."""
        grey = values.mean(1)
        vectors, weights = _fit_diffuse(self.lights, grey)
        mean = (weights * grey).sum(0) / weights.sum(0)
        error, spread = grey - np.maximum(self.lights @ vectors, 0), grey - mean
        return np.median((weights * error**2).sum(0) / ((weights * spread**2).sum(0) + 1e-12))

    def _fit_diffuse(self, values):
        """Fit diffuse reflection.

        Returns
        -------
        surface : Surface
            The surface, without colour and shares of highlights.

        excess : ndarray of shape (n, 3, n_pixels)
            The linear values less the diffuse reflection.

        lit : ndarray of shape (n, n_pixels)
            1 where a lamp shines on a pixel, 0 in its shadows.

        position : ndarray of shape (n, n_pixels)
            Positions among the bins of the angles between normals and half vectors.
        """
        values = power(values, self.gamma)
        grey = values.mean(1)
        vectors, weights = _fit_diffuse(self.lights, grey)
        normals = _unit(vectors, axis=0)
        cosines = np.maximum(self.lights @ normals, 0)
        weighted = weights * cosines
        albedo = np.einsum("np,ncp->cp", weighted, values) / ((weighted * cosines).sum(0) + 1e-4)
        relative = grey / np.maximum(grey.max(0), 1e-9)
        highlights = _unit(self._halves.T @ relative**3, axis=0)
        shaded = albedo.mean(0) * cosines
        misfit = (weights * (grey - shaded) ** 2).sum(0) / ((weights * grey**2).sum(0) + 1e-12)
        excess = values - albedo * cosines[:, None]
        lit = ((cosines > 0.05) & (excess.mean(1) > -0.4 * shaded - 1e-6)).astype(np.float32)
        surface = Surface(normals, highlights, albedo, misfit)
        return surface, excess, lit, _bins(self._halves @ normals)

    def _fit_lobes(self, excess, lit, position):
        """Fit the lobes of all pixels, and how much of each a pixel has, in turns."""
        flat = np.rint(position).astype(np.int64).ravel()
        # A narrow, a medium and a wide lobe to start from.
        centres = np.linspace(0.08, 0.75, _N_LOBES, dtype=np.float32)
        grid = np.arange(_N_BINS, dtype=np.float32)[:, None] / (_N_BINS - 1)
        self.lobes = np.exp(-0.5 * (grid / centres) ** 2)
        size = (np.maximum(excess, 0) * lit).sum() / max(float(lit.sum()), 1.0)
        self.mean_shares = np.full(_N_LOBES, size, np.float32)
        for _ in range(_TURNS):
            shares = self._fit_shares(excess, lit, position)
            wide = shares[:, None] * lit
            gram, sums = np.empty((_N_BINS, _N_LOBES, _N_LOBES)), np.empty((_N_BINS, _N_LOBES))
            for i, own in enumerate(wide):
                sums[:, i] = np.bincount(flat, (own * excess).ravel(), _N_BINS)
                for j, other in enumerate(shares):
                    gram[:, i, j] = np.bincount(flat, (own * other).ravel(), _N_BINS)
            # Bins that no pixel reaches keep the lobe that they have.
            level = 1e-2 * (np.trace(gram, axis1=1, axis2=2).mean() + 1e-9)
            right = sums + level * self.lobes
            lobes = np.linalg.solve(gram + level * np.eye(_N_LOBES), right[..., None])[..., 0]
            lobes = np.maximum(lobes, 0).astype(np.float32)
            peak = np.maximum(lobes.max(0), 1e-9)
            self.lobes, self.mean_shares = lobes / peak, shares.mean(1) * peak

    def _fit_shares(self, excess, lit, position):
        """Fit how much of each lobe the pixels have; shape (n_lobes, n_pixels)."""
        shapes = self._shapes(position)
        weighted = shapes * lit
        products = np.einsum("inp,jnp->pij", weighted, shapes)
        right = np.einsum("inp,np->pi", weighted, excess) + self.mean_shares @ _RIDGE
        return np.maximum(np.linalg.solve(products + _RIDGE, right[..., None])[..., 0].T, 0)

    def _shapes(self, position):
        """Interpolate the lobes at positions among the bins; shape (n_lobes, ...)."""
        lower = position.astype(np.int32)
        share = position - lower.astype(np.float32)
        steps = np.diff(self.lobes, axis=0, append=self.lobes[-1:])
        return np.stack([lobe[lower] + share * step[lower] for lobe, step in zip(self.lobes.T, steps.T, strict=True)])

    def fit(self, values):
        """Find the surface of some pixels.

        Parameters
        ----------
        values : ndarray of shape (n, 3, n_pixels), float32
            Encoded values.

        Returns
        -------
        surface : Surface
            The surface.

        shaded : ndarray of shape (n, 3, n_pixels), float32
            Its encoded values under the lights of the photographs.
        """
        surface, excess, lit, position = self._fit_diffuse(values)
        shares = self._fit_shares(excess.mean(1), lit, position)
        fitted = np.einsum("inp,ip->np", self._shapes(position), shares)
        # The colour of what is brighter than diffuse reflection at this pixel, drawn a little to grey.
        own = np.maximum(np.einsum("np,ncp->cp", fitted * lit, excess), 0)
        own += 0.1 * own.mean(0) + 1e-9
        surface = surface._replace(shares=shares, colour=own / own.mean(0))
        return surface, self.shade(surface, self.lights)

    def shade(self, surface, lights):
        """Compute the encoded values of a surface.

        Parameters
        ----------
        surface : Surface
            The surface.

        lights : ndarray of shape (m, 3), float32
            Unit vectors to the lights.

        Returns
        -------
        ndarray of shape (m, 3, n_pixels), float32
            Encoded values.
        """
        cosines = np.maximum(lights @ surface.normals, 0)
        shapes = self._shapes(_bins(half_vectors(lights) @ surface.normals))
        highlight = np.einsum("inp,ip->np", shapes, surface.shares) * (cosines > 0)
        radiance = surface.albedo * cosines[:, None] + surface.colour * highlight[:, None]
        return power(radiance, 1 / self.gamma)


def _unit(vectors, axis):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=axis, keepdims=True), 1e-9)


def _bins(cosines):
    """Compute positions among the bins from the cosines of the angles between normals and half vectors."""
    angles = np.arccos(cosines.clip(-1, 1)) * np.float32(2 / np.pi)
    return (power(angles, _BIN_EXPONENT) * (_N_BINS - 1)).clip(0, _N_BINS - 1.001)


def _fit_diffuse(lights, grey):
    """Fit diffuse reflection to grey values of shape (n, n_pixels), robustly.

    Returns
    -------
    vectors : ndarray of shape (3, n_pixels)
        Normals times albedo.

    weights : ndarray of shape (n, n_pixels)
        How far each value counts as diffuse reflection of the lamp.
    """
    n_lights = len(lights)
    middle_place, high_place = int(0.5 * (n_lights - 1)), int(0.8 * (n_lights - 1))
    ordered = np.partition(grey, (middle_place, high_place), axis=0)
    middle, high = ordered[middle_place], ordered[high_place]
    weights = ((grey <= high * np.float32(1.001)) & (grey > np.float32(0.2) * high)).astype(np.float32)
    weights += np.float32(1e-3)
    products = (lights[:, :, None] * lights[:, None, :]).reshape(n_lights, 9)
    ridge = 1e-3 * np.eye(3, dtype=np.float32)
    spread = 0.08 * middle + 0.05 * high + 1e-5
    for _ in range(_ITERATIONS):
        matrix = (weights.T @ products).reshape(-1, 3, 3)
        matrix += ridge * (1e-3 + np.trace(matrix, axis1=1, axis2=2)[:, None, None])
        vectors = np.linalg.solve(matrix, ((weights * grey).T @ lights)[..., None])[..., 0].T
        shading = lights @ vectors
        weights = 1 / (1 + ((grey - np.maximum(shading, 0)) / spread) ** 2)
        weights *= (shading > 0) + np.float32(1e-3)
    return vectors, weights
