"""Light-transport matrices in MATLAB files, as the Waldorf and Bull captures come."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
from scipy import io
from sklearn.utils import Bunch

from ...utils import check_claim, check_stack_dtype, import_extra
from .arrays import fill_array
from .images import check_decode, check_sizes, resolve_decode, to_radiance
from .photographs import Framing, check_folder, check_intensities, divide_by_intensity, within

__all__ = ["load_ltm"]

# Rows of a matrix are read in blocks of this size, because a compressed chunk holds many of them.
_BLOCK_BYTES = 64 * 2**20
# What h5py raises over damaged files.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError)
_HDF5 = b"\x89HDF\r\n\x1a\n"


def load_ltm(
    folder,
    image_shape,
    *,
    grid_shape=None,
    dataset="LTM",
    intensities=None,
    decode="auto",
    crop=None,
    downscale=1,
    mask=None,
    dtype="float32",
    memmap=None,
    progress=None,
):
    """Load a light-transport matrix from three MATLAB files, one for each colour channel.

    The layout of the Waldorf and Bull captures [1]_: ``Red.mat``, ``Green.mat`` and ``Blue.mat``, MATLAB v7.3 (HDF5),
    each with one matrix that has a column for each light in MATLAB (a row in HDF5), pixels column by column. Files of
    older versions of MATLAB are read as a whole. A file in numbered parts has to be joined first: ``cat Red.mat.* >
    Red.mat``.

    Parameters
    ----------
    folder : path-like
        The folder of the three files.

    image_shape : (int, int)
        Height and width of the images, which the files do not say.

    grid_shape : (int, int), optional
        Rows and columns of the lights' grid; by default as many columns as rows.

    dataset : str, default="LTM"
        Name of the matrix in each file.

    intensities : array-like of shape (n_lights,) or (n_lights, 3), optional
        Intensities of the lights, by which the images are divided, as in `load_rti`.

    decode : "auto", "linear", "srgb" or float, default="auto"
        As in `load_rti`, for matrices of unsigned integers. Signed ones are linear, and their largest possible value
        becomes 1.

    crop, downscale, dtype, memmap, progress
        As in `load_rti`.

    mask : path-like or array-like of shape (height, width), optional
        As in `load_rti`.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with these attributes:

        lights : ndarray of shape (n_lights, 2), float64
            Column and row of each light in the grid: light i is at ``i % columns``, ``i // columns``. As integers in
            ``light_grid``.
        images : ndarray of shape (n_lights, height, width, 3)
            Linear radiance, RGB.
        grid_shape : (int, int)
            Rows and columns of the grid.
        image_shape : (int, int)
            Height and width of `images`, after `crop` and `downscale`.
        file_dtype : str
            Type of the values in the files.
        decode : "linear", "srgb" or float
            The parameter, or what "auto" took.
        filenames : list of str
            Paths of the files.
        mask : ndarray of shape (height, width), bool, or None
            True inside.
        DESCR : str
            Description of what was loaded.

    Raises
    ------
    ImportError
        If h5py is not installed, for files of MATLAB v7.3.

    OSError
        If the folder or one of the three files is missing or cannot be read, or `memmap` cannot be written.

    ValueError
        If a file is cut, damaged or lacks the matrix, or the shapes do not fit each other or
        `image_shape`. The message names the file.

    References
    ----------
    .. [1] M. O'Toole, K. N. Kutulakos, "Optical Computing for Fast Light Transport Analysis", ACM Transactions on
       Graphics 29(6), 2010.

    Examples
    --------
    >>> from sklrelight.datasets import load_ltm
    >>> load_ltm("no/such/capture", (464, 696))
    Traceback (most recent call last):
    ...
    FileNotFoundError: No such folder: no/such/capture
    """
    folder = Path(folder)
    check_folder(folder)
    check_stack_dtype(dtype)
    check_decode(decode)
    image_shape = check_sizes(image_shape, "image_shape", "height, width")
    framing = Framing(image_shape, crop, downscale)
    inside = framing.mask(within(folder, mask))
    paths = [Path(folder, f"{colour}.mat") for colour in ("Red", "Green", "Blue")]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(
                f"No {path.name} in {folder}; parts {path.name}.000 and so on have to be joined first"
            )

    with ExitStack() as stack:
        channels = [_Channel(stack, path, dataset, image_shape) for path in paths]
        n_lights = channels[0].n_lights
        for channel in channels[1:]:
            if channel.n_lights != n_lights:
                raise ValueError(
                    f"{channel.name}: {channel.n_lights} lights, wanted {n_lights} as in {channels[0].name}"
                )
        rows, columns = _check_grid(grid_shape, n_lights)
        intensities = check_intensities(intensities, n_lights)

        def read(index):
            image = np.stack(
                [
                    to_radiance(framing.cut(channel.image(index)), decode, f"{channel.name}: image {index}")
                    for channel in channels
                ],
                axis=-1,
            )
            if intensities is not None:
                image = divide_by_intensity(image, intensities[index])
            return framing.average(image)

        images = fill_array(
            read,
            n_lights,
            (*framing.shape, 3),
            dtype=dtype,
            memmap=memmap,
            n_jobs=1,  # the HDF5 library reads one thing at a time
            progress=progress,
        )
        file_dtype = channels[0].dtype
    index = np.arange(n_lights)
    light_grid = np.stack([index % columns, index // columns], axis=1)
    return Bunch(
        lights=light_grid.astype(np.float64),
        light_grid=light_grid,
        images=images,
        grid_shape=(rows, columns),
        image_shape=framing.shape,
        file_dtype=file_dtype.name,
        decode=resolve_decode(decode, file_dtype),
        filenames=[str(path) for path in paths],
        mask=inside,
        DESCR=(
            f"{n_lights} images of {framing.shape[0]} x {framing.shape[1]} pixels from {folder}, {file_dtype.name}; "
            f"lights on a grid of {rows} rows and {columns} columns."
        ),
    )


class _Channel:
    """The matrix of one colour, read in blocks of rows."""

    def __init__(self, stack, path, dataset, image_shape):
        self.name = str(path)
        self._image_shape = image_shape
        n_pixels = image_shape[0] * image_shape[1]
        # Opened here, so that a missing permission is told apart from a damaged file.
        file = stack.enter_context(path.open("rb"))
        # MATLAB puts a text of 512 bytes before HDF5.
        start = file.read(520)
        if _HDF5 in (start[:8], start[512:]):
            self._matrix = self._open_hdf5(stack, file, dataset)
            chunk_rows = self._matrix.chunks[0] if self._matrix.chunks else 1
        else:
            self._matrix = self._read_older(file, path.stat().st_size, dataset, n_pixels)
            chunk_rows = 1
        shape, self.dtype = self._matrix.shape, self._matrix.dtype
        if len(shape) != 2 or shape[1] != n_pixels or shape[0] == 0:
            raise ValueError(
                f"{self.name}: {dataset!r} has shape {shape}, wanted (n_lights, {n_pixels}) for image_shape="
                f"{image_shape}"
            )
        if self.dtype.kind not in "fiu":
            raise ValueError(f"{self.name}: {dataset!r} has type {self.dtype}, wanted real numbers")
        self.n_lights = shape[0]
        self._n_rows = max(1, min(chunk_rows, _BLOCK_BYTES // (n_pixels * self.dtype.itemsize)))
        self._first, self._block = 0, np.empty((0, n_pixels))

    def _open_hdf5(self, stack, source, dataset):
        h5py = import_extra("h5py", "matlab", f"To read {self.name}")
        try:
            file = stack.enter_context(h5py.File(source, "r"))
            names, matrix = sorted(file), file.get(dataset)
        except _DAMAGE as error:
            raise ValueError(f"{self.name}: cannot be read as a MATLAB v7.3 (HDF5) file: {error}") from error
        if not isinstance(matrix, h5py.Dataset):
            raise ValueError(f"{self.name}: no dataset {dataset!r} among {names}")
        return matrix

    def _read_older(self, file, n_bytes, dataset, n_pixels):
        """Read the matrix of a file of MATLAB v4 to v7.2; return its transpose, as HDF5 has it."""
        try:
            file.seek(0)
            shapes = {name: shape for name, shape, _ in io.whosmat(file)}
            if dataset in shapes:
                check_claim(int(np.prod(shapes[dataset], dtype=float)), n_bytes, dataset)
                file.seek(0)
                matrix = np.asarray(io.loadmat(file, variable_names=[dataset])[dataset])
        except Exception as error:
            # SciPy raises a dozen types over damaged files, such as zlib's and its own.
            raise ValueError(f"{self.name}: cannot be read as a MATLAB file: {error}") from error
        if dataset not in shapes:
            raise ValueError(f"{self.name}: no matrix {dataset!r} among {sorted(shapes)}")
        # Rows of pixels are a row for each light only where nothing else fits.
        return matrix if matrix.shape[1:] == (n_pixels,) and matrix.shape[0] != n_pixels else matrix.T

    def image(self, index):
        """Return one light's image, (height, width)."""
        if not self._first <= index < self._first + len(self._block):
            self._first = index // self._n_rows * self._n_rows
            try:
                self._block = self._matrix[self._first : self._first + self._n_rows]
            except _DAMAGE as error:
                raise ValueError(f"{self.name}: damaged from row {self._first} on: {error}") from error
        image = self._block[index - self._first].reshape(self._image_shape, order="F")
        return image / np.float64(np.iinfo(image.dtype).max) if image.dtype.kind == "i" else image


def _check_grid(grid_shape, n_lights):
    if grid_shape is None:
        side = round(n_lights**0.5)
        if side * side != n_lights:
            raise ValueError(f"{n_lights} lights make no square grid; give grid_shape=(rows, columns)")
        return side, side
    rows, columns = check_sizes(grid_shape, "grid_shape", "rows, columns")
    if rows * columns != n_lights:
        raise ValueError(f"grid_shape={grid_shape!r} is {rows * columns} lights, but the files hold {n_lights}")
    return rows, columns
