"""OpenEXR files, of one layer or of several."""

import os

import numpy as np

from ...utils import check_claim, import_extra

__all__ = ["is_exr", "read_exr", "write_exr"]

# How many bytes each compression makes of one at most; those that are not named here may reach the last, which an image
# without content does.
_RATIOS = {"NO": 1, "RLE": 64, "ZIPS": 1032, "ZIP": 1032, "PIZ": 1032, "PXR24": 1032, "B44": 3, "B44A": 11}
_LARGEST_RATIO = 2**15
_LARGEST_TILE = 2**22  # pixels
_SRGB_CHROMATICITIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)


def is_exr(data):
    """Tell whether a file's bytes begin as an OpenEXR file's do."""
    return data.startswith(b"v/1\x01")


def read_exr(path, n_stored, layer=None):
    """Read one image of an OpenEXR file, in its display window.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    n_stored : int
        Its bytes.

    layer : str, optional
        Name of the layer. Needed where several hold colours, and none of them is without a name.

    Returns
    -------
    values : ndarray of shape (height, width, 3) or (height, width)
        R, G and B, or Y, or the only channel; float16 or float32.

    note : str or None
        What the reader of the values should know.

    Raises
    ------
    ImportError
        If OpenEXR is not installed.

    ValueError
        If the file is cut, damaged, or has no such image.
    """
    openexr = import_extra("OpenEXR", "exr", f"To read {path}")
    headers = [header for header, _ in _read_parts(openexr, path, header_only=True)]
    for header in headers:
        _check_part(header, n_stored, path)
    number, names = _choose(_find_layers(headers), layer, path)
    parts = _read_parts(openexr, path, header_only=False)
    # The package leaves out parts whose pixels it cannot read.
    if len(parts) < len(headers) or not set(names) <= parts[number][1].keys():
        raise ValueError(f"{path}: cannot be read as an OpenEXR image: cut or damaged")
    header, channels = parts[number]
    planes = [channels[name] for name in names]
    shapes = sorted({plane.shape for plane in planes})
    if len(shapes) > 1 or any(plane.dtype.kind != "f" for plane in planes):
        raise ValueError(
            f"{path}: channels {names} have the shapes {shapes} and begin with {planes[0].dtype}, wanted floats of one"
            " size"
        )
    values = _in_display_window(np.stack(planes, axis=-1) if len(planes) > 1 else planes[0], header)
    chromaticities = header.get("chromaticities", _SRGB_CHROMATICITIES)
    note = None
    if len(planes) > 1 and not np.allclose(chromaticities, _SRGB_CHROMATICITIES, atol=2e-3):
        given = " ".join(f"{value:.4g}" for value in chromaticities)
        note = f"the file's chromaticities are {given}, and its values are taken as if they were those of sRGB"
    return values, note


def _read_parts(openexr, path, header_only):
    """Return each part's header, with the names of its channels, and its channels' pixels by name."""
    try:
        # Bytes, because names of files need not be UTF-8.
        file = openexr.File(os.fsencode(path), separate_channels=True, header_only=header_only)
        parts = [
            (
                part.header | {"channels": [channel.name for channel in part.header["channels"]]},
                {name: channel.pixels for name, channel in part.channels.items()},
            )
            for part in file.parts
        ]
    except Exception as error:
        # The package raises RuntimeError, ValueError, TypeError and others over damaged files.
        raise ValueError(f"{path}: cannot be read as an OpenEXR image: cut, damaged or of another format") from error
    if not parts:
        raise ValueError(f"{path}: cannot be read as an OpenEXR image: cut or damaged")
    return parts


def _check_part(header, n_stored, path):
    """Refuse a part that claims more pixels than the file can hold."""
    compression = header["compression"].name.removesuffix("_COMPRESSION")
    for window, ratio in [("dataWindow", _RATIOS.get(compression, _LARGEST_RATIO)), ("displayWindow", _LARGEST_RATIO)]:
        first, last = (corner.astype(int) for corner in header[window])
        width, height = last - first + 1
        if width <= 0 or height <= 0:
            raise ValueError(f"{path}: damaged: its {window} is from {first} to {last}")
        n_channels = len(header["channels"]) if window == "dataWindow" else 1
        # Of at least two bytes each; some channels may be stored at every other pixel.
        check_claim(int(width) * int(height) * 2 * n_channels // 4, n_stored, path, ratio)
    tile = header.get("tiles")
    if tile is not None and not 0 < tile.xSize * tile.ySize <= _LARGEST_TILE:
        raise ValueError(f"{path}: tiles of {tile.xSize} x {tile.ySize} pixels, wanted at most {_LARGEST_TILE} pixels")


def _find_layers(headers):
    """Return the part and the channels of each layer: {name: (number of the part, {"R": name of the channel, ...})}."""
    layers: dict[str, tuple[int, dict[str, str]]] = {}
    for number, header in enumerate(headers):
        if "deep" in header["type"].name:
            continue
        for channel in header["channels"]:
            layer, _, letter = channel.rpartition(".")
            if len(headers) > 1:
                layer = ".".join(filter(None, [str(header.get("name", number)), layer]))
            layers.setdefault(layer, (number, {}))[1][letter] = channel
    return layers


def _choose(layers, layer, path):
    """Return the part's number and the channels of the layer that is asked for, of the one without a name, or the only.

    What holds no colours counts where nothing does.
    """
    if layer is not None and layer not in layers:
        raise ValueError(f"{path}: no layer {layer!r} (layer=), wanted one of {sorted(layers)}")
    asked = layers if layer is None else {layer: layers[layer]}
    for letters, others in [("RGB", set()), ("Y", {"RY", "BY"}), (None, set())]:
        found = {
            name: (number, [channels[letter] for letter in letters or channels])
            for name, (number, channels) in asked.items()
            if (len(channels) == 1 if letters is None else set(letters) <= channels.keys())
            and not others & channels.keys()
        }
        if "" in found or len(found) == 1:
            return found.get("") or next(iter(found.values()))
        if found:
            raise ValueError(f"{path}: several layers, say which one with layer=: {sorted(found)}")
    channels = sorted(channel for _, channels in asked.values() for channel in channels.values())
    raise ValueError(f"{path}: channels {channels}, wanted R, G and B, or Y without chroma, or a single one")


def _in_display_window(pixels, header):
    """Put pixels into the window that is shown; what a renderer left out is 0."""
    # Both windows as their first and last pixel, as (row, column).
    shown, data = (np.array(header[name], dtype=int)[:, ::-1] for name in ("displayWindow", "dataWindow"))
    image = np.zeros((*(shown[1] - shown[0] + 1), *pixels.shape[2:]), dtype=pixels.dtype)
    first, stop = np.maximum(shown[0], data[0]), np.minimum(shown[1], data[1]) + 1
    if np.all(first < stop):
        into, source = (tuple(map(slice, first - corner, stop - corner)) for corner in (shown[0], data[0]))
        image[into] = pixels[source]
    return image


def write_exr(path, image):
    """Write an image of shape (height, width[, 3]), float16 or float32, as an OpenEXR file with zip compression."""
    openexr = import_extra("OpenEXR", "exr", f"To write {path}")
    header = {
        "compression": openexr.ZIP_COMPRESSION,
        "type": openexr.scanlineimage,
        "chromaticities": _SRGB_CHROMATICITIES,
    }
    planes = {"Y": image} if image.ndim == 2 else dict(zip("RGB", np.moveaxis(image, -1, 0), strict=True))
    file = openexr.File(header, {name: np.ascontiguousarray(plane) for name, plane in planes.items()})
    try:
        file.write(os.fsencode(path))
    except RuntimeError as error:
        raise OSError(str(error)) from error
