"""Means of radial basis function interpolations for each kind of pixel: :class:`StackedRBFInterpolation`."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from ..utils import check_finite, check_pixel_weight, safe_unit
from ..utils._sklearn_compat import Interval, fit_context
from ._base import LightRegressor
from ._equations import Equations, Points, inner_products, leave_one_out_matrix, left_out_weights, weights_without

__all__ = ["CURVES", "StackedRBFInterpolation", "mix"]

# Kernels with factors of epsilon; values of smoothing where neighbouring lights are 1 apart.
_KERNELS = (
    ("thin_plate_spline", 1.0),
    ("cubic", 1.0),
    ("linear", 1.0),
    ("multiquadric", 0.25),
    ("multiquadric", 0.5),
    ("multiquadric", 1.0),
)
_SMOOTHING = (0.0, 0.1, 1.0, 10.0, 100.0)
# What the clusters are found on: pixels, their values, and components of these.
_CLUSTERED_PIXELS = 2**14
_CLUSTERED_VALUES = 256
_N_COMPONENTS = 16
_PIXELS_PER_CLUSTER = 4
# Values gathered at a time.
_BLOCK_VALUES = 2**22
# Candidates that a mean is made of, and the least weight of one in it.
_N_BEST = 12
_LEAST_WEIGHT = 1e-3
# What the errors are measured on: values of a cluster, some of which the curves are compared on, and lights.
_MEASURED_VALUES = 6 * 2**10
_COMPARED_VALUES = 3 * 2**10
_MEASURED_LIGHTS = 128


class StackedRBFInterpolation(LightRegressor):
    r"""Predict each kind of pixel by the mean of radial basis function interpolations that suits it.

    Pixels that behave alike under the lights (matt, shining, in and out of shadow) are found by clustering. For each
    cluster, interpolations of several kernels and degrees of smoothing, of the values as they are and bent by several
    curves, are weighted for the least leave-one-out error of their mean. How bright a photograph is as a whole is
    interpolated in the same way, and corrects the mean as far as that helps.

    Parameters
    ----------
    n_clusters : int, default=16
        Number of clusters, at least 1. There are fewer where there are less than four pixels for each.

    random_state : int, RandomState instance or None, default=None
        Draws the pixels and lights that clusters and errors are estimated on, and the first centers of the clusters.

    Attributes
    ----------
    clusters_ : ndarray of shape (H, W), (k,) or (), int
        The cluster of each pixel. One may have no pixels.

    candidates_ : list of dict
        The interpolations that means are made of: `kernel`, `epsilon` (factor of distances, in the reciprocal unit of
        the lights, for all kernels), `smoothing` (added to the diagonal of the kernel's matrix) and `n_dimensions` (the
        first so many coordinates of the lights are used). ``RBFInterpolation(kernel, epsilon=1, smoothing=smoothing)``
        on lights ``epsilon * X[:, :n_dimensions]`` is the same interpolation.

    stacking_weights_ : ndarray of shape (n_clusters, 5, n_candidates)
        Weight of each candidate on each curve in the mean of each cluster: none is negative, and their sum is 1.

    value_range_ : tuple of float
        The least and the greatest value of the weighted pixels, between which the curves bend values.

    brightness_ : Brightness or None
        How bright the photographs are as a whole, interpolated for itself, with the `share` in (0, 1] of its correction
        that is made; None where none helps.

    images_ : ndarray of shape (n_lights, ...)
        The training photographs.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the lights, where they had some that are all strings.

    See Also
    --------
    RBFInterpolation : A single one for all pixels, for a fraction of the time.

    Notes
    -----
    Unlike the other models over the lights, this one has no method `weights`: the weights of the photographs vary by
    pixel.

    The candidates are all combinations of: the kernels thin plate spline, cubic, linear, and multiquadric with
    `epsilon` 1/4, 1/2 and 1, where distances are in units of the median distance of a light to its nearest neighbour;
    smoothing 0, 0.1, 1, 10 and 100 in the same unit; all coordinates of the lights, and the first two where the lights
    have and span more. What is singular to rounding is none.

    With :math:`R_c` the matrix from the photographs to the leave-one-out errors of candidate c, which depends on the
    lights alone [1]_, and :math:`G` the matrix of inner products of the photographs over the pixels of a cluster, the
    weights of the cluster's candidates on a curve are [2]_ [3]_

    .. math:: \arg\min_{a \ge 0, \sum a = 1} \sum_{cd} a_c a_d \sum_i w_i (R_c G R_d^T)_{ii}.

    The sum is over at most 128 lights. The weight of a light is :math:`w_i = (e_i + 10^{-3} \bar e)^{-1/4}`, with
    :math:`e_i` the least error of a candidate there, so that one odd photograph does not decide. Of the candidates, the
    12 of least weighted error take part; a weight below 1e-3 becomes 0. A light without which a candidate's polynomial
    is not determined counts as if that candidate predicted the mean of the other photographs. A cluster without a
    weighted pixel has the weights that suit all pixels together.

    What falls off smoothly with the light in one encoding has a kink in another, and which one that is differs by
    material. So with :math:`u` in [0, 1] over the range of the photographs, this is done five times: on
    :math:`\sqrt u`, :math:`u`, :math:`(e^{ku} - 1) / (e^k - 1)` with k = 1.25, 2.5 and 4. The five leave-one-out
    predictions, bent back, are weighted in the same way by their errors in :math:`u`. Values below the least of the
    photographs are predicted by the second alone.

    Lamps are not all as bright, and what suits a pixel's noise or highlights smooths that away, or follows it too far.
    So the logarithm of the root mean square of each photograph is interpolated, too, by candidates weighted as for one
    more cluster, and predicted photographs are scaled towards it. How far, is the slope, shrunken by how uncertain it
    is, of the leave-one-out photographs' best scales over those that this asks for.

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
    >>> model.leave_out([1, 2]).round(4)
    array([[0.5, 1. ],
           [1. , 2. ]])
    """

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, n_clusters=16, *, random_state=None):
        self.n_clusters = n_clusters
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None, value_range=None):
        """Find clusters and weights, and keep the photographs.

        Parameters
        ----------
        X : array-like of shape (n_lights, n_light_features)
            Lights.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_lights, k) or (n_lights,)
            Photographs; k values are k pixels.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels in the leave-one-out errors, such as a mask of bool; those of weight 0 have no part in
            finding the clusters either. Photographs are predicted whole.

        value_range : tuple of float or None, default=None
            The least and the greatest value of all photographs, where `y` is a sample of their pixels. None: those of
            the weighted pixels of `y`.

        Returns
        -------
        self : StackedRBFInterpolation
            The fitted model.

        Raises
        ------
        ValueError
            If lights and photographs differ in number, or are not finite; if weights do not fit the photographs.
        """
        X, y = self._check_training(X, y)
        weight = None if pixel_weight is None else check_pixel_weight(pixel_weight, y.shape[1:3]).ravel()
        random = check_random_state(self.random_state)
        columns = _pixels(y)
        labels = cluster_pixels(columns, weight, self.n_clusters, random)
        # Products round by the order of the memory.
        X = np.ascontiguousarray(X)
        candidates = make_candidates(X)
        if not candidates:
            raise ValueError(
                "the equations of all kernels are singular to rounding for the lights X; NearestPhotograph takes them"
            )
        rows = np.sort(random.permutation(len(X))[:_MEASURED_LIGHTS])
        same = Points(X).merged.groups
        residuals = np.stack(
            [leave_one_out_matrix(equations, smoothing, rows, same) for equations, smoothing in candidates]
        )
        weighted = np.ones(len(labels), bool) if weight is None else weight > 0
        inside = y if weighted.all() or not weighted.any() else columns[:, weighted]
        extent = (inside.min(), inside.max()) if value_range is None else value_range
        self.value_range_ = (float(extent[0]), float(extent[1]))
        self.images_ = y

        stacking = []
        for cluster in range(labels.max() + 1):
            kind = weighted & (labels == cluster)
            some = random.permutation(np.flatnonzero(kind if kind.any() else weighted))
            some = some[: max(1, _MEASURED_VALUES // columns.shape[2])]
            values = normalize(columns[:, some].reshape(len(y), -1).astype(self._dtype), self.value_range_)
            value_weight = None if weight is None else np.repeat(weight[some], columns.shape[2])
            stacking.append(stack(residuals, rows, values, value_weight, _COMPARED_VALUES))
        self.clusters_ = labels.reshape(y.shape[1:3])
        names = ("kernel", "epsilon", "smoothing", "n_dimensions")
        self.candidates_ = [
            dict(zip(names, (some.kernel, some.epsilon, smoothing, some.points.n_dimensions), strict=True))
            for some, smoothing in candidates
        ]
        self.stacking_weights_ = np.stack(stacking)
        self._same = same
        # The others would only make pickles larger.
        self._equations = [
            equations if used else None for used, (equations, _) in zip(self._have_weight(), candidates, strict=True)
        ]
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
            Photographs: float32 where the training ones are float32 or float16, else float64.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        return self._predict(self.weights_by_cluster(X), self.stacking_weights_.sum(axis=2))

    def weights_by_cluster(self, X):
        """Give the weights of the training photographs in predicted ones, before their brightness is corrected.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        weights : ndarray of shape (n_clusters, n_curves, m, n_lights)
            For the pixels of each cluster, bent by each curve; some are negative. Their sum for each light is the
            curve's share, the sum of its `stacking_weights_`.
        """
        return self._weights(self._check_lights(X), self.stacking_weights_)

    def leave_out(self, rows, pixels=None):
        """Predict training photographs by models fitted to the others, with the clusters and weights as they are.

        The candidates' kernels, epsilon and smoothing stay as well, so that nothing is fitted anew: the errors at
        lights H of interpolations without them are :math:`(D_{HH})^{-1} D_H Y`, with :math:`D` the inverse of the
        equations' matrix.

        Parameters
        ----------
        rows : array-like of int
            Indices of training lights, or a mask of bool. Lights that are equal to one of these are left out, too.

        pixels : ndarray of int or None, default=None
            Which pixels to predict, as photographs one pixel wide; None: all.

        Returns
        -------
        images : ndarray of shape (len(rows), ...)
            Photographs, none NaN: where the others do not determine a candidate's polynomial, the mean is that of the
            other candidates, and where no candidate of a cluster is left, that of the other photographs.

        Raises
        ------
        ValueError
            If no light is left.
        """
        check_is_fitted(self)
        n_lights = len(self.images_)
        rows = np.atleast_1d(np.arange(n_lights)[np.asarray(rows) if np.size(rows) else []])
        kept = ~np.isin(self._same, self._same[rows])
        if not kept.any():
            raise ValueError(f"rows leave out all {n_lights} training lights, or lights equal to them: none is left")
        weights, shares = self._weights_without(rows, kept, self.stacking_weights_)
        return self._predict(weights, shares, pixels)

    def _weights(self, X, stacking_weights):
        """Weights of the photographs, of shape (n_clusters, n_curves, len(X), n_lights)."""
        weights = np.zeros((*stacking_weights.shape[:2], len(X), len(self.images_)))
        for equations, used in self._used(stacking_weights):
            smoothings = [self.candidates_[index]["smoothing"] for index in used]
            for index, own in zip(used, equations.weights(X, smoothings), strict=True):
                # The product with the matrix that averages, which many lights in many groups would make large.
                spread = (own * (1 / equations.points.merged.counts))[:, equations.points.merged.groups]
                _add(weights, stacking_weights, index, spread)
        return weights

    def _weights_without(self, rows, kept, stacking_weights):
        """The same for training lights that are left out, and the shares of the curves."""
        weights = np.zeros((*stacking_weights.shape[:2], len(rows), len(kept)))
        shares = np.zeros(weights.shape[:2])
        for equations, used in self._used(stacking_weights):
            for index in used:
                own = weights_without(equations, self.candidates_[index]["smoothing"], rows, kept)
                if own is not None:
                    _add(weights, stacking_weights, index, own)
                    shares += stacking_weights[:, :, index]
        none = shares.sum(axis=1) == 0
        # On the second curve, which is straight.
        shares[none, 1] = 1
        weights[none, 1] = kept / kept.sum()
        weights /= shares.sum(axis=1)[:, None, None, None]
        return weights, shares / shares.sum(axis=1, keepdims=True)

    def _have_weight(self):
        """Which candidates have weight in some mean, of pixels or of brightness."""
        return self.stacking_weights_.any(axis=(0, 1))

    def _used(self, stacking_weights):
        """Equations that some mean uses, with the indices of the candidates that are solutions of them."""
        used: dict[int, tuple[Equations, list[int]]] = {}
        for index, equations in enumerate(self._equations):
            if equations is not None and stacking_weights[:, :, index].any():
                used.setdefault(id(equations), (equations, []))[1].append(index)
        return list(used.values())

    def _predict(self, weights, shares, pixels=None):
        columns, labels, shape = _pixels(self.images_), self.clusters_.ravel(), self.images_.shape[1:]
        if pixels is not None:
            labels, shape = labels[pixels], (len(pixels), 1, *shape[2:])
        images = np.empty((weights.shape[2], len(labels), columns.shape[2]), self._dtype)
        n_pixels = max(1, _BLOCK_VALUES // (max(len(columns), len(images)) * images.shape[2]))
        for block in gen_batches(len(labels), n_pixels):
            parts = [(slice(None), columns[:, block if pixels is None else pixels[block]])]
            images[:, block] = mix(parts, labels[block], weights, shares, self.value_range_, self._dtype)
        return images.reshape(len(images), *shape)

    @property
    def _dtype(self):
        return np.float32 if self.images_.dtype in (np.float32, np.float16) else np.float64


def _add(weights, stacking_weights, index, own):
    """Add a candidate's weights of the photographs to those of the means that it is part of."""
    for cluster, curve in np.argwhere(stacking_weights[:, :, index]):
        weights[cluster, curve] += stacking_weights[cluster, curve, index] * own


def _pixels(images):
    """Photographs in the shape (n, n_pixels, n_channels)."""
    return images.reshape(len(images), int(np.prod(images.shape[1:3])), -1)


def make_candidates(lights):
    """List kernels and degrees of smoothing on all coordinates of the lights, and on the first two.

    Parameters
    ----------
    lights : ndarray of shape (n_lights, n_light_features)
        Training lights.

    Returns
    -------
    list of (Equations, float)
        Equations and what is added to the diagonal of their matrix, without those that are singular to rounding. One
        object serves all degrees of smoothing.
    """
    points = [Points(lights)]
    if lights.shape[1] > 2 and points[0].subspace.rank > 2:
        points.append(Points(lights[:, :2]))
    every = [Equations(some, kernel, factor * some.epsilon) for some in points for kernel, factor in _KERNELS]
    return [(equations, value) for equations in every for value in _SMOOTHING if not equations.is_singular(value)]


def cluster_pixels(columns, weight, n_clusters, random):
    """Find clusters of pixels.

    Parameters
    ----------
    columns : ndarray of shape (n_lights, n_pixels, n_channels)
        Photographs.

    weight : ndarray of shape (n_pixels,) or None
        Pixels of weight 0 have no part in it.

    n_clusters : int
        How many, at most.

    random : RandomState
        Draws what the clusters are found on.

    Returns
    -------
    ndarray of shape (n_pixels,), int
        The cluster of each pixel.
    """
    n_lights, n_pixels, n_channels = columns.shape
    weighted = np.arange(n_pixels) if weight is None else np.flatnonzero(weight)
    n_clusters = min(n_clusters, max(1, len(weighted) // _PIXELS_PER_CLUSTER))
    if n_clusters == 1:
        return np.zeros(n_pixels, np.int32)
    lights = random.permutation(n_lights)[: max(_N_COMPONENTS, _CLUSTERED_VALUES // n_channels)]
    unit = safe_unit(columns[lights])

    def features(pixels):
        some = columns[lights[:, None], pixels].transpose(1, 0, 2).reshape(len(pixels), -1)
        return (some if unit == 1 else some / unit).astype(np.float32)

    sample = features(random.permutation(weighted)[:_CLUSTERED_PIXELS])
    if (sample == sample[0]).all():
        return np.zeros(n_pixels, np.int32)
    n_components = min(_N_COMPONENTS, *sample.shape)
    reduction = PCA(n_components, svd_solver="covariance_eigh") if sample.shape[1] > n_components else None
    if reduction is not None:
        sample = reduction.fit_transform(sample)
    clustering = MiniBatchKMeans(n_clusters, n_init=1, random_state=random).fit(sample)
    labels = np.empty(n_pixels, np.int32)
    for block in gen_batches(n_pixels, max(1, _BLOCK_VALUES // (len(lights) * n_channels))):
        some = features(np.arange(n_pixels)[block])
        labels[block] = clustering.predict(some if reduction is None else reduction.transform(some))
    return labels


class Curve(NamedTuple):
    """A bend of the values between the darkest, 0, and the brightest, 1, that they are interpolated on.

    Outside, where there are only pixels without weight, bent values need not be told apart.
    """

    name: str
    exponent: float

    def bend(self, values):
        """Bend values."""
        if self.name == "exponential":
            # In place: values of all photographs are large.
            bent = np.minimum(values, 1)
            bent *= values.dtype.type(self.exponent)
            np.expm1(bent, out=bent)
            bent /= values.dtype.type(np.expm1(self.exponent))
            return bent
        return values if self.exponent == 1 else np.maximum(values, 0) ** values.dtype.type(self.exponent)

    def unbend(self, values):
        """Undo `bend`; what is below 0 becomes 0, but for the straight curve."""
        if self.name == "exponential":
            return np.log1p(np.maximum(values, 0) * values.dtype.type(np.expm1(self.exponent))) / self.exponent
        return values if self.exponent == 1 else np.maximum(values, 0) ** values.dtype.type(1 / self.exponent)


# From what lifts the shadows to what gives the highlights their due: the exponentials undo an encoding by a logarithm.
CURVES = (
    Curve("power", 0.5),
    Curve("power", 1.0),
    Curve("exponential", 1.25),
    Curve("exponential", 2.5),
    Curve("exponential", 4.0),
)


def stack(residuals, rows, columns, value_weight, n_compared):
    """Weigh candidates on each curve, and the curves.

    Parameters
    ----------
    residuals : ndarray of shape (n_candidates, len(rows), n_lights)
        Matrices from photographs to their leave-one-out errors.

    rows : ndarray of int
        Lights of the errors.

    columns : ndarray of shape (n_lights, n_values), float
        Photographs, of which the darkest value is 0 and the brightest 1.

    value_weight : ndarray of shape (n_values,) or None
        Weights of the values.

    n_compared : int
        The first so many values are what the curves are compared on.

    Returns
    -------
    ndarray of shape (n_curves, n_candidates)
        Not negative, of sum 1.
    """
    weights, errors = np.zeros((len(CURVES), len(residuals))), []
    some = columns[:, :n_compared]
    for own, curve in zip(weights, CURVES, strict=True):
        bent = curve.bend(columns)
        own[:] = _stack_candidates(residuals, rows, inner_products(bent, value_weight))
        used = np.flatnonzero(own)
        bent = bent[:, :n_compared]
        errors.append(curve.unbend(bent[rows] - np.tensordot(own[used], residuals[used], 1) @ bent) - some[rows])
    if value_weight is not None:
        errors = [error * np.sqrt(value_weight[:n_compared]) for error in errors]
    stacked = np.stack(errors)
    light_weight = _light_weights(np.einsum("cij,cij->ci", stacked, stacked))
    stacked *= np.sqrt(light_weight)[:, None]
    flat = stacked.reshape(len(stacked), -1)
    return _least_mean(flat @ flat.T)[:, None] * weights


def _stack_candidates(residuals, rows, gram):
    """Weigh candidates for the least leave-one-out error of their mean.

    Parameters
    ----------
    residuals : ndarray of shape (n_candidates, len(rows), n)
        From photographs to errors.

    rows : ndarray of int
        Lights of the errors.

    gram : ndarray of shape (n, n)
        Inner products of the photographs.

    Returns
    -------
    ndarray of shape (n_candidates,)
        Not negative, of sum 1.
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
    """Weigh lights, by the least of the candidates' errors, so that one odd photograph does not decide."""
    least = errors.min(axis=0)
    return (least + 1e-3 * least.mean()) ** -0.25 if least.any() else np.ones(len(least))


def _least_mean(squares):
    """The a >= 0 of sum 1 for which a^T squares a is least, but for what is small."""
    largest = squares.diagonal().max()
    if largest <= 0:
        return np.full(len(squares), 1 / len(squares))
    # What is exact has errors of rounding, of any sign. In units of each candidate's own, exact ones stay comparable.
    norms = np.sqrt((squares.diagonal() / largest).clip(0) + 1e-14)
    eigenvalues, vectors = np.linalg.eigh(squares / largest / norms / norms[:, None])
    root = np.sqrt(eigenvalues.clip(1e-10 * eigenvalues.max()))[:, None] * vectors.T
    # Whatever the row for the sum weighs, the solution is that of sum 1, but scaled.
    rows = np.vstack([root, norms.min() / norms])
    shares = nnls(rows, np.eye(len(rows))[-1], maxiter=100 * len(rows))[0] / norms
    shares /= shares.sum()
    shares[shares < _LEAST_WEIGHT] = 0
    return shares / shares.sum()


def mix(parts, labels, weights, shares, value_range, dtype):
    """Predict some pixels by sums of bent photographs.

    Parameters
    ----------
    parts : iterable of (slice, ndarray of shape (n_rows, n_pixels, n_channels))
        Training photographs, some at a time, with their rows.

    labels : ndarray of shape (n_pixels,), int
        The cluster of each pixel.

    weights : ndarray of shape (n_clusters, n_curves, m, n_lights)
        Of the photographs, by cluster and curve.

    shares : ndarray of shape (n_clusters, n_curves)
        Of the curves.

    value_range : tuple of float
        The values between which the curves bend.

    dtype : type
        That this is computed in.

    Returns
    -------
    images : ndarray of shape (m, n_pixels, n_channels)
        Of this type.

    Raises
    ------
    ValueError
        If what is predicted is not finite.
    """
    kinds = [(cluster, np.flatnonzero(labels == cluster)) for cluster in np.unique(labels)]
    used = np.flatnonzero(shares[np.unique(labels)].any(axis=0))
    sums = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, columns in parts:
            some = normalize(columns.astype(dtype), value_range)
            n_channels = some.shape[2]
            for curve in used:
                if curve not in sums:
                    sums[curve] = np.zeros((weights.shape[2], len(labels), n_channels), dtype)
                for cluster, pixels in kinds:
                    if shares[cluster, curve]:
                        bent = CURVES[curve].bend(some[:, pixels]).reshape(len(some), -1)
                        own = weights[cluster, curve][:, rows].astype(dtype) @ bent
                        sums[curve][:, pixels] += own.reshape(len(own), -1, n_channels)
        images = np.zeros((weights.shape[2], len(labels), n_channels), dtype)
        for curve, of_curve in sums.items():
            share = shares[labels, curve].astype(dtype)[:, None]
            images += share * CURVES[curve].unbend(of_curve / np.where(share > 0, share, 1))
        least, greatest = value_range
        images *= dtype((greatest - least) or 1.0)
        images += dtype(least)
    check_finite(images)
    return images


def normalize(values, value_range):
    """Bring a range of values to [0, 1], in place.

    Parameters
    ----------
    values : ndarray
        Of floats.

    value_range : tuple of float
        The least and the greatest; where they are equal, the least becomes 0.

    Returns
    -------
    ndarray
        `values`.
    """
    least, greatest = value_range
    values -= values.dtype.type(least)
    values /= values.dtype.type((greatest - least) or 1.0)
    return values
