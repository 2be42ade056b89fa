"""Files like those of save_model, damaged or made up, and a process that reads them and reports what happened."""

import hashlib
import json
import re
import sys
import warnings
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
DIGEST = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})')
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
    """Take a file apart into its header, as JSON gives it, its description and its arrays' bytes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["sklrelight"]), bytearray(data[8 + length :])


def join(header, description, body):
    """Put a file together, with a checksum that fits."""
    text = json.dumps({"sha256": "0" * 64} | description | {"sha256": "0" * 64}, separators=(",", ":"))
    header = header | {"__metadata__": {"sklrelight": text}}
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return repaired(len(raw).to_bytes(8, "little") + raw + bytes(body))


def repaired(data):
    """Make the checksum fit, where there is one."""
    found = DIGEST.search(data)
    if found is None:
        return data
    zeroed = data[: found.start(1)] + b"0" * 64 + data[found.end(1) :]
    digest = hashlib.sha256(zeroed).hexdigest().encode()
    return data[: found.start(1)] + digest + data[found.end(1) :]


def damage(data, rng):
    """Flip bits, cut, repeat or lengthen."""
    damaged = bytearray(data)
    kind = rng.integers(5)
    place = int(rng.integers(len(data)))
    if kind == 0:
        # Half of the time in the header, which is short.
        if rng.random() < 0.5:
            place = int(rng.integers(8 + int.from_bytes(data[:8], "little")))
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
    """Change what the file says of itself, and its checksum with it."""
    kind = rng.integers(4)
    if kind == 0:
        return repaired(damage(data, rng))
    header, description, body = split(data)
    arrays = [name for name in header if name != "__metadata__"]
    if kind == 1:
        for _ in range(int(rng.integers(1, 3))):
            change_value(description, rng)
    elif kind == 2:
        change_layout(header, arrays[int(rng.integers(len(arrays)))], arrays, body, rng)
    else:
        change_content(header[arrays[int(rng.integers(len(arrays)))]], body, rng)
    return join(header, description, body)


def change_value(description, rng):
    """Put an odd value somewhere, or take one away, or move one."""
    places = []

    def walk(value):
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            if key != "sha256":
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


def change_layout(header, name, arrays, body, rng):
    """Lie about an array's shape, type or place."""
    entry = header[name]
    shape, kind = entry["shape"], rng.integers(6)
    if kind == 0 and shape:
        entry["shape"] = shape[::-1]
    elif kind == 1:
        entry["shape"] = [int(n) for n in rng.choice([0, 1, 2, 2**20, 2**40, 2**62], int(rng.integers(1, 5)))]
    elif kind == 2:
        entry["dtype"] = str(
            rng.choice(["F64", "F32", "F16", "I64", "I32", "U8", "BOOL", "BF16", "C64", "F8_E4M3", "?"])
        )
    elif kind == 3:
        entry["data_offsets"] = [int(n) for n in rng.choice([0, 8, len(body), 2**40, 2**63], 2)]
    elif kind == 4:
        other = arrays[int(rng.integers(len(arrays)))]
        header[name], header[other] = header[other], header[name]
    else:
        # Shortened or lengthened with the bytes, so that the file itself is in order.
        start, end = entry["data_offsets"]
        size = (end - start) // max(1, int(np.prod(shape)))
        length = int(rng.integers(0, 4)) * (shape[0] if shape else 1)
        entry["shape"] = [length, *shape[1:]]
        n_bytes = size * int(np.prod(entry["shape"]))
        body[start:end] = bytes(body[start:end] * (n_bytes // max(1, end - start) + 1))[:n_bytes]
        moved = start + n_bytes - end
        entry["data_offsets"] = [start, start + n_bytes]
        for other in arrays:
            offsets = header[other]["data_offsets"]
            if other != name and offsets[0] >= end:
                header[other]["data_offsets"] = [offset + moved for offset in offsets]


def change_content(entry, body, rng):
    """Replace an array's values by odd ones."""
    start, end = entry["data_offsets"]
    dtype = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "BOOL": "u1"}[entry["dtype"]]
    values = np.frombuffer(bytes(body[start:end]), dtype).copy()
    if values.dtype.kind == "f":
        odd = [np.nan, np.inf, 0, -1, 1e-30, np.finfo(dtype).max, -np.finfo(dtype).max]
    else:
        odd = [0, 1, 255] if dtype == "u1" else [-1, -(2**31), 2**31 - 1, 0, 10**6]
    some = slice(None) if rng.random() < 0.3 else rng.random(values.shape) < 0.1
    values[some] = odd[int(rng.integers(len(odd)))]
    body[start:end] = values.tobytes()


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
