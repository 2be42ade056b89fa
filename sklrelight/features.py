"""The features of every pixel under every light, as the product of two tables."""

import numpy as np

__all__ = ["PixelLightFeatures", "split_target_shape"]


def split_target_shape(shape):
    """Tell the pixels of a target from its channels.

    Parameters
    ----------
    shape : tuple of int
        Shape of a target: (n, H, W, C) colour, (n, H, W) grey, (n, k) one pixel with k channels, (n,) one value.

    Returns
    -------
    image_shape : tuple of int
        (H, W), or () where the target is a single pixel.

    n_channels : int
        C, k or 1.

    Raises
    ------
    ValueError
        If there are no such targets.

    Examples
    --------
    >>> split_target_shape((10, 48, 64, 3))
    ((48, 64), 3)
    >>> split_target_shape((10, 5))
    ((), 5)
    """
    if not 1 <= len(shape) <= 4 or 0 in shape:
        raise ValueError(
            f"images of shape {tuple(shape)}: expected (n, H, W, C), (n, H, W), (n, k) or (n,), none of them 0"
        )
    if len(shape) <= 2:
        return (), int(np.prod(shape[1:]))
    return tuple(shape[1:3]), int(np.prod(shape[3:]))


class PixelLightFeatures:
    """The lazy product of a table of lights and a table of pixels.

    Each observation, one pixel under one light, has the light's columns followed by the pixel's. All observations of
    a capture fill gigabytes, the two tables hardly anything, so the product is only ever taken for what is asked.
    A row is a light: ``len`` is the number of lights, and indexing picks lights and stays lazy.

    Parameters
    ----------
    lights : ndarray of shape (n_lights, n_light_features)
        One row a light.

    pixels : ndarray of shape (n_pixels, n_pixel_features)
        One row a pixel, in row-major order of the image.

    image_shape : tuple of int
        (H, W) with H * W = n_pixels, or () for a single pixel.

    light_vectors : ndarray of shape (n_lights, n_light_vector_features) or None, default=None
        The lights as they were given, before any scaling; None: those of `lights`. They are no columns of the product:
        an interpolation over the lights measures distances by them.

    pixel_numbers : ndarray of int of shape (n_pixels,) or None, default=None
        Which pixels of an image these are; None: all of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.features import PixelLightFeatures
    >>> features = PixelLightFeatures(np.zeros((5, 3)), np.ones((6, 2)), image_shape=(2, 3))
    >>> features.shape, len(features[:2]), features[0].to_table().shape
    ((5, 6, 5), 2, (6, 5))
    """

    def __init__(self, lights, pixels, image_shape, light_vectors=None, pixel_numbers=None):
        if int(np.prod(image_shape)) != len(pixels):
            raise ValueError(f"image_shape {image_shape} does not have the {len(pixels)} pixels of the pixel table")
        self.lights = lights
        self.pixels = pixels
        self.image_shape = tuple(image_shape)
        self.light_vectors = lights if light_vectors is None else light_vectors
        self.pixel_numbers = np.arange(len(pixels)) if pixel_numbers is None else pixel_numbers

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
        lights, light_vectors = self.lights[rows], self.light_vectors[rows]
        if lights.ndim == 1:
            lights, light_vectors = lights[None], light_vectors[None]
        if isinstance(rows, tuple) or lights.ndim != 2:
            raise IndexError(f"PixelLightFeatures is indexed by lights only, got {key!r}")
        return PixelLightFeatures(lights, self.pixels, self.image_shape, light_vectors, self.pixel_numbers)

    def of_pixels(self, pixels):
        """Keep some pixels.

        Parameters
        ----------
        pixels : ndarray of int of shape (n_kept,)
            Which ones.

        Returns
        -------
        PixelLightFeatures
            Of images of the shape (n_kept, 1).
        """
        kept, numbers = self.pixels[pixels], self.pixel_numbers[pixels]
        return PixelLightFeatures(self.lights, kept, (len(pixels), 1), self.light_vectors, numbers)

    def numbered_pixels(self):
        """Give the table of pixels with the pixels' numbers as one more column.

        Returns
        -------
        ndarray of shape (n_pixels, n_pixel_features + 1), float32
            Numbers from 2^24 on are rounded.
        """
        return np.column_stack([self.pixels, self.pixel_numbers]).astype(np.float32)

    def to_table(self):
        """Write all observations out.

        Returns
        -------
        table : ndarray of shape (n_lights * n_pixels, n_features)
            Light by light, and pixel by pixel within a light. Mind its size.
        """
        n_lights, n_pixels, _ = self.shape
        return np.hstack([np.repeat(self.lights, n_pixels, axis=0), np.tile(self.pixels, (n_lights, 1))])

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("PixelLightFeatures is lazy: an array of it is always a copy")
        return self.to_table().reshape(self.shape).astype(dtype or self.dtype, copy=False)

    def __repr__(self):
        return f"PixelLightFeatures(shape={self.shape}, image_shape={self.image_shape})"
