"""Train a model on prepared tasks for a time, with checkpoints from which it goes on."""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from descent import TASKS_A_STEP, Descent
from descent import load_tasks as load_by_capture
from model import NeighbourModel, expand, load_weights
from prepare import COUNTS
from weights import save_weights

_PIXELS_A_STEP = 96
_ROWS_A_STEP = 10
# Seconds between looks at the validation tasks, and between checkpoints.
_LOOK = 150


def load_tasks(folder):
    """Load all tasks: those of training as a list, those of validation as a list for each number of lights."""
    training, validation = load_by_capture(folder)
    return training, [*zip(*validation, strict=True)]


def errors(model, packed):
    """Mean squared errors of a model and of the interpolation in a task, over the mean square of the truth."""
    task = expand(packed)
    low, high = task["given"].min(), task["given"].max()
    with torch.no_grad():
        pair = [model(task), task["predicted"]]
    return [float((values.clamp(low, high) - task["truth"]).square().mean()) / task["power"] for values in pair]


def validate(model, validation):
    """Ratios to the interpolation's error: the mean over captures and the pooled one, for each number of lights."""
    model.eval()
    result = {}
    for count, tasks in zip(COUNTS, validation, strict=True):
        pairs = np.array([errors(model, task) for task in tasks])
        ratios = np.sqrt(pairs[:, 0] / pairs[:, 1])
        pooled = np.sqrt(pairs[:, 0].sum() / pairs[:, 1].sum())
        result[count] = (round(float(ratios.mean()), 4), round(float(pooled), 4))
    model.train()
    return result


class Training(Descent):
    """A model in training, for which processor time is counted over all its pieces.

    Parameters
    ----------
    options : dict
        Parameters of the model.

    rate : float
        The greatest learning rate.

    start : Path or None, default=None
        Weights to start from. None: those of a new model.
    """

    def __init__(self, options, rate, start=None):
        model, average = NeighbourModel(**options), NeighbourModel(**options)
        if start:
            model.load_state_dict(load_weights(start).state_dict())
        super().__init__(model, average, rate)
        self.used = 0.0

    def resume(self, checkpoint):
        """Go on from a checkpoint."""
        state = torch.load(checkpoint, weights_only=True)
        self.model.load_state_dict(state["training"])
        self.average.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.used, self.n_steps = state["used"], state["step"]
        self.rng = np.random.default_rng(self.n_steps)

    def save(self, checkpoint):
        """Write a checkpoint."""
        parts = {"model": self.average, "training": self.model, "optimizer": self.optimizer}
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"used": self.used, "step": self.n_steps, "options": self.model.options}
        partial = checkpoint.with_suffix(".part")
        torch.save(state, partial)
        os.replace(partial, checkpoint)

    def _loss(self, packed):
        """Compute the loss in some pixels of a task, over the interpolation's, with channels and mirror at random."""
        rng = self.rng
        n_pixels, n_rows = packed["given"].shape[1], len(packed["targets"])
        pixels = torch.as_tensor(rng.choice(n_pixels, _PIXELS_A_STEP, replace=False))
        rows = torch.as_tensor(rng.choice(n_rows, min(n_rows, _ROWS_A_STEP), replace=False))
        channels = torch.as_tensor(rng.permutation(3))
        task = expand(packed, rows, pixels)
        task = {
            name: value[..., channels] if isinstance(value, torch.Tensor) and value.shape[2:] == (3,) else value
            for name, value in task.items()
        }
        # What the interpolation has wrong in the whole task, so that easy captures count like difficult ones.
        base = (packed["predicted"].float() - packed["truth"].float()).square().mean()
        predicted = self.model(task, mirror=float(rng.choice([-1.0, 1.0])))
        return (predicted - task["truth"]).square().mean() / (base + 1e-4 * task["power"]) / TASKS_A_STEP

    def step(self, tasks, progress):
        """Make one step on some of the tasks, after a share of the time from 0 to 1, and return the loss."""
        losses = (self._loss(tasks[self.rng.integers(len(tasks))]) for _ in range(TASKS_A_STEP))
        return self.descend(min(1, self.n_steps / 200, (1 - progress) / 0.7 + 0.02), losses)


def main():
    """Train, and write the weights beside the checkpoint at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--seconds", type=float, default=600, help="processor time in all")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--options", type=json.loads, default={}, help="parameters of the model, as JSON")
    parser.add_argument("--start", type=Path, help="weights to start from")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tasks, validation = load_tasks(arguments.tasks)
    training = Training(arguments.options, arguments.rate, arguments.start)
    if arguments.checkpoint.exists():
        training.resume(arguments.checkpoint)
    n_parameters = sum(parameter.numel() for parameter in training.model.parameters())
    print(f"{len(tasks)} tasks, {n_parameters} parameters", flush=True)
    log = arguments.checkpoint.with_suffix(".jsonl")
    next_look, losses = training.used + 60, []
    while training.used < arguments.seconds:
        started = time.process_time()
        losses.append(training.step(tasks, training.used / arguments.seconds))
        training.used += time.process_time() - started
        if training.used >= next_look or training.used >= arguments.seconds:
            training.save(arguments.checkpoint)
            record = {"used": round(training.used), "step": training.n_steps}
            record |= {"loss": round(float(np.mean(losses[-500:])), 4)}
            record |= {"ratios": validate(training.average, validation)}
            with log.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(record, flush=True)
            next_look = training.used + _LOOK
    save_weights(training.average, arguments.checkpoint.with_suffix(".npz"))


if __name__ == "__main__":
    main()
