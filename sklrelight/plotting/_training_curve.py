"""How training went: :class:`TrainingCurveDisplay`."""

import numpy as np

from ..utils import import_extra
from ._axes import BLUE, ORANGE, check_axes, neutral, new_axes

__all__ = ["TrainingCurveDisplay"]


class TrainingCurveDisplay:
    """Losses by epoch over the learning rate, with its steps and the batch-size stages marked.

    Make one by `from_estimator` or `from_history`.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        Training loss.

    valid_loss : array-like of shape (n_epochs,) or None, default=None
        Validation loss.

    learning_rate : array-like of shape (n_epochs,)
        At the end of each epoch.

    batch_size : array-like of shape (n_epochs,)
        Of each epoch.

    stage : array-like of shape (n_epochs,)
        Number of the stage of each epoch, from 0.

    Attributes
    ----------
    rate_steps_ : ndarray of int
        Epochs, from 1, that began with a lower learning rate than the one before, where the rate falls by steps.
        Empty for a rate that falls all the time, as a linear one does.

    axes_ : ndarray of shape (2,) of Axes
        Losses and learning rate; set by `plot`.

    figure_ : Figure
        The figure that holds them; set by `plot`.
    """

    def __init__(self, *, train_loss, valid_loss=None, learning_rate, batch_size, stage):
        self.train_loss = np.asarray(train_loss)
        self.valid_loss = None if valid_loss is None else np.asarray(valid_loss)
        self.learning_rate = np.asarray(learning_rate)
        self.batch_size = np.asarray(batch_size)
        self.stage = np.asarray(stage)
        steps = np.flatnonzero(np.diff(self.learning_rate)) + 2
        by_steps = len(steps) <= (len(self.learning_rate) - 1) / 2
        self.rate_steps_ = steps if by_steps else np.empty(0, int)

    @classmethod
    def from_history(cls, history, *, ax=None):
        """Show a history.

        Parameters
        ----------
        history : skorch.history.History or list of dict
            Rows with ``train_loss``, ``event_lr``, ``batch_size``, ``stage`` and, if there was validation,
            ``valid_loss``: `history_` of :class:`~sklrelight.RelightingMLPRegressor`.

        ax : sequence of 2 Axes or None, default=None
            Where to draw losses and learning rate; a new figure by default.

        Returns
        -------
        TrainingCurveDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If no epoch has ended.

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
        # The epoch that Ctrl-C ended has no losses.
        rows = [row for row in history if "train_loss" in row and "event_lr" in row]
        if not rows:
            raise ValueError("the history has no epoch that came to its end: there is nothing to draw")
        columns = {name: [row[name] for row in rows] for name in ("train_loss", "batch_size", "stage")}
        valid = [row.get("valid_loss") for row in rows]
        return cls(
            **columns,
            learning_rate=[row["event_lr"] for row in rows],
            valid_loss=None if None in valid else valid,
        ).plot(ax)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Show how an estimator was trained.

        Parameters
        ----------
        estimator : estimator
            Fitted: a :class:`~sklrelight.RelightingMLPRegressor`, or a relighter, pipeline or search that holds one.
            Of several networks, the first is shown.

        ax : sequence of 2 Axes or None, default=None
            Where to draw losses and learning rate; a new figure by default.

        Returns
        -------
        TrainingCurveDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If there is no history in it: it is not fitted, or has no network.
        """
        part = estimator
        while not hasattr(part, "history_"):
            for name in ("best_estimator_", "regressor_", "steps"):
                if hasattr(part, name):
                    part = getattr(part, name)
                    break
            else:
                raise ValueError(f"{estimator} has no history_ of training: it is not fitted, or it holds no network")
            part = part[-1][1] if isinstance(part, list) else part
        return cls.from_history(part.history_, ax=ax)

    def plot(self, ax=None):
        """Draw losses and learning rate.

        Parameters
        ----------
        ax : sequence of 2 Axes or None, default=None
            Where to draw them; a new figure by default.

        Returns
        -------
        TrainingCurveDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If `ax` does not hold two axes.
        """
        if ax is None:
            ax = new_axes(2, 1, size=(7.5, 4.8), sharex=True, height_ratios=(3, 1))
        losses, rates = self.axes_ = check_axes(ax, 2, "for losses and learning rate")
        self.figure_ = losses.figure
        epochs = np.arange(1, len(self.train_loss) + 1)
        losses.plot(epochs, self.train_loss, "o-", color=BLUE, markersize=3.5, label="training")
        if self.valid_loss is not None:
            losses.plot(epochs, self.valid_loss, "s--", color=ORANGE, markersize=3.5, label="validation")
        losses.set_yscale("log")
        losses.set_ylabel("loss")
        rates.step(epochs, self.learning_rate, where="mid", color=neutral(), linewidth=1.2)
        rates.set_yscale("log")
        rates.set_ylabel("learning rate")
        rates.set_xlabel("epoch")
        rates.set_xlim(0.5, len(epochs) + 0.5)
        losses.set_xlim(0.5, len(epochs) + 0.5)
        rates.xaxis.set_major_locator(import_extra("matplotlib.ticker", "plot", "To draw").MaxNLocator(integer=True))
        for number, epoch in enumerate(self.rate_steps_):
            for axis in (losses, rates):
                label = "learning rate falls" if number == 0 and axis is losses else None
                axis.axvline(epoch - 0.5, color=neutral(), linewidth=0.9, linestyle=":", label=label)
        self._mark_stages(losses, rates)
        losses.legend(fontsize=8, framealpha=0.85)
        return self

    def _mark_stages(self, losses, rates):
        """Shade every second stage and write the batch size over each."""
        first = np.flatnonzero(np.diff(self.stage, prepend=self.stage[0] - 1))
        bounds = np.append(first, len(self.stage)) + 0.5
        for number, start in enumerate(first):
            left, right = bounds[number], bounds[number + 1]
            if number % 2:
                for axis in (losses, rates):
                    axis.axvspan(left, right, color=neutral(), alpha=0.08, linewidth=0, zorder=0)
            losses.text(
                (left + right) / 2,
                1.02,
                f"{'batch of ' if number == 0 else ''}{int(self.batch_size[start]):,}",
                transform=losses.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=8,
            )
