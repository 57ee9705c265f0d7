"""From pictures in memory to the augmented batches of an epoch."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from augmentation import normalise, padded_crop_and_flip, random_affine_crop, random_colours
from datasets import Pictures
from mixing import mix
from recipes import Recipe


class Batches:
    """Each iteration is one epoch in a new random order."""

    def __init__(
        self, pictures: Pictures, recipe: Recipe, mean: list[float], deviation: list[float]
    ) -> None:
        self.pictures = pictures
        self.recipe = recipe
        self.mean = mean
        self.deviation = deviation
        self.mixed = True
        # A data set smaller than a batch is one batch.
        self.size = min(recipe.batch_size, len(pictures.labels))

    def __len__(self) -> int:
        """Full batches only: the batch-norm statistics of a smaller last one would be noisier."""
        return len(self.pictures.labels) // self.size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(N, 3, H, W) normalised pictures with their (N, class_count) target shares."""
        labels = self.pictures.labels
        order = torch.randperm(len(labels), device=labels.device)
        for chosen in order.split(self.size)[: len(self)]:
            images = self.augment(self.pictures.images[chosen])
            targets = functional.one_hot(labels[chosen], len(self.pictures.classes)).float()
            if self.mixed:
                images, targets = mix(images, targets, self.recipe.mixup, self.recipe.cutmix)
            yield images, targets

    def augment(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> normalised float32 of the same shape, randomly changed."""
        recipe = self.recipe
        if recipe.smallest_area:
            images = random_affine_crop(images, recipe.smallest_area, recipe.rotation)
        else:
            images = padded_crop_and_flip(images, recipe.padding)
        if recipe.colours:
            images = random_colours(images, recipe.colours)
        return normalise(images, self.mean, self.deviation)
