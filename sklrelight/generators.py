"""The states of torch's random number generators, read and set."""

import torch

__all__ = ["generator_state", "random_state", "set_generator_state", "set_random_state"]


def generator_state(device):
    """Read the state of a device's own random number generator.

    Parameters
    ----------
    device : torch.device
        The device.

    Returns
    -------
    Tensor of uint8, on the CPU
        The state.
    """
    if device.type == "cpu":
        return torch.get_rng_state()
    return torch.get_device_module(device).get_rng_state(device)


def set_generator_state(device, state):
    """Set what `generator_state` read.

    Parameters
    ----------
    device : torch.device
        The device.

    state : Tensor of uint8
        The state.
    """
    if device.type == "cpu":
        torch.set_rng_state(state)
    else:
        torch.get_device_module(device).set_rng_state(state, device)


def random_state(device):
    """Read the states of torch's generators that a fit uses.

    Parameters
    ----------
    device : torch.device
        Where the fit runs.

    Returns
    -------
    dict of Tensor
        By device.
    """
    return {name: generator_state(torch.device(name)) for name in {"cpu", str(device)}}


def set_random_state(device, state):
    """Set what `random_state` read.

    Parameters
    ----------
    device : torch.device
        Where the fit runs.

    state : dict of Tensor
        Of a fit on such a device.
    """
    for name in {"cpu", str(device)}:
        set_generator_state(torch.device(name), state[name])
