"""
Tune a model on a capture
=========================

Search the sizes of the network, the weights of the loss and the number of components by cross-validation over whole
photographs, and draw the score of each setting. The photographs are in a file, which the workers of the search read
instead of copying each fold.

``python examples/tune.py CAPTURE`` takes a folder with photographs and an ``.lp`` file. Without one, a scene is
rendered. It needs the extras: ``pip install 'sklrelight[images,plot]'``.
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

# Number of observations of a fit in the last round. Those in the first round have a ninth. With more of them, similar
# settings can be told apart.
OBSERVATIONS = 540_000

# %%
# The space of the search. All parts of a model are open to it, under the names that ``get_params`` lists.
SETTINGS = {
    "regressor__mlp__pixel_layer_sizes": [(), (64, 32), (128, 64)],
    "regressor__mlp__hidden_layer_sizes": [(32, 32), (64, 32, 32), (128, 64, 64)],
    "regressor__mlp__luminance_weight": [0.0, 1.0],
    "regressor__mlp__relative_weight": [0.0, 0.01, 0.1],
    "regressor__featurizer__n_components": [0, 4, 12],
}


# %%
# The photographs are put into a file. ``load_rti(..., memmap=path)`` does so without holding all of them in memory.
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
# Successive halving fits 18 settings with few observations each, the best third of them with three times as many, and
# so on. The networks are compared without an interpolation, which would even out their differences. A fit with so few
# observations needs small batches, or it would have too few steps.
def search(lights, stack, n_jobs):
    """Search, and return the finished search."""
    return HalvingRandomSearchCV(
        make_relighter(random_state=0).set_params(interpolation=None, regressor__mlp__batch_size=1024),
        SETTINGS,
        n_candidates=18,
        cv=KFold(3, shuffle=True, random_state=0),
        resource="regressor__mlp__max_observations",
        max_resources=OBSERVATIONS,
        min_resources=OBSERVATIONS // 9,
        # To predict the training photographs as well would take longer than all of the fits.
        return_train_score=False,
        random_state=0,
        n_jobs=n_jobs,
    ).fit(lights, stack)


# %%
# The plot has a panel for each parameter. Each point is a setting, and higher is better.
def draw(found, path):
    """Draw the scores of the first round, in which all settings took part."""
    results = found.cv_results_
    first = np.asarray(results["iter"]) == 0
    scores = results["mean_test_score"][first]
    figure, panels = plt.subplots(1, len(SETTINGS), figsize=(14, 3), sharey=True, layout="constrained")
    for panel, (name, values) in zip(panels, SETTINGS.items(), strict=True):
        taken = [values.index(value) for value in np.asarray(results[f"param_{name}"], object)[first]]
        panel.plot(taken, scores, "o", alpha=0.6)
        panel.set_xticks(range(len(values)), [str(value).replace(" ", "") for value in values], fontsize=7)
        panel.set_xlabel(name.split("__")[-1])
        panel.plot([values.index(found.best_params_[name])], [scores.max()], "r*", markersize=12)
    panels[0].set_ylabel("R² on held-out photographs")
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
    print(f"R² on held-out photographs: {found.best_score_:.3f}")
    draw(found, output / "tuning.png")
    print(f"drawn: {output / 'tuning.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune a model on a capture.")
    parser.add_argument("capture", nargs="?", type=Path, help="folder with photographs and an .lp file")
    parser.add_argument("--output", type=Path, default=Path("tune_output"), help="folder for the plot")
    parser.add_argument("--n-jobs", type=int, default=2, help="number of workers")
    arguments = parser.parse_args()
    main(arguments.capture, arguments.output, arguments.n_jobs)
