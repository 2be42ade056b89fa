"""How bright photographs are as a whole, beside the interpolation of their pixels."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklrelight import ImageStack
from sklrelight.interpolation import StackedRBFInterpolation
from sklrelight.interpolation.brightness import log_brightness
from sklrelight.interpolation.slopes import shrunken_slope
from sklrelight.interpolation.streamed import StreamedInterpolation
from sklrelight.metrics import relative_error


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def scene(lights, noise=0.4, seed=1):
    """Noisy pixels, which want smoothing, under lamps whose brightness changes quickly from light to light."""
    rng = np.random.default_rng(seed)
    texture = rng.uniform(0.5, 1, (16, 16))
    brightness = np.exp(0.4 * np.sin(5 * lights).sum(axis=1))
    noisy = texture + noise * rng.normal(size=(len(lights), 16, 16))
    return np.maximum(noisy, 0) * brightness[:, None, None]


class TestShrunkenSlope:
    def test_is_the_slope_where_pairs_lie_on_a_line(self, rng):
        x = rng.normal(size=20)
        assert shrunken_slope(x, 0.3 * x) == pytest.approx(0.3)
        assert shrunken_slope(x, 7 * x) == pytest.approx(1)

    def test_is_0_for_what_goes_the_other_way_and_for_too_little(self, rng):
        x = rng.normal(size=20)
        assert shrunken_slope(x, -x) == shrunken_slope(0 * x, x) == shrunken_slope(x[:3], x[:3]) == 0

    def test_chance_is_hardly_ever_believed(self, rng):
        slopes = [shrunken_slope(*rng.normal(size=(2, 30))) for _ in range(500)]
        assert np.mean(slopes) < 0.05
        assert np.mean(np.array(slopes) == 0) > 0.75

    @settings(deadline=None)
    @given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.integers(4, 50))
    def test_does_not_depend_on_units_and_stays_in_its_range(self, seed, unit, n):
        x, y = np.random.default_rng(seed).normal(size=(2, n))
        assert 0 <= shrunken_slope(x, y) <= 1
        assert shrunken_slope(unit * x, unit * y) == pytest.approx(shrunken_slope(x, y), abs=1e-9)


class TestCorrection:
    def test_photographs_get_the_brightness_of_their_lights(self, rng):
        lights, asked = rng.uniform(-1, 1, (60, 2)), rng.uniform(-0.9, 0.9, (20, 2))
        model = StackedRBFInterpolation(random_state=0).fit(lights, scene(lights))
        assert model.brightness_.share > 0.3
        corrected = model.predict(asked)
        brightness = model.brightness_
        model.brightness_ = None
        plain, truth = model.predict(asked), scene(asked, noise=0)
        assert relative_error(truth, corrected) < relative_error(truth, plain)
        # Each is made brighter or darker as a whole, by no more than was seen.
        ratio = np.log(corrected / plain).reshape(20, -1)
        np.testing.assert_allclose(ratio, np.tile(ratio[:, :1], 256), atol=1e-9)
        assert np.abs(ratio).max() <= brightness.share * brightness.limit + 1e-9

    def test_left_out_photographs_are_corrected_without_a_look_at_them(self, rng):
        lights = rng.uniform(-1, 1, (40, 2))
        images = scene(lights)
        model = StackedRBFInterpolation(random_state=0).fit(lights, images)
        rows = [3, 8, 21]
        corrected = model.leave_out(rows)
        brightness = model.brightness_
        model.brightness_ = None
        plain = model.leave_out(rows)
        wanted = log_brightness(plain.reshape(3, -1, 1))
        found = log_brightness(corrected.reshape(3, -1, 1))
        assert np.abs(found - wanted).max() > 1e-3
        # Any others in their place, within the range of all.
        model.brightness_ = brightness
        model.images_[rows] = images[[0, 1, 2]]
        brightness.values[rows] = brightness.values[[0, 1, 2]]
        np.testing.assert_allclose(model.leave_out(rows), corrected, atol=1e-9)

    @pytest.mark.parametrize("unit", [1e-3, 1e3])
    def test_the_unit_of_the_photographs_changes_nothing(self, rng, unit):
        lights = rng.uniform(-1, 1, (30, 2))
        models = [StackedRBFInterpolation(random_state=0).fit(lights, scale * scene(lights)) for scale in (1, unit)]
        shares = [model.brightness_.share for model in models]
        assert shares[0] == pytest.approx(shares[1], abs=1e-6)
        asked = rng.uniform(-1, 1, (5, 2))
        np.testing.assert_allclose(models[1].predict(asked) / unit, models[0].predict(asked), rtol=1e-5)

    def test_pixels_without_weight_do_not_count(self, rng):
        lights, mask = rng.uniform(-1, 1, (30, 2)), rng.random((16, 16)) > 0.3
        images = scene(lights)
        spoilt = np.where(mask, images, 20 * rng.random(images.shape))
        shares = [
            StackedRBFInterpolation(1, random_state=0).fit(lights, some, pixel_weight=mask).brightness_.share
            for some in (images, spoilt)
        ]
        assert shares[0] == pytest.approx(shares[1], abs=1e-6)

    def test_where_there_is_nothing_to_correct_there_is_none(self, rng):
        lights = rng.uniform(-1, 1, (30, 2))
        single, black, constant = scene(lights)[:, 0, 0], scene(lights), np.ones((30, 4, 4))
        black[4] = 0
        for images in (single, black, constant):
            model = StackedRBFInterpolation(random_state=0).fit(lights, images)
            assert model.brightness_ is None
            assert np.isfinite(model.predict(lights)).all()


class TestOnDisk:
    @pytest.mark.parametrize("n_sampled", [150, 256])
    def test_photographs_on_disk_are_corrected_as_those_in_memory(self, rng, tmp_path, n_sampled):
        lights, asked = rng.uniform(-1, 1, (40, 2)), rng.uniform(-1, 1, (6, 2))
        images = scene(lights).astype(np.float32)[..., None]
        np.save(tmp_path / "stack.npy", images)
        sampled = np.sort(rng.permutation(256)[:n_sampled])
        model = StackedRBFInterpolation(1, random_state=0)
        model.fit(lights, images.reshape(40, 256, 1, 1)[:, sampled])
        whole = StackedRBFInterpolation(1, random_state=0).fit(lights, images)
        # What was found on a sample, for all pixels; or the same as for the whole.
        whole.stacking_weights_, whole.value_range_ = model.stacking_weights_, model.value_range_
        whole._equations = model._equations
        whole.brightness_ = dataclasses.replace(model.brightness_, pixels=sampled[model.brightness_.pixels])
        streamed = StreamedInterpolation(model, ImageStack(tmp_path / "stack.npy"), sampled, np.random.RandomState(0))
        np.testing.assert_allclose(streamed.predict(asked), whole.predict(asked), rtol=1e-4)
