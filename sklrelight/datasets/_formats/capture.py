"""A capture of any layout, recognised by its files."""

from collections import Counter
from inspect import signature
from pathlib import Path

from .diligent import load_diligent
from .ltm import load_ltm
from .matching import is_left_behind
from .npz import load_npz
from .photographs import load_photographs
from .rti import LIGHT_SUFFIXES, load_rti

__all__ = ["load_capture"]

_WANTED = (
    "wanted one of: photographs with an .lp or .dome file that gives the light of each (load_rti); filenames.txt, "
    "light_directions.txt and photographs, as DiLiGenT's captures have (load_diligent); Red.mat, Green.mat and "
    "Blue.mat (load_ltm); an .npz archive (load_npz)"
)


def load_capture(path, **options):
    """Load a capture of any layout that a loader here reads.

    What the folder holds decides, in this order: an ``.lp`` or ``.dome`` file (`load_rti`); DiLiGenT's
    ``filenames.txt`` (`load_diligent`); ``Red.mat``, ``Green.mat`` and ``Blue.mat`` (`load_ltm`); one ``.npz`` archive
    (`load_npz`). A file of one of these kinds may be given in place of its folder.

    Parameters
    ----------
    path : path-like
        The folder or the file.

    **options
        Parameters of the loader, such as ``crop``, ``downscale``, ``decode`` and ``mask``. With `light_file` it is
        `load_rti`, whatever else is in the folder. `load_ltm` cannot do without `image_shape`.

    Returns
    -------
    sklearn.utils.Bunch
        The capture as the loader returns it, with ``lights``, ``images``, ``image_shape``, ``mask`` and ``DESCR``; and
        as ``loader`` the loader's name.

    Raises
    ------
    OSError
        If there is nothing at `path`, or it cannot be read.

    ValueError
        If the layout is none of these, the loader has no such option, or whatever the loader refuses.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklrelight.datasets import load_capture, save_stack
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = pathlib.Path(folder, "capture")
    ...     save_stack(target, np.full((2, 4, 6, 3), 0.5), [[0, 0, 1], [0.6, 0, 0.8]])
    ...     capture = load_capture(target, downscale=2)
    >>> capture.images.shape, capture.loader
    ((2, 2, 3, 3), 'load_rti')
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"No such file or folder: {path}")
    loader, source = _recognise(path, options)
    known = _options_of(loader)
    unknown = sorted(options.keys() - set(known))
    if unknown:
        raise ValueError(
            f"{path} is read by {loader.__name__}, which has no option {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(known)}"
        )
    if loader is load_ltm and "image_shape" not in options:
        raise ValueError(
            f"{path} holds light-transport matrices, which do not say how large their images are: pass "
            "image_shape=(height, width)"
        )
    capture = loader(source, **options)
    capture.loader = loader.__name__
    return capture


def _recognise(path, options):
    """Return the loader of a folder or file, and what to give to it."""
    if path.is_file():
        folder, names = path.parent, [path.name]
    else:
        files = (entry.name for entry in path.iterdir() if entry.is_file())
        folder, names = path, sorted(name for name in files if not is_left_behind(name))
    if any(name.lower().endswith(LIGHT_SUFFIXES) for name in names) or "light_file" in options:
        return load_rti, path
    if {"filenames.txt", "light_directions.txt", "light_intensities.txt"} & set(names):
        return load_diligent, folder
    if {"Red.mat", "Green.mat", "Blue.mat"} & set(names):
        return load_ltm, folder
    archives = [name for name in names if name.lower().endswith(".npz")]
    if len(archives) == 1:
        return load_npz, folder / archives[0]
    counts = Counter(Path(name).suffix.lower() or "without a suffix" for name in names)
    found = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(8)) or "no file"
    raise ValueError(f"{path} is no capture that can be recognised: found {found}; {_WANTED}")


def _options_of(loader):
    """Return the names of a loader's options."""
    names = list(signature(loader).parameters)[1:]
    if loader is load_diligent:
        # It passes on what it does not name itself.
        names.remove("options")
        internal = {"folder", "paths", "vectors", "source"}
        names += [name for name in signature(load_photographs).parameters if name not in {*names, *internal}]
    return names
