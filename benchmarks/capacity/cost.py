"""What a replica sustains, and what a rate costs."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Autoscalers aim at this share of what the replicas sustain; the rest is for bursts until new ones are ready.
TARGET = 0.7


@dataclass(frozen=True)
class CostModel:
    """A batch of `n` images takes `a + b·n` seconds in one of the sessions of a replica."""

    a: float
    b: float
    sessions: int
    max_batch: int

    def seconds(self, images: int) -> float:
        return self.a + self.b * images

    def capacity(self) -> float:
        """Images per second with every session busy and every batch full."""
        return self.sessions * self.max_batch / self.seconds(self.max_batch)


@dataclass(frozen=True)
class Replica:
    """One pod, as the fleet's arithmetic sees it."""

    name: str
    images_per_second: float
    cores: float
    gpus: int
    price_per_hour: float


@dataclass(frozen=True)
class Fleet:
    """As many replicas as a rate needs."""

    replica: Replica
    rate: float
    bytes_per_image: float

    @property
    def replicas(self) -> int:
        # Two at least: one may be replaced, or its node lost.
        return max(2, math.ceil(self.rate / (TARGET * self.replica.images_per_second)))

    @property
    def cores(self) -> float:
        return self.replicas * self.replica.cores

    @property
    def gpus(self) -> int:
        return self.replicas * self.replica.gpus

    @property
    def price_per_hour(self) -> float:
        return self.replicas * self.replica.price_per_hour

    @property
    def price_per_million_images(self) -> float:
        return self.price_per_hour / (self.rate * 3600) * 1e6

    @property
    def gigabits_per_second(self) -> float:
        return self.rate * self.bytes_per_image * 8 / 1e9


def fit(times: list[tuple[int, float]]) -> tuple[float, float]:
    """The line of least squares through (images, seconds): intercept and slope, neither below 0."""
    count = len(times)
    mean_images = sum(images for images, _ in times) / count
    mean_seconds = sum(seconds for _, seconds in times) / count
    spread = sum((images - mean_images) ** 2 for images, _ in times)
    slope = sum((images - mean_images) * (seconds - mean_seconds) for images, seconds in times) / spread
    intercept = mean_seconds - slope * mean_images
    if intercept < 0:
        # Through the origin: noise has made a call's overhead negative.
        slope = sum(images * seconds for images, seconds in times) / sum(images**2 for images, _ in times)
        intercept = 0.0
    return intercept, slope


def measured() -> dict:
    return json.loads((HERE / "measured.json").read_text())


def cpu_model(figures: dict) -> CostModel:
    """The measured line, slowed down by what decoding takes of the same cores."""
    alone = CostModel(figures["a"], figures["b"], figures["sessions"], figures["max_batch"])
    slower = alone.capacity() / figures["images_per_second"]
    return CostModel(alone.a * slower, alone.b * slower, alone.sessions, alone.max_batch)
