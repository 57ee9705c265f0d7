"""Blending each picture of a batch, and its label, with another one of the same batch."""

import math

import torch
from torch import Tensor

# Beta(0.2, 0.2) makes most blends light; Beta(1, 1) makes every size of patch equally likely.
# These are the values of the papers: mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899).
BLEND_CONCENTRATION = 0.2
PATCH_CONCENTRATION = 1.0


def mix(
    images: Tensor, targets: Tensor, blend_chance: float, patch_chance: float
) -> tuple[Tensor, Tensor]:
    """Blend the batch (mixup), exchange patches (CutMix) or, for the rest of the chance, neither.

    images: (N, 3, H, W) float; targets: (N, class_count) shares that add up to 1.
    """
    draw = torch.rand(()).item()
    if draw < blend_chance:
        return blend(images, targets)
    if draw < blend_chance + patch_chance:
        return exchange_patch(images, targets)
    return images, targets


def blend(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mixup: weighted sums of two pictures and of their targets."""
    weight = draw_share(BLEND_CONCENTRATION)
    other = torch.randperm(len(images), device=images.device)
    return torch.lerp(images[other], images, weight), torch.lerp(targets[other], targets, weight)


def exchange_patch(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """CutMix: a rectangle of another picture; the targets by the shares of the area."""
    height, width = images.shape[2:]
    edge = math.sqrt(1 - draw_share(PATCH_CONCENTRATION))
    rows = draw_interval(height, edge)
    columns = draw_interval(width, edge)
    other = torch.randperm(len(images), device=images.device)
    mixed = images.clone(memory_format=torch.preserve_format)
    mixed[:, :, rows, columns] = images[other][:, :, rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    weight = 1 - area / (height * width)
    return mixed, torch.lerp(targets[other], targets, weight)


def draw_share(concentration: float) -> float:
    """A random number of 0-1 from a symmetric beta distribution."""
    return torch.distributions.Beta(concentration, concentration).sample().item()


def draw_interval(length: int, share: float) -> slice:
    """About `share` of `length`, around a random centre and cut off at the ends."""
    half = length * share / 2
    centre = torch.rand(()).item() * length
    return slice(max(0, round(centre - half)), min(length, round(centre + half)))
