"""
Relight a capture
=================

Fit a scene that was photographed under many lights, predict the photographs under lights that were held out, look at
one of them, and keep the model. ``make demo`` runs this on a scene that it renders. ``make demo CAPTURE=folder`` does
the same to your own photographs by the command line.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import joblib
import matplotlib as mpl
import numpy as np

from sklrelight import Relighter, make_relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import display_white, relative_error
from sklrelight.plotting import RelightingDisplay

# These take about a minute. More observations give a lower error.
OBSERVATIONS = 5_000_000


def relight_again(model, lights, predicted):
    """Load the model in a new process, and check that it predicts the same bytes."""
    again = joblib.load(model).predict(np.load(lights))
    if again.tobytes() != np.load(predicted).tobytes():
        sys.exit("the loaded model predicts something else")
    print(f"loaded {model} in a new process: it relights {len(again)} photographs to the same bytes")


def main(output):
    """Run the demo."""
    scene = make_scene(n_lights=256)
    lights, images = scene.lights, scene.images
    held_out = np.zeros(len(lights), bool)
    held_out[2::5] = True
    train, test = ~held_out, held_out
    white = display_white(images[train])
    shape = " x ".join(map(str, images.shape[1:3]))
    print(f"{len(lights)} photographs of {shape} pixels: {train.sum()} to train on, {test.sum()} held out")

    start = time.perf_counter()
    relighter = make_relighter(max_observations=OBSERVATIONS, random_state=0, verbose=1)
    relighter.fit(lights[train], images[train])
    fitting_time = time.perf_counter() - start

    predicted = relighter.predict(lights[test])
    nearest = Relighter(NearestPhotograph()).fit(lights[train], images[train]).predict(lights[test])
    print(f"relative error on the held-out lights (encoded for display), fitted in {fitting_time:.0f} s:")
    print(f"  nearest photograph  {relative_error(images[test], nearest, white=white):.4f}")
    print(f"  sklrelight          {relative_error(images[test], predicted, white=white):.4f}")

    output.mkdir(parents=True, exist_ok=True)
    errors = [relative_error(*pair, white=white) for pair in zip(images[test], predicted, strict=True)]
    typical = np.argsort(errors)[len(errors) // 2]
    # Highlights are white. The rest of the scene would be dark, so it is shown three stops brighter.
    display = RelightingDisplay.from_predictions(images[test][typical], predicted[typical], white=white, exposure=3.0)
    plot = output / "relighting.png"
    display.figure_.savefig(plot, dpi=120)
    print(f"the held-out photograph with the median error: {plot}")

    model = output / "model.joblib"
    joblib.dump(relighter, model)
    np.save(output / "lights.npy", lights[test])
    np.save(output / "predicted.npy", predicted)
    print(f"saved {model} ({model.stat().st_size / 1e6:.1f} MB)")
    files = [output / "lights.npy", output / "predicted.npy"]
    subprocess.run([sys.executable, __file__, "--output", output, "--again", model, *files], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Relight a scene.")
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder for the results")
    parser.add_argument("--again", nargs=3, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.again:
        relight_again(*arguments.again)
    else:
        mpl.use("agg")
        main(arguments.output)
