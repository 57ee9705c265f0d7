"""The binary as a running service, for tests from outside the process."""

import json
import os
import subprocess
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTENERS = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0", "--log-format=json"]
PATIENCE = 120  # seconds until something that must happen has happened


class Service:
    """The binary on free ports; ready when it is there. Its log is in `lines`, its listeners in `addresses`."""

    def __init__(self, binary: Path, *flags: str | Path, variables: dict[str, str] | None = None) -> None:
        environment = os.environ | (variables or {})
        self.process = subprocess.Popen([binary, "serve", *LISTENERS, *flags], cwd=ROOT, env=environment,
                                        stderr=subprocess.PIPE, text=True)
        self.lines: list[dict] = []
        ready = threading.Event()
        # Somebody has to read the log to its end, or the service waits until there is room for the next line.
        self.reader = threading.Thread(target=self.read, args=[ready], daemon=True)
        self.reader.start()
        if not ready.wait(PATIENCE) or self.process.poll() is not None:
            self.kill()
            raise AssertionError(f"the service did not start: {self.lines}")
        self.addresses = {line["listener"]: line["address"] for line in self.lines if line["message"] == "listening"}

    def read(self, ready: threading.Event) -> None:
        with self.process.stderr as log:
            for text in log:
                line = json.loads(text) if text.startswith("{") else {"message": text}
                self.lines.append(line)
                if line["message"] == "ready":
                    ready.set()
        self.process.wait()
        ready.set()

    def classify(self, body: bytes, query: str = "") -> dict:
        """The answer to a picture."""
        request = urllib.request.Request(f"http://{self.addresses['public']}/classify{query}", body)
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return json.load(response)

    def stop(self) -> int:
        """Lets the service end in its own way; returns its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
