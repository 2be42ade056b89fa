import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import encode_display, relative_error
from sklrelight.plotting import RelightingDisplay

mpl.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    original = rng.random((8, 10, 3))
    return original, np.clip(original + rng.normal(scale=0.05, size=original.shape), 0, None)


def test_the_titles_give_the_errors(images):
    original, predicted = images
    display = RelightingDisplay.from_predictions(original, predicted)
    titles = [axes.get_title() for axes in display.axes_]
    largest = np.abs(original - predicted).max()
    assert f"MSE {np.square(original - predicted).mean():.2e}" in titles[0]
    assert f"max |error| {largest:.3f}" in titles[0]
    assert f"relative error {relative_error(original, predicted):.4f} (encoded)" in titles[0]
    assert titles[1:] == ["original", f"difference x {1 / largest:.3g}"]


def test_the_difference_is_scaled_to_its_maximum(images):
    original, predicted = images
    shown = RelightingDisplay.from_predictions(original, predicted).axes_[2].images[0].get_array()
    assert shown.max() == pytest.approx(1)
    np.testing.assert_allclose(shown, np.abs(original - predicted) / np.abs(original - predicted).max())


def test_hdr_is_encoded_for_display(images):
    original, predicted = (100 * image for image in images)
    display = RelightingDisplay.from_predictions(original, predicted, white=90.0)
    assert display.relative_error == pytest.approx(relative_error(original, predicted, white=90.0))
    np.testing.assert_allclose(
        display.axes_[1].images[0].get_array(), np.clip(encode_display(original, 90.0), 0, 1), rtol=1e-6
    )


def test_exposure_brightens_the_images_and_not_the_errors(images):
    original, predicted = images
    plain = RelightingDisplay.from_predictions(original, predicted, white=1.0)
    brighter = RelightingDisplay.from_predictions(original, predicted, white=1.0, exposure=1.0)
    assert brighter.axes_[0].get_title() == plain.axes_[0].get_title()
    # A stop more is twice the radiance.
    np.testing.assert_allclose(
        brighter.axes_[1].images[0].get_array(), np.clip(encode_display(2 * original, 1.0), 0, 1), rtol=1e-6
    )


def test_a_perfect_prediction_is_shown_without_a_division_by_zero(images):
    original, _ = images
    display = RelightingDisplay.from_predictions(original, original)
    assert display.max_error == 0
    assert display.axes_[2].images[0].get_array().max() == 0


def test_an_estimator_predicts_for_its_display():
    lights = np.eye(3)
    images = np.random.default_rng(0).random((3, 6, 7))
    model = NearestPhotograph().fit(lights, images)
    display = RelightingDisplay.from_estimator(model, lights[1], images[2])
    np.testing.assert_array_equal(display.predicted, images[1])
    assert display.figure_ is display.axes_[0].figure


def test_axes_may_be_given(images):
    figure, axes = plt.subplots(3, 1)
    display = RelightingDisplay.from_predictions(*images, ax=axes)
    assert display.figure_ is figure
    with pytest.raises(ValueError, match=r"ax must hold 3 axes, .*; got 2"):
        display.plot(axes[:2])


def test_stacks_and_unequal_shapes_are_refused(images):
    original, predicted = images
    with pytest.raises(ValueError, match="one photograph is shown"):
        RelightingDisplay.from_predictions(original[None], predicted[None])
    with pytest.raises(ValueError, match="one photograph is shown"):
        RelightingDisplay.from_predictions(original, predicted[:4])


def test_errors_of_radiance_say_so_and_its_images_are_toned(images):
    original, predicted = (100 * image for image in images)
    display = RelightingDisplay.from_predictions(original, predicted, domain="linear", white=50.0, exposure=-1, gamma=2)
    assert "(linear)" in display.axes_[0].get_title()
    assert display.max_error == pytest.approx(np.abs(original - predicted).max())
    shown = display.axes_[1].images[0].get_array()
    np.testing.assert_allclose(shown, np.sqrt(np.clip(original / 100, 0, 1)), rtol=1e-6)
    assert "-1 stops" in display.axes_[1].get_title()


def test_gamma_bends_stored_values(images):
    original, predicted = images
    display = RelightingDisplay.from_predictions(original, predicted, gamma=2.0)
    np.testing.assert_allclose(display.axes_[1].images[0].get_array(), np.sqrt(original))


def test_unknown_domains_are_refused(images):
    with pytest.raises(ValueError, match="domain='gamma' is not known"):
        RelightingDisplay.from_predictions(*images, domain="gamma")
