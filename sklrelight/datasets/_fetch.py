"""Captures that others publish, fetched once and kept."""

from ._download import RemoteFile, fetch_files, get_data_home
from ._formats.ltm import load_ltm
from ._formats.rti import load_rti

_LTM_URL = "http://www.cs.toronto.edu/~motoole/data/{name}/"
_LTM_SHAPE = (464, 696)
# The last commit that changed the capture: what is there never changes.
_ITEM3_URL = (
    "https://raw.githubusercontent.com/Univr-RTI/NeuralRTI/0ba03d0d42b51d38f344ca6c9857fea232043625/exampledataset/"
)
_ITEM3_COUNT = 72


def fetch_waldorf(*, data_home=None, download_if_missing=True, base_url=None, **options):
    """Fetch and load the Waldorf light-transport capture (2 GB).

    1024 high-dynamic-range images of 464 x 696 pixels, lit by one cell each of a 32 x 32 grid of a
    projector's pixels [1]_. In memory they take 4 GB; use `memmap`, `crop` or `downscale` for less.

    Parameters
    ----------
    data_home : path-like, optional
        Where the files are kept, in the sub-folder ``waldorf``. By default the folder that the environment
        variable ``SKLRELIGHT_DATA`` names, else the user's cache.
    download_if_missing : bool, default=True
        Whether to fetch what is not there yet. An interrupted download goes on where it stopped.
    base_url : str, optional
        Where to fetch from, such as a mirror: the address before the files' names.
    **options
        Passed on to `load_ltm`: ``crop``, ``downscale``, ``mask``, ``dtype``, ``memmap``, ``progress``.

    Returns
    -------
    sklearn.utils.Bunch
        As from `load_ltm`.

    Raises
    ------
    ImportError
        If pooch or h5py is not installed.
    FileNotFoundError
        If a file is missing and `download_if_missing` is false.
    ConnectionError
        If a file cannot be fetched, such as without a network.
    ValueError
        If what arrives is no such file.

    References
    ----------
    .. [1] M. O'Toole, K. N. Kutulakos, "Optical Computing for Fast Light Transport Analysis", ACM Transactions on
       Graphics 29(6), 2010.

    Examples
    --------
    >>> from sklrelight.datasets import fetch_waldorf
    >>> fetch_waldorf(data_home="no/such/folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...Red.mat is missing (3 of 3 files), and download_if_missing is False.
    """
    return _fetch_ltm("waldorf", data_home, download_if_missing, base_url, options)


def fetch_bull(*, data_home=None, download_if_missing=True, base_url=None, **options):
    """Fetch and load the Bull light-transport capture (2 GB).

    1024 high-dynamic-range images of 464 x 696 pixels, lit by one cell each of a 32 x 32 grid of a
    projector's pixels [1]_. In memory they take 4 GB; use `memmap`, `crop` or `downscale` for less.

    Parameters
    ----------
    data_home, download_if_missing, base_url, **options
        As in `fetch_waldorf`; the sub-folder is ``bull``.

    Returns
    -------
    sklearn.utils.Bunch
        As from `load_ltm`.

    Raises
    ------
    ImportError, FileNotFoundError, ConnectionError, ValueError
        As `fetch_waldorf`.

    References
    ----------
    .. [1] M. O'Toole, K. N. Kutulakos, "Optical Computing for Fast Light Transport Analysis", ACM Transactions on
       Graphics 29(6), 2010.

    Examples
    --------
    >>> from sklrelight.datasets import fetch_bull
    >>> fetch_bull(data_home="no/such/folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...Red.mat is missing (3 of 3 files), and download_if_missing is False.
    """
    return _fetch_ltm("bull", data_home, download_if_missing, base_url, options)


def fetch_realrti_item3(*, data_home=None, download_if_missing=True, base_url=None, **options):
    """Fetch and load a painted panel, photographed under 72 lights (2 MB).

    The example data set of NeuralRTI [1]_, item 3 of RealRTI: JPEG files, near-linear, with light
    directions. Published under the MIT licence.

    Parameters
    ----------
    data_home, download_if_missing, base_url
        As in `fetch_waldorf`; the sub-folder is ``realrti_item3``.
    **options
        Passed on to `load_rti`.

    Returns
    -------
    sklearn.utils.Bunch
        As from `load_rti`.

    Raises
    ------
    ImportError
        If pooch or OpenCV is not installed.
    FileNotFoundError, ConnectionError, ValueError
        As `fetch_waldorf`.

    References
    ----------
    .. [1] T. G. Dulecha, F. A. Fanni, F. Ponchio, F. Pellacini, A. Giachetti, "Neural reflectance transformation
       imaging", The Visual Computer 36, 2020.

    Examples
    --------
    >>> from sklrelight.datasets import fetch_realrti_item3
    >>> fetch_realrti_item3(data_home="no/such/folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...dirs.lp is missing (73 of 73 files), and download_if_missing is False.
    """
    base = base_url or _ITEM3_URL
    names = ["dirs.lp", *(f"image{number:02}.jpg" for number in range(1, _ITEM3_COUNT + 1))]
    folder = get_data_home(data_home) / "realrti_item3"
    files = [RemoteFile(name, base + name) for name in names]
    # A bar for each of the many small files would only flicker.
    fetch_files(files, folder, download_if_missing=download_if_missing, progress=False)
    return load_rti(folder, **options)


def _fetch_ltm(name, data_home, download_if_missing, base_url, options):
    folder = get_data_home(data_home) / name
    base = base_url or _LTM_URL.format(name=name)
    files = [RemoteFile(f"{colour}.mat", f"{base}{colour}.mat") for colour in ("Red", "Green", "Blue")]
    fetch_files(files, folder, download_if_missing=download_if_missing)
    return load_ltm(folder, _LTM_SHAPE, **options)
