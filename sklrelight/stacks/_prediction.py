"""Photographs predicted into a file by several workers: :func:`predict_to_stack`."""

from pathlib import Path

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.utils import check_array, gen_even_slices

from ..utils import check_stack_dtype, import_extra, replacing
from ._stack import ImageStack

__all__ = ["predict_to_stack"]

# Parts for each worker. A part is predicted anew where a worker is lost.
_PARTS = 4


def predict_to_stack(relighter, lights, path, *, dtype="float32", n_jobs=None):
    """Predict photographs into a ``.npy`` file or a zarr array.

    joblib runs the workers: processes of this machine or, under ``joblib.parallel_config(backend="dask")``, of a
    cluster, whose machines must all see the folder of `path` under that name. Each worker writes the photographs that
    it predicts, so that no process holds more than some of them. Another worker takes over the work of one that is
    lost.

    Parameters
    ----------
    relighter : Relighter
        Fitted relighter.

    lights : array-like of shape (m, n_light_features)
        Lights in the units that `fit` saw.

    path : path-like
        Path of the file, which appears there when it is complete; an existing one is replaced. With the suffix
        ``.zarr`` it is a zarr array with a chunk for each photograph, otherwise a ``.npy`` file.

    dtype : {"float32", "float16"}, default="float32"
        Type of the values in the file. Values above 65504, the largest of float16, are lowered to it.

    n_jobs : int or None, default=None
        Number of workers, as in joblib.

    Returns
    -------
    ImageStack
        The predicted photographs, of shape (m, H, W, C) or (m, H, W).

    Raises
    ------
    ValueError
        If the lights are not finite or have another width than in `fit`, or the model does not predict photographs.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklrelight import Relighter, predict_to_stack
    >>> from sklrelight.interpolation import NearestPhotograph
    >>> relighter = Relighter(NearestPhotograph()).fit([[0.0], [1.0]], np.ones((2, 4, 6, 3)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     predict_to_stack(relighter, [[0.2], [0.4], [0.9]], folder + "/predicted.npy")
    ImageStack(shape=(3, 4, 6, 3), dtype=float32)
    """
    dtype = check_stack_dtype(dtype)
    lights = check_array(lights, input_name="lights")
    image_shape = relighter.predict(lights[:1]).shape[1:]
    if len(image_shape) < 2:
        raise ValueError(f"the model predicts values of shape {image_shape}, expected photographs, (H, W) or (H, W, C)")
    n_parts = min(len(lights), _PARTS * effective_n_jobs(n_jobs))
    with replacing(path) as temporary:
        _create(temporary, (len(lights), *image_shape), dtype)
        Parallel(n_jobs=n_jobs)(
            delayed(_predict_part)(relighter, lights[part], str(temporary), part.start)
            for part in gen_even_slices(len(lights), n_parts)
        )
    return ImageStack(path)


def _create(path, shape, dtype):
    """Create the file that the workers write into."""
    if path.suffix == ".zarr":
        zarr = import_extra("zarr", "zarr", f"To write {path}")
        zarr.create_array(path, shape=shape, dtype=dtype, chunks=(1, *shape[1:]))
    else:
        np.lib.format.open_memmap(path, "w+", dtype, shape).flush()


def _predict_part(relighter, lights, path, first):
    """Predict some photographs and write them into the file."""
    if Path(path).suffix == ".zarr":
        file = import_extra("zarr", "zarr", f"To write {path}").open_array(path, mode="r+")
    else:
        file = np.load(path, mmap_mode="r+")
    largest = np.finfo(file.dtype).max
    for number, image in enumerate(relighter.iter_predict(lights), first):
        file[number] = np.minimum(image, largest).astype(file.dtype)
    if isinstance(file, np.memmap):
        file.flush()
