"""The skorch net: its loop over batches that are gathered on the device, and the conditions that end it."""

import math
import sys
import threading
import time
import warnings
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, EpochTimer
from skorch.history import History

from ._batches import SequentialBatches, TrainingBatches, count_observations

__all__ = ["Clock", "RelightingNet", "compiled_loss"]

# torch's compiler is not made for several threads.
_compiling = threading.Lock()


class Clock:
    """Measure how much of the time of a fit is over, and know whether the fit has been stopped.

    Parameters
    ----------
    max_time : float or None, default=None
        Number of seconds from now on. None: no limit.

    stop : threading.Event or None, default=None
        Event that is set to end the fit after the current batch, for example by Ctrl-C.
    """

    def __init__(self, max_time=None, stop=None):
        self.max_time = math.inf if max_time is None else max_time
        self.start = time.perf_counter()
        self._stop = threading.Event() if stop is None else stop

    @property
    def elapsed(self):
        """Number of seconds since the start. It can be set, to include time that was spent before."""
        return time.perf_counter() - self.start

    @elapsed.setter
    def elapsed(self, seconds):
        self.start = time.perf_counter() - seconds

    @property
    def progress(self):
        """Share of the time that is over, from 0 and without an upper limit."""
        return self.elapsed / self.max_time

    @property
    def stopped(self):
        """Whether `stop` was set."""
        return self._stop.is_set()


class RelightingNet(NeuralNet):
    """A skorch net that trains on :class:`~sklrelight.neural.Observations`.

    It differs from skorch's net where that is slower or hides information. Losses are summed on the device and read
    once in each epoch, and the history has a row for the current batch only. Training continues until the batches or
    the time are exhausted or a callback has a true ``finished_``. Ctrl-C is recorded in `interrupted_`.

    Parameters
    ----------
    module, criterion, **kwargs
        As in :class:`skorch.NeuralNet`.

    clock : Clock or None, default=None
        Clock that ends training after the batch during which its time runs out or it is stopped.

    compile_step : bool or "auto", default=False
        Whether to compile the forward pass and the loss. ``"auto"``: compile them unless that fails.

    Attributes
    ----------
    compiled_ : bool
        Whether the forward pass and the loss have been compiled.

    batch_size_ : int
        Current batch size. Callbacks can change it, and the training batches read it at the start of each epoch.

    training_batches_ : TrainingBatches
        The batches of the training, which count the observations.

    n_observations_ : int
        Number of observations that the net was trained on, once the fit has ended.

    interrupted_ : bool
        Whether a KeyboardInterrupt ended training.
    """

    history_: History
    compiled_loss_: Any

    def __init__(
        self,
        module,
        criterion,
        iterator_train=TrainingBatches,
        iterator_valid=SequentialBatches,
        verbose=0,
        clock=None,
        compile_step=False,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            verbose=verbose,
            **kwargs,
        )
        self.clock = clock
        self.compile_step = compile_step

    @property
    def _default_callbacks(self):
        # The parent's others read losses batch by batch from the history, which is not kept here.
        return [("epoch_timer", EpochTimer())]

    def initialize(self):
        """Make module, optimiser and callbacks."""
        self.interrupted_ = False
        self.compiled_ = False
        self.compile_step_ = self.compile_step
        self.batch_size_ = self.batch_size
        self.clock = Clock() if self.clock is None else self.clock
        return super().initialize()

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Make the batches before any callback needs them."""
        self.training_batches_ = self.get_iterator(self.get_dataset(X, y), training=True)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train until the batches, the time or the stages are exhausted."""
        self.check_training_readiness()
        train, valid = self.get_split_datasets(X, y)
        valid_batches = None if valid is None else self.get_iterator(valid, training=False)
        datasets = {"dataset_train": train, "dataset_valid": valid}
        try:
            # However short the time, it is trained on one batch.
            while not (self.training_batches_.n_drawn and self._is_over()):
                self.notify("on_epoch_begin", **datasets)
                self.training_batches_.batch_size = self.batch_size_
                self.run_single_epoch(self.training_batches_, training=True, prefix="train", step_fn=self.train_step)
                self.run_single_epoch(valid_batches, training=False, prefix="valid", step_fn=self.validation_step)
                self.history_.record("event_lr", self.optimizer_.param_groups[0]["lr"])
                self.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:
            # The parent would swallow it, and no caller could tell. skorch's early stopping ends a fit by one.
            self.interrupted_ = not any(
                isinstance(callback, EarlyStopping) and callback.misses_ >= callback.patience
                for _, callback in self.callbacks_
            )
        self.n_observations_ = self.training_batches_.n_drawn
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go through the batches once, and record their mean loss and their number."""
        if iterator is None:
            return
        # Summed on the device, so that nothing waits for it before the end.
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        total_weight: Any = 0
        n_batches = 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            _, y = batch
            # A batch counts by its observations, or by the weight that they have.
            weight = y[1].mean(dim=-1).sum() if isinstance(y, tuple) else count_observations(batch)
            total += step["loss"].detach() * weight
            total_weight += weight
            n_batches += 1
            self.notify("on_batch_end", batch=batch, training=training, **step)
            if self.clock.stopped:
                raise KeyboardInterrupt
            if training and self._is_over():
                break
        self.history_.record(f"{prefix}_loss", float(total) / max(float(total_weight), sys.float_info.min))
        self.history_.record(f"{prefix}_batch_count", n_batches)

    def _is_over(self):
        finished = any(getattr(callback, "finished_", False) for _, callback in self.callbacks_)
        return finished or self.training_batches_.exhausted or self.clock.progress >= 1

    def train_step_single(self, batch, **fit_params):
        """Compute the loss of a batch and its gradients, compiled if that is wanted.

        A batch that is not full, as at the end of an epoch, runs uncompiled, because torch compiles anew for each size.
        """
        full = len(batch[0]["pixels"]) == self.training_batches_.pixels_per_batch
        if not self.compile_step_ or not full:
            return super().train_step_single(batch, **fit_params)
        self._set_training(True)
        X, y = batch
        target, weight = y if isinstance(y, tuple) else (y, None)
        if self.compiled_:
            loss = self.compiled_loss_(self.module_, self.criterion_, X, target, weight)
            loss.backward()
            return {"loss": loss, "y_pred": None}
        try:
            # Compilers' remarks are no user's business.
            with _compiling, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.compiled_loss_ = compiled_loss(self.device)
                loss = self.compiled_loss_(self.module_, self.criterion_, X, target, weight)
                loss.backward()
        except RuntimeError as error:
            if self.compile_step_ != "auto":
                raise RuntimeError(
                    "compile=True, but torch cannot compile here; compile='auto' goes on without"
                ) from error
            self.compile_step_ = False
            self._zero_grad_optimizer()
            return super().train_step_single(batch, **fit_params)
        self.compiled_ = True
        return {"loss": loss, "y_pred": None}

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compute the loss for colours alone, or for colours and their weights."""
        target, weight = y_true if isinstance(y_true, tuple) else (y_true, None)
        return self.criterion_(y_pred, target, weight)

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Keep only the row of the current batch in the history, because a fit has tens of thousands."""
        self.history_[-1]["batches"][:] = [{}]

    def trim_for_prediction(self):
        """Drop optimiser, callbacks and batches, which only training needs. The history stays."""
        history = History(self.history_)
        super().trim_for_prediction()
        self.history_ = history
        self.training_batches_ = None
        self.compiled_loss_ = None
        self.clock = None


def compiled_loss(device):
    """Make a function that computes the loss, and that torch compiles at its first call.

    Parameters
    ----------
    device : torch device or str
        Device of the net. On CUDA, the compiled kernels are replayed as a graph instead of being launched one by one.

    Returns
    -------
    callable
        Function from module, criterion, features, targets, and weights or None to the loss. The compiled code belongs
        to this function and is deleted with it.
    """
    options: dict[str, Any] = {"isolate_recompiles": True}
    if torch.device(device).type == "cuda":
        options["mode"] = "reduce-overhead"
    return torch.compile(_loss, **options)


def _loss(module, criterion, X, target, weight):
    return criterion(module(**X), target, weight)
