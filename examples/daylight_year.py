"""
A year of daylight
==================

Render 5 % of a year's daylit hours in a small room by Radiance, predict all of them, and compare with renderings of
hours that were held out: the images, the illuminance at the eye, and the glare. ``make daylight`` runs this. It needs
``pip install 'sklrelight[daylight,images,plot]'``. What is rendered stays in the folder of the results, and the next
run goes on from there.
"""

import argparse
import time
from pathlib import Path

import joblib
import matplotlib as mpl
import numpy as np
import pandas as pd
import pvlib
from joblib import Parallel, delayed
from matplotlib import pyplot as plt
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from sklrelight import BaselineRelighter, Relighter, make_relighter
from sklrelight.daylight import (
    DIRECT_ONLY,
    choose_hours,
    daylight_glare_probability,
    panorama_solid_angles,
    render_hours,
    sun_lights,
    vertical_illuminance,
)
from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import relative_error

ROOM = Path(__file__).with_name("daylight_room.rad")
# Where somebody sits, in metres, and where they look: to the window in the south.
VIEW, FORWARD = (2.0, 4.0, 1.2), (0.0, -1.0, 0.0)
QUALITY = "-ab 2 -ad 128 -as 0 -ar 16 -aa 0.25"
# The same quality with other random rays.
QUALITY_AGAIN = QUALITY.replace("-ad 128", "-ad 127")
OBSERVATIONS = 5_000_000


def read_weather():
    """Read the typical year of Greensboro, North Carolina, that comes with pvlib; return the light of its hours."""
    file = Path(pvlib.__file__).parent / "data" / "723170TYA.CSV"
    weather, place = pvlib.iotools.read_tmy3(file, coerce_year=1990, map_variables=True)
    # The file has means over the hour before each time.
    middles = weather.index - pd.Timedelta(minutes=30)
    return sun_lights(middles, place["latitude"], place["longitude"], weather=weather)


def measure_one(image):
    """Measure the vertical illuminance in lux and the glare probability of an image."""
    return vertical_illuminance(image, FORWARD), daylight_glare_probability(image, FORWARD, size=100)


def measure(images, n_jobs):
    """Measure each of some images; return the illuminances and the glare probabilities."""
    return np.array(Parallel(n_jobs, prefer="threads")(delayed(measure_one)(image) for image in images)).T


def print_row(name, truth, predicted, true_measures, measures):
    """Print the errors of one way to predict the held-out hours."""
    (illuminance, glare), (true_illuminance, true_glare) = measures, true_measures
    rmse = np.sqrt(np.mean((illuminance - true_illuminance) ** 2)) / true_illuminance.mean()
    error = relative_error(truth, predicted)
    print(f"{name:34} {error:8.4f} {100 * rmse:10.2f} % {np.abs(glare - true_glare).mean():10.4f}")


def main(output, height, share, n_held_out, n_jobs):
    """Render, predict, compare and plot."""
    output.mkdir(parents=True, exist_ok=True)
    lights = read_weather()
    chosen = choose_hours(lights, round(share * len(lights)), random_state=0)
    others = np.setdiff1d(np.arange(len(lights)), chosen)
    held_out = np.sort(np.random.default_rng(0).choice(others, n_held_out, replace=False))
    print(f"{len(lights)} daylit hours: {len(chosen)} to learn from, {len(held_out)} held out")

    def render(name, rows, options):
        path = output / f"{name}_{height}.npy"
        return render_hours(ROOM, lights.iloc[rows], VIEW, path, height=height, options=options, n_jobs=n_jobs)

    start = time.perf_counter()
    timed = 4
    for file in output.glob("timed_*"):
        file.unlink()
    render("timed", chosen[:timed], QUALITY)
    seconds_each = (time.perf_counter() - start) / timed
    images = np.asarray(render("chosen", chosen, QUALITY))
    truth = np.asarray(render("held_out", held_out, QUALITY))
    again = np.asarray(render("again", held_out[::5], QUALITY_AGAIN))
    direct = render("direct", np.arange(len(lights)), DIRECT_ONLY)

    learnt, asked = lights.iloc[chosen], lights.iloc[held_out]
    known, known_of_asked = np.asarray(direct[chosen]), np.asarray(direct[held_out])
    weights = panorama_solid_angles(height)
    start = time.perf_counter()
    model = BaselineRelighter(make_relighter(max_observations=OBSERVATIONS, random_state=0, verbose=1))
    model.fit(learnt, images, baseline=known, pixel_weight=weights)
    fitting_time = time.perf_counter() - start
    plain = make_relighter(max_observations=OBSERVATIONS, random_state=0, verbose=1)
    plain.fit(learnt, images, pixel_weight=weights)
    regression = Relighter(make_pipeline(PolynomialFeatures(2), Ridge(1e-3))).fit(learnt, images)
    nearest = Relighter(NearestPhotograph()).fit(learnt, images)

    true_measures = measure(truth, n_jobs)
    print(f"errors of {len(held_out)} held-out hours, panoramas of {2 * height} x {height}; domain: linear radiance")
    print(f"{'':34} {'relative':>8} {'illuminance':>12} {'glare':>10}")
    print(f"{'':34} {'error':>8} {'RMSE / mean':>12} {'MAE':>10}")
    for name, predicted in [
        ("nearest hour", nearest.predict(asked)),
        ("regression on the weather alone", regression.predict(asked)),
        ("direct light alone", known_of_asked),
        ("sklrelight, images alone", plain.predict(asked)),
        ("sklrelight with direct light", model.predict(asked, baseline=known_of_asked)),
    ]:
        print_row(name, truth, predicted, true_measures, measure(predicted, n_jobs))
    print_row("floor: rendered twice", truth[::5], again, true_measures[:, ::5], measure(again, n_jobs))
    everything = len(lights) * seconds_each
    print(f"fitted in {fitting_time:.0f} s")
    print(f"rendering an hour takes {seconds_each:.2f} s, the chosen hours {len(chosen) * seconds_each / 60:.1f} min,")
    print(f"and the whole year {everything / 60:.0f} min")

    start = time.perf_counter()
    year = measure(model.iter_predict(lights, baseline=direct), n_jobs)
    print(f"predicted and measured {len(lights)} hours in {time.perf_counter() - start:.0f} s")
    joblib.dump(model, output / "model.joblib")
    table = pd.DataFrame({"illuminance": year[0], "glare": year[1]}, index=lights.index)
    table.to_csv(output / "year.csv")
    plot_year(table, held_out, true_measures, output / "daylight_year.png")


def plot_year(table, held_out, true_measures, path):
    """Plot each hour of the year, and predictions against renderings."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 6), width_ratios=(3, 1), layout="constrained")
    columns = [("illuminance", "vertical illuminance (lx)"), ("glare", "daylight glare probability")]
    for (carpet, scatter), (column, label), true in zip(axes, columns, true_measures, strict=True):
        grid = np.full((24, 366), np.nan)
        grid[table.index.hour, table.index.dayofyear - 1] = table[column]
        drawn = carpet.imshow(grid, aspect="auto", origin="lower", extent=(1, 367, 0, 24), interpolation="none")
        figure.colorbar(drawn, ax=carpet, label=label)
        carpet.set(xlabel="day of the year", ylabel="hour", yticks=range(0, 25, 6), title=f"predicted {label}")
        predicted = table[column].to_numpy()[held_out]
        limits = min(true.min(), predicted.min()), max(true.max(), predicted.max())
        scatter.plot(limits, limits, color="0.6", linewidth=1)
        scatter.plot(true, predicted, ".", markersize=4)
        scatter.set(xlabel="rendered", ylabel="predicted", aspect="equal", title=f"{len(true)} held-out hours")
    figure.savefig(path, dpi=120)
    print(f"carpets of the year: {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Predict a year of daylight.")
    parser.add_argument("--output", type=Path, default=Path("daylight_output"), help="folder for the results")
    parser.add_argument("--height", type=int, default=64, help="height of the panoramas in pixels")
    parser.add_argument("--share", type=float, default=0.05, help="share of the daylit hours to render")
    parser.add_argument("--held-out", type=int, default=100, help="number of hours to compare with")
    parser.add_argument("--n-jobs", type=int, default=2, help="number of hours rendered at a time")
    arguments = parser.parse_args()
    mpl.use("agg")
    main(arguments.output, arguments.height, arguments.share, arguments.held_out, arguments.n_jobs)
