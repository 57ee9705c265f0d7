#!/usr/bin/env python3
"""Builds the container image with whichever of docker, podman and buildah works here."""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Docker's own format: the other two would leave out the health check.
ENGINES = {
    "docker": ["docker", "build"],
    "podman": ["podman", "build", "--format=docker"],
    "buildah": ["buildah", "build-using-dockerfile", "--format=docker", "--layers"],
}
NAME = "resnet-serve"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, help="default: the first that works")
    parser.add_argument("--flavor", choices=["cpu", "gpu"], default="cpu", help="gpu builds both (default: cpu)")
    parser.add_argument("--name", default=NAME, help="of the image, tagged `latest` and with the version; for GPUs `cuda` and `VERSION-cuda` (default: %(default)s)")
    options, others = parser.parse_known_args()
    command = ENGINES[options.engine or working_engine()]
    tagged = f"{options.name}:{version()}"
    cpu = build(command, "docker/Dockerfile", f"{options.name}:latest", [f"--tag={tagged}", *others])
    if options.flavor == "gpu":
        more = [f"--tag={tagged}-cuda", f"--build-arg=PROGRAM_IMAGE={cpu}"]
        build(command, "docker/Dockerfile.cuda", f"{options.name}:cuda", [*more, *others])


def build(command: list[str], dockerfile: str, image: str, others: list[str]) -> str:
    """Builds one image and returns its name; `others` are arguments of the engine, such as `--build-arg=…`."""
    print(f"Building {image} with {command[0]}", flush=True)
    labels = [f"--build-arg=VERSION={version()}", f"--build-arg=COMMIT={commit()}"]
    done = subprocess.run([*command, *labels, *others, f"--file={dockerfile}", f"--tag={image}", "."], cwd=ROOT)
    if done.returncode:
        sys.exit(f"error: {command[0]} could not build {image}; its message stands above")
    return image


def working_engine() -> str:
    """A client may be installed without the engine that it talks to."""
    for name in ENGINES:
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True).returncode == 0:
            return name
    sys.exit("error: none of docker, podman and buildah works here; install one (Debian: apt-get install buildah)")


def version() -> str:
    return re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def commit() -> str:
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
