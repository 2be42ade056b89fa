"""The table of docs/bad_input.md against what the functions do: each of its rows is a test."""

import bad_input_cases
import pytest

ROWS = list(bad_input_cases.page_rows())


def test_the_page_has_all_functions_and_inputs_once():
    listed = [(entry, kind) for entry, kinds, _ in ROWS for kind in kinds]
    assert sorted(listed) == sorted(bad_input_cases.rows())


@pytest.mark.parametrize(("entry", "kinds", "outcome"), ROWS, ids=[f"{i}" for i in range(len(ROWS))])
def test_what_happens_is_what_the_page_says(entry, kinds, outcome):
    for kind in kinds:
        observed, in_order = bad_input_cases.observe(entry, kind)
        assert in_order, (entry, kind, observed)
        assert observed == outcome, (entry, kind)
