"""The multilayer perceptron as a scikit-learn regressor: :class:`RelightingMLPRegressor`."""

from dataclasses import fields

from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..preprocessing import PixelLightFeatures
from ..stacks import ImageStack
from ..utils import DocumentedEstimator, VersionedState
from ..utils._sklearn_compat import fit_context
from .checks import ObservationChecks
from .ensembles import train_networks
from .fitting import TrainingData, choose_precision, fit_first_stage, resolve_n_latents
from .interpolation.streamed import StreamedInterpolation
from .predicting import predict_blend
from .resuming import FitCheckpoint
from .training import Clock, resolve_device
from .trust import Trust, measure_trust

__all__ = ["RelightingMLPRegressor"]


class RelightingMLPRegressor(
    DocumentedEstimator, VersionedState, ObservationChecks, RegressorMixin, MultiOutputMixin, BaseEstimator
):
    """Multilayer perceptron from light and pixel to colour, trained by skorch; or several, and an interpolation.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(256, 256, 256)
        Width of each hidden layer.

    activation : {"relu", "prelu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"}, default="relu"
        Activation of the hidden layers.

    output_activation : str, default="identity"
        Activation of the output, one of the above. A ReLU there can kill a channel for good.

    light_pixel_products : bool, default=True
        Give the first hidden layer products of light and pixel, too: for each of its units, of a function of the light
        and one of the pixel, both linear and learnt. A plain table, which does not say what is which, has none.

    n_latents : int or "auto", default=0
        Numbers that each network finds for each pixel, beside its features, at a quarter of the learning rate: what its
        surroundings shade or mirror, say. ``"auto"``: 8 where there are 100 lights and more, and the fit comes upon
        each pixel 100 times, else none: between few lights they only fit the noise.

    dropout : float, default=0.0
        Share of hidden units dropped in training, in [0, 1).

    normalization : {None, "batch", "layer"}, default=None
        Normalisation before each hidden activation.

    mse_weight, luminance_weight, relative_weight : float, default=1.0, 1.0, 0.01
        Weights, at least 0, of the terms of :class:`~sklrelight.losses.CompositeLoss`. Not all may be 0.

    optimizer : {"muon", "adam"}, default="muon"
        ``"muon"``: :class:`~sklrelight.optimizers.MuonAdamW`. ``"adam"``: Adam for all weights.

    learning_rate_init : float, default=4e-3
        Learning rate at the start. Muon's own is ten times as large.

    learning_rate : {"linear", "plateau", "constant"}, default="linear"
        ``"linear"``: falls to 0 over the whole fit, batch by batch. ``"plateau"``: multiplied by `plateau_factor` after
        `plateau_patience` epochs in which the training loss did not fall by 1e-4.

    plateau_factor : float, default=0.5
        In (0, 1).

    plateau_patience : int, default=2
        Epochs without improvement, counted anew in each stage, at which the rate is reduced.

    min_learning_rate : float, default=1e-7
        The plateau schedule does not go below.

    batch_size : int or "auto", default="auto"
        Observations of a batch, in the first stage. ``"auto"``: 100,000 / the number of lights, from 1,000 to 5,000;
        5,000 for a plain table; or, where that is less, an eighth of the observations, but not less than 32.

    n_stages : int, default=1
        Number of stages, each with a smaller batch than the one before
        (:class:`~sklrelight.callbacks.BatchSizeStages`).

    batch_size_factor : float, default=0.5
        In (0, 1]. Each stage's batch size is the one before times this factor.

    window_size : int, default=1
        1: batches of single pixels, drawn at random over all photographs. Larger: batches of whole windows of that
        side, ``max(1, round(batch_size / window_size ** 2))`` of them.

    max_epochs : int, default=100
        Epochs of a stage, at most. An epoch is as many observations as there are.

    n_networks : int or "auto", default=1
        Networks whose mean is predicted, each trained with an equal part of `max_observations`. On the CPU they are
        trained side by side, in threads with equal parts of torch's, unless there is dropout, a compiled step or a
        stack on disk; what comes out does not depend on it. ``"auto"``: (105 / the number of lights)^1.5, rounded, from
        1 to 8, and at most a third of the number of lights; at least 2 where the fit sees all there is ten times; 1 for
        a plain table.

    interpolation : "auto", estimator or None, default=None
        A model from lights to encoded photographs that the networks are averaged with. ``"auto"``:
        :class:`~sklrelight.interpolation.StackedRBFInterpolation`, or None for a plain table. See Notes.

    scale_targets : bool, default=True
        Whether the output starts from mean and standard deviation of the targets, rather than from 0 and 1.

    max_observations : int, "auto" or None, default="auto"
        Training ends after so many observations, those of all networks together, if not before. It bounds the time of
        a fit whatever the capture's size, and unlike a time it gives the same result everywhere. ``"auto"``: 4.5
        million + 450 million / the number of lights, from 9 to 18 million: about as long a fit, in larger batches.

    max_time : float or None, default=None
        Seconds after which the fit ends, from the start of `fit` and compilation included, if it has not ended before:
        with the batch that runs then, and one pass over the validation lights. A linear rate falls to 0 by then. Other
        runs end elsewhere: use `max_observations` for a result that can be reproduced to the byte.

    validation_fraction : float, default=0.0
        Share of the lights (of the rows of a plain table), in [0, 1), held out of training for a validation loss. Whole
        photographs are held out: rows of single pixels would leak.

    stage_patience : int or None, default=3
        Epochs without a lower validation loss that end a stage, from the second one on. Without validation the training
        loss is watched.

    target_loss : float, default=0.0
        A stage that ends with a lower validation loss is the last.

    restore_best_weights : bool, default=True
        With validation, keep the weights of the epoch with the lowest validation loss rather than the last ones.

    checkpoint : path-like or None, default=None
        A file that keeps how far the fit has come. If the fit is killed, or ends with Ctrl-C or an error, the next one
        with the same parameters and data goes on from there and ends in the same bytes. The file is removed at the end
        of the fit. Each fit needs one of its own, so that it is not for a search. See Notes.

    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the hidden layers' products. ``"auto"``: bfloat16 where the device has units for it that are faster (AMX,
        AVX512-bf16 other than Intel's, CUDA) and there are at least 131,072 observations, else float32. Weights, loss
        and output are float32.

    compile : bool or "auto", default="auto"
        Whether the step of training is compiled by torch. ``"auto"``: where the fit is long enough to repay that, by
        the number of planned observations and the size of the network, and a compiler is there; without one it runs
        uncompiled. True: always, and an error without a compiler. The fitted network is an ordinary one either way.

    device : str, default="auto"
        ``"auto"`` takes CUDA where there is one, else the CPU; otherwise a torch device.

    random_state : int, RandomState instance or None, default=None
        For initial weights, the order of observations, dropout, and the choice of validation lights. An int gives the
        same result each time, to the byte on the CPU with the same number of torch threads.

    verbose : int, default=0
        1: a progress bar with loss, learning rate and batch size.

    Attributes
    ----------
    nets_ : list of RelightingNet
        The fitted skorch nets, trimmed for prediction.

    net_ : RelightingNet
        The first of them.

    interpolation_ : estimator or None
        The fitted interpolation.

    network_share_ : float
        What part of a prediction comes from the networks, in [0, 1]; the rest comes from the interpolation.

    cluster_shares_ : ndarray of shape (n_clusters,) or None
        The same for each of the clusters of pixels that the interpolation has, as the default does; predictions are
        made with these, then.

    largest_change_ : float or None
        Root mean square by which the networks changed the interpolation in that photograph of a held-out light which
        they changed most. No predicted photograph is changed by more: where networks differ from it by more than they
        were ever seen to, it is they that are wrong, as between the rings of a dome. None where there were no such
        photographs.

    largest_deviation_ : float or None
        Root mean square by which a network that had not seen a held-out light differed from the mean of those that had,
        where it differed most. Under lights where the networks' standard deviation is larger, their share falls with
        its square. None where there is one network, or no held-out light.

    held_out_distance_ : float or None
        The least distance of a held-out light from those that its network had seen. Nearer to a training light, the
        networks' share falls with the distance, and the largest change with its square: there the default interpolation
        becomes exact, and a network keeps what it has not learnt. None where there were no held-out lights, or the
        interpolation is another one.

    lights_ : ndarray of shape (n_lights, n_light_features) or None
        The training lights, in their own units, where there is such a distance.

    inside_ : ndarray of bool of shape (H, W) or None
        The pixels that have weight, and so count for that change; None: all.

    history_ : skorch.history.History
        That of `net_`: a row an epoch (the last one lacks its losses where Ctrl-C ended it):
        ``train_loss``, ``valid_loss`` (with validation), ``event_lr``, ``batch_size``, ``stage``,
        ``event_stage_end``, ``dur`` (seconds).

    interrupted_ : bool
        Whether Ctrl-C ended the fit. The estimator is fitted with the weights that it had reached, and the
        KeyboardInterrupt goes on to the caller, so that a search ends as well.

    n_observations_ : int
        Observations that training has seen, in all networks.

    precision_ : {"float32", "bfloat16"}
        The precision in use.

    compiled_ : bool
        Whether the step of training was compiled.

    device_ : str
        The device that the fit ran on.

    target_range_ : tuple of float or None
        Least and greatest value of the training photographs, which predicted ones are kept within: decoded, a small
        overshoot of the logarithm would be a blinding spot. None for a plain table, which is not bounded.

    n_features_in_ : int
        Number of features of an observation.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where the training table had some that are all strings.

    See Also
    --------
    sklrelight.make_relighter : Puts scaler, featurizer and this regressor together.

    Notes
    -----
    Network, loss, windows and schedules are those of Colburn 2019 (github.com/alexcolburn/neural_relighting), with
    other defaults; ``make_relighter(recipe="colburn2019")`` has the published ones. Muon, a rate that falls over a
    budget of observations, and salient images reach a lower error in a small part of the time.

    The file of `checkpoint` is written at the start, after every 2^20 observations (2^25 on CUDA), those of validation
    too, and at the end of each network. That takes about a hundredth of the time of a long fit, and at most so many
    observations are lost. It holds weights, optimiser, schedule, batches, random states and history of the networks in
    training, and those that are finished; the interpolation is fitted again. The file is written beside and renamed,
    has a checksum, and is read without running any code in it. One that is damaged, or of other data or parameters
    (`verbose` aside), is refused and left as it is. The bytes at the end are the same with the same versions and number
    of torch threads. With a `random_state` that is no int, the fit goes on with the random numbers that it began with;
    but where a featurizer's is None, its features are other data each time. `max_time` counts what was spent before.

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

    def __init__(
        self,
        hidden_layer_sizes=(256, 256, 256),
        *,
        activation="relu",
        output_activation="identity",
        light_pixel_products=True,
        n_latents=0,
        dropout=0.0,
        normalization=None,
        mse_weight=1.0,
        luminance_weight=1.0,
        relative_weight=0.01,
        optimizer="muon",
        learning_rate_init=4e-3,
        learning_rate="linear",
        plateau_factor=0.5,
        plateau_patience=2,
        min_learning_rate=1e-7,
        batch_size="auto",
        n_stages=1,
        batch_size_factor=0.5,
        window_size=1,
        max_epochs=100,
        n_networks=1,
        interpolation=None,
        scale_targets=True,
        max_observations="auto",
        max_time=None,
        validation_fraction=0.0,
        stage_patience=3,
        target_loss=0.0,
        restore_best_weights=True,
        checkpoint=None,
        precision="auto",
        compile="auto",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.output_activation = output_activation
        self.light_pixel_products = light_pixel_products
        self.n_latents = n_latents
        self.dropout = dropout
        self.normalization = normalization
        self.mse_weight = mse_weight
        self.luminance_weight = luminance_weight
        self.relative_weight = relative_weight
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.plateau_factor = plateau_factor
        self.plateau_patience = plateau_patience
        self.min_learning_rate = min_learning_rate
        self.batch_size = batch_size
        self.n_stages = n_stages
        self.batch_size_factor = batch_size_factor
        self.window_size = window_size
        self.max_epochs = max_epochs
        self.n_networks = n_networks
        self.interpolation = interpolation
        self.scale_targets = scale_targets
        self.max_observations = max_observations
        self.max_time = max_time
        self.validation_fraction = validation_fraction
        self.stage_patience = stage_patience
        self.target_loss = target_loss
        self.restore_best_weights = restore_best_weights
        self.checkpoint = checkpoint
        self.precision = precision
        self.compile = compile
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None, saturation=None):
        """Train the network.

        Parameters
        ----------
        X : PixelLightFeatures, or array-like of shape (n_samples, n_features)
            Every pixel under every light, or a plain table.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_samples, n_channels) or (n_samples,)
            Encoded photographs, or the table's targets. An :class:`~sklrelight.ImageStack` stays on disk.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels in the loss. Those of weight 0 are never sampled; windows that reach over them are
            drawn, and they have no weight there. Not for plain tables.

        saturation : float or None, default=None
            Encoded value at and above which a target is left out of the loss.

        Returns
        -------
        self : RelightingMLPRegressor
            The fitted regressor.

        Raises
        ------
        ValueError
            For data that are not finite, too large for float32 (beyond 1e12), do not fit together or are less than two
            lights (rows), for parameters out of their range, and for a checkpoint that is damaged or of another fit,
            before any work is done; if training diverges.
        OSError
            If the checkpoint cannot be written.
        RuntimeError
            With ``compile=True``, where torch cannot compile.
        KeyboardInterrupt
            On Ctrl-C, after the estimator has become fitted as far as it got.
        """
        clock = Clock(self.max_time)
        self._check_parameters()
        device = resolve_device(self.device)
        features, y = self._check_training_data(X, y)
        pixel_weight = self._check_pixel_weight(pixel_weight, features)
        data = TrainingData(features, y, pixel_weight, saturation, is_table=not isinstance(X, PixelLightFeatures))
        self.target_shape_ = y.shape[1:]
        self.target_range_ = data.target_range()
        self.inside_ = None if pixel_weight is None else pixel_weight > 0
        observations = data.observations(resolve_n_latents(self, data), device)
        self.precision_ = choose_precision(self.precision, device, len(observations))
        self.device_ = str(device)

        rng = check_random_state(self.random_state)
        checkpoint = None
        if self.checkpoint is not None:
            if isinstance(y, ImageStack):
                raise ValueError("checkpoint is for photographs in memory, y is a stack on disk: set it to None")
            checkpoint = FitCheckpoint(self, data, device, self.precision_, clock, rng)
            rng = checkpoint.generator(self.random_state, rng)
        on_disk = isinstance(y, ImageStack)
        if on_disk and self.interpolation is not None:
            # What takes memory for each light is done on a sample of the pixels, as on small photographs.
            data = data.sample(rng)
        interpolation, held_out = fit_first_stage(self, data, rng)
        half_precision = self.precision_ == "bfloat16"
        nets = train_networks(self, observations, held_out, half_precision, clock, rng, checkpoint)
        self.interpolation_ = None
        trust = Trust()
        self.nets_, self.net_ = nets, nets[0]
        self.compiled_ = any(net.compiled_ for net in nets)
        self.interrupted_ = any(net.interrupted_ for net in nets)
        self.n_observations_ = sum(net.n_observations_ for net in nets)
        for net in nets:
            net.trim_for_prediction()
        self.history_ = nets[0].history
        if interpolation is not None:
            trust = measure_trust(nets, interpolation, held_out, data, self.target_range_, rng)
            if on_disk:
                interpolation = StreamedInterpolation(interpolation, y.clipped(saturation), data.pixels, rng)
            self.interpolation_ = interpolation
        for field in fields(Trust):
            setattr(self, f"{field.name}_", getattr(trust, field.name))
        if self.interrupted_:
            raise KeyboardInterrupt
        if checkpoint is not None:
            checkpoint.remove()
        return self

    def predict(self, X):
        """Predict encoded colours.

        Parameters
        ----------
        X : PixelLightFeatures, or array-like of shape (n_samples, n_features)
            As in `fit`, with the same number of features.

        Returns
        -------
        y : ndarray of shape (n_lights, H, W, C), or as in `fit`, float32
            Encoded photographs, or the table's targets.

        Raises
        ------
        ValueError
            If `X` has another width than in `fit`, or is not finite.
        """
        check_is_fitted(self)
        features = self._check_features(X, reset=False)
        trust = Trust(**{field.name: getattr(self, f"{field.name}_") for field in fields(Trust)})
        bounds = self.target_shape_, self.target_range_
        return predict_blend(self.nets_, self.interpolation_, trust, self.inside_, features, *bounds)

    def __sklearn_is_fitted__(self):
        # A fit that failed half-way has left other attributes behind.
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
