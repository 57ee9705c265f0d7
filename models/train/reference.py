"""Measure a trained network with PyTorch and write logits to compare another runtime's with."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from checkpoints import load_checkpoint, restore_network
from datasets import Pictures, load_validation
from metrics import Preparation, predict, top_accuracy
from recipes import Recipe


def main(arguments: Sequence[str] | None = None) -> None:
    """Score one checkpoint on the validation pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "checkpoint", type=Path, help="checkpoint.pt of a training, or a compact one"
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder of the training")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--per-class",
        type=int,
        default=20,
        help="pictures of each class whose logits are written (default: 20, enough to see a "
        "wrong preprocessing in every class)",
    )
    options = parser.parse_args(arguments)
    state = load_checkpoint(options.checkpoint)
    recipe = Recipe(**state["recipe"])
    pictures = load_validation(options.data, state["classes"], size=recipe.picture_size)
    prepare = Preparation(state["mean"], state["deviation"], recipe.upscale)
    logits = predict(restore_network(state), pictures.images, prepare)
    report = make_report(pictures, logits, options.per_class)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{report['count']} pictures: top 1 {report['top1']:.2f} %, top 5 {report['top5']:.2f} %")


def make_report(pictures: Pictures, logits: Tensor, per_class: int) -> dict[str, Any]:
    """Accuracies (per cent) over all pictures, and the logits of the first of each class."""
    chosen = [
        index
        for label in range(len(pictures.classes))
        for index in torch.nonzero(pictures.labels == label).flatten()[:per_class].tolist()
    ]
    return {
        "count": len(pictures.labels),
        "top1": top_accuracy(logits, pictures.labels, 1),
        "top5": top_accuracy(logits, pictures.labels, 5),
        "classes": pictures.classes,
        "pictures": [
            {
                "file": pictures.files[index],
                "label": pictures.labels[index].item(),
                "logits": [round(value, 5) for value in logits[index].tolist()],
            }
            for index in chosen
        ],
    }


if __name__ == "__main__":
    main()
