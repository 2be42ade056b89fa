"""Settings of a fit, with a value for every "auto": :class:`TrainingConfig`."""

import math
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch

from ._callbacks import BatchSizeStages, named_callbacks

__all__ = [
    "OBSERVATIONS",
    "TrainingConfig",
    "count_validation_lights",
    "has_bfloat16_units",
    "resolve_device",
]

# Trained on in about a minute of one core without units for bfloat16.
OBSERVATIONS = 20_000_000
# Small captures and tables are learnt after so many epochs.
_MOST_EPOCHS = 100
# Smaller batches take more time for the steps of the optimiser than for the network, larger ones make too few steps.
_BATCH_SIZE = 4096
# With so many lights a pixel, the layers of the pixel take hardly any time, and a batch still has 64 pixels.
_LIGHTS_PER_PIXEL = 64

# Fewer training observations than this are done in a moment in float32, to the last digit.
_HALF_PRECISION_OBSERVATIONS = 2**17
# Floating-point operations of a fit, and seconds that it may take, from which on compiling repays itself: on two cores,
# they take minutes, some ten times as long as compiling; on CUDA, some ten seconds.
_REPAY_COMPILING = {"cpu": (2e14, 300), "cuda": (5e15, 10)}


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training of one network.

    Most fields are the parameters of :class:`~sklrelight.RelightingMLPRegressor` of the same names, with a value in
    place of each "auto". If several networks share `max_observations` and `max_time`, the fields hold the part of one.
    `n_planned` is the number of observations that the network is trained on if nothing ends training early.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import RelightingMLPRegressor
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> config = RelightingMLPRegressor((8,), random_state=0, device="cpu").fit(X, X.ravel()).config_
    >>> config.batch_size, config.max_observations, config.precision
    (32, 10000, 'float32')
    """

    hidden_layer_sizes: tuple
    pixel_layer_sizes: tuple
    activation: str
    output_activation: str
    light_pixel_products: bool
    dropout: float
    normalization: str | None
    luminance_weight: float
    relative_weight: float
    optimizer: str
    learning_rate_init: float
    batch_size: int
    lights_per_pixel: int
    window_size: int
    scale_targets: bool
    max_observations: int | None
    max_time: float | None
    validation_fraction: float
    precision: str
    compile: bool | str
    device: str
    verbose: int
    seed: int
    output_offset: float = 0.0
    output_scale: float = 1.0
    n_planned: int | None = None

    @classmethod
    def resolve(cls, parameters, observations, seed, membership=None):
        """Choose a value for each "auto" among the parameters of a regressor.

        Parameters
        ----------
        parameters : dict
            Parameters of the regressor by name.

        observations : Observations
            All observations that the regressor is fitted to, on the device of the fit.

        seed : int
            Seed of the weights, the batches and the choice of validation lights.

        membership : Membership or None, default=None
            What the fit has of the observations and the time. None: all.

        Returns
        -------
        TrainingConfig
            The settings.
        """
        names = {field.name for field in fields(cls)}
        config = cls(
            **{name: value for name, value in parameters.items() if name in names}, lights_per_pixel=1, seed=seed
        )
        # A table does not tell light from pixel.
        has_pixels = bool(observations.pixels.shape[1])
        pixel_layer_sizes = tuple(int(size) for size in config.pixel_layer_sizes) if has_pixels else ()
        config = replace(
            config,
            hidden_layer_sizes=tuple(int(size) for size in config.hidden_layer_sizes),
            pixel_layer_sizes=pixel_layer_sizes,
            light_pixel_products=bool(
                config.light_pixel_products and has_pixels and (len(config.hidden_layer_sizes) or pixel_layer_sizes)
            ),
            # Without layers of the pixel, nothing is saved by grids, and single observations are the better mixed.
            lights_per_pixel=min(_LIGHTS_PER_PIXEL, observations.n_lights) if pixel_layer_sizes else 1,
            batch_size=_choose_batch_size(config, observations),
            max_observations=_share_observations(config, observations, membership),
            max_time=_share_time(config, membership),
            precision=_choose_precision(config, observations),
            device=str(observations.lights.device),
        )
        config = replace(config, n_planned=_plan_observations(config, parameters["callbacks"], observations))
        return replace(config, compile=_choose_compile(config, observations))

    def scaled_to(self, train):
        """Give the settings with which the output has the mean and the deviation of the targets.

        Parameters
        ----------
        train : Observations
            Observations to train on, without those held out for validation.

        Returns
        -------
        TrainingConfig
            The same settings, with `output_offset` and `output_scale` if `scale_targets` is set.
        """
        if not self.scale_targets:
            return self
        offset, scale = train.target_moments()
        return replace(self, output_offset=offset, output_scale=scale)

    def going_on(self):
        """Give the settings with which the training of a fitted network goes on.

        Returns
        -------
        TrainingConfig
            The same settings, for half as many observations, half the time and half the learning rate.
        """
        # What was planned, because the stages of callbacks may have ended training before `max_observations`.
        n_observations = None if self.n_planned is None else max(1, self.n_planned // 2)
        return replace(
            self,
            max_observations=n_observations,
            n_planned=n_observations,
            max_time=None if self.max_time is None else self.max_time / 2,
            learning_rate_init=self.learning_rate_init / 2,
            # Another order of the observations.
            seed=self.seed ^ 1,
        )


def count_validation_lights(n_lights, fraction):
    """Count the lights that are held out for validation.

    Parameters
    ----------
    n_lights : int
        Number of lights.

    fraction : float
        Share of the lights to hold out, in [0, 1).

    Returns
    -------
    int
        0 for a share of 0. Otherwise at least one light is held out, and at least one is left to train on.
    """
    return min(max(1, round(fraction * n_lights)), n_lights - 1) if fraction else 0


def _choose_batch_size(config, observations):
    if config.batch_size != "auto":
        return config.batch_size
    return min(_BATCH_SIZE, max(32, len(observations) // 8))


def _share_observations(config, observations, membership):
    n_observations = config.max_observations
    if n_observations == "auto":
        n_observations = min(OBSERVATIONS, _MOST_EPOCHS * len(observations))
    if n_observations is None or membership is None:
        return n_observations
    return max(1, round(n_observations * membership.share / membership.n_members))


def _share_time(config, membership):
    if config.max_time is None or membership is None:
        return config.max_time
    return config.max_time * membership.share / membership.n_rounds


def _plan_observations(config, callbacks, observations):
    """Count the observations of all stages, or those of `max_observations` if these are fewer."""
    n_valid = count_validation_lights(observations.n_lights, config.validation_fraction)
    n_epoch = (observations.n_lights - n_valid) * observations.n_pixels
    stages = [callback for _, callback in named_callbacks(callbacks) if isinstance(callback, BatchSizeStages)]
    bounds = [stage.n_stages * stage.max_epochs * n_epoch for stage in stages]
    if config.max_observations is not None:
        bounds.append(config.max_observations)
    return min(bounds, default=None)


def _choose_precision(config, observations):
    if config.precision != "auto":
        return config.precision
    half = has_bfloat16_units(observations.lights.device) and len(observations) >= _HALF_PRECISION_OBSERVATIONS
    return "bfloat16" if half else "float32"


def _choose_compile(config, observations):
    """Decide whether to compile, by what is planned and allowed and not by a measured time."""
    if config.compile != "auto":
        return bool(config.compile)
    pixel_widths = [observations.pixels.shape[1], *config.pixel_layer_sizes]
    widths = [observations.lights.shape[1] + pixel_widths[-1], *config.hidden_layer_sizes, observations.n_channels]
    n_weights = [sum(n_in * n_out for n_in, n_out in pairwise(some)) for some in (pixel_widths, widths)]
    # A weight takes a multiplication and an addition, forwards and twice backwards.
    n_planned = math.inf if config.n_planned is None else config.n_planned
    n_operations = 6 * n_planned * (n_weights[0] / config.lights_per_pixel + n_weights[1])
    seconds = math.inf if config.max_time is None else config.max_time
    least_operations, least_seconds = _REPAY_COMPILING.get(observations.lights.device.type, (math.inf, math.inf))
    return "auto" if n_operations >= least_operations and seconds >= least_seconds else False


def resolve_device(device):
    """Turn the parameter `device` into a device that exists.

    Parameters
    ----------
    device : str
        A name that torch knows, or ``"auto"``: CUDA if there is one, else the CPU.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ValueError
        If torch does not know the name, or there is no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={device!r} cannot be used here: {reason}") from error
    return resolved


def has_bfloat16_units(device):
    """Tell whether a device computes products in bfloat16 faster than in float32.

    Parameters
    ----------
    device : torch.device
        The device.

    Returns
    -------
    bool
        On the CPU, True if it reports AMX, or if it reports AVX512-bf16 and is not made by Intel: Intel's AVX512-bf16
        is as fast as float32, and the conversions take additional time. On CUDA, True if the card has units for
        bfloat16.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or (capabilities.get("avx512_bf16") and not _is_intel()))
    return False


@cache
def _is_intel():
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "GenuineIntel" in cpuinfo.read_text()
