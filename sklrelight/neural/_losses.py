"""The loss of a batch of observations: a function for each term, not reduced, and their weighted sum.

All functions take predictions and targets of shape (..., n_channels), encoded to about [0, 1]. Source:
Colburn 2019 (github.com/alexcolburn/neural_relighting), section "Loss".
"""

import torch
from torch import nn

__all__ = [
    "CompositeLoss",
    "luminance",
    "relative_squared_error",
    "squared_error",
    "squared_luminance_error",
    "weighted_mean",
]

# Rec. 601 luma coefficients, R, G, B.
_LUMA = (0.299, 0.587, 0.114)
# Added under square roots, whose slope at 0 has no bound: below an encoded value of 1e-4 they count as black.
_EPSILON = 1e-8
# Mean square of a batch below which it counts as black, against a division by 0.
_BLACK = 1e-6


def squared_error(prediction, target):
    """Compute the squared difference.

    Parameters
    ----------
    prediction, target : Tensor of shape (..., n_channels)
        Encoded colours.

    Returns
    -------
    Tensor of shape (..., n_channels)
        Not negative.
    """
    return torch.square(prediction - target)


def luminance(colour):
    r"""Compute the perceived brightness, the root of the weighted squares of the channels.

    Parameters
    ----------
    colour : Tensor of shape (..., n_channels)
        Encoded colours. Three channels are R, G and B. Any other number of channels have equal weights.

    Returns
    -------
    Tensor of shape (...,)
        :math:`\sqrt{0.299 R^2 + 0.587 G^2 + 0.114 B^2 + 10^{-8}}`. The last summand keeps the slope finite at black.

    Examples
    --------
    >>> import torch
    >>> luminance(torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]))
    tensor([1.0000, 0.7662])
    """
    n_channels = colour.shape[-1]
    weights = _LUMA if n_channels == len(_LUMA) else (1 / n_channels,) * n_channels
    return torch.sqrt(torch.square(colour) @ colour.new_tensor(weights) + _EPSILON)


def squared_luminance_error(prediction, target):
    """Compute the squared difference of the luminances.

    It depends on all channels together, so that the error of one channel also moves the others.

    Parameters
    ----------
    prediction, target : Tensor of shape (..., n_channels)
        Encoded colours.

    Returns
    -------
    Tensor of shape (...,)
        Not negative.
    """
    return torch.square(luminance(prediction) - luminance(target))


def relative_squared_error(prediction, target, weight=None):
    """Compute the squared difference over the mean square of the targets of the batch.

    The root of its mean is the relative error of the batch, ``sqrt(sum((y - p)^2) / sum(y^2))``.

    Parameters
    ----------
    prediction, target : Tensor of shape (..., n_channels)
        Encoded colours.

    weight : Tensor of shape (..., n_channels) or None, default=None
        Weights of the values in the mean square. None: equal weights.

    Returns
    -------
    Tensor of shape (..., n_channels)
        Not negative. A mean square below 1e-6 is replaced by 1e-6.
    """
    return squared_error(prediction, target) / weighted_mean(torch.square(target), weight).clamp(min=_BLACK)


def weighted_mean(values, weight=None):
    """Compute the weighted mean of the values of a batch.

    Parameters
    ----------
    values : Tensor of any shape
        Values of a term.

    weight : Tensor of the same shape or None, default=None
        Weights, not negative. None: equal weights.

    Returns
    -------
    Tensor of shape ()
        ``sum(w v) / sum(w)``, or 0 if all weights are 0.
    """
    if weight is None:
        return values.mean()
    # Shares first: dividing the sum by a tiny weight would make gradients that overflow, and 0 times infinity.
    share = weight / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)
    return (share * values).sum()


class CompositeLoss(nn.Module):
    """Mean squared error, plus a weighted luminance error and a weighted relative error.

    Parameters
    ----------
    luminance_weight : float, default=0.0
        Weight of the mean squared difference of the luminances. The mean squared error has the weight 1. The luminance
        of a colour is ``sqrt(0.299 R^2 + 0.587 G^2 + 0.114 B^2)``.

    relative_weight : float, default=0.0
        Weight of the relative error of the batch, ``sqrt(sum((y - p)^2) / sum(y^2))``.

    Examples
    --------
    >>> import torch
    >>> loss = CompositeLoss()
    >>> loss(torch.tensor([[0.5, 0.5, 0.5]]), torch.tensor([[0.5, 0.5, 0.8]]))
    tensor(0.0300)
    """

    def __init__(self, luminance_weight=0.0, relative_weight=0.0):
        super().__init__()
        self.luminance_weight = luminance_weight
        self.relative_weight = relative_weight

    def forward(self, prediction, target, weight=None):
        """Compute the loss of a batch.

        Parameters
        ----------
        prediction, target : Tensor of shape (..., n_channels)
            Encoded colours.

        weight : Tensor of shape (..., n_channels) or None, default=None
            Weights of the values, not negative. None: equal weights. A luminance has the least weight of its channels,
            because it is unknown if one of them is saturated.

        Returns
        -------
        Tensor of shape ()
            The loss, which is 0 if predictions and targets are equal. Its gradient is finite everywhere.
        """
        loss = weighted_mean(squared_error(prediction, target), weight)
        if self.luminance_weight:
            luminance_error = squared_luminance_error(prediction, target)
            least = None if weight is None else weight.amin(dim=-1)
            loss = loss + self.luminance_weight * weighted_mean(luminance_error, least)
        if self.relative_weight:
            mean = weighted_mean(relative_squared_error(prediction, target, weight), weight)
            # The root is taken of a tensor, so that it rounds alike and a perfect prediction has exactly 0.
            root_of_epsilon = torch.sqrt(torch.full_like(mean, _EPSILON))
            loss = loss + self.relative_weight * (torch.sqrt(mean + _EPSILON) - root_of_epsilon)
        return loss
