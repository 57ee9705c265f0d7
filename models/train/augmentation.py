"""Random changes to a whole batch at once, on the device that holds it; no per-picture Python."""

import torch
from torch import Tensor


def padded_crop_and_flip(images: Tensor, padding: int) -> Tensor:
    """The paper's CIFAR augmentation: pad with zeros, crop at random, mirror half of the pictures.

    (N, 3, H, W) uint8 -> the same shape and type. One gather does all three steps.
    """
    count, _, height, width = images.shape
    device = images.device
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    tops = torch.randint(0, 2 * padding + 1, (count, 1), device=device)
    lefts = torch.randint(0, 2 * padding + 1, (count, 1), device=device)
    rows = tops + torch.arange(height, device=device)
    columns = torch.arange(width, device=device).expand(count, width)
    mirrored = torch.rand(count, 1, device=device) < 0.5
    columns = lefts + torch.where(mirrored, width - 1 - columns, columns)
    pictures = torch.arange(count, device=device)
    # Channels last in the indexed layout: each gathered element is then a whole RGB pixel.
    pixels = padded.permute(0, 2, 3, 1)
    chosen = pixels[pictures[:, None, None], rows[:, :, None], columns[:, None, :]]
    return chosen.permute(0, 3, 1, 2)


def normalise(images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """(N, 3, H, W) values of 0-255 -> float32 with the training set's mean 0 and deviation 1.

    mean, deviation: (3,) on the 0-1 scale.
    """
    scaled = images.float() / 255
    return (scaled - mean[:, None, None]) / deviation[:, None, None]
