"""Fetching files into a cache: whole or not at all, resumed after an interruption."""

import os
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ..utils import import_extra
from ._formats.images import read_stored
from ._formats.lp import read_lp

_TIMEOUT = 30  # seconds without an answer
_CHUNK = 2**16


class RemoteFile(NamedTuple):
    """A file to fetch."""

    name: str
    """Its name in the cache."""
    url: str
    sha256: str | None = None
    """Its checksum, where it is known. Otherwise only its kind is checked, by the name's suffix."""


def get_data_home(data_home=None):
    """Return the folder that holds what is fetched.

    Parameters
    ----------
    data_home : path-like, optional
        The folder. By default the one that the environment variable ``SKLRELIGHT_DATA`` names, else the
        user's cache.

    Returns
    -------
    pathlib.Path
        Not necessarily there yet.

    Raises
    ------
    ImportError
        If pooch, which knows where a user's cache is, is not installed and needed for that.

    Examples
    --------
    >>> get_data_home("captures").name
    'captures'
    """
    if data_home is not None:
        return Path(data_home).expanduser()
    named = os.environ.get("SKLRELIGHT_DATA")
    if named:
        return Path(named).expanduser()
    pooch = import_extra("pooch", "fetch", "To find the user's cache")
    return Path(pooch.os_cache("sklrelight"))


def fetch_files(files, folder, *, download_if_missing=True, progress=True, retries=2):
    """Fetch the files that are not in a folder yet.

    A file gets its name when it is whole and of the right kind, with the right checksum where that is
    known. What an interrupted run has received stays beside it as ``name.part``; the next run goes on from
    there, if the server can and the file is still the same, and otherwise starts afresh.

    Parameters
    ----------
    files : list of RemoteFile
    folder : path-like
        Made if it is not there.
    download_if_missing : bool, default=True
        Whether to fetch at all.
    progress : bool, default=True
        Whether to show a progress bar for each file.
    retries : int, default=2
        How often to try again, each time from where the last one got to.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    ImportError
        If pooch is not installed.
    FileNotFoundError
        If a file is missing and `download_if_missing` is false.
    ConnectionError
        If a file cannot be fetched: no network, no such file, an answer that breaks off. The message says
        what to do.
    ValueError
        If what arrives is not the file: a wrong checksum, or another kind of content.
    """
    folder = Path(folder)
    missing = [file for file in files if not (folder / file.name).is_file()]
    if missing and not download_if_missing:
        raise FileNotFoundError(
            f"{folder / missing[0].name} is missing ({len(missing)} of {len(files)} files), and "
            "download_if_missing is False."
        )
    if missing:
        pooch = import_extra("pooch", "fetch", f"To fetch {missing[0].url}")
        folder.mkdir(parents=True, exist_ok=True)
        # Its messages about every single file would drown the progress bars.
        pooch.get_logger().setLevel("WARNING")
        for file in missing:
            _fetch(pooch, file, folder, progress, retries)
    return [folder / file.name for file in files]


def _fetch(pooch, file, folder, progress, retries):
    import requests  # noqa: PLC0415  (pooch brings it; without the extra there is none)

    target = folder / file.name
    known_hash = None if file.sha256 is None else f"sha256:{file.sha256}"
    downloader = _ResumingDownloader(target, progress)
    for attempt in range(retries + 1):
        try:
            pooch.retrieve(file.url, known_hash, fname=file.name, path=folder, downloader=downloader)
            return
        except requests.exceptions.RequestException as error:
            # Asking again helps where an answer broke off, not where the server has said no.
            if attempt == retries or isinstance(error, requests.exceptions.HTTPError):
                raise ConnectionError(
                    f"Cannot fetch {file.url}: {error}. Is there a network? If not, put the file at {target} by hand, "
                    "or name a folder that has it in SKLRELIGHT_DATA or data_home=."
                ) from error
        except ValueError as error:
            raise ValueError(
                f"What {file.url} sent is not {file.name}: {error} Nothing is kept of it; the next run starts afresh."
            ) from error


class _ResumingDownloader:
    """What pooch calls to fetch a URL into its temporary file, which it then checks and renames."""

    def __init__(self, target, progress):
        self._target = target
        self._progress = progress
        self._part = target.with_name(f"{target.name}.part")
        self._validator = target.with_name(f"{target.name}.part.validator")

    def __call__(self, url, output_file, _pooch):
        import requests  # noqa: PLC0415

        headers = {"Accept-Encoding": "identity"}
        received = self._part.stat().st_size if self._part.is_file() and self._validator.is_file() else 0
        if received:
            # "Only if it is still the file that the part is of": otherwise the server sends all of it.
            headers |= {"Range": f"bytes={received}-", "If-Range": self._validator.read_text()}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if received and answer.status_code == requests.codes.requested_range_not_satisfiable:
                self._forget()
                return self(url, output_file, _pooch)
            answer.raise_for_status()
            resumed = answer.status_code == requests.codes.partial_content
            self._receive(answer, received if resumed else 0)
        os.replace(self._part, output_file)
        self._forget()
        _refuse_wrong_kind(Path(output_file), self._target.suffix.lower())
        return None

    def _receive(self, answer, received):
        # A weak validator ("W/...") promises no equal bytes.
        validator = answer.headers.get("ETag", "")
        validator = validator if validator.startswith('"') else answer.headers.get("Last-Modified", "")
        self._validator.unlink(missing_ok=True)
        length = answer.headers.get("Content-Length")
        bar = tqdm(
            total=received + int(length) if length else None,
            initial=received,
            desc=self._target.name,
            unit="B",
            unit_scale=True,
            disable=not self._progress,
        )
        with bar, open(self._part, "ab" if received else "wb") as file:
            if validator:
                self._validator.write_text(validator)
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))

    def _forget(self):
        self._part.unlink(missing_ok=True)
        self._validator.unlink(missing_ok=True)


def _refuse_wrong_kind(path, suffix):
    """Raise ValueError unless a file is what its suffix says, and whole.

    What arrives instead is often the login page of a network.
    """
    if suffix == ".mat":
        h5py = import_extra("h5py", "matlab", f"To check {path}")
        try:
            # Opening compares the size that the file says with the one it has.
            h5py.File(path, "r").close()
        except OSError as error:
            raise ValueError(f"it is no MATLAB v7.3 (HDF5) file, or cut: {error}.") from error
    elif suffix == ".lp":
        read_lp(path)
    elif suffix == ".jpg":
        read_stored(path)
