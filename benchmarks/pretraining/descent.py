"""What the training of both models shares: their tasks, the steps of the optimiser, and the mean of the weights."""

import numpy as np
import torch
from generate import VALIDATION

__all__ = ["TASKS_A_STEP", "Descent", "load_tasks"]

TASKS_A_STEP = 4


def load_tasks(folder):
    """Load all tasks: those of training as a list, those of validation as a list for each capture."""
    training, validation = [], []
    for path in sorted(folder.glob("*.pt"), key=lambda path: int(path.stem)):
        tasks = torch.load(path, weights_only=True)
        if int(path.stem) >= VALIDATION:
            validation.append(tasks)
        else:
            training += tasks
    return training, validation


class Descent:
    """A model in training, and the running average of its weights, which is what is kept of it.

    Parameters
    ----------
    model, average : Module
        Two models of the same kind. The second gets the weights of the first.

    rate : float
        The greatest learning rate.
    """

    def __init__(self, model, average, rate):
        self.model, self.average, self.rate, self.n_steps = model, average, rate, 0
        self.rng = np.random.default_rng(0)
        self.average.load_state_dict(self.model.state_dict())
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))

    def descend(self, share, losses):
        """Make one step at a share of the greatest rate down the sum of losses, which is returned.

        The losses are taken one after another, so that only one graph is in memory.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * share
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for loss in losses:
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.n_steps += 1
        decay = min(0.998, self.n_steps / (self.n_steps + 20))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        return total
