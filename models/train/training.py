"""The training itself: epochs over pictures that are already in the device's memory."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from tqdm import tqdm

from augmentation import normalise, padded_crop_and_flip
from averaging import AveragedNetwork
from datasets import Pictures, channel_statistics
from networks import Upscaled, make_network
from recipes import Recipe
from schedule import learning_rate


class Training:
    """A network, its optimiser and its average, and how far they have come."""

    def __init__(self, recipe: Recipe, pictures: Pictures, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.pictures = pictures.to(device)
        self.device = device
        self.mean, self.deviation = channel_statistics(self.pictures.images)
        network = make_network(recipe.network, len(pictures.classes))
        self.network = network.to(device, memory_format=torch.channels_last)
        self.average = AveragedNetwork(self.network, recipe.average_decay)
        self.optimiser = make_optimiser(self.network, recipe)
        self.history: list[dict[str, Any]] = []

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.history)

    def normalised(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> what the network takes."""
        mean = torch.tensor(self.mean, device=self.device)
        deviation = torch.tensor(self.deviation, device=self.device)
        result = normalise(images, mean, deviation)
        return result.contiguous(memory_format=torch.channels_last)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of (N, 3, H, W) augmented pictures and their (N,) labels."""
        count = len(self.pictures.labels)
        order = torch.randperm(count, device=self.device)
        # The last, smaller batch is left out: its batch-norm statistics would be noisier.
        size = min(self.recipe.batch_size, count)
        for start in range(0, count - size + 1, size):
            chosen = order[start : start + size]
            images = padded_crop_and_flip(self.pictures.images[chosen], self.recipe.padding)
            yield self.normalised(images), self.pictures.labels[chosen]

    def train_epoch(self) -> dict[str, float]:
        """Train for one epoch and return its figures."""
        # Seeding by the epoch makes a resumed training draw what an unbroken one would have drawn.
        torch.manual_seed(self.recipe.seed * 100_003 + self.epoch)
        self.network.train()
        model = Upscaled(self.network, self.recipe.upscale) if self.recipe.upscale > 1 else self.network
        steps = max(1, len(self.pictures.labels) // self.recipe.batch_size)
        loss_sum = torch.zeros((), device=self.device)
        correct = torch.zeros((), device=self.device)
        started = time.monotonic()
        for step, (images, labels) in enumerate(
            tqdm(self.batches(), total=steps, desc=f"epoch {self.epoch + 1}", mininterval=5)
        ):
            rate = learning_rate(
                (self.epoch + step / steps) / self.recipe.epochs, self.recipe.peak_rate, self.recipe.warmup
            )
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(self.device.type, torch.bfloat16):
                logits = model(images)
            loss = functional.cross_entropy(
                logits.float(), labels, label_smoothing=self.recipe.label_smoothing
            )
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            self.average.update(self.network)
            loss_sum += loss.detach()
            correct += (logits.detach().argmax(1) == labels).float().mean()
        seconds = time.monotonic() - started
        return {
            "train_loss": loss_sum.item() / steps,
            "train_top1": 100 * correct.item() / steps,
            "rate": rate,
            "seconds": seconds,
            "images_per_second": steps * self.recipe.batch_size / seconds,
        }

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on exactly from here."""
        return {
            "recipe": asdict(self.recipe),
            "classes": self.pictures.classes,
            "mean": self.mean,
            "deviation": self.deviation,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "average_updates": self.average.updates,
            "optimiser": self.optimiser.state_dict(),
            "history": self.history,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the training that `state` describes."""
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.updates = state["average_updates"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.history = list(state["history"])


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum; biases and batch-norm parameters are not decayed."""
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    kept = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.0, momentum=recipe.momentum, nesterov=True)
