"""Measuring a network on pictures that it was not trained on."""

import torch
from torch import Tensor, nn

from augmentation import normalise

# Large enough to fill the device, small enough for the memory of a modest computer.
BATCH_SIZE = 500


@torch.inference_mode()
def predict(
    network: nn.Module, images: Tensor, mean: list[float], deviation: list[float]
) -> Tensor:
    """(N, 3, H, W) uint8 -> (N, class_count) float32 logits, computed in float32."""
    network.eval()
    batches = images.split(BATCH_SIZE)
    return torch.cat([network(normalise(batch, mean, deviation)) for batch in batches])


def top_accuracy(logits: Tensor, labels: Tensor, count: int) -> float:
    """The percentage of pictures whose label is among the `count` highest logits."""
    best = logits.topk(min(count, logits.shape[1]), dim=1).indices
    return 100 * (best == labels[:, None]).any(dim=1).double().mean().item()
