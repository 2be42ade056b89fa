"""The .lp parser: every line end, every fault, and 10,000 damaged files."""

import json
import os
import re
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sklrelight.datasets import read_lp, write_lp
from sklrelight.datasets._formats.lp import read_dome
from sklrelight.datasets._formats.matching import locate

VECTORS = [[0.6, 0.0, 0.8], [0.0, -0.6, 0.8]]


@pytest.mark.parametrize(
    "data",
    [
        b"2\na b.jpg 0.6 0 0.8\nsub/c.jpg 0 -0.6 .8\n",
        b"a b.jpg 0.6 0 0.8\nsub/c.jpg 0 -0.6 0.8",
        b"2\r\na b.jpg 0.6 0 0.8\r\nsub\\c.jpg 0 -0.6 0.8\r\n\r\n \r\n",
        b"2\ra b.jpg 0.6 0 0.8\rsub/c.jpg 0 -0.6 0.8\r",
        b"\xef\xbb\xbf2  \na b.jpg\t0.6\t0\t0.8\nsub/c.jpg \t 0 -6e-1 +8E-1\n\n\n",
        "2\na b.jpg 0.6 0 0.8\nsub/c.jpg 0 -0.6 0.8\n".encode("utf-16"),
        b"\n\n2\n\n  a b.jpg 0.6 0 0.8  \n\nsub/c.jpg 0 -0.6 0.8\n",
    ],
    ids=["count", "no count", "windows", "old mac", "bom and tabs", "utf-16", "blank lines"],
)
def test_every_way_to_write_the_same_lights(tmp_path, data):
    path = tmp_path / "dirs.lp"
    path.write_bytes(data)
    lights = read_lp(path)
    assert lights.filenames == ["a b.jpg", "sub/c.jpg"]
    np.testing.assert_array_equal(lights.vectors, VECTORS)


def test_names_of_any_language(tmp_path):
    path = tmp_path / "dirs.lp"
    path.write_text("Löwe 光.jpg 0 0 1\n", encoding="utf-8")
    assert read_lp(path).filenames == ["Löwe 光.jpg"]
    path.write_text("Löwe.jpg 0 0 1\n", encoding="latin-1")
    assert read_lp(path).filenames == ["Löwe.jpg"]


def test_a_name_that_is_a_number_is_no_count(tmp_path):
    path = tmp_path / "dirs.lp"
    path.write_text("7 0 0 1\n")
    assert read_lp(path).filenames == ["7"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a.jpg 0 0 1\nb.jpg 0 0\n", 2, "three numbers"),
        ("a.jpg 0 0 one\n", 1, "three numbers"),
        ("a.jpg 0 0 nan\n", 1, "three numbers"),
        ("a.jpg 0 0 1_0\n", 1, "three numbers"),
        ("a.jpg 1,200 0 1\n", 1, "three numbers x y z; 1,200 may be 1.2 or 1200: write a point"),
        ("0 0 1\n", 1, "three numbers"),
        ("a.jpg 0 0 1e999\n", 1, "length inf"),
        ("a.jpg 0 -1e200 0\n", 1, "length 1e+200"),
        ("a.jpg 0 1e-200 0\n", 1, "length 1e-200"),
        ("2\na.jpg 0 0 1\nb.jpg 0 0.0 -0\n", 3, "length 0"),
        ("2\na.jpg 0 0 1\n", 1, "the count is 2, but 1 lights follow"),
        ("\n1\na.jpg 0 0 1\nb.jpg 0 1 1\n", 2, "the count is 1, but 2 lights follow"),
        ("1\n1\na.jpg 0 0 1\n", 2, "three numbers"),
        ("a.jpg 0 0 1\n\nc.jpg 1 0 1\na.jpg 0 1 1\n", 4, "already named in line 1"),
        ("", 1, "no light"),
        ("\n \n", 1, "no light"),
        ("0\n", 1, "no light"),
        ("a\0.jpg 0 0 1\n", 1, "zero byte"),
    ],
)
def test_faults_are_named_with_file_and_line(tmp_path, text, line, message):
    path = tmp_path / "dirs.lp"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"{path}, line {line}:") + ".*" + re.escape(message)):
        read_lp(path)


def test_what_is_written_reads_back_to_the_bit(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    names = [f"sub folder/image {index}.png" for index in range(20)]
    write_lp(tmp_path / "dirs.lp", names, vectors)
    lights = read_lp(tmp_path / "dirs.lp")
    assert lights.filenames == names
    np.testing.assert_array_equal(lights.vectors, vectors)


@pytest.mark.parametrize("name", ["a\nb.png", " a.png", "a\\b.png"])
def test_names_that_would_not_read_back_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="would not read back"):
        write_lp(tmp_path / "dirs.lp", [name], [[0, 0, 1]])
    assert not list(tmp_path.iterdir())


def test_writing_wants_as_many_vectors_as_names(tmp_path):
    with pytest.raises(ValueError, match=re.escape("shape (1, 3), wanted (2, 3)")):
        write_lp(tmp_path / "dirs.lp", ["a.png", "b.png"], [[0, 0, 1]])


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg",
        "sub/../../secret.jpg",
        "..",
        "/etc/hostname",
        "//etc/hostname",
        "C:\\a.jpg",
        "link.jpg",
        "linked/secret.jpg",
        "linked/sub/../secret.jpg",
    ],
)
def test_names_outside_of_the_folder_are_refused(tmp_path, name):
    folder = tmp_path / "capture"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (folder / "sub").mkdir()
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "linked").symlink_to(tmp_path)
    path = folder / "dirs.lp"
    path.write_text(f"{name} 0 0 1\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 1:") + ".*outside.*allow_outside=True"):
        locate(read_lp(path), folder, path)


def test_names_outside_of_the_folder_are_read_when_told_so(tmp_path):
    folder = tmp_path / "capture"
    folder.mkdir()
    (tmp_path / "shared.jpg").write_bytes(b"shared")
    path = folder / "dirs.lp"
    path.write_text("../shared.jpg 0 0 1\n")
    (found,) = locate(read_lp(path), folder, path, allow_outside=True)
    assert found.read_bytes() == b"shared"


def test_a_missing_photograph_is_named_with_its_line(tmp_path):
    path = tmp_path / "dirs.lp"
    path.write_text("1\ngone.jpg 0 0 1\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 2: no such file") + ".*gone.jpg"):
        locate(read_lp(path), tmp_path, path)


# Damaged files: sound ones with pieces cut, doubled, swapped or replaced, and plain rubbish.
_FRAGMENTS = [
    b"a.jpg", b"sub\\b 1.png", b"../up.jpg", b"/etc/passwd", b"C:\\x.jpg", b"\\\\host\\x", b"//x", b"..", b".", b"~",
    b" ", b"\t", b"\n", b"\r\n", b"\r", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xd8\x00", b"\xc3", b"\x85", b"\x0c",
    b"0", b"1", b"-1", b"0.5", b".5", b"5.", b"1e5", b"1e999", b"1e-999", b"nan", b"inf", b"-", b"1,5", b"1_0", b"0x1",
    b"3", b"999999999", b"9" * 400, b"a" * 5000, "光".encode(), b"\xe2\x80\xa8", b"a.jpg 0 0 1\n", b"2\n",
    b"#", b"\n# c\n", b",", b";", b"\"", b"'", b"name,x,y,z\n", b"A.JPG,0.1,0,1\n", b"'c.tif';0,5;0;1\n", b"1,200",
    b"C:\\Users\\x\\a.jpg", b" 0 0 1 2\n", b"\xe2\x88\x92", b"._a.jpg", b"a.JPEG",
]  # fmt: skip
_rubbish = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(_FRAGMENTS), max_size=30).map(b"".join))


@st.composite
def _mutated(draw):
    data = b"3\na.jpg 0.1 0.2 0.97\nsub/b 1.png -0.5 0 0.8\nc.tif 0 0 1\n\n"
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 12)))
        data = data[:start] + draw(st.sampled_from([b"", data[start:stop] * 2, *_FRAGMENTS])) + data[stop:]
    return data


def _check_loads_or_names_file_and_line(folder, data, missing="error"):
    path = folder / "dirs.lp"
    path.write_bytes(data)
    try:
        lights = read_lp(path)
        paths = locate(lights, folder, path, missing=missing)
    except ValueError as error:
        assert re.match(re.escape(f"{path}, line ") + r"\d+: ", str(error))
        return
    assert lights.vectors.shape == (len(lights.filenames), 3)
    assert np.all(np.linalg.norm(lights.vectors, axis=1) > 0)
    found = [path for path in paths if path is not None]
    assert found
    assert all(os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep) for path in found)


@pytest.fixture
def capture_folder(tmp_path):
    folder = tmp_path / "capture"
    for name in ["a.jpg", "sub/b 1.png", "c.tif", "1", "0.5"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (tmp_path / "up.jpg").touch()
    return folder


_fixture_is_safe = [HealthCheck.function_scoped_fixture]  # each example overwrites the one file


@settings(max_examples=300, deadline=2000, suppress_health_check=_fixture_is_safe, derandomize=True)
@given(data=st.one_of(_rubbish, _mutated()))
def test_a_damaged_file_loads_or_names_file_and_line(capture_folder, data):
    _check_loads_or_names_file_and_line(capture_folder, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        _check_loads_or_names_file_and_line(capture_folder, data, missing="skip")


@pytest.mark.parametrize(
    "piece",
    ["1 ", "1,", "1;", " ", "\t", "a.jpg 0 0 1\n", "a,", "'", '"', "#\n", ".a", "9", "\n", "0.5 0.5\n", "a.jpg;"],
)
def test_a_large_file_takes_little_time_and_memory(capture_folder, piece):
    data = (piece * (2**18 // len(piece)) + " 0 0 1").encode()
    tracemalloc.start()
    started = time.process_time()
    _check_loads_or_names_file_and_line(capture_folder, data)
    assert time.process_time() - started < 5
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()


_DOME = json.dumps(
    {"lightConfiguration": "spherical", "directions": [{"x": 0, "y": 0, "z": 1}], "positionsSphere": [[0, 3.5, 4]]}
).encode()
_PIECES = [b"", b"[", b"]", b"{", b"}", b",", b"null", b"NaN", b"-1e999", b'"x"', b"[[[[", b"true", b"\xff", b"9" * 400]


@settings(max_examples=200, deadline=2000, suppress_health_check=_fixture_is_safe, derandomize=True)
@given(start=st.integers(0, len(_DOME)), length=st.integers(0, 40), piece=st.sampled_from(_PIECES))
def test_a_damaged_dome_loads_or_is_named(tmp_path, start, length, piece):
    path = tmp_path / "our.dome"
    path.write_bytes(_DOME[:start] + piece + _DOME[start + length :])
    try:
        vectors = read_dome(path).vectors
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert vectors.shape[1:] == (3,)
        assert np.isfinite(vectors).all()


@pytest.mark.slow
@settings(max_examples=10_000, deadline=2000, suppress_health_check=_fixture_is_safe)
@given(data=st.one_of(_rubbish, _mutated()))
def test_ten_thousand_damaged_files_load_or_name_file_and_line(capture_folder, data):
    _check_loads_or_names_file_and_line(capture_folder, data)
