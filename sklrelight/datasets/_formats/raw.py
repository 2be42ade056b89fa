"""Camera RAW and DNG files, through rawpy (LibRaw)."""

import io

import numpy as np

from ...utils import import_extra

RAW_SUFFIXES = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
}  # fmt: skip

# How LibRaw says that a picture lies on its side, as EXIF says it.
_EXIF_OF_FLIP = {0: 1, 3: 3, 5: 8, 6: 6}


def read_raw(path, data):
    """Develop a RAW file linearly, the same way for every file of a camera.

    No automatic brightness, no white balance by the picture's content or the camera's guess (daylight
    instead), and the sensor's own white level: nothing that would change from one photograph to the next.

    Parameters
    ----------
    path : pathlib.Path
        The file, for messages.
    data : bytes
        Its content.

    Returns
    -------
    values : ndarray of shape (height, width, 3), uint16
        Linear, sRGB primaries, as the sensor saw them; 65535 is the white level.
    orientation : int
        EXIF orientation that turns them upright.

    Raises
    ------
    ImportError
        If rawpy is not installed.
    ValueError
        If the file is cut, damaged, or of a camera that LibRaw does not know.
    """
    rawpy = import_extra("rawpy", "raw", f"To read {path}")
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            orientation = _EXIF_OF_FLIP.get(raw.sizes.flip, 1)
            values = raw.postprocess(
                gamma=(1, 1),
                output_bps=16,
                no_auto_bright=True,
                # LibRaw would otherwise take a bright picture's own maximum for white.
                adjust_maximum_thr=0.0,
                use_camera_wb=False,
                use_auto_wb=False,
                user_flip=0,
            )
    except rawpy.LibRawError as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"{path}: cannot be read as a RAW image: {reason}") from error
    return np.ascontiguousarray(values), orientation
