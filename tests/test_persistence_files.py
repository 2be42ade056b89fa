import json
import pickle
import re
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import hostile_files
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import EarlyStopping

from sklrelight import (
    LogExposureScaler,
    PixelLightFeaturizer,
    Relighter,
    RelightingMLPRegressor,
    load_model,
    make_relighter,
    save_model,
)
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.neural import BatchSizeStages, PlateauLearningRate
from sklrelight.persistence import _files
from sklrelight.utils import InconsistentVersionsWarning, library_versions

RNG = np.random.default_rng(0)
DIRECTIONS = RNG.normal(size=(12, 3)) * [1, 1, 0.2] + [0, 0, 1]
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
POSITIONS = RNG.random((12, 3)) * 5
GRID = RNG.random((12, 2))
COLOUR = RNG.random((12, 4, 6, 3))
TABLE = RelightingMLPRegressor((8,), max_observations=300, random_state=0)
STACKED = StackedRBFInterpolation()


def quick(recipe="default", interpolation=STACKED, n_members=2, **parameters):
    own = {"hidden_layer_sizes": (16, 16), "pixel_layer_sizes": (8,), "max_observations": 500, "batch_size": 50}
    parameters = own | parameters
    relighter = make_relighter(recipe, random_state=0).set_params(interpolation=interpolation, n_members=n_members)
    return relighter.set_params(**{f"regressor__mlp__{name}": value for name, value in parameters.items()})


@pytest.fixture(scope="module")
def relighter():
    return quick().fit(DIRECTIONS, COLOUR)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.zip"


def round_trip(relighter, path):
    save_model(relighter, path)
    return load_model(path)


def rows(history):
    """Rows of epochs, without what skorch notes of the batch that ran last."""
    return [{name: value for name, value in row.items() if name != "batches"} for row in history]


def assert_equal(loaded, relighter, lights):
    lights = lights * 0.995
    predicted, expected = loaded.predict(lights), relighter.predict(lights)
    assert predicted.dtype == expected.dtype
    assert predicted.shape == expected.shape
    assert predicted.tobytes() == expected.tobytes()
    assert loaded.n_features_in_ == relighter.n_features_in_
    # A callback is shown with its address.
    assert re.sub("0x[0-9a-f]+", "", str(loaded)) == re.sub("0x[0-9a-f]+", "", str(relighter))


@pytest.mark.parametrize("lights", [DIRECTIONS, POSITIONS, GRID], ids=["directions", "positions", "grid"])
@pytest.mark.parametrize(
    "images",
    [COLOUR, COLOUR[..., 0].astype(np.float32), COLOUR[:, 0, 0], COLOUR[:, 0, 0, 0]],
    ids=["4d", "3d", "2d", "1d"],
)
@pytest.mark.parametrize(
    "regressor",
    [
        NearestPhotograph(),
        RBFInterpolation(),
        RBFInterpolation(n_dimensions=2),
        RBFInterpolation("quintic", smoothing=0.1),
        RBFInterpolation("gaussian", epsilon=2.0),
        StackedRBFInterpolation(n_clusters=3, random_state=0),
        PretrainedInterpolation(),
        LinearInterpolation(),
        PolynomialTextureMap(),
        HemisphericalHarmonics(order=1),
    ],
    ids=repr,
)
def test_interpolations_predict_the_same_bytes(regressor, images, lights, path):
    relighter = Relighter(regressor)
    try:
        relighter.fit(lights, images)
    except ValueError:
        # Those that are made for directions say so.
        assert isinstance(regressor, (PolynomialTextureMap, HemisphericalHarmonics, PretrainedInterpolation))
        return
    assert_equal(round_trip(relighter, path), relighter, lights)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_members": 2, "interpolation": RBFInterpolation(), "normalization": "batch", "activation": "prelu"},
        {"interpolation": None, "normalization": "layer", "dropout": 0.1, "precision": "bfloat16"},
        {
            "n_members": 1,
            "interpolation": LinearInterpolation(),
            "hidden_layer_sizes": (),
            "output_activation": "sigmoid",
        },
        {
            "interpolation": None,
            "n_members": 2,
            "validation_fraction": 0.2,
            "scale_targets": False,
            "callbacks": [("stages", BatchSizeStages(n_stages=2, max_epochs=2)), PlateauLearningRate()],
        },
    ],
)
@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_networks_predict_the_same_bytes(parameters, scaling, path):
    relighter = quick(**parameters).set_params(regressor__featurizer__scaling=scaling).fit(POSITIONS, COLOUR)
    loaded = round_trip(relighter, path)
    assert_equal(loaded, relighter, POSITIONS)
    assert getattr(loaded.regressor_, "weight_", None) == getattr(relighter.regressor_, "weight_", None)
    for own, expected in zip(loaded.regressor_.members_, relighter.regressor_.members_, strict=True):
        assert rows(own["mlp"].history_) == rows(expected["mlp"].history_)
        for name in ("config_", "target_range_", "n_observations_", "compiled_"):
            assert getattr(own["mlp"], name) == getattr(expected["mlp"], name)
        names = expected["featurizer"].get_feature_names_out()
        np.testing.assert_array_equal(own["featurizer"].get_feature_names_out(), names)


@pytest.mark.parametrize("images", [COLOUR[..., 0], COLOUR[:, 0, 0], COLOUR[:, 0, 0, 0]], ids=["3d", "2d", "1d"])
def test_networks_of_other_targets_predict_the_same_bytes(images, path):
    relighter = quick().fit(GRID, images)
    assert_equal(round_trip(relighter, path), relighter, GRID)


@pytest.mark.parametrize("images", [COLOUR[:, 0, 0], COLOUR[:, 0, 0, 0]], ids=["2d", "1d"])
@pytest.mark.parametrize("regressor", [TABLE, Pipeline([("only", TABLE)])], ids=["alone", "pipeline"])
def test_a_network_over_a_plain_table_predicts_the_same_bytes(regressor, images, path):
    relighter = Relighter(regressor).fit(GRID, images)
    assert_equal(round_trip(relighter, path), relighter, GRID)


def test_callbacks_come_back(path):
    relighter = quick("colburn2019", interpolation=None, max_observations=500).fit(GRID, COLOUR)
    relighter.set_params(regressor__mlp__callbacks__stages__factor=np.float32(0.25))
    loaded = round_trip(relighter, path).get_params()
    expected = {key: value for key, value in relighter.get_params().items() if key.count("__callbacks__") == 1}
    assert len(expected) > 8
    for name, value in expected.items():
        assert type(loaded[name]) is type(value)
        assert hasattr(value, "get_params") or loaded[name] == value


def test_an_ensemble_without_networks_comes_back(path):
    relighter = Relighter(NearestPhotograph(), interpolation=LinearInterpolation(), n_members=3, random_state=0)
    relighter.fit(POSITIONS, COLOUR)
    assert_equal(round_trip(relighter, path), relighter, POSITIONS)


def test_weights_saturation_names_and_parameters_come_back(path):
    lights = pd.DataFrame(DIRECTIONS, columns=["x", "y", "z"])
    mask = np.ones((4, 6))
    mask[0] = 0
    relighter = quick(learning_rate_init=np.float32(1e-3), hidden_layer_sizes=[np.int64(8), 4])
    relighter.set_params(transformer__gamma=np.float32(2.2), transformer__curve="power", check_inverse=False)
    relighter.fit(lights, COLOUR, pixel_weight=mask, saturation=0.9)
    loaded = round_trip(relighter, path)
    assert_equal(loaded, relighter, lights)
    assert list(loaded.feature_names_in_) == ["x", "y", "z"]
    assert loaded.score(lights, COLOUR) == relighter.score(lights, COLOUR)
    assert type(loaded.get_params()["transformer__gamma"]) is np.float32
    for name, value in relighter.get_params().items():
        if not hasattr(value, "get_params") and name != "regressor__steps":
            assert loaded.get_params()[name] == value, name
    model, expected = (some.regressor_.interpolation_ for some in (loaded, relighter))
    np.testing.assert_array_equal(model.weights_by_cluster(DIRECTIONS), expected.weights_by_cluster(DIRECTIONS))


def test_leave_one_out_errors_come_back(path):
    relighter = Relighter(RBFInterpolation()).fit(DIRECTIONS, COLOUR, pixel_weight=np.eye(4, 6))
    model, expected = (some.regressor_.members_[0] for some in (round_trip(relighter, path), relighter))
    np.testing.assert_array_equal(model.leave_one_out_errors_, expected.leave_one_out_errors_)
    np.testing.assert_array_equal(model.weights(DIRECTIONS), expected.weights(DIRECTIONS))
    assert model.leave_one_out_error_ == expected.leave_one_out_error_


def test_a_loaded_model_can_be_fitted_anew_and_saved_again(relighter, path, tmp_path):
    loaded = round_trip(relighter, path)
    save_model(loaded, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    loaded.fit(DIRECTIONS, COLOUR)
    assert loaded.predict(DIRECTIONS).tobytes() == relighter.predict(DIRECTIONS).tobytes()


def test_loading_leaves_random_numbers_as_they_are(relighter, path):
    save_model(relighter, path)
    state = torch.get_rng_state()
    load_model(path)
    assert torch.equal(torch.get_rng_state(), state)


class Mine(Relighter):
    pass


class MyNearest(NearestPhotograph):
    pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Mine(NearestPhotograph()), r"relighter is a .*\.Mine, which save_model cannot write"),
        (Relighter(LinearRegression()), "relighter.regressor is a sklearn.*LinearRegression, which save_model cannot"),
        (
            Relighter(NearestPhotograph(), transformer=FunctionTransformer()),
            "relighter.transformer is a .*FunctionTransf",
        ),
        (
            Relighter(NearestPhotograph(), random_state=np.random.RandomState(0)),
            "relighter.random_state is of the type",
        ),
        (
            Relighter(Pipeline([("a", FunctionTransformer()), ("b", NearestPhotograph())])),
            r"relighter.regressor.steps\[0\]\[1\] is a .*FunctionTransformer",
        ),
        (
            quick(interpolation=MyNearest()),
            "relighter.interpolation is a .*MyNearest",
        ),
        (
            quick(interpolation=None, callbacks=[("early", EarlyStopping("train_loss"))]),
            r"relighter.regressor.steps\[1\]\[1\].callbacks\[0\]\[1\] is a skorch.*EarlyStopping, .* joblib",
        ),
        (
            GridSearchCV(Relighter(NearestPhotograph()), {"check_inverse": [False]}, cv=2),
            "relighter is a .*GridSearchCV",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(model, message, path):
    model.fit(DIRECTIONS, COLOUR[:, 0, 0])
    with pytest.raises(ValueError, match=message):
        save_model(model, path)
    assert not list(path.parent.iterdir())


def test_models_that_are_not_fitted_are_refused(path):
    with pytest.raises(NotFittedError):
        save_model(Relighter(NearestPhotograph()), path)


def test_a_write_that_fails_leaves_the_former_file(relighter, path, monkeypatch):
    save_model(relighter, path)
    before = path.read_bytes()
    monkeypatch.setattr("sklrelight.persistence._container._compress", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_model(relighter, path)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def test_missing_folders_and_files_are_named(relighter, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        save_model(relighter, tmp_path / "nowhere" / "model")
    with pytest.raises(FileNotFoundError, match=r"No such file: .*nothing"):
        load_model(tmp_path / "nothing")


def test_a_file_can_be_read_by_those_that_can_read_others(relighter, path):
    save_model(relighter, path)
    ordinary = path.with_name("ordinary")
    ordinary.touch()
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_other_versions_are_warned_of(relighter, path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_files, "library_versions", lambda: library_versions() | {"torch": "1.0"})
        save_model(relighter, path)
    with pytest.warns(InconsistentVersionsWarning, match=r"saved with torch 1\.0 \(here") as caught:
        load_model(path)
    assert caught[0].filename == __file__


def changed(path, change):
    """Rewrite a file after `change(description)`, with checksums that fit."""
    description, parts = hostile_files.split(path.read_bytes())
    change(description)
    path.write_bytes(hostile_files.join(description, parts))


@pytest.mark.parametrize(("found", "way_out"), [(7, "update it"), (1, "load it with sklrelight 9.1, or fit")])
def test_other_formats_are_refused_by_name(relighter, path, found, way_out):
    save_model(relighter, path)

    def change(description):
        description["format"] = found
        description["versions"]["sklrelight"] = "9.1"

    changed(path, change)
    here = library_versions()["sklrelight"]
    message = f"written by sklrelight 9.1 in format {found}, and sklrelight {here} reads format 5: {way_out}"
    with pytest.raises(ValueError, match=message):
        load_model(path)


def test_another_kind_of_file_is_refused(relighter, path):
    for content in (b"", b"1234567", b"\0" * 100, b"an image, say" * 100, pickle.dumps(relighter)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.zip: the file is cut, or not one that save_model wrote"):
            load_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("an_image.png", b"an image, say")
    with pytest.raises(ValueError, match=r"model\.zip: not a file that save_model wrote: there is no model\.json"):
        load_model(path)


def test_every_cut_is_refused(relighter, path):
    save_model(relighter, path)
    data = path.read_bytes()
    for length in [*range(0, 2000, 100), *range(2000, len(data), len(data) // 50), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="the file is cut"):
            load_model(path)


def test_other_bytes_in_any_part_are_refused(relighter, path):
    save_model(relighter, path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        places = [info.header_offset + 30 + len(info.filename) for info in archive.infolist()]
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ValueError, match="is damaged: Bad CRC-32"):
            load_model(path)


def with_part(path, name, content):
    description, parts = hostile_files.split(path.read_bytes())
    path.write_bytes(hostile_files.join(description, parts | {name: content}))


def test_parts_larger_than_their_bytes_can_be_are_refused(relighter, path):
    save_model(relighter, path)
    name = "relighter.lights_"
    # Repeats, which save_model does not write, shrink a million zeros to a thousand bytes.
    bomb = zlib.compress(bytes(10**6), wbits=-15)
    with_part(path, name, bomb)
    with pytest.raises(ValueError, match=f"array '{name}' has other bytes than its shape takes"):
        load_model(path)
    changed(path, lambda description: description["arrays"].update({name: ["float64", [125_000]]}))
    with pytest.raises(ValueError, match=f"array '{name}' has a shape that does not fit its {len(bomb)} bytes"):
        load_model(path)


def lie(*keys, value):
    def change(description):
        place = description["relighter"]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value(place[keys[-1]]) if callable(value) else value

    return change


BLEND = ("state", "regressor_", "state")
STEPS = (*BLEND, "members_", 0, "state", "steps")
MLP = (*STEPS, 1, 1, "state")
NET = (*MLP, "net_")
MODULE = (*NET, "module")
STACKED_STATE = (*BLEND, "interpolation_", "state")
NESTED = json.loads("[" * 300 + "]" * 300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lie("class", value="os.system"), "class is 'os.system', not one of"),
        (lie("class", value=["Relighter"]), "not one of"),
        (lie("state", "regressor_", "class", value="Relighter"), "class is 'Relighter', not one of"),
        (lie(*STEPS, 0, 1, "class", value="RelightingMLPRegressor"), "has the parameter|unexpected keyword"),
        (lie("parameters", "regressor", value={"estimator": {"class": "Relighter", "parameters": {}}}), "not one of"),
        (lie("parameters", "cookies", value=1), "unexpected keyword argument 'cookies'"),
        (lie(*STEPS, 1, 1, "parameters", "checkpoint", value="/etc/passwd"), "checkpoint.*, which no file has"),
        (lie("parameters", "random_state", value="x"), "The 'random_state' parameter of Relighter must be"),
        (lie("parameters", "random_state", value=10**400), "too large an int"),
        (lie("parameters", "random_state", value=NESTED), "cannot be read|of no kind|no object"),
        (lie(*MODULE, "hidden_layer_sizes", value=[2**30, 2**30]), "there is no array|does not fit the rest"),
        (lie(*MODULE, "hidden_layer_sizes", value=[2**31 - 1, 2**31 - 1]), "is a network that is too large"),
        (lie(*MODULE, "hidden_layer_sizes", value=[2**62]), "out of its range"),
        (lie(*MODULE, "hidden_layer_sizes", value=[16]), "belong to nothing"),
        (lie(*MODULE, "hidden_layer_sizes", value=[1] * 300), "no list of up to 256"),
        (lie(*MODULE, "activation", value="__import__"), "activation is '__import__', not one of"),
        (lie(*MODULE, "output_scale", value=float("1e999")), "cannot be read|out of its range"),
        (lie(*MODULE, "output_scale", value=10**400), "out of its range"),
        (lie(*MODULE, "n_outputs", value=2), "n_outputs is out of its range, 3 to 3"),
        (lie(*NET, "device", value="meta"), "device is not known"),
        (lie(*NET, "history", value=lambda rows: [[*rows[0].items()]]), r"history\[0\] is no object"),
        (lie(*MLP, "target_shape_", value=[2**20, 2**20, 3]), r"target_shape_ is \(.*\), and target is \(4, 6, 3\)"),
        (lie(*MLP, "target_range_", value=[1, 0]), "out of its range"),
        (lie("state", "_target_shape", value=[2**20, 2**20, 3]), "and target is|does not fit the rest"),
        (lie("state", "_target_shape", value=[]), "and target is|does not fit the rest"),
        (lie("state", "interrupted_", value=0), "interrupted_ is no bool"),
        (lie("state", "more", value=0), r"fields that are not known: \['more'\]"),
        (lie(*BLEND, "members_", value=[]), "there is no member"),
        (lie(*BLEND, "members_", value=lambda members: members * 2), "there is no array"),
        (lie(*BLEND, "interpolation_", value=None), "belong to nothing"),
        (lie(*BLEND, "weight_", value=None), "there is no weight"),
        (lie(*BLEND, "weight_", value=1.5), "out of its range"),
        (lie(*STACKED_STATE, "candidates_", value=lambda c: c * 2), "n_candidates is"),
        (lie(*STACKED_STATE, "_equations", 0, 1, 0, value=1000), "out of its range"),
        (
            lie(*STACKED_STATE, "_equations", 0, 1, value=lambda indices: indices * 2),
            "without equations, or with several",
        ),
        (lie(*STEPS, 0, 0, value="a__b"), "there are steps of the names"),
        (lie(*STEPS, 0, 0, value="mlp"), "there are steps of the names"),
        (lie(*STEPS, value=lambda steps: steps[:1]), "the steps are neither"),
        (
            lie(*STEPS, value=lambda steps: steps[1:]),
            "no array|features, and lights and pixels have 3|n_pixel_features is out of its range",
        ),
        (lie("state", "transformer_", "state", "data_max_", value=-1.0), "out of its range"),
        (lie("state", "transformer_", "state", "exposure_", value=1e300), "out of its range"),
    ],
)
def test_lies_are_refused_by_name(relighter, path, change, message):
    save_model(relighter, path)
    changed(path, change)
    with pytest.raises(ValueError, match=message):
        load_model(path)


PRETRAINED = "relighter.regressor_.members_[0]"


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("directions_", DIRECTIONS * np.nan, "values outside of -2 to 2, or that are not finite"),
        ("directions_", DIRECTIONS * 1.01, r"directions have lengths of 1\.01 to 1\.01"),
        ("directions_", DIRECTIONS[[0, 0, *range(2, 12)]], "two directions are only 0 apart"),
        ("sample_", np.arange(24) + 1, "column 24 is sampled, and there are 24"),
        ("sample_", np.arange(24) - 1, "values outside of 0 to"),
        ("sample_", np.arange(0), "there are 0 sampled columns, not 1 to 4096"),
        ("peak_", 0.0, "peak_ is out of its range"),
        ("peak_", -1.0, "peak_ is out of its range"),
        ("peak_", 1e-9, "images reach 1, and peak_ is 1e-09"),
        ("n_features_in_", 4, "n_features_in_ is out of its range, 2 to 3"),
    ],
)
def test_lies_about_a_pretrained_interpolation_are_refused_by_name(name, values, message, path):
    save_model(Relighter(PretrainedInterpolation()).fit(DIRECTIONS, COLOUR), path)
    if isinstance(values, np.ndarray):
        changed(path, lambda file: file["arrays"].update({f"{PRETRAINED}.{name}": [str(values.dtype), values.shape]}))
        with_part(path, f"{PRETRAINED}.{name}", hostile_files.pack(np.ascontiguousarray(values).ravel()))
    else:
        changed(path, lie(*BLEND, "members_", 0, "state", name, value=values))
    with pytest.raises(ValueError, match=message):
        load_model(path)


def test_a_pretrained_interpolation_of_too_many_lights_is_refused(path):
    relighter = Relighter(PretrainedInterpolation()).fit(DIRECTIONS, COLOUR[:, 0, 0])
    model = relighter.regressor_.members_[0]
    # As a fit would leave them, but for the time that it takes.
    model.directions_ = np.repeat(model.directions_, 100, axis=0)
    model.images_ = np.repeat(model.images_, 100, axis=0)
    with pytest.raises(ValueError, match="1200 directions are not the 2 to 1024 that a file may have"):
        save_model(relighter, path)


def test_a_blend_with_a_pretrained_interpolation_predicts_the_same_bytes(path):
    relighter = quick(interpolation=PretrainedInterpolation(), n_members=1).fit(DIRECTIONS, COLOUR)
    assert_equal(round_trip(relighter, path), relighter, DIRECTIONS)


def test_a_long_description_is_not_read(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", bytes(2**24 + 1))
    with pytest.raises(ValueError, match="a description of 16777217 bytes is longer than"):
        load_model(path)


def test_a_model_whose_parts_do_not_fit_is_not_saved(path):
    relighter = Relighter(NearestPhotograph()).fit(DIRECTIONS, COLOUR)
    model = relighter.regressor_.members_[0]
    model.images_ = model.images_[:, :2]
    with pytest.raises(ValueError, match=r"cannot be saved: .*images_ is an array of shape .* does not fit"):
        save_model(relighter, path)
    assert not path.exists()


def first_network(relighter):
    return relighter.regressor_.members_[0]["mlp"]


def test_unfinished_fits_come_back(path):
    relighter = quick().fit(DIRECTIONS, COLOUR)
    # What Ctrl-C leaves behind: a last epoch without its losses.
    history = first_network(relighter).net_.history
    history.new_epoch()
    history.record("epoch", len(history))
    assert rows(first_network(round_trip(relighter, path)).history_) == rows(history)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_model_from_cuda_loads_without_it(relighter, path):
    save_model(relighter, path)
    changed(path, lie(*NET, "device", value="cuda:1"))
    loaded = load_model(path)
    assert first_network(loaded).net_.device == "cpu"
    assert_equal(loaded, relighter, DIRECTIONS)


@pytest.mark.parametrize(("n_points", "rank"), [(1100, 3), (8200, 2)])
def test_lights_that_are_too_many_to_triangulate_are_refused(n_points, rank, path):
    lights = np.random.default_rng(0).normal(size=(n_points, rank)) * 5
    relighter = Relighter(LinearInterpolation()).fit(lights, np.ones((n_points, 1)))
    with pytest.raises(ValueError, match=f"{n_points} lights to triangulate are more than the"):
        save_model(relighter, path)


def test_parts_alone_are_refused(path):
    with pytest.raises(ValueError, match=r"relighter is a .*LogExposureScaler"):
        save_model(LogExposureScaler().fit(COLOUR), path)
    with pytest.raises(ValueError, match=r"relighter is a .*PixelLightFeaturizer"):
        save_model(PixelLightFeaturizer().fit(DIRECTIONS, COLOUR), Path(path))


def test_saving_takes_less_memory_than_the_model(path):
    images = np.random.default_rng(0).integers(0, 256, (6, 200, 300, 3)) / np.float32(255)
    model = make_relighter(random_state=0, max_observations=2000).set_params(interpolation=None)
    model.fit(DIRECTIONS[:6], images)
    table = model.regressor_.members_[0][0].pixel_table_
    tracemalloc.start()
    try:
        save_model(model, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.7 * table.nbytes
