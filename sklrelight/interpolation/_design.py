"""Which lights to photograph: :func:`choose_lights`."""

from numbers import Integral

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils import check_array

from ..utils import check_magnitude, naming
from ..utils._sklearn_compat import Interval, StrOptions, validate_params
from ._equations import KERNELS, Points

__all__ = ["choose_lights"]

# Passes over the chosen lights, in which each may be exchanged for a better one.
_N_PASSES = 5
# Variance of the constant that the kernel's interpolation reproduces, in units of the greatest distance.
_CONSTANT = 1e3
# Share of the largest variance up to which a variance is rounding, and of the largest gain up to which gains are equal.
_ROUNDING = 1e-9


@validate_params(
    {
        "candidates": ["array-like"],
        "k": [Interval(Integral, 1, None, closed="left")],
        "method": [StrOptions({"error", "d_optimal", "medoids", "farthest"})],
        "keep": ["array-like", None],
        "proxy": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def choose_lights(candidates, k, *, method="error", keep=None, proxy=None):
    r"""Choose the lights to photograph, so that all others can be predicted well.

    Parameters
    ----------
    candidates : array-like of shape (n_candidates, n_light_features)
        Lights that could be photographed: directions, positions, hours of a year, ... Distances between them are
        measured in their own units.

    k : int
        Number of lights to choose, those of `keep` included.

    method : {"error", "d_optimal", "medoids", "farthest"}, default="error"
        What is sought. ``"error"``: the least expected error of interpolating all candidates. ``"d_optimal"``: lights
        whose photographs depend on each other as little as possible. ``"medoids"``: the least squared distance of a
        candidate to the nearest chosen light, as of k-means whose centres are candidates. ``"farthest"``: the light
        farthest from those chosen so far; the first is the one farthest from the mean.

    keep : array-like of int or None, default=None
        Indices of candidates that are chosen in any case, such as lights that have been photographed already.

    proxy : array-like of shape (n_candidates, ...) or None, default=None
        A rough photograph or rendering of the scene under each candidate, encoded, of any size. It takes the place of
        assumptions in ``"error"`` and ``"d_optimal"``. Photographs of another object do not help.

    Returns
    -------
    indices : ndarray of shape (k,), int
        Indices of the chosen candidates: those of `keep`, then the others in the order in which they are worth the
        most. Nothing is random. Among equally good candidates, the first is taken.

    Raises
    ------
    ValueError
        If values are not finite or indices out of range. If `k` is smaller than the number of lights to keep, or larger
        than the number of different candidates. If `proxy` has another number of photographs than there are candidates,
        or is given to a method that has no use for it.

    Notes
    -----
    Without a proxy, photographs are regarded as draws of a Gaussian process over the lights with the linear kernel of
    :class:`~sklrelight.interpolation.RBFInterpolation`. The covariance of the photographs that is left once some are
    known does not depend on their values. With :math:`C` this covariance, ``"d_optimal"`` takes the light with the
    largest :math:`C_{ii}`, which is a Cholesky decomposition with pivots (a QR decomposition of the photographs, if
    there is a proxy), and maximises the determinant step by step. The light of ``"error"`` reduces the sum of the
    variances by the largest :math:`\sum_j C_{ij}^2 / C_{ii}`. With a proxy, ``"error"`` measures the squared error of
    interpolating the proxy's photographs.

    Lights are first taken one by one. Then each but those of `keep` is exchanged for the best candidate, up to five
    times, except with ``"farthest"``. Time grows as ``n_candidates ** 2 * k ** 2``: seconds for a few hundred
    candidates. For thousands, ``"medoids"`` and ``"farthest"`` take the least.

    References
    ----------
    V. V. Fedorov, "Theory of Optimal Experiments", 1972 (exchange).

    T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 38,
    293-306, 1985 (farthest).

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.interpolation import choose_lights
    >>> hours = np.linspace(0, 1, 11)[:, None]
    >>> choose_lights(hours, 3)
    array([5, 1, 9])
    >>> choose_lights(hours, 3, method="farthest", keep=[0])
    array([ 0, 10,  5])
    """
    with naming("candidates", candidates):
        candidates = check_array(candidates, dtype=np.float64, input_name="candidates")
    check_magnitude(candidates, "candidates")
    kept = _check_keep(keep, k, len(candidates))
    groups = Points(candidates).merged.groups
    # Of equal candidates one takes part: the one to keep, or the first.
    order = np.concatenate([kept, np.arange(len(candidates))])
    different = np.sort(order[np.unique(groups[order], return_index=True)[1]])
    fixed = np.flatnonzero(np.isin(different, kept))
    n_free = k - len(kept)
    if n_free > len(different) - len(fixed):
        raise ValueError(
            f"k={k}, but only {len(different)} of {len(candidates)} candidates differ, and {len(kept)} are kept"
        )
    lights = candidates[different]
    photographs = _check_proxy(proxy, method, candidates)
    photographs = None if photographs is None else photographs[different]
    gains = _GAINS[method](lights, photographs)
    chosen = _choose(gains, [*fixed], n_free, len(lights), 0 if method == "farthest" else _N_PASSES)
    return np.concatenate([kept, different[chosen]]).astype(np.intp)


def _choose(gains, fixed, n_free, n_candidates, n_passes):
    """Choose candidates one by one, exchange them, and list them by what they are worth."""

    def take_best(allowed):
        taken: list[int] = []
        for _ in range(n_free):
            some = np.flatnonzero(allowed & ~np.isin(np.arange(n_candidates), fixed + taken))
            taken.append(int(some[_first_largest(gains(fixed + taken)[some])]))
        return taken

    chosen = take_best(np.ones(n_candidates, bool))
    for _ in range(n_passes):
        before = [*chosen]
        for place, current in enumerate(before):
            others = fixed + chosen[:place] + chosen[place + 1 :]
            gain = gains(others)
            gain[others] = -np.inf
            best = _first_largest(gain)
            if gain[best] > gain[current] + _ROUNDING * abs(gain[current]):
                chosen[place] = best
        if chosen == before:
            break
    return take_best(np.isin(np.arange(n_candidates), chosen)) if n_passes else chosen


def _first_largest(gain):
    """Find the largest value, or the first of those that are equal up to rounding."""
    largest = gain.max()
    return int(np.flatnonzero(gain >= largest - _ROUNDING * abs(largest))[0])


# Each of the following prepares a function from the indices of chosen lights to what each candidate would add to them.


def _error_gains(lights, photographs):
    covariance = _kernel_covariance(lights)
    products = None if photographs is None else _products(photographs)

    def gains(chosen):
        left, weights = _condition(covariance, chosen)
        errors = left
        if products is not None:
            errors = products - weights @ products[chosen]
            errors -= errors[:, chosen] @ weights.T
        variance = np.maximum(left.diagonal(), _ROUNDING * covariance.max())
        shares = left / variance
        return 2 * np.einsum("ij,ij->j", shares, errors) - np.square(shares).sum(axis=0) * errors.diagonal()

    return gains


def _d_optimal_gains(lights, photographs):
    covariance = _kernel_covariance(lights) if photographs is None else _products(photographs)
    return lambda chosen: _condition(covariance, chosen)[0].diagonal().copy()


def _medoid_gains(lights, _):
    squares = cdist(lights, lights, "sqeuclidean")
    # With no light chosen yet, every gain is the same constant minus the sum of squared distances.
    return lambda chosen: -np.minimum(squares, squares[:, chosen].min(axis=1, initial=np.inf)[:, None]).sum(axis=0)


def _farthest_gains(lights, _):
    distances = cdist(lights, lights)
    from_mean = np.linalg.norm(lights - lights.mean(axis=0), axis=1)
    return lambda chosen: distances[:, chosen].min(axis=1) if chosen else from_mean


_GAINS = {
    "error": _error_gains,
    "d_optimal": _d_optimal_gains,
    "medoids": _medoid_gains,
    "farthest": _farthest_gains,
}


def _kernel_covariance(lights):
    """Compute the covariance of photographs that vary with the light as the linear kernel has it."""
    distances = cdist(lights, lights)
    return KERNELS["linear"](distances) + _CONSTANT * (distances.max() or 1.0)


def _products(photographs):
    """Compute the inner products of photographs, which take the place of a covariance."""
    return photographs @ photographs.T / photographs.shape[1]


def _condition(covariance, chosen):
    """Compute the covariance that is left once some photographs are known, and their weights in the others."""
    if not chosen:
        return covariance, np.empty((len(covariance), 0))
    known = covariance[np.ix_(chosen, chosen)]
    # A hair on the diagonal, because photographs of a proxy may depend on each other.
    known = known + _ROUNDING * max(covariance.max(), np.finfo(float).tiny) * np.eye(len(chosen))
    weights = np.linalg.solve(known, covariance[chosen]).T
    return covariance - weights @ covariance[chosen], weights


def _check_keep(keep, k, n_candidates):
    kept = np.asarray([] if keep is None else keep)
    if kept.size == 0:
        return np.empty(0, np.intp)
    if kept.ndim != 1 or kept.dtype.kind not in "iu":
        raise ValueError(f"keep={keep!r}, wanted indices of candidates to keep, such as [0, 5]")
    if kept.min() < 0 or kept.max() >= n_candidates:
        raise ValueError(f"keep={kept.tolist()} names a light that is not one of the {n_candidates} candidates")
    if len(np.unique(kept)) < len(kept):
        raise ValueError(f"keep={kept.tolist()} names a light twice")
    if len(kept) > k:
        raise ValueError(f"k={k} is less than the {len(kept)} lights of keep, which count among the k")
    return kept.astype(np.intp)


def _check_proxy(proxy, method, candidates):
    if proxy is None:
        return None
    if method not in ("error", "d_optimal"):
        raise ValueError(f'proxy is given, but method={method!r} has no use for it: use "error" or "d_optimal"')
    with naming("proxy", proxy):
        proxy = check_array(proxy, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name="proxy")
    check_magnitude(proxy, "proxy")
    if len(proxy) != len(candidates):
        raise ValueError(f"proxy has {len(proxy)} photographs, wanted one for each of {len(candidates)} candidates")
    return proxy.reshape(len(proxy), -1)
