"""Builds every kustomization, validates it, and holds what it names against the program.

    make test-k8s
"""

import re
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
K8S = ROOT / "k8s"
VERSION = "1.32"
OVERLAYS = ["overlays/cpu", "overlays/gpu"]
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
# Kinds of operators, which Kubernetes' own schemas do not know.
CUSTOM = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}
QUANTITY = re.compile(r"^\d+(\.\d+)?(m|[KMGT]i?)?$")


@cache
def build(folder: str, components: tuple[str, ...] = ()) -> list[dict]:
    """What `kubectl apply -k` would send, for an overlay with components."""
    with tempfile.TemporaryDirectory(dir=K8S) as scratch:
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"../{folder}"],
            "components": [f"../components/{name}" for name in components],
        }
        (Path(scratch) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        done = subprocess.run(["kubectl", "kustomize", scratch], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{folder} with {components}: {done.stderr}")
    return list(yaml.safe_load_all(done.stdout))


def combinations() -> list[tuple[str, tuple[str, ...]]]:
    single = [(overlay, (name,)) for overlay in OVERLAYS for name in COMPONENTS]
    # The two autoscalers exclude each other.
    together = tuple(name for name in COMPONENTS if name != "autoscaling-keda")
    return [("base", ()), *[(overlay, ()) for overlay in OVERLAYS], *single, ("overlays/cpu", together)]


def of_kind(documents: list[dict], kind: str) -> list[dict]:
    return [document for document in documents if document["kind"] == kind]


def container(documents: list[dict]) -> dict:
    return of_kind(documents, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]


def seconds(duration: str) -> int:
    match = re.fullmatch(r"(\d+)s", duration)
    assert match, f"`{duration}` is not in seconds"
    return int(match[1])


@cache
def variables() -> set[str]:
    """The variables that `serve` reads, from where they are declared."""
    return set(re.findall(r'env = "(RESNET_SERVE_\w+)"', (ROOT / "src/config.rs").read_text()))


@cache
def metrics() -> set[str]:
    declared = (ROOT / "src/telemetry/metrics.rs").read_text()
    return set(re.findall(r'= "(resnet_serve_\w+)"', declared))


@cache
def admin_paths() -> set[str]:
    return set(re.findall(r'\.route\("(/[\w/-]+)"', (ROOT / "src/api/admin.rs").read_text()))


class Manifests(unittest.TestCase):
    def each(self) -> Iterator[list[dict]]:
        for folder, components in combinations():
            yield build(folder, components)

    def test_every_combination_is_valid(self) -> None:
        for documents in self.each():
            for document in documents:
                if document["kind"] not in CUSTOM:
                    kubernetes_validate.validate(document, VERSION, strict=True)

    def test_selectors_find_the_pods(self) -> None:
        for documents in self.each():
            deployment = of_kind(documents, "Deployment")[0]["spec"]
            labels = deployment["template"]["metadata"]["labels"].items()
            selectors = [deployment["selector"]["matchLabels"]]
            selectors += [service["spec"]["selector"] for service in of_kind(documents, "Service")]
            selectors += [one["spec"]["selector"]["matchLabels"] for one in of_kind(documents, "PodDisruptionBudget")]
            selectors += [one["spec"]["podSelector"]["matchLabels"] for one in of_kind(documents, "NetworkPolicy")]
            constraints = deployment["template"]["spec"]["topologySpreadConstraints"]
            selectors += [one["labelSelector"]["matchLabels"] for one in constraints]
            for selector in selectors:
                self.assertTrue(selector and selector.items() <= labels, selector)

    def test_a_monitor_finds_the_admin_service_and_no_other(self) -> None:
        documents = build("overlays/cpu", ("monitoring",))
        monitor = of_kind(documents, "ServiceMonitor")[0]["spec"]
        wanted = monitor["selector"]["matchLabels"].items()
        found = [one for one in of_kind(documents, "Service") if wanted <= one["metadata"]["labels"].items()]
        self.assertEqual([one["metadata"]["name"] for one in found], ["resnet-serve-admin"])
        ports = {port["name"] for port in found[0]["spec"]["ports"]}
        self.assertLessEqual({endpoint["port"] for endpoint in monitor["endpoints"]}, ports)
        self.assertLessEqual({endpoint["path"] for endpoint in monitor["endpoints"]}, admin_paths())

    def test_ports_exist_and_are_those_that_the_program_listens_on(self) -> None:
        for documents in self.each():
            one = container(documents)
            ports = {port["name"]: port["containerPort"] for port in one["ports"]}
            given = {entry["name"]: entry["value"] for entry in one["env"]}
            self.assertEqual(ports["http"], int(given["RESNET_SERVE_LISTEN"].rsplit(":")[-1]))
            self.assertEqual(ports["admin"], int(given["RESNET_SERVE_ADMIN_LISTEN"].rsplit(":")[-1]))
            for service in of_kind(documents, "Service"):
                self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, set(ports))
            for policy in of_kind(documents, "NetworkPolicy"):
                named = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
                self.assertLessEqual(named, set(ports))

    def test_only_monitoring_reaches_the_admin_port(self) -> None:
        for documents in self.each():
            for rule in of_kind(documents, "NetworkPolicy")[0]["spec"]["ingress"]:
                if any(port["port"] == "admin" for port in rule["ports"]):
                    self.assertTrue(rule["from"])

    def test_probes_ask_paths_that_the_program_has(self) -> None:
        for documents in self.each():
            one = container(documents)
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                ask = one[probe]["httpGet"]
                self.assertIn(ask["path"], admin_paths())
                self.assertEqual(ask["port"], "admin")
            self.assertEqual(one["livenessProbe"]["httpGet"]["path"], "/live")

    def test_variables_are_those_that_the_program_reads(self) -> None:
        for documents in self.each():
            self.assertLessEqual({entry["name"] for entry in container(documents)["env"]}, variables())

    def test_the_pod_is_killed_only_after_it_had_time_to_drain(self) -> None:
        for documents in self.each():
            pod = of_kind(documents, "Deployment")[0]["spec"]["template"]["spec"]
            given = {entry["name"]: entry["value"] for entry in container(documents)["env"]}
            drain = seconds(given["RESNET_SERVE_DRAIN_DELAY"]) + seconds(given["RESNET_SERVE_DRAIN_TIMEOUT"])
            self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], drain + 5)

    def test_pods_are_locked_down(self) -> None:
        for documents in self.each():
            pod = of_kind(documents, "Deployment")[0]["spec"]["template"]["spec"]
            self.assertIs(pod["automountServiceAccountToken"], False)
            self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            context = container(documents)["securityContext"]
            self.assertIs(context["readOnlyRootFilesystem"], True)
            self.assertIs(context["allowPrivilegeEscalation"], False)
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]})

    def test_rollouts_never_go_below_what_was_there(self) -> None:
        for documents in self.each():
            strategy = of_kind(documents, "Deployment")[0]["spec"]["strategy"]["rollingUpdate"]
            self.assertEqual(strategy["maxUnavailable"], 0)

    def test_quantities_are_quantities(self) -> None:
        for documents in self.each():
            for group in container(documents)["resources"].values():
                for name, quantity in group.items():
                    self.assertRegex(quantity, QUANTITY, name)

    def test_autoscalers_scale_the_deployment_on_metrics_that_exist(self) -> None:
        for component in ("autoscaling-hpa", "autoscaling-keda"):
            documents = build("overlays/cpu", (component,))
            deployment = of_kind(documents, "Deployment")[0]
            self.assertNotIn("replicas", deployment["spec"], "the autoscaler decides")
            scaler = (of_kind(documents, "HorizontalPodAutoscaler") + of_kind(documents, "ScaledObject"))[0]
            self.assertEqual(scaler["spec"]["scaleTargetRef"]["name"], deployment["metadata"]["name"])
        self.assertEqual(set(named_metrics(K8S)) - metrics(), set())
        self.assertTrue(named_metrics(K8S))


def named_metrics(folder: Path) -> set[str]:
    """Everything in YAML that looks like a metric of the program."""
    texts = [path.read_text() for path in folder.rglob("*.yaml")]
    return {name for text in texts for name in re.findall(r"\bresnet_serve_\w+", text)}


if __name__ == "__main__":
    unittest.main(verbosity=2)
