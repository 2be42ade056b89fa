import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklrelight import Relighter
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.utils._lights import are_unit_vectors, warn_of_outer_lights

INTERPOLATIONS = [
    NearestPhotograph(),
    LinearInterpolation(),
    RBFInterpolation(),
    StackedRBFInterpolation(2, random_state=0),
    PolynomialTextureMap(),
    HemisphericalHarmonics(order=1),
    PretrainedInterpolation(),
]
MODELS = [*INTERPOLATIONS, *map(Relighter, INTERPOLATIONS)]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def dome():
    rng = np.random.default_rng(0)
    lights = unit(rng.normal(size=(24, 3)) * [1, 1, 0.2] + [0, 0, 1])
    return lights, np.abs(lights[:, 2])[:, None, None] * rng.random((24, 4, 5)) + 0.1


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_directions_of_any_length_are_the_same_light(model, dome):
    lights, images = dome
    model.fit(lights, images)
    expected = model.predict(lights[:3])
    with pytest.warns(UserWarning, match=r"light 1 of X has a length of 3; .* 2 of 3 lights are scaled"):
        predicted = model.predict(lights[:3] * [[1.0], [3.0], [0.5]])
    np.testing.assert_allclose(predicted, expected, rtol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_small_differences_of_length_are_scaled_without_a_word(model, dome):
    lights, images = dome
    expected = model.fit(lights, images).predict(lights[:3])
    rough = lights * np.random.default_rng(1).uniform(0.991, 1.009, (24, 1))
    model.fit(rough, images)
    np.testing.assert_allclose(model.predict(rough[:3]), expected, rtol=1e-6)


@pytest.mark.parametrize("model", [RBFInterpolation(), Relighter(RBFInterpolation())], ids=repr)
def test_positions_keep_their_length(model, dome):
    lights, images = dome
    distances = np.linspace(1, 3, 24)[:, None]
    model.fit(lights * distances, images)
    assert not np.allclose(model.predict(lights * distances), model.predict(lights * 2))


def test_columns_of_a_frame_keep_their_names(dome):
    lights, images = dome
    frame = pd.DataFrame(lights, columns=["x", "y", "z"])
    relighter = Relighter(RBFInterpolation()).fit(frame, images)
    with pytest.warns(UserWarning, match="length of 2"):
        predicted = relighter.predict(2 * frame)
    np.testing.assert_allclose(predicted, relighter.predict(frame), rtol=1e-6)


def test_no_direction_has_the_length_0(dome):
    with pytest.raises(ValueError, match=r"light 0 of X is \(0, 0, 0\), which is not a direction"):
        Relighter(RBFInterpolation()).fit(*dome).predict(np.zeros((1, 3)))


class TestOuterLights:
    def test_are_named(self, dome):
        relighter = Relighter(NearestPhotograph()).fit(*dome)
        below = unit(np.array([[0.0, 0.1, -1.0], [0.3, 0.0, -1.0]]))
        with pytest.warns(
            UserWarning, match=r"2 of 26 lights X lie outside of .*: 24, 25\. The farthest is \[0"
        ) as told:
            relighter.predict(np.concatenate([dome[0], below]))
        assert len(told) == 1

    def test_training_lights_and_what_lies_between_are_not(self, dome):
        relighter = Relighter(NearestPhotograph()).fit(*dome)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            relighter.predict(dome[0])
            relighter.predict(unit(dome[0][:-1] + dome[0][1:]))

    @settings(deadline=None, max_examples=50)
    @given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 2**32 - 1), st.booleans())
    def test_means_of_training_lights_never_are(self, width, n_lights, seed, flat):
        rng = np.random.default_rng(seed)
        lights = rng.normal(size=(n_lights, width)) * rng.uniform(0.1, 100, width)
        if flat:
            lights[:, 0] = 5
        # In any unit.
        lights *= 10.0 ** rng.uniform(-200, 200)
        shares = rng.dirichlet(np.ones(n_lights), 20)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warn_of_outer_lights(shares @ lights, lights)

    @settings(deadline=None, max_examples=50)
    @given(st.integers(1, 6), st.integers(3, 40), st.integers(0, 2**32 - 1))
    def test_far_ones_always_are(self, width, n_lights, seed):
        lights = np.random.default_rng(seed).normal(size=(n_lights, width))
        far = lights.mean(axis=0) + 30 * np.eye(width)[0]
        with pytest.warns(UserWarning, match="1 of 1 lights X"):
            warn_of_outer_lights(far[None], lights)


@pytest.mark.parametrize("seed", range(20))
def test_no_model_predicts_more_than_was_photographed(seed):
    rng = np.random.default_rng(seed)
    lights, images = unit(rng.normal(size=(4, 3)) * [1, 1, 0] + [0, 0, 1]), rng.random((4, 3, 4, 3)) * 50
    asked = unit(rng.normal(size=(30, 3)) * [1, 1, 0.2] + [0, 0, 1])
    relighter = Relighter(RBFInterpolation()).fit(lights, images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = relighter.predict(asked)
    assert images.min() * 0.999 <= predicted.min() <= predicted.max() <= images.max() * 1.001


def test_unit_vectors_have_three_columns():
    assert are_unit_vectors(np.eye(3))
    assert not are_unit_vectors(np.eye(2))
