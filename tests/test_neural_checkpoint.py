"""`checkpoint=` of RelightingMLPRegressor: a fit that was stopped goes on to the same bytes."""

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from killed_fit import MOMENTS

from sklrelight import PixelLightFeaturizer, RelightingMLPRegressor, checkpoints, make_relighter, training
from sklrelight import training_state as states
from sklrelight.checkpoints import CheckpointFile, array_digest
from sklrelight.interpolation import NearestPhotograph, RBFInterpolation
from sklrelight.losses import CompositeLoss

SMALL = {"hidden_layer_sizes": (16, 16), "batch_size": 70, "max_epochs": 3, "random_state": 0}


class KilledError(BaseException):
    """Ends a fit where nothing catches it, as a signal would."""


@pytest.fixture(scope="module")
def capture():
    """Smooth photographs of 8 x 10 pixels under 24 lights, as features and encoded values."""
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (24, 2))
    shading = np.einsum("nd,hwd->nhw", lights, rng.normal(size=(8, 10, 2)))
    images = (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32)
    return PixelLightFeaturizer(n_components=3, random_state=0).fit(lights, images).transform(lights), images


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Keep the state every few batches of these small fits."""
    monkeypatch.setitem(states._OBSERVATIONS_BETWEEN, "cpu", 450)


@pytest.fixture
def at_batch(monkeypatch):
    """Call something at a given batch from now on, and something else at each."""
    forward = CompositeLoss.forward

    def install(batch, action, each=None):
        left = batch

        def counting(self, *values):
            nonlocal left
            if each is not None:
                each()
            left -= 1
            if left == 0:
                action()
            return forward(self, *values)

        monkeypatch.setattr(CompositeLoss, "forward", counting)

    return install


def kill():
    raise KilledError


def interrupt():
    raise KeyboardInterrupt


def fit_killed(at_batch, batches, regressor, *args, **kwargs):
    """Fit again and again, stopped at the given batches each time, and then to the end."""
    for batch in batches:
        at_batch(batch, kill)
        with pytest.raises(KilledError):
            regressor.fit(*args, **kwargs)
    at_batch(0, kill)
    return regressor.fit(*args, **kwargs)


def assert_same(regressor, whole, features):
    assert regressor.predict(features).tobytes() == whole.predict(features).tobytes()
    assert regressor.network_share_ == whole.network_share_
    assert regressor.n_observations_ == whole.n_observations_
    for ours, theirs in zip(regressor.nets_, whole.nets_, strict=True):
        assert len(ours.history) == len(theirs.history)
        for column in set(theirs.history[0]) - {"dur", "batches"}:
            assert ours.history[:, column] == theirs.history[:, column]


FITS = {
    "linear": {},
    "several": {"n_networks": 3, "interpolation": "auto"},
    "estimator": {"n_networks": 2, "interpolation": NearestPhotograph(), "dropout": 0.2},
    "constant": {"learning_rate": "constant", "optimizer": "adam", "dropout": 0.2},
    "plateau": {"learning_rate": "plateau", "plateau_patience": 1, "learning_rate_init": 0.05, "optimizer": "adam"},
    "stages": {"n_stages": 3, "validation_fraction": 0.2, "batch_size": 400},
    "early": {
        "n_stages": 3,
        "validation_fraction": 0.2,
        "stage_patience": 1,
        "max_epochs": 8,
        "learning_rate": "plateau",
        "learning_rate_init": 0.05,
        "normalization": "batch",
    },
    "last weights": {"validation_fraction": 0.3, "restore_best_weights": False},
    "windows": {"window_size": 3, "validation_fraction": 0.2, "dropout": 0.1},
    "large batches": {"batch_size": 300, "max_epochs": 8, "normalization": "layer", "activation": "prelu"},
    "whole epochs": {"batch_size": 10_000, "max_epochs": 30},
    "budget": {"max_observations": 5000, "n_networks": 2, "max_epochs": 100},
    "bfloat16": {"precision": "bfloat16", "dropout": 0.1},
    "latents": {"n_latents": 3, "n_networks": 2},
    "latents by Adam": {"n_latents": 2, "optimizer": "adam", "learning_rate": "plateau"},
}


class TestGoingOn:
    @pytest.mark.parametrize("name", FITS)
    def test_a_killed_fit_ends_in_the_same_bytes(self, capture, at_batch, path, name):
        features, images = capture
        parameters = SMALL | FITS[name]
        whole = RelightingMLPRegressor(**parameters).fit(features, images)
        regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
        fit_killed(at_batch, [3, 9, 10, 7], regressor, features, images)
        assert_same(regressor, whole, features)
        assert list(path.parent.iterdir()) == []

    @pytest.mark.parametrize("threads", [(1, 2), (2, 1), (2, 4)])
    def test_it_does_not_matter_how_many_are_trained_at_a_time(self, capture, at_batch, path, n_threads, threads):
        features, images = capture
        parameters = {**SMALL, "n_networks": 4}
        n_threads(1)
        whole = RelightingMLPRegressor(**parameters).fit(features, images)
        regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
        for number in threads:
            n_threads(number)
            at_batch(120, kill)
            with pytest.raises(KilledError):
                regressor.fit(features, images)
        at_batch(0, kill)
        assert_same(regressor.fit(features, images), whole, features)
        assert torch.get_num_threads() == threads[-1]

    def test_a_fit_with_a_checkpoint_is_the_same_as_without(self, capture, path):
        features, images = capture
        whole = RelightingMLPRegressor(**SMALL).fit(features, images)
        assert_same(RelightingMLPRegressor(**SMALL, checkpoint=str(path)).fit(features, images), whole, features)

    def test_what_was_done_is_not_done_again(self, capture, at_batch, path, n_threads):
        n_threads(1)
        regressor = RelightingMLPRegressor(**SMALL, n_networks=2, checkpoint=path)
        # 28 batches an epoch, and 84 a network. Every seventh is kept.
        at_batch(84 + 60, kill)
        with pytest.raises(KilledError):
            regressor.fit(*capture)
        at_batch(2 * 84 - (84 + 56), kill)
        with pytest.raises(KilledError):
            regressor.fit(*capture)
        at_batch(2 * 84 - (84 + 77) + 1, kill)
        regressor.fit(*capture)

    def test_weights_saturation_and_plain_tables(self, capture, at_batch, path):
        features, images = capture
        weight = np.ones((8, 10))
        weight[:3], weight[3:5] = 0, 0.3
        extra = {"pixel_weight": weight, "saturation": 0.7}
        whole = RelightingMLPRegressor(**SMALL).fit(features, images, **extra)
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path)
        assert_same(fit_killed(at_batch, [20, 20], regressor, features, images, **extra), whole, features)

        table, values = features.to_table(), images.reshape(-1, 3)
        whole = RelightingMLPRegressor(**SMALL).fit(table, values)
        assert_same(fit_killed(at_batch, [20, 20], regressor, table, values), whole, table)

    def test_a_relighter_goes_on(self, capture, at_batch, path):
        features, images = capture
        lights = features.light_vectors
        relighters = [make_relighter(random_state=0).set_params(regressor__mlp__max_observations=8000) for _ in "ab"]
        relighters[1].set_params(regressor__mlp__checkpoint=path)
        relighters[0].fit(lights, images)
        fit_killed(at_batch, [20, 10, 15], relighters[1], lights, images)
        one, other = (relighter.predict(lights).tobytes() for relighter in relighters)
        assert one == other

    def test_the_progress_bar_shows_what_was_done_before(self, capture, at_batch, path, capfd):
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path, verbose=1)
        fit_killed(at_batch, [80], regressor, *capture)
        assert "100%" in capfd.readouterr().err.rsplit("\r", 1)[-1]

    def test_an_epochs_duration_spans_both_processes(self, capture, at_batch, path):
        regressor = RelightingMLPRegressor(**{**SMALL, "max_epochs": 1}, checkpoint=path)
        at_batch(20, kill, each=lambda: time.sleep(0.02))
        with pytest.raises(KilledError):
            regressor.fit(*capture)
        at_batch(0, kill)
        regressor.fit(*capture)
        # The state was kept after 14 of 28 batches.
        assert regressor.history_[0, "dur"] > 0.28


class TestRandomState:
    def test_a_generator_goes_on_from_where_it_was_at_the_start(self, capture, at_batch, path):
        features, images = capture
        parameters = {**SMALL, "n_networks": 2, "interpolation": "auto"}
        generator = np.random.RandomState(7)
        whole = RelightingMLPRegressor(**{**parameters, "random_state": generator}).fit(features, images)
        after = generator.randint(1000, size=5)
        # The same object, which has moved on.
        generator = np.random.RandomState(7)
        regressor = RelightingMLPRegressor(**{**parameters, "random_state": generator}, checkpoint=path)
        assert_same(fit_killed(at_batch, [30, 30], regressor, features, images), whole, features)
        np.testing.assert_array_equal(generator.randint(1000, size=5), after)

    def test_none_goes_on_too_and_leaves_numpys_generator_alone(self, capture, at_batch, path):
        features, images = capture
        parameters = {**SMALL, "random_state": None, "n_networks": 2, "interpolation": "auto"}
        before = np.random.get_state()
        try:
            np.random.seed(5)
            whole = RelightingMLPRegressor(**parameters).fit(features, images)
            np.random.seed(5)
            regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
            at_batch(30, kill)
            with pytest.raises(KilledError):
                regressor.fit(features, images)
            np.random.seed(6)
            expected = np.random.random(3)
            np.random.seed(6)
            at_batch(0, kill)
            regressor.fit(features, images)
            np.testing.assert_array_equal(np.random.random(3), expected)
        finally:
            np.random.set_state(before)
        assert_same(regressor, whole, features)


class TestEndOfTheFit:
    def test_the_file_is_there_from_the_start_and_gone_at_the_end(self, capture, at_batch, path):
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path)
        seen = []
        at_batch(1, lambda: seen.append(path.is_file()))
        regressor.fit(*capture)
        assert seen == [True]
        assert not path.exists()

    def test_ctrl_c_keeps_the_file_and_the_next_fit_goes_on(self, capture, at_batch, path):
        features, images = capture
        parameters = {**SMALL, "n_networks": 2, "interpolation": "auto"}
        whole = RelightingMLPRegressor(**parameters).fit(features, images)
        regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
        at_batch(100, interrupt)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(features, images)
        assert regressor.interrupted_
        assert np.isfinite(regressor.predict(features)).all()
        at_batch(0, kill)
        assert_same(regressor.fit(features, images), whole, features)

    def test_max_time_counts_what_was_spent_before(self, capture, monkeypatch, path, n_threads):
        features, images = capture
        n_threads(1)
        # A second a batch, and three between the calls of `fit`.
        now = 0.0
        forward = CompositeLoss.forward

        def slow(self, *values):
            nonlocal now
            now += 1
            if now == 30:
                raise KilledError
            return forward(self, *values)

        monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: now))
        monkeypatch.setattr(CompositeLoss, "forward", slow)
        parameters = {**SMALL, "max_epochs": 1000, "learning_rate": "linear", "max_time": 60, "n_networks": 2}
        regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
        with pytest.raises(KilledError):
            regressor.fit(features, images)
        now += 1000
        regressor.fit(features, images)
        # 28 batches an epoch, the last one of 30 observations.
        assert [sum(net.history[:, "train_batch_count"]) for net in regressor.nets_] == [30, 30]
        assert all(net.history[-1, "event_lr"] == pytest.approx(0, abs=1e-9) for net in regressor.nets_)

    def test_a_trained_model_can_be_saved(self, capture, path):
        features, images = capture
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path).fit(features, images)
        assert regressor.net_.keeper is None

    def test_files_are_written_now_and_then_only(self, capture, monkeypatch, path):
        monkeypatch.setitem(states._OBSERVATIONS_BETWEEN, "cpu", 2000)
        written = []
        monkeypatch.setattr(CheckpointFile, "write", lambda self, state: written.append(dict(state)))
        RelightingMLPRegressor(**SMALL, n_networks=2, validation_fraction=0.25, checkpoint=path).fit(*capture)
        # At the start, at the end of each network, and every 2,000 of 3 x (1,440 + 480) observations of a network.
        assert len(written) == 1 + 2 * (1 + 2)


class TestRefusing:
    @pytest.fixture
    def stopped(self, capture, at_batch, path):
        """Leave the checkpoint of a fit that was stopped."""
        regressor = RelightingMLPRegressor(**SMALL, interpolation=RBFInterpolation(), checkpoint=path)
        at_batch(30, kill)
        with pytest.raises(KilledError):
            regressor.fit(*capture)
        at_batch(0, kill)
        return regressor

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"learning_rate_init": 0.01}, "learning_rate_init was 0.004 and is 0.01"),
            ({"hidden_layer_sizes": (16,)}, r"hidden_layer_sizes was \(16, 16\) and is \(16,\)"),
            ({"random_state": 1}, "random_state was 0 and is 1"),
            ({"interpolation__smoothing": 0.5}, "interpolation__smoothing was 0.0 and is 0.5"),
            ({"interpolation": None}, "interpolation was sklrelight.*RBFInterpolation and is None"),
            ({"precision": "bfloat16"}, "precision was 'float32' and is 'bfloat16'"),
            ({"max_time": 5}, "max_time was None and is 5"),
        ],
    )
    def test_other_parameters(self, capture, stopped, path, parameters, message):
        before = path.read_bytes()
        with pytest.raises(ValueError, match=rf"The checkpoint .*fit\.checkpoint is of another fit: .*{message}"):
            stopped.set_params(**parameters).fit(*capture)
        assert path.read_bytes() == before

    def test_other_data(self, capture, stopped):
        features, images = capture
        changed = images.copy()
        changed[5, 3, 2, 1] += 1e-6
        with pytest.raises(ValueError, match=r"of another fit: y was float32 \(24, 8, 10, 3\)"):
            stopped.fit(features, changed)
        with pytest.raises(ValueError, match=r"saturation was None and is 0\.9"):
            stopped.fit(features, images, saturation=0.9)
        with pytest.raises(ValueError, match="pixel_weight was None"):
            stopped.fit(features, images, pixel_weight=np.arange(80).reshape(8, 10))
        with pytest.raises(ValueError, match="the lights of X was"):
            stopped.fit(features[::-1], images)

    def test_what_changes_no_result_is_not_asked_for(self, capture, stopped, path, tmp_path):
        moved = tmp_path / "moved"
        path.rename(moved)
        stopped.set_params(checkpoint=str(moved), verbose=1, device="cpu").fit(*capture)
        assert not moved.exists()

    @pytest.mark.parametrize("content", [b"", b"some notes of mine", b"sklrelight checkpoint 0\n" + bytes(100)])
    def test_another_file_is_neither_read_nor_overwritten(self, capture, path, content):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a checkpoint of this version of sklrelight"):
            RelightingMLPRegressor(**SMALL, checkpoint=path).fit(*capture)
        assert path.read_bytes() == content

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_damage_anywhere_is_noticed(self, data):
        path = Path(self.folder, "file")
        checkpoint = CheckpointFile(path, {"name": "value"})
        checkpoint.write({"weights": torch.arange(50.0), "row": [1, "text", None]})
        whole = path.read_bytes()
        if data.draw(st.booleans()):
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        else:
            place = data.draw(st.integers(0, len(whole) - 1))
            damaged = bytearray(whole)
            damaged[place] ^= data.draw(st.integers(1, 255))
            path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            checkpoint.read()

    @pytest.fixture(autouse=True)
    def keep_folder(self, tmp_path_factory):
        self.folder = tmp_path_factory.mktemp("damage")

    def test_code_in_a_file_is_not_run(self, path):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(path) + ".run",)

        buffer = io.BytesIO()
        torch.save({"fingerprint": {}, "state": Evil()}, buffer)
        body = buffer.getvalue()
        path.write_bytes(checkpoints._MAGIC + hashlib.sha256(body).digest() + body)
        with pytest.raises(ValueError, match="holds more than data"):
            CheckpointFile(path, {}).read()
        assert not Path(str(path) + ".run").exists()

    def test_a_folder_that_is_not_there(self, capture, tmp_path, at_batch):
        at_batch(1, lambda: pytest.fail("it was noticed after training had begun"))
        with pytest.raises(FileNotFoundError, match=r"Cannot write the checkpoint .*absent/fit"):
            RelightingMLPRegressor(**SMALL, checkpoint=tmp_path / "absent" / "fit").fit(*capture)
        with pytest.raises(ValueError, match="is a folder"):
            RelightingMLPRegressor(**SMALL, checkpoint=tmp_path).fit(*capture)
        with pytest.raises(ValueError, match="'checkpoint' parameter"):
            RelightingMLPRegressor(**SMALL, checkpoint=3).fit(*capture)

    def test_a_full_disk_leaves_the_earlier_checkpoint(self, monkeypatch, path):
        checkpoint = CheckpointFile(path, {})
        checkpoint.write({"number": 1})

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(checkpoints.os, "fsync", full)
        with pytest.raises(OSError, match=r"Cannot write the checkpoint .*No space left"):
            checkpoint.write({"number": 2})
        assert checkpoint.read() == {"number": 1}
        assert list(path.parent.iterdir()) == [path]


class TestDigest:
    @settings(deadline=None)
    @given(st.integers(1, 6000), st.integers(0, 2**32 - 1), st.data())
    def test_any_changed_value_shows(self, size, seed, data):
        values = np.random.default_rng(seed).random(size, dtype=np.float32)
        changed = values.copy()
        place = data.draw(st.integers(0, size - 1))
        changed[place] = np.nextafter(changed[place], np.float32(2))
        assert array_digest(values) != array_digest(changed)
        assert array_digest(values) == array_digest(values.copy())

    @settings(deadline=None)
    @given(st.integers(2, 6000), st.integers(0, 2**32 - 1), st.data())
    def test_order_shape_and_type_show(self, size, seed, data):
        values = np.random.default_rng(seed).random(size)
        one, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
        swapped = values.copy()
        swapped[[one, other]] = values[[other, one]]
        assert array_digest(values) != array_digest(swapped)
        assert array_digest(values) != array_digest(values[:, None])
        assert array_digest(values) != array_digest(values.view(np.int64))

    def test_memory_order_does_not(self):
        values = np.random.default_rng(0).random((40, 50))
        assert array_digest(values) == array_digest(np.asfortranarray(values))


# --- In processes of their own, ended by SIGKILL


SEVERAL = {
    "hidden_layer_sizes": (32, 32),
    "batch_size": 500,
    "max_epochs": 2,
    "n_networks": 2,
    "interpolation": "auto",
    "dropout": 0.1,
    "validation_fraction": 0.1,
    "random_state": 0,
    "every": 3000,
}


def prepare(folder, parameters):
    """Write a folder for ``killed_fit.py``."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (24, 2))
    shading = np.einsum("nd,hwd->nhw", lights, rng.normal(size=(24, 30, 2)))
    images = (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32)
    np.savez(folder / "data.npz", lights=lights, images=images)
    (folder / "parameters.json").write_text(json.dumps({**parameters, "checkpoint": str(folder / "fit")}))
    return folder


def attempt(*attempts):
    """Run ``killed_fit.py``: exit codes and seconds."""
    attempts = json.dumps([(str(folder), moment, count) for folder, moment, count in attempts])
    command = [sys.executable, Path(__file__).with_name("killed_fit.py"), attempts]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return zip(*json.loads(shown), strict=True)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@needs_fork
def test_a_process_that_is_killed_goes_on_to_the_same_bytes(tmp_path):
    whole, folder = prepare(tmp_path / "whole", SEVERAL), prepare(tmp_path / "killed", SEVERAL)
    rng = np.random.default_rng()
    # A random batch twice, and while a random one of the next files is written.
    moments = [(name, int(rng.integers(1, 6))) for name in ("batch", "half", "batch", "rename")]
    print(moments)
    codes, _ = attempt((whole, None, 0), *((folder, *moment) for moment in moments), (folder, None, 0))
    assert codes == (0, -9, -9, -9, -9, 0)
    assert (folder / "result.npy").read_bytes() == (whole / "result.npy").read_bytes()
    assert not list(folder.glob("fit*"))


@needs_fork
@pytest.mark.slow
def test_twenty_kills_and_resumptions_end_in_the_same_bytes(tmp_path):
    parameters = {**SEVERAL, "max_epochs": 20}
    whole = prepare(tmp_path / "whole", parameters)
    (code,), (seconds,) = attempt((whole, None, 0))
    assert code == 0
    # It may have been slow for other reasons.
    seconds = min(seconds, 5)
    rng = np.random.default_rng()
    kills = dict.fromkeys((*MOMENTS, "clock"), 0)
    n_series = 0
    # A kill by the clock may come too late, when the fit has ended.
    while sum(kills.values()) < 20 or not kills["clock"]:
        folder = prepare(tmp_path / f"series_{n_series}", parameters)
        moments = []
        for moment in MOMENTS:
            moments += [(moment, int(rng.integers(1, 6))), ("clock", rng.uniform(0.1, 0.4) * seconds)]
        rng.shuffle(moments)
        attempts = [(folder, str(moment), int(count) if moment != "clock" else count) for moment, count in moments]
        codes, _ = attempt(*attempts, (folder, None, 0))
        for (_, moment, _), code in zip(attempts, codes, strict=False):
            assert code in {0, -9}
            kills[moment] += code == -9
        n_series += 1
        assert codes[-1] == 0
        assert (folder / "result.npy").read_bytes() == (whole / "result.npy").read_bytes()
        assert not list(folder.glob("fit*"))
    print(f"{sum(kills.values())} kills ({kills}) in {n_series} series of fits; the same bytes at the end of each")
    assert all(kills.values())
