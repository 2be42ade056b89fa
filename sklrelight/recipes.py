"""Relighting models by name: :func:`make_relighter`, and what each recipe sets."""

from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .interpolation import StackedRBFInterpolation
from .neural import BatchSizeStages, ClusteredMLPRegressor, PlateauLearningRate, RelightingMLPRegressor
from .preprocessing import LogExposureScaler, PixelLightFeaturizer
from .relighter import Relighter

__all__ = ["RECIPES", "make_relighter"]

# What each recipe sets, by part; everything else keeps its default. The default recipe is the parts' defaults.
RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "interpolation": StackedRBFInterpolation(),
        "transformer": {},
        "featurizer": {},
        "mlp": {},
    },
    "colburn2019": {
        "interpolation": None,
        "transformer": {"exposure": 4.0, "gamma": 2.2, "curve": "power"},
        "featurizer": {"n_components": 0, "brightness_powers": (), "blur_widths": (), "scaling": "unit"},
        "mlp": {
            "hidden_layer_sizes": (600,) * 5,
            "pixel_layer_sizes": (),
            "light_pixel_products": False,
            "optimizer": "adam",
            "learning_rate_init": 1e-3,
            "luminance_weight": 1.0,
            "relative_weight": 0.01,
            "batch_size": 50_000,
            "max_observations": None,
            # 10 % of the photographs beside 50 % for training.
            "validation_fraction": 1 / 6,
            "scale_targets": False,
            "callbacks": [
                (
                    "stages",
                    BatchSizeStages(n_stages=4, factor=0.5, max_epochs=5, patience=3, target_loss=1e-5),
                ),
                ("plateau", PlateauLearningRate(factor=0.5, patience=2, min_learning_rate=1e-7)),
            ],
        },
    },
    "ren2015": {
        "interpolation": None,
        "transformer": {},
        "featurizer": {"n_components": 0, "brightness_powers": (), "blur_widths": (), "scaling": "unit"},
        "network": ClusteredMLPRegressor,
        "mlp": {},
    },
}


def make_relighter(
    recipe="default", *, max_observations=None, max_time=None, random_state=None, device="auto", verbose=0
):
    """Make a relighting model by name.

    Parameters
    ----------
    recipe : {"default", "colburn2019", "ren2015"}, default="default"
        ``"default"``: the defaults of all parts. It is the same model as ``Relighter()``, but its parts exist before
        `fit`, so that a search can set their parameters.
        ``"colburn2019"``: network (1,449,003 parameters for two light coordinates and colour), features, loss,
        normalisation, initial weights and schedule of Colburn 2019. Only the output is linear: with the published ReLU,
        a channel can become 0 for good.
        ``"ren2015"``: the clustered ensembles of small networks of Ren et al. 2015, trained by Adam instead of
        Levenberg-Marquardt, see :class:`~sklrelight.neural.ClusteredMLPRegressor`.

    max_observations : int or None, default=None
        Number of observations after which training ends. An observation is one pixel under one light. None: the limit
        of the recipe.

    max_time : float or None, default=None
        Number of seconds after which training ends. None: the limit of the recipe.

    random_state : int, RandomState instance or None, default=None
        Seed of all parts that draw random numbers.

    device : str, default="auto"
        Device to train on, see :class:`~sklrelight.RelightingMLPRegressor`.

    verbose : int, default=0
        1: show a progress bar. 2: also show loss, learning rate and batch size.

    Returns
    -------
    Relighter
        The model, not yet fitted. A search can set its parameters ``transformer__*``, ``regressor__featurizer__*``,
        ``regressor__mlp__*`` and, in the default recipe, ``interpolation__*``.

    Raises
    ------
    ValueError
        If there is no such recipe.

    References
    ----------
    A. Colburn, "Image Based Relighting Using Neural Networks", 2019,
    https://github.com/alexcolburn/neural_relighting

    P. Ren, Y. Dong, S. Lin, X. Tong, B. Guo, "Image Based Relighting Using Neural Networks", ACM Transactions on
    Graphics 34 (4), 2015.

    Examples
    --------
    >>> from sklrelight import make_relighter
    >>> relighter = make_relighter("colburn2019")
    >>> relighter.get_params()["regressor__mlp__hidden_layer_sizes"]
    (600, 600, 600, 600, 600)
    """
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise ValueError(f"recipe={recipe!r} is not known; there are {sorted(RECIPES)}")
    parts = RECIPES[recipe]
    budget = {"max_observations": max_observations, "max_time": max_time}
    mlp = parts["mlp"] | {name: value for name, value in budget.items() if value is not None}
    network = parts.get("network", RelightingMLPRegressor)
    relighter = Relighter(
        Pipeline(
            [
                ("featurizer", PixelLightFeaturizer(**parts["featurizer"])),
                ("mlp", network(**mlp, device=device, verbose=verbose)),
            ]
        ),
        transformer=LogExposureScaler(**parts["transformer"]),
        interpolation=parts["interpolation"],
        random_state=random_state,
    )
    # A clone, so that no two models share a part of the recipe.
    return clone(relighter)
