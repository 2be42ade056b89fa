"""The multilayer perceptron as a scikit-learn regressor: :class:`RelightingMLPRegressor`."""

import os
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback
from skorch.history import History

from ..preprocessing import PixelLightFeatures
from ..stacks import ImageStack
from ..utils._sklearn_compat import Interval, StrOptions, fit_context, validate_parameter_constraints
from ._base import ObservationRegressor
from ._batches import Observations
from ._callbacks import BatchSizeStages, named_callbacks
from ._checkpoint import EpochCheckpoint, FitCheckpoint, fit_fingerprint
from ._config import TrainingConfig, resolve_device
from ._disk_batches import StackObservations
from ._modules import ACTIVATIONS, NORMALIZATIONS, as_tensor, pixels_as_tensor
from ._net import Clock, RelightingNet
from ._training import freed_memory_kept, make_net, membership, split_lights

__all__ = ["RelightingMLPRegressor"]

# Parameters that no result depends on.
_IRRELEVANT = {"checkpoint", "verbose"}


class RelightingMLPRegressor(ObservationRegressor):
    """Multilayer perceptron that predicts the colour of a pixel under a light, trained by skorch.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(128, 64, 64)
        Width of each hidden layer of an observation. The first one joins light and pixel.

    pixel_layer_sizes : tuple of int, default=(128, 64)
        Width of each hidden layer of a pixel. What these layers make of a pixel does not depend on the light, and is
        computed once for all lights. A plain table does not tell light from pixel, and has no such layers. An empty
        tuple gives a plain multilayer perceptron.

    activation : {"relu", "prelu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"}, default="relu"
        Activation of the hidden layers.

    output_activation : str, default="identity"
        Activation of the output, one of those above. With a ReLU, a channel can become 0 for good.

    light_pixel_products : bool, default=True
        Whether each unit of the first hidden layer of an observation is also given the product of a linear function of
        the light and a linear function of what the pixel layers made of the pixel. A plain table has no products.

    dropout : float, default=0.0
        Share of hidden units that are dropped in training, in [0, 1).

    normalization : {None, "batch", "layer"}, default=None
        Normalisation before each hidden activation.

    luminance_weight, relative_weight : float, default=0.0
        Weights, at least 0, of the terms of :class:`~sklrelight.neural.CompositeLoss` beside the squared error.

    optimizer : {"muon", "adam"}, default="muon"
        ``"muon"``: :class:`~sklrelight.neural.MuonAdamW`. ``"adam"``: Adam for all weights.

    learning_rate_init : float, default=2e-3
        Learning rate at the start. Muon uses ten times as much. The rate falls linearly to 0 over `max_observations` or
        `max_time`, whichever ends first, unless one of the `callbacks` schedules it.

    batch_size : int or "auto", default="auto"
        Number of observations in a batch. With `pixel_layer_sizes`, a batch has each of its pixels under the same 64
        lights, or under all lights if there are fewer; otherwise, it has each of its pixels under a light of its own.
        ``"auto"``: 4,096, or an eighth of all observations if that is less, but at least 32.

    window_size : int, default=1
        Side of the windows that the pixels of a batch form. 1: single pixels, drawn at random from the whole image.

    scale_targets : bool, default=True
        Whether the output is scaled to the mean and the standard deviation of the targets, which the network then need
        not learn.

    max_observations : int, "auto" or None, default="auto"
        Number of observations after which training ends. It limits the time of a fit whatever the size of the capture,
        and gives the same result on every run, which `max_time` does not. ``"auto"``: 20 million, but at most 100 times
        each observation. None: no limit, for a fit that `max_time` or one of the `callbacks` ends. The members of an
        ensemble share the number.

    max_time : float or None, default=None
        Number of seconds after which the fit ends, compilation included. The batch that runs then is finished, and the
        validation loss is computed once. Members of an ensemble that are trained one after another share the time. Each
        run ends at another observation: use `max_observations` for a result that can be reproduced.

    validation_fraction : float, default=0.0
        Share of the lights (or of the rows of a plain table), in [0, 1), that are held out for a validation loss. Whole
        photographs are held out, because single pixels would be too easy to predict from their neighbours.

    callbacks : list of skorch callbacks or of (name, callback) pairs, or None, default=None
        Callbacks of the training, such as :class:`~sklrelight.neural.BatchSizeStages` and
        :class:`~sklrelight.neural.PlateauLearningRate`; they are cloned for each fit. Their parameters are
        ``callbacks__<name>__<parameter>`` in `set_params` and in a search.

    checkpoint : path-like or None, default=None
        File that stores the state of the fit after each epoch. If the fit is killed, or ends with Ctrl-C or an error,
        the next fit with the same parameters and data continues from the last whole epoch, and ends like one that was
        never killed. Each fit needs its own file, so a search cannot use one. See Notes.

    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Number type of the products in the hidden layers. ``"auto"``: bfloat16 if it is faster on the device (AMX,
        AVX512-bf16 of other makers than Intel, CUDA) and there are at least 131,072 observations, else float32.
        Weights, loss and output are float32.

    compile : bool or "auto", default="auto"
        Whether torch compiles the training step. ``"auto"``: if there is a compiler, and the fit is long enough to
        repay the time of compiling, which depends on the number of planned observations, the size of the network and
        `max_time`. True: always; it is an error if there is no compiler. The fitted network is the same kind of object
        in both cases.

    device : str, default="auto"
        Torch device to train on. ``"auto"``: CUDA if there is one, else the CPU.

    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of observations, dropout, and the choice of validation lights. An int
        gives the same result each time, to the byte on the CPU with the same number of torch threads. The global
        generators of torch are neither used nor changed.

    verbose : int, default=0
        1: show a progress bar. 2: also show loss, learning rate and batch size.

    Attributes
    ----------
    net_ : RelightingNet
        The fitted skorch net, without what only training needs.

    config_ : TrainingConfig
        Settings of the fit, with a value for each parameter that was "auto".

    history_ : skorch.history.History
        A row for each epoch, with ``train_loss``, ``valid_loss`` (with validation), ``event_lr`` (learning rate),
        ``dur`` (seconds), and the records of callbacks. An epoch that Ctrl-C ended lacks its losses. `partial_fit` adds
        its rows.

    interrupted_ : bool
        Whether Ctrl-C ended the fit. The estimator is then fitted with the weights that it had reached. `fit` still
        raises the KeyboardInterrupt, so that a search ends as well.

    n_observations_ : int
        Number of observations that training has seen, in `fit` and in each `partial_fit`.

    compiled_ : bool
        Whether the training step was compiled.

    target_shape_ : tuple of int
        Shape of a photograph's colours, or of a row's targets.

    target_range_ : tuple of float or None
        Least and greatest value of the training photographs, to which predicted images are clipped, because a small
        overshoot of an encoded value can be a bright spot once decoded. None for a plain table, whose predictions are
        not clipped.

    n_features_in_ : int
        Number of features of an observation.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of a plain table. Defined only if all of them are strings.

    See Also
    --------
    sklrelight.make_relighter : Makes a model of an encoding, a featurizer and this regressor.

    Notes
    -----
    Network, loss, windows and schedules follow Colburn 2019 (github.com/alexcolburn/neural_relighting), but the
    defaults differ; ``make_relighter("colburn2019")`` has the published ones. Muon, a learning rate that falls over a
    limited number of observations, and salient images reach a lower error in a small part of the time.

    The file of `checkpoint` is written at the start and after every epoch. It holds weights, optimiser, callbacks,
    random states, history, and the position in the order of observations. A new file replaces the old one when it is
    complete. It has a checksum, and no code from it is run. A file that is damaged, in use by another fit, or of other
    data or parameters (except `verbose`) is refused and left as it is. The file remains when the fit is over, and the
    next such fit takes the trained network from it; `Relighter.fit` deletes it when the whole model is fitted. Each
    member of an ensemble has its own file, whose name ends in the number of the member. A fit that was killed gives the
    same bytes as one that was not, with the same library versions and number of torch threads. If `random_state` is not
    an int, the fit continues with the seed that it began with; but if the `random_state` of the featurizer is None, its
    features differ from run to run, and the file is refused. `max_time` includes the time before the fit was killed.

    Examples
    --------
    A plain table:

    >>> import numpy as np
    >>> from sklrelight import RelightingMLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> regressor = RelightingMLPRegressor((32, 32), random_state=0).fit(X, np.sin(3 * X.ravel()))
    >>> regressor.predict([[0.5]]).round(1)
    array([1.], dtype=float32)
    """

    net_: RelightingNet
    config_: TrainingConfig
    history_: History
    interrupted_: bool
    compiled_: bool
    n_observations_: int
    target_shape_: tuple
    target_range_: Any

    _parameter_constraints: dict[str, list] = {
        "hidden_layer_sizes": ["array-like"],
        "pixel_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "output_activation": [StrOptions(set(ACTIVATIONS))],
        "light_pixel_products": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "luminance_weight": [Interval(Real, 0, None, closed="left")],
        "relative_weight": [Interval(Real, 0, None, closed="left")],
        "optimizer": [StrOptions({"adam", "muon"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "window_size": [Interval(Integral, 1, None, closed="left")],
        "scale_targets": ["boolean"],
        "max_observations": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "compile": ["boolean", StrOptions({"auto"})],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    # What `fit` is given beside X and y is meant for it wherever scikit-learn routes such data.
    __metadata_request__fit = {"pixel_weight": True, "saturation": True}
    __metadata_request__partial_fit = {"pixel_weight": True, "saturation": True}

    def __init__(
        self,
        hidden_layer_sizes=(128, 64, 64),
        *,
        pixel_layer_sizes=(128, 64),
        activation="relu",
        output_activation="identity",
        light_pixel_products=True,
        dropout=0.0,
        normalization=None,
        luminance_weight=0.0,
        relative_weight=0.0,
        optimizer="muon",
        learning_rate_init=2e-3,
        batch_size="auto",
        window_size=1,
        scale_targets=True,
        max_observations="auto",
        max_time=None,
        validation_fraction=0.0,
        callbacks=None,
        checkpoint=None,
        precision="auto",
        compile="auto",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.pixel_layer_sizes = pixel_layer_sizes
        self.activation = activation
        self.output_activation = output_activation
        self.light_pixel_products = light_pixel_products
        self.dropout = dropout
        self.normalization = normalization
        self.luminance_weight = luminance_weight
        self.relative_weight = relative_weight
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.window_size = window_size
        self.scale_targets = scale_targets
        self.max_observations = max_observations
        self.max_time = max_time
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.precision = precision
        self.compile = compile
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep=True):
        """Get the parameters, including those of callbacks.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include ``callbacks__<name>`` and ``callbacks__<name>__<parameter>``.

        Returns
        -------
        dict
            Values by name.
        """
        params = super().get_params(deep=deep)
        # Before `fit` has refused it, it may be anything.
        if deep and isinstance(self.callbacks, list | tuple):
            for name, callback in named_callbacks(self.callbacks):
                params[f"callbacks__{name}"] = callback
                if hasattr(callback, "get_params"):
                    own = callback.get_params(deep=True)
                    params |= {f"callbacks__{name}__{key}": value for key, value in own.items()}
        return params

    def set_params(self, **params):
        """Set parameters, including those of callbacks.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self : RelightingMLPRegressor
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter or callback.
        """
        nested = {name: value for name, value in params.items() if name.startswith("callbacks__")}
        super().set_params(**{name: value for name, value in params.items() if name not in nested})
        # Whole callbacks first: the parameters are meant for what then stands there.
        for name, value in sorted(nested.items(), key=lambda item: item[0].count("__")):
            _, which, *parameter = name.split("__", 2)
            callbacks = named_callbacks(self.callbacks)
            if which not in dict(callbacks):
                raise ValueError(f"{name!r}: there is no callback {which!r} among {[*dict(callbacks)]}")
            if parameter:
                dict(callbacks)[which].set_params(**{parameter[0]: value})
            else:
                self.callbacks = [(own, value if own == which else callback) for own, callback in callbacks]
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None, saturation=None):
        """Train the network.

        Parameters
        ----------
        X : PixelLightFeatures, or array-like of shape (n_samples, n_features)
            Every pixel under every light, or a plain table.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_samples, n_channels) or (n_samples,)
            Encoded photographs, or the targets of a plain table. An :class:`~sklrelight.ImageStack` stays on disk.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels in the loss. Pixels of weight 0 are never drawn, except as parts of windows, where
            they have no weight. Plain tables take no weights.

        saturation : float or None, default=None
            Encoded value at and above which a target is left out of the loss.

        Returns
        -------
        self : RelightingMLPRegressor
            The fitted regressor.

        Raises
        ------
        ValueError
            Before any work is done: if data are not finite, too large for float32 (beyond 1e12), do not fit together,
            or have fewer than two lights (rows), if a parameter is out of its range, or if the checkpoint is damaged,
            in use or of another fit. Afterwards: if training diverges.
        OSError
            If the checkpoint cannot be written.
        RuntimeError
            If torch cannot compile, with ``compile=True``.
        KeyboardInterrupt
            On Ctrl-C. The estimator is then fitted with the weights that it had reached.
        """
        return self._train(X, y, pixel_weight, saturation, goes_on=False)

    def partial_fit(self, X, y, pixel_weight=None, saturation=None):
        """Go on training a fitted network, for example with photographs that had been held out.

        It is trained on half as many observations as before, or for half the time, at half the learning rate.
        `checkpoint` is not used. If the network is not fitted yet, this is `fit`.

        Parameters
        ----------
        X, y, pixel_weight, saturation
            As in `fit`, with features of the same width and targets of the same shape as before.

        Returns
        -------
        self : RelightingMLPRegressor
            The fitted regressor.

        Raises
        ------
        ValueError, RuntimeError, KeyboardInterrupt
            As in `fit`, or if the features have another width or the targets another shape than before.
        """
        return self._train(X, y, pixel_weight, saturation, goes_on=hasattr(self, "net_"))

    def _train(self, X, y, pixel_weight, saturation, goes_on):
        ensemble = membership()
        clock_start = Clock()
        self._check_parameters()
        device = resolve_device(self.device)
        features, y, rows = self._check_training_data(X, y, reset=not goes_on)
        if goes_on and y.shape[1:] != self.target_shape_:
            raise ValueError(
                f"y has the shape {y.shape}, but the network was fitted to one target of the shape"
                f" {self.target_shape_} for each light or row; fit trains a new network"
            )
        pixel_weight = self._check_pixel_weight(pixel_weight, features)
        is_table = not isinstance(X, PixelLightFeatures)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        # What torch calls inference tensors cannot be trained on, whatever mode the caller is in.
        with torch.inference_mode(False), torch.enable_grad():
            observations = _make_observations(features, y, rows, pixel_weight, saturation, device)
            checkpoint = None
            if self.checkpoint is not None and not goes_on:
                checkpoint = self._open_checkpoint(features, y, rows, pixel_weight, saturation, device, ensemble)
                seed = checkpoint.state.get("seed", seed)
            try:
                if goes_on:
                    config = replace(self.config_.going_on(), device=str(device))
                else:
                    config = TrainingConfig.resolve(self.get_params(deep=False), observations, seed, ensemble)
                train, valid = split_lights(observations, config.validation_fraction, seed)
                if not goes_on:
                    config = config.scaled_to(train)
                net = make_net(config, self.callbacks, train, valid)
                if checkpoint is not None:
                    net.callbacks.append(EpochCheckpoint(checkpoint, seed))
                net.clock = Clock(config.max_time, ensemble.stop)
                net.clock.elapsed = clock_start.elapsed
                with freed_memory_kept():
                    net.initialize()
                    if goes_on:
                        net.module_.load_state_dict(self.net_.module_.state_dict())
                    net.partial_fit(train)
            finally:
                if checkpoint is not None:
                    checkpoint.close()
        self._check_convergence(net)
        self.config_ = config
        self.target_shape_ = y.shape[1:]
        extent = None if is_table else _target_range(y, rows, pixel_weight)
        self._keep(net, extent, bool(checkpoint and checkpoint.state.get("compiled")), goes_on)
        if self.interrupted_:
            raise KeyboardInterrupt
        return self

    def _keep(self, net, extent, compiled, goes_on):
        """Keep a trained net and what is known of its training, with the training before if it went on."""
        net.trim_for_prediction()
        n_observations, history, compiled = net.n_observations_, net.history, compiled or net.compiled_
        if goes_on:
            if extent is not None:
                extent = min(extent[0], self.target_range_[0]), max(extent[1], self.target_range_[1])
            compiled = compiled or self.compiled_
            n_observations += self.n_observations_
            history = [*self.history_, *({**row, "epoch": len(self.history_) + row["epoch"]} for row in history)]
        self.history_ = net.history_ = History(history)
        self.target_range_ = extent
        self.compiled_ = compiled
        self.interrupted_ = net.interrupted_
        self.n_observations_ = n_observations
        self.net_ = net

    def predict(self, X):
        """Predict encoded colours.

        Parameters
        ----------
        X : PixelLightFeatures, or array-like of shape (n_samples, n_features)
            As in `fit`, with the same number of features.

        Returns
        -------
        y : ndarray of shape (n_lights, H, W, C), or as in `fit`, float32
            Encoded images, or the targets of a plain table.

        Raises
        ------
        ValueError
            If `X` has another width than in `fit`, or is not finite.
        """
        check_is_fitted(self)
        features = self._check_features(X, reset=False)
        module = self.net_.module_.eval()
        device = next(module.parameters()).device
        encoded = module.predict_product(as_tensor(features.lights, device), pixels_as_tensor(features.pixels, device))
        if self.target_range_ is not None:
            np.clip(encoded, *self.target_range_, out=encoded)
        return self._reshape(encoded, features)

    def remove_checkpoint(self, n_members=1):
        """Delete the checkpoint files of all members of an ensemble, if there are any.

        Parameters
        ----------
        n_members : int, default=1
            Number of members.
        """
        if self.checkpoint is not None:
            for number in range(n_members):
                FitCheckpoint.remove(_checkpoint_path(self.checkpoint, number, n_members))

    def _open_checkpoint(self, features, y, rows, pixel_weight, saturation, device, ensemble):
        # A generator that is passed from fit to fit is at another place when a fit is tried again.
        moving = set() if isinstance(self.random_state, Integral) else {"random_state"}
        parameters = {
            name: value for name, value in self.get_params().items() if name not in _IRRELEVANT | moving | {"callbacks"}
        }
        on_disk = isinstance(y, ImageStack)
        tables = {
            "the lights of X": features.lights,
            "the pixels of X": features.pixels,
            "the rows of y": rows,
            "pixel_weight": pixel_weight,
        }
        fingerprint = fit_fingerprint(
            parameters,
            tables if on_disk else tables | {"y": y},
            **({"the stack y": y.fingerprint()} if on_disk else {}),
            saturation=saturation,
            image_shape=features.image_shape,
            device=str(device),
        )
        return FitCheckpoint(_checkpoint_path(self.checkpoint, ensemble.number, ensemble.n_members), fingerprint)

    def _check_convergence(self, net):
        finite = all(bool(parameter.isfinite().all()) for parameter in net.module_.parameters())
        if not (finite or net.interrupted_):
            raise ValueError(
                f"training diverged: at learning_rate_init={self.learning_rate_init:g} the network's weights are no"
                " longer finite; take a smaller one, or scale X and y"
            )

    def _check_parameters(self):
        """Check what spans several parameters, or lies inside one."""
        for name in ("hidden_layer_sizes", "pixel_layer_sizes"):
            sizes = getattr(self, name)
            if not all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) > 0 for size in sizes):
                raise ValueError(f"{name} must be a sequence of positive integers, got {sizes!r}")
        callbacks = [callback for _, callback in named_callbacks(self.callbacks)]
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise ValueError(f"callbacks must be skorch callbacks or pairs of a name and one, got {callback!r}")
            constraints = getattr(callback, "_parameter_constraints", {})
            validate_parameter_constraints(constraints, callback.get_params(deep=False), type(callback).__name__)
        staged = any(isinstance(callback, BatchSizeStages) for callback in callbacks)
        if self.max_observations is None and self.max_time is None and not staged:
            raise ValueError(
                "max_observations and max_time are None, and no BatchSizeStages is among the callbacks: nothing ends"
                " the fit; set one of them"
            )

    def __sklearn_is_fitted__(self):
        # A fit that failed half-way has left other attributes behind.
        return hasattr(self, "net_")


def _make_observations(features, targets, rows, pixel_weight, saturation, device):
    """Put what is trained on on the device; photographs on disk stay there."""
    on_disk = isinstance(targets, ImageStack)
    n_pixels = len(features.pixels)
    return (StackObservations if on_disk else Observations)(
        lights=as_tensor(features.lights, device),
        pixels=pixels_as_tensor(features.pixels, device),
        targets=targets if on_disk else as_tensor(targets.reshape(len(targets), n_pixels, -1), device),
        image_shape=features.image_shape,
        rows=None if rows is None else torch.from_numpy(rows).to(device),
        pixel_weight=None if pixel_weight is None else as_tensor(pixel_weight.ravel(), device),
        saturation=saturation,
    )


def _target_range(targets, rows, pixel_weight):
    """Least and greatest value of the photographs, those of pixels without weight aside."""
    inside = None if pixel_weight is None else pixel_weight > 0
    if isinstance(targets, ImageStack):
        return targets.within(inside).extent()
    photographs = (targets[row] for row in (range(len(targets)) if rows is None else rows))
    values = (photograph if inside is None else photograph[inside] for photograph in photographs)
    extents = [(some.min(), some.max()) for some in values]
    return min(least for least, _ in extents), max(greatest for _, greatest in extents)


def _checkpoint_path(checkpoint, number, n_members):
    path = Path(checkpoint)
    return path if n_members == 1 else path.with_name(f"{path.name}.{number + 1}")
