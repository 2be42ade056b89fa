"""From a config to the net that is trained, and the members of an ensemble, which are fitted side by side."""

import ctypes
import math
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from sklearn import config_context, get_config
from sklearn.base import clone
from skorch.callbacks import LRScheduler
from skorch.helper import predefined_split
from threadpoolctl import threadpool_limits

from ._callbacks import LinearDecay, TrainingBar, TrainingProgress, named_callbacks
from ._config import count_validation_lights
from ._losses import CompositeLoss
from ._modules import RelightingMLP
from ._net import RelightingNet
from ._optimizers import MuonAdamW

__all__ = ["Membership", "fit_side_by_side", "freed_memory_kept", "make_net", "membership", "split_lights"]

# Observations of a batch of the validation set.
_VALID_OBSERVATIONS = 16384


def split_lights(observations, fraction, seed):
    """Hold whole lights out for validation.

    Parameters
    ----------
    observations : Observations
        All observations.

    fraction : float
        Share of the lights to hold out, in [0, 1). If it is above 0, at least one light is held out and one is kept.

    seed : int
        Seed of the choice.

    Returns
    -------
    train : Observations
        Observations to train on.

    valid : Observations or None
        Observations of the held-out lights, if there are any.
    """
    n_lights = observations.n_lights
    n_valid = count_validation_lights(n_lights, fraction)
    if not n_valid:
        return observations, None
    order = torch.randperm(n_lights, generator=torch.Generator().manual_seed(seed)).to(observations.rows.device)
    return observations.subset(order[n_valid:].sort().values), observations.subset(order[:n_valid].sort().values)


def make_net(config, callbacks, train, valid=None):
    """Make the net that a fit trains.

    Parameters
    ----------
    config : TrainingConfig
        Settings of the fit.

    callbacks : list or None
        Callbacks of the user, which are cloned.

    train : Observations
        Observations to train on.

    valid : Observations or None, default=None
        Observations for the validation loss.

    Returns
    -------
    RelightingNet
        The net, not yet initialised.
    """
    own = [(name, clone(callback, safe=False)) for name, callback in named_callbacks(callbacks)]
    if not any(isinstance(callback, LRScheduler) for _, callback in own):
        own.append(LinearDecay(config.n_planned))
    if config.verbose:
        ensemble = membership()
        # Loss and learning rate are for those who ask for more than a bar.
        loss_every = 50 if config.verbose > 1 else None
        own.append(TrainingProgress(config.n_planned, loss_every, ensemble.bar, ensemble.number))
    half_precision = config.precision == "bfloat16"
    muon = config.optimizer == "muon"
    return RelightingNet(
        RelightingMLP,
        CompositeLoss,
        module__n_light_features=train.lights.shape[1],
        module__n_pixel_features=train.pixels.shape[1],
        module__n_outputs=train.n_channels,
        module__hidden_layer_sizes=config.hidden_layer_sizes,
        module__pixel_layer_sizes=config.pixel_layer_sizes,
        module__activation=config.activation,
        module__output_activation=config.output_activation,
        module__dropout=config.dropout,
        module__normalization=config.normalization,
        module__half_precision=half_precision,
        module__output_offset=config.output_offset,
        module__output_scale=config.output_scale,
        module__light_pixel_products=config.light_pixel_products,
        module__seed=config.seed,
        criterion__luminance_weight=config.luminance_weight,
        criterion__relative_weight=config.relative_weight,
        optimizer=MuonAdamW if muon else torch.optim.Adam,
        **({"optimizer__half_precision": half_precision} if muon else {"optimizer__fused": True}),
        lr=config.learning_rate_init,
        batch_size=config.batch_size,
        iterator_train__window_size=config.window_size,
        iterator_train__max_observations=config.max_observations,
        iterator_train__lights_per_pixel=config.lights_per_pixel,
        iterator_train__seed=config.seed,
        iterator_valid__batch_size=_VALID_OBSERVATIONS,
        train_split=None if valid is None else predefined_split(valid),
        callbacks=own,
        compile_step=config.compile,
        device=config.device,
    )


@dataclass(frozen=True)
class Membership:
    """The place of a fit in an ensemble.

    Attributes
    ----------
    number : int
        Number of the member, from 0.

    n_members : int
        Number of members, which share `max_observations`.

    n_rounds : int
        Number of members that are fitted one after another, and share `max_time`.

    share : float
        Part of the observations and of the time that the members have together. The rest is for what comes afterwards.

    stop : threading.Event
        Event that is set to end all members, because Ctrl-C reaches the main thread only.

    bar : TrainingBar
        Progress bar of all members.
    """

    number: int = 0
    n_members: int = 1
    n_rounds: int = 1
    share: float = 1.0
    stop: threading.Event = field(default_factory=threading.Event)
    bar: TrainingBar = field(default_factory=TrainingBar)


_membership: ContextVar[Membership | None] = ContextVar("membership", default=None)


def membership():
    """Return the :class:`Membership` of the current fit. A fit outside of an ensemble is the only member of one."""
    return _membership.get() or Membership()


def fit_side_by_side(fits, n_workers=None, share=1.0, done=0.0):
    """Make several fits at the same time, on the CPU each in a thread with its own part of torch's threads.

    Two training steps at a time, each on one core, are faster than one step on both cores. The results do not depend on
    the other fits, but on the number of torch's threads, because products are rounded differently.

    Parameters
    ----------
    fits : list of callable
        Functions that make one fit each. The estimators of this package that they fit share `max_observations` and
        `max_time`, as the members of an ensemble.

    n_workers : int or None, default=None
        Number of fits at a time. None: as many as torch has threads, or 1 on CUDA.

    share : float, default=1.0
        Part of `max_observations` and `max_time` that the fits have together.

    done : float, default=0.0
        Part of the training that the progress bar shows as done, because an earlier call has made it.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, when all fits that had begun have ended.
    """
    n_threads = torch.get_num_threads()
    if n_workers is None:
        n_workers = 1 if torch.cuda.is_available() else min(len(fits), n_threads)
    stop, bar = threading.Event(), TrainingBar(len(fits), done, share)
    n_rounds = math.ceil(len(fits) / n_workers)

    def fit(number):
        if stop.is_set():
            return
        token = _membership.set(Membership(number, len(fits), n_rounds, share, stop, bar))
        try:
            fits[number]()
        except BaseException:
            stop.set()
            bar.close()
            raise
        finally:
            _membership.reset(token)

    if n_workers == 1:
        for number in range(len(fits)):
            fit(number)
        return

    config = get_config()

    def fit_in_thread(number):
        # torch's own setting is the process's; OpenMP's is the thread's, once torch has looked at it.
        torch.get_num_threads()
        # scikit-learn's settings are the thread's, too.
        with config_context(**config), threadpool_limits(n_threads // n_workers, user_api="openmp"):
            fit(number)

    with ThreadPoolExecutor(n_workers) as pool:
        futures = [pool.submit(fit_in_thread, number) for number in range(len(fits))]
        try:
            # Now and then, in case another thread has been given the signal.
            while wait(futures, timeout=0.5).not_done:
                pass
        except KeyboardInterrupt:
            # It reaches the main thread only. The fits end with the batch that runs, and are as fitted as they got.
            stop.set()
            wait(futures)
            raise
    # Where one fit has failed, the others have been stopped, and end with a KeyboardInterrupt.
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise next((error for error in errors if not isinstance(error, KeyboardInterrupt)), errors[0])


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MIB = 2**20
_memory_lock = threading.Lock()
# One entry for each block that runs.
_memory_users: list[None] = []


@contextmanager
def freed_memory_kept():
    """Let the C library keep freed memory until the outermost of these blocks ends.

    Each training step allocates the same tens of megabytes. By default, glibc returns blocks of this size to the system
    and requests them again. The system then has to map and zero new pages, which takes a tenth to a fifth of the time
    of a step. When the outermost block ends, free memory is returned, and glibc gets the thresholds that its own
    adaptation would reach. With other C libraries, nothing is done. No result depends on it.
    """
    libc: Any = None
    with suppress(OSError, TypeError):
        libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    with _memory_lock:
        _memory_users.append(None)
        libc.mallopt(_MMAP_THRESHOLD, 1024 * _MIB)
        libc.mallopt(_TRIM_THRESHOLD, 2047 * _MIB)
    try:
        yield
    finally:
        with _memory_lock:
            _memory_users.pop()
            if not _memory_users:
                libc.mallopt(_MMAP_THRESHOLD, 32 * _MIB)
                libc.mallopt(_TRIM_THRESHOLD, 64 * _MIB)
                libc.malloc_trim(0)
