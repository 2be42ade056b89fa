"""What a fit of several networks keeps in its checkpoint, and how it goes on from there: :class:`FitCheckpoint`."""

import threading
from copy import deepcopy

import numpy as np

from .checkpoints import CheckpointFile, fit_fingerprint
from .training_state import StateKeeper, finished_state, restore_finished

__all__ = ["FitCheckpoint"]

# Parameters that no result depends on.
_IRRELEVANT = {"checkpoint", "verbose"}


class FitCheckpoint:
    """The checkpoint of a fit: read, if there is one, else begun.

    It holds the state of the random generator at the start, from which what is not kept (the interpolation, the lights
    that are held out) comes out again; the networks that are trained; and the states of those in training, which may
    be handed over by several threads.

    Parameters
    ----------
    parameters : RelightingMLPRegressor
        Whose parameter `checkpoint` names the file.

    data : TrainingData
        What is fitted.

    device : torch.device
        Where.

    precision : str
        The precision in use.

    clock : Clock
        Of the fit. Time that was spent before is added to it.

    rng : RandomState
        At the start of the fit.

    Raises
    ------
    ValueError
        If the file is damaged, or of another fit.
    OSError
        If it cannot be written.
    """

    def __init__(self, parameters, data, device, precision, clock, rng):
        self._lock = threading.Lock()
        self._clock = clock
        # A generator that goes round is at another place when a fit is tried again.
        moving = set() if isinstance(parameters.random_state, int | np.integer) else {"random_state"}
        names = parameters.get_params().keys() - _IRRELEVANT - moving
        self._file = CheckpointFile(
            parameters.checkpoint,
            fit_fingerprint(
                {name: value for name, value in parameters.get_params().items() if name in names},
                {
                    "the lights of X": data.features.lights,
                    "the lights of X as they were given": data.features.light_vectors,
                    "the pixels of X": data.features.pixels,
                    "y": data.y,
                    "pixel_weight": data.pixel_weight,
                },
                saturation=data.saturation,
                image_shape=data.features.image_shape,
                device=str(device),
                precision=precision,
            ),
        )
        self._state = self._file.read()
        if self._state is not None:
            clock.set(clock.max_time, clock.elapsed + self._state["elapsed"])
            return
        start = _lists(rng.get_state(legacy=False))
        self._state = {"start": start, "finished": {}, "running": {}}
        # Now, so that a file that cannot be written is noticed before any work is done.
        self._write()

    def generator(self, seed, rng):
        """Give the random generator the state that it had at the start of the fit.

        Parameters
        ----------
        seed : int, RandomState instance or None
            Parameter `random_state`.

        rng : RandomState
            Made of it.

        Returns
        -------
        RandomState
            `rng`, or another one in the place of NumPy's own, which is not ours to set.
        """
        if seed is None:
            rng = np.random.RandomState()
        rng.set_state(self._state["start"])
        return rng

    def keeper(self, i):
        """Make what keeps the state of a network in training, and has it go on where it was.

        Parameters
        ----------
        i : int
            Which network.

        Returns
        -------
        StateKeeper
            For the net, which is about to be trained.
        """
        with self._lock:
            running = deepcopy(self._state["running"].get(i))
            if running is not None:
                # Time that this process has spent so far counts as well.
                running["clock"]["elapsed"] += self._clock.elapsed - self._state["elapsed"]
        return StateKeeper(lambda state: self._keep(i, state), running)

    def _keep(self, i, running):
        # A copy: another network's state may be the next to be written, when this one's weights have changed.
        running = deepcopy(running)
        with self._lock:
            self._state["running"][i] = running
            self._write()

    def restore(self, i, net):
        """Make a network that has been trained already.

        Parameters
        ----------
        i : int
            Which network.

        net : RelightingNet
            Initialised.

        Returns
        -------
        bool
            Whether it had been trained.
        """
        if i not in self._state["finished"]:
            return False
        restore_finished(net, self._state["finished"][i])
        return True

    def finish(self, i, net):
        """Keep a network that has been trained.

        Parameters
        ----------
        i : int
            Which network.

        net : RelightingNet
            Trained.
        """
        with self._lock:
            self._state["finished"][i] = finished_state(net)
            self._state["running"].pop(i, None)
            self._write()

    def _write(self):
        self._state["elapsed"] = self._clock.elapsed
        self._file.write(self._state)

    def remove(self):
        """Delete the file."""
        self._file.remove()


def _lists(value):
    """Write the arrays of nested dicts out as lists."""
    if isinstance(value, dict):
        return {name: _lists(item) for name, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value
