// How the service is asked, and what it answers.

/** An answer that is none: a problem document, or no connection (status 0). */
export class Refusal extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? "");
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  get code() {
    return this.problem.code ?? "";
  }
}

/** The key that was entered. It is here alone: what a page stores outlives it, and other scripts may read that. */
export const key = {
  value: "",
  get: () => key.value,
  set: (value) => (key.value = value),
  forget: () => (key.value = ""),
};

/** The models that are served, the default one first. */
export async function models() {
  const { body } = await ask("models");
  return body.models.sort((one, other) => Number(other.default) - Number(one.default));
}

/** The labels of one picture: the answer as it came, and milliseconds by stage. */
export async function classify(file, { model, topK, explain }) {
  if (!(await readable(file))) {
    throw new Refusal(0, { code: "unreadable_file" });
  }
  const query = parameters({ model, top_k: topK, explain: explain ? "1" : undefined });
  const started = performance.now();
  const { body, headers } = await ask(`classify?${query}`, { method: "POST", body: file });
  const timing = { ...stages(headers), here: performance.now() - started };
  return { body, timing };
}

/** A query of what is known. */
export function parameters(values) {
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** Opens a file before it is sent: a folder or a file that is gone would look like a broken connection. */
async function readable(file) {
  try {
    return (await file.slice(0, 1).arrayBuffer()).byteLength === 1;
  } catch {
    return false;
  }
}

async function ask(path, options = {}) {
  const headers = new Headers();
  if (options.body) {
    // Whatever a file is called, its bytes decide.
    headers.set("Content-Type", "application/octet-stream");
  }
  if (key.get()) {
    headers.set("Authorization", `Bearer ${key.get()}`);
  }
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch {
    throw new Refusal(0, { code: "unreachable" });
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const wait = Number.parseInt(response.headers.get("Retry-After"), 10);
    throw new Refusal(response.status, body, Number.isFinite(wait) ? wait : undefined);
  }
  return { body, headers: response.headers };
}

/** `read;dur=0.1, decode;dur=3` as an object. */
function stages(headers) {
  const entries = (headers.get("Server-Timing") ?? "").split(",").map((entry) => {
    const [name, ...parameters] = entry.trim().split(";");
    const duration = parameters.find((parameter) => parameter.startsWith("dur="));
    return [name, Number(duration?.slice("dur=".length))];
  });
  return Object.fromEntries(entries.filter(([name, duration]) => name && Number.isFinite(duration)));
}
