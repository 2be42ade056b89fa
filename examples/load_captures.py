"""
Load captures in every layout
=============================

Every loader returns the same form: ``lights`` (n, d), ``images`` (n, height, width, 3) in linear radiance, and a
description of them. Here a rendered scene is written in each layout and loaded back. Captures of your own can be named
on the command line: a folder with an ``.lp`` file, a folder in the DiLiGenT layout, an ``.npz`` archive, or a folder
with ``Red.mat``, ``Green.mat`` and ``Blue.mat`` (together with ``--image-shape HEIGHT WIDTH``).

Needs the extras: ``pip install 'sklrelight[images,exr,matlab,plot]'``.
"""

# %%
import argparse
import tempfile
import time
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np

from sklrelight.datasets import (
    load_diligent,
    load_ltm,
    load_npz,
    load_rti,
    make_scene,
    save_image,
    save_stack,
)
from sklrelight.metrics import encode_display

mpl.use("Agg")
import matplotlib.pyplot as plt

N_SHOWN = 6
# Stops that bring the scene's highlights below 1, the largest value of a PNG file.
EXPOSURE = -4


# %%
# One scene in every layout that cameras, domes and laboratories deliver.
def write_rti(folder, scene):
    """Write photographs of 16 bits and an ``.lp`` file."""
    save_stack(folder, scene.images, scene.lights, exposure=EXPOSURE)


def write_exr(folder, scene):
    """Write half-precision EXR files and an ``.lp`` file."""
    save_stack(folder, scene.images, scene.lights, file_format="exr")


def write_npz(path, scene):
    """Write one archive."""
    np.savez_compressed(path, images=scene.images.astype(np.float16), light_positions=scene.lights)


def write_diligent(folder, scene):
    """Write photographs under lights of different colours, with lists of directions and intensities."""
    intensities = np.random.default_rng(0).uniform(0.7, 1, (len(scene.images), 3))
    folder.mkdir()
    names = [f"{number:03}.png" for number in range(1, len(scene.images) + 1)]
    for name, image, intensity in zip(names, scene.images, intensities, strict=True):
        save_image(folder / name, image * intensity, exposure=EXPOSURE, encoding="linear", bit_depth=16)
    (folder / "filenames.txt").write_text("\n".join(names) + "\n")
    np.savetxt(folder / "light_directions.txt", scene.lights)
    np.savetxt(folder / "light_intensities.txt", intensities)


def write_ltm(folder, scene):
    """Write a light-transport matrix, one file for each channel, pixels column by column."""
    folder.mkdir()
    columns_first = scene.images.transpose(0, 2, 1, 3).reshape(len(scene.images), -1, 3)
    for channel, colour in enumerate(["Red", "Green", "Blue"]):
        with h5py.File(folder / f"{colour}.mat", "w") as file:
            file["LTM"] = columns_first[..., channel]


def load_one_of_each(folder):
    """Write the scene in each layout, and yield a name and a call that loads it."""
    scene = make_scene(n_lights=36, image_shape=(72, 96))
    write_rti(folder / "rti", scene)
    write_exr(folder / "exr", scene)
    write_npz(folder / "scene.npz", scene)
    write_diligent(folder / "diligent", scene)
    write_ltm(folder / "ltm", scene)
    yield "RTI, 16-bit PNG", lambda: load_rti(folder / "rti", normalize=False)
    yield "RTI, EXR, averaged", lambda: load_rti(folder / "exr", normalize=False, downscale=3)
    yield "NumPy archive, cropped", lambda: load_npz(folder / "scene.npz", crop=(12, 60, 16, 80))
    yield "DiLiGenT", lambda: load_diligent(folder / "diligent", mask=None)
    yield "light transport", lambda: load_ltm(folder / "ltm", scene.image_shape)
    yield (
        "larger than memory",
        lambda: load_rti(folder / "rti", normalize=False, dtype="float16", memmap=folder / "stack.npy", progress=False),
    )


def load_named(path, image_shape):
    """Load a capture by the layout of its files."""
    if path.is_file():
        return load_npz(path)
    if (path / "filenames.txt").is_file():
        return load_diligent(path)
    if any(path.glob("Red.mat*")):
        return load_ltm(path, image_shape)
    return load_rti(path)


# %%
# A table of the captures, and a contact sheet.
def show(captures, output):
    """Load, print a line for each, and draw a row of photographs for each."""
    print(f"{'capture':24} {'images':>20} {'stored':>8} {'lights':>10} {'median':>9} {'maximum':>9} {'seconds':>8}")
    rows = []
    for name, load in captures:
        start = time.perf_counter()
        capture = load()
        seconds = time.perf_counter() - start
        chosen = np.linspace(0, len(capture.images) - 1, N_SHOWN).astype(int)
        shown = np.asarray(capture.images[chosen], dtype=np.float32)
        rows.append((name, shown, chosen, capture.lights[chosen]))
        shape = " x ".join(map(str, capture.images.shape))
        lights = " x ".join(map(str, capture.lights.shape))
        print(
            f"{name[-24:]:24} {shape:>20} {capture.file_dtype:>8} {lights:>10} {np.median(shown):9.3g} "
            f"{shown.max():9.3g} {seconds:8.2f}"
        )
    figure, axes = plt.subplots(
        len(rows), N_SHOWN, figsize=(2 * N_SHOWN, 1.8 * len(rows)), squeeze=False, layout="constrained"
    )
    for (name, images, chosen, lights), line in zip(rows, axes, strict=True):
        # The same white for the whole row, below the few brightest highlights.
        white = max(np.percentile(images, 98), 1e-6)
        for image, index, light, ax in zip(images, chosen, lights, line, strict=True):
            ax.imshow(encode_display(image, white), cmap="gray", vmin=0, vmax=1)
            ax.set_title(f"{index}: " + " ".join(f"{value:.2g}" for value in light), fontsize=7)
            ax.set_axis_off()
        line[0].text(-0.05, 0.5, name, transform=line[0].transAxes, rotation=90, ha="right", va="center", fontsize=8)
    output.mkdir(parents=True, exist_ok=True)
    figure.savefig(output / "captures.png", dpi=100)
    plt.close(figure)
    print(f"contact sheet: {output / 'captures.png'}")


def main():
    """Load what the command line names, or one capture in each layout."""
    parser = argparse.ArgumentParser(description="Load captures, print a table, draw a contact sheet.")
    parser.add_argument("captures", nargs="*", type=Path, help="folders or .npz files; by default generated ones")
    parser.add_argument("--image-shape", nargs=2, type=int, metavar=("HEIGHT", "WIDTH"), help="for Red.mat and so on")
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    arguments = parser.parse_args()
    if arguments.captures:
        shape = arguments.image_shape
        show([(path.name, lambda path=path: load_named(path, shape)) for path in arguments.captures], arguments.output)
        return
    with tempfile.TemporaryDirectory() as folder:
        show(load_one_of_each(Path(folder)), arguments.output)


if __name__ == "__main__":
    main()
