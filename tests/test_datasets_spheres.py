"""Mirror balls that are rendered here, among things that are round, too."""

import numpy as np
import pytest
from capture_files import directions

from sklrelight.datasets import find_sphere, lights_from_sphere


def photographs(circle, lights, *, shape=(150, 200), coins=(), background=0.4, ball=0.03, noise=0.01, seed=0):
    """A dark mirror ball on a rough table, with its shadow and some coins, under each light."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    table = background * rng.uniform(0.8, 1.2, (shape[0] // 5 + 1, shape[1] // 5 + 1)).repeat(5, 0).repeat(5, 1)
    table = table[: shape[0], : shape[1]]
    relief = rng.normal(0, 0.3, (*shape, 2))
    for column, row, radius in coins:
        table = np.where(np.hypot(columns - column, rows - row) < radius, 0.8, table)
    column, row, radius = circle
    right, up = (columns - column) / radius, (row - rows) / radius
    squared = right**2 + up**2
    on_ball = (1 - np.tanh(radius * (np.sqrt(squared) - 1))) / 2  # an outline of a pixel's width
    towards = np.sqrt(np.clip(1 - squared, 0, 1))
    mirrored = np.stack([2 * towards * right, 2 * towards * up, 2 * towards**2 - 1], axis=-1)
    images = []
    for light in lights:
        lit = np.clip(light[2] + relief @ light[:2], 0, None) * table
        shadow = np.hypot(right + light[0] / light[2] * 0.7, up + light[1] / light[2] * 0.7) < 1
        highlight = np.exp(400 * (mirrored @ light - 1))
        # Near its rim the ball reflects the table.
        reflected = ball + 0.3 * background * np.clip(-mirrored[..., 2], 0, 1)
        image = on_ball * (reflected + highlight) + (1 - on_ball) * np.where(shadow, 0.05, 1) * lit
        images.append(np.clip(image + rng.normal(0, noise, shape), 0, 1))
    return np.array(images)


LIGHTS = directions(30, seed=3)
LIGHTS = LIGHTS[LIGHTS[:, 2] > 0.3]


@pytest.mark.parametrize(
    ("circle", "options"),
    [
        ((60.0, 70.0, 30.0), {}),
        ((60.3, 70.6, 14.2), {}),
        ((100.0, 75.0, 70.0), {}),
        ((40.0, 40.0, 20.0), {"coins": [(130, 80, 45)]}),
        ((170.0, 120.0, 16.0), {"coins": [(50, 50, 30), (110, 100, 35)]}),
        ((60.0, 70.0, 30.0), {"background": 0.02, "ball": 0.1}),
        ((60.0, 70.0, 30.0), {"noise": 0.05}),
        ((300.0, 210.0, 55.5), {"shape": (600, 800), "coins": [(550, 300, 200)]}),
    ],
    ids=[
        "plain",
        "small",
        "large",
        "beside a coin",
        "beside two coins",
        "on black cloth",
        "noisy",
        "of high resolution",
    ],
)
def test_a_ball_is_found_to_the_pixel(circle, options):
    images = photographs(circle, LIGHTS, **options)
    found = find_sphere(images)
    np.testing.assert_allclose(found, circle, atol=max(1.0, 0.02 * circle[2]))
    assert all(type(value) is float for value in found)
    angles = np.degrees(np.arccos(np.clip((lights_from_sphere(images, found) * LIGHTS).sum(axis=1), -1, 1)))
    assert np.median(angles) < 5


def test_colour_photographs_are_as_good_as_grey_ones():
    images = photographs((60.0, 70.0, 30.0), LIGHTS[:8])
    np.testing.assert_allclose(find_sphere(np.repeat(images[..., None], 3, axis=3)), find_sphere(images), atol=1e-6)


def test_what_is_round_but_no_ball_is_refused():
    images = photographs((40.0, 40.0, 20.0), LIGHTS, coins=[(120, 80, 40)])
    with pytest.raises(ValueError, match=r"No mirror ball stands out: .* give the ball's circle yourself"):
        find_sphere(images[:, :, 75:])


def test_no_circle_at_all():
    with pytest.raises(ValueError, match="No mirror ball stands out: there is no circle in the images"):
        find_sphere(np.zeros((3, 40, 50)))
    with pytest.raises(ValueError, match="No mirror ball stands out"):
        find_sphere(np.random.default_rng(0).random((5, 60, 80, 3)))


def test_a_ball_needs_several_photographs():
    with pytest.raises(ValueError, match="images has a single photograph"):
        find_sphere(np.zeros((1, 40, 50)))
    with pytest.raises(ValueError, match=r"images has shape \(40, 50\)"):
        find_sphere(np.zeros((40, 50)))
