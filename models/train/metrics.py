"""Measuring a network on pictures that it was not trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from augmentation import normalise
from networks import resized

# Large enough to fill the device, small enough for the memory of a modest computer.
BATCH_SIZE = 500


@dataclass(frozen=True)
class Preparation:
    """What a served model does to its pictures before the first layer."""

    mean: list[float]
    deviation: list[float]
    upscale: int

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> float32, normalised, `upscale` times as high and as wide."""
        return resized(
            normalise(images, self.mean, self.deviation), self.upscale * images.shape[2]
        )


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, prepare: Preparation) -> Tensor:
    """(N, 3, H, W) uint8 -> (N, class_count) float32 logits, computed in float32."""
    network.eval()
    return torch.cat([network(prepare(batch)) for batch in images.split(BATCH_SIZE)])


def top_accuracy(logits: Tensor, labels: Tensor, count: int) -> float:
    """The percentage of pictures whose label is among the `count` highest logits."""
    best = logits.topk(min(count, logits.shape[1]), dim=1).indices
    return 100 * (best == labels[:, None]).any(dim=1).double().mean().item()
