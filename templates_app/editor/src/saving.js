// Saves the draft without leaving the page. Who saved in between is told of, and nothing is lost:
// both texts stay on the page until one is chosen.
import { failure, post, say } from "./dom.js";
import { sideBySide } from "./compare.js";

const FIELDS = [
  ...["subject", "body_format", "body", "text", "variables"],
  ...["provider_template_id", "provider_signature", "provider_kind", "provider_parameters"],
  "change_note",
];

export class Saving {
  constructor(form, { url, words, load }) {
    this.form = form;
    this.url = url;
    this.words = words;
    this.load = load;
    this.status = document.querySelector("[data-save-status]");
    this.conflict = form.querySelector("[data-conflict]");
    this.saved = this.snapshot();
    form.addEventListener("submit", (event) => {
      if (event.submitter?.name !== "_save") return;
      event.preventDefault();
      this.save();
    });
    document.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.key !== "s") return;
      event.preventDefault();
      this.save();
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.isDirty) event.preventDefault();
    });
    for (const link of document.querySelectorAll("a[data-needs-saved]")) {
      link.addEventListener("click", async (event) => {
        if (!this.isDirty) return;
        event.preventDefault();
        if (await this.save()) window.location.assign(link.href);
      });
    }
    this.conflict.querySelector("[data-mine]").addEventListener("click", () => this.keepMine());
    this.conflict.querySelector("[data-theirs]").addEventListener("click", () => this.takeTheirs());
  }

  field(name) {
    return this.form.elements.namedItem(name);
  }

  snapshot() {
    return JSON.stringify(FIELDS.map((name) => this.field(name)?.value ?? ""));
  }

  get isDirty() {
    return this.snapshot() !== this.saved;
  }

  changed() {
    if (this.conflict.hidden) this.tell(this.isDirty ? this.words.unsaved : "", "unsaved");
  }

  tell(words, state) {
    this.status.textContent = words;
    this.status.dataset.state = words ? state : "";
  }

  /** True if it is stored now. */
  async save() {
    if (this.running) return this.running;
    this.running = this.send().finally(() => (this.running = null));
    return this.running;
  }

  async send() {
    this.tell(this.words.saving, "saving");
    const sent = this.snapshot();
    let answer;
    try {
      answer = await post(this.url, new FormData(this.form));
    } catch {
      answer = { status: 0 };
    }
    if (answer.status === 200 && answer.isJson) {
      this.saved = sent;
      this.field("revision").value = answer.data.revision;
      this.conflict.hidden = true;
      this.tell(this.isDirty ? this.words.unsaved : answer.data.detail, this.isDirty ? "unsaved" : "saved");
      return true;
    }
    if (answer.status === 409 && answer.data.theirs) this.showConflict(answer.data);
    else this.tell(failure(answer, this.words), "failed");
    return false;
  }

  showConflict({ detail, theirs }) {
    this.theirs = theirs;
    this.tell(this.words.notSaved, "failed");
    this.conflict.querySelector("[data-detail]").textContent = detail;
    const place = this.conflict.querySelector("[data-both]");
    place.replaceChildren();
    const pairs = FIELDS.map((name) => [name, theirs[name] ?? "", this.field(name)?.value ?? ""]);
    for (const [name, before, after] of pairs.filter(([, a, b]) => a.trim() !== b.trim())) {
      const title = say(this.words.fieldDiffers, { name: this.words.fields[name] || name });
      sideBySide(place, { title, before, after });
    }
    this.conflict.hidden = false;
    this.conflict.scrollIntoView({ block: "nearest" });
    this.conflict.focus();
  }

  keepMine() {
    this.field("revision").value = this.theirs.revision;
    this.conflict.hidden = true;
    this.save();
  }

  takeTheirs() {
    this.field("revision").value = this.theirs.revision;
    this.load(this.theirs);
    this.conflict.hidden = true;
    this.saved = this.snapshot();
    this.tell(this.words.theirsTaken, "saved");
  }
}
