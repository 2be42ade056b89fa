"""Search over a stack on disk in a process of its own, and print as JSON what that took. Run by tests.

python search_stack.py STACK.npy LIGHTS.npy N_JOBS N_CANDIDATES N_OBSERVATIONS
"""

import json
import re
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV, KFold

from sklrelight import ImageStack, make_relighter


def family(pid="self"):
    """A process and all that it has started."""
    pids = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            pids.extend(family(child))
    return pids


def proportional():
    """PSS of all of them, in bytes: pages that several share are counted once."""
    total = 0
    for pid in family():
        try:
            total += int(re.search(r"Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())[1])
        except (OSError, TypeError):
            continue
    return total * 1024


class Peak(threading.Thread):
    """Highest PSS while this thread runs, looked at four times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bytes, self.over = 0, threading.Event()

    def run(self):
        while not self.over.wait(0.25):
            self.bytes = max(self.bytes, proportional())


def score(relighter, lights, stack):
    """R^2 of one photograph in fifty: with all of them, it is predicting that takes the time."""
    return relighter.score(lights[::50], stack[::50])


def main(stack, lights, n_jobs, n_candidates, n_observations):
    """Search."""
    stack, lights = ImageStack(stack), np.load(lights)
    relighter = make_relighter(max_observations=int(n_observations), random_state=0).set_params(interpolation=None)
    grid = {"regressor__mlp__luminance_weight": np.linspace(0, 1, int(n_candidates))}
    options = {"cv": KFold(3), "scoring": score, "refit": False, "error_score": "raise"}
    search = GridSearchCV(relighter, grid, n_jobs=int(n_jobs), **options)
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    search.fit(lights, stack)
    seconds = time.perf_counter() - start
    peak.over.set()
    result = {
        "pss": peak.bytes,
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "scores": search.cv_results_["mean_test_score"].tolist(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
