// One picture and what became of it.

import { block, details, make } from "./dom.js";
import { bytes, explain, milliseconds, percent } from "./words.js";

const STAGES = ["read", "decode", "queue", "inference"];

/** Pictures narrower than this are shown enlarged, pixel by pixel. */
const SMALL = 96;
const ENLARGED = 192;

/** Of a card's picture, so that its labels stay in view. */
const HIGHEST = "20rem";

let cards = 0;

export class Card {
  /** `on.again`, `on.explain` and `on.remove` are called with the card. */
  constructor(file, on) {
    this.file = file;
    this.name = file.name || "picture";
    this.on = on;
    this.url = URL.createObjectURL(file);
    this.content = make("div", { className: "answer" });
    this.title = make("h3", { id: `card-${(cards += 1)}`, textContent: this.name });
    this.article = make("article", {}, this.#picture(), this.content);
    this.article.setAttribute("aria-labelledby", this.title.id);
    this.element = make("li", { className: "card" }, this.article);
    this.waiting("Waiting");
  }

  remove() {
    URL.revokeObjectURL(this.url);
    this.element.remove();
    this.removed = true;
  }

  waiting(text) {
    this.state = "waiting";
    this.#show(make("p", { className: "waiting", textContent: `${text}…` }));
  }

  /** Says why, and counts down to the next attempt. */
  pausing(refusal, seconds) {
    const text = `${explain(refusal, this.file).what} Next attempt in ${seconds} s…`;
    if (this.state === "pausing") {
      this.content.querySelector(".waiting").textContent = text;
      return;
    }
    this.state = "pausing";
    this.#show(
      make("p", { className: "waiting", textContent: text }),
      this.#actions(this.#button("Try now", () => this.on.again(this))),
    );
  }

  failed(refusal) {
    this.state = "failed";
    this.code = refusal.code;
    const { what, advice, detail, id } = explain(refusal, this.file);
    const note = make("div", { className: "note error" }, make("p", {}, make("strong", { textContent: what }), ` ${advice}`));
    if (detail) {
      note.append(make("p", { textContent: `The service says: ${detail}` }));
    }
    if (id) {
      note.append(make("p", {}, "Request ", make("code", { textContent: id })));
    }
    this.#show(note, this.#actions(this.#button("Try again", () => this.on.again(this))));
  }

  answered({ body, timing }, explains) {
    const [result] = body.results;
    this.state = "answered";
    this.best = result.predictions[0];
    const { format, width, height } = result.image;
    const facts = `${format.toUpperCase()}, ${width} × ${height} pixels, ${bytes(this.file.size)}`;
    const heat = explains ? [this.#heatButton(result.explanation)] : [];
    const untrained = make("p", { className: "note warning", textContent: "From an untrained network: these labels mean nothing." });
    this.#show(
      make("p", { className: "quiet", textContent: facts }),
      ...(body.model.trained ? [] : [untrained]),
      labels(result.predictions),
      stages(timing),
      details(["Answer as JSON"], block("Answer as JSON", JSON.stringify(body, shortened, 2))),
      this.#actions(...heat),
    );
    this.#heat(result.explanation);
  }

  #show(...children) {
    // Whoever has just pressed a button that goes away goes on from the card.
    const held = this.content.contains(document.activeElement);
    this.article.setAttribute("aria-busy", String(this.state === "waiting"));
    this.content.replaceChildren(this.title, ...children);
    if (held) {
      this.title.tabIndex = -1;
      this.title.focus();
    }
  }

  #picture() {
    const image = make("img", { src: this.url, alt: `Your picture ${this.name}`, decoding: "async" });
    const frame = make("span", { className: "frame" }, image);
    image.addEventListener("load", () => fit(frame, image));
    // A browser shows fewer kinds than the service reads: TIFF, for one.
    image.addEventListener("error", () =>
      frame.replaceChildren(make("span", { className: "quiet unshown", textContent: "No preview" })));
    this.frame = frame;
    return make("figure", { className: "picture" }, frame);
  }

  #heatButton(explanation) {
    const button = this.#button(explanation ? "Hide heat map" : "What did it look at?", () => this.on.explain(this, !explanation));
    button.setAttribute("aria-pressed", String(Boolean(explanation)));
    return button;
  }

  /** The heat map lies over the whole picture. */
  #heat(explanation) {
    this.frame.querySelector(".heat")?.remove();
    if (explanation) {
      const png = Uint8Array.from(atob(explanation.heat_map), (character) => character.charCodeAt(0));
      const url = URL.createObjectURL(new Blob([png], { type: "image/png" }));
      const image = make("img", { className: "heat", src: url, alt: `Heat map: what speaks for ${this.best.label}` });
      image.addEventListener("load", () => URL.revokeObjectURL(url));
      this.frame.append(image);
    }
  }

  #actions(...buttons) {
    const remove = this.#button("Remove", () => this.on.remove(this));
    remove.setAttribute("aria-label", `Remove ${this.name}`);
    return make("div", { className: "actions" }, ...buttons, remove);
  }

  #button(text, pressed) {
    const button = make("button", { type: "button", textContent: text });
    button.addEventListener("click", pressed);
    return button;
  }
}

/** The frame is as large as the picture in it, so that a heat map in the frame lies over it. */
function fit(frame, image) {
  const small = image.naturalWidth < SMALL;
  image.classList.toggle("small", small);
  const width = small ? ENLARGED : image.naturalWidth;
  frame.style.width = `min(100%, ${width}px, ${HIGHEST} * ${image.naturalWidth / image.naturalHeight})`;
}

/** The bars repeat what stands beside them, so that a screen reader passes over them. */
function labels(predictions) {
  const entry = ({ label, id, probability }) => {
    const [first, ...others] = label.split(",");
    const name = make("span", { className: "name", title: id, textContent: first });
    if (others.length > 0) {
      name.append(make("span", { className: "others", textContent: `,${others.join(",")}` }));
    }
    const filled = make("div", { className: "filled" });
    filled.style.width = `${Math.min(1, Math.max(0, probability)) * 100}%`;
    const track = make("div", { className: "track" }, filled);
    track.setAttribute("aria-hidden", "true");
    return make("li", {}, name, make("span", { className: "share", textContent: percent(probability) }), track);
  };
  return make("ol", { className: "labels" }, ...predictions.map(entry));
}

function stages(timing) {
  const known = STAGES.filter((stage) => timing[stage] !== undefined);
  const parts = known.map((stage) => {
    const part = make("span", { className: stage });
    part.style.flexGrow = String(timing[stage]);
    return part;
  });
  const strip = make("div", { className: "strip" }, ...parts);
  strip.setAttribute("aria-hidden", "true");
  const legend = known.map((stage) => make("li", { className: stage, textContent: `${stage} ${milliseconds(timing[stage])} ms` }));
  const inside = timing.total === undefined ? "" : `${milliseconds(timing.total)} ms in the service, `;
  return make(
    "div",
    { className: "timing quiet" },
    make("p", { textContent: `${inside}${milliseconds(timing.here)} ms there and back` }),
    strip,
    make("ul", { className: "legend" }, ...legend),
  );
}

/** A heat map would fill the screen with base64. */
function shortened(name, value) {
  return name === "heat_map" ? `${value.slice(0, 40)}…` : value;
}
