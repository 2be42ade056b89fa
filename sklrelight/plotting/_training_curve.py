"""The losses of a training: :class:`TrainingCurveDisplay`."""

from itertools import pairwise

import numpy as np

from ._axes import BLUE, ORANGE, open_axes, text_color

__all__ = ["TrainingCurveDisplay"]


class TrainingCurveDisplay:
    """Losses of each epoch above its learning rate, with the steps of the rate and the batch-size stages marked.

    Make one by `from_estimator` or `from_history`.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        Training loss of each epoch.

    valid_loss : array-like of shape (n_epochs,) or None, default=None
        Validation loss of each epoch. None: there was no validation.

    learning_rate : array-like of shape (n_epochs,)
        Learning rate at the end of each epoch.

    batch_size, stage : array-like of shape (n_epochs,) or None, default=None
        Batch size of each epoch, and number of its stage from 0. None: there were no stages.

    Attributes
    ----------
    rate_steps_ : ndarray of int
        Epochs, counted from 1, that began with another learning rate than the one before. Empty for a rate that changes
        in most epochs, such as one that falls linearly.

    axes_ : ndarray of shape (2,) of Axes
        Losses and learning rate; set by `plot`.

    figure_ : Figure
        The figure that holds them; set by `plot`.
    """

    def __init__(self, *, train_loss, valid_loss=None, learning_rate, batch_size=None, stage=None):
        self.train_loss = np.asarray(train_loss)
        self.valid_loss = None if valid_loss is None else np.asarray(valid_loss)
        self.learning_rate = np.asarray(learning_rate)
        self.batch_size = batch_size
        self.stage = stage
        steps = np.flatnonzero(np.diff(self.learning_rate)) + 2
        by_steps = len(steps) <= (len(self.learning_rate) - 1) / 2
        self.rate_steps_ = steps if by_steps else np.empty(0, int)

    @classmethod
    def from_history(cls, history, *, ax=None):
        """Show the history of a training.

        Parameters
        ----------
        history : skorch.history.History or list of dict
            Rows of the epochs with ``train_loss`` and ``event_lr``, with ``valid_loss`` if there was validation, and
            with ``batch_size`` and ``stage`` if :class:`~sklrelight.neural.BatchSizeStages` was among the callbacks:
            the `history_` of :class:`~sklrelight.RelightingMLPRegressor`.

        ax : sequence of 2 Axes or None, default=None
            Where to draw losses and learning rate; by default the axes of a new figure.

        Returns
        -------
        TrainingCurveDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If no epoch came to its end.

        Examples
        --------
        >>> from sklrelight.plotting import TrainingCurveDisplay
        >>> rows = [{"train_loss": 1 / i, "event_lr": 0.1 if i < 4 else 0.05, "batch_size": 8, "stage": 0}
        ...         for i in range(1, 7)]
        >>> TrainingCurveDisplay.from_history(rows).rate_steps_
        array([4])
        >>> import matplotlib.pyplot as plt
        >>> plt.close("all")
        """
        # An epoch that was interrupted by Ctrl-C has no losses.
        rows = [row for row in history if "train_loss" in row and "event_lr" in row]
        if not rows:
            raise ValueError("the history has no epoch that came to its end: there is nothing to draw")
        columns = {name: [row.get(name) for row in rows] for name in ("valid_loss", "batch_size", "stage")}
        return cls(
            train_loss=[row["train_loss"] for row in rows],
            learning_rate=[row["event_lr"] for row in rows],
            **{name: None if None in values else values for name, values in columns.items()},
        ).plot(ax)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Show how an estimator was trained.

        Parameters
        ----------
        estimator : estimator
            Fitted :class:`~sklrelight.RelightingMLPRegressor`, or a relighter, pipeline or search that holds one. The
            first of several networks is shown.

        ax : sequence of 2 Axes or None, default=None
            Where to draw losses and learning rate; by default the axes of a new figure.

        Returns
        -------
        TrainingCurveDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If the estimator has no history: it is not fitted, or it holds no network.
        """
        part = estimator
        while not hasattr(part, "history_"):
            if hasattr(part, "members_"):
                part = part.members_[0]
            elif hasattr(part, "steps"):
                part = part.steps[-1][1]
            elif hasattr(part, "best_estimator_"):
                part = part.best_estimator_
            elif hasattr(part, "regressor_"):
                part = part.regressor_
            else:
                raise ValueError(f"{estimator} has no history_ of training: it is not fitted, or it holds no network")
        return cls.from_history(part.history_, ax=ax)

    def plot(self, ax=None):
        """Draw losses and learning rate.

        Parameters
        ----------
        ax : sequence of 2 Axes or None, default=None
            Where to draw them; by default the axes of a new figure.

        Returns
        -------
        TrainingCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` does not hold two axes.
        """
        options = {"size": (7.5, 4.8), "sharex": True, "height_ratios": (3, 1)}
        self.figure_, self.axes_ = open_axes(ax, 2, "for losses and learning rate", **options)
        losses, rates = self.axes_
        epochs = np.arange(1, len(self.train_loss) + 1)
        losses.plot(epochs, self.train_loss, "o-", color=BLUE, markersize=3.5, label="training")
        if self.valid_loss is not None:
            losses.plot(epochs, self.valid_loss, "s--", color=ORANGE, markersize=3.5, label="validation")
        rates.step(epochs, self.learning_rate, where="mid", color=text_color(), linewidth=1.2)
        limits = (0.5, len(epochs) + 0.5)
        losses.set(yscale="log", ylabel="loss", xlim=limits)
        rates.set(yscale="log", ylabel="learning rate", xlabel="epoch", xlim=limits)
        rates.xaxis.get_major_locator().set_params(integer=True)
        for axis in (losses, rates):
            for number, epoch in enumerate(self.rate_steps_):
                # A single entry in the legend.
                label = "learning rate falls" if number == 0 and axis is losses else None
                axis.axvline(epoch - 0.5, color=text_color(), linewidth=0.9, linestyle=":", label=label)
        if self.stage is not None:
            self._mark_stages(losses, rates)
        losses.legend(fontsize=8, framealpha=0.85)
        return self

    def _mark_stages(self, losses, rates):
        """Shade every second stage and write its batch size above each."""
        # The first epoch of each stage, from 0.
        first = np.flatnonzero(np.diff(self.stage, prepend=-1))
        bounds = [*(first + 0.5), len(self.stage) + 0.5]
        for number, (left, right) in enumerate(pairwise(bounds)):
            if number % 2:
                for axis in (losses, rates):
                    axis.axvspan(left, right, color=text_color(), alpha=0.08, linewidth=0, zorder=0)
            label = f"{'batch of ' if number == 0 else ''}{int(self.batch_size[first[number]]):,}"
            place = {"transform": losses.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            losses.text((left + right) / 2, 1.02, label, fontsize=8, **place)
