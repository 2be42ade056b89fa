"""Fetching, from a server on this machine that can also break off, lie and refuse."""

import hashlib
import http.server
import re
import threading

import numpy as np
import pytest
from capture_files import pixels, write_capture, write_ltm

from sklrelight.datasets import _fetch as fetch_module
from sklrelight.datasets import fetch_bull, fetch_realrti_item3, fetch_waldorf, get_data_home
from sklrelight.datasets._download import RemoteFile, fetch_files

pytest.importorskip("pooch")

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SUM = hashlib.sha256(CONTENT).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        name = self.path.rsplit("/", 1)[1]
        asked = self.headers.get("Range")
        server.asked.append((name, asked))
        if name not in server.files:
            self.send_error(404)
            return
        content, etag = server.files[name], server.etags.get(name)
        start = 0
        if asked and server.ranges and self.headers.get("If-Range") == etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        if server.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        if etag:
            self.send_header("ETag", etag)
        self.end_headers()
        # How much to send of each answer, before the connection breaks off.
        stop = server.stops.pop(0) if server.stops else len(content)
        self.wfile.write(content[start:stop])


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.files, server.etags = {"data.bin": CONTENT}, {"data.bin": '"one"'}
        server.asked, server.stops, server.ranges, server.lengths = [], [], True, True
        server.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server, folder, sha256=SUM, **options):
    files = [RemoteFile("data.bin", server.url + "data.bin", sha256)]
    return fetch_files(files, folder, progress=False, **options)


def test_fetched_once_and_kept(server, tmp_path):
    (path,) = fetch(server, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "data.bin"
    assert path.read_bytes() == CONTENT
    fetch(server, path.parent)
    assert server.asked == [("data.bin", None)]
    assert [entry.name for entry in path.parent.iterdir()] == ["data.bin"]


def test_an_answer_that_breaks_off_is_resumed(server, tmp_path):
    server.stops = [1_000_000, 2_500_000]
    (path,) = fetch(server, tmp_path, retries=2)
    assert path.read_bytes() == CONTENT
    (first, second, third) = [asked for _, asked in server.asked]
    assert first is None
    # The client may lose what it had not yet read when the connection broke off, but never gains anything.
    assert 0 < int(second[6:-1]) <= 1_000_000 <= int(third[6:-1]) <= 2_500_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.bin"]


def test_the_next_run_resumes(server, tmp_path):
    server.stops = [1_500_000]
    with pytest.raises(ConnectionError, match=re.escape(f"Cannot fetch {server.url}data.bin: ")):
        fetch(server, tmp_path, retries=0)
    assert not (tmp_path / "data.bin").exists()
    (path,) = fetch(server, tmp_path, retries=0)
    assert path.read_bytes() == CONTENT
    assert server.asked[1][1].startswith("bytes=1")


@pytest.mark.parametrize("reason", ["no ranges", "no validator", "weak validator", "another file", "too much"])
def test_otherwise_it_starts_afresh(server, tmp_path, reason):
    server.stops = [1_500_000]
    if reason == "no validator":
        server.etags.clear()
    elif reason == "weak validator":
        server.etags["data.bin"] = 'W/"one"'
    with pytest.raises(ConnectionError):
        fetch(server, tmp_path, retries=0)
    if reason == "no ranges":
        server.ranges = False
    elif reason == "another file":
        server.files["data.bin"], server.etags["data.bin"] = CONTENT[::-1], '"two"'
    elif reason == "too much":
        (tmp_path / "data.bin.part").write_bytes(CONTENT + b"more")
    content = server.files["data.bin"]
    (path,) = fetch(server, tmp_path, hashlib.sha256(content).hexdigest(), retries=0)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.bin"]


@pytest.mark.parametrize("length", [True, False])
def test_a_truncated_answer_never_gets_the_name(server, tmp_path, length):
    server.lengths, server.stops = length, [1_000_000] * 3
    # Without a length only the checksum can tell.
    with pytest.raises(ConnectionError if length else ValueError, match=re.escape(f"{server.url}data.bin")):
        fetch(server, tmp_path)
    assert not (tmp_path / "data.bin").exists()
    assert (tmp_path / "data.bin.part").exists() == length


def test_a_corrupted_answer_leaves_nothing(server, tmp_path):
    damaged = bytearray(CONTENT)
    damaged[1234] ^= 1
    server.files["data.bin"] = bytes(damaged)
    with pytest.raises(ValueError, match=re.escape(f"What {server.url}data.bin sent is not data.bin: ") + ".*SHA256"):
        fetch(server, tmp_path)
    assert not list(tmp_path.iterdir())
    server.files["data.bin"] = CONTENT
    assert fetch(server, tmp_path)[0].read_bytes() == CONTENT


def test_a_missing_file_is_asked_for_once(server, tmp_path):
    files = [RemoteFile("other.bin", server.url + "other.bin")]
    with pytest.raises(ConnectionError, match=r"other\.bin: 404.*SKLRELIGHT_DATA or data_home="):
        fetch_files(files, tmp_path, progress=False)
    assert len(server.asked) == 1
    assert not list(tmp_path.iterdir())


def test_without_a_network(tmp_path):
    # Nothing listens on this port of this machine.
    files = [RemoteFile("Red.mat", "http://127.0.0.1:9/Red.mat")]
    wanted = rf"Cannot fetch http://127\.0\.0\.1:9/Red\.mat: .* put the file at {re.escape(str(tmp_path))}"
    with pytest.raises(ConnectionError, match=wanted):
        fetch_files(files, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["Red.mat", "dirs.lp", "image01.jpg"])
def test_a_login_page_is_no_capture(server, tmp_path, name):
    server.files[name] = b"<html><body>Please log in to the network first.</body></html>\n"
    with pytest.raises(ValueError, match=re.escape(f"What {server.url}{name} sent is not {name}: ")):
        fetch_files([RemoteFile(name, server.url + name)], tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_the_bar_counts_bytes(server, tmp_path, capsys):
    fetch_files([RemoteFile("data.bin", server.url + "data.bin", SUM)], tmp_path)
    assert "3.00M/3.00M" in capsys.readouterr().err


def test_the_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKLRELIGHT_DATA", str(tmp_path / "named"))
    assert get_data_home() == tmp_path / "named"
    assert get_data_home(tmp_path) == tmp_path
    monkeypatch.delenv("SKLRELIGHT_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert get_data_home().name == "sklrelight"


@pytest.mark.parametrize("fetch_ltm", [fetch_waldorf, fetch_bull])
def test_light_transport_captures(server, tmp_path, monkeypatch, fetch_ltm):
    name = fetch_ltm.__name__.removeprefix("fetch_")
    monkeypatch.setattr(fetch_module, "_LTM_SHAPE", (4, 6))
    monkeypatch.setenv("SKLRELIGHT_DATA", str(tmp_path / "home"))
    images = pixels(n=16, height=4, width=6, dtype=np.float32)
    write_ltm(tmp_path, images)
    server.files |= {path.name: path.read_bytes() for path in tmp_path.glob("*.mat")}
    capture = fetch_ltm(base_url=server.url, crop=(0, 4, 2, 6), progress=False)
    np.testing.assert_array_equal(capture.images, images[:, :, 2:])
    assert sorted(path.name for path in (tmp_path / "home" / name).iterdir()) == ["Blue.mat", "Green.mat", "Red.mat"]
    fetch_ltm(download_if_missing=False)
    assert len(server.asked) == 3
    # Cut, without a length to tell by: the file itself does.
    (tmp_path / "home" / name / "Blue.mat").unlink()
    server.lengths, server.stops = False, [len(server.files["Blue.mat"]) // 2]
    with pytest.raises(ValueError, match=r"not Blue\.mat: it is no MATLAB v7\.3 .* or cut"):
        fetch_ltm(base_url=server.url)
    assert not (tmp_path / "home" / name / "Blue.mat").exists()


def test_the_painted_panel(server, tmp_path):
    source = tmp_path / "source"
    names = [f"image{number:02}.jpg" for number in range(1, 73)]
    lights = write_capture(source, pixels(n=72, height=16, width=24), names=names)
    server.files |= {path.name: path.read_bytes() for path in source.iterdir()}
    capture = fetch_realrti_item3(data_home=tmp_path, base_url=server.url, downscale=8)
    assert capture.images.shape == (72, 2, 3, 3)
    np.testing.assert_allclose(capture.lights, lights)
    assert len(server.asked) == 73
