"""Pictures in a folder per class, decoded once into one uint8 tensor that stays in memory."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch import Tensor

TRAINING_FOLDERS = ("train",)
VALIDATION_FOLDERS = ("test", "val", "validation")
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png"}
# Tiny ImageNet puts all its validation pictures into one folder, and their classes into this file.
ANNOTATIONS = "val_annotations.txt"


@dataclass(frozen=True)
class Pictures:
    """A split of a data set.

    images: (N, 3, H, W) uint8 RGB; labels: (N,) int64, indices into `classes`;
    files: N paths relative to the split's folder, in the order of `images`.
    """

    images: Tensor
    labels: Tensor
    classes: list[str]
    files: list[str]

    def to(self, device: torch.device) -> "Pictures":
        """The same pictures on `device`, so that no batch waits for a copy."""
        images, labels = self.images.to(device), self.labels.to(device)
        return Pictures(images, labels, self.classes, self.files)


def load_data(data: Path, per_class: int = 0, size: int = 0) -> tuple[Pictures, Pictures]:
    """The training and the validation pictures below `data`, with the same classes.

    per_class: only so many of each class, 0 for all; size: see `decode`.
    """
    folder = find_folder(data, TRAINING_FOLDERS)
    # Sorted by name: the order of the classes is then the same wherever the training runs.
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    training = load_pictures(folder, classes, per_class, size)
    validation = load_validation(data, classes, per_class, size)
    return training, validation


def load_validation(data: Path, classes: list[str], per_class: int = 0, size: int = 0) -> Pictures:
    """The pictures for measuring the network, whose class folders must be among `classes`."""
    return load_pictures(find_folder(data, VALIDATION_FOLDERS), classes, per_class, size)


def find_folder(data: Path, names: tuple[str, ...]) -> Path:
    """The first of the named folders that exists below `data`."""
    for name in names:
        if (data / name).is_dir():
            return data / name
    raise FileNotFoundError(f"{data} has no folder named {' or '.join(names)}")


def load_pictures(folder: Path, classes: list[str], per_class: int, size: int) -> Pictures:
    """Every picture of one split, class after class."""
    paths: list[Path] = []
    labels: list[int] = []
    for label, found in enumerate(paths_of_classes(folder, classes)):
        chosen = found[:per_class] if per_class else found
        paths += chosen
        labels += [label] * len(chosen)
    if not paths:
        raise FileNotFoundError(f"no pictures below {folder}; expected {folder}/CLASS/NAME.jpg")
    files = [path.relative_to(folder).as_posix() for path in paths]
    return Pictures(decode_all(paths, size), torch.tensor(labels), classes, files)


def paths_of_classes(folder: Path, classes: list[str]) -> list[list[Path]]:
    """The sorted picture files of each class, from class folders or from the annotations."""
    found: dict[str, list[Path]] = {name: [] for name in classes}
    annotations = folder / ANNOTATIONS
    if annotations.is_file():
        for line in annotations.read_text().splitlines():
            file, name = line.split("\t")[:2]
            found[name].append(folder / "images" / file)
    else:
        for name in classes:
            files = (folder / name).rglob("*")
            found[name] = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    return [sorted(found[name]) for name in classes]


def decode_all(paths: list[Path], size: int) -> Tensor:
    """(N, 3, H, W) uint8; threads suffice, because Pillow decodes outside Python's lock."""
    with ThreadPoolExecutor() as pool:
        arrays = list(pool.map(partial(decode, size=size), paths))
    sizes = {array.shape for array in arrays}
    if len(sizes) != 1:
        raise ValueError(f"the pictures have {len(sizes)} different sizes; give a --picture-size")
    return torch.from_numpy(numpy.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def decode(path: Path, size: int) -> numpy.ndarray:
    """(H, W, 3) uint8 RGB; grey pictures get three equal channels.

    size: shrink or enlarge the shorter side to so many pixels and keep the centre square;
    0 leaves the picture as it is.
    """
    with Image.open(path) as picture:
        colours = picture.convert("RGB")
    if size:
        edge = min(colours.size)
        left, top = (colours.width - edge) // 2, (colours.height - edge) // 2
        square = (left, top, left + edge, top + edge)
        colours = colours.resize((size, size), Image.Resampling.BILINEAR, box=square)
    return numpy.asarray(colours)
