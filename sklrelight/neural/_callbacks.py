"""skorch callbacks: batch-size stages, and a progress bar. The plateau of the learning rate is skorch's LRScheduler."""

import math
from copy import deepcopy

from skorch.callbacks import Callback, LRScheduler
from tqdm.auto import tqdm

__all__ = ["BatchSizeStages", "TrainingProgress", "stage_batch_size"]


def stage_batch_size(batch_size, factor, stage):
    """Work out the batch size of a stage.

    Parameters
    ----------
    batch_size : int
        That of the first stage.

    factor : float
        From each stage to the next.

    stage : int
        Counted from 0.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> [stage_batch_size(50_000, 0.5, stage) for stage in range(4)]
    [50000, 25000, 12500, 6250]
    """
    return max(1, int(batch_size * factor**stage))


class BatchSizeStages(Callback):
    """Train in stages, each with a smaller batch than the one before, and end training after the last.

    A stage ends after `max_epochs`, or, from the second stage on, after `patience` epochs in a row without a lower
    loss than the stage's best. Weights, optimiser and learning rate carry over to the next stage; a plateau scheduler
    starts counting anew. Training ends after the last stage, or at the end of any stage whose last loss is under
    `target_loss`. This is the schedule of Colburn 2019 (github.com/alexcolburn/neural_relighting).

    The running batch size is in ``net.batch_size_``, which the net's training iterator has to read at the start of
    each epoch; the net's loop has to end once `finished_` is True.

    Parameters
    ----------
    batch_size : int
        Observations of a batch in the first stage.

    factor : float, default=0.5
        Each stage's batch size is the one before times this factor.

    n_stages : int, default=4
        Number of stages.

    max_epochs : int, default=5
        Epochs of a stage, at most.

    patience : int or None, default=3
        Epochs without improvement that end a stage; None: only `max_epochs` does.

    target_loss : float, default=0.0
        A stage that ends below this loss is the last one.

    restore_best : bool, default=True
        At the end of each stage, go back to the weights with the lowest loss so far. The published code keeps the last.

    monitor : str, default="valid_loss"
        The history's column that `patience`, `target_loss` and `restore_best` look at.

    Attributes
    ----------
    stage_ : int
        The running stage, from 0.

    batch_size_ : int
        Its batch size.

    finished_ : bool
        Whether training is to end.

    Notes
    -----
    Recorded in each row of the history: ``stage``, ``batch_size`` and ``event_stage_end`` (bool).
    """

    def __init__(
        self,
        batch_size,
        factor=0.5,
        n_stages=4,
        max_epochs=5,
        patience=3,
        target_loss=0.0,
        restore_best=True,
        monitor="valid_loss",
    ):
        self.batch_size = batch_size
        self.factor = factor
        self.n_stages = n_stages
        self.max_epochs = max_epochs
        self.patience = patience
        self.target_loss = target_loss
        self.restore_best = restore_best
        self.monitor = monitor

    def initialize(self):
        """Forget an earlier run."""
        self.best_loss_ = math.inf
        self.best_state_ = None
        self.finished_ = False
        self._start_stage(0)
        return self

    def _start_stage(self, stage):
        self.stage_ = stage
        self.batch_size_ = stage_batch_size(self.batch_size, self.factor, stage)
        self.epoch_ = 0
        self.stage_best_loss_ = math.inf
        self.n_bad_epochs_ = 0

    def on_train_begin(self, net, **kwargs):
        """Set the first batch size."""
        net.batch_size_ = self.batch_size_

    def on_epoch_begin(self, net, **kwargs):
        """Record the stage and its batch size."""
        net.history.record("stage", self.stage_)
        net.history.record("batch_size", self.batch_size_)

    def on_epoch_end(self, net, **kwargs):
        """Judge the epoch, and pass on to the next stage where this one is over."""
        loss = net.history[-1, self.monitor]
        self.epoch_ += 1
        if loss < self.best_loss_:
            self.best_loss_ = loss
            if self.restore_best:
                self.best_state_ = deepcopy(net.module_.state_dict())
        if loss < self.stage_best_loss_:
            self.stage_best_loss_ = loss
            self.n_bad_epochs_ = 0
        else:
            self.n_bad_epochs_ += 1

        out_of_patience = self.patience is not None and self.stage_ > 0 and self.n_bad_epochs_ >= self.patience
        stage_end = self.epoch_ >= self.max_epochs or out_of_patience
        net.history.record("event_stage_end", stage_end)
        if stage_end:
            self._end_stage(net, loss)

    def _end_stage(self, net, loss):
        self._restore(net)
        if self.stage_ + 1 == self.n_stages or loss < self.target_loss:
            self.finished_ = True
            return
        self._start_stage(self.stage_ + 1)
        net.batch_size_ = self.batch_size_
        for _, callback in net.callbacks_:
            # A plateau scheduler is made anew, at the rate that the optimiser has come to. One that steps by the
            # batch follows a plan over the whole fit, and goes on.
            if isinstance(callback, LRScheduler) and callback.step_every == "epoch":
                callback.on_train_begin(net)

    def on_train_end(self, net, **kwargs):
        """Keep the best weights, also where training was interrupted."""
        self._restore(net)
        self.best_state_ = None

    def _restore(self, net):
        if self.best_state_ is not None:
            net.module_.load_state_dict(self.best_state_)


class TrainingProgress(Callback):
    """A tqdm bar over the observations of a fit, with loss, learning rate and batch size.

    Parameters
    ----------
    total : int or None, default=None
        Observations of the whole fit, at most.

    loss_every : int, default=50
        Batches between two updates of the loss: reading it waits for the device.
    """

    def __init__(self, total=None, loss_every=50):
        self.total = total
        self.loss_every = loss_every

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        self.bar_ = tqdm(total=self.total, unit=" observations", unit_scale=True, dynamic_ncols=True, mininterval=0.5)
        self.n_batches_ = 0

    def go_on(self, n_observations):
        """Show how far training has come that goes on from a checkpoint.

        Parameters
        ----------
        n_observations : int
            Those that it has seen.
        """
        self.bar_.initial = self.bar_.n = n_observations
        self.bar_.refresh()

    def on_batch_end(self, net, batch=None, training=False, loss=None, **kwargs):
        """Count a training batch."""
        if not training:
            return
        self.bar_.update(len(batch[0]))
        if self.n_batches_ % self.loss_every == 0:
            rate = net.optimizer_.param_groups[0]["lr"]
            self.bar_.set_postfix(
                loss=f"{loss.item():.3g}", learning_rate=f"{rate:.2g}", batch_size=net.batch_size_, refresh=False
            )
        self.n_batches_ += 1

    def on_train_end(self, net, **kwargs):
        """Close the bar."""
        self.bar_.close()
