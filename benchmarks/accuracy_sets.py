"""The captures of the accuracy benchmark: which lights are trained on, which are tested on, what counts as encoded."""

from dataclasses import dataclass, replace

import numpy as np

from sklrelight.datasets import load_diligent, load_npz, load_rti
from sklrelight.metrics import DISPLAY_GAMMA, display_white, encode_display

REALRTI = ("realrti_item3", *(f"realrti/item{number}" for number in (1, 2, 4, 5, 6, 8, 9, 11)))
SYNTHRTI = tuple(
    f"synthrti/{name}" for name in ("single_object1_material1", "multi_object1_material5", "multi_object3_material9")
)
# How many lights each capture is trained with: counts, or shares of what it has.
SETS: dict[str, tuple[int | float, ...]] = {
    **dict.fromkeys(REALRTI, (0.6,)),
    **dict.fromkeys(SYNTHRTI, (1.0,)),
    "diligent_cat": (60,),
    "loewenkopf": (120,),
    "figure_olat": (50, 128, 512),
    "still_olat": (50, 120),
}
GROUPS = {"all": tuple(SETS), "realrti": REALRTI, "synthrti": SYNTHRTI}

# Number of pixels of the longer side in quick runs.
_QUICK_SIDE = 24


@dataclass
class Split:
    """Photographs to train on and to test on, as they are loaded.

    Photographs of 8 bits are stored values over 255, and these count as encoded. All others are linear radiance, which
    the white of the training photographs encodes for display.
    """

    lights: np.ndarray
    images: np.ndarray
    test_lights: np.ndarray
    test_images: np.ndarray
    white: float | None
    """Radiance that is shown as white; None for 8 bits."""
    gamma: float = 1.0
    """Exponent that makes linear radiance of the stored values of an 8-bit capture."""
    pixel_weight: np.ndarray | None = None

    @property
    def domains(self):
        """Domains in which a model without an encoding of its own may be fitted."""
        return ("encoded",) if self.white is None else ("encoded", "linear")

    def encode(self, images):
        """Encode photographs; values outside of what can be stored or shown are clipped."""
        return np.clip(images, 0, 1) if self.white is None else encode_display(images, self.white)

    def decode(self, encoded):
        """Turn encoded photographs back into what was loaded."""
        if self.white is None:
            return encoded
        return np.maximum(encoded, 0) ** DISPLAY_GAMMA * self.white

    def with_tests(self, most):
        """Keep photographs to test on, spread evenly over all of them, and at most so many."""
        kept = np.unique(np.linspace(0, len(self.test_lights) - 1, most).round().astype(int))
        return replace(self, test_lights=self.test_lights[kept], test_images=self.test_images[kept])

    def to_linear(self, images):
        """Turn photographs as loaded into linear radiance."""
        return np.maximum(images, 0) ** self.gamma


def expand(names):
    """Replace groups, such as "realrti", by their captures, and name each capture once.

    >>> expand(["loewenkopf", "synthrti"])[:2]
    ['loewenkopf', 'synthrti/single_object1_material1']
    """
    return list(dict.fromkeys(capture for name in names for capture in GROUPS.get(name, (name,))))


def permute(n_lights, train, seed):
    """Choose lights to train on: the first of a seeded permutation. The rest are held out.

    >>> permute(5, 0.6, 0)
    (array([2, 4, 3]), array([0, 1]))
    """
    n_train = round(train * n_lights) if isinstance(train, float) else train
    if not 0 < n_train <= n_lights:
        raise ValueError(f"{n_train} of {n_lights} lights cannot be trained on")
    order = np.random.default_rng(seed).permutation(n_lights)
    return order[:n_train], order[n_train:]


def is_there(name, data):
    """Whether a capture is in the folder of captures."""
    return any((data / path).exists() for path in (name, f"{name}.npz"))


def load_split(name, data, train, seed, *, masked=False, quick=False):
    """Load a capture and split it.

    Parameters
    ----------
    name : str
        One of `SETS`, or another folder within `data` with photographs and an ``.lp`` file.

    data : Path
        The folder of captures.

    train : int or float
        Number of lights to train on, or their share.

    seed : int
        Seed of the permutation.

    masked : bool, default=False
        Whether pixels are weighed by the capture's mask, where it has one. By default the whole image counts.

    quick : bool, default=False
        Whether few pixels are kept.

    Returns
    -------
    Split
        Photographs to train on and to test on.
    """
    test = None
    if name.startswith("synthrti/"):
        capture, test = (load_rti(data / name / part, decode="linear") for part in ("Dome", "Test"))
    elif name == "figure_olat":
        # The reference has hardly any noise. The noise of figure_olat's own photographs would hide small errors.
        capture, test = load_npz(data / "figure_olat.npz"), load_npz(data / "figure_reference.npz")
    elif name == "still_olat":
        # Glass and metal: caustics, and highlights of a hundred times the white.
        capture, test = load_npz(data / "still_olat.npz"), load_npz(data / "still_reference.npz")
    elif name == "diligent_cat":
        capture = load_diligent(data / name)
    else:
        capture = load_rti(data / name, decode="linear")

    train_index, rest = permute(len(capture.lights), train, seed)
    stride = -(-max(capture.image_shape) // _QUICK_SIDE) if quick else 1
    thin = (slice(None), slice(None, None, stride), slice(None, None, stride))
    images = capture.images[train_index][thin]
    if test is None:
        test_lights, test_images = capture.lights[rest], capture.images[rest][thin]
    else:
        test_lights, test_images = test.lights, test.images[thin]
    return Split(
        lights=capture.lights[train_index],
        images=np.ascontiguousarray(images),
        test_lights=test_lights,
        test_images=np.ascontiguousarray(test_images),
        white=None if capture.get("bit_depth") == 8 else display_white(images),
        # RealRTI and the Loewenkopf are nearly linear as they are stored.
        gamma=2.2 if name.startswith("synthrti/") else 1.0,
        pixel_weight=capture.mask[thin[1:]] if masked and capture.mask is not None else None,
    )
