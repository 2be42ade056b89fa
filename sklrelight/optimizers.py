"""Muon for the hidden matrices and AdamW for the rest, as one optimiser."""

import math
from itertools import chain

import torch

__all__ = ["MuonAdamW"]


class MuonAdamW(torch.optim.Optimizer):
    """Train the inner weight matrices by Muon, everything else by AdamW.

    Muon [1]_ orthogonalises each step of a matrix, so that all of its directions learn at one pace. It is meant for
    matrices between hidden layers; the first and the last matrix, biases and scales are left to AdamW.

    Parameters
    ----------
    params : iterable of Parameter
        All parameters of a network, in its order: the first and the last matrix among them are its input and output.

    lr : float, default=2e-3
        Learning rate of AdamW.

    muon_factor : float, default=10
        Learning rate of Muon, as a multiple of `lr`. Its steps have the norm of an orthogonal matrix, whatever the
        gradient's.

    half_precision : bool, default=True
        Whether steps are orthogonalised in bfloat16. Where that is no faster than float32, it is half of a small
        batch's time.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
       https://kellerjordan.github.io/posts/muon

    Examples
    --------
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 1))
    >>> optimizer = MuonAdamW(network.parameters(), lr=1e-3)
    >>> [(len(group["params"]), group["lr"]) for group in optimizer.param_groups]
    [(5, 0.001), (1, 0.01)]
    """

    def __init__(self, params, lr=2e-3, muon_factor=10.0, half_precision=True):
        # skorch passes a list of groups, torch's users parameters.
        params = list(chain.from_iterable(p["params"] if isinstance(p, dict) else [p] for p in params))
        inner = [p for p in params if p.ndim == 2][1:-1]
        inner_ids = {id(p) for p in inner}
        rest = [p for p in params if id(p) not in inner_ids]
        self._optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=lr, weight_decay=0.0, fused=True)]
        if inner:
            muon = torch.optim.Muon if half_precision else _SinglePrecisionMuon
            self._optimizers.append(muon(inner, lr=muon_factor * lr, weight_decay=0.0))
        super().__init__(self._inner_groups(), {"lr": lr})
        # The very same dictionaries, so that a scheduler's changes reach the optimisers that do the work.
        self.param_groups = self._inner_groups()

    def _inner_groups(self):
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def step(self, closure=None):
        """Take one step.

        Parameters
        ----------
        closure : callable or None
            Computes the gradients and returns the loss.

        Returns
        -------
        Tensor or None
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self._optimizers:
            optimizer.step()
        return loss

    def __getstate__(self):
        # The parent lists what it pickles, and the inner optimisers are not among it.
        return {**super().__getstate__(), "_optimizers": self._optimizers}

    def state_dict(self):
        """Collect the state of both optimisers.

        Returns
        -------
        dict
            To be passed to `load_state_dict`.
        """
        return {"optimizers": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state_dict):
        """Restore what `state_dict` collected.

        Parameters
        ----------
        state_dict : dict
            State of an optimiser of the same parameters.
        """
        for optimizer, state in zip(self._optimizers, state_dict["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.param_groups = self._inner_groups()


class _SinglePrecisionMuon(torch.optim.Muon):
    """The same steps as its parent's, which has no choice but bfloat16, without weight decay."""

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
                momentum = state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(momentum, group["momentum"])
                n_out, n_in = parameter.shape
                rate = group["lr"] * math.sqrt(max(1, n_out / n_in))
                parameter.add_(_orthogonalize(ahead, group), alpha=-rate)


def _orthogonalize(matrix, group):
    """Bring the singular values near 1 by Newton-Schulz iterations."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=group["eps"])
    linear, cubic, quintic = group["ns_coefficients"]
    for _ in range(group["ns_steps"]):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic), wide, beta=linear)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
