#!/usr/bin/env python3
"""Runs Python in an environment of its own under target/, made of pinned requirements when it is first needed.

    python3 scripts/in_venv.py tests/k8s/requirements.txt -m unittest …

Where the requirements cannot be installed it says that the run is skipped.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    requirements, *command = sys.argv[1:]
    folder = environment(Path(requirements))
    if folder is None:
        print(f"skipped: {requirements} cannot be installed (pip's message stands above)")
        return
    # Programs that packages bring are found before the system's.
    os.environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    os.execv(folder / "bin/python", ["python", *command])


def environment(requirements: Path, python: Path | None = None) -> Path | None:
    """The folder of one that is complete; another one for other requirements. `python` if it must not be this one."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = ROOT / "target/venvs" / f"{requirements.resolve().parent.name}-{digest}"
    complete = folder / "complete"
    if complete.exists():
        return folder
    print(f"Installing {requirements}", flush=True)
    try:
        if python:
            subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        else:
            venv.create(folder, clear=True, with_pip=True)
        install = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", requirements], check=True)
    except subprocess.CalledProcessError as error:
        print(error, file=sys.stderr)
        return None
    complete.touch()
    return folder


if __name__ == "__main__":
    main()
