"""load_capture: layouts that are recognised by their files."""

import numpy as np
import pytest
from capture_files import directions, pixels, write_capture, write_image, write_ltm

from sklrelight.datasets import load_capture, load_diligent, load_ltm, load_npz, load_rti


def _write_diligent(folder, images):
    for index, image in enumerate(images):
        write_image(folder / f"{index}.png", image)
    write_image(folder / "mask.png", np.full(images.shape[1:3], 255, np.uint8))
    (folder / "filenames.txt").write_text("\n".join(f"{index}.png" for index in range(len(images))))
    np.savetxt(folder / "light_directions.txt", directions(len(images)))
    np.savetxt(folder / "light_intensities.txt", np.full((len(images), 3), 2.0))


@pytest.mark.parametrize("given", ["folder", "file"])
@pytest.mark.parametrize("layout", ["rti", "diligent", "ltm", "npz"])
def test_each_layout_is_recognised_by_its_folder_and_by_its_file(tmp_path, layout, given):
    images = pixels(n=4, height=4, width=6)
    options = {"crop": (0, 4, 2, 6), "downscale": 2}
    if layout == "rti":
        write_capture(tmp_path, images)
        file, expected = "dirs.lp", load_rti(tmp_path, **options)
    elif layout == "diligent":
        _write_diligent(tmp_path, images)
        file, expected = "filenames.txt", load_diligent(tmp_path, **options)
    elif layout == "ltm":
        write_ltm(tmp_path, images.astype(np.float32))
        options["image_shape"] = (4, 6)
        file, expected = "Green.mat", load_ltm(tmp_path, **options)
    else:
        np.savez(tmp_path / "all.npz", images=images, lights=directions(4))
        file, expected = "all.npz", load_npz(tmp_path / "all.npz", **options)
    capture = load_capture(tmp_path / file if given == "file" else tmp_path, **options)
    assert capture.loader == f"load_{layout}"
    np.testing.assert_array_equal(capture.images, expected.images)
    np.testing.assert_array_equal(capture.lights, expected.lights)


def test_an_option_that_the_loader_lacks_is_refused_by_name(tmp_path):
    np.savez(tmp_path / "all.npz", images=pixels(), lights=directions(3))
    with pytest.raises(ValueError, match=r"read by load_npz, which has no option 'flat_field'; it has images, lights"):
        load_capture(tmp_path, flat_field="card.png")


def test_diligent_takes_all_options_of_photographs_but_no_others(tmp_path):
    _write_diligent(tmp_path, pixels(height=4, width=4))
    assert load_capture(tmp_path, normalize=False, orientation="each", progress=False).images.shape == (3, 4, 4, 3)
    with pytest.raises(ValueError, match="has no option 'source'"):
        load_capture(tmp_path, source="attic")


def test_matrices_need_the_shape_of_their_images(tmp_path):
    write_ltm(tmp_path, pixels(n=4, dtype=np.float32))
    with pytest.raises(ValueError, match=r"pass image_shape=\(height, width\)"):
        load_capture(tmp_path)


def test_what_is_no_capture_is_described(tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(ValueError, match=r"found no file; wanted one of: photographs with an \.lp"):
        load_capture(tmp_path)
    for name in ["a.jpg", "b.JPG", "notes"]:
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"found 2 \.jpg, 1 without a suffix; wanted"):
        load_capture(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"No such file or folder: .*missing"):
        load_capture(tmp_path / "missing")


def test_a_light_file_from_elsewhere_is_enough(tmp_path):
    lights = write_capture(tmp_path / "object", pixels())
    (tmp_path / "object" / "dirs.lp").rename(tmp_path / "dome.lp")
    capture = load_capture(tmp_path / "object", light_file="../dome.lp")
    np.testing.assert_allclose(capture.lights, lights)
