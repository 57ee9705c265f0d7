"""A service with a small model on free ports."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests"))
import running

FOLDER = ROOT / "target/outside"
# Quick, and known by its labels; where no flag names another.
SMALL_MODEL = ROOT / "models/cifar10-resnet20"
BINARY = Path(os.environ.get("RESNET_SERVE_BINARY", ROOT / "target/debug/resnet-serve"))


def untrained_model() -> Path:
    """A network with random weights, built when it is first needed."""
    folder = FOLDER / "untrained"
    if not (folder / "model.toml").is_file():
        subprocess.run([BINARY, "model", "build", "cifar-resnet20", "-o", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


class Service(running.Service):
    """The binary with these flags."""

    def __init__(self, *flags: str | Path) -> None:
        super().__init__(BINARY, *flags, variables={"RESNET_SERVE_MODEL": str(SMALL_MODEL)})
        self.url = f"http://{self.addresses['public']}/"
        self.admin = f"http://{self.addresses['admin']}/"
