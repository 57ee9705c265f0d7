"""Everything that decides how a network is trained, and the named sets of such decisions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """The settings of a training; `train.py --help` says why each default is what it is."""

    network: str = "cifar-resnet20"
    epochs: int = 60
    batch_size: int = 128
    peak_rate: float = 0.2
    warmup: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    average_decay: float = 0.999
    padding: int = 4
    upscale: int = 1
    seed: int = 1
