"""
Tune a model
============

Every parameter of every part is open to scikit-learn's searches, which hold out whole photographs.
"""

# %%
# A sample is one light with its photograph, so a search needs nothing special: ``KFold`` holds out photographs, and
# nothing of them reaches the encoding, the mean image or the network.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, KFold

from sklrelight import make_relighter
from sklrelight.datasets import make_scene
from sklrelight.metrics import display_white, make_relative_error_scorer, relative_error
from sklrelight.neural import BatchSizeStages, PlateauLearningRate
from sklrelight.plotting import TrainingCurveDisplay

scene = make_scene(n_lights=64, image_shape=(36, 48))
held_out = np.arange(len(scene.lights)) % 8 == 3
lights, images = scene.lights[~held_out], scene.images[~held_out]
white = display_white(images)

# %%
# A parameter is named by its place: the part, the step of the pipeline, and its name there. The network alone is
# tuned here, without the interpolation that the default recipe averages it with. It is small and sees few observations,
# so that this page is quick, and is given them in small batches, so that it makes enough steps.
relighter = make_relighter(max_observations=100_000, random_state=0).set_params(
    interpolation=None, regressor__mlp__hidden_layer_sizes=(64, 32), regressor__mlp__batch_size=512
)
print(
    "\n".join(name for name in relighter.get_params() if name.startswith(("transformer__", "regressor__featurizer__")))
)

# %%
# Which features, which curve, with or without layers of the pixel: 12 combinations, each fitted three times. The scorer
# compares encoded values, and returns the negative error, because scikit-learn takes a greater score for a better one.
# A search of your own runs on all cores with ``n_jobs=-1``.
grid = {
    "regressor__featurizer__n_components": [0, 4, 12],
    "transformer__curve": ["display", "log"],
    "regressor__mlp__pixel_layer_sizes": [(), (64, 64)],
}
search = GridSearchCV(
    relighter,
    grid,
    scoring=make_relative_error_scorer(white=white),
    cv=KFold(3, shuffle=True, random_state=0),
)
search.fit(lights, images)
print(search.best_params_)

# %%
# All combinations. The lines at the ends of the bars are standard deviations over the three folds: smaller
# differences say nothing.
results = search.cv_results_
order = np.argsort(results["mean_test_score"])[::-1]
labels = [
    f"{p['regressor__featurizer__n_components']} components, {p['transformer__curve']}, "
    f"{len(p['regressor__mlp__pixel_layer_sizes'])} layers of the pixel"
    for p in results["params"]
]
figure, axis = plt.subplots(figsize=(8, 4.2), layout="constrained")
colors = {0: "#9aa5b1", 4: "#6aa9d8", 12: "#2e86c1"}
axis.barh(
    range(len(order)),
    -results["mean_test_score"][order],
    xerr=results["std_test_score"][order],
    color=[colors[results["params"][i]["regressor__featurizer__n_components"]] for i in order],
    error_kw={"ecolor": "#808080", "capsize": 3},
)
axis.set_yticks(range(len(order)), [labels[i] for i in order], fontsize=9)
axis.invert_yaxis()
axis.set_xlabel("relative error of held-out photographs (encoded), less is better")
axis.set_title("cross-validation over photographs, best first", fontsize=10)

# %%
# The search ends by fitting the best combination to all photographs that it was given. The photographs that were kept
# from the search say how good it is. The error in the search is a little too low, because the choice was made by it.
error = relative_error(scene.images[held_out], search.predict(scene.lights[held_out]), white=white)
print(f"relative error (encoded): in the search {-search.best_score_:.3f}, on photographs unseen by it {error:.3f}")

# %%
# Did it train long enough? The best combination is fitted once more, for longer, with a few photographs for a
# validation loss, and by the published schedule: stages with smaller and smaller batches, and a learning rate that is
# reduced when the loss no longer falls.
longer = search.best_estimator_.set_params(
    regressor__mlp__max_observations=1_500_000,
    regressor__mlp__validation_fraction=0.15,
    regressor__mlp__batch_size=2048,
    regressor__mlp__callbacks=[BatchSizeStages(n_stages=3, max_epochs=6), PlateauLearningRate()],
)
longer.fit(lights, images)
_ = TrainingCurveDisplay.from_estimator(longer)
