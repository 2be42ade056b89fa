"""Angular errors of normals: photometric stereo of photographs, and of what a relighter predicts, against true normals.

    python benchmarks/normals.py --data FOLDER --cat Normal_gt.mat

FOLDER has the captures ``diligent_cat`` and ``synthrti`` of the tests. Normal_gt.mat is the file of the DiLiGenT
benchmark with the true normals of ``catPNG``, of whole photographs; FOLDER has a part of them, whose place the masks
tell. Without one of both, the rows that need it are left out. The scene is rendered. It takes some minutes on one core.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from sklrelight import make_relighter
from sklrelight.datasets import load_diligent, load_image, load_rti, make_scene
from sklrelight.surface import PhotometricStereo, angular_error


def load_cat(folder, normals_file):
    """Load the photographs of the cat with their true normals."""
    capture = load_diligent(folder, decode="linear")
    whole = loadmat(normals_file)["Normal_gt"]
    (top, left), (row, column) = (
        np.argwhere(mask).min(axis=0) for mask in (np.linalg.norm(whole, axis=2) > 0.5, capture.mask)
    )
    height, width = capture.mask.shape
    true = whole[top - row : top - row + height, left - column : left - column + width]
    return capture.lights, capture.images, true, capture.mask, {}


def load_synthetic(folder):
    """Load a capture of SynthRTI, whose normals are an image beside the photographs."""
    capture = load_rti(folder, decode=2.2)
    true = 2 * load_image(folder / "normals.png", decode="linear") - 1
    return capture.lights, capture.images, true, np.linalg.norm(true, axis=2) > 0.5, {}


def load_scene():
    """Render the scene, whose lights are near."""
    scene = make_scene(64, image_shape=(96, 128))
    mask = np.ones(scene.image_shape, bool)
    return scene.lights, scene.images, scene.normals, mask, {"points": scene.points}


def measure(name, lights, images, true, mask, parameters):
    """Print a row of the table: mean angular errors in degrees, and medians."""
    relighter = make_relighter(max_observations=400_000, random_state=0).fit(lights, images, pixel_weight=mask)
    cells = []
    for loss in ("squared_error", "absolute_error"):
        photographs = PhotometricStereo(loss=loss, **parameters).fit(lights, images, mask)
        predictions = PhotometricStereo.from_relighter(relighter, loss=loss, **parameters)
        for stereo in (photographs, predictions):
            angles = angular_error(stereo.normals_, true)[mask]
            cells.append(f"{np.nanmean(angles):.1f} ({np.nanmedian(angles):.1f})")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    """Measure all captures that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--cat", type=Path, help="Normal_gt.mat of catPNG")
    options = parser.parse_args()
    print("| capture | squared, photographs | squared, predictions | absolute, photographs | absolute, predictions |")
    print("|---|---|---|---|---|", flush=True)
    if options.cat:
        measure("diligent_cat", *load_cat(options.data / "diligent_cat", options.cat))
    for folder in sorted(options.data.glob("synthrti/*/Dome")):
        measure(folder.parent.name, *load_synthetic(folder))
    measure("make_scene", *load_scene())


if __name__ == "__main__":
    main()
