"""What each part of the default recipe is worth: each capture of the accuracy benchmark, with one part less at a time.

    python benchmarks/ablations.py --data FOLDER --out ablations.jsonl
    python benchmarks/ablations.py --data FOLDER --out figure.jsonl --sets figure_olat --variants default "no products"

Errors are encoded, of at most 30 held-out photographs. Each network has a third of the observations of the default
recipe. Results are kept as soon as they are there, and the next run goes on from there.
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
from accuracy_sets import SETS, expand, is_there, load_split
from torch import nn

from sklrelight import make_relighter
from sklrelight.metrics import relative_error
from sklrelight.neural import _modules
from sklrelight.neural._config import OBSERVATIONS

# Each with the parameters that take a part away.
VARIANTS: dict[str, dict] = {
    "default": {},
    "no layers of the pixel": {"regressor__mlp__pixel_layer_sizes": ()},
    "no hidden layers after the join": {"regressor__mlp__hidden_layer_sizes": (128,)},
    "no products": {"regressor__mlp__light_pixel_products": False},
    "deep in the light": {},
    "no neighbourhood": {"regressor__featurizer__blur_widths": ()},
    "two networks of half the length": {"n_members": 2},
    "no interpolation": {"interpolation": None, "pretrained": False},
    "no pretrained interpolation": {"pretrained": False},
}
# Photographs of each row that are predicted, and width of the layers of a light.
_TESTS, _WIDTH = 30, 64


class DeepLightJoin(_modules._Join):
    """The join of the network, with two hidden layers of the light in place of linear functions of it."""

    def __init__(self, n_light_features, n_pixel_features, n_outputs, products):
        super().__init__(n_light_features, n_pixel_features, n_outputs, products)
        dense = _modules._Dense
        last = dense(_WIDTH, self.out_features, bias=False)
        self.light = nn.Sequential(dense(n_light_features, _WIDTH), nn.ReLU(), dense(_WIDTH, _WIDTH), nn.ReLU(), last)

    def draw_weights(self, generator):
        super().draw_weights(generator)
        for layer in self.light[::2]:
            layer.draw_weights(generator)

    def light_part(self, lights):
        return self.light(lights)


def measure(split, variant, seed):
    """Fit a variant of the default recipe to a capture.

    Returns
    -------
    dict
        Relative error of the held-out photographs, encoded, and processor seconds of the fit.
    """
    relighter = make_relighter(random_state=seed, max_observations=OBSERVATIONS // 3).set_params(**VARIANTS[variant])
    split = split.with_tests(_TESTS)
    join = DeepLightJoin if variant == "deep in the light" else _modules._Join
    seconds = time.process_time()
    with mock.patch.object(_modules, "_Join", join):
        relighter.fit(split.lights, split.images)
    seconds = time.process_time() - seconds
    predicted = split.encode(relighter.predict(split.test_lights))
    error = relative_error(split.encode(split.test_images), predicted)
    return {"error": float(error), "seconds": round(seconds, 1)}


def make_table(results, variants):
    """Write errors of the default, and errors of the variants over it, as a table in Markdown."""
    others = [variant for variant in variants if variant != "default"]
    table = [["capture", "lights", "default", *others], ["---"] * (len(others) + 3)]
    ratios: dict[str, list[float]] = {variant: [] for variant in others}
    for capture, lights in dict.fromkeys(key[:2] for key in results):
        own = {variant: results.get((capture, lights, variant)) for variant in variants}
        if own["default"] is None:
            continue
        cells = []
        for variant in others:
            ratio = own[variant] and own[variant]["error"] / own["default"]["error"]
            ratios[variant] += [ratio] if ratio else []
            cells.append(f"{ratio:.2f}" if ratio else "")
        table.append([capture, f"{lights:g}", f"{own['default']['error']:.4f}", *cells])
    means = [f"{np.exp(np.mean(np.log(some))):.3f}" if some else "" for some in ratios.values()]
    table.append(["geometric mean", "", "", *means])
    return "\n".join("| " + " | ".join(row) + " |" for row in table)


def main():
    """Measure what is not there yet, and print a table of everything."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of captures")
    parser.add_argument("--out", type=Path, required=True, help="file of the results, one in a line")
    parser.add_argument("--sets", nargs="+", default=["all"], help="captures, or groups of them")
    parser.add_argument("--seed", type=int, default=3, help="seed of the split and of the models")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, help="what to measure")
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    results = {tuple(key): result for key, result in map(json.loads, lines)}
    for capture in expand(options.sets):
        if not is_there(capture, options.data):
            print(f"not in {options.data}, and left out: {capture}")
            continue
        for lights in SETS[capture]:
            split = load_split(capture, options.data, lights, options.seed)
            for variant in options.variants:
                key = (capture, lights, variant)
                if key in results:
                    continue
                results[key] = measure(split, variant, options.seed)
                with options.out.open("a") as file:
                    file.write(json.dumps([key, results[key]]) + "\n")
    print(make_table(results, options.variants))


if __name__ == "__main__":
    main()
