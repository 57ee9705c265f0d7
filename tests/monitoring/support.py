"""A real service, a real Prometheus, and what they need."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
MONITORING = ROOT / "monitoring"
FOLDER = ROOT / "target/test-monitoring"
BINARY = Path(os.environ.get("RESNET_SERVE_BINARY", ROOT / "target/debug/resnet-serve"))
SMALL_MODEL = "models/cifar10-resnet20"  # quick; where no flag names another
PATIENCE = 60  # seconds until something that must happen has happened


def until(what: str, attempt: Callable[[], object]) -> object:
    """Tries again and again until there is something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := attempt():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def picture() -> bytes:
    """A gray PNG of 64×48 pixels."""
    row = b"\0" + bytes(range(64))
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * 48)) + chunk(b"IEND", b"")


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def untrained_model(name: str) -> Path:
    """A network with random weights under that name, built when it is first needed."""
    folder = FOLDER / "models" / name
    if not (folder / "model.toml").is_file():
        subprocess.run([BINARY, "model", "build", "cifar-resnet20", "-o", folder], check=True, stdout=subprocess.DEVNULL)
        manifest = folder / "model.toml"
        manifest.write_text(re.sub(r'(?m)^name = .*', f'name = "{name}"', manifest.read_text(), count=1))
    return folder


def ensemble(name: str, *members: str) -> Path:
    """A model that averages two with random weights."""
    folders = [untrained_model(member) for member in members]
    folder = folders[0].parent / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(
        f'name = "{name}"\nversion = "1"\ntrained = false\n[ensemble]\nmembers = {json.dumps(list(members))}\n')
    return folder


def copy_of_a_model(name: str) -> Path:
    """The small model in a folder that a test may spoil."""
    folder = FOLDER / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / SMALL_MODEL, folder)
    return folder


def certificate() -> list[str]:
    """The flags for TLS, with a certificate that signs itself."""
    certificate, key = FOLDER / "tls.crt", FOLDER / "tls.key"
    FOLDER.mkdir(parents=True, exist_ok=True)
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", *subject,
                    "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    return [f"--tls-cert={certificate}", f"--tls-key={key}"]


def api_key(name: str) -> tuple[str, str]:
    """The flag for a file with a new key, and the key."""
    made = subprocess.run([BINARY, "key", "new", name], check=True, capture_output=True, text=True)
    file = FOLDER / "keys"
    file.write_text(made.stdout)
    return f"--api-keys-file={file}", made.stderr.split()[-1]


def gpu_library() -> dict[str, str]:
    """The variable with which NVIDIA's library is one that tells of two GPUs."""
    folder = FOLDER / "nvml"
    folder.mkdir(parents=True, exist_ok=True)
    source = ROOT / "tests/fixtures/nvml/two_gpus.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", source], check=True)
    return {"LD_LIBRARY_PATH": str(folder)}


class Service:
    """The binary; ready when it is there, gone at the end of the block."""

    def __init__(self, *flags: str | Path, admin: int = 0, variables: dict[str, str] | None = None, descriptors: int = 0):
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.log = FOLDER / f"service-{time.monotonic_ns()}.log"
        listeners = ["--listen=127.0.0.1:0", f"--admin-listen=127.0.0.1:{admin}", "--grpc-listen=127.0.0.1:0",
                     "--log-format=json"]
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))) if descriptors else None
        with self.log.open("w") as log:
            environment = os.environ | {"RUST_LOG": "info", "RESNET_SERVE_MODEL": SMALL_MODEL} | (variables or {})
            self.process = subprocess.Popen([BINARY, "serve", *listeners, *flags], cwd=ROOT, stderr=log, env=environment, preexec_fn=limit)
        until("the service is ready", lambda: self.lines("ready") or self.process.poll())
        if self.process.poll() is not None:
            raise AssertionError(self.log.read_text())
        addresses = {line["listener"]: line["address"] for line in self.lines("listening")}
        self.public, self.admin = addresses["public"], addresses["admin"]
        self.scheme = "https" if any(str(flag).startswith("--tls-cert") for flag in flags) else "http"

    def lines(self, message: str) -> list[dict]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line.get("message") == message]

    def classify(self, body: bytes, query: str = "", headers: dict[str, str] | None = None) -> int:
        return self.post(f"{self.public}/classify{query}", body, headers or {"content-type": "image/png"})

    def reload(self) -> int:
        return self.post(f"{self.admin}/models/reload", b"", {})

    def post(self, place: str, body: bytes, headers: dict[str, str]) -> int:
        request = urllib.request.Request(f"{self.scheme}://{place}", body, headers)
        # The certificate signs itself.
        context = ssl._create_unverified_context() if self.scheme == "https" else None
        try:
            with urllib.request.urlopen(request, timeout=40, context=context) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code

    def connect(self, head: bytes = b"") -> socket.socket:
        host, port = self.public.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)))
        connection.sendall(head)
        return connection

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Prometheus:
    """Debian's, with the project's rules, hurried: it looks every second, and alerts wait for one."""

    def __init__(self) -> None:
        self.folder = FOLDER / "prometheus"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name in ("rules.yaml", "alerts.yaml"):
            text = (MONITORING / name).read_text()
            (self.folder / name).write_text(re.sub(r"(?m)^( *for:) .*$", r"\1 1s", text))
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        scrape, = config["scrape_configs"]
        del scrape["static_configs"]
        self.targets = self.folder / "targets.json"
        scrape["tls_config"] = {"insecure_skip_verify": True}
        scrape["file_sd_configs"] = [{"files": [str(self.targets)], "refresh_interval": "1s"}]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.watch()
        self.url = f"http://127.0.0.1:{free_port()}"
        flags = [f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address={self.url[7:]}"]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(["prometheus", *flags], stdout=log, stderr=log)
        until("Prometheus is ready", self.ready)

    def ready(self) -> bool:
        try:
            return get(f"{self.url}/-/ready")[0] == 200
        except OSError:
            return False

    def watch(self, *addresses: str, encrypted: tuple[str, ...] = ()) -> None:
        """From now on these are scraped, and no others."""
        new = self.targets.with_suffix(".new")
        tls = [{"targets": list(encrypted), "labels": {"__scheme__": "https"}}] if encrypted else []
        new.write_text(json.dumps([{"targets": list(addresses)}, *tls]))
        new.rename(self.targets)

    def api(self, path: str, **parameters: str) -> dict:
        status, text = get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if status != 200:
            raise AssertionError(f"{parameters}: {text}")
        return json.loads(text)["data"]

    def query(self, expression: str) -> list[dict]:
        return self.api("query", query=expression)["result"]

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.api("alerts")["alerts"] if alert["state"] == "firing"}

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
