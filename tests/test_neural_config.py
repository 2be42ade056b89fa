"""How many networks a fit trains, and on how many observations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklrelight.blending import hold_out_lights
from sklrelight.budget import choose_max_observations, choose_n_latents, choose_n_networks


class TestNumberOfNetworks:
    @settings(deadline=None)
    @given(st.integers(24, 10**6), st.integers(24, 10**6), st.integers(1, 10**7))
    def test_is_one_at_least_and_never_rises_with_the_lights(self, one, other, n_pixels):
        few, many = sorted((one, other))
        assert isinstance(choose_n_networks(few, n_pixels), int)
        assert choose_n_networks(few, n_pixels) >= choose_n_networks(many, n_pixels) >= 1

    @pytest.mark.parametrize("n_lights", range(1, 60))
    def test_leaves_lights_for_each_to_do_without(self, n_lights):
        n_networks = choose_n_networks(n_lights, 1000)
        held_out = hold_out_lights(n_lights, n_networks, np.random.RandomState(0))
        assert n_networks >= 1
        assert min(len(rows) for rows in held_out) >= min(2, n_lights - 2)

    def test_many_lights_have_one_network_and_few_have_several(self):
        assert choose_n_networks(10_000, 10_000) == 1
        assert choose_n_networks(8, 10_000) > 1

    def test_few_pixels_are_not_left_to_one(self):
        assert choose_n_networks(120, 2_752) == 2


class TestNumberOfLatents:
    @pytest.mark.parametrize(
        ("n_lights", "n_pixels", "n_observations", "some"),
        [
            (120, 20_000, 9_000_000, True),
            (99, 20_000, 9_000_000, False),
            (120, 200_000, 9_000_000, False),
            (120, 200_000, 20_000_000, True),
        ],
    )
    def test_many_lights_on_pixels_that_come_up_often_have_some(self, n_lights, n_pixels, n_observations, some):
        assert (choose_n_latents(n_lights, n_pixels, n_observations) > 0) == some


class TestBudget:
    @settings(deadline=None)
    @given(st.integers(1, 10**6), st.integers(1, 10**6))
    def test_never_rises_with_the_lights_and_at_most_doubles(self, one, other):
        few, many = sorted((one, other))
        assert choose_max_observations(many) <= choose_max_observations(few) <= 2 * choose_max_observations(10_000)
