"""Augmentation keeps shapes, and gives the picture itself where it is told to change nothing."""

import pytest
import torch

from augmentation import (
    channel_statistics,
    normalise,
    padded_crop_and_flip,
    random_affine_crop,
    random_colours,
)
from mixing import blend, exchange_patch, mix


@pytest.fixture(autouse=True)
def seed() -> None:
    """The same random numbers in every run of the tests."""
    torch.manual_seed(3)


@pytest.fixture
def images() -> torch.Tensor:
    """(64, 3, 8, 8) uint8 noise; many pictures, so that each kind of change occurs."""
    return torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)


def test_without_padding_pictures_are_only_mirrored(images: torch.Tensor) -> None:
    results = padded_crop_and_flip(images, padding=0)
    kept = (results == images).all(dim=(1, 2, 3))
    mirrored = (results == images.flip(3)).all(dim=(1, 2, 3))
    assert (kept | mirrored).all()
    assert 0 < kept.sum() < len(images)


def test_padded_crops_are_windows_of_the_padded_picture(images: torch.Tensor) -> None:
    results = padded_crop_and_flip(images[:4], padding=1)
    padded = torch.nn.functional.pad(images[:4], (1, 1, 1, 1))
    for result, source in zip(results, padded, strict=True):
        windows = source.unfold(1, 8, 1).unfold(2, 8, 1).permute(1, 2, 0, 3, 4).reshape(-1, 3, 8, 8)
        candidates = torch.cat([windows, windows.flip(3)])
        assert (candidates == result).all(dim=(1, 2, 3)).any()


def test_crops_without_rotation_stretch_and_mirror() -> None:
    """Of a picture that brightens evenly to the right, every crop brightens to one side."""
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).expand(64, 3, 32, 32)
    results = random_affine_crop(ramp, smallest_area=0.35, rotation=0.0)
    assert results.shape == ramp.shape
    steps = results.diff(dim=3)[:, :, :, 1:-1]
    rising = (steps > 0).all(dim=3).all(dim=(1, 2))
    falling = (steps < 0).all(dim=3).all(dim=(1, 2))
    assert (rising | falling).all() and rising.any() and falling.any()
    # The narrowest crop is sqrt(0.35 * 3 / 4) of the width, and 8 is a whole width's step.
    assert steps.abs().min() > 8 * 0.51 and steps.abs().max() < 8.01


def test_crops_and_rotations_keep_the_range_of_values(images: torch.Tensor) -> None:
    results = random_affine_crop(images, smallest_area=0.35, rotation=10.0)
    assert results.min() >= 0 and results.max() <= 255


def test_colours_of_strength_zero_change_nothing(images: torch.Tensor) -> None:
    assert torch.allclose(random_colours(images, 0.0), images.float(), atol=1e-3)


def test_normalised_pictures_have_mean_zero_and_deviation_one(images: torch.Tensor) -> None:
    result = normalise(images, *channel_statistics(images))
    assert result.mean().item() == pytest.approx(0, abs=1e-3)
    assert result.std().item() == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("change", [blend, exchange_patch])
def test_targets_follow_the_mixed_pictures(change: object) -> None:
    """Picture i is filled with i, class i: its mean must then be that of its target."""
    pictures = torch.arange(10.0)[:, None, None, None].expand(10, 3, 16, 16).clone()
    mixed, targets = change(pictures, torch.eye(10))
    assert torch.allclose(targets.sum(1), torch.ones(10))
    assert torch.allclose(mixed.mean(dim=(1, 2, 3)), targets @ torch.arange(10.0), atol=1e-4)


def test_no_chance_of_mixing_returns_the_batch() -> None:
    pictures, targets = torch.rand(4, 3, 8, 8), torch.eye(4)
    assert mix(pictures, targets, 0.0, 0.0) == (pictures, targets)
