"""A model behind Triton by way of PyTriton; takes the model's folder and the port."""

import argparse
import io
import os
import socket

import numpy as np
from classifier import Classifier, best
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

OUTPUTS = [Tensor(name="class", dtype=np.int32, shape=(5,)), Tensor(name="probability", dtype=np.float32, shape=(5,))]


def answers(logits: np.ndarray) -> dict[str, np.ndarray]:
    rows = [best(one) for one in logits]
    return {"class": np.array([[one["class"] for one in row] for row in rows], np.int32),
            "probability": np.array([[one["probability"] for one in row] for row in rows], np.float32)}


def of_pictures(classifier: Classifier):
    @batch
    def infer(image: np.ndarray) -> dict[str, np.ndarray]:
        tensors = [classifier.tensor(io.BytesIO(one)) for one in image[:, 0]]
        return answers(classifier.logits(np.stack(tensors)))

    return infer


def of_tensors(classifier: Classifier):
    @batch
    def infer(input: np.ndarray) -> dict[str, np.ndarray]:  # the name is the input's
        return answers(classifier.logits(input))

    return infer


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    classifiers = [Classifier(arguments.folder) for _ in os.sched_getaffinity(0)]
    side = classifiers[0].crop
    config = ModelConfig(max_batch_size=4, batcher=DynamicBatcher(max_queue_delay_microseconds=0))
    # gRPC and metrics are not asked, so they are not there.
    server = TritonConfig(http_address="127.0.0.1", http_port=arguments.port, grpc_address="127.0.0.1",
                          grpc_port=free_port(), allow_metrics=False, strict_readiness=True)
    with Triton(config=server) as triton:
        triton.bind("pictures", [of_pictures(one) for one in classifiers],
                    [Tensor(name="image", dtype=bytes, shape=(1,))], OUTPUTS, config=config)
        triton.bind("tensors", [of_tensors(one) for one in classifiers],
                    [Tensor(name="input", dtype=np.float32, shape=(3, side, side))], OUTPUTS, config=config)
        triton.serve()


if __name__ == "__main__":
    main()
