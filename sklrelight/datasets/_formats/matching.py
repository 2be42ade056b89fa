"""Which file is the photograph of each light: by its name, or by its place in the order."""

import os
import re
import unicodedata
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

from .codecs import RAW_SUFFIXES

__all__ = ["is_left_behind", "list_photographs", "locate", "photographs_in_order"]

_DRIVE = re.compile(r"[A-Za-z]:")
_IMAGE_SUFFIXES = RAW_SUFFIXES | {
    ".bmp", ".exr", ".hdr", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp",
}  # fmt: skip
_SAME_SUFFIX = {".jpeg": ".jpg", ".tiff": ".tif"}
_LISTED = 100


def is_left_behind(name):
    """Tell whether a file is one that an operating system leaves beside the real ones.

    Examples
    --------
    >>> is_left_behind("._dirs.lp"), is_left_behind("Thumbs.db"), is_left_behind("dirs.lp")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx")


def locate(lights, folder, light_file, *, allow_outside=False, missing="error"):
    """Turn the names in an ``.lp`` file into paths of files that exist.

    A name is taken as it is where there is such a file in the folder. Otherwise the file is looked for that differs
    from it only in upper and lower case, in Unicode's way to write an accent, or as ``.jpeg`` from ``.jpg``; and then
    the same by the base name alone, because many programs write the whole paths of another computer.

    Parameters
    ----------
    lights : LightPositions
        What `read_lp` returned.

    folder : path-like
        What the names are relative to.

    light_file : path-like
        The ``.lp`` file, for the messages.

    allow_outside : bool, default=False
        Whether names may lead out of `folder`: absolute ones, those with ``..`` and symbolic links.

    missing : "error" or "skip", default="error"
        Whether names of missing files are an error, or are warned of and skipped.

    Returns
    -------
    list of pathlib.Path or None
        The files, one a light; None for one that is skipped.

    Raises
    ------
    ValueError
        If a name leads out of `folder` unallowed, or to no file, to several files or to another light's. The message
        names the ``.lp`` file and the lines.
    """
    if missing not in ("error", "skip"):
        raise ValueError(f"missing={missing!r}, wanted 'error' or 'skip'")
    root = os.path.realpath(folder)
    paths: list[Path | None] = []
    lines: dict[str, int] = {}  # by path
    faults = []

    @cache
    def by_folded_name(directory):
        found: dict[str, list[str]] = {}
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if not is_left_behind(name):
                found.setdefault(_folded(name), []).append(name)
        return found

    for name, number in zip(lights.filenames, lights.line_numbers, strict=True):
        where = f"{light_file}, line {number}"
        asked = os.path.join(folder, name)
        inside = _is_inside(name, asked, root)
        path = None
        if (inside or allow_outside) and os.path.isfile(asked):
            path = asked
        else:
            # Nothing but the folder of the name itself, where that is within, and the capture's folder is looked into.
            for directory in ([os.path.dirname(asked)] if inside else []) + [os.fspath(folder)]:
                same = by_folded_name(directory).get(_folded(os.path.basename(name)), [])
                if len(same) > 1:
                    raise ValueError(f"{where}: {name!r} may be each of {', '.join(sorted(same))} in {directory}")
                found = os.path.join(directory, same[0]) if same else ""
                if os.path.isfile(found) and _is_inside("", found, root):
                    path = found
                    break
        if path is None:
            faults.append(
                f"{where}: no such file: {asked}"
                if inside or allow_outside
                else f"{where}: {name!r} lies outside of the folder {folder}, which has no such file; pass "
                "allow_outside=True to read it nevertheless"
            )
        elif path in lines:
            raise ValueError(f"{where}: {name!r} is {path}, as in line {lines[path]}; each photograph has one light")
        else:
            lines[path] = number
        paths.append(path and Path(path))
    if faults and (missing == "error" or len(faults) == len(paths)):
        raise ValueError(_missing_message(faults, lights, paths))
    if faults:
        warnings.warn(_missing_message(faults, lights, paths), stacklevel=3)
    return paths


def list_photographs(folder, exclude=()):
    """List the photographs in a folder by name, with the numbers in it compared as numbers.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    exclude : sequence
        Paths of images that are no photographs, such as the mask; anything else in it is ignored.

    Returns
    -------
    list of pathlib.Path
        The photographs.
    """
    others = {path.resolve() for path in exclude if isinstance(path, Path)}
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _IMAGE_SUFFIXES
        and not is_left_behind(path.name)
        and path.is_file()
        and path.resolve() not in others
    ]
    return sorted(paths, key=lambda path: _in_order(path.name))


def photographs_in_order(folder, n_lights, light_file, *, exclude=()):
    """List the photographs in a folder as `list_photographs` does, and check their number.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    n_lights : int
        How many there must be.

    light_file : path-like
        What has the lights, for the message.

    exclude : sequence
        As in `list_photographs`.

    Returns
    -------
    list of pathlib.Path
        The photographs.

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    paths = list_photographs(folder, exclude)
    if len(paths) != n_lights:
        counts = Counter(path.suffix for path in paths)
        found = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items())) or "none"
        raise ValueError(
            f"{light_file} has {n_lights} lights, but {folder} has {len(paths)} photographs ({found}): matched by "
            "their order, they must be as many"
        )
    return paths


def _in_order(name):
    # Texts and numbers take turns, so that like is compared with like.
    return [int(part) if part.isdigit() else part.casefold() for part in re.split("([0-9]+)", name)]


def _is_inside(name, path, root):
    return not _DRIVE.match(name) and os.path.commonpath([root, os.path.realpath(path)]) == root


def _folded(name):
    stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name).casefold())
    return stem + _SAME_SUFFIX.get(suffix, suffix)


def _missing_message(faults, lights, paths):
    if len(paths) == 1:
        return faults[0]
    names = [
        f"{name} (line {number})"
        for name, number, path in zip(lights.filenames, lights.line_numbers, paths, strict=True)
        if path is None
    ]
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    way_out = (
        "give the folder that the photographs are in, and this file as light_file="
        if len(names) == len(paths)
        else "missing='skip' goes on without them"
    )
    return f"{faults[0]}. Missing are {len(names)} of {len(paths)} photographs: {listed}; {way_out}"
