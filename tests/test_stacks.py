"""Photographs on disk: read as they are, fitted as those in memory are, in bounded memory."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, QuantileTransformer

from sklrelight import (
    ImageStack,
    LogExposureScaler,
    PixelLightFeaturizer,
    Relighter,
    make_relighter,
    save_model,
)
from sklrelight.datasets import make_scene
from sklrelight.interpolation import RBFInterpolation, StackedRBFInterpolation
from sklrelight.interpolation import _streamed as streamed_module
from sklrelight.metrics import relative_error
from sklrelight.relighter import StreamedR2
from sklrelight.stacks import _inputs as stack_inputs
from sklrelight.stacks import _stack as stacks

SHAPE = (12, 23, 29, 3)
FIT = Path(__file__).with_name("fit_stack.py")


@pytest.fixture(scope="module")
def images():
    return (np.random.default_rng(0).random(SHAPE) ** 4).astype(np.float16)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(stacks, "_BLOCK_VALUES", 3000)
    monkeypatch.setattr(stacks, "_BLOCK_PHOTOGRAPHS", 5)


def npy(path, images):
    np.save(path / "stack.npy", images)
    return path / "stack.npy"


def npy_in_fortran_order(path, images):
    return npy(path, np.asfortranarray(images))


def memmap(path, images):
    return np.load(npy(path, images), mmap_mode="r")


def part_of_a_memmap(path, images):
    return memmap(path, np.concatenate([images[:2], images]))[2:]


def raw_memmap(path, images):
    mapped = np.memmap(path / "stack.raw", images.dtype, "w+", 16, images.shape)
    mapped[:] = images
    return mapped


def hdf5(path, images):
    with h5py.File(path / "stack.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(1, 8, *images.shape[2:]))
    return path / "stack.h5"


def dataset(path, images):
    return h5py.File(hdf5(path, images))["images"]


def zarr_folder(path, images):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(path / "stack.zarr", shape=images.shape, dtype=images.dtype, chunks=(2, 8, 10, 3))
    array[:] = images
    return path / "stack.zarr"


def zarr_array(path, images):
    return pytest.importorskip("zarr").open_array(zarr_folder(path, images), mode="r")


SOURCES = [npy, npy_in_fortran_order, memmap, part_of_a_memmap, raw_memmap, hdf5, dataset, zarr_folder, zarr_array]


class TestReading:
    @pytest.mark.parametrize("source", SOURCES)
    def test_gives_what_is_in_the_file_also_after_pickling(self, tmp_path, images, small_blocks, source):
        opened = ImageStack(source(tmp_path, images))
        state = pickle.dumps(opened)
        assert len(state) < 2000
        for stack in (opened, pickle.loads(state)):
            assert (stack.shape, stack.dtype, stack.ndim, len(stack)) == (SHAPE, np.float16, 4, 12)
            np.testing.assert_array_equal(np.asarray(stack), images)
            np.testing.assert_array_equal(stack[3], images[3])
            np.testing.assert_array_equal(np.asarray(stack[[7, 2]][::-1]), images[[2, 7]])
            mask = np.arange(12) % 3 == 1
            np.testing.assert_array_equal(np.asarray(stack[mask, ...]), images[mask])
            pixels = np.array([0, 3, 100, 666])
            np.testing.assert_array_equal(stack.columns(pixels), images.reshape(12, -1, 3)[:, pixels])
            values, where, counts = stack.read_tiles(np.array([1, 5]), np.array([30, 40]), np.array([90, 45]), 7)
            expected = [images.reshape(12, -1, 3)[1, 30:90:7], images.reshape(12, -1, 3)[5, 40:45:7]]
            np.testing.assert_array_equal(values, np.concatenate(expected))
            assert where.tolist() == [*range(30, 90, 7), 40]
            assert counts.tolist() == [9, 1]

    @pytest.mark.parametrize("photographs_last", [True, False])
    @pytest.mark.parametrize("channels", [0, 3])
    @pytest.mark.parametrize("chunked", [True, False])
    def test_matlab_files_have_the_axes_that_matlab_shows(
        self, tmp_path, images, small_blocks, photographs_last, channels, chunked
    ):
        if photographs_last and not channels:
            # Three axes do not tell which of them counts the photographs.
            photographs_last = False
        wanted = images if channels else images[..., 0]
        shown = np.moveaxis(wanted, 0, -1) if photographs_last else wanted
        with h5py.File(tmp_path / "x.mat", "w", userblock_size=512) as file:
            stored = file.create_dataset("x", data=shown.T, chunks=(2,) * shown.ndim if chunked else None)
            stored.attrs["MATLAB_class"] = np.bytes_("single")
        for stack in (opened := ImageStack(tmp_path / "x.mat"), pickle.loads(pickle.dumps(opened))):
            assert stack.shape == wanted.shape
            np.testing.assert_array_equal(np.asarray(stack), wanted)
            np.testing.assert_array_equal(stack[[5, 2]].columns(np.array([3, 100])), wanted.reshape(
                12, -1, channels or 1)[[5, 2]][:, [3, 100]])  # fmt: skip

    def test_hdf5_files_that_are_damaged_or_point_elsewhere_are_named(self, tmp_path, images):
        path = hdf5(tmp_path, images)
        whole = path.read_bytes()
        for data in (whole[:200], whole[: len(whole) // 2], b"\x89HDF\r\n\x1a\n" + bytes(3000), b"no HDF5 file", b""):
            path.write_bytes(data)
            with pytest.raises(ValueError, match=re.escape(f"{path} cannot be read as an HDF5 file, cut or damaged")):
                ImageStack(path)
        path.write_bytes(whole)
        link = tmp_path / "link.h5"
        with h5py.File(link, "w") as file:
            file["x"] = h5py.ExternalLink("stack.h5", "/images")
        with pytest.raises(ValueError, match=re.escape(f"{link} has the datasets []")):
            ImageStack(link)
        with pytest.raises(ValueError, match=re.escape(f"{link}: the dataset '/images' lies in another file")):
            ImageStack(link, "x")
        with h5py.File(link, "w") as file:
            layout = h5py.VirtualLayout(images.shape, images.dtype)
            layout[:] = h5py.VirtualSource(path, "images", images.shape)
            file.create_virtual_dataset("x", layout)
        with pytest.raises(ValueError, match=re.escape(f"{link}: the dataset '/x' lies in another file")):
            ImageStack(link)
        (tmp_path / "raw").write_bytes(images.tobytes())
        with h5py.File(link, "w") as file:
            file.create_dataset("x", images.shape, images.dtype, external=[(tmp_path / "raw", 0, images.nbytes)])
        with pytest.raises(ValueError, match=re.escape(f"{link}: the dataset '/x' lies in another file")):
            ImageStack(link)

    def test_a_damaged_photograph_is_named(self, tmp_path, images):
        path = tmp_path / "stack.h5"
        with h5py.File(path, "w") as file:
            stored = file.create_dataset("x", data=images, chunks=(1, *images.shape[1:]), compression="gzip")
            place = stored.id.get_chunk_info(7).byte_offset
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"damage" * 20)
        stack = ImageStack(path)
        np.testing.assert_array_equal(stack[6], images[6])
        with pytest.raises(ValueError, match=re.escape(f"{path}: photograph 7 cannot be read, damaged")):
            stack[7]

    def test_claims_that_no_file_can_hold_are_refused_before_memory_is_taken(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("x", (10**6, 1000, 1000, 3), "f4", chunks=(1, 100, 100, 3))
        with pytest.raises(
            ValueError, match=re.escape(f"{tmp_path / 'a.h5'}: damaged: its header claims 1.2e+13 bytes")
        ):
            ImageStack(tmp_path / "a.h5")
        np.save(tmp_path / "b.npy", np.zeros((2, 3, 4)))
        data = (tmp_path / "b.npy").read_bytes()
        for damaged in (data.replace(b"(2, 3, 4)", b"(2,3,4e9)"), data.replace(b"(2, 3, 4)", b"(2,3,9**9"), data[:60]):
            (tmp_path / "b.npy").write_bytes(damaged)
            with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'b.npy'} cannot be read as a .npy file")):
                ImageStack(tmp_path / "b.npy")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    @pytest.mark.parametrize("suffix", [".npy", ".h5", ".mat"])
    def test_a_pipe_is_refused(self, tmp_path, suffix):
        os.mkfifo(tmp_path / f"a{suffix}")
        with pytest.raises(ValueError, match=re.escape(f"{tmp_path / f'a{suffix}'}: a pipe, a socket or a device")):
            ImageStack(tmp_path / f"a{suffix}")

    def test_blocks_cover_everything_once(self, tmp_path, images, small_blocks):
        seen = np.zeros((12, 23 * 29), int)
        for rows, pixels, values in ImageStack(hdf5(tmp_path, images)).blocks():
            seen[rows, pixels] += 1
            assert values.size <= 5 * 8 * 29 * 3
        assert (seen == 1).all()

    def test_is_lazy(self, tmp_path, images):
        stack = ImageStack(npy(tmp_path, images))
        picked = stack[::2].encoded(LogExposureScaler().fit(images))
        (tmp_path / "stack.npy").unlink()
        with pytest.raises(FileNotFoundError, match=r"the stack of photographs .*stack\.npy is gone"):
            pickle.loads(pickle.dumps(picked))[0]

    @pytest.mark.parametrize("source", SOURCES)
    def test_the_fingerprint_tells_what_is_read(self, tmp_path, images, source):
        given = source(tmp_path, images)
        stack = ImageStack(given)
        fingerprint = stack.fingerprint()
        assert len(fingerprint) < 50
        same = [ImageStack(given), pickle.loads(pickle.dumps(stack)), stack[:], stack[np.arange(12)], stack[::-1][::-1]]
        assert {other.fingerprint() for other in same} == {fingerprint}
        scaler = LogExposureScaler().fit(images)
        others = [
            stack[::2],
            stack[::-1],
            stack.clipped(0.5),
            stack.clipped(0.25),
            stack.encoded(scaler),
            stack.encoded(LogExposureScaler(exposure=1).fit(images)),
        ]
        found = [other.fingerprint() for other in others]
        assert len({fingerprint, *found}) == 7
        assert stack.encoded(LogExposureScaler().fit(images)).fingerprint() == found[4]

    @pytest.mark.parametrize(
        ("source", "opened"),
        [
            (npy, lambda path: np.load(path, mmap_mode="r")),
            (hdf5, lambda path: h5py.File(path)["images"]),
            (zarr_folder, lambda path: pytest.importorskip("zarr").open_array(path, mode="r")),
        ],
    )
    def test_a_file_has_one_fingerprint_until_it_changes(self, tmp_path, images, source, opened):
        path = source(tmp_path, images)
        fingerprint = ImageStack(path).fingerprint()
        assert ImageStack(opened(path)).fingerprint() == fingerprint
        (tmp_path / "other").mkdir()
        assert ImageStack(source(tmp_path / "other", images)).fingerprint() != fingerprint
        changed = next(file for file in [*path.rglob("0"), path] if file.is_file())
        os.utime(changed, ns=(0, changed.stat().st_mtime_ns + 1))
        assert ImageStack(path).fingerprint() != fingerprint

    def test_an_array_without_a_file_is_told_by_its_values(self, images):
        fingerprint = ImageStack(images).fingerprint()
        assert ImageStack(images.copy()).fingerprint() == fingerprint
        assert ImageStack(images + 1).fingerprint() != fingerprint

    def test_joblibs_copies_of_arrays_are_no_stacks(self, tmp_path, images, monkeypatch):
        monkeypatch.setattr(stack_inputs, "_IN_MEMORY_VALUES", 10)
        folder = tmp_path / "joblib_memmapping_folder_1"
        folder.mkdir()
        assert stack_inputs.as_stack(memmap(folder, images)) is None
        assert stack_inputs.as_stack(memmap(tmp_path, images)) is not None
        assert stack_inputs.as_stack(images) is None

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda path: npy(path, np.zeros((3, 4))), r"holds float64 of shape \(3, 4\); expected photographs"),
            (lambda path: npy(path, np.zeros((3, 4, 5), complex)), "holds complex128"),
            (lambda path: npy(path, np.zeros((3, 0, 5))), "none of them 0"),
            (lambda path: np.zeros((3, 4, 5)).tolist(), "an np.memmap, an h5py dataset or a zarr array, got list"),
            (lambda path: FIT, r"fit_stack.py is no .npy file, no zarr array and no HDF5 file"),
        ],
    )
    def test_refuses_what_is_no_stack(self, tmp_path, make, message):
        with pytest.raises(ValueError, match=message):
            ImageStack(make(tmp_path))

    def test_says_what_is_not_there(self, tmp_path, images):
        with pytest.raises(FileNotFoundError, match=r"there is no stack of photographs at .*nothing.npy"):
            ImageStack(tmp_path / "nothing.npy")
        with pytest.raises(ValueError, match=r"has no dataset 'other', but \['images'\]"):
            ImageStack(hdf5(tmp_path, images), "other")
        with h5py.File(tmp_path / "stack.h5", "a") as file:
            file["more"] = images
        with pytest.raises(ValueError, match=r"has the datasets \['images', 'more'\]: say which one with dataset="):
            ImageStack(tmp_path / "stack.h5")


class TestFittingByBlocks:
    @pytest.mark.parametrize("masked", [False, True])
    def test_scaler_and_features_are_those_of_photographs_in_memory(self, tmp_path, images, small_blocks, masked):
        stack, mask = ImageStack(hdf5(tmp_path, images)), np.ones(SHAPE[1:3], bool)
        if masked:
            mask[:8, 5:] = False
        whole = LogExposureScaler().fit(images[:, mask].astype(np.float32))
        by_blocks = LogExposureScaler().fit(stack.within(mask if masked else None))
        assert vars(by_blocks) == vars(whole)
        lights = np.random.default_rng(1).random((12, 3))
        tables = [
            PixelLightFeaturizer(random_state=0).fit(lights, encoded, pixel_weight=mask).pixel_table_
            for encoded in (whole.transform(images), stack.encoded(whole))
        ]
        # Rounded for photographs on disk.
        assert [table.dtype for table in tables] == [np.float32, np.float16]
        assert np.square(tables[0] - tables[1]).mean() < 0.01**2

    def test_brightness_is_measured_over_pixels_that_have_weight(self, tmp_path, images, small_blocks):
        mask = np.ones(SHAPE[1:3], bool)
        mask[:8, 5:] = False
        images[:, ~mask] -= 3 * images.max()
        lights = np.random.default_rng(1).random((12, 3))
        featurizer = PixelLightFeaturizer(n_components=0)
        tables = [
            featurizer.fit(lights, y, pixel_weight=mask).pixel_table_[mask.ravel()]
            for y in (images.astype(np.float32), ImageStack(npy(tmp_path, images)))
        ]
        assert np.square(tables[0] - tables[1]).mean() < 0.01**2

    def test_transformers_are_fitted_by_parts_or_refused(self, tmp_path, images, small_blocks):
        stack = ImageStack(npy(tmp_path, images))
        root = FunctionTransformer(np.sqrt, np.square, check_inverse=False)
        assert stack_inputs.fit_to_stack(root, stack).transform([[4.0]])[0, 0] == 2
        with pytest.raises(ValueError, match=r"QuantileTransformer.* has no partial_fit"):
            stack_inputs.fit_to_stack(QuantileTransformer(), stack)
        with pytest.raises(ValueError, match="dim"):
            # It scales columns, which photographs do not have.
            stack_inputs.fit_to_stack(MaxAbsScaler(), stack)

    def test_r2_is_scikit_learns(self):
        rng = np.random.default_rng(0)
        true, predicted, weights = rng.random((3, 7, 5, 4)).astype(np.float32) + 100
        weights[:, 2] = 0
        for weight in (None, weights):
            r2 = StreamedR2()
            for i in range(7):
                r2.add(true[i], predicted[i], None if weight is None else weight[i])
            flat = None if weight is None else weight.ravel().astype(float)
            expected = r2_score(true.ravel().astype(float), predicted.ravel().astype(float), sample_weight=flat)
            assert r2.value == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def scene():
    return make_scene(n_lights=40, image_shape=(24, 32), shadow_samples=1)


@pytest.fixture
def all_on_disk(monkeypatch):
    """Nothing on disk is small enough to be read as a whole."""
    monkeypatch.setattr(stack_inputs, "_IN_MEMORY_VALUES", 10)
    monkeypatch.setattr(stacks, "_BLOCK_VALUES", 20_000)


def quick(interpolation=None, **parameters):
    parameters = {"hidden_layer_sizes": (32, 32), "max_observations": 60_000} | parameters
    return make_relighter(random_state=0).set_params(
        n_members=1,
        interpolation=interpolation,
        pretrained=False,
        **{f"regressor__mlp__{name}": value for name, value in parameters.items()},
    )


def blended(**parameters):
    return quick(StackedRBFInterpolation(), **parameters)


class TestRelighter:
    @pytest.mark.parametrize(
        ("source", "options"),
        [
            (memmap, {}),
            (memmap, {"saturation": 0.9}),
            (memmap, {"pixel_weight": np.arange(24 * 32).reshape(24, 32) % 5 > 0}),
            (dataset, {"pixel_weight": np.arange(24 * 32).reshape(24, 32) % 5 > 0}),
            (zarr_array, {}),
        ],
    )
    def test_predicts_as_if_fitted_in_memory(self, tmp_path, scene, all_on_disk, source, options):
        images = scene.images / scene.images.max()
        lights, test = scene.lights, np.arange(40) % 5 == 2
        stack = source(tmp_path, images[~test])
        whole = blended().fit(lights[~test], images[~test], **options)
        by_blocks = blended().set_params(storage="exact").fit(lights[~test], stack, **options)
        errors = [relative_error(images[test], model.predict(lights[test])) for model in (whole, by_blocks)]
        assert errors[1] == pytest.approx(errors[0], rel=0.03)
        assert type(by_blocks.regressor_.interpolation_).__name__ == "StreamedInterpolation"
        weights = [model.regressor_.weight_ for model in (whole, by_blocks)]
        assert weights[1] == pytest.approx(weights[0], abs=0.1)

    def test_a_network_alone_is_as_good(self, tmp_path, scene, all_on_disk):
        test = np.arange(40) % 5 == 2
        errors = []
        for images in (scene.images[~test], memmap(tmp_path, scene.images[~test])):
            model = quick(max_observations=300_000).fit(scene.lights[~test], images)
            encode = model.transformer_.transform
            errors.append(relative_error(encode(scene.images[test]), encode(model.predict(scene.lights[test]))))
        assert errors[1] == pytest.approx(errors[0], rel=0.1)

    def test_is_deterministic(self, tmp_path, scene, all_on_disk):
        stack = ImageStack(npy(tmp_path, scene.images))
        one, other = (blended().fit(scene.lights, stack).predict(scene.lights[:3]).tobytes() for _ in range(2))
        assert one == other

    def test_small_files_are_read_and_give_the_same_bytes_as_memory(self, tmp_path, scene):
        model = blended(max_observations=5000)
        expected = model.fit(scene.lights, scene.images).predict(scene.lights[:3]).tobytes()
        for source in (npy, memmap, dataset, zarr_array):
            (tmp_path / source.__name__).mkdir()
            stack = source(tmp_path / source.__name__, scene.images)
            stack = ImageStack(stack) if source is npy else stack
            assert model.fit(scene.lights, stack).predict(scene.lights[:3]).tobytes() == expected

    def test_a_model_names_the_file_and_needs_it(self, tmp_path, scene, all_on_disk):
        model = blended().set_params(storage="exact").fit(scene.lights, ImageStack(npy(tmp_path, scene.images)))
        path = tmp_path / "model.joblib"
        joblib.dump(model, path)
        loaded = joblib.load(path)
        assert loaded.predict(scene.lights[:2]).tobytes() == model.predict(scene.lights[:2]).tobytes()
        assert path.stat().st_size < scene.images.nbytes
        with pytest.raises(ValueError, match=r"interpolation_ predicts from photographs that stay on disk"):
            save_model(model, tmp_path / "model")
        assert not (tmp_path / "model").exists()
        (tmp_path / "stack.npy").unlink()
        with pytest.raises(FileNotFoundError, match=r"stack\.npy is gone; a model with an interpolation"):
            joblib.load(path).predict(scene.lights[:2])

    def test_interpolations_with_weights_are_applied_by_blocks(self, tmp_path, scene, all_on_disk, monkeypatch):
        monkeypatch.setattr(streamed_module, "_SAMPLE_VALUES", 40 * 3 * 200)
        stack = ImageStack(npy(tmp_path, scene.images))
        model = quick(interpolation=RBFInterpolation()).set_params(storage="exact").fit(scene.lights, stack)
        model.regressor_.weight_ = 0.0
        expected = Relighter(RBFInterpolation()).fit(scene.lights, scene.images)
        new = scene.lights[:5] + 0.1
        np.testing.assert_allclose(model.predict(new), expected.predict(new), rtol=1e-3, atol=1e-4)

        identity = FunctionTransformer()
        no_weights = TransformedTargetRegressor(RBFInterpolation(), transformer=identity)
        with pytest.raises(ValueError, match=r"(?s)TransformedTargetRegressor.* has no method weights"):
            quick(interpolation=no_weights).fit(scene.lights, stack)

    def test_pixels_of_a_sample_stand_for_all(self, tmp_path, scene, all_on_disk, monkeypatch):
        monkeypatch.setattr(streamed_module, "_SAMPLE_VALUES", 40 * 3 * 300)
        errors = []
        test = np.arange(40) % 5 == 2
        for images in (scene.images[~test], memmap(tmp_path, scene.images[~test])):
            model = blended().fit(scene.lights[~test], images)
            errors.append(relative_error(scene.images[test], model.predict(scene.lights[test])))
        # The codes of the photographs on disk cost some of it.
        assert errors[1] < errors[0] * 1.1

    def test_score_is_that_of_photographs_in_memory(self, tmp_path, scene, all_on_disk):
        model = quick().fit(scene.lights[::2], scene.images[::2])
        stack = ImageStack(npy(tmp_path, scene.images))[1::2]
        weight = np.arange(24 * 32).reshape(24, 32) % 3
        lights = scene.lights[1::2]
        for options in ({}, {"pixel_weight": weight}, {"saturation": 0.5}, {"sample_weight": np.arange(20.0)}):
            expected = model.score(lights, scene.images[1::2], **options)
            assert model.score(lights, stack, **options) == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.nan, "Input y contains NaN: photograph 7"),
            (np.inf, "Input y contains infinity: photograph 7"),
            (-1, "Negative values .* X is radiance, which is not negative; got -1"),
        ],
    )
    def test_refuses_bad_values_before_training(self, tmp_path, scene, all_on_disk, value, message):
        images = scene.images.copy()
        images[7, 3, 4, 1] = value
        model = blended()
        with pytest.raises(ValueError, match=message):
            model.fit(scene.lights, ImageStack(npy(tmp_path, images)), pixel_weight=np.eye(24, 32))
        assert not hasattr(model, "regressor_")


STREAM = """
import re
from pathlib import Path
import numpy as np
from sklrelight import make_relighter
from sklrelight.datasets import make_scene

def resident():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

scene = make_scene(n_lights=12, image_shape=(150, 200), shadow_samples=1)
model = make_relighter(max_observations=20_000, random_state=0).set_params(regressor__mlp__hidden_layer_sizes=(8,))
model.fit(scene.lights, scene.images)
hours = np.random.default_rng(0).uniform(-1, 1, (600, 3)) + scene.lights.mean(axis=0)
levels = []
for number, image in enumerate(model.iter_predict(hours)):
    levels.append(resident())
assert number == 599 and image.shape == (150, 200, 3)
print(max(levels[200:]) - max(levels[:200]), image.nbytes * 400)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
class TestMemory:
    def test_predicting_one_by_one_takes_constant_memory(self, scene):
        shown = subprocess.run([sys.executable, "-c", STREAM], check=True, capture_output=True, text=True).stdout
        growth, images = map(int, shown.split())
        assert growth < 0.1 * images

    def test_a_stack_is_fitted_in_less_memory_than_it_takes(self, tmp_path):
        images = np.lib.format.open_memmap(tmp_path / "stack.npy", "w+", np.float16, (80, 600, 900, 3))
        scene = make_scene(n_lights=80, image_shape=(60, 90), shadow_samples=1)
        np.save(tmp_path / "lights.npy", scene.lights)
        for image, photograph in zip(images, scene.images, strict=True):
            image[:] = np.kron(photograph.astype(np.float16), np.ones((10, 10, 1), np.float16))
        images.flush()
        found = fit(tmp_path / "stack.npy", tmp_path / "lights.npy", "disk", 80, 20_000)
        # The part that is trained on takes 415 MB in float32, and in memory a fit some three times as much.
        assert found["peak"] - found["imported"] < 400e6


def fit(*arguments, threads="1"):
    """Fit in a process of its own, and return what that took."""
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    command = [sys.executable, FIT, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def test_iter_predict_yields_what_predict_returns(scene):
    model = quick(max_observations=5000).fit(scene.lights, scene.images)
    streamed = model.iter_predict(scene.lights)
    assert np.array([*streamed]).tobytes() == model.predict(scene.lights).tobytes()
    with pytest.raises(ValueError, match="features"):
        model.iter_predict(scene.lights[:, :2])
    with pytest.raises(ValueError, match="X contains NaN"):
        model.iter_predict(np.full((2, 3), np.nan))
    assert re.search("generator", type(streamed).__name__)
