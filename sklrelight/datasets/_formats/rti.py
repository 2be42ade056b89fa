"""Captures for reflectance transformation imaging: a folder with photographs and an ``.lp`` file."""

from pathlib import Path

import numpy as np

from ...utils import check_numbers, replacing
from .arrays import run_in_threads
from .images import check_file_format, check_image_shape, expose, write_image
from .lp import read_dome, read_lp, write_lp
from .matching import is_left_behind, locate, photographs_in_order
from .photographs import check_folder, check_intensities, load_photographs, within

__all__ = ["LIGHT_SUFFIXES", "load_rti", "save_stack"]

# What a file of lights is called.
LIGHT_SUFFIXES = (".lp", ".dome")


def load_rti(
    folder,
    *,
    light_file=None,
    match="name",
    missing="error",
    intensities=None,
    normalize=True,
    allow_outside=False,
    decode="auto",
    layer=None,
    clip_negative=False,
    crop=None,
    downscale=1,
    mask=None,
    flat_field=None,
    orientation="first",
    dtype="float32",
    memmap=None,
    n_jobs=-1,
    progress=None,
):
    """Load a capture for reflectance transformation imaging (RTI).

    The folder holds photographs and an ``.lp`` file that gives the light of each. Photographs that the ``.lp`` file
    does not name are ignored. A name that is a whole path of another computer, or differs from the file's in upper and
    lower case, is taken for the photograph of that name in the folder.

    Parameters
    ----------
    folder : path-like
        The folder; the names in the ``.lp`` file are relative to it. Or the ``.lp`` file in it.

    light_file : path-like, optional
        The ``.lp`` file, or a ``.dome`` file of RelightLab; relative to `folder` or absolute. It is needed where the
        folder holds several or none.

    match : "name" or "order", default="name"
        How photographs are assigned to lights. With "order", line i belongs to the i-th photograph of the folder,
        sorted by name with the numbers in it compared as numbers: one ``.lp`` file then serves for all objects under a
        dome. ``.dome`` files name no photographs and are always matched by order. What `mask` and `flat_field` name is
        no photograph.

    missing : "error" or "skip", default="error"
        Whether photographs that the ``.lp`` file names and that are not there are an error, or a warning.

    intensities : array-like of shape (n_lights,) or (n_lights, 3), optional
        Intensities of the lights, in the order of the ``.lp`` file, of all channels or of red, green and blue. The
        photographs are divided by them, in linear radiance, grey ones by the mean of the three: as if all lights were
        of intensity 1.

    normalize : bool, default=True
        Whether to scale the light vectors to unit length. Their lengths as given are in ``light_norms``.

    allow_outside : bool, default=False
        Whether the ``.lp`` file may name files outside of `folder`.

    decode : "auto", "linear", "srgb" or float, default="auto"
        How integer values become radiance: as they are ("linear"), by the sRGB curve ("srgb"), or by the power
        `decode`. "auto" takes the sRGB curve for 8 bits, which is what JPEG files and most PNG files hold, and values
        of more bits as they are. Floating-point and RAW files are linear already. Colour profiles as in `load_image`.

    layer : str or int, optional
        As in `load_image`, for files with several images each.

    clip_negative : bool, default=False
        As in `load_image`; one warning counts the values of all photographs.

    crop : (int, int, int, int), optional
        ``(top, bottom, left, right)``: the rows and columns to keep, in pixels of the photographs.

    downscale : int, default=1
        Number of pixels along each side of the squares that are averaged to one pixel, in linear radiance and after
        `crop`. Rows and columns that do not fill a square, at the bottom and the right, are left out.

    mask : path-like or array-like of shape (height, width), optional
        Which pixels show the object: those brighter than half of the mask's brightest value, in pixels of the
        photographs. A path is relative to `folder`. The images keep their values outside, where those that are
        not finite become 0; pass the returned ``mask`` on as `pixel_weight`.

    flat_field : path-like or array-like, optional
        Photographs of a white card, by which the others are divided in linear radiance: one image file, a folder with a
        file of the same name for each photograph (paths are relative to `folder`), or linear radiance of shape (height,
        width[, 3]) or (n_lights, height, width[, 3]), in pixels of the photographs. 1 is then as bright as the card.

    orientation : "first", "each" or "ignore", default="first"
        Which EXIF orientation turns the photographs upright. A camera that looks straight down sets its flag by chance,
        while the pixels stay where they are: "first" applies the first photograph's to all. "each" applies to each its
        own.

    dtype : "float32" or "float16", default="float32"
        Type of the images.

    memmap : path-like, optional
        A ``.npy`` file to fill image by image instead of memory, for captures larger than memory. It appears when it is
        whole; one that exists is replaced. By default, images that would take more than a quarter of the machine's
        memory go to a temporary file, which a warning names; it is float16 if the photographs have 8 bits and are not
        divided by anything.

    n_jobs : int, default=-1
        Number of files read at a time; -1 takes all cores.

    progress : bool, optional
        Whether to show a progress bar; by default with `memmap` only.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with these attributes:

        lights : ndarray of shape (n_lights, 3), float64
            Directions towards the light: x right, y up, z to the camera; unit vectors if `normalize`. Also as
            ``light_directions``.
        images : ndarray of shape (n_lights, height, width, 3) or, for grey files, (n_lights, height, width)
            Linear radiance, RGB, row 0 at the top; in [0, 1] for files of integers.
        light_norms : ndarray of shape (n_lights,)
            Lengths of the vectors in the file.
        filenames : list of str
            Paths of the photographs.
        light_file : str
            Path of the ``.lp`` file.
        image_shape : (int, int)
            Height and width of `images`.
        bit_depth : int
            Bits of a value in the files: 8, 16 or 32.
        file_dtype : str
            Type of a value in the files, such as "uint16".
        decode : "linear", "srgb" or float
            The parameter, or what "auto" took.
        mask : ndarray of shape (height, width), bool, or None
            True inside; with `downscale`, where all averaged pixels are inside.
        orientation : int
            The EXIF orientation that was applied; the first photograph's for "each".
        DESCR : str
            Description of what was loaded.

    Raises
    ------
    ImportError
        If the package that reads the photographs' format is not installed.

    OSError
        If the folder, or an ``.lp`` file in it, is missing or cannot be read, or `memmap` cannot be written.

    ValueError
        If a line of the ``.lp`` file is malformed or names a missing file (the message has file and line), if there are
        several ``.lp`` files, if there are more or fewer photographs than lights with ``match="order"``, or if a
        photograph is cut, damaged or unlike the others (the message names it).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.datasets import load_rti
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_rti(pathlib.Path(folder, "holiday"))
    Traceback (most recent call last):
    ...
    FileNotFoundError: No such folder: ...holiday
    """
    folder, light_path = _find_light_file(Path(folder), light_file)
    if match not in ("name", "order"):
        raise ValueError(f"match={match!r}, wanted 'name' or 'order'")
    is_dome = light_path.suffix.lower() == ".dome"
    described = read_dome(light_path) if is_dome else read_lp(light_path)
    intensities = check_intensities(intensities, len(described.vectors))
    if is_dome or match == "order":
        exclude = [within(folder, mask), within(folder, flat_field)]
        paths = photographs_in_order(folder, len(described.vectors), light_path, exclude=exclude)
        source = f"{folder} by {light_path.name}, matched by their order"
    else:
        paths = locate(described, folder, light_path, allow_outside=allow_outside, missing=missing)
        source = f"{folder} by {light_path.name}"
    found = [path is not None for path in paths]
    capture = load_photographs(
        folder,
        [path for path in paths if path is not None],
        described.vectors[found],
        source=source,
        intensities=None if intensities is None else intensities[found],
        normalize=normalize,
        decode=decode,
        layer=layer,
        clip_negative=clip_negative,
        crop=crop,
        downscale=downscale,
        mask=mask,
        flat_field=flat_field,
        orientation=orientation,
        dtype=dtype,
        memmap=memmap,
        n_jobs=n_jobs,
        progress=progress,
    )
    capture.light_file = str(light_path)
    return capture


def save_stack(
    folder,
    images,
    lights,
    *,
    file_format="png",
    exposure=0.0,
    encoding="auto",
    bit_depth=None,
    n_jobs=-1,
    progress=None,
):
    """Write an array of photographs as a folder of image files with an ``.lp`` file, which `load_rti` loads back.

    The folder appears when it is whole.

    Parameters
    ----------
    folder : path-like
        The folder to write; must not exist, or be empty.

    images : array-like of shape (n_lights, height, width, 3) or (n_lights, height, width)
        Linear radiance. A memory-mapped array is read one image at a time.

    lights : array-like of shape (n_lights, 3)
        Directions, or positions, which then load back with ``normalize=False``.

    file_format : "png", "jpg", "tif", "exr" or "hdr", default="png"
        Format of the files, as in `save_image`.

    exposure : float, default=0.0
        Exposure in stops: values are multiplied by ``2 ** exposure`` first.

    encoding : "auto", "linear", "srgb" or float, default="auto"
        As in `save_image`; load back with ``decode`` of the same value. In files of integers negative values become 0.

    bit_depth : int, optional
        As in `save_image`, but 16 by default for PNG.

    n_jobs : int, default=-1
        Number of files written at a time; -1 takes all cores.

    progress : bool, optional
        Whether to show a progress bar; not by default.

    Raises
    ------
    ImportError
        If the package that writes this format is not installed.

    OSError
        If the folder is there and not empty, or something cannot be written; nothing is left of it then.

    ValueError
        If shapes do not fit, a value is not finite, or an image would be clipped at 1 by integers: the message names it
        and its maximum.

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
    bit_depth = check_file_format(suffix, 16 if bit_depth is None and suffix == ".png" else bit_depth, encoding)
    is_clipped = suffix not in (".exr", ".hdr") and bit_depth <= 16
    images, lights = check_numbers(images, "images"), check_numbers(lights, "lights").astype(np.float64)
    check_image_shape(images.shape, "images", "n_lights, height, width")
    if lights.shape != (len(images), 3):
        raise ValueError(f"lights has shape {lights.shape}, wanted ({len(images)}, 3), one row an image")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already and not empty; save_stack writes a new folder")
    digits = max(4, len(str(len(images) - 1)))
    names = [f"image{index:0{digits}}{suffix}" for index in range(len(images))]

    with replacing(folder) as temporary:
        temporary.mkdir()

        def write(index):
            image = expose(images[index], exposure, f"images[{index}]")
            if is_clipped and image.max() > 1:
                raise ValueError(
                    f"images[{index}] reaches {image.max():.4g} at exposure={exposure:g} and would be clipped at 1: "
                    f"pass exposure={exposure - np.ceil(np.log2(float(image.max()))):g} or file_format='exr'"
                )
            write_image(temporary / names[index], image, encoding, bit_depth)

        run_in_threads(write, len(images), n_jobs, "Saving", bool(progress))
        write_lp(temporary / "dirs.lp", names, lights)


def _find_light_file(folder, light_file):
    """Return the folder and the path of the file of its lights."""
    if light_file is None and folder.suffix.lower() in LIGHT_SUFFIXES and folder.is_file():
        return folder.parent, folder
    check_folder(folder)
    if light_file is not None:
        path = folder / light_file
        if not path.is_file():
            raise FileNotFoundError(f"No such light file: {path}")
        return folder, path
    entries = sorted(path for path in folder.iterdir() if not is_left_behind(path.name))
    for suffix in LIGHT_SUFFIXES:
        found = [path for path in entries if path.suffix.lower() == suffix and path.is_file()]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise ValueError(f"{len(found)} {suffix} files in {folder}: {names}; choose one with light_file=")
        if found:
            return folder, found[0]
    raise FileNotFoundError(
        f"No .lp file in {folder} ({len(entries)} entries); wanted one that gives each photograph's light, or "
        "light_file= to name it"
    )
