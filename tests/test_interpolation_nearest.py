import numpy as np
import pytest

from sklrelight.interpolation import NearestPhotograph


@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5), (3,), ()], ids=str)
def test_the_nearest_photograph_is_returned_as_it_is(shape):
    rng = np.random.default_rng(0)
    lights, images = rng.normal(size=(30, 3)), rng.random((30, *shape))
    model = NearestPhotograph().fit(lights, images)
    np.testing.assert_array_equal(model.predict(lights), images)
    asked = rng.normal(size=(8, 3))
    nearest = np.linalg.norm(asked[:, None] - lights, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(model.predict(asked), images[nearest])


def test_the_nearest_photograph_refuses_what_does_not_fit():
    lights, images = np.zeros((3, 2)), np.zeros((4, 5, 5))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        NearestPhotograph().fit(lights, images)
    with pytest.raises(ValueError, match="expecting 2 features"):
        NearestPhotograph().fit(lights, images[:3]).predict(np.zeros((1, 3)))


def test_the_nearest_photograph_has_all_the_weight():
    rng = np.random.default_rng(0)
    lights, images, asked = rng.random((6, 2)), rng.random((6, 3)), rng.random((4, 2))
    model = NearestPhotograph().fit(lights, images)
    np.testing.assert_array_equal(model.weights(asked) @ images, model.predict(asked))
