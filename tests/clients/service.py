"""A running service with the default model, and a picture whose tensor needs no resizing."""

import base64
import sys
import tomllib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests"))
import running

MODEL = "cifar10-resnet20"
SIDE, CLASSES = 32, 10


class Service(running.Service):
    """The binary with the model, on the CPU."""

    def __init__(self, binary: Path) -> None:
        super().__init__(binary, f"--model=models/{MODEL}", "--provider=cpu")

    def probabilities(self, picture: bytes) -> np.ndarray:
        """Those of all classes, by `/classify`."""
        probabilities = np.zeros(CLASSES, np.float32)
        for prediction in self.classify(picture, f"?top_k={CLASSES}")["results"][0]["predictions"]:
            probabilities[prediction["class"]] = prediction["probability"]
        return probabilities


def pixels(seed: int = 0) -> np.ndarray:
    """A picture in the network's size, `[32, 32, 3]`."""
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def bmp(picture: np.ndarray) -> bytes:
    """The picture as a file that loses nothing."""
    rows = picture[::-1, :, ::-1].tobytes()
    header = b"BM" + (54 + len(rows)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + SIDE.to_bytes(4, "little") * 2 + (1).to_bytes(2, "little")
    return header + (24).to_bytes(2, "little") + bytes(24) + rows


def tensor(picture: np.ndarray) -> np.ndarray:
    """What the network takes, `[3, 32, 32]`, as its model.toml says."""
    manifest = tomllib.loads((ROOT / "models" / MODEL / "model.toml").read_text())["preprocess"]
    mean, std = (np.array(manifest[key], np.float32) for key in ("mean", "std"))
    return ((picture.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)


def pictures(files: list[bytes], encoded: bool = False) -> np.ndarray:
    """A tensor of `BYTES`; in JSON the files are base64."""
    return np.array([base64.b64encode(file) if encoded else file for file in files], np.object_)
