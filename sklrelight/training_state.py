"""All that the training of a net depends on: kept now and then, and put back so that it goes on to the same bytes."""

import time

import torch
from skorch.callbacks import EpochTimer, LRScheduler
from skorch.history import History

from .callbacks import BatchSizeStages, TrainingProgress
from .generators import random_state, set_random_state

__all__ = ["StateKeeper", "finished_state", "restore_finished"]

# Observations between two states that are kept. Training on them takes a hundred times as long as writing the file,
# whatever the network's size: both grow with its weights. A CUDA device trains faster, onto the same disk.
_OBSERVATIONS_BETWEEN = {"cpu": 2**20}
_OBSERVATIONS_BETWEEN_ELSEWHERE = 2**25


class StateKeeper:
    """Hands the state of a net in training over now and then, and puts one back.

    When that is depends on the number of observations alone. States are of moments between two training batches, or
    between two epochs.

    Parameters
    ----------
    keep : callable
        Is given the state, a dict of tensors, numbers and strings in dicts and lists.

    state : dict or None, default=None
        The state that training is to go on from; None: from the start.
    """

    def __init__(self, keep, state=None):
        self.keep = keep
        self.state = state
        self.n_observations = 0
        # Of the epoch that training goes on within.
        self.seconds_before = 0.0

    def restore(self, net):
        """Put the state back, if there is one, before training starts.

        Parameters
        ----------
        net : RelightingNet
            Initialised, with its callbacks and batches, as the one was that the state is of.

        Returns
        -------
        int
            Number of epochs that are done.
        """
        if self.state is None:
            return 0
        state, self.state = self.state, None
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        for _, callback in net.callbacks_:
            if isinstance(callback, BatchSizeStages):
                callback.__dict__.update(state["stages"])
            elif isinstance(callback, LRScheduler):
                callback.lr_scheduler_.load_state_dict(state["schedule"])
            elif isinstance(callback, TrainingProgress):
                callback.go_on(state["batches"]["n_drawn"])
        net.history_ = History(state["history"])
        net.batch_size_ = state["batch_size"]
        net.training_batches_.load_state_dict(state["batches"])
        if state["sums"] is not None:
            net.sums_ = [sum.to(net.device) if isinstance(sum, torch.Tensor) else sum for sum in state["sums"]]
        net.clock.set(**state["clock"])
        self.seconds_before = state["epoch_seconds"]
        set_random_state(torch.device(net.device), state["random"])
        return len(net.history_)

    def begin_epoch(self, net):
        """Have the timer of an epoch that training goes on within count the time before.

        Parameters
        ----------
        net : RelightingNet
            At the start of an epoch.
        """
        for _, callback in net.callbacks_:
            if isinstance(callback, EpochTimer):
                callback.epoch_start_time_ -= self.seconds_before
        self.seconds_before = 0.0

    def after_batch(self, net, n_observations, sums):
        """Count a batch, and keep the state if it is time.

        Parameters
        ----------
        net : RelightingNet
            In training.

        n_observations : int
            Of the batch.

        sums : list or None
            The net's sums over the running epoch's training batches; None for a validation batch.
        """
        self.n_observations += n_observations
        if sums is not None:
            self._keep_if_due(net, sums)

    def after_epoch(self, net):
        """Keep the state if it is time, as a long validation may have made it.

        Parameters
        ----------
        net : RelightingNet
            Between two epochs.
        """
        self._keep_if_due(net, None)

    def _keep_if_due(self, net, sums):
        device = torch.device(net.device)
        if self.n_observations < _OBSERVATIONS_BETWEEN.get(device.type, _OBSERVATIONS_BETWEEN_ELSEWHERE):
            return
        self.n_observations = 0
        stages, schedule, seconds = None, None, 0.0
        for _, callback in net.callbacks_:
            if isinstance(callback, BatchSizeStages):
                stages = {name: value for name, value in vars(callback).items() if name.endswith("_")}
            elif isinstance(callback, LRScheduler):
                # The factor as a function of batches and time has no state but the clock's.
                schedule = callback.lr_scheduler_.state_dict()
                schedule = {name: value for name, value in schedule.items() if not callable(value)}
                if "lr_lambdas" in schedule:
                    schedule["lr_lambdas"] = [None] * len(schedule["lr_lambdas"])
            elif isinstance(callback, EpochTimer) and sums is not None:
                seconds = time.time() - callback.epoch_start_time_
        history = net.history_.to_list()
        self.keep(
            {
                "module": net.module_.state_dict(),
                "optimizer": net.optimizer_.state_dict(),
                "stages": stages,
                "schedule": schedule,
                # The row of an epoch that is under way is begun anew.
                "history": history if sums is None else history[:-1],
                "batch_size": net.batch_size_,
                "batches": net.training_batches_.state_dict(),
                "sums": sums,
                "clock": {"max_time": net.clock.max_time, "elapsed": net.clock.elapsed},
                "epoch_seconds": seconds,
                "random": random_state(device),
                "compiled": net.compiled_,
            }
        )


def finished_state(net):
    """Collect what is left of a net once it is trained.

    Parameters
    ----------
    net : RelightingNet
        Trained.

    Returns
    -------
    dict
        For `restore_finished`.
    """
    return {
        "module": net.module_.state_dict(),
        "history": net.history_.to_list(),
        "n_observations": net.n_observations_,
        "compiled": net.compiled_,
    }


def restore_finished(net, state):
    """Make a net one that has been trained already.

    Parameters
    ----------
    net : RelightingNet
        Initialised.

    state : dict
        What `finished_state` collected of a net with the same parameters.
    """
    net.module_.load_state_dict(state["module"])
    net.history_ = History(state["history"])
    net.n_observations_, net.compiled_ = state["n_observations"], state["compiled"]
