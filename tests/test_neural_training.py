"""Fits beside others: what a fit depends on and leaves behind, and the members of an ensemble, trained side by side."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn import config_context, get_config

from sklrelight import PixelLightFeaturizer, RelightingMLPRegressor
from sklrelight.neural import CompositeLoss, Observations, fit_side_by_side
from sklrelight.neural._training import freed_memory_kept, membership, split_lights

SMALL = {
    "hidden_layer_sizes": (16,),
    "pixel_layer_sizes": (8,),
    "batch_size": 100,
    "max_observations": 1000,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def capture():
    """Smooth photographs of 8 x 10 pixels under 12 lights, as features and encoded values."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (12, 2))
    shading = np.einsum("nd,hwd->nhw", lights, rng.normal(size=(8, 10, 2)))
    images = (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32)
    return PixelLightFeaturizer(n_components=3, random_state=0).fit(lights, images).transform(lights), images


def fitted_bytes(capture, **parameters):
    features, images = capture
    return RelightingMLPRegressor(**{**SMALL, **parameters}).fit(features, images).predict(features).tobytes()


@pytest.fixture
def training_at(monkeypatch):
    """Note each batch's thread, with the number of torch's threads in it, and call something at a given one."""
    seen, forward = [], CompositeLoss.forward

    def install(batch=0, action=None):
        def noting(self, *values):
            seen.append((threading.get_ident(), torch.get_num_threads()))
            if len(seen) == batch:
                action()
            return forward(self, *values)

        monkeypatch.setattr(CompositeLoss, "forward", noting)
        return seen

    return install


# Each part that draws random numbers, or has a type of its own.
PARTS = {
    "plain": {},
    "dropout": {"dropout": 0.2, "activation": "prelu", "normalization": "batch"},
    "adam": {
        "optimizer": "adam",
        "normalization": "layer",
        "dropout": 0.2,
        "luminance_weight": 1,
        "relative_weight": 1,
    },
    "windows": {"window_size": 3, "validation_fraction": 0.2},
    "bfloat16": {"precision": "bfloat16", "dropout": 0.2},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "no layer of the pixel": {"pixel_layer_sizes": (), "dropout": 0.2},
}


class TestOtherFits:
    @pytest.mark.parametrize("parameters", [{}, {"dropout": 0.2, "normalization": "batch"}], ids=["plain", "dropout"])
    def test_two_threads_fit_what_each_fits_alone(self, capture, parameters):
        parameters = {**parameters, "hidden_layer_sizes": (400, 400), "pixel_layer_sizes": (300,), "batch_size": 200}
        expected = [fitted_bytes(capture, **parameters, random_state=seed) for seed in (0, 1)]
        assert expected[0] != expected[1]
        together, state = threading.Barrier(2), torch.get_rng_state()

        def fit(seed):
            together.wait()
            return fitted_bytes(capture, **parameters, random_state=seed)

        with ThreadPoolExecutor(2) as pool:
            for _ in range(3):
                assert [*pool.map(fit, (0, 1))] == expected
        assert torch.equal(torch.get_rng_state(), state)

    @pytest.mark.parametrize("name", PARTS)
    def test_torchs_generator_is_neither_used_nor_changed(self, capture, name):
        before = torch.get_rng_state()
        try:
            torch.manual_seed(1)
            state = torch.get_rng_state()
            one = fitted_bytes(capture, **PARTS[name])
            assert torch.equal(torch.get_rng_state(), state)
            torch.manual_seed(2)
            assert fitted_bytes(capture, **PARTS[name]) == one
        finally:
            torch.set_rng_state(before)


class TestModesOfTorch:
    @pytest.mark.parametrize("name", PARTS)
    def test_another_default_type_changes_nothing(self, capture, name):
        expected = fitted_bytes(capture, **PARTS[name])
        torch.set_default_dtype(torch.float64)
        try:
            assert fitted_bytes(capture, **PARTS[name]) == expected
        finally:
            torch.set_default_dtype(torch.float32)

    @pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
    @pytest.mark.parametrize("name", PARTS)
    def test_fit_and_predict_where_gradients_are_switched_off(self, capture, name, mode):
        expected = fitted_bytes(capture, **PARTS[name])
        with mode():
            assert fitted_bytes(capture, **PARTS[name]) == expected
            regressor = RelightingMLPRegressor(**{**SMALL, **PARTS[name]}).fit(*capture)
        assert regressor.predict(capture[0]).tobytes() == expected

    def test_a_plain_table_too(self):
        X = np.random.default_rng(0).random((50, 2))
        expected = RelightingMLPRegressor(**SMALL).fit(X, X).predict(X)
        torch.set_default_dtype(torch.float64)
        try:
            with torch.inference_mode():
                assert np.array_equal(RelightingMLPRegressor(**SMALL).fit(X, X).predict(X), expected)
        finally:
            torch.set_default_dtype(torch.float32)


class TestSideBySide:
    def test_each_has_its_part_of_torchs_threads(self, capture, training_at, n_threads):
        n_threads(4)
        seen = training_at()
        fit_side_by_side([lambda: fitted_bytes(capture)] * 2)
        assert {number for _, number in seen} == {2}
        assert len({thread for thread, _ in seen}) == 2
        assert torch.get_num_threads() == 4

    def test_one_at_a_time_has_all_of_them(self, capture, training_at, n_threads):
        n_threads(2)
        seen = training_at()
        fit_side_by_side([lambda: fitted_bytes(capture)] * 2, n_workers=1)
        assert set(seen) == {(threading.get_ident(), 2)}

    @pytest.mark.parametrize("n_workers", [None, 1, 2, 3])
    def test_all_are_made_and_know_their_place(self, n_threads, n_workers):
        n_threads(2)
        places = {}

        def fit(number):
            places[number] = membership()

        fit_side_by_side([lambda number=number: fit(number) for number in range(3)], n_workers)
        assert [places[number].number for number in range(3)] == [0, 1, 2]
        assert {place.n_members for place in places.values()} == {3}
        assert {place.n_rounds for place in places.values()} == {{None: 2, 1: 3, 2: 2, 3: 1}[n_workers]}
        assert membership().n_members == 1

    def test_members_share_observations_and_time(self, capture, n_threads):
        n_threads(1)
        members = [RelightingMLPRegressor(**{**SMALL, "max_observations": 3000}, max_time=60) for _ in range(3)]
        fit_side_by_side([lambda member=member: member.fit(*capture) for member in members])
        for member in members:
            assert (member.config_.max_observations, member.config_.max_time) == (1000, 20)
            assert 1000 <= member.n_observations_ < 1100

    def test_they_are_the_same_whatever_their_number_at_a_time(self, capture, n_threads):
        def fit_all(number):
            n_threads(number)
            found = [None] * 3

            def fit(member):
                found[member] = fitted_bytes(capture, random_state=member, dropout=0.1)

            fit_side_by_side([lambda member=member: fit(member) for member in range(3)])
            return found

        one_by_one, together = fit_all(1), fit_all(3)
        assert len(set(one_by_one)) == 3
        assert fit_all(3) == together
        # Products of matrices may be rounded differently where torch has another number of threads.
        for one, other in zip(one_by_one, together, strict=True):
            np.testing.assert_allclose(np.frombuffer(one, np.float32), np.frombuffer(other, np.float32), atol=1e-5)

    @pytest.mark.parametrize("number", [1, 2])
    def test_ctrl_c_reaches_all_that_run_and_no_other_begins(self, capture, training_at, n_threads, number):
        n_threads(number)
        # The main thread is given the signal; with two at a time, it waits.
        training_at(15, lambda: signal.raise_signal(signal.SIGINT))
        members = [RelightingMLPRegressor(**{**SMALL, "max_observations": 10**9}) for _ in range(4)]
        with pytest.raises(KeyboardInterrupt):
            fit_side_by_side([lambda member=member: member.fit(*capture) for member in members])
        for member in members[:number]:
            assert member.interrupted_
            assert np.isfinite(member.predict(capture[0])).all()
        assert not any(hasattr(member, "net_") for member in members[number:])
        assert torch.get_num_threads() == number

    @pytest.mark.parametrize("failing", [0, 1])
    def test_an_error_in_one_ends_the_others_and_is_the_one_that_is_raised(self, capture, n_threads, failing):
        n_threads(2)
        other = RelightingMLPRegressor(**{**SMALL, "max_observations": 10**9})
        begun = threading.Event()

        def fail():
            begun.wait(10)
            raise ArithmeticError("one of two")

        def fit():
            begun.set()
            other.fit(*capture)

        with pytest.raises(ArithmeticError, match="one of two"):
            fit_side_by_side([fail, fit] if failing == 0 else [fit, fail])
        assert other.interrupted_

    @pytest.mark.parametrize("n_workers", [1, 2])
    def test_scikit_learns_settings_are_the_callers(self, n_workers):
        seen = []
        with config_context(enable_metadata_routing=True, transform_output="pandas"):
            expected = get_config()
            fit_side_by_side([lambda: seen.append(get_config())] * 2, n_workers)
        assert seen == [expected] * 2


class TestValidationLights:
    @pytest.mark.parametrize(("fraction", "n_valid"), [(0.01, 1), (0.25, 3), (0.5, 6), (0.999, 11)])
    def test_are_held_out_as_a_whole(self, fraction, n_valid):
        lights = torch.arange(12.0)[:, None]
        observations = Observations(lights, torch.zeros(4, 1), torch.zeros(12, 4, 3), (2, 2))
        train, valid = split_lights(observations, fraction, seed=0)
        assert valid.n_lights == n_valid
        numbers = train.lights.flatten().tolist(), valid.lights.flatten().tolist()
        assert sorted(numbers[0] + numbers[1]) == [*range(12)]
        assert [sorted(some) for some in numbers] == [*numbers]
        again = split_lights(observations, fraction, seed=0)[1]
        assert torch.equal(again.lights, valid.lights)

    def test_are_none_on_request(self):
        observations = Observations(torch.zeros(3, 1), torch.zeros(4, 1), torch.zeros(3, 4, 3), (2, 2))
        assert split_lights(observations, 0.0, seed=0) == (observations, None)


def test_memory_is_kept_until_the_last_of_several_blocks_ends():
    with freed_memory_kept(), ThreadPoolExecutor(1) as pool:

        def inner():
            with freed_memory_kept():
                return 1

        assert pool.submit(inner).result() == 1
    with pytest.raises(ZeroDivisionError), freed_memory_kept():
        raise ZeroDivisionError
