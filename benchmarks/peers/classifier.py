"""What every peer does with a picture: Pillow as torchvision uses it, ONNX Runtime, softmax and the best five."""

import tomllib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnxruntime
from PIL import Image
from pixels import cropped


class Classifier:
    """A model's folder as resnet-serve has it, in one session."""

    def __init__(self, folder: str | Path, threads: int = 1) -> None:
        manifest = tomllib.loads((Path(folder) / "model.toml").read_text())
        preprocess = manifest["preprocess"]
        self.shorter = preprocess["resize_shorter_side"]
        self.crop = manifest["input"]["height"]
        self.mean = np.array(preprocess["mean"], np.float32)
        self.std = np.array(preprocess["std"], np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        graph = str(Path(folder) / manifest["weights"]["file"])
        self.session = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def tensor(self, file: BinaryIO, in_full: bool = False) -> np.ndarray:
        """[3, height, width]"""
        return self.normalised(Image.open(file), in_full)

    def normalised(self, picture: Image.Image, in_full: bool = False) -> np.ndarray:
        pixels = cropped(picture, self.shorter, self.crop, in_full)
        return np.ascontiguousarray(((pixels / np.float32(255) - self.mean) / self.std).transpose(2, 0, 1))

    def logits(self, batch: np.ndarray) -> np.ndarray:
        """[n, classes] of [n, 3, height, width]"""
        return self.session.run(None, {self.input: batch})[0]


def best(logits: np.ndarray) -> list[dict]:
    """The five most probable classes of one picture."""
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    return [{"class": int(c), "probability": float(weights[c])} for c in np.argsort(-weights)[:5]]
