"""The skorch net: its loop over batches that are gathered on the device, and the end of a fit."""

import math
import sys
import threading
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer
from skorch.history import History

from .sampling import SequentialBatches, TrainingBatches

__all__ = ["Clock", "RelightingNet", "as_tensor", "compiled_loss", "has_bfloat16_units", "resolve_device"]


class RelightingNet(NeuralNet):
    """A skorch net that trains on :class:`~sklrelight.sampling.Observations`.

    It differs from its parent where that one costs speed or loses information: losses are summed on the device and
    read once an epoch; a callback with ``finished_`` ends training; Ctrl-C is remembered in `interrupted_`.

    Parameters
    ----------
    module, criterion, **kwargs
        Those of :class:`skorch.NeuralNet`.

    clock : Clock or None, default=None
        Training ends with the batch during which its time runs out.

    compile_step : bool or "auto", default=False
        Whether to compile the forward pass and the loss. ``"auto"``: uncompiled where that fails.

    keeper : StateKeeper or None, default=None
        Keeps the state of training now and then, and has it go on from a state that was kept.

    Attributes
    ----------
    compiled_ : bool
        Whether they have been compiled.

    batch_size_ : int
        Running batch size, which callbacks may change: the training batches read it at the start of each epoch.

    training_batches_ : TrainingBatches
        Where the batches come from, and how many observations have been drawn.

    n_observations_ : int
        Observations that it has been trained on, once the fit has ended.

    sums_ : list or None
        Where training goes on within an epoch, of its batches so far: sum of losses, their weight, their number.

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
        keeper=None,
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
        self.keeper = keeper

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
        self.sums_ = None
        return super().initialize()

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for some epochs, or until a callback has finished or the batches are exhausted."""
        self.check_training_readiness()
        epochs = self.max_epochs if epochs is None else epochs
        train, valid = self.get_split_datasets(X, y)
        self.training_batches_ = self.get_iterator(train, training=True)
        valid_batches = None if valid is None else self.get_iterator(valid, training=False)
        datasets = {"dataset_train": train, "dataset_valid": valid}
        n_done = 0 if self.keeper is None else self.keeper.restore(self)
        try:
            for _ in range(n_done, epochs):
                self.notify("on_epoch_begin", **datasets)
                if self.keeper is not None:
                    self.keeper.begin_epoch(self)
                self.training_batches_.batch_size = self.batch_size_
                self.run_single_epoch(self.training_batches_, training=True, prefix="train", step_fn=self.train_step)
                self.run_single_epoch(valid_batches, training=False, prefix="valid", step_fn=self.validation_step)
                self.history_.record("event_lr", self.optimizer_.param_groups[0]["lr"])
                self.notify("on_epoch_end", **datasets)
                if self._is_over() or any(getattr(c, "finished_", False) for _, c in self.callbacks_):
                    break
                if self.keeper is not None:
                    self.keeper.after_epoch(self)
        except KeyboardInterrupt:
            # The parent would swallow it as well, and no caller could tell.
            self.interrupted_ = True
        if self.clock is not None and self.clock.stopped:
            self.interrupted_ = True
        self.n_observations_ = self.training_batches_.n_drawn
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go through the batches once and record their mean loss and their number."""
        if iterator is None:
            return
        # Summed on the device, so that nothing waits for it before the end. There are sums already where training goes
        # on within an epoch.
        sums = (self.sums_ if training else None) or [torch.zeros((), device=self.device), 0, 0]
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            X, y = batch
            # A batch counts by its observations, or by what weight they have.
            weight = y[1].mean(dim=1).sum() if isinstance(y, tuple) else len(X)
            sums[0] += step["loss"].detach() * weight
            sums[1] += weight
            sums[2] += 1
            self.notify("on_batch_end", batch=batch, training=training, **step)
            if self.keeper is not None:
                self.keeper.after_batch(self, len(X), sums if training else None)
            if training and self._is_over():
                break
        total, total_weight, n_batches = sums
        self.history_.record(f"{prefix}_loss", float(total) / max(float(total_weight), sys.float_info.min))
        self.history_.record(f"{prefix}_batch_count", n_batches)
        self.sums_ = None

    def _is_over(self):
        return self.training_batches_.exhausted or (self.clock is not None and self.clock.progress >= 1)

    def train_step_single(self, batch, **fit_params):
        """Compute the loss of a batch and its gradients, compiled where that is wanted.

        A batch that is not full, such as ends an epoch, runs uncompiled: for each new size, torch would compile anew.
        """
        full = len(batch[0]) == self.training_batches_.batch_length
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
            with warnings.catch_warnings():
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
        """Compare with the colours alone, or with colours and their weights."""
        target, weight = y_true if isinstance(y_true, tuple) else (y_true, None)
        return self.criterion_(y_pred, target, weight)

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Keep no history of single batches: a fit has tens of thousands."""

    def trim_for_prediction(self):
        """Drop what only training needs: optimiser, callbacks, batches. The history stays."""
        history = History(self.history_)
        super().trim_for_prediction()
        self.history_ = history
        self.training_batches_ = None
        self.compiled_loss_ = None
        self.clock = None
        self.keeper = None


class Clock:
    """Tells how much of the time for something is over.

    Parameters
    ----------
    max_time : float or None
        Seconds from now on; None: any number of them.
    """

    def __init__(self, max_time):
        self.max_time = math.inf if max_time is None else max_time
        self.start = time.perf_counter()
        self._stopped = threading.Event()

    @property
    def elapsed(self):
        """Seconds that are over."""
        return time.perf_counter() - self.start

    @property
    def progress(self):
        """Share of the time that is over, from 0; not bounded above."""
        return math.inf if self.stopped else self.elapsed / self.max_time

    @property
    def stopped(self):
        """Whether it was stopped before its time."""
        return self._stopped.is_set()

    def stop(self):
        """Have no time left, neither this clock nor its parts."""
        self._stopped.set()

    def part(self):
        """Make a clock that is stopped with this one, and has as much time until it is restarted."""
        part = Clock(self.max_time)
        part._stopped = self._stopped
        return part

    def restart(self, whole, n_parts):
        """Begin one of `n_parts` equal parts of the time that another clock has left."""
        self.set(max((whole.max_time - whole.elapsed) / n_parts, sys.float_info.min), 0.0)

    def set(self, max_time, elapsed):
        """Go on as a clock does that has been running for a while."""
        self.max_time = max_time
        self.start = time.perf_counter() - elapsed


def compiled_loss(device):
    """Have forward pass and loss compiled at the first call.

    Parameters
    ----------
    device : torch device or str
        On CUDA the compiled kernels are replayed as a graph, so that none is launched singly.

    Returns
    -------
    callable
        From module, criterion, features, targets and weights or None to the loss. What is compiled belongs to this
        callable alone, and goes with it.
    """
    options: dict[str, Any] = {"isolate_recompiles": True}
    if torch.device(device).type == "cuda":
        options["mode"] = "reduce-overhead"
    return torch.compile(_loss, **options)


def _loss(module, criterion, X, target, weight):
    return criterion(module(X), target, weight)


def as_tensor(table, device):
    """Hand a table to torch, without a copy where that is possible.

    Parameters
    ----------
    table : ndarray
        Of numbers.

    device : torch.device
        Where it goes.

    Returns
    -------
    Tensor of the shape of table, float32
        Shares its memory on the CPU. Read-only arrays, as mapped ones often are, are copied: torch has no such thing.
    """
    return torch.from_numpy(np.require(table, np.float32, ["C", "W"])).to(device)


def resolve_device(device):
    """Turn a `device` parameter into a device that is there.

    Parameters
    ----------
    device : str
        ``"auto"``: CUDA where there is one, else the CPU. Otherwise a name that torch knows.

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
    """Whether bfloat16 products are faster than float32 ones.

    Parameters
    ----------
    device : torch.device
        The device.

    Returns
    -------
    bool
        On the CPU, whether it reports AMX, or AVX512-bf16 without being Intel's: those compute it at the rate of
        float32, and lose by the conversions. On CUDA, whether the card computes bfloat16 itself.
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
