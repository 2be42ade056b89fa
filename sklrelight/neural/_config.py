"""How much a fit trains, by the numbers of lights and pixels: networks, their latents, and observations."""

import numpy as np

__all__ = ["choose_max_observations", "choose_n_latents", "choose_n_networks"]

# Between few lights a network makes up what it likes, and several networks' mean is steadier; the more there are, the
# fewer lights each does without. Between many, one is as good, and has all of the observations to itself.
_LIGHTS_OF_ONE_NETWORK = 105
_MOST_NETWORKS = 8
# A network that sees all there is so many times is not short of it.
_EPOCHS_OF_ONE_NETWORK = 10
# A batch is larger where there are fewer lights, and an observation takes less of a step's time.
_LEAST_OBSERVATIONS, _MOST_OBSERVATIONS = 9_000_000, 18_000_000
_OBSERVATIONS, _OBSERVATIONS_TIMES_LIGHTS = 4_500_000, 450_000_000

# Between few lights, latents fit the noise of single photographs. For many pixels that hardly come up, they are moved
# little, and moving all of them takes longer than the rest of a step.
_LATENTS = 8
_LIGHTS_OF_LATENTS = 100
_VISITS_OF_LATENTS = 100


def choose_n_networks(n_lights, n_pixels):
    """Say how many networks share the observations of a fit.

    Parameters
    ----------
    n_lights, n_pixels : int
        How many there are.

    Returns
    -------
    int
        From 8 at 25 lights to 1 at 81 and more, or 2 of those that are of few pixels; less where there would not be
        three lights for each.

    Examples
    --------
    >>> [choose_n_networks(n, 20_000) for n in (9, 25, 30, 49, 60, 120)]
    [3, 8, 7, 3, 2, 1]
    >>> choose_n_networks(120, 3_000)
    2
    """
    most = min(_MOST_NETWORKS, max(1, n_lights // 3))
    least = 1 + (_EPOCHS_OF_ONE_NETWORK * n_lights * n_pixels <= choose_max_observations(n_lights))
    return int(np.clip(round((_LIGHTS_OF_ONE_NETWORK / n_lights) ** 1.5), min(least, most), most))


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


def choose_n_latents(n_lights, n_pixels, n_observations):
    """Say how many numbers a network is to find for each pixel, beside its features.

    Parameters
    ----------
    n_lights, n_pixels : int
        How many there are.

    n_observations : int
        What the fit is to see, in all.

    Returns
    -------
    int
        8 for 100 lights and more if the fit comes upon each pixel 100 times, else 0.

    Examples
    --------
    >>> [choose_n_latents(n, 20_000, 9_000_000) for n in (60, 120)]
    [0, 8]
    """
    return _LATENTS if n_lights >= _LIGHTS_OF_LATENTS and n_observations >= _VISITS_OF_LATENTS * n_pixels else 0
