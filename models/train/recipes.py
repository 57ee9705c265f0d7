"""Everything that decides how a network is trained, and the named sets of such decisions."""

from dataclasses import dataclass, field
from typing import Any

from networks import CIFAR_NAMES, IMAGENET_NAMES
from schedule import SCHEDULES


def knob(default: Any, why: str, choices: tuple[str, ...] = ()) -> Any:
    """A setting with the text that `train.py --help` shows for it."""
    return field(default=default, metadata={"why": why, "choices": choices})


@dataclass(frozen=True)
class Recipe:
    """The settings of a training; two trainings with the same recipe differ only by hardware."""

    network: str = knob(
        "cifar-resnet20",
        "the network to train; the smallest of the paper's is the one a CPU can train in an hour",
        CIFAR_NAMES + IMAGENET_NAMES,
    )
    epochs: int = knob(
        60,
        "passes over the training pictures; a cosine schedule needs fewer than the paper's 164",
    )
    batch_size: int = knob(
        128, "pictures per step; the paper's, and already enough to keep a CPU's cores busy"
    )
    schedule: str = knob(
        "cosine",
        "course of the learning rate: 'steps' is the paper's (divided by 10 after 1/2 and 3/4 of "
        "the training), 'cosine' needs fewer epochs for the same accuracy",
        SCHEDULES,
    )
    peak_rate: float = knob(
        0.2,
        "the highest learning rate; twice the paper's 0.1, because it is held for a moment only",
    )
    warmup: float = knob(
        0.1,
        "share of the training in which the rate rises from 0; large first steps from random "
        "weights would cost more than they gain",
    )
    momentum: float = knob(0.9, "share of the last step that is kept; the paper's")
    nesterov: bool = knob(
        True, "look ahead before each step; slightly better in short trainings, and free"
    )
    weight_decay: float = knob(
        5e-4,
        "pull of the convolutions' weights towards 0 (biases and batch normalisation are left "
        "alone); more than the paper's 1e-4, because it acts for fewer steps",
    )
    label_smoothing: float = knob(
        0.0,
        "share of each target that is spread over all classes; none, because a small network is "
        "not sure of itself anyway and its probabilities stay honest",
    )
    average_decay: float = knob(
        0.999,
        "memory of the moving average of the weights, which is what is validated and exported; "
        "0.999 looks back about 1000 steps; 0 takes the last weights",
    )
    padding: int = knob(
        4,
        "random crop: zeros added on each side before a crop of the original size; the paper's",
    )
    smallest_area: float = knob(
        0.0,
        "random resized crop: the least share of the picture that it keeps; 0 uses --padding "
        "instead, which suits pictures as small as CIFAR's",
    )
    rotation: float = knob(
        0.0, "random rotation by at most so many degrees (only with --smallest-area)"
    )
    colours: float = knob(0.0, "random brightness, contrast and saturation: factors of 1 +- this")
    mixup: float = knob(
        0.0,
        "chance that a batch is blended with itself (mixup); off, because small networks "
        "underfit already",
    )
    cutmix: float = knob(0.0, "chance that a batch exchanges patches (CutMix); off as mixup is")
    unmixed: float = knob(
        0.0,
        "share of the training, at its end, in which no pictures are mixed: the last steps then "
        "fit what will be served",
    )
    upscale: int = knob(
        1,
        "factor by which the network enlarges its input (bilinear) before its first layer; give "
        "the same to `model build --upscale`",
    )
    first_side: int = knob(
        0,
        "height in pixels to which the pictures are enlarged at the start of the training, in "
        "proportion, growing to --last-side in steps of 16: small pictures train faster and teach "
        "the coarse things as well; 0 always enlarges by --upscale",
    )
    last_side: int = knob(
        0,
        "height in pixels at the end of the training; random crops show everything larger than it "
        "is served, and an eighth less makes up for half of that",
    )
    picture_size: int = knob(
        0,
        "make every picture a centre square of so many pixels while loading; 0 takes them as "
        "they are, in which case all must have one size",
    )
    seed: int = knob(1, "start of all random numbers; repeat with others to see the spread")


RECIPES = {
    "cifar": Recipe(),
    "cifar-paper": Recipe(
        epochs=164,  # 64,000 steps of 128 of the 50,000 pictures
        schedule="steps",
        peak_rate=0.1,
        warmup=0.0,
        nesterov=False,
        weight_decay=1e-4,
        average_decay=0.0,
    ),
    # The README's section "everyday-200" says why these values.
    "everyday-200-cpu": Recipe(
        network="resnet18",
        epochs=8,
        batch_size=256,
        peak_rate=0.4,
        warmup=0.12,
        weight_decay=5e-4,
        label_smoothing=0.1,
        average_decay=0.997,
        smallest_area=0.35,
        colours=0.1,
    ),
    "everyday-200": Recipe(
        network="resnet50",
        epochs=74,
        batch_size=512,
        peak_rate=0.5,
        warmup=0.06,
        weight_decay=5e-4,
        label_smoothing=0.1,
        smallest_area=0.35,
        rotation=5.0,
        colours=0.2,
        mixup=0.1,
        cutmix=0.5,
        unmixed=0.1,
        upscale=2,
        first_side=80,
        last_side=112,
    ),
}
