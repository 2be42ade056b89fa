"""
Tune a model with Optuna
========================

A study learns from its trials where to look next, and ends a trial early whose first fold is worse than most. Each
trial is scored by cross-validation over whole photographs.

It needs the extra: ``pip install 'sklrelight[tune]'``.
"""

# %%
import argparse
import tempfile
from pathlib import Path

import numpy as np
import optuna
from sklearn.base import clone
from sklearn.model_selection import KFold

from sklrelight import ImageStack, make_relighter
from sklrelight.datasets import make_scene

OBSERVATIONS = 60_000


# %%
# The choices of a trial, and its score. ``stack[rows]`` picks photographs without reading them.
def objective(trial, lights, stack):
    """Return the mean R^2 over three folds."""
    # The width of the layers of the pixel, of which there are `depth`, and of the layer that joins pixel and light.
    width = trial.suggest_int("width", 32, 128, log=True)
    relighter = make_relighter(max_observations=OBSERVATIONS, random_state=0).set_params(
        interpolation=None,
        regressor__mlp__pixel_layer_sizes=(width,) * trial.suggest_int("depth", 1, 3),
        regressor__mlp__hidden_layer_sizes=(width, width // 2),
        # So few observations need small batches, or there would be too few steps.
        regressor__mlp__batch_size=512,
        regressor__mlp__luminance_weight=trial.suggest_float("luminance_weight", 0, 2),
        regressor__mlp__learning_rate_init=trial.suggest_float("learning_rate_init", 3e-4, 1e-2, log=True),
        regressor__featurizer__n_components=trial.suggest_int("n_components", 0, 16),
    )
    scores = []
    for fold, (train, test) in enumerate(KFold(3, shuffle=True, random_state=0).split(lights)):
        model = clone(relighter).fit(lights[train], stack[train])
        scores.append(model.score(lights[test], stack[test]))
        trial.report(float(np.mean(scores)), fold)
        if trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(scores))


# %%
def main(n_trials=12):
    """Run the study on a rendered scene."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scene = make_scene(n_lights=60, image_shape=(48, 64))
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "stack.npy"), scene.images)
        stack = ImageStack(Path(folder, "stack.npy"))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
        study.optimize(lambda trial: objective(trial, scene.lights, stack), n_trials=n_trials)
    pruned = sum(trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials)
    print(f"{len(study.trials)} trials, {pruned} ended early")
    for name, value in study.best_params.items():
        print(f"{name:20} {value:.4g}")
    print(f"R² on held-out photographs: {study.best_value:.3f}")
    return study


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune a model with Optuna.")
    parser.add_argument("--trials", type=int, default=12, help="number of settings that are tried")
    main(parser.parse_args().trials)
