"""The servers that people would choose instead: how each is started, what it takes, and why it is tuned as it is."""

import base64
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.servers import ROOT, Server, free_port

sys.path.insert(0, str(ROOT / "scripts"))
from in_venv import environment  # noqa: E402

HERE = Path(__file__).resolve().parent
CORES = len(os.sched_getaffinity(0))
BOUNDARY = "a-picture"
HEAD = 256
BINARY_HEADERS = ("Content-Type: application/octet-stream", f"Inference-Header-Content-Length: {HEAD}")


@dataclass(frozen=True)
class Body:
    """A request's body and the header lines that it needs."""

    data: bytes
    headers: tuple[str, ...]


@dataclass(frozen=True)
class Peer:
    """`start` takes the folder of the environment's programs and the model's folder."""

    name: str
    requirements: str
    start: Callable[[Path, Path], Server]
    encode: Callable[[bytes], Body]
    best: Callable[[Any], list[dict]]
    tuning: str

    def programs(self) -> Path | None:
        """Where its Python and its commands are, installed when first needed; none where that fails."""
        # PyTriton brings a Python 3.11 that is older than some and takes the modules of the one that starts it.
        system = Path("/usr/bin/python3")
        python = system if self.requirements == "pytriton.txt" and system.exists() else None
        folder = environment(HERE / self.requirements, python)
        return folder and folder / "bin"


def raw(picture: bytes) -> Body:
    return Body(picture, ("Content-Type: image/jpeg",))


def form(field: str) -> Callable[[bytes], Body]:
    def encode(picture: bytes) -> Body:
        head = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="picture.jpg"\r\n'
                "Content-Type: image/jpeg\r\n\r\n")
        data = head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
        return Body(data, (f"Content-Type: multipart/form-data; boundary={BOUNDARY}",))

    return encode


def in_json(picture: bytes) -> Body:
    """A picture for servers of the Open Inference Protocol that take no binary data."""
    given = {"name": "image", "datatype": "BYTES", "shape": [1, 1], "data": [base64.b64encode(picture).decode()]}
    return Body(json.dumps({"inputs": [given]}).encode(), ("Content-Type: application/json",))


def binary(picture: bytes) -> Body:
    """A picture behind a JSON head that is always as long, for servers that know the binary extension."""
    given = {"name": "image", "datatype": "BYTES", "shape": [1, 1], "parameters": {"binary_data_size": len(picture) + 4}}
    head = json.dumps({"inputs": [given]}).ljust(HEAD).encode()
    return Body(head + len(picture).to_bytes(4, "little") + picture, BINARY_HEADERS)


def litserve(programs: Path, model: Path, timeout: float = 60) -> Server:
    port = free_port()
    return Server(
        command=[str(programs / "python"), str(HERE / "litserve_peer.py"), str(model), str(port), str(timeout)],
        url=f"http://127.0.0.1:{port}/predict",
        ready_url=f"http://127.0.0.1:{port}/health",
        # It does not know `timeout_ms`, and takes pictures as forms.
        load_flags=["--no-query", "--form"],
    )


def fastapi(programs: Path, model: Path) -> Server:
    port = free_port()
    return Server(
        command=[str(programs / "uvicorn"), "fastapi_peer:app", f"--port={port}", f"--workers={CORES}",
                 "--log-level=warning"],
        url=f"http://127.0.0.1:{port}/predict",
        ready_url=f"http://127.0.0.1:{port}/health",
        environment={"MODEL": str(model)},
        folder=HERE,
    )


def bentoml(programs: Path, model: Path) -> Server:
    port = free_port()
    return Server(
        command=[str(programs / "bentoml"), "serve", "bentoml_peer:Resnet", "--host=127.0.0.1",
                 f"--port={port}", "--quiet", "--do-not-track"],
        url=f"http://127.0.0.1:{port}/predict",
        ready_url=f"http://127.0.0.1:{port}/readyz",
        environment={"MODEL": str(model), "BENTOML_HOME": str(ROOT / "target/benchmarks/bentoml")},
        folder=HERE,
    )


def mlserver(programs: Path, model: Path) -> Server:
    port = free_port()
    folder = ROOT / "target/benchmarks/mlserver"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps({
        "debug": False, "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_endpoint": None,
        "parallel_workers": CORES, "gzip_enabled": False}))
    (folder / "model-settings.json").write_text(
        json.dumps({"name": "pictures", "implementation": "mlserver_peer.Pictures"}))
    return Server(
        command=[str(programs / "mlserver"), "start", str(folder)],
        url=f"http://127.0.0.1:{port}/v2/models/pictures/infer",
        tensors_url=f"http://127.0.0.1:{port}/v2/models/pictures/infer",
        ready_url=f"http://127.0.0.1:{port}/v2/models/pictures/ready",
        environment={"MODEL": str(model), "PYTHONPATH": str(HERE)},
        folder=folder,
        farewell=10,
    )


def pytriton(programs: Path, model: Path) -> Server:
    port = free_port()
    return Server(
        command=[str(programs / "python"), str(HERE / "pytriton_peer.py"), str(model), str(port)],
        url=f"http://127.0.0.1:{port}/v2/models/pictures/infer",
        tensors_url=f"http://127.0.0.1:{port}/v2/models/tensors/infer",
        ready_url=f"http://127.0.0.1:{port}/v2/models/tensors/ready",  # it is the last
        farewell=10,
    )


def predictions(answer: dict) -> list[dict]:
    return answer["predictions"]


def first_predictions(answer: list[dict]) -> list[dict]:
    return predictions(answer[0])


def outputs(answer: dict) -> list[dict]:
    """Of the Open Inference Protocol: classes and probabilities are an output each."""
    data = {output["name"]: output["data"] for output in answer["outputs"]}
    return [{"class": c, "probability": p} for c, p in zip(data["class"], data["probability"], strict=True)]


LITSERVE = Peer(
    "LitServe", "litserve.txt", litserve, form("request"), predictions,
    "a worker a core, each with a session of one thread, so that neither decoding nor the network shares an "
    "interpreter; batches of at most 4 within 5 ms, because larger ones do not pay on a CPU")

PEERS = [
    LITSERVE,
    Peer("FastAPI", "fastapi.txt", fastapi, form("file"), predictions,
         "uvicorn with uvloop and httptools, a worker a core, each with a session of one thread; a plain `def`, "
         "which runs in a thread, as FastAPI advises for work that blocks: where the connections spread unevenly `async def` "
         "left a core idle here; no access log"),
    Peer("BentoML", "bentoml.txt", bentoml, form("images"), first_predictions,
         '`workers="cpu_count"`, as it advises where the work holds the interpreter, each with a session of one thread; '
         "adaptive batches of at most 4; no usage reports. (Its workers take connections as they come, at times one of them "
         "nearly all: that is its spread)"),
    Peer("MLServer", "mlserver.txt", mlserver, in_json, outputs,
         "`parallel_workers` a core, each with a session of one thread; no debug mode, metrics or gzip; pictures as base64 "
         "in JSON, because its HTTP takes no binary data"),
    Peer("PyTriton", "pytriton.txt", pytriton, binary, outputs,
         "an instance a core, each with a session of one thread; Triton batches what waits, at most 4, and waits for "
         "nothing; no metrics; pictures as binary data"),
]
