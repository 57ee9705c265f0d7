"""Replaces two replicas behind a load balancer, one by one, under load: no request may fail.

    make test-rollout

Kubernetes without a cluster: haproxy in the Service's place follows each replica's `/ready` as the kubelet does, and a
new process takes an old one's place as a Deployment with `maxUnavailable: 0` and `maxSurge: 1` does it. Once with a
balancer of connections, as kube-proxy is, and once with one of requests, as an ingress is. Neither tries a request
twice. Needs haproxy (Debian package).
"""

import argparse
import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "scripts"))
import debian

REPLICAS = 2
# Quick enough for two replicas and a third that starts, and for the load, on two cores.
MODEL = ROOT / "models/cifar10-resnet20"
HAPROXY = """
global
    maxconn 2000
defaults
    mode {mode}
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    retries 0
frontend service
    bind 127.0.0.1:{port}
    default_backend replicas
backend replicas
    balance roundrobin
    option httpchk GET /ready
    http-check expect status 200
    default-server check inter {interval}ms rise 1 fall 1
{servers}
"""
MODES = {"tcp": "balancer of connections", "http": "balancer of requests"}


@dataclass
class Replica:
    """A place behind the balancer: its ports stay, the process in it changes."""

    public: int
    admin: int
    options: argparse.Namespace
    process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [self.options.binary, "serve", f"--listen=127.0.0.1:{self.public}",
                   f"--admin-listen=127.0.0.1:{self.admin}", f"--drain-delay={self.options.drain_delay}ms", "--sessions=1",
                   "--grpc-listen=127.0.0.1:0", f"--model={MODEL}"]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        wait(lambda: answers(f"http://127.0.0.1:{self.admin}/ready"), "a replica becomes ready")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        if code:
            sys.exit(f"FAILED: a replica exits with {code}")

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()


def main() -> None:
    options = parse()
    if debian.missing(["haproxy"], ["haproxy"]):
        print("skipped: haproxy is not installed (Debian: apt-get install haproxy)")
        return
    failed = [mode for mode in options.modes if not rolls(options, mode)]
    if failed:
        sys.exit("FAILED: requests failed during a rollout")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modes", nargs="*", default=list(MODES), help="tcp, http (default: both)")
    parser.add_argument("--rollouts", type=int, default=10, help="replacements of every replica (default: 10)")
    parser.add_argument("--rate", type=float, default=100, help="requests per second (default: 100)")
    # In the manifest 2 s and 10 s.
    parser.add_argument("--period", type=int, default=200, help="milliseconds between two probes (default: 200)")
    parser.add_argument("--drain-delay", type=int, default=1000, help="milliseconds (default: 1000)")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/resnet-serve")
    parser.add_argument("--load", type=Path, default=ROOT / "target/release/examples/load")
    return parser.parse_args()


def rolls(options: argparse.Namespace, mode: str) -> bool:
    """Whether every request was answered."""
    # One place more than replicas: the new one becomes ready before an old one goes.
    places = [Replica(free_port(), free_port(), options) for _ in range(REPLICAS + 1)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            for place in places[:REPLICAS]:
                place.start()
            with balancer(mode, places, Path(folder)) as url, load(options, url, Path(folder)) as client:
                started = time.monotonic()
                replace_all(places, options.rollouts)
                took = time.monotonic() - started
                client.send_signal(signal.SIGINT)
                report = json.loads(client.communicate(timeout=90)[0])
        finally:
            for place in places:
                place.kill()
    return judge(report, f"{MODES[mode]}, {options.rollouts} rollouts of {REPLICAS} replicas in {took:.0f} s")


def replace_all(places: list[Replica], rollouts: int) -> None:
    old = 0
    for _ in range(rollouts * REPLICAS):
        places[(old + REPLICAS) % len(places)].start()
        # As a Deployment does, at once: whether balancers know the new one already is not asked.
        places[old].stop()
        old = (old + 1) % len(places)


def judge(report: dict, what: str) -> bool:
    bad = {name: report[name] for name in ("refused", "expired", "not_connected", "lost") if report[name]}
    bad |= report["other_statuses"]
    slowest = f"{report['answers_ms']['p50']:.1f} ms, at most {report['answers_ms']['max']:.0f} ms"
    print(f"{what}: {report['requests']} requests, {report['answered_in_time']} answered (half within {slowest}), "
          f"failed: {bad or 'none'}", flush=True)
    return not bad and report["requests"] > 0 and report["answered_in_time"] == report["requests"]


@contextlib.contextmanager
def balancer(mode: str, places: list[Replica], folder: Path) -> Iterator[str]:
    port = free_port()
    interval = places[0].options.period
    servers = [f"    server r{index} 127.0.0.1:{place.public} port {place.admin}" for index, place in enumerate(places)]
    text = HAPROXY.format(mode=mode, port=port, interval=interval, servers="\n".join(servers))
    (folder / "haproxy.cfg").write_text(text)
    process = subprocess.Popen(["haproxy", "-db", "-f", folder / "haproxy.cfg"], stderr=subprocess.DEVNULL)
    try:
        # Until the first probes all servers count as up.
        wait(lambda: answers(f"http://127.0.0.1:{port}/models"), "the balancer finds a replica")
        time.sleep(2 * interval / 1000)
        yield f"http://127.0.0.1:{port}/classify"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def load(options: argparse.Namespace, url: str, folder: Path) -> Iterator[subprocess.Popen]:
    pictures = folder / "pictures"
    pictures.mkdir()
    (pictures / "green.bmp").write_bytes(bmp())
    # Longer than all rollouts take; an interrupt ends it.
    command = [options.load, url, "--photos", pictures, "--rate", options.rate, "--duration", 3600]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()


def bmp() -> bytes:
    """A picture of 32x32 green pixels."""
    pixels = bytes([0, 160, 0]) * 32 * 32
    header = b"BM" + (54 + len(pixels)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + (32).to_bytes(4, "little") * 2 + (1).to_bytes(2, "little")
    return header + (24).to_bytes(2, "little") + bytes(24) + pixels


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        return False


def wait(condition, what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"FAILED: {what}")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
