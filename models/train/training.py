"""The training itself: epochs over pictures that are already in the device's memory."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from augmentation import channel_statistics
from averaging import AveragedNetwork
from batches import Batches
from checkpoints import State
from datasets import Pictures
from metrics import Preparation, predict, top_accuracy
from networks import make_network, resized
from recipes import Recipe
from schedule import learning_rate, picture_side


@dataclass(frozen=True)
class Hardware:
    """Where to compute, and whether convolutions may use bfloat16."""

    device: torch.device
    bfloat16: bool

    def autocast(self) -> torch.autocast:
        """The context in which the network is to be called."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


class Training:
    """A network, its optimiser and its average, and how far they have come."""

    def __init__(self, recipe: Recipe, pictures: Pictures, hardware: Hardware) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.pictures = pictures.to(hardware.device)
        self.hardware = hardware
        self.mean, self.deviation = channel_statistics(self.pictures.images)
        self.batches = Batches(self.pictures, recipe, self.mean, self.deviation)
        network = make_network(recipe.network, len(pictures.classes))
        self.network = network.to(hardware.device, memory_format=torch.channels_last)
        self.average = AveragedNetwork(self.network, recipe.average_decay)
        self.optimiser = make_optimiser(self.network, recipe, hardware.device)
        self.history: list[dict[str, Any]] = []

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.history)

    @property
    def finished(self) -> bool:
        """Whether the recipe's epochs are done."""
        return self.epoch >= self.recipe.epochs

    def train_epoch(self) -> dict[str, float]:
        """Train for one epoch and return its figures."""
        # Seeding by the epoch makes a resumed training draw what an unbroken one would have drawn.
        torch.manual_seed(self.recipe.seed * 100_003 + self.epoch)
        self.network.train()
        self.batches.mixed = self.epoch < (1 - self.recipe.unmixed) * self.recipe.epochs
        steps = len(self.batches)
        sums = torch.zeros(2, device=self.hardware.device)
        started = time.monotonic()
        # The bar is drawn seldom: in a log file every change of it is one more line.
        bar = tqdm(self.batches, f"epoch {self.epoch + 1}", mininterval=5)
        for step, (images, targets) in enumerate(bar):
            progress = (self.epoch + step / steps) / self.recipe.epochs
            rate = self.set_rate(progress)
            sums += self.train_step(self.enlarge(images, progress), targets)
        loss, accuracy = (sums / steps).tolist()
        seconds = time.monotonic() - started
        return {
            "train_loss": loss,
            "train_top1": 100 * accuracy,
            "rate": rate,
            "seconds": seconds,
            "images_per_second": steps * self.batches.size / seconds,
        }

    def train_step(self, images: Tensor, targets: Tensor) -> Tensor:
        """One step; returns the batch's loss and share of right answers, still on the device."""
        with self.hardware.autocast():
            logits = self.network(images)
        smoothing = self.recipe.label_smoothing
        loss = functional.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.average.update()
        # In a mixed batch the right answer is the class that has the larger share.
        right = (logits.argmax(1) == targets.argmax(1)).float().mean()
        return torch.stack([loss.detach(), right])

    def enlarge(self, images: Tensor, progress: float) -> Tensor:
        """(N, 3, H, W) pictures of the size that is due at a share `progress` of the training."""
        recipe = self.recipe
        height = images.shape[2] * recipe.upscale
        if recipe.first_side:
            height = picture_side(progress, recipe.first_side, recipe.last_side)
        return resized(images, height)

    def set_rate(self, progress: float) -> float:
        """Set the learning rate for a share `progress` (0-1) of the training, and return it."""
        recipe = self.recipe
        rate = learning_rate(progress, recipe.schedule, recipe.peak_rate, recipe.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def validate(self, pictures: Pictures) -> dict[str, float]:
        """Measure the averaged network, in float32."""
        images = pictures.images.to(self.hardware.device)
        labels = pictures.labels.to(self.hardware.device)
        prepare = Preparation(self.mean, self.deviation, self.recipe.upscale)
        logits = predict(self.average.network, images, prepare)
        return {
            "validation_loss": functional.cross_entropy(logits, labels).item(),
            "validation_top1": top_accuracy(logits, labels, 1),
            "validation_top5": top_accuracy(logits, labels, 5),
        }

    def state(self) -> State:
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

    def start_from(self, state: State) -> None:
        """Take the averaged weights of another training as the first ones of this."""
        self.network.load_state_dict(state["average"])
        self.average.network.load_state_dict(state["average"])

    def restore(self, state: State) -> None:
        """Take up the training that `state`, which may be compact, describes."""
        if Recipe(**state["recipe"]) != self.recipe or state["classes"] != self.pictures.classes:
            raise ValueError("the checkpoint is of another recipe or of other classes")
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.updates = state["average_updates"]
        if "optimiser" in state:
            self.optimiser.load_state_dict(state["optimiser"])
        self.history = list(state["history"])


def make_optimiser(network: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.SGD:
    """SGD with momentum, as in the paper; vectors (biases, batch norm) are not decayed."""
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    kept = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        groups,
        recipe.peak_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        fused=device.type == "cuda",
    )
