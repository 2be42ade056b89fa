"""Rate of training through the library against a torch loop written by hand, in one run.

Both train a network of the same layers, each from random weights of its own, with the same loss, optimiser, learning
rate, batch size and precision, on the same data, in turns. Run it on an otherwise idle machine:

    python benchmarks/training_rate.py
"""

import argparse
import platform
import statistics
import time
from itertools import chain, pairwise

import numpy as np
import torch

from sklrelight import LogExposureScaler, PixelLightFeaturizer, RelightingMLPRegressor
from sklrelight.datasets import make_scene
from sklrelight.neural._config import has_bfloat16_units, resolve_device

# Layers of the pixel, layers of the observation and batch size: the default network, and networks without the former.
NETWORKS = {
    "default": ((128, 64), (128, 64, 64), 4096),
    "3 x 256": ((), (256,) * 3, 5000),
    "5 x 600": ((), (600,) * 5, 20_000),
}
LIGHTS_PER_PIXEL = 64


def by_hand(features, images, network, n_steps, half_precision):
    """Train as one would without the library; return the number of observations a second."""
    device = resolve_device("auto")
    lights, pixels, targets = (
        torch.as_tensor(table, device=device)
        for table in (features.lights, features.pixels, images.reshape(-1, images.shape[-1]))
    )
    n_lights, n_pixels = len(lights), len(pixels)
    of_pixel, of_observation, batch_size = NETWORKS[network]
    widths = [*of_observation, images.shape[-1]]
    if of_pixel:
        # For each unit the product of a function of the light and one of the pixel, and a sum of two others.
        trunk = _dense([pixels.shape[1], *of_pixel, 2 * widths[0]])[:-1].to(device)
        light_layer = torch.nn.Linear(lights.shape[1], 2 * widths[0]).to(device)
    else:
        trunk = light_layer = torch.nn.Identity()
        widths.insert(0, lights.shape[1] + pixels.shape[1])
    layers = _dense(widths).to(device)
    parameters = [p for module in (trunk, light_layer, layers) for p in module.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    luma = torch.tensor([0.299, 0.587, 0.114], device=device)

    def hidden(light, pixel):
        if not of_pixel:
            return layers[:-2](torch.cat([lights[light], pixels[pixel]], dim=1))
        code, code_factor = trunk(pixels[pixel]).chunk(2, -1)
        own, own_factor = light_layer(lights[light]).chunk(2, -1)
        joined = torch.relu(torch.addcmul(code, own_factor, code_factor) + own)
        return layers[:-2](joined.flatten(0, 1))

    def step(number):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - number / n_steps)
        if of_pixel:
            n_drawn = min(LIGHTS_PER_PIXEL, n_lights)
            light = torch.randperm(n_lights, device=device)[:n_drawn, None]
            pixel = torch.randint(n_pixels, (batch_size // n_drawn,), device=device)
        else:
            light, pixel = (torch.randint(n, (batch_size,), device=device) for n in (n_lights, n_pixels))
        y = targets[light * n_pixels + pixel].flatten(0, -2)
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision):
            values = hidden(light, pixel)
        p = layers[-2](values.float())
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


def _dense(widths):
    """Make dense layers, each followed by a ReLU."""
    pairs = [(torch.nn.Linear(n_in, n_out), torch.nn.ReLU()) for n_in, n_out in pairwise(widths)]
    return torch.nn.Sequential(*chain.from_iterable(pairs))


def by_library(features, images, network, n_steps, half_precision):
    """Train by `fit`, all of its overhead included; return the number of observations a second."""
    of_pixel, of_observation, batch_size = NETWORKS[network]
    regressor = RelightingMLPRegressor(
        of_observation,
        pixel_layer_sizes=of_pixel,
        light_pixel_products=bool(of_pixel),
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
    for network, (_, _, batch_size) in NETWORKS.items():
        for half_precision in (False, True) if units else (False,):
            case = (features, images, network)
            rate = by_hand(*case, 3, half_precision)
            n_steps = max(5, int(seconds * rate / batch_size))
            pairs = [
                (by_hand(*case, n_steps, half_precision), by_library(*case, n_steps, half_precision))
                for _ in range(n_repeats)
            ]
            ratios = [library / hand for hand, library in pairs]
            hand, library = (statistics.median(rates) for rates in zip(*pairs, strict=True))
            precision = "bfloat16" if half_precision else "float32"
            spread = f"{statistics.median(ratios):.2f}, {min(ratios):.2f}, {max(ratios):.2f}"
            print(f"| {network} | {batch_size} | {precision} | {hand:,.0f} | {library:,.0f} | {spread} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each training")
    arguments = parser.parse_args()
    main(arguments.repeats, arguments.seconds)
