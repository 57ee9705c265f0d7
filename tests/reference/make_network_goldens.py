"""Writes tests/fixtures/networks: what PyTorch answers with weights and pictures made by formula.

    python -m venv venv && venv/bin/pip install -r tests/reference/requirements-networks.txt
    venv/bin/python tests/reference/make_network_goldens.py

Each file has a network, its options, the names and shapes of its tensors, and the logits of two pictures
(with `features` where they are asked for), computed in float64. No weights are stored: tests/networks.rs
makes the same ones from the names, with the formula of `uniform` and `tensor` here.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch

from paper_networks import PaperNetwork

FIXTURES = Path(__file__).parent.parent / "fixtures" / "networks"
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
IMAGES = 2

BOTTLENECK = {"family": "bottleneck", "blocks": [1, 1, 1, 1]}
BASIC = {"family": "basic", "blocks": [1, 1, 1, 1]}
CIFAR = {"family": "cifar-resnet", "blocks": [3, 3, 3]}
CASES = {
    "resnet18": {"family": "basic", "blocks": [2, 2, 2, 2], "height": 64, "width": 64, "classes": 7},
    "basic-a": BASIC | {"height": 40, "width": 56, "shortcut": "a"},
    "bottleneck-v1": BOTTLENECK | {"height": 64, "width": 64, "variant": "v1"},
    "bottleneck-v1.5": BOTTLENECK | {"height": 64, "width": 64, "variant": "v1.5"},
    "bottleneck-a": BOTTLENECK | {"height": 48, "width": 48, "shortcut": "a"},
    "plain": {"family": "plain", "blocks": [1, 1, 1, 1], "height": 64, "width": 64},
    "cifar-a": CIFAR | {"features": True},
    "cifar-b": CIFAR | {"shortcut": "b"},
    "cifar-c": CIFAR | {"shortcut": "c"},
    "cifar-plain": {"family": "cifar-plain", "blocks": [3, 3, 3]},
    "cifar-uint8": CIFAR | {"input_type": "uint8"},
    "cifar-upscale": CIFAR | {"upscale": 2, "height": 17, "width": 24},
    "cifar-uint8-upscale": CIFAR | {"upscale": 3, "height": 12, "width": 12, "input_type": "uint8"},
    "cifar-float16": CIFAR | {"weights_type": "float16"},
}


def hashes(name, count):
    """`count` 32-bit hashes: FNV-1a of the name, stepped by the golden ratio, mixed as MurmurHash3 does."""
    start = 0x811C9DC5
    for byte in name.encode():
        start = (start ^ byte) * 0x01000193 & 0xFFFFFFFF
    mixed = np.uint32(start) ^ (np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1))
    mixed = (mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return mixed ^ (mixed >> np.uint32(16))


def tensor(name, shape):
    """Values of a reasonable size for what the tensor is, from 0-1 numbers that follow from its name."""
    uniform = hashes(name, math.prod(shape)).astype(np.float64) / 2.0**32
    if len(shape) > 1:
        values = (uniform * 2.0 - 1.0) * math.sqrt(6.0 / math.prod(shape[1:]))
    elif name.endswith(("running_mean", "bias")):
        values = (uniform - 0.5) * 0.4
    else:
        values = uniform + 0.5
    return values.astype(np.float32).reshape(shape)


def pictures(height, width):
    """[n, height, width, 3] bytes."""
    count = IMAGES * height * width * 3
    return (hashes("pictures", count) >> np.uint32(24)).astype(np.uint8).reshape(IMAGES, height, width, 3)


def network(case):
    family = case["family"]
    cifar = family.startswith("cifar")
    kind = {"cifar-resnet": "basic", "cifar-plain": "plain"}.get(family, family)
    return PaperNetwork(
        case["blocks"],
        kind,
        cifar=cifar,
        shortcut=case.get("shortcut", "a" if cifar else "b"),
        variant=case.get("variant", "v1.5"),
        classes=case.get("classes", 10),
        upscale=case.get("upscale", 1),
    ).eval()


def golden(case):
    case = {"classes": 10, "height": 32, "width": 32} | case
    module = network(case)
    names = [name for name in module.state_dict() if not name.endswith("num_batches_tracked")]
    shapes = {name: list(module.state_dict()[name].shape) for name in names}
    state = {name: torch.from_numpy(tensor(name, shape)) for name, shape in shapes.items()}
    module.load_state_dict(state, strict=False)
    normalised = ((pictures(case["height"], case["width"]) / 255.0 - MEAN) / STD).astype(np.float32)
    planes = torch.from_numpy(normalised.transpose(0, 3, 1, 2)).double()
    with torch.no_grad():
        logits, features, _ = module.double()(planes)
    answer = {"logits": rounded(logits)}
    if case.get("features"):
        answer["features"] = rounded(features)
    return case | {"tensors": shapes} | answer


def rounded(values):
    return [[float(f"{value:.9g}") for value in row] for row in values.tolist()]


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name, case in CASES.items():
        made = golden(case)
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in made.items())
        (FIXTURES / f"{name}.json").write_text("{\n" + lines + "\n}\n")
        print(f"{name:<20} largest logit {np.abs(made['logits']).max():.3g}")


if __name__ == "__main__":
    main()
