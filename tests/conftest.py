"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_dir():
    """Return the folder of real captures, or skip the test."""
    folder = Path(os.environ.get("SKLRELIGHT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the test captures: no folder {folder}; name theirs in SKLRELIGHT_TEST_DATA")
    return folder
