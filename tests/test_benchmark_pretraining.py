"""The programs that train the pretrained interpolation, on a small scale."""

import importlib
import json
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from sklrelight import LogExposureScaler
from sklrelight.interpolation import PretrainedInterpolation

FOLDER = Path(__file__).parents[1] / "benchmarks" / "pretraining"
sys.path.insert(0, str(FOLDER))
generate, network, prepare, surfaces, train, few_lights, gate = (
    importlib.import_module(name)
    for name in ("generate", "network", "prepare", "surfaces", "train", "few_lights", "gate")
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captures")
    generate.generate(folder, [0, generate.VALIDATION], side=16)
    generate.generate(folder, [generate.HARD], side=16, hard=True)
    return folder


@pytest.fixture(scope="module")
def tasks(captures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    prepare.prepare(captures.glob("*.npz"), folder)
    return train.load_tasks(folder)


@pytest.fixture
def own_weights():
    """Let a test take other weights, and give the package its own again."""
    before = few_lights._pretrained._WEIGHTS
    yield
    few_lights._pretrained._WEIGHTS = before
    few_lights._pretrained._network.cache_clear()


def shipped():
    """Read the shipped weights: options of the network, and arrays by name."""
    with (
        files("sklrelight.interpolation").joinpath("pretrained.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return json.loads(str(arrays["options"])), {name: arrays[name] for name in arrays.files if name != "options"}


def load_network():
    options, arrays = shipped()
    loaded = network.MixtureNetwork(**options)
    loaded.load_state_dict({name: torch.as_tensor(array.astype(np.float32)) for name, array in arrays.items()})
    return loaded


def test_a_surface_is_the_same_whenever_it_is_rendered():
    first, second = (surfaces.render_capture(7, side=8, n_lights=12) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    clean = surfaces.render_capture(7, side=8, n_lights=12, clean=True)
    np.testing.assert_array_equal(first[0], clean[0])
    assert (first[1] != clean[1]).any()


def test_tasks_are_the_same_whenever_they_are_prepared(captures):
    path = captures / f"{generate.HARD}.npz"
    first, second = prepare.prepare_capture(path), prepare.prepare_capture(path)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_there_is_a_task_for_each_number_of_lights(tasks):
    training, validation = tasks
    # Two tasks of a hard capture, one of another.
    assert [len(training), *map(len, validation)] == [3, len(prepare.COUNTS)]
    assert tuple(len(task["tokens"]) for task in validation[0]) == prepare.COUNTS
    for task in training:
        assert all(torch.isfinite(value).all() for value in task.values())


def test_before_training_candidates_count_by_their_leave_one_out_errors(tasks):
    task = train.expand(tasks[0][0])
    with torch.no_grad():
        predicted = network.MixtureNetwork()(task)
    prior = -2 * task["errors"][0] - 4 * task["errors"][1]
    prior = torch.cat([prior, prior[-1:] - 3])
    expected = torch.einsum("jp,mjcp->mcp", prior.softmax(0), task["candidates"])
    torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=1e-4)


def test_channels_are_permuted_in_all_that_the_network_sees(tasks):
    task, order = train.expand(tasks[0][0]), torch.tensor([2, 0, 1])
    torch.manual_seed(0)
    some = network.MixtureNetwork()
    torch.nn.init.normal_(some.head.weight, std=0.1)
    with torch.no_grad():
        before, after = some(task), some(train.permute(train.permute(task, order), order.argsort()))
    torch.testing.assert_close(after, before)


def test_training_repeats_from_its_seed_and_lessens_the_loss(tasks, tmp_path):
    training, validation = tasks

    def run(n_steps):
        torch.manual_seed(0)
        started = train.Training(training)
        return started, [started.step(0.0) for _ in range(n_steps)]

    trained, losses = run(40)
    assert losses[:3] == pytest.approx(run(3)[1], rel=1e-4)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert np.isfinite(train.validate(trained.average, validation)).all()
    network.save_weights(trained.average, tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as file:
        assert json.loads(str(file["options"])) == trained.network.options
        for name, value in trained.average.state_dict().items():
            np.testing.assert_allclose(file[name], value.numpy(), atol=1e-6, rtol=1e-3)


def test_the_shipped_weights_are_those_of_a_network_of_their_options():
    options, arrays = shipped()
    assert arrays.keys() == network.MixtureNetwork(**options).state_dict().keys()
    load_network()
    for array in arrays.values():
        assert array.dtype == np.float16
        assert np.isfinite(array).all()


@pytest.mark.parametrize("n_lights", [5, 30])
def test_the_package_predicts_as_the_network_that_was_trained(n_lights):
    lights, images, _ = surfaces.render_capture(3_000_002, side=24)
    stored = images.dtype == np.uint8
    images = images.astype(np.float32) / (255 if stored else 1)
    given, targets = np.arange(n_lights), np.arange(n_lights, n_lights + 4)
    task = prepare.make_task(lights, images, given, targets, np.arange(24 * 24), stored=stored)
    task = {name: torch.as_tensor(array, dtype=torch.float32) for name, array in task.items()}
    with torch.no_grad():
        expected = load_network()(task).numpy()
    scaler = LogExposureScaler().fit(images[given])
    model = PretrainedInterpolation().fit(lights[given], scaler.transform(images[given]), value_range=(0, 1))
    predicted = model.predict(lights[targets]).reshape(4, -1, 3).transpose(0, 2, 1)
    np.testing.assert_allclose(predicted, expected, atol=1e-3)


def test_the_gate_finds_the_shipped_weights_better_than_radial_basis_functions():
    errors = np.mean([gate.measure(gate.render_split(gate.FRESH + seed, 12, side=20)) for seed in range(4)], axis=0)
    assert (errors[0] < errors[1]).all()


def test_other_weights_can_be_tried(tasks, tmp_path, own_weights):
    split = gate.render_split(gate.FRESH, 12, side=8)
    before = gate.measure(split)
    network.save_weights(train.Training(tasks[0]).average, tmp_path / "weights.npz")
    few_lights.use_weights(tmp_path / "weights.npz")
    after = gate.measure(split)
    assert (before[0] != after[0]).all()
    np.testing.assert_array_equal(before[1], after[1])


def test_few_lights_are_compared_with_classical_models():
    split = few_lights.cut(gate.render_split(gate.FRESH, 30, side=20), 12)
    assert split.images.shape == (30, 12, 12, 3)
    assert len(split.test_images) == 10
    record = few_lights.measure(split, 8, "chosen", few_lights._INTERPOLATIONS)
    assert {"classical", "pretrained", "twice_classical", "twice_rbf", "twice_stacked"} < record.keys()
    assert "twice_rbf" not in few_lights.measure(split, 16, "random", few_lights._INTERPOLATIONS)
    (line,) = few_lights.summarize([record | {"method": "chosen", "k": 8}], "rbf")
    ratio = record["rbf"] / record["classical"]
    assert line.startswith(f"rbf, 8 chosen: mean {ratio:.3f}, geometric mean {ratio:.3f}, worst {ratio:.3f}; as good")
