"""From a regressor's parameters to its skorch net: validation lights, batches, schedule, callbacks."""

import math
from itertools import pairwise

import torch
from skorch.callbacks import LRScheduler
from skorch.helper import predefined_split
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from ..stacks import ImageStack
from .budget import choose_max_observations
from .callbacks import BatchSizeStages, TrainingProgress, stage_batch_size
from .losses import CompositeLoss
from .networks import RelightingMLP
from .optimizers import MuonAdamW
from .sampling import Observations, TrainingBatches
from .streaming import StackObservations
from .training import RelightingNet, as_tensor

__all__ = [
    "LinearDecay",
    "make_net",
    "make_observations",
    "plan_observations",
    "resolve_max_observations",
    "split_lights",
    "target_range",
]

# Floating-point operations of a fit from which on ``compile="auto"`` compiles: they take minutes on two cores, some ten
# times as long as compiling. On CUDA they take some ten seconds.
_REPAY_COMPILING = {"cpu": 2e14, "cuda": 5e15}

# Between few lights, more steps make a network fit the noise; between many, it is steps that it is short of.
_LIGHTS_TIMES_BATCH_SIZE = 100_000

# Latents of a pixel meet few of the observations, and each of them moves them more.
_RATE_OF_LATENTS = 0.25

# Observations of a batch of the validation set.
_VALID_OBSERVATIONS = 16384


def target_range(targets, pixel_weight):
    """Find what predicted photographs are kept within.

    Parameters
    ----------
    targets : ndarray of shape (n_lights, H, W, ...), or ImageStack
        Encoded photographs.

    pixel_weight : ndarray of shape (H, W) or None
        Pixels of weight 0 do not count.

    Returns
    -------
    tuple of float
        Least and greatest value.
    """
    if isinstance(targets, ImageStack):
        return targets.within(None if pixel_weight is None else pixel_weight > 0).extent()
    inside = targets if pixel_weight is None else targets[:, pixel_weight > 0]
    return inside.min(), inside.max()


def make_observations(features, targets, pixel_weight, saturation, n_latents, device):
    """Put what is trained on on the device; photographs on disk stay there.

    Parameters
    ----------
    features : PixelLightFeatures
        Every pixel under every light.

    targets : ndarray of shape (n_lights, ...), or ImageStack
        Encoded photographs, or a table's targets.

    pixel_weight : ndarray of shape (H, W) or None
        Weights of the pixels.

    saturation : float or None
        Values at or above it have no weight.

    n_latents : int
        Of each pixel.

    device : torch.device
        Where it is trained.

    Returns
    -------
    Observations
        All there are.
    """
    on_disk = isinstance(targets, ImageStack)
    return (StackObservations if on_disk else Observations)(
        lights=as_tensor(features.lights, device),
        pixels=as_tensor(features.numbered_pixels() if n_latents else features.pixels, device),
        targets=targets if on_disk else as_tensor(targets.reshape(*features.shape[:2], -1), device),
        image_shape=features.image_shape,
        pixel_weight=None if pixel_weight is None else as_tensor(pixel_weight.ravel(), device),
        saturation=saturation,
        n_latents=n_latents,
    )


def split_lights(observations, fraction, rng):
    """Hold whole lights out for validation.

    Parameters
    ----------
    observations : Observations
        All there are.

    fraction : float
        Share of the lights to hold out, in [0, 1). Above 0, at least one light is held out and one is kept.

    rng : RandomState
        Picks them.

    Returns
    -------
    train : Observations
        The lights to train on.

    valid : Observations or None
        The others, if any.
    """
    n_lights = observations.n_lights
    n_valid = 0
    if fraction:
        n_valid = min(max(1, round(fraction * n_lights)), n_lights - 1)
    order = torch.from_numpy(rng.permutation(n_lights)).to(observations.rows.device)
    train = observations.subset(order[n_valid:].sort().values)
    return train, (observations.subset(order[:n_valid].sort().values) if n_valid else None)


def make_net(parameters, train, valid, device, half_precision, clock, max_observations, seed, keeper=None):
    """Build the net that `fit` trains.

    Parameters
    ----------
    parameters : RelightingMLPRegressor
        Whose parameters say what to build.

    train : Observations
        What it will be trained on.

    valid : Observations or None
        What its validation loss is taken over.

    device : torch.device
        Where it trains.

    half_precision : bool
        Whether its hidden layers are computed in bfloat16.

    clock : Clock
        Ends the training of this net, and hurries the fall of the learning rate.

    max_observations : int or None
        Its part of the observations of the fit.

    seed : int
        Of its batches.

    keeper : StateKeeper or None, default=None
        Keeps the state of its training.

    Returns
    -------
    RelightingNet
        Not yet initialised.
    """
    batch_size = parameters.batch_size
    if batch_size == "auto":
        batch_size = 5000 if train.n_pixels == 1 else min(5000, max(1000, _LIGHTS_TIMES_BATCH_SIZE // train.n_lights))
        batch_size = min(batch_size, max(32, len(train) // 8))
    n_epochs = parameters.n_stages * parameters.max_epochs
    offset, scale = train.target_moments() if parameters.scale_targets else (0.0, 1.0)
    options = {"window_size": parameters.window_size, "max_observations": max_observations, "seed": seed}
    batches = TrainingBatches(train, batch_size, **options)
    stages = BatchSizeStages(
        batch_size=batch_size,
        factor=parameters.batch_size_factor,
        n_stages=parameters.n_stages,
        max_epochs=parameters.max_epochs,
        patience=parameters.stage_patience,
        target_loss=parameters.target_loss,
        # The best training loss says nothing: without validation the last weights are the ones to keep.
        restore_best=parameters.restore_best_weights and valid is not None,
        monitor="train_loss" if valid is None else "valid_loss",
    )
    schedule = _learning_rate_schedule(parameters, batches, clock)
    callbacks = [*([("schedule", schedule)] if schedule else []), ("stages", stages)]
    if parameters.verbose:
        n_planned = plan_observations(parameters, len(train), max_observations)
        callbacks.append(("progress", TrainingProgress(total=n_planned)))
    products = parameters.light_pixel_products and len(parameters.hidden_layer_sizes) and train.pixels.shape[1]
    muon = parameters.optimizer == "muon"
    own_rate = [("latents", {"lr": _RATE_OF_LATENTS * parameters.learning_rate_init})] if train.n_latents else []
    return RelightingNet(
        RelightingMLP,
        CompositeLoss,
        module__n_features=train.n_features,
        module__n_outputs=train.n_channels,
        module__hidden_layer_sizes=tuple(parameters.hidden_layer_sizes),
        module__activation=parameters.activation,
        module__output_activation=parameters.output_activation,
        module__dropout=parameters.dropout,
        module__normalization=parameters.normalization,
        module__half_precision=half_precision,
        module__output_offset=offset,
        module__output_scale=scale,
        module__n_light_features=train.lights.shape[1] if products else None,
        module__n_latents=train.n_latents,
        module__n_pixels=len(train.pixels),
        criterion__mse_weight=parameters.mse_weight,
        criterion__luminance_weight=parameters.luminance_weight,
        criterion__relative_weight=parameters.relative_weight,
        optimizer=MuonAdamW if muon else torch.optim.Adam,
        optimizer__param_groups=own_rate,
        **({"optimizer__half_precision": half_precision} if muon else {"optimizer__fused": True}),
        lr=parameters.learning_rate_init,
        max_epochs=n_epochs,
        batch_size=batch_size,
        iterator_valid__batch_size=_VALID_OBSERVATIONS,
        train_split=None if valid is None else predefined_split(valid),
        callbacks=callbacks,
        clock=clock,
        keeper=keeper,
        compile_step=_choose_compile_step(parameters, train, max_observations),
        device=str(device),
        **{f"iterator_train__{name}": value for name, value in options.items()},
    )


def _choose_compile_step(parameters, train, max_observations):
    """Decide whether to compile, by what is planned and not by any timing."""
    if parameters.compile != "auto":
        return bool(parameters.compile)
    widths = [train.n_features, *parameters.hidden_layer_sizes, train.n_channels]
    # A weight takes a multiplication and an addition, forwards and twice backwards.
    n_planned = plan_observations(parameters, len(train), max_observations)
    n_operations = 6 * n_planned * sum(n_in * n_out for n_in, n_out in pairwise(widths))
    return "auto" if n_operations >= _REPAY_COMPILING.get(train.lights.device.type, math.inf) else False


def resolve_max_observations(parameters, n_lights):
    """Resolve the parameter `max_observations`.

    Parameters
    ----------
    parameters : RelightingMLPRegressor
        Whose parameter it is.

    n_lights : int
        Number of photographs.

    Returns
    -------
    int or None
        Of the whole fit; None: any number of them.
    """
    if parameters.max_observations == "auto":
        return choose_max_observations(n_lights)
    return parameters.max_observations


def plan_observations(parameters, n_observations, max_observations):
    """Say on how many observations a net trains if no stage ends early.

    Parameters
    ----------
    parameters : RelightingMLPRegressor
        Which says how many epochs.

    n_observations : int
        Of an epoch.

    max_observations : int or None
        Beyond which there is no more.

    Returns
    -------
    int
        All epochs together.
    """
    n_planned = parameters.n_stages * parameters.max_epochs * n_observations
    return n_planned if max_observations is None else min(n_planned, max_observations)


def _learning_rate_schedule(parameters, batches, clock):
    if parameters.learning_rate == "plateau":
        # Keras, whose schedule this is, reduces at the patience-th bad epoch and torch at the one after it; Keras
        # compares by an absolute difference.
        return LRScheduler(
            ReduceLROnPlateau,
            monitor="train_loss",
            event_name=None,
            factor=parameters.plateau_factor,
            patience=parameters.plateau_patience - 1,
            threshold=1e-4,
            threshold_mode="abs",
            min_lr=parameters.min_learning_rate,
            eps=0.0,
        )
    if parameters.learning_rate == "linear":
        factor = LinearDecay(_count_batches(parameters, batches), None if parameters.max_time is None else clock)
        return LRScheduler(LambdaLR, step_every="batch", event_name=None, lr_lambda=factor)
    return None


class LinearDecay:
    """Factor of the learning rate that falls from 1 to 0 by number of batches or by time, whichever is further on.

    Parameters
    ----------
    n_batches : int
        Of the whole fit.

    clock : Clock or None, default=None
        Of the whole fit; None: by number of batches alone.
    """

    def __init__(self, n_batches, clock=None):
        self.n_batches = n_batches
        self.clock = clock

    def __call__(self, n_done):
        """Give the factor after some batches."""
        progress = n_done / self.n_batches
        if self.clock is not None:
            progress = max(progress, self.clock.progress)
        return max(0.0, 1 - progress)


def _count_batches(parameters, batches):
    """Count the batches of the whole fit, if no stage ends early."""
    first_batch_size = batches.batch_size
    n_batches = 0
    for stage in range(parameters.n_stages):
        batches.batch_size = stage_batch_size(first_batch_size, parameters.batch_size_factor, stage)
        n_batches += batches.n_batches(parameters.max_epochs)
        batches.n_drawn += parameters.max_epochs * batches.epoch_length
    return n_batches
