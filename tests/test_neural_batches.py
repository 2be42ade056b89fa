"""Batches: each observation once an epoch, spread evenly; windows; and what the former gain over the latter."""

import itertools
import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from sklrelight.datasets import make_scene
from sklrelight.neural import Observations, TrainingBatches
from sklrelight.neural._batches import SequentialBatches
from sklrelight.neural._modules import as_tensor


def numbered(n_lights, image_shape, **options):
    """Observations whose features are their own light and pixel numbers, and whose target tells both."""
    n_pixels = math.prod(image_shape)
    lights = torch.arange(n_lights, dtype=torch.float64)[:, None]
    pixels = torch.arange(n_pixels, dtype=torch.float64)[:, None]
    targets = torch.stack([1000 * lights + pixels.T, lights - pixels.T], dim=2)
    return Observations(lights, pixels, targets, image_shape, **options)


def columns_of(X):
    """Light and pixel of each observation of a batch, of single observations or of a grid."""
    assert X.keys() == {"lights", "pixels"}
    light, pixel = torch.broadcast_tensors(X["lights"][..., 0], X["pixels"][..., 0])
    return torch.stack([light, pixel])


def drawn(batches):
    """Pairs of light and pixel of each batch, having checked that features and targets belong together."""
    pairs = []
    for X, y in batches:
        light, pixel = columns_of(X)
        expected = torch.stack([1000 * light + pixel, light - pixel], dim=-1)
        torch.testing.assert_close(y[0] if isinstance(y, tuple) else y, expected, rtol=0, atol=0)
        pairs.append([(int(i), int(j)) for i, j in zip(light.flatten(), pixel.flatten(), strict=True)])
    return pairs


def everything(lights, n_pixels):
    return sorted(itertools.product(lights, range(n_pixels)))


# --- Single pixels


@given(
    n_lights=st.integers(1, 12),
    image_shape=st.sampled_from([(), (1, 1), (1, 7), (3, 1), (4, 5)]),
    batch_size=st.integers(1, 300),
    part=st.booleans(),
)
@example(n_lights=12, image_shape=(4, 5), batch_size=21, part=False)  # more than all pixels
@example(n_lights=12, image_shape=(4, 5), batch_size=20, part=True)
@example(n_lights=12, image_shape=(), batch_size=5, part=True)  # a plain table
@example(n_lights=1, image_shape=(4, 5), batch_size=7, part=False)
@settings(max_examples=60, deadline=None)
def test_an_epoch_holds_each_observation_once(n_lights, image_shape, batch_size, part):
    observations = numbered(n_lights, image_shape)
    lights = [*range(n_lights)]
    if part:
        lights = lights[1::2] or lights
        observations = observations.subset(torch.tensor(lights))
    batches = TrainingBatches(observations, batch_size)
    for _ in range(2):
        pairs = drawn(batches)
        assert sorted(itertools.chain(*pairs)) == everything(lights, observations.n_pixels)
        size = min(batch_size, len(observations))
        assert [len(batch) for batch in pairs[:-1]] == [size] * (len(pairs) - 1)
        assert 0 < len(pairs[-1]) <= size
    assert batches.n_drawn == 2 * len(observations)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 33, 240])
def test_each_round_has_each_pixel_once(batch_size):
    pairs = [*itertools.chain(*drawn(TrainingBatches(numbered(12, (4, 5)), batch_size)))]
    for first in range(0, 240, 20):
        assert sorted(pixel for _, pixel in pairs[first : first + 20]) == [*range(20)]


def test_any_stretch_of_an_epoch_covers_the_lights_evenly():
    # 40 lights, 2,000 pixels; in a batch of 1,000 each light is expected 25 times, as if drawn at random.
    for X, _ in itertools.islice(TrainingBatches(numbered(40, (40, 50)), 1000), 20):
        counts = torch.bincount(columns_of(X)[0].long(), minlength=40).double()
        chi_square = ((counts - 25) ** 2 / 25).sum()
        assert counts.min() > 0
        assert chi_square < 39 + 6 * (2 * 39) ** 0.5


def test_light_and_pixel_of_a_batch_are_unrelated():
    batches = itertools.islice(TrainingBatches(numbered(50, (20, 20)), 400), 25)
    columns = torch.cat([columns_of(X) for X, _ in batches], dim=1)
    light, _ = columns
    assert abs(torch.corrcoef(columns)[0, 1]) < 4 / len(light) ** 0.5
    neighbours = torch.stack([light[:-1], light[1:]])
    assert abs(torch.corrcoef(neighbours)[0, 1]) < 4 / len(light) ** 0.5


@pytest.mark.parametrize("lights_per_pixel", [1, 2])
def test_order_is_random_and_follows_the_seed_alone(lights_per_pixel):
    observations = numbered(5, (3, 4))

    def epochs(seed):
        batches = TrainingBatches(observations, 8, lights_per_pixel=lights_per_pixel, seed=seed)
        return drawn(batches), drawn(batches)

    state = torch.get_rng_state()
    first, second = epochs(1)
    assert first != second
    torch.rand(3)
    assert epochs(1) == (first, second)
    assert epochs(2)[0] != first
    assert [*itertools.chain(*first)] != everything(range(5), 12)
    torch.set_rng_state(state)
    drawn(TrainingBatches(observations, 8, window_size=2))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("lights_per_pixel", [1, 2])
def test_all_orders_of_lights_come_up_for_a_pixel(lights_per_pixel):
    batches = TrainingBatches(numbered(3, (1, 2)), 2, lights_per_pixel=lights_per_pixel)
    orders = set()
    for _ in range(200):
        pairs = itertools.chain(*drawn(batches))
        orders.add(tuple(light for light, pixel in pairs if pixel == 0))
    assert orders == set(itertools.permutations(range(3)))


def test_batch_size_may_change_between_epochs():
    batches = TrainingBatches(numbered(6, (4, 5)), 50)
    sizes = []
    for batch_size in (50, 25, 12, 1000):
        batches.batch_size = batch_size
        pairs = drawn(batches)
        assert sorted(itertools.chain(*pairs)) == everything(range(6), 20)
        sizes.append([len(batch) for batch in pairs])
    assert sizes == [[50, 50, 20], [25] * 4 + [20], [12] * 10, [120]]


@given(
    n_lights=st.integers(1, 9),
    image_shape=st.sampled_from([(2, 2), (3, 5), (6, 4)]),
    batch_size=st.integers(1, 250),
    window_size=st.integers(1, 2),
)
@settings(max_examples=40, deadline=None)
def test_the_length_of_an_epoch_and_of_a_full_batch_are_known_beforehand(
    n_lights, image_shape, batch_size, window_size
):
    batches = TrainingBatches(numbered(n_lights, image_shape), batch_size, window_size)
    lengths = [len(batch) for batch in drawn(batches)]
    assert sum(lengths) == batches.n_drawn == batches.epoch_length
    assert lengths[:-1] == [batches.batch_length] * (len(lengths) - 1)


@given(
    n_lights=st.integers(1, 9),
    image_shape=st.sampled_from([(2, 2), (3, 5), (6, 4)]),
    batch_size=st.integers(1, 250),
    lights_per_pixel=st.integers(1, 12),
)
@settings(max_examples=40, deadline=None)
def test_no_batch_of_a_grid_is_longer_than_a_full_one(n_lights, image_shape, batch_size, lights_per_pixel):
    batches = TrainingBatches(numbered(n_lights, image_shape), batch_size, lights_per_pixel=lights_per_pixel)
    lengths = [len(batch) for batch in drawn(batches)]
    assert sum(lengths) == batches.n_drawn == batches.epoch_length
    assert max(lengths) <= batches.batch_length
    # At least one pixel, however few observations are asked for.
    assert batches.batch_length <= max(batch_size, lights_per_pixel)


@given(
    n_lights=st.integers(1, 12),
    image_shape=st.sampled_from([(), (1, 7), (4, 5)]),
    batch_size=st.integers(1, 60),
    window_size=st.integers(1, 4),
    max_observations=st.one_of(st.none(), st.integers(1, 700)),
    lights_per_pixel=st.integers(1, 5),
    n_epochs=st.integers(0, 3),
)
@settings(max_examples=50, deadline=None)
def test_epochs_go_on_from_the_generators_state(
    n_lights, image_shape, batch_size, window_size, max_observations, lights_per_pixel, n_epochs
):
    window_size = min(window_size, *(image_shape or (1,)))
    arguments = numbered(n_lights, image_shape), batch_size, window_size, max_observations, lights_per_pixel
    whole = TrainingBatches(*arguments, seed=1)
    for _ in range(n_epochs):
        drawn(whole)
    resumed = TrainingBatches(*arguments, seed=2)
    resumed.n_drawn = whole.n_drawn
    resumed.generator.set_state(whole.generator.get_state())
    assert [drawn(whole) for _ in range(2)] == [drawn(resumed) for _ in range(2)]
    assert resumed.n_drawn == whole.n_drawn


def test_max_observations_ends_the_batches_for_good():
    batches = TrainingBatches(numbered(4, (5, 5)), 30, max_observations=150)
    assert [len(batch) for batch in drawn(batches)] == [30, 30, 30, 10]
    assert not batches.exhausted
    assert [len(batch) for batch in drawn(batches)] == [30, 30]  # the batch that reaches the limit is the last
    assert (batches.n_drawn, batches.exhausted) == (160, True)
    assert drawn(batches) == []
    assert batches.n_drawn == 160


@pytest.mark.parametrize("lights_per_pixel", [1, 32])
def test_memory_is_for_the_pixels_not_for_the_observations(lights_per_pixel):
    # Five hundred lights: index tables of the whole epoch would have 500 times as many entries.
    observations = Observations(
        torch.zeros(500, 1), torch.zeros(4000, 1), torch.zeros(500, 1).expand(500, 4000)[..., None], (50, 80)
    )
    largest = 0
    observations.batch = lambda light, pixel: (light, pixel)
    batches = itertools.islice(TrainingBatches(observations, 1000, lights_per_pixel=lights_per_pixel), 30)
    with mock.patch("sklrelight.neural._batches.count_observations", return_value=1000):
        for light, pixel in batches:
            largest = max(largest, light.untyped_storage().nbytes(), pixel.untyped_storage().nbytes())
    assert largest <= 2 * 4000 * 8


# --- Grids


@given(
    n_lights=st.integers(1, 12),
    image_shape=st.sampled_from([(1, 1), (1, 7), (3, 1), (4, 5)]),
    batch_size=st.integers(1, 150),
    lights_per_pixel=st.integers(2, 15),
    part=st.booleans(),
    masked=st.booleans(),
)
@example(n_lights=7, image_shape=(4, 5), batch_size=8, lights_per_pixel=3, part=False, masked=True)
@example(n_lights=12, image_shape=(4, 5), batch_size=7, lights_per_pixel=15, part=True, masked=False)
@settings(max_examples=100, deadline=None)
def test_an_epoch_of_grids_holds_each_observation_once(
    n_lights, image_shape, batch_size, lights_per_pixel, part, masked
):
    n_pixels = math.prod(image_shape)
    inside = torch.arange(n_pixels) % 4 > 0 if masked and n_pixels > 1 else torch.ones(n_pixels, dtype=torch.bool)
    lights = [*range(n_lights)][1 if part and n_lights > 1 else 0 :]
    observations = numbered(n_lights, image_shape, pixel_weight=inside.float() if masked else None)
    batches = TrainingBatches(observations.subset(torch.tensor(lights)), batch_size, lights_per_pixel=lights_per_pixel)
    # Groups of about one size, and no larger than wanted.
    n_groups = math.ceil(len(lights) / lights_per_pixel)
    sizes = {len(lights) // n_groups, math.ceil(len(lights) / n_groups)}
    for _ in range(2):
        together = set()
        pairs = []
        for X, y in batches:
            assert X["lights"].shape[1:] == (1, 1)
            assert len(X["lights"]) in sizes
            assert (y[0] if masked else y).shape[:2] == (len(X["lights"]), len(X["pixels"]))
            assert len(X["pixels"]) <= batches.pixels_per_batch
            together.add(tuple(X["lights"].flatten().tolist()))
            pairs += drawn([(X, y)])[0]
        assert sorted(pairs) == sorted(itertools.product(lights, torch.nonzero(inside).flatten().tolist()))
        # In an epoch, a light is always with the same others.
        assert len(together) == n_groups
        assert sorted(itertools.chain(*together)) == lights
    assert batches.n_drawn == 2 * len(observations.subset(torch.tensor(lights)))


@given(n_lights=st.integers(2, 12), batch_size=st.integers(1, 60), lights_per_pixel=st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_any_stretch_of_grids_covers_the_pixels_evenly(n_lights, batch_size, lights_per_pixel):
    """Each round has each pixel once, but for what is left over between whole batches, and comes at the end."""
    n_pixels = 60
    batches = TrainingBatches(numbered(n_lights, (6, 10)), batch_size, lights_per_pixel=lights_per_pixel)
    counts = torch.zeros(n_pixels)
    left_over = batches.n_groups * (batches.pixels_per_batch - 1)
    n_seen = 0
    for X, _ in batches:
        counts[X["pixels"][:, 0].long()] += 1
        n_seen += len(X["pixels"])
        # How many rounds have begun, at the least and at the most.
        assert counts.max() <= math.ceil((n_seen + left_over) / n_pixels)
        assert counts.clamp(max=n_seen // n_pixels).sum() >= (n_seen // n_pixels) * n_pixels - left_over
    assert torch.equal(counts, torch.full((n_pixels,), float(batches.n_groups)))


def test_grids_change_their_pixels_and_lights_from_batch_to_batch():
    """Lights and pixels of batches are as if drawn at random: uniform, and unrelated to each other."""
    batches = TrainingBatches(numbered(64, (40, 50)), 16 * 64, lights_per_pixel=16)
    light_counts, pixel_counts, groups, columns = torch.zeros(64), torch.zeros(2000), [], []
    for X, _ in itertools.islice(batches, 60):
        assert len(set(X["pixels"].flatten().tolist())) == 64
        light_counts[X["lights"].flatten().long()] += 1
        pixel_counts[X["pixels"].flatten().long()] += 1
        groups.append(int(X["lights"][0, 0, 0]))
        columns.append(columns_of(X).flatten(1))
    # 60 batches of a quarter of the lights: 15 of each, give or take four deviations.
    assert (light_counts - 15).abs().max() <= 4 * (60 * 3 / 16) ** 0.5
    # Not quite two rounds of the pixels.
    assert pixel_counts.max() <= 3
    assert (pixel_counts > 0).float().mean() > 0.8
    # The groups come in random order: neighbours are the same one as often as by chance.
    same = np.mean([one == two for one, two in itertools.pairwise(groups)])
    assert abs(same - 0.25) < 4 * (3 / 16 / 59) ** 0.5
    columns = torch.cat(columns, dim=1)
    # Counted by groups and pixels, which are what is drawn.
    assert abs(torch.corrcoef(columns)[0, 1]) < 4 / (60 * 64) ** 0.5


def test_grids_of_a_new_epoch_have_other_groups():
    batches = TrainingBatches(numbered(12, (4, 5)), 40, lights_per_pixel=4)

    def groups():
        return {frozenset(X["lights"].flatten().tolist()) for X, _ in batches}

    assert len(set.union(*(groups() for _ in range(5)))) > 6


def test_more_lights_than_there_are_are_all_of_them():
    shapes = [y.shape for _, y in TrainingBatches(numbered(5, (4, 5)), 35, lights_per_pixel=32)]
    assert shapes == [(5, 7, 2), (5, 7, 2), (5, 6, 2)]


def test_max_observations_ends_grids():
    batches = TrainingBatches(numbered(4, (5, 5)), 20, max_observations=50, lights_per_pixel=2)
    assert [len(batch) for batch in drawn(batches)] == [20, 20, 20]
    assert (batches.n_drawn, batches.exhausted) == (60, True)
    assert drawn(batches) == []


def test_weights_of_a_grid_are_those_of_its_pixels_and_values():
    weight = torch.tensor([0.0, 2.0, 1.0, 0.5])
    observations = numbered(3, (2, 2), pixel_weight=weight, saturation=2000.0)
    for X, (y, weights) in TrainingBatches(observations, 6, lights_per_pixel=3):
        expected = (y < 2000) * weight[X["pixels"][:, 0].long()][:, None]
        assert torch.equal(weights, expected.to(weights.dtype))


# --- Observations


def test_subsets_are_views_and_nest():
    observations = numbered(6, (2, 2))
    subset = observations.subset(torch.tensor([5, 3, 1])).subset(torch.tensor([2, 0]))
    assert (subset.n_lights, subset.n_pixels, len(subset)) == (2, 4, 8)
    assert subset.targets is observations.targets
    X, _ = subset[torch.arange(8)]
    assert X["lights"][:, 0].tolist() == [1] * 4 + [5] * 4
    assert drawn(SequentialBatches(subset, 4)) == [
        [(1, 0), (1, 1), (5, 0), (5, 1)],
        [(1, 2), (1, 3), (5, 2), (5, 3)],
    ]
    assert drawn(SequentialBatches(subset, 1))[:3] == [[(1, 0)], [(5, 0)], [(1, 1)]]


def test_observations_are_numbered_light_by_light():
    observations = numbered(3, (2, 2))
    X, y = observations[torch.tensor([0, 5, 11])]
    assert columns_of(X).tolist() == [[0, 1, 2], [0, 1, 3]]
    assert y.tolist() == [[0, 0], [1001, 0], [2003, -1]]
    X, y = observations[5]
    assert ([X["lights"].tolist(), X["pixels"].tolist()], y.tolist()) == ([[1], [1]], [1001, 0])
    with pytest.raises(IndexError):
        observations[12]


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
def test_sequential_batches_go_through_everything_block_by_block(batch_size):
    pairs = drawn(SequentialBatches(numbered(3, (2, 2)), batch_size))
    assert sorted(itertools.chain(*pairs)) == everything(range(3), 4)
    assert all(0 < len(batch) <= batch_size for batch in pairs)
    # A pixel's lights come one after another, and its layers run once where they fit into a batch.
    pixels = [pixel for batch in pairs for pixel in sorted({pixel for _, pixel in batch})]
    assert pixels == sorted(pixels)
    assert len(pixels) == 4 * math.ceil(3 / batch_size)


def test_pixels_without_weight_are_no_observations():
    weight = torch.tensor([0.0, 2.0, 0.0, 0.5])
    observations = numbered(3, (2, 2), pixel_weight=weight)
    assert (observations.n_pixels, len(observations)) == (2, 6)
    X, (_, weights) = observations[torch.arange(6)]
    assert X["pixels"][:, 0].tolist() == [1, 3] * 3
    assert weights.tolist() == [[2.0, 2.0], [0.5, 0.5]] * 3
    for _, (y, weights) in TrainingBatches(observations, 4):
        assert weights.shape == y.shape
        assert set(weights.flatten().tolist()) <= {0.5, 2.0}


def test_values_at_or_above_saturation_have_no_weight():
    observations = numbered(3, (2, 2), saturation=1000.0)
    _, (y, weights) = observations[torch.arange(12)]
    assert torch.equal(weights, (y < 1000).to(y.dtype))


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([None, 0.7]))
@settings(max_examples=30, deadline=None)
def test_moments_are_those_of_the_values_that_have_weight(seed, masked, saturation):
    rng = np.random.default_rng(seed)
    values = rng.random((5, 6, 3)).astype(np.float32)
    weight = torch.tensor([1.0, 0.0, 3.0, 1.0, 0.0, 1.0]) if masked else None
    rows = torch.tensor([4, 0, 2])
    observations = Observations(
        torch.zeros(3, 1), torch.zeros(6, 1), torch.from_numpy(values), (2, 3), rows, weight, saturation
    )
    kept = values[rows.numpy()]
    kept = kept[:, weight.numpy() > 0] if masked else kept
    kept = kept[kept < saturation] if saturation else kept
    assert observations.target_moments() == pytest.approx((kept.mean(), kept.std()), rel=1e-4)


def test_values_without_spread_have_the_deviation_1():
    observations = Observations(torch.zeros(3, 1), torch.zeros(4, 1), torch.full((3, 4, 3), 0.1), (2, 2))
    assert observations.target_moments() == pytest.approx((0.1, 1.0))


def test_a_table_is_handed_over_without_a_copy_where_that_is_possible():
    table = np.zeros((3, 4), np.float32)
    as_tensor(table, torch.device("cpu"))[0, 0] = 5
    assert table[0, 0] == 5
    table.flags.writeable = False
    as_tensor(table, torch.device("cpu"))[0, 0] = 6
    assert table[0, 0] == 5


# --- Windows


@pytest.mark.parametrize("rows", [[*range(6)], [1, 4]])
@pytest.mark.parametrize(("window_size", "batch_size"), [(2, 23), (3, 31), (3, 4), (4, 64), (5, 1)])
def test_batches_of_windows_hold_whole_windows_within_the_image(window_size, batch_size, rows):
    height, width = 5, 9
    n_windows = max(1, round(batch_size / window_size**2))
    observations = numbered(6, (height, width)).subset(torch.tensor(rows))
    pairs = drawn(TrainingBatches(observations, batch_size, window_size))
    assert len(pairs) == math.ceil(len(observations) / (n_windows * window_size**2))
    for batch in pairs:
        assert len(batch) == n_windows * window_size**2
        for first in range(0, len(batch), window_size**2):
            window = batch[first : first + window_size**2]
            assert len({light for light, _ in window}) == 1
            assert window[0][0] in rows
            top, left = divmod(window[0][1], width)
            assert top + window_size <= height
            assert left + window_size <= width
            inside = itertools.product(range(top, top + window_size), range(left, left + window_size))
            assert [pixel for _, pixel in window] == [row * width + column for row, column in inside]


@pytest.mark.parametrize(("lights_per_pixel", "n_lights"), [(2, 2), (4, 3), (10, 6)])
def test_batches_of_windows_share_their_lights_in_grids(lights_per_pixel, n_lights):
    height, width, side = 5, 9, 2
    observations = numbered(6, (height, width))
    batches = TrainingBatches(observations, 30, side, lights_per_pixel=lights_per_pixel)
    n_windows = max(1, round(30 // n_lights / side**2))
    together = []
    for X, y in batches:
        assert y.shape[:2] == (n_lights, n_windows * side**2)
        together.append(frozenset(X["lights"].flatten().tolist()))
        assert len(together[-1]) == n_lights
        for window in X["pixels"][:, 0].long().split(side**2):
            top, left = divmod(int(window[0]), width)
            assert top + side <= height
            assert left + side <= width
            inside = itertools.product(range(top, top + side), range(left, left + side))
            assert window.tolist() == [row * width + column for row, column in inside]
    assert sum(y.shape[0] * y.shape[1] for _, y in batches) == batches.epoch_length >= len(observations)
    # Any lights may come together, not those of a fixed group.
    assert n_lights == 6 or len(set(together)) > 6 // n_lights


def test_windows_come_up_everywhere_and_under_all_lights():
    corners = set()
    batches = TrainingBatches(numbered(2, (3, 4)), 40, 2)
    for batch in itertools.chain(*(drawn(batches) for _ in range(100))):
        corners.update(batch[::4])
    assert corners == {(light, row * 4 + column) for light in range(2) for row in range(2) for column in range(3)}


def test_a_window_as_large_as_the_image_is_a_photograph():
    for batch in drawn(TrainingBatches(numbered(3, (4, 4)), 16, 4)):
        assert [pixel for _, pixel in batch] == [*range(16)]


@pytest.mark.parametrize(("image_shape", "window_size"), [((4, 6), 5), ((6, 4), 5), ((1, 1), 2), ((), 2)])
def test_windows_larger_than_the_image_are_refused(image_shape, window_size):
    with pytest.raises(ValueError, match=f"window_size={window_size} is larger than the image"):
        TrainingBatches(numbered(3, image_shape), 10, window_size)


# --- The argument for single pixels


@pytest.fixture(scope="module")
def scene():
    scene = make_scene(n_lights=64, image_shape=(48, 64))
    images = (scene.images / scene.images.max()) ** (1 / 2.2)
    rows, columns = np.divmod(np.arange(48 * 64), 64)
    return Observations(
        torch.from_numpy(scene.lights.astype(np.float32)),
        torch.from_numpy(np.column_stack([rows / 48, columns / 64]).astype(np.float32)),
        torch.from_numpy(images.reshape(64, 48 * 64, 3).astype(np.float32)),
        (48, 64),
    )


def strays(scene, window_size, batch_size=2304, n_batches=8):
    """Mean distance of a batch's distributions from the data's: light x, pixel x, first target channel."""
    X, y = scene[torch.arange(len(scene))]
    data = X["lights"][:, 0], X["pixels"][:, 1], y[:, 0]
    distances = []
    for X, y in itertools.islice(TrainingBatches(scene, batch_size, window_size), n_batches):
        assert len(y) == batch_size
        batch = X["lights"][:, 0], X["pixels"][:, 1], y[:, 0]
        distances.append([wasserstein_distance(a, b) / b.std() for a, b in zip(batch, data, strict=True)])
    return np.mean(distances, axis=0)


def test_batches_of_single_pixels_are_distributed_like_the_data_and_batches_of_windows_are_not(scene):
    by_window = {window_size: strays(scene, window_size) for window_size in (1, 3, 16, 48)}
    assert np.all(by_window[1] < 0.06)
    for window_size in (3, 16, 48):
        assert np.all(by_window[1] < by_window[window_size])
    # The larger the window, the farther; the largest is one part of one photograph.
    assert np.all(by_window[3] < by_window[16])
    assert np.all(by_window[48][[0, 2]] > 5 * by_window[1][[0, 2]])
