"""A real Prometheus scrapes real services: panels show something, and faults make their alerts fire."""

import json
import signal
import subprocess
import time
import unittest

import traffic
from support import (MONITORING, PATIENCE, Prometheus, Service, api_key, certificate, copy_of_a_model, ensemble, free_port, get, gpu_library,
                     until, untrained_model)

# What there is nothing of where nothing is wrong, or where nobody asks for it, shows zero; no panel is empty.
VARIABLES = {"$namespace": ".*", "$job": "resnet-serve", "$instance": ".+", "$__rate_interval": "10s"}
NOBODY = f"http://127.0.0.1:{free_port()}"


class Live(unittest.TestCase):
    def setUp(self) -> None:
        self.prometheus = Prometheus()
        self.addCleanup(self.prometheus.stop)

    def start(self, *flags: object, **more: object) -> Service:
        service = Service(*flags, **more)
        self.addCleanup(service.__exit__)
        return service

    def fires(self, *names: str) -> None:
        until(f"{names} fire; {self.prometheus.firing()} do", lambda: set(names) <= self.prometheus.firing())


class Health(Live):
    def test_metrics_are_written_as_prometheus_asks(self) -> None:
        service = self.start(variables=gpu_library())
        traffic.good(service, 1)
        until("the GPUs are there", lambda: "resnet_serve_gpu" in get(f"http://{service.admin}/metrics")[1])
        text = get(f"http://{service.admin}/metrics")[1]
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_every_rule_evaluates_and_a_healthy_service_wakes_nobody(self) -> None:
        service = self.start()
        self.prometheus.watch(service.admin)
        with traffic.Background(lambda: traffic.good(service, 1)):
            self.fires("ResnetServeWatchdog")
            self.answers("namespace_job:resnet_serve_requests:rate5m > 0")
            time.sleep(5)  # Alerts that are wrong would have fired by then: they wait for a second.
        groups = self.prometheus.api("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertGreater(len(rules), 50)
        for rule in rules:
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])
        # Two clients that never pause keep two cores busy: that is what this one is for.
        self.assertLessEqual(self.prometheus.firing() - {"ResnetServeSaturated"}, {"ResnetServeWatchdog"})

    def answers(self, expression: str) -> list[dict]:
        return until(expression, lambda: self.prometheus.query(expression))


class Panels(Live):
    def test_every_query_of_every_panel_returns_data(self) -> None:
        service = self.start("--queue-capacity=8", f"--otlp-endpoint={NOBODY}", variables=gpu_library())
        flag, key = api_key("alice")
        locked = self.start("--model", ensemble("pair", "one", "two"), *certificate(), flag)
        self.prometheus.watch(service.admin, encrypted=(locked.admin,))
        statuses = traffic.mixed(service)
        self.assertLessEqual({200, 400, 422, 503}, statuses)
        self.assertEqual(traffic.with_key(locked, key), 200)
        with traffic.Background(lambda: (traffic.mixed(service), traffic.with_key(locked, key))):
            queries = [(panel["title"], target["expr"]) for panel in self.panels() for target in panel.get("targets", [])]
            self.assertGreater(len(queries), 50)
            for title, expression in queries:
                until(f"{title}: {expression}", lambda: self.numbers(expression))

    def panels(self) -> list[dict]:
        return json.loads((MONITORING / "dashboard.json").read_text())["panels"]

    def numbers(self, expression: str) -> list[float]:
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        self.assertNotIn("$", expression)
        values = [float(series["value"][1]) for series in self.prometheus.query(expression)]
        return [value for value in values if value == value]

    def test_every_variable_has_values(self) -> None:
        service = self.start()
        self.prometheus.watch(service.admin)
        until("it is scraped", lambda: self.prometheus.query("resnet_serve_build_info"))
        for name in ("job", "instance"):
            values = self.prometheus.api(f"label/{name}/values", **{"match[]": "resnet_serve_build_info"})
            self.assertEqual(values, ["resnet-serve" if name == "job" else service.admin])


class Faults(Live):
    def test_overload(self) -> None:
        service = self.start("--queue-capacity=8")
        self.prometheus.watch(service.admin)
        with traffic.Background(lambda: traffic.crowd(service, 100)):
            self.fires("ResnetServeErrors", "ResnetServeErrorsSlowBurn", "ResnetServeOverloaded", "ResnetServeSaturated")

    def test_slowness(self) -> None:
        service = self.start()
        self.prometheus.watch(service.admin)
        with traffic.Background(lambda: traffic.stand_still(service, 50, 1.2)):
            self.fires("ResnetServeSlow", "ResnetServeSlowBurn")

    def test_clients_that_leave(self) -> None:
        service = self.start("--intra-threads=1")
        self.prometheus.watch(service.admin)
        with traffic.Background(lambda: traffic.leave(service, 50)):
            self.fires("ResnetServeClientsLeave")

    def test_memory_that_is_spent(self) -> None:
        service = self.start("--memory-budget=8MiB", "--max-body=8MiB")
        self.prometheus.watch(service.admin)
        with traffic.half_a_body(service, 8 << 20, (8 << 20) - 100_000):
            self.fires("ResnetServeBudgetSpent")

    def test_descriptors_that_run_out(self) -> None:
        service = self.start(descriptors=24)
        self.prometheus.watch(service.admin)
        clients = [traffic.half_a_body(service, 100, 10) for _ in range(8)]
        self.fires("ResnetServeDescriptorsHigh")
        for client in clients:
            client.close()

    def test_an_instance_that_drains_and_then_is_gone(self) -> None:
        service = self.start("--drain-delay=1h")
        self.prometheus.watch(service.admin)
        until("it is ready", lambda: self.prometheus.query("resnet_serve_ready == 1"))
        service.signal(signal.SIGTERM)
        self.fires("ResnetServeNotReady", "ResnetServeNoneReady")
        service.signal(signal.SIGTERM)
        self.fires("ResnetServeDown", "ResnetServeGone")

    def test_an_instance_that_starts_again_and_again(self) -> None:
        port = free_port()
        self.prometheus.watch(f"127.0.0.1:{port}")
        for _ in range(4):
            with Service(admin=port):
                seen = f'process_start_time_seconds{{instance="127.0.0.1:{port}"}} > {time.time() - 5}'
                until("it is scraped", lambda: self.prometheus.query(seen))
                time.sleep(1)
        self.fires("ResnetServeRestarts")

    def test_a_model_that_is_broken_when_it_is_loaded_anew(self) -> None:
        folder = copy_of_a_model("broken")
        service = self.start("--model", folder)
        self.prometheus.watch(service.admin)
        until("it is scraped", lambda: self.prometheus.query('resnet_serve_model_reloads_total{result="failed"} == 0'))
        (folder / "model.onnx").write_bytes(b"no network")
        self.assertEqual(service.reload(), 500)
        self.fires("ResnetServeReloadFailed")

    def test_what_runs_is_not_what_was_meant(self) -> None:
        """A GPU that is passed over, random weights, two files under one name, a collector that is not there."""
        trained = self.start(f"--otlp-endpoint={NOBODY}", variables=gpu_library() | {"OTEL_BSP_SCHEDULE_DELAY": "100"})
        random = self.start("--model", untrained_model("cifar10-resnet20"))
        self.prometheus.watch(trained.admin, random.admin)
        with traffic.Background(lambda: traffic.good(trained, 0.5)):
            self.fires("ResnetServeGpuUnused", "ResnetServeUntrained", "ResnetServeMixedModels", "ResnetServeSpansLost")


if __name__ == "__main__":
    assert PATIENCE
    unittest.main(verbosity=2)
