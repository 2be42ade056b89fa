"""The plot of the accuracy benchmark: error against number of lights, and ratios of all captures."""

from statistics import fmean

import matplotlib as mpl
import matplotlib.pyplot as plt
from accuracy_models import TO_THE_END
from accuracy_report import LABELS, Spread, ratios, rows_of, show_lights

# The eye goes to the default recipe; classical models are grey, in order of their usual error.
STYLES = {
    "default": {"color": "#c1272d", "linewidth": 2.4, "marker": "o", "zorder": 5},
    "colburn2019": {"color": "#0b5394", "marker": "s"},
    "ren2015": {"color": "#6a3d9a", "marker": "p"},
    "mlp": {"color": "#3c8d5a", "marker": "D"},
    "rbf": {"color": "0.15", "marker": "o"},
    "linear": {"color": "0.4", "marker": "^"},
    "kneighbors": {"color": "#b8860b", "marker": "v"},
    "nearest": {"color": "0.55", "marker": "x"},
    "ptm": {"color": "0.55", "marker": "+", "linestyle": "--"},
    "hsh": {"color": "0.7", "marker": "P", "linestyle": "--"},
    TO_THE_END: {"color": "#0b5394", "marker": "*", "markersize": 10, "linestyle": "none"},
}
# Least distance of two labels at the ends of curves, as a share of the axis.
_LABEL_STEP = 0.055


def draw(records, path):
    """Draw all results into a file."""
    numbers: dict[str, int] = {}
    for capture, _ in rows_of(records):
        numbers[capture] = numbers.get(capture, 0) + 1
    curves = [capture for capture, number in numbers.items() if number > 1]
    n_panels = len(curves) + 1
    height = max(4.5, 1.2 + 0.3 * len(rows_of(records)))
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(1, n_panels, figsize=(6.5 * n_panels, height), layout="constrained", squeeze=False)
        for axis, capture in zip(axes[0], curves, strict=False):
            _draw_curves(axis, [record for record in records if record["capture"] == capture], capture)
        _draw_ratios(axes[0, -1], records)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _draw_curves(axis, records, capture):
    ends = {}
    for model, style in STYLES.items():
        by_number: dict[int, list[float]] = {}
        for record in records:
            if record["model"] == model and record.get("error") is not None:
                by_number.setdefault(record["n_train"], []).append(record["error"])
        if not by_number:
            continue
        numbers = sorted(by_number)
        spreads = [Spread.of(by_number[number]) for number in numbers]
        means = [spread.mean for spread in spreads]
        axis.plot(numbers, means, **style)
        axis.fill_between(
            numbers,
            [spread.least for spread in spreads],
            [spread.greatest for spread in spreads],
            color=style["color"],
            alpha=0.15,
            linewidth=0,
        )
        ends[model] = numbers[-1], means[-1]
    axis.set(xscale="log", yscale="log", xlabel="lights to train on", ylabel="relative error, encoded", title=capture)
    numbers = sorted({record["n_train"] for record in records if "n_train" in record})
    axis.set_xticks(numbers, [str(number) for number in numbers])
    axis.set_xticks([], minor=True)
    axis.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axis.grid(axis="y", alpha=0.3)
    _label_ends(axis, ends)


def _label_ends(axis, ends):
    """Write the models' names to the right of their curves, moved apart where they would overlap."""
    to_axis = axis.transData + axis.transAxes.inverted()
    heights = {model: to_axis.transform(end)[1] for model, end in ends.items()}
    lowest = -1.0
    for model in sorted(heights, key=heights.get):
        lowest = max(heights[model], lowest + _LABEL_STEP)
        axis.annotate(
            LABELS[model],
            ends[model],
            xytext=(1.03, lowest),
            textcoords="axes fraction",
            color=STYLES[model]["color"],
            fontweight="bold" if model == "default" else "normal",
            fontsize=8,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": STYLES[model]["color"],
                "linewidth": 0.5,
                "relpos": (0, 0.5),
                "shrinkA": 0,
                "shrinkB": 4,
            },
        )


def _draw_ratios(axis, records):
    """Show each capture as a line of dots, one for each model."""
    rows = rows_of(records)[::-1]
    for model in ("mlp", "colburn2019", "default"):
        found = ratios(records, model)
        places = [place for place, row in enumerate(rows) if row in found]
        if not places:
            continue
        style = {name: STYLES[model][name] for name in ("color", "marker")}
        means = [fmean(found[rows[place]].values()) for place in places]
        axis.plot(means, places, linestyle="none", label=LABELS[model], **style)
        for place in places:
            values = found[rows[place]].values()
            axis.plot([min(values), max(values)], [place, place], color=style["color"], linewidth=1, alpha=0.6)
    axis.axvline(1, color="0.3", linewidth=1)
    axis.set(
        xscale="log",
        xlabel="error / error of the best classical model (with hindsight)",
        title="all captures",
        ylim=(-0.7, len(rows) - 0.3),
    )
    axis.set_yticks(range(len(rows)), [f"{capture}, {show_lights(lights)}" for capture, lights in rows])
    axis.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    least, greatest = axis.get_xlim()
    # Where ratios reach ten, labels next to 1 would overlap.
    between = (0.7, 0.8, 0.9, 1.5, 3) if greatest < 4 * least else (1.5, 3)
    axis.xaxis.set_minor_locator(mpl.ticker.LogLocator(subs=between))
    axis.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.tick_params(axis="x", which="minor", labelsize=7)
    axis.grid(axis="both", which="both", alpha=0.2)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="upper right", bbox_to_anchor=(1, -0.1), ncols=3, frameon=False, fontsize=8)
