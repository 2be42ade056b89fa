"""The states of torch's random number generators, read and set."""

import torch

__all__ = ["random_state", "set_random_state"]


def random_state(device):
    """Read the states of torch's own generators that a fit uses.

    Parameters
    ----------
    device : torch.device
        Where the fit runs.

    Returns
    -------
    dict of Tensor of uint8, on the CPU
        By device.
    """
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[str(device)] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_random_state(device, state):
    """Set what `random_state` read.

    Parameters
    ----------
    device : torch.device
        Where the fit runs.

    state : dict of Tensor
        Of a fit on such a device.
    """
    torch.set_rng_state(state["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state[str(device)], device)
