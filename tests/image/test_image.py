"""Builds the CPU image and runs it as the manifest would: user, read-only root, limits, no capabilities.

    make test-image

Needs root, buildah, podman, runc and mmdebstrap (Debian packages), no registry and no Docker engine. Where they are
missing it installs them if it may, and else says why it was skipped.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import bases

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "target/test-image"
TOOLS = {"buildah": "buildah", "podman": "podman", "runc": "runc", "mmdebstrap": "mmdebstrap"}
PACKAGES = [*TOOLS.values(), "uidmap", "catatonit", "netavark"]
IMAGE = "localhost/resnet-serve:test"
NAME = "resnet-serve-test"
PUBLIC, ADMIN = 23080, 23090
LARGEST_MIB = 120
# Without systemd and on machines whose cgroups are a mixture of both versions.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, help="a picture to classify (default: one of a single colour)")
    options = parser.parse_args()
    reason = unusable()
    if reason:
        print(f"skipped: {reason}")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "containers.conf").write_text(CONTAINERS_CONF)
    os.environ["CONTAINERS_CONF"] = str(FOLDER / "containers.conf")
    build()
    check_configuration()
    check_size()
    try:
        run(options.picture)
    finally:
        subprocess.run([*tool("podman"), "rm", "--force", "--time=0", NAME], stdout=subprocess.DEVNULL)


def unusable() -> str | None:
    """Why the test cannot run here, after what can be installed was."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    if not bases.SOURCES.exists():
        return "makes its base images of Debian's packages"
    if any(shutil.which(program) is None for program in TOOLS):
        command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *PACKAGES]
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "--quiet"], stdout=subprocess.DEVNULL, check=False)
        subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, check=False)
    missing = [program for program in TOOLS if shutil.which(program) is None]
    return f"{', '.join(missing)} cannot be installed" if missing else None


def tool(program: str) -> list[str]:
    """Both tools share a store of their own."""
    return [program, "--storage-driver=overlay", f"--root={FOLDER}/store", f"--runroot={FOLDER}/run"]


def build() -> None:
    arguments = bases.build_arguments(tool("buildah"), FOLDER)
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    started = time.monotonic()
    command = [*tool("buildah"), "build-using-dockerfile", "--isolation=chroot", "--pull=never", "--layers",
               "--format=docker", "--quiet", f"--build-arg=COMMIT={commit.stdout.strip() or 'unknown'}", *arguments,
               "--file=docker/Dockerfile", f"--tag={IMAGE}", "."]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    print(f"built in {time.monotonic() - started:.0f} s")


def check_configuration() -> None:
    inspected = podman("image", "inspect", IMAGE)
    config = json.loads(inspected)[0]["Config"]
    expect(config["User"] == "10001:10001", "the user is a number and not root")
    expect(config["StopSignal"] in ("SIGTERM", "15"), "it stops on SIGTERM")
    expect(config["Entrypoint"] == ["/app/resnet-serve"], "the program is the entry point, without a shell")
    expect("org.opencontainers.image.revision" in config["Labels"], "it is labelled")


def check_size() -> None:
    inspected = json.loads(podman("image", "inspect", IMAGE))[0]
    model = sum(file.stat().st_size for file in (ROOT / "models/cifar10-resnet20").iterdir())
    mebibytes = (inspected["Size"] - model) / 2**20
    layers = [line for line in podman("history", "--format={{.Size}}  {{.CreatedBy}}", IMAGE).splitlines()
              if not line.startswith("0 B")]
    print(f"{mebibytes:.1f} MiB without the model; layers:", *layers, sep="\n  ")
    expect(mebibytes < LARGEST_MIB, f"it has less than {LARGEST_MIB} MiB without the model")


def run(picture: Path | None) -> None:
    flags = ["--detach", f"--name={NAME}", "--network=host", "--read-only", "--read-only-tmpfs=false",
             "--user=10001:10001", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=512m"]
    listen = [f"--env=RESNET_SERVE_LISTEN=127.0.0.1:{PUBLIC}", f"--env=RESNET_SERVE_ADMIN_LISTEN=127.0.0.1:{ADMIN}"]
    started = time.monotonic()
    podman("run", *flags, *listen, IMAGE)
    while not answers(f"http://127.0.0.1:{ADMIN}/ready"):
        expect(time.monotonic() - started < 60, "it becomes ready within a minute")
        time.sleep(0.05)
    print(f"ready after {time.monotonic() - started:.1f} s")
    probe = subprocess.run([*tool("podman"), "exec", NAME, "/app/resnet-serve", "probe"], capture_output=True, text=True)
    expect(probe.returncode == 0, f"the health check passes: {probe.stderr}")
    body = picture.read_bytes() if picture else bmp()
    answer = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{PUBLIC}/classify?top_k=1", body).read())
    print("classified:", answer["results"][0]["predictions"][0])
    scraped = urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics").read().decode()
    expect('outcome="classified"} 1' in scraped, "the metrics have counted it")
    stop_under_load(body)


def stop_under_load(body: bytes) -> None:
    """`podman stop` while requests come: all that were accepted are answered."""
    program = f"""
import sys, urllib.request, urllib.error
body = open(sys.argv[1], "rb").read()
answered = 0
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:{PUBLIC}/classify", body, timeout=20).read()
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
        podman("stop", "--time=30", NAME)
        ended = [client.communicate()[0].strip() for client in clients]
    code = podman("inspect", "--format={{.State.ExitCode}}", NAME).strip()
    print(f"stopped under load: {' + '.join(ended)} requests answered, exit code {code}")
    expect(all(answered.isdigit() and int(answered) > 0 for answered in ended), "no accepted request is lost")
    expect(code == "0", "it exits with 0")


def bmp() -> bytes:
    """A picture of 32x32 green pixels."""
    pixels = bytes([0, 160, 0]) * 32 * 32
    size = 54 + len(pixels)
    header = b"BM" + size.to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + (32).to_bytes(4, "little") * 2 + (1).to_bytes(2, "little")
    header += (24).to_bytes(2, "little") + bytes(24)
    return header + pixels


def podman(*arguments: str) -> str:
    done = subprocess.run([*tool("podman"), *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: podman {arguments[0]}: {done.stderr}")
    return done.stdout


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        return False


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"FAILED: {what}")


if __name__ == "__main__":
    main()
