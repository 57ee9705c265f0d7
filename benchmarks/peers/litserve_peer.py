"""A model behind LitServe, as its documentation advises: a worker a core, small batches, a timeout.

Takes the model's folder, the port, and how long a request may wait.
"""

import argparse
import os

import litserve
import numpy as np
from classifier import Classifier, best


class Api(litserve.LitAPI):
    """One session with one thread a worker; a worker decodes its pictures by itself."""

    def __init__(self, folder: str, **options: float) -> None:
        super().__init__(**options)
        self.folder = folder

    def setup(self, device: str) -> None:
        self.classifier = Classifier(self.folder)

    def decode_request(self, request) -> np.ndarray:  # an annotation would be taken for a schema
        return self.classifier.tensor(request["request"].file)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.ascontiguousarray(np.stack(inputs))

    def predict(self, batch: np.ndarray) -> np.ndarray:
        return self.classifier.logits(batch)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return list(output)

    def encode_response(self, logits: np.ndarray) -> dict:
        return {"predictions": best(logits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("port", type=int)
    parser.add_argument("timeout", type=float, help="seconds")
    arguments = parser.parse_args()
    api = Api(arguments.folder, max_batch_size=4, batch_timeout=0.005)
    workers = len(os.sched_getaffinity(0))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=arguments.timeout)
    server.run(host="127.0.0.1", port=arguments.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
