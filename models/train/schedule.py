"""The learning rate over the course of a training."""

import math

SCHEDULES = ("cosine", "steps")
# The paper divides the rate by 10 after 32k and 48k of its 64k iterations.
STEPS = (0.5, 0.75)


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
