"""Every kustomization is valid, consistent, and locked down."""

import re
import unittest
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

from kustomizations import OVERLAYS, TOGETHER, build, container, containers, deployments, everything, of_kind, one, pod

VERSION = "1.32"
# Kinds of operators, which Kubernetes' own schemas do not know.
SCHEMAS = {path.stem: yaml.safe_load(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.yaml")}
# The admin port, by its name where it is declared and by its number where it is not.
ADMIN = ("admin", 9090)
QUANTITY = re.compile(r"^\d+(\.\d+)?(m|[KMGT]i?)?$")


class Valid(unittest.TestCase):
    def test_every_combination(self) -> None:
        for documents in everything():
            for document in documents:
                validate(document)

    def test_a_misspelt_field_is_noticed(self) -> None:
        """The two validators are what the test above stands on."""
        deployment = one(build("base"), "Deployment")
        bad = deployment | {"spec": deployment["spec"] | {"replica": 2}}
        with self.assertRaises(kubernetes_validate.ValidationError):
            validate(bad)
        scaler = one(build("overlays/cpu", ("autoscaling-keda",)), "ScaledObject")
        with self.assertRaises(jsonschema.ValidationError):
            validate(scaler | {"spec": scaler["spec"] | {"maxReplicas": 2}})

    def test_quantities(self) -> None:
        for documents in everything():
            for each in containers(documents):
                for group in each["resources"].values():
                    for name, quantity in group.items():
                        self.assertRegex(quantity, QUANTITY, name)


class Consistent(unittest.TestCase):
    def test_selectors_find_the_pods(self) -> None:
        for documents in deployments():
            deployment = one(documents, "Deployment")["spec"]
            labels = deployment["template"]["metadata"]["labels"].items()
            selectors = [deployment["selector"]["matchLabels"]]
            selectors += [service["spec"]["selector"] for service in of_kind(documents, "Service")]
            selectors += [one(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
            selectors += [one(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
            constraints = pod(documents)["topologySpreadConstraints"]
            selectors += [constraint["labelSelector"]["matchLabels"] for constraint in constraints]
            for selector in selectors:
                self.assertTrue(selector and selector.items() <= labels, selector)

    def test_ports_that_are_named_exist(self) -> None:
        for documents in deployments():
            ports = {port["name"] for port in container(documents)["ports"]}
            for service in of_kind(documents, "Service"):
                self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, ports)
            rules = one(documents, "NetworkPolicy")["spec"]["ingress"]
            self.assertLessEqual({port["port"] for rule in rules for port in rule["ports"]}, ports)

    def test_volumes_that_are_mounted_exist(self) -> None:
        for documents in deployments():
            volumes = {volume["name"] for volume in pod(documents).get("volumes", [])}
            mounted = {mount["name"] for each in containers(documents) for mount in each.get("volumeMounts", [])}
            self.assertEqual(mounted, volumes)

    def test_a_component_takes_nothing_away(self) -> None:
        """Lists are merged by name; a patch that replaces one would lose what an overlay has put there."""
        together = [build(overlay, TOGETHER) for overlay in OVERLAYS]
        for overlay, documents in zip(OVERLAYS, together, strict=True):
            before = container(build(overlay))
            for part in ("env", "volumeMounts"):
                names = {each["name"] for each in before.get(part, [])}
                self.assertLessEqual(names, {each["name"] for each in container(documents)[part]})

    def test_an_image_that_is_set_reaches_every_container(self) -> None:
        for documents in everything():
            self.assertEqual(len({each["image"] for each in containers(documents)}), 1)

    def test_an_inference_service_finds_its_runtime(self) -> None:
        documents = build("kserve")
        runtime, model = one(documents, "ServingRuntime"), one(documents, "InferenceService")["spec"]["predictor"]["model"]
        self.assertEqual(model["runtime"], runtime["metadata"]["name"])
        self.assertIn(model["modelFormat"]["name"], [each["name"] for each in runtime["spec"]["supportedModelFormats"]])
        self.assertIn(model["protocolVersion"], runtime["spec"]["protocolVersions"])


class LockedDown(unittest.TestCase):
    def test_containers(self) -> None:
        for documents in everything():
            for each in containers(documents):
                context = pod(documents).get("securityContext", {}) | each["securityContext"]
                self.assertIs(context["runAsNonRoot"], True)
                self.assertGreater(context["runAsUser"], 10000)
                self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertIs(context["readOnlyRootFilesystem"], True)
                self.assertIs(context["allowPrivilegeEscalation"], False)
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]})

    def test_no_pod_has_a_token(self) -> None:
        for documents in deployments():
            self.assertIs(pod(documents)["automountServiceAccountToken"], False)
            self.assertIs(one(documents, "ServiceAccount")["automountServiceAccountToken"], False)
        predictor = one(build("kserve"), "InferenceService")["spec"]["predictor"]
        self.assertIs(predictor["automountServiceAccountToken"], False)

    def test_only_monitoring_reaches_the_admin_port(self) -> None:
        for documents in everything():
            policy = one(documents, "NetworkPolicy")["spec"]
            self.assertIn("Ingress", policy["policyTypes"])
            admin = [rule for rule in policy["ingress"] if any(port["port"] in ADMIN for port in rule["ports"])]
            self.assertTrue(admin)
            for rule in admin:
                self.assertEqual(len(rule["ports"]), 1)
                self.assertTrue(rule["from"])
            public = one(documents, "Service") if len(of_kind(documents, "Service")) == 1 else None
            self.assertNotIn("admin", [port["targetPort"] for port in public["spec"]["ports"]] if public else [])

    def test_kserve_has_no_admin_port_to_put_into_its_service(self) -> None:
        """It takes every port that the container declares, for which its clients then need no key."""
        documents = build("kserve")
        self.assertEqual([port["name"] for port in container(documents)["ports"]], ["http"])
        policy = one(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
        self.assertLessEqual(policy.items(), pod(documents)["labels"].items())

    def test_every_container_asks_for_as_much_as_it_may_take(self) -> None:
        """Of the class Guaranteed: one container that differs takes from the whole pod the cores of its own."""
        for documents in everything():
            for each in containers(documents):
                limits, requests = each["resources"]["limits"], each["resources"]["requests"]
                for name in ("cpu", "memory"):
                    self.assertEqual(requests[name], limits[name], f"{each['name']}: {name}")

    def test_without_a_cpu_limit_threads_would_follow_the_node(self) -> None:
        for documents in everything():
            limits = container(documents)["resources"]["limits"]
            self.assertEqual(limits["cpu"], container(documents)["resources"]["requests"]["cpu"])
            self.assertTrue(limits["cpu"].isdecimal(), "whole cores")


def validate(document: dict) -> None:
    """Against Kubernetes' schemas or, for operators' kinds, those beside this file."""
    kind = document["kind"]
    if kind not in SCHEMAS:
        kubernetes_validate.validate(document, VERSION, strict=True)
        return
    jsonschema.validate(document, SCHEMAS[kind])
    if kind == "ServingRuntime":
        spec = {"containers": document["spec"]["containers"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": document["metadata"], "spec": spec}
        kubernetes_validate.validate(pod, VERSION, strict=True)


if __name__ == "__main__":
    unittest.main()
