"""Writes dashboard.json, whose panels are declared here a line each: `python3 monitoring/make_dashboard.py`."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).with_name("dashboard.json")
WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The label `namespace` is absent outside Kubernetes, which `.*` takes for all.
ONE = 'namespace=~"$namespace", job="$job", instance=~"$instance"'
REQUESTS = ONE + ', route=~"/classify|.*[iI]nfer"'
READ = ONE + ', stage="read"'
QUANTILES = (0.5, 0.95, 0.99)


@dataclass
class Panel:
    """One panel: what it shows, and by which queries (legend, expression)."""

    title: str
    queries: list[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    about: str = ""
    stacked: bool = False
    options: dict = field(default_factory=dict)
    steps: list[tuple[float | None, str]] = field(default_factory=list)


def total(metric: str, by: str = "", labels: str = ONE) -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{labels}}}[$__rate_interval]))"


def quantiles(metric: str, labels: str, by: str = "le") -> list[tuple[str, str]]:
    buckets = total(f"{metric}_bucket", by, labels)
    return [(f"p{100 * quantile:g}", f"histogram_quantile({quantile}, {buckets})") for quantile in QUANTILES]


def slow(metric: str, labels: str) -> str:
    """The share of more than a second."""
    within = total(f"{metric}_bucket", labels=labels + ', le=~"1|1[.]0"')
    return f'1 - {within} / ({total(f"{metric}_count", labels=labels)} > 0)'


def gauge(metric: str) -> str:
    return f"{metric}{{{ONE}}}"


ERRORED = REQUESTS + ', status=~"5.."'
ERRORS = f'({total("resnet_serve_requests_total", labels=ERRORED)} or vector(0))'
ALL = total("resnet_serve_requests_total", labels=REQUESTS)
CLASSIFIED = total("resnet_serve_images_total", labels=ONE + ', outcome="classified"')
CAPACITY = f'sum({gauge("resnet_serve_capacity_images_per_second")})'
BAD = [(None, "green"), (0.005, "orange"), (0.072, "red")]
FULL = [(None, "green"), (0.7, "orange"), (0.9, "red")]
DOWN = [(None, "red"), (1, "green")]
TABLE = {"showHeader": True, "cellHeight": "sm"}

ROWS: list[tuple[str, list[Panel]]] = [
    ("At a glance", [
        Panel("Ready", [("ready", f'sum({gauge("resnet_serve_ready")}) / count({gauge("resnet_serve_ready")})')],
              "percentunit", "stat", 3, 4, "Instances that take traffic, of those that are scraped.", steps=DOWN),
        Panel("Requests", [("requests", ALL)], "reqps", "stat", 3, 4, "That carry pictures, in a second."),
        Panel("Errors", [("errors", f"{ERRORS} / ({ALL} > 0) or vector(0)")], "percentunit", "stat", 3, 4,
              "5xx, refusals because of load included. Orange: more than the objective; red: the month's budget in two days.", steps=BAD),
        Panel("p95", [("p95", quantiles("resnet_serve_request_duration_seconds", REQUESTS)[1][1])], "s", "stat", 3, 4,
              steps=[(None, "green"), (0.5, "orange"), (1, "red")]),
        Panel("Goodput", [("images", CLASSIFIED)], "ops", "stat", 3, 4, "Images that got their labels, in a second."),
        Panel("Saturation", [("saturation", f'avg({gauge("resnet_serve_saturation_ratio")})')], "percentunit", "stat", 3, 4,
              "What arrives over what is sustained.", steps=FULL),
        Panel("Alerts", [("{{alertname}} {{instance}}", 'ALERTS{alertname=~"ResnetServe.*", alertstate="firing", namespace=~"$namespace|"}')], kind="table",
              width=6, height=4, about="What fires now; `ResnetServeWatchdog` always does.", options=TABLE),
    ]),
    ("Traffic and errors", [
        Panel("Requests by route", [("{{route}}", total("resnet_serve_requests_total", "route"))], "reqps", stacked=True),
        Panel("Answers by status", [("{{status}}", total("resnet_serve_requests_total", "status", REQUESTS))], "reqps", stacked=True,
              about="499: the client went away before the answer."),
        Panel("Error ratio", [("errors", f"{ERRORS} / ({ALL} > 0)")], "percentunit", steps=BAD),
        Panel("Requests by key", [("{{key}} {{status}}", total("resnet_serve_key_requests_total", "key, status"))], "reqps", width=12, stacked=True,
              about="Empty where no API keys are asked for. 429: more than the key's quota."),
        Panel("TLS handshake failures", [("{{listener}}: {{reason}}", total("resnet_serve_tls_handshake_failures_total", "listener, reason"))], "ops", width=12,
              about="Connections that ended before they were encrypted. Empty without TLS."),
    ]),
    ("Latency", [
        Panel("Requests", quantiles("resnet_serve_request_duration_seconds", REQUESTS), "s"),
        Panel("p95 by stage", [("{{stage}}", f'histogram_quantile(0.95, {total("resnet_serve_stage_duration_seconds_bucket", "le, stage")})')],
              "s", about="Of images that came through. decode: waiting for a core included."),
        Panel("Mean by stage", [("{{stage}}", f'{total("resnet_serve_stage_duration_seconds_sum", "stage")} / ({total("resnet_serve_stage_duration_seconds_count", "stage")} > 0)')],
              "s", stacked=True),
        Panel("Slow requests", [("all", slow("resnet_serve_request_duration_seconds", REQUESTS)), ("by their upload alone", slow("resnet_serve_stage_duration_seconds", READ))],
              "percentunit", about="Of more than a second, which is the objective. An upload is the client's, and counts over HTTP."),
    ]),
    ("Goodput and refusals", [
        Panel("Goodput and capacity", [("classified", CLASSIFIED), ("capacity", CAPACITY),
              ("arriving", f'sum({gauge("resnet_serve_saturation_ratio")} * {gauge("resnet_serve_capacity_images_per_second")})'),
              ("classified in ten crops", total("resnet_serve_ten_crop_images_total"))], "ops",
              about="Images in a second: answered, sustained, arriving. One in ten crops takes the capacity of ten."),
        Panel("Images by what became of them", [("{{outcome}}", total("resnet_serve_images_total", "outcome"))], "ops", stacked=True),
        Panel("Refusals by reason", [("{{reason}}", total("resnet_serve_rejections_total", "reason"))], "ops", stacked=True),
    ]),
    ("Queue and batches", [
        Panel("Queue", [("waiting {{instance}}", gauge("resnet_serve_queue_images")), ("in flight {{instance}}", gauge("resnet_serve_inflight_images")),
              ("places", f'max({gauge("resnet_serve_queue_capacity_images")})')]),
        Panel("Images in a batch", [("mean", f'{total("resnet_serve_batch_images_sum")} / ({total("resnet_serve_batch_images_count")} > 0)'),
              *quantiles("resnet_serve_batch_images", ONE)[1:]]),
        Panel("Padding and gone clients", [("padded", total("resnet_serve_padded_images_total")), ("gone: {{at}}", total("resnet_serve_abandoned_images_total", "at"))],
              "ops", about="Images computed for nothing, and how far those had come whose client went away."),
    ]),
    ("Saturation and resources", [
        Panel("Saturation", [("{{instance}}", gauge("resnet_serve_saturation_ratio"))], "percentunit", steps=FULL),
        Panel("CPU", [("used {{instance}}", f'rate(process_cpu_seconds_total{{{ONE}}}[$__rate_interval])'), ("cores", f'max({gauge("resnet_serve_cores")})')]),
        Panel("Memory", [("resident {{instance}}", gauge("process_resident_memory_bytes")), ("limit", f'max({gauge("resnet_serve_memory_limit_bytes")})')], "bytes"),
        Panel("Memory of bodies and pixels", [("used {{instance}}", gauge("resnet_serve_memory_used_bytes")), ("budget", f'max({gauge("resnet_serve_memory_budget_bytes")})')], "bytes"),
        Panel("GPU utilization", [("{{instance}} {{gpu}}", gauge("resnet_serve_gpu_utilization_ratio"))], "percentunit"),
        Panel("GPU memory", [("used {{instance}} {{gpu}}", gauge("resnet_serve_gpu_memory_used_bytes")), ("total", f'max({gauge("resnet_serve_gpu_memory_total_bytes")})')], "bytes"),
        Panel("JPEGs given to the GPU's unit", [("{{result}}", total("resnet_serve_jpeg_unit_images_total", "result"))], "ops", stacked=True,
              about="All zero without --jpeg-decoder nvjpeg. What is broken or failed, a core decodes."),
    ]),
    ("Engines and the process", [
        Panel("Workers", [("working {{instance}}", gauge("resnet_serve_workers")), ("configured", f'max({gauge("resnet_serve_workers_configured")})')], width=6),
        Panel("Ready, live", [("ready {{instance}}", gauge("resnet_serve_ready")), ("live {{instance}}", gauge("resnet_serve_live"))], width=6),
        Panel("Stalled", [("{{instance}}", gauge("resnet_serve_stalled_seconds"))], "s", width=6, about="For how long work has waited without any being done; at 60 s `/live` fails."),
        Panel("Engines rebuilt, batch limit lowered", [("rebuilt {{instance}}", f'increase(resnet_serve_engine_rebuilds_total{{{ONE}}}[$__rate_interval])'),
              ("lowered {{instance}}", f'increase(resnet_serve_batch_limit_lowered_total{{{ONE}}}[$__rate_interval])')], width=6),
        Panel("Started", [("{{instance}}", f'time() - {gauge("process_start_time_seconds")}')], "s", width=6, about="Seconds since; a drop is a restart."),
        Panel("File descriptors", [("open {{instance}}", gauge("process_open_fds")), ("limit", f'max({gauge("process_max_fds")})')], width=6),
        Panel("Threads", [("{{instance}}", gauge("process_threads"))], width=6),
        Panel("Spans", [("{{outcome}}", total("resnet_serve_trace_spans_total", "outcome"))], "ops", width=6, about="All zero where no collector is named."),
    ]),
    ("What runs", [
        Panel("Models", [("", f'count by (instance, model, version, sha256, provider, precision, onnxruntime) ({gauge("resnet_serve_model_info")})')], kind="table", width=12, options=TABLE),
        Panel("Provider, asked and used", [("", f'count by (instance, model, asked, used) ({gauge("resnet_serve_provider_info")})')], kind="table", width=6, options=TABLE),
        Panel("Builds", [("", f'count by (version, commit, rustc) ({gauge("resnet_serve_build_info")})')], kind="table", width=6, options=TABLE),
        Panel("Trained", [("{{model}}", f'min by (model) ({gauge("resnet_serve_model_trained")})')], kind="stat", width=6, height=4, about="0: random weights, whose answers mean nothing.", steps=DOWN),
        Panel("Reloads", [("{{result}} {{instance}}", f'sum by (instance, result) (increase(resnet_serve_model_reloads_total{{{ONE}}}[$__rate_interval]))')], width=6,
              about="Models loaded anew. failed: the old one serves on."),
        Panel("Stale files", [("{{file}} {{instance}}", gauge("resnet_serve_file_stale"))], width=12, about="1: the file of keys or certificates cannot be read, and what it said before holds."),
        Panel("Ensembles", [("", f'count by (instance, model, member, version, sha256) ({gauge("resnet_serve_ensemble_info")})')], kind="table", width=24,
              about="Of which models the probabilities are averaged.", options=TABLE),
    ]),
]


def render(panel: Panel, number: int, place: dict) -> dict:
    table = panel.kind == "table"
    style = {"lineWidth": 1, "fillOpacity": 15 if panel.stacked else 0, "stacking": {"mode": "normal" if panel.stacked else "none"}}
    steps = [{"color": color, "value": value} for value, color in panel.steps] or [{"color": "green", "value": None}]
    defaults = {"unit": panel.unit, "min": 0, "custom": style if panel.kind == "timeseries" else {}, "thresholds": {"mode": "absolute", "steps": steps}}
    targets = [
        {"refId": chr(ord("A") + index), "expr": expression, "legendFormat": legend, "datasource": DATASOURCE,
         "instant": panel.kind != "timeseries", "range": panel.kind == "timeseries", "format": "table" if table else "time_series"}
        for index, (legend, expression) in enumerate(panel.queries)
    ]
    hidden = [{"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}]
    return {"id": number, "type": panel.kind, "title": panel.title, "description": panel.about, "datasource": DATASOURCE, "gridPos": place,
            "targets": targets, "fieldConfig": {"defaults": defaults, "overrides": []}, "options": panel.options,
            "transformations": hidden if table else []}


def panels() -> list[dict]:
    found, top = [], 0
    for title, row in ROWS:
        found.append({"id": len(found) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                      "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}})
        left, top, height = 0, top + 1, 0
        for panel in row:
            if left + panel.width > WIDTH:
                left, top, height = 0, top + height, 0
            found.append(render(panel, len(found) + 1, {"x": left, "y": top, "w": panel.width, "h": panel.height}))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return found


def variable(name: str, query: str, **more: object) -> dict:
    return {"type": "query", "name": name, "datasource": DATASOURCE, "query": query, "definition": query, "refresh": 2, "sort": 1} | more


def dashboard() -> dict:
    variables = [
        {"type": "datasource", "name": "datasource", "query": "prometheus"},
        variable("namespace", "label_values(resnet_serve_build_info, namespace)", multi=True, includeAll=True, allValue=".*",
                 current={"text": ["All"], "value": ["$__all"]}),
        variable("job", 'label_values(resnet_serve_build_info{namespace=~"$namespace"}, job)'),
        variable("instance", 'label_values(resnet_serve_build_info{namespace=~"$namespace", job="$job"}, instance)', multi=True, includeAll=True,
                 allValue=".+"),
    ]
    return {"uid": "resnet-serve", "title": "resnet-serve", "tags": ["resnet-serve"], "schemaVersion": 39, "editable": True, "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"}, "templating": {"list": variables}, "panels": panels()}


def text() -> str:
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if FILE.read_text() == text() else f"error: {FILE} is stale; run {Path(__file__).name}")
    FILE.write_text(text())
