"""A mixture of interpolations, corrected by attention of low rank to the nearest photographs of the pixel."""

import math

import torch
from matrices import N_CANDIDATES
from sizes import HEADS, KEY, LARGEST, VALUE
from tasks import half_vectors
from torch import nn
from weights import read_weights

__all__ = ["MixtureModel", "expand", "load_weights"]

_BY_TARGET = {"targets", "truth", "slope", "target_shadows"}
_BY_PIXEL = {"normals", "highlights", "misfit", "scale"}


def expand(packed, pixels=None):
    """Turn a packed task, or some of its pixels, into floats."""

    def choose(name, value):
        if pixels is None or name == "weights":
            return value
        if name == "candidates":
            return value[:, :, pixels]
        if name in _BY_PIXEL:
            return value[pixels]
        return value[:, pixels] if name == "squares" or value.ndim == 3 else value

    return {name: choose(name, value).float() for name, value in packed.items()}


def _angles(vectors, lights):
    """Cosines to lights, and distances to half vectors; shape (n, pixels, 2)."""
    squares = 2 - 2 * (half_vectors(lights) @ vectors.T)
    return torch.stack([lights @ vectors.T, squares.clamp_min(1e-6).sqrt()], -1)


class MixtureModel(nn.Module):
    """Weigh the candidates of each pixel, and correct what they say.

    Everything but `first`, `second`, `head` and the sums over the nearest photographs depends on the photograph and
    the pixel alone, or on the light alone.

    Parameters
    ----------
    k : int, default=8
        Number of nearest photographs.

    width : int, default=64
        Width of the first layer.
    """

    def __init__(self, k=8, width=64):
        super().__init__()
        self.options = {"k": k, "width": width}
        self.embed = nn.Sequential(nn.Linear(26, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.keyvalue = nn.Linear(48, KEY + VALUE)
        n_static = 96 + 2 * (N_CANDIDATES - 1) + 5
        self.static = nn.Sequential(nn.Linear(n_static, 64), nn.ReLU(), nn.Linear(64, width + N_CANDIDATES))
        self.pair = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, HEADS * (KEY + 1)))
        self.light = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2 * width))
        self.first = nn.Linear(23 + VALUE + 3 * HEADS, width)
        self.second = nn.Linear(width, 48)
        self.head = nn.Linear(48, N_CANDIDATES + 3 + HEADS)
        self.temperature = nn.Parameter(torch.tensor([2.0, 4.0]))
        with torch.no_grad():
            # At first candidates count by their leave-one-out errors, and the shading alone hardly.
            self.head.weight.zero_()
            self.head.bias.zero_()
            self.static[-1].weight[-N_CANDIDATES:] = 0
            self.static[-1].bias.zero_()
            self.static[-1].bias[-1] = -3

    def _tokens(self, task):
        """Embed the given values, of shape (n, pixels, 48)."""
        scale, lights, given = task["scale"][:, None], task["lights"], task["given"]
        bright = given.mean(-1, keepdim=True)
        z = lights[:, None, 2:].expand(bright.shape)
        physical = task["physical_residuals"] / scale
        tokens = [given / scale, task["residuals"] / scale, task["spline_residuals"] / scale]
        tokens += [task["local_residuals"] / scale, task["local_contrast"] / scale]
        tokens += [torch.log(bright.clamp_min(0) / scale + 0.05), z, task["shadows"]]
        tokens += [_angles(task["normals"], lights), _angles(task["highlights"], lights), physical]
        tokens += [physical.mean(-1, keepdim=True) ** 2, (task["shading"] / scale).mean(-1, keepdim=True), z**2]
        return self.embed(torch.cat(tokens, -1).clamp(-LARGEST, LARGEST))

    def _static(self, task, embedded):
        """Compute the code of each pixel, and the logarithms of its candidates' weights before any light is known."""
        scale, squares, power = task["scale"][:, None], task["squares"], task["power"]
        relative = 0.5 * torch.log(squares / scale.T**2 + 1e-5)
        every = 0.5 * torch.log(task["all_squares"] / power + 1e-6)
        features = [relative.T / 2, torch.log(scale / power**0.5), every[None].expand(len(scale), -1) / 2]
        features += [torch.full_like(scale, math.log(len(embedded)) / 2), task["misfit"].sqrt()[:, None]]
        features += [task["normals"][:, 2:], task["highlights"][:, 2:]]
        features = torch.cat(features, -1).clamp(-LARGEST, LARGEST)
        code, prior = self.static(torch.cat([embedded.mean(0), embedded.amax(0), features], -1)).split(
            [self.options["width"], N_CANDIDATES], -1
        )
        level = squares.mean(0)
        own = 0.5 * torch.log((squares + 0.1 * level + 1e-5 * power) / (level + 1e-5 * power))
        every = 0.5 * torch.log(task["all_squares"] / task["all_squares"].min() + 1e-4)[:, None]
        logits = -self.temperature[0] * own - self.temperature[1] * every
        return code, prior + torch.cat([logits, logits[-1:]]).T

    def forward(self, task, mirror=1.0):
        """Predict encoded values of shape (m, pixels, 3); a mirror of -1 mirrors the lights."""
        scale, lights, targets, given = task["scale"][:, None], task["lights"], task["targets"], task["given"]
        n_targets, weights, candidates = len(targets), task["weights"], task["candidates"]
        between = torch.cdist(lights, lights)
        between.fill_diagonal_(torch.inf)
        spacing = between.amin(1).median().clamp_min(0.02)
        embedded = self._tokens(task)
        code, prior = self._static(task, embedded)
        reference, grey = candidates[1], candidates.mean(-1, keepdim=True)
        distances, index = torch.cdist(targets, lights).topk(min(self.options["k"], len(lights)), largest=False)
        around = task["residuals"].mean(-1)[index[:, :4]].square().mean(1).sqrt()[..., None]
        queries = [reference, *(grey[j] - grey[1] for j in (0, 2, 3, N_CANDIDATES - 7, N_CANDIDATES - 4, 4)), around]
        queries += [torch.einsum("mn,npc->mpc", weights[1], task["local_contrast"])]
        queries += [grey[-2] - grey[1], grey[-1] - grey[1], grey[-1]]
        queries = [value / scale for value in queries]
        queries += [task["target_shadows"], _angles(task["normals"], targets), _angles(task["highlights"], targets)]

        # Axes along the target's azimuth and across it.
        along = targets[:, :2] / targets[:, :2].norm(dim=1, keepdim=True).clamp_min(1e-6)
        across = torch.stack([-along[:, 1], along[:, 0]], 1) * mirror
        offsets = lights[index] - targets[:, None]
        pairs = [(offsets[..., :2] * axis[:, None]).sum(-1) / spacing for axis in (along, across)]
        pairs += [offsets[..., 2] / spacing, distances / spacing, distances, weights[1].gather(1, index) * 2]
        pairs = torch.stack(pairs, -1).clamp(-LARGEST, LARGEST)
        pairs = self.pair(pairs).view(n_targets, -1, HEADS, KEY + 1)
        keys, values = self.keyvalue(embedded).split([KEY, VALUE], -1)
        scores = torch.einsum("mkhd,mkpd->mpkh", pairs[..., :-1], keys[index]) + pairs[:, None, :, :, -1]
        attention = scores.softmax(2)
        pooled = torch.einsum("mpkh,mkphv->mphv", attention, values[index].unflatten(-1, (HEADS, -1)))
        deviations = torch.einsum("mpkh,mkpc->mphc", attention, given[index] - reference[:, None])
        queries += [pooled.flatten(-2), (deviations / scale[:, None]).flatten(-2)]

        norms = [weights[1].square().sum(1).sqrt(), weights[0].square().sum(1).sqrt().clamp_max(3)]
        scalars = [targets[:, 2], distances[:, 0] / spacing, *norms, spacing.log().expand(n_targets)]
        scalars += [torch.full((n_targets,), math.log(len(lights)) / 2)]
        multiply, add = self.light(torch.stack(scalars, -1))[:, None].chunk(2, -1)
        hidden = self.first(torch.cat(queries, -1).clamp(-LARGEST, LARGEST)) + code * (1 + multiply) + add
        out = self.head(self.second(hidden.relu()).relu())
        logits, corrections, gates = out.split([N_CANDIDATES, 3, HEADS], -1)
        result = torch.einsum("mpj,jmpc->mpc", (prior + 2 * logits).softmax(-1), candidates)
        result = result + corrections * (task["squares"][1:2].sqrt().T + 0.02 * scale).minimum(scale)
        return result + torch.einsum("mph,mphc->mpc", gates, deviations)


def load_weights(path):
    """Load a model from what `weights.save_weights` wrote."""
    options, weights = read_weights(path)
    model = MixtureModel(**options)
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return model.eval()
