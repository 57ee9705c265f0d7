"""Pictures are read in a fixed order; exported files hold what `model build` expects."""

import json
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import compact
import export
import plot
import reference
import train
import unpack_cifar
from datasets import decode, load_data


@pytest.fixture
def checkpoint(flags: list[str], tmp_path: Path) -> Path:
    """The checkpoint of a finished training."""
    train.main([*flags, "--output", str(tmp_path / "run")])
    return tmp_path / "run" / "checkpoint.pt"


def test_classes_and_files_are_in_the_order_of_their_names(data: Path) -> None:
    training, validation = load_data(data)
    assert training.classes == ["circle", "square", "triangle"]
    assert training.images.shape == (12, 3, 32, 32) and training.images.dtype == torch.uint8
    assert validation.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert validation.files[2:4] == ["square/0.png", "square/1.png"]


def test_annotated_validation_pictures_find_their_classes(data: Path) -> None:
    (data / "test").rename(data / "val")
    (data / "val" / "images").mkdir()
    lines = []
    for number, name in enumerate(("triangle", "circle")):
        (data / "val" / name / "0.png").rename(data / "val" / "images" / f"{number}.png")
        lines.append(f"{number}.png\t{name}\t0\t0\t9\t9\n")
    (data / "val" / "val_annotations.txt").write_text("".join(lines))
    validation = load_data(data)[1]
    assert validation.files == ["images/1.png", "images/0.png"]
    assert validation.labels.tolist() == [0, 2]


def test_per_class_takes_the_first_pictures_of_each_class(data: Path) -> None:
    assert load_data(data, per_class=1)[0].labels.tolist() == [0, 1, 2]


def test_pictures_of_several_sizes_need_a_picture_size(data: Path) -> None:
    Image.new("L", (60, 40), 200).save(data / "train" / "circle" / "large.png")
    with pytest.raises(ValueError, match="--picture-size"):
        load_data(data)
    assert load_data(data, size=16)[0].images.shape == (13, 3, 16, 16)


def test_a_picture_size_keeps_the_centre_square(tmp_path: Path) -> None:
    picture = Image.new("RGB", (60, 20), "red")
    picture.paste("blue", (20, 0, 40, 20))
    picture.save(tmp_path / "wide.png")
    pixels = decode(tmp_path / "wide.png", 10)
    # The outermost columns may take up a little of what lies beyond the square.
    assert (pixels[:, 1:-1] == (0, 0, 255)).all()


def test_exported_weights_have_torchvisions_names(checkpoint: Path, tmp_path: Path) -> None:
    export.main([str(checkpoint), "--output", str(tmp_path / "model")])
    weights = load_file(tmp_path / "model" / "weights.safetensors")
    assert weights["layer2.0.bn1.running_var"].shape == (32,)
    assert weights["fc.weight"].shape == (3, 64)
    assert not any("num_batches_tracked" in name for name in weights)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    labels = (tmp_path / "model" / "labels.tsv").read_text()
    assert labels == "circle\tcircle\nsquare\tsquare\ntriangle\ttriangle\n"


def test_half_exports_keep_vectors_whole_and_take_names(checkpoint: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.tsv"
    names.write_text("square\tfour sides\ncircle\tno sides\ntriangle\tthree sides\nother\tmore\n")
    target = tmp_path / "model"
    export.main([str(checkpoint), "--output", str(target), "--half", "--names", str(names)])
    weights = load_file(target / "weights.safetensors")
    assert weights["conv1.weight"].dtype == torch.float16
    assert weights["bn1.running_var"].dtype == torch.float32
    assert (target / "labels.tsv").read_text().startswith("circle\tno sides\nsquare\tfour sides\n")


def test_reference_scores_equal_the_last_validation(
    checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "reference.json"
    command = [str(checkpoint), "--data", str(data), "--output", str(output), "--per-class", "1"]
    reference.main(command)
    report = json.loads(output.read_text())
    last = torch.load(checkpoint, weights_only=True)["history"][-1]
    assert report["top1"] == pytest.approx(last["validation_top1"])
    assert [picture["label"] for picture in report["pictures"]] == [0, 1, 2]
    assert all(len(picture["logits"]) == 3 for picture in report["pictures"])


def test_a_compact_checkpoint_exports_the_averaged_weights_too(
    checkpoint: Path, tmp_path: Path
) -> None:
    compact.main([str(checkpoint), str(tmp_path / "compact.pt")])
    exported = []
    for source in (checkpoint, tmp_path / "compact.pt"):
        export.main([str(source), "--half", "--output", str(tmp_path / source.stem)])
        exported.append(load_file(tmp_path / source.stem / "weights.safetensors"))
    assert exported[0].keys() == exported[1].keys()
    assert all(torch.equal(exported[0][name], exported[1][name]) for name in exported[0])
    last = torch.load(checkpoint, weights_only=True)["network"]["fc.weight"]
    assert not torch.equal(exported[1]["fc.weight"], last.half())


def test_the_plot_names_both_lines_with_their_last_values(checkpoint: Path, tmp_path: Path) -> None:
    log = checkpoint.parent / "training.csv"
    plot.main([str(log), str(tmp_path / "plot.svg"), "--title", "A < B"])
    picture = (tmp_path / "plot.svg").read_text()
    assert picture.count("<polyline") == 2
    assert "validation" in picture and "A &lt; B" in picture
    assert "prefers-color-scheme: dark" in picture


def test_cifar_records_become_pictures_in_class_folders(tmp_path: Path) -> None:
    source, target = tmp_path / "cifar-10-batches-bin", tmp_path / "cifar-10"
    source.mkdir()
    (source / "batches.meta.txt").write_text("airplane\ntruck\n\n")
    red_truck = bytes([1]) + bytes([250] * 1024) + bytes(2048)
    blue_airplane = bytes([0]) + bytes(2048) + bytes([240] * 1024)
    (source / "data_batch_1.bin").write_bytes(red_truck + blue_airplane)
    (source / "data_batch_2.bin").write_bytes(red_truck)
    (source / "test_batch.bin").write_bytes(blue_airplane + red_truck)
    unpack_cifar.main([str(source), str(target)])
    training, validation = load_data(target)
    assert training.files == ["airplane/0000.png", "truck/0000.png", "truck/0001.png"]
    assert validation.labels.tolist() == [0, 1]
    assert (numpy.asarray(Image.open(target / "train/truck/0001.png")) == (250, 0, 0)).all()
