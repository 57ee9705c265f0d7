"""Compares every network that `model build` writes with PyTorch, the ONNX checker and the paper's ratios.

    python -m venv venv && venv/bin/pip install -r tests/reference/requirements-networks.txt
    venv/bin/python tests/reference/compare_networks.py [--binary target/release/resnet-serve]

With the same seeded weights (batch statistics far from the identity) the logits of torchvision's networks
must be equal to 1e-4 of the largest one. Every network, and every option of one, must pass the ONNX
checker and run with batches of 1, 2 and 5. The times of VGG-19 and ResNet-34 are printed as a ratio.
The exit code says whether all of it held.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from safetensors.torch import save_file

from paper_networks import PaperNetwork

TOLERANCE = 1e-4
BATCHES = (1, 2, 5)
TORCHVISION = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vgg19"]
BOTTLENECKS = {"resnet50": [3, 4, 6, 3], "resnet101": [3, 4, 23, 3], "resnet152": [3, 8, 36, 3]}
IMAGENET = ["plain18", "plain34", *TORCHVISION]
CIFAR = [f"cifar-{kind}{depth}" for kind in ("plain", "resnet") for depth in (20, 32, 44, 56, 110)]
OPTIONS = {
    "resnet50": [
        ["--variant", "v1"],
        ["--shortcut", "a"],
        ["--shortcut", "c"],
        ["--input-type", "uint8"],
        ["--weights-type", "float16"],
        ["--features"],
        ["--upscale", "2"],
        ["--classes", "7"],
    ],
    "vgg19": [["--features", "--upscale", "2"]],
    "cifar-resnet20": [["--shortcut", "b"], ["--shortcut", "c"], ["--input-type", "uint8", "--upscale", "2"]],
}


class Comparison:
    """The binary, the folder that it writes to, and whether everything held so far."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.failed = binary, folder, False

    def build(self, name, *options):
        command = [self.binary, "model", "build", name, "-o", self.folder / "model", "--force", *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return self.folder / "model" / "model.onnx"

    def say(self, what, holds, figures):
        self.failed |= not holds
        print(f"{what:<46} {figures:<52} {'ok' if holds else 'FAILED'}", flush=True)


def seeded(module):
    """The module with batch statistics that leave nothing as the identity; weights stay PyTorch's own."""
    generator = torch.Generator().manual_seed(7)

    def uniform(tensor, low, high):
        tensor.data = torch.rand(tensor.shape, generator=generator) * (high - low) + low

    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            uniform(layer.weight, 0.5, 1.2)
            uniform(layer.bias, -0.2, 0.2)
            uniform(layer.running_mean, -0.2, 0.2)
            uniform(layer.running_var, 0.5, 1.5)
    return module.eval()


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that spin after a run would slow the next run of another session, when times are taken in turns.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def pictures(batch, side=224):
    return np.random.default_rng(batch).standard_normal((batch, 3, side, side), dtype=np.float32)


def compare(comparison, label, module, arguments):
    """Exports the module's weights, builds the network from them, and compares logits."""
    weights = comparison.folder / "weights.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, weights)
    built = session(comparison.build(*arguments, "--weights", weights))
    data = pictures(2)
    with torch.inference_mode():
        expected = module(torch.from_numpy(data))
    expected = (expected[0] if isinstance(expected, tuple) else expected).numpy()
    found = built.run(["logits"], {"input": data})[0]
    largest = np.abs(expected).max()
    distance = np.abs(found - expected).max() / largest
    comparison.say(label, distance <= TOLERANCE, f"largest logit {largest:.4g}, relative distance {distance:.1e}")


def check(comparison, name, options):
    """Passes the ONNX checker and runs with every batch size."""
    path = comparison.build(name, *options)
    onnx.checker.check_model(path, full_check=True)
    built = session(path)
    declared = built.get_inputs()[0]
    generator = np.random.default_rng(0)
    answers = []
    for batch in BATCHES:
        shape = [batch, *declared.shape[1:]]
        if declared.type == "tensor(uint8)":
            data = generator.integers(0, 256, shape, dtype=np.uint8)
        else:
            data = generator.standard_normal(shape, dtype=np.float32)
        answers.append(built.run(None, {declared.name: data}))
    holds = all(
        np.isfinite(value).all() and len(value) == batch
        for batch, answer in zip(BATCHES, answers)
        for value in answer
    )
    outputs = ", ".join(f"{output.name} {list(value.shape)}" for output, value in zip(built.get_outputs(), answers[-1]))
    largest = max(np.abs(answer[0]).max() for answer in answers)
    comparison.say(" ".join([name, *options]), holds, f"{outputs}; largest {largest:.3g}")


def compare_all(comparison):
    for name in TORCHVISION:
        module = seeded(getattr(torchvision.models, name)(weights=None))
        compare(comparison, f"{name} against torchvision", module, [name])
    for name, blocks in BOTTLENECKS.items():
        module = seeded(PaperNetwork(blocks, "bottleneck", variant="v1", classes=1000))
        compare(comparison, f"{name} --variant v1 against PyTorch", module, [name, "--variant", "v1"])


def check_all(comparison):
    for name in [*IMAGENET, *CIFAR, "cifar-resnet1202"]:
        for options in [[], *OPTIONS.get(name, [])]:
            check(comparison, name, options)


def ratio(comparison, rounds):
    """The median times of VGG-19 and ResNet-34, measured in turns."""
    sessions = {name: session(comparison.build(name)) for name in ("vgg19", "resnet34")}
    data = {"input": pictures(1)}
    times = {name: [] for name in sessions}
    for turn in range(rounds + 2):
        for name, built in sessions.items():
            start = time.perf_counter()
            built.run(None, data)
            if turn >= 2:
                times[name].append(time.perf_counter() - start)
    vgg, resnet = (statistics.median(times[name]) * 1000 for name in ("vgg19", "resnet34"))
    print(f"\nVGG-19 {vgg:.1f} ms, ResNet-34 {resnet:.1f} ms: {vgg / resnet:.2f} : 1; "
          f"multiply-adds 19.6 : 3.6 = {19.6 / 3.6:.2f} : 1")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=Path("target/release/resnet-serve"))
    parser.add_argument("--rounds", type=int, default=20, help="of the two networks whose times are compared")
    parser.add_argument("--only-ratio", action="store_true", help="compare nothing but times")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments.binary.resolve(), Path(folder))
        if not arguments.only_ratio:
            compare_all(comparison)
            check_all(comparison)
        ratio(comparison, arguments.rounds)
    sys.exit(comparison.failed)


if __name__ == "__main__":
    main()
