"""The networks have the paper's sizes, torchvision's names and the option-A shortcut."""

import pytest
import torch

from networks import CIFAR_DEPTHS, CifarBlock, make_network, resized

# Table 6 of the paper, millions of parameters.
PAPER_SIZES = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}


@pytest.mark.parametrize("depth", CIFAR_DEPTHS)
def test_cifar_networks_have_the_papers_depth_and_size(depth: int) -> None:
    network = make_network(f"cifar-resnet{depth}", 10)
    layers = [m for m in network.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(layers) == depth
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert millions == pytest.approx(PAPER_SIZES[depth], abs=0.05)


def test_plain_and_residual_networks_have_the_same_tensors() -> None:
    plain, residual = make_network("cifar-plain20", 10), make_network("cifar-resnet20", 10)
    shapes = [
        {name: tensor.shape for name, tensor in network.state_dict().items()}
        for network in (plain, residual)
    ]
    assert shapes[0] == shapes[1]


def test_names_are_torchvisions() -> None:
    names = set(make_network("cifar-resnet20", 10).state_dict())
    expected = {"conv1.weight", "bn1.running_var", "layer3.2.conv2.weight", "fc.bias"}
    assert expected <= names


def test_features_shrink_to_eight_by_eight() -> None:
    network = make_network("cifar-resnet20", 10)
    sizes = []
    network.layer3.register_forward_hook(lambda module, given, result: sizes.append(result.shape))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sizes == [torch.Size([2, 64, 8, 8])]


def test_shortcut_keeps_every_second_pixel_and_appends_zero_channels() -> None:
    features = torch.rand(1, 2, 4, 4)
    result = CifarBlock(2, 6, stride=2, residual=True).shortcut(features)
    assert torch.equal(result[:, :2], features[:, :, ::2, ::2])
    assert torch.equal(result[:, 2:], torch.zeros(1, 4, 2, 2))


def test_a_plain_block_ignores_its_input_where_a_residual_one_adds_it() -> None:
    features = torch.rand(2, 4, 4, 4)
    for residual, expected in ((True, features), (False, torch.zeros_like(features))):
        block = CifarBlock(4, 4, stride=1, residual=residual)
        torch.nn.init.zeros_(block.bn2.weight)
        assert torch.equal(block(features), expected)


def test_resizing_keeps_the_proportions_and_leaves_the_right_height_alone() -> None:
    images = torch.rand(1, 3, 5, 7)
    assert resized(images, 10).shape == (1, 3, 10, 14)
    assert resized(images, 8).shape == (1, 3, 8, 11)
    assert resized(images, 5) is images


@pytest.mark.parametrize("factor", [2, 3])
def test_resizing_to_a_multiple_is_scaling_by_that_factor(factor: int) -> None:
    images = torch.rand(2, 3, 32, 32)
    scaled = torch.nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False)(images)
    assert torch.equal(resized(images, factor * 32), scaled)


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown network"):
        make_network("cifar-resnet21", 10)
