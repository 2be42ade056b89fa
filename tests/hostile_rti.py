"""Files of RTI software, damaged, read one after the other."""

import collections
import json
import shutil
import tracemalloc
import warnings

import numpy as np
from hostile_files import change_value, damage

from sklrelight.interpolation import HemisphericalHarmonics, PolynomialTextureMap
from sklrelight.viewer import load_hsh, load_ptm, load_relight, save_hsh, save_ptm

_LIGHTS = [[0.0, 0.0, 1.0], [0.6, 0.0, 0.8], [-0.6, 0.48, 0.64]]


def write_files(web, folder, n_files):
    """Read damaged files of each kind in turn, made of small ones; count what happened to them.

    What is read has to predict, and a ValueError to name the file. No file takes much memory.
    """
    rng = np.random.default_rng(n_files)
    vectors = rng.normal((0, 0, 1.5), size=(20, 3))
    lights = vectors * np.sign(vectors[:, 2:]) / np.linalg.norm(vectors, axis=1, keepdims=True)
    images = rng.random((20, 6, 8, 3))
    for name, save, model in [
        ("rgb.ptm", save_ptm, PolynomialTextureMap()),
        ("lrgb.ptm", save_lrgb, PolynomialTextureMap()),
        ("scene.rti", save_hsh, HemisphericalHarmonics()),
    ]:
        save(folder / name, model.fit(lights, images))
    kinds = [(load_ptm, folder / "rgb.ptm"), (load_ptm, folder / "lrgb.ptm"), (load_hsh, folder / "scene.rti")]
    kinds += [(load_relight, web / name / "info.json") for name in ("ptm", "bilinear", "deepzoom")]
    shutil.copytree(web, folder / "web")
    outcomes: collections.Counter = collections.Counter()
    tracemalloc.start()
    try:
        for number in range(n_files):
            load, path = kinds[number % len(kinds)]
            data = path.read_bytes()
            if load is load_relight:
                target = folder / "web" / path.parent.name / "info.json"
                target.write_bytes(change(data, rng))
                path, target = target, target.parent
            else:
                path = target = folder / f"{number}{path.suffix}"
                target.write_bytes(damage_header(data, rng))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            outcomes[read(load, target, path)] += 1
            assert tracemalloc.get_traced_memory()[1] - before < 2**25, path
    finally:
        tracemalloc.stop()
    return outcomes


def save_lrgb(path, model):
    save_ptm(path, model, layout="lrgb")


def read(load, target, path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = load(target)
    except ValueError as error:
        assert str(path) in str(error), error
        return "refused"
    images = model.predict(_LIGHTS)
    assert images.shape[::3] == (3, 3), images.shape
    assert np.isfinite(images).all()
    return "read"


def damage_header(data, rng):
    """Damage a file, most often in its header."""
    if rng.random() < 0.5:
        return damage(data[:100], rng) + data[100:]
    if rng.random() < 0.5:
        words = data[:80].split(b" ")
        odd = [b"0", b"-1", b"99999999", b"1e300", b"nan", b"x", b"", b"1e-320", b"7" * 50]
        words[int(rng.integers(len(words)))] = odd[int(rng.integers(len(odd)))]
        return b" ".join(words) + data[80:]
    return damage(data, rng)


def change(data, rng):
    """Damage a description as text, or put odd values into it."""
    if rng.random() < 0.3:
        return damage(data, rng)
    info = json.loads(data)
    # Odd values into what says the most, more often than into a long list.
    short = {key: value for key, value in info.items() if key not in ("basis", "lights")}
    part = info if rng.random() < 0.3 else short
    change_value(part, rng)
    return json.dumps({**info, **part}).encode()
