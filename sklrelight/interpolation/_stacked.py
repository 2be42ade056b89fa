"""Stacked radial basis function interpolations: weighted means that differ by cluster of pixels."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state, gen_batches

from ..utils import check_finite, check_lights, check_pixel_weight, safe_unit
from ..utils._sklearn_compat import Interval, fit_context
from ._base import LightRegressor, as_pixels, float_type
from ._equations import Equations, Points, inner_products, leave_one_out_matrix

__all__ = ["CURVES", "STRAIGHT", "StackedRBFInterpolation", "mix"]

# The candidates: kernels with factors of epsilon, and values of smoothing where neighbouring lights are 1 apart.
_KERNELS = (
    ("thin_plate_spline", 1.0),
    ("cubic", 1.0),
    ("linear", 1.0),
    ("multiquadric", 0.25),
    ("multiquadric", 0.5),
    ("multiquadric", 1.0),
)
_SMOOTHING = (0.0, 0.1, 1.0, 10.0, 100.0)

# Clusters are found on at most so many pixels, on about so many values of each, and on so many principal components of
# these values. A cluster has at least four pixels on average.
_CLUSTERED_PIXELS = 2**14
_CLUSTERED_VALUES = 256
_N_COMPONENTS = 16
_PIXELS_PER_CLUSTER = 4

# Leave-one-out errors are measured on at most so many values of each cluster and at so many lights.
_MEASURED_VALUES = 6 * 2**10
_MEASURED_LIGHTS = 128

# Largest number of candidates in a mean, and the weight below which a candidate is dropped from it.
_N_BEST = 12
_LEAST_WEIGHT = 1e-3

# Number of values that are read at a time to find the clusters, and that are summed at a time, which the cache holds.
_BLOCK_VALUES = 2**22
_SUMMED_VALUES = 2**20


class StackedRBFInterpolation(LightRegressor):
    r"""Interpolate each cluster of pixels by its own weighted mean of radial basis function interpolations.

    Pixels that change alike with the light, such as matt, shiny or shadowed ones, form a cluster. The interpolations in
    a mean differ in their kernel and in their smoothing. Their weights minimise the leave-one-out error of the mean in
    the cluster. Values are bent by a curve before they are interpolated; the one with the least leave-one-out error is
    chosen for all pixels.

    Parameters
    ----------
    n_clusters : int, default=16
        Number of clusters, at least 1. It is reduced if there are fewer than four pixels for each.

    random_state : int, RandomState instance or None, default=None
        Draws the pixels and lights on which clusters and errors are estimated, and the initial centers of the clusters.

    Attributes
    ----------
    clusters_ : ndarray of shape (H, W), (k,) or (), int
        The cluster of each pixel. A cluster may have no pixels.

    candidates_ : list of dict
        The interpolations from which means are formed, each with its `kernel`, `epsilon` (factor of the distances, in
        the reciprocal unit of the lights, for every kernel), `smoothing` (added to the diagonal of the kernel's matrix)
        and `n_dimensions` (number of leading coordinates of the lights in use). A candidate is the same interpolation
        as ``RBFInterpolation(kernel, epsilon=1, smoothing=smoothing)`` on the lights
        ``epsilon * X[:, :n_dimensions]``.

    stacking_weights_ : ndarray of shape (n_clusters, n_candidates)
        Weight of each candidate in the mean of each cluster. No weight is negative, and the weights of a cluster add up
        to 1.

    curve_ : int
        Number of the curve that bends the values, in the order of the notes, from 0 on.

    value_range_ : tuple of float
        The least and the greatest value of the weighted pixels, between which the curve bends the values.

    images_ : ndarray of shape (n_lights, ...)
        The training photographs.

    n_features_in_ : int
        Number of light features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights. Defined only if all of them are strings.

    See Also
    --------
    RBFInterpolation : A single interpolation for all pixels, which takes a fraction of the time.

    Notes
    -----
    Unlike the other models over the lights, this one has no method `weights`, because the weights of the photographs
    differ from pixel to pixel. See :meth:`weights_by_cluster`.

    The candidates are all combinations of a kernel, a smoothing and a choice of coordinates. The kernels are thin plate
    spline, cubic, linear, and multiquadric with `epsilon` 1/4, 1/2 and 1, for distances in units of the median distance
    of a light to its nearest neighbour. In the same unit, smoothing is 0, 0.1, 1, 10 and 100. A
    candidate uses all coordinates, or, if the lights span more than two dimensions, the first two alone. Combinations
    whose equations are singular in float64 are left out.

    For a candidate c, a matrix :math:`R_c` takes the photographs to their leave-one-out errors, and depends on the
    lights alone [1]_. With :math:`G` the inner products of the bent photographs over the pixels of a cluster, the
    weights of the candidates are [2]_ [3]_

    .. math:: \arg\min_{a \ge 0, \sum a = 1} \sum_{cd} a_c a_d \sum_i w_i (R_c G R_d^T)_{ii}.

    The sum runs over at most 128 lights i. A light has the weight :math:`w_i = (e_i + 10^{-3} \bar e)^{-1/4}`, where
    :math:`e_i` is the least error of a candidate at this light, so that a single odd photograph does not decide. Only
    the 12 candidates with the least weighted error take part, and weights below 1e-3 are set to 0. If the other lights
    do not determine the polynomial of a candidate, the candidate counts as if it predicted the mean of the other
    photographs. A cluster without a weighted pixel gets weights that are fitted to all weighted pixels.

    A value that changes smoothly with the light in one encoding has a kink in another. With :math:`u` the value scaled
    to [0, 1] over the range of the photographs, there are five curves: :math:`\sqrt u`, :math:`u`, and
    :math:`(e^{ku} - 1) / (e^k - 1)` for k = 1.25, 2.5 and 4. The means of each are bent back to :math:`u`, and compared
    with the photographs that were left out, weighted in the same way and over the pixels of all clusters. Only the
    second curve predicts values below the least value of the photographs.

    References
    ----------
    .. [1] S. Rippa, "An algorithm for selecting a good value for the parameter c in radial basis function
       interpolation", Advances in Computational Mathematics 11, 193-210, 1999.

    .. [2] D. H. Wolpert, "Stacked generalization", Neural Networks 5, 241-259, 1992.

    .. [3] L. Breiman, "Stacked regressions", Machine Learning 24, 49-64, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.interpolation import StackedRBFInterpolation
    >>> lights = np.stack(np.meshgrid([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]), axis=-1).reshape(9, 2)
    >>> images = lights @ [[1.0, 2.0], [0.0, 1.0]]
    >>> model = StackedRBFInterpolation(random_state=0).fit(lights, images)
    >>> model.predict([[0.25, 0.75]]).round(4)
    array([[0.25, 1.25]])
    """

    __metadata_request__fit = {"pixel_weight": True, "value_range": True}

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, n_clusters=16, *, random_state=None):
        self.n_clusters = n_clusters
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None, value_range=None):
        """Find the clusters and the weights, and store the photographs.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs. In the third form, the k values are k pixels.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels in the leave-one-out errors, such as a mask of bool. Pixels of weight 0 are not used
            to find the clusters either. Photographs are predicted whole.

        value_range : tuple of float or None, default=None
            The least and the greatest value of all photographs, if `y` is a sample of their pixels. None takes the
            range of the weighted pixels of `y`.

        Returns
        -------
        self : StackedRBFInterpolation
            The fitted model.

        Raises
        ------
        ValueError
            If the numbers of lights and photographs differ, or if a value is not finite. If the weights do not fit the
            photographs. If the equations of all candidates are singular in float64.
        """
        X, y = self._check_training(X, y)
        weight = None if pixel_weight is None else check_pixel_weight(pixel_weight, y.shape[1:3]).ravel()
        random = check_random_state(self.random_state)
        columns = as_pixels(y)
        weighted = np.ones(columns.shape[1], bool) if weight is None else weight > 0
        if value_range is None:
            inside = y if weighted.all() else columns[:, weighted]
            value_range = (inside.min(), inside.max())
        value_range = (float(value_range[0]), float(value_range[1]))
        labels = _cluster_pixels(columns, np.flatnonzero(weighted), self.n_clusters, random)
        # Rounding in matrix products depends on the order of the memory.
        X = np.ascontiguousarray(X)
        candidates = _make_candidates(X)
        if not candidates:
            raise ValueError(
                "the equations of all kernels are singular in float64 for the lights X; use NearestPhotograph"
            )
        rows = np.sort(random.permutation(len(X))[:_MEASURED_LIGHTS])
        same = Points(X).merged.groups
        residuals = np.stack(
            [leave_one_out_matrix(equations, smoothing, rows, same) for equations, smoothing in candidates]
        )
        stacking_weights, errors = [], np.zeros((len(CURVES), len(rows)))
        for cluster in range(labels.max() + 1):
            own = weighted & (labels == cluster)
            own = np.flatnonzero(own if own.any() else weighted)
            some = random.permutation(own)[: max(1, _MEASURED_VALUES // columns.shape[2])]
            values = _normalize(columns[:, some].reshape(len(y), -1).astype(float_type(y)), value_range)
            value_weight = None if weight is None else np.repeat(weight[some], columns.shape[2])
            of_curves, of_rows = _compare_curves(residuals, rows, values, value_weight)
            stacking_weights.append(of_curves)
            # The sample stands for all pixels of the cluster.
            errors += of_rows * (len(own) if weight is None else weight[own].sum()) / len(some)
        curve = int(np.argmin(errors @ _light_weights(errors)))

        self.clusters_ = labels.reshape(y.shape[1:3])
        self.candidates_ = [
            {
                "kernel": equations.kernel,
                "epsilon": equations.epsilon,
                "smoothing": smoothing,
                "n_dimensions": equations.points.n_dimensions,
            }
            for equations, smoothing in candidates
        ]
        self.stacking_weights_ = np.stack([of_curves[curve] for of_curves in stacking_weights])
        self.curve_ = curve
        self.value_range_ = value_range
        # Equations, each with the candidates that solve them for some smoothing. Those of candidates without weight
        # would only make the model larger.
        used: dict[int, tuple[Equations, list[int]]] = {}
        for index in np.flatnonzero(self.stacking_weights_.any(axis=0)).tolist():
            equations = candidates[index][0]
            used.setdefault(id(equations), (equations, []))[1].append(index)
        self._equations = list(used.values())
        self.images_ = y
        return self

    def predict(self, X):
        """Interpolate photographs.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        images : ndarray of shape (m, ...)
            Predicted photographs: float32 if the training photographs are float32 or float16, else float64.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        images = self._predict(X, None)
        return images.reshape(len(images), *self.images_.shape[1:])

    def predict_pixels(self, X, pixels):
        """Interpolate some pixels of photographs.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        pixels : ndarray of int of shape (n_pixels,)
            Indices into the flattened image.

        Returns
        -------
        ndarray of shape (m, n_pixels, n_channels)
            These pixels of what `predict` returns.
        """
        return self._predict(X, pixels)

    def _predict(self, X, pixels):
        weights, curve = self.weights_by_cluster(X), CURVES[self.curve_]
        columns, labels, dtype = as_pixels(self.images_), self.clusters_.ravel(), float_type(self.images_)
        n_pixels = len(labels) if pixels is None else len(pixels)
        images = np.empty((weights.shape[1], n_pixels, columns.shape[2]), dtype)
        for block in gen_batches(
            n_pixels, max(1, _SUMMED_VALUES // (max(len(columns), len(images)) * images.shape[2]))
        ):
            some = block if pixels is None else pixels[block]
            parts = [(slice(None), columns[:, some])]
            images[:, block] = mix(parts, labels[some], weights, curve, self.value_range_, dtype)
        return images

    def weights_by_cluster(self, X):
        """Compute the weights of the training photographs in predicted ones, for each cluster.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        weights : ndarray of shape (n_clusters, m, n_lights)
            Weights of the photographs, with values bent by the curve, for the pixels of the cluster. Some are negative.
            For each light they add up to 1.
        """
        X = check_lights(self, X)
        weights = np.zeros((len(self.stacking_weights_), len(X), len(self.images_)))
        for equations, used in self._equations:
            merged = equations.points.merged
            smoothings = [self.candidates_[index]["smoothing"] for index in used]
            for index, own in zip(used, equations.weights(X, smoothings), strict=True):
                # This is the product with `merged.averaging`, a matrix that is large for many lights.
                own_of_all = (own * (1 / merged.counts))[:, merged.groups]
                for cluster in np.flatnonzero(self.stacking_weights_[:, index]):
                    weights[cluster] += self.stacking_weights_[cluster, index] * own_of_all
        return weights


def mix(parts, labels, weights, curve, value_range, dtype):
    """Predict some pixels: bend the photographs by a curve, sum them, and bend the sums back.

    Parameters
    ----------
    parts : iterable of (slice, ndarray of shape (n_rows, n_pixels, n_channels))
        Training photographs in parts, each with its rows among all of them.

    labels : ndarray of shape (n_pixels,), int
        The cluster of each pixel.

    weights : ndarray of shape (n_clusters, m, n_lights)
        Weights of the photographs, for each cluster. They add up to 1.

    curve : Curve
        The curve.

    value_range : tuple of float
        The least and the greatest value, between which the curve bends.

    dtype : type
        Type of the computation.

    Returns
    -------
    images : ndarray of shape (m, n_pixels, n_channels)
        The predicted pixels, in this type.

    Raises
    ------
    ValueError
        If a prediction overflows.
    """
    clusters = {cluster: np.flatnonzero(labels == cluster) for cluster in np.unique(labels).tolist()}
    images = None
    with np.errstate(over="ignore", invalid="ignore"):
        weights = weights.astype(dtype)
        for rows, columns in parts:
            values = np.ascontiguousarray(columns)
            n_channels = values.shape[2]
            if images is None:
                images = np.zeros((weights.shape[1], len(labels), n_channels), dtype)
            # NumPy gathers whole pixels several times as fast as if it knew that they have channels.
            whole = values.view(np.dtype((np.void, values.itemsize * n_channels)))[:, :, 0]
            for cluster, pixels in clusters.items():
                own = whole.take(pixels, axis=1).view(values.dtype).astype(dtype, copy=False)
                summed = weights[cluster][:, rows] @ curve.bend(own, value_range)
                images[:, pixels] += summed.reshape(len(summed), -1, n_channels)
        images = curve.unbend(images, value_range)
    check_finite(images)
    return images


class Curve(NamedTuple):
    """A curve that bends values on which photographs are interpolated, up to a factor and a constant.

    Neither changes an interpolation, because the weights of the photographs add up to 1. Within the range of the
    values, the least one is bent as 0 and the greatest as 1.
    """

    name: str
    exponent: float

    def bend(self, values, value_range=(0.0, 1.0)):
        """Bend values."""
        if self is STRAIGHT:
            return values
        bent = _normalize(values.copy(), value_range)
        if self.name == "power":
            return bent**self.exponent
        bent *= values.dtype.type(self.exponent)
        return np.exp(bent, out=bent)

    def unbend(self, values, value_range=(0.0, 1.0)):
        """Undo `bend`. Negative values become 0, except on the straight curve."""
        if self is STRAIGHT:
            return values
        least, greatest = value_range
        if self.name == "power":
            unbent = np.maximum(values, 0) ** (1 / self.exponent)
        else:
            unbent = np.log(np.maximum(values, 1))
            unbent /= values.dtype.type(self.exponent)
        unbent *= values.dtype.type((greatest - least) or 1.0)
        unbent += values.dtype.type(least)
        return unbent


STRAIGHT = Curve("power", 1.0)
# The square root emphasises shadows, the exponentials emphasise highlights, as they undo a logarithmic encoding.
CURVES = (
    Curve("power", 0.5),
    STRAIGHT,
    Curve("exponential", 1.25),
    Curve("exponential", 2.5),
    Curve("exponential", 4.0),
)


def _make_candidates(lights):
    """List the equations and smoothing of all candidates that are not singular.

    Parameters
    ----------
    lights : ndarray of shape (n_lights, n_light_features)
        Training lights.

    Returns
    -------
    list of (Equations, float)
        Equations and smoothing of each candidate. Candidates that differ in their smoothing share one object.
    """
    points = [Points(lights)]
    if lights.shape[1] > 2 and points[0].subspace.rank > 2:
        points.append(Points(lights[:, :2]))
    every = [Equations(some, kernel, factor * some.epsilon) for some in points for kernel, factor in _KERNELS]
    return [(equations, value) for equations in every for value in _SMOOTHING if not equations.is_singular(value)]


def _cluster_pixels(columns, weighted, n_clusters, random):
    """Find clusters of pixels that change alike with the light.

    Parameters
    ----------
    columns : ndarray of shape (n_lights, n_pixels, n_channels)
        Photographs.

    weighted : ndarray of int
        Indices of the pixels on which clusters are found.

    n_clusters : int
        Largest number of clusters.

    random : RandomState
        Draws lights, pixels and initial centers.

    Returns
    -------
    ndarray of shape (n_pixels,), int
        The cluster of each pixel.
    """
    n_lights, n_pixels, n_channels = columns.shape
    n_clusters = min(n_clusters, max(1, len(weighted) // _PIXELS_PER_CLUSTER))
    if n_clusters == 1:
        return np.zeros(n_pixels, np.int32)
    lights = random.permutation(n_lights)[: max(_N_COMPONENTS, _CLUSTERED_VALUES // n_channels)]
    unit = safe_unit(columns)

    def features(pixels):
        some = columns[lights[:, None], pixels].transpose(1, 0, 2).reshape(len(pixels), -1)
        return (some if unit == 1 else some / unit).astype(np.float32)

    sample = features(random.permutation(weighted)[:_CLUSTERED_PIXELS])
    if (sample == sample[0]).all():
        return np.zeros(n_pixels, np.int32)
    reduction = PCA(min(_N_COMPONENTS, *sample.shape), svd_solver="covariance_eigh")
    clustering = make_pipeline(reduction, MiniBatchKMeans(n_clusters, n_init=1, random_state=random)).fit(sample)
    labels = np.empty(n_pixels, np.int32)
    for block in gen_batches(n_pixels, max(1, _BLOCK_VALUES // (len(lights) * n_channels))):
        labels[block] = clustering.predict(features(np.arange(n_pixels)[block]))
    return labels


def _compare_curves(residuals, rows, values, value_weight):
    """Compute the weights of the candidates on each curve, and the leave-one-out errors of their means.

    Parameters
    ----------
    residuals : ndarray of shape (n_candidates, len(rows), n_lights)
        Matrices from photographs to their leave-one-out errors.

    rows : ndarray of int
        Indices of the lights of these errors.

    values : ndarray of shape (n_lights, n_values), float
        Photographs, scaled so that the darkest value is 0 and the brightest is 1.

    value_weight : ndarray of shape (n_values,) or None
        Weights of the values.

    Returns
    -------
    weights : ndarray of shape (n_curves, n_candidates)
        The weights of the candidates. None is negative, and those of a curve add up to 1.

    errors : ndarray of shape (n_curves, len(rows))
        Sums of the squared errors over the values.
    """
    weights, errors = np.zeros((len(CURVES), len(residuals))), np.zeros((len(CURVES), len(rows)))
    for own, own_errors, curve in zip(weights, errors, CURVES, strict=True):
        bent = curve.bend(values)
        own[:] = _stack_candidates(residuals, inner_products(bent, value_weight))
        used = np.flatnonzero(own)
        error = curve.unbend(bent[rows] - np.tensordot(own[used], residuals[used], 1) @ bent) - values[rows]
        squares = np.square(error, dtype=np.float64)
        own_errors[:] = squares.sum(axis=1) if value_weight is None else squares @ value_weight
    return weights, errors


def _stack_candidates(residuals, gram):
    """Compute the weights of the candidates that give the least leave-one-out error of their mean.

    Parameters
    ----------
    residuals : ndarray of shape (n_candidates, n_rows, n_lights)
        Matrices from photographs to their leave-one-out errors.

    gram : ndarray of shape (n_lights, n_lights)
        Inner products of the photographs.

    Returns
    -------
    ndarray of shape (n_candidates,)
        The weights. None is negative, and they add up to 1.
    """
    n_candidates, _, n_lights = residuals.shape
    products = (residuals.reshape(-1, n_lights) @ gram).reshape(residuals.shape)
    errors = np.einsum("cij,cij->ci", products, residuals).clip(0)
    weights = _light_weights(errors)
    best = np.sort(np.argsort(errors @ weights, kind="stable")[:_N_BEST])
    weighted = (products[best] * weights[:, None]).reshape(len(best), -1)
    squares = weighted @ residuals[best].reshape(len(best), -1).T
    means = np.zeros(n_candidates)
    means[best] = _least_mean((squares + squares.T) / 2)
    return means


def _light_weights(errors):
    """Compute weights of the lights from the errors of the candidates, so that one odd photograph does not decide."""
    least = errors.min(axis=0)
    return (least + 1e-3 * least.mean()) ** -0.25 if least.any() else np.ones(len(least))


def _least_mean(squares):
    """Find the a >= 0 with sum 1 that minimises a^T squares a. Elements below 1e-3 are set to 0."""
    largest = squares.diagonal().max()
    if largest <= 0:
        return np.full(len(squares), 1 / len(squares))
    # The error of an exact candidate is rounding, and may come out negative. To keep several exact candidates
    # comparable, errors are measured in units of each candidate's own.
    norms = np.sqrt((squares.diagonal() / largest).clip(0) + 1e-14)
    eigenvalues, vectors = np.linalg.eigh(squares / largest / norms / norms[:, None])
    root = np.sqrt(eigenvalues.clip(1e-10 * eigenvalues.max()))[:, None] * vectors.T
    # The last row asks for the sum 1. Its weight only scales the solution, which is then divided by its sum.
    rows = np.vstack([root, norms.min() / norms])
    shares = nnls(rows, np.eye(len(rows))[-1], maxiter=100 * len(rows))[0] / norms
    shares /= shares.sum()
    shares[shares < _LEAST_WEIGHT] = 0
    return shares / shares.sum()


def _normalize(values, value_range):
    """Scale values in place, so that the range becomes [0, 1]. If the range is a single value, it becomes 0.

    Pixels without weight may have values outside. They are clipped, because powers of them might overflow.
    """
    least, greatest = value_range
    values -= values.dtype.type(least)
    values /= values.dtype.type((greatest - least) or 1.0)
    return np.clip(values, 0, 1, out=values)
