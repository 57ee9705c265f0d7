"""Everything that the manifests name of the program exists in it."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

import program
from kustomizations import K8S, build, container, containers, deployments, environment, everything, of_kind, one, pod

MONITORING = K8S.parent / "monitoring"


class Named(unittest.TestCase):
    def test_variables(self) -> None:
        for documents in everything():
            for each in containers(documents):
                names = {entry["name"] for entry in each.get("env", [])}
                self.assertLessEqual(names, program.variables())

    def test_images_are_tagged_with_its_version(self) -> None:
        """With `latest`, or no tag, Kubernetes would ask docker.io for an image that is only on the node."""
        for documents in everything():
            gpu = "nvidia.com/gpu" in container(documents)["resources"]["limits"]
            for each in containers(documents):
                self.assertEqual(each["image"], f"resnet-serve:{program.version()}{'-cuda' if gpu else ''}")
                self.assertNotIn("imagePullPolicy", each)

    def test_images_are_built_and_loaded_under_that_tag(self) -> None:
        loaded = re.findall(r"(?m)^kind load docker-image (\S+)", (K8S / "README.md").read_text())
        self.assertEqual(loaded, [container(build(f"overlays/{device}"))["image"] for device in ("cpu", "gpu")])
        with tempfile.TemporaryDirectory() as folder:
            tools = Path(folder)
            for name, text in (("docker", '#!/bin/sh\necho "$@"\n'), ("git", "#!/bin/sh\n")):
                (tools / name).write_text(text)
                (tools / name).chmod(0o755)
            command = [sys.executable, K8S.parent / "scripts/build_image.py", "--engine=docker", "--flavor=gpu"]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env={"PATH": f"{folder}:{os.environ['PATH']}"})
        tags = re.findall(r"--tag=(\S+)", done.stdout)
        version = program.version()
        self.assertCountEqual(tags, [f"resnet-serve:{tag}" for tag in ("latest", version, "cuda", f"{version}-cuda")])

    def test_images_name_the_terms_of_what_is_not_the_programs(self) -> None:
        model = (K8S.parent / "models/default").read_text().strip()
        for name, more in (("Dockerfile", []), ("Dockerfile.cuda", ["LicenseRef-NVIDIA"])):
            licences, = re.findall(r'image\.licenses="(.*?)"', (K8S.parent / "docker" / name).read_text())
            self.assertLessEqual({"(Apache-2.0 OR MIT)", f"LicenseRef-{model}", *more}, set(licences.split(" AND ")), name)

    def test_probes_ask_paths_of_the_admin_listener(self) -> None:
        for documents in everything():
            one_container = container(documents)
            for probe, path in (("startupProbe", "/ready"), ("readinessProbe", "/ready"), ("livenessProbe", "/live")):
                ask = one_container[probe]["httpGet"]
                port = 9090 if of_kind(documents, "ServingRuntime") else "admin"
                self.assertEqual((ask["path"], ask["port"]), (path, port))
                self.assertIn(path, program.admin_paths())

    def test_ports_are_those_that_it_listens_on(self) -> None:
        for documents in everything():
            ports = {port["name"]: port["containerPort"] for port in container(documents)["ports"]}
            given = environment(documents)
            self.assertEqual(ports["http"], port_of(given["RESNET_SERVE_LISTEN"]))
            # KServe is told of the public port alone; everything else there names this one by its number.
            admin = 9090 if of_kind(documents, "ServingRuntime") else ports["admin"]
            self.assertEqual(admin, port_of(given["RESNET_SERVE_ADMIN_LISTEN"]))
            # KServe sends requests to one port, and that is HTTP's.
            if "grpc" in ports:
                self.assertEqual(ports["grpc"], port_of(given["RESNET_SERVE_GRPC_LISTEN"]))

    def test_monitors_scrape_the_admin_listener_and_call_the_job_by_its_name(self) -> None:
        documents = build("overlays/cpu", ("monitoring",))
        monitor = one(documents, "ServiceMonitor")["spec"]
        wanted = monitor["selector"]["matchLabels"].items()
        found = [each for each in of_kind(documents, "Service") if wanted <= each["metadata"]["labels"].items()]
        self.assertEqual([each["metadata"]["name"] for each in found], ["resnet-serve-admin"])
        endpoint = monitor["endpoints"][0]
        target = {port["name"]: port["targetPort"] for port in found[0]["spec"]["ports"]}[endpoint["port"]]
        self.assertEqual((target, endpoint["path"]), ("admin", "/metrics"))
        self.assertEqual(found[0]["metadata"]["labels"][monitor["jobLabel"]], "resnet-serve")
        self.assertIn("/metrics", program.admin_paths())

    def test_with_tls_probes_and_scrapes_speak_it_and_the_certificate_is_where_it_is_mounted(self) -> None:
        documents = build("overlays/cpu", ("monitoring", "tls"))
        one_container = container(documents)
        probes = [one_container[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
        self.assertEqual([probe["scheme"] for probe in probes], ["HTTPS"] * 3)
        self.assertEqual(one(documents, "ServiceMonitor")["spec"]["endpoints"][0]["scheme"], "https")
        mounted = {mount["name"]: mount["mountPath"] for mount in one_container["volumeMounts"]}["tls"]
        # The names that a Secret of the type `kubernetes.io/tls` has.
        self.assertEqual(environment(documents)["RESNET_SERVE_TLS_CERT"], f"{mounted}/tls.crt")
        self.assertEqual(environment(documents)["RESNET_SERVE_TLS_KEY"], f"{mounted}/tls.key")
        client = next(each for each in of_kind(documents, "Service") if each["metadata"]["name"] == "resnet-serve")
        self.assertEqual({port["targetPort"] for port in client["spec"]["ports"]}, {"http", "grpc"})
        self.assertEqual({port["appProtocol"] for port in client["spec"]["ports"]}, {"https"})

    def test_api_keys_are_read_from_where_the_secret_is_mounted(self) -> None:
        documents = build("overlays/cpu", ("api-keys",))
        volume, = pod(documents)["volumes"]
        self.assertEqual(volume["secret"]["secretName"], "resnet-serve-api-keys")
        self.assertNotIn("optional", volume["secret"], "without keys nothing starts")
        mount, = container(documents)["volumeMounts"]
        self.assertEqual(mount["name"], volume["name"])
        # As `kubectl create secret --from-file=keys` calls the entry.
        self.assertEqual(environment(documents)["RESNET_SERVE_API_KEYS_FILE"], f"{mount['mountPath']}/keys")
        self.assertIn("create secret generic resnet-serve-api-keys", (K8S / "README.md").read_text())

    def test_what_is_renewed_is_mounted_as_a_folder(self) -> None:
        """A file that is mounted by itself, by `subPath`, stays as it was when the pod began."""
        for documents in deployments():
            secrets = [volume for volume in pod(documents).get("volumes", []) if "secret" in volume]
            names = {volume["name"] for volume in secrets}
            for mount in container(documents).get("volumeMounts", []):
                if mount["name"] in names:
                    self.assertNotIn("subPath", mount)
                    self.assertIs(mount["readOnly"], True)
            # Read by the pod's group, which is that of the process, and by nobody else.
            self.assertEqual({volume["secret"]["defaultMode"] for volume in secrets} - {0o440}, set())

    def test_rules_and_dashboard_are_those_of_the_folder_monitoring(self) -> None:
        documents = build("overlays/cpu", ("monitoring",))
        written = [yaml.safe_load((MONITORING / name).read_text())["groups"] for name in ("rules.yaml", "alerts.yaml")]
        self.assertEqual(one(documents, "PrometheusRule")["spec"]["groups"], written[0] + written[1])
        dashboard = one(documents, "ConfigMap")
        self.assertEqual(dashboard["metadata"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(dashboard["data"]["resnet-serve.json"], (MONITORING / "dashboard.json").read_text())

    def test_a_kustomization_may_say_where_the_runbook_is(self) -> None:
        replacements, = re.findall(r"```yaml\n(replacements:.*?)```", (MONITORING / "README.md").read_text(), re.DOTALL)
        rule = one(build("overlays/cpu", ("monitoring",), replacements), "PrometheusRule")
        alerts = [each for group in rule["spec"]["groups"] for each in group["rules"] if "alert" in each]
        self.assertGreater(len(alerts), 20)
        for alert in alerts:
            self.assertRegex(alert["annotations"]["runbook_url"], "^https://wiki.example/resnet-serve#resnetserve[a-z]+$")

    def test_monitors_and_rules_may_have_the_label_that_a_prometheus_selects_by(self) -> None:
        labels, = re.findall(r"```yaml\n(labels:.*?)```", (K8S / "README.md").read_text(), re.DOTALL)
        selected = {"release": "kube-prometheus-stack"}
        documents = build("overlays/cpu", ("monitoring",), labels) + build("kserve", (), labels)
        for kind in ("ServiceMonitor", "PrometheusRule", "PodMonitor"):
            self.assertLessEqual(selected.items(), one(documents, kind)["metadata"]["labels"].items(), kind)
        # It stays out of selectors, which cannot be changed once there are pods.
        self.assertNotIn("release", one(documents, "Deployment")["spec"]["selector"]["matchLabels"])

    def test_kserves_pods_are_scraped_under_the_same_name(self) -> None:
        documents = build("kserve")
        monitor, labels = one(documents, "PodMonitor")["spec"], pod(documents)["labels"]
        self.assertLessEqual(monitor["selector"]["matchLabels"].items(), labels.items())
        self.assertEqual(labels[monitor["jobLabel"]], "resnet-serve")
        endpoint, = monitor["podMetricsEndpoints"]
        declared = {port["name"]: port["containerPort"] for port in container(documents)["ports"]}
        relabeling, = endpoint["relabelings"]
        self.assertEqual((relabeling["sourceLabels"], relabeling["targetLabel"]), (["__address__"], "__address__"))
        admin = port_of(environment(documents)["RESNET_SERVE_ADMIN_LISTEN"])
        for host in ("10.0.0.7", "[fd00::7]"):
            found = re.fullmatch(relabeling["regex"], f"{host}:{declared[endpoint['port']]}")
            self.assertEqual(relabeling["replacement"].replace("$1", found[1]), f"{host}:{admin}")

    def test_a_model_is_fetched_to_where_it_is_served_from(self) -> None:
        documents = build("overlays/cpu", ("model-from-volume",))
        command, verb, network, flag, folder = pod(documents)["initContainers"][0]["args"]
        self.assertEqual((command, verb), ("model", "fetch"))
        self.assertIn(network, program.networks())
        self.assertIn(flag, program.fetch_flags())
        self.assertEqual(environment(documents)["RESNET_SERVE_MODEL"], folder)

    def test_metrics(self) -> None:
        texts = [path.read_text() for path in K8S.rglob("*.yaml")]
        named = {name for text in texts for name in re.findall(r"\bresnet_serve_\w+", text)}
        self.assertIn("resnet_serve_saturation_ratio", named)
        self.assertLessEqual(named, program.metrics())


class Rollouts(unittest.TestCase):
    def test_never_go_below_what_was_there(self) -> None:
        for documents in deployments():
            self.assertEqual(one(documents, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0)
        strategy = one(build("kserve"), "InferenceService")["spec"]["predictor"]["deploymentStrategy"]
        self.assertEqual(strategy["rollingUpdate"]["maxUnavailable"], 0)

    def test_a_pod_is_killed_only_after_it_had_time_to_drain(self) -> None:
        for documents in everything():
            given = environment(documents)
            drain = seconds(given["RESNET_SERVE_DRAIN_DELAY"]) + seconds(given["RESNET_SERVE_DRAIN_TIMEOUT"])
            kserve = of_kind(documents, "InferenceService")
            owner = kserve[0]["spec"]["predictor"] if kserve else pod(documents)
            self.assertGreaterEqual(owner["terminationGracePeriodSeconds"], drain + 5)

    def test_a_pod_that_hangs_is_not_given_the_time_of_a_drain(self) -> None:
        """Which waits for what hangs. The runbook says how long it takes until the container starts again."""
        for documents in everything():
            probe, given = container(documents)["livenessProbe"], environment(documents)
            grace = probe["terminationGracePeriodSeconds"]
            self.assertLess(grace, seconds(given["RESNET_SERVE_DRAIN_TIMEOUT"]))
            longest = program.seconds_until_not_live() + probe["periodSeconds"] * probe["failureThreshold"] + grace
            self.assertIn(f"After {longest} s at most", (MONITORING / "README.md").read_text())

    def test_what_is_accepted_before_a_drain_may_take_all_of_its_time(self) -> None:
        for documents in everything():
            given = environment(documents)
            longest = seconds(given["RESNET_SERVE_REQUEST_TIMEOUT"])
            self.assertLessEqual(longest, seconds(given["RESNET_SERVE_DRAIN_TIMEOUT"]))

    def test_a_pod_goes_on_serving_until_its_probe_has_noticed(self) -> None:
        for documents in everything():
            probe = container(documents)["readinessProbe"]
            noticed = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
            self.assertGreater(seconds(environment(documents)["RESNET_SERVE_DRAIN_DELAY"]), noticed)


class Autoscaling(unittest.TestCase):
    def test_scalers_have_the_deployment_to_themselves(self) -> None:
        for component, kind in (("autoscaling-hpa", "HorizontalPodAutoscaler"), ("autoscaling-keda", "ScaledObject")):
            documents = build("overlays/cpu", (component,))
            deployment = one(documents, "Deployment")
            self.assertNotIn("replicas", deployment["spec"], "the autoscaler decides")
            target = one(documents, kind)["spec"]["scaleTargetRef"]
            self.assertEqual(target["name"], deployment["metadata"]["name"])

    def test_both_scale_alike(self) -> None:
        """Whoever changes one changes the other."""
        hpa = one(build("overlays/cpu", ("autoscaling-hpa",)), "HorizontalPodAutoscaler")["spec"]
        keda = one(build("overlays/cpu", ("autoscaling-keda",)), "ScaledObject")["spec"]
        self.assertEqual(hpa["behavior"], keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"])
        self.assertEqual(hpa["minReplicas"], keda["minReplicaCount"])
        self.assertEqual(hpa["maxReplicas"], keda["maxReplicaCount"])
        target = hpa["metrics"][0]["pods"]["target"]["averageValue"]
        self.assertEqual(float(target.removesuffix("m")) / 1000, float(keda["triggers"][0]["metadata"]["threshold"]))

    def test_without_prometheus_no_replica_is_taken_away(self) -> None:
        """Neither by an outage, nor by a scrape target that is lost and would read as no load."""
        keda = one(build("overlays/cpu", ("autoscaling-keda",)), "ScaledObject")["spec"]
        self.assertEqual(keda["fallback"]["behavior"], "currentReplicasIfHigher")
        self.assertTrue(keda["minReplicaCount"] <= keda["fallback"]["replicas"] <= keda["maxReplicaCount"])
        self.assertEqual(keda["triggers"][0]["metadata"]["ignoreNullValues"], "false")

    def test_queries_ask_for_the_job_that_is_scraped(self) -> None:
        keda = one(build("overlays/cpu", ("autoscaling-keda",)), "ScaledObject")["spec"]["triggers"][0]["metadata"]
        kserve = one(build("kserve"), "InferenceService")["spec"]["predictor"]["autoScaling"]["metrics"][0]["external"]
        for query in (keda["query"], kserve["metric"]["query"]):
            self.assertEqual(re.findall(r"\{(.*?)\}", query), ['job="resnet-serve"'])


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])


def seconds(duration: str) -> int:
    match = re.fullmatch(r"(\d+)s", duration)
    assert match, f"`{duration}` is not in seconds"
    return int(match[1])


if __name__ == "__main__":
    unittest.main()
