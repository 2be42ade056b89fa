"""
Tune a model on a capture
=========================

Search architecture, loss weights and number of components by cross-validation over whole photographs, and draw what
each setting is worth. The photographs lie in a file: the workers of the search map it instead of copying each fold.

``python examples/tune.py CAPTURE`` takes a folder with photographs and an ``.lp`` file; without one, a scene is
rendered. Needs the extras: ``pip install 'sklrelight[images,plot]'``.
"""

# %%
import argparse
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, KFold

from sklrelight import ImageStack, make_relighter
from sklrelight.datasets import load_rti, make_scene

mpl.use("Agg")
import matplotlib.pyplot as plt

# Of the fits of the last round; those of the first have a ninth. More of them tell better settings apart.
OBSERVATIONS = 180_000

# %%
# What is searched. All parts of a model are open to it, under the names that ``get_params`` lists.
SETTINGS = {
    "regressor__mlp__hidden_layer_sizes": [(64, 64), (128, 128, 128), (256, 256, 256)],
    "regressor__mlp__luminance_weight": [0.0, 1.0],
    "regressor__mlp__relative_weight": [0.0, 0.01, 0.1],
    "regressor__featurizer__n_components": [0, 4, 12],
}


# %%
# A capture in a file. ``load_rti(..., memmap=path)`` writes one without holding all photographs in memory.
def load(capture, folder):
    """Return lights, and photographs on disk."""
    path = Path(folder, "stack.npy")
    if capture is not None:
        found = load_rti(capture, memmap=path, downscale=2, progress=False)
        return found.lights, ImageStack(path)
    scene = make_scene(n_lights=60, image_shape=(48, 64))
    np.save(path, scene.images)
    return scene.lights, ImageStack(path)


# %%
# Successive halving: 18 settings with few observations each, the best third with three times as many, and so on. The
# networks alone are compared: an interpolation would even out what is to be seen.
def search(lights, stack, n_jobs):
    """Search, and return the finished search."""
    relighter = make_relighter(random_state=0)
    relighter.set_params(regressor__mlp__interpolation=None, regressor__mlp__n_networks=1)
    return HalvingRandomSearchCV(
        relighter,
        SETTINGS,
        n_candidates=18,
        cv=KFold(3, shuffle=True, random_state=0),
        resource="regressor__mlp__max_observations",
        max_resources=OBSERVATIONS,
        min_resources=OBSERVATIONS // 9,
        random_state=0,
        n_jobs=n_jobs,
    ).fit(lights, stack)


# %%
# One panel a parameter: each point is a setting, and the higher the better.
def draw(found, path):
    """Draw the scores of the first round, in which all settings took part."""
    results = found.cv_results_
    first = np.asarray(results["iter"]) == 0
    scores = results["mean_test_score"][first]
    figure, panels = plt.subplots(1, len(SETTINGS), figsize=(12, 3), sharey=True, layout="constrained")
    for panel, (name, values) in zip(panels, SETTINGS.items(), strict=True):
        taken = [values.index(value) for value in np.asarray(results[f"param_{name}"], object)[first]]
        panel.plot(taken, scores, "o", alpha=0.6)
        panel.set_xticks(range(len(values)), [str(value).replace(" ", "") for value in values], fontsize=7)
        panel.set_xlabel(name.split("__")[-1])
        panel.plot([values.index(found.best_params_[name])], [scores.max()], "r*", markersize=12)
    panels[0].set_ylabel("R² on photographs left out")
    figure.savefig(path, dpi=120)
    plt.close(figure)


# %%
def main(capture=None, output=Path("tune_output"), n_jobs=2):
    """Run the example."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        lights, stack = load(capture, folder)
        found = search(lights, stack, n_jobs)
    for name in SETTINGS:
        print(f"{name:40} {found.best_params_[name]}")
    print(f"R² on photographs left out: {found.best_score_:.3f}")
    draw(found, output / "tuning.png")
    print(f"drawn: {output / 'tuning.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune a model on a capture.")
    parser.add_argument("capture", nargs="?", type=Path, help="folder with photographs and an .lp file")
    parser.add_argument("--output", type=Path, default=Path("tune_output"), help="folder for the picture")
    parser.add_argument("--n-jobs", type=int, default=2, help="workers")
    arguments = parser.parse_args()
    main(arguments.capture, arguments.output, arguments.n_jobs)
