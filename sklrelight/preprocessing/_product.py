"""The features of all observations, as a table of lights and a table of pixels: :class:`PixelLightFeatures`."""

import numpy as np

__all__ = ["PixelLightFeatures"]


class PixelLightFeatures:
    """The lazy product of a table of lights and a table of pixels.

    An observation is one pixel under one light, and has the columns of the light followed by those of the pixel. All
    observations of a capture would fill gigabytes, while the two tables are small. Observations are therefore written
    out only when they are needed. A row is a light: ``len`` is the number of lights, and indexing picks lights without
    writing anything out.

    Parameters
    ----------
    lights : ndarray of shape (n_lights, n_light_features)
        Table with a row for each light.

    pixels : ndarray of shape (n_pixels, n_pixel_features)
        Table with a row for each pixel, in row-major order of the image.

    image_shape : tuple of int
        (H, W) with H * W = n_pixels, or () for a single pixel.

    part : ndarray of int of shape (n_pixels,) or None, default=None
        Numbers of the pixels, if the table has only some pixels of an image.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import PixelLightFeatures
    >>> features = PixelLightFeatures(np.zeros((5, 3)), np.ones((6, 2)), image_shape=(2, 3))
    >>> features.shape, len(features[:2]), features[0].to_table().shape
    ((5, 6, 5), 2, (6, 5))
    """

    def __init__(self, lights, pixels, image_shape, part=None):
        if int(np.prod(image_shape)) != len(pixels):
            raise ValueError(f"image_shape {image_shape} does not have the {len(pixels)} pixels of the pixel table")
        self.lights = lights
        self.pixels = pixels
        self.image_shape = tuple(image_shape)
        self.part = part

    @property
    def shape(self):
        """Numbers of lights, of pixels and of features."""
        return len(self.lights), len(self.pixels), self.lights.shape[1] + self.pixels.shape[1]

    @property
    def ndim(self):
        """Number of axes of the product, 3."""
        return 3

    @property
    def dtype(self):
        """Type of the features."""
        return np.result_type(self.lights, self.pixels)

    def __len__(self):
        return len(self.lights)

    def __getitem__(self, key):
        # scikit-learn asks for [rows, ...].
        rows = key[0] if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis else key
        lights = self.lights[rows]
        if lights.ndim == 1:
            lights = lights[None]
        if isinstance(rows, tuple) or lights.ndim != 2:
            raise IndexError(f"PixelLightFeatures is indexed by lights only, got {key!r}")
        return PixelLightFeatures(lights, self.pixels, self.image_shape, self.part)

    def of_pixels(self, pixels):
        """Pick some pixels.

        Parameters
        ----------
        pixels : ndarray of int of shape (n_picked,)
            Numbers of the pixels.

        Returns
        -------
        PixelLightFeatures
            Features of these pixels, as if they were images of the shape (n_picked, 1).
        """
        return PixelLightFeatures(self.lights, self.pixels[pixels], (len(pixels), 1), part=pixels)

    def to_table(self):
        """Write out all observations.

        Returns
        -------
        table : ndarray of shape (n_lights * n_pixels, n_features)
            The observations light by light, and within a light pixel by pixel. The table can be very large.
        """
        n_lights, n_pixels, _ = self.shape
        return np.hstack([np.repeat(self.lights, n_pixels, axis=0), np.tile(self.pixels, (n_lights, 1))])

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("PixelLightFeatures is lazy: an array of it is always a copy")
        return self.to_table().reshape(self.shape).astype(dtype or self.dtype, copy=False)

    def __repr__(self):
        return f"PixelLightFeatures(shape={self.shape}, image_shape={self.image_shape})"
