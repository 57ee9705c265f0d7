"""What the program has, read from where it is declared: variables, metrics, paths, commands."""

import re
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def version() -> str:
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def variables() -> set[str]:
    """The variables that a command line reads."""
    return set(re.findall(r'env = "(RESNET_SERVE_\w+)"', sources()))


def metrics() -> set[str]:
    """Every series of the program's own; a histogram is three."""
    declared = (ROOT / "src/telemetry/metrics.rs").read_text()
    names = set(re.findall(r'= "(resnet_serve_\w+)"', declared))
    return names | {name + suffix for name in names for suffix in ("_bucket", "_count", "_sum")}


def networks() -> set[str]:
    """What `model fetch` can bring."""
    return set(tomllib.loads((ROOT / "models/catalogue.toml").read_text())["networks"])


def fetch_flags() -> set[str]:
    declared = (ROOT / "src/cli/model/fetch.rs").read_text()
    return {f"--{name}" for name in re.findall(r"#\[arg\([^)]*\blong\b[^)]*\)\]\s+(\w+):", declared)}


def admin_paths() -> set[str]:
    return routes((ROOT / "src/api/admin.rs").read_text())


def seconds_until_not_live() -> int:
    """Without progress."""
    stall, = re.findall(r"STALL: Duration = Duration::from_mins\((\d+)\)", (ROOT / "src/vitals.rs").read_text())
    return 60 * int(stall)


def routes(text: str) -> set[str]:
    return set(re.findall(r'\.route\(\s*"(/[^"]*)"', text))


@cache
def sources() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.rs")))
