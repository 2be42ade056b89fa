import pickle

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklrelight import ImageStack, Relighter, load_model, make_relighter, save_model
from sklrelight.datasets import make_scene
from sklrelight.interpolation import (
    LinearInterpolation,
    NearestPhotograph,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.stacks import CodedStack, _inputs


def psnr(one, other, extent=1.0):
    return 10 * np.log10(extent**2 / np.square(np.asarray(one) - np.asarray(other)).mean())


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=20, image_shape=(40, 50))


@pytest.fixture
def on_disk(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(_inputs, "_IN_MEMORY_VALUES", 100)
    path = tmp_path / "stack.npy"
    np.save(path, scene.images)
    return path


class TestCodes:
    @settings(deadline=None, max_examples=30)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([(), (1,), (3,)]), st.floats(20, 50))
    def test_reach_the_ratio_that_was_asked_for(self, seed, n_lights, channels, wanted):
        rng = np.random.default_rng(seed)
        n_channels = int(np.prod(channels))
        pixels = rng.random((40 * 50, 4)) @ rng.random((4, n_lights * n_channels)) * 10 ** rng.uniform(-3, 3)
        images = (
            pixels.T.reshape(n_lights, n_channels, 40, 50).transpose(0, 2, 3, 1).reshape(n_lights, 40, 50, *channels)
        )
        coded = CodedStack.of(ImageStack(images), wanted)
        values = coded.read().reshape(images.shape)
        # What is measured on a sample holds for all about as well.
        assert psnr(values, images, np.ptp(images)) > wanted - 0.5
        assert coded.codes.shape[1] <= 4
        assert coded.shape == images.shape

    def test_leave_out_noise_between_two_ratios(self):
        rng = np.random.default_rng(0)
        signal = rng.random((1, 60, 60, 1)) * rng.random((20, 1, 1, 1)) + rng.random((1, 60, 60, 1))
        images = signal + 0.002 * rng.standard_normal(signal.shape)
        fewest, some, most = (CodedStack.of(ImageStack(images), wanted) for wanted in (30, (30, 60), 60))
        assert fewest.codes.shape[1] <= some.codes.shape[1] == 2 < most.codes.shape[1]
        # Below what is reached without the noise, the second ratio decides.
        for wanted in (30, 40, 45):
            assert CodedStack.of(ImageStack(images), (20, wanted)).codes.shape[1] <= 2
        assert psnr(some.read().reshape(images.shape), images, np.ptp(images)) > 50

    def test_keep_more_than_the_median_where_there_is_no_noise(self):
        rng = np.random.default_rng(0)
        images = (rng.random((20, 20)) @ rng.random((20, 3600))).reshape(20, 60, 60)
        pair, one = (CodedStack.of(ImageStack(images), wanted) for wanted in ((45, 50), 45))
        assert pair.codes.shape[1] >= one.codes.shape[1] > 10

    def test_are_read_like_a_stack(self, scene):
        stack = ImageStack(scene.images)
        coded = CodedStack.of(stack, 60)
        pixels = np.array([3, 70, 1500])
        np.testing.assert_allclose(coded.columns(pixels), stack.columns(pixels), atol=0.05)
        np.testing.assert_allclose(coded.read(slice(2, 5), slice(60, 90)), coded.read()[2:5, 60:90], atol=1e-4)
        covered = np.concatenate([np.arange(2000)[block] for block in coded.stretches(20)])
        np.testing.assert_array_equal(covered, np.arange(2000))

    def test_of_pixels_without_weight_take_none(self, scene):
        spoilt = scene.images.copy()
        weight = np.ones((40, 50), np.float32)
        weight[:, :20] = 0
        spoilt[:, :, :20] = 1e3 * np.random.default_rng(0).random((20, 40, 20, 3))
        one, other = (CodedStack.of(ImageStack(y), 40, weight) for y in (scene.images, spoilt))
        inside = weight.ravel() > 0
        np.testing.assert_array_equal(one.codes[inside], other.codes[inside])
        np.testing.assert_array_equal(one.basis, other.basis)

    def test_of_images_without_variance(self):
        coded = CodedStack.of(ImageStack(np.full((3, 4, 5), 0.25)), 40)
        np.testing.assert_allclose(coded.read(), 0.25)


class TestStorage:
    def test_a_model_of_a_stack_needs_its_file_no_more(self, scene, on_disk, tmp_path):
        relighter = make_relighter(max_observations=50_000, random_state=0)
        relighter.fit(scene.lights, ImageStack(on_disk))
        expected = relighter.predict(scene.lights[:3])
        save_model(relighter, tmp_path / "model.zip")
        joblib.dump(relighter, tmp_path / "model.joblib")
        on_disk.unlink()
        np.testing.assert_array_equal(relighter.predict(scene.lights[:3]), expected)
        np.testing.assert_array_equal(joblib.load(tmp_path / "model.joblib").predict(scene.lights[:3]), expected)
        np.testing.assert_allclose(load_model(tmp_path / "model.zip").predict(scene.lights[:3]), expected, atol=1e-3)

    def test_exactly_it_does(self, scene, on_disk, tmp_path):
        relighter = Relighter(NearestPhotograph(), interpolation=RBFInterpolation(), storage="exact", random_state=0)
        relighter.fit(scene.lights, ImageStack(on_disk))
        with pytest.raises(ValueError, match="storage='auto' or a number of decibels"):
            save_model(relighter, tmp_path / "model.zip")
        on_disk.unlink()
        with pytest.raises(FileNotFoundError, match="stack of photographs"):
            pickle.loads(pickle.dumps(relighter)).predict(scene.lights[:1])

    @pytest.mark.parametrize(
        "interpolation",
        [NearestPhotograph(), RBFInterpolation(), LinearInterpolation(), StackedRBFInterpolation(4, random_state=0)],
        ids=repr,
    )
    def test_photographs_in_memory_are_coded_on_request(self, scene, interpolation, tmp_path):
        given = {"interpolation": interpolation, "random_state": 0}
        exact = Relighter(NearestPhotograph(), **given).fit(scene.lights, scene.images)
        coded = Relighter(NearestPhotograph(), storage=40.0, **given).fit(scene.lights, scene.images)
        assert coded.regressor_.weight_ == exact.regressor_.weight_
        lights = scene.lights[:4] * 0.9
        encode = exact.transformer_.transform
        assert psnr(encode(coded.predict(lights)), encode(exact.predict(lights))) > 39
        save_model(coded, tmp_path / "model.zip")
        loaded = load_model(tmp_path / "model.zip")
        np.testing.assert_allclose(loaded.predict(lights), coded.predict(lights), rtol=1e-3)
        save_model(exact, tmp_path / "exact.zip")
        assert len(pickle.dumps(coded)) < len(pickle.dumps(exact))

    @pytest.mark.parametrize("storage", ["codes", 0, -3.0, None])
    def test_other_values_are_refused(self, scene, storage):
        with pytest.raises(ValueError, match="'storage' parameter"):
            Relighter(NearestPhotograph(), storage=storage).fit(scene.lights, scene.images)
