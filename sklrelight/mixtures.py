"""The scene under several lights at once: :class:`LightMixtures`."""

from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .utils import naming, split_target_shape
from .utils._sklearn_compat import num_samples

__all__ = ["LightMixtures"]


class LightMixtures:
    """Mixin of an estimator of linear radiance, which has `_target_shape` and `_predict_blocks`."""

    _target_shape: tuple[int, ...]
    _predict_blocks: Any

    def relight(self, X, intensities):
        """Predict the scene under a mixture of lights.

        Light adds up, so the scene under several lights at once is the sum of the scenes under each. An environment is
        a mixture of directions (:func:`sklrelight.datasets.environment_to_lights`), an area light one of its parts.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights, in the units that `fit` saw.

        intensities : array-like of shape (m,) or (m, C)
            How bright each light is, as a multiple of the ones that were photographed; with C columns, one for each
            channel of the photographs, coloured.

        Returns
        -------
        image : ndarray of shape (H, W, C), or of a single photograph as in `fit`, float32
            Linear radiance. Summed some lights at a time in float64: memory does not grow with their number.

        Raises
        ------
        ValueError
            If `intensities` does not fit the lights or the channels, or is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from sklrelight import Relighter
        >>> from sklrelight.interpolation import NearestPhotograph
        >>> lights, images = np.eye(2), np.array([[[[1.0, 0.0, 0.0]]], [[[0.0, 1.0, 0.0]]]])
        >>> relighter = Relighter(NearestPhotograph()).fit(lights, images)
        >>> relighter.relight(lights, [2.0, 0.5]).round(4)
        array([[[2. , 0.5, 0. ]]], dtype=float32)
        """
        check_is_fitted(self)
        with naming("intensities"):
            intensities = check_array(
                intensities, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name="intensities"
            )
        with naming("X"):
            n_lights = num_samples(X)
        n_channels = split_target_shape((1, *self._target_shape))[1]
        if intensities.shape not in ((n_lights,), (n_lights, n_channels)):
            raise ValueError(
                f"intensities has the shape {intensities.shape}; {n_lights} lights X and {n_channels} channels need"
                f" ({n_lights},) or ({n_lights}, {n_channels})"
            )
        intensities = intensities.reshape(n_lights, -1)
        if not self._has_channels:
            # Grey photographs have no axis for the one channel that they have.
            intensities = intensities[:, 0]
        image = np.zeros(self._target_shape, np.float64)
        start = 0
        for block in self._predict_blocks(X):
            for photograph, intensity in zip(block, intensities[start : start + len(block)], strict=True):
                image += photograph * intensity
            start += len(block)
        return image.astype(np.float32)

    @property
    def _has_channels(self):
        return len(self._target_shape) in (1, 3)
