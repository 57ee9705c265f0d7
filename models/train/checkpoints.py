"""Saving and restoring the whole state of a training."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from networks import make_network
from recipes import Recipe

State = dict[str, Any]


def save_checkpoint(path: Path, state: State) -> None:
    """Write `state` so that `path` is always whole: the old one until the new one is complete."""
    unfinished = path.with_suffix(".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> State:
    """The state saved at `path`, its tensors on `device`."""
    return torch.load(path, map_location=device, weights_only=True)


def restore_network(state: State) -> torch.nn.Module:
    """The network with the averaged weights, ready for inference, on the CPU."""
    recipe = Recipe(**state["recipe"])
    network = make_network(recipe.network, len(state["classes"]))
    network.load_state_dict(state["average"])
    return network.eval()


def compact(state: State) -> State:
    """A third of the size: weights and their average as float16, no momentum.

    A training goes on from it with a moment's loss: momentum is regained within some ten steps.
    Vectors (biases, batch normalisation) stay as they are: they are small, and variances may
    leave float16's range.
    """
    kept = {key: value for key, value in state.items() if key != "optimiser"}
    for weights in ("network", "average"):
        kept[weights] = {name: shrink(tensor) for name, tensor in state[weights].items()}
    return kept


def shrink(tensor: Tensor) -> Tensor:
    """Matrices and filters as float16, everything else unchanged."""
    return tensor.half() if tensor.ndim > 1 else tensor
