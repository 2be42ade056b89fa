"""The light of each hour: where the sun stands, and how bright sun and sky are."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from ..utils import check_numbers, import_extra

__all__ = ["COLUMNS", "check_hours", "choose_hours", "sun_lights"]

COLUMNS = ("east", "north", "up", "direct", "diffuse")


def sun_lights(times, latitude, longitude, *, weather=None):
    """Compute the light of each daylit hour.

    Parameters
    ----------
    times : pandas.DatetimeIndex
        Points in time, with a time zone. Without one they are UTC. A weather file has the mean of each hour; give its
        middle.

    latitude, longitude : float
        Place in degrees: north and east are positive.

    weather : mapping or pandas.DataFrame with the columns "dni" and "dhi", or None, default=None
        Direct normal and diffuse horizontal irradiance at each time, in W/m^2, as pvlib's readers of weather files
        return them. None: a clear sky (pvlib's model of Ineichen and Perez).

    Returns
    -------
    pandas.DataFrame of shape (n_daylit, 5), float64
        A row for each time at which the sun stands above the horizon and the sky is not black. ``east``, ``north`` and
        ``up`` are a unit vector towards the sun, ``direct`` and ``diffuse`` the two irradiances in kW/m^2, so that all
        columns are of about the same size.

    Raises
    ------
    ImportError
        If pvlib is not installed.
    ValueError
        If an irradiance is negative or not finite, or the numbers of times and irradiances differ.

    References
    ----------
    pvlib, https://pvlib-python.readthedocs.io

    Examples
    --------
    >>> import pandas as pd
    >>> from sklrelight.daylight import sun_lights
    >>> times = pd.date_range("2024-03-20", periods=24, freq="h", tz="Etc/GMT+5")
    >>> weather = {"dni": [400.0] * 24, "dhi": [100.0] * 24}
    >>> sun_lights(times, 36.1, -79.95, weather=weather).round(2).iloc[5].to_dict()
    {'east': 0.12, 'north': -0.58, 'up': 0.8, 'direct': 0.4, 'diffuse': 0.1}
    """
    pvlib = import_extra("pvlib", "daylight", "To compute the position of the sun")
    pandas = import_extra("pandas", "daylight", "To compute the position of the sun")
    times = pandas.DatetimeIndex(times)
    sun = pvlib.solarposition.get_solarposition(times, latitude, longitude)
    if weather is None:
        weather = pvlib.location.Location(latitude, longitude).get_clearsky(times)
    irradiances = []
    for name in ("dni", "dhi"):
        values = check_numbers(weather[name], f"weather[{name!r}]").astype(np.float64)
        if values.shape != (len(times),):
            raise ValueError(f"weather[{name!r}] has the shape {values.shape}, but there are {len(times)} times")
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"weather[{name!r}] has values that are negative or not finite, wanted W/m^2")
        irradiances.append(values / 1000)
    # Radiance's sky takes the sun where it is, without the refraction of the air.
    azimuth, elevation = (np.radians(sun[name].to_numpy()) for name in ("azimuth", "elevation"))
    east, north = np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth)
    lights = pandas.DataFrame(
        dict(zip(COLUMNS, (east, north, np.sin(elevation), *irradiances), strict=True)), index=times
    )
    return lights[(lights["up"] > 0) & (lights["diffuse"] > 0)]


def choose_hours(lights, n_hours, *, random_state=None):
    """Choose hours that stand for all: those nearest to the centres of k-means [1]_.

    Parameters
    ----------
    lights : array-like of shape (n, n_light_features)
        Light of each hour, as from `sun_lights`. Columns are scaled to unit variance first.

    n_hours : int
        Number of hours to choose, 1 to n.

    random_state : int, RandomState instance or None, default=None
        Seed of k-means.

    Returns
    -------
    ndarray of shape (n_hours,), int
        Rows of `lights`, in rising order.

    Raises
    ------
    ValueError
        If there are fewer different lights than `n_hours`.

    References
    ----------
    .. [1] Y. Liu, A. Colburn, M. Inanici, "Deep neural network approach for annual luminance simulations", Journal of
       Building Performance Simulation 13(5), 2020, https://arxiv.org/abs/2009.09928

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.daylight import choose_hours
    >>> choose_hours(np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]]), 2, random_state=0)
    array([1, 4])
    """
    table = StandardScaler().fit_transform(check_numbers(lights, "lights").astype(np.float64))
    n_different = len(np.unique(table, axis=0))
    if not isinstance(n_hours, int | np.integer) or not 1 <= n_hours <= n_different:
        raise ValueError(f"n_hours={n_hours!r}, wanted 1 to {n_different}, the number of lights that differ")
    means = KMeans(int(n_hours), n_init=1, random_state=random_state)
    distances = means.fit_transform(table)
    # The hour of each cluster that is nearest to its centre.
    by_distance = np.argsort(distances[np.arange(len(table)), means.labels_], kind="stable")
    return np.sort(by_distance[np.unique(means.labels_[by_distance], return_index=True)[1]])


def check_hours(lights):
    """Return the lights of hours as an array of float64, or say what is wrong with them."""
    table = check_numbers(lights, "lights").astype(np.float64)
    if table.ndim != 2 or table.shape[1] != len(COLUMNS) or not len(table):
        raise ValueError(f"lights has the shape {table.shape}, wanted (n_hours, 5): {', '.join(COLUMNS)}")
    lengths = np.linalg.norm(table[:, :3], axis=1)
    good = np.isfinite(table).all(axis=1) & (np.abs(lengths - 1) < 1e-3) & (table[:, 2:] >= 0).all(axis=1)
    if not good.all():
        row = int(good.argmin())
        raise ValueError(
            f"lights: row {row} is {table[row]}, wanted a unit vector towards a sun above the horizon, and irradiances"
            " in kW/m^2 that are not negative"
        )
    return table
