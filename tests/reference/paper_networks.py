"""The paper's networks in PyTorch, with torchvision's parameter names and every shortcut option."""

import torch
from torch import nn
from torch.nn import functional


class Padded(nn.Module):
    """Option A: every `stride`-th pixel, followed by channels of zeros."""

    def __init__(self, added, stride):
        super().__init__()
        self.added, self.stride = added, stride

    def forward(self, x):
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


class Block(nn.Module):
    """Convolutions of the given (inputs, outputs, kernel, stride), with or without a shortcut around them."""

    def __init__(self, shapes, shortcut):
        super().__init__()
        self.count = len(shapes)
        for index, (inputs, outputs, kernel, stride) in enumerate(shapes, 1):
            convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            self.add_module(f"conv{index}", convolution)
            self.add_module(f"bn{index}", nn.BatchNorm2d(outputs))
        inputs, outputs = shapes[0][0], shapes[-1][1]
        stride = max(shape[3] for shape in shapes)
        changes = stride != 1 or inputs != outputs
        self.residual = shortcut is not None
        self.downsample = None
        if shortcut == "c" or (shortcut == "b" and changes):
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        elif shortcut == "a" and changes:
            self.downsample = Padded(outputs - inputs, stride)

    def forward(self, x):
        result = x
        for index in range(1, self.count + 1):
            result = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(result))
            result = functional.relu(result) if index < self.count else result
        if self.residual:
            result = result + (x if self.downsample is None else self.downsample(x))
        return functional.relu(result)


class PaperNetwork(nn.Module):
    """`kind` is plain, basic or bottleneck; `shortcut` a, b or c; `variant` v1 or v1.5; `upscale` a factor."""

    def __init__(self, blocks, kind, *, cifar=False, shortcut="b", variant="v1.5", classes=10, upscale=1):
        super().__init__()
        width = 16 if cifar else 64
        self.cifar, self.upscale = cifar, upscale
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False) if cifar else nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = len(blocks)
        inputs = width
        for stage, count in enumerate(blocks):
            made = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                shapes = self.shapes(kind, variant, inputs, width << stage, stride)
                made.append(Block(shapes, None if kind == "plain" else shortcut))
                inputs = shapes[-1][1]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*made))
        self.fc = nn.Linear(inputs, classes)

    @staticmethod
    def shapes(kind, variant, inputs, width, stride):
        if kind != "bottleneck":
            return [(inputs, width, 3, stride), (width, width, 3, 1)]
        first, second = (stride, 1) if variant == "v1" else (1, stride)
        return [(inputs, width, 1, first), (width, width, 3, second), (width, width * 4, 1, 1)]

    def forward(self, x):
        """[n, 3, h, w] to logits, features and feature map."""
        if self.upscale > 1:
            x = functional.interpolate(x, scale_factor=self.upscale, mode="bilinear", align_corners=False)
        x = functional.relu(self.bn1(self.conv1(x)))
        if not self.cifar:
            x = functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        features = torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)
        return self.fc(features), features, x
