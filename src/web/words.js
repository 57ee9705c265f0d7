// Figures and errors in words that a person would want to read.

import { parameters } from "./service.js";

/** What to say of a refusal: what happened, and what can be done about it. */
export function explain(refusal, file) {
  const { problem, code } = refusal;
  const size = file ? bytes(file.size) : "";
  const said = {
    undecodable_image: ["This is no picture that can be read.", "JPEG, PNG, WebP, GIF, BMP and TIFF can. The file may also be broken or cut off."],
    image_too_large: ["This picture has too many pixels.", "Make it smaller and try again."],
    payload_too_large: [`This file is too large (${size}).`, "Make it smaller and try again."],
    unsupported_media_type: ["This kind of file is not taken.", "Send a JPEG, PNG, WebP, GIF, BMP or TIFF."],
    unreadable_file: ["This file could not be opened.", "It is empty, it is a folder, or it is not there any more."],
    unauthorized: ["The service needs a key.", "Enter one that is valid; the picture is then sent again."],
    rate_limited: ["Your key has used up what it may ask for.", "Wait a little, then try again."],
    overloaded: ["The service has more to do than it can.", "It asks to be left alone for a moment. Try again then."],
    draining: ["The service is being stopped or replaced.", "Try again in a moment."],
    deadline_exceeded: ["There was no answer in time.", "The service may have much to do. Try again."],
    request_timeout: ["The picture arrived too slowly.", "Try a smaller one, or a better connection."],
    inference_failed: ["The network failed on this picture.", "That is the service's fault. Try again, and report it if it happens again."],
    not_found: ["This model is not served any more.", "Reload the page to see those that are."],
    unreachable: ["The service cannot be reached.", file?.size > 8 << 20 ? `Is it still running? Or it may not take a file this large (${size}).` : "Is it still running?"],
  }[code];
  const [what, advice] = said ?? [problem.title ? `${problem.title}.` : `The service answered with status ${refusal.status}.`, ""];
  return { what, advice, detail: problem.detail ?? "", id: problem.request_id ?? "" };
}

export function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 0.1) {
    return "< 0.1 %";
  }
  return `${value.toFixed(1)} %`;
}

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  const step = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** step;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

export function milliseconds(duration) {
  return duration < 10 ? duration.toFixed(1) : String(Math.round(duration));
}

/** The call that the page makes, for a terminal. The key stays out of it. */
export function curl({ file, model, topK, withKey }) {
  const url = new URL("classify", document.baseURI);
  url.search = parameters({ model, top_k: topK });
  const header = withKey ? ' -H "Authorization: Bearer $API_KEY"' : "";
  return `curl --data-binary ${quoted(`@${file}`)}${header} ${quoted(url.href)}`;
}

/** A word for a shell: whatever a file is called, it stays one argument. */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
