"""Features of an observation: its light, the position of its pixel, and the salient images of the pixel."""

from numbers import Integral

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from ..stacks import ImageRows, ImageStack
from ..utils import (
    DocumentedEstimator,
    VersionedState,
    check_magnitude,
    check_pixel_weight,
    naming,
    safe_unit,
    split_target_shape,
)
from ..utils._sklearn_compat import Interval, StrOptions, fit_context
from ._product import PixelLightFeatures

__all__ = ["PixelLightFeaturizer"]

# Pixels that the principal axes are estimated from. The coefficients are then computed for every pixel, as many at a
# time, so that temporaries stay far below the size of a stack.
_PCA_PIXELS = 4096
# Brightnesses that are raised to a power at a time.
_BRIGHTNESS_VALUES = 2**17
# Steps of a feature that is rounded, by its standard deviation, and the largest number of them.
_STEPS, _LARGEST = 64, 2**20


# Without output keys scikit-learn leaves the result alone when transform_output="pandas" is set: it is no table.
class PixelLightFeaturizer(
    DocumentedEstimator, VersionedState, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):  # type: ignore[call-arg]
    """Compute features of each pixel and each light for a network.

    The features of an observation are its light, the position of its pixel, and the *salient images* of the pixel: its
    colour in the mean of the training photographs and, for `n_components` > 0, its coefficients in their principal
    components. The coefficients distinguish pixels that have similar colours but change differently with the light.
    `brightness_powers` adds the mean of the training lights, weighted by the brightness of the pixel under each light,
    which shows from where a highlight comes. `blur_widths` adds the same of the neighbourhood of the pixel.

    Parameters
    ----------
    n_components : int, default=5
        Largest number of principal components. There are fewer if the training photographs do not have as many. With
        0, the only salient image is the mean, as in [1]_.

    brightness_powers : tuple of float, default=(5.0,)
        Powers of brightness, above 0. For each of them, the features get the mean of the training lights, weighted by
        this power of the brightness of the pixel above the darkest value of all pixels. The larger the power, the
        nearer is the mean to the brightest light. With an empty tuple there are no such features, as in [1]_.

    blur_widths : tuple of float, default=(1.5, 5.0)
        Standard deviations, in pixels, of Gaussians. For each of them, the features get a blurred copy of all features
        of the pixel but its coordinates: what is around the pixel, near and farther. A copy is a weighted mean over the
        pixels inside the image that have weight, so nothing enters from beyond. With an empty tuple there are no such
        features, as in [1]_. Targets without pixels never have them.

    scaling : {"standard", "unit"}, default="standard"
        Scaling of the features. ``"standard"``: lights, mean image, components, mean lights and blurred copies have
        mean 0 and variance 1 in each column, and pixel coordinates are x to the right and y up, in [-1, 1] over the
        longer side. ``"unit"``, as published with [1]_: lights are in [0, 1] (unchanged if all training lights are
        there already, otherwise mapped by the range of each column), pixel coordinates are row and column in [0, 1),
        and mean image, mean lights and blurred copies are unchanged. In both, a column of lights that varies by less
        than 1e-5 of its values counts as constant, and is only shifted.

    random_state : int, RandomState instance or None, default=None
        Seed of the randomised solver for principal components, and of the choice of the 4,096 pixels that they are
        estimated from if there are more.

    Attributes
    ----------
    pixel_table_ : ndarray of shape (n_pixels, n_pixel_features), float32 or float16
        The features that depend on the pixel alone: its coordinates, the mean image, the components and the mean
        lights, and after them a blurred copy of the latter three for each width. For photographs on disk, if features
        have variance 1, it is float16, and what is not blurred is rounded to 1/64, which saves memory and space.

    inside_ : ndarray of shape (n_pixels,), bool, or None
        Which pixels have weight. None: all of them.

    image_shape_ : tuple of int
        (H, W), or () for targets without pixels.

    n_components_ : int
        Number of principal components in use.

    brightness_powers_ : ndarray of shape (n_powers,)
        Powers of brightness in use.

    blur_widths_ : ndarray of shape (n_widths,)
        Standard deviations of the Gaussians in use, none for targets without pixels.

    light_scaler_ : transformer or None
        scikit-learn's StandardScaler or MinMaxScaler, fitted to the training lights. None if lights are not changed.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    See Also
    --------
    PixelLightFeatures : Result of `transform`.

    Notes
    -----
    The principal components are those of a table with a row for each pixel and a column for each channel of each
    training photograph. They are salient images as in Ren et al. [2]_, chosen by variance. Held-out photographs cannot
    enter the features, because `transform` takes lights only.

    The features are not a table. ``set_config(transform_output="pandas")`` does not change them, and `set_output`
    raises an error.

    References
    ----------
    .. [1] A. Colburn, "Image Based Relighting Using Neural Networks", 2019,
       https://github.com/alexcolburn/neural_relighting
    .. [2] P. Ren, Y. Dong, S. Lin, X. Tong, B. Guo, "Image Based Relighting Using Neural Networks", ACM Transactions
       on Graphics 34(4), 111, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import PixelLightFeaturizer
    >>> rng = np.random.default_rng(0)
    >>> lights, images = rng.random((10, 2)), rng.random((10, 4, 6, 3))
    >>> PixelLightFeaturizer(n_components=0, brightness_powers=(), blur_widths=()).fit_transform(lights, images)
    PixelLightFeatures(shape=(10, 24, 7), image_shape=(4, 6))
    >>> PixelLightFeaturizer(n_components=0, brightness_powers=(), blur_widths=(2,)).fit_transform(lights, images)
    PixelLightFeatures(shape=(10, 24, 10), image_shape=(4, 6))
    """

    # What `fit` is given beside X and y is meant for it wherever scikit-learn routes such data.
    __metadata_request__fit = {"pixel_weight": True}

    _parameter_constraints = {
        "n_components": [Interval(Integral, 0, None, closed="left")],
        "brightness_powers": ["array-like"],
        "blur_widths": ["array-like"],
        "scaling": [StrOptions({"standard", "unit"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components=5,
        brightness_powers=(5.0,),
        blur_widths=(1.5, 5.0),
        scaling="standard",
        random_state=None,
    ):
        self.n_components = n_components
        self.brightness_powers = brightness_powers
        self.blur_widths = blur_widths
        self.scaling = scaling
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None):
        """Learn the scale of the lights and the table of the pixels.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights of the training photographs.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,), or ImageStack
            Encoded training photographs.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels. Pixels of weight 0 are left out when scales and principal components are computed,
            and do not enter the blurred copies.

        Returns
        -------
        self : PixelLightFeaturizer
            The fitted featurizer.

        Raises
        ------
        ValueError
            If lights and photographs differ in number, hold NaN or infinities, or have wrong dimensions, or if
            `brightness_powers` or `blur_widths` is not a tuple of finite numbers above 0.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: it learns from photographs"
            )
        with naming("X", X):
            X = validate_data(self, X, dtype=np.float64)
        # check_array alone would warn of a y of shape (n, 1) or refuse none of the shapes that are wanted here.
        on_disk = isinstance(y, ImageStack)
        with naming("X, y"):
            check_consistent_length(X, y)
        y, rows = (y.images, y.rows) if isinstance(y, ImageRows) else (y, slice(None))
        if not on_disk:
            with naming("y", y):
                y = check_array(y, dtype=[np.float32, np.float64], ensure_2d=False, allow_nd=True, input_name="y")
        with naming("y"):
            self.image_shape_, n_channels = split_target_shape(y.shape)
        check_magnitude(X, "X")
        if not on_disk:
            check_magnitude(y, "y")
        self.light_scaler_ = self._fit_light_scaler(X)
        self.brightness_powers_ = powers = self._positive("brightness_powers")
        widths = self._positive("blur_widths")
        check_magnitude(widths, "blur_widths")
        self.blur_widths_ = widths if self.image_shape_ else widths[:0]

        n_pixels = int(np.prod(self.image_shape_))
        weight = None if pixel_weight is None else check_pixel_weight(pixel_weight, self.image_shape_)
        self.inside_ = None if weight is None else weight.ravel() > 0
        inside = np.arange(n_pixels) if weight is None else np.flatnonzero(weight)
        lights = self._scale(X)
        if on_disk:
            extent = y.within(None if weight is None else weight > 0).extent()
            bright_lights = _BrightLights(powers, lights, n_pixels, extent)
            mean, components = self._salient_images(y, inside, bright_lights)
        else:
            values = y.reshape(len(y), n_pixels, n_channels)
            # One at a time: all that are picked together would be a copy.
            photographs = [values[row] for row in np.arange(len(y))[rows]]
            bright_lights = _BrightLights(
                powers, lights, n_pixels, _extent(photographs, None if weight is None else inside)
            )
            mean = sum(photographs, np.zeros((n_pixels, n_channels))) / len(photographs)
            components = self._principal_components(values, rows, inside)
            for block in gen_batches(n_pixels, max(1, _BRIGHTNESS_VALUES // len(y))):
                bright_lights.add(slice(None), block, values[:, block][rows])
        columns = [mean, components, bright_lights.means()]
        self.n_components_ = components.shape[1]
        del mean, components, bright_lights
        standard = self.scaling == "standard"
        for number in (0, 2) if standard else ():
            if columns[number].size:
                columns[number] = _standardize(columns[number], inside).astype(np.float32)
        if standard and on_disk:
            for number, column in enumerate(columns):
                # What is outside may be too large for the type.
                rounded = np.rint(column * _STEPS).clip(-_LARGEST, _LARGEST) / _STEPS
                columns[number] = rounded.astype(np.float16)
        self._n_channels = n_channels
        self.pixel_table_ = self._make_table(columns)
        return self

    def transform(self, X):
        """Compute the features of every pixel under the given lights.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights in the units that `fit` saw.

        Returns
        -------
        features : PixelLightFeatures
            Lazy features of shape (n_lights, n_pixels, n_features).

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or hold NaN or infinities.
        """
        check_is_fitted(self)
        with naming("X", X):
            X = validate_data(self, X, dtype=np.float64, reset=False)
        check_magnitude(X, "X")
        lights = self._scale(X)
        check_magnitude(lights, "X, scaled like the training lights,", float(np.finfo(np.float32).max))
        lights = lights.astype(np.float32)
        return PixelLightFeatures(lights, self.pixel_table_, self.image_shape_)

    def get_feature_names_out(self, input_features=None):
        """Name the columns of an observation.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of the lights. None: the names seen in `fit`, or light0, light1, ...

        Returns
        -------
        names : ndarray of str
            Names of the columns of the lights, the pixel coordinates, the mean image, the principal components, the
            mean lights for each power of brightness, and the blurred copies of the latter three for each width.
        """
        check_is_fitted(self)
        if input_features is None:
            input_features = getattr(self, "feature_names_in_", None)
        if input_features is None:
            input_features = [f"light{i}" for i in range(self.n_features_in_)]
        elif len(input_features) != self.n_features_in_:
            raise ValueError(f"input_features has {len(input_features)} names, expected {self.n_features_in_}")
        coordinates = ["pixel_row", "pixel_column"] if self.scaling == "unit" else ["pixel_x", "pixel_y"]
        mean = [f"mean{i}" for i in range(self._n_channels)]
        components = [f"component{i}" for i in range(self.n_components_)]
        bright = [f"bright{power:g}_{name}" for power in self.brightness_powers_ for name in input_features]
        sharp = [*mean, *components, *bright]
        blurred = [f"blur{width:g}_{name}" for width in self.blur_widths_ for name in sharp]
        return np.array([*input_features, *coordinates, *sharp, *blurred], dtype=object)

    def _positive(self, parameter):
        """Read a parameter that is a tuple of finite numbers above 0, as an array."""
        given = getattr(self, parameter)
        with naming(parameter):
            numbers = check_array(given, ensure_2d=False, ensure_min_samples=0, dtype=np.float64)
        if numbers.ndim != 1 or (numbers <= 0).any():
            raise ValueError(f"{parameter}={given!r}: expected a tuple of numbers above 0")
        return numbers

    def _fit_light_scaler(self, lights):
        # Lights in a plane differ by rounding (of float32, of six printed digits), which is not to be blown up.
        in_plane = np.ptp(lights, axis=0) <= 1e-5 * np.abs(lights).max(axis=0)
        lights = np.where(in_plane, lights.mean(axis=0), lights)
        if self.scaling == "standard":
            return StandardScaler().fit(lights)
        if lights.min() >= 0 and lights.max() <= 1:
            return None
        return MinMaxScaler().fit(lights)

    def _scale(self, lights):
        scaled = lights if self.light_scaler_ is None else self.light_scaler_.transform(lights)
        # A data frame, where all transformers are told to give those.
        return np.asarray(scaled, np.float64)

    def _pixel_coordinates(self):
        height, width = self.image_shape_ or (1, 1)
        rows, columns = np.arange(height)[:, None], np.arange(width)
        coordinates = np.empty((height, width, 2), np.float32)
        if self.scaling == "unit":
            coordinates[..., 0], coordinates[..., 1] = rows / height, columns / width
        else:
            # Coordinates of pixel centres: the borders of the image are at -1 and 1 over the longer side.
            half = max(height, width) / 2
            coordinates[..., 0] = (columns + 0.5 - width / 2) / half
            coordinates[..., 1] = (height / 2 - rows - 0.5) / half
        return coordinates.reshape(-1, 2)

    def _make_table(self, columns):
        """Join the coordinates of the pixels, other columns, and a blurred copy of these for each width.

        Parameters
        ----------
        columns : list of ndarray of shape (n_pixels, n)
            Columns of the pixels. The list is emptied, to save memory.

        Returns
        -------
        ndarray of shape (n_pixels, n_pixel_features), float32, or float16 if the columns are
            The pixel table.
        """
        dtype = np.float16 if columns[-1].dtype == np.float16 else np.float32
        columns.insert(0, self._pixel_coordinates())
        first, end = columns[0].shape[1], sum(part.shape[1] for part in columns)
        table = np.empty((len(columns[0]), end + len(self.blur_widths_) * (end - first)), dtype)
        target, largest = 0, np.finfo(dtype).max
        while columns:
            part = columns.pop(0)
            # What is outside may be too large for the type.
            table[:, target : target + part.shape[1]] = np.clip(part, -largest, largest)
            target += part.shape[1]
        inside = np.ones(len(table), bool) if self.inside_ is None else self.inside_
        for width in self.blur_widths_.tolist():
            share = self._blur(inside, width)
            share[share == 0] = 1
            for column in range(first, end):
                blurred = self._blur(np.where(inside, table[:, column], np.float32(0)), width)
                blurred /= share
                if self.scaling == "standard":
                    counted = blurred if self.inside_ is None else blurred[inside]
                    blurred -= counted.mean(dtype=np.float64)
                    counted = blurred if self.inside_ is None else blurred[inside]
                    deviation = counted.std(dtype=np.float64)
                    # Columns have variance 1 before. What is left below the rounding of float32 is noise.
                    blurred /= deviation if deviation > 1e-5 else 1
                table[:, target] = blurred
                target += 1
        return table

    @property
    def _sharp(self):
        """Columns of the pixel table between the coordinates and the blurred copies, which follow from them."""
        return self.pixel_table_[:, 2 : (self.pixel_table_.shape[1] - 2) // (1 + len(self.blur_widths_)) + 2]

    def _blur(self, column, width):
        # Beyond the image there are zeros, and there is nothing to look for.
        radii = [int(min(4 * width + 0.5, side - 1)) for side in self.image_shape_]
        image = column.reshape(self.image_shape_)
        return gaussian_filter(image, width, output=np.float32, mode="constant", radius=radii).ravel()

    def _principal_components(self, values, rows, inside):
        """Compute the coefficients of each pixel in the principal components of the photographs.

        Parameters
        ----------
        values : ndarray of shape (n_photographs, n_pixels, n_channels)
            The encoded photographs.

        rows : slice or ndarray of int
            Photographs from which the components are computed.

        inside : ndarray of int
            Pixels from which the components are computed.

        Returns
        -------
        coefficients : ndarray of shape (n_pixels, n_components_)
            Coefficients, scaled to variance 1. Components without variance are left out.
        """
        n_pixels = values.shape[1]
        n_values = len(np.arange(len(values))[rows]) * values.shape[2]
        unit = safe_unit(values)

        def table(pixels):
            some = values[:, pixels][rows].swapaxes(0, 1).reshape(-1, n_values)
            return some if unit == 1 else some / unit

        mean, axes = self._principal_axes(table, inside, n_values)
        coefficients = np.empty((n_pixels, len(axes)), np.float32)
        if len(axes) == 0:
            return coefficients
        for block in gen_batches(n_pixels, _PCA_PIXELS):
            coefficients[block] = (table(block) - mean) @ axes.T
        return _standardize(coefficients, inside)

    def _salient_images(self, stack, inside, bright_lights):
        """Compute the mean image and the coefficients in one pass over photographs on disk.

        Parameters
        ----------
        stack : ImageStack
            The encoded photographs.

        inside : ndarray of int
            Pixels from which the components are computed.

        bright_lights : _BrightLights
            Means of the lights, to which the photographs are added.

        Returns
        -------
        mean : ndarray of shape (n_pixels, n_channels)
            Mean image.

        coefficients : ndarray of shape (n_pixels, n_components_)
            Coefficients, as from `_principal_components`.
        """
        n_lights, n_pixels, n_channels = len(stack), stack.n_pixels, stack.n_channels

        def rows(pixels):
            return stack.columns(pixels).swapaxes(0, 1).reshape(-1, n_lights * n_channels)

        center, axes = self._principal_axes(rows, inside, n_lights * n_channels)
        mean = np.zeros((n_pixels, n_channels))
        coefficients = np.zeros((n_pixels, len(axes)), np.float32)
        by_light = axes.T.reshape(n_lights, n_channels, len(axes)).astype(np.float32)
        for lights, pixels, values in stack.blocks():
            mean[pixels] += values.sum(axis=0, dtype=np.float64)
            bright_lights.add(lights, pixels, values)
            if len(axes):
                table = values.swapaxes(0, 1).reshape(values.shape[1], -1)
                coefficients[pixels] += table @ by_light[lights].reshape(-1, len(axes))
        mean /= n_lights
        if len(axes) == 0:
            return mean, coefficients
        coefficients -= center @ axes.T
        return mean, _standardize(coefficients, inside)

    def _principal_axes(self, rows, inside, n_values):
        """Compute the mean and the principal axes, of shape (n_components_, n_values), of the values of pixels.

        Parameters
        ----------
        rows : callable
            Function from numbers of pixels, in rising order, to their values, of shape (n, n_values).

        inside : ndarray of int
            Pixels to choose from.

        n_values : int
            Number of values of a pixel, one for each light and channel.
        """
        n_components = min(self.n_components, n_values, len(inside) - 1)
        if n_components <= 0:
            return None, np.empty((0, n_values))
        rng = check_random_state(self.random_state)
        if len(inside) > _PCA_PIXELS:
            sample = rows(np.sort(rng.choice(inside, _PCA_PIXELS, replace=False)))
        else:
            sample = rows(inside)
        # The randomised solver, the only one whose cost does not grow with the square of the number of photographs.
        pca = PCA(n_components, svd_solver="randomized", random_state=rng)
        # Pixels that are all alike have no variance, of which PCA takes shares.
        with np.errstate(divide="ignore", invalid="ignore"):
            pca.fit(sample)
        # Below the rounding of float32, a direction is noise of the arithmetic, not of the scene.
        kept = pca.singular_values_ > 1e-5 * np.linalg.norm(sample) / np.sqrt(sample.shape[1])
        return pca.mean_, pca.components_[kept]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.one_d_labels = False
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _standardize(columns, inside):
    """Scale columns in place, so that the pixels `inside` have mean 0 and variance 1."""
    scaler = StandardScaler(copy=False).fit(columns if len(inside) == len(columns) else columns[inside])
    # A data frame, where all transformers are told to give those.
    return np.asarray(scaler.transform(columns))


def _extent(photographs, inside):
    """Find the least and the greatest value of the pixels `inside`, or of all pixels if it is None."""
    counted = photographs if inside is None else (photograph[inside] for photograph in photographs)
    extents = [(photograph.min(), photograph.max()) for photograph in counted]
    return min(least for least, _ in extents), max(greatest for _, greatest in extents)


class _BrightLights:
    """Means of the lights, weighted by powers of how bright they make a pixel.

    A pixel with a highlight is brightest under the light that it mirrors to the camera. This mean is near that light.

    Parameters
    ----------
    powers : ndarray of shape (n_powers,)
        Powers, above 0. The larger a power, the nearer is the mean to the brightest light.

    lights : ndarray of shape (n_lights, n_light_features)
        Lights of the photographs.

    n_pixels : int
        Number of pixels of a photograph.

    extent : tuple of float
        Darkest and brightest value of all photographs. Brightness is measured from the darkest value on.

    Examples
    --------
    >>> bright = _BrightLights([4.0], np.array([[0.0], [1.0]]), n_pixels=2, extent=(0.0, 1.0))
    >>> bright.add(slice(None), slice(None), np.array([[[0.5], [0.3]], [[0.0], [0.3]]]))
    >>> bright.means()
    array([[0. ],
           [0.5]])
    """

    def __init__(self, powers, lights, n_pixels, extent):
        self._powers = powers
        self._lights = lights
        self._darkest = np.float32(extent[0])
        self._range = (np.float32(extent[1]) - self._darkest) or np.float32(1)
        self._totals = np.zeros((len(powers), n_pixels))
        self._sums = np.zeros((len(powers), n_pixels, lights.shape[1]))

    def add(self, rows, pixels, values):
        """Add some pixels of some photographs.

        Parameters
        ----------
        rows, pixels : slice
            Photographs and pixels to add.

        values : ndarray of shape (n_rows, n_pixels, n_channels)
            Colours of these pixels.
        """
        if not len(self._powers):
            return
        # Channel by channel, which is several times as fast as a mean over so short an axis.
        brightness = sum(np.float32(1 / values.shape[2]) * channel for channel in np.moveaxis(values, 2, 0))
        brightness -= self._darkest
        brightness /= self._range
        np.maximum(brightness, 0, out=brightness)
        for power, totals, sums in zip(self._powers, self._totals, self._sums, strict=True):
            # In float64, or high powers of what is dark would be 0.
            weights = np.power(brightness, power, dtype=np.float64)
            totals[pixels] += weights.sum(axis=0)
            sums[pixels] += weights.T @ self._lights[rows]

    def means(self):
        """Compute the means, once. For a pixel that is dark under every light, it is the mean of all lights.

        Returns
        -------
        ndarray of shape (n_pixels, n_powers * n_light_features)
            Means, power by power.
        """
        lit = self._totals > np.finfo(float).tiny
        # In place, as there is a sum for each pixel.
        means = np.divide(self._sums, self._totals[:, :, None], out=self._sums, where=lit[:, :, None])
        means[~lit] = self._lights.mean(0)
        n_powers, n_pixels, n_light_features = means.shape
        return means.swapaxes(0, 1).reshape(n_pixels, n_powers * n_light_features)
