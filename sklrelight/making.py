"""A relighting model by the name of its recipe: :func:`make_relighter`."""

from .preprocessing import LogExposureScaler
from .recipes import RECIPES, make_pipeline
from .relighter import Relighter

__all__ = ["make_relighter"]


def make_relighter(recipe="default", *, random_state=None, device="auto", verbose=0):
    """Put a relighting model together from its parts.

    Parameters
    ----------
    recipe : {"default", "colburn2019"}, default="default"
        ``"default"``: the parts' defaults. ``"colburn2019"``: network (1,449,003 parameters for two light coordinates
        and colour), features, loss, normalisation, initial weights and schedule of Colburn 2019, with a linear output
        instead of a ReLU, which can kill a channel for good.

    random_state : int, RandomState instance or None, default=None
        Passed to each part that draws random numbers.

    device : str, default="auto"
        Where to train, see :class:`~sklrelight.RelightingMLPRegressor`.

    verbose : int, default=0
        1: a progress bar.

    Returns
    -------
    Relighter
        With parameters ``transformer__*``, ``regressor__featurizer__*`` and ``regressor__mlp__*`` for a search.

    Raises
    ------
    ValueError
        If there is no such recipe.

    References
    ----------
    A. Colburn, "Image Based Relighting Using Neural Networks", 2019,
    https://github.com/alexcolburn/neural_relighting

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
    return Relighter(
        transformer=LogExposureScaler(**parts["transformer"]),
        regressor=make_pipeline(
            {**parts["featurizer"], "random_state": random_state},
            {**parts["mlp"], "random_state": random_state, "device": device, "verbose": verbose},
        ),
    )
