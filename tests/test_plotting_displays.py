import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklrelight import Relighter, RelightingMLPRegressor, make_relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import relative_error
from sklrelight.plotting import (
    ContactSheetDisplay,
    LightErrorDisplay,
    RelightingDisplay,
    TrainingCurveDisplay,
    WindowDistributionDisplay,
)
from sklrelight.plotting._axes import open_axes

mpl.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=25, image_shape=(24, 32), shadow_samples=1)


@pytest.fixture(scope="module")
def relighter(scene):
    # Two stages of two epochs, with validation.
    relighter = make_relighter("colburn2019", random_state=0).set_params(
        regressor__mlp__hidden_layer_sizes=(8,),
        regressor__mlp__callbacks__stages__n_stages=2,
        regressor__mlp__callbacks__stages__max_epochs=2,
        regressor__mlp__batch_size=4000,
    )
    return relighter.fit(scene.lights, scene.images)


def draw(display):
    """Have everything laid out and drawn: faults of the drawing show only here."""
    display.figure_.canvas.draw()
    return display


def history(losses, rates, batch_sizes, stages, valid=None):
    columns = {"train_loss": losses, "event_lr": rates, "batch_size": batch_sizes, "stage": stages}
    if valid is not None:
        columns["valid_loss"] = valid
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


class TestTrainingCurve:
    def test_losses_of_a_fit_are_drawn(self, relighter):
        display = draw(TrainingCurveDisplay.from_estimator(relighter))
        rows = relighter.regressor_.members_[0][-1].history_
        train, valid = display.axes_[0].lines[:2]
        np.testing.assert_array_equal(train.get_ydata(), rows[:, "train_loss"])
        np.testing.assert_array_equal(valid.get_ydata(), rows[:, "valid_loss"])
        np.testing.assert_array_equal(display.axes_[1].lines[0].get_ydata(), rows[:, "event_lr"])

    def test_stages_are_marked_with_their_batch_size(self, relighter):
        display = TrainingCurveDisplay.from_estimator(relighter)
        assert [text.get_text() for text in display.axes_[0].texts] == ["batch of 4,000", "2,000"]
        # The second stage is shaded, in both axes.
        assert [len(axes.patches) for axes in display.axes_] == [1, 1]

    def test_steps_of_the_rate_are_marked(self):
        rows = history([3, 2, 1.5, 1.2, 1.1, 1.0], [1, 1, 1, 0.5, 0.5, 0.25], [8] * 6, [0] * 6)
        display = draw(TrainingCurveDisplay.from_history(rows))
        assert display.rate_steps_.tolist() == [4, 6]
        labels = [line.get_label() for line in display.axes_[0].lines]
        assert labels.count("learning rate falls") == 1

    def test_a_rate_that_always_falls_has_no_steps(self):
        rows = history([3, 2, 1], [1.0, 0.5, 0.1], [8] * 3, [0] * 3)
        assert len(TrainingCurveDisplay.from_history(rows).rate_steps_) == 0

    def test_a_history_without_stages_has_none_marked(self):
        rows = [{"train_loss": loss, "event_lr": 1.0} for loss in (3, 2, 1)]
        display = draw(TrainingCurveDisplay.from_history(rows))
        assert display.stage is None
        assert not display.axes_[0].texts

    def test_an_epoch_without_losses_is_left_out(self):
        rows = [*history([3, 2], [1, 1], [8, 8], [0, 0]), {"epoch": 3}]
        assert len(TrainingCurveDisplay.from_history(rows).train_loss) == 2
        with pytest.raises(ValueError, match="no epoch"):
            TrainingCurveDisplay.from_history(rows[2:])

    def test_the_history_is_found_in_a_search(self):
        rng = np.random.default_rng(0)
        regressor = make_pipeline(RelightingMLPRegressor((4,), max_observations=40, random_state=0))
        search = GridSearchCV(regressor, {"relightingmlpregressor__learning_rate_init": [1e-2]}, cv=2)
        search.fit(rng.random((20, 2)), rng.random(20))
        assert len(TrainingCurveDisplay.from_estimator(search).train_loss) == 2

    def test_a_model_without_network_is_refused(self, scene):
        model = Relighter(NearestPhotograph()).fit(scene.lights, scene.images)
        with pytest.raises(ValueError, match="holds no network"):
            TrainingCurveDisplay.from_estimator(model)


class TestWindowDistribution:
    def test_a_batch_of_one_window_overlaps_less_than_single_pixels(self, scene, relighter):
        display = draw(
            WindowDistributionDisplay.from_estimator(
                relighter, scene.lights, scene.images, window_sizes=(24, 1), batch_size=600, columns=(0, 4),
                random_state=0,
            )
        )  # fmt: skip
        # One window sees one of five columns of lights; each pixel drawn singly has a light of its own.
        assert display.overlaps[24][0] == pytest.approx(0.2, abs=1e-6)
        assert display.overlaps[1][0] > 0.9
        assert all(one < single for one, single in zip(display.overlaps[24], display.overlaps[1], strict=True))
        assert len(display.axes_) == 3

    def test_the_data_themselves_are_histograms_of_everything(self, scene, relighter):
        display = WindowDistributionDisplay.from_estimator(
            relighter, scene.lights, scene.images, window_sizes=(1,), batch_size=100, columns=(0,), random_state=0
        )
        encoded = relighter.transformer_.transform(scene.images)[..., 0]
        counts = np.histogram(encoded, display.edges[1])[0]
        np.testing.assert_allclose(display.whole[1], counts / encoded.size)
        assert "light0" in display.axes_[0].get_xlabel()

    def test_a_batch_of_everything_has_all_in_common(self, scene, relighter):
        n_all = scene.images[..., 0].size
        display = WindowDistributionDisplay.from_estimator(
            relighter, scene.lights, scene.images, window_sizes=(1,), batch_size=n_all, random_state=0
        )
        assert display.overlaps[1] == pytest.approx([1, 1, 1])

    def test_the_same_seed_gives_the_same_batch_and_torch_keeps_its_own(self, scene, relighter):
        torch = pytest.importorskip("torch")
        state = torch.random.get_rng_state()
        draws = [
            WindowDistributionDisplay.from_estimator(
                relighter, scene.lights, scene.images, window_sizes=(8,), batch_size=640, random_state=3
            ).overlaps
            for _ in range(2)
        ]
        assert draws[0] == draws[1]
        assert torch.equal(state, torch.random.get_rng_state())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"window_sizes": (64,)}, "window_size=64 is larger than the image"),
            ({"window_sizes": ()}, "wanted one to 3 sizes"),
            ({"columns": (99,)}, "wanted numbers from 0 to"),
            ({"channel": 3}, "wanted a number from 0 to 2"),
        ],
    )
    def test_what_is_not_there_is_refused(self, scene, relighter, options, message):
        with pytest.raises(ValueError, match=message):
            WindowDistributionDisplay.from_estimator(relighter, scene.lights, scene.images, **options)


class TestLightError:
    def test_errors_are_of_single_photographs(self, scene):
        model = Relighter(NearestPhotograph()).fit(scene.lights[::2], scene.images[::2])
        display = draw(
            LightErrorDisplay.from_estimator(
                model, scene.lights[1::2], scene.images[1::2], training_lights=scene.lights[::2], white=2.0
            )
        )
        predicted = model.predict(scene.lights[1::2])
        expected = [relative_error(a, b, white=2.0) for a, b in zip(scene.images[1::2], predicted, strict=True)]
        np.testing.assert_allclose(display.errors, expected)
        np.testing.assert_allclose(display.axes_.collections[1].get_array(), expected)
        # The training lights are marked, and both are in the legend.
        assert len(display.axes_.collections[0].get_offsets()) == 13
        assert len(display.axes_.get_legend().get_texts()) == 2

    def test_positions_are_drawn_by_the_columns_that_vary_most(self, scene):
        display = LightErrorDisplay.from_predictions(scene.lights, scene.images, scene.images)
        assert (display.axes_.get_xlabel(), display.axes_.get_ylabel()) == ("light x", "light z")
        np.testing.assert_array_equal(display.axes_.collections[0].get_offsets(), scene.lights[:, [0, 2]])

    def test_directions_are_drawn_within_the_horizon(self):
        lights = np.array([[0.6, 0, 0.8], [0, 0.6, 0.8], [0, 0, 1]])
        display = draw(LightErrorDisplay.from_predictions(lights, np.ones((3, 2, 2)), np.ones((3, 2, 2))))
        assert display.axes_.get_ylabel() == "light y"
        np.testing.assert_allclose(np.hypot(*display.axes_.lines[0].get_data()), 1)

    def test_lights_of_one_number_are_drawn_on_a_line(self):
        images = np.ones((3, 2, 2))
        display = draw(LightErrorDisplay.from_predictions([[0.0], [1.0], [2.0]], images, images))
        assert set(display.points[:, 1]) == {0}

    def test_columns_that_are_not_there_and_unequal_numbers_are_refused(self, scene):
        images = scene.images
        with pytest.raises(ValueError, match="wanted two of the 3 columns"):
            LightErrorDisplay.from_predictions(scene.lights, images, images, columns=(0, 3))
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[24, 25, 25\]"):
            LightErrorDisplay.from_predictions(scene.lights[1:], images, images)


class TestContactSheet:
    def test_photographs_are_spread_over_the_stack(self, scene):
        display = draw(ContactSheetDisplay.from_predictions(scene.images, scene.lights, n_images=3))
        assert [axes.get_title() for axes in display.axes_] == ["light 0", "light 12", "light 24"]
        shown = display.axes_[1].images[0].get_array()
        np.testing.assert_allclose(shown, np.clip(scene.images[12] / display.white, 0, 1) ** (1 / 2.2), rtol=1e-5)

    def test_each_map_shows_its_own_light(self, scene):
        display = draw(ContactSheetDisplay.from_predictions(scene.images, scene.lights, n_images=3))
        (inset,) = display.axes_[1].child_axes
        every, own = inset.collections
        assert len(every.get_offsets()) == len(scene.lights)
        np.testing.assert_array_equal(own.get_offsets(), scene.lights[[12]][:, [0, 2]])

    def test_only_the_shown_ones_are_read(self, scene):
        class OnDisk:
            shape = scene.images.shape
            read: list[int] = []

            def __len__(self):
                return len(scene.images)

            def __getitem__(self, rows):
                self.read.extend(rows)
                return scene.images[rows]

        ContactSheetDisplay.from_predictions(OnDisk(), n_images=2)
        assert OnDisk.read == [0, 24]

    def test_an_estimator_predicts_only_what_is_shown(self, scene):
        class Model:
            def predict(self, lights):
                assert len(lights) == 2
                return np.ones((2, 4, 5))

        display = ContactSheetDisplay.from_estimator(Model(), scene.lights, n_images=2)
        assert len(display.axes_) == 2

    def test_exposure_and_gamma(self, scene):
        dark = 0.1 * np.ones((1, 2, 2))
        display = ContactSheetDisplay.from_predictions(dark, white=1.0, exposure=1.0, gamma=2.0)
        np.testing.assert_allclose(display.axes_[0].images[0].get_array(), np.sqrt(0.2))

    def test_what_is_no_stack_is_refused(self, scene):
        with pytest.raises(ValueError, match="expected"):
            ContactSheetDisplay.from_predictions(scene.images[0, :, :, 0])
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[24, 25\]"):
            ContactSheetDisplay.from_predictions(scene.images, scene.lights[1:])


def displays(scene, relighter):
    lights, images = scene.lights, scene.images
    yield lambda **ax: RelightingDisplay.from_estimator(relighter, lights[0], images[0], white=1.0, **ax)
    yield lambda **ax: TrainingCurveDisplay.from_estimator(relighter, **ax)
    yield lambda **ax: WindowDistributionDisplay.from_estimator(
        relighter, lights, images, window_sizes=(4, 1), batch_size=400, random_state=0, **ax
    )
    yield lambda **ax: LightErrorDisplay.from_estimator(relighter, lights, images, **ax)
    yield lambda **ax: ContactSheetDisplay.from_estimator(relighter, lights, n_images=2, **ax)


def test_all_take_axes_and_refuse_a_wrong_number(scene, relighter):
    for make in displays(scene, relighter):
        display = make()
        n_axes = np.size(display.axes_)
        figure, axes = plt.subplots(1, n_axes, squeeze=False)
        assert draw(make(ax=axes)).figure_ is figure
        assert display.plot(axes) is display
        with pytest.raises(ValueError, match="ax must hold"):
            display.plot(plt.subplots(1, n_axes + 1)[1])


def test_all_are_opaque_on_any_page(scene, relighter):
    # Notebooks may make the background see-through.
    for style, backdrop in (("default", 1), ("dark_background", 0)):
        with plt.style.context(style), mpl.rc_context({"figure.facecolor": (1, 1, 1, 0)}):
            for make in displays(scene, relighter):
                colour = mpl.colors.to_rgba(make().figure_.get_facecolor())
                assert colour[3] == 1
                assert np.mean(colour[:3]) == pytest.approx(backdrop, abs=0.15)


def test_a_style_keeps_its_own_background():
    with mpl.rc_context({"figure.facecolor": "#fdf6e3"}):
        assert mpl.colors.to_hex(open_axes(None, 1, "for a test", size=(2, 2))[0].get_facecolor()) == "#fdf6e3"


def test_without_matplotlib_the_message_has_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'sklrelight\[plot\]'"):
        open_axes(None, 1, "for a test", size=(2, 2))
