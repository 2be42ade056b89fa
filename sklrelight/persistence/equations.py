"""Parts of the models over the lights, written and read: spaces, groups of equal lights, the equations of kernels."""

import numpy as np

from ..interpolation._equations import KERNELS, AffineSubspace, Equations, MergedLights, Points, Polynomial
from .values import check

__all__ = [
    "GROUPS",
    "check_groups",
    "read_equations",
    "read_polynomial",
    "read_subspace",
    "write_equations",
    "write_polynomial",
    "write_subspace",
]

# Types of the numbers of groups.
GROUPS = (np.int32, np.int64)
_MOST_MONOMIALS = 2**20


def write_subspace(subspace, array, name):
    """Write the space that lights span; `array` takes an array and its name."""
    return {
        "center": array(subspace.center, f"{name}.center"),
        "axes": array(subspace.axes, f"{name}.axes"),
        "spread": float(subspace.spread),
    }


def read_subspace(node, width):
    """Make the space that lights of some width span."""
    center = node.array("center", (width,))
    axes = node.array("axes", (None, width))
    check(len(axes) <= width, f"{node.where} has more axes than dimensions")
    subspace = AffineSubspace(center, axes, node.number("spread", 0))
    node.end()
    return subspace


def check_groups(groups, n_groups, where):
    """Refuse groups of lights that are not numbered from 0 without a gap."""
    known = len(groups) > 0 and n_groups > 0 and groups.min() >= 0 and groups.max() < n_groups
    check(bool(known), f"{where} has lights in groups that there are not")
    check(len(np.unique(groups)) == n_groups, f"{where} has a group without lights")


def write_polynomial(polynomial, array, name):
    """Write the polynomial of a radial basis function."""
    return {
        "degree": int(polynomial.degree),
        "scale": array(polynomial.scale, f"{name}.scale"),
        "combinations": array(polynomial.combinations, f"{name}.combinations"),
    }


def read_polynomial(node, rank):
    """Make the polynomial over points of some number of dimensions."""
    polynomial = Polynomial.__new__(Polynomial)
    polynomial.degree = node.integer("degree", 0, 2)
    polynomial.scale = node.array("scale", (rank,))
    check(bool((polynomial.scale > 0).all()), f"{node.where}.scale is not positive")
    n_monomials = 1 + (rank if polynomial.degree else 0) + (rank * (rank + 1) // 2 if polynomial.degree == 2 else 0)
    check(n_monomials <= _MOST_MONOMIALS, f"{node.where} has {n_monomials} monomials")
    polynomial.combinations = node.array("combinations", (n_monomials, None))
    check(polynomial.combinations.shape[1] <= n_monomials, f"{node.where} has more combinations than monomials")
    node.end()
    return polynomial


def write_equations(equations, array, name):
    """Write equations, all that predicting takes of them."""

    def own(value, part):
        return array(value, f"{name}.{part}")

    return {
        "kernel": str(equations.kernel),
        "epsilon": float(equations.epsilon),
        "scale": float(equations.scale),
        "n_dimensions": int(equations.points.n_dimensions),
        "subspace": write_subspace(equations.points.subspace, own, "subspace"),
        "points": own(equations.points.merged.points, "points"),
        "groups": own(equations.points.merged.groups, "groups"),
        "polynomial": write_polynomial(equations.polynomial, own, "polynomial"),
        "range": own(equations._range, "range"),
        "triangular": own(equations._triangular, "triangular"),
        "range_values": own(equations._range_values, "range_values"),
        "defined": own(equations.defined, "defined"),
        "eigenvalues": own(equations._eigenvalues, "eigenvalues"),
        "vectors": own(equations._vectors, "vectors"),
    }


def read_equations(node, width, n_lights):
    """Make equations over some number of lights."""
    equations = Equations.__new__(Equations)
    points = Points.__new__(Points)
    equations.points = points
    equations.kernel = node.text("kernel", tuple(KERNELS))
    equations.epsilon = node.number("epsilon", 0)
    equations.scale = node.number("scale", np.finfo(float).tiny)
    points.n_dimensions = node.integer("n_dimensions", 1, width)
    points.subspace = read_subspace(node.node("subspace"), points.n_dimensions)
    merged = node.array("points", (None, points.subspace.rank))
    groups = node.array("groups", (n_lights,), GROUPS)
    n = len(merged)
    check_groups(groups, n, node.where)
    points.merged = MergedLights(merged, groups, np.bincount(groups))
    equations.polynomial = read_polynomial(node.node("polynomial"), points.subspace.rank)
    rank = min(equations.polynomial.combinations.shape[1], n)
    check(rank == equations.polynomial.combinations.shape[1], f"{node.where} has more monomials than lights")
    equations._range = node.array("range", (n, rank))
    equations._triangular = node.array("triangular", (rank, rank))
    equations._range_values = node.array("range_values", (rank, n))
    equations.defined = node.array("defined", (n,), (np.bool_,))
    equations._eigenvalues = node.array("eigenvalues", (n - rank,))
    equations._vectors = node.array("vectors", (n, n - rank))
    node.end()
    check(bool(equations._triangular.diagonal().all()), f"{node.where}.triangular is singular")
    return equations
