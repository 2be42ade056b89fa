"""The network, which computes the colour of an observation from its features."""

from itertools import pairwise
from typing import Any

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

__all__ = ["ACTIVATIONS", "NORMALIZATIONS", "Dropout", "RelightingMLP", "as_tensor"]

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


class _AddProduct(torch.autograd.Function):
    """Add the product of the second and the last third of the columns to the first third.

    The derivatives are written into one table, which is faster than joining three.
    """

    @staticmethod
    def forward(ctx, columns):
        ctx.save_for_backward(columns)
        return torch.addcmul(*columns.chunk(3, -1))

    @staticmethod
    def backward(ctx, gradient):
        (columns,) = ctx.saved_tensors
        _, one, other = columns.chunk(3, -1)
        gradients = torch.empty_like(columns)
        by_summand, by_one, by_other = gradients.chunk(3, -1)
        by_summand.copy_(gradient)
        torch.mul(gradient, other, out=by_one)
        torch.mul(gradient, one, out=by_other)
        return gradients


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

    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs, dtype=torch.float32)

    def reset_parameters(self):
        """Leave the weights to `draw_weights`."""

    @torch.no_grad()
    def draw_weights(self, generator):
        nn.init.xavier_uniform_(self.weight, generator=generator)
        nn.init.zeros_(self.bias)


class _FirstLayer(_Dense):
    """A dense layer whose output is the sum of one part that depends on the light and one that depends on the pixel."""

    @staticmethod
    def join(light_part, pixel_part):
        return light_part + pixel_part


class _LightPixelLayer(_FirstLayer):
    """A dense layer that adds to each unit the product of a linear function of the light and one of the pixel.

    The first half of the rows of its weights belongs to the dense layer, the second half to the two functions.
    """

    def __init__(self, n_light_features, n_features, n_outputs):
        self.n_light_features = n_light_features
        super().__init__(n_features, 2 * n_outputs)

    @torch.no_grad()
    def draw_weights(self, generator):
        for rows in self.weight.chunk(2):
            nn.init.xavier_uniform_(rows[:, : self.n_light_features], generator=generator)
            nn.init.xavier_uniform_(rows[:, self.n_light_features :], generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, input):
        # The biases are part of the matrix product: added on their own, they would take as long as the product.
        n = self.n_light_features
        dense, factors = torch.cat([self.weight, self.bias[:, None]], 1).chunk(2)
        light_factor = torch.cat([factors[:, :n], torch.zeros_like(factors[:, n:-1]), factors[:, -1:]], 1)
        pixel_factor = nn.functional.pad(factors[:, n:-1], (n, 1))
        weight = torch.cat([dense, light_factor, pixel_factor])
        return _AddProduct.apply(nn.functional.linear(nn.functional.pad(input, (0, 1), value=1.0), weight))

    @staticmethod
    def join(light_part, pixel_part):
        (light, light_factor), (pixel, pixel_factor) = light_part.chunk(2, -1), pixel_part.chunk(2, -1)
        return light + pixel + light_factor * pixel_factor


NORMALIZATIONS = {"batch": _BatchNorm, "layer": nn.LayerNorm}


class RelightingMLP(nn.Module):
    """Dense layers, each followed by normalisation, activation and dropout, and a dense output layer.

    Parameters
    ----------
    n_features : int
        Number of features of an observation: those of the light, followed by those of the pixel.

    n_outputs : int
        Number of channels.

    hidden_layer_sizes : sequence of int
        Width of each hidden layer.

    activation, output_activation : str
        Names of the activations after each hidden layer and after the output layer, as in
        :class:`~sklrelight.RelightingMLPRegressor`.

    dropout : float
        Share of the units of a hidden layer that are dropped in training.

    normalization : {None, "batch", "layer"}
        Normalisation before each hidden activation.

    half_precision : bool
        Whether hidden layers are computed in bfloat16. The weights are float32 in any case, and so is the output layer,
        because 8 bits of mantissa would show as bands in an image.

    output_offset, output_scale : float, default=0.0, 1.0
        Mean and standard deviation of the targets. The values of the output layer are multiplied by the scale, and the
        offset is added, before the activation. The network then need not learn them, and its weights stay in the range
        that suits the learning rate.

    n_light_features : int or None, default=None
        Number of features of the light. Each unit of the first hidden layer is also given the product of a linear
        function of the light and one of the pixel. Shading is such a product, of a surface normal and the direction of
        the light, which dense layers could only approximate. None: no products.

    seed : int, default=0
        Seed of the initial weights and of dropout.

    Notes
    -----
    Initial weights are Glorot uniform and initial biases 0. These are the defaults of Keras, which Colburn 2019 used.

    Examples
    --------
    >>> network = RelightingMLP(7, 3, (600,) * 5)
    >>> sum(parameter.numel() for parameter in network.parameters())
    1449003
    """

    def __init__(
        self,
        n_features,
        n_outputs,
        hidden_layer_sizes,
        activation="relu",
        output_activation="identity",
        dropout=0.0,
        normalization=None,
        half_precision=False,
        output_offset=0.0,
        output_scale=1.0,
        n_light_features=None,
        seed=0,
    ):
        super().__init__()
        self.half_precision = half_precision
        widths = [n_features, *hidden_layer_sizes]
        hidden: list[nn.Module] = []
        for number, (n_in, n_out) in enumerate(pairwise(widths)):
            if hidden:
                hidden.append(_Dense(n_in, n_out))
            elif n_light_features is None:
                hidden.append(_FirstLayer(n_in, n_out))
            else:
                hidden.append(_LightPixelLayer(n_light_features, n_in, n_out))
            if normalization is not None:
                hidden.append(NORMALIZATIONS[normalization](n_out, dtype=torch.float32))
            hidden.append(_activation(activation))
            if dropout:
                hidden.append(Dropout(dropout, seed + number))
        self.hidden: nn.Sequential = nn.Sequential(*hidden)
        last = _Dense if hidden else _FirstLayer
        output: list[nn.Module] = [last(widths[-1], n_outputs), _activation(output_activation)]
        if (output_offset, output_scale) != (0.0, 1.0):
            output.insert(1, _Rescale(output_offset, output_scale))
        self.output: nn.Sequential = nn.Sequential(*output)
        generator = torch.Generator().manual_seed(seed)
        for layer in self.modules():
            if isinstance(layer, _Dense):
                layer.draw_weights(generator)

    def forward(self, X):
        """Predict the colours of observations.

        Parameters
        ----------
        X : Tensor of shape (n_observations, n_features)
            Features of the light, then of the pixel.

        Returns
        -------
        Tensor of shape (n_observations, n_outputs), float32
            Encoded colours.
        """
        with self._autocast(X):
            hidden = self.hidden(X)
        return self.output(hidden.float())

    def forward_product(self, lights, pixels):
        """Predict every pixel under every light.

        The parts of the first layer that depend on the light alone or on the pixel alone are computed once each.

        Parameters
        ----------
        lights : Tensor of shape (n_lights, n_light_features)
            Features of the lights.

        pixels : Tensor of shape (n_pixels, n_pixel_features)
            Features of the pixels.

        Returns
        -------
        Tensor of shape (n_lights, n_pixels, n_outputs), float32
            Encoded colours.
        """
        return self._forward_parts(self._light_part(lights), self._pixel_part(pixels))

    @torch.inference_mode()
    def predict_product(self, lights, pixels):
        """Predict every pixel under every light, in blocks of limited size.

        Parameters
        ----------
        lights, pixels : Tensor
            As in `forward_product`.

        Returns
        -------
        ndarray of shape (n_lights, n_pixels, n_outputs), float32
            Encoded colours.
        """
        output: Any = self.output[0]
        encoded = np.empty((len(lights), len(pixels), output.out_features), np.float32)
        widest = max(layer.out_features for layer in self.modules() if isinstance(layer, nn.Linear))
        block = max(1, _BLOCK.get(lights.device.type, _LARGE_BLOCK) * _WIDE // max(_WIDE, widest))
        # Each photograph's pixels are cut into blocks of about one size: a small one at its end would be slow.
        n_pixels = -(-len(pixels) // -(-len(pixels) // block))
        n_lights = max(1, block // n_pixels)
        light_part = self._light_part(lights)
        # Within one such context, the weights are cast once for all blocks.
        with self._autocast(lights):
            for pixel in range(0, len(pixels), n_pixels):
                pixel_part = self._pixel_part(pixels[pixel : pixel + n_pixels])
                for light in range(0, len(lights), n_lights):
                    values = self._forward_parts(light_part[light : light + n_lights], pixel_part)
                    encoded[light : light + n_lights, pixel : pixel + n_pixels] = values.cpu().numpy()
        return encoded

    def _first(self):
        first: Any = [*self.hidden, *self.output][0]
        return first

    def _light_part(self, lights):
        first = self._first()
        weight = first.weight[:, : lights.shape[1]]
        with self._autocast(lights, enabled=False):
            if lights.shape[1] > _FEW_FEATURES:
                return nn.functional.linear(lights, weight, first.bias)
            # How a product of matrices is rounded depends on its number of rows; a photograph is to be the same
            # whichever others are predicted with it.
            part = first.bias.expand(len(lights), -1)
            for feature, column in zip(lights.T, weight.T, strict=True):
                part = part + feature[:, None] * column
            return part

    def _pixel_part(self, pixels):
        weight = self._first().weight
        with self._autocast(pixels, enabled=False):
            return nn.functional.linear(pixels, weight[:, weight.shape[1] - pixels.shape[1] :])

    def _forward_parts(self, light_part, pixel_part):
        """Compute the network from the two parts of the first layer on."""
        first = self._first()
        joined = first.join(light_part[:, None], pixel_part)
        values = joined.flatten(0, 1)
        if not len(self.hidden):
            return self.output[1:](values).unflatten(0, joined.shape[:2])
        with self._autocast(values):
            if self.half_precision:
                values = values.bfloat16()
            for layer in [*self.hidden][1:]:
                values = layer(values)
        with self._autocast(values, enabled=False):
            return self.output(values.float()).unflatten(0, joined.shape[:2])

    def _autocast(self, tensor, enabled=True):
        return torch.autocast(tensor.device.type, torch.bfloat16, enabled=enabled and self.half_precision)


def _activation(name):
    # The only one that has weights, which are to be of the network's type whatever torch's default is.
    return nn.PReLU(dtype=torch.float32) if name == "prelu" else ACTIVATIONS[name]()


def as_tensor(table, device):
    """Turn a table into a tensor, without a copy if possible.

    Parameters
    ----------
    table : ndarray
        Numbers.

    device : torch.device
        Device of the tensor.

    Returns
    -------
    Tensor of the shape of table, float32
        On the CPU it shares the memory of `table`. Read-only arrays, such as memory-mapped ones, are copied, because
        tensors are always writable.
    """
    return torch.from_numpy(np.require(table, np.float32, ["C", "W"])).to(device)
