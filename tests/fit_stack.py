"""Fit a stack in a process of its own, and print as JSON what that took. Run by tests, not collected by them.

python fit_stack.py STACK.npy LIGHTS.npy {disk,memory} N_PHOTOGRAPHS N_OBSERVATIONS
"""

import json
import re
import sys
import threading
import time
from pathlib import Path

import numpy as np

from sklrelight import ImageStack, make_relighter
from sklrelight.metrics import relative_error


def anonymous():
    """Bytes of memory that belong to no file."""
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


class Peak(threading.Thread):
    """Highest anonymous memory of the process while this thread runs, looked at every 10 ms."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bytes, self.over = 0, threading.Event()

    def run(self):
        while not self.over.wait(0.01):
            self.bytes = max(self.bytes, anonymous())


def main(stack, lights, where, n_photographs, n_observations):
    """Fit four photographs in five, and predict some of the others."""
    held_out = np.arange(int(n_photographs)) % 5 == 2
    images = ImageStack(stack)[: int(n_photographs)]
    lights = np.load(lights)[: int(n_photographs)]
    train = images[~held_out]
    imported = anonymous()
    peak = Peak()
    peak.start()
    relighter = make_relighter(max_observations=int(n_observations), random_state=0)
    start, cpu = time.perf_counter(), time.process_time()
    relighter.fit(lights[~held_out], train if where == "disk" else np.asarray(train))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak.over.set()
    networks = [member["mlp"] for member in relighter.regressor_.members_]
    tested = np.flatnonzero(held_out)[:2]
    predicted = relighter.predict(lights[tested])
    relighter.regressor_.weight_, relighter.regressor_.brightness_limit_ = 1.0, None
    of_network = relighter.predict(lights[tested])
    encode = relighter.transformer_.transform
    true = encode(np.asarray(images[tested]))
    result = {
        "imported": imported,
        "peak": peak.bytes,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "training_seconds": sum(sum(mlp.history_[:, "dur"]) for mlp in networks),
        "n_observations": sum(mlp.n_observations_ for mlp in networks),
        "error": relative_error(true, encode(predicted)),
        "network_error": relative_error(true, encode(of_network)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
