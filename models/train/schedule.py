"""The learning rate and the size of the pictures over the course of a training."""

import math

SCHEDULES = ("cosine", "steps")
# The paper divides the rate by 10 after 32k and 48k of its 64k iterations.
STEPS = (0.5, 0.75)
# The share of the training after which the pictures have their last size.
GROWTH = 0.6
# Sides in pixels are multiples of this: few sizes, because the fastest convolutions are sought for
# each of them anew.
SIDE_STEP = 16


def learning_rate(progress: float, schedule: str, peak: float, warmup: float) -> float:
    """A linear rise to `peak`, then half a cosine down to zero, or the paper's two steps.

    progress: the share of the training that is done, 0-1; warmup: the share that the rise takes.
    """
    if progress < warmup:
        return peak * progress / warmup
    if schedule == "steps":
        return peak * 0.1 ** sum(progress >= step for step in STEPS)
    share = (progress - warmup) / (1 - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def picture_side(progress: float, first: int, last: int) -> int:
    """How many pixels a side the pictures have that are trained on: from `first` to `last`.

    progress: the share of the training that is done, 0-1.
    """
    grown = first + (last - first) * min(1.0, progress / GROWTH)
    return int(grown / SIDE_STEP + 1e-6) * SIDE_STEP
