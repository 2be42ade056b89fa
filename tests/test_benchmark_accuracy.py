"""The accuracy benchmark: its splits, ratios, tables, what it keeps on disk, and a quick run of all of it."""

import doctest
import importlib
import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from capture_files import directions, write_capture

from sklrelight.metrics import DISPLAY_GAMMA, relative_error

pytest.importorskip("skimage")
pytest.importorskip("matplotlib").use("agg")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
accuracy, models, plot, report, results, sets = (
    importlib.import_module(f"accuracy{part}") for part in ("", "_models", "_plot", "_report", "_results", "_sets")
)

NAME = "realrti/item1"


def shaded(lights, height=12, width=14):
    """Matte photographs in [0, 1] of random normals, with a soft highlight: not linear in the light."""
    normals = directions(height * width, seed=1).reshape(height, width, 3)
    cosines = np.maximum(normals @ lights.T, 0).transpose(2, 0, 1)
    return (0.7 * cosines + 0.3 * cosines**8)[..., np.newaxis] * np.array([0.9, 0.7, 0.5])


@pytest.fixture
def data(tmp_path):
    """A folder of captures with one of 8 bits."""
    lights = directions(20)
    write_capture(tmp_path / NAME, np.round(255 * shaded(lights)).astype(np.uint8), lights)
    return tmp_path


@pytest.fixture
def linear_data(tmp_path):
    """A folder of captures with one of linear radiance, tested on another."""
    for name, n, seed in (("figure_olat", 24, 0), ("figure_reference", 5, 1)):
        positions = directions(n, seed) * [3, 3, 0] + [0, 0, 2]
        images = 4 * shaded(positions / np.linalg.norm(positions, axis=1, keepdims=True))
        np.savez(tmp_path / f"{name}.npz", images=images.astype(np.float16), light_positions=positions)
    return tmp_path


@pytest.mark.parametrize("module", [accuracy, models, plot, report, results, sets])
def test_examples(module):
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


# --- Splits


@pytest.mark.parametrize(("n", "train", "k"), [(72, 0.6, 43), (47, 0.6, 28), (240, 120, 120), (49, 1.0, 49)])
def test_splits_are_the_first_of_a_seeded_permutation(n, train, k):
    first, rest = sets.permute(n, train, seed=2)
    np.testing.assert_array_equal(np.concatenate([first, rest]), np.random.default_rng(2).permutation(n))
    assert len(first) == k
    assert sorted([*first, *rest]) == list(range(n))
    np.testing.assert_array_equal(first, sets.permute(n, train, seed=2)[0])
    assert k == n or not np.array_equal(np.sort(first), np.sort(sets.permute(n, train, seed=1)[0]))


def test_more_lights_than_there_are_are_refused():
    with pytest.raises(ValueError, match="60 of 49"):
        sets.permute(49, 60, 0)


def test_stored_values_of_8_bits_are_encoded_already(data):
    split = sets.load_split(NAME, data, 0.6, seed=1)
    order = np.random.default_rng(1).permutation(20)
    stored = np.round(255 * shaded(directions(20))) / 255
    np.testing.assert_allclose(split.images, stored[order[:12]], atol=1e-6)
    np.testing.assert_allclose(split.test_images, stored[order[12:]], atol=1e-6)
    np.testing.assert_allclose(split.test_lights, directions(20)[order[12:]], atol=1e-6)
    np.testing.assert_array_equal(split.encode(split.images), split.images)
    np.testing.assert_array_equal(split.to_linear(split.images), split.images)
    assert split.encode(np.array([-0.1, 1.2])).tolist() == [0, 1]
    assert split.domains == ("encoded",)


def test_linear_captures_are_encoded_by_the_white_of_the_training_photographs(linear_data):
    split = sets.load_split("figure_olat", linear_data, 10, seed=0)
    assert (len(split.images), len(split.test_images)) == (10, 5)
    assert split.white == pytest.approx(np.percentile(split.images.astype(np.float64), 99.95), rel=1e-5)
    expected = np.clip(split.test_images / split.white, 0, 3) ** (1 / DISPLAY_GAMMA)
    np.testing.assert_allclose(split.encode(split.test_images), expected, rtol=1e-5)
    np.testing.assert_allclose(split.decode(expected), np.minimum(split.test_images, 3 * split.white), rtol=1e-5)
    assert split.domains == ("encoded", "linear")


def test_synthrti_is_trained_on_the_dome_and_tested_on_its_test_lights(tmp_path):
    name = sets.SYNTHRTI[0]
    for part, n in (("Dome", 9), ("Test", 4)):
        lights = directions(n, seed=n)
        write_capture(tmp_path / name / part, np.round(255 * shaded(lights)).astype(np.uint8), lights)
    split = sets.load_split(name, tmp_path, 1.0, seed=0)
    assert (len(split.images), len(split.test_images)) == (9, 4)
    np.testing.assert_allclose(split.test_lights, directions(4, seed=4), atol=1e-6)
    np.testing.assert_allclose(split.to_linear(split.images), split.images**2.2)


def test_quick_splits_have_few_pixels_of_the_same_photographs(data):
    small = sets.load_split(NAME, data, 0.6, seed=0, quick=True)
    assert max(small.images.shape[1:3]) <= 24
    whole = sets.load_split(NAME, data, 0.6, seed=0)
    np.testing.assert_array_equal(small.test_lights, whole.test_lights)


def test_a_mask_counts_only_when_it_is_asked_for(data_dir):
    assert sets.load_split("diligent_cat", data_dir, 60, seed=0, quick=True).pixel_weight is None
    masked = sets.load_split("diligent_cat", data_dir, 60, seed=0, quick=True, masked=True)
    assert masked.pixel_weight.shape == masked.images.shape[1:3]
    assert len(masked.images) == 60
    assert len(masked.test_images) == 36


def test_sets_are_those_of_the_issue():
    assert len(sets.REALRTI) == 9
    assert len(sets.SYNTHRTI) == 3
    assert sets.expand(["all"]) == list(sets.SETS)
    jobs = accuracy.plan(sets.SETS, ["rbf"], [0, 1, 2], models.Settings())
    assert len(jobs) == 3 * (9 + 3 + 1 + 1 + 3 + 2)


def test_colburn2019_runs_to_its_end_on_one_row_only():
    jobs = accuracy.plan(sets.SETS, ["rbf"], [0, 1], models.Settings(precision="bfloat16"), to_the_end=True)
    (job,) = [job for job in jobs if job["model"] == models.TO_THE_END]
    assert (job["capture"], job["lights"], job["seed"], job["settings"]["precision"]) == (
        "figure_olat",
        512,
        0,
        "bfloat16",
    )
    assert {job["settings"]["precision"] for job in jobs if job["model"] == "rbf"} == {"float32"}


def test_a_share_of_the_budget_is_a_setting_of_the_default_recipe_alone():
    settings = models.Settings(budget=0.5)
    jobs = accuracy.plan([NAME], ["rbf", "default", models.IN_FLOAT32], [0], settings)
    assert [job["settings"]["budget"] for job in jobs] == [1, 0.5, 0.5]


# --- Models


@pytest.mark.parametrize("model", models.CLASSICAL)
def test_errors_found_in_one_go_are_those_of_the_models(model, request):
    """The choice with hindsight takes classical models for sums of photographs; so they have to be."""
    for name, folder, train in ((NAME, "data", 0.6), ("figure_olat", "linear_data", 16)):
        split = sets.load_split(name, request.getfixturevalue(folder), train, seed=0)
        candidates = models.MODELS[model](split, 0, models.Settings())
        errors = models.hindsight_errors(candidates, split)
        if model in ("nearest", "rbf", "linear"):
            assert errors
        truth = split.encode(split.test_images)
        for found in list(errors)[:: max(1, len(errors) // 6)]:
            _, predicted, *_ = models.fit_and_predict(candidates[found], split)
            encoded = models.encode_prediction(predicted, candidates[found].domain, split)
            assert errors[found] == pytest.approx(relative_error(truth, encoded), rel=1e-3), found


def test_the_grid_is_the_one_of_the_issue():
    grid = models.rbf_grid(directions(30))
    assert len(grid) == 7 * 3 * 2
    epsilons = {model.epsilon for model in grid.values() if model.kernel == "gaussian" and model.n_dimensions == 3}
    assert len(epsilons) == 3
    assert len(models.rbf_grid(directions(30)[:, :2])) == 7 * 3


def test_scikit_learns_network_learns_from_the_table(data):
    split = sets.load_split(NAME, data, 0.6, seed=0)
    table = models.ObservationTable(0.5, batch_size=500, random_state=0).fit(split.lights, split.images)
    assert table.n_observations_ % 500 == 0
    predicted = table.predict(split.test_lights)
    assert predicted.shape == split.test_images.shape
    assert relative_error(split.test_images, predicted) < 0.8


def test_neighbours_of_a_training_light_are_its_photograph(data):
    split = sets.load_split(NAME, data, 0.6, seed=0)
    (candidate,) = models.MODELS["kneighbors"](split, 0, models.Settings()).values()
    fitted = candidate.estimator.fit(split.lights, split.images)
    np.testing.assert_allclose(fitted.predict(split.lights[:2]), split.images[:2], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "n_observations"),
    [(models.Settings(), "auto"), (models.Settings(budget=0.5), 10_000_000), (models.Settings(quick=True), 20_000)],
)
def test_recipes_have_their_budgets(settings, n_observations):
    split = sets.Split(np.zeros((50, 3)), *[None] * 3, white=None)
    default, colburn2019 = (
        models.MODELS[recipe](split, 0, settings)[""].estimator.get_params() for recipe in ("default", "colburn2019")
    )
    assert colburn2019["regressor__mlp__hidden_layer_sizes"] == (600,) * 5
    assert colburn2019["regressor__mlp__max_time"] == 60
    assert default["regressor__mlp__max_observations"] == n_observations
    assert default["regressor__mlp__max_time"] is None


def test_the_default_in_float32_differs_in_nothing_else():
    default, in_float32 = (
        models.MODELS[model](None, 0, models.Settings())[""].estimator for model in ("default", models.IN_FLOAT32)
    )
    assert joblib.hash(default) != joblib.hash(in_float32)
    assert joblib.hash(default.set_params(regressor__mlp__precision="float32")) == joblib.hash(in_float32)


# --- Ratios and tables


def record(model, error, capture=NAME, lights=0.6, seed=0, **more):
    """A record with everything that the tables show."""
    shown = {"error_linear": 2 * error, "psnr": 30.0, "ssim": 0.9, "fit_seconds": 1.0, "predict_seconds": 0.1}
    known = {"capture": capture, "lights": lights, "seed": seed, "model": model, "error": error}
    rest = {"memory_mb": 12.0, "n_train": 12, "n_test": 8, "shape": [12, 14], "variant": "", "details": {}}
    rest |= {"settings": models.Settings()._asdict(), "date": "2026-01-01", "machine": "2 cores of X"}
    return known | shown | rest | more


def skipped(model):
    """A record of a model that is not defined for the lights."""
    known = record(model, 1.0)
    kept = ("capture", "lights", "seed", "model", "settings", "date", "machine")
    return {name: known[name] for name in kept} | {"skipped": "not defined for these lights"}


def others(records):
    """Records of the classical models that are missing, so bad that they do not count."""
    rows = {(one["capture"], one["lights"], one["seed"]) for one in records}
    there = {(one["capture"], one["lights"], one["seed"], one["model"]) for one in records}
    return [
        record(model, 0.9, capture, lights, seed)
        for capture, lights, seed in sorted(rows)
        for model in models.CLASSICAL
        if (capture, lights, seed, model) not in there
    ]


def test_ratios_are_to_the_best_classical_model_of_the_same_seed():
    records = [
        record("rbf", 0.10, variant="cubic"),
        record("ptm", 0.20),
        record("mlp", 0.01),  # no classical model
        record("default", 0.08),
        record("rbf", 0.30, seed=1),
        record("ptm", 0.20, seed=1),
        record("default", 0.10, seed=1),
    ]
    records += [*others(records), record("default", 0.10, seed=2)]  # nothing to compare with
    assert report.ratios(records) == {(NAME, 0.6): {0: pytest.approx(0.8), 1: pytest.approx(0.5)}}
    assert report.ratios(records, "ptm")[NAME, 0.6] == {0: pytest.approx(2), 1: 1}


def test_ratios_leave_out_models_that_are_not_defined():
    records = [skipped("hsh"), record("rbf", 0.2), record("default", 0.1)]
    assert report.ratios(records + others(records)) == {(NAME, 0.6): {0: 0.5}}


def test_a_row_without_one_of_the_classical_models_has_no_ratio():
    records = [record("nearest", 0.2), record("default", 0.1)]
    records += others(records)
    assert len(report.ratios(records)) == 1
    assert report.ratios(records[:-1]) == {}


def test_a_target_is_a_mean_over_captures_seed_by_seed():
    of_rows = {(name, 0.6): {0: ratio, 1: ratio + 0.2} for name, ratio in zip(sets.REALRTI, (0.5, 0.7), strict=False)}
    spread, n_found = report.mean_ratio(of_rows, report.TARGETS[0])
    assert spread == pytest.approx((0.7, 0.6, 0.8))
    assert n_found == 2
    assert report.mean_ratio({}, report.TARGETS[0]) == (None, 0)


def test_the_tables_say_what_was_found(tmp_path):
    records = [
        record("rbf", 0.10, variant="cubic, 3-D, smoothing 0, fitted encoded"),
        record("rbf", 0.12, seed=1, variant="linear, 2-D, smoothing 0, fitted encoded"),
        record("default", 0.09),
        record("default", 0.09, seed=1),
        skipped("hsh"),
        skipped("hsh") | {"seed": 1},
        record("rbf", 0.02, "figure_olat", 512),
        record("default", 0.025, "figure_olat", 512),
        record(models.TO_THE_END, 0.03, "figure_olat", 512, fit_seconds=7000.0),
    ]
    records += others(records)
    path = tmp_path / "accuracy.md"
    report.write_report(records, path, "python benchmarks/accuracy.py")
    text = path.read_text(encoding="utf-8")
    assert "`python benchmarks/accuracy.py`, 2026-01-01." in text
    assert "Machine: 2 cores of X." in text
    assert "| realrti, mean of 1 of 9 | 60 % | 0.825 (0.750-0.900) | 0.85 |  |" in text
    assert "| figure_olat | 512 | 1.250 | 0.72 | missed |" in text
    assert "Greatest ratio of a capture: 1.250 (figure_olat, 512)" in text
    assert "Over 0.90: figure_olat (512)." in text
    assert (
        "| sklrelight, default recipe | 0.0900 | 0.825 (0.750-0.900) | 0.1800 | 30.00 | 0.9000 | 1.00 |  | 0.10 | 12 |"
        in text
    )
    assert "| hemispherical harmonics | not defined for these lights | | | | | | | | |" in text
    assert "seed 1 radial basis functions, linear, 2-D, smoothing 0, fitted encoded" in text
    assert "ends at 0.0300 after 7,000 s in float32" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {6, 11}


def test_what_bfloat16_costs_is_shown_where_it_was_used(tmp_path):
    records = [
        record("default", 0.0909, details={"precision": "bfloat16"}),
        record(models.IN_FLOAT32, 0.09),
        record("default", 0.09, seed=1, details={"precision": "float32"}),
        record(models.IN_FLOAT32, 0.08, seed=1),
        record("default", 0.09, lights=30, details={"precision": "bfloat16"}),
    ]
    path = tmp_path / "accuracy.md"
    report.write_report(records, path, "")
    text = path.read_text(encoding="utf-8")
    assert f"| {NAME} | 60 % | 0.0909 | 0.0900 | 1.010 |" in text
    assert "1.125" not in text  # the same network, twice in float32
    assert f"| {NAME} | 30 |" not in text  # nothing to compare with
    report.write_report(records[2:], path, "")
    assert "bfloat16 costs" not in path.read_text(encoding="utf-8")


def test_brightness_that_nobody_can_know_is_shown_beside_what_is_left(tmp_path):
    records = [
        record("rbf", 0.10, error_matched=0.06),
        record("ptm", 0.30, error_matched=0.01),
        record("default", 0.09, error_matched=0.03),
        record("default", 0.09, "loewenkopf", 120, error_matched=0.03),
    ]
    records += others(records)
    path = tmp_path / "accuracy.md"
    report.write_report(records, path, "python benchmarks/accuracy.py")
    text = path.read_text(encoding="utf-8")
    assert f"| {NAME} | 60 % | 0.90 | 0.80 | 0.0300 | 0.0600 | 0.50 |" in text
    assert "| loewenkopf | 120 | 0.10 |" not in text


def test_matched_photographs_are_as_near_as_their_brightness_makes_them():
    rng = np.random.default_rng(0)
    truth = rng.random((3, 4, 5, 3))
    scales = np.array([0.5, 1.0, 3.0])[:, None, None, None]
    np.testing.assert_allclose(models.match_brightness(truth, truth * scales), truth)
    predicted, weight = rng.random((3, 4, 5, 3)), rng.random((4, 5))
    matched = models.match_brightness(truth, predicted, weight)
    error = relative_error(truth, matched, pixel_weight=weight)
    for scale in (0.99, 1.01):
        assert relative_error(truth, scale * matched, pixel_weight=weight) > error
    assert not models.match_brightness(truth, np.zeros_like(truth)).any()


def test_the_plot_of_one_number_of_lights_and_of_several(tmp_path):
    one = [record("rbf", 0.1), record("default", 0.08), record("mlp", 0.2)]
    several = [
        record(model, error / n**0.5, "figure_olat", n, n_train=n)
        for n in (50, 128, 512)
        for model, error in (("rbf", 0.3), ("default", 0.2), ("linear", 0.301), ("ptm", 0.302))
    ]
    for name, records in (("one", one), ("several", [*one, *several])):
        plot.draw(records, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


# --- Results on disk


def test_the_last_result_with_a_key_is_kept(tmp_path):
    path = tmp_path / "accuracy.jsonl"
    assert results.read_results(path) == []
    for one in (record("rbf", 0.1), record("ptm", 0.2), record("rbf", 0.3)):
        results.add_result(path, one)
    assert [(one["model"], one["error"]) for one in results.read_results(path)] == [("rbf", 0.3), ("ptm", 0.2)]
    assert len(path.read_text().splitlines()) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_other_settings_are_other_results():
    quick = record("rbf", 0.1, settings=models.Settings(quick=True)._asdict())
    assert results.key(quick) != results.key(record("rbf", 0.1))


def test_results_from_before_a_setting_existed_have_its_default(tmp_path):
    old = record("default", 0.1)
    del old["settings"]["budget"]
    results.add_result(tmp_path / "accuracy.jsonl", old)
    assert results.read_results(tmp_path / "accuracy.jsonl") == [record("default", 0.1)]


def test_a_report_shows_the_results_of_its_settings(tmp_path):
    path = tmp_path / "accuracy.jsonl"
    for one in (
        *others([record("default", 0.1)]),
        record("default", 0.08),
        record("default", 0.09, settings=models.Settings(budget=0.5)._asdict()),
    ):
        results.add_result(path, one)
    accuracy.report(path, models.Settings(budget=0.5), "")
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "0.5 of its own number of observations" in text
    assert "| 0.0900 | 0.100 |" in text
    assert "0.0800" not in text


# --- Runs


def run_quick(data, out, *more, names=("nearest", "rbf", "default")):
    arguments = ["--quick", "--data", str(data), "--out", str(out), "--sets", NAME, "--models", *names, "--seeds", "0"]
    return accuracy.main([*arguments, *more])


def test_a_quick_run_measures_reports_and_goes_on(data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "results"
    assert run_quick(data, out) == 0
    path = out / "accuracy.jsonl"
    first = {one["model"]: one for one in results.read_results(path)}
    assert set(first) == {"nearest", "rbf", "default"}
    assert 20_000 <= first["default"]["details"]["n_observations"] < 30_000
    assert first["default"]["details"]["precision"] == "float32"
    assert first["rbf"]["error"] < first["nearest"]["error"]
    candidate_errors = first["rbf"]["details"]["candidate_errors"]
    assert first["rbf"]["error"] == pytest.approx(min(candidate_errors.values()), rel=1e-2)
    assert first["rbf"]["variant"] in candidate_errors
    assert 0 < first["default"]["ssim"] <= 1
    text = (out / "accuracy.md").read_text(encoding="utf-8")
    assert "Quick run" in text
    assert str(tmp_path) not in text
    assert (out / "accuracy.png").stat().st_size > 10_000

    measured = []
    run = accuracy.run
    monkeypatch.setattr(accuracy, "run", lambda job, data: measured.append(job["model"]) or run(job, data))
    assert run_quick(data, out, names=("nearest", "linear")) == 0
    assert measured == ["linear"]
    assert run_quick(data, out, "--fresh", names=("nearest",)) == 0
    assert measured == ["linear", "nearest"]
    assert {one["model"] for one in results.read_results(path)} == {"nearest", "rbf", "default", "linear"}


def test_a_model_that_fails_does_not_end_the_others(data, tmp_path, monkeypatch, capsys):
    def fail(split, seed, settings):
        raise RuntimeError("no such luck")

    monkeypatch.setitem(models.MODELS, "kneighbors", fail)
    assert run_quick(data, tmp_path / "results", names=("kneighbors", "nearest")) == 1
    assert "no such luck" in capsys.readouterr().err
    assert [one["model"] for one in results.read_results(tmp_path / "results" / "accuracy.jsonl")] == ["nearest"]


def test_captures_that_are_not_there_are_left_out(data, tmp_path, capsys):
    assert run_quick(data, tmp_path / "results", "--sets", "loewenkopf") == 0
    assert "left out: loewenkopf" in capsys.readouterr().out


def test_a_process_of_its_own_has_a_peak_of_its_own(data):
    settings = models.Settings()._asdict()
    job = {"capture": NAME, "lights": 0.6, "seed": 0, "model": "nearest", "settings": settings}
    found = accuracy.run(job, data)
    assert json.loads(json.dumps(found)) == found
    assert 0 < found["error"] < 1
    if Path("/proc/self/status").exists():
        assert 0 < found["memory_mb"] < 500


def test_without_a_folder_of_captures_it_says_what_to_do(monkeypatch, capsys):
    monkeypatch.delenv("SKLRELIGHT_TEST_DATA", raising=False)
    with pytest.raises(SystemExit):
        accuracy.main([])
    assert "--data" in capsys.readouterr().err


def test_a_budget_of_nothing_is_refused(data, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_quick(data, tmp_path / "results", "--budget", "0")
    assert "--budget is a share above 0" in capsys.readouterr().err
