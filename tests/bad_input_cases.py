"""What each public entry does with odd input: the cases behind docs/bad_input.md.

``python tests/bad_input_cases.py`` writes that page anew. The tests check every row of it.
"""

import io
import linecache
import re
import tempfile
import traceback
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.base import clone

import sklrelight
from sklrelight import (
    LogExposureScaler,
    PixelLightFeaturizer,
    Relighter,
    RelightingMLPRegressor,
    datasets,
    demultiplex,
    load_model,
    make_relighter,
    metrics,
    save_model,
)
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
    choose_lights,
)
from sklrelight.surface import PhotometricStereo, integrate_normals

_PACKAGE = Path(sklrelight.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "bad_input.md"
RESULT, SAME, ROUNDED = "a finite result", "as a plain array", "as a plain array, but for rounding"
_WIDTH = 110

RNG = np.random.default_rng(0)
LIGHTS = RNG.normal(size=(8, 3)) * [1, 1, 0.2] + [0, 0, 1]
LIGHTS /= np.linalg.norm(LIGHTS, axis=1, keepdims=True)
IMAGES = RNG.random((8, 7, 7, 3))
MIXTURES = 1 - np.eye(8)
NEW = np.array([[0.1, 0.2, 0.97], [-0.3, 0.1, 0.95]])


def _spoilt(value):
    def spoil(array):
        array = array.copy()
        array.flat[array.size // 2] = value
        return array

    return spoil


def _readonly(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _strided(array):
    return np.repeat(array, 2, axis=-1)[..., ::2]


# Kinds of input, each made of an array that is in order.
KINDS = {
    "NaN": _spoilt(np.nan),
    "an infinity": _spoilt(np.inf),
    "a negative value": _spoilt(-0.5),
    "zeros": np.zeros_like,
    "one value throughout": lambda array: np.full_like(array, 0.5),
    "a single light": lambda array: array[:1],
    "lights twice": lambda array: np.repeat(array[::2], 2, axis=0),
    "one-pixel images": lambda array: array[:, :1, :1],
    "integers": lambda array: (100 * array).round().astype(np.int16),
    "float16 near its largest": lambda array: (array / np.abs(array).max() * 65504).astype(np.float16),
    "values of 1e-30": lambda array: array * 1e-30,
    "values of 1e30": lambda array: array * 1e30,
    "not contiguous": _strided,
    "Fortran order": np.asfortranarray,
    "read-only": _readonly,
    "a list": lambda array: array.tolist(),
    "strings": lambda array: np.full(array.shape, "bright"),
    "complex numbers": lambda array: array + 1j,
    "masked values": lambda array: np.ma.array(array, mask=array == array.flat[0]),
    "nothing in it": lambda array: array[:0],
    "one row too few": lambda array: array[:-1],
    "one dimension less": lambda array: array[..., 0],
    "one dimension more": lambda array: array[..., None],
    "None": lambda array: None,
}
# What has to be the same as for a plain array, to the byte.
PLAIN = ("not contiguous", "Fortran order", "read-only", "a list")
# Kinds for which the other argument loses as many rows.
_BOTH = ("a single light", "nothing in it")
_TABLE = ("one-pixel images",)

_TINY = {"hidden_layer_sizes": (8,), "pixel_layer_sizes": (8,), "max_observations": 300, "batch_size": 50}


def _mlp(**parameters):
    return RelightingMLPRegressor(**_TINY | {"random_state": 0} | parameters)


def _relighter():
    relighter = make_relighter(random_state=0).set_params(n_members=1)
    return relighter.set_params(**{f"regressor__mlp__{name}": value for name, value in _TINY.items()})


def _fits(model, argument, new=NEW):
    """Fit with one argument replaced, and predict."""

    def run(value, kind):
        given = {"X": LIGHTS, "y": IMAGES} | {argument: value}
        if kind in _BOTH:
            other = "y" if argument == "X" else "X"
            given[other] = given[other][: len(value)]
        fitted = clone(model).fit(**given)
        lights = new if argument == "y" or np.ndim(value) != 2 or kind in PLAIN else np.asarray(value)[:2]
        return fitted.predict(np.asarray(lights, float))

    return run


def _predicts(model, X=LIGHTS, y=IMAGES):
    fitted = {}

    def run(value, kind):
        # Once, and not before it is asked for.
        if not fitted:
            fitted["model"] = clone(model).fit(X, y)
        return fitted["model"].predict(value)

    return run


def _weighted(value, kind):
    return _relighter().fit(LIGHTS, IMAGES, pixel_weight=value).predict(NEW)


_FITTED: dict = {}


def _nearest():
    if "nearest" not in _FITTED:
        _FITTED["nearest"] = Relighter(NearestPhotograph()).fit(LIGHTS, IMAGES)
    return _FITTED["nearest"]


def _transforms(value, kind):
    return LogExposureScaler().fit(IMAGES).transform(value)


def _decodes(value, kind):
    return LogExposureScaler().fit(IMAGES).inverse_transform(value)


def _scales(value, kind):
    scaler = LogExposureScaler().fit(value)
    return scaler.inverse_transform(scaler.transform(value))


def _describes(argument):
    def run(value, kind):
        given = {"X": LIGHTS, "y": IMAGES} | {argument: value}
        if kind in _BOTH:
            other = "y" if argument == "X" else "X"
            given[other] = given[other][: len(value)]
        featurizer = PixelLightFeaturizer(random_state=0).fit(**given)
        features = featurizer.transform(given["X"])
        return np.concatenate([features.lights.ravel(), features.pixels.ravel()])

    return run


def _describes_new(value, kind):
    return PixelLightFeaturizer(random_state=0).fit(LIGHTS, IMAGES).transform(value).lights


def _measures(metric, argument, **parameters):
    def run(value, kind):
        given = {"y_true": IMAGES, "y_pred": 0.9 * IMAGES} | {argument: value}
        if kind in _BOTH:
            other = "y_pred" if argument == "y_true" else "y_true"
            given[other] = given[other][: len(value)]
        if kind in _TABLE:
            given = {name: np.asarray(array)[:, :1, :1] for name, array in given.items()}
        return metric(**given, **parameters)

    return run


def _saves_image(value, kind):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.exr")
        datasets.save_image(path, value, bit_depth=32)
        return datasets.load_image(path)


def _saves_stack(value, kind):
    with tempfile.TemporaryDirectory() as folder:
        datasets.save_stack(Path(folder, "stack"), value, LIGHTS[: len(value)] if kind in _BOTH else LIGHTS)
        return datasets.load_rti(Path(folder, "stack"), decode="srgb").images


def _loads_npz(value, kind):
    file = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "capture.npz")
        np.savez(file, images=value, lights=LIGHTS[: len(value)] if kind in _BOTH else LIGHTS)
        path.write_bytes(file.getvalue())
        return datasets.load_npz(path).images


TABLE, TARGETS = RNG.random((20, 4)), RNG.random((20, 2))


def _fits_table(argument):
    def run(value, kind):
        given = {"X": TABLE, "y": TARGETS} | {argument: value}
        if kind in _BOTH:
            other = "y" if argument == "X" else "X"
            given[other] = given[other][: len(value)]
        return _mlp().fit(**given).predict(TABLE if argument == "y" or kind == "one row too few" else value)

    return run


INTERPOLATIONS = [
    NearestPhotograph(),
    RBFInterpolation(),
    StackedRBFInterpolation(n_clusters=2, random_state=0),
    LinearInterpolation(),
    PolynomialTextureMap(),
    HemisphericalHarmonics(),
    PretrainedInterpolation(),
    PhotometricStereo(),
]

# Each entry: what it is called with the argument replaced, and an array that the argument may well be.
ENTRIES = {
    "`Relighter.fit`, `X`": (_fits(_relighter(), "X"), LIGHTS),
    "`Relighter.fit`, `y`": (_fits(_relighter(), "y"), IMAGES),
    "`Relighter.fit`, `pixel_weight`": (_weighted, np.ones((7, 7))),
    "`Relighter.predict`, `X`": (_predicts(_relighter()), NEW),
    "`Relighter.relight`, `X`": (lambda value, kind: _nearest().relight(value, [0.5] * 2), NEW),
    "`Relighter.relight`, `intensities`": (lambda value, kind: _nearest().relight(NEW, value), np.array([0.5, 2.0])),
    "`Relighter.score`, `y`": (lambda value, kind: _nearest().score(LIGHTS[:4], value), IMAGES[:4]),
    "`LogExposureScaler.fit`, `X`": (_scales, IMAGES),
    "`LogExposureScaler.transform`, `X`": (_transforms, IMAGES),
    "`LogExposureScaler.inverse_transform`, `X`": (_decodes, IMAGES),
    "`PixelLightFeaturizer.fit`, `X`": (_describes("X"), LIGHTS),
    "`PixelLightFeaturizer.fit`, `y`": (_describes("y"), IMAGES),
    "`PixelLightFeaturizer.transform`, `X`": (_describes_new, NEW),
    "`RelightingMLPRegressor.fit`, `X`": (_fits_table("X"), TABLE),
    "`RelightingMLPRegressor.fit`, `y`": (_fits_table("y"), TARGETS),
    "`RelightingMLPRegressor.predict`, `X`": (_predicts(_mlp(), TABLE, TARGETS), TABLE[:3]),
    **{
        f"`{type(model).__name__}.{method}`, `{argument}`": (
            (_predicts(model), NEW)
            if method == "predict"
            else (_fits(model, argument), {"X": LIGHTS, "y": IMAGES}[argument])
        )
        for model in INTERPOLATIONS
        for method, argument in (("fit", "X"), ("fit", "y"), ("predict", "X"))
    },
    "`relative_error`, `y_true`": (_measures(metrics.relative_error, "y_true"), IMAGES),
    "`relative_error`, `y_pred`": (_measures(metrics.relative_error, "y_pred"), IMAGES),
    "`peak_signal_noise_ratio`, `y_pred`": (
        _measures(metrics.peak_signal_noise_ratio, "y_pred", data_range=1.0),
        0.9 * IMAGES,
    ),
    "`structural_similarity`, `y_pred`": (_measures(metrics.structural_similarity, "y_pred", data_range=1.0), IMAGES),
    "`encode_display`, `images`": (lambda value, kind: metrics.encode_display(value, 1.0), IMAGES),
    "`display_white`, `images`": (lambda value, kind: metrics.display_white(value), IMAGES),
    "`environment_to_lights`, `image`": (lambda value, kind: datasets.environment_to_lights(value, 2)[0], IMAGES[0]),
    "`choose_lights`, `candidates`": (lambda value, kind: choose_lights(value, 1), LIGHTS),
    "`choose_lights`, `proxy`": (lambda value, kind: choose_lights(LIGHTS, 3, proxy=value), IMAGES),
    "`demultiplex`, `images`": (
        lambda value, kind: demultiplex(value, MIXTURES[: len(np.atleast_1d(value)), :1])[0],
        IMAGES,
    ),
    "`demultiplex`, `intensities`": (lambda value, kind: demultiplex(IMAGES, value)[0], MIXTURES),
    "`integrate_normals`, `normals`": (lambda value, kind: integrate_normals(value), IMAGES[0]),
    "`save_image`, `image`": (_saves_image, IMAGES[0]),
    "`save_stack`, `images`": (_saves_stack, IMAGES[:, :4, :4]),
    "`load_npz`, the archive's `images`": (_loads_npz, IMAGES),
}


# Parameters and files: each row has its own input.
def _with_parameters(**parameters):
    return lambda: _relighter().set_params(**parameters).fit(LIGHTS, IMAGES)


def _reads(content):
    def run():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model")
            if content is not None:
                path.write_bytes(content)
            return load_model(path)

    return run


def _saves(model):
    def run():
        with tempfile.TemporaryDirectory() as folder:
            save_model(model, Path(folder, "model"))

    return run


OTHERS = {
    ("`make_relighter`, `recipe`", "another name"): lambda: make_relighter("fast"),
    ("`make_relighter`, `recipe`", "None"): lambda: make_relighter(None),
    ("`make_relighter`, `recipe`", "a list"): lambda: make_relighter(["default"]),
    ("`make_relighter`, `device`", "another name"): lambda: make_relighter(device="abacus").fit(LIGHTS, IMAGES),
    ("`make_relighter`, `random_state`", "a negative number"): lambda: make_relighter(random_state=-1).fit(
        LIGHTS, IMAGES
    ),
    ("`make_relighter`, `random_state`", "a string"): lambda: make_relighter(random_state="x").fit(LIGHTS, IMAGES),
    ("`Relighter.fit`, `saturation`", "NaN"): lambda: _relighter().fit(LIGHTS, IMAGES, saturation=np.nan),
    ("`Relighter.fit`, `saturation`", "a negative number"): lambda: _relighter().fit(LIGHTS, IMAGES, saturation=-1),
    ("`Relighter.fit`, `saturation`", "less than all values"): lambda: _relighter().fit(
        LIGHTS, IMAGES, saturation=1e-30
    ),
    ("`Relighter.fit`, `saturation`", "a string"): lambda: _relighter().fit(LIGHTS, IMAGES, saturation="white"),
    ("`Relighter`, `transformer__exposure`", "NaN"): _with_parameters(transformer__exposure=np.nan),
    ("`Relighter`, `transformer__exposure`", "31"): _with_parameters(transformer__exposure=31),
    ("`Relighter`, `transformer__gamma`", "0"): _with_parameters(transformer__gamma=0),
    ("`Relighter`, `featurizer__n_components`", "-1"): _with_parameters(regressor__featurizer__n_components=-1),
    ("`Relighter`, `featurizer__brightness_powers`", "(-1,)"): _with_parameters(
        regressor__featurizer__brightness_powers=(-1,)
    ),
    ("`Relighter`, `featurizer__blur_widths`", "(0,)"): _with_parameters(regressor__featurizer__blur_widths=(0,)),
    ("`Relighter`, `mlp__hidden_layer_sizes`", "a number"): _with_parameters(regressor__mlp__hidden_layer_sizes=8),
    ("`Relighter`, `mlp__hidden_layer_sizes`", "(8, 0)"): _with_parameters(regressor__mlp__hidden_layer_sizes=(8, 0)),
    ("`Relighter`, `mlp__hidden_layer_sizes`", "a string"): _with_parameters(regressor__mlp__hidden_layer_sizes="88"),
    ("`Relighter`, `mlp__learning_rate_init`", "NaN"): _with_parameters(regressor__mlp__learning_rate_init=np.nan),
    ("`Relighter`, `mlp__learning_rate_init`", "an infinity"): _with_parameters(
        regressor__mlp__learning_rate_init=np.inf
    ),
    ("`Relighter`, `mlp__max_time`", "NaN"): _with_parameters(regressor__mlp__max_time=np.nan),
    ("`Relighter`, `mlp__luminance_weight`", "an infinity"): _with_parameters(regressor__mlp__luminance_weight=np.inf),
    ("`Relighter`, `mlp__max_observations`", "None, and nothing else ends the fit"): _with_parameters(
        regressor__mlp__max_observations=None
    ),
    ("`Relighter`, `mlp__callbacks`", "a number"): _with_parameters(regressor__mlp__callbacks=3),
    ("`Relighter`, `mlp__callbacks`", "a list of numbers"): _with_parameters(regressor__mlp__callbacks=[3]),
    ("`Relighter`, `interpolation`", "another name"): _with_parameters(interpolation="linear"),
    ("`Relighter`, `n_members`", "0"): _with_parameters(n_members=0),
    ("`Relighter`, `mlp__batch_size`", "0"): _with_parameters(regressor__mlp__batch_size=0),
    ("`Relighter`, `mlp__window_size`", "wider than the image"): _with_parameters(regressor__mlp__window_size=8),
    ("`peak_signal_noise_ratio`, `data_range`", "0"): lambda: metrics.peak_signal_noise_ratio(
        IMAGES, IMAGES, data_range=0
    ),
    ("`peak_signal_noise_ratio`, `data_range`", "a string"): lambda: metrics.peak_signal_noise_ratio(
        IMAGES, IMAGES, data_range="1"
    ),
    ("`encode_display`, `white`", "NaN"): lambda: metrics.encode_display(IMAGES, np.nan),
    ("`encode_display`, `white`", "a string"): lambda: metrics.encode_display(IMAGES, "1"),
    ("`sun_to_direction`, `altitude`", "NaN"): lambda: datasets.sun_to_direction(0, np.nan),
    ("`sun_to_direction`, `altitude`", "100"): lambda: datasets.sun_to_direction(0, 100),
    ("`make_scene`, `n_lights`", "0"): lambda: datasets.make_scene(n_lights=0),
    ("`make_scene`, `image_shape`", "(0, 4)"): lambda: datasets.make_scene(n_lights=2, image_shape=(0, 4)),
    ("`save_model`, `relighter`", "not fitted"): _saves(_relighter()),
    ("`save_model`, `relighter`", "a string"): _saves("relighter"),
    ("`save_model`, `relighter`", "another's regressor"): _saves(Relighter(_nearest)),
    ("`load_model`, `path`", "no file"): _reads(None),
    ("`load_model`, `path`", "an empty file"): _reads(b""),
    ("`load_model`, `path`", "an image file"): _reads(b"\x89PNG\r\n\x1a\n" + bytes(100)),
}


# What a message may name, where it is not the argument of that name.
NAMES = {
    "path": "model",  # the file's own name
    "recipe": "recipe",
    "relighter": "relighter|Relighter",
}


def _run(call):
    """Make a call; give its result, what it raised, and the names of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            return call(), None, sorted({warning.category.__name__ for warning in caught})
        except Exception as error:
            return None, error, []


def observe(entry, kind):
    """Say what an entry does with a kind of input, in the words of the page, and whether that is in order."""
    plain = None
    if (entry, kind) in OTHERS:
        result, error, noise = _run(OTHERS[entry, kind])
    else:
        function, plain = ENTRIES[entry]
        result, error, noise = _run(lambda: function(KINDS[kind](plain), kind))
    if error is not None:
        return _told(entry, kind, error)
    if noise:
        # The library's own warnings are UserWarning; NumPy's, which nobody asked for, are not.
        return f"warnings: {', '.join(noise)}", noise == ["UserWarning"]
    if (entry, kind) in PARTICULAR:
        return PARTICULAR[entry, kind], True
    if plain is not None and not np.isfinite(np.asarray(result)).all():
        return "values that are not finite", False
    if kind in PLAIN and plain is not None:
        return _compared(np.asarray(result), _plain_result(entry))
    return RESULT, True


@cache
def _plain_result(entry):
    function, plain = ENTRIES[entry]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(function(plain, PLAIN[0]))


def _compared(result, expected):
    if result.shape == expected.shape and result.tobytes() == expected.tobytes():
        return SAME, True
    # Lists are taken for float32, and sums round by the order of the memory.
    return ROUNDED, result.shape == expected.shape and np.allclose(result, expected, rtol=1e-3, atol=1e-5)


def _told(entry, kind, error):
    """Say what was raised, and whether it is an error for the caller that names the argument."""
    argument = entry.split("`")[-2].split("__")[-1]
    names = [NAMES.get(argument, argument)]
    if kind in (*_BOTH, "one row too few"):
        names += ["X", "y", "y_true", "intensities"]
    message = re.sub(r"/\S*/", "", str(error))
    named = re.search(rf"\b({'|'.join(names)})\b", message)
    expected = isinstance(error, (ValueError, TypeError, FileNotFoundError))
    told = f"`{type(error).__name__}`"
    if (own := _own_words(error, message)) is not None:
        line = own.split("\n")[0].replace("|", "or")
        told += f": {line if len(line) <= _WIDTH else line[:_WIDTH].rstrip() + '...'}"
    elif named:
        told += f" that names {named[0]}"
    return told, named is not None and expected


def _own_words(error, message):
    """Return the message without other projects' words, which another version may change; None if all are theirs."""
    *_, (frame, line_number) = traceback.walk_tb(error.__traceback__)
    path = frame.f_code.co_filename
    # What numpy's or torch's compiled code raises seems to come from the line that calls it.
    if _PACKAGE not in Path(path).parents or not linecache.getline(path, line_number).strip().startswith("raise "):
        return None
    cause = error.__cause__
    if cause is None or _own_words(cause, str(cause)) is not None:
        return message
    own, quoted, _ = message.partition(str(cause).split("\n")[0])
    # An argument's name is put before many of their messages.
    return None if quoted and re.fullmatch(r"([\w, ]+: )?", own) else own + "..." * bool(quoted)


# Results of their own kind.
PARTICULAR = {
    ("`relative_error`, `y_true`", "zeros"): "infinity: there is nothing to be relative to",
    ("`encode_display`, `images`", "NaN"): "NaN stays NaN",
    (
        "`PixelLightFeaturizer.fit`, `y`",
        "a list",
    ): "a finite result; lists are read in float32, whose rounding rotates components of nearly equal variance",
}


def rows():
    """All pairs of entry and kind that the page has to have."""
    for entry, (_, plain) in ENTRIES.items():
        for kind in KINDS:
            if _applies(entry, kind, plain):
                yield entry, kind
    yield from OTHERS


def _applies(entry, kind, plain):
    if kind == "one-pixel images":
        return plain.ndim == 4
    if kind in ("lights twice", "a single light"):
        # Of images and of lights, not of what is asked of a fitted model.
        return "fit`" in entry and len(plain) == len(LIGHTS)
    return not (kind == "one row too few" and "fit`" not in entry and "relight`" not in entry)


def page_rows():
    """Read the page: entry, kinds and outcome of each row."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            entry, kinds, outcome = line.strip("| ").split(" | ")
            yield entry, kinds.split("; "), outcome


def write_page():
    """Write the page from what is observed."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    start = next((i for i, line in enumerate(lines) if line.startswith("|")), len(lines))
    grouped: dict = {}
    for entry, kind in rows():
        outcome, _ = observe(entry, kind)
        grouped.setdefault((entry, outcome), []).append(kind)
    order = {entry: None for entry, _ in grouped}
    table = ["| function, argument | input | what happens |", "|---|---|---|"]
    for entry in order:
        for (other, outcome), kinds in grouped.items():
            if other == entry:
                table.append(f"| {entry} | {'; '.join(kinds)} | {outcome} |")
    PAGE.write_text("\n".join([*lines[:start], *table]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_page()
