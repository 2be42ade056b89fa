"""The command line, from a folder of JPEGs to a page, as people who do not write Python use it."""

import json
import re
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from capture_files import directions, write_capture, write_image
from click.testing import CliRunner

import sklrelight
from sklrelight import load_model
from sklrelight.cli import main
from sklrelight.datasets import load_image, read_lp, save_image

COMMANDS = ("info", "fit", "relight", "page", "openlime", "video", "evaluate", "lights")
LIGHTS = directions(8)


def run(*arguments, code=0):
    """Run a command; return all that it prints."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="sklrelight")
    assert result.exit_code == code, result.output
    return result.output


def write_coin(folder, **options):
    """Write 8 JPEGs of 48 x 32 pixels: a bulge under lights from 8 directions."""
    rows, columns = np.mgrid[-1:1:32j, -1.5:1.5:48j]
    normals = np.dstack([columns, -rows, np.ones_like(rows)])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    shading = np.clip(np.einsum("hwc,nc->nhw", normals, LIGHTS), 0, None)
    images = np.round(40 + 160 * shading[..., None] * [1.0, 0.8, 0.6]).astype(np.uint8)
    write_capture(folder, images, LIGHTS, suffix=".jpg", **options)
    return folder


@pytest.fixture(scope="module")
def coin(tmp_path_factory):
    return write_coin(tmp_path_factory.mktemp("captures") / "coin")


@pytest.fixture(scope="module")
def model(coin, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "coin.relight"
    run("fit", coin, "-o", path, "--max-time", 0.5)
    return path


@pytest.fixture
def panorama(tmp_path):
    """A panorama whose light comes from behind the camera, from the right."""
    image = np.full((16, 32, 3), 0.05, np.float32)
    image[6:8, 25:28] = [9.0, 6.0, 3.0]
    save_image(tmp_path / "map.hdr", image)
    return tmp_path / "map.hdr"


def mean_column(path):
    """Middle of the brightness of an image file, from -1 at the left to 1 at the right."""
    image = load_image(path)
    columns = np.linspace(-1, 1, image.shape[1])
    return float((image.mean(axis=(0, -1)) * columns).sum() / image.mean(axis=(0, -1)).sum())


class TestHelp:
    def test_lists_the_commands_in_the_order_of_their_use(self):
        listed = re.findall(r"^  (\w+) ", run("--help").split("Commands:")[1], re.MULTILINE)
        assert tuple(listed) == COMMANDS
        assert "..." not in run("--help").split("Commands:")[1]

    @pytest.mark.parametrize("command", COMMANDS)
    def test_fits_on_a_screen_in_whole_words(self, command):
        text = run(command, "--help")
        assert "FLOAT" not in text
        assert "INTEGER" not in text
        assert len(text.splitlines()) < 60

    def test_version(self):
        assert re.fullmatch(r"sklrelight, version \d+\.\d+\.\d+\n", run("--version"))


class TestInfo:
    def test_tells_number_size_depth_and_lights(self, coin):
        shown = run("info", coin)
        heights = np.degrees(np.arcsin(LIGHTS[:, 2]))
        for text in (
            "photographs  8",
            "48 x 32 pixels",
            "8 bits, read by the sRGB curve",
            f"{heights.min():.0f} to {heights.max():.0f} degrees above",
            f"Next: sklrelight fit {coin} -o coin.relight",
        ):
            assert text in shown

    def test_options_are_those_of_the_loaders_and_stay_in_the_next_command(self, coin):
        options = ["--crop", 2, 30, 0, 48, "--downscale", 2, "--decode", "2.2"]
        shown = run("info", coin, *options)
        assert "24 x 14 pixels" in shown
        assert "by the power 2.2" in shown
        assert shown.rstrip().endswith("--crop 2 30 0 48 --downscale 2 --decode 2.2")

    def test_overexposed_photographs_are_told_of(self, tmp_path):
        images = np.full((3, 8, 8, 3), 255, np.uint8)
        write_capture(tmp_path, images)
        assert "100.0% of all values are overexposed" in run("info", tmp_path)

    def test_large_photographs_get_a_hint(self, tmp_path):
        write_capture(tmp_path, np.zeros((2, 1500, 2000), np.uint8))
        assert "--downscale 2" in run("info", tmp_path)

    def test_sheet(self, coin, tmp_path):
        run("info", coin, "--sheet", tmp_path / "sheet.png")
        assert load_image(tmp_path / "sheet.png").shape[1] > 1000

    def test_a_mask_is_found_from_here_and_in_the_capture(self, tmp_path, monkeypatch):
        folder = write_coin(tmp_path / "coin")
        mask = np.zeros((32, 48), np.uint8)
        mask[:, :12] = 255
        write_image(folder / "inside.png", mask)
        write_image(tmp_path / "here.png", mask)
        monkeypatch.chdir(tmp_path)
        for name in ("inside.png", "here.png"):
            assert "covers 25% of the image" in run("info", folder, "--mask", name)

    def test_missing_photographs(self, tmp_path):
        folder = write_coin(tmp_path / "coin")
        (folder / "image03.jpg").unlink()
        assert "image03.jpg" in run("info", folder, code=1)
        shown = run("info", folder, "--missing", "skip")
        assert "Note: " in shown
        assert "photographs  7" in shown


class TestFit:
    def test_writes_a_model_and_tells_its_error(self, model, coin, tmp_path):
        shown = run("fit", coin, "-o", tmp_path / "again.relight", "--max-time", 0.5)
        told = re.search(r"with an error of (\d+\.\d)% of their brightness on a screen: the difference", shown)
        error = load_model(tmp_path / "again.relight").regressor_.held_out_error_
        assert float(told[1]) == pytest.approx(100 * error, abs=0.051)
        assert f"Next: sklrelight page {tmp_path / 'again.relight'} -o {tmp_path / 'again.html'}" in shown
        assert load_model(model).regressor_.target_shape_ == (32, 48, 3)

    def test_the_progress_is_a_share(self, coin, tmp_path):
        shown = run("fit", coin, "-o", tmp_path / "coin.relight", "--max-time", 0.1)
        assert "Training 100%" in shown
        assert "observations" not in shown

    def test_a_model_is_not_replaced_unless_asked(self, coin, tmp_path):
        path = tmp_path / "coin.relight"
        path.write_text("precious")
        shown = run("fit", coin, "-o", path, code=1)
        assert "is there already" in shown
        assert "--overwrite" in shown
        assert path.read_text() == "precious"
        run("fit", coin, "-o", path, "--overwrite", "--max-time", 0.1)
        load_model(path)

    def test_two_photographs_have_no_error(self, tmp_path):
        write_capture(tmp_path / "two", np.full((2, 8, 8, 3), 90, np.uint8))
        shown = run("fit", tmp_path / "two", "-o", tmp_path / "two.relight", "--max-time", 0.1)
        assert "too few photographs" in shown


class TestRelight:
    def test_a_training_light_gives_the_photograph(self, model, coin, tmp_path):
        run("relight", model, "--light", *LIGHTS[2], "-o", tmp_path / "relit.png")
        relit, photograph = load_image(tmp_path / "relit.png"), load_image(coin / "image02.jpg")
        assert relit.mean() == pytest.approx(photograph.mean(), rel=0.05)

    def test_azimuth_and_elevation_name_a_direction(self, model, tmp_path):
        run("relight", model, "--azimuth", 0, "--elevation", 40, "-o", tmp_path / "angles.png")
        direction = [np.cos(np.radians(40)), 0, np.sin(np.radians(40))]
        run("relight", model, "--light", *direction, "-o", tmp_path / "light.png")
        np.testing.assert_allclose(load_image(tmp_path / "angles.png"), load_image(tmp_path / "light.png"), atol=0.01)
        run("relight", model, "--azimuth", 180, "--elevation", 40, "-o", tmp_path / "left.png")
        assert mean_column(tmp_path / "left.png") < mean_column(tmp_path / "angles.png")

    def test_the_length_of_a_direction_does_not_matter(self, model, tmp_path):
        shown = run("relight", model, "--light", 1, 1, 2, "-o", tmp_path / "long.png")
        assert "Note" not in shown
        run("relight", model, "--light", 0.5, 0.5, 1, "-o", tmp_path / "short.png")
        assert (tmp_path / "long.png").read_bytes() == (tmp_path / "short.png").read_bytes()

    def test_several_lights_add_up(self, model, tmp_path):
        one, other = (0.4, 0, 0.9), (-0.4, 0, 0.9)
        for name, arguments in {
            "one.exr": ["--light", *one],
            "other.exr": ["--light", *other],
            "both.exr": ["--light", *one, "--light", *other, "--intensity", 1, "--intensity", 0.5],
        }.items():
            run("relight", model, *arguments, "-o", tmp_path / name)
        images = [load_image(tmp_path / name) for name in ("one.exr", "other.exr", "both.exr")]
        np.testing.assert_allclose(images[0] + 0.5 * images[1], images[2], rtol=0.01, atol=1e-3)

    def test_a_folder_gets_an_image_for_each_light(self, model, tmp_path):
        run("relight", model, "--azimuth", 0, "--azimuth", 180, "--elevation", 50, "-o", tmp_path / "both")
        names = sorted(path.name for path in (tmp_path / "both").iterdir())
        assert names == ["light_001.png", "light_002.png"]
        assert mean_column(tmp_path / "both" / "light_001.png") > mean_column(tmp_path / "both" / "light_002.png")

    def test_an_environment_lights_from_its_side(self, model, panorama, tmp_path):
        run("relight", model, "--environment", panorama, "--n-lights", 8, "-o", tmp_path / "right.png")
        shown = run(
            *("relight", model, "--environment", panorama, "--n-lights", 8, "--rotation", 90),
            *("-o", tmp_path / "turned.png"),
        )
        assert re.search(r"Note: \d+% of the panorama's light is left out", shown)
        assert mean_column(tmp_path / "right.png") > mean_column(tmp_path / "turned.png")
        assert load_image(tmp_path / "right.png").max() == pytest.approx(1, abs=0.02)

    def test_what_is_brighter_than_white_is_told_of(self, model, tmp_path):
        light = ["--light", 0, 0, 1]
        shown = run("relight", model, *light, "--exposure", 3, "-o", tmp_path / "bright.png")
        assert re.search(r"Note: \d+% of bright.png is brighter than white", shown)
        assert "Note" not in run("relight", model, *light, "-o", tmp_path / "ordinary.png")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "Give the light by --light"),
            (["--light", 0, 0, 1, "--azimuth", 3], "Give the light by --light"),
            (["--azimuth", 3], "Each light has an --azimuth and an --elevation: got 1 and 0"),
            (["--azimuth", 3, "--elevation", 91], "91"),
            (["--light", 0, 0], "'-o' is not a valid float"),
            (["--light", 0, 0, 1, "--intensity", 1, "--intensity", 2], "1 lights need 1 times --intensity, got 2"),
        ],
    )
    def test_misuse_is_named_with_code_2(self, model, tmp_path, arguments, message):
        assert message in " ".join(run("relight", model, *arguments, "-o", tmp_path / "x.png", code=2).split())

    def test_other_faults_are_one_line_with_code_1(self, model, coin, tmp_path):
        for arguments, message in [
            ([model, "--light", 0, 0, 0, "-o", tmp_path / "x.png"], "a light at 0 0 0 has no direction"),
            ([model, "--light", 0, 0, 1, "-o", tmp_path / "x.gif"], "'.gif'"),
            ([model, "--light", 0, 0, 1, "-o", tmp_path / "no" / "x.png"], "there is no folder"),
            ([model, "--light", 0, 0, 1, "-o", coin / "image00.jpg"], "is there already"),
            ([coin / "image00.jpg", "--light", 0, 0, 1, "-o", tmp_path / "x.png"], "image00.jpg"),
        ]:
            shown = run("relight", *arguments, code=1)
            assert shown.startswith("Error: ")
            assert shown.count("\n") == 1
            assert message in shown
        assert list(tmp_path.iterdir()) == []

    def test_a_fault_of_the_program_is_one_line_too(self, model, tmp_path, monkeypatch):
        def fail(path):
            raise RuntimeError("out of\nmemory")

        monkeypatch.setattr("sklrelight.persistence.load_model", fail)
        shown = run("relight", model, "--light", 0, 0, 1, "-o", tmp_path / "x.png", code=1)
        assert shown == "Error: RuntimeError: out of memory; --debug shows where it arose\n"

    def test_debug_shows_the_traceback(self, model, tmp_path):
        arguments = ["relight", str(model), "--light", "0", "0", "0", "-o", str(tmp_path / "x.png"), "--debug"]
        result = CliRunner().invoke(main, arguments)
        assert isinstance(result.exception, ValueError)


class TestPageAndVideo:
    def test_page(self, model, tmp_path):
        shown = run("page", model, "-o", tmp_path / "coin.html", "--title", "A <coin>")
        assert "<title>A &lt;coin&gt;" in (tmp_path / "coin.html").read_text(encoding="utf-8")
        assert "Open it in a browser" in shown
        assert "Next: sklrelight video" in shown

    def test_openlime(self, model, tmp_path):
        shown = run("openlime", model, "-o", tmp_path / "web", "--title", "A <coin>")
        assert "<title>A &lt;coin&gt;" in (tmp_path / "web" / "index.html").read_text(encoding="utf-8")
        assert json.loads((tmp_path / "web" / "info.json").read_text())["type"] == "bilinear"
        assert "differs from the model by" in shown

    def test_page_that_zooms(self, model, tmp_path):
        shown = run("page", model, "--zoom", "--pixel-size", 0.1, "-o", tmp_path / "web")
        assert "index.html in a browser" in shown
        assert (tmp_path / "web" / "tiles" / "0" / "0_0.js").exists()
        result = CliRunner().invoke(main, ["page", str(model), "--pixel-size", "1", "-o", str(tmp_path / "x.html")])
        assert result.exit_code == 2
        assert "--zoom" in result.output

    def test_frames_go_round(self, model, tmp_path):
        run("video", model, "-o", tmp_path / "frames", "--frames", 4, "--elevation", 50)
        frames = sorted((tmp_path / "frames").iterdir())
        assert [path.name for path in frames] == [f"frame_00{number}.png" for number in range(1, 5)]
        right, _, left, _ = map(mean_column, frames)
        assert right > left

    def test_a_panorama_turns(self, model, panorama, tmp_path):
        shown = run(
            *("video", model, "--environment", panorama, "--n-lights", 4, "--frames", 3),
            *("-o", tmp_path / "frames"),
        )
        assert len(list((tmp_path / "frames").iterdir())) == 3
        assert shown.count("is left out") <= 4

    def test_video(self, model, tmp_path):
        pytest.importorskip("imageio_ffmpeg")
        shown = run("video", model, "-o", tmp_path / "coin.mp4", "--frames", 6, "--fps", 12)
        assert "(0.5 s)" in shown
        video = cv2.VideoCapture(str(tmp_path / "coin.mp4"))
        assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 6
        run("video", model, "-o", tmp_path / "frames", "--frames", 6)
        found, frame = video.read()
        assert found
        still = cv2.imread(str(tmp_path / "frames" / "frame_001.png"))
        assert np.abs(frame.astype(int) - still).mean() < 6

    def test_without_the_extra_it_says_how_to_get_it(self, model, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
        assert "pip install 'sklrelight[video]'" in run("video", model, "-o", tmp_path / "coin.mp4", code=1)

    def test_a_name_that_is_no_video_is_misuse(self, model, tmp_path):
        assert "ends in .mp4" in run("video", model, "-o", tmp_path / "coin.avi", code=2)

    def test_a_folder_with_files_is_left_alone(self, model, coin):
        assert "which stay as they are" in run("video", model, "-o", coin, "--overwrite", code=1)


def test_evaluate_compares_models(coin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = run("evaluate", coin, "--max-time", 0.3)
    assert "2 photographs are held out, 6 are fitted to" in shown
    rows = re.findall(r"^(\w[\w ()]+?)  +(\d+\.\d)%  (\d\d\.\d) dB +\d+\.\d s$", shown, re.MULTILINE)
    assert [name for name, *_ in rows] == [
        "sklrelight",
        "nearest photograph",
        "linear interpolation",
        "radial basis functions (RBF)",
        "polynomial texture map (PTM)",
        "hemispherical harmonics (HSH)",
    ]
    assert load_image(tmp_path / "coin_evaluation.png").shape[1] > 1000
    assert "is there already" in run("evaluate", coin, code=1)


def test_evaluate_names_the_models_that_are_not_possible(tmp_path):
    """Lights along a line are no directions."""
    lights = np.linspace(0, 1, 8)[:, None]
    np.savez(tmp_path / "line.npz", lights=lights, images=np.ones((8, 6, 8, 3)) * lights[:, None, None])
    shown = run("evaluate", tmp_path / "line.npz", "--max-time", 0.2, "-o", tmp_path / "evaluation.png")
    assert re.search(r"hemispherical harmonics \(HSH\) +not possible: ", shown)
    model = tmp_path / "line.relight"
    run("fit", tmp_path / "line.npz", "-o", model, "--max-time", 0.2)
    assert "1 numbers each" in run("relight", model, "--light", 0, 0, 1, "-o", tmp_path / "x.png", code=1)
    assert "places in a plane" in run("video", model, "-o", tmp_path / "x", code=1)


def test_evaluate_needs_photographs_to_fit_to(tmp_path):
    write_capture(tmp_path / "two", np.zeros((2, 8, 8, 3), np.uint8))
    assert "too few" in run("evaluate", tmp_path / "two", "-o", tmp_path / "evaluation.png", code=1)


class TestLights:
    """A mirror ball of 20 pixels' radius, beside an object."""

    centre, radius = (30.0, 28.0), 20.0

    @pytest.fixture
    def folder(self, tmp_path):
        rows, columns = np.mgrid[0:64, 0:120]
        right, up = (columns - self.centre[0]) / self.radius, (self.centre[1] - rows) / self.radius
        towards = np.sqrt(np.clip(1 - right**2 - up**2, 0, None))
        mirrored = np.dstack([2 * towards * right, 2 * towards * up, 2 * towards**2 - 1])
        ball = right**2 + up**2 < 1
        for number, light in enumerate(self.directions):
            image = np.full((64, 120, 3), 120, np.uint8)
            image[ball] = 10
            image[ball & (mirrored @ light > 0.97)] = 255
            write_image(tmp_path / "ball" / f"shot_{number + 1}.png", image)
        return tmp_path / "ball"

    directions = np.array([[np.cos(a) * 0.6, np.sin(a) * 0.6, 0.8] for a in np.arange(12) * np.pi / 6])

    def check(self, path):
        found = read_lp(path)
        # In the order of their numbers.
        assert found.filenames == [f"shot_{number}.png" for number in range(1, 13)]
        assert np.degrees(np.arccos((found.vectors * self.directions).sum(axis=1).clip(-1, 1))).max() < 4

    def test_from_a_sphere_that_is_given(self, folder):
        shown = run("lights", folder, "--sphere", *self.centre, self.radius)
        self.check(folder / "lights.lp")
        assert f"Next: sklrelight info {folder}\n" in shown
        assert "photographs  12" in run("info", folder)

    def test_from_a_sphere_that_is_found(self, folder, tmp_path):
        shown = run("lights", folder, "--find-sphere", "-o", tmp_path / "dome.lp")
        column, row, radius = map(float, re.search(r"--sphere (\S+) (\S+) (\S+)", shown).groups())
        assert (column, row, radius) == pytest.approx((*self.centre, self.radius), abs=1.5)
        self.check(tmp_path / "dome.lp")
        assert f"--light-file {tmp_path / 'dome.lp'}" in shown

    def test_a_large_photograph_is_looked_at_twice(self, folder, monkeypatch):
        monkeypatch.setattr("sklrelight.cli._LOOKED_AT", 60)
        shown = run("lights", folder, "--find-sphere")
        column, row, radius = map(float, re.search(r"--sphere (\S+) (\S+) (\S+)", shown).groups())
        assert (column, row, radius) == pytest.approx((*self.centre, self.radius), abs=1.5)

    def test_a_sphere_that_is_not_in_the_photographs(self, folder):
        assert "which are 120 x 64 pixels" in run("lights", folder, "--sphere", 10, 10, 20, code=1)

    def test_one_way_has_to_be_chosen(self, folder):
        assert "--find-sphere" in run("lights", folder, code=2)

    def test_a_folder_without_photographs(self, tmp_path):
        assert "holds no photographs" in run("lights", tmp_path, "--find-sphere", code=1)


def test_as_a_newcomer_in_a_terminal(tmp_path):
    """The commands as they follow each other, each the one that the last has named."""
    write_coin(tmp_path / "my coin")

    def shell(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "sklrelight", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    shown = shell("info", "my coin")
    assert "Next: sklrelight fit 'my coin' -o 'my coin.relight'" in shown
    assert "Traceback" not in shell("fit", "my coin", "-o", "my coin.relight", "--max-time", "0.5")


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process only")
def test_ctrl_c_leaves_no_file(coin, tmp_path):
    command = [sys.executable, "-m", "sklrelight", "fit", str(coin), "-o", "coin.relight", "--max-time", "60"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    seen = ""
    while "Training" not in seen:
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. Nothing was written." in rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_as_bright_as_what_the_model_predicts(model, tmp_path, monkeypatch):
    given = {}

    def record(relighter, path, **options):
        given.update(options)
        raise OSError("enough")

    monkeypatch.setattr(sklrelight.viewer, "export_html", record)
    run("page", model, "-o", tmp_path / "coin.html", code=1)
    # Photographs of 8 bits: white is 1, however dark the brightest pixel is.
    assert given["white"] == 1


def test_files_of_rti_software_are_no_models(tmp_path):
    (tmp_path / "coin.ptm").write_bytes(b"PTM_1.2\n")
    assert "load_ptm" in run("page", tmp_path / "coin.ptm", "-o", tmp_path / "coin.html", code=1)


def test_lengths_of_lights_that_are_not_used_are_told(tmp_path):
    folder = write_coin(tmp_path / "coin")
    assert "not used" not in run("info", folder)
    lines = [line.split() for line in next(folder.glob("*.lp")).read_text().splitlines()]
    lines = [lines[0], *([name, *(str(40 * float(value)) for value in vector)] for name, *vector in lines[1:])]
    next(folder.glob("*.lp")).write_text("\n".join(map(" ".join, lines)))
    assert "lengths of 40 to 40, which are not used" in " ".join(run("info", folder).split())
