"""Radiance HDR files: three mantissas and a shared exponent, a byte each."""

import numpy as np


def encode_hdr(image):
    r"""Encode an image as a Radiance HDR file, without run lengths.

    Written here because OpenCV encodes this format by way of a temporary file elsewhere, whose disk may be full.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3) or (height, width)
        Linear radiance, RGB or grey (which becomes RGB). Clipped to [0, 1.69e38].

    Returns
    -------
    bytes

    Examples
    --------
    >>> encode_hdr(np.array([[[1.0, 0.5, 0.0]]]))[-4:]
    b'\x80@\x00\x81'
    """
    colours = np.broadcast_to(image[..., np.newaxis], (*image.shape, 3)) if image.ndim == 2 else image
    # 2 ** 127 is about the largest value of the format.
    colours = np.clip(colours.astype(np.float64), 0, 2.0**127 * 255 / 256)
    brightest = colours.max(axis=-1)
    _, exponents = np.frexp(brightest)
    # 255.6 would round to 256, which is no byte; with the next exponent it is 128.
    exponents += np.round(brightest * np.exp2(8.0 - exponents)) > 255
    pixels = np.zeros((*exponents.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.round(colours * np.exp2(8.0 - exponents)[..., np.newaxis])
    # Below 2 ** -127 there is no exponent left: black.
    representable = (exponents > -128) & (brightest > 0)
    pixels[..., 3] = np.where(representable, exponents + 128, 0)
    pixels[~representable] = 0
    header = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {image.shape[0]} +X {image.shape[1]}\n"
    return header.encode("ascii") + pixels.tobytes()
