"""Train the mixture on prepared tasks for a time, and write its weights."""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from descent import TASKS_A_STEP, Descent, load_tasks
from mixture import MixtureModel, expand
from weights import save_weights

_PIXELS_A_STEP = 64
# Seconds between looks at the validation tasks.
_LOOK = 120


def squared_error(task, predicted):
    """Mean squared error as it is displayed; what is clipped there counts a little."""
    weight = task["slope"].float() ** 2 + 0.05
    return (weight * (predicted - task["truth"].float()) ** 2).mean((-3, -2, -1))


def best_candidate(task):
    """Least squared error among the interpolations, with hindsight."""
    interpolations = task["candidates"][:-2].float().clamp(0, 1.2)
    return squared_error(task, interpolations).min() + 1e-5 * task["power"]


def validate(model, validation):
    """Mean ratios to the best interpolation with hindsight, for each number of lights."""
    with torch.no_grad():
        rows = [
            [
                float((squared_error(task, model(expand(task)).clamp(0, 1.2)) / best_candidate(task)).sqrt())
                for task in row
            ]
            for row in validation
        ]
    return np.mean(rows, axis=0).round(4).tolist()


class Training(Descent):
    """A mixture in training on some tasks."""

    def __init__(self, tasks, rate=2e-3):
        super().__init__(MixtureModel(), MixtureModel(), rate)
        self.tasks = tasks
        self.bases = [best_candidate(task) for task in tasks]

    def _loss(self):
        """Compute the error in some pixels of a task, over that of its best interpolation; channels are permuted."""
        rng = self.rng
        index = rng.integers(len(self.tasks))
        packed = self.tasks[index]
        pixels = rng.choice(packed["given"].shape[1], _PIXELS_A_STEP, replace=False)
        task = expand(packed, torch.as_tensor(pixels))
        channels = torch.as_tensor(rng.permutation(3))
        task = {
            name: value[..., channels] if value.ndim > 2 and value.shape[-1] == 3 and name != "weights" else value
            for name, value in task.items()
        }
        predicted = self.model(task, mirror=float(rng.choice([-1.0, 1.0])))
        return (squared_error(task, predicted) / self.bases[index] + 0.02).sqrt() / TASKS_A_STEP

    def step(self, progress):
        """Make one step, after a share of the time from 0 to 1, and return the loss."""
        share = min(1, self.n_steps / 100, (1 - progress) / 0.8 + 0.01)
        return self.descend(share, (self._loss() for _ in range(TASKS_A_STEP)))


def main():
    """Train, and write the weights at each look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--seconds", type=float, default=1080, help="processor time in all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tasks, validation = load_tasks(arguments.tasks)
    training = Training(tasks)
    used, next_look, losses = 0.0, _LOOK, []
    while used < arguments.seconds:
        started = time.process_time()
        losses.append(training.step(used / arguments.seconds))
        used += time.process_time() - started
        if used >= next_look or used >= arguments.seconds:
            save_weights(training.average, arguments.weights)
            ratios = validate(training.average, validation)
            print(round(used), training.n_steps, round(float(np.mean(losses[-300:])), 4), ratios, flush=True)
            next_look += _LOOK


if __name__ == "__main__":
    main()
