"""Train the network on prepared tasks for a time, and write its weights."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from generate import VALIDATION
from network import MixtureNetwork, save_weights

_TASKS_A_STEP, _PIXELS_A_STEP = 4, 64
# Seconds between looks at the validation tasks.
_LOOK = 120
# Learning rate at first.
_RATE = 2e-3
# Arrays of a task without pixels.
_WHOLE = {"light", "power"}


def load_tasks(folder):
    """Load all tasks: those of training as a list, those of validation as a list for each capture."""
    training, validation = [], []
    for path in sorted(folder.glob("*.npz"), key=lambda path: int(path.stem)):
        tasks = {}
        with np.load(path) as file:
            for key in file.files:
                number, name = key.split()
                tasks.setdefault(int(number), {})[name] = torch.as_tensor(file[key])
        if int(path.stem) >= VALIDATION:
            validation.append([*tasks.values()])
        else:
            training += tasks.values()
    return training, validation


def squared_error(task, predicted):
    """Mean squared error as it is displayed; what is clipped there counts a little."""
    weight = task["slope"].float() ** 2 + 0.05
    return (weight * (predicted - task["truth"].float()) ** 2).mean((-3, -2, -1))


def best_candidate(task):
    """Least squared error among the interpolations, with hindsight."""
    interpolations = task["candidates"][:, :-2].float().clamp(0, 1.2).movedim(1, 0)
    return squared_error(task, interpolations).min() + 1e-5 * task["power"]


def expand(packed, pixels=slice(None)):
    """Turn a task, or some of its pixels, into floats."""
    return {name: value.float() if name in _WHOLE else value[..., pixels].float() for name, value in packed.items()}


def permute(task, channels):
    """Permute the channels of a task."""
    tokens, features = task["tokens"].clone(), task["features"].clone()
    for start in (0, 3, 14):
        tokens[:, start : start + 3] = task["tokens"][:, start : start + 3][:, channels]
    features[:, :3] = features[:, :3][:, channels]
    images = {name: task[name][..., channels, :] for name in ("candidates", "truth", "slope")}
    return task | images | {"tokens": tokens, "features": features}


def validate(network, validation):
    """Mean ratios to the best interpolation with hindsight, for each number of lights."""
    with torch.no_grad():
        rows = [
            [
                float((squared_error(task, network(expand(task)).clamp(0, 1.2)) / best_candidate(task)).sqrt())
                for task in row
            ]
            for row in validation
        ]
    return np.mean(rows, axis=0).round(4).tolist()


class Training:
    """A network in training on some tasks, and the running average of its weights, which is what is kept of it."""

    def __init__(self, tasks, **options):
        self.network, self.average = MixtureNetwork(**options), MixtureNetwork(**options)
        self.average.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=_RATE, weight_decay=0.01, betas=(0.9, 0.98))
        self.rng, self.n_steps = np.random.default_rng(0), 0
        self.tasks = tasks
        self.bases = [best_candidate(task) for task in tasks]

    def _loss(self):
        """Compute the error in some pixels of a task, over that of its best interpolation; channels are permuted."""
        index = self.rng.integers(len(self.tasks))
        packed = self.tasks[index]
        pixels = torch.as_tensor(self.rng.choice(packed["unit"].shape[-1], _PIXELS_A_STEP, replace=False))
        task = permute(expand(packed, pixels), torch.as_tensor(self.rng.permutation(3)))
        return (squared_error(task, self.network(task)) / self.bases[index] + 0.02).sqrt() / _TASKS_A_STEP

    def step(self, progress):
        """Make one step, after a share of the time from 0 to 1, and return the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = _RATE * min(1, self.n_steps / 100, (1 - progress) / 0.8 + 0.01)
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for _ in range(_TASKS_A_STEP):
            loss = self._loss()
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.n_steps += 1
        decay = min(0.998, self.n_steps / (self.n_steps + 20))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        return total


def main():
    """Train, and write the weights at each look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--seconds", type=float, default=1080, help="processor time in all")
    parser.add_argument("--options", type=json.loads, default={}, help="parameters of the network, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tasks, validation = load_tasks(arguments.tasks)
    training = Training(tasks, **arguments.options)
    print(0, validate(training.average, validation), flush=True)
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
