"""Replaces two replicas behind a load balancer, one by one, under load: no request may fail.

    make test-rollout

Kubernetes without a cluster: haproxy in the Service's place asks each replica's `/ready` as the kubelet would, and a new
process takes an old one's place as a Deployment with `maxUnavailable: 0` does it. Needs haproxy (Debian package).
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REPLICAS = 2
# The balancer asks every 200 ms and believes the first answer; the drain takes five times as long as that.
CHECK_INTERVAL, DRAIN_DELAY = "200ms", "1s"
HAPROXY = """
global
    maxconn 2000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    # A connection that was closed before a request went over it: any proxy tries another.
    retry-on conn-failure empty-response
    option redispatch 1
    http-reuse safe
frontend service
    bind 127.0.0.1:{port}
    default_backend replicas
backend replicas
    option httpchk GET /ready
    http-check expect status 200
    default-server check inter {interval} rise 1 fall 1
{servers}
"""


@dataclass
class Replica:
    """A place behind the balancer: its ports stay, the process in it changes."""

    public: int
    admin: int
    process: subprocess.Popen | None = None

    def start(self, binary: Path) -> None:
        command = [binary, "serve", f"--listen=127.0.0.1:{self.public}", f"--admin-listen=127.0.0.1:{self.admin}",
                   f"--drain-delay={DRAIN_DELAY}", "--sessions=1"]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        wait(lambda: answers(f"http://127.0.0.1:{self.admin}/ready"), "a replica becomes ready")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        if code:
            sys.exit(f"FAILED: a replica exits with {code}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=10, help="replacements of every replica (default: 10)")
    parser.add_argument("--rate", type=float, default=100, help="requests per second (default: 100)")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/resnet-serve")
    parser.add_argument("--load", type=Path, default=ROOT / "target/release/examples/load")
    options = parser.parse_args()
    if shutil.which("haproxy") is None:
        print("skipped: haproxy is not installed (Debian: apt-get install haproxy)")
        return
    # One place more than replicas: the new one becomes ready before an old one goes.
    places = [Replica(free_port(), free_port()) for _ in range(REPLICAS + 1)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            roll(options, places, Path(folder))
        finally:
            for place in places:
                if place.process and place.process.poll() is None:
                    place.process.kill()


def roll(options: argparse.Namespace, places: list[Replica], folder: Path) -> None:
    for place in places[:REPLICAS]:
        place.start(options.binary)
    port = free_port()
    balancer = balance(places, port, folder)
    wait(lambda: answers(f"http://127.0.0.1:{port}/models"), "the balancer finds a replica")
    pictures = folder / "pictures"
    pictures.mkdir()
    (pictures / "green.bmp").write_bytes(bmp())
    # Longer than all rollouts take; an interrupt ends it.
    command = [options.load, f"http://127.0.0.1:{port}/classify", "--photos", pictures, "--rate", options.rate,
               "--duration", 3600]
    load = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    old = 0
    for rollout in range(1, options.rollouts + 1):
        for _ in range(REPLICAS):
            new = (old + REPLICAS) % len(places)
            places[new].start(options.binary)
            # The balancer asks once more before the new one counts.
            time.sleep(0.5)
            places[old].stop()
            old = (old + 1) % len(places)
        print(f"rollout {rollout}: {REPLICAS} replicas replaced", flush=True)
    load.send_signal(signal.SIGINT)
    report = json.loads(load.communicate(timeout=60)[0])
    balancer.kill()
    judge(report)


def judge(report: dict) -> None:
    bad = {name: report[name] for name in ("refused", "expired", "not_connected", "lost") if report[name]}
    bad |= report["other_statuses"]
    print(f"{report['requests']} requests, {report['answered_in_time']} answered, failed: {bad or 'none'}")
    if bad or report["answered_in_time"] != report["requests"]:
        sys.exit("FAILED: requests failed during a rollout")


def balance(places: list[Replica], port: int, folder: Path) -> subprocess.Popen:
    servers = [f"    server r{index} 127.0.0.1:{place.public} port {place.admin}" for index, place in enumerate(places)]
    text = HAPROXY.format(port=port, interval=CHECK_INTERVAL, servers="\n".join(servers))
    (folder / "haproxy.cfg").write_text(text)
    return subprocess.Popen(["haproxy", "-db", "-f", folder / "haproxy.cfg"], stderr=subprocess.DEVNULL)


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
