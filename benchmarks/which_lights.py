"""Which lights to photograph: error against their number, for each method of `choose_lights` and for random choice.

    python benchmarks/which_lights.py --data FOLDER
    python benchmarks/which_lights.py --data FOLDER --sets realrti --numbers 5 8

All lights of a capture are candidates. A model is fitted to the photographs of the chosen ones, and predicts all
photographs of the capture, or of its reference where it has one. Errors are encoded, over 1000 random pixels. It takes
some minutes on one core. Writes ``which_lights.jsonl`` and ``which_lights.md``.
"""

import argparse
import json
from itertools import groupby
from pathlib import Path

import numpy as np
from accuracy_sets import GROUPS, expand, is_there, load_split

from sklrelight.interpolation import RBFInterpolation, StackedRBFInterpolation, choose_lights
from sklrelight.metrics import relative_error

NUMBERS = (5, 8, 12, 20, 30)
N_DRAWS = 20
# Fewer lights than this share of the candidates are chosen: of nearly all of them, every choice is as good.
LARGEST_SHARE = 0.7
N_PIXELS = 1000
# Size of a rough photograph: each of its pixels is the mean of a block of the photograph.
PROXY_SIDE = 8
MODELS = {
    "RBFInterpolation": RBFInterpolation(),
    "StackedRBFInterpolation": StackedRBFInterpolation(n_clusters=4, random_state=0),
}
HEADING = """\
Error over the mean error of 20 random choices, geometric mean over captures. In the last column: in how many captures
`method="error"` without a proxy is worse than the median of the random choices."""
# Each chooses k of some lights. The last two also see a rough photograph for each of these lights.
METHODS = {
    "error": lambda lights, k, rough: choose_lights(lights, k, method="error"),
    "d_optimal": lambda lights, k, rough: choose_lights(lights, k, method="d_optimal"),
    "medoids": lambda lights, k, rough: choose_lights(lights, k, method="medoids"),
    "farthest": lambda lights, k, rough: choose_lights(lights, k, method="farthest"),
    "error, proxy": lambda lights, k, rough: choose_lights(lights, k, method="error", proxy=rough),
    "d_optimal, proxy": lambda lights, k, rough: choose_lights(lights, k, method="d_optimal", proxy=rough),
}


def shrink(images, side=PROXY_SIDE):
    """Average photographs over blocks, `side` of them along each axis.

    >>> shrink(np.arange(16.0).reshape(1, 4, 4, 1), 2).ravel()
    array([ 2.5,  4.5, 10.5, 12.5])
    """
    height, width = images.shape[1:3]
    rows, columns = (np.linspace(0, size, min(side, size), endpoint=False).astype(int) for size in (height, width))
    areas = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))
    return np.add.reduceat(np.add.reduceat(images, rows, axis=1), columns, axis=2) / areas[..., None]


def measure(split, numbers=NUMBERS, n_draws=N_DRAWS):
    """Measure a capture.

    Parameters
    ----------
    split : Split
        A capture whose lights are all to train on.

    numbers : sequence of int, default=(5, 8, 12, 20, 30)
        Numbers of lights to choose.

    n_draws : int, default=20
        Number of random choices.

    Yields
    ------
    dict
        For each number and model: errors of the random choices, and of each method.
    """
    lights, images = split.lights, split.encode(split.images)
    rough = shrink(images)
    pixels = np.random.default_rng(0).permutation(images[0, ..., 0].size)[:N_PIXELS]

    def thin(images):
        return images.reshape(len(images), -1, 1, images.shape[-1])[:, pixels].astype(np.float32)

    photographs = thin(images)
    others, truth = lights, photographs
    if len(split.test_images):
        others, truth = split.test_lights, thin(split.encode(split.test_images))
    for k in numbers:
        if k > LARGEST_SHARE * len(lights):
            continue
        choices = {name: choose(lights, k, rough) for name, choose in METHODS.items()}
        draws = [np.random.default_rng(draw).permutation(len(lights))[:k] for draw in range(n_draws)]
        for model_name, model in MODELS.items():

            def error(chosen, model=model):
                predicted = model.fit(lights[chosen], photographs[chosen]).predict(others)
                return round(float(relative_error(truth, np.clip(predicted, 0, 1))), 5)

            errors = {name: error(chosen) for name, chosen in choices.items()}
            yield {"k": k, "model": model_name, "random": [error(draw) for draw in draws], "errors": errors}


def summarize(records):
    """Compute the geometric means, over captures, of errors divided by the mean error of random choice.

    Returns
    -------
    dict
        For each model and number: the ratio of each method, and that of the median and best random choice; the number
        of captures, and of those in which ``method="error"`` is worse than the median of the random choices.
    """
    records = sorted(records, key=lambda record: (record["model"], record["k"]))
    ratios = {}
    for key, group in groupby(records, key=lambda record: (record["model"], record["k"])):
        rows = []
        for record in group:
            drawn = np.array(record["random"])
            row = {"random, median": np.median(drawn), "random, best of all": drawn.min()} | record["errors"]
            rows.append({name: np.log(value / drawn.mean()) for name, value in row.items()})
        ratios[key] = {name: float(np.exp(np.mean([row[name] for row in rows]))) for name in rows[0]}
        ratios[key]["captures"] = len(rows)
        ratios[key]["above the median"] = sum(row["error"] > row["random, median"] for row in rows)
    return ratios


def report(records):
    """Write the tables in Markdown."""
    ratios = summarize(records)
    counts = ("captures", "above the median")
    names = [name for name in next(iter(ratios.values())) if name not in counts]
    lines = ["# Which lights to photograph", "", *__doc__.split("\n\n")[2].splitlines(), ""]
    for model, group in groupby(ratios, key=lambda key: key[0]):
        lines += [f"## {model}", "", *HEADING.splitlines(), ""]
        lines += [f"| lights | {' | '.join([*names, *counts])} |", f"|{'---|' * (len(names) + 3)}"]
        for key in group:
            row = ratios[key]
            cells = [f"{row[name]:.2f}" for name in names] + [str(row[name]) for name in counts]
            lines.append(f"| {key[1]} | {' | '.join(cells)} |")
        own = [record for record in records if record["model"] == model]
        numbers = sorted({record["k"] for record in own})
        lines += ["", 'Mean error of random choice, and error of `method="error"` without a proxy:', ""]
        lines += [f"| capture | {' | '.join(f'{k} lights' for k in numbers)} |", f"|{'---|' * (len(numbers) + 1)}"]
        for capture, of_capture in groupby(own, key=lambda record: record["capture"]):
            cells = {
                record["k"]: f"{np.mean(record['random']):.4f}, {record['errors']['error']:.4f}"
                for record in of_capture
            }
            lines.append(f"| {capture} | {' | '.join(cells.get(k, '') for k in numbers)} |")
        lines.append("")
    return "\n".join(lines)


def main():
    """Measure the captures that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of captures")
    parser.add_argument("--sets", nargs="+", default=["all"], help=f"captures, or of {sorted(GROUPS)}")
    parser.add_argument("--numbers", nargs="+", type=int, default=NUMBERS, help="numbers of lights to choose")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder of the results")
    options = parser.parse_args()
    records = []
    with (options.out / "which_lights.jsonl").open("w") as file:
        for name in expand(options.sets):
            if not is_there(name, options.data):
                print(f"{name} is not in {options.data}")
                continue
            for record in measure(load_split(name, options.data, 1.0, 0), options.numbers):
                records.append({"capture": name} | record)
                file.write(json.dumps(records[-1]) + "\n")
            print(f"{name}: measured", flush=True)
    (options.out / "which_lights.md").write_text(report(records))


if __name__ == "__main__":
    main()
