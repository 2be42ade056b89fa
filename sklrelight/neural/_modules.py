"""The network, which computes the colour of an observation from its light and its pixel."""

from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import torch
from torch import nn

# Observations predicted at a time. On the CPU, as many as keep the hidden layers in its cache; elsewhere, as fill it.
_BLOCK = {"cpu": 4096}
_LARGE_BLOCK = 2**18
# Of layers that are wider than this, fewer.
_WIDE = 4096
# Features of a light that are multiplied one by one.
_FEW_FEATURES = 16

__all__ = ["ACTIVATIONS", "NORMALIZATIONS", "Dropout", "RelightingMLP", "as_tensor", "pixels_as_tensor"]

ACTIVATIONS = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "prelu": nn.PReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that also takes a batch of one, which can end an epoch, by the running statistics."""

    def forward(self, input):
        if self.training and len(input) == 1:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class _Rescale(nn.Module):
    """Spread values of variance 1 about 0 over the range of the targets."""

    def __init__(self, offset, scale):
        super().__init__()
        self.offset = offset
        self.scale = scale

    def forward(self, input):
        return input * self.scale + self.offset


class Dropout(nn.Module):
    """Dropout with its own generator, so that fits in several threads do not disturb each other."""

    def __init__(self, share, seed):
        super().__init__()
        self.share = share
        self.seed = seed
        self.generator = None

    @torch.compiler.disable
    def forward(self, input):
        if not self.training:
            return input
        if self.generator is None:
            self.generator = torch.Generator(input.device).manual_seed(self.seed)
        drawn = torch.rand(input.shape, generator=self.generator, device=input.device, dtype=torch.float32)
        return input * (drawn >= self.share) / (1 - self.share)

    def __getstate__(self):
        # A generator of CUDA cannot be loaded where there is none, and a fitted network needs none.
        return self.__dict__ | {"generator": None}


class _Dense(nn.Linear):
    """A dense layer in float32 whose initial weights come from a given generator instead of torch's global one."""

    def __init__(self, n_inputs, n_outputs, bias=True):
        super().__init__(n_inputs, n_outputs, bias=bias, dtype=torch.float32)

    def reset_parameters(self):
        """Leave the weights to `draw_weights`."""

    @torch.no_grad()
    def draw_weights(self, generator):
        nn.init.xavier_uniform_(self.weight, generator=generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class _Join(_Dense):
    """A dense layer on light and pixel together, whose linear functions of each are computed apart.

    With products, each unit is the sum of a linear function of the light, one of the pixel, and the product of two
    others. The second half of the rows of the weights belongs to the factors.
    """

    def __init__(self, n_light_features, n_pixel_features, n_outputs, products):
        self.n_light_features = n_light_features
        self.n_parts = 2 if products else 1
        super().__init__(n_light_features + n_pixel_features, self.n_parts * n_outputs)

    @torch.no_grad()
    def draw_weights(self, generator):
        n_light, n_all = self.n_light_features, self.in_features
        # A factor is a function of the light or of the pixel alone, and so is what is drawn for it.
        parts = [slice(n_all)] if self.n_parts == 1 else [slice(n_light), slice(n_light, n_all)]
        for rows in self.weight.chunk(self.n_parts):
            for columns in parts:
                nn.init.xavier_uniform_(rows[:, columns], generator=generator)
        nn.init.zeros_(self.bias)

    def light_part(self, lights):
        weight = self.weight[:, : self.n_light_features]
        if torch.is_grad_enabled() or self.n_light_features > _FEW_FEATURES:
            return nn.functional.linear(lights, weight)
        # How a product of matrices is rounded depends on its number of rows; a photograph is to be the same whichever
        # others are predicted with it.
        return sum(feature[..., None] * column for feature, column in zip(lights.unbind(-1), weight.T, strict=True))

    def pixel_part(self, pixels):
        return nn.functional.linear(pixels, self.weight[:, self.n_light_features :], self.bias)

    def under(self, light_part):
        """Return weights and biases of the dense layer on the pixel that this is under one light."""
        weight = self.weight[:, self.n_light_features :]
        if self.n_parts == 1:
            return weight, self.bias + light_part
        (weight, weight_factor), (bias, bias_factor) = weight.chunk(2), self.bias.chunk(2)
        light, light_factor = light_part.chunk(2)
        return weight + light_factor[:, None] * weight_factor, bias + light_factor * bias_factor + light

    def join(self, light_part, pixel_part):
        if self.n_parts == 1:
            return light_part + pixel_part
        (light, light_factor), (pixel, pixel_factor) = light_part.chunk(2, -1), pixel_part.chunk(2, -1)
        return torch.addcmul(pixel, light_factor, pixel_factor) + light


NORMALIZATIONS = {"batch": _BatchNorm, "layer": nn.LayerNorm}


class RelightingMLP(nn.Module):
    """Hidden layers of the pixel, a join with the light, hidden layers of the observation, and an output layer.

    What a pixel is does not depend on the light. The layers of the pixel are therefore computed once for each pixel,
    however many lights it is seen under. The light enters by linear functions alone. Each hidden layer is followed by
    normalisation, activation and dropout.

    Parameters
    ----------
    n_light_features, n_pixel_features : int
        Numbers of features of a light and of a pixel.

    n_outputs : int
        Number of channels.

    hidden_layer_sizes : sequence of int
        Widths of the hidden layers of an observation. The first one joins light and pixel.

    pixel_layer_sizes : sequence of int, default=()
        Widths of the hidden layers of a pixel. Without any, and without `light_pixel_products`, the network is a plain
        multilayer perceptron.

    activation, output_activation : str
        Names of the activations after each hidden layer and after the output layer, as in
        :class:`~sklrelight.RelightingMLPRegressor`.

    light_pixel_products : bool, default=False
        Whether each unit of the layer that joins light and pixel is also given the product of a linear function of the
        light and one of the pixel. Shading is such a product, of a surface normal and the direction of the light, which
        sums could only approximate.

    dropout : float, default=0.0
        Share of the units of a hidden layer that are dropped in training.

    normalization : {None, "batch", "layer"}, default=None
        Normalisation before each hidden activation.

    half_precision : bool, default=False
        Whether hidden layers are computed in bfloat16. The weights are float32 in any case, and so are the layers that
        are given light, pixel coordinates or the last hidden layer, because 8 bits of mantissa would show as bands in
        an image.

    output_offset, output_scale : float, default=0.0, 1.0
        Mean and standard deviation of the targets. The values of the output layer are multiplied by the scale, and the
        offset is added, before the activation. The network then need not learn them, and its weights stay in the range
        that suits the learning rate.

    seed : int, default=0
        Seed of the initial weights and of dropout.

    Notes
    -----
    Initial weights are Glorot uniform and initial biases 0. These are the defaults of Keras, which Colburn 2019 used.

    Examples
    --------
    >>> network = RelightingMLP(2, 5, 3, (600,) * 5)
    >>> sum(parameter.numel() for parameter in network.parameters())
    1449003
    """

    def __init__(
        self,
        n_light_features,
        n_pixel_features,
        n_outputs,
        hidden_layer_sizes,
        pixel_layer_sizes=(),
        activation="relu",
        output_activation="identity",
        light_pixel_products=False,
        dropout=0.0,
        normalization=None,
        half_precision=False,
        output_offset=0.0,
        output_scale=1.0,
        seed=0,
    ):
        super().__init__()
        self.n_outputs = n_outputs
        self.half_precision = half_precision
        n_layers = 0

        def after(width):
            nonlocal n_layers
            n_layers += 1
            layers: list[nn.Module] = (
                [] if normalization is None else [NORMALIZATIONS[normalization](width, dtype=torch.float32)]
            )
            layers.append(_activation(activation))
            return [*layers, Dropout(dropout, seed + n_layers - 1)] if dropout else layers

        def stack(widths):
            return [layer for n_in, n_out in pairwise(widths) for layer in (_Dense(n_in, n_out), *after(n_out))]

        pixel_widths = [n_pixel_features, *pixel_layer_sizes]
        widths = [*hidden_layer_sizes, n_outputs]
        self.pixel: nn.Sequential = nn.Sequential(*stack(pixel_widths))
        self.join: _Join = _Join(n_light_features, pixel_widths[-1], widths[0], light_pixel_products)
        self.hidden: nn.Sequential = nn.Sequential()
        output: list[nn.Module] = [_activation(output_activation)]
        if (output_offset, output_scale) != (0.0, 1.0):
            output.insert(0, _Rescale(output_offset, output_scale))
        if hidden_layer_sizes:
            self.hidden.extend([*after(widths[0]), *stack(hidden_layer_sizes)])
            output.insert(0, _Dense(*widths[-2:]))
        self.output: nn.Sequential = nn.Sequential(*output)
        generator = torch.Generator().manual_seed(seed)
        for layer in [*self.pixel, self.join, *self.hidden, *self.output]:
            if hasattr(layer, "draw_weights"):
                layer.draw_weights(generator)

    def forward(self, lights, pixels):
        """Predict the colours of observations.

        Parameters
        ----------
        lights : Tensor of shape (n_observations, n_light_features) or (n_lights, 1, n_light_features)
            Light of each observation. With an axis of length 1: every light with every pixel.

        pixels : Tensor of shape (n_observations, n_pixel_features) or (n_pixels, n_pixel_features)
            Pixel of each observation, or pixels.

        Returns
        -------
        Tensor of shape (n_observations, n_outputs) or (n_lights, n_pixels, n_outputs), float32
            Encoded colours.
        """
        return self._observe(self._light_part(lights), self._pixel_part(pixels))

    @torch.inference_mode()
    def predict_product(self, lights, pixels):
        """Predict every pixel under every light, in blocks of limited size.

        Parameters
        ----------
        lights : Tensor of shape (n_lights, n_light_features)
            Features of the lights.

        pixels : Tensor of shape (n_pixels, n_pixel_features)
            Features of the pixels, float32 or float16.

        Returns
        -------
        ndarray of shape (n_lights, n_pixels, n_outputs), float32
            Encoded colours.
        """
        widths = [layer.out_features for layer in self.modules() if isinstance(layer, nn.Linear)]
        encoded = np.empty((len(lights), len(pixels), self.n_outputs), np.float32)
        block = max(1, _BLOCK.get(lights.device.type, _LARGE_BLOCK) * _WIDE // max(_WIDE, *widths))
        # Each photograph's pixels are cut into blocks of about one size: a small one at its end would be slow.
        n_pixels = -(-len(pixels) // -(-len(pixels) // block))
        light_part = self._light_part(lights)
        if len(pixels) == 1:
            # The rows of a plain table are many lights on one pixel.
            with self._autocast(lights):
                pixel_part = self._pixel_part(pixels.float())
                for light in range(0, len(lights), block):
                    some = slice(light, light + block)
                    encoded[some] = self._observe(light_part[some, None], pixel_part).cpu().numpy()
            return encoded
        # Under one light, the join is one dense layer on the pixel: fewer products than both factors take, and one
        # pass over memory. One photograph at a time is also the same whichever others are predicted with it, as the
        # rounding of products of matrices depends on their number of rows.
        # Within one such context, the weights of the other layers are cast once for all blocks.
        with self._autocast(lights):
            for pixel in range(0, len(pixels), n_pixels):
                some = slice(pixel, pixel + n_pixels)
                hidden = self._pixel_layers(pixels[some].float())
                for values, part in zip(encoded, light_part, strict=True):
                    with self._autocast(hidden, enabled=len(self.pixel) > 0):
                        joined = nn.functional.linear(hidden, *self.join.under(part))
                    values[some] = self._finish(joined).cpu().numpy()
        return encoded

    def _light_part(self, lights):
        with self._autocast(lights, enabled=False):
            return self.join.light_part(lights)

    def _pixel_layers(self, pixels):
        # The first layer is given coordinates.
        for number, layer in enumerate(self.pixel):
            with self._autocast(pixels, enabled=number > 0):
                pixels = layer(pixels)
        return pixels

    def _pixel_part(self, pixels):
        hidden = self._pixel_layers(pixels)
        with self._autocast(hidden, enabled=len(self.pixel) > 0):
            return self.join.pixel_part(hidden)

    def _observe(self, light_part, pixel_part):
        """Compute the network from what it makes of light and pixel on."""
        if self.half_precision and len(self.hidden):
            light_part, pixel_part = light_part.bfloat16(), pixel_part.bfloat16()
        return self._finish(self.join.join(light_part, pixel_part))

    def _finish(self, joined):
        """Compute the network from the joined layer on."""
        if self.half_precision and len(self.hidden):
            joined = joined.bfloat16()
        with self._autocast(joined):
            hidden = self.hidden(joined.flatten(0, -2))
        with self._autocast(joined, enabled=False):
            return self.output(hidden.float()).unflatten(0, joined.shape[:-1])

    def _autocast(self, tensor, enabled=True):
        # Entering a context that does nothing takes as long as a small layer.
        if not self.half_precision:
            return nullcontext()
        return torch.autocast(tensor.device.type, torch.bfloat16, enabled=enabled)


def _activation(name):
    # The only one that has weights, which are to be of the network's type whatever torch's default is.
    return nn.PReLU(dtype=torch.float32) if name == "prelu" else ACTIVATIONS[name]()


def as_tensor(table, device, dtype=np.float32):
    """Turn a table into a tensor, without a copy if possible.

    Parameters
    ----------
    table : ndarray
        Numbers.

    device : torch.device
        Device of the tensor.

    dtype : type, default=numpy.float32
        Type of the tensor.

    Returns
    -------
    Tensor of the shape of table
        On the CPU it shares the memory of `table`. Read-only arrays, such as memory-mapped ones, are copied, because
        tensors are always writable.
    """
    return torch.from_numpy(np.require(table, dtype, ["C", "W"])).to(device)


def pixels_as_tensor(pixels, device):
    """Turn a table of pixels into a tensor in float32, or in float16 if it is that already."""
    return as_tensor(pixels, device, np.float16 if pixels.dtype == np.float16 else np.float32)
