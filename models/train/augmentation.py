"""Random changes to a whole batch at once, on the device that holds it; no per-picture Python."""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

# How much wider or narrower than the picture a random resized crop may be: the usual 3/4 to 4/3.
LARGEST_ASPECT = 4 / 3


def uniform(count: int, low: float, high: float, device: torch.device) -> Tensor:
    """(count,) random numbers between `low` and `high`."""
    return low + (high - low) * torch.rand(count, device=device)


def padded_crop_and_flip(images: Tensor, padding: int) -> Tensor:
    """The paper's CIFAR augmentation: pad with zeros, crop at random, mirror half of the pictures.

    (N, 3, H, W) uint8 -> the same shape and type. One gather does all three steps.
    """
    count, _, height, width = images.shape
    device = images.device
    padded = functional.pad(images, (padding,) * 4)
    tops = torch.randint(0, 2 * padding + 1, (count, 1), device=device)
    lefts = torch.randint(0, 2 * padding + 1, (count, 1), device=device)
    rows = tops + torch.arange(height, device=device)
    columns = torch.arange(width, device=device).expand(count, width)
    mirrored = torch.rand(count, 1, device=device) < 0.5
    columns = lefts + torch.where(mirrored, width - 1 - columns, columns)
    pictures = torch.arange(count, device=device)
    # Channels last while indexing: each gathered element is then a whole RGB pixel.
    pixels = padded.permute(0, 2, 3, 1)
    chosen = pixels[pictures[:, None, None], rows[:, :, None], columns[:, None, :]]
    return chosen.permute(0, 3, 1, 2)


def random_affine_crop(images: Tensor, smallest_area: float, rotation: float) -> Tensor:
    """A random resized crop, a random rotation and a random mirroring in one resampling.

    (N, 3, H, W) uint8 -> the same shape as float32 values of 0-255.
    smallest_area: the crop's least share of the picture, 0-1; rotation: at most so many degrees.
    """
    count, device = len(images), images.device
    areas = uniform(count, smallest_area, 1, device)
    limit = math.log(LARGEST_ASPECT)
    aspects = uniform(count, -limit, limit, device).exp()
    widths = (areas * aspects).sqrt().clamp(max=1)
    heights = (areas / aspects).sqrt().clamp(max=1)
    angles = uniform(count, -math.radians(rotation), math.radians(rotation), device)
    mirrors = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
    # Coordinates run from -1 to 1, so that the centre may move by what the crop leaves over.
    across = (1 - widths) * uniform(count, -1, 1, device)
    down = (1 - heights) * uniform(count, -1, 1, device)
    rows = [
        [mirrors * widths * angles.cos(), -heights * angles.sin(), across],
        [mirrors * widths * angles.sin(), heights * angles.cos(), down],
    ]
    matrices = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    # Reflection leaves no black corners, which no photo has and a network could learn.
    return functional.grid_sample(
        images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def random_colours(images: Tensor, strength: float) -> Tensor:
    """Change each picture's brightness, contrast and saturation by random factors.

    (N, 3, H, W) values of 0-255 -> the same as float32; strength: factors of 1 +- strength.
    """
    count, device = len(images), images.device
    factors = [
        uniform(count, 1 - strength, 1 + strength, device)[:, None, None, None] for _ in range(3)
    ]
    brightness, contrast, saturation = factors
    changed = images.float() * brightness
    average = changed.mean(dim=(1, 2, 3), keepdim=True)
    changed = average + (changed - average) * contrast
    grey = changed.mean(dim=1, keepdim=True)
    return (grey + (changed - grey) * saturation).clamp(0, 255)


def normalise(images: Tensor, mean: list[float], deviation: list[float]) -> Tensor:
    """(N, 3, H, W) values of 0-255 -> float32 with the training set's mean 0 and deviation 1.

    mean, deviation: one number per channel, on the 0-1 scale.
    """
    means = per_channel(tuple(mean), images.device)
    deviations = per_channel(tuple(deviation), images.device)
    result = (images.float() / 255 - means) / deviations
    # The layout in which both CPUs and tensor cores convolve fastest.
    return result.contiguous(memory_format=torch.channels_last)


@lru_cache
def per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(C, 1, 1) of one value a channel; kept, because a copy to a GPU waits for all its work."""
    return torch.tensor(values, device=device)[:, None, None]


def channel_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel on the 0-1 scale, rounded to 4 digits."""
    means, deviations = [], []
    values = torch.arange(256, dtype=torch.float64) / 255
    for channel in range(images.shape[1]):
        # Counting the 256 values is exact and needs no float copy of the whole data set.
        counts = torch.bincount(images[:, channel].flatten(), minlength=256).double().cpu()
        mean = (counts * values).sum() / counts.sum()
        variance = (counts * (values - mean) ** 2).sum() / counts.sum()
        means.append(round(mean.item(), 4))
        deviations.append(round(variance.sqrt().item(), 4))
    return means, deviations
