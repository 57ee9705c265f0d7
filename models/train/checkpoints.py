"""Saving and restoring the whole state of a training."""

import os
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` so that `path` is always whole: the old one until the new one is complete."""
    unfinished = path.with_suffix(".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """The state saved at `path`, its tensors on `device`."""
    return torch.load(path, map_location=device, weights_only=True)
