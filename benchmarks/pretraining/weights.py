"""Weights as a file: arrays of half precision by name, and a model's options as JSON. Reading them takes no torch."""

import json

import numpy as np

__all__ = ["read_weights", "save_weights"]


def save_weights(model, path):
    """Write a model's weights, as arrays of half precision, and its options."""
    arrays = {name: value.numpy().astype(np.float16) for name, value in model.state_dict().items()}
    np.savez_compressed(path, options=json.dumps(model.options), **arrays)


def read_weights(path):
    """Read the options and the weights, as float32 arrays by name, that `save_weights` wrote."""
    with np.load(path, allow_pickle=False) as file:
        options = json.loads(str(file["options"]))
        return options, {name: file[name].astype(np.float32) for name in file.files if name != "options"}
