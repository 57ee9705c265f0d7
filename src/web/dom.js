// Elements, made in one line.

/** An element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Text in which `backticks` mark code. */
export function prose(text = "") {
  return text.split("`").map((part, index) => (index % 2 === 0 ? part : make("code", { textContent: part })));
}

/** A block of code that can be reached and scrolled with the keyboard. */
export function block(label, text) {
  const element = make("pre", { tabIndex: 0 }, make("code", { textContent: text }));
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", label);
  return element;
}

export function details(summary, ...children) {
  return make("details", {}, make("summary", {}, ...summary), ...children);
}
