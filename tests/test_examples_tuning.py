"""The examples of tuning search, draw, and print what they found."""

import runpy
from pathlib import Path

import pytest

from sklrelight.datasets import load_image

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_a_search_is_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    example = runpy.run_path(str(EXAMPLES / "tune.py"))
    main = example["main"]
    main.__globals__["OBSERVATIONS"] = 9000
    main(output=tmp_path, n_jobs=1)
    assert load_image(tmp_path / "tuning.png").std() > 0.05
    shown = capsys.readouterr().out
    assert all(name in shown for name in example["SETTINGS"])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_study_runs_its_trials(capsys):
    pytest.importorskip("optuna")
    main = runpy.run_path(str(EXAMPLES / "tune_with_optuna.py"))["main"]
    main.__globals__["OBSERVATIONS"] = 3000
    study = main(n_trials=3)
    assert len(study.trials) == 3
    assert set(study.best_params) == {"width", "depth", "luminance_weight", "learning_rate_init", "n_components"}
    assert "3 trials" in capsys.readouterr().out
