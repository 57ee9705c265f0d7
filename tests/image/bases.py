"""Stand-ins for the Dockerfile's base images, made of Debian's packages and the toolchain that is installed.

For machines without a container registry; elsewhere the Dockerfile's own defaults are used.
"""

import re
import subprocess
from pathlib import Path

SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
SUITE = "bookworm"
# For the stages that build and fetch; one archive does for both.
BUILD = ["gcc", "libc6-dev", "python3", "python3-pip", "ca-certificates"]
# The image is little more than what these four are made of.
FINAL = ["libc6", "libgcc-s1", "libstdc++6", "base-files"]


def mirror() -> str:
    found = re.search(r"^URIs: (\S+)", SOURCES.read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"error: no mirror in {SOURCES}")
    return found[1]


def debian(archive: Path, variant: str, packages: list[str]) -> Path:
    """A root file system as a tar archive, made once."""
    if not archive.exists():
        command = ["mmdebstrap", "--quiet", f"--variant={variant}", f"--include={','.join(packages)}"]
        partial = archive.with_suffix(".partial.tar")
        subprocess.run([*command, SUITE, str(partial), mirror()], check=True)
        partial.rename(archive)
    return archive


def image(buildah: list[str], name: str, archive: Path, toolchain: Path | None = None) -> str:
    """An image of a root file system, with a Rust toolchain if one is given; made once, so that layers on it last."""
    made = subprocess.run([*buildah, "inspect", "--type=image", name], capture_output=True)
    if made.returncode == 0:
        return name
    done = subprocess.run([*buildah, "from", "scratch"], check=True, capture_output=True, text=True)
    container = done.stdout.strip()
    subprocess.run([*buildah, "add", "--quiet", container, str(archive)], check=True, stdout=subprocess.DEVNULL)
    if toolchain:
        for part in ("bin", "lib"):
            source, target = str(toolchain / part), f"/usr/local/rust/{part}"
            subprocess.run([*buildah, "add", "--quiet", container, source, target], check=True, stdout=subprocess.DEVNULL)
        path = "PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        subprocess.run([*buildah, "config", "--env", path, container], check=True)
    subprocess.run([*buildah, "commit", "--quiet", "--rm", container, name], check=True, stdout=subprocess.DEVNULL)
    return name


def build_arguments(buildah: list[str], folder: Path) -> list[str]:
    """Makes the stand-ins and names them for the Dockerfile."""
    toolchain, version = Path(rustc("--print", "sysroot")), rustc("--version").split()[1]
    build = debian(folder / "build.tar", "minbase", BUILD)
    final = debian(folder / "final.tar", "extract", FINAL)
    names = {
        "RUST_IMAGE": image(buildah, f"localhost/rust-stand-in:{version}", build, toolchain),
        "PYTHON_IMAGE": image(buildah, "localhost/python-stand-in", build),
        "BASE_IMAGE": image(buildah, "localhost/base-stand-in", final),
    }
    arguments = [f"--build-arg={argument}={name}" for argument, name in names.items()]
    if AUTHORITIES.exists():
        # Whoever this machine trusts, the build trusts.
        arguments.append(f"--volume={AUTHORITIES}:{AUTHORITIES}:ro")
    return arguments


def rustc(*arguments: str) -> str:
    return subprocess.run(["rustc", *arguments], check=True, capture_output=True, text=True).stdout.strip()
