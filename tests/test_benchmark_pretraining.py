"""The programs of the pretrained interpolation, on small surfaces, and the weights beside them."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks" / "pretraining"
sys.path.insert(0, str(FOLDER))
evaluate, generate, model, prepare, surfaces, tasks, train = (
    importlib.import_module(name) for name in ("evaluate", "generate", "model", "prepare", "surfaces", "tasks", "train")
)
candidates, mixture, inference, prepare_mixture, train_mixture, few_lights, blend, weights = (
    importlib.import_module(name)
    for name in (
        "candidates", "mixture", "inference", "prepare_mixture", "train_mixture", "few_lights", "blend", "weights"
    )
)  # fmt: skip

OPTIONS = {"n_neighbours": 12}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    captures, folder = tmp_path_factory.mktemp("captures"), tmp_path_factory.mktemp("tasks")
    generate.generate(captures, [0, generate.VALIDATION], side=20)
    assert prepare.prepare(captures, folder) == 2
    return train.load_tasks(folder)


@pytest.fixture(scope="module")
def capture():
    lights, images, is_display = surfaces.render_capture(3_000_002, side=32)
    return lights, images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1), is_display


def train_for_some_steps(tasks):
    torch.manual_seed(0)
    training = train.Training(OPTIONS, rate=2e-3)
    return training, [training.step(tasks, 0.0) for _ in range(3)]


@pytest.fixture(scope="module")
def trained(prepared):
    return train_for_some_steps(prepared[0])


def test_a_surface_is_the_same_whenever_it_is_rendered():
    first, second = (surfaces.render_capture(7, side=8, n_lights=12) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    clean = surfaces.render_capture(7, side=8, n_lights=12, clean=True)
    np.testing.assert_array_equal(first[0], clean[0])
    assert (first[1] != clean[1]).any()


def test_the_model_is_the_interpolation_before_it_is_trained(prepared):
    task = model.expand(prepared[1][0][0])
    with torch.no_grad():
        predicted = model.NeighbourModel(**OPTIONS)(task)
    torch.testing.assert_close(predicted, task["predicted"])


def test_training_repeats_from_its_seed_and_goes_on_from_a_checkpoint(prepared, trained, tmp_path):
    tasks, validation = prepared
    assert [len(tasks), *map(len, validation)] == [2, 1, 1, 1]
    training, losses = trained
    assert np.isfinite(losses).all()
    assert losses == pytest.approx(train_for_some_steps(tasks)[1], rel=1e-4)
    training.save(tmp_path / "model.pt")
    later = train.Training(OPTIONS, rate=2e-3)
    later.resume(tmp_path / "model.pt")
    assert later.n_steps == 3
    assert train.validate(later.average, validation) == train.validate(training.average, validation)


def test_weights_are_the_same_in_half_precision(trained, tmp_path):
    training, _ = trained
    weights.save_weights(training.average, tmp_path / "weights.npz")
    loaded = model.load_weights(tmp_path / "weights.npz")
    assert loaded.options == training.model.options
    for name, value in training.average.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("n_lights", [12, 24, 48])
def test_the_weights_beat_the_interpolation_on_a_new_surface(capture, n_lights):
    lights, images, is_display = capture
    order = np.random.default_rng(n_lights).permutation(len(lights))
    given, targets = order[:n_lights], order[n_lights : n_lights + 12]
    white = None if is_display else evaluate.display_white(images[given])
    loaded = model.load_weights(FOLDER / "weights.npz")
    result = evaluate.compare(loaded, lights, images, given, targets, white, 2.2 if is_display else 1.0)
    assert result["encoded"] < 0.95


@pytest.fixture(scope="module")
def split_file(capture, tmp_path_factory):
    lights, images, is_display = capture
    assert is_display
    path = tmp_path_factory.mktemp("splits") / "surface.npz"
    given, tests = {"lights": lights[:30], "images": images[:30]}, {"test_lights": lights[30:40]}
    np.savez(path, **given, **tests, test_images=images[30:40], white=np.nan)
    return path


def test_the_mixture_averages_candidates_before_it_is_trained_and_training_repeats(tmp_path):
    captures, folder = tmp_path / "captures", tmp_path / "tasks"
    generate.generate(captures, [0, generate.VALIDATION], side=16)
    generate.generate(captures, [generate.HARD], side=16, hard=True)
    prepare_mixture.prepare(captures, folder)
    training, validation = train_mixture.load_tasks(folder)
    assert [len(training), *map(len, validation)] == [3, len(prepare_mixture.COUNTS)]
    task = mixture.expand(training[0])
    with torch.no_grad():
        predicted = mixture.MixtureModel()(task)
    least, greatest = task["candidates"].amin(0), task["candidates"].amax(0)
    assert ((predicted >= least - 1e-4) & (predicted <= greatest + 1e-4)).all()

    def losses():
        torch.manual_seed(0)
        return [train_mixture.Training(training).step(0.0) for _ in range(2)]

    assert losses() == pytest.approx(losses(), rel=1e-4)
    assert np.isfinite(train_mixture.validate(mixture.MixtureModel(), validation)).all()


@pytest.mark.parametrize("n_lights", [5, 30])
def test_the_mixture_predicts_the_same_without_torch(split_file, n_lights):
    split = few_lights.choose(few_lights.load_window(split_file, 32), n_lights, "random")
    lights, images = (
        np.concatenate(pair) for pair in ((split.lights, split.test_lights), (split.images, split.test_images))
    )
    given, targets = np.arange(n_lights), np.arange(n_lights, len(lights))
    task = candidates.make_task(lights, images, given, targets, stored=True)
    with torch.no_grad():
        expected = mixture.load_weights(FOLDER / "mixture.npz")(task).numpy()
    expected = expected.clip(split.images.min(), split.images.max())
    model = inference.Inference(FOLDER / "mixture.npz").fit(split.lights, split.images)
    difference = np.abs(model.predict(split.test_lights).reshape(expected.shape) - expected)
    assert np.quantile(difference, 0.99) < 1e-4
    assert difference.max() < 0.02


def test_the_mixture_beats_classical_models_with_few_lights(split_file):
    split = few_lights.load_window(split_file, 24)
    models = {"mixture": lambda few: few_lights.predict_pretrained(FOLDER / "mixture.npz", few)}
    record = few_lights.measure(split, 8, "chosen", models)
    assert record["mixture"] < record["classical"]
    (line,) = few_lights.summarize([record | {"method": "chosen", "k": 8}], "mixture")
    assert line.startswith("mixture, 8 chosen: mean 0.")


def test_a_blend_is_each_model_at_the_ends(split_file):
    split = few_lights.load_window(split_file, 24)
    dark, exact = np.zeros_like(split.test_images), split.test_images
    assert blend.blend(split, dark, exact, (0.0, 0.25, 1.0)) == pytest.approx([1, 0.75, 0], abs=1e-6)


def test_the_share_of_a_blend_is_measured_by_held_out_photographs(split_file):
    split = few_lights.load_window(split_file, 24)
    exact = split.test_images
    assert blend.best_share(split, exact + 0.1 * (exact < 0.9), exact - 0.3 * (exact > 0.5)) < 0.5
    assert blend.best_share(split, np.zeros_like(exact), exact) == 1
    held = blend.hold_out(split)
    assert len(held.images) == 25
    assert len(held.test_images) == 5
    assert 0 <= blend.measure_share(split, 16, FOLDER / "mixture.npz", max_observations=1000) <= 1
