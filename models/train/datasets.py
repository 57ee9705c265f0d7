"""Pictures in a folder per class, decoded once into one uint8 tensor that stays in memory."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch import Tensor

TRAINING_FOLDERS = ("train",)
VALIDATION_FOLDERS = ("test", "val", "validation")
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png"}


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
        return Pictures(
            self.images.to(device), self.labels.to(device), self.classes, self.files
        )


def load_data(data: Path) -> tuple[Pictures, Pictures]:
    """The training and the validation pictures below `data`, with the same classes."""
    training = load_pictures(find_folder(data, TRAINING_FOLDERS))
    validation = load_pictures(find_folder(data, VALIDATION_FOLDERS))
    if training.classes != validation.classes:
        raise ValueError(f"the splits below {data} do not have the same class folders")
    return training, validation


def find_folder(data: Path, names: tuple[str, ...]) -> Path:
    """The first of the named folders that exists below `data`."""
    for name in names:
        if (data / name).is_dir():
            return data / name
    raise FileNotFoundError(f"{data} has no folder named {' or '.join(names)}")


def load_pictures(folder: Path) -> Pictures:
    """Every picture below `folder`/CLASS/, the classes in the order of their folders' names."""
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            path for path in (folder / name).rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES
        )
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise FileNotFoundError(f"no pictures below {folder}; expected {folder}/CLASS/NAME.jpg")
    files = [path.relative_to(folder).as_posix() for path in paths]
    return Pictures(decode_all(paths), torch.tensor(labels), classes, files)


def decode_all(paths: list[Path]) -> Tensor:
    """(N, 3, H, W) uint8; threads suffice, because Pillow decodes outside Python's lock."""
    with ThreadPoolExecutor() as pool:
        arrays = list(pool.map(decode, paths, chunksize=256))
    sizes = {array.shape for array in arrays}
    if len(sizes) != 1:
        raise ValueError(f"the pictures have {len(sizes)} different sizes; they must share one")
    return torch.from_numpy(numpy.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def decode(path: Path) -> numpy.ndarray:
    """(H, W, 3) uint8 RGB; grey pictures get three equal channels."""
    with Image.open(path) as picture:
        return numpy.asarray(picture.convert("RGB"))


def channel_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel on the 0-1 scale, rounded to 4 digits."""
    means, deviations = [], []
    for channel in range(images.shape[1]):
        # Counting the 256 values is exact and needs no float copy of the whole data set.
        counts = torch.bincount(images[:, channel].flatten(), minlength=256).double()
        values = torch.arange(256, dtype=torch.float64, device=images.device) / 255
        mean = (counts * values).sum() / counts.sum()
        variance = (counts * (values - mean) ** 2).sum() / counts.sum()
        means.append(round(mean.item(), 4))
        deviations.append(round(variance.sqrt().item(), 4))
    return means, deviations
