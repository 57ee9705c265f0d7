// The page at `/`: takes pictures, asks the service, shows the answers.

import { Card } from "./card.js";
import { make } from "./dom.js";
import * as service from "./service.js";
import { curl, explain, percent } from "./words.js";

/** Requests under way at a time; the service batches them. */
const TOGETHER = 4;

/** How often a picture is sent again by itself after the service has said when. */
const ATTEMPTS = 3;

/** Where an error says that another attempt may do better. */
const PASSING = new Set(["overloaded", "draining", "rate_limited"]);

const by = (id) => document.getElementById(id);
const state = { models: [], cards: [], waiting: [], running: 0, file: "cat.jpg" };

// The models

/** Returns what went wrong, or nothing. */
async function start() {
  show(by("trouble"), false);
  try {
    state.models = await service.models();
  } catch (refusal) {
    if (refusal.code === "unauthorized") {
      askForKey();
    } else {
      const { what, advice } = explain(refusal);
      show(by("trouble"), true, `${what} ${advice}`);
    }
    return refusal.code;
  }
  by("models").replaceChildren(...state.models.map(({ name }) => make("option", { textContent: name })));
  show(by("model-choice"), state.models.length > 1);
  modelChosen();
  return "";
}

function model() {
  return state.models.find(({ name }) => name === by("models").value) ?? state.models[0];
}

function modelChosen() {
  const { name, version, classes, input, provider, trained } = model();
  by("model").replaceChildren(
    make("strong", { textContent: name }),
    ` version ${version}: ${classes} labels, sees ${input[1]} × ${input[0]} pixels, runs on ${provider === "cpu" ? "the CPU" : provider.toUpperCase()}`,
  );
  show(by("untrained"), !trained);
  const kept = by("top-k").value || "5";
  const counts = [1, 3, 5, 10, 20].filter((count) => count < classes).concat(classes <= 20 ? [classes] : []);
  by("top-k").replaceChildren(...counts.map((count) => make("option", { textContent: String(count) })));
  by("top-k").value = counts.includes(Number(kept)) ? kept : String(counts.at(-1));
  showCommand();
}

function settings() {
  return { model: model()?.name, topK: by("top-k").value || undefined };
}

// The key

function askForKey(trouble = "") {
  show(by("key-form"), true);
  show(by("key-trouble"), Boolean(trouble), trouble);
  if (!by("key-form").contains(document.activeElement)) {
    by("key").focus();
  }
}

async function keyEntered(event) {
  event.preventDefault();
  const entered = by("key").value.trim();
  // A header takes nothing else, and no key has anything else.
  if (!/^[\x21-\x7e]+$/.test(entered)) {
    askForKey("That is no key.");
    return;
  }
  service.key.set(entered);
  const trouble = await start();
  if (trouble === "") {
    by("key").value = "";
    show(by("key-form"), false);
    speak("The key was accepted.");
    by("files").focus();
    state.cards.filter((card) => card.code === "unauthorized").forEach(again);
  } else if (trouble === "unauthorized") {
    service.key.forget();
    askForKey("That key was not accepted.");
  }
}

// The pictures

function take(files) {
  if (files.length === 0) {
    return;
  }
  const cards = [...files].map((file) => new Card(file, { again, explain: explainAgain, remove }));
  by("cards").prepend(...cards.map((card) => card.element));
  state.cards.unshift(...cards);
  state.file = files[0].name || state.file;
  cards.forEach(again);
  arranged();
}

function again(card) {
  card.attempts = 0;
  enqueue(card);
}

function explainAgain(card, wanted) {
  card.explain = wanted;
  again(card);
}

function remove(card) {
  const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
  card.remove();
  state.cards = state.cards.filter((other) => other !== card);
  arranged();
  (next?.querySelector('button[aria-label^="Remove"]') ?? by("files")).focus();
}

function clear() {
  state.cards.forEach((card) => card.remove());
  state.cards = [];
  arranged();
  by("files").focus();
}

function arranged() {
  const any = state.cards.length > 0;
  document.body.classList.toggle("answered", any);
  show(by("answers"), any);
  by("answers-title").textContent = state.cards.length === 1 ? "One picture" : `${state.cards.length} pictures`;
  showCommand();
}

function enqueue(card) {
  clearInterval(card.timer);
  card.code = "";
  card.waiting("Waiting");
  if (!state.waiting.includes(card)) {
    state.waiting.push(card);
  }
  proceed();
}

function proceed() {
  while (state.running < TOGETHER && state.waiting.length > 0) {
    const card = state.waiting.shift();
    if (!card.removed) {
      state.running += 1;
      ask(card).finally(() => {
        state.running -= 1;
        proceed();
        tell(card);
      });
    }
  }
}

async function ask(card) {
  // A later question to the same card, as after another choice of model, makes this one void.
  const question = (card.question = Symbol(card.name));
  card.waiting("Asking");
  card.attempts += 1;
  const asked = { ...settings(), explain: Boolean(card.explain && model()?.explains) };
  try {
    const answer = await service.classify(card.file, asked);
    if (card.question === question && !card.removed) {
      card.answered(answer, Boolean(model()?.explains));
    }
  } catch (error) {
    if (!(error instanceof service.Refusal)) {
      throw error;
    }
    if (card.question === question && !card.removed) {
      refused(card, error);
    }
  }
}

function refused(card, refusal) {
  if (PASSING.has(refusal.code) && refusal.retryAfter && card.attempts <= ATTEMPTS) {
    pause(card, refusal);
    return;
  }
  card.failed(refusal);
  if (refusal.code === "unauthorized") {
    askForKey();
  }
}

function pause(card, refusal) {
  let seconds = refusal.retryAfter;
  card.pausing(refusal, seconds);
  card.timer = setInterval(() => {
    seconds -= 1;
    if (card.removed) {
      clearInterval(card.timer);
    } else if (seconds > 0) {
      card.pausing(refusal, seconds);
    } else {
      enqueue(card);
    }
  }, 1000);
}

/** One picture is told by its label; of many only the end is told. */
function tell(card) {
  if (state.cards.length > 3) {
    const open = state.cards.filter(({ state }) => state === "waiting" || state === "pausing").length;
    const failed = state.cards.filter(({ state }) => state === "failed").length;
    if (open === 0) {
      speak(`${state.cards.length} pictures, ${failed === 0 ? "all" : state.cards.length - failed} answered.`);
    }
  } else if (card.state === "answered") {
    speak(`${card.name}: ${card.best.label}, ${percent(card.best.probability)}.`);
  } else if (card.state === "failed") {
    speak(`${card.name}: no answer. ${card.content.querySelector("strong").textContent}`);
  }
}

// The rest

function speak(text) {
  by("spoken").textContent = text;
}

function show(element, shown, text) {
  element.hidden = !shown;
  if (text !== undefined) {
    element.textContent = text;
  }
}

function showCommand() {
  const { model: name, topK } = settings();
  const chosen = state.models.length > 1 ? name : undefined;
  by("command").textContent = curl({ file: state.file, model: chosen, topK, withKey: Boolean(service.key.get()) });
}

async function copy() {
  const button = by("copy");
  try {
    await navigator.clipboard.writeText(by("command").textContent);
    button.textContent = "Copied";
    speak("The command was copied.");
  } catch {
    // Without TLS a browser keeps the clipboard to itself; what is selected can be copied by hand.
    getSelection().selectAllChildren(by("command"));
    button.textContent = "Selected";
    speak("The command is selected.");
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

function settingsChanged() {
  showCommand();
  state.cards.forEach(again);
}

function dropped(event) {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const { files } = event.dataTransfer;
  show(by("trouble"), files.length === 0, "That was no file. Save the picture first, then drop it here.");
  take(files);
}

by("files").addEventListener("change", ({ target }) => {
  take(target.files);
  target.value = "";
});
by("clear").addEventListener("click", clear);
by("copy").addEventListener("click", copy);
by("key-form").addEventListener("submit", keyEntered);
by("models").addEventListener("change", () => {
  modelChosen();
  settingsChanged();
});
by("top-k").addEventListener("change", settingsChanged);
document.addEventListener("paste", ({ clipboardData }) => take(clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) {
    document.body.classList.remove("dropping");
  }
});
document.addEventListener("drop", dropped);
start();
