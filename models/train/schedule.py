"""The learning rate over the course of a training."""

import math


def learning_rate(progress: float, peak: float, warmup: float) -> float:
    """Linear rise to `peak`, then half a cosine down to zero.

    progress: the share of the training that is done, 0-1; warmup: the share that the rise takes.
    """
    if progress < warmup:
        return peak * progress / warmup
    share = (progress - warmup) / (1 - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
