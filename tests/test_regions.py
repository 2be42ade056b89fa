import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklrelight import ImageStack, Relighter, make_relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import (
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.stacks import _inputs


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=20, image_shape=(40, 50))


@pytest.fixture(scope="module")
def relighter(scene):
    return make_relighter(max_observations=50_000, random_state=0).fit(scene.lights, scene.images)


REGIONS = [((0, 0, 40, 50), 1), ((7, 11, 20, 9), 1), ((39, 49, 1, 1), 1), (None, 3), ((5, 0, 30, 50), 4)]


def cut(images, region, downscale):
    top, left, height, width = region or (0, 0, *images.shape[1:3])
    return images[:, top : top + height : downscale, left : left + width : downscale]


@pytest.mark.parametrize(("region", "downscale"), REGIONS)
def test_equal_the_same_part_of_the_whole(relighter, scene, region, downscale):
    lights = scene.lights[:3] * 0.99
    whole = relighter.predict(lights)
    part = relighter.predict(lights, region=region, downscale=downscale)
    assert part.tobytes() == cut(whole, region, downscale).tobytes()
    streamed = list(relighter.iter_predict(lights, region, downscale))
    np.testing.assert_array_equal(streamed, part)
    intensities = [0.5, 2.0, 1.0]
    mixture = relighter.relight(lights, intensities, region=region, downscale=downscale)
    np.testing.assert_array_equal(mixture, cut(relighter.relight(lights, intensities)[None], region, downscale)[0])


@pytest.mark.parametrize(
    "regressor",
    [
        NearestPhotograph(),
        RBFInterpolation(),
        LinearInterpolation(),
        StackedRBFInterpolation(4, random_state=0),
        PolynomialTextureMap(),
        PretrainedInterpolation(),
        Ridge(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("interpolation", [None, RBFInterpolation(), Ridge()], ids=repr)
def test_are_those_of_any_model(regressor, interpolation, scene):
    relighter = Relighter(regressor, interpolation=interpolation, random_state=0)
    lights = scene.lights / np.linalg.norm(scene.lights, axis=1, keepdims=True)
    relighter.fit(lights, scene.images[..., 0])
    region = (3, 4, 17, 20)
    part = relighter.predict(lights[:2], region=region, downscale=2)
    np.testing.assert_allclose(part, cut(relighter.predict(lights[:2]), region, 2), rtol=1e-6, atol=1e-7)


def test_are_read_from_disk(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(_inputs, "_IN_MEMORY_VALUES", 100)
    np.save(tmp_path / "stack.npy", scene.images)
    relighter = make_relighter(max_observations=50_000, random_state=0)
    relighter.fit(scene.lights, ImageStack(tmp_path / "stack.npy"))
    whole = relighter.predict(scene.lights[:2])
    part = relighter.predict(scene.lights[:2], region=(5, 6, 12, 20))
    # Photographs are computed from codes by products of matrices, whose rounding depends on the number of pixels.
    np.testing.assert_allclose(part, cut(whole, (5, 6, 12, 20), 1), rtol=1e-4)


def test_pixels_without_weight_stay_black(scene):
    weight = np.ones((40, 50))
    weight[:, 10:20] = 0
    relighter = Relighter(NearestPhotograph()).fit(scene.lights, scene.images, pixel_weight=weight)
    part = relighter.predict(scene.lights[:1], region=(0, 8, 5, 4))
    assert not part[:, :, 2:].any()
    assert part[:, :, :2].any()


@pytest.mark.parametrize(
    "region", [(0, 0, 41, 5), (0, -1, 4, 4), (0, 0, 0, 5), (0, 0, 5), (0.0, 0, 5, 5), (0, 48, 2, 3)]
)
def test_others_are_refused(relighter, scene, region):
    with pytest.raises(ValueError, match="wanted integers for top, left, height and width, within images of 40 x 50"):
        relighter.predict(scene.lights[:1], region=region)


@pytest.mark.parametrize("downscale", [0, -2, 1.5, "2"])
def test_other_steps_are_refused(relighter, scene, downscale):
    with pytest.raises(ValueError, match=r"downscale=.*: wanted an integer of at least 1"):
        relighter.predict(scene.lights[:1], downscale=downscale)


def test_tables_have_none():
    relighter = Relighter(NearestPhotograph()).fit(np.eye(3), np.ones((3, 4)))
    with pytest.raises(ValueError, match="region and downscale are of images"):
        relighter.predict(np.eye(3), region=(0, 0, 1, 1))
