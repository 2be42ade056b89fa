"""Lights as points in a plane, for maps of them."""

import numpy as np
from sklearn.utils import check_array

from ..interpolation._directions import are_directions

__all__ = ["LightMap"]


class LightMap:
    """Two columns of the lights that can be drawn.

    Parameters
    ----------
    lights : array-like of shape (n_lights, n_light_features)
        As a model is given them.

    columns : (int, int) or None, default=None
        Which to draw. None: x and y of directions, so that the map shows the dome from the camera; otherwise the two
        that vary most, in their order.

    Attributes
    ----------
    points : ndarray of shape (n_lights, 2)
        Where to draw them.

    columns : tuple of int
        The columns in use. With lights of a single number, that one and -1: the other axis says nothing.

    labels : tuple of str
        Names of both axes.

    is_dome : bool
        Whether they are directions, which lie within a circle of radius 1, the horizon.

    Raises
    ------
    ValueError
        If there are no such columns.
    """

    def __init__(self, lights, columns=None):
        lights = check_array(lights, input_name="lights")
        n_columns = lights.shape[1]
        self.is_dome = columns is None and n_columns == 3 and bool(are_directions(lights))
        if columns is None and n_columns > 1:
            by_extent = np.argsort(-np.ptp(lights, axis=0), kind="stable")[:2]
            columns = (0, 1) if self.is_dome else tuple(sorted(by_extent.tolist()))
        elif columns is None:
            columns = (0, -1)
        elif len(columns) != 2 or not all(0 <= column < n_columns for column in columns):
            raise ValueError(f"columns={columns!r}, wanted two of the {n_columns} columns of the lights, from 0")
        self.columns = tuple(columns)
        self.points = self.place(lights)
        names = "xyz" if n_columns <= 3 else [f"column {column}" for column in range(n_columns)]
        self.labels = tuple("" if column < 0 else f"light {names[column]}" for column in columns)

    def place(self, lights):
        """Find where lights lie on this map.

        Parameters
        ----------
        lights : array-like of shape (m, n_light_features)
            Of the same kind.

        Returns
        -------
        ndarray of shape (m, 2)
            Their points.
        """
        lights = check_array(lights, input_name="lights")
        if self.columns[1] < 0:
            return np.column_stack([lights[:, 0], np.zeros(len(lights))])
        return lights[:, list(self.columns)]

    def outline(self, axis, color):
        """Draw the horizon of a dome, and make both axes alike.

        Parameters
        ----------
        axis : Axes
            Of the map.

        color : color
            Of the line.
        """
        axis.set_aspect("equal", adjustable="box" if self.is_dome else "datalim")
        if self.is_dome:
            angle = np.linspace(0, 2 * np.pi, 181)
            axis.plot(np.cos(angle), np.sin(angle), color=color, linewidth=0.8, zorder=0)
