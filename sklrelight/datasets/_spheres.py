"""Where lights are, by a mirror ball in the photographs."""

import numpy as np
from scipy import ndimage

from ..utils import check_numbers, import_extra
from ._formats.images import check_image_shape

__all__ = ["find_sphere", "lights_from_sphere"]

# A highlight that covers more of the ball than this is no small lamp.
_LARGEST_HIGHLIGHT = 0.2
# Longer side in pixels of what the Hough transform looks at.
_HOUGH_SIZE = 480
# A circle is no ball if less than this share of its outline is seen, or of the photographs have a highlight in it.
_LEAST_SHARE = 0.6
# So many photographs are enough to tell.
_N_LOOKED_AT = 24


def find_sphere(images):
    """Find the outline of a mirror ball in photographs of different lights.

    Circles are looked for by the Hough transform [1]_ in the mean, the maximum and the standard deviation of the
    photographs. A ball is one with a sharp outline, in which most photographs have a small highlight where lamps in
    front of it appear: within 0.71 of the radius. Of several balls, the one that shows most of both is returned.

    Parameters
    ----------
    images : array-like of shape (n_lights, height, width, 3) or (n_lights, height, width)
        Photographs of at least two lights, row 0 at the top. The whole ball must be in them.

    Returns
    -------
    column, row, radius : float
        Outline of the ball in pixels, as `lights_from_sphere` takes it.

    Raises
    ------
    ImportError
        If OpenCV is not installed.

    ValueError
        If the shape is another, or no ball stands out.

    References
    ----------
    .. [1] H. K. Yuen, J. Princen, J. Illingworth, J. Kittler, "Comparative study of Hough transform methods for circle
       finding", Image and Vision Computing 8(1), 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.datasets import find_sphere, lights_from_sphere
    >>> rows, columns = np.mgrid[0:80, 0:120]
    >>> images = np.full((2, 80, 120), 0.5)
    >>> images[:, np.hypot(columns - 70, rows - 40) < 20] = 0.02
    >>> images[0, 39:42, 79:82] = images[1, 29:32, 69:72] = 1
    >>> circle = find_sphere(images)
    >>> np.round(circle)
    array([70., 40., 20.])
    >>> lights_from_sphere(images, circle).round(1) + 0.0
    array([[0.9, 0. , 0.5],
           [0. , 0.9, 0.5]])
    """
    images = check_numbers(images, "images")
    check_image_shape(images.shape, "images", "n_lights, height, width")
    if len(images) < 2:
        raise ValueError("images has a single photograph, wanted several: a ball is told by the highlight that moves")
    found = []
    for view in _summaries(images):
        for start in _hough_circles(view):
            circle, outline, steepness = _fitted_to_outline(view, start)
            if _is_within(circle, view.shape):
                highlights = _share_of_highlights(images, circle)
                found.append(
                    (min(outline, highlights) >= _LEAST_SHARE, steepness * highlights, outline, highlights, circle)
                )
    if not found:
        raise ValueError("No mirror ball stands out: there is no circle in the images; give the ball's circle yourself")
    is_ball, _, outline, highlights, circle = max(found)
    if not is_ball:
        values = ", ".join(f"{value:.0f}" for value in circle)
        raise ValueError(
            f"No mirror ball stands out: the circle that comes nearest, ({values}) (column, row, radius), shows "
            f"{outline:.0%} of its outline, and a small highlight that moves in {highlights:.0%} of the photographs; "
            "give the ball's circle yourself"
        )
    return circle


def lights_from_sphere(images, circle):
    """Find light directions from the highlight on a mirror ball.

    The ball is seen from far away, so that all rays to the camera run along z. The highlight is the region that is
    connected with the brightest pixel and at least half as bright, with a rim of one pixel; the mirror directions of
    its pixels are averaged by brightness (each pixel of a mirror ball shows the same solid angle).

    Parameters
    ----------
    images : array-like of shape (n_lights, height, width, 3) or (n_lights, height, width)
        Photographs, one for each light: linear radiance, row 0 at the top.

    circle : (float, float, float)
        Outline of the ball in pixels: column and row of its centre (0, 0 is the middle of the first pixel), and radius.
        It must lie in the image.

    Returns
    -------
    ndarray of shape (n_lights, 3), float64
        Unit vectors towards the lights: x right, y up, z to the camera.

    Raises
    ------
    ValueError
        If the shapes are others, the circle is not in the image, or a photograph shows no single small highlight. The
        message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight.datasets import lights_from_sphere
    >>> image = np.zeros((101, 101))
    >>> image[50, 75] = 1  # half-way to the right rim, where the ball is inclined by 30 degrees
    >>> lights_from_sphere([image], circle=(50, 50, 50)).round(3)
    array([[0.866, 0.   , 0.5  ]])
    """
    images = check_numbers(images, "images")
    check_image_shape(images.shape, "images", "n_lights, height, width")
    ball = _Ball(circle, images.shape[1:3])
    return np.array([ball.light(image, index) for index, image in enumerate(images)])


class _Ball:
    """The part of photographs that a mirror ball takes up, and where its pixels look.

    Raises ValueError if the circle is not within the photographs.
    """

    def __init__(self, circle, image_shape):
        centre_column, centre_row, radius = _check_circle(circle, *image_shape)
        top, left = max(0, int(centre_row - radius)), max(0, int(centre_column - radius))
        bottom, right = (
            min(image_shape[0], int(centre_row + radius) + 2),
            min(image_shape[1], int(centre_column + radius) + 2),
        )
        self._window = slice(top, bottom), slice(left, right)
        rows, columns = np.mgrid[self._window]
        right, up = (columns - centre_column) / radius, (centre_row - rows) / radius
        squared = right**2 + up**2
        self._on_ball = squared < 1
        # The mirror direction of the view (0, 0, 1) about the normal (right, up, n_z).
        towards = np.sqrt(np.maximum(1 - squared, 0))
        self._mirrored = np.stack([2 * towards * right, 2 * towards * up, 2 * towards**2 - 1], axis=-1)

    def light(self, image, index):
        """Return the direction of the light in a photograph; raise ValueError where there is no small highlight."""
        grey = np.where(self._on_ball, _grey(image[self._window]), 0)
        highlight = _highlight(grey, np.count_nonzero(self._on_ball), index)
        # The rim is only partly lit: brightness says how much.
        rim = ndimage.binary_dilation(highlight, structure=np.ones((3, 3)))
        mean = grey[rim] @ self._mirrored[rim]
        return mean / np.linalg.norm(mean)


def _summaries(images):
    """Return the mean, the maximum and the standard deviation of photographs in grey."""
    total = squares = 0.0
    largest = 0.0
    for image in images:
        grey = _grey(image)
        total, squares, largest = total + grey, squares + grey**2, np.maximum(largest, grey)
    mean = total / len(images)
    return [mean, largest, np.sqrt(np.maximum(squares / len(images) - mean**2, 0))]


def _grey(image):
    image = np.asarray(image, dtype=np.float64)
    return image.mean(axis=-1) if image.ndim == 3 else image


def _hough_circles(view):
    """Return circles (column, row, radius) in an image, the clearest first."""
    cv2 = import_extra("cv2", "images", "To find circles")
    scale = min(1.0, _HOUGH_SIZE / max(view.shape))
    # The square root, so that edges in the dark count too.
    shown = np.sqrt(np.clip(view / max(np.percentile(view, 99), 1e-30), 0, 1))
    shown = cv2.resize((255 * shown).astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    circles = cv2.HoughCircles(
        cv2.GaussianBlur(shown, (0, 0), 2),  # so that the grain of a table makes no edges
        cv2.HOUGH_GRADIENT_ALT,
        dp=1.5,
        minDist=min(shown.shape) / 20,
        param1=100,
        param2=0.5,
        minRadius=max(4, min(shown.shape) // 50),
        maxRadius=min(shown.shape) // 2,
    )
    if circles is None:
        return []
    # From the corner of the first pixel to its middle.
    return [
        ((column + 0.5) / scale - 0.5, (row + 0.5) / scale - 0.5, radius / scale)
        for column, row, radius in circles.reshape(-1, 3).tolist()
    ]


def _fitted_to_outline(view, circle):
    """Fit a circle to the steps of brightness near it.

    Returns the circle, the share of its outline at which brightness steps the same way (0 to 1), and how steep the
    outline is beside what is around it.
    """
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    cos, sin = np.cos(angles), np.sin(angles)

    def around(circle, width):
        column, row, radius = circle
        radii = radius + np.arange(-width, width + 0.5, 0.5)
        places = row - np.outer(radii, sin), column + np.outer(radii, cos)
        values = ndimage.map_coordinates(view, places, order=1, mode="nearest")
        steps = ndimage.gaussian_filter1d(values, 1, axis=0, order=1)
        return radii, values, steps

    for width in (0.25, 0.1):
        column, row, radius = circle
        radii, _, steps = around(circle, max(2.0, width * radius))
        mean = steps.mean(axis=1)
        best = np.argmax(np.abs(mean))
        found = radii[np.argmax(steps * np.sign(mean[best]), axis=0)]
        points = np.stack([column + found * cos, row - found * sin], axis=1)
        off = np.abs(found - radii[best])
        for _ in range(5):
            # The nearer half decides: shadows and grain have steps of their own.
            near = off <= np.median(off) + 0.25
            # Least squares for the circle x^2 + y^2 = 2 a x + 2 b y + c.
            system = np.column_stack([2 * points[near], np.ones(np.count_nonzero(near))])
            a, b, c = np.linalg.lstsq(system, (points[near] ** 2).sum(axis=1), rcond=None)[0].tolist()
            off = np.abs(np.hypot(points[:, 0] - a, points[:, 1] - b) - np.sqrt(max(c + a**2 + b**2, 0)))
        circle = (a, b, max(float(np.sqrt(max(c + a**2 + b**2, 0))), 1.0))
    _, values, steps = around(circle, max(2.0, 0.1 * circle[2]))
    middle = steps[len(steps) // 2]
    steepness = abs(middle.mean()) / max(values.std(), 1e-30)
    return circle, abs(float(np.sign(middle).mean())), float(steepness)


def _share_of_highlights(images, circle):
    """Return the share of photographs with a small highlight that moves, where a ball shows lamps in front of it."""
    ball = _Ball(circle, images.shape[1:3])
    chosen = np.unique(np.linspace(0, len(images) - 1, _N_LOOKED_AT).astype(int))
    found = []
    for index in chosen:
        try:
            found.append(ball.light(images[index], index))
        except ValueError:
            continue  # no small highlight
    lights = np.array(found).reshape(-1, 3)
    lights = lights[lights[:, 2] > 0]
    moves = len(lights) > 1 and lights.std(axis=0).max() > 0.05
    return len(lights) / len(chosen) if moves else 0.0


def _check_circle(circle, height, width):
    values = np.asarray(circle, dtype=np.float64)
    if values.shape != (3,) or not np.all(np.isfinite(values)) or values[2] <= 0:
        raise ValueError(f"circle={circle!r}, wanted (column, row, radius) with a radius above 0")
    column, row, radius = (float(value) for value in values)
    if not _is_within((column, row, radius), (height, width)):
        raise ValueError(f"circle={circle!r} (column, row, radius) is not within images of {height} x {width} pixels")
    return column, row, radius


def _is_within(circle, image_shape):
    column, row, radius = circle
    # Half a pixel of slack: the outermost pixels reach that far.
    return all(radius - 0.5 <= at <= n - 0.5 - radius for at, n in ((row, image_shape[0]), (column, image_shape[1])))


def _highlight(grey, n_ball, index):
    peak = grey.max()
    if not (np.isfinite(peak) and peak > 0):
        raise ValueError(f"images[{index}] shows no highlight: the brightest value on the ball is {peak}")
    labels, _ = ndimage.label(grey >= peak / 2, structure=np.ones((3, 3)))
    highlight = labels == labels[np.unravel_index(np.argmax(grey), grey.shape)]
    share = np.count_nonzero(highlight) / n_ball
    if share > _LARGEST_HIGHLIGHT:
        raise ValueError(
            f"images[{index}] shows no small highlight: what is at least half as bright as the brightest pixel covers "
            f"{share:.0%} of the ball"
        )
    return highlight
