"""Relative error of the network alone, without any interpolation, beside the nearest photograph's.

Every fifth light from the third is held out. The figures are of the encoded domain: stored values of 8-bit captures.

    python benchmarks/network_alone.py FOLDER
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from sklrelight import Relighter, make_relighter
from sklrelight.datasets import load_rti
from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import display_white, relative_error


def main(folder, seeds):
    """Print a table, one row a seed."""
    capture = load_rti(folder)
    test = np.zeros(len(capture.lights), bool)
    test[2::5] = True
    lights, images = capture.lights, capture.images
    white = None if capture.bit_depth == 8 else display_white(images[~test])

    def error(model):
        return relative_error(images[test], model.predict(lights[test]), white=white)

    nearest = error(Relighter(NearestPhotograph()).fit(lights[~test], images[~test]))
    print(
        f"{Path(folder).name}: {(~test).sum()} photographs to train on, {test.sum()} held out; relative error, encoded"
    )
    print("relative error, encoded:")
    print("| seed | nearest photograph | network alone | ratio | seconds of fitting |")
    print("|---|---|---|---|---|")
    ratios = []
    for seed in seeds:
        start = time.perf_counter()
        relighter = make_relighter(random_state=seed).set_params(
            regressor__mlp__n_networks=1, regressor__mlp__interpolation=None
        )
        relighter.fit(lights[~test], images[~test])
        seconds = time.perf_counter() - start
        network = error(relighter)
        ratios.append(network / nearest)
        print(f"| {seed} | {nearest:.4f} | {network:.4f} | {ratios[-1]:.3f} | {seconds:.0f} |", flush=True)
    print(f"ratio: median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="photographs with an .lp file")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    main(arguments.folder, arguments.seeds)
