"""The same network behind LitServe, as its documentation advises: a worker a core, small batches, a timeout.

Started by run.py; takes the graph, the port, and how long a request may wait.
"""

import argparse
import os

import litserve
import numpy as np
import onnxruntime
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class Classifier(litserve.LitAPI):
    """Pillow as torchvision uses it, and one session with one thread a worker."""

    def __init__(self, graph: str, **options: float) -> None:
        super().__init__(**options)
        self.graph = graph

    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.graph, options, ["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def decode_request(self, request) -> np.ndarray:  # an annotation would be taken for a schema
        picture = Image.open(request["request"].file).convert("RGB")
        width, height = picture.size
        size = (256, 256 * height // width) if width <= height else (256 * width // height, 256)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
        left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
        pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)))
        return ((pixels / np.float32(255) - MEAN) / STD).transpose(2, 0, 1)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.ascontiguousarray(np.stack(inputs))

    def predict(self, batch: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.input: batch})[0]

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return list(output)

    def encode_response(self, logits: np.ndarray) -> dict:
        weights = np.exp(logits - logits.max())
        best = np.argsort(-weights)[:5]
        return {"predictions": [{"class": int(c), "probability": float(weights[c] / weights.sum())} for c in best]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graph")
    parser.add_argument("port", type=int)
    parser.add_argument("timeout", type=float, help="seconds")
    arguments = parser.parse_args()
    api = Classifier(arguments.graph, max_batch_size=4, batch_timeout=0.005)
    workers = len(os.sched_getaffinity(0))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=arguments.timeout)
    server.run(host="127.0.0.1", port=arguments.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
