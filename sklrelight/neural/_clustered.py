"""Ensembles of small networks for clusters of pixels: :class:`ClusteredMLPRegressor`."""

import math
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..utils._sklearn_compat import Interval, fit_context
from ._base import ObservationRegressor
from ._config import resolve_device
from ._modules import as_tensor
from ._net import Clock
from ._training import membership

__all__ = ["ClusteredMLPRegressor"]

# Number of clusters of a level over that of the level before.
_FINER = 4
# Errors of pixels are measured under at most so many lights.
_MEASURED_LIGHTS = 64
# Number of pixels of networks that are predicted at a time.
_BLOCK_PIXELS = 2**16


class ClusteredMLPRegressor(ObservationRegressor):
    r"""Predict each pixel by the mean of small networks of the nearest clusters of pixels, as Ren et al. do [1]_.

    Pixels are clustered by their features, first into a few clusters. Each cluster has a network, which learns the
    pixels that have this cluster among their `n_neighbors` nearest. Pixels whose error is still above `max_error` go
    on to the next level, which has four times as many clusters. All networks of a level are trained at the same time,
    as one batched computation.

    Parameters
    ----------
    n_hidden : int, default=15
        Width of each of the two hidden layers of a network, with tanh.

    n_neighbors : int, default=5
        Number of networks whose mean predicts a pixel.

    max_error : float, default=0.03
        Relative error of a pixel over the training lights above which it goes on to the next level.

    samples_per_weight : float, default=25.0
        Least number of training values for each weight of a network, on average. It limits the number of clusters.

    n_steps : int, default=2000
        Number of training steps of each level.

    batch_size : int, default=128
        Number of observations from which each network learns in a step.

    learning_rate_init : float, default=0.01
        Learning rate of Adam in the first step of a level. It falls linearly to 0.

    max_observations : int or None, default=None
        Number of observations from which all networks together learn at most. It shortens all levels alike.

    max_time : float or None, default=None
        Number of seconds of training, of which each level gets the same part. None: no limit.

    device : str, default="auto"
        Device to train on: ``"auto"`` for CUDA if there is one, else the CPU, or a name that torch knows.

    random_state : int, RandomState instance or None, default=None
        Seed of clusters, initial weights and batches.

    verbose : int, default=0
        1: print a line for each level.

    Attributes
    ----------
    weights_ : tuple of ndarray
        Weights of all networks, float32: those of the light, of shape (n_networks, n_light_features, n_hidden), and of
        the pixel, of shape (n_networks, n_pixel_features, n_hidden), the bias of the first layer, and weights and bias
        of the second and of the last layer.

    networks_ : ndarray of shape (n_pixels, n_neighbors), int32
        The networks whose mean predicts each pixel.

    n_networks_ : list of int
        Number of networks of each level.

    n_observations_ : int
        Number of observations from which all networks together have learnt.

    target_shape_ : tuple of int
        Shape of the target of a light.

    target_range_ : tuple of float
        The least and the greatest target. Predictions are clipped to this range.

    n_features_in_ : int
        Number of features of light and pixel together.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a plain table. Defined only if all of them are strings.

    See Also
    --------
    make_relighter : Its recipe ``"ren2015"`` has this regressor.

    Notes
    -----
    The features of the recipe are those of [1]_: position and mean colour of a pixel, and the light. With h hidden
    units, f features and c channels, a network has :math:`(f + 1) h + (h + 1) h + (h + 1) c` weights. The finest level
    has as many clusters as leave each network `samples_per_weight` values for each weight, and each level before has a
    quarter of them, down to `n_neighbors` clusters.

    There are two departures from [1]_. Networks are trained by Adam [2]_ on random batches instead of by
    Levenberg-Marquardt on all samples. Each network sees features and targets with mean 0 and variance 1 over its own
    pixels. Both are folded into its weights after training.

    A plain table has no pixels to cluster, and gets one network.

    References
    ----------
    .. [1] P. Ren, Y. Dong, S. Lin, X. Tong, B. Guo, "Image Based Relighting Using Neural Networks", ACM Transactions on
       Graphics 34 (4), 2015.

    .. [2] D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklrelight import PixelLightFeaturizer
    >>> from sklrelight.datasets import make_scene
    >>> from sklrelight.neural import ClusteredMLPRegressor
    >>> scene = make_scene(n_lights=16, image_shape=(48, 64))
    >>> features = PixelLightFeaturizer(n_components=0, brightness_powers=(), blur_widths=(), scaling="unit")
    >>> X = features.fit_transform(scene.lights, scene.images)
    >>> regressor = ClusteredMLPRegressor(n_steps=20, random_state=0).fit(X, scene.images)
    >>> regressor.n_networks_, regressor.predict(X[:2]).shape
    ([4], (2, 48, 64, 3))
    """

    _parameter_constraints = {
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_error": [Interval(Real, 0, None, closed="left")],
        "samples_per_weight": [Interval(Real, 0, None, closed="neither")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_observations": [Interval(Integral, 1, None, closed="left"), None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    __metadata_request__fit = {"pixel_weight": True, "saturation": True}

    def __init__(
        self,
        n_hidden=15,
        *,
        n_neighbors=5,
        max_error=0.03,
        samples_per_weight=25.0,
        n_steps=2000,
        batch_size=128,
        learning_rate_init=0.01,
        max_observations=None,
        max_time=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_hidden = n_hidden
        self.n_neighbors = n_neighbors
        self.max_error = max_error
        self.samples_per_weight = samples_per_weight
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_observations = max_observations
        self.max_time = max_time
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, pixel_weight=None, saturation=None):
        """Cluster the pixels and train the networks, level by level.

        Parameters
        ----------
        X : PixelLightFeatures, or array-like of shape (n_samples, n_features)
            Every pixel under every light, or a plain table.

        y : array-like of shape (n_lights, H, W, C), (n_lights, H, W), (n_samples, n_channels) or (n_samples,)
            Encoded photographs, or the targets of a plain table. Photographs on disk are read into memory.

        pixel_weight : array-like of shape (H, W) or None, default=None
            Weights of the pixels. Pixels of weight 0 are left out, all others count alike.

        saturation : float or None, default=None
            Encoded value at and above which a target is left out of the loss.

        Returns
        -------
        self : ClusteredMLPRegressor
            The fitted regressor.

        Raises
        ------
        ValueError
            If data are not finite, too large for float32 (beyond 1e12) or do not fit together, or if there are fewer
            than two lights (rows).
        KeyboardInterrupt
            On Ctrl-C. The regressor is then not fitted.
        """
        device = resolve_device(self.device)
        features, y, rows = self._check_training_data(X, y, reset=True)
        pixel_weight = self._check_pixel_weight(pixel_weight, features)
        n_pixels = len(features.pixels)
        targets = np.asarray(y, np.float32) if rows is None else y[rows]
        target_shape, targets = targets.shape[1:], targets.reshape(len(targets), n_pixels, -1)
        left = np.arange(n_pixels) if pixel_weight is None else np.flatnonzero(pixel_weight)
        counts = self._count_clusters(features, targets, len(left))
        n_neighbors = min(self.n_neighbors, counts[0])
        self.n_networks_: list[int] = []
        self.n_observations_ = 0
        networks = np.zeros((n_pixels, n_neighbors), np.int32)
        random = check_random_state(self.random_state)
        n_iter, ensemble = self._count_steps(counts), membership()
        levels = []
        with torch.inference_mode(False), torch.enable_grad():
            data = _Data(features, targets, np.inf if saturation is None else saturation, device)
            n_learnt = len(left)
            for most in counts:
                # Fewer pixels leave each network as many samples only if there are fewer networks.
                n_clusters = max(n_neighbors, round(most * len(left) / n_learnt))
                nearest = _cluster(features.pixels[left], n_clusters, n_neighbors, random)
                level = _Level(data, left, nearest, self.n_hidden, random)
                max_time = None if self.max_time is None else self.max_time / len(counts)
                steps = level.train(n_iter, self.batch_size, self.learning_rate_init, Clock(max_time, ensemble.stop))
                self.n_observations_ += steps * len(level.counts) * self.batch_size
                networks[left] = nearest + sum(self.n_networks_)
                self.n_networks_.append(len(level.counts))
                levels.append(level.fold())
                left = left[_relative_errors(levels[-1], data, left, nearest) > self.max_error]
                if self.verbose:
                    share = len(left) / n_learnt
                    print(f"{len(level.counts)} networks: {share:.0%} of the pixels are above max_error")
                if not len(left):
                    break
        self.target_shape_ = target_shape
        inside = targets if pixel_weight is None else targets[:, pixel_weight.ravel() > 0]
        self.target_range_ = float(inside.min()), float(inside.max())
        self.networks_ = networks
        self.weights_ = tuple(np.concatenate(parts) for parts in zip(*levels, strict=True))
        return self

    def predict(self, X):
        """Predict encoded colours.

        Parameters
        ----------
        X : PixelLightFeatures, or array-like of shape (n_samples, n_features)
            As in `fit`, with the same pixels or a part of them.

        Returns
        -------
        y : ndarray of shape (n_lights, H, W, C), or as in `fit`, float32
            Encoded images, or the targets of a plain table.

        Raises
        ------
        ValueError
            If `X` has another width or other pixels than in `fit`, or is not finite.
        """
        check_is_fitted(self)
        features = self._check_features(X, reset=False)
        networks = self.networks_ if features.part is None else self.networks_[features.part]
        encoded = _predict(self.weights_, features.lights, features.pixels, networks, resolve_device(self.device))
        np.clip(encoded, *self.target_range_, out=encoded)
        return self._reshape(encoded, features)

    def _count_clusters(self, features, targets, n_pixels):
        """Count the clusters of each level."""
        if not features.pixels.shape[1]:
            return [1]
        n_channels, h = targets.shape[2], self.n_hidden
        n_weights = (features.shape[2] + 1) * h + (h + 1) * h + (h + 1) * n_channels
        most = len(targets) * n_pixels / (self.samples_per_weight * n_weights)
        counts = [max(1, min(int(most), n_pixels))]
        while counts[0] // _FINER >= self.n_neighbors:
            counts.insert(0, counts[0] // _FINER)
        return counts

    def _count_steps(self, counts):
        if self.max_observations is None:
            return self.n_steps
        return max(1, min(self.n_steps, self.max_observations // (self.batch_size * sum(counts))))

    def __sklearn_is_fitted__(self):
        # A fit that failed half-way has left other attributes behind.
        return hasattr(self, "weights_")


class _Data:
    """Features and targets of a fit, on the device."""

    def __init__(self, features, targets, saturation, device):
        self.light_table, self.pixel_table, self.target_table = features.lights, features.pixels, targets
        self.lights, self.targets = as_tensor(features.lights, device), as_tensor(targets, device)
        self.saturation, self.device = saturation, device


class _Level:
    """The networks of a level and what each of them learns.

    Parameters
    ----------
    data : _Data
        Features and targets.

    pixels : ndarray of int of shape (n_left,)
        The pixels that the level learns.

    nearest : ndarray of int of shape (n_left, n_neighbors)
        The networks of each of these pixels.

    n_hidden : int
        Width of the hidden layers.

    random : RandomState
        Draws initial weights and batches.
    """

    def __init__(self, data, pixels, nearest, n_hidden, random):
        self.data = data
        order, self.starts, self.counts = _members(nearest)
        self.members = torch.from_numpy(pixels[order // nearest.shape[1]]).to(data.device)
        members = self.members.cpu().numpy()
        self.generator = torch.Generator(data.device).manual_seed(int(random.randint(2**31 - 1)))
        n_networks, n_channels = len(self.counts), data.targets.shape[2]
        # Every network sees mean 0 and variance 1.
        self.light_mean, self.light_scale = _moments(data.light_table, [0])
        self.pixel_mean, self.pixel_scale = _moments(data.pixel_table[members], self.starts)
        some = data.target_table[:: max(1, len(data.target_table) // _MEASURED_LIGHTS)]
        mean, square = some.mean(axis=0, dtype=np.float64), np.square(some, dtype=np.float64).mean(axis=0)
        self.target_mean, self.target_scale = _moments(mean[members], self.starts, square[members])
        pixel_mean, pixel_scale = (np.repeat(some, self.counts, axis=0) for some in (self.pixel_mean, self.pixel_scale))
        self.pixels = as_tensor(
            ((data.pixel_table[members] - pixel_mean) / pixel_scale).astype(np.float32), data.device
        )
        n_features = data.lights.shape[1] + self.pixels.shape[1]
        widths = (n_features, n_hidden, n_hidden, n_channels)
        self.parameters = []
        for width, following in pairwise(widths):
            weight = random.standard_normal((n_networks, width, following)) / math.sqrt(width)
            for values in (weight, np.zeros((n_networks, 1, following))):
                self.parameters.append(as_tensor(values.astype(np.float32), data.device).requires_grad_())

    def train(self, n_iter, batch_size, learning_rate, clock):
        """Train all networks, and return the number of steps."""
        device, n_networks = self.data.device, len(self.counts)
        optimizer = torch.optim.Adam(self.parameters, lr=learning_rate)
        counts, starts = (torch.from_numpy(values).to(device)[:, None] for values in (self.counts, self.starts))
        moments = (self.light_mean, self.light_scale, self.target_mean, self.target_scale)
        light_mean, light_scale, target_mean, target_scale = (
            as_tensor(some.astype(np.float32), device) for some in moments
        )
        lights = (self.data.lights - light_mean[0]) / light_scale[0]
        size = (n_networks, batch_size)
        for step in range(n_iter):
            progress = max(step / n_iter, clock.progress)
            if progress >= 1 or clock.stopped:
                break
            optimizer.param_groups[0]["lr"] = learning_rate * (1 - progress)
            drawn = starts + (torch.rand(size, generator=self.generator, device=device) * counts).long()
            light = torch.randint(len(lights), size, generator=self.generator, device=device)
            inputs = torch.cat([lights[light], self.pixels[drawn]], dim=-1)
            targets = self.data.targets[light, self.members[drawn]]
            errors = _evaluate(self.parameters, inputs) - (targets - target_mean[:, None]) / target_scale[:, None]
            if self.data.saturation < math.inf:
                errors = errors * (targets < self.data.saturation)
            # A mean over the values of each network, so that no gradient depends on the number of networks.
            loss = errors.square().mean(dim=(1, 2)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        else:
            return n_iter
        if clock.stopped:
            raise KeyboardInterrupt
        return step

    def fold(self):
        """Return the weights for features and targets as they are, those of light and pixel apart."""
        first, bias, second, second_bias, last, last_bias = (
            parameter.detach().cpu().numpy().astype(np.float64) for parameter in self.parameters
        )
        n_lights = self.light_mean.shape[1]
        light = first[:, :n_lights] / self.light_scale[..., None]
        pixel = first[:, n_lights:] / self.pixel_scale[..., None]
        bias = bias - self.light_mean[:, None] @ light - self.pixel_mean[:, None] @ pixel
        scale = self.target_scale[:, None]
        folded = (light, pixel, bias, second, second_bias, last * scale, last_bias * scale + self.target_mean[:, None])
        return [np.ascontiguousarray(part, np.float32) for part in folded]


def _evaluate(parameters, inputs):
    """Evaluate all networks, each for its own inputs of shape (n_networks, n, n_features)."""
    first, bias, second, second_bias, last, last_bias = parameters
    hidden = torch.baddbmm(bias, inputs, first).tanh()
    hidden = torch.baddbmm(second_bias, hidden, second).tanh()
    return torch.baddbmm(last_bias, hidden, last)


def _predict(weights, lights, pixels, networks, device):
    """Predict all pixels under each light, each by the mean of its networks.

    Returns
    -------
    ndarray of shape (n_lights, n_pixels, n_channels), float32
        Encoded values.
    """
    light_weight, pixel_weight, bias, second, second_bias, last, last_bias = (
        as_tensor(weight, device) for weight in weights
    )
    light_table, pixel_table = as_tensor(lights, device), as_tensor(pixels, device)
    n_neighbors = networks.shape[1]
    images = torch.zeros((len(lights), len(pixels), last.shape[2]), device=device)
    order, starts, counts = _members(networks, len(bias))
    with torch.no_grad():
        for block in _blocks(counts):
            # Networks that have fewer pixels than others of their block are evaluated at some pixel more often.
            places = np.arange(counts[block].max())
            members = order[starts[block, None] + np.minimum(places, counts[block, None] - 1)] // n_neighbors
            valid = torch.from_numpy(places < counts[block, None]).to(device)
            own, members = torch.from_numpy(block).to(device), torch.from_numpy(members).to(device)
            of_pixels = torch.baddbmm(bias[own], pixel_table[members], pixel_weight[own])
            of_lights = torch.matmul(light_table, light_weight[own])
            for number, image in enumerate(images):
                hidden = (of_pixels + of_lights[:, number, None]).tanh_()
                hidden = torch.baddbmm(second_bias[own], hidden, second[own]).tanh_()
                values = torch.baddbmm(last_bias[own], hidden, last[own])
                image.index_add_(0, members[valid], values[valid], alpha=1 / n_neighbors)
    return images.cpu().numpy()


def _blocks(counts):
    """Divide networks into those of similar numbers of pixels, which are evaluated together."""
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * counts[order[stop]] <= _BLOCK_PIXELS:
            stop += 1
        yield order[start:stop]
        start = stop


def _cluster(features, n_clusters, n_neighbors, random):
    """Find the nearest clusters of each pixel. Clusters that are near to no pixel are left out."""
    if n_clusters == 1:
        return np.zeros((len(features), 1), np.int64)
    clustering = MiniBatchKMeans(n_clusters, n_init=1, random_state=random).fit(features)
    centers = NearestNeighbors(n_neighbors=n_neighbors).fit(clustering.cluster_centers_)
    nearest = centers.kneighbors(features, return_distance=False)
    return np.unique(nearest, return_inverse=True)[1].reshape(nearest.shape)


def _members(networks, n_networks=None):
    """List the entries of `networks` network by network, with the start and the number of those of each network."""
    counts = np.bincount(networks.ravel(), minlength=n_networks or 0)
    return np.argsort(networks.ravel(), kind="stable"), np.cumsum(counts) - counts, counts


def _moments(values, starts, squares=None):
    """Compute mean and standard deviation of groups of rows, in float64. Where values do not differ it is 1."""
    values = values.astype(np.float64)
    squares = np.square(values) if squares is None else squares
    counts = np.diff([*starts, len(values)])[:, None]
    mean, square = (np.add.reduceat(some, starts, axis=0) / counts for some in (values, squares))
    variance = square - np.square(mean)
    return mean, np.where(variance > 1e-9 * square, np.sqrt(variance.clip(0)), 1.0)


def _relative_errors(weights, data, pixels, networks):
    """Compute the relative error of each pixel over some of the training lights."""
    rows = slice(None, None, max(1, len(data.light_table) // _MEASURED_LIGHTS))
    truth = data.target_table[rows][:, pixels]
    predicted = _predict(weights, data.light_table[rows], data.pixel_table[pixels], networks, data.device)
    error, energy = (np.square(some).sum(axis=(0, 2), dtype=np.float64) for some in (predicted - truth, truth))
    return np.sqrt(error / np.maximum(energy, np.finfo(float).tiny))
