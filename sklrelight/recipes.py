"""The recipes of `make_relighter`: what each sets of the parts' parameters."""

from typing import Any

from sklearn.pipeline import Pipeline

from .featurizer import PixelLightFeaturizer
from .regressor import RelightingMLPRegressor

__all__ = ["RECIPES", "make_pipeline"]

# What each recipe sets, by part; everything else keeps its default.
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "default": {
        "transformer": {},
        "featurizer": {},
        # The other terms of the loss keep channels alive that end in a ReLU, which these do not.
        "mlp": {
            "n_networks": "auto",
            "interpolation": "auto",
            "n_latents": "auto",
            "luminance_weight": 0.0,
            "relative_weight": 0.0,
        },
    },
    "colburn2019": {
        "transformer": {"exposure": 4.0, "gamma": 2.2, "curve": "power"},
        "featurizer": {"n_components": 0, "brightness_powers": (), "scaling": "unit"},
        "mlp": {
            "hidden_layer_sizes": (600,) * 5,
            "light_pixel_products": False,
            "optimizer": "adam",
            "learning_rate_init": 1e-3,
            "learning_rate": "plateau",
            "plateau_factor": 0.5,
            "plateau_patience": 2,
            "min_learning_rate": 1e-7,
            "mse_weight": 1.0,
            "luminance_weight": 1.0,
            "relative_weight": 0.01,
            "batch_size": 50_000,
            "n_stages": 4,
            "batch_size_factor": 0.5,
            "max_epochs": 5,
            "max_observations": None,
            # 10 % of the photographs beside 50 % for training.
            "validation_fraction": 1 / 6,
            "stage_patience": 3,
            "target_loss": 1e-5,
            "restore_best_weights": False,
            "scale_targets": False,
        },
    },
}


def make_pipeline(featurizer=None, mlp=None):
    """Put featurizer and network together.

    Parameters
    ----------
    featurizer, mlp : dict or None, default=None
        Parameters of :class:`~sklrelight.PixelLightFeaturizer` and :class:`~sklrelight.RelightingMLPRegressor`; those
        left out keep their defaults. None: what the default recipe sets.

    Returns
    -------
    Pipeline
        With the steps ``featurizer`` and ``mlp``.
    """
    featurizer = RECIPES["default"]["featurizer"] if featurizer is None else featurizer
    mlp = RECIPES["default"]["mlp"] if mlp is None else mlp
    return Pipeline([("featurizer", PixelLightFeaturizer(**featurizer)), ("mlp", RelightingMLPRegressor(**mlp))])
