"""A moving average of the weights, which validates better than the weights of the last step."""

import copy

import torch
from torch import nn


class AveragedNetwork:
    """An exponential moving average of a network's parameters and batch-norm statistics.

    The statistics are averaged too: those of the network belong to its own weights only.
    """

    def __init__(self, source: nn.Module, decay: float) -> None:
        """`source` is followed by reference; a decay of 0 makes the average equal to it."""
        self.network = copy.deepcopy(source).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        # Collected once: the tensors stay the same ones, and a large network has hundreds.
        self.averages = floating_tensors(self.network)
        self.values = floating_tensors(source)

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the source by one step; a young average forgets its start faster."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.averages, self.values, 1 - decay)


def floating_tensors(network: nn.Module) -> list[torch.Tensor]:
    """The network's parameters and statistics, without the counters of batches."""
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
