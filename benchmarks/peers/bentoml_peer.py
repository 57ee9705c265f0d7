"""A model behind BentoML; `bentoml serve` imports `Resnet`, and MODEL names the model's folder."""

import os

import bentoml
import numpy as np
from classifier import Classifier, best
from PIL import Image


@bentoml.service(workers="cpu_count", traffic={"timeout": 60})
class Resnet:
    def __init__(self) -> None:
        self.classifier = Classifier(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=4, max_latency_ms=60_000)
    def predict(self, images: list[Image.Image]) -> list[dict]:
        batch = np.stack([self.classifier.normalised(image) for image in images])
        return [{"predictions": best(logits)} for logits in self.classifier.logits(batch)]
