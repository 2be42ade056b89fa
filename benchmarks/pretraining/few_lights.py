"""Few photographs: the pretrained interpolation beside every classical model, with few lights of each benchmark row.

    python benchmarks/pretraining/few_lights.py --data FOLDER
    python benchmarks/pretraining/few_lights.py --data FOLDER --numbers 5 12 --default

The lights are chosen among those to train on by `choose_lights`, or at random. The classical models are those of
``benchmarks/accuracy.py``. Of each row and number the best is taken with hindsight, also with twice as many lights.
Errors are encoded, of a window in the middle and of at most 10 photographs.
"""

import argparse
import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from accuracy_models import CLASSICAL, MODELS, Settings, hindsight_errors
from accuracy_sets import SETS, expand, is_there, load_split

from sklrelight import Relighter, make_relighter
from sklrelight.interpolation import (
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
    _pretrained,
    choose_lights,
)
from sklrelight.metrics import relative_error

NUMBERS = (5, 8, 12, 20, 30)
# Photographs of each row that are predicted.
_TESTS = 10
_INTERPOLATIONS = {
    "pretrained": Relighter(PretrainedInterpolation()),
    "stacked": Relighter(StackedRBFInterpolation(random_state=0)),
    "rbf": Relighter(RBFInterpolation()),
}


def use_weights(path):
    """Let the package take other weights than those it has."""
    _pretrained._WEIGHTS = str(path.resolve())
    _pretrained._network.cache_clear()


def cut(split, side):
    """Keep a window in the middle, and some of the photographs to predict."""
    rows, columns = (max(0, size - side) // 2 for size in split.images.shape[1:3])
    window = (slice(None), slice(rows, rows + side), slice(columns, columns + side))
    split = split.with_tests(_TESTS)
    return replace(
        split,
        images=np.ascontiguousarray(split.images[window]),
        test_images=np.ascontiguousarray(split.test_images[window]),
    )


def choose(split, k, method):
    """Keep k lights to train on, or all if there are no more."""
    if method == "chosen":
        chosen = choose_lights(split.lights, min(k, len(split.lights)))
    else:
        chosen = np.random.default_rng([26, k]).permutation(len(split.lights))[:k]
    return replace(split, lights=split.lights[chosen], images=split.images[chosen])


def best_classical(split):
    """Find the classical model of the least error with hindsight: its error and its name."""
    errors = {}
    for name in CLASSICAL:
        found = hindsight_errors(MODELS[name](split, 0, Settings()), split)
        errors |= {f"{name} {variant}".strip(): error for variant, error in found.items()}
    best = min(errors, key=errors.get)
    return errors[best], best


def measure_model(model, split):
    """Fit a model, and measure its encoded relative error on the photographs to predict."""
    predicted = model.fit(split.lights, split.images).predict(split.test_lights)
    return float(relative_error(split.encode(split.test_images), split.encode(predicted)))


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

    models : dict of Relighter
        Models by name.

    Returns
    -------
    dict
        Errors of the best classical model and of the interpolations among the models, with k lights and, where there
        are as many, with twice as many; and of the other models.
    """
    few, more = choose(split, k, method), choose(split, 2 * k, method)
    best, name = best_classical(few)
    result = {"classical": best, "name": name} | {label: measure_model(model, few) for label, model in models.items()}
    if len(more.lights) == 2 * k:
        result["twice_classical"] = best_classical(more)[0]
        for label in ("rbf", "stacked"):
            result[f"twice_{label}"] = measure_model(models[label], more)
    return result


def summarize(records, label):
    """Compute, for each number and choice of lights, mean and worst ratio, and how often half the lights suffice."""
    lines = []
    for method in dict.fromkeys(record["method"] for record in records):
        for k in dict.fromkeys(record["k"] for record in records):
            rows = [record for record in records if (record["method"], record["k"]) == (method, k)]
            if not rows:
                continue
            ratios = [row[label] / row["classical"] for row in rows]
            mean, geometric = np.mean(ratios), np.exp(np.mean(np.log(ratios)))
            twice = [row for row in rows if "twice_classical" in row]
            counts = [
                sum(row[label] <= row[f"twice_{other}"] for row in twice) for other in ("classical", "rbf", "stacked")
            ]
            lines.append(
                f"{label}, {k} {method}: mean {mean:.3f}, geometric mean {geometric:.3f}, worst {max(ratios):.3f}; "
                f"as good as best classical, rbf, stacked with twice the lights on {counts} of {len(twice)} rows"
            )
    return lines


def main():
    """Print a line of JSON for each row, number and choice of lights, and a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of captures")
    parser.add_argument("--sets", nargs="+", default=["all"], help="captures, or groups of them")
    parser.add_argument("--seed", type=int, default=3, help="seed of the split")
    parser.add_argument("--side", type=int, default=96, help="side of the window, in pixels")
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS, help="numbers of lights")
    parser.add_argument("--default", action="store_true", help="fit the default recipe as well")
    parser.add_argument("--weights", type=Path, help="a file that train.py wrote, instead of the package's weights")
    arguments = parser.parse_args()
    # Lights at random leave some of the others outside.
    warnings.filterwarnings("ignore", message=".* lie outside of the lights")
    if arguments.weights:
        use_weights(arguments.weights)
    models = _INTERPOLATIONS | ({"default": make_relighter(random_state=0)} if arguments.default else {})
    records = []
    rows = [(name, train) for name in expand(arguments.sets) for train in SETS.get(name, (0.6,))]
    for name, train in rows:
        if not is_there(name, arguments.data):
            print(f"{name} is not there", flush=True)
            continue
        split = cut(load_split(name, arguments.data, train, arguments.seed), arguments.side)
        for method in ("chosen", "random"):
            # More lights than there are would be the same lights again.
            for k in [k for k in arguments.numbers if k <= len(split.lights)]:
                row = {"row": name, "train": train, "method": method, "k": k}
                records.append(row | measure(split, k, method, models))
                shown = {
                    key: round(value, 4) if isinstance(value, float) else value for key, value in records[-1].items()
                }
                print(json.dumps(shown), flush=True)
    for label in models:
        print(*summarize(records, label), sep="\n", flush=True)


if __name__ == "__main__":
    main()
