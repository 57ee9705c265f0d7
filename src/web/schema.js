// Schemas of an OpenAPI document, as lists of fields and as examples.

import { make, prose } from "./dom.js";

/** Deeper than any answer of a service that is meant to be read. */
const DEEPEST = 8;

export class Schemas {
  constructor(openapi) {
    this.openapi = openapi;
  }

  /** What a reference stands for; anything else as it is. */
  resolve(node) {
    if (!node?.$ref) {
      return node ?? {};
    }
    const found = node.$ref.slice(2).split("/").reduce((inside, name) => inside?.[name], this.openapi);
    const { $ref, ...beside } = node;
    return { ...this.resolve(found), ...beside };
  }

  /** The fields of an object, of the objects in an array, or of each alternative; nothing for a plain value. */
  fields(node, depth = 0) {
    const schema = this.resolve(node);
    if (depth > DEEPEST) {
      return [];
    }
    if (schema.items) {
      return this.fields(schema.items, depth + 1);
    }
    const alternatives = schema.oneOf ?? schema.anyOf;
    if (alternatives) {
      return alternatives.flatMap((alternative) => this.#alternative(alternative, depth));
    }
    const required = new Set(schema.required);
    const entries = Object.entries(schema.properties ?? {});
    return entries.length === 0 ? [] : [make("ul", { className: "fields" }, ...entries.map(([name, property]) =>
      this.field({ name, schema: property, required: required.has(name) }, depth)))];
  }

  /** One field or parameter. */
  field({ name, schema: node, required, description }, depth = 0) {
    const schema = this.resolve(node);
    const item = make("li", {}, make("code", { textContent: name }), " ", make("span", { className: "type", textContent: this.type(schema) }));
    if (required) {
      item.append(" ", make("span", { className: "required", textContent: "required" }));
    }
    const meaning = description ?? schema.description;
    if (meaning) {
      item.append(make("span", { className: "meaning" }, ...prose(meaning)));
    }
    item.append(...this.fields(schema, depth + 1));
    return item;
  }

  #alternative(alternative, depth) {
    const schema = this.resolve(alternative);
    const words = schema.title ?? schema.description ?? this.type(schema);
    return [make("p", { className: "type" }, ...prose(`Either: ${words}`)), ...this.fields(schema, depth + 1)];
  }

  /** A type in words, with its bounds. */
  type(node) {
    const schema = this.resolve(node);
    const types = [schema.type].flat().filter((type) => type && type !== "null");
    if (types[0] === "array") {
      return `array of ${this.type(schema.items)}`;
    }
    const kind = schema.contentEncoding ?? (schema.format === "binary" ? "bytes" : undefined);
    const values = schema.enum ? `: ${schema.enum.join(", ")}` : "";
    const bounds = [
      schema.minimum === undefined ? "" : `≥ ${schema.minimum}`,
      schema.maximum === undefined ? "" : `≤ ${schema.maximum}`,
    ].filter(Boolean).join(", ");
    const words = types.join(" or ") || (schema.type ?? (schema.oneOf ? "one of several" : "any"));
    return `${kind ? `${words} (${kind})` : words}${values}${bounds ? `, ${bounds}` : ""}`;
  }

  /** An example that is written down, or one made of those of its parts. */
  example(node, depth = 0) {
    const schema = this.resolve(node);
    const given = schema.example ?? schema.examples?.[0];
    if (given !== undefined || depth > DEEPEST) {
      return given;
    }
    if (schema.oneOf ?? schema.anyOf) {
      return this.example((schema.oneOf ?? schema.anyOf)[0], depth + 1);
    }
    if (schema.items) {
      return [this.example(schema.items, depth + 1)];
    }
    if (schema.properties) {
      const entries = Object.entries(schema.properties).map(([name, property]) => [name, this.example(property, depth + 1)]);
      return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
    }
    return { integer: 1, number: 0.5, boolean: true, string: "…" }[[schema.type].flat()[0]];
  }
}
