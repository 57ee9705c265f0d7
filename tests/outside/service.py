"""A real service on free ports."""

import json
import os
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "target/outside"
# Quick, and known by its labels; where no flag names another.
SMALL_MODEL = ROOT / "models/cifar10-resnet20"
BINARY = Path(os.environ.get("RESNET_SERVE_BINARY", ROOT / "target/debug/resnet-serve"))


def untrained_model() -> Path:
    """A network with random weights, built when it is first needed."""
    folder = FOLDER / "untrained"
    if not (folder / "model.toml").is_file():
        subprocess.run([BINARY, "model", "build", "cifar-resnet20", "-o", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


class Service:
    """The binary on free ports; ready when it is there. Its log is in `lines`."""

    def __init__(self, *flags: str | Path):
        listeners = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0",
                     "--log-format=json"]
        environment = os.environ | {"RESNET_SERVE_MODEL": str(SMALL_MODEL)}
        self.process = subprocess.Popen([BINARY, "serve", *listeners, *flags], cwd=ROOT, env=environment,
                                        stderr=subprocess.PIPE, text=True)
        self.lines: list[dict] = []
        ready = threading.Event()
        # Somebody has to read the log, or the service waits until there is room for the next line.
        threading.Thread(target=self.read, args=[ready], daemon=True).start()
        ready.wait()
        addresses = {line["listener"]: line["address"] for line in self.lines if line.get("message") == "listening"}
        if self.process.poll() is not None:
            raise AssertionError(f"the service did not start: {self.lines}")
        self.url = f"http://{addresses['public']}/"
        self.admin = f"http://{addresses['admin']}/"

    def read(self, ready: threading.Event) -> None:
        for text in self.process.stderr:
            line = json.loads(text) if text.startswith("{") else {"message": text}
            self.lines.append(line)
            if line["message"] == "ready":
                ready.set()
        self.process.wait()
        ready.set()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
