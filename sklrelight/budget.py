"""How much a fit trains, by the number of lights: how many networks, and on how many observations."""

import numpy as np

__all__ = ["choose_max_observations", "choose_n_networks"]

# Between few lights a network makes up what it likes, and several networks' mean is steadier; the more there are, the
# fewer lights each does without. Between many, one is as good, and has all of the observations to itself.
_LIGHTS_OF_ONE_NETWORK = 105
_MOST_NETWORKS = 8
# A batch is larger where there are fewer lights, and an observation takes less of a step's time.
_LEAST_OBSERVATIONS, _MOST_OBSERVATIONS = 9_000_000, 18_000_000
_OBSERVATIONS, _OBSERVATIONS_TIMES_LIGHTS = 4_500_000, 450_000_000


def choose_n_networks(n_lights):
    """Say how many networks share the observations of a fit.

    Parameters
    ----------
    n_lights : int
        Number of photographs.

    Returns
    -------
    int
        From 8 at 25 lights to 1 at 81 and more; less where there would not be three lights for each.

    Examples
    --------
    >>> [choose_n_networks(n) for n in (9, 25, 30, 49, 60, 120)]
    [3, 8, 7, 3, 2, 1]
    """
    most = min(_MOST_NETWORKS, max(1, n_lights // 3))
    return int(np.clip(round((_LIGHTS_OF_ONE_NETWORK / n_lights) ** 1.5), 1, most))


def choose_max_observations(n_lights):
    """Say how many observations a fit is to see, for about the same time whatever the number of lights.

    Parameters
    ----------
    n_lights : int
        Number of photographs.

    Returns
    -------
    int
        From 18 million at 33 lights and less to 9 million at 100 and more.

    Examples
    --------
    >>> [choose_max_observations(n) for n in (25, 50, 500)]
    [18000000, 13500000, 9000000]
    """
    n_observations = _OBSERVATIONS + _OBSERVATIONS_TIMES_LIGHTS // n_lights
    return int(np.clip(n_observations, _LEAST_OBSERVATIONS, _MOST_OBSERVATIONS))
