"""Relighters as files: :func:`save_model` and :func:`load_model`."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from ..featurizer import PixelLightFeaturizer
from ..regressor import RelightingMLPRegressor
from ..utils import library_versions, split_target_shape, warn_of_other_versions
from .container import open_container, write_container
from .interpolations import read_interpolation, read_names, write_interpolation, write_names
from .networks import read_regressor, write_regressor
from .templates import INTERPOLATIONS, read_template, write_template
from .values import Node, check, write_array, write_plain

__all__ = ["load_model", "save_model"]

# Of the description. Files of a higher one are refused.
_FORMAT = 1
_FLOATS = (np.float32, np.float64)
_REGRESSORS = (*INTERPOLATIONS, "RelightingMLPRegressor")


def save_model(relighter, path):
    """Write a fitted model to a file that runs no code when it is read.

    Parameters
    ----------
    relighter : Relighter
        Fitted, and made of this library's parts alone: :class:`~sklrelight.LogExposureScaler`;
        :class:`~sklrelight.PixelLightFeaturizer`, :class:`~sklrelight.RelightingMLPRegressor` and a pipeline of the
        two; the models of ``sklrelight.interpolation``. No subclasses of them.

    path : path-like
        The file, usually ``.safetensors``. It appears when it is whole, and replaces one of that name.

    Raises
    ------
    ImportError
        If the package safetensors is not installed: ``pip install 'sklrelight[share]'``.
    ValueError
        If the model is not fitted, or has a part or a parameter that a file cannot hold. Nothing is written then.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Reads it.

    Notes
    -----
    The file is one of safetensors (https://github.com/huggingface/safetensors), whose metadata hold a description in
    JSON, of names, numbers and shapes, and with it a SHA-256 over the whole file, its own digits counted as zeros. It
    holds all that predicting needs, and parameters and histories, but no optimiser, and no paths of this machine.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from sklrelight import Relighter, load_model, save_model
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> lights, images = np.eye(3), np.arange(36.0).reshape(3, 2, 2, 3)
    >>> relighter = Relighter(RBFInterpolation()).fit(lights, images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     save_model(relighter, path)
    ...     loaded = load_model(path)
    >>> bool((loaded.predict(lights) == relighter.predict(lights)).all())
    True
    """
    arrays: dict[str, np.ndarray] = {}
    template = write_template(relighter, "relighter", ("Relighter",))
    check_is_fitted(relighter)
    description = {
        "format": _FORMAT,
        "versions": library_versions(),
        "relighter": template | {"state": _write_relighter(relighter, arrays)},
    }
    # A file that could not be read is none.
    unwritten = _Unwritten(arrays)
    try:
        _read_relighter(Node(description["relighter"], "relighter", unwritten))
    except ValueError as error:
        raise ValueError(f"this model cannot be saved: {error}") from error
    write_container(path, description, arrays)


def load_model(path):
    """Read a model that :func:`save_model` wrote.

    Files may come from strangers: no code of theirs runs, and the size of the file bounds the memory that is taken.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    Relighter
        Fitted. It predicts the same bytes as the saved one (on the same machine, with the same number of torch
        threads), on the device of its fit, or on the CPU where there is no such one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the package safetensors is not installed: ``pip install 'sklrelight[share]'``.
    ValueError
        If the file is cut, damaged or of another kind, was written by a newer version, or describes what cannot be.

    Warns
    -----
    InconsistentVersionsWarning
        If it was saved with other versions of sklrelight, torch, skorch, scikit-learn or numpy.

    See Also
    --------
    save_model : Writes it, and has an example.
    """
    with open_container(path) as (description, arrays):
        root = Node(description, f"{path}: model", arrays)
        versions = _read_versions(root)
        found = root.integer("format", 1)
        if found > _FORMAT:
            raise ValueError(
                f"{path}: written by sklrelight {versions.get('sklrelight', 'of a newer version')} in format {found};"
                f" sklrelight {library_versions()['sklrelight']} reads up to {_FORMAT}: update it"
            )
        warn_of_other_versions(versions, stacklevel=2)
        relighter = _read_relighter(root.node("relighter"))
        root.end()
        arrays.check_all_taken()
    return relighter


class _Unwritten:
    """Arrays that are in memory only, in place of those of a file."""

    def __init__(self, arrays):
        self._arrays = arrays
        self.n_bytes = sum(array.nbytes for array in arrays.values()) + 2**16

    def layout(self, name):
        return self._arrays[name].dtype, self._arrays[name].shape

    def take(self, name):
        return self._arrays[name]


def _read_versions(root):
    node = root.node("versions")
    versions = {name: node.text(name) for name in node.names()[:16]}
    node.end()
    check(all(len(v) <= 40 and v.isprintable() for v in versions.values()), f"{node.where} has odd versions")
    return versions


def _write_relighter(relighter, arrays):
    weight = relighter.pixel_weight_
    return {
        "target_shape": [int(n) for n in relighter._target_shape],
        "pixel_weight": None if weight is None else write_array(arrays, weight, "pixel_weight"),
        "saturation": write_plain(relighter.saturation_, "relighter.saturation_"),
        "interrupted": bool(relighter.interrupted_),
        "transformer": _write_scaler(relighter.transformer_),
        "regressor": _write_part(relighter.regressor_, arrays, "regressor"),
        **write_names(relighter),
    }


def _read_relighter(node):
    relighter = read_template(node, ("Relighter",))
    state = node.node("state")
    shape = state.integers("target_shape", 1, longest=3)
    relighter._target_shape = shape
    relighter._training_dim = 1 + len(shape)
    relighter.pixel_weight_ = None
    if state.has("pixel_weight"):
        check(len(shape) > 1, f"{state.where} has weights of pixels, and no pixels")
        relighter.pixel_weight_ = state.array("pixel_weight", shape[:2], (np.float32,))
        check(relighter.pixel_weight_.min() >= 0, f"{state.where} has negative weights")
    relighter.saturation_ = state.plain("saturation")
    number = isinstance(relighter.saturation_, (int, float, np.number)) and not isinstance(relighter.saturation_, bool)
    check(relighter.saturation_ is None or (number and 0 < relighter.saturation_ < np.inf), f"{state.where}.saturation")
    relighter.interrupted_ = state.flag("interrupted")
    relighter.transformer_ = _read_scaler(state.node("transformer"))
    relighter.regressor_ = _read_part(state.node("regressor"), shape)
    if state.has("feature_names_in"):
        relighter.feature_names_in_ = np.array(state.texts("feature_names_in"), dtype=object)
        check(
            len(relighter.feature_names_in_) == relighter.n_features_in_,
            f"{state.where} has another number of names than of columns",
        )
    state.end()
    node.end()
    return relighter


def _write_scaler(scaler):
    template = write_template(scaler, "transformer", ("LogExposureScaler",))
    state = {
        "exposure": float(scaler.exposure_),
        "data_min": float(scaler.data_min_),
        "data_max": float(scaler.data_max_),
        "n_features_in": int(scaler.n_features_in_) if hasattr(scaler, "n_features_in_") else None,
    }
    return {**template, "state": state}


def _read_scaler(node):
    scaler = read_template(node, ("LogExposureScaler",))
    scaler.set_output(transform="default")
    state = node.node("state")
    scaler.exposure_ = state.number("exposure", -30, 30)
    scaler.data_min_ = state.number("data_min", 0)
    scaler.data_max_ = state.number("data_max", scaler.data_min_)
    if state.has("n_features_in"):
        scaler.n_features_in_ = state.integer("n_features_in", 1)
    state.end()
    node.end()
    return scaler


def _write_part(regressor, arrays, where):
    """Write a fitted regressor, or a pipeline that ends in one."""
    if isinstance(regressor, Pipeline):
        template = write_template(regressor, where, ("Pipeline",))
        steps = [_write_part(step, arrays, f"{where}.{name}") for name, step in regressor.steps]
        return {**template, "steps": steps}
    if isinstance(regressor, PixelLightFeaturizer):
        return _write_featurizer(regressor, arrays, where)
    if isinstance(regressor, RelightingMLPRegressor):
        return write_regressor(regressor, arrays, where)
    write_template(regressor, where, _REGRESSORS)
    return write_interpolation(regressor, arrays, where)


def _read_part(node, target_shape):
    if node.peek("class") != "Pipeline":
        return _read_regressor(node, target_shape)
    pipeline = read_template(node, ("Pipeline",))
    nodes = node.nodes("steps", most=2)
    check(len(nodes) == len(pipeline.steps), f"{node.where} has another number of steps than of names")
    fitted = []
    if len(nodes) == 2:
        featurizer = _read_featurizer(nodes[0], target_shape)
        fitted.append(featurizer)
        width, n_pixel_features = featurizer.n_features_in_, featurizer.pixel_table_.shape[1]
        fitted.append(read_regressor(nodes[1], width, n_pixel_features, target_shape))
    else:
        fitted.append(_read_regressor(nodes[0], target_shape))
    pairs = zip(pipeline.steps, fitted, strict=True)
    check(all(type(part) is type(own) for (_, part), own in pairs), f"{node.where} has other steps than parameters")
    pipeline.steps = [(name, own) for (name, _), own in zip(pipeline.steps, fitted, strict=True)]
    node.end()
    return pipeline


def _read_regressor(node, target_shape):
    """Read a regressor that takes the lights alone."""
    name, state = node.peek("class"), node.peek("state")
    check(name in _REGRESSORS, f"{node.where}.class is {str(name)[:40]!r}, not one of {_REGRESSORS}")
    width = state.get("n_features_in") if isinstance(state, dict) else None
    check(isinstance(width, int) and width > 0, f"{node.where} has no width of lights")
    if name == "RelightingMLPRegressor":
        check(len(target_shape) <= 1, f"{node.where} is of a plain table, and has photographs")
        return read_regressor(node, width, 0, target_shape)
    return read_interpolation(node, width, target_shape)


# What the scalers of lights learn.
_SCALER_ARRAYS = {
    "StandardScaler": ("mean_", "scale_", "var_"),
    "MinMaxScaler": ("data_max_", "data_min_", "data_range_", "min_", "scale_"),
}


def _write_featurizer(featurizer, arrays, where):
    scaler = featurizer.light_scaler_
    written = None
    if scaler is not None:
        name = type(scaler).__name__
        written = {
            "class": name,
            **{a: write_array(arrays, getattr(scaler, a), f"{where}.light_scaler.{a}") for a in _SCALER_ARRAYS[name]},
            "n_samples_seen": int(scaler.n_samples_seen_),
        }
    state = {
        "n_features_in": int(featurizer.n_features_in_),
        **write_names(featurizer),
        "image_shape": [int(n) for n in featurizer.image_shape_],
        "n_channels": int(featurizer._n_channels),
        "n_components": int(featurizer.n_components_),
        "brightness_powers": write_array(arrays, featurizer.brightness_powers_, f"{where}.brightness_powers"),
        "pixel_table": write_array(arrays, featurizer.pixel_table_, f"{where}.pixel_table"),
        "light_scaler": written,
    }
    return {**write_template(featurizer, where, ("PixelLightFeaturizer",)), "state": state}


def _read_featurizer(node, target_shape):
    featurizer = read_template(node, ("PixelLightFeaturizer",))
    state = node.node("state")
    featurizer.n_features_in_ = state.integer("n_features_in", 1)
    read_names(state, featurizer)
    image_shape, n_channels = split_target_shape((1, *target_shape))
    featurizer.image_shape_ = state.integers("image_shape", 1, longest=2)
    featurizer._n_channels = state.integer("n_channels", 1)
    check(
        featurizer.image_shape_ == image_shape and featurizer._n_channels == n_channels,
        f"{state.where} is of other photographs",
    )
    featurizer.n_components_ = state.integer("n_components")
    # Two coordinates, and the mean image.
    powers = featurizer.brightness_powers_ = state.array("brightness_powers", (None,), (np.float64,))
    width = 2 + n_channels + featurizer.n_components_ + len(powers) * featurizer.n_features_in_
    n_pixels = image_shape[0] * image_shape[1] if image_shape else 1
    featurizer.pixel_table_ = state.array("pixel_table", (n_pixels, width), (np.float32,))
    featurizer.light_scaler_ = None
    if state.has("light_scaler"):
        featurizer.light_scaler_ = _read_light_scaler(state.node("light_scaler"), featurizer.n_features_in_)
    state.end()
    node.end()
    return featurizer


def _read_light_scaler(node, width):
    name = node.text("class", tuple(_SCALER_ARRAYS))
    scaler = StandardScaler() if name == "StandardScaler" else MinMaxScaler()
    for attribute in _SCALER_ARRAYS[name]:
        setattr(scaler, attribute, node.array(attribute, (width,)))
    scaler.n_samples_seen_ = node.integer("n_samples_seen", 1)
    scaler.n_features_in_ = width
    node.end()
    return scaler
