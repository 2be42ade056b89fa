"""Compare a trained model with the interpolation, on validation captures or on splits of real ones."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from generate import VALIDATION
from model import expand, load_weights
from prepare import COUNTS, pack
from tasks import load_capture, make_task

from sklrelight import Relighter
from sklrelight.interpolation import RBFInterpolation
from sklrelight.metrics import display_white, encode_display, relative_error

# Pixels at a time.
_BLOCK = 256


def predict(model, task, shape):
    """Predict the photographs of a task, of a shape and in the capture's units; and the processor seconds it took."""
    packed = pack(task)
    started = time.process_time()
    parts = []
    with torch.no_grad():
        for pixels in torch.arange(task.given.shape[1]).split(_BLOCK):
            parts.append(model(expand(packed, pixels=pixels)))
    encoded = torch.cat(parts, 1).clamp(task.given.min(), task.given.max())
    seconds = time.process_time() - started
    return task.scaler.inverse_transform(encoded.numpy().reshape(shape)), seconds


def compare(model, lights, images, given, targets, white, gamma):
    """Measure the model and the interpolation by encoded and linear relative errors, and divide them.

    Parameters
    ----------
    model : NeighbourModel
        The model.

    lights, images : ndarray
        A capture.

    given, targets : ndarray of int
        Indices of the lights that are given, and of those to predict.

    white : float or None
        White point by which linear photographs are encoded. None: they are encoded already.

    gamma : float
        Exponent that makes the photographs linear.

    Returns
    -------
    dict
        Number of lights, microseconds a pixel and light, errors and ratios.
    """
    task = make_task(lights, images, given, targets)
    truth = images[targets]
    rbf = Relighter(RBFInterpolation()).fit(lights[given], images[given]).predict(lights[targets])
    ours, seconds = predict(model, task, truth.shape)
    encode = (lambda x: np.clip(x, 0, 1)) if white is None else (lambda x: encode_display(x, white))
    result = {"n": len(given), "us": round(1e6 * seconds / truth[..., 0].size, 2)}
    for name, prediction in (("rbf", rbf), ("model", ours)):
        result[f"{name}_encoded"] = float(relative_error(encode(truth), encode(prediction)))
        result[f"{name}_linear"] = float(relative_error(truth**gamma, np.maximum(prediction, 0) ** gamma))
    for domain in ("encoded", "linear"):
        result[domain] = result[f"model_{domain}"] / result[f"rbf_{domain}"]
    return result


def main():
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="weights.npz, or a checkpoint of train.py")
    parser.add_argument("--captures", type=Path, help="folder of rendered captures")
    parser.add_argument("--splits", type=Path, nargs="*", default=[], help="files with lights and photographs")
    parser.add_argument("--side", type=int, default=128, help="side of the window of the splits, in pixels")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = load_weights(arguments.weights)
    results = {count: [] for count in COUNTS}
    captures = sorted(arguments.captures.glob("*.npz")) if arguments.captures else []
    for path in captures:
        seed = int(path.stem)
        if seed < VALIDATION:
            continue
        lights, images, is_display = load_capture(path)
        for count in COUNTS:
            order = np.random.default_rng([seed, count]).permutation(len(lights))
            given, targets = order[:count], order[count : count + 12]
            white = None if is_display else display_white(images[given])
            results[count].append(compare(model, lights, images, given, targets, white, 2.2 if is_display else 1.0))
        ratios = [[round(results[count][-1][domain], 3) for domain in ("encoded", "linear")] for count in COUNTS]
        print(seed, is_display, *ratios, flush=True)
    for rows in results.values():
        if rows:
            mean = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
            for domain in ("encoded", "linear"):
                squares = [np.mean([row[f"{name}_{domain}"] ** 2 for row in rows]) for name in ("model", "rbf")]
                mean[f"pooled_{domain}"] = round(float(np.sqrt(squares[0] / squares[1])), 4)
            print(json.dumps(mean), flush=True)
    for path in arguments.splits:
        with np.load(path) as file:
            white = None if np.isnan(file["white"]) else float(file["white"])
            lights = np.concatenate([file["lights"], file["test_lights"]])
            images = np.concatenate([file["images"], file["test_images"]])
            n_given = len(file["lights"])
        # Large images by every second or third pixel would be another capture, so a window is cut out.
        rows, columns = ((side - min(side, arguments.side)) // 2 for side in images.shape[1:3])
        images = np.ascontiguousarray(images[:, rows : rows + arguments.side, columns : columns + arguments.side])
        gamma = 2.2 if path.stem.startswith("synthrti") else 1.0
        indices = np.arange(len(lights))
        row = compare(model, lights.astype(np.float32), images, indices[:n_given], indices[n_given:], white, gamma)
        print(path.stem, json.dumps({key: round(value, 4) for key, value in row.items()}), flush=True)


if __name__ == "__main__":
    main()
