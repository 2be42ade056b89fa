"""Rate of training through the library against a torch loop written by hand, in one run.

Both train a network of the same layers, each from random weights of its own, with the same loss, optimiser, learning
rate, batch size and precision, on the same data, in turns. Run it on an otherwise idle machine:

    python benchmarks/training_rate.py
"""

import argparse
import platform
import statistics
import time

import numpy as np
import torch

from sklrelight import LogExposureScaler, PixelLightFeaturizer, RelightingMLPRegressor
from sklrelight.datasets import make_scene
from sklrelight.neural._config import has_bfloat16_units, resolve_device


def by_hand(features, images, widths, batch_size, n_steps, half_precision):
    """Train as one would without the library; return the number of observations a second."""
    device = resolve_device("auto")
    lights, pixels, targets = (
        torch.as_tensor(table, device=device)
        for table in (features.lights, features.pixels, images.reshape(-1, images.shape[-1]))
    )
    n_lights, n_pixels = len(lights), len(pixels)
    layers: list[torch.nn.Module] = []
    n_in = lights.shape[1] + pixels.shape[1]
    for n_out in widths:
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        n_in = n_out
    network = torch.nn.Sequential(*layers, torch.nn.Linear(n_in, images.shape[-1])).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    luma = torch.tensor([0.299, 0.587, 0.114], device=device)

    def step(number):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - number / n_steps)
        light = torch.randint(n_lights, (batch_size,), device=device)
        pixel = torch.randint(n_pixels, (batch_size,), device=device)
        X = torch.cat([lights[light], pixels[pixel]], dim=1)
        y = targets[light * n_pixels + pixel]
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision):
            hidden = network[:-1](X)
        p = network[-1](hidden.float())
        squared = torch.square(p - y)
        brightness = [torch.sqrt(torch.square(colour) @ luma + 1e-8) for colour in (p, y)]
        loss = squared.mean() + torch.square(brightness[0] - brightness[1]).mean()
        loss = loss + 0.01 * torch.sqrt(squared.mean() / torch.square(y).mean() + 1e-8)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step(0)
    start = time.perf_counter()
    for number in range(n_steps):
        loss = step(number)
    # Reading the last loss waits for everything before it.
    loss.item()
    return n_steps * batch_size / (time.perf_counter() - start)


def by_library(features, images, widths, batch_size, n_steps, half_precision):
    """Train by `fit`, all of its overhead included; return the number of observations a second."""
    regressor = RelightingMLPRegressor(
        widths,
        pixel_layer_sizes=(),
        light_pixel_products=False,
        luminance_weight=1.0,
        relative_weight=0.01,
        optimizer="adam",
        learning_rate_init=1e-3,
        batch_size=batch_size,
        max_observations=n_steps * batch_size,
        precision="bfloat16" if half_precision else "float32",
        compile=False,
        random_state=0,
    )
    start = time.perf_counter()
    regressor.fit(features, images)
    return regressor.n_observations_ / (time.perf_counter() - start)


def main(n_repeats, seconds):
    """Print a table of rates and ratios."""
    scene = make_scene(n_lights=256)
    images = LogExposureScaler().fit_transform(scene.images)
    features = PixelLightFeaturizer(random_state=0).fit(scene.lights, images).transform(scene.lights)
    images = np.ascontiguousarray(images)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    print(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}; rates in observations a second")
    print("| network | batch | precision | by hand | library | library / by hand (median, min, max) |")
    print("|---|---|---|---|---|---|")
    units = has_bfloat16_units(resolve_device("auto"))
    for widths, batch_size in (((256,) * 3, 5000), ((600,) * 5, 20_000)):
        for half_precision in (False, True) if units else (False,):
            case = (features, images, widths, batch_size)
            rate = by_hand(*case, 3, half_precision)
            n_steps = max(5, int(seconds * rate / batch_size))
            pairs = [
                (by_hand(*case, n_steps, half_precision), by_library(*case, n_steps, half_precision))
                for _ in range(n_repeats)
            ]
            ratios = [library / hand for hand, library in pairs]
            hand, library = (statistics.median(rates) for rates in zip(*pairs, strict=True))
            network = f"{len(widths)} x {widths[0]}"
            precision = "bfloat16" if half_precision else "float32"
            spread = f"{statistics.median(ratios):.2f}, {min(ratios):.2f}, {max(ratios):.2f}"
            print(f"| {network} | {batch_size} | {precision} | {hand:,.0f} | {library:,.0f} | {spread} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each training")
    arguments = parser.parse_args()
    main(arguments.repeats, arguments.seconds)
