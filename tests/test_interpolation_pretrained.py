import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.exceptions import NotFittedError

from sklrelight import Relighter
from sklrelight.interpolation import PretrainedInterpolation, RBFInterpolation, _pretrained
from sklrelight.metrics import relative_error


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def directions(rng, n):
    lights = rng.normal(size=(n, 3))
    lights[:, 2] = abs(lights[:, 2]) + 0.1
    return lights / np.linalg.norm(lights, axis=1, keepdims=True)


def turn(angle):
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def photographs(lights, shape=(9, 12), colour=(0.7, 0.5, 0.3)):
    """Photograph a ball of a glossy material, encoded for display."""
    rows, columns = np.meshgrid(*(np.linspace(0.9, -0.9, size) for size in shape), indexing="ij")
    normals = np.stack([-columns, rows, np.ones(shape)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    halves = lights + np.array([0, 0, 1])
    halves /= np.linalg.norm(halves, axis=1, keepdims=True)
    cosines = np.tensordot(lights, normals, (1, 2)).clip(0)
    highlights = np.tensordot(halves, normals, (1, 2)).clip(0) ** 40 * (cosines > 0)
    return np.clip(0.6 * cosines[..., None] * colour + 0.4 * highlights[..., None], 0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("shape", [(50, 70, 3), (50, 70), (30, 40, 2), (2200,)], ids=str)
def test_some_pixels_are_those_of_the_whole_image(rng, shape):
    lights = directions(rng, 7)
    model = PretrainedInterpolation().fit(lights, rng.random((7, *shape)))
    new = directions(rng, 2)
    whole = model.predict(new).reshape(2, np.prod(shape[:2]), -1)
    for some in (np.arange(3), rng.permutation(whole.shape[1])[:150], np.arange(whole.shape[1] - 20, 0, -1)):
        assert model.predict_pixels(new, some).tobytes() == whole[:, some].tobytes()


def test_a_pickle_holds_the_photographs_once_and_predicts_the_same_bytes(rng):
    lights, images = directions(rng, 8), rng.random((8, 40, 50, 3), dtype=np.float32)
    mask = np.arange(2000).reshape(40, 50) > 700
    model = PretrainedInterpolation().fit(lights, images, pixel_weight=mask)
    pickled = pickle.dumps(model)
    assert len(pickled) < images.nbytes + 30_000
    new = directions(rng, 3)
    assert pickle.loads(pickled).predict(new).tobytes() == model.predict(new).tobytes()
    some = np.arange(5, 80, 3)
    assert pickle.loads(pickled).predict_pixels(new, some).tobytes() == model.predict_pixels(new, some).tobytes()


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_turn_of_all_lights_about_the_view_changes_nothing(rng, angle):
    lights, new = directions(rng, 10), directions(rng, 4)
    images = photographs(lights)
    expected = PretrainedInterpolation().fit(lights, images).predict(new)
    turned = PretrainedInterpolation().fit(lights @ turn(angle), images).predict(new @ turn(angle))
    np.testing.assert_allclose(turned, expected, atol=1e-3)


def test_the_order_of_the_photographs_does_not_matter(rng):
    lights, new, order = directions(rng, 11), directions(rng, 4), rng.permutation(11)
    images = photographs(lights)
    expected = PretrainedInterpolation().fit(lights, images).predict(new)
    other = PretrainedInterpolation().fit(lights[order], images[order]).predict(new)
    np.testing.assert_allclose(other, expected, atol=1e-3)


def test_equal_lights_are_merged(rng):
    lights, images = directions(rng, 6), rng.random((6, 4, 5, 3))
    twice = PretrainedInterpolation().fit(lights[[0, 1, 2, 0, 3, 4, 5]], images[[0, 1, 2, 0, 3, 4, 5]])
    assert twice.directions_.shape == (6, 3)
    expected = PretrainedInterpolation().fit(lights, images).predict(lights)
    np.testing.assert_allclose(twice.predict(lights), expected, atol=1e-4)
    apart = np.concatenate([images - 0.1, images + 0.1])
    mean = PretrainedInterpolation().fit(np.concatenate([lights, lights]), apart)
    np.testing.assert_allclose(mean.images_, images)


def test_grey_photographs_are_as_those_of_three_equal_channels(rng):
    lights, new = directions(rng, 8), directions(rng, 3)
    grey = photographs(lights)[..., 0]
    expected = PretrainedInterpolation().fit(lights, np.repeat(grey[..., None], 3, axis=-1)).predict(new)
    predicted = PretrainedInterpolation().fit(lights, grey).predict(new)
    np.testing.assert_allclose(predicted, expected.mean(axis=-1), rtol=1e-5, atol=1e-6)


def test_other_numbers_of_channels_are_values_of_their_own(rng):
    lights, new, images = directions(rng, 8), directions(rng, 3), rng.random((8, 4, 5, 2))
    predicted = PretrainedInterpolation().fit(lights, images).predict(new)
    for other in (images.reshape(8, 4, 10), images.reshape(8, 40)):
        same = PretrainedInterpolation().fit(lights, other).predict(new)
        np.testing.assert_array_equal(same.reshape(predicted.shape), predicted)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(3, 4, 3), (1, 1, 3), (3, 4), (3, 4, 5), (7,), (3,), (1,), ()], ids=str)
def test_shapes_and_types(rng, shape, dtype):
    lights, images = directions(rng, 9), (100 * rng.random((9, *shape))).astype(dtype)
    model = PretrainedInterpolation().fit(lights, images)
    assert model.images_.dtype == dtype
    predicted = model.predict(lights[:4])
    assert predicted.shape == (4, *shape)
    assert predicted.dtype == (np.float64 if dtype in (np.float64, np.uint8) else np.float32)
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize("factor", [1e-40, 1000, 1e40])
def test_the_unit_of_the_photographs_does_not_matter(rng, factor):
    lights, new = directions(rng, 9), directions(rng, 3)
    images = photographs(lights)
    expected = PretrainedInterpolation().fit(lights, images).predict(new)
    scaled = PretrainedInterpolation().fit(lights, factor * images).predict(new)
    np.testing.assert_allclose(scaled / factor, expected, atol=1e-4)


def test_the_given_range_stands_for_that_of_all_photographs(rng):
    lights, images = directions(rng, 6), rng.random((6, 4, 5, 3))
    assert PretrainedInterpolation().fit(lights, images, value_range=(-3, 2)).peak_ == 3
    assert PretrainedInterpolation().fit(lights, images).peak_ == images.max()


def test_lights_may_be_the_x_and_y_of_directions_or_positions_on_a_dome(rng):
    lights, new = directions(rng, 9), directions(rng, 3)
    images = photographs(lights)
    expected = PretrainedInterpolation().fit(lights, images).predict(new)
    flat = PretrainedInterpolation().fit(lights[:, :2], images)
    np.testing.assert_allclose(flat.predict(new[:, :2]), expected, atol=1e-4)
    dome = PretrainedInterpolation().fit(6 * lights, images)
    np.testing.assert_allclose(dome.predict(6 * new), expected, atol=1e-4)
    near = PretrainedInterpolation().fit(rng.uniform(3.1, 6, (9, 1)) * lights, images)
    np.testing.assert_allclose(near.predict(new), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("lights", "message"),
    [
        (np.array([[0, 0, 1.0]]), r"at least two lights that differ, and all of X \(n_lights = 1\) are equal"),
        (np.array([[0, 0.6, 0.8]] * 3), r"all of X \(n_lights = 3\) are equal; NearestPhotograph takes those"),
        (np.array([[0, 0, 1.0], [0, 0.6, -0.8]]), r"upper hemisphere, but light 1 of X has z = -0\.8"),
        (np.array([[0, 0, 1.0], [0, 3, 0]]), r"takes directions: .* have lengths of 1 to 3\. To make a position"),
        (np.array([[0, 0], [1, 2.0]]), "takes directions: .* n_features = 2, have lengths of 0 to 2.24"),
        (np.ones((2, 1)), "takes directions: .* n_features = 1"),
        (np.zeros((2, 3)), "takes directions: .* have lengths of 0 to 0"),
    ],
)
def test_lights_that_will_not_do_are_refused(lights, message):
    model = PretrainedInterpolation()
    with pytest.raises(ValueError, match=message):
        model.fit(lights, np.ones((len(lights), 2, 3)))
    with pytest.raises(NotFittedError):
        model.predict(lights)


def test_other_arguments_that_will_not_do_are_refused(rng):
    lights = directions(rng, 5)
    with pytest.raises(ValueError, match=r"pixel_weight has the shape \(2, 2\), the photographs \(2, 3\)"):
        PretrainedInterpolation().fit(lights, np.ones((5, 2, 3)), pixel_weight=np.ones((2, 2)))
    with pytest.raises(ValueError, match="predicted ones overflow"):
        # What is nearly the same light has photographs as different as can be.
        near = lights[0] + np.array([[0, 0, 0], [1e-4, 0, 0]])
        images = np.array([[3e38], [-3e38]], np.float32)
        PretrainedInterpolation().fit(near, images).predict([[1.0, 0, 0]])


def test_an_interrupted_fit_leaves_no_model(rng, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_pretrained.Mixture, "describe", interrupt)
    model = PretrainedInterpolation()
    with pytest.raises(KeyboardInterrupt):
        model.fit(directions(rng, 6), rng.random((6, 4, 5)))
    with pytest.raises(NotFittedError):
        model.predict(directions(rng, 2))


@pytest.mark.parametrize("shape", [(8, 10, 3), (8, 10), (8, 10, 2)], ids=str)
def test_pixels_without_weight_have_no_part_in_what_is_common(rng, shape):
    lights, new = directions(rng, 8), directions(rng, 3)
    mask = np.arange(80).reshape(8, 10) % 10 < 6
    images = photographs(lights, (8, 10))[..., : shape[-1]] if len(shape) == 3 else photographs(lights, (8, 10))[..., 0]
    other = images.copy()
    other[:, ~mask] = rng.random(other[:, ~mask].shape)
    predicted, same, unmasked = (
        PretrainedInterpolation().fit(lights, some, pixel_weight=weight, value_range=(0, 1)).predict(new)[:, mask]
        for some, weight in ((images, mask), (other, 2.0 * mask), (other, None))
    )
    np.testing.assert_array_equal(predicted, same)
    assert (predicted != unmasked).any()


def test_metadata_routing_hands_it_weights_and_the_range_unasked(rng):
    lights, images, mask = directions(rng, 6), rng.random((6, 8, 9)), rng.random((8, 9)) > 0.4
    given = {"pixel_weight": mask, "value_range": (0, 3)}
    expected = PretrainedInterpolation().fit(lights, images, **given)
    with config_context(enable_metadata_routing=True):
        assert PretrainedInterpolation().fit(lights, images, **given).peak_ == expected.peak_ == 3


@pytest.mark.parametrize("n", [6, 10])
def test_few_photographs_of_a_glossy_ball_are_interpolated_better_than_by_radial_basis_functions(rng, n):
    lights, new = directions(rng, n), directions(rng, 30)
    images, truth = photographs(lights, (16, 16)) ** 2.2, photographs(new, (16, 16))
    errors = [
        relative_error(truth, Relighter(model).fit(lights, images).predict(new) ** (1 / 2.2))
        for model in (PretrainedInterpolation(), RBFInterpolation())
    ]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 90])
def test_any_number_of_lights_will_do(rng, n):
    lights = directions(rng, n)
    images = photographs(lights)
    predicted = PretrainedInterpolation().fit(lights, images).predict(directions(rng, 3))
    assert np.isfinite(predicted).all()
    assert predicted.min() > -1
    assert predicted.max() < 2


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 20),
    st.sampled_from([(1, 1, 3), (2, 3), (2, 1, 2), (4,), ()]),
    st.sampled_from([0, 1e-30, 1, 255, 1e30]),
    st.sampled_from(["uniform", "normal", "decades", "sparse"]),
    st.integers(0, 2**16),
)
def test_any_finite_photographs_have_finite_predictions(n, shape, scale, kind, seed):
    rng = np.random.default_rng(seed)
    lights = directions(rng, n)
    images = {
        "uniform": rng.random,
        "normal": lambda size: rng.normal(size=size),
        "decades": lambda size: 10.0 ** rng.uniform(-15, 15, size),
        "sparse": lambda size: (rng.random(size) > 0.9).astype(float),
    }[kind]((n, *shape))
    predicted = PretrainedInterpolation().fit(lights, scale * images).predict(directions(rng, 2))
    assert predicted.shape == (2, *shape)
    assert np.isfinite(predicted).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 30), st.floats(1e-6, 1e6), st.integers(0, 2**16))
def test_constant_photographs_are_predicted_about(n, value, seed):
    rng = np.random.default_rng(seed)
    lights = directions(rng, n)
    predicted = PretrainedInterpolation().fit(lights, np.full((n, 2, 3), value)).predict(directions(rng, 3))
    np.testing.assert_allclose(predicted, value, atol=0.1 * abs(value))
