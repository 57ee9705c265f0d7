// The live view: asks the process each second what is new, and shows the last minutes.

import { Bars, Lines } from "./chart.js";
import { make } from "./dom.js";

const PERIOD = 1000;
const KEPT = 600;
/** Samples that the boxes speak of. */
const RECENT = 10;
const SIZES = ["1", "2", "≤4", "≤8", "≤16", "≤32", "≤64", "≤128", "≤256", "more"];

const element = (id) => document.getElementById(id);
const round = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)).replace(/\.0+$/, "");
const number = (value) => (value === null ? "–" : round(value));
const percent = (value) => (value === null ? "–" : `${round(100 * value)} %`);
const time = (value) => (value === null ? "–" : value < 1 ? `${round(1000 * value)} ms` : `${round(value)} s`);

const charts = [
  new Lines("Images a second", { format: number, least: 1, series: [
    { label: "classified", value: (sample) => sample.classified },
    { label: "sustained", value: (sample) => sample.capacity || null },
    { label: "refused", value: (sample) => sample.refused },
  ] }),
  new Lines("Latency of requests", { format: time, least: 0.01, series: [
    { label: "p50", value: (sample) => sample.latency[0] },
    { label: "p95", value: (sample) => sample.latency[1] },
    { label: "p99", value: (sample) => sample.latency[2] },
  ] }),
  new Lines("Images in the service", { format: number, least: 4, series: [
    { label: "in flight", value: (sample) => sample.inflight },
    { label: "waiting for a worker", value: (sample) => sample.queue },
  ] }),
  new Lines("Saturation", { format: percent, least: 1, series: [
    { label: "arriving over sustained", value: (sample) => sample.saturation },
  ] }),
];
const batches = new Bars("Images in a batch", SIZES);

let samples = [];
let started = null;

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0);

function tiles(recent) {
  const requests = mean(recent.map((sample) => sample.requests));
  const errors = mean(recent.map((sample) => sample.errors));
  const slowest = Math.max(...recent.map((sample) => sample.latency[1] ?? -1));
  const last = recent.at(-1);
  return [
    ["Requests", `${number(requests)} /s`],
    ["Errors", requests > 0 ? percent(errors / requests) : "–", errors > 0],
    ["p95", time(slowest < 0 ? null : slowest), slowest > 1],
    ["Goodput", `${number(mean(recent.map((sample) => sample.classified)))} /s`],
    ["Saturation", percent(last?.saturation ?? null), last?.saturation > 0.9],
    ["In flight", number(last?.inflight ?? null)],
  ];
}

function show() {
  const seconds = 60 * Number(element("minutes").value);
  const shown = samples.slice(-seconds);
  for (const chart of charts) chart.show(shown, seconds);
  batches.show(SIZES.map((_, index) => shown.reduce((sum, sample) => sum + sample.batches[index], 0)));
  const boxes = tiles(samples.slice(-RECENT)).map(([name, value, bad]) =>
    make("dl", { className: bad ? "tile bad" : "tile" }, make("dt", { textContent: name }), make("dd", { textContent: value })));
  element("tiles").replaceChildren(...boxes);
}

/** Only what is new, because a screen reader tells again whatever is written. */
function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function mark(state, reason) {
  const badge = element("state");
  write(badge, state);
  badge.className = `state ${state === "ready" ? "ready" : "not-ready"}`;
  badge.title = reason ?? "";
}

function describe({ state, reason, models }) {
  mark(state, reason);
  const lines = models.map((model) => make("li", {},
    make("strong", { textContent: model.model }), ` version ${model.version}, ${model.precision} on ${model.provider}, ONNX Runtime ${model.onnxruntime}, ${model.sha256.slice(0, 12)}`));
  element("models").replaceChildren(...lines);
}

async function poll() {
  const response = await fetch(`history?since=${samples.at(-1)?.number ?? 0}`, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const news = await response.json();
  if (started !== null && started !== news.started) {
    // Another process: its numbers begin anew, and so does this page.
    samples = [];
    started = news.started;
    return poll();
  }
  started = news.started;
  samples = [...samples, ...news.samples].slice(-KEPT);
  describe(news);
  return show();
}

async function follow() {
  try {
    await poll();
    element("trouble").hidden = true;
  } catch (error) {
    mark("no answer");
    write(element("trouble"), `The process does not answer (${error.message}). What is shown is what it said last.`);
    element("trouble").hidden = false;
  }
  setTimeout(follow, PERIOD);
}

element("charts").replaceChildren(...charts.map((chart) => chart.figure), batches.figure);
element("minutes").addEventListener("change", show);
follow();
