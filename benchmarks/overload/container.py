"""A cgroup made by hand, version 1 or 2: what a container's limits are."""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD = 100_000  # microseconds, the usual one


class NotAllowed(Exception):
    """Whoever runs this may make no cgroup here."""


class Cgroup:
    """Limits for a process and its children; removed at the end."""

    def __init__(self, cpus: float, memory: int) -> None:
        name = f"resnet-serve-{os.getpid()}"
        quota = int(cpus * PERIOD)
        self.unified = (ROOT / "cgroup.controllers").exists()
        if self.unified:
            self.memory = ROOT / name
            self.settings = {self.memory: {"cpu.max": f"{quota} {PERIOD}", "memory.max": memory}}
        else:
            self.memory = ROOT / "memory" / name
            self.settings = {
                ROOT / "cpu" / name: {"cpu.cfs_period_us": PERIOD, "cpu.cfs_quota_us": quota},
                self.memory: {"memory.limit_in_bytes": memory},
            }

    def __enter__(self) -> "Cgroup":
        try:
            for folder, files in self.settings.items():
                folder.mkdir()
                for file, value in files.items():
                    (folder / file).write_text(str(value))
        except OSError as cause:
            self.__exit__()
            raise NotAllowed(f"no cgroup can be made here: {cause}") from cause
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self.settings:
            if folder.exists():
                folder.rmdir()

    def enter(self) -> list[str]:
        """What stands before a command so that it runs inside."""
        joins = " && ".join(f"echo $$ > {folder}/cgroup.procs" for folder in self.settings)
        return ["sh", "-c", f'{joins} && exec "$@"', "sh"]

    def peak_mib(self) -> float:
        """The most memory that it has had, page cache included."""
        file = "memory.peak" if self.unified else "memory.max_usage_in_bytes"
        return int((self.memory / file).read_text()) / 2**20
