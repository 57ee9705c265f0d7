"""A running service with the default model, and a picture whose tensor needs no resizing."""

import base64
import json
import subprocess
import tomllib
import urllib.request
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = "cifar10-resnet20"
SIDE, CLASSES = 32, 10
FLAGS = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0", "--log-format=json"]


class Service:
    """The binary on free ports, until it is closed."""

    def __init__(self, binary: Path) -> None:
        command = [binary, "serve", "--model", f"models/{MODEL}", "--provider=cpu", *FLAGS]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.addresses = {}
        for text in self.process.stderr:
            line = json.loads(text)
            if line["message"] == "listening":
                self.addresses[line["listener"]] = line["address"]
            if line["message"] == "ready":
                return
        raise RuntimeError(f"the service ended with {self.process.wait()}")

    def classify(self, picture: bytes) -> np.ndarray:
        """The probabilities of all classes, by `/classify`."""
        url = f"http://{self.addresses['public']}/classify?top_k={CLASSES}"
        with urllib.request.urlopen(urllib.request.Request(url, data=picture)) as response:
            predictions = json.load(response)["results"][0]["predictions"]
        probabilities = np.zeros(CLASSES, np.float32)
        for prediction in predictions:
            probabilities[prediction["class"]] = prediction["probability"]
        return probabilities

    def close(self) -> int:
        self.process.terminate()
        self.process.stderr.close()
        return self.process.wait(timeout=60)


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
