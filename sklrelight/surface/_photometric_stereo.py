"""Normals and albedo from photographs under known lights: :class:`PhotometricStereo`."""

from numbers import Integral, Real
from tempfile import TemporaryDirectory

import numpy as np
from scipy.spatial import Delaunay, QhullError
from sklearn.utils import gen_batches

from ..interpolation import choose_lights
from ..interpolation._base import LightRegressor
from ..stacks import as_stack, in_memory, predict_to_stack
from ..utils import check_lights, check_numbers, check_pixel_weight, naming, split_target_shape
from ..utils._lights import are_directions, normalize
from ..utils._sklearn_compat import Interval, StrOptions, fit_context, validate_params

__all__ = ["PhotometricStereo", "angular_error"]

# Observations that are solved at a time: some tens of megabytes.
_BLOCK_VALUES = 2**20
# Residuals below this share of a pixel's mean brightness weigh alike, and the share of the trace that is added to the
# diagonal of a system, so that one whose lights do not determine a normal has a solution.
_SMALLEST_RESIDUAL = 1e-3
_RIDGE = 1e-6


class PhotometricStereo(LightRegressor):
    """Find the normals and the albedo of a surface, as if it were matte.

    Each pixel shows a piece of a Lambertian surface: its radiance is the albedo times the cosine between the normal and
    the direction to the light, or 0 where the light is behind the surface. What a surface does beyond that, cast
    shadows, highlights and light from other surfaces, is an outlier, which the default loss gives little weight.

    Parameters
    ----------
    points : float, array-like of shape (H, W, 3) or None, default=None
        What the pixels show, for lights near the object. None: lights are directions, and equally bright everywhere. A
        number: lights are positions, and the surface lies in the plane z = 0, with the centre of the image at (0, 0, 0)
        and pixels of this width, in the unit of the positions. An array: the position of each pixel's point. The
        radiance falls with the squared distance to the light.

    loss : {"absolute_error", "squared_error"}, default="absolute_error"
        Error to minimise: the sum of absolute residuals, found by repeated weighted least squares; or that of squares
        over all lights, as if there were no shadows, which takes a tenth of the time.

    n_iter : int, default=10
        Repetitions for the absolute error.

    Attributes
    ----------
    normals_ : ndarray of shape (H, W, 3)
        Unit vectors in the axes of the lights: x to the right, y up, z to the camera. (0, 0, 0) outside of `mask_`.

    albedo_ : ndarray of shape (H, W, C) or (H, W)
        Radiance of the surface if it faced the light, for a near light at a distance of 1. 0 outside of `mask_`.

    residuals_ : ndarray of shape (H, W)
        Mean absolute difference from the photographs, over the lights and of the mean of the channels, in their unit.

    mask_ : ndarray of shape (H, W), bool
        Pixels whose normal is determined: those of positive weight that are not black, and that at least three lights
        light.

    n_features_in_ : int
        Number of light features, which is 3.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    See Also
    --------
    save_normals : Write normals to a file.
    integrate_normals : Compute depth from normals.

    Notes
    -----
    Lights are taken to be of the same intensity; divide photographs by those that are not. Normals come from the mean
    of the channels [1]_, the albedo of each channel from the same weights: the inverse of the absolute residual, and 0
    for lights behind the surface, which say nothing about it. Float16 and float32 photographs give attributes in
    float32, others in float64.

    References
    ----------
    .. [1] R. J. Woodham, "Photometric method for determining surface orientation from multiple images", Optical
       Engineering 19(1), 139-144, 1980.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.surface import PhotometricStereo
    >>> lights = np.array([[0.6, 0.0, 0.8], [-0.6, 0.0, 0.8], [0.0, 0.6, 0.8], [0.0, -0.6, 0.8]])
    >>> images = 0.5 * np.maximum(lights @ [0.0, 0.28, 0.96], 0).reshape(4, 1, 1)
    >>> stereo = PhotometricStereo().fit(lights, images)
    >>> stereo.normals_.round(3), stereo.albedo_.round(3)
    (array([[[0.  , 0.28, 0.96]]]), array([[0.5]]))
    """

    _summed = "normals_"

    _parameter_constraints = {
        "points": [Interval(Real, 0, None, closed="neither"), "array-like", None],
        "loss": [StrOptions({"absolute_error", "squared_error"})],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
    }
    __metadata_request__fit = {"pixel_weight": True}

    def __init__(self, points=None, *, loss="absolute_error", n_iter=10):
        self.points = points
        self.loss = loss
        self.n_iter = n_iter

    @classmethod
    def from_relighter(cls, relighter, lights=None, *, n_lights=64, pixel_weight=None, **parameters):
        """Fit the images that a relighter predicts under evenly spread lights.

        The lights of a capture are seldom even: a side with more of them counts for more. Predictions are also without
        what a single photograph has alone, such as noise.

        Parameters
        ----------
        relighter : Relighter or other estimator
            Fitted model over the lights.

        lights : array-like of shape (n, 3) or None, default=None
            Lights to predict for. None: directions spread evenly between those that the relighter was fitted to. If
            these are positions, the same positions.

        n_lights : int, default=64
            Number of directions.

        pixel_weight : array-like of shape (H, W) or None, default=None
            As in `fit`. None: the weights that the relighter was fitted with.

        **parameters
            Parameters of the estimator.

        Returns
        -------
        PhotometricStereo
            The fitted model.

        Raises
        ------
        ValueError
            If the relighter does not keep the lights of its fit, and `lights` is None; and as `fit`.

        Notes
        -----
        Images that a :class:`~sklrelight.Relighter` predicts are written to a temporary file, so that memory holds few.
        """
        if lights is None:
            lights = getattr(relighter, "lights_", None)
            if lights is None:
                raise ValueError(f"{type(relighter).__name__} keeps no lights_ of its fit: pass lights=")
            if are_directions(np.asarray(lights)):
                lights = _spread(np.asarray(lights, np.float64), n_lights)
        if pixel_weight is None:
            pixel_weight = getattr(relighter, "pixel_weight_", None)
        stereo = cls(**parameters)
        if not hasattr(relighter, "iter_predict"):
            return stereo.fit(lights, relighter.predict(lights), pixel_weight)
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return stereo.fit(lights, predict_to_stack(relighter, lights, folder + "/images.npy"), pixel_weight)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None):
        """Find the normals and the albedo.

        Parameters
        ----------
        X : array-like of shape (n_lights, 3)
            Directions of the lights or, with `points`, their positions.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs, linear radiance. An :class:`~sklrelight.ImageStack` is read in blocks.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Pixels of weight 0 are left out. Others are alike, because each pixel is fitted by itself.

        Returns
        -------
        self : PhotometricStereo
            The fitted model.

        Raises
        ------
        ValueError
            If the numbers of lights and photographs differ, or a value is not finite. If the lights are not directions,
            or with `points` not positions in space or at a point of the surface. If there are fewer than three lights,
            or directions lie in a plane with the origin, so that no normal is determined.
        """
        stack = as_stack(y)
        lights, images = self._check_training(X, in_memory(y) if stack is None else np.zeros(len(stack)))
        images = images if stack is None else stack
        with naming("y"):
            image_shape, n_channels = split_target_shape(images.shape)
        if self.points is not None:
            # Positions whose distance from the origin is 1 by chance are not to be changed.
            lights, self.unit_lights_ = np.asarray(X, np.float64), False
        lights = self._check_kind(lights)
        if self.points is None and np.linalg.matrix_rank(lights, tol=_RIDGE * len(lights)) < 3:
            raise ValueError(
                f"X of n_samples = {len(lights)} lights that lie in a plane with the origin determines no normals:"
                " wanted three or more directions that do not"
            )
        n_pixels = int(np.prod(image_shape))
        inside = np.ones(n_pixels, bool)
        if pixel_weight is not None:
            inside = check_pixel_weight(pixel_weight, image_shape).ravel() > 0
        self._points = self._find_points(image_shape)
        dtype = np.float32 if images.dtype in (np.float32, np.float16) else np.float64
        normals, albedo = np.zeros((n_pixels, 3), dtype), np.zeros((n_pixels, n_channels), dtype)
        residuals, mask = np.zeros(n_pixels, dtype), np.zeros(n_pixels, bool)
        if stack is None:
            flat = images.reshape(len(images), n_pixels, n_channels)
            parts = ((block, flat[:, block]) for block in self._blocks(n_pixels, len(lights)))
        else:
            parts = ((block, stack.read(pixels=block)) for block in stack.stretches(len(stack)))
        for block, stored in parts:
            values = stored.astype(dtype, copy=False)
            if not np.isfinite(values).all():
                raise ValueError(f"y contains NaN or infinity, in one of the pixels {block.start} to {block.stop}")
            rows = block.start + np.flatnonzero(inside[block])
            found = self._fit_pixels(values[:, inside[block]], self._shine(lights, rows, dtype))
            for all_pixels, some in zip((normals, albedo, residuals, mask), found, strict=True):
                all_pixels[rows] = some
        self.albedo_ = albedo.reshape(images.shape[1:])
        self.residuals_, self.mask_ = residuals.reshape(image_shape), mask.reshape(image_shape)
        self.normals_ = normals.reshape(*image_shape, 3)
        return self

    def predict(self, X):
        """Render images of the matte surface, without cast shadows.

        Parameters
        ----------
        X : array-like of shape (m, 3)
            Directions or positions of lights, as in `fit`.

        Returns
        -------
        images : ndarray of shape (m, H, W, C), or as the photographs
            Radiance. 0 outside of `mask_`.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, are not finite, are not directions, or are at a point of the
            surface.
        """
        images = self.predict_pixels(X, np.arange(self.mask_.size if hasattr(self, "mask_") else 0))
        return images.reshape(len(images), *self.albedo_.shape)

    def predict_pixels(self, X, pixels):
        """Render some pixels of the matte surface.

        Parameters
        ----------
        X : array-like of shape (m, 3)
            Directions or positions of lights, as in `fit`.

        pixels : ndarray of int of shape (n_pixels,)
            Indices into the flattened image.

        Returns
        -------
        ndarray of shape (m, n_pixels, n_channels)
            These pixels of what `predict` returns.

        Raises
        ------
        ValueError
            As `predict`.
        """
        lights = self._check_kind(check_lights(self, X))
        normals, albedo = self.normals_.reshape(-1, 3), self.albedo_.reshape(self.mask_.size, -1)
        images = np.empty((len(lights), len(pixels), albedo.shape[1]), albedo.dtype)
        for block in self._blocks(len(pixels), len(lights)):
            some = pixels[block]
            cosines = _shade(normals[some], self._shine(lights, some, normals.dtype)).clip(0)
            images[:, block] = cosines.T[:, :, None] * albedo[some]
        return images

    def _check_kind(self, lights):
        """Refuse what is no direction or, for near lights, no position."""
        if self.points is None and are_directions(lights):
            return normalize(lights)
        if self.points is None or lights.shape[1] != 3:
            lengths = np.linalg.norm(lights, axis=1)
            wanted = "directions: three columns with lengths of 0.79 to 1.21, or positions with points="
            raise ValueError(
                f"{type(self).__name__} takes {wanted if self.points is None else 'positions of three columns'}; those"
                f" of X, of n_features = {lights.shape[1]}, have lengths of {lengths.min():.3g} to {lengths.max():.3g}"
            )
        return lights

    def _find_points(self, image_shape):
        """Compute the position of each pixel's point, of shape (n_pixels, 3); None for distant lights."""
        if self.points is None:
            return None
        if isinstance(self.points, Real):
            height, width = image_shape or (1, 1)
            y, x = np.mgrid[(height - 1) / 2 : -height / 2 : -1, -(width - 1) / 2 : width / 2]
            return float(self.points) * np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
        points = check_numbers(self.points, "points")
        if points.shape != (*image_shape, 3) or not np.isfinite(points).all():
            raise ValueError(f"points has shape {points.shape}, wanted {(*image_shape, 3)}, finite positions")
        return points.reshape(-1, 3)

    def _shine(self, lights, pixels, dtype):
        """Compute light vectors, whose product with a normal is the irradiance: (n, 3), or (n_pixels, n, 3)."""
        if self._points is None:
            return lights.astype(dtype)
        vectors = lights - self._points[pixels, None]
        distances = np.linalg.norm(vectors, axis=2, keepdims=True)
        if not distances.all():
            raise ValueError(f"light {int(np.argwhere(distances == 0)[0, 1])} of X is at a point of the surface")
        return (vectors / distances**3).astype(dtype)

    def _blocks(self, n_pixels, n_lights):
        return gen_batches(n_pixels, max(1, _BLOCK_VALUES // n_lights))

    def _fit_pixels(self, values, lights):
        """Find normals, albedo, residuals and the mask of pixels from their values, of shape (n, n_pixels, C)."""
        grey = values.mean(axis=2).T
        brightness = grey.mean(axis=1)
        grey = grey / np.where(brightness > 0, brightness, 1)[:, None]
        weights = np.ones_like(grey)
        surface = _solve(grey, lights, weights)
        for _ in range(self.n_iter if self.loss == "absolute_error" else 0):
            shading = _shade(surface, lights)
            weights = (shading > 0) / np.maximum(np.abs(grey - shading), _SMALLEST_RESIDUAL)
            surface = _solve(grey, lights, weights)
        lengths = np.linalg.norm(surface, axis=1)
        normals = surface / np.where(lengths > 0, lengths, 1)[:, None]
        cosines = _shade(normals, lights).clip(0)
        mask = (brightness > 0) & (np.count_nonzero(cosines, axis=1) >= 3)
        power = (weights * cosines**2).sum(axis=1)
        albedo = np.einsum("pn,npc->pc", weights * cosines, values) / np.where(mask, power, 1)[:, None]
        residuals = np.abs(values.mean(axis=2).T - albedo.mean(axis=1)[:, None] * cosines).mean(axis=1)
        return normals * mask[:, None], albedo * mask[:, None], residuals * mask, mask


@validate_params({"normals": ["array-like"], "true": ["array-like"]}, prefer_skip_nested_validation=True)
def angular_error(normals, true):
    """Compute the angles between normals and the true ones.

    Parameters
    ----------
    normals, true : array-like of shape (..., 3)
        Vectors of any length.

    Returns
    -------
    ndarray of shape (...)
        Angles in degrees; NaN where one of both vectors is (0, 0, 0), as outside of a mask.

    Raises
    ------
    ValueError
        If the shapes differ, or are not those of vectors.

    Examples
    --------
    >>> angular_error([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [[0.0, 0.0, 2.0], [0.0, 0.0, 1.0]]).round(3) + 0.0
    array([ 0., 45.])
    """
    a, b = check_numbers(normals, "normals").astype(np.float64), check_numbers(true, "true").astype(np.float64)
    if a.shape != b.shape or a.shape[-1:] != (3,):
        raise ValueError(f"normals has the shape {a.shape}, true {b.shape}; wanted the same, (..., 3)")
    # The arc tangent has all digits for small angles too.
    angles = np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(axis=-1)))
    return np.where(a.any(axis=-1) & b.any(axis=-1), angles, np.nan)


def _shade(surface, lights):
    """Compute the products of normals (p, 3) and light vectors, of shape (p, n)."""
    return surface @ lights.T if lights.ndim == 2 else (lights @ surface[:, :, None])[:, :, 0]


def _solve(values, lights, weights):
    """Solve the weighted least squares of each pixel for its normal times its albedo, of shape (p, 3)."""
    weighted_values = weights * values
    if lights.ndim == 2:
        matrices = (weights @ (lights[:, :, None] * lights[:, None]).reshape(-1, 9)).reshape(-1, 3, 3)
        sides = weighted_values @ lights
    else:
        matrices = (weights[:, :, None] * lights).swapaxes(1, 2) @ lights
        sides = (weighted_values[:, None] @ lights)[:, 0]
    ridge = _RIDGE * np.trace(matrices, axis1=1, axis2=2) + np.finfo(np.float32).tiny
    return np.linalg.solve(matrices + ridge[:, None, None] * np.eye(3, dtype=lights.dtype), sides[:, :, None])[:, :, 0]


def _spread(lights, n_lights):
    """Spread directions evenly between some; those themselves where they lie on a circle or a line."""
    captured = normalize(lights)
    try:
        hull = Delaunay(captured[:, :2])
    except QhullError:
        return lights

    def lattice(size):
        index = np.arange(size) + 0.5
        height = 1 - (1 - max(0, captured[:, 2].min())) * index / size
        azimuth = np.pi * (1 + np.sqrt(5)) * index
        across = np.sqrt(1 - height**2)
        directions = np.column_stack([across * np.cos(azimuth), across * np.sin(azimuth), height])
        return directions[hull.find_simplex(directions[:, :2]) >= 0]

    share = len(lattice(4096)) / 4096
    candidates = lattice(int(2 * n_lights / share) + 16)
    return candidates[np.sort(choose_lights(candidates, n_lights, method="medoids"))]
