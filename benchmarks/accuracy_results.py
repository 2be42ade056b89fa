"""Results of the accuracy benchmark on disk: one JSON object in each line, written whole after each measurement."""

import json

from accuracy_models import Settings

from sklrelight.utils import replacing

# What tells one measurement from another.
_KEY = ("capture", "lights", "seed", "model", "settings")


def key(record):
    """Return what a record, or a job, is known by.

    >>> job = {"capture": "a", "lights": 0.6, "seed": 0, "model": "rbf", "settings": {"quick": False}}
    >>> key({**job, "error": 0.1}) == key(job)
    True
    """
    return json.dumps([record[name] for name in _KEY], sort_keys=True)


def read_results(path):
    """Read the records of a file, or none where there is no file; the later of two with the same key holds."""
    if not path.exists():
        return []
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for record in records:
        # Older records lack the settings that did not exist yet.
        record["settings"] = Settings()._asdict() | record["settings"]
    return list({key(record): record for record in records}.values())


def add_result(path, record):
    """Put a record into a file, in place of the one with the same key, if any."""
    records = {key(known): known for known in read_results(path)}
    records[key(record)] = record
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{json.dumps(one)}\n" for one in records.values()), encoding="utf-8")
