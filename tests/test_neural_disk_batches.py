"""Photographs on disk: batches from the shuffle buffer are drawn as evenly as those from memory."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from sklrelight import ImageStack
from sklrelight.datasets import make_scene
from sklrelight.neural import Observations, TrainingBatches, _disk_batches
from sklrelight.neural._batches import SequentialBatches
from sklrelight.neural._disk_batches import ShuffleBuffer, StackObservations


def numbered(tmp_path, n_lights, image_shape, pixel_weight=None):
    """Observations whose features are their own light and pixel numbers, and whose target tells both."""
    n_pixels = math.prod(image_shape)
    lights = torch.arange(n_lights, dtype=torch.float32)[:, None]
    pixels = torch.arange(n_pixels, dtype=torch.float32)[:, None]
    targets = np.stack([1000 * lights.numpy() + pixels.numpy().T, lights.numpy() - pixels.numpy().T], axis=2)
    path = tmp_path / f"{n_lights}-{image_shape}.npy"
    np.save(path, targets.reshape(n_lights, *image_shape, 2))
    return StackObservations(lights, pixels, ImageStack(path), image_shape, pixel_weight=pixel_weight)


def pairs_of(X, y):
    """Pairs of light and pixel of a batch, having checked that features and targets belong together."""
    light, pixel = X.T
    torch.testing.assert_close(y, torch.stack([1000 * light + pixel, light - pixel], dim=1), rtol=0, atol=0)
    return [(int(i), int(j)) for i, j in zip(light, pixel, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stacks")


@given(
    n_lights=st.integers(1, 9),
    image_shape=st.sampled_from([(1, 1), (1, 7), (3, 1), (4, 5), (24, 30)]),
    batch_size=st.integers(1, 300),
    tile=st.sampled_from([3, 64, 700]),
    visits=st.sampled_from([(1, 1), (5, 2)]),
    buffered=st.integers(1, 400),
    part=st.booleans(),
    masked=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_an_epoch_holds_each_observation_once(
    folder, n_lights, image_shape, batch_size, tile, visits, buffered, part, masked
):
    n_pixels = math.prod(image_shape)
    inside = np.arange(n_pixels) % 4 > 0 if masked and n_pixels > 1 else np.ones(n_pixels, bool)
    lights = [*range(n_lights)][1 if part and n_lights > 1 else 0 :]
    weight = torch.from_numpy(inside.astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_disk_batches, "_TILE_PIXELS", tile)
        patch.setattr(_disk_batches, "_VISITS", visits[0])
        patch.setattr(_disk_batches, "_VISIT_PIXELS", visits[1])
        patch.setattr(_disk_batches, "_BUFFERED", buffered)
        observations = numbered(folder, n_lights, image_shape, pixel_weight=weight).subset(torch.tensor(lights))
        batches = TrainingBatches(observations, batch_size)
        everything = sorted(itertools.product(lights, np.flatnonzero(inside).tolist()))
        for _ in range(2):
            pairs = [pairs_of(X, y[0]) for X, y in batches]
            assert sorted(itertools.chain(*pairs)) == everything
            assert len(pairs) == math.ceil(batches.epoch_length / batches.batch_length)
            assert {len(batch) for batch in pairs[:-1]} <= {batches.batch_length}


def test_a_limit_ends_the_batches_and_the_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(_disk_batches, "_BUFFERED", 600)
    observations = numbered(tmp_path, 8, (40, 50))
    n_read = []
    read = _disk_batches.Tiles.read
    monkeypatch.setattr(_disk_batches.Tiles, "read", lambda self, *plan: n_read.append(read(self, *plan)) or n_read[-1])
    batches = TrainingBatches(observations, 100, max_observations=1950)
    assert [len(y) for X, y in batches] == [100] * 20
    assert batches.exhausted
    assert batches.n_drawn == 2000
    assert 2000 <= sum(len(light) for light, _, _ in n_read) < 2100


def test_order_is_random_and_follows_the_seed_alone(tmp_path):
    observations = numbered(tmp_path, 5, (12, 20))
    state = torch.get_rng_state()

    def epoch(seed):
        return [*itertools.chain(*(pairs_of(X, y) for X, y in TrainingBatches(observations, 64, seed=seed)))]

    assert epoch(1) == epoch(1)
    assert epoch(2) != epoch(1) != sorted(epoch(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_epochs_go_on_from_the_generators_state(tmp_path, monkeypatch):
    monkeypatch.setattr(_disk_batches, "_BUFFERED", 200)
    observations = numbered(tmp_path, 5, (12, 20))

    def epoch(batches):
        return [*itertools.chain(*(pairs_of(X, y) for X, y in batches))]

    whole, resumed = TrainingBatches(observations, 64, seed=1), TrainingBatches(observations, 64, seed=2)
    epoch(whole)
    resumed.generator.set_state(whole.generator.get_state())
    assert [epoch(whole), epoch(whole)] == [epoch(resumed), epoch(resumed)]


def test_validation_reads_in_order(tmp_path):
    observations = numbered(tmp_path, 6, (3, 4)).subset(torch.tensor([5, 1]))
    batches = [pairs_of(X, y) for X, y in SequentialBatches(observations, 7)]
    assert [*itertools.chain(*batches)] == [*itertools.product([5, 1], range(12))]


def test_moments_are_those_of_the_photographs(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.gamma(0.5, size=(40, 60, 90, 3)).astype(np.float32)
    images[:, 30:] *= 3
    np.save(tmp_path / "stack.npy", images)
    lights, pixels = torch.zeros(40, 1), torch.zeros(5400, 1)
    observations = StackObservations(lights, pixels, ImageStack(tmp_path / "stack.npy"), (60, 90))
    assert np.allclose(observations.target_moments(), (images.mean(), images.std()), rtol=0.02)
    weight = torch.zeros(5400)
    weight[:100] = 1
    few = StackObservations(lights, pixels, ImageStack(tmp_path / "stack.npy"), (60, 90), pixel_weight=weight)
    inside = images.reshape(40, -1, 3)[:, :100]
    assert np.allclose(few.target_moments(), (inside.mean(), inside.std()), rtol=0.02)
    dark = StackObservations(lights, pixels, ImageStack(tmp_path / "stack.npy"), (60, 90), saturation=0.5)
    below = images[images < 0.5]
    assert np.allclose(dark.target_moments(), (below.mean(), below.std()), rtol=0.02)


@pytest.mark.parametrize(("saturation", "expected"), [(None, (0.25, 1.0)), (0.2, (0.0, 1.0))])
def test_values_without_spread_have_the_deviation_1(tmp_path, saturation, expected):
    np.save(tmp_path / "stack.npy", np.full((3, 4, 5, 3), 0.25, np.float32))
    stack = ImageStack(tmp_path / "stack.npy")
    observations = StackObservations(torch.zeros(3, 1), torch.zeros(20, 1), stack, (4, 5), saturation=saturation)
    assert observations.target_moments() == pytest.approx(expected)


def test_a_chunk_of_a_file_is_one_tile(tmp_path):
    h5py = pytest.importorskip("h5py")
    images = np.random.default_rng(0).random((3, 8, 10, 3)).astype(np.float32)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(1, 4, 10, 3))
    with h5py.File(tmp_path / "stack.h5") as file:
        stack = ImageStack(file["images"])
        observations = StackObservations(torch.zeros(3, 1), torch.zeros(80, 1), stack, (8, 10))
        tiles = _disk_batches.Tiles(observations)
        assert tiles.ends.tolist() == [40, 80]
        drawn = torch.cat([y for _, y in TrainingBatches(observations, 50)])
        assert torch.equal(drawn.sort(dim=0).values, torch.from_numpy(images.reshape(-1, 3)).sort(dim=0).values)


def test_windows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="window_size=2: photographs on disk are sampled by single pixels"):
        TrainingBatches(numbered(tmp_path, 3, (4, 4)), 10, 2)


@pytest.fixture(scope="module")
def scenes(folder):
    """The same observations from memory and from disk: 200 lights, 12,288 pixels."""
    scene = make_scene(n_lights=200, image_shape=(96, 128), shadow_samples=1)
    images = ((scene.images / scene.images.max()) ** (1 / 2.2)).astype(np.float32)
    np.save(folder / "scene.npy", images)
    rows, columns = np.divmod(np.arange(96 * 128), 128)
    lights = torch.from_numpy(scene.lights.astype(np.float32))
    pixels = torch.from_numpy(np.column_stack([rows / 96, columns / 128]).astype(np.float32))
    whole = Observations(lights, pixels, torch.from_numpy(images.reshape(200, -1, 3)), (96, 128))
    return whole, StackObservations(lights, pixels, ImageStack(folder / "scene.npy"), (96, 128))


def strays(batches, data, n_batches=12):
    """Of features and target: how far distribution, mean and deviation of a batch are from those of the data.

    In units of the data's deviation: distance of the distributions, mean over the batches; difference of the means,
    of each batch; relative difference of the deviations, of each batch.
    """
    distances, means, deviations = [], [], []
    mean, deviation = data.mean(axis=1), data.std(axis=1)
    few = data[:, ::499]
    for X, y in itertools.islice(batches, n_batches):
        batch = np.column_stack([X.numpy(), y.numpy()]).T.astype(np.float64)
        distances.append([wasserstein_distance(a, b) for a, b in zip(batch, few, strict=True)] / deviation)
        means.append((batch.mean(axis=1) - mean) / deviation)
        deviations.append(batch.std(axis=1) / deviation - 1)
    assert len(distances) == n_batches
    return np.mean(distances, axis=0), np.array(means), np.array(deviations)


def test_batches_are_distributed_like_the_data(scenes, monkeypatch):
    """A buffer of one in 19 of all observations, from 2,000 tiles where the default has 7,800."""
    whole, on_disk = scenes
    monkeypatch.setattr(_disk_batches, "_BUFFERED", 2**17)
    data = np.concatenate(
        [
            np.repeat(whole.lights.numpy(), whole.n_pixels, axis=0).T,
            np.tile(whole.pixels.numpy(), (whole.n_lights, 1)).T,
            whole.targets.flatten(0, 1).numpy().T,
        ],
        dtype=np.float64,
    )
    size = 4096
    generator = torch.Generator().manual_seed(0)
    independent = [whole[torch.randint(len(whole), (size,), generator=generator)] for _ in range(12)]
    from_memory, from_disk, drawn = (
        strays(batches, data) for batches in (TrainingBatches(whole, size), TrainingBatches(on_disk, size), independent)
    )
    # As near as batches of independent draws are; those from memory, which are spread evenly, are a little nearer.
    assert np.mean(from_disk[0]) < 1.15 * np.mean(drawn[0])
    assert np.all(from_disk[0] < 1.5 * drawn[0])
    assert np.all(from_disk[0] < 2 * from_memory[0])
    assert np.abs(from_disk[1]).max() < 5 / size**0.5
    assert np.abs(from_disk[1].mean(axis=0)).max() < 5 / (12 * size) ** 0.5
    assert np.abs(from_disk[2]).max() < 1.25 * max(np.abs(drawn[2]).max(), 0.05)
    # A stretch of the file would not do: it holds few lights.
    window = itertools.islice(SequentialBatches(whole, size), 12)
    assert np.all(strays(window, data)[0][[0, 3, -1]] > 5 * from_disk[0][[0, 3, -1]])


def test_the_buffer_is_drawn_from_all_over(scenes):
    """Batches hold no more pairs of neighbours than chance has it."""
    _, on_disk = scenes
    light, pixel, _ = next(iter(ShuffleBuffer(on_disk, 8192, torch.Generator().manual_seed(3), buffered=2**17)))
    assert len(np.unique(light.numpy())) == 200
    assert abs(np.corrcoef(light.numpy()[:-1], light.numpy()[1:])[0, 1]) < 0.04
    assert abs(np.corrcoef(pixel.numpy()[:-1], pixel.numpy()[1:])[0, 1]) < 0.04
    assert abs(np.corrcoef(light.numpy(), pixel.numpy())[0, 1]) < 0.04
