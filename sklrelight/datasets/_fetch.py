"""Captures that others publish, fetched once and kept."""

import os
import time
from importlib import resources
from pathlib import Path

from tqdm import tqdm

from ..utils import import_extra
from ._formats.ltm import load_ltm
from ._formats.rti import load_rti

__all__ = ["fetch_bull", "fetch_realrti_item3", "fetch_waldorf", "get_data_home"]

_LTM_URL = "http://www.cs.toronto.edu/~motoole/data/{name}/"
_LTM_SHAPE = (464, 696)
# The last commit that changed the capture: what is there never changes.
_ITEM3_URL = (
    "https://raw.githubusercontent.com/Univr-RTI/NeuralRTI/0ba03d0d42b51d38f344ca6c9857fea232043625/exampledataset/"
)
# Limits on what a server may send: twice what is published.
_LTM_MAX_BYTES, _ITEM3_MAX_BYTES = 4 * 10**9, 4 * 10**6

_TIMEOUT = 30  # seconds without an answer
_CHUNK_BYTES = 2**16


def fetch_waldorf(*, data_home=None, download_if_missing=True, base_url=None, max_time=21600, **options):
    """Fetch and load the Waldorf light-transport capture (2 GB).

    1024 high-dynamic-range images of 464 x 696 pixels, each lit by one cell of a 32 x 32 grid of a projector's pixels
    [1]_. In memory they take 4 GB; use `memmap`, `crop` or `downscale` for less.

    Parameters
    ----------
    data_home : path-like, optional
        The folder where the files are kept, in the sub-folder ``waldorf``; by default as :func:`get_data_home` returns
        it.

    download_if_missing : bool, default=True
        Whether to fetch files that are not there yet.

    base_url : str, optional
        Address before the files' names, such as that of a mirror; by default that of the authors.

    max_time : float, default=21600
        Limit on the time of the download, in seconds. Files that are whole by then are kept.

    **options
        Parameters of `load_ltm`: ``crop``, ``downscale``, ``mask``, ``dtype``, ``memmap``, ``progress``.

    Returns
    -------
    sklearn.utils.Bunch
        The capture, as from `load_ltm`.

    Raises
    ------
    ImportError
        If pooch or h5py is not installed.

    FileNotFoundError
        If a file is missing and `download_if_missing` is false.

    ConnectionError
        If a file cannot be fetched, for instance without a network.

    TimeoutError
        If the download takes longer than `max_time`.

    ValueError
        If what arrives is no such file, or far more than was published.

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
    FileNotFoundError: ...Red.mat is missing (3 of 3 files), and download_if_missing is False
    """
    return _fetch_ltm("waldorf", data_home, download_if_missing, base_url, max_time, options)


def fetch_bull(*, data_home=None, download_if_missing=True, base_url=None, max_time=21600, **options):
    """Fetch and load the Bull light-transport capture (2 GB).

    1024 high-dynamic-range images of 464 x 696 pixels, each lit by one cell of a 32 x 32 grid of a projector's pixels
    [1]_. In memory they take 4 GB; use `memmap`, `crop` or `downscale` for less.

    Parameters
    ----------
    data_home, download_if_missing, base_url, max_time, **options
        As in `fetch_waldorf`; the sub-folder is ``bull``.

    Returns
    -------
    sklearn.utils.Bunch
        The capture, as from `load_ltm`.

    Raises
    ------
    ImportError, FileNotFoundError, ConnectionError, TimeoutError, ValueError
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
    FileNotFoundError: ...Red.mat is missing (3 of 3 files), and download_if_missing is False
    """
    return _fetch_ltm("bull", data_home, download_if_missing, base_url, max_time, options)


def fetch_realrti_item3(*, data_home=None, download_if_missing=True, base_url=None, max_time=600, **options):
    """Fetch and load photographs of a painted panel under 72 lights (2 MB).

    The example data set of NeuralRTI [1]_, item 3 of RealRTI: JPEG files, nearly linear, with light directions.
    Published under the MIT licence. Each file is checked against its SHA-256.

    Parameters
    ----------
    data_home, download_if_missing, base_url, max_time
        As in `fetch_waldorf`; the sub-folder is ``realrti_item3``, and `max_time` is 600 by default.

    **options
        Parameters of `load_rti`.

    Returns
    -------
    sklearn.utils.Bunch
        The capture, as from `load_rti`.

    Raises
    ------
    ImportError
        If pooch or OpenCV is not installed.

    FileNotFoundError, ConnectionError, TimeoutError, ValueError
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
    FileNotFoundError: ...dirs.lp is missing (73 of 73 files), and download_if_missing is False
    """
    folder = get_data_home(data_home) / "realrti_item3"
    # A bar for each of the many small files would only flicker.
    downloader = _Downloader(max_time, _ITEM3_MAX_BYTES, progress=False)
    _fetch_files(base_url or _ITEM3_URL, _item3_checksums(), folder, download_if_missing, downloader)
    return load_rti(folder, **options)


def get_data_home(data_home=None):
    """Return the folder that holds what is fetched.

    Parameters
    ----------
    data_home : path-like, optional
        The folder; by default the one that the environment variable ``SKLRELIGHT_DATA`` names, else the user's cache.

    Returns
    -------
    pathlib.Path
        The folder, which need not be there yet.

    Raises
    ------
    ImportError
        If pooch, which knows where a user's cache is, is needed for that and not installed.

    Examples
    --------
    >>> from sklrelight.datasets import get_data_home
    >>> get_data_home("captures").name
    'captures'
    """
    named = data_home or os.environ.get("SKLRELIGHT_DATA")
    if named:
        return Path(named).expanduser()
    pooch = import_extra("pooch", "fetch", "To find the user's cache")
    return Path(pooch.os_cache("sklrelight"))


def _fetch_ltm(name, data_home, download_if_missing, base_url, max_time, options):
    folder = get_data_home(data_home) / name
    checksums = dict.fromkeys(["Red.mat", "Green.mat", "Blue.mat"])  # nobody has published them
    downloader = _Downloader(max_time, _LTM_MAX_BYTES, progress=True)
    _fetch_files(base_url or _LTM_URL.format(name=name), checksums, folder, download_if_missing, downloader)
    return load_ltm(folder, _LTM_SHAPE, **options)


def _item3_checksums():
    lines = resources.files(__package__).joinpath("realrti_item3.sha256").read_text().splitlines()
    return dict(line.split() for line in lines)


def _fetch_files(base_url, checksums, folder, download_if_missing, downloader):
    """Fetch the files that are not in a folder yet, each whole or not at all.

    Parameters
    ----------
    base_url : str
        Address before the files' names.

    checksums : dict
        SHA-256 of each file by its name, or None where it is not known.

    folder : pathlib.Path
        The folder; made if it is not there.

    download_if_missing : bool
        Whether to fetch at all.

    downloader : callable
        Function of an address and a path that downloads one file, as pooch takes it.
    """
    missing = [name for name in checksums if not (folder / name).is_file()]
    if not missing:
        return
    if not download_if_missing:
        raise FileNotFoundError(
            f"{folder / missing[0]} is missing ({len(missing)} of {len(checksums)} files), and download_if_missing is "
            "False"
        )
    modules = ("pooch", "requests", "urllib3")  # pooch brings the other two
    pooch, requests, urllib3 = (import_extra(module, "fetch", f"To fetch {base_url}") for module in modules)
    # Its messages about every single file would drown the progress bars.
    pooch.get_logger().setLevel("WARNING")
    for name in missing:
        url = base_url + name
        try:
            pooch.retrieve(url, checksums[name], fname=name, path=folder, downloader=downloader)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise ConnectionError(
                f"Cannot fetch {url}: {error}. Is there a network? If not, put the file at {folder / name} by hand, "
                "or name a folder that has it in SKLRELIGHT_DATA or data_home="
            ) from error
        except ValueError as error:
            raise ValueError(f"What {url} sent is not {name}: {error}") from error


class _Downloader:
    """Downloads for pooch that together stay within a time (s) and a size (bytes)."""

    def __init__(self, max_time, max_bytes, *, progress):
        self._max_time, self._deadline = max_time, time.monotonic() + max_time
        self._max_bytes, self._received = max_bytes, 0
        self._progress = progress

    def __call__(self, url, output_file, _pooch):
        """Download one file to a temporary path, which pooch then checks and renames, or removes."""
        requests = import_extra("requests", "fetch", f"To fetch {url}")
        name = url.rsplit("/", 1)[1]
        headers = {"Accept-Encoding": "identity"}
        with (
            requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer,
            open(output_file, "wb") as file,
        ):
            answer.raise_for_status()
            total = int(answer.headers.get("Content-Length", 0)) or None
            with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=not self._progress) as bar:
                # What has arrived, however little: the time may be over long before a full chunk is there.
                while data := answer.raw.read1(_CHUNK_BYTES):
                    self._received += len(data)
                    self._check_limits(url)
                    file.write(data)
                    bar.update(len(data))
        _refuse_wrong_type(Path(output_file), Path(name).suffix)

    def _check_limits(self, url):
        if self._received > self._max_bytes:
            raise ValueError(f"more than {self._max_bytes} bytes have arrived, and so many were not published")
        if time.monotonic() > self._deadline:
            raise TimeoutError(
                f"Fetching {url} takes longer than max_time={self._max_time:g} seconds; files that are whole are kept, "
                "and the next call fetches only the others"
            )


def _refuse_wrong_type(path, suffix):
    """Raise ValueError unless a file is what its suffix says, and whole: a network's login page often is not."""
    if suffix == ".mat":
        h5py = import_extra("h5py", "matlab", f"To check {path}")
        try:
            # Opening compares the size that the file says with the one it has.
            h5py.File(path, "r").close()
        except OSError as error:
            raise ValueError(f"it is no MATLAB v7.3 (HDF5) file, or cut: {error}") from error
