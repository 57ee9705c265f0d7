"""Builds the kustomizations, alone and combined, and finds things in what comes out."""

import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml

K8S = Path(__file__).resolve().parent.parent.parent / "k8s"
OVERLAYS = ["overlays/cpu", "overlays/gpu"]
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
# Of the two autoscalers only one can have the Deployment, and it serves one model.
TOGETHER = tuple(name for name in COMPONENTS if name not in ("autoscaling-keda", "model-from-claim"))


@cache
def build(folder: str, components: tuple[str, ...] = (), more: str = "") -> list[dict]:
    """What `kubectl apply -k` would send for a folder with components, and with more that a kustomization may say."""
    with tempfile.TemporaryDirectory(dir=K8S) as scratch:
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"../{folder}"],
            "components": [f"../components/{name}" for name in components],
        } | (yaml.safe_load(more) or {})
        (Path(scratch) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        done = subprocess.run(["kubectl", "kustomize", scratch], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{folder} with {components}: {done.stderr}")
    return list(yaml.safe_load_all(done.stdout))


def deployments() -> Iterator[list[dict]]:
    """Every overlay alone, with each component, and with all that go together."""
    yield build("base")
    for overlay in OVERLAYS:
        yield build(overlay)
        yield build(overlay, TOGETHER)
        for name in COMPONENTS:
            yield build(overlay, (name,))


def everything() -> Iterator[list[dict]]:
    yield from deployments()
    yield build("kserve")


def of_kind(documents: list[dict], kind: str) -> list[dict]:
    return [document for document in documents if document["kind"] == kind]


def one(documents: list[dict], kind: str) -> dict:
    found = of_kind(documents, kind)
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]


def pod(documents: list[dict]) -> dict:
    """The specification of the pods, whoever makes them."""
    deployments = of_kind(documents, "Deployment")
    if deployments:
        return deployments[0]["spec"]["template"]["spec"]
    return one(documents, "ServingRuntime")["spec"]


def container(documents: list[dict]) -> dict:
    """The one that serves."""
    return pod(documents)["containers"][0]


def containers(documents: list[dict]) -> list[dict]:
    """All of a pod, those that only prepare it included."""
    return pod(documents)["containers"] + pod(documents).get("initContainers", [])


def environment(documents: list[dict]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container(documents)["env"]}
