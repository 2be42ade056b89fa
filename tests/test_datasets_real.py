"""Every set of the test captures loads with one call: count, shape, depth, light vectors and one known pixel."""

import cv2
import numpy as np
import pytest

from sklrelight.datasets import load_diligent, load_ltm, load_npz, load_rti

# Folder, shape of the stack; then, of the light with index 5: the values (8 bit) of the pixel in the middle row,
# a third of the way from the left, and the direction. The values were read by OpenCV alone.
RTI = [
    ("loewenkopf", (240, 43, 64), [83, 74, 67], [0.0761, 0.1140, 0.9906]),
    ("realrti/item1", (60, 439, 487), [48, 48, 38], [-0.0774, -0.8059, 0.5869]),
    ("realrti/item2", (47, 466, 481), [32, 29, 24], [-0.9543, 0.2300, 0.1910]),
    ("realrti/item4", (63, 357, 438), [105, 87, 63], [0.1093, 0.0493, 0.9928]),
    ("realrti/item5", (49, 322, 334), [71, 57, 46], [-0.5755, -0.2725, 0.7710]),
    ("realrti/item6", (48, 321, 321), [3, 3, 1], [-0.9349, 0.3115, 0.1702]),
    ("realrti/item8", (48, 301, 362), [11, 10, 8], [-0.9161, 0.2743, 0.2924]),
    ("realrti/item9", (48, 289, 279), [16, 15, 13], [-0.8852, 0.1527, 0.4393]),
    ("realrti/item11", (54, 534, 567), [109, 98, 94], [-0.1979, -0.2009, 0.9594]),
    ("realrti_item3", (72, 395, 402), [75, 58, 42], [0.8450, -0.3954, 0.3602]),
    ("synthrti/multi_object1_material5/Dome", (49, 320, 320), [70, 23, 31], [0.8529, -0.4924, 0.1736]),
    ("synthrti/multi_object1_material5/Test", (20, 320, 320), [93, 31, 46], [-0.9397, 0.0, 0.3420]),
    ("synthrti/multi_object3_material9/Dome", (49, 320, 320), [0, 0, 0], [0.8529, -0.4924, 0.1736]),
    ("synthrti/multi_object3_material9/Test", (20, 320, 320), [143, 137, 77], [-0.9397, 0.0, 0.3420]),
    ("synthrti/single_object1_material1/Dome", (49, 320, 320), [84, 84, 84], [0.8529, -0.4924, 0.1736]),
    ("synthrti/single_object1_material1/Test", (20, 320, 320), [106, 106, 106], [-0.9397, 0.0, 0.3420]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "values", "direction"), RTI, ids=[row[0] for row in RTI])
def test_rti(data_dir, name, shape, values, direction):
    capture = load_rti(data_dir / name, decode="linear")
    assert capture.images.shape == (*shape, 3)
    assert capture.bit_depth == 8
    assert 0 <= capture.images.min() < capture.images.max() <= 1
    np.testing.assert_allclose(np.linalg.norm(capture.lights, axis=1), 1)
    np.testing.assert_allclose(capture.lights[5], direction, atol=1e-4)
    # Two decoders of JPEG may differ by a level or two.
    np.testing.assert_allclose(capture.images[5, shape[1] // 2, shape[2] // 3] * 255, values, atol=2.1)


def test_lengths_of_the_vectors_are_reported(data_dir):
    capture = load_rti(data_dir / "realrti" / "item11")
    np.testing.assert_allclose([capture.light_norms.min(), capture.light_norms.max()], [0.7952, 1.0597], atol=1e-4)
    as_given = load_rti(data_dir / "realrti" / "item11", normalize=False, downscale=100)
    np.testing.assert_allclose(as_given.lights[0], [-0.101482615967543, -0.035373901836492, 0.961928991468292])


def test_diligent(data_dir):
    capture = load_diligent(data_dir / "diligent_cat")
    assert capture.images.shape == (96, 299, 274, 3)
    assert capture.bit_depth == 16
    assert capture.mask.shape == (299, 274)
    assert np.count_nonzero(capture.mask) == 45200
    np.testing.assert_allclose(capture.lights[0], [-0.0635, -0.4317, 0.8998], atol=1e-4)
    np.testing.assert_allclose(capture.light_intensities[1], [1.4726, 1.8014, 2.4831])
    stored = capture.images * capture.light_intensities[:, np.newaxis, np.newaxis].astype(np.float32) * 65535
    np.testing.assert_allclose(stored[2, 150, 140], [9776, 10912, 14136], rtol=1e-5)
    # 16 bits, not 8 in a 16-bit coat: many more than 256 levels, most of them no multiples of 257.
    levels = np.unique(np.round(stored[2]))
    assert len(levels) > 1000
    assert np.mean(levels % 257 == 0) < 0.1
    undivided = load_diligent(data_dir / "diligent_cat", divide_intensities=False, downscale=2)
    assert undivided.images.shape == (96, 149, 137, 3)
    assert undivided.images.max() <= 1


@pytest.mark.parametrize(
    ("name", "n", "pixel"),
    [
        ("figure_olat.npz", 894, (500, [0.04003906, 0.04052734, 0.04394531])),
        ("figure_reference.npz", 40, (3, [0.00660706, 0.00655746, 0.00746918])),
    ],
)
def test_npz(data_dir, name, n, pixel):
    capture = load_npz(data_dir / name)
    assert capture.images.shape == (n, 116, 174, 3)
    assert capture.images.dtype == np.float32
    assert capture.file_dtype == "float16"
    assert capture.light_name == "light_positions"
    assert capture.lights.shape == (n, 3)
    assert np.all(np.isfinite(capture.lights))
    assert np.ptp(capture.lights[:, 0]) > 5
    np.testing.assert_allclose(capture.images[pixel[0], 60, 80], pixel[1], rtol=1e-5)
    assert len(np.unique(capture.images[pixel[0]])) > 256


def test_ltm(data_dir):
    pytest.importorskip("h5py")
    capture = load_ltm(data_dir / "ltm_figure", (29, 43))
    assert capture.images.shape == (1024, 29, 43, 3)
    np.testing.assert_array_equal(capture.lights[[0, 1, 33, 1023]], [[0, 0], [1, 0], [1, 1], [31, 31]])
    np.testing.assert_allclose(capture.images[512, 14, 20], [0.00185519, 0.00181335, 0.00214291], rtol=1e-5)


def test_the_same_scene_from_the_matrix_and_from_the_archive(data_dir):
    pytest.importorskip("h5py")
    matrix = load_ltm(data_dir / "ltm_figure", (29, 43))
    archive = load_npz(data_dir / "figure_olat.npz", lights="light_grid", crop=(0, 116, 0, 172), downscale=4)
    column, row = archive.lights.astype(int).T
    both = matrix.images[row * 32 + column]
    assert both.shape == archive.images.shape == (894, 29, 43, 3)
    np.testing.assert_array_equal(matrix.lights[row * 32 + column], archive.lights)
    error = np.linalg.norm((both - archive.images).reshape(894, -1), axis=1)
    relative = error / np.linalg.norm(both.reshape(894, -1), axis=1)
    assert relative.max() < 1e-2  # of every single light; float16 in the archive gives 1e-3
    np.testing.assert_allclose(both, archive.images, rtol=1e-2, atol=1e-4 * float(both.max()))


def test_sixteen_bit_values_agree_with_opencv(data_dir):
    capture = load_diligent(data_dir / "diligent_cat", divide_intensities=False, crop=(100, 120, 100, 130))
    for index in [0, 95]:
        stored = cv2.imread(capture.filenames[index], cv2.IMREAD_UNCHANGED)[100:120, 100:130, ::-1]
        np.testing.assert_array_equal(np.round(capture.images[index] * 65535), stored)
