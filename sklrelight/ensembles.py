"""The networks of a fit, trained side by side where there are cores for it: :func:`train_networks`."""

import math
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import takewhile

import numpy as np
import torch

from .allocation import freed_memory_kept
from .building import make_net, resolve_max_observations, split_lights
from .streaming import StackObservations

__all__ = ["train_networks"]


def train_networks(parameters, observations, held_out, half_precision, clock, rng, checkpoint=None):
    """Train a net for each set of lights that one does without; fewer where Ctrl-C ends it.

    On the CPU they are trained side by side, each in a thread with cores of its own: two steps at a time, on a core
    each, are faster than one on both. Each has a seed of its own, and comes out as if trained after the others.

    Parameters
    ----------
    parameters : RelightingMLPRegressor
        Whose parameters say how.

    observations : Observations
        All there are.

    held_out : list of ndarray of int
        Lights that each net does not see.

    half_precision : bool
        Whether hidden layers are computed in bfloat16.

    clock : Clock
        Of the whole fit.

    rng : RandomState
        Seeds the nets, and picks the validation lights.

    checkpoint : FitCheckpoint or None, default=None
        Keeps what has been reached, and has it gone on from there.

    Returns
    -------
    list of RelightingNet
        One of them says so if training was interrupted.
    """
    device = observations.lights.device
    n_nets = len(held_out)
    max_observations = resolve_max_observations(parameters, observations.n_lights)
    if max_observations is not None:
        max_observations = max(1, max_observations // n_nets)
    # torch's generators are global: they are lent for the fit and given back as they were.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), freed_memory_kept():
        parts = []
        for i, rows in enumerate(held_out):
            kept = np.setdiff1d(np.arange(observations.n_lights), rows)
            seen = observations.subset(torch.from_numpy(kept).to(device)) if len(rows) else observations
            seed = rng.randint(2**31 - 1)
            seen, valid = split_lights(seen, parameters.validation_fraction, rng)
            keeper = None if checkpoint is None else checkpoint.keeper(i)
            part = clock.part()
            net = make_net(parameters, seen, valid, device, half_precision, part, max_observations, seed, keeper)
            torch.manual_seed(seed)
            net.initialize()
            parts.append((net, seen, seed))
        n_workers = _choose_n_workers(parts[0][0], observations, parameters.dropout, n_nets)
        n_rounds = math.ceil(n_nets / n_workers)

        def train(i):
            net, seen, seed = parts[i]
            if checkpoint is not None and checkpoint.restore(i, net):
                return net
            # For dropout, the only thing left to be drawn from torch's own generators.
            torch.manual_seed(seed)
            net.clock.restart(clock, n_rounds - i // n_workers)
            if net.partial_fit(seen).interrupted_:
                return net
            if not all(bool(parameter.isfinite().all()) for parameter in net.module_.parameters()):
                raise ValueError(
                    f"training diverged: at learning_rate_init={parameters.learning_rate_init:g} the network's weights"
                    " are no longer finite; take a smaller one, or scale X and y"
                )
            if checkpoint is not None:
                checkpoint.finish(i, net)
            return net

        return _run(train, n_nets, n_workers, clock)


def _choose_n_workers(net, observations, dropout, n_nets):
    """Say how many nets are trained at a time."""
    one_at_a_time = (
        observations.lights.device.type != "cpu"
        or isinstance(observations, StackObservations)
        # What is dropped is drawn from torch's own generator.
        or dropout
        or net.compile_step
    )
    return 1 if one_at_a_time else min(n_nets, torch.get_num_threads())


def _run(train, n_nets, n_workers, clock):
    """Call `train` for each net; once one is interrupted or fails, for no other."""

    def train_unless_stopped(i):
        if clock.stopped:
            return None
        try:
            net = train(i)
        except BaseException:
            clock.stop()
            raise
        if net.interrupted_:
            clock.stop()
        return net

    if n_workers == 1:
        nets = [train_unless_stopped(i) for i in range(n_nets)]
    else:
        nets = []
        for first in range(0, n_nets, n_workers):
            nets += _side_by_side(train_unless_stopped, range(first, min(first + n_workers, n_nets)), clock)
    return [*takewhile(lambda net: net is not None, nets)]


def _side_by_side(train, numbers, clock):
    """Call `train` for each number in a thread of its own, which has as many of torch's threads as the others."""
    n_threads = torch.get_num_threads()
    interrupted = False
    try:
        # A thread sets its own number, and the one that new threads begin with.
        own = (n_threads // len(numbers),)
        with ThreadPoolExecutor(len(numbers), initializer=torch.set_num_threads, initargs=own) as pool:
            futures = [pool.submit(train, i) for i in numbers]
            try:
                # Now and then, in case another thread has been given the signal.
                while wait(futures, timeout=0.5).not_done:
                    pass
            except KeyboardInterrupt:
                # It reaches the main thread only.
                clock.stop()
                interrupted = True
    finally:
        torch.set_num_threads(n_threads)
    nets = [*takewhile(lambda net: net is not None, (future.result() for future in futures))]
    if interrupted:
        if not nets:
            raise KeyboardInterrupt
        nets[-1].interrupted_ = True
    return nets
