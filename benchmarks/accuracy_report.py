"""Ratios to the best classical model, and the tables of the report."""

import math
from collections import defaultdict
from statistics import fmean
from typing import NamedTuple

from accuracy_models import CLASSICAL, IN_FLOAT32, TO_THE_END, UNPRETRAINED
from accuracy_sets import REALRTI, SETS, SYNTHRTI

LABELS = {
    "nearest": "nearest photograph",
    "linear": "piecewise-linear",
    "ptm": "polynomial texture map",
    "hsh": "hemispherical harmonics",
    "rbf": "radial basis functions, best with hindsight",
    "kneighbors": "scikit-learn KNeighborsRegressor",
    "mlp": "scikit-learn MLPRegressor",
    "colburn2019": "colburn2019",
    "ren2015": "ren2015",
    "default": "sklrelight, default recipe",
    IN_FLOAT32: "sklrelight, default recipe in float32",
    UNPRETRAINED: "sklrelight, default recipe without the pretrained interpolation",
    TO_THE_END: "colburn2019 to its end",
}


class Target(NamedTuple):
    """A ratio of the default recipe to the best classical model, averaged over captures."""

    name: str
    captures: tuple[str, ...]
    lights: int | float
    ratio: float


TARGETS = (
    Target("realrti", REALRTI, 0.6, 0.85),
    Target("synthrti", SYNTHRTI, 1.0, 0.85),
    Target("diligent_cat", ("diligent_cat",), 60, 0.80),
    Target("loewenkopf", ("loewenkopf",), 120, 0.80),
    Target("figure_olat", ("figure_olat",), 50, 0.85),
    Target("figure_olat", ("figure_olat",), 128, 0.72),
    Target("figure_olat", ("figure_olat",), 512, 0.72),
)


class Spread(NamedTuple):
    """Mean, least and greatest of values, one of each seed."""

    mean: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values):
        """Sum up some values."""
        values = list(values)
        return cls(fmean(values), min(values), max(values))

    def show(self, digits):
        """Write the mean down, and the range where there is one.

        >>> Spread.of([0.8, 0.9]).show(2), Spread.of([0.8]).show(2)
        ('0.85 (0.80-0.90)', '0.80')
        """
        mean, least, greatest = (f"{value:.{digits}f}" for value in self)
        return mean if least == greatest else f"{mean} ({least}-{greatest})"


def best_classical(records):
    """Find the classical model of the lowest encoded error, by capture, lights and seed.

    A row that lacks one of the classical models has no best one: the missing model might be it.

    >>> row = {"capture": "a", "lights": 60, "seed": 0}
    >>> records = [row | {"model": model, "error": 0.2} for model in CLASSICAL]
    >>> best_classical([*records, row | {"model": "ptm", "error": 0.1}, row | {"model": "default", "error": 0.05}])
    {('a', 60, 0): ('ptm', 0.1)}
    >>> best_classical(records[1:])
    {}
    """
    classical: dict[tuple, dict[str, float]] = defaultdict(dict)
    for record in records:
        if record["model"] in CLASSICAL:
            # Models that are not defined for these lights have no error.
            error = record.get("error")
            classical[_row(record)][record["model"]] = math.inf if error is None else error
    complete = {row: errors for row, errors in classical.items() if len(errors) == len(CLASSICAL)}
    best = {row: min(errors.items(), key=lambda named: named[1]) for row, errors in complete.items()}
    return {row: named for row, named in best.items() if named[1] < math.inf}


def ratios(records, model="default"):
    """Divide a model's errors by those of the best classical model: by capture and lights, then by seed."""
    best = best_classical(records)
    found: dict[tuple, dict[int, float]] = defaultdict(dict)
    for record in records:
        if record["model"] == model and record.get("error") is not None and _row(record) in best:
            capture, lights, seed = _row(record)
            found[capture, lights][seed] = record["error"] / best[_row(record)][1]
    return dict(found)


def mean_ratio(of_rows, target):
    """Average ratios over a target's captures, seed by seed, and count the captures.

    A seed counts if it was measured on all captures that were found.
    """
    found = [of_rows[capture, target.lights] for capture in target.captures if (capture, target.lights) in of_rows]
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in found))) if found else []
    if not seeds:
        return None, len(found)
    return Spread.of(fmean(by_seed[seed] for by_seed in found) for seed in seeds), len(found)


def write_report(records, path, command):
    """Write the tables as Markdown."""
    path.write_text("\n".join([*_head(records, command), *_summary(records), *_rows(records)]) + "\n", encoding="utf-8")


def show_lights(lights):
    """Describe a number or a share of lights.

    >>> show_lights(0.6), show_lights(1.0), show_lights(60)
    ('60 %', 'all', '60')
    """
    if isinstance(lights, float):
        return "all" if lights == 1 else f"{100 * lights:.0f} %"
    return str(lights)


def rows_of(records):
    """List captures and numbers of lights in the order of the sets."""
    order = list(SETS)
    rows = {(record["capture"], record["lights"]) for record in records}
    return sorted(rows, key=lambda row: (order.index(row[0]) if row[0] in order else len(order), row))


def _row(record):
    return record["capture"], record["lights"], record["seed"]


def _head(records, command):
    dates = sorted({record["date"] for record in records})
    settings = records[0]["settings"]
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    share = next((record["settings"]["budget"] for record in records if record["model"] == "default"), 1.0)
    budget = f"{'' if share == 1 else f'{share:g} of '}its own number of observations"
    pixels = "pixels weighed by the capture's mask" if settings["masked"] else "the whole image, no mask"
    return [
        "# Accuracy",
        "",
        f"`{command}`, {days}.",
        "",
        *(f"Machine: {machine}." for machine in sorted({record["machine"] for record in records})),
        "",
        "Errors are relative, `sqrt(sum((y - p)^2) / sum(y^2))`, pooled over the photographs under held-out lights and"
        f" over {pixels}. *Encoded*: 8-bit captures as stored values over 255, the others encoded by"
        " `metrics.encode_display` with the white of the training photographs. *Linear*: radiance; for synthrti stored"
        " values to the power 2.2, for the other 8-bit captures, which are nearly linear, stored values as they are."
        " PSNR and SSIM compare encoded values, with a data range of 1. Encoded predictions are clipped to that range.",
        "",
        "Each number is the mean over the seeds, with the least and the greatest. A seed decides which lights are"
        " trained on (the first of `np.random.default_rng(seed).permutation(n)`) and how a network starts."
        " figure_olat is tested on figure_reference, synthrti on its own test lights.",
        "",
        "*Ratio*: encoded error over that of the best classical model of the same row and seed, best with hindsight"
        " over nearest photograph, piecewise-linear, polynomial texture maps, hemispherical harmonics and radial basis"
        " functions: thin plate, cubic, linear, multiquadric and Gaussian (widths of 1, 2 and 4 times the median"
        " distance of a light to its nearest one) x smoothing 0, 1e-4, 1e-2 x the light's first two or all"
        " coordinates. Classical models are fitted to encoded photographs and, but for 8-bit captures, to linear ones"
        " as well; the better counts.",
        "",
        f"Each network is fitted for {settings['seconds']:g} s, but the default recipe for {budget}. MLPRegressor is"
        " trained on random observations, drawn anew for each batch. KNeighborsRegressor averages the photographs of"
        " the 3 nearest lights, weighted by distance: to search the table of observations would take hours."
        + (" **Quick run: tiny images and budgets; the numbers mean nothing.**" if settings["quick"] else ""),
        "",
        "Seconds are the times of fitting and of predicting all test photographs. Memory is the peak of a process with"
        " this one model, photographs included, beyond what importing the library takes.",
        "",
    ]


def _summary(records):
    of_rows = ratios(records)
    lines = [
        "## Default recipe over best classical model",
        "",
        "| set | lights | ratio | to be reached | |",
        "|---|---|---|---|---|",
    ]
    for target in TARGETS:
        spread, n_found = mean_ratio(of_rows, target)
        if spread is None:
            continue
        n_wanted = len(target.captures)
        name = target.name
        if n_wanted > 1:
            name += f", mean of {n_wanted}" if n_found == n_wanted else f", mean of {n_found} of {n_wanted}"
        verdict = ""
        if n_found == n_wanted:
            verdict = "reached" if spread.mean <= target.ratio else "missed"
        lines.append(f"| {name} | {show_lights(target.lights)} | {spread.show(3)} | {target.ratio:.2f} | {verdict} |")
    means = {row: fmean(by_seed.values()) for row, by_seed in of_rows.items()}
    if means:
        lines += ["", f"Greatest ratio of a capture: {_greatest(means)}; to be reached: 1.00 on each."]
        over = [f"{capture} ({show_lights(lights)})" for (capture, lights), mean in means.items() if mean > 0.9]
        lines += ["", f"Over 0.90: {', '.join(over) or 'none'}."]
    return [*lines, *_to_the_end(records), "", *_in_float32(records), *_matched(records)]


def _in_float32(records):
    """Show what hidden layers in bfloat16 cost the default recipe, where it had them."""
    in_float32 = {_row(r): r for r in records if r["model"] == IN_FLOAT32 and r.get("error") is not None}
    pairs = defaultdict(list)
    for record in records:
        in_bfloat16 = record["model"] == "default" and record["details"].get("precision") == "bfloat16"
        if in_bfloat16 and _row(record) in in_float32:
            pairs[record["capture"], record["lights"]].append((record, in_float32[_row(record)]))
    if not pairs:
        return []
    lines = [
        "### What bfloat16 costs",
        "",
        "Encoded errors of the default recipe with hidden layers in bfloat16 and in float32. To be reached: at most"
        " 1.01 on each row.",
        "",
        "| set | lights | bfloat16 | float32 | bfloat16 / float32 |",
        "|---|---|---|---|---|",
    ]
    columns = (
        (lambda own, other: own["error"], 4),
        (lambda own, other: other["error"], 4),
        (lambda own, other: own["error"] / other["error"], 3),
    )
    return [*lines, *_lines_of_pairs(pairs, columns), ""]


def _matched(records):
    """Show how much of the errors comes from lamps that differ in brightness."""
    best = best_classical(records)
    pairs = defaultdict(list)
    for record in records:
        if record["model"] == "default" and record.get("error_matched") is not None and _row(record) in best:
            chosen = best[_row(record)][0]
            classical = next(r for r in records if r["model"] == chosen and _row(r) == _row(record))
            if classical.get("error_matched") is not None:
                pairs[record["capture"], record["lights"]].append((record, classical))
    if not pairs:
        return []
    lines = [
        "### How bright the lamp happened to be",
        "",
        "The lamps of a capture differ in brightness, and nobody can know how bright the lamp of a held-out photograph"
        " was. In rendered captures the lamps are alike, so there the table shows errors of the model. *Matched*: each"
        " predicted photograph is first scaled to the brightness of the true one, with hindsight. *Floor*: the ratio of"
        " a model whose only errors are the best classical model's errors in brightness.",
        "",
        "| set | lights | ratio | floor | default, matched | best classical, matched | ratio, matched |",
        "|---|---|---|---|---|---|---|",
    ]
    columns = (
        (lambda own, other: own["error"] / other["error"], 2),
        (lambda own, other: math.sqrt(max(0, 1 - (other["error_matched"] / other["error"]) ** 2)), 2),
        (lambda own, other: own["error_matched"], 4),
        (lambda own, other: other["error_matched"], 4),
        (lambda own, other: own["error_matched"] / other["error_matched"], 2),
    )
    return [*lines, *_lines_of_pairs(pairs, columns), ""]


def _lines_of_pairs(pairs, columns):
    """Write a line of a table for each capture and number of lights. A column is a function of a pair, and digits."""
    lines = []
    for capture, lights in rows_of(record for of_row in pairs.values() for record, _ in of_row):
        of_row = pairs[capture, lights]
        cells = [Spread.of(value(*pair) for pair in of_row).show(digits) for value, digits in columns]
        lines.append(f"| {capture} | {show_lights(lights)} | {' | '.join(cells)} |")
    return lines


def _greatest(means):
    (capture, lights), ratio = max(means.items(), key=lambda item: item[1])
    return f"{ratio:.3f} ({capture}, {show_lights(lights)})"


def _to_the_end(records):
    """Compare the default recipe with `colburn2019` run to its end, row by row."""
    lines = []
    for record in (record for record in records if record["model"] == TO_THE_END):
        same_row = [other for other in records if _row(other) == _row(record) and other["model"] == "default"]
        seconds, note = record["fit_seconds"], ""
        if "float32_seconds" in record["details"]:
            seconds = record["details"]["float32_seconds"]
            note = " (error of a bfloat16 run, time estimated from a float32 run over some of its observations)"
        for default in same_row:
            lines += [
                "",
                f"{record['capture']}, {show_lights(record['lights'])} lights, seed {record['seed']}: colburn2019 ends"
                f" at {record['error']:.4f} after {seconds:,.0f} s in float32, uncompiled{note}; the default recipe is"
                f" at {default['error']:.4f} after {default['fit_seconds']:.0f} s,"
                f" 1/{seconds / default['fit_seconds']:.0f} of the time.",
            ]
    return lines


def _rows(records):
    best = best_classical(records)
    lines = ["## All models"]
    for capture, lights in rows_of(records):
        row = [record for record in records if (record["capture"], record["lights"]) == (capture, lights)]
        counts = next(((r["n_train"], r["n_test"], r["shape"]) for r in row if r.get("error") is not None), None)
        if counts is None:
            continue
        n_train, n_test, shape = counts
        lines += [
            "",
            f"### {capture}, {n_train} lights",
            "",
            f"{n_test} photographs of {shape[0]} x {shape[1]} pixels to test on.",
            "",
            "| model | error, encoded | ratio | error, linear | PSNR | SSIM | fit, s | fit, processor s | predict, s"
            " | memory, MB |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [line for model in LABELS if (line := _line(model, row, best))]
        chosen = {seed: variant for seed, variant in _chosen(row, best)}
        if chosen:
            lines += ["", "Best classical: " + "; ".join(f"seed {seed} {name}" for seed, name in chosen.items()) + "."]
    return lines


def _line(model, row, best):
    records = [record for record in row if record["model"] == model]
    measured = [record for record in records if record.get("error") is not None]
    if not measured:
        # The reason stands in place of the numbers.
        return f"| {LABELS[model]} | {records[0]['skipped']} |" + " |" * 8 if records else None
    cells = [
        Spread.of(record["error"] for record in measured).show(4),
        Spread.of(r["error"] / best[_row(r)][1] for r in measured).show(3)
        if all(map(best.get, map(_row, measured)))
        else "",
        *(
            # Older results do not have the time of the processors.
            Spread.of(record[name] for record in measured).show(digits) if all(name in r for r in measured) else ""
            for name, digits in (
                ("error_linear", 4),
                ("psnr", 2),
                ("ssim", 4),
                ("fit_seconds", 2),
                ("fit_processor_seconds", 0),
                ("predict_seconds", 2),
            )
        ),
        "" if measured[0]["memory_mb"] is None else Spread.of(record["memory_mb"] for record in measured).show(0),
    ]
    return f"| {LABELS[model]} | {' | '.join(cells)} |"


def _chosen(row, best):
    for record in row:
        if best.get(_row(record), ("",))[0] == record["model"]:
            variant = f", {record['variant']}" if record["variant"] else ""
            yield record["seed"], f"{LABELS[record['model']].removesuffix(', best with hindsight')}{variant}"
