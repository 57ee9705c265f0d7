"""A model behind MLServer: a runtime of one's own; MODEL names the model's folder."""

import base64
import io
import os

import numpy as np
from classifier import Classifier, best
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Pictures(MLModel):
    """Pictures in base64, or the network's own tensor."""

    async def load(self) -> bool:
        self.classifier = Classifier(os.environ["MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        given = payload.inputs[0]
        if given.datatype == "BYTES":
            batch = self.classifier.tensor(io.BytesIO(base64.b64decode(given.data[0])))[None]
        else:
            batch = NumpyCodec.decode_input(given)
        answers = [best(logits) for logits in self.classifier.logits(batch)]
        classes = np.array([[one["class"] for one in answer] for answer in answers])
        probabilities = np.array([[one["probability"] for one in answer] for answer in answers])
        outputs = [NumpyCodec.encode_output("class", classes), NumpyCodec.encode_output("probability", probabilities)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
