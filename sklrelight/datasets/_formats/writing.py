"""Writing images and captures."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...utils import import_extra, replacing
from .exr import write_exr
from .hdr import encode_hdr
from .lp import write_lp
from .radiance import check_decode, from_radiance
from .stack import run_in_threads

# Bits of a value that each format can have, the default first.
_BIT_DEPTHS = {".png": (8, 16), ".exr": (16, 32), ".hdr": (8,)}


def save_image(path, image, *, exposure=0.0, encoding="srgb", bit_depth=None):
    """Write linear radiance to an image file.

    The file appears, or is replaced, when it is whole.

    Parameters
    ----------
    path : path-like
        Its suffix chooses the format: ``.png`` for looking at, ``.exr`` (OpenEXR) or ``.hdr`` (Radiance)
        for linear radiance of any range.
    image : array-like of shape (height, width, 3) or (height, width)
        Linear radiance, RGB or grey, finite.
    exposure : float, default=0.0
        In stops: values are multiplied by ``2 ** exposure`` first.
    encoding : "srgb", "linear" or float, default="srgb"
        How radiance becomes the values of a PNG file: by the sRGB curve, as it is, or by the power ``1 /
        encoding``. Values outside of [0, 1] are clipped. EXR and HDR files are linear in any case.
    bit_depth : int, optional
        Bits of a value: 8 (default) or 16 for PNG; 16 (half, default) or 32 (float) for EXR; for HDR 8
        (with an exponent, which a pixel's channels share).

    Raises
    ------
    ImportError
        If the package that writes this format is not installed.
    OSError
        If the file cannot be written; `path` is then as it was.
    ValueError
        If the format, the shape or a parameter is none of these, or the values are not finite or beyond
        what a half holds (65504).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.datasets import load_image, save_image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "picture.png")
    ...     save_image(path, np.array([[0.0, 0.1, 0.4]]), exposure=1)
    ...     load_image(path, decode="srgb").round(2)
    array([[0. , 0.2, 0.8]], dtype=float32)
    """
    path = Path(path)
    bit_depth = _check_format(path.suffix, bit_depth, encoding)
    image = _exposed(image, exposure, f"{path}: image")
    with replacing(path) as temporary:
        _write(temporary, image, encoding, bit_depth)


def save_stack(
    folder,
    images,
    lights,
    *,
    file_format="png",
    exposure=0.0,
    encoding="linear",
    bit_depth=None,
    n_jobs=-1,
    progress=None,
):
    """Write a stack as a folder of images with an ``.lp`` file, which `load_rti` loads back.

    The folder appears when it is whole.

    Parameters
    ----------
    folder : path-like
        The folder to write; must not exist, or be empty.
    images : array-like of shape (n_lights, height, width, 3) or (n_lights, height, width)
        Linear radiance. May be a memory-mapped array: images are taken one by one.
    lights : array-like of shape (n_lights, 3)
        Directions, or positions, which then load back with ``normalize=False``.
    file_format : "png", "exr" or "hdr", default="png"
        Of the images.
    exposure : float, default=0.0
        In stops: values are multiplied by ``2 ** exposure`` first.
    encoding : "linear", "srgb" or float, default="linear"
        As in `save_image`; load back with ``decode`` of the same value. In PNG files negative values become
        0.
    bit_depth : int, optional
        As in `save_image`, but 16 by default for PNG.
    n_jobs : int, default=-1
        Files written at a time; -1 takes all cores.
    progress : bool, optional
        Whether to show a progress bar; not by default.

    Raises
    ------
    ImportError
        If the package that writes this format is not installed.
    OSError
        If the folder is there and not empty, or something cannot be written; nothing is left of it then.
    ValueError
        If shapes do not fit, a value is not finite, or an image would be clipped at 1 by PNG: the message
        names it and its maximum.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.datasets import load_rti, save_stack
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = pathlib.Path(folder, "capture")
    ...     save_stack(target, np.full((2, 3, 4, 3), 0.5), [[0, 0, 1], [0.6, 0, 0.8]])
    ...     load_rti(target).lights
    array([[0. , 0. , 1. ],
           [0.6, 0. , 0.8]])
    """
    folder = Path(folder)
    suffix = f".{file_format}"
    bit_depth = _check_format(suffix, 16 if bit_depth is None and suffix == ".png" else bit_depth, encoding)
    images = images if isinstance(images, np.ndarray) else np.asarray(images)
    lights = np.asarray(lights, dtype=np.float64)
    if images.ndim not in (3, 4) or len(images) == 0:
        raise ValueError(
            f"images has shape {images.shape}, wanted (n_lights, height, width, 3) or (n_lights, height, width)."
        )
    if lights.shape != (len(images), 3):
        raise ValueError(f"lights has shape {lights.shape}, wanted ({len(images)}, 3), one row an image.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already and not empty; save_stack writes a new folder.")
    digits = max(4, len(str(len(images) - 1)))
    names = [f"image{index:0{digits}}{suffix}" for index in range(len(images))]

    with replacing(folder) as temporary:
        temporary.mkdir()

        def write(index):
            image = _exposed(images[index], exposure, f"images[{index}]")
            if suffix == ".png" and image.max() > 1:
                raise ValueError(
                    f"images[{index}] reaches {image.max():.4g} at exposure={exposure:g} and would be clipped at 1: "
                    f"pass exposure={exposure - np.ceil(np.log2(float(image.max()))):g} or file_format='exr'."
                )
            _write(temporary / names[index], image, encoding, bit_depth)

        with tqdm(total=len(images), desc="Saving", unit="image", disable=not progress) as bar:
            run_in_threads(write, len(images), n_jobs, bar)
        write_lp(temporary / "dirs.lp", names, lights)


def _check_format(suffix, bit_depth, encoding):
    check_decode(encoding, "encoding")
    depths = _BIT_DEPTHS.get(suffix.lower())
    if depths is None:
        raise ValueError(f"Cannot write the format {suffix!r}, wanted one of {', '.join(_BIT_DEPTHS)}.")
    if bit_depth is not None and bit_depth not in depths:
        raise ValueError(f"bit_depth={bit_depth!r} for {suffix}, wanted {' or '.join(map(str, depths))}.")
    return depths[0] if bit_depth is None else bit_depth


def _exposed(image, exposure, name):
    if not abs(exposure) <= 100:
        raise ValueError(f"exposure={exposure!r}, wanted a number of stops from -100 to 100.")
    image = np.asarray(image)
    if image.dtype.kind not in "biufO":
        raise ValueError(f"{name} must be real numbers, got {image.dtype}.")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or image.size == 0:
        raise ValueError(f"{name} has shape {image.shape}, wanted (height, width, 3) or (height, width).")
    image = image.astype(np.float32) * np.float32(2.0**exposure)
    if not np.isfinite(image).all():
        row, column = (int(value) for value in np.argwhere(~np.isfinite(image))[0][:2])
        raise ValueError(f"{name} is not finite at row {row}, column {column}; wanted finite radiance.")
    return image


def _write(path, image, encoding, bit_depth):
    suffix = path.suffix.lower()
    if suffix == ".exr":
        if bit_depth == 16 and np.abs(image).max() > np.finfo(np.float16).max:
            raise ValueError(
                f"The image reaches {np.abs(image).max():.4g}, more than a half holds (65504): bit_depth=32."
            )
        write_exr(path, image.astype(np.float16 if bit_depth == 16 else np.float32))
        return
    if suffix == ".hdr":
        path.write_bytes(encode_hdr(image))
        return
    cv2 = import_extra("cv2", "images", f"To write {path}")
    values = np.round(from_radiance(image, encoding) * (2**bit_depth - 1))
    values = values.astype(np.uint8 if bit_depth == 8 else np.uint16)
    if values.ndim == 3:
        values = cv2.cvtColor(values, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".png", values)
    if not encoded:
        raise OSError("OpenCV cannot encode the image as PNG")
    path.write_bytes(data.tobytes())
