"""Fits in processes of their own, which are killed at given moments: ``killed_fit.py ATTEMPTS``.

ATTEMPTS is JSON, a list of triples of folder, moment and count. The folder holds ``lights.npy``, ``images.npy`` and
``parameters.json``; the prediction is written to its ``result.npy``. The moment is one of ``MOMENTS``, and the count
says at which time the fit comes to it; or ``"clock"``, and the count is in seconds; or null. Each attempt is a fork of
this process, which saves importing everything once more. Shown is JSON: exit code and seconds of each.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from sklrelight import ImageStack, PixelLightFeaturizer, RelightingMLPRegressor
from sklrelight.neural import BatchSizeStages, CompositeLoss, PlateauLearningRate, _checkpoint

# In training; then of the checkpoint's file: half of it is written, all of it is, it will be renamed now, it has been.
MOMENTS = ("batch", "half", "written", "rename", "renamed")


def kill_at(moment, count):
    """Have the process kill itself the `count`-th time that it comes to a moment."""
    left = count
    compute_loss, fsync, replace = CompositeLoss.forward, os.fsync, os.replace

    def come_to(this):
        nonlocal left
        if this == moment:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def compute_loss_or_die(self, *args):
        come_to("batch")
        return compute_loss(self, *args)

    def fsync_or_die(descriptor):
        if moment == "half" and left == 1:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        come_to("half")
        fsync(descriptor)
        come_to("written")

    def replace_or_die(source, target):
        come_to("rename")
        replace(source, target)
        come_to("renamed")

    CompositeLoss.forward = compute_loss_or_die
    _checkpoint.os.fsync, _checkpoint.os.replace = fsync_or_die, replace_or_die


def fit(folder):
    """Fit in stages, with a checkpoint, to photographs in memory or on disk, and predict."""
    lights, images = np.load(folder / "lights.npy"), np.load(folder / "images.npy")
    parameters = json.loads((folder / "parameters.json").read_text())
    callbacks = [("stages", BatchSizeStages(**parameters.pop("stages"))), ("plateau", PlateauLearningRate(patience=1))]
    features = PixelLightFeaturizer(n_components=3, random_state=0).fit(lights, images).transform(lights)
    y = ImageStack(folder / "images.npy") if parameters.pop("on_disk") else images
    regressor = RelightingMLPRegressor(**parameters, callbacks=callbacks, max_observations=None)
    np.save(folder / "result.npy", regressor.fit(features, y).predict(features))


def attempt(folder, moment, count):
    """Fit in a fork; give its exit code, negative for a signal, and the seconds that it took."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if moment in MOMENTS:
                kill_at(moment, count)
            fit(Path(folder))
            code = 0
        finally:
            os._exit(code)
    if moment == "clock":
        time.sleep(count)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps([attempt(*each) for each in json.loads(sys.argv[1])]))
