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
from sklrelight.neural._batches import SequentialBatches, count_observations
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
    assert X.keys() == {"lights", "pixels"}
    light, pixel = torch.broadcast_tensors(X["lights"][..., 0], X["pixels"][..., 0])
    torch.testing.assert_close(y, torch.stack([1000 * light + pixel, light - pixel], dim=-1), rtol=0, atol=0)
    return [(int(i), int(j)) for i, j in zip(light.flatten(), pixel.flatten(), strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stacks")


@given(
    n_lights=st.integers(1, 9),
    image_shape=st.sampled_from([(1, 1), (1, 7), (3, 1), (4, 5), (24, 30)]),
    batch_size=st.integers(1, 300),
    tile=st.sampled_from([3, 64, 700]),
    visits=st.sampled_from([(1, 1), (5, 2)]),
    loaded=st.integers(1, 400),
    lights_per_pixel=st.integers(1, 12),
    part=st.booleans(),
    masked=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_an_epoch_holds_each_observation_once(
    folder, n_lights, image_shape, batch_size, tile, visits, loaded, lights_per_pixel, part, masked
):
    n_pixels = math.prod(image_shape)
    inside = np.arange(n_pixels) % 4 > 0 if masked and n_pixels > 1 else np.ones(n_pixels, bool)
    lights = [*range(n_lights)][1 if part and n_lights > 1 else 0 :]
    weight = torch.from_numpy(inside.astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_disk_batches, "_TILE_PIXELS", tile)
        patch.setattr(_disk_batches, "_VISITS", visits[0])
        patch.setattr(_disk_batches, "_VISIT_PIXELS", visits[1])
        patch.setattr(_disk_batches, "_LOADED", loaded)
        patch.setattr(_disk_batches, "_GROUP", 4)
        observations = numbered(folder, n_lights, image_shape, pixel_weight=weight).subset(torch.tensor(lights))
        batches = TrainingBatches(observations, batch_size, lights_per_pixel=lights_per_pixel)
        everything = sorted(itertools.product(lights, np.flatnonzero(inside).tolist()))
        for _ in range(2):
            pairs = [pairs_of(X, y[0]) for X, y in batches]
            assert sorted(itertools.chain(*pairs)) == everything
            if lights_per_pixel == 1:
                assert len(pairs) == math.ceil(batches.epoch_length / batches.batch_length)
                assert {len(batch) for batch in pairs[:-1]} <= {batches.batch_length}
                continue
            # Each pixel of a batch has the same lights: one of the groups, which are of about one size.
            shapes = []
            together = {}
            for batch in pairs:
                own = {light for light, _ in batch}, {pixel for _, pixel in batch}
                assert sorted(batch) == sorted(itertools.product(*own))
                shapes.append((len(own[0]), len(own[1])))
                together[frozenset(own[0])] = together.get(frozenset(own[0]), 0) + 1
            assert len(together) == batches.n_groups
            assert sorted(itertools.chain(*together)) == lights
            # Only the last batch of a group is smaller than the others.
            assert max(n_pixels for _, n_pixels in shapes) <= batches.pixels_per_batch
            n_inside = int(inside.sum())
            assert set(together.values()) == {math.ceil(n_inside / batches.pixels_per_batch)}
            assert max(n_lights for n_lights, _ in shapes) - min(n_lights for n_lights, _ in shapes) <= 1


@pytest.mark.parametrize(("lights_per_pixel", "n_loads"), [(1, 1), (4, 4)])
def test_a_limit_ends_the_batches_and_the_reading(tmp_path, monkeypatch, lights_per_pixel, n_loads):
    monkeypatch.setattr(_disk_batches, "_LOADED", 150)
    observations = numbered(tmp_path, 8, (40, 50))
    n_read = []
    read = _disk_batches.Tiles.read
    monkeypatch.setattr(_disk_batches.Tiles, "read", lambda self, *plan: n_read.append(read(self, *plan)) or n_read[-1])
    batches = TrainingBatches(observations, 100, max_observations=1950, lights_per_pixel=lights_per_pixel)
    assert [count_observations(batch) for batch in batches] == [100] * 20
    assert batches.exhausted
    assert batches.n_drawn == 2000
    # At most the loads that are drawn from, and those that are read ahead.
    n_loaded = n_loads * max(len(light) for light, _, _ in n_read)
    assert 4 * 150 <= n_loaded < 1200
    assert 2000 <= sum(len(light) for light, _, _ in n_read) <= 2000 + 2 * n_loaded


@pytest.mark.parametrize("lights_per_pixel", [1, 2])
def test_order_is_random_and_follows_the_seed_alone(tmp_path, lights_per_pixel):
    observations = numbered(tmp_path, 5, (12, 20))
    state = torch.get_rng_state()

    def epoch(seed):
        batches = TrainingBatches(observations, 64, lights_per_pixel=lights_per_pixel, seed=seed)
        return [*itertools.chain(*(pairs_of(X, y) for X, y in batches))]

    assert epoch(1) == epoch(1)
    assert epoch(2) != epoch(1) != sorted(epoch(1))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("lights_per_pixel", [1, 2])
def test_epochs_go_on_from_the_generators_state(tmp_path, monkeypatch, lights_per_pixel):
    monkeypatch.setattr(_disk_batches, "_LOADED", 50)
    observations = numbered(tmp_path, 5, (12, 20))

    def epoch(batches):
        return [*itertools.chain(*(pairs_of(X, y) for X, y in batches))]

    whole, resumed = (
        TrainingBatches(observations, 64, lights_per_pixel=lights_per_pixel, seed=seed) for seed in (1, 2)
    )
    epoch(whole)
    resumed.generator.set_state(whole.generator.get_state())
    assert [epoch(whole), epoch(whole)] == [epoch(resumed), epoch(resumed)]


def test_validation_reads_block_by_block(tmp_path):
    observations = numbered(tmp_path, 6, (3, 4)).subset(torch.tensor([5, 1]))
    batches = [pairs_of(X, y) for X, y in SequentialBatches(observations, 10)]
    blocks = range(5), range(5, 10), range(10, 12)
    assert batches == [[*itertools.product([5, 1], pixels)] for pixels in blocks]


@pytest.mark.parametrize("lights_per_pixel", [2, 4])
def test_batches_of_a_load_are_of_all_its_groups(tmp_path, monkeypatch, lights_per_pixel):
    """A round visits each place of the image once, and batches of the groups come mixed."""
    monkeypatch.setattr(_disk_batches, "_LOADED", 600)
    observations = numbered(tmp_path, 8, (40, 50))
    batches = TrainingBatches(observations, 100, lights_per_pixel=lights_per_pixel)
    groups = [tuple(sorted(set(X["lights"].flatten().tolist()))) for X, _ in batches]
    n_groups = 8 // lights_per_pixel
    counts = {group: groups.count(group) for group in groups}
    assert len(counts) == n_groups
    assert set(counts.values()) == {len(groups) // n_groups}
    # Neighbours are of the same group not much more often than by chance.
    same = np.mean([one == two for one, two in itertools.pairwise(groups)])
    assert abs(same - 1 / n_groups) < 0.25


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


def all_of(whole):
    """Features and target of all observations, as columns."""
    return np.concatenate(
        [
            np.repeat(whole.lights.numpy(), whole.n_pixels, axis=0).T,
            np.tile(whole.pixels.numpy(), (whole.n_lights, 1)).T,
            whole.targets.flatten(0, 1).numpy().T,
        ],
        dtype=np.float64,
    )


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
        columns = [np.broadcast_to(table, (*y.shape[:-1], table.shape[-1])) for table in (X["lights"], X["pixels"])]
        columns = [column.reshape(-1, column.shape[-1]) for column in (*columns, y.numpy())]
        batch = np.column_stack(columns).T.astype(np.float64)
        distances.append([wasserstein_distance(a, b) for a, b in zip(batch, few, strict=True)] / deviation)
        means.append((batch.mean(axis=1) - mean) / deviation)
        deviations.append(batch.std(axis=1) / deviation - 1)
    assert len(distances) == n_batches
    return np.mean(distances, axis=0), np.array(means), np.array(deviations)


def test_batches_are_distributed_like_the_data(scenes, monkeypatch):
    """A buffer of one in 19 of all observations, from 2,000 tiles where the default has 7,800."""
    whole, on_disk = scenes
    monkeypatch.setattr(_disk_batches, "_LOADED", 2**15)
    data = all_of(whole)
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
    # All are from one buffer, in which some 70 visits have their pixels and their lights in common.
    assert np.abs(from_disk[1].mean(axis=0)).max() < 7 / (12 * size) ** 0.5
    assert np.abs(from_disk[2]).max() < 1.25 * max(np.abs(drawn[2]).max(), 0.05)
    # A stretch of the file would not do: it holds few lights.
    stretches = (whole[torch.arange(first, first + size)] for first in range(0, 12 * size, size))
    assert np.all(strays(stretches, data)[0][[0, 3, -1]] > 5 * from_disk[0][[0, 3, -1]])


def test_grids_are_distributed_like_the_data(scenes, monkeypatch):
    """A batch has one in 7 of the lights and 141 pixels, and strays from the data as a random draw of these does."""
    whole, on_disk = scenes
    monkeypatch.setattr(_disk_batches, "_LOADED", 2**15)
    data = all_of(whole)
    n_lights, n_pixels, n_batches = 29, 141, 16
    generator = torch.Generator().manual_seed(0)
    independent = [
        whole.batch(
            torch.randperm(200, generator=generator)[:n_lights, None],
            torch.randint(whole.n_pixels, (n_pixels,), generator=generator),
        )
        for _ in range(n_batches)
    ]
    drawn = strays(independent, data, n_batches)
    for source in (whole, on_disk):
        # The batches of an epoch share their groups, so that each batch is the first one of another.
        epochs = (TrainingBatches(source, 4096, lights_per_pixel=32, seed=seed) for seed in range(n_batches))
        batches = [next(iter(epoch)) for epoch in epochs]
        assert {tuple(y.shape[:2]) for _, y in batches} <= {(29, n_pixels), (28, n_pixels)}
        own = strays(batches, data, n_batches)
        assert np.all(own[0] < 1.4 * drawn[0])
        assert np.abs(own[1].mean(axis=0)).max() < 5 / (n_batches * n_lights) ** 0.5
        assert np.abs(own[2]).max() < 1.5 * np.abs(drawn[2]).max()


@pytest.mark.parametrize("n_groups", [7, 20])
def test_loads_of_grids_are_read_pixel_by_pixel_of_a_group(scenes, n_groups):
    """Each load has the same pixels of each light of its group, from all over the image."""
    _, on_disk = scenes
    n_lights = {200 // n_groups, math.ceil(200 / n_groups)}
    rounds = []
    buffer = ShuffleBuffer(on_disk, 100, n_groups, torch.Generator().manual_seed(3), n_loaded=6000)
    for light, pixel, y in itertools.islice(buffer, 50):
        assert light.shape == (len(light), 1)
        assert len(light) in n_lights
        assert y.shape == (len(light), len(pixel), 3)
        expected = on_disk.targets.read(slice(int(light[0]), int(light[0]) + 1))[0].reshape(-1, 3)[pixel.numpy()]
        np.testing.assert_array_equal(y[0].numpy(), expected)
        rounds.append(pixel.numpy())
    assert len(set(map(len, rounds))) == 1
    drawn = np.concatenate(rounds)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.1
    counts = np.bincount(drawn * 8 // on_disk.n_pixels, minlength=8)
    assert counts.min() > 0.4 * counts.mean()


def test_the_buffer_is_drawn_from_all_over(scenes):
    """Batches hold no more pairs of neighbours than chance has it."""
    _, on_disk = scenes
    light, pixel, _ = next(iter(ShuffleBuffer(on_disk, 8192, 200, torch.Generator().manual_seed(3), n_loaded=2**15)))
    assert len(np.unique(light.numpy())) == 200
    assert abs(np.corrcoef(light.numpy()[:-1], light.numpy()[1:])[0, 1]) < 0.04
    assert abs(np.corrcoef(pixel.numpy()[:-1], pixel.numpy()[1:])[0, 1]) < 0.04
    assert abs(np.corrcoef(light.numpy(), pixel.numpy())[0, 1]) < 0.04
