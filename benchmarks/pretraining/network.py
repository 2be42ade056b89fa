"""The network that weighs and corrects the candidates of a mixture, to train it."""

import json

import numpy as np
import torch
from torch import nn

from sklrelight.interpolation._mixture import N_CANDIDATES, N_LIGHT, N_QUERY, N_SUMMARY, N_TOKEN

__all__ = ["MixtureNetwork", "save_weights"]


class MixtureNetwork(nn.Module):
    """Weigh the candidates of each pixel, and correct their mean.

    `embed` sees each photograph at a pixel, `static` their mean and maximum and what is known of the pixel, `light` a
    light, and `first` what the candidates say of a pixel under a light.

    Parameters
    ----------
    embedding : int, default=48
        Width of what is found of each photograph.

    code : int, default=64
        Width of the layers in which pixel and light meet.

    last : int, default=48
        Width of the last hidden layer.
    """

    def __init__(self, embedding=48, code=64, last=48):
        super().__init__()
        self.options = {"embedding": embedding, "code": code, "last": last}
        self.embed = nn.Sequential(nn.Linear(N_TOKEN, embedding), nn.ReLU(), nn.Linear(embedding, embedding), nn.ReLU())
        self.static = nn.Sequential(
            nn.Linear(2 * embedding + N_SUMMARY, 64), nn.ReLU(), nn.Linear(64, code + N_CANDIDATES)
        )
        self.light = nn.Sequential(nn.Linear(N_LIGHT, 32), nn.ReLU(), nn.Linear(32, 2 * code))
        self.first = nn.Linear(N_QUERY, code)
        self.second = nn.Linear(code, last)
        self.head = nn.Linear(last, N_CANDIDATES + 3)
        self.temperature = nn.Parameter(torch.tensor([2.0, 4.0]))
        with torch.no_grad():
            # At first candidates count by their leave-one-out errors, and the shading alone hardly.
            self.head.weight.zero_()
            self.head.bias.zero_()
            self.static[-1].weight[-N_CANDIDATES:] = 0
            self.static[-1].bias.zero_()
            self.static[-1].bias[-1] = -3

    def forward(self, task):
        """Predict encoded values of shape (m, 3, n_pixels) from the tensors of a task."""
        embedded = self.embed(task["tokens"].movedim(1, -1))
        seen = torch.cat([embedded.mean(0), embedded.amax(0), task["summary"].T], -1)
        code, prior = self.static(seen).split([self.options["code"], N_CANDIDATES], -1)
        errors = -torch.einsum("k,kjp->pj", self.temperature, task["errors"])
        prior = prior + torch.cat([errors, errors[:, -1:]], -1)
        multiply, add = self.light(task["light"])[:, None].chunk(2, -1)
        hidden = self.first(task["features"].movedim(1, -1)) + code * (1 + multiply) + add
        logits, corrections = self.head(self.second(hidden.relu()).relu()).split([N_CANDIDATES, 3], -1)
        shares = (prior + 2 * logits).softmax(-1)
        predicted = torch.einsum("mpj,mjcp->mcp", shares, task["candidates"])
        return predicted + corrections.movedim(-1, 1) * task["unit"]


def save_weights(network, path):
    """Write a network's weights, as arrays of half precision."""
    arrays = {name: value.numpy().astype(np.float16) for name, value in network.state_dict().items()}
    np.savez_compressed(path, options=json.dumps(network.options), **arrays)
