"""A model that has seen many surfaces: it corrects the interpolation for a new light by the nearest given ones."""

import math

import torch
from tasks import half_vectors
from torch import nn
from weights import read_weights

__all__ = ["NeighbourModel", "expand", "load_weights"]

_LARGEST = 4.0


def expand(packed, rows=None, pixels=None):
    """Turn some targets and pixels of a packed task into floats.

    Parameters
    ----------
    packed : dict
        What ``prepare.pack`` made.

    rows, pixels : tensor of int or None, default=None
        Targets and pixels to keep. None: all.

    Returns
    -------
    dict
        The same entries.
    """
    by_target = {"targets", "truth", "weights", "predicted", "rough", "physical", "target_shading", "target_shadows"}
    by_pixel = {"normals", "highlights", "misfit", "roughness", "scale"}

    def choose(name, value):
        if not isinstance(value, torch.Tensor):
            return value
        if rows is not None and name in by_target:
            value = value[rows]
        if pixels is not None and value.ndim == 3:
            value = value[:, pixels]
        if pixels is not None and name in by_pixel:
            value = value[pixels]
        return value.float()

    return {name: choose(name, value) for name, value in packed.items()}


def _spacing(lights):
    """Find the median distance of a light to the nearest other one."""
    distances = torch.cdist(lights, lights)
    distances.fill_diagonal_(torch.inf)
    return distances.amin(1).median().clamp_min(0.02)


def _angles(normals, lights):
    """Compute cosines to lights and angles to half vectors, of shape (n, pixels, 2)."""
    cosines = lights @ normals.T
    angles = torch.arccos((half_vectors(lights) @ normals.T).clamp(-0.9999, 0.9999)) / (math.pi / 2)
    return torch.stack([cosines, angles.sqrt()], dim=-1)


def describe(task, n_neighbours, physics, mirror=1.0):
    """Compute what the model is given.

    Parameters
    ----------
    task : dict
        An expanded task.

    n_neighbours : int
        Number of nearest photographs.

    physics : bool
        Whether normals and shading are among the features.

    mirror : float, default=1.0
        -1 mirrors the lights, which leaves a surface as likely as before.

    Returns
    -------
    tokens : tensor of shape (n, pixels, n_token_features)
        Features of the given values.

    pairs : tensor of shape (m, k, n_pair_features)
        Features of targets and their nearest lights.

    queries : tensor of shape (m, pixels, n_query_features)
        Features of the values to predict.

    index : tensor of shape (m, k), int
        The nearest lights; the last ones repeat if there are fewer than k.
    """
    scale = task["scale"][:, None]
    lights, targets = task["lights"], task["targets"]
    spacing = _spacing(lights)
    given, predicted = task["given"], task["predicted"]
    grey = given.mean(-1, keepdim=True)
    tokens = [given / scale, task["residuals"] / scale, task["local_residuals"] / scale, task["local_contrast"] / scale]
    tokens += [torch.log(grey.clamp_min(0) / scale + 0.05)]
    shape = grey.shape
    tokens += [(lights[:, None, 2:]).expand(shape)]
    local = torch.einsum("mn,npc->mpc", task["weights"], given + task["local_contrast"])
    nearest = torch.cdist(targets, lights)
    distances, index = nearest.topk(min(n_neighbours, len(lights)), largest=False)
    typical = task["residuals"].square().mean((0, 2)).sqrt()[:, None] / scale
    around = task["residuals"].mean(-1)[index].square().mean(1).sqrt()[..., None] / scale
    flat = (len(targets), len(scale), 1)
    queries = [predicted / scale, (local - predicted) / scale, around, typical.expand(flat)]
    scalars = [
        targets[:, 2],
        distances[:, 0] / spacing,
        task["weights"].square().sum(1).sqrt(),
        spacing.log().expand(len(targets)),
        torch.full((len(targets),), math.log(len(lights)) / 2),
    ]
    queries += [value[:, None, None].expand(flat) for value in scalars]
    queries += [torch.log(scale / task["power"] ** 0.5).expand(flat)]
    queries += [(task["rough"] - predicted) / scale, (task["roughness"][:, None] / scale).expand(flat)]
    if physics:
        tokens += [task["shadows"]]
        queries += [task["target_shadows"]]
        angles = [_angles(task[name], lights) for name in ("normals", "highlights")]
        tokens += [*angles, task["physical_residuals"] / scale, task["shading"] / scale]
        physical = task["physical_residuals"].square().mean((0, 2)).sqrt()[:, None] / scale
        queries += [_angles(task[name], targets) for name in ("normals", "highlights")]
        queries += [
            (task["physical"] - predicted) / scale,
            (task["target_shading"] - predicted) / scale,
            physical.expand(flat),
            task["misfit"].sqrt()[:, None].expand(flat),
            task["normals"][:, 2:].expand(flat),
            task["highlights"][:, 2:].expand(flat),
        ]
    tokens = torch.cat(tokens, -1).clamp(-_LARGEST, _LARGEST)
    queries = torch.cat(queries, -1).clamp(-_LARGEST, _LARGEST)
    # Axes along the target's azimuth and across it.
    along = targets[:, :2] / targets[:, :2].norm(dim=1, keepdim=True).clamp_min(1e-6)
    across = torch.stack([-along[:, 1], along[:, 0]], 1) * mirror
    offsets = lights[index] - targets[:, None]
    pairs = torch.stack(
        [
            (offsets[..., :2] * along[:, None]).sum(-1) / spacing,
            (offsets[..., :2] * across[:, None]).sum(-1) / spacing,
            offsets[..., 2] / spacing,
            distances / spacing,
            distances,
            task["weights"].gather(1, index) * 2,
        ],
        -1,
    ).clamp(-_LARGEST, _LARGEST)
    return tokens, pairs, queries, index


class SelfAttention(nn.Module):
    """Attention among a pixel's photographs, with a bias by the distance of their lights.

    Parameters
    ----------
    width : int
        Width of the tokens.

    n_heads : int
        Number of heads, each of which learns the scale of its distances.
    """

    def __init__(self, width, n_heads=4):
        super().__init__()
        self.n_heads = n_heads
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.log_scale = nn.Parameter(torch.linspace(-3, 1, n_heads))
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, tokens, squares):
        """Attend. Shapes (pixels, n, width) and (n, n)."""
        pixels, n_tokens, width = tokens.shape
        parts = self.projection(self.first(tokens)).view(pixels, n_tokens, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        bias = -squares * self.log_scale.exp()[:, None, None]
        mixed = nn.functional.scaled_dot_product_attention(*parts, attn_mask=bias[None].expand(pixels, -1, -1, -1))
        tokens = tokens + self.output(mixed.transpose(1, 2).reshape(pixels, n_tokens, width))
        return tokens + self.feed(self.second(tokens))


class NeighbourModel(nn.Module):
    """Correct an interpolation by what the nearest photographs, and the mean of all, tell.

    Parameters
    ----------
    n_neighbours : int, default=10
        Number of nearest photographs.

    width : int, default=64
        Width of the layers.

    physics : bool, default=True
        Whether normals and shading are among the features.

    n_attention : int, default=0
        Number of layers of attention among all photographs of a pixel.

    n_context : int, default=0
        Number of photographed values, of any pixels, to which the values to predict attend; besides, they attend to all
        photographs of their own pixel. 0: no such attention.
    """

    def __init__(self, n_neighbours=10, width=64, physics=True, n_attention=0, n_context=0):
        super().__init__()
        self.options = dict(
            n_neighbours=n_neighbours, width=width, physics=physics, n_attention=n_attention, n_context=n_context
        )
        n_tokens, n_queries = (29, 37) if physics else (14, 18)
        n_pairs = 6
        self.embed = nn.Sequential(nn.Linear(n_tokens, width), nn.ReLU(), nn.Linear(width, width))
        self.attention = nn.ModuleList(SelfAttention(width) for _ in range(n_attention))
        self.summary = nn.Linear(2 * width, width)
        self.query = nn.Linear(n_queries + width, width)
        self.token = nn.Linear((width if n_attention else n_tokens) + 3, width)
        self.pair = nn.Linear(n_pairs, width)
        self.mix = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.score = nn.Linear(width, 4)
        self.share = nn.Linear(width, 1)
        n_pooled = 2 * width
        if n_context:
            n_pooled = 4 * width
            self.asked = nn.Linear(width, 2 * width)
            self.own = nn.Linear(width, 2 * width)
            self.context = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 2 * width))
        self.head = nn.Sequential(
            nn.Linear(n_pooled, 2 * width), nn.ReLU(), nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 5)
        )
        for layer in (self.share, self.head[-1]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def find_context(self, embedded, summary):
        """Choose photographed values at random; their keys and values, of shape (n_context, 4, width / 4) each."""
        n_lights, n_pixels = embedded.shape[:2]
        chosen = torch.randint(n_lights * n_pixels, (self.options["n_context"],))
        light, pixel = chosen // n_pixels, chosen % n_pixels
        context = self.context(torch.cat([embedded[light, pixel], summary[pixel]], -1))
        return context.unflatten(-1, (2, 4, -1)).unbind(1)

    def forward(self, task, mirror=1.0, context=None):
        """Predict encoded values of shape (m, pixels, 3)."""
        options = self.options
        tokens, pairs, queries, index = describe(task, options["n_neighbours"], options["physics"], mirror)
        embedded = self.embed(tokens)
        if self.attention:
            squares = torch.cdist(task["lights"], task["lights"]).square() / _spacing(task["lights"]) ** 2
            embedded = embedded.transpose(0, 1)
            for layer in self.attention:
                embedded = layer(embedded, squares)
            embedded = embedded.transpose(0, 1)
            tokens = embedded
        summary = self.summary(torch.cat([embedded.mean(0), embedded.amax(0)], -1))
        summary = nn.functional.relu(summary)
        n_targets, n_pixels = queries.shape[:2]
        query = self.query(torch.cat([queries, summary[None].expand(n_targets, -1, -1)], -1))
        scale = task["scale"][:, None]
        deviations = task["given"][index] - task["predicted"][:, None]
        # The part of the first layer that depends on the photograph alone is computed once for all targets.
        width = options["width"]
        weight = self.token.weight
        static = nn.functional.linear(tokens, weight[:, :-3], self.token.bias)
        hidden = static[index] + query[:, None] + self.pair(pairs)[:, :, None]
        hidden = hidden + nn.functional.linear((deviations / scale).clamp(-_LARGEST, _LARGEST), weight[:, -3:])
        hidden = self.mix(hidden)
        attention = self.score(hidden).softmax(1)
        pooled = (attention[..., None] * hidden.unflatten(-1, (4, -1))).sum(1).flatten(-2)
        pooled = [pooled, query]
        if options["n_context"]:
            asked = self.asked(nn.functional.relu(query)).unflatten(-1, (2, 4, -1))
            keys, values = self.own(embedded).unflatten(-1, (2, 4, -1)).unbind(2)
            own = nn.functional.scaled_dot_product_attention(
                asked[:, :, 0].permute(1, 2, 0, 3), keys.permute(1, 2, 0, 3), values.permute(1, 2, 0, 3)
            )
            pooled.append(own.permute(2, 0, 1, 3).flatten(-2))
            if context is None:
                context = self.find_context(embedded, summary)
            keys, values = context
            seen = nn.functional.scaled_dot_product_attention(
                asked[:, :, 1].flatten(0, 1).transpose(0, 1), keys.transpose(0, 1), values.transpose(0, 1)
            )
            pooled.append(seen.transpose(0, 1).reshape(n_targets, n_pixels, width))
        out = self.head(torch.cat(pooled, -1))
        result = task["predicted"] + out[..., :3] * scale + (self.share(hidden) * deviations).sum(1)
        if options["physics"]:
            result = result + out[..., 3:4] * (task["physical"] - task["predicted"])
            result = result + out[..., 4:5] * (task["target_shading"] - task["predicted"])
        return result


def load_weights(path):
    """Load a model from what `weights.save_weights` wrote (``.npz``) or from a checkpoint of ``train.py``."""
    if path.suffix == ".npz":
        options, arrays = read_weights(path)
        weights = {name: torch.tensor(value) for name, value in arrays.items()}
    else:
        state = torch.load(path, weights_only=True)
        options, weights = state["options"], state["model"]
    model = NeighbourModel(**options)
    model.load_state_dict(weights)
    return model.eval()
