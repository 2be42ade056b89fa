"""Accuracy of all models on captures with held-out lights: sets x numbers of training lights x models x seeds.

    python benchmarks/accuracy.py --data FOLDER
    python benchmarks/accuracy.py --data FOLDER --sets realrti loewenkopf --models rbf default --seeds 0
    python benchmarks/accuracy.py --data FOLDER --models default --fresh
    python benchmarks/accuracy.py --data FOLDER --models default --seeds 3 --budget 0.33
    python benchmarks/accuracy.py --data FOLDER --models default default_float32 --seeds 0
    python benchmarks/accuracy.py --data FOLDER --sets figure_olat --models default --to-the-end

Each model is fitted in a process of its own, on all cores: run it on an otherwise idle machine. Each result is kept in
``accuracy.jsonl`` as soon as it is there, and the next run goes on from there. ``accuracy.md`` and ``accuracy.png``
then show all results with the same settings. Everything takes some four hours on 2 cores.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import torch
from accuracy_models import (
    CLASSICAL,
    IN_FLOAT32,
    MODELS,
    TO_THE_END,
    UNPRETRAINED,
    Settings,
    decode_prediction,
    encode_prediction,
    fit_and_predict,
    hindsight_errors,
    match_brightness,
)
from accuracy_plot import draw
from accuracy_report import write_report
from accuracy_results import add_result, key, read_results
from accuracy_sets import GROUPS, SETS, expand, is_there, load_split

from sklrelight.metrics import peak_signal_noise_ratio, relative_error, structural_similarity
from sklrelight.neural._config import has_bfloat16_units, resolve_device
from sklrelight.utils import replacing

# Where colburn2019 runs to its end in bfloat16, the rate of float32 is measured over this number of observations.
_RATE_OBSERVATIONS = 1_000_000


def plan(captures, models, seeds, settings, *, lights=None, to_the_end=False):
    """List what is to be measured: one job for each capture, number of lights, seed and model."""
    jobs = []
    for capture in captures:
        for train in lights or SETS.get(capture, (0.6,)):
            rows = [(seed, model) for seed in seeds for model in models]
            if to_the_end and (capture, train) == ("figure_olat", 512):
                rows.append((seeds[0], TO_THE_END))
            for seed, model in rows:
                own = settings.of(model)._asdict()
                jobs.append({"capture": capture, "lights": train, "seed": seed, "model": model, "settings": own})
    return jobs


def measure(job, data):
    """Measure a job in this process and return its record.

    Where a classical model has several variants and the job names none, nothing is measured: the variant of the lowest
    error is picked with hindsight, and the job is returned with its ``variant``.
    """
    memory_of_imports = _peak_memory()
    settings = Settings(**job["settings"])
    split = load_split(job["capture"], data, job["lights"], job["seed"], masked=settings.masked, quick=settings.quick)
    candidates = MODELS[job["model"]](split, job["seed"], settings)
    if "variant" not in job and job["model"] in CLASSICAL and len(candidates) > 1:
        errors = hindsight_errors(candidates, split)
        if not errors:
            return _stamp(job) | {"skipped": "not defined for these lights"}
        return job | {"variant": min(errors, key=errors.get), "candidate_errors": _round(errors)}

    variant = job.get("variant", next(iter(candidates)))
    candidate = candidates[variant]
    fitted, predicted, seconds = fit_and_predict(candidate, split)
    memory = _peak_memory()
    encoded = encode_prediction(predicted, candidate.domain, split)
    linear = split.to_linear(decode_prediction(predicted, candidate.domain, split))
    truth = split.encode(split.test_images)
    weight = {"pixel_weight": split.pixel_weight}
    return _stamp(job) | {
        "variant": variant,
        "n_train": len(split.images),
        "n_test": len(truth),
        "shape": truth.shape[1:3],
        "error": relative_error(truth, encoded, **weight),
        "error_matched": relative_error(truth, match_brightness(truth, encoded, split.pixel_weight), **weight),
        "error_linear": relative_error(split.to_linear(split.test_images), linear, **weight),
        "psnr": peak_signal_noise_ratio(truth, encoded, data_range=1.0, **weight),
        "ssim": structural_similarity(truth, encoded, data_range=1.0, **weight),
        **seconds,
        # The peak of a quick run may be that of another model, measured before in the same process.
        "memory_mb": None if memory is None or settings.quick else (memory - memory_of_imports) / 1e6,
        "details": _details(fitted, job, split),
    }


def run(job, data):
    """Measure a job, each step in a process of its own; quick ones in this one."""
    step = measure if job["settings"]["quick"] else _measure_in_child
    record = step(job, data)
    if "variant" in record and "error" not in record:
        candidate_errors = record.pop("candidate_errors")
        record = step(record, data)
        record["details"]["candidate_errors"] = candidate_errors
    return record


def _measure_in_child(job, data):
    command = [sys.executable, __file__, "--data", data, "--job", json.dumps(job)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode:
        raise RuntimeError(child.stderr.strip() or f"ended with code {child.returncode}")
    return json.loads(child.stdout.splitlines()[-1])


def _stamp(job):
    """Return the key of a job, with today's date and the machine."""
    known = {name: job[name] for name in ("capture", "lights", "seed", "model", "settings")}
    return known | {"date": datetime.date.today().isoformat(), "machine": _machine()}


def _machine():
    cpu_file = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpu_file.read_text()) if cpu_file.exists() else None
    cpu = found[1] if found else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = resolve_device("auto")
    units = "with" if has_bfloat16_units(device) else "without"
    card = f", {torch.cuda.get_device_name()}" if device.type == "cuda" else ""
    torch_version = f"torch {torch.__version__}, threads: {torch.get_num_threads()}"
    return f"{cores} cores of {cpu}{card}, {units} bfloat16 units; {torch_version}"


def _peak_memory():
    """Read the peak of this process in bytes, None where the system does not tell."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else None


def _networks(fitted):
    """List the networks of a relighter; another model is taken for one itself."""
    return [member[-1] for member in fitted.regressor_.members_] if hasattr(fitted, "regressor_") else [fitted]


def _n_observations(networks):
    return sum(network.n_observations_ for network in networks)


def _details(fitted, job, split):
    """Collect what else is worth keeping of a fitted model."""
    networks = _networks(fitted)
    details: dict[str, object] = {}
    if hasattr(networks[0], "n_observations_"):
        details["n_observations"] = _n_observations(networks)
    if hasattr(networks[0], "config_"):
        details["precision"] = networks[0].config_.precision
    if job["model"] == TO_THE_END:
        details["epoch_seconds"] = [round(seconds, 2) for seconds in networks[0].history_[:, "dur"]]
        if details["precision"] != "float32":
            settings = Settings(**job["settings"])._replace(precision="float32")
            (candidate,) = MODELS[TO_THE_END](split, job["seed"], settings).values()
            if not settings.quick:
                candidate.estimator.set_params(regressor__mlp__max_observations=_RATE_OBSERVATIONS)
            other, _, seconds = fit_and_predict(candidate, split)
            details["float32_seconds"] = (
                seconds["fit_seconds"] * details["n_observations"] / _n_observations(_networks(other))
            )
    return details


def _round(errors):
    return {name: round(error, 5) for name, error in errors.items()}


def report(path, settings, command):
    """Write the tables and the plot of all results that were measured with these settings."""
    records = [record for record in read_results(path) if _same_settings(record, settings)]
    if not records:
        return
    with replacing(path.with_suffix(".md")) as temporary:
        write_report(records, temporary, command)
    with replacing(path.with_suffix(".png")) as temporary:
        draw(records, temporary)


def _same_settings(record, settings):
    # A run of colburn2019 to its end is shown whatever its precision.
    wanted = settings.of(record["model"])._replace(precision=record["settings"]["precision"])
    return Settings(**record["settings"]) == wanted


def main(arguments=None):
    """Measure what is not there yet, and show all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    choices = [model for model in MODELS if model != TO_THE_END]
    models = [model for model in choices if model not in (IN_FLOAT32, UNPRETRAINED)]
    parser.add_argument(
        "--sets", nargs="+", default=["all"], metavar="SET", help=f"captures: {', '.join([*GROUPS, *SETS])}"
    )
    parser.add_argument(
        "--models", nargs="+", default=models, choices=choices, metavar="MODEL", help="models to measure"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED", help="seeds of splits and models"
    )
    parser.add_argument(
        "--lights", nargs="+", type=int, help="numbers of lights to train on, in place of the sets' own"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("SKLRELIGHT_TEST_DATA"),
        help="folder of captures; by default the one that SKLRELIGHT_TEST_DATA names",
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder for the results")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="time of fitting for networks other than the default recipe"
    )
    parser.add_argument(
        "--budget", type=float, default=1.0, help="share of its own number of observations for the default recipe"
    )
    parser.add_argument("--masked", action="store_true", help="weigh pixels by a capture's mask, where it has one")
    parser.add_argument("--fresh", action="store_true", help="measure again what is there already")
    parser.add_argument(
        "--to-the-end",
        nargs="?",
        const="float32",
        choices=["float32", "bfloat16"],
        help="run colburn2019 to its end, hours, on figure_olat with 512 lights and the first seed; in bfloat16, its"
        " time in float32 is estimated from some of the observations",
    )
    parser.add_argument("--quick", action="store_true", help="tiny images and budgets, all in one process: a trial")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.data is None:
        parser.exit(2, "no captures: name their folder with --data or in SKLRELIGHT_TEST_DATA\n")
    options.data = Path(options.data)
    if options.job:
        print(json.dumps(measure(json.loads(options.job), options.data)))
        return 0

    captures = expand(options.sets)
    missing = [capture for capture in captures if not is_there(capture, options.data)]
    if missing:
        print(f"not in {options.data}, and left out: {', '.join(missing)}")
    if options.budget <= 0:
        parser.error(f"--budget is a share above 0, such as 0.33; got {options.budget:g}")
    precision = options.to_the_end or Settings().precision
    settings = Settings(options.seconds, options.masked, options.quick, precision, options.budget)
    jobs = plan(
        [capture for capture in captures if capture not in missing],
        options.models,
        options.seeds,
        settings,
        lights=options.lights,
        to_the_end=options.to_the_end is not None,
    )
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "accuracy.jsonl"
    known = set() if options.fresh else {key(record) for record in read_results(path)}
    jobs = [job for job in jobs if key(job) not in known]
    command = _command(sys.argv[1:] if arguments is None else arguments, options)
    failures = 0
    for _, row in groupby(enumerate(jobs, start=1), lambda numbered: row_of(numbered[1])):
        for number, job in row:
            failures += not _measured(job, path, options.data, f"{number}/{len(jobs)}")
        # After each row, so that there is something to see during the hours that all of them take.
        report(path, settings, command)
    if not jobs:
        report(path, settings, command)
    print(f"{path.with_suffix('.md')}, {path.with_suffix('.png')}; {failures} of {len(jobs)} failed")
    return 1 if failures else 0


def row_of(job):
    """Return the capture of a job and its number of lights."""
    return job["capture"], job["lights"]


def _measured(job, path, data, number):
    """Measure a job and keep its record; return whether that went well."""
    name = f"{number} {job['capture']}, {job['lights']} lights, seed {job['seed']}, {job['model']}"
    start = time.perf_counter()
    try:
        record = run(job, data)
    except Exception as error:
        # One of hundreds of jobs must not end the others.
        print(f"{name}: FAILED\n{error}", file=sys.stderr, flush=True)
        return False
    add_result(path, record)
    outcome = f"{record['error']:.4f}" if "error" in record else record["skipped"]
    print(f"{name}: {outcome} ({time.perf_counter() - start:.0f} s)", flush=True)
    return True


def _command(words, options):
    """Write the command down, without the folders of this machine, which tell nobody anything."""
    shown = []
    for word in words:
        option, equals, value = word.rpartition("=")
        named = Path(value) in (options.data, options.out)
        shown.append(f"{option}{equals}FOLDER" if named else word)
    return shlex.join(["python", "benchmarks/accuracy.py", *shown])


if __name__ == "__main__":
    sys.exit(main())
