"""Callbacks for skorch: batch-size stages, two schedules of the learning rate, a progress bar."""

import math
import threading
from copy import deepcopy
from numbers import Integral, Real

from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm.auto import tqdm

from ..utils._sklearn_compat import Interval
from ._batches import count_observations

__all__ = [
    "BatchSizeStages",
    "LinearDecay",
    "PlateauLearningRate",
    "TrainingBar",
    "TrainingProgress",
    "named_callbacks",
    "stage_batch_size",
]


def named_callbacks(callbacks):
    """Give each callback the name by which a search addresses it.

    Parameters
    ----------
    callbacks : list or None
        Callbacks, or pairs of a name and a callback.

    Returns
    -------
    list of (str, Callback)
        Names and callbacks. A callback without a name gets that of its class, with a number if the class occurs several
        times, as in skorch.

    Examples
    --------
    >>> [name for name, _ in named_callbacks([("stages", BatchSizeStages()), TrainingProgress(), TrainingProgress()])]
    ['stages', 'TrainingProgress_1', 'TrainingProgress_2']
    """
    named = []
    for item in callbacks or []:
        if isinstance(item, tuple) and len(item) == 2:
            named.append(item)
            continue
        alike = [other for other in callbacks if type(other) is type(item)]
        name = type(item).__name__
        named.append((f"{name}_{alike.index(item) + 1}" if len(alike) > 1 else name, item))
    return named


def stage_batch_size(batch_size, factor, stage):
    """Compute the batch size of a stage.

    Parameters
    ----------
    batch_size : int
        Batch size of the first stage.

    factor : float
        Factor from each stage to the next.

    stage : int
        Number of the stage, from 0.

    Returns
    -------
    int
        Batch size, at least 1.

    Examples
    --------
    >>> [stage_batch_size(50_000, 0.5, stage) for stage in range(4)]
    [50000, 25000, 12500, 6250]
    """
    return max(1, int(batch_size * factor**stage))


class _Shown(Callback):
    """Shows a callback by its parameters, which skorch shows by where it lies in memory."""

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"


class BatchSizeStages(_Shown):
    """Train in stages, each with a smaller batch than the one before, and end training after the last.

    A stage ends after `max_epochs`. From the second stage on, it also ends after `patience` epochs in a row whose loss
    is not below the lowest of the stage. The next stage begins with the weights, the optimiser and the learning rate of
    the last one, and a plateau scheduler starts counting anew. Training ends after the last stage, or after a stage
    whose last loss is below `target_loss`. The defaults are the schedule of Colburn 2019
    (github.com/alexcolburn/neural_relighting).

    Parameters
    ----------
    n_stages : int, default=4
        Number of stages.

    factor : float, default=0.5
        Factor of the batch size from each stage to the next, in (0, 1]. The first stage has the regressor's
        `batch_size`.

    max_epochs : int, default=5
        Largest number of epochs of a stage.

    patience : int or None, default=3
        Number of epochs without improvement that end a stage. None: only `max_epochs` does.

    target_loss : float, default=0.0
        Loss below which a stage is the last one.

    restore_best : bool, default=False
        Whether each stage ends by going back to the weights with the lowest validation loss so far. Without validation
        the last weights are kept.

    Attributes
    ----------
    stage_ : int
        Number of the current stage, from 0.

    batch_size_ : int
        Batch size of the current stage.

    finished_ : bool
        Whether training is to end.

    Notes
    -----
    `patience` and `target_loss` refer to the validation loss, or to the training loss if no lights are held out for
    validation. Each row of the history gets ``stage``, ``batch_size`` and ``event_stage_end`` (bool).

    Examples
    --------
    >>> from sklrelight import RelightingMLPRegressor
    >>> from sklrelight.neural import BatchSizeStages, PlateauLearningRate
    >>> regressor = RelightingMLPRegressor(
    ...     batch_size=50_000, callbacks=[("stages", BatchSizeStages()), ("plateau", PlateauLearningRate())]
    ... )
    >>> regressor.set_params(callbacks__stages__n_stages=2).callbacks[0][1].n_stages
    2
    """

    _parameter_constraints: dict[str, list] = {
        "n_stages": [Interval(Integral, 1, None, closed="left")],
        "factor": [Interval(Real, 0, 1, closed="right")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "target_loss": [Interval(Real, 0, None, closed="left")],
        "restore_best": ["boolean"],
    }

    def __init__(self, n_stages=4, factor=0.5, max_epochs=5, patience=3, target_loss=0.0, restore_best=False):
        self.n_stages = n_stages
        self.factor = factor
        self.max_epochs = max_epochs
        self.patience = patience
        self.target_loss = target_loss
        self.restore_best = restore_best

    def initialize(self):
        """Reset the state of an earlier run."""
        self.best_loss_ = math.inf
        self.best_state_ = None
        self.finished_ = False
        return self

    def on_train_begin(self, net, **kwargs):
        """Have the first epoch begin the first stage."""
        self.stage_ = -1
        self.stage_over_ = True

    def on_epoch_begin(self, net, **kwargs):
        """Begin the next stage if the last one is over, and record the stage and its batch size."""
        if self.stage_over_:
            self._begin_stage(net)
        net.history.record("stage", self.stage_)
        net.history.record("batch_size", self.batch_size_)

    def _begin_stage(self, net):
        self.stage_ += 1
        self.stage_over_ = False
        self.batch_size_ = net.batch_size_ = stage_batch_size(net.batch_size, self.factor, self.stage_)
        self.epoch_ = 0
        self.stage_best_loss_ = math.inf
        self.n_bad_epochs_ = 0
        for _, callback in net.callbacks_:
            # Made anew, at the rate that the optimiser has come to. Not before: in which order the callbacks stand,
            # and so whether a scheduler has seen the last loss of the stage before, is to make no difference.
            if isinstance(getattr(callback, "lr_scheduler_", None), ReduceLROnPlateau):
                callback.on_train_begin(net)

    def on_epoch_end(self, net, **kwargs):
        """Decide whether the stage is over, and whether training is."""
        validated = "valid_loss" in net.history[-1]
        loss = net.history[-1, "valid_loss" if validated else "train_loss"]
        self.epoch_ += 1
        if loss < self.best_loss_:
            self.best_loss_ = loss
            if self.restore_best and validated:
                self.best_state_ = deepcopy(net.module_.state_dict())
        if loss < self.stage_best_loss_:
            self.stage_best_loss_ = loss
            self.n_bad_epochs_ = 0
        else:
            self.n_bad_epochs_ += 1

        out_of_patience = self.patience is not None and self.stage_ > 0 and self.n_bad_epochs_ >= self.patience
        self.stage_over_ = self.epoch_ >= self.max_epochs or out_of_patience
        net.history.record("event_stage_end", self.stage_over_)
        if self.stage_over_:
            self._restore(net)
            self.finished_ = self.stage_ + 1 == self.n_stages or loss < self.target_loss

    def on_train_end(self, net, **kwargs):
        """Go back to the best weights, even if training was interrupted."""
        self._restore(net)
        self.best_state_ = None

    def _restore(self, net):
        if self.best_state_ is not None:
            net.module_.load_state_dict(self.best_state_)


class PlateauLearningRate(_Shown, LRScheduler):
    """Lower the learning rate when the training loss stops falling, as Keras does.

    Parameters
    ----------
    factor : float, default=0.5
        Factor of the learning rate, in (0, 1).

    patience : int, default=2
        Number of epochs without improvement after which the rate is lowered. They are counted anew in each stage of
        :class:`BatchSizeStages`.

    min_learning_rate : float, default=1e-7
        Lowest learning rate.

    Notes
    -----
    Colburn 2019 used the schedule of Keras. Keras lowers the rate at the `patience`-th epoch without improvement, torch
    one epoch later. For Keras, an epoch is an improvement only if the loss falls by more than 1e-4. This class does
    both as Keras does.
    """

    _parameter_constraints: dict[str, list] = {
        "factor": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "min_learning_rate": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, factor=0.5, patience=2, min_learning_rate=1e-7):
        super().__init__(ReduceLROnPlateau, monitor="train_loss", event_name=None)
        self.factor = factor
        self.patience = patience
        self.min_learning_rate = min_learning_rate

    def _get_param_names(self):
        return ["factor", "patience", "min_learning_rate"]

    @property
    def kwargs(self):
        """Arguments of the scheduler of torch."""
        return {
            "factor": self.factor,
            "patience": self.patience - 1,
            "threshold": 1e-4,
            "threshold_mode": "abs",
            "min_lr": self.min_learning_rate,
            "eps": 0.0,
        }


def training_share(net, n_observations, n_drawn):
    """Compute how much of a training is over, by observations or time, whichever is further.

    Parameters
    ----------
    net : RelightingNet
        The net that is trained.

    n_observations : int or None
        Number of observations of the whole training. None: that after which the fit ends.

    n_drawn : int
        Number of observations so far.

    Returns
    -------
    float
        Share from 0, which exceeds 1 if it is trained on.
    """
    return max(n_drawn / (n_observations or net.training_batches_.max_observations), net.clock.progress)


class LinearDecay(Callback):
    """Let the learning rate fall linearly to 0, over observations or time, whichever ends first.

    Parameters
    ----------
    n_observations : int or None, default=None
        Number of observations at which the rate is 0. None: that after which the fit ends.
    """

    def __init__(self, n_observations=None):
        self.n_observations = n_observations

    def on_train_begin(self, net, **kwargs):
        """Store the rates at the start."""
        self.rates_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Set the rates for the batch."""
        if not training:
            return
        n_drawn = net.training_batches_.n_drawn - count_observations(batch)
        progress = training_share(net, self.n_observations, n_drawn)
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = rate * max(0.0, 1 - progress)


class TrainingBar:
    """One progress bar for all networks of a fit, whether they are trained side by side or one after another.

    It shows the share of the training that is over, and the time that is left.

    Parameters
    ----------
    n_members : int, default=1
        Number of networks.

    start, end : float, default=0.0 and 1.0
        Part of the training that these networks make now, for a fit that trains them twice.
    """

    def __init__(self, n_members=1, start=0.0, end=1.0):
        self._shares = [0.0] * n_members
        self._start, self._end = start, end
        self._bar: tqdm | None = None
        self._lock = threading.Lock()

    def show(self, number, share, text=""):
        """Show how much of its training the network `number` has behind it, from 0 to 1, and a text after it."""
        with self._lock:
            self._shares[number] = min(1.0, share)
            done = self._start + (self._end - self._start) * sum(self._shares) / len(self._shares)
            if self._bar is None:
                self._bar = tqdm(
                    total=1.0,
                    initial=done,
                    desc="Training",
                    bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}",
                    # What is to come goes on with the same line.
                    leave=self._end == 1,
                    dynamic_ncols=True,
                    mininterval=0.5,
                )
            if text:
                self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(done - self._bar.n)

    def finish(self, number):
        """Count a network as trained, though callbacks may have ended it early, and close the bar after the last."""
        self.show(number, 1.0)
        if min(self._shares) == 1:
            self.close()

    def close(self):
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


class TrainingProgress(Callback):
    """Show a progress bar: the share of the training that is over, and the time that is left.

    Parameters
    ----------
    total : int or None, default=None
        Number of observations of the whole fit. None: that after which the fit ends.

    loss_every : int or None, default=None
        Number of batches between two updates of the loss, which is shown with the learning rate and the batch size.
        Each update waits for the device. None: they are not shown.

    bar : TrainingBar or None, default=None
        The bar that several networks share. None: one of its own.

    number : int, default=0
        Number of the network among them.
    """

    def __init__(self, total=None, loss_every=None, bar=None, number=0):
        self.total = total
        self.loss_every = loss_every
        self.bar = bar
        self.number = number

    def on_train_begin(self, net, **kwargs):
        """Begin to count."""
        self.bar_ = TrainingBar() if self.bar is None else self.bar
        self.n_batches_ = 0

    def on_epoch_begin(self, net, **kwargs):
        """Show what was trained before a fit was continued from a checkpoint."""
        self._show(net)

    def on_batch_end(self, net, training=False, loss=None, **kwargs):
        """Count a training batch."""
        if not training:
            return
        text = ""
        if self.loss_every and self.n_batches_ % self.loss_every == 0:
            rate = net.optimizer_.param_groups[0]["lr"]
            text = f"loss {loss.item():.3g}, learning rate {rate:.2g}, batch size {net.batch_size_}"
        self.n_batches_ += 1
        self._show(net, text)

    def _show(self, net, text=""):
        self.bar_.show(self.number, training_share(net, self.total, net.training_batches_.n_drawn), text)

    def on_train_end(self, net, **kwargs):
        """Close the bar, unless other networks are still to be trained."""
        if net.interrupted_:
            self.bar_.close()
        else:
            self.bar_.finish(self.number)
