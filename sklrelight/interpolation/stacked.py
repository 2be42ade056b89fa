"""Means of radial basis function interpolations for each kind of pixel: :class:`StackedRBFInterpolation`."""

from numbers import Integral

import numpy as np
from scipy.optimize import nnls
from sklearn.base import _fit_context
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from ..weights import check_pixel_weight
from .base import LightRegressor
from .equations import Equations, Points, inner_products
from .leaving_out import leave_one_out_matrix, weights_without

__all__ = ["StackedRBFInterpolation"]

# Kernels with factors of epsilon; values of smoothing where neighbouring lights are 1 apart.
_KERNELS = (
    ("thin_plate_spline", 1.0),
    ("cubic", 1.0),
    ("linear", 1.0),
    ("multiquadric", 0.25),
    ("multiquadric", 0.5),
    ("multiquadric", 1.0),
)
_SMOOTHING = (0.0, 0.1, 1.0)
# Candidates that a mean is made of, and the least weight of one in it.
_N_BEST = 12
_LEAST_WEIGHT = 1e-3

# What the clusters are found on: pixels, their values, and components of these.
_CLUSTERED_PIXELS = 2**14
_CLUSTERED_VALUES = 256
_N_COMPONENTS = 16
_PIXELS_PER_CLUSTER = 4
# What the errors are measured on: pixels of a cluster, and lights that are left out.
_MEASURED_PIXELS = 2**13
_MEASURED_LIGHTS = 256
# Values gathered at a time.
_BLOCK_VALUES = 2**22


class StackedRBFInterpolation(LightRegressor):
    r"""Predict each kind of pixel by the mean of radial basis function interpolations that suits it.

    Pixels that behave alike under the lights (matt, shining, in and out of shadow) are found by clustering. For each
    cluster, interpolations of several kernels and degrees of smoothing are weighted for the least leave-one-out error
    of their mean.

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

    stacking_weights_ : ndarray of shape (n_clusters, n_candidates)
        Weight of each candidate in the mean of each cluster: none is negative, and their sum is 1.

    images_ : ndarray of shape (n_lights, ...)
        The training photographs.

    n_features_in_ : int
        Width of the lights.

    feature_names_in_ : ndarray of shape (n_features_in_,)
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
    smoothing 0, 0.1 and 1 in the same unit; all coordinates of the lights, and the first two where the lights have and
    span more. What is singular to rounding is none.

    With :math:`R_c` the matrix from the photographs to the leave-one-out errors of candidate c, which depends on the
    lights alone [1]_, and :math:`G` the matrix of inner products of the photographs over the pixels of a cluster, the
    weights of the cluster's candidates are [2]_ [3]_

    .. math:: \arg\min_{a \ge 0, \sum a = 1} \sum_{cd} a_c a_d \sum_i w_i (R_c G R_d^T)_{ii}.

    The sum is over at most 256 lights. The weight of a light is :math:`w_i = (e_i + 10^{-3} \bar e)^{-1/2}`, with
    :math:`e_i` the least error of a candidate there, so that one odd photograph does not decide. Of the candidates, the
    12 of least weighted error take part; a weight below 1e-3 becomes 0. A light without which a candidate's polynomial
    is not determined counts as if that candidate predicted the mean of the other photographs. A cluster without a
    weighted pixel has the weights that suit all clusters together.

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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None):
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
        labels = _cluster(columns, weight, self.n_clusters, random)
        candidates = _candidates(X)
        rows = np.sort(random.permutation(len(X))[:_MEASURED_LIGHTS])
        same = Points(X).merged.groups
        residuals = np.stack(
            [leave_one_out_matrix(equations, smoothing, rows, same) for equations, smoothing in candidates]
        )
        grams = _grams(columns, labels, weight, random)
        stacking = np.zeros((labels.max() + 1, len(candidates)))
        together = _stack(residuals, rows, sum(grams.values()))
        for cluster in range(len(stacking)):
            stacking[cluster] = _stack(residuals, rows, grams[cluster]) if cluster in grams else together
        self.clusters_ = labels.reshape(y.shape[1:3])
        names = ("kernel", "epsilon", "smoothing", "n_dimensions")
        self.candidates_ = [
            dict(zip(names, (some.kernel, some.epsilon, smoothing, some.points.n_dimensions), strict=True))
            for some, smoothing in candidates
        ]
        self.stacking_weights_ = stacking
        self._same = same
        # The others would only make pickles larger.
        self._equations = [
            equations if stacking[:, index].any() else None for index, (equations, _) in enumerate(candidates)
        ]
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
            Photographs: float32 where the training ones are float32 or float16, else float64.

        Raises
        ------
        ValueError
            If the lights have another width than in `fit`, or are not finite.
        """
        return self._combine(self.weights_by_cluster(X))

    def weights_by_cluster(self, X):
        """Give the weights of the training photographs in predicted ones.

        Parameters
        ----------
        X : array-like of shape (m, n_light_features)
            Lights.

        Returns
        -------
        weights : ndarray of shape (n_clusters, m, n_lights)
            For the pixels of each cluster. Their sum is 1 for each light; some are negative.
        """
        X = self._check_lights(X)
        weights = np.zeros((len(self.stacking_weights_), len(X), len(self.images_)))
        for equations, used in self._used():
            smoothings = [self.candidates_[index]["smoothing"] for index in used]
            for index, own in zip(used, equations.weights(X, smoothings), strict=True):
                spread = own @ equations.points.merged.averaging
                for cluster in np.flatnonzero(self.stacking_weights_[:, index]):
                    weights[cluster] += self.stacking_weights_[cluster, index] * spread
        return weights

    def leave_out(self, rows):
        """Predict training photographs by models fitted to the others, with the clusters and weights as they are.

        The candidates' kernels, epsilon and smoothing stay as well, so that nothing is fitted anew: the errors at
        lights H of interpolations without them are :math:`(D_{HH})^{-1} D_H Y`, with :math:`D` the inverse of the
        equations' matrix.

        Parameters
        ----------
        rows : array-like of int
            Indices of training lights, or a mask of bool. Lights that are equal to one of these are left out, too.

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
        weights = np.zeros((len(self.stacking_weights_), len(rows), n_lights))
        shares = np.zeros(len(weights))
        for equations, used in self._used():
            for index in used:
                own = weights_without(equations, self.candidates_[index]["smoothing"], rows, kept)
                if own is None:
                    continue
                for cluster in np.flatnonzero(self.stacking_weights_[:, index]):
                    weights[cluster] += self.stacking_weights_[cluster, index] * own
                    shares[cluster] += self.stacking_weights_[cluster, index]
        weights[shares > 0] /= shares[shares > 0, None, None]
        weights[shares == 0] = kept / kept.sum()
        return self._combine(weights)

    def _used(self):
        """Equations that some cluster uses, with the indices of the candidates that are solutions of them."""
        used: dict[int, tuple[Equations, list[int]]] = {}
        for index, equations in enumerate(self._equations):
            if equations is not None:
                used.setdefault(id(equations), (equations, []))[1].append(index)
        return list(used.values())

    def _combine(self, weights):
        """Sum photographs with the weights of each cluster, of shape (n_clusters, m, n)."""
        dtype = np.float32 if self.images_.dtype in (np.float32, np.float16) else np.float64
        columns, labels = _pixels(self.images_), self.clusters_.ravel()
        n_lights, n_pixels, n_channels = columns.shape
        images = np.empty((weights.shape[1], n_pixels, n_channels), dtype)
        width = max(1, _BLOCK_VALUES // (max(n_lights, len(images)) * n_channels))
        for cluster, matrix in enumerate(weights.astype(dtype)):
            pixels = np.flatnonzero(labels == cluster)
            for block in gen_batches(len(pixels), width):
                some = columns[:, pixels[block]].reshape(n_lights, -1).astype(dtype, copy=False)
                images[:, pixels[block]] = (matrix @ some).reshape(len(matrix), -1, n_channels)
        return images.reshape(len(images), *self.images_.shape[1:])


def _pixels(images):
    """Photographs in the shape (n, n_pixels, n_channels)."""
    return images.reshape(len(images), int(np.prod(images.shape[1:3])), -1)


def _cluster(columns, weight, n_clusters, random):
    """Give the cluster of each pixel."""
    n_lights, n_pixels, n_channels = columns.shape
    weighted = np.arange(n_pixels) if weight is None else np.flatnonzero(weight)
    n_clusters = min(n_clusters, max(1, len(weighted) // _PIXELS_PER_CLUSTER))
    if n_clusters == 1:
        return np.zeros(n_pixels, np.int32)
    lights = random.permutation(n_lights)[: max(_N_COMPONENTS, _CLUSTERED_VALUES // n_channels)]

    def features(pixels):
        return columns[lights[:, None], pixels].transpose(1, 0, 2).reshape(len(pixels), -1).astype(np.float32)

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


def _candidates(X):
    """Pairs of equations and smoothing, without singular ones."""
    points = [Points(X)]
    if X.shape[1] > 2 and points[0].subspace.rank > 2:
        points.append(Points(X[:, :2]))
    every = [Equations(some, kernel, factor * some.epsilon) for some in points for kernel, factor in _KERNELS]
    return [(equations, value) for equations in every for value in _SMOOTHING if not equations.is_singular(value)]


def _grams(columns, labels, weight, random):
    """Inner products of the photographs in each cluster that has weighted pixels."""
    grams = {}
    for cluster in range(labels.max() + 1):
        pixels = np.flatnonzero(labels == cluster if weight is None else (labels == cluster) & (weight > 0))
        if len(pixels):
            some = np.sort(random.permutation(pixels)[:_MEASURED_PIXELS])
            value_weight = None if weight is None else np.repeat(weight[some], columns.shape[2])
            # As if all of its pixels were measured.
            grams[cluster] = inner_products(columns[:, some], value_weight) * (len(pixels) / len(some))
    return grams


def _stack(residuals, rows, gram):
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
    least = errors.min(axis=0)
    weights = np.ones(len(rows))
    if least.any():
        weights = (least + 1e-3 * least.mean()) ** -0.5
    best = np.sort(np.argsort(errors @ weights, kind="stable")[:_N_BEST])
    weighted = (products[best] * weights[:, None]).reshape(len(best), -1)
    squares = weighted @ residuals[best].reshape(len(best), -1).T
    means = np.zeros(n_candidates)
    means[best] = _least_mean((squares + squares.T) / 2)
    return means


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
