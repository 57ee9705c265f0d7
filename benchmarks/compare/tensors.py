"""Raw tensors by the Open Inference Protocol, as binary data where a server takes them and as JSON where not."""

import json
import random
from array import array
from typing import TYPE_CHECKING

from peers.peers import BINARY_HEADERS, HEAD, Body

if TYPE_CHECKING:
    from compare.bench import Bench

SIDE = 224
BINARY, JSON = "binary", "JSON"
# Who is asked in which form; the peers take one of them each.
TURNS = [("resnet-serve", BINARY), ("PyTriton", BINARY), ("resnet-serve", JSON), ("MLServer", JSON)]
# The peers send the best five by themselves.
BEST_FIVE = {"outputs": [{"name": "probabilities", "parameters": {"classification": 5}}]}


def body(form: str, asked: dict) -> Body:
    """Numbers as a picture's are after normalisation."""
    luck = random.Random(1)
    values = [round(luck.uniform(-2, 2), 6) for _ in range(3 * SIDE * SIDE)]
    given: dict = {"name": "input", "datatype": "FP32", "shape": [1, 3, SIDE, SIDE]}
    if form == JSON:
        return Body(json.dumps({"inputs": [given | {"data": values}], **asked}).encode(), ("Content-Type: application/json",))
    data = array("f", values).tobytes()
    given["parameters"] = {"binary_data_size": len(data)}
    return Body(json.dumps({"inputs": [given], **asked}).ljust(HEAD).encode() + data, BINARY_HEADERS)


def trial(bench: "Bench", name: str, form: str) -> dict:
    """As `Bench.serve`, with one tensor again and again."""
    bodies = bench.bodies([body(form, BEST_FIVE if name == "resnet-serve" else {})])
    with bench.contestants[name].running(bench.trivial) as server:
        bodies.answer(server.tensors_url)
        return bench.loaded(server, server.tensors_url, bodies, bench.load())
