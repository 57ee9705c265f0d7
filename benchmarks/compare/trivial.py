"""Writes a network that costs next to nothing, so that what is left is the server: TARGET_FOLDER LABELS.

The mean of each colour, and a thousand classes made of them by fixed weights.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MANIFEST = """name = "trivial"
version = "1"
trained = false

[weights]
file = "model.onnx"

[input]
name = "input"
layout = "nchw"
type = "float32"
height = 224
width = 224

[preprocess]
resize_shorter_side = 256
interpolation = "bilinear"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
color = "rgb"

[output]
name = "logits"
activation = "softmax"
labels = "labels.tsv"
"""


def graph() -> onnx.ModelProto:
    weights = np.random.default_rng(0).normal(0, 3, (3, 1000)).astype(np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("MatMul", ["features", "weights"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes, "trivial",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1000])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> None:
    folder, labels = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(graph(), folder / "model.onnx")
    (folder / "model.toml").write_text(MANIFEST)
    (folder / "labels.tsv").write_bytes(labels.read_bytes())


if __name__ == "__main__":
    main()
