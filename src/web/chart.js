// Lines and bars in SVG, drawn anew with each sample.

import { make } from "./dom.js";

const WIDTH = 560;
const HEIGHT = 190;
const LEFT = 52;
const BOTTOM = 20;
const STYLES = [["first", ""], ["second", "dashed"], ["third", "dotted"]];

function draw(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A round number at or above the largest value: 1, 2 or 5 times a power of ten. */
export function ceiling(values, least) {
  const largest = Math.max(least, ...values);
  const power = 10 ** Math.floor(Math.log10(largest));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= largest * 0.999);
}

function frame(title) {
  const legend = make("span", { className: "legend" });
  const plot = draw("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const heading = make("h2", { textContent: title });
  const figure = make("figure", { className: "chart" }, make("figcaption", {}, heading, legend), plot);
  return { figure, legend, plot };
}

/** The lines at the bottom, in the middle and at the top, with what they stand for. */
function grid(top, format) {
  return [0, 0.5, 1].flatMap((share) => {
    const y = (HEIGHT - BOTTOM) * (1 - share) + 6 * share;
    return [
      draw("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y, y2: y }),
      draw("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, format(top * share)),
    ];
  });
}

/** Lines over time. `series`: label and value of a sample, `null` for none. */
export class Lines {
  constructor(title, { series, format, least }) {
    Object.assign(this, { title, series, format, least, pointed: null }, frame(title));
    this.plot.addEventListener("pointermove", (event) => this.#point(event));
    this.plot.addEventListener("pointerleave", () => this.#point(null));
  }

  /** `samples`, the last of which is now, in a window of so many seconds. */
  show(samples, seconds) {
    Object.assign(this, { samples, seconds });
    const values = this.series.flatMap(({ value }) => samples.map(value).filter((each) => each !== null));
    const top = ceiling(values, this.least);
    const y = (value) => (HEIGHT - BOTTOM) - ((HEIGHT - BOTTOM - 6) * value) / top;
    const lines = this.series.map(({ value }, index) => draw("path", { class: STYLES[index][0], d: this.#path(value, y) }));
    this.plot.replaceChildren(...grid(top, this.format), ...this.#times(), ...lines, ...this.#cursor());
    this.#legend();
  }

  #x(index) {
    return WIDTH - ((this.samples.length - 1 - index) * (WIDTH - LEFT)) / (this.seconds - 1);
  }

  #path(value, y) {
    let pen = "M";
    return this.samples.map((sample, index) => {
      const each = value(sample);
      const part = each === null ? "" : `${pen}${this.#x(index).toFixed(1)} ${y(each).toFixed(1)}`;
      pen = each === null ? "M" : "L";
      return part;
    }).join("");
  }

  #times() {
    const minutes = this.seconds / 60;
    return [
      draw("text", { x: LEFT, y: HEIGHT - 2 }, `${minutes} min ago`),
      draw("text", { x: WIDTH, y: HEIGHT - 2, "text-anchor": "end" }, "now"),
    ];
  }

  #cursor() {
    if (this.pointed === null) return [];
    const x = this.#x(this.pointed);
    return [draw("line", { class: "cursor", x1: x, x2: x, y1: 6, y2: HEIGHT - BOTTOM })];
  }

  #point(event) {
    const box = this.plot.getBoundingClientRect();
    const back = event && ((box.right - event.clientX) / box.width) * WIDTH * ((this.seconds - 1) / (WIDTH - LEFT));
    const index = event && this.samples.length - 1 - Math.round(back);
    this.pointed = this.samples[index] ? index : null;
    this.show(this.samples, this.seconds);
  }

  #legend() {
    const sample = this.samples[this.pointed ?? this.samples.length - 1];
    const texts = this.series.map(({ label, value }) => `${label} ${sample ? this.format(value(sample)) : "–"}`);
    this.legend.replaceChildren(...texts.map((text, index) => make("span", { className: STYLES[index].join(" "), textContent: text })));
    this.plot.setAttribute("aria-label", `${this.title}: ${texts.join(", ")}`);
  }
}

/** Bars side by side. */
export class Bars {
  constructor(title, labels) {
    Object.assign(this, { title, labels }, frame(title));
  }

  show(counts) {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const width = (WIDTH - LEFT) / this.labels.length;
    const share = (count) => (total > 0 ? count / total : 0);
    const bars = counts.flatMap((count, index) => {
      const height = (HEIGHT - BOTTOM - 6) * share(count);
      const x = LEFT + index * width;
      return [
        draw("rect", { x: x + 4, y: HEIGHT - BOTTOM - height, width: width - 8, height, rx: 3 }),
        draw("text", { class: index % 2 === 0 ? "" : "spare", x: x + width / 2, y: HEIGHT - 4, "text-anchor": "middle" }, this.labels[index]),
      ];
    });
    this.plot.replaceChildren(...grid(1, (value) => `${Math.round(100 * value)} %`), ...bars);
    this.legend.textContent = total === 1 ? "1 batch" : `${total} batches`;
    const told = counts.map((count, index) => `${this.labels[index]}: ${Math.round(100 * share(count))} %`);
    this.plot.setAttribute("aria-label", `${this.title}: ${told.join(", ")}`);
  }
}
