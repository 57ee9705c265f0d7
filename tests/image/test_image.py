"""Builds the CPU image and runs it as the manifest would: user, read-only root, limits, no capabilities.

    make test-image

Needs root, buildah, podman, runc and mmdebstrap (Debian packages), no registry and no Docker engine. Where they are
missing it installs them if it may, and else says why it was skipped.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bases
from containers import FOLDER, IMAGE, ROOT, Container, expect, png, podman, prepare, running, tool

import build_image  # in scripts/, which the line above has made known

LARGEST_MIB = 120
MEMORY = "512m"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, help="a picture to classify (default: one of a single colour)")
    options = parser.parse_args()
    if reason := prepare():
        print(f"skipped: {reason}")
        return
    build()
    check_configuration()
    check_size()
    check_refusals()
    body = options.picture.read_bytes() if options.picture else png(500, 375)
    with running(Container("resnet-serve-test", 23080, 23090, [f"--memory={MEMORY}"])) as container:
        print(f"ready after {container.wait_until_ready():.1f} s")
        check_answers(container, body)
        stop_under_load(container, body)


def build() -> None:
    engine = [*tool("buildah"), "build-using-dockerfile", "--isolation=chroot", "--pull=never", "--layers",
              "--format=docker", "--quiet"]
    started = time.monotonic()
    stand_ins = bases.build_arguments(tool("buildah"), FOLDER)
    print(f"base images made in {time.monotonic() - started:.0f} s", flush=True)
    started = time.monotonic()
    build_image.build(engine, "docker/Dockerfile", IMAGE, stand_ins)
    print(f"image built in {time.monotonic() - started:.0f} s", flush=True)


def check_configuration() -> None:
    config = json.loads(podman("image", "inspect", IMAGE))[0]["Config"]
    expect(config["User"] == "10001:10001", "the user is a number and not root")
    expect(config["StopSignal"] in ("SIGTERM", "15"), "it stops on SIGTERM")
    expect(config["Entrypoint"] == ["/app/resnet-serve"], "the program is the entry point, without a shell")
    labels = {name.removeprefix("org.opencontainers.image.") for name in config["Labels"]}
    expect({"title", "version", "revision", "licenses", "base.name"} <= labels, f"it is labelled: {labels}")
    expect(config["Labels"]["org.opencontainers.image.version"] == build_image.version(), "with the program's version")


def check_size() -> None:
    inspected = json.loads(podman("image", "inspect", IMAGE))[0]
    default = (ROOT / "models/default").read_text().strip()
    model = sum(file.stat().st_size for file in (ROOT / "models" / default).iterdir())
    mebibytes = (inspected["Size"] - model) / 2**20
    layers = [line for line in podman("history", "--format={{.Size}}  {{.CreatedBy}}", IMAGE).splitlines()
              if not line.startswith("0 B")]
    print(f"{mebibytes:.1f} MiB without the model; layers:", *layers, sep="\n  ")
    expect(mebibytes < LARGEST_MIB, f"it has less than {LARGEST_MIB} MiB without the model")


def check_refusals() -> None:
    """The image has no shell, and a device that is not there is an error and not the CPU."""
    shell = run("--entrypoint=/bin/sh", IMAGE, "-c", "true")
    expect(shell.returncode != 0, "there is no shell")
    cuda = run("--env=RESNET_SERVE_PROVIDER=cuda", IMAGE, "serve", "--check")
    expect(cuda.returncode == 78, f"without a GPU `cuda` is a configuration that fails: {cuda.stderr}")


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*tool("podman"), "run", "--rm", "--network=none", *arguments], capture_output=True, text=True)


def check_answers(container: Container, body: bytes) -> None:
    # Not scheduled without systemd; podman runs it when it is told to.
    health = subprocess.run([*tool("podman"), "healthcheck", "run", container.name], capture_output=True, text=True)
    expect(health.returncode == 0, f"the health check passes: {health.stdout}{health.stderr}")
    print("classified:", container.classify(body)["results"][0]["predictions"][0])
    expect('outcome="classified"} 1' in container.metrics(), "the metrics have counted it")


def stop_under_load(container: Container, body: bytes) -> None:
    """`podman stop` while requests come: all that were accepted are answered."""
    program = f"""
import sys, urllib.request, urllib.error
body = open(sys.argv[1], "rb").read()
answered = 0
while True:
    try:
        urllib.request.urlopen("{container.url()}", body, timeout=20).read()
        answered += 1
    except urllib.error.URLError as error:
        # Nobody listens any more; anything else is a request that was lost.
        print(answered if isinstance(error.reason, ConnectionRefusedError) else repr(error))
        break
    except Exception as error:
        print(repr(error))
        break
"""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        command = [sys.executable, "-c", program, file.name]
        clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        time.sleep(2)
        podman("stop", "--time=30", container.name)
        ended = [client.communicate()[0].strip() for client in clients]
    print(f"stopped under load: {' + '.join(ended)} requests answered, exit code {container.exit_code()}")
    expect(all(answered.isdigit() and int(answered) > 0 for answered in ended), "no accepted request is lost")
    expect(container.exit_code() == 0, "it exits with 0")


if __name__ == "__main__":
    main()
