"""Photographs predicted from those of other lights, in closed form, by equations over all lights."""

import numpy as np

__all__ = ["leave_one_out_matrix", "left_out_weights", "weights_without"]


def leave_one_out_matrix(equations, smoothing, rows, same):
    """Give what is left of some photographs when each is predicted from those of other lights.

    Parameters
    ----------
    equations : Equations
        Of a kernel over all lights.

    smoothing : float
        Added to the diagonal of the kernel's matrix.

    rows : ndarray of int
        Lights.

    same : ndarray of shape (n,), int
        Lights of the same number are equal, and left out together.

    Returns
    -------
    ndarray of shape (len(rows), n)
        The matrix from all photographs to the errors. Where the others do not determine the polynomial, their mean
        stands for a prediction.
    """
    n_lights = len(same)
    averaging = equations.points.merged.averaging
    groups = equations.points.merged.groups[rows]
    dual = equations.dual(smoothing, groups)
    diagonal = dual[np.arange(len(rows)), groups]
    defined = equations.defined[groups]
    residuals = np.eye(n_lights)[rows] - averaging[groups]
    residuals[defined] += (dual @ averaging)[defined] / diagonal[defined, None]
    others = same[rows][:, None] != same
    counts = others.sum(axis=1, keepdims=True)
    mean = others / np.maximum(counts, 1)
    residuals[~defined] = (np.eye(n_lights)[rows] - mean)[~defined]
    # Where lights that differ have equal first coordinates, the equations stay but for the average.
    rest = (groups[:, None] == equations.points.merged.groups) & others
    partial = rest.any(axis=1)
    if partial.any():
        average = rest[partial] / rest[partial].sum(axis=1, keepdims=True)
        change = average - averaging[groups[partial]]
        fitted = (dual[partial] @ averaging + diagonal[partial, None] * change) * (smoothing / equations.scale)
        residuals[partial] = np.eye(n_lights)[rows[partial]] - average + fitted
    return residuals


def left_out_weights(stacking_weights, residuals, rows):
    """Weigh the photographs for means of candidates that each predict a photograph from the others.

    Parameters
    ----------
    stacking_weights : ndarray of shape (n_clusters, n_curves, n_candidates)
        Of the candidates in the means.

    residuals : ndarray of shape (n_candidates, len(rows), n)
        As of `leave_one_out_matrix`, one for each candidate.

    rows : ndarray of int
        Their lights.

    Returns
    -------
    weights : ndarray of shape (n_clusters, n_curves, len(rows), n)
        Of all photographs.

    shares : ndarray of shape (n_clusters, n_curves)
        Of the curves: the sums of their `stacking_weights`, and of the weights of each photograph.
    """
    shares = stacking_weights.sum(axis=2)
    weights = -np.tensordot(stacking_weights, residuals, axes=1)
    weights[:, :, np.arange(len(rows)), rows] += shares[:, :, None]
    return weights, shares


def weights_without(equations, smoothing, rows, kept):
    """Weigh the photographs of some lights for what they predict at lights that are left out.

    Parameters
    ----------
    equations : Equations
        Of a kernel over all lights.

    smoothing : float
        Added to the diagonal of the kernel's matrix.

    rows : ndarray of int
        Lights to predict, none of which is kept.

    kept : ndarray of shape (n,), bool
        Which lights the equations are solved for.

    Returns
    -------
    ndarray of shape (len(rows), n) or None
        0 for what is not kept. None where the polynomial is not determined.
    """
    merged = equations.points.merged
    averaging = merged.averaging * kept
    shares = averaging.sum(axis=1, keepdims=True)
    averaging /= np.where(shares > 0, shares, 1)
    gone = np.flatnonzero(shares[:, 0] == 0)
    if not equations.is_determined_without(gone):
        return None
    asked, where = np.unique(merged.groups[rows], return_inverse=True)
    dual = equations.dual(smoothing, gone)
    # Columns of what is gone vanish: photographs that are averages of none.
    norms = np.sqrt(dual[np.arange(len(gone)), gone])
    block = dual[:, gone] / norms / norms[:, None]
    solved = np.linalg.solve(block, (dual @ averaging) / norms[:, None]) / norms[:, None]
    weights = np.empty((len(asked), len(kept)))
    lost = np.isin(asked, gone)
    weights[lost] = -solved[np.searchsorted(gone, asked[lost])]
    # Of equal first coordinates, some of whose photographs are kept.
    if not lost.all():
        own = equations.dual(smoothing, asked[~lost])
        left = own @ averaging - own[:, gone] @ solved
        weights[~lost] = averaging[asked[~lost]] - left * (smoothing / equations.scale)
    return weights[where]
