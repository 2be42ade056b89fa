"""`checkpoint=` of RelightingMLPRegressor: a fit that was stopped goes on to the same bytes."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from killed_fit import MOMENTS
from skorch.callbacks import EarlyStopping, LRScheduler
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR

from sklrelight import ImageStack, PixelLightFeaturizer, RelightingMLPRegressor, make_relighter
from sklrelight.neural import (
    BatchSizeStages,
    CompositeLoss,
    PlateauLearningRate,
    _checkpoint,
    _net,
    fit_side_by_side,
)
from sklrelight.neural._checkpoint import FitCheckpoint, array_digest, fit_fingerprint

# Three epochs of 1,920 observations, in 28 batches each, the last one of 30.
SMALL = {
    "hidden_layer_sizes": (16, 16),
    "pixel_layer_sizes": (),
    "batch_size": 70,
    "max_observations": 3 * 1920,
    "random_state": 0,
}


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


@pytest.fixture
def at_batch(monkeypatch):
    """Call something at a given batch from now on, and something else at each."""
    forward = CompositeLoss.forward

    def install(batch, action=None, each=None):
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
    at_batch(0)
    return regressor.fit(*args, **kwargs)


def assert_same(regressor, whole, features):
    assert regressor.predict(features).tobytes() == whole.predict(features).tobytes()
    assert regressor.n_observations_ == whole.n_observations_
    assert regressor.config_ == whole.config_
    assert len(regressor.history_) == len(whole.history_)
    for column in set(whole.history_[0]) - {"dur", "batches"}:
        assert regressor.history_[:, column] == whole.history_[:, column]


EPOCHS = {"max_observations": None}
FITS = {
    "plain": {},
    "layers of the pixel": {"pixel_layer_sizes": (8, 8), "validation_fraction": 0.2, "dropout": 0.1},
    "dropout": {"optimizer": "adam", "dropout": 0.2},
    "plateau": {
        "optimizer": "adam",
        "learning_rate_init": 0.05,
        "callbacks": [PlateauLearningRate(patience=1)],
    },
    "stages": {
        **EPOCHS,
        "callbacks": [BatchSizeStages(3, max_epochs=2)],
        "validation_fraction": 0.2,
        "batch_size": 400,
    },
    "colburn2019": {
        **EPOCHS,
        "callbacks": [
            ("stages", BatchSizeStages(n_stages=3, max_epochs=4, patience=1, restore_best=True)),
            ("plateau", PlateauLearningRate(patience=1)),
        ],
        "validation_fraction": 0.2,
        "learning_rate_init": 0.05,
        "optimizer": "adam",
        "normalization": "batch",
    },
    "a scheduler of skorch's": {"callbacks": [LRScheduler(ExponentialLR, gamma=0.5)]},
    "one that steps with each batch": {
        "optimizer": "adam",
        "callbacks": [("cycle", LRScheduler(OneCycleLR, max_lr=[0.1], total_steps=90, step_every="batch"))],
    },
    "early stopping": {
        "callbacks": [EarlyStopping(monitor="valid_loss", patience=2, threshold=0.9, load_best=True)],
        "validation_fraction": 0.2,
        "max_observations": 10**6,
    },
    "windows": {"window_size": 3, "validation_fraction": 0.2, "dropout": 0.1},
    "large batches": {
        "batch_size": 300,
        "max_observations": 8 * 1920,
        "normalization": "layer",
        "activation": "prelu",
    },
    "whole epochs": {"batch_size": 10_000, "max_observations": 30 * 1920},
    "ends within an epoch": {"max_observations": 5000},
    "bfloat16": {"precision": "bfloat16", "dropout": 0.1},
}


class TestGoingOn:
    @pytest.mark.parametrize("name", FITS)
    def test_a_killed_fit_ends_in_the_same_bytes(self, capture, at_batch, path, name):
        features, images = capture
        parameters = SMALL | FITS[name]
        batches = []
        at_batch(0, each=lambda: batches.append(1))
        whole = RelightingMLPRegressor(**parameters).fit(features, images)
        regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
        # Half of what is left at most: it does not come to its end.
        kills = [1, len(batches) // 2, len(batches) // 4, len(batches) // 8]
        assert_same(fit_killed(at_batch, kills, regressor, features, images), whole, features)
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("name", ["plain", "layers of the pixel", "colburn2019", "ends within an epoch"])
    def test_photographs_on_disk_do_as_well(self, capture, at_batch, path, tmp_path, name):
        features, images = capture
        np.save(tmp_path / "images.npy", images)
        parameters = SMALL | FITS[name]
        whole = RelightingMLPRegressor(**parameters).fit(features, ImageStack(tmp_path / "images.npy"))
        regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
        fit_killed(at_batch, [1, 40, 20], regressor, features, ImageStack(tmp_path / "images.npy"))
        assert_same(regressor, whole, features)

    def test_a_fit_with_a_checkpoint_is_the_same_as_without(self, capture, path):
        features, images = capture
        whole = RelightingMLPRegressor(**SMALL).fit(features, images)
        assert_same(RelightingMLPRegressor(**SMALL, checkpoint=str(path)).fit(features, images), whole, features)

    def test_whole_epochs_are_not_done_again(self, capture, at_batch, path):
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path)
        done = []
        for batch in (28 + 10, 28 + 3):
            at_batch(batch, kill, each=lambda: done.append(1))
            with pytest.raises(KilledError):
                regressor.fit(*capture)
        at_batch(0, each=lambda: done.append(1))
        regressor.fit(*capture)
        assert len(done) == 3 * 28 + 10 + 3

    @pytest.mark.parametrize("name", ["plain", "colburn2019", "early stopping"])
    def test_the_next_fit_takes_the_trained_network_from_the_file(self, capture, at_batch, path, name):
        features, images = capture
        parameters = SMALL | FITS[name]
        whole = RelightingMLPRegressor(**parameters, checkpoint=path).fit(features, images)
        done = []
        at_batch(0, each=lambda: done.append(1))
        assert_same(RelightingMLPRegressor(**parameters, checkpoint=path).fit(features, images), whole, features)
        # skorch's early stopping ends the last epoch before it is kept.
        assert len(done) == (23 if name == "early stopping" else 0)

    def test_weights_saturation_and_plain_tables(self, capture, at_batch, path):
        features, images = capture
        weight = np.ones((8, 10))
        weight[:3], weight[3:5] = 0, 0.3
        extra = {"pixel_weight": weight, "saturation": 0.7}
        whole = RelightingMLPRegressor(**SMALL).fit(features, images, **extra)
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path)
        assert_same(fit_killed(at_batch, [30, 30], regressor, features, images, **extra), whole, features)

        table, values = features.to_table(), images.reshape(-1, 3)
        whole = RelightingMLPRegressor(**SMALL).fit(table, values)
        regressor.set_params(checkpoint=path.with_name("table"))
        assert_same(fit_killed(at_batch, [30, 30], regressor, table, values), whole, table)

    @pytest.mark.parametrize("threads", [(1, 2), (2, 1), (2, 4)])
    def test_members_of_an_ensemble_do_whatever_their_number_at_a_time(
        self, capture, at_batch, path, n_threads, threads
    ):
        def fit_all(**parameters):
            # They share the observations.
            parameters = {**SMALL, "max_observations": 4 * 3 * 1920, **parameters}
            members = [RelightingMLPRegressor(**parameters | {"random_state": number}) for number in range(4)]
            fit_side_by_side([lambda member=member: member.fit(*capture) for member in members])
            return members

        n_threads(1)
        whole = fit_all()
        for number in threads:
            n_threads(number)
            at_batch(60, kill)
            with pytest.raises(KilledError):
                fit_all(checkpoint=path)
        at_batch(0)
        for one, other in zip(fit_all(checkpoint=path), whole, strict=True):
            assert_same(one, other, capture[0])
        assert {file.name for file in path.parent.iterdir()} == {f"{path.name}.{i}" for i in (1, 2, 3, 4)}
        members = RelightingMLPRegressor(checkpoint=path)
        members.remove_checkpoint(4)
        assert list(path.parent.iterdir()) == []

    def test_a_relighter_goes_on_and_deletes_the_files_at_its_end(self, capture, at_batch, path):
        features, images = capture
        lights = features.lights[:, :2]
        relighters = [make_relighter(max_observations=8000, random_state=0) for _ in "ab"]
        for relighter in relighters:
            relighter.set_params(n_members=2, regressor__mlp__hidden_layer_sizes=(16,), regressor__mlp__batch_size=70)
        relighters[1].set_params(regressor__mlp__checkpoint=path)
        relighters[0].fit(lights, images)
        fit_killed(at_batch, [20, 60, 35], relighters[1], lights, images)
        one, other = (relighter.predict(lights).tobytes() for relighter in relighters)
        assert one == other
        assert list(path.parent.iterdir()) == []

    def test_the_progress_bar_shows_what_was_done_before(self, capture, at_batch, path, capfd):
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path, verbose=1)
        fit_killed(at_batch, [80], regressor, *capture)
        assert "100%" in capfd.readouterr().err.rsplit("\r", 1)[-1]


class TestRandomState:
    def test_a_generator_goes_on_with_the_seed_that_it_gave_at_the_start(self, capture, at_batch, path):
        features, images = capture
        whole = RelightingMLPRegressor(**SMALL | {"random_state": np.random.RandomState(7)}).fit(features, images)
        # The same object, which has moved on.
        regressor = RelightingMLPRegressor(**SMALL | {"random_state": np.random.RandomState(7)}, checkpoint=path)
        assert_same(fit_killed(at_batch, [40, 40], regressor, features, images), whole, features)

    def test_none_does_as_well(self, capture, at_batch, path):
        features, images = capture
        parameters = SMALL | {"random_state": None}
        regressor = RelightingMLPRegressor(**parameters, checkpoint=path)
        before = np.random.get_state()
        try:
            np.random.seed(5)
            whole = RelightingMLPRegressor(**parameters).fit(features, images)
            np.random.seed(5)
            at_batch(40, kill)
            with pytest.raises(KilledError):
                regressor.fit(features, images)
            np.random.seed(6)
            at_batch(0)
            regressor.fit(features, images)
        finally:
            np.random.set_state(before)
        assert_same(regressor, whole, features)


class TestEndOfTheFit:
    def test_the_file_is_there_from_the_start_to_the_end(self, capture, at_batch, path):
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path)
        seen = []
        at_batch(1, lambda: seen.append(path.is_file()))
        regressor.fit(*capture)
        assert seen == [True]
        assert list(path.parent.iterdir()) == [path]
        regressor.remove_checkpoint()
        assert list(path.parent.iterdir()) == []

    def test_it_is_written_at_the_start_and_after_each_epoch(self, capture, monkeypatch, path):
        written = []
        monkeypatch.setattr(FitCheckpoint, "write", lambda self, state: written.append(state["n_drawn"]))
        RelightingMLPRegressor(**SMALL, checkpoint=path).fit(*capture)
        assert written == [0, 1920, 2 * 1920, 3 * 1920]

    def test_ctrl_c_keeps_the_file_and_the_next_fit_goes_on(self, capture, at_batch, path):
        features, images = capture
        whole = RelightingMLPRegressor(**SMALL).fit(features, images)
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path)
        at_batch(50, interrupt)
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(features, images)
        assert regressor.interrupted_
        assert np.isfinite(regressor.predict(features)).all()
        at_batch(0)
        assert_same(regressor.fit(features, images), whole, features)

    def test_max_time_counts_what_was_spent_before(self, capture, at_batch, monkeypatch, path):
        # A second a batch, and a thousand between the calls of `fit`.
        now = 0.0

        def tick():
            nonlocal now
            now += 1

        monkeypatch.setattr(_net, "time", SimpleNamespace(perf_counter=lambda: now))
        regressor = RelightingMLPRegressor(**SMALL | {"max_observations": None}, max_time=60, checkpoint=path)
        at_batch(40, kill, each=tick)
        with pytest.raises(KilledError):
            regressor.fit(*capture)
        now += 1000
        at_batch(0, each=tick)
        regressor.fit(*capture)
        assert regressor.history_[:, "train_batch_count"] == [28, 28, 4]
        assert regressor.history_[-1, "event_lr"] == pytest.approx(0.002 / 60)

    def test_a_trained_model_keeps_nothing_of_it(self, capture, path):
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path).fit(*capture)
        loaded = pickle.loads(pickle.dumps(regressor))
        assert loaded.predict(capture[0]).tobytes() == regressor.predict(capture[0]).tobytes()
        assert b"FitCheckpoint" not in pickle.dumps(regressor)


class TestInUse:
    def test_a_fit_that_shares_the_file_is_told(self, capture, at_batch, path):
        features, images = capture
        whole = RelightingMLPRegressor(**SMALL).fit(features, images)
        messages = []

        def fit_another():
            with pytest.raises(ValueError, match="in use by another fit") as raised:
                RelightingMLPRegressor(**SMALL, checkpoint=path).fit(features, images)
            messages.append(str(raised.value))

        at_batch(40, fit_another)
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path).fit(features, images)
        assert len(messages) == 1
        assert str(path) in messages[0]
        assert "a file of its own" in messages[0]
        # The first one does not notice.
        assert_same(regressor, whole, features)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
    def test_another_process_is_told(self, path):
        checkpoint = FitCheckpoint(path, {})
        child = os.fork()
        if child == 0:
            code = 1
            try:
                FitCheckpoint(path, {})
            except ValueError as error:
                code = 7 if "in use by another fit" in str(error) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        checkpoint.close()
        FitCheckpoint(path, {}).close()
        assert list(path.parent.iterdir()) == []

    def test_it_is_free_after_a_fit_that_failed(self, capture, at_batch, path):
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path)
        at_batch(3, kill)
        with pytest.raises(KilledError):
            regressor.fit(*capture)
        assert list(path.parent.iterdir()) == [path]
        path.write_bytes(b"damaged")
        with pytest.raises(ValueError, match="damaged"):
            regressor.fit(*capture)
        assert list(path.parent.iterdir()) == [path]


class TestRefusing:
    @pytest.fixture
    def stopped(self, capture, at_batch, path):
        """Leave the checkpoint of a fit that was stopped."""
        callbacks = [("stages", BatchSizeStages(n_stages=2))]
        regressor = RelightingMLPRegressor(**SMALL, callbacks=callbacks, checkpoint=path)
        at_batch(30, kill)
        with pytest.raises(KilledError):
            regressor.fit(*capture)
        at_batch(0)
        return regressor

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"learning_rate_init": 0.01}, "learning_rate_init was 0.002 and is 0.01"),
            ({"hidden_layer_sizes": (16,)}, r"hidden_layer_sizes was \(16, 16\) and is \(16,\)"),
            ({"random_state": 1}, "random_state was 0 and is 1"),
            ({"callbacks__stages__n_stages": 3}, "callbacks__stages__n_stages was 2 and is 3"),
            ({"callbacks": None}, "callbacks__stages was sklrelight.*BatchSizeStages and is not there"),
            (
                {"callbacks__stages": PlateauLearningRate()},
                "callbacks__stages was .*Stages and is .*PlateauLearningRate",
            ),
            ({"precision": "bfloat16"}, "precision was 'auto' and is 'bfloat16'"),
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

    def test_other_photographs_on_disk(self, capture, at_batch, path, tmp_path):
        features, images = capture
        np.save(tmp_path / "images.npy", images)
        regressor = RelightingMLPRegressor(**SMALL, checkpoint=path)
        at_batch(30, kill)
        with pytest.raises(KilledError):
            regressor.fit(features, ImageStack(tmp_path / "images.npy"))
        at_batch(0)
        np.save(tmp_path / "other.npy", images)
        with pytest.raises(ValueError, match="the stack y was"):
            regressor.fit(features, ImageStack(tmp_path / "other.npy"))
        with pytest.raises(ValueError, match=r"the stack y was .* and is not there"):
            regressor.fit(features, images)

    def test_what_changes_no_result_is_not_asked_for(self, capture, stopped, path, tmp_path):
        moved = tmp_path / "moved"
        path.rename(moved)
        stopped.set_params(checkpoint=str(moved), verbose=1, device="cpu").fit(*capture)
        assert list(tmp_path.iterdir()) == [moved]

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
        path.unlink(missing_ok=True)
        checkpoint = FitCheckpoint(path, {"name": "value"})
        checkpoint.write({"weights": torch.arange(50.0), "row": [1, "text", None]})
        checkpoint.close()
        whole = path.read_bytes()
        if data.draw(st.booleans()):
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        else:
            place = data.draw(st.integers(0, len(whole) - 1))
            damaged = bytearray(whole)
            damaged[place] ^= data.draw(st.integers(1, 255))
            path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            FitCheckpoint(path, {"name": "value"})
        assert list(path.parent.iterdir()) == [path]

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
        path.write_bytes(_checkpoint._MAGIC + hashlib.sha256(body).digest() + body)
        with pytest.raises(ValueError, match="holds more than data"):
            FitCheckpoint(path, {})
        assert not Path(str(path) + ".run").exists()

    def test_a_folder_that_is_not_there(self, capture, tmp_path, at_batch):
        at_batch(1, lambda: pytest.fail("it was noticed after training had begun"))
        with pytest.raises(FileNotFoundError, match=r"checkpoint=.*absent/fit.*: the folder .*absent does not exist"):
            RelightingMLPRegressor(**SMALL, checkpoint=tmp_path / "absent" / "fit").fit(*capture)
        with pytest.raises(ValueError, match="is a folder"):
            RelightingMLPRegressor(**SMALL, checkpoint=tmp_path).fit(*capture)
        with pytest.raises(ValueError, match="'checkpoint' parameter"):
            RelightingMLPRegressor(**SMALL, checkpoint=3).fit(*capture)

    def test_a_full_disk_leaves_the_earlier_checkpoint(self, monkeypatch, path):
        checkpoint = FitCheckpoint(path, {})
        checkpoint.write({"number": 1})

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(_checkpoint.os, "fsync", full)
        with pytest.raises(OSError, match=r"Cannot write the checkpoint .*No space left"):
            checkpoint.write({"number": 2})
        checkpoint.close()
        checkpoint = FitCheckpoint(path, {})
        assert checkpoint.state == {"number": 1}
        checkpoint.close()
        assert list(path.parent.iterdir()) == [path]


def test_an_array_among_the_parameters_is_told_by_its_values():
    one, same, other = (fit_fingerprint({"sizes": np.array(values)}, {}) for values in ([1, 2], [1, 2], [2, 1]))
    assert one == same
    assert one != other


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


STAGES = {
    "hidden_layer_sizes": (32, 32),
    "batch_size": 1000,
    "stages": {"n_stages": 2, "max_epochs": 4, "patience": None},
    "learning_rate_init": 0.02,
    "dropout": 0.1,
    "validation_fraction": 0.1,
    "random_state": 0,
    "on_disk": False,
}


def prepare(folder, **parameters):
    """Write a folder for ``killed_fit.py``."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lights = rng.uniform(-1, 1, (24, 2))
    shading = np.einsum("nd,hwd->nhw", lights, rng.normal(size=(24, 30, 2)))
    np.save(folder / "lights.npy", lights)
    np.save(folder / "images.npy", (0.5 + 0.1 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.float32))
    (folder / "parameters.json").write_text(json.dumps(STAGES | parameters | {"checkpoint": str(folder / "fit")}))
    return folder


def attempt(*attempts):
    """Run ``killed_fit.py``: exit codes and seconds."""
    attempts = json.dumps([(str(folder), moment, count) for folder, moment, count in attempts])
    command = [sys.executable, Path(__file__).with_name("killed_fit.py"), attempts]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return zip(*json.loads(shown), strict=True)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@needs_fork
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_process_that_is_killed_goes_on_to_the_same_bytes(tmp_path, on_disk):
    whole, folder = (prepare(tmp_path / name, on_disk=on_disk) for name in ("whole", "killed"))
    rng = np.random.default_rng()
    # A random batch, and while a random one of the next files is written. An epoch has 17 batches or more.
    moments = [("batch", int(rng.integers(1, 35))), ("half", int(rng.integers(2, 4))), ("rename", 1), ("batch", 25)]
    print(moments)
    codes, _ = attempt((whole, None, 0), *((folder, *moment) for moment in moments), (folder, None, 0))
    assert codes == (0, -9, -9, -9, -9, 0)
    assert (folder / "result.npy").read_bytes() == (whole / "result.npy").read_bytes()
    assert {file.name for file in folder.glob("fit*")} == {"fit"}


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("on_disk", [False, True])
def test_twenty_kills_and_resumptions_end_in_the_same_bytes(tmp_path, on_disk):
    parameters = {"stages": {"n_stages": 3, "max_epochs": 10, "patience": None}, "on_disk": on_disk}
    whole = prepare(tmp_path / "whole", **parameters)
    (code,), (seconds,) = attempt((whole, None, 0))
    assert code == 0
    # It may have been slow for other reasons.
    seconds = min(seconds, 5)
    rng = np.random.default_rng()
    kills = dict.fromkeys((*MOMENTS, "clock"), 0)
    n_series = 0
    # A kill by the clock may come too late, when the fit has ended.
    while sum(kills.values()) < 20 or not kills["clock"]:
        folder = prepare(tmp_path / f"series_{n_series}", **parameters)
        moments = []
        for moment in MOMENTS:
            count = int(rng.integers(1, 100 if moment == "batch" else 5))
            moments += [(moment, count), ("clock", rng.uniform(0.1, 0.4) * seconds)]
        rng.shuffle(moments)
        attempts = [(folder, str(moment), int(count) if moment != "clock" else count) for moment, count in moments]
        codes, _ = attempt(*attempts, (folder, None, 0))
        for (_, moment, _), code in zip(attempts, codes, strict=False):
            assert code in {0, -9}
            kills[moment] += code == -9
        n_series += 1
        assert codes[-1] == 0
        assert (folder / "result.npy").read_bytes() == (whole / "result.npy").read_bytes()
        assert {file.name for file in folder.glob("fit*")} == {"fit"}
    print(f"{sum(kills.values())} kills ({kills}) in {n_series} series of fits; the same bytes at the end of each")
    assert all(kills.values())
