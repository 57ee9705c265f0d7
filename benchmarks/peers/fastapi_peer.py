"""FastAPI with ONNX Runtime as people write it; uvicorn imports `app`, and MODEL names the model's folder."""

import os

from classifier import Classifier, best
from fastapi import FastAPI, UploadFile

app = FastAPI()
classifier = Classifier(os.environ["MODEL"])


@app.post("/predict")
def predict(file: UploadFile) -> dict:  # not async: FastAPI runs it in a thread, so that the loop goes on
    tensor = classifier.tensor(file.file)
    return {"predictions": best(classifier.logits(tensor[None])[0])}


@app.get("/health")
def health() -> dict:
    return {}
