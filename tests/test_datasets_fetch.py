"""Fetching, from a server on this machine that can also break off, drip, lie and refuse."""

import contextlib
import hashlib
import http.server
import re
import threading
import time

import numpy as np
import pytest
from capture_files import pixels, write_capture, write_ltm

from sklrelight.datasets import _fetch, fetch_bull, fetch_realrti_item3, fetch_waldorf, get_data_home

pytest.importorskip("pooch")

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SUM = hashlib.sha256(CONTENT).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        name = self.path.rsplit("/", 1)[1]
        server.asked.append(name)
        if name not in server.files:
            self.send_error(404)
            return
        content = server.files[name]
        self.send_response(200)
        if server.lengths:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        # Who gives up hangs up, in the middle of an answer.
        with contextlib.suppress(ConnectionError):
            if name in server.drips:
                while not server.stopped.wait(0.02):
                    self.wfile.write(b"x")
            self.wfile.write(content[: server.stop])


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.files = {"data.bin": CONTENT}
        # Names asked for, names that come byte by byte, whether lengths are told, where answers break off.
        server.asked, server.drips, server.lengths, server.stop = [], [], True, None
        server.stopped = threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


def fetch(server, folder, checksums=None, *, max_time=60, max_bytes=10**8, progress=False):
    downloader = _fetch._Downloader(max_time, max_bytes, progress=progress)
    _fetch._fetch_files(server.url, checksums or {"data.bin": SUM}, folder, True, downloader)


def test_fetched_once_and_kept(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    fetch(server, folder)
    assert (folder / "data.bin").read_bytes() == CONTENT
    fetch(server, folder)
    assert server.asked == ["data.bin"]
    assert [entry.name for entry in folder.iterdir()] == ["data.bin"]


def test_the_time_is_limited_however_slowly_bytes_come(server, tmp_path):
    server.drips = ["slow.bin"]
    server.files["slow.bin"] = CONTENT
    fetch(server, tmp_path)
    start = time.perf_counter()
    with pytest.raises(TimeoutError, match=r"Fetching .*slow\.bin takes longer than max_time=0\.3 seconds"):
        fetch(server, tmp_path, {"data.bin": SUM, "slow.bin": SUM}, max_time=0.3)
    assert time.perf_counter() - start < 10
    # The whole file is kept, and nothing of the other.
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.bin"]


@pytest.mark.parametrize("length", [True, False])
def test_the_size_is_limited_over_all_files(server, tmp_path, length):
    server.lengths = length
    server.files["more.bin"] = CONTENT
    with pytest.raises(ValueError, match=r"more\.bin sent is not more\.bin: more than 4000000 bytes have arrived"):
        fetch(server, tmp_path, {"data.bin": SUM, "more.bin": SUM}, max_bytes=4_000_000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.bin"]
    fetch(server, tmp_path, {"data.bin": SUM, "more.bin": SUM}, max_bytes=len(CONTENT))


@pytest.mark.parametrize("length", [True, False])
def test_an_answer_that_breaks_off_leaves_nothing(server, tmp_path, length):
    server.lengths, server.stop = length, 1_000_000
    # Without a length only the checksum can tell.
    with pytest.raises(ConnectionError if length else ValueError, match=re.escape(f"{server.url}data.bin")):
        fetch(server, tmp_path)
    assert not list(tmp_path.iterdir())
    server.stop = None
    fetch(server, tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_corrupted_answer_leaves_nothing(server, tmp_path):
    damaged = bytearray(CONTENT)
    damaged[1234] ^= 1
    server.files["data.bin"] = bytes(damaged)
    with pytest.raises(ValueError, match=re.escape(f"What {server.url}data.bin sent is not data.bin: ") + ".*SHA256"):
        fetch(server, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_asked_for_once(server, tmp_path):
    with pytest.raises(ConnectionError, match=r"other\.bin: 404.*SKLRELIGHT_DATA or data_home="):
        fetch(server, tmp_path, {"other.bin": None})
    assert len(server.asked) == 1
    assert not list(tmp_path.iterdir())


def test_without_a_network(tmp_path):
    # Nothing listens on this port of this machine.
    wanted = rf"Cannot fetch http://127\.0\.0\.1:9/Red\.mat: .* put the file at {re.escape(str(tmp_path))}"
    with pytest.raises(ConnectionError, match=wanted):
        fetch_waldorf(data_home=tmp_path, base_url="http://127.0.0.1:9/")
    assert not list((tmp_path / "waldorf").iterdir())


def test_a_login_page_is_no_capture(server, tmp_path):
    name = "Red.mat"
    server.files[name] = b"<html><body>Please log in to the network first.</body></html>\n"
    with pytest.raises(ValueError, match=re.escape(f"What {server.url}{name} sent is not {name}: ")):
        fetch(server, tmp_path, {name: None})
    assert not list(tmp_path.iterdir())


def test_the_bar_counts_bytes(server, tmp_path, capsys):
    fetch(server, tmp_path, progress=True)
    assert "data.bin: 100%" in (shown := capsys.readouterr().err)
    assert "3.00M/3.00M" in shown


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
    monkeypatch.setattr(_fetch, "_LTM_SHAPE", (4, 6))
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
    server.lengths, server.stop = False, len(server.files["Blue.mat"]) // 2
    with pytest.raises(ValueError, match=r"not Blue\.mat: it is no MATLAB v7\.3 .* or cut"):
        fetch_ltm(base_url=server.url)
    assert not (tmp_path / "home" / name / "Blue.mat").exists()


def test_the_painted_panel(server, tmp_path, monkeypatch):
    source = tmp_path / "source"
    names = [f"image{number:02}.jpg" for number in range(1, 73)]
    lights = write_capture(source, pixels(n=72, height=16, width=24), names=names)
    server.files |= {path.name: path.read_bytes() for path in source.iterdir()}
    with pytest.raises(ValueError, match=r"dirs\.lp sent is not dirs\.lp: SHA256"):
        fetch_realrti_item3(data_home=tmp_path, base_url=server.url)
    sums = {name: hashlib.sha256(server.files[name]).hexdigest() for name in ["dirs.lp", *names]}
    assert _fetch._item3_checksums().keys() == sums.keys()
    monkeypatch.setattr(_fetch, "_item3_checksums", lambda: sums)
    server.asked.clear()
    capture = fetch_realrti_item3(data_home=tmp_path, base_url=server.url, downscale=8)
    assert capture.images.shape == (72, 2, 3, 3)
    np.testing.assert_allclose(capture.lights, lights)
    assert len(server.asked) == 73
