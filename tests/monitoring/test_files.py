"""The rules, the dashboard and the runbook fit the program and each other."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from support import MONITORING, ROOT

TESTS = ["alerts_test.yaml", "alerts_days_test.yaml", "alerts_namespaces_test.yaml"]
METRIC = re.compile(r"\b(?:resnet_serve|process)_[a-z_]+\b")
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def load(name: str) -> dict:
    return yaml.safe_load((MONITORING / name).read_text())


def alerts() -> list[dict]:
    return [rule for group in load("alerts.yaml")["groups"] for rule in group["rules"]]


def declared() -> set[str]:
    """The metrics that the program declares, and those of the Prometheus client that it registers."""
    text = (ROOT / "src/telemetry/metrics.rs").read_text()
    process = ["cpu_seconds_total", "open_fds", "max_fds", "resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds", "threads"]
    return set(re.findall(r'= "(resnet_serve_[a-z_]+)"', text)) | {f"process_{name}" for name in process}


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)


class Rules(unittest.TestCase):
    def test_promtool_takes_them(self) -> None:
        promtool("check", "rules", "--lint-fatal", "rules.yaml", "alerts.yaml")
        promtool("check", "config", "prometheus.yml")

    def test_the_operators_rules_are_what_their_script_writes(self) -> None:
        subprocess.run([sys.executable, MONITORING / "make_prometheusrule.py", "--check"], check=True)

    def test_alerts_fire_and_stay_quiet_when_they_should(self) -> None:
        promtool("test", "rules", *TESTS)

    def test_every_alert_has_a_test_in_which_it_fires(self) -> None:
        checks = [check for name in TESTS for test in load(name)["tests"] for check in test["alert_rule_test"]]
        fires = {check["alertname"] for check in checks if check["exp_alerts"]}
        self.assertEqual(fires, {alert["alert"] for alert in alerts()})

    def test_every_alert_leads_to_three_steps(self) -> None:
        sections = re.split(r"(?m)^### ", (MONITORING / "README.md").read_text())[1:]
        steps = {section.split("\n")[0].lower(): len(re.findall(r"(?m)^\d\. ", section)) for section in sections}
        for alert in alerts():
            _, anchor = alert["annotations"]["runbook_url"].split("#")
            self.assertEqual(steps.get(anchor), 3, alert["alert"])
        self.assertEqual(len({alert["annotations"]["runbook_url"].split("#")[0] for alert in alerts()}), 1)

    def test_every_section_of_the_runbook_is_an_alerts(self) -> None:
        sections = set(re.findall(r"(?m)^### (.*)$", (MONITORING / "README.md").read_text()))
        self.assertLessEqual(sections, {alert["alert"] for alert in alerts()})

    def test_alerts_lead_to_where_the_operator_has_put_the_runbook(self) -> None:
        names = ["rules.yaml", "alerts.yaml", *TESTS, "prometheusrule.yaml", "make_prometheusrule.py"]
        with tempfile.TemporaryDirectory() as folder:
            copies = [Path(shutil.copy(MONITORING / name, folder)) for name in names]
            write = [sys.executable, copies[-1]]
            subprocess.run([*write, "--runbook-base", "https://wiki.example/resnet-serve"], check=True)
            subprocess.run([*write, "--check"], check=True)
            for copy in copies[1:-1]:
                addresses = re.findall(r"runbook_url: (\S+)#resnetserve", copy.read_text())
                self.assertEqual(set(addresses), {"https://wiki.example/resnet-serve"}, copy.name)
            for wrong in ("", "two words", "https://wiki.example/#top"):
                done = subprocess.run([*write, "--runbook-base", wrong], capture_output=True, text=True)
                self.assertEqual(done.returncode, 2, wrong)
                self.assertIn("is no address", done.stderr)

    def test_queries_of_the_runbook_can_be_asked(self) -> None:
        queries = re.findall(r"```promql\n(.*?)```", (MONITORING / "README.md").read_text(), re.DOTALL)
        self.assertTrue(queries)
        for query in queries:
            self.assertLessEqual({SUFFIX.sub("", name) for name in METRIC.findall(query)}, declared())
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                yaml.safe_dump({"groups": [{"name": "asked", "rules": [{"record": "asked", "expr": query}]}]}, file)
                file.flush()
                promtool("check", "rules", file.name)

    def test_the_files_that_the_runbook_asks_for_are_those_that_the_listeners_can_take(self) -> None:
        places = (ROOT / "src/api/listener/places.rs").read_text()
        most, listeners, others = (int(re.search(rf"{name}: u\d\d = (\d+);", places)[1]) for name in ("MAX_CONNECTIONS", "LISTENERS", "OTHER_FILES"))
        files = most * listeners + others
        share = re.search(r"process_max_fds\S* > ([\d.]+)", (MONITORING / "alerts.yaml").read_text())[1]
        self.assertIn(f"{files:,} files are enough for all of them, and beyond {round(files / float(share)):,} this alert", (MONITORING / "README.md").read_text())

    def test_links_of_the_runbook_lead_somewhere(self) -> None:
        text = (MONITORING / "README.md").read_text()
        headings = {heading.lower() for heading in re.findall(r"(?m)^### (.*)$", text)}
        self.assertLessEqual(set(re.findall(r"\]\(#([^)]*)\)", text)), headings)


class Names(unittest.TestCase):
    def test_every_metric_that_is_named_exists(self) -> None:
        found = 0
        for path in [*MONITORING.rglob("*.yaml"), *MONITORING.rglob("*.json"), *MONITORING.rglob("*.yml")]:
            # What is recorded has names of its own, with colons.
            text = re.sub(r"\bnamespace_job:[a-z0-9_:]+", "", path.read_text())
            for name in METRIC.findall(text):
                found += 1
                self.assertTrue({name, SUFFIX.sub("", name)} & declared(), f"{path.name}: {name}")
        self.assertGreater(found, 100)

    def test_every_metric_of_the_program_is_shown_or_watched(self) -> None:
        texts = [(MONITORING / name).read_text() for name in ("dashboard.json", "rules.yaml", "alerts.yaml")]
        named = {SUFFIX.sub("", name) for text in texts for name in METRIC.findall(text)}
        own = {name for name in declared() if name.startswith("resnet_serve_")}
        self.assertEqual({SUFFIX.sub("", name) for name in own} - named, set())

    def test_no_rule_mixes_namespaces(self) -> None:
        found = 0
        for name in ("rules.yaml", "alerts.yaml"):
            for labels in re.findall(r"\b(?:by|on) \((.*?)\)", (MONITORING / name).read_text()):
                found += 1
                # Of nothing at all: that is the alert for when no namespace has anything.
                self.assertTrue(labels.startswith("namespace, job") or labels == "", f"{name}: {labels}")
        self.assertGreater(found, 30)

    def test_a_bucket_is_found_however_prometheus_writes_its_bound(self) -> None:
        """Prometheus 2 keeps `1` as the program writes it, Prometheus 3 makes `1.0` of it."""
        for name in ("rules.yaml", "alerts.yaml", "prometheusrule.yaml", "make_dashboard.py", "README.md"):
            for operator, bound in re.findall(r'\ble(=~?)"([^"]*)"', (MONITORING / name).read_text()):
                found = [each for each in ("1", "1.0", "10", "100", "10.0") if re.fullmatch(bound, each)]
                self.assertEqual((operator, found), ("=~", ["1", "1.0"]), name)

    def test_what_is_recorded_is_what_is_used(self) -> None:
        recorded = {rule["record"] for group in load("rules.yaml")["groups"] for rule in group["rules"]}
        used = re.findall(r"\bnamespace_job:[a-z0-9_:]+", (MONITORING / "alerts.yaml").read_text())
        self.assertLessEqual(set(used), recorded)


class Panels(unittest.TestCase):
    def test_the_dashboard_is_what_its_script_writes(self) -> None:
        subprocess.run([sys.executable, MONITORING / "make_dashboard.py", "--check"], check=True)

    def test_grafana_understands_every_panel(self) -> None:
        written = json.loads((MONITORING / "dashboard.json").read_text())
        understood = json.loads(json.dumps(Dashboard.from_json(written), cls=JSONEncoder))
        for before, after in zip(written["panels"], understood["panels"], strict=True):
            for key in ("type", "title", "gridPos"):
                self.assertEqual(before[key], after[key])
            expressions = [target["expr"] for target in before.get("targets", [])]
            self.assertEqual(expressions, [target["expr"] for target in after.get("targets") or []])

    def test_panels_do_not_overlap(self) -> None:
        taken = set()
        for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            taken |= cells


class Compose(unittest.TestCase):
    def test_what_is_mounted_exists(self) -> None:
        for service in load("compose.yaml")["services"].values():
            for volume in service.get("volumes", []):
                self.assertTrue((MONITORING / volume.split(":")[0]).exists(), volume)
            for port in service["ports"]:
                self.assertTrue(port.startswith("127.0.0.1:"), port)


if __name__ == "__main__":
    unittest.main()
