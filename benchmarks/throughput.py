"""Share of a bare matrix product's rate that training and predicting reach, and time per observation by capture size.

Each use of a weight is a multiplication and an addition. Training uses a weight three times: forwards, and backwards
for the weight and for the input. In the first layer it is twice, since the input needs no gradient. Predicting uses a
weight once, and those of the first layer do not count, since their products are shared by many observations. Layers of
the pixel are used once for 64 observations in training, and do not count in predicting. The bare product is
batch x 600 x 600 in the precision in use. All are timed in turns; run it on an idle machine:

    python benchmarks/throughput.py [--long]
"""

import argparse
import platform
import statistics
import time
from itertools import pairwise

import numpy as np
import torch

from sklrelight import PixelLightFeatures, RelightingMLPRegressor
from sklrelight.neural._config import _LIGHTS_PER_PIXEL as LIGHTS_PER_PIXEL
from sklrelight.neural._config import has_bfloat16_units, resolve_device

# Layers of the pixel, hidden layers, batch size and optimiser of the published network and of the default one.
CASES = {"5 x 600": ((), (600,) * 5, 20_000, "adam"), "default": ((128, 64), (128, 64, 64), 4096, "muon")}
N_LIGHT_FEATURES, N_PIXEL_FEATURES, N_CHANNELS = 3, 17, 3


def make_capture(n_lights, image_shape, dtype=np.float32, seed=0):
    """Make features and random photographs, one at a time, so that nothing else is in memory."""
    rng = np.random.default_rng(seed)
    lights = rng.standard_normal((n_lights, N_LIGHT_FEATURES), np.float32)
    pixels = rng.standard_normal((image_shape[0] * image_shape[1], N_PIXEL_FEATURES), np.float32)
    images = np.empty((n_lights, *image_shape, N_CHANNELS), dtype)
    for image in images:
        image[:] = rng.random(image.shape, np.float32)
    return PixelLightFeatures(lights, pixels, image_shape=image_shape), images


def count_operations(pixel_widths, widths):
    """Count the floating-point operations of an observation, in training and in predicting."""
    n_inputs = N_PIXEL_FEATURES if pixel_widths else N_LIGHT_FEATURES + N_PIXEL_FEATURES
    # With layers of the pixel, the join has a sum and a product, and its part of the pixel is computed with them.
    joined = [*pixel_widths, 2 * widths[0]] if pixel_widths else [widths[0]]
    first, *shared = (n_in * n_out for n_in, n_out in pairwise([n_inputs, *joined]))
    others = sum(n_in * n_out for n_in, n_out in pairwise([*widths, N_CHANNELS]))
    once = 4 * first + 6 * sum(shared)
    return 6 * others + (once / LIGHTS_PER_PIXEL if pixel_widths else once), 2 * others


def synchronize(device):
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def product_rate(n_rows, width, dtype, device, seconds):
    """Time a bare product for some seconds; return the number of operations a second."""
    rows, weights = (torch.randn(n, width, device=device).to(dtype) for n in (n_rows, width))
    out = torch.empty_like(rows)
    torch.mm(rows, weights, out=out)
    synchronize(device)
    n_products, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(10):
            torch.mm(rows, weights, out=out)
        synchronize(device)
        n_products += 10
    return 2 * n_products * n_rows * width**2 / (time.perf_counter() - start)


def make_regressor(case, precision, device, **parameters):
    """Make a regressor for one of the cases."""
    pixel_widths, widths, batch_size, optimizer = CASES[case]
    # As in the recipes: the published network has dense layers alone, and a loss of three terms.
    published = {"light_pixel_products": False, "luminance_weight": 1.0, "relative_weight": 0.01}
    return RelightingMLPRegressor(
        widths,
        pixel_layer_sizes=pixel_widths,
        optimizer=optimizer,
        batch_size=batch_size,
        precision=precision,
        device=str(device),
        random_state=0,
        **(published if optimizer == "adam" else {}),
        **parameters,
    )


def training_rate(case, capture, n_steps, precision, device):
    """Train by `fit`, all of its overhead included; return the number of operations a second."""
    pixel_widths, widths, batch_size, _ = CASES[case]
    regressor = make_regressor(case, precision, device, max_observations=n_steps * batch_size, compile=False)
    start = time.perf_counter()
    regressor.fit(*capture)
    return regressor.n_observations_ * count_operations(pixel_widths, widths)[0] / (time.perf_counter() - start)


def predicting_rate(regressor, features):
    """Predict, the writing of the images included; return the number of operations a second."""
    start = time.perf_counter()
    regressor.predict(features)
    n_observations = features.shape[0] * features.shape[1]
    operations = count_operations(regressor.pixel_layer_sizes, regressor.hidden_layer_sizes)[1]
    return n_observations * operations / (time.perf_counter() - start)


def report_shares(capture, precision, device, seconds, n_repeats):
    """Print a table with a row for each network."""
    print("| network | batch | bare product, GFLOP/s | training, GFLOP/s | share | predicting, GFLOP/s | share |")
    print("|---|---|---|---|---|---|---|")
    features, _ = capture
    for case, (pixel_widths, widths, batch_size, _) in CASES.items():

        def bare(batch_size=batch_size):
            return product_rate(batch_size, 600, getattr(torch, precision), device, seconds / 4)

        n_steps = max(5, int(seconds * bare() / (batch_size * count_operations(pixel_widths, widths)[0])))
        fitted = make_regressor(case, precision, device, max_observations=batch_size).fit(*capture)
        rows = []
        for _ in range(n_repeats):
            # Other work on the machine comes and goes, so a product is timed before and after each.
            products = [bare()]
            training = training_rate(case, capture, n_steps, precision, device)
            products.append(bare())
            predicting = predicting_rate(fitted, features)
            products.append(bare())
            shares = training / statistics.mean(products[:2]), predicting / statistics.mean(products[1:])
            rows.append((statistics.mean(products), training, shares[0], predicting, shares[1]))
        product, training, share, predicting, predicting_share = (
            statistics.median(values) for values in zip(*rows, strict=True)
        )
        print(
            f"| {case} | {batch_size} | {product / 1e9:,.0f} | {training / 1e9:,.0f} | {share:.2f} "
            f"| {predicting / 1e9:,.0f} | {predicting_share:.2f} |",
            flush=True,
        )


def report_times(sizes, precision, device, n_repeats):
    """Print the time per observation in one epoch, for captures of several sizes in millions of observations."""
    image_shape = (250, 400)
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(n_repeats):
        for size in sizes:
            capture = make_capture(10 * size, image_shape)
            regressor = make_regressor("default", precision, device, max_observations=1_000_000 * size, compile=False)
            start = time.perf_counter()
            regressor.fit(*capture)
            times[size].append((time.perf_counter() - start) / size)
    print("\n| observations | microseconds an observation | against 1 M |")
    print("|---|---|---|")
    for size in sizes:
        # The sizes of a round ran one after another, so ratios are taken within a round.
        ratio = statistics.median(time / first for time, first in zip(times[size], times[sizes[0]], strict=True))
        print(f"| {size} M | {statistics.median(times[size]):.2f} | {ratio:.2f} |", flush=True)


def main(n_repeats, seconds, long):
    """Print both tables."""
    device = resolve_device("auto")
    precision = "bfloat16" if has_bfloat16_units(device) else "float32"
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, {precision}\n")
    report_shares(make_capture(24, (96, 128)), precision, device, seconds, n_repeats)
    report_times([1, 10, *([100] if long else [])], precision, device, max(1, n_repeats // 2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each training")
    parser.add_argument("--long", action="store_true", help="measure 100 M observations as well")
    arguments = parser.parse_args()
    main(arguments.repeats, arguments.seconds, arguments.long)
