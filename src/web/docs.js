// The documentation at `/docs`: what the service's own OpenAPI document says, for people.

import { block, details, make, prose } from "./dom.js";
import { Schemas } from "./schema.js";
import { quoted } from "./words.js";

const METHODS = ["get", "put", "post", "delete", "patch"];

async function start() {
  let openapi;
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) {
      throw new Error(`status ${response.status}`);
    }
    openapi = await response.json();
  } catch (error) {
    const trouble = document.getElementById("trouble");
    trouble.hidden = false;
    trouble.textContent = `The document could not be read (${error.message}). Is the service still running?`;
    return;
  }
  document.getElementById("about").append(...prose(openapi.info.description), ` Version ${openapi.info.version}.`);
  const pages = new Pages(openapi);
  for (const { name, description } of openapi.tags ?? []) {
    pages.group(name, description);
  }
  // Elements that a link names were not there when the browser looked for them.
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

class Pages {
  constructor(openapi) {
    this.schemas = new Schemas(openapi);
    this.operations = Object.entries(openapi.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));
  }

  group(tag, description) {
    const operations = this.operations.filter(({ tags }) => tags?.includes(tag));
    if (operations.length === 0) {
      return;
    }
    const entry = (operation) =>
      make("li", {}, make("a", { href: `#${operation.operationId}` }, ...heading(operation)));
    document.getElementById("contents").append(
      make("p", { className: "group", textContent: tag }),
      make("ul", {}, ...operations.map(entry)),
    );
    document.getElementById("operations").append(
      make("h2", { className: "group-title", textContent: tag }),
      make("p", { className: "quiet" }, ...prose(description)),
      ...operations.map((operation) => this.operation(operation)),
    );
  }

  operation(operation) {
    const title = make("h3", { id: `${operation.operationId}-title` }, ...heading(operation));
    const section = make("section", { className: "operation", id: operation.operationId }, title);
    section.setAttribute("aria-labelledby", title.id);
    section.append(
      make("p", {}, ...prose(operation.summary)),
      ...(operation.description ? [make("p", {}, ...prose(operation.description))] : []),
      ...this.parameters(operation),
      ...this.body(operation),
      ...(operation.requestBody ? [] : [make("h4", { textContent: "Example" }), block("Example", curl(operation, ""))]),
      ...this.answers(operation),
    );
    return section;
  }

  parameters({ parameters = [] }) {
    const fields = parameters.map((parameter) => {
      const { name, in: place, description, schema, required } = this.schemas.resolve(parameter);
      const words = { query: "", header: "Header. ", path: "Part of the path. " }[place] ?? "";
      return this.schemas.field({ name, required, schema: this.schemas.resolve(schema), description: `${words}${description ?? ""}` });
    });
    return fields.length === 0 ? [] : [make("h4", { textContent: "Parameters" }), make("ul", { className: "fields" }, ...fields)];
  }

  body(operation) {
    const body = this.schemas.resolve(operation.requestBody);
    if (!body.content) {
      return [];
    }
    const forms = Object.entries(body.content).flatMap(([type, content]) => [
      make("h5", {}, ...prose(`As \`${type}\``)),
      ...this.schemas.fields(content.schema),
      ...this.examples(content).map(([name, value]) => block(`Example: ${name}`, curl(operation, type, value))),
    ]);
    return [make("h4", { textContent: "Body" }), make("p", {}, ...prose(body.description)), ...forms];
  }

  answers({ responses }) {
    const answers = Object.entries(responses).map(([status, node]) => {
      const response = this.schemas.resolve(node);
      const good = status.startsWith("2");
      const mark = make("span", { className: `status ${good ? "good" : "bad"}`, textContent: status });
      return details([mark, " ", ...prose(response.description)], ...this.answer(response, good));
    });
    return [make("h4", { textContent: "Answers" }), make("div", { className: "answers" }, ...answers)];
  }

  /** All errors have the same fields; their examples say what differs. */
  answer({ headers = {}, content = {} }, good) {
    const named = Object.entries(headers).map(([name, node]) => {
      const { schema, description } = this.schemas.resolve(node);
      return this.schemas.field({ name, schema, description });
    });
    const forms = Object.entries(content).flatMap(([type, form]) => [
      make("h5", {}, ...prose(`\`${type}\``)),
      ...(good ? this.schemas.fields(form.schema) : []),
      ...(type.includes("json") ? this.examples(form) : []).map(([name, value]) =>
        block(`Example: ${name}`, typeof value === "string" ? value : JSON.stringify(value, null, 2))),
    ]);
    const list = named.length === 0 ? [] : [make("h5", { textContent: "Headers" }), make("ul", { className: "fields" }, ...named)];
    return [...forms, ...list];
  }

  /** Names and values; where none is written down one that is made from the schema. */
  examples({ example, examples, schema }) {
    if (examples) {
      return Object.entries(examples).map(([name, node]) => [name, this.schemas.resolve(node).value]);
    }
    return [["made of the fields' examples", example ?? this.schemas.example(schema)]].filter(([, value]) => value !== undefined);
  }
}

function heading({ method, path }) {
  return [make("span", { className: "method", textContent: method.toUpperCase() }), " ", make("span", { className: "path", textContent: path })];
}

/** The call as a line for a terminal, on the service that the page comes from. */
function curl({ method, path }, type, value) {
  const url = quoted(new URL(path.slice(1), document.baseURI).href.replaceAll("%7B", "{").replaceAll("%7D", "}"));
  const verb = { get: "", post: "" }[method] ?? ` -X ${method.toUpperCase()}`;
  const data = {
    "": "",
    "multipart/form-data": " -F images=@one.jpg -F images=@two.jpg",
    "application/json": ` -H 'content-type: application/json' \\\n    -d ${quoted(JSON.stringify(value))} \\\n   `,
  }[type] ?? ` --data-binary @cat.jpg${type.includes("*") ? " -H 'content-type: image/jpeg'" : ` -H ${quoted(`content-type: ${type}`)}`}`;
  return `curl${verb}${data} ${url}`;
}

start();
