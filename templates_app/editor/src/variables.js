// The table of variables. The schema in its textarea is the truth; the table shows and edits it,
// together with the variables that the server found in the text.
import { make } from "./dom.js";
import { parse, put, readExample, remove, rowsOf, writeExample } from "./schema.js";

const TYPES = ["string", "number", "integer", "boolean", "array", "object"];

export class Variables {
  constructor(root, { textarea, words, isReadOnly, onChange }) {
    this.root = root;
    this.body = root.querySelector("tbody");
    this.textarea = textarea;
    this.words = words;
    this.isReadOnly = isReadOnly;
    this.onChange = onChange;
    // Null until the server has read the text, and while it cannot.
    this.found = null;
    textarea.addEventListener("input", () => {
      this.draw();
      onChange();
    });
    this.draw();
  }

  /** `found`: `{path, type, required}` for each variable of the text, or null if it has errors. */
  follow(found) {
    this.found = found;
    this.draw();
  }

  get names() {
    const tops = (this.rows() || []).map((row) => row.path.split(/[.[]/)[0]);
    return [...new Set(tops)].sort();
  }

  /** What is described and what is found, in the order of their paths. */
  rows() {
    const schema = parse(this.textarea.value);
    if (schema === null) return null;
    const described = rowsOf(schema).map((row) => ({ ...row, isDescribed: true }));
    const known = new Set(described.map((row) => row.path));
    const fresh = (this.found || []).filter((row) => !known.has(row.path));
    // A group or a list is used if something within it is.
    const isUsed = (path) =>
      this.found === null ||
      this.found.some((row) => row.path === path || row.path.startsWith(`${path}.`) || row.path.startsWith(`${path}[]`));
    return [...described, ...fresh]
      .map((row) => ({ ...row, isUsed: isUsed(row.path) }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  draw() {
    const rows = this.rows();
    this.textarea.setAttribute("aria-invalid", String(rows === null));
    this.root.querySelector("[data-schema-broken]").hidden = rows !== null;
    if (rows === null) return;
    this.root.querySelector("[data-empty]").hidden = rows.length > 0;
    // A row that is being edited must not be torn away under the cursor.
    const focused = document.activeElement?.closest?.("tr[data-path]");
    const kept = focused && this.body.contains(focused) ? focused : null;
    const drawn = rows.map((row) =>
      kept && kept.dataset.path === row.path ? this.mark(kept, row) : this.drawRow(row),
    );
    this.body.replaceChildren(...drawn);
    if (kept && drawn.includes(kept)) this.focusAgain(kept);
  }

  focusAgain(row) {
    const field = row.querySelector("[data-focused]");
    field?.focus({ preventScroll: true });
  }

  mark(element, row) {
    for (const field of element.querySelectorAll("input, select")) {
      field.toggleAttribute("data-focused", field === document.activeElement);
    }
    element.toggleAttribute("data-unused", !row.isUsed);
    return element;
  }

  drawRow(row) {
    const disabled = this.isReadOnly;
    const options = ["", ...TYPES].map((type) =>
      make("option", { value: type, selected: type === row.type }, this.words.types[type || "any"]),
    );
    const type = make("select", { "aria-label": `${row.path}: ${this.words.type}`, disabled }, ...options);
    const required = make("input", {
      type: "checkbox",
      "aria-label": `${row.path}: ${this.words.required}`,
      disabled,
    });
    required.checked = Boolean(row.required);
    const example = make("input", {
      type: "text",
      "aria-label": `${row.path}: ${this.words.example}`,
      placeholder: this.words.sample,
      autocomplete: "off",
      spellcheck: "false",
      disabled,
    });
    example.value = writeExample(row.example);
    const element = make(
      "tr",
      { "data-path": row.path, "data-unused": !row.isUsed },
      make("th", { scope: "row" }, row.path, make("span", { class: "te-unused" }, this.words.unused)),
      make("td", {}, type),
      make("td", { class: "te-center" }, required),
      make("td", {}, example),
      make("td", {}, this.removeButton(row)),
    );
    const change = () => {
      const fields = { type: type.value, required: required.checked };
      try {
        fields.example = readExample(example.value, type.value);
        example.removeAttribute("aria-invalid");
      } catch {
        example.setAttribute("aria-invalid", "true");
        return;
      }
      this.edit((schema) => put(schema, { path: row.path, ...fields }));
    };
    for (const field of [type, required]) field.addEventListener("change", change);
    example.addEventListener("input", change);
    return element;
  }

  removeButton(row) {
    if (this.isReadOnly || !row.isDescribed || row.isUsed) return null;
    const click = () => {
      this.edit((schema) => remove(schema, row.path));
      this.draw();
    };
    const label = `${this.words.remove}: ${row.path}`;
    return make("button", { type: "button", class: "te-link", "aria-label": label, onclick: click }, this.words.remove);
  }

  edit(change) {
    const schema = parse(this.textarea.value);
    if (schema === null) return;
    change(schema);
    this.textarea.value = JSON.stringify(schema, null, 2);
    this.onChange();
  }
}
