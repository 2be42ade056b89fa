"""Files like those of save_model, damaged or made up, and a process that reads them and reports what happened."""

import io
import json
import re
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

# What running code, looking for code or starting a program looks like to Python.
CODE_EVENTS = (
    "exec",
    "compile",
    "import",
    "os.",
    "subprocess.",
    "pickle.",
    "marshal.",
    "ctypes.",
    "socket.",
    "shutil.",
)
# scikit-learn's nearest neighbours ask the libraries that are loaded for their numbers of threads.
HARMLESS_EVENTS = ("os.listdir", "os.scandir", "ctypes.dlopen", "ctypes.dlsym")
# Values that stand in for others: too large, too small, of another type, or another's.
ODD_VALUES = [
    None,
    True,
    0,
    1,
    -1,
    2,
    2**31,
    2**40,
    2**62,
    10**30,
    -0.5,
    1e-320,
    1e308,
    "",
    "x" * 1000,
    "C",
    "F",
    "Pipeline",
    "StackedRBFInterpolation",
    "os.system",
    [],
    [1],
    [2**31, 2**31],
    {},
    {"tuple": [1, {"tuple": [2, {"tuple": [3, {"tuple": [4]}]}]}]},
    {"class": "Relighter", "parameters": {}},
    {"estimator": {"class": "Pipeline", "parameters": {}}},
    {"numpy": ["int64", [1, 2]]},
    {"numpy": ["float16", 1e30]},
    {"float": "nan"},
]


def split(data):
    """Take a file apart into its description and the bytes of its other parts."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(parts.pop("model.json")), parts


def join(description, parts):
    """Put a file together, with checksums that fit."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in {"model.json": json.dumps(description), **parts}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return data.getvalue()


def damage(data, rng):
    """Flip bits, cut, repeat or lengthen."""
    damaged = bytearray(data)
    kind = rng.integers(5)
    place = int(rng.integers(len(data)))
    if kind == 0:
        # Half of the time in the directory of the archive, at its end.
        if rng.random() < 0.5:
            place = max(0, len(data) - 1 - int(rng.integers(1000)))
        damaged[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del damaged[place:]
    elif kind == 2:
        damaged[place:place] = rng.bytes(int(rng.integers(1, 100)))
    elif kind == 3:
        del damaged[place : place + int(rng.integers(1, 5000))]
    else:
        damaged[place : place + 64] = rng.bytes(64)
    return bytes(damaged)


def deceive(data, rng):
    """Change what the file says of itself, and its checksums with it."""
    description, parts = split(data)
    names, kind = list(parts), rng.integers(4)
    name = names[int(rng.integers(len(names)))]
    if kind == 0:
        parts[name] = damage(parts[name], rng)
    elif kind == 1:
        for _ in range(int(rng.integers(1, 3))):
            change_value(description, rng)
    elif kind == 2:
        change_layout(description["arrays"], name, parts, rng)
    else:
        change_content(description["arrays"][name], name, parts, rng)
    return join(description, parts)


def change_value(description, rng):
    """Put an odd value somewhere, or take one away, or move one."""
    places = []

    def walk(value):
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            places.append((value, key))
            walk(value[key])

    walk(description)
    parent, key = places[int(rng.integers(len(places)))]
    kind = rng.integers(4)
    if kind == 0 and isinstance(parent, dict):
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[f"{key}_"] = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
    elif kind == 2:
        other, other_key = places[int(rng.integers(len(places)))]
        parent[key] = json.loads(json.dumps(other[other_key]))
    else:
        parent[key] = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]


def change_layout(layouts, name, parts, rng):
    """Lie about an array's shape, type or place."""
    dtype, shape = layouts[name]
    kind, other = rng.integers(5), list(layouts)[int(rng.integers(len(layouts)))]
    if kind == 0:
        layouts[name][1] = shape[::-1]
    elif kind == 1:
        layouts[name][1] = [int(n) for n in rng.choice([0, 1, 2, 2**20, 2**40, 2**62], int(rng.integers(1, 5)))]
    elif kind == 2:
        types = ["float64", "float32", "float16", "int64", "int32", "uint16", "uint8", "bool", "complex64", "object"]
        layouts[name][0] = str(rng.choice(types))
    elif kind == 3:
        parts[name], parts[other] = parts[other], parts[name]
    else:
        # Shortened or lengthened with the values, so that the array itself is in order.
        values = unpack(parts[name], dtype)
        length = int(rng.integers(0, 4)) * (shape[0] if shape else 1)
        layouts[name][1] = [length, *shape[1:]]
        parts[name] = pack(np.resize(values, int(np.prod(layouts[name][1]))))


def change_content(layout, name, parts, rng):
    """Replace an array's values by odd ones."""
    dtype = layout[0]
    values = unpack(parts[name], dtype)
    if values.dtype.kind == "f":
        odd = [np.nan, np.inf, 0, -1, 1e-30, np.finfo(dtype).max, -np.finfo(dtype).max]
    else:
        odd = {"b": [0, 1], "u": [0, 1, 255], "i": [-1, -(2**31), 2**31 - 1, 0, 10**6]}[values.dtype.kind]
    some = slice(None) if rng.random() < 0.3 else rng.random(values.shape) < 0.1
    values[some] = odd[int(rng.integers(len(odd)))]
    parts[name] = pack(values)


def unpack(data, dtype):
    """Read the values of an array: the first bytes of all, then the second, and so on."""
    raw = np.frombuffer(zlib.decompress(data, -15), np.uint8)
    return raw.reshape(np.dtype(dtype).itemsize, -1).T.copy().reshape(-1).view(dtype)


def pack(values):
    """Write values as they are read."""
    stream = zlib.compressobj(1, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    return stream.compress(values.view(np.uint8).reshape(-1, values.itemsize).T.tobytes()) + stream.flush()


def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def main(folder, original, lights, predicted):
    """Read all files of a folder; print how each went, what code ran, and what memory was taken."""
    from sklrelight import load_model  # noqa: PLC0415

    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    lights, predicted = np.load(lights), np.load(predicted)
    # What imports lazily has done so after this; messages may name estimators.
    model = load_model(original)
    assert model.predict(lights).tobytes() == predicted.tobytes()
    repr(model)
    # Where there is no /proc, as on Windows, there is no such module either.
    import resource  # noqa: PLC0415

    events = []

    def watch(event, arguments):
        if event.startswith(CODE_EVENTS) and event not in HARMLESS_EVENTS:
            events.append(f"{event} {str(arguments)[:200]}")

    sys.addaudithook(watch)
    # What is asked for and not touched does not show in the peak: it fails instead.
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    results = {}
    for path in sorted(Path(folder).glob("*")):
        outcome = "refused"
        try:
            model = load_model(path)
        except ValueError as error:
            results[path.name] = [outcome, str(error)]
            continue
        try:
            images = model.predict(lights)
            outcome = "equal" if images.tobytes() == predicted.tobytes() else "another"
            message = str(images.shape[1:])
        except ValueError as error:
            outcome, message = "no prediction", str(error)
        results[path.name] = [outcome, message]
    growth = peak() - before
    print(json.dumps({"results": results, "events": events, "growth": growth}))


if __name__ == "__main__":
    main(*sys.argv[1:])
