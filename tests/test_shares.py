"""What share networks have beside an interpolation, of all pixels and of each kind."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklrelight.shares import cluster_shares, network_share

VALUES = st.floats(-100, 100, width=32)


class TestShare:
    @settings(deadline=None)
    @given(st.data(), st.integers(1, 4), st.integers(1, 6))
    def test_lies_in_0_to_1(self, data, n_photographs, n_values):
        stacks = [data.draw(arrays(np.float32, (n_photographs, n_values), elements=VALUES)) for _ in range(3)]
        assert 0 <= network_share(*stacks) <= 1

    @settings(deadline=None)
    @given(
        arrays(np.float64, (2, 6), elements=st.floats(-1, 1)),
        arrays(np.float64, (2, 6), elements=st.floats(0.01, 1)),
    )
    def test_who_is_right_has_all_of_it(self, true, error):
        assert network_share(true, true, true + error) == pytest.approx(1)
        assert network_share(true, true + error, true + 1e-6 * error) == pytest.approx(0, abs=1e-3)

    def test_nothing_can_be_told_where_both_say_the_same(self):
        true = np.random.default_rng(0).random((3, 4))
        assert network_share(true, true + 1, true + 1) == 0.5
        assert network_share(true, true, true) == 0.5

    @settings(deadline=None)
    @given(arrays(np.float64, (3, 8), elements=st.floats(-1, 1)))
    def test_no_other_share_has_a_smaller_error_on_one_photograph(self, values):
        true, network, interpolated = (row[None] for row in values)
        assume(np.abs(true - interpolated).max() > 1e-3)
        share = network_share(true, network, interpolated)

        def error(part):
            return np.square(part * network + (1 - part) * interpolated - true).sum()

        assert all(error(share) <= error(part) + 1e-9 for part in np.linspace(0, 1, 21))

    @pytest.mark.parametrize("factor", [1e-3, 1e3])
    def test_does_not_depend_on_the_unit(self, factor):
        true, network, interpolated = np.random.default_rng(1).random((3, 4, 10))
        share = network_share(true, network, interpolated)
        assert 0 < share < 1
        assert network_share(factor * true, factor * network, factor * interpolated) == pytest.approx(share)

    def test_pixels_without_weight_and_saturated_values_do_not_count(self):
        rng = np.random.default_rng(2)
        true, network, interpolated = rng.random((3, 3, 4, 5))
        weight = rng.integers(0, 2, (4, 5)).astype(float)
        share = network_share(true, network, interpolated, weight, saturation=0.9)
        ignored = (weight == 0) | (true >= 0.9)
        assert ignored.any()
        spoilt = [np.where(ignored, rng.normal(size=true.shape), part) for part in (network, interpolated)]
        assert network_share(true, *spoilt, weight, saturation=0.9) == share
        assert network_share(true, network, interpolated) != share


class TestClusterShares:
    def test_each_kind_has_the_share_that_suits_it(self):
        rng = np.random.default_rng(0)
        true, network, interpolated = rng.random((3, 5, 6, 8, 3))
        clusters = np.arange(48).reshape(6, 8) % 3
        network[:, clusters == 0] = true[:, clusters == 0]
        interpolated[:, clusters == 1] = true[:, clusters == 1]
        shares = cluster_shares(true, network, interpolated, clusters)
        assert shares[0] > 0.9
        assert shares[1] < 0.1
        assert shares[1] < shares[2] < shares[0]

    def test_a_kind_without_evidence_has_the_share_of_all(self):
        true, network, interpolated = np.random.default_rng(1).random((3, 4, 10))
        clusters = np.repeat([0, 3], 5)
        shares = cluster_shares(true, network, interpolated, clusters)
        assert shares[[1, 2]] == pytest.approx(network_share(true, network, interpolated))

    @settings(deadline=None)
    @given(arrays(np.float32, (3, 2, 4, 5), elements=VALUES), arrays(np.int64, (4, 5), elements=st.integers(0, 4)))
    def test_lie_in_0_to_1_also_for_odd_photographs(self, stacks, clusters):
        shares = cluster_shares(*stacks, clusters)
        assert shares.shape == (clusters.max() + 1,)
        assert ((shares >= 0) & (shares <= 1)).all()
        assert cluster_shares(*stacks, np.zeros((4, 5), int)) == pytest.approx(network_share(*stacks))

    def test_pixels_without_weight_do_not_count(self):
        true, network, interpolated = np.random.default_rng(3).random((3, 3, 4, 5))
        weight = np.ones((4, 5))
        weight[1] = 0
        clusters = np.arange(20).reshape(4, 5) % 2
        spoilt = network.copy()
        spoilt[:, 1] = 9
        np.testing.assert_array_equal(
            cluster_shares(true, spoilt, interpolated, clusters, weight),
            cluster_shares(true, network, interpolated, clusters, weight),
        )

    def test_an_interpolation_that_is_exact_has_all(self):
        true = np.random.default_rng(4).random((3, 8))
        assert network_share(true, true + 1, true) == 0
