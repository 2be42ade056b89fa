"""Few photographs: a pretrained model beside every classical one, with 5, 8 and 12 lights of each row of the benchmark.

    python benchmarks/pretraining/few_lights.py benchmarks/pretraining/mixture.npz --splits *.npz

The lights are chosen among those to train on by `choose_lights`, or at random. The classical models are those of
``benchmarks/accuracy.py``; of each row and number the best is taken with hindsight, also with twice as many lights.
Errors are encoded, of a window in the middle and of at most 10 photographs.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from accuracy_models import CLASSICAL, MODELS, Settings, hindsight_errors
from accuracy_sets import Split
from candidates import make_scaler
from inference import Inference

from sklrelight import Relighter
from sklrelight.interpolation import RBFInterpolation, StackedRBFInterpolation, choose_lights
from sklrelight.metrics import relative_error

NUMBERS = (5, 8, 12)
# Photographs of each row that are predicted.
_TESTS = 10


def load_window(path, side):
    """Load a split, of which a window in the middle and some photographs to predict are kept."""
    with np.load(path) as file:
        rows, columns = (max(0, size - side) // 2 for size in file["images"].shape[1:3])
        window = (slice(None), slice(rows, rows + side), slice(columns, columns + side))
        tests = np.unique(np.linspace(0, len(file["test_lights"]) - 1, _TESTS).round().astype(int))
        white = float(file["white"])
        return Split(
            lights=file["lights"].astype(np.float32),
            images=np.ascontiguousarray(file["images"][window]),
            test_lights=file["test_lights"][tests].astype(np.float32),
            test_images=np.ascontiguousarray(file["test_images"][tests][window]),
            white=None if np.isnan(white) else white,
        )


def choose(split, k, method):
    """Keep k lights to train on."""
    if method == "chosen":
        chosen = choose_lights(split.lights, k)
    else:
        chosen = np.random.default_rng([26, k]).permutation(len(split.lights))[:k]
    return Split(split.lights[chosen], split.images[chosen], split.test_lights, split.test_images, split.white)


def best_classical(split):
    """Find the classical model of the least error with hindsight: its error and its name."""
    errors = {}
    for name in CLASSICAL:
        found = hindsight_errors(MODELS[name](split, 0, Settings()), split)
        errors |= {f"{name} {variant}".strip(): error for variant, error in found.items()}
    best = min(errors, key=errors.get)
    return errors[best], best


def error_of(split, predicted):
    """Encoded relative error of photographs in the units of the capture."""
    return float(relative_error(split.encode(split.test_images), split.encode(predicted)))


def predict_pretrained(path, split):
    """Predict by weights in a file, in the units of the capture."""
    scaler = make_scaler(split.images, stored=split.white is None)
    model = Inference(path).fit(split.lights, scaler.transform(split.images))
    return scaler.inverse_transform(model.predict(split.test_lights))


def predict_by(regressor, split):
    """Predict by an interpolation of the package, in the units of the capture."""
    return Relighter(regressor).fit(split.lights, split.images).predict(split.test_lights)


def measure(split, k, method, models):
    """Measure a row with k lights.

    Parameters
    ----------
    split : Split
        The row, with all lights to train on.

    k : int
        Number of lights.

    method : {"chosen", "random"}
        How they are chosen.

    models : dict of callable
        Models by name: they take a split and predict its test photographs.

    Returns
    -------
    dict
        Errors of the best classical model and of the interpolations, with k lights and with twice as many; and of the
        models.
    """
    few, more = choose(split, k, method), choose(split, 2 * k, method)
    best, name = best_classical(few)
    result = {"classical": best, "name": name, "twice": best_classical(more)[0]}
    for label, regressor in (("rbf", RBFInterpolation()), ("stacked", StackedRBFInterpolation(random_state=0))):
        result[label] = error_of(few, predict_by(regressor, few))
        result[f"twice_{label}"] = error_of(more, predict_by(regressor, more))
    return result | {label: error_of(few, model(few)) for label, model in models.items()}


def summarize(records, label):
    """Compute, for each number and choice of lights, mean and worst ratio, and how often half the lights suffice."""
    lines = []
    for method in dict.fromkeys(record["method"] for record in records):
        for k in dict.fromkeys(record["k"] for record in records):
            rows = [record for record in records if (record["method"], record["k"]) == (method, k)]
            ratios = [row[label] / row["classical"] for row in rows]
            mean, geometric = np.mean(ratios), np.exp(np.mean(np.log(ratios)))
            counts = [
                sum(row[label] <= row[twice] for row in rows) for twice in ("twice", "twice_rbf", "twice_stacked")
            ]
            lines.append(
                f"{label}, {k} {method}: mean {mean:.3f}, geometric mean {geometric:.3f}, worst {max(ratios):.3f}; "
                f"as good as best classical, rbf, stacked with twice the lights on {counts} of {len(rows)} rows"
            )
    return lines


def main():
    """Print a line of JSON for each row, number and choice of lights, and a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+", help="what train_mixture.py wrote")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="files with lights and photographs")
    parser.add_argument("--side", type=int, default=96, help="side of the window, in pixels")
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS, help="numbers of lights")
    arguments = parser.parse_args()
    models = {path.stem: lambda split, path=path: predict_pretrained(path, split) for path in arguments.weights}
    records = []
    for path in arguments.splits:
        split = load_window(path, arguments.side)
        for method in ("chosen", "random"):
            for k in arguments.numbers:
                record = {"row": path.stem, "method": method, "k": k} | measure(split, k, method, models)
                records.append(record)
                shown = {key: round(value, 4) if isinstance(value, float) else value for key, value in record.items()}
                print(json.dumps(shown), flush=True)
    for label in ("rbf", "stacked", *models):
        print(*summarize(records, label), sep="\n", flush=True)


if __name__ == "__main__":
    main()
