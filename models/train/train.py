"""Train a network of the paper; `--help` explains every setting, README.md the whole way."""

import argparse
import time
from collections.abc import Sequence

import torch

from checkpoints import load_checkpoint, save_checkpoint
from datasets import Pictures, load_data
from history import describe, write_history
from options import parse
from recipes import Recipe
from training import Hardware, Training


def main(arguments: Sequence[str] | None = None) -> None:
    """Train until the recipe's end or the time limit."""
    started = time.monotonic()
    options, recipe = parse(arguments)
    hardware = prepare_hardware(options)
    training_pictures, validation_pictures = load_data(
        options.data, options.per_class, recipe.picture_size
    )
    training = begin(options, recipe, training_pictures, hardware)
    run(training, validation_pictures, options, deadline=started + options.time_limit)
    if training.finished:
        print(f"finished: {options.output / 'checkpoint.pt'}")
    else:
        print(f"stopped after epoch {training.epoch} of {recipe.epochs}; run this again to go on")


def prepare_hardware(options: argparse.Namespace) -> Hardware:
    """Choose the device and the fastest arithmetic that the precision allows."""
    if options.threads:
        torch.set_num_threads(options.threads)
    # Both only speed up GPUs: the best convolution for the one shape there is, and TF32.
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    return Hardware(torch.device(options.device), options.precision == "bf16")


def begin(
    options: argparse.Namespace, recipe: Recipe, pictures: Pictures, hardware: Hardware
) -> Training:
    """The training whose checkpoint lies in the output folder, or a new one."""
    training = Training(recipe, pictures, hardware)
    options.output.mkdir(parents=True, exist_ok=True)
    checkpoint = options.output / "checkpoint.pt"
    if checkpoint.exists():
        training.restore(load_checkpoint(checkpoint, hardware.device))
        print(f"going on after epoch {training.epoch} of {checkpoint}")
    elif options.start:
        training.start_from(load_checkpoint(options.start, hardware.device))
    print(f"{len(pictures.labels)} pictures, {len(pictures.classes)} classes")
    print(f"mean {training.mean}, deviation {training.deviation}", flush=True)
    return training


def run(
    training: Training, validation: Pictures, options: argparse.Namespace, deadline: float
) -> None:
    """Epoch after epoch, while the next one fits before the deadline; the last one is saved."""
    longest = 0.0
    ended = training.finished
    while not ended:
        began = time.monotonic()
        figures = training.train_epoch()
        row = {"epoch": training.epoch + 1, **figures, **training.validate(validation)}
        training.history.append({**row, "device": device_name(training.hardware.device)})
        # A tenth more than the longest epoch so far, because no two take the same time.
        longest = max(longest, 1.1 * (time.monotonic() - began))
        ended = training.finished or time.monotonic() + longest > deadline
        if ended or training.epoch % options.save_every == 0:
            save_checkpoint(options.output / "checkpoint.pt", training.state())
        write_history(options.output / "training.csv", training.history)
        print(describe(row), flush=True)


def device_name(device: torch.device) -> str:
    """The GPU's name, or 'cpu'."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    main()
