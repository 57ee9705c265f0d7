"""Runs the image under CPU and memory limits: threads follow the first, and an overload does not break the second.

    make test-limits

Uses the image that `make test-image` has built, and is skipped where that was.
"""

import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from containers import FOLDER, IMAGE, ROOT, Container, expect, png, prepare, running, tool

CPUS = [1, 2]
MEMORY_MIB = [512, 2048]
SECONDS = 8
CLIENTS = 48
TIMEOUT_MS = 1000
# What a refusal or a deadline may answer; anything else is a fault.
EXPECTED = {200, 503, 504}


def main() -> None:
    if reason := prepare() or image_is_missing():
        print(f"skipped: {reason}")
        return
    model = writable_model()
    pictures = [png(500, 375), png(4000, 3000)]
    for cpus in CPUS:
        for mebibytes in MEMORY_MIB:
            flags = [f"--cpus={cpus}", f"--memory={mebibytes}m", f"--memory-swap={mebibytes}m",
                     f"--volume={model}:/models/resnet50", "--env=RESNET_SERVE_MODEL=/models/resnet50"]
            with running(Container("resnet-serve-limits", 23180, 23190, flags)) as container:
                ready = container.wait_until_ready()
                line = loaded(container)
                statuses = overload(container, pictures)
                report(container, (cpus, mebibytes), (ready, line, statuses))


def report(container: Container, limits: tuple[int, int], seen: tuple[float, dict, Counter]) -> None:
    (cpus, mebibytes), (ready, line, statuses) = limits, seen
    if not container.runs():
        print(dict(statuses), *container.logs().splitlines()[-20:], sep="\n")
        sys.exit(f"FAILED: under {cpus} CPUs and {mebibytes} MiB it has ended with {container.exit_code()}")
    peak = memory_peak(container)
    print(f"{cpus} CPUs, {mebibytes} MiB: ready after {ready:.1f} s, {line['sessions']} sessions of "
          f"{line['intra_threads']} threads; under {CLIENTS} clients {dict(sorted(statuses.items()))}, "
          f"at most {peak / 2**20:.0f} MiB of its own", flush=True)
    expect(line["sessions"] * line["intra_threads"] == cpus, "sessions and threads follow the CPU limit")
    expect(set(statuses) <= EXPECTED, "every request is answered, refused or told that it is too late")
    expect(statuses[200] > 0, "some are answered")
    expect(statuses[503] > 0, "it was an overload")
    expect(peak < mebibytes * 2**20, "it stays below the limit")
    expect(container.classify(png(64, 64))["results"][0]["predictions"] != [], "afterwards it answers")


def image_is_missing() -> str | None:
    done = subprocess.run([*tool("podman"), "image", "exists", IMAGE], check=False)
    return "the image is not there; `make test-image` builds it" if done.returncode else None


def writable_model() -> Path:
    """ResNet-50 with random weights, which the first start builds: the network that is full-size."""
    folder = FOLDER / "resnet50"
    shutil.copytree(ROOT / "models/resnet50", folder, dirs_exist_ok=True)
    for path in [folder, *folder.iterdir()]:
        shutil.chown(path, 10001, 10001)
    return folder


def loaded(container: Container) -> dict:
    """The fields of the log line that says how the work is laid out."""
    lines = [json.loads(line) for line in container.logs().splitlines() if line.startswith("{")]
    found = [fields(line) for line in lines if "sessions" in fields(line)]
    expect(len(found) == 1, f"one line says how many sessions there are: {lines}")
    return found[0]


def fields(line: dict) -> dict:
    return line.get("fields", line)


def overload(container: Container, pictures: list[bytes]) -> Counter:
    """Clients that ask again at once, whatever they are told; half of them with pictures of 12 megapixels."""
    statuses, lock, end = Counter(), threading.Lock(), time.monotonic() + SECONDS

    def client(body: bytes) -> None:
        while time.monotonic() < end:
            status = ask(container, body)
            with lock:
                statuses[status] += 1
            if status != 200:
                time.sleep(0.05)

    threads = [threading.Thread(target=client, args=[pictures[index % len(pictures)]]) for index in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def ask(container: Container, body: bytes) -> int | str:
    try:
        with urllib.request.urlopen(f"{container.url()}?timeout_ms={TIMEOUT_MS}", body, timeout=30) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return repr(error)


def memory_peak(container: Container) -> int:
    """Resident bytes at most, as the system counts them for the process."""
    done = subprocess.run([*tool("podman"), "inspect", "--format={{.State.Pid}}", container.name],
                          capture_output=True, text=True, check=True)
    status = Path(f"/proc/{done.stdout.strip()}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
