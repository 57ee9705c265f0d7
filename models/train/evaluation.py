"""Measuring a network on pictures that it was not trained on."""

import torch
from torch import Tensor, nn

from augmentation import normalise


@torch.inference_mode()
def predict(
    model: nn.Module,
    images: Tensor,
    mean: list[float],
    deviation: list[float],
    batch_size: int = 500,
) -> Tensor:
    """(N, 3, H, W) uint8 -> (N, class_count) float32 logits, computed in float32."""
    model.eval()
    means = torch.tensor(mean, device=images.device)
    deviations = torch.tensor(deviation, device=images.device)
    logits = [
        model(normalise(batch, means, deviations)).float() for batch in images.split(batch_size)
    ]
    return torch.cat(logits)


def top_accuracy(logits: Tensor, labels: Tensor, count: int) -> float:
    """The percentage of pictures whose label is among the `count` highest logits."""
    best = logits.topk(count, dim=1).indices
    return 100 * (best == labels[:, None]).any(dim=1).float().mean().item()
