"""Replicas behind a load balancer, one event after the other, the same for a seed every time."""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from autoscaler import SYNC, Autoscaler
from cost import CostModel

# The program's own: what arrived this long ago counts a third of what arrives now.
MEMORY = 10.0
SCRAPE = 15.0


@dataclass(frozen=True)
class Scenario:
    """What happens, and what it happens to."""

    cost: CostModel
    rate: Callable[[float], float]
    highest_rate: float
    seconds: float
    replicas: int = 2
    # `saturation`, `cpu`, or none: as many replicas as there were.
    signal: str | None = None
    # Over how many seconds the signal is averaged; 0 takes the last sample.
    window: float = 0.0
    target: float = 0.7
    most: int = 100
    # From the decision to the first answer: a node, the image, the model, the warm-up.
    start_seconds: float = 15.0
    drain_seconds: float = 10.0
    timeout: float = 1.0
    # Replaces every replica from this time on, so many at a time.
    rollout_at: float | None = None
    surge: int = 1
    seed: int = 1


@dataclass
class Sample:
    """One second of the fleet."""

    offered: int = 0
    served: int = 0
    refused: int = 0
    late: int = 0
    replicas: int = 0
    saturation: float = 0.0


@dataclass(eq=False)
class Pod:
    """One replica: a queue, and sessions that take what waits."""

    cost: CostModel
    ready_at: float
    queue: deque[float] = field(default_factory=deque)
    running: int = 0
    free: int = 0
    arrivals: float = 0.0
    arrivals_at: float = 0.0
    busy: float = 0.0
    busy_before: float = 0.0
    samples: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free = self.cost.sessions

    def arrive(self, now: float) -> None:
        self.arrivals = self.arrivals * math.exp((self.arrivals_at - now) / MEMORY) + 1
        self.arrivals_at = now

    def saturation(self, now: float) -> float:
        rate = self.arrivals * math.exp((self.arrivals_at - now) / MEMORY) / MEMORY
        return rate / self.cost.capacity()

    def outstanding(self) -> int:
        return len(self.queue) + self.running

    def predicted_finish(self) -> float:
        """Seconds until one more image would be through, in a full batch at worst."""
        return self.outstanding() / self.cost.capacity() + self.cost.seconds(self.cost.max_batch)


class Simulation:
    """Runs a scenario; `samples` has its seconds."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.random = random.Random(scenario.seed)
        self.samples = [Sample() for _ in range(math.ceil(scenario.seconds))]
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.now = 0.0
        self.pods = [Pod(scenario.cost, 0.0) for _ in range(scenario.replicas)]
        self.starting: list[Pod] = []
        # Replica-seconds, those that start or drain included.
        self.replica_seconds = 0.0
        self.leaving = 0
        self.autoscaler = Autoscaler(scenario.target, scenario.replicas, scenario.most)

    def run(self) -> list[Sample]:
        self.at(0.0, self.second)
        self.next_arrival()
        if self.scenario.signal:
            self.at(SCRAPE, self.scrape)
            self.at(SYNC + 1, self.scale)
        if self.scenario.rollout_at is not None:
            self.at(self.scenario.rollout_at, self.roll_out)
        while self.events:
            self.now, _, event = heapq.heappop(self.events)
            if self.now >= self.scenario.seconds:
                break
            event()
        return self.samples

    def at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (time, next(self.order), event))

    def sample(self) -> Sample:
        return self.samples[int(self.now)]

    def second(self) -> None:
        sample = self.sample()
        sample.replicas = len(self.pods)
        sample.saturation = mean(pod.saturation(self.now) for pod in self.pods)
        self.replica_seconds += len(self.pods) + len(self.starting) + self.leaving
        self.at(self.now + 1, self.second)

    def next_arrival(self) -> None:
        """A Poisson process whose rate changes: the highest rate, thinned out."""
        time = self.now
        while time < self.scenario.seconds:
            time += self.random.expovariate(self.scenario.highest_rate)
            if self.random.random() * self.scenario.highest_rate < self.scenario.rate(time):
                self.at(time, self.arrive)
                return

    def arrive(self) -> None:
        self.next_arrival()
        # As kube-proxy does: any of them, whatever they have to do.
        pod = self.pods[int(self.random.random() * len(self.pods))]
        sample = self.sample()
        sample.offered += 1
        pod.arrive(self.now)
        if pod.predicted_finish() > self.scenario.timeout:
            sample.refused += 1
            return
        pod.queue.append(self.now)
        self.work(pod)

    def work(self, pod: Pod) -> None:
        while pod.free and pod.queue:
            batch = [pod.queue.popleft() for _ in range(min(len(pod.queue), pod.cost.max_batch))]
            took = pod.cost.seconds(len(batch))
            pod.free -= 1
            pod.running += len(batch)
            pod.busy += took / pod.cost.sessions
            self.at(self.now + took, lambda: self.finish(pod, batch))

    def finish(self, pod: Pod, batch: list[float]) -> None:
        pod.free += 1
        pod.running -= len(batch)
        sample = self.sample()
        for arrived in batch:
            if self.now - arrived > self.scenario.timeout:
                sample.late += 1
            else:
                sample.served += 1
        self.work(pod)

    def scrape(self) -> None:
        for pod in self.pods:
            # metrics-server's view: the share of the CPU limit that was used since the last look.
            used = min(1.0, (pod.busy - pod.busy_before) / SCRAPE)
            pod.busy_before = pod.busy
            value = used if self.scenario.signal == "cpu" else pod.saturation(self.now)
            pod.samples.append((self.now, value))
        self.at(self.now + SCRAPE, self.scrape)

    def scale(self) -> None:
        values = [recent(pod.samples, self.now - self.scenario.window) for pod in self.pods if pod.samples]
        current = len(self.pods) + len(self.starting)
        # Those without a sample yet count as idle when there is more to be had, as the autoscaler has it.
        average = sum(values) / current
        wanted = self.autoscaler.replicas(self.now, current, average)
        for _ in range(wanted - current):
            self.start(lambda pod: None)
        for _ in range(current - wanted):
            self.stop(self.pods[-1])
        self.at(self.now + SYNC, self.scale)

    def start(self, then: Callable[[Pod], None]) -> None:
        pod = Pod(self.scenario.cost, self.now + self.scenario.start_seconds)
        self.starting.append(pod)

        def ready() -> None:
            self.starting.remove(pod)
            self.pods.append(pod)
            then(pod)

        self.at(pod.ready_at, ready)

    def stop(self, pod: Pod) -> None:
        """The balancer forgets it; what it has accepted it finishes."""
        if len(self.pods) > 1:
            self.pods.remove(pod)
            self.leaving += 1
            self.at(self.now + self.scenario.drain_seconds, self.gone)

    def gone(self) -> None:
        self.leaving -= 1

    def roll_out(self) -> None:
        """`maxUnavailable: 0`: each new one that is ready lets an old one go."""
        old = list(self.pods)

        def replace(_new: Pod | None = None) -> None:
            if old:
                pod = old.pop(0)
                self.start(lambda new: (self.stop(pod), replace(new)))

        for _ in range(self.scenario.surge):
            replace()


def recent(samples: list[tuple[float, float]], since: float) -> float:
    """The average of the samples since then, or the last one where there is none."""
    values = [value for at, value in samples[-32:] if at >= since]
    return sum(values) / len(values) if values else samples[-1][1]


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values) if values else 0.0
