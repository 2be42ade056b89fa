"""The lights that each pixel is brightest under."""

import numpy as np

__all__ = ["BrightLights"]


class BrightLights:
    """Means of the lights, weighted by powers of how bright they make a pixel.

    A pixel with a highlight is brightest where it mirrors the light to the camera. This mean tells where that is, which
    sums of photographs do not.

    Parameters
    ----------
    powers : ndarray of shape (n_powers,)
        Above 0. The larger, the nearer to the brightest light alone.

    lights : ndarray of shape (n_lights, n_light_features)
        Those of the photographs.

    n_pixels : int
        Of a photograph.

    extent : tuple of float
        Darkest and brightest value of all photographs. Brightness is measured from the darkest one on.

    Examples
    --------
    >>> bright = BrightLights([4.0], np.array([[0.0], [1.0]]), n_pixels=2, extent=(0.0, 1.0))
    >>> bright.add(slice(None), slice(None), np.array([[[0.5], [0.3]], [[0.0], [0.3]]]))
    >>> bright.means()
    array([[0. ],
           [0.5]])
    """

    def __init__(self, powers, lights, n_pixels, extent):
        self._powers = powers
        self._lights = lights
        self._darkest = np.float32(extent[0])
        self._range = (np.float32(extent[1]) - self._darkest) or np.float32(1)
        self._totals = np.zeros((len(powers), n_pixels))
        self._sums = np.zeros((len(powers), n_pixels, lights.shape[1]))

    def add(self, rows, pixels, values):
        """Add some pixels of some photographs.

        Parameters
        ----------
        rows, pixels : slice
            Which ones.

        values : ndarray of shape (n_rows, n_pixels, n_channels)
            Their colours.
        """
        if not len(self._powers):
            return
        brightness = (values.mean(axis=2, dtype=np.float32) - self._darkest) / self._range
        np.maximum(brightness, 0, out=brightness)
        for power, totals, sums in zip(self._powers, self._totals, self._sums, strict=True):
            # In float64, or high powers of what is dark would be 0.
            weights = np.power(brightness, power, dtype=np.float64)
            totals[pixels] += weights.sum(axis=0)
            sums[pixels] += weights.T @ self._lights[rows]

    def means(self):
        """Give the means, those of all lights for pixels that are dark under each.

        Returns
        -------
        ndarray of shape (n_pixels, n_powers * n_light_features)
            Power by power.
        """
        lit = self._totals > np.finfo(float).tiny
        means = np.where(lit[:, :, None], self._sums / np.where(lit, self._totals, 1)[:, :, None], self._lights.mean(0))
        n_powers, n_pixels, n_light_features = means.shape
        return means.swapaxes(0, 1).reshape(n_pixels, n_powers * n_light_features)
