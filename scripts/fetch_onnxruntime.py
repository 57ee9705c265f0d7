#!/usr/bin/env python3
"""Puts ONNX Runtime's shared libraries into a folder, from its hash-checked Python package."""

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = "1.31.1"
FLAVORS = ["cpu", "gpu"]
LIBRARIES = ("libonnxruntime", "libonnxruntime_providers_")
# pip takes a wheel for one Python; the shared library inside is the same for all of them.
WHEEL_PYTHON = ["--implementation", "cp", "--python-version", "3.12", "--abi", "cp312"]
PLATFORMS = {
    ("Linux", "x86_64"): ["manylinux_2_27_x86_64", "manylinux_2_28_x86_64"],
    ("Linux", "aarch64"): ["manylinux_2_27_aarch64", "manylinux_2_28_aarch64"],
    ("Darwin", "arm64"): ["macosx_14_0_arm64"],
}


def main() -> None:
    arguments = parse_arguments()
    marker = arguments.into / "VERSION"
    there = marker.read_text().strip() if marker.is_file() else ""
    accepted = [f"{VERSION} {flavor}" for flavor in ([arguments.flavor] if arguments.flavor else FLAVORS)]
    if there in accepted:
        print(f"ONNX Runtime {there} is in {arguments.into}")
        return
    flavor = arguments.flavor or FLAVORS[0]
    print(f"Fetching ONNX Runtime {VERSION} {flavor} with pip", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(flavor, Path(folder))
        names = extract(wheel, arguments.into)
    marker.write_text(f"{VERSION} {flavor}\n")
    print(f"ONNX Runtime {VERSION} {flavor} is in {arguments.into}: {', '.join(names)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / ".runtime", help="folder to fill (default: %(default)s)")
    parser.add_argument("--flavor", choices=FLAVORS,
                        help="CPU only, or with CUDA and TensorRT (default: what is there, else cpu)")
    return parser.parse_args()


def download(flavor: str, folder: Path) -> Path:
    """Returns the wheel that pip put into the folder, or exits with the reason."""
    machine = (platform.system(), platform.machine())
    if machine not in PLATFORMS:
        sys.exit(f"error: no ONNX Runtime {VERSION} is pinned for {machine[0]} on {machine[1]}; "
                 "build it yourself and set ORT_DYLIB_PATH to its shared library")
    suffix = "" if flavor == "cpu" else "-gpu"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *WHEEL_PYTHON]
    for name in PLATFORMS[machine]:
        command += ["--platform", name]
    command += ["--require-hashes", "--requirement", str(ROOT / f"docker/requirements-onnxruntime{suffix}.txt")]
    if subprocess.run([*command, "--dest", str(folder)]).returncode != 0:
        sys.exit("error: pip could not fetch ONNX Runtime (its message stands above); is `python3 -m pip` "
                 "installed (Debian: apt-get install python3-pip) and the package index in reach?")
    return next(folder.glob("*.whl"))


def extract(wheel: Path, into: Path) -> list[str]:
    """Copies the shared libraries out of the wheel; each appears whole or not at all."""
    into.mkdir(parents=True, exist_ok=True)
    names = []
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            name = Path(entry).name
            if entry.startswith("onnxruntime/capi/") and name.startswith(LIBRARIES):
                partial = into / f"{name}.partial"
                with archive.open(entry) as source, partial.open("wb") as target:
                    shutil.copyfileobj(source, target)
                partial.rename(into / name)
                names.append(name)
    return sorted(names)


if __name__ == "__main__":
    main()
