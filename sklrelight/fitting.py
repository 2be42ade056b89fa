"""What a fit starts from: its data, checked, and the interpolation that networks are averaged with."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .blending import fit_interpolation, hold_out_lights
from .budget import choose_n_latents, choose_n_networks
from .building import make_observations, plan_observations, resolve_max_observations, target_range
from .interpolation.streamed import sample_pixels
from .preprocessing import PixelLightFeatures
from .training import has_bfloat16_units

__all__ = ["TrainingData", "choose_precision", "fit_first_stage", "resolve_n_latents"]

# Fewer training observations than this are done in a moment in float32, to the last digit.
_HALF_PRECISION_OBSERVATIONS = 2**17
# float32 tells so many whole numbers apart.
_MOST_NUMBERED_PIXELS = 2**24


@dataclass
class TrainingData:
    """What a regressor is fitted to, checked.

    Parameters
    ----------
    features : PixelLightFeatures
        Of all observations.

    y : ndarray of shape (n_lights, ...), float32, or ImageStack
        Encoded photographs, or a table's targets.

    pixel_weight : ndarray of shape (H, W), float32, or None
        Weights of the pixels.

    saturation : float or None
        Value at and above which a target is left out.

    is_table : bool
        Whether it is a plain table.

    value_range : tuple of float or None, default=None
        Of all pixels, where these are a sample.

    pixels : ndarray of int or None, default=None
        Which pixels these are, where they are a sample.
    """

    features: PixelLightFeatures
    y: Any
    pixel_weight: np.ndarray | None
    saturation: float | None
    is_table: bool
    value_range: tuple | None = None
    pixels: np.ndarray | None = None

    def target_range(self):
        """Find the least and the greatest value of the pixels that have weight; None for a plain table."""
        return None if self.is_table else target_range(self.y, self.pixel_weight)

    def unsaturated(self):
        """Give the targets, at most as bright as `saturation`: of what lies above no more is known."""
        return self.y if self.saturation is None else np.minimum(self.y, np.float32(self.saturation))

    def observations(self, n_latents, device):
        """Hand the data to torch, without a copy where that is possible."""
        return make_observations(self.features, self.y, self.pixel_weight, self.saturation, n_latents, device)

    def sample(self, rng):
        """Read some pixels of photographs on disk."""
        features, images, weight, pixels = sample_pixels(self.features, self.y, self.pixel_weight, rng)
        least, greatest = self.target_range()
        if self.saturation is not None:
            greatest = min(greatest, self.saturation)
        extent = (least, greatest)
        return TrainingData(features, images, weight, self.saturation, self.is_table, extent, pixels)


def choose_precision(precision, device, n_observations):
    """Resolve a `precision` parameter.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        The parameter.

    device : torch.device
        Where the fit runs.

    n_observations : int
        Number of training observations.

    Returns
    -------
    str
        ``"float32"`` or ``"bfloat16"``.
    """
    if precision != "auto":
        return precision
    half = has_bfloat16_units(device) and n_observations >= _HALF_PRECISION_OBSERVATIONS
    return "bfloat16" if half else "float32"


def resolve_n_latents(parameters, data):
    """Resolve the parameter `n_latents`.

    Parameters
    ----------
    parameters : RelightingMLPRegressor
        Whose parameter it is, beside those that bound how much it trains.

    data : TrainingData
        What it trains on.

    Returns
    -------
    int
        Latents of each pixel.

    Raises
    ------
    ValueError
        If latents are asked for where there are more pixels than a network can tell apart.
    """
    n_lights, n_pixels, _ = data.features.shape
    if parameters.n_latents == "auto":
        max_observations = resolve_max_observations(parameters, n_lights)
        n_planned = plan_observations(parameters, n_lights * n_pixels, max_observations)
        return choose_n_latents(n_lights, n_pixels, n_planned)
    if parameters.n_latents and n_pixels > _MOST_NUMBERED_PIXELS:
        raise ValueError(
            f"n_latents={parameters.n_latents} with {n_pixels:,} pixels: it is for {_MOST_NUMBERED_PIXELS:,} at most;"
            " set it to 0 or 'auto'"
        )
    return parameters.n_latents


def fit_first_stage(parameters, data, rng):
    """Fit the interpolation, if there is to be one, and pick the lights that each network does without.

    Parameters
    ----------
    parameters : RelightingMLPRegressor
        Whose parameters say what is wanted.

    data : TrainingData
        What to fit.

    rng : RandomState
        Seeds the interpolation, and picks the lights.

    Returns
    -------
    interpolation : estimator or None
        Fitted.

    held_out : list of ndarray of int
        A set of lights for each network, to measure its share by. They are empty where there is no interpolation.
    """
    interpolation = None
    if parameters.interpolation is not None and not (data.is_table and parameters.interpolation == "auto"):
        interpolation = fit_interpolation(
            parameters.interpolation,
            data.features.light_vectors,
            data.unsaturated(),
            data.pixel_weight,
            rng,
            data.value_range,
        )
    n_networks = parameters.n_networks
    if n_networks == "auto":
        n_networks = 1 if data.is_table else choose_n_networks(*data.features.shape[:2])
    if interpolation is None:
        return None, [np.empty(0, np.int64)] * n_networks
    return interpolation, hold_out_lights(len(data.features), n_networks, rng, data.features.light_vectors)
