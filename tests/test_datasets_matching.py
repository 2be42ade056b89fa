"""Light files as programs and people write them, and how their photographs are found."""

import json
import os
import re
import unicodedata

import numpy as np
import pytest
from capture_files import directions, pixels, write_capture, write_image, write_ltm

from sklrelight.datasets import load_diligent, load_ltm, load_npz, load_rti, read_lp, write_lp

VECTORS = [[0.6, 0.0, 0.8], [0.0, -0.6, 0.8]]


def _rewrite(folder, *lines):
    (folder / "dirs.lp").write_text("\n".join(lines) + "\n", encoding="utf-8")


# -- The .lp file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "# made by hand\n2\na b.jpg 0.6 0 0.8\n  # the next one is dim\nc.jpg 0 -0.6 0.8\n",
        "a b.jpg,0.6,0,0.8\nc.jpg,0,-0.6,0.8\n",
        "filename,x,y,z\na b.jpg,0.6,0,0.8\nc.jpg,0,-0.6,0.8\n",
        '"name";"lx";"ly";"lz"\n"a b.jpg";"0,6";"0";"0,8"\n"c.jpg";"0";"-0,6";"0,8"\n',
        '2,,,\n"a b.jpg","0.6","0","0.8"\n"c.jpg","0","-0.6","0.8"\n',
        "a b.jpg 0,6 0 0,8\nc.jpg 0 -0,6 ,8\n",
        "a b.jpg\t0,6\t0\t0,8\nc.jpg\t0\t\u22120,6\t0,8\n",
        "a b.jpg, 0.6, 0, 0.8\nc.jpg, 0, -0.6, 0.8\n",
        "'a b.jpg' 0.6 0 0.8\n\"c.jpg\" 0 -0.6 0.8\n",
        "a b.jpg;0.6;0;0.8;\nc.jpg;0;-0.6;0.8;\n",
    ],
    ids=[
        "comments", "csv", "csv with a header", "semicolons and decimal commas", "spreadsheet", "decimal commas",
        "tabs and a minus sign", "commas and blanks", "quotes", "semicolons at the end",
    ],
)  # fmt: skip
def test_ways_of_writing_are_read(tmp_path, text):
    _rewrite(tmp_path, text)
    lights = read_lp(tmp_path / "dirs.lp")
    assert lights.filenames == ["a b.jpg", "c.jpg"]
    np.testing.assert_array_equal(lights.vectors, VECTORS)


@pytest.mark.parametrize(
    "line",
    [
        "a.jpg 0.6 0 0.8 1",
        "a.jpg 0.6 0 0.8 1.5",
        "my shot 1.jpg 1 0 0.8 1 1 1",
        "a.jpg,0.6,0,0.8,2",
        "a.jpg;0,6;0;0,8;2",
        '"a.jpg" 0.6 0 0.8 2',
        "a.jpg,0,6,0,0,8",
        "shot1 0.6 0 0.8 2",
    ],
)
def test_a_fifth_column_shifts_no_vector(tmp_path, line):
    _rewrite(tmp_path, line)
    with pytest.raises(ValueError, match=r"dirs\.lp, line 1: got .*: remove the further columns .* as intensities="):
        read_lp(tmp_path / "dirs.lp")


def test_names_may_end_in_a_number(tmp_path):
    _rewrite(tmp_path, "shot 12 0.6 0 0.8", "IMG 7.jpg 0 -0.6 0.8", '"a.jpg 2" 0 0 1')
    assert read_lp(tmp_path / "dirs.lp").filenames == ["shot 12", "IMG 7.jpg", "a.jpg 2"]


@pytest.mark.parametrize("line", ["a.jpg 0.6 0,1,2 0.8", "a.jpg 0.6 0 0.8 # dim", 'a.jpg","0,6","0","0,8', "x,y,z"])
def test_what_is_not_read_is_named(tmp_path, line):
    _rewrite(tmp_path, "b.jpg 0 0 1", line)
    with pytest.raises(ValueError, match=r"dirs\.lp, line 2: got .*, wanted a file name and three numbers"):
        read_lp(tmp_path / "dirs.lp")


@pytest.mark.parametrize("name", ["#1.jpg", '"a.jpg"', "a.jpg,", "a.jpg 2"])
def test_names_that_would_read_otherwise_are_not_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"would not read back|put the name in quotes"):
        write_lp(tmp_path / "dirs.lp", [name], [[0, 0, 1]])


# -- Names of photographs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix", ["C:\\Users\\rti\\coin\\jpeg-exports\\", "/Users/rti/coin/", "\\\\server\\share\\", "../other/", "gone/"]
)
def test_whole_paths_of_another_computer_are_found_by_their_base_names(tmp_path, prefix):
    folder = tmp_path / "coin"
    images = pixels()
    lights = write_capture(folder, images)
    _rewrite(folder, *(f"{prefix}image{i:02}.png {x!r} {y!r} {z!r}" for i, (x, y, z) in enumerate(lights.tolist())))
    capture = load_rti(folder, decode="linear")
    np.testing.assert_allclose(capture.images, images / 255, rtol=1e-6)
    assert capture.filenames == [str(folder / f"image{i:02}.png") for i in range(3)]


def test_base_names_are_not_found_outside(tmp_path):
    folder = tmp_path / "coin"
    write_capture(folder, pixels())
    write_image(tmp_path / "secret.png", pixels()[0])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    for name in (tmp_path / "secret.png", "/elsewhere/link.png"):
        _rewrite(folder, f"{name} 0 0 1")
        with pytest.raises(ValueError, match=r"dirs\.lp, line 1: .* lies outside of the folder .*allow_outside=True"):
            load_rti(folder)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("IMG_1.JPG", "img_1.jpg"),
        ("img_1.jpg", "IMG_1.JPG"),
        ("Sub/Img_1.jpg", "Sub/IMG_1.jpg"),
        ("a.jpeg", "a.jpg"),
        ("a.TIF", "a.tiff"),
        (unicodedata.normalize("NFD", "Löwe.jpg"), unicodedata.normalize("NFC", "Löwe.jpg")),
        (unicodedata.normalize("NFC", "C:/x/Löwe.jpg"), unicodedata.normalize("NFD", "löwe.JPG")),
    ],
)
def test_a_name_that_a_person_would_call_the_same_is_taken(tmp_path, written, stored):
    write_image(tmp_path / stored, pixels()[0])
    write_image(tmp_path / "._other.jpg", pixels()[0])
    _rewrite(tmp_path, f"{written} 0 0 1")
    assert load_rti(tmp_path).filenames == [os.path.join(tmp_path, stored)]


def test_an_exact_name_comes_first_and_two_alike_are_refused(tmp_path):
    for name in ("a.jpg", "A.JPG"):
        write_image(tmp_path / name, pixels()[0])
    _rewrite(tmp_path, "A.JPG 0 0 1")
    assert load_rti(tmp_path).filenames == [str(tmp_path / "A.JPG")]
    _rewrite(tmp_path, "A.jpg 0 0 1")
    with pytest.raises(ValueError, match=r"dirs\.lp, line 1: 'A\.jpg' may be each of A\.JPG, a\.jpg in "):
        load_rti(tmp_path)


def test_two_lights_of_one_photograph_are_refused(tmp_path):
    write_image(tmp_path / "a.jpg", pixels()[0])
    _rewrite(tmp_path, "a.jpg 0 0 1", "D:\\x\\A.jpg 0 1 1")
    with pytest.raises(ValueError, match=r"dirs\.lp, line 2: 'D:/x/A\.jpg' is .*a\.jpg, as in line 1"):
        load_rti(tmp_path)


def test_all_missing_photographs_are_listed_and_can_be_skipped(tmp_path):
    images = pixels(n=5)
    lights = write_capture(tmp_path, images)
    for index in (1, 3):
        (tmp_path / f"image{index:02}.png").unlink()
    message = r"Missing are 2 of 5 photographs: image01\.png \(line 3\), image03\.png \(line 5\); missing='skip'"
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'dirs.lp'}, line 3: no such file") + ".*" + message):
        load_rti(tmp_path)
    with pytest.warns(UserWarning, match=message) as warned:
        capture = load_rti(tmp_path, missing="skip", decode="linear", intensities=[1, 1, 2, 1, 4])
    assert len(warned) == 1
    assert warned[0].filename == __file__
    np.testing.assert_allclose(capture.lights, lights[[0, 2, 4]])
    expected = images[[0, 2, 4]] / 255 / np.reshape([1, 2, 4], (3, 1, 1, 1))
    np.testing.assert_allclose(capture.images, expected, rtol=1e-6)


def test_skipping_all_photographs_is_no_way_out(tmp_path):
    write_capture(tmp_path / "exports", pixels(n=2))
    (tmp_path / "exports" / "dirs.lp").rename(tmp_path / "dirs.lp")
    with pytest.raises(
        ValueError, match=r"Missing are 2 of 2 .*; give the folder that the photographs are in, and this"
    ):
        load_rti(tmp_path, missing="skip")
    assert len(load_rti(tmp_path / "exports", light_file="../dirs.lp").images) == 2
    with pytest.raises(ValueError, match="missing='ignore', wanted 'error' or 'skip'"):
        load_rti(tmp_path, missing="ignore")


def test_what_systems_leave_behind_does_not_count(tmp_path):
    lights = write_capture(tmp_path, pixels())
    for name in ("._dirs.lp", "._image00.png", "Thumbs.db", ".DS_Store", "desktop.ini", ".hidden.lp"):
        (tmp_path / name).write_bytes(b"\0\5\26\7")
    (tmp_path / "__MACOSX").mkdir()
    np.testing.assert_allclose(load_rti(tmp_path).lights, lights)
    np.testing.assert_allclose(load_rti(tmp_path, match="order").lights, lights)


def test_the_light_file_may_stand_in_for_the_folder(tmp_path):
    lights = write_capture(tmp_path, pixels())
    np.testing.assert_allclose(load_rti(tmp_path / "dirs.lp").lights, lights)
    with pytest.raises(NotADirectoryError):
        load_rti(tmp_path / "image00.png")


# -- One dome for many objects ------------------------------------------------------------------------------------


def _object(folder, n=12):
    """Photographs whose names do not have their numbers at one width, and the dome's lights beside the folder."""
    images = pixels(n=n)
    for index, image in enumerate(images):
        write_image(folder / f"coin_{index + 1}.png", image)
    return images


def test_one_light_file_serves_for_every_object(tmp_path):
    lights = write_capture(tmp_path / "ball", pixels(n=12))
    images = _object(tmp_path / "coin")
    write_image(tmp_path / "coin" / "mask.png", np.full(images.shape[1:3], 255, np.uint8))
    capture = load_rti(tmp_path / "coin", light_file="../ball/dirs.lp", match="order", mask="mask.png", decode="linear")
    np.testing.assert_allclose(capture.images, images / 255, rtol=1e-6)
    np.testing.assert_allclose(capture.lights, lights)
    assert "matched by their order" in capture.DESCR
    with pytest.raises(ValueError, match=r"has 12 lights, but .*coin has 13 photographs \(13 \.png\)"):
        load_rti(tmp_path / "coin", light_file="../ball/dirs.lp", match="order")
    with pytest.raises(ValueError, match="match='number', wanted 'name' or 'order'"):
        load_rti(tmp_path / "coin", light_file="../ball/dirs.lp", match="number")


@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize("kind", ["directional", "spherical", "lights3d", None])
def test_a_dome_of_relightlab(tmp_path, kind, as_lists):
    images = _object(tmp_path)
    vectors = {"directional": directions(12), "spherical": 300 * directions(12, 1), "lights3d": 290 * directions(12, 2)}
    keys = {"directional": "directions", "spherical": "positionsSphere", "lights3d": "positions3d"}
    dome = {"label": "our dome", "domeDiameter": 600, "lightConfiguration": kind, "ledAdjust": []}
    for name, key in keys.items():
        rows = vectors[name].tolist()
        dome[key] = rows if as_lists else [dict(zip("xyz", row, strict=True)) for row in rows]
    (tmp_path / "our.dome").write_text(json.dumps(dome))
    capture = load_rti(tmp_path, normalize=False, decode="linear")
    np.testing.assert_allclose(capture.lights, vectors[kind or "directional"])
    np.testing.assert_allclose(capture.images, images / 255, rtol=1e-6)
    assert capture.light_file == str(tmp_path / "our.dome")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a .dome file"),
        ("[1]", "cannot be read as a .dome file"),
        ("{}", "cannot be read as a .dome file"),
        ('{"directions": [{"x": 1}]}', "wanted JSON with 'directions' of x, y and z: 'y'"),
        ('{"directions": [[1, 2]]}', "light 0 is [1.0, 2.0], wanted"),
        ('{"directions": [[0, 0, 1], [0, 0, 0]]}', "light 1 is [0.0, 0.0, 0.0], wanted"),
        ('{"directions": [[0, 0, NaN]]}', "light 0 is [0.0, 0.0, nan], wanted"),
        ('{"directions": [[0, 0, 1]], "lightConfiguration": []}', "cannot be read as a .dome file"),
        ("[" * 100_000, "cannot be read as a .dome file"),
    ],
)
def test_faults_of_a_dome_are_named(tmp_path, text, message):
    _object(tmp_path)
    (tmp_path / "our.dome").write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'our.dome'}: ") + ".*" + re.escape(message)):
        load_rti(tmp_path)


# -- Lamps of unequal brightness ----------------------------------------------------------------------------------

INTENSITIES = np.random.default_rng(5).uniform(0.5, 3, (4, 3))


def _write(layout, folder, images):
    if layout == "rti":
        write_capture(folder, images)
        return lambda **options: load_rti(folder, **options)
    if layout == "npz":
        np.savez(folder / "all.npz", images=images, lights=directions(len(images)))
        return lambda **options: load_npz(folder / "all.npz", **options)
    if layout == "ltm":
        write_ltm(folder, images / np.float32(255))
        return lambda **options: load_ltm(folder, images.shape[1:3], **options)
    for index, image in enumerate(images):
        write_image(folder / f"{index}.png", image)
    (folder / "filenames.txt").write_text("\n".join(f"{index}.png" for index in range(len(images))))
    np.savetxt(folder / "light_directions.txt", directions(len(images)))
    return lambda **options: load_diligent(folder, mask=None, **options)


@pytest.mark.parametrize("columns", [0, 1, 3])
@pytest.mark.parametrize("layout", ["rti", "npz", "ltm", "diligent"])
def test_intensities_are_divided_out_by_every_loader(tmp_path, layout, columns):
    intensities = INTENSITIES[:, :columns] if columns else INTENSITIES[:, 0]
    images = pixels(n=4)
    load = _write(layout, tmp_path, images)
    decode = {} if layout == "ltm" else {"decode": "linear"}
    rows = intensities.reshape(4, 1, 1, -1)
    np.testing.assert_allclose(load(intensities=intensities, **decode).images, images / 255 / rows, rtol=1e-5)


@pytest.mark.parametrize("layout", ["rti", "npz", "ltm", "diligent"])
@pytest.mark.parametrize(
    ("intensities", "message"),
    [
        ([1, 2, 3], "intensities has shape (3,), wanted (4,) or (4, 3), a row for each light"),
        (np.ones((3, 4)), "intensities has shape (3, 4)"),
        ([1, 1, 1, 0], "intensities holds 0, wanted all from 1e-12 to 1e12"),
        ([1, 1, np.nan, 1], "intensities holds nan"),
        ([1, 1, "2", 1], "intensities must be real numbers"),
    ],
)
def test_intensities_that_do_not_fit_are_refused(tmp_path, layout, intensities, message):
    load = _write(layout, tmp_path, pixels(n=4))
    with pytest.raises(ValueError, match=re.escape(message)):
        load(intensities=intensities)


# -- Variants of DiLiGenT -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: "\n".join(f"{row[0]}" for row in rows),
        lambda rows: "\n".join(f"{row[0]},{row[0]},{row[0]}" for row in rows),
        lambda rows: "\n".join(f"{row[0]}; {row[0]}; {row[0]}" for row in rows).replace(".", ","),
        lambda rows: "# red green blue\n" + "\n".join(f"{row[0]}, {row[0]}\t{row[0]}" for row in rows),
    ],
    ids=["one a line", "commas", "decimal commas", "a comment"],
)
@pytest.mark.parametrize("channels", [0, 3])
def test_diligent_with_intensities_written_otherwise(tmp_path, write, channels):
    images = pixels(n=4, width=3, channels=channels)
    load = _write("diligent", tmp_path, images)
    (tmp_path / "light_intensities.txt").write_text(write(INTENSITIES.tolist()))
    expected = images / 255 / INTENSITIES[:, 0].reshape(4, 1, 1, *[1] * (channels > 0))
    np.testing.assert_allclose(load(decode="linear").images, expected, rtol=1e-5)


def test_diligent_without_intensities(tmp_path):
    images = pixels(n=4)
    load = _write("diligent", tmp_path, images)
    capture = load(decode="linear", divide_intensities=False)
    np.testing.assert_allclose(capture.images, images / 255, rtol=1e-6)
    assert capture.light_intensities is None
    with pytest.raises(FileNotFoundError, match=r"light_intensities\.txt; the DiLiGenT layout has one"):
        load()


def test_diligent_rows_are_of_one_width(tmp_path):
    load = _write("diligent", tmp_path, pixels(n=4))
    (tmp_path / "light_intensities.txt").write_text("1 1 1\n1\n1\n1\n")
    with pytest.raises(ValueError, match=r"light_intensities\.txt, line 2: got '1', wanted three numbers"):
        load()


def test_diligent_goes_on_without_missing_photographs(tmp_path):
    images = pixels(n=4)
    load = _write("diligent", tmp_path, images)
    (tmp_path / "2.png").unlink()
    with pytest.warns(UserWarning, match=r"filenames\.txt, line 3: no such file: .* Missing are 1 of 4"):
        capture = load(missing="skip", intensities=INTENSITIES, decode="linear")
    kept = [0, 1, 3]
    np.testing.assert_allclose(capture.images, images[kept] / 255 / INTENSITIES[kept, None, None], rtol=1e-5)
    np.testing.assert_array_equal(capture.light_intensities, INTENSITIES[kept])
