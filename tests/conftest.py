"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_dir():
    """Return the folder of real captures, or skip the test."""
    folder = Path(os.environ.get("SKLRELIGHT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the test captures: no folder {folder}; name theirs in SKLRELIGHT_TEST_DATA")
    return folder


@pytest.fixture
def n_threads():
    """Return a function that gives torch so many threads, until the end of the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
