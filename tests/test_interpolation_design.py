"""Choosing lights to photograph."""

from itertools import combinations

import numpy as np
import pytest
from scipy.linalg import qr
from scipy.spatial.distance import cdist

from sklrelight.interpolation import RBFInterpolation, choose_lights

METHODS = ("error", "d_optimal", "medoids", "farthest")


def dome(n_lights, seed=0):
    """Directions of the upper hemisphere at random."""
    lights = np.random.default_rng(seed).normal(size=(n_lights, 3))
    lights[:, 2] = np.abs(lights[:, 2])
    return lights / np.linalg.norm(lights, axis=1, keepdims=True)


@pytest.mark.parametrize("method", METHODS)
def test_as_many_different_lights_are_chosen_as_asked_for_and_always_the_same(method):
    lights = dome(30)
    chosen = choose_lights(lights, 7, method=method)
    assert chosen.shape == (7,) and len(set(chosen)) == 7
    np.testing.assert_array_equal(chosen, choose_lights(lights, 7, method=method))
    assert sorted(choose_lights(lights, 30, method=method)) == list(range(30))


@pytest.mark.parametrize("method", METHODS)
def test_kept_lights_come_first_and_the_others_stay_away_from_them(method):
    line = np.linspace(0, 1, 21)[:, None]
    chosen = choose_lights(line, 3, method=method, keep=[1, 0])
    assert chosen[:2].tolist() == [1, 0]
    assert line[chosen[2], 0] > 0.5
    assert choose_lights(line, 2, method=method, keep=[4, 9]).tolist() == [4, 9]


@pytest.mark.parametrize("method", METHODS)
def test_of_equal_lights_only_one_is_chosen_and_of_equally_good_ones_the_first(method):
    square = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert choose_lights(square, 1, method=method).tolist() == [0]
    doubled = np.repeat(square, 2, axis=0)
    assert sorted(choose_lights(doubled, 4, method=method)) == [0, 2, 4, 6]
    assert sorted(choose_lights(doubled, 4, method=method, keep=[3])) == [0, 3, 4, 6]
    with pytest.raises(ValueError, match="k=5, but only 4 of 8 candidates differ"):
        choose_lights(doubled, 5, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_the_unit_of_the_lights_does_not_matter(method):
    lights = dome(25)
    expected = choose_lights(lights, 6, method=method)
    np.testing.assert_array_equal(choose_lights(1000 * lights, 6, method=method), expected)


def test_no_exchange_of_one_medoid_lessens_the_squared_distance():
    lights = dome(12)
    squares = cdist(lights, lights, "sqeuclidean")

    def cost(some):
        return squares[:, some].min(axis=1).sum()

    chosen = choose_lights(lights, 3, method="medoids")
    exchanged = [cost([*np.delete(chosen, place), other]) for place in range(3) for other in range(12)]
    assert cost(chosen) <= min(exchanged) + 1e-9
    assert cost(chosen) <= np.quantile([cost(some) for some in combinations(range(12), 3)], 0.05)


def test_d_optimal_lights_are_those_of_a_qr_decomposition_of_the_proxy():
    proxy = np.random.default_rng(0).normal(size=(9, 2, 4))
    pivots = qr(proxy.reshape(9, -1).T, pivoting=True, mode="r")[1]
    chosen = choose_lights(dome(9), 1, method="d_optimal", proxy=proxy)
    assert chosen.tolist() == [pivots[0]]
    # Exchanges only enlarge the volume that the photographs span.
    chosen = choose_lights(dome(9), 4, method="d_optimal", proxy=proxy)

    def volume(rows):
        rows = proxy.reshape(9, -1)[rows]
        return np.linalg.det(rows @ rows.T)

    assert volume(chosen) >= volume(pivots[:4]) * (1 - 1e-9)


def test_least_error_on_a_proxy_is_that_of_the_interpolation():
    lights = dome(10)[:, :2]
    proxy = np.random.default_rng(0).uniform(size=(10, 5))

    def error(some):
        model = RBFInterpolation("linear").fit(lights[some], proxy[some])
        return np.square(model.predict(lights) - proxy).sum()

    chosen = choose_lights(lights, 4, proxy=proxy)
    free = np.setdiff1d(np.arange(10), chosen)
    exchanged = [error([*np.delete(chosen, place), other]) for place in range(4) for other in free]
    assert error(chosen) <= min(exchanged) * 1.001
    assert error(chosen) <= np.quantile([error([*some]) for some in combinations(range(10), 4)], 0.05)


def test_chosen_lights_predict_the_others_better_than_lights_at_random():
    lights = dome(60)
    images = np.maximum(lights @ dome(40, seed=1).T, 0)

    def error(some):
        return np.square(RBFInterpolation().fit(lights[some], images[some]).predict(lights) - images).sum()

    rng = np.random.default_rng(0)
    at_random = [error(rng.permutation(60)[:10]) for _ in range(20)]
    assert error(choose_lights(lights, 10)) < 0.6 * np.mean(at_random)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "'k' parameter"),
        ({"method": "random"}, "'method' parameter"),
        ({"keep": [5]}, "one of the 5 candidates"),
        ({"keep": [0, 0]}, "names a light twice"),
        ({"keep": [0.5]}, "wanted indices"),
        ({"keep": [0, 1, 2, 3], "k": 3}, "k=3 is less than the 4 lights of keep"),
        ({"proxy": np.ones((4, 3))}, "proxy has 4 photographs"),
        ({"proxy": np.ones((5, 3)), "method": "medoids"}, "no use for it"),
        ({"proxy": np.full((5, 3), np.nan)}, "proxy contains NaN"),
        ({"candidates": [[np.inf]]}, "candidates contains infinity"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_lights(**{"candidates": np.arange(5.0)[:, None], "k": 3} | arguments)
