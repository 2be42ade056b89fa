"""Training and predicting on CUDA: share of a bare bfloat16 product's rate, and the time of a full Waldorf epoch.

The product is batch x 600 x 600 and timed in the same run; the nominal rate of the card is shown, too. Operations are
counted as in throughput.py. The capture has random values and the size of Waldorf: 1024 photographs of 696 x 464. The
first of two epochs compiles the step and does not count.

    python benchmarks/gpu.py
"""

import argparse
import statistics
import time

import numpy as np
import torch
from throughput import CASES, count_operations, make_capture, make_regressor, predicting_rate, product_rate

WALDORF = (1024, (696, 464))
# Dense bfloat16 with float32 sums, from the makers' data sheets, in TFLOP/s; the first name that is found counts.
NOMINAL = {
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "A10G": 70,
    "A10": 125,
    "L40S": 362,
    "L4": 121,
    "RTX 4090": 165,
    "RTX 3090": 71,
}


def nominal_rate(name):
    """Look up the nominal rate of a card, as a text."""
    return next((f"{rate} TFLOP/s" for part, rate in NOMINAL.items() if part in name), "unknown")


def measure(case, capture, device, seconds=1.0, precision="bfloat16", compile_step=True):
    """Measure one network; return a dictionary of rates in operations a second, shares and seconds."""
    pixel_widths, widths, batch_size, _ = CASES[case]
    features, images = capture
    n_observations = features.shape[0] * features.shape[1]
    regressor = make_regressor(case, precision, device, max_observations=2 * n_observations, compile=compile_step)

    def bare():
        return product_rate(batch_size, 600, getattr(torch, precision), device, seconds)

    products = [bare()]
    start = time.perf_counter()
    regressor.fit(features, images)
    fit_seconds = time.perf_counter() - start
    products.append(bare())
    epoch_seconds = regressor.history_[-1, "dur"]
    training = n_observations * count_operations(pixel_widths, widths)[0] / epoch_seconds
    some_lights = features[: max(1, features.shape[0] // 16)]
    predicting_rate(regressor, some_lights)
    predicting = statistics.median(predicting_rate(regressor, some_lights) for _ in range(3))
    products.append(bare())
    product = statistics.median(products)
    return {
        "product": product,
        "training": training,
        "training_share": training / product,
        "predicting": predicting,
        "predicting_share": predicting / product,
        "epoch_seconds": epoch_seconds,
        "fit_seconds": fit_seconds,
        "compiled": regressor.compiled_,
    }


def report(name, capture, device, **options):
    """Print a table with a row for each network."""
    n_lights, n_pixels, _ = capture[0].shape
    print(f"{name}, nominal {nominal_rate(name)}, torch {torch.__version__}; {n_lights} lights x {n_pixels} pixels\n")
    print("| network | batch | bare product, TFLOP/s | training share | predicting share | epoch, s | both, s |")
    print("|---|---|---|---|---|---|---|")
    for case, (*_, batch_size, _) in CASES.items():
        row = measure(case, capture, device, **options)
        print(
            f"| {case}{'' if row['compiled'] else ' (uncompiled)'} | {batch_size} | {row['product'] / 1e12:.4g} "
            f"| {row['training_share']:.2f} | {row['predicting_share']:.2f} "
            f"| {row['epoch_seconds']:.1f} | {row['fit_seconds']:.1f} |",
            flush=True,
        )


def main():
    """Measure on CUDA, or say that there is none."""
    if not torch.cuda.is_available():
        print("There is no CUDA device here: nothing to measure.")
        return
    # In float32 the photographs alone would take 4 GB.
    report(torch.cuda.get_device_name(), make_capture(*WALDORF, dtype=np.float16), torch.device("cuda"))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    main()
