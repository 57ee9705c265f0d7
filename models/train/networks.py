"""The paper's networks by name: the CIFAR family here, the ImageNet family from torchvision.

Every module is named as torchvision names it (conv1, bn1, layer1.0.conv1, ..., fc), because the
exported weights are looked up by these names.
"""

import re

import torchvision
from torch import Tensor, nn
from torch.nn import functional

IMAGENET_NAMES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
CIFAR_DEPTHS = (20, 32, 44, 56, 110)
CIFAR_NAMES = tuple(
    f"cifar-{kind}{depth}" for kind in ("resnet", "plain") for depth in CIFAR_DEPTHS
)


class CifarBlock(nn.Module):
    """Two 3x3 convolutions, with (residual) or without (plain) an option-A shortcut around them."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.added_channels = out_channels - in_channels
        self.residual = residual

    def shortcut(self, features: Tensor) -> Tensor:
        """The input itself, subsampled and followed by zero channels where the shape changes."""
        if self.stride == 1 and self.added_channels == 0:
            return features
        subsampled = features[:, :, :: self.stride, :: self.stride]
        return functional.pad(subsampled, (0, 0, 0, 0, 0, self.added_channels))

    def forward(self, features: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        result = functional.relu(self.bn1(self.conv1(features)))
        result = self.bn2(self.conv2(result))
        if self.residual:
            result = result + self.shortcut(features)
        return functional.relu(result)


class CifarNetwork(nn.Module):
    """Section 4.2 of the paper: 6n + 2 layers in three stages of 16, 32 and 64 filters."""

    def __init__(self, depth: int, class_count: int, residual: bool) -> None:
        super().__init__()
        if (depth - 2) % 6 != 0 or depth < 8:
            raise ValueError(f"a CIFAR network has 6n + 2 layers; {depth} is not of that form")
        blocks_per_stage = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = make_stage(16, 16, 1, blocks_per_stage, residual)
        self.layer2 = make_stage(16, 32, 2, blocks_per_stage, residual)
        self.layer3 = make_stage(32, 64, 2, blocks_per_stage, residual)
        self.fc = nn.Linear(64, class_count)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # He initialisation, the paper's reference [13]: plain networks need it to train.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 32, 32) normalised images -> (N, class_count) logits."""
        features = functional.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        return self.fc(features.mean(dim=(2, 3)))


def make_stage(
    in_channels: int, out_channels: int, stride: int, block_count: int, residual: bool
) -> nn.Sequential:
    """`block_count` blocks; the first one changes the number of channels and the resolution."""
    first = CifarBlock(in_channels, out_channels, stride, residual)
    others = [CifarBlock(out_channels, out_channels, 1, residual) for _ in range(block_count - 1)]
    return nn.Sequential(first, *others)


def resized(images: Tensor, height: int) -> Tensor:
    """(N, 3, H, W) -> (N, 3, height, W in proportion), as `model build --upscale` does it."""
    if images.shape[2] == height:
        return images
    size = (height, round(images.shape[3] * height / images.shape[2]))
    return functional.interpolate(images, size=size, mode="bilinear", align_corners=False)


def make_network(name: str, class_count: int) -> nn.Module:
    """An untrained network; `name` is one of CIFAR_NAMES or IMAGENET_NAMES."""
    if name in CIFAR_NAMES:
        kind, depth = re.fullmatch(r"cifar-(resnet|plain)(\d+)", name).groups()
        return CifarNetwork(int(depth), class_count, residual=kind == "resnet")
    if name in IMAGENET_NAMES:
        # Every residual block starts as the identity, which steadies the first large steps.
        return torchvision.models.get_model(
            name, weights=None, num_classes=class_count, zero_init_residual=True
        )
    raise ValueError(f"unknown network {name}; known: {', '.join(CIFAR_NAMES + IMAGENET_NAMES)}")
