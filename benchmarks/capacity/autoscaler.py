"""The HorizontalPodAutoscaler's arithmetic, with the behaviour that the manifests ask for."""

import math
from dataclasses import dataclass, field

SYNC = 15.0
TOLERANCE = 0.1
# k8s/components/autoscaling-hpa: at most three times as many in 15 s, a fifth less a minute after five minutes of calm.
UP_FACTOR, UP_PERIOD = 3.0, 15.0
DOWN_FACTOR, DOWN_PERIOD, CALM = 0.8, 60.0, 300.0


@dataclass
class Autoscaler:
    """Told the average of a signal over the replicas, it says how many there should be."""

    target: float
    least: int
    most: int
    recommended: list[tuple[float, int]] = field(default_factory=list)
    history: list[tuple[float, int]] = field(default_factory=list)

    def replicas(self, now: float, current: int, average: float) -> int:
        ratio = average / self.target
        wanted = current if abs(ratio - 1) <= TOLERANCE else math.ceil(current * ratio)
        self.recommended = [(at, count) for at, count in self.recommended if now - at <= CALM] + [(now, wanted)]
        if wanted < current:
            # The highest of the last minutes: a lull is no reason to go down.
            wanted = min(current, max(count for _, count in self.recommended))
        wanted = min(self.ceiling(now, current), max(self.floor(now, current), wanted))
        wanted = min(self.most, max(self.least, wanted))
        self.history = [(at, count) for at, count in self.history if now - at <= DOWN_PERIOD] + [(now, current)]
        return wanted

    def ceiling(self, now: float, current: int) -> int:
        before = [count for at, count in self.history if now - at < UP_PERIOD]
        return math.ceil(min([current, *before]) * UP_FACTOR)

    def floor(self, now: float, current: int) -> int:
        before = [count for at, count in self.history if now - at < DOWN_PERIOD]
        return math.floor(max([current, *before]) * DOWN_FACTOR)
