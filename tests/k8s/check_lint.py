"""hadolint and checkov find nothing in Dockerfiles and manifests, but for what is argued here."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from kustomizations import K8S, OVERLAYS, TOGETHER, build

DOCKER = K8S.parent / "docker"
# The base images are arguments with tags; checkov does not look into arguments.
DOCKERFILES = ["CKV_DOCKER_7"]
MANIFESTS = [
    # The namespace, and the image's registry or digest, are named by whoever applies the folder.
    "CKV_K8S_21",
    "CKV_K8S_43",
    # A tag that never moves, or a digest, needs no registry to be in reach when a pod starts again.
    "CKV_K8S_15",
]


class Lint(unittest.TestCase):
    def test_hadolint(self) -> None:
        self.clean(["hadolint", "--no-color", *DOCKER.glob("Dockerfile*")])

    def test_checkov_on_dockerfiles(self) -> None:
        self.clean([*checkov("dockerfile", DOCKERFILES), "--directory", DOCKER])

    def test_checkov_on_manifests(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for overlay in OVERLAYS:
                built = yaml.safe_dump_all(build(overlay, TOGETHER))
                (Path(folder) / f"{overlay.replace('/', '-')}.yaml").write_text(built)
            self.clean([*checkov("kubernetes", MANIFESTS), "--directory", folder])

    def test_checkov_sees_a_container_that_runs_as_root(self) -> None:
        """What the tests above stand on."""
        documents = build("overlays/cpu")
        text = yaml.safe_dump_all(documents).replace("runAsUser: 10001", "runAsUser: 0")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "root.yaml").write_text(text)
            done = subprocess.run([*checkov("kubernetes", MANIFESTS), "--directory", folder], capture_output=True)
        self.assertNotEqual(done.returncode, 0)

    def clean(self, command: list) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def checkov(framework: str, exceptions: list[str]) -> list[str]:
    """Without a look at the network."""
    return ["checkov", "--quiet", "--compact", "--skip-download", "--framework", framework, "--skip-check",
            ",".join(exceptions)]


if __name__ == "__main__":
    unittest.main()
