"""Muon for the hidden matrices and AdamW for all other weights, as one optimiser."""

import math
from itertools import chain, groupby

import torch

__all__ = ["MuonAdamW"]


class MuonAdamW(torch.optim.Optimizer):
    """Train the inner weight matrices by Muon and all other weights by AdamW.

    Muon [1]_ orthogonalises each step of a matrix, so that all of its directions learn at the same rate. It is meant
    for matrices between hidden layers. AdamW trains the first and the last matrix, biases and scales.

    Parameters
    ----------
    params : iterable of Parameter or dict
        All parameters of a network in its order, so that the first and the last matrix are its input and output. AdamW
        trains groups that have their own learning rate, as torch's optimisers take them.

    lr : float, default=2e-3
        Learning rate of AdamW.

    muon_factor : float, default=10
        Learning rate of Muon, as a multiple of `lr`. Its steps have the norm of an orthogonal matrix, whatever the norm
        of the gradient.

    half_precision : bool, default=True
        Whether steps are orthogonalised in bfloat16. On devices without units for it, float32 is faster.

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
        groups = [group if isinstance(group, dict) else {"params": [group]} for group in params]
        own = [group for group in groups if "lr" in group]
        params = list(chain.from_iterable(group["params"] for group in groups if "lr" not in group))
        inner = [p for p in params if p.ndim == 2][1:-1]
        inner_ids = {id(p) for p in inner}
        rest = [p for p in params if id(p) not in inner_ids]
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW([{"params": rest}, *own] if own else rest, lr=lr, weight_decay=0.0, fused=True)
        ]
        if inner:
            self._optimizers.append(_BatchedMuon(inner, muon_factor * lr, half_precision))
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
            Function that computes the gradients and returns the loss.

        Returns
        -------
        Tensor or None
            Loss that the closure returned.
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
            State for `load_state_dict`.
        """
        return {"optimizers": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state_dict):
        """Restore a state that `state_dict` collected.

        Parameters
        ----------
        state_dict : dict
            State of an optimiser of the same parameters.
        """
        for optimizer, state in zip(self._optimizers, state_dict["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.param_groups = self._inner_groups()


class _BatchedMuon(torch.optim.Muon):
    """The same steps as its parent's, without weight decay, in either precision, and matrices of a shape together.

    A step is dozens of products of small matrices, each of which takes as long to call as to compute.
    """

    def __init__(self, params, lr, half_precision):
        super().__init__(params, lr=lr, weight_decay=0.0)
        for group in self.param_groups:
            group["half_precision"] = half_precision

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step."""
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            for shape, some in groupby(sorted(trained, key=_shape), _shape):
                self._step_together(list(some), shape, group)

    def _step_together(self, parameters, shape, group):
        gradients = [parameter.grad for parameter in parameters]
        momenta = []
        for parameter in parameters:
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(parameter.grad)
            momenta.append(state["momentum_buffer"])
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
        matrices = torch.stack(ahead)
        if group["half_precision"]:
            matrices = matrices.bfloat16()
        steps = _orthogonalize(matrices, group).to(gradients[0].dtype)
        n_out, n_in = shape
        rate = group["lr"] * math.sqrt(max(1, n_out / n_in))
        torch._foreach_add_(parameters, steps.unbind(), alpha=-rate)


def _shape(parameter):
    return tuple(parameter.shape)


def _orthogonalize(matrices, group):
    """Bring the singular values of each matrix near 1 by Newton-Schulz iterations."""
    high = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if high else matrices
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=group["eps"])
    linear, cubic, quintic = group["ns_coefficients"]
    for _ in range(group["ns_steps"]):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic), wide, beta=linear)
    return wide.mT if high else wide
