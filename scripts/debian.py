"""Installs Debian packages that a test needs, where that is allowed."""

import os
import shutil
import subprocess
from collections.abc import Iterable


def missing(programs: Iterable[str], packages: Iterable[str]) -> list[str]:
    """Those of the programs that are not there, after what can be installed was."""
    absent = [program for program in programs if shutil.which(program) is None]
    if not absent or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return absent
    print(f"Installing {', '.join(packages)}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], stdout=subprocess.DEVNULL, check=False)
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, check=False)
    return [program for program in absent if shutil.which(program) is None]
