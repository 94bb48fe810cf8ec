// The preview: rendered by the server a moment after the last change, shown where nothing can run.
import { failure, post } from "./dom.js";

const PAUSE = 350;
// The page's own policy holds in the frame too; this one goes further. `base`: a click on a link
// would leave the preview, and to open a window is not allowed to it either.
const ENVELOPE =
  '<!doctype html><meta http-equiv="Content-Security-Policy" content="' +
  "default-src 'none'; img-src data: https:; style-src 'unsafe-inline'; font-src data:\">" +
  '<meta name="referrer" content="no-referrer"><base target="_blank">';

/** A mail that is a plain text, as mail programs show it. */
function asMarkup(text) {
  const element = document.createElement("pre");
  element.style.cssText = "white-space:pre-wrap;font:14px/1.5 sans-serif";
  element.textContent = text;
  return element.outerHTML;
}

export class Preview {
  constructor(root, { url, read, onAnswer, words }) {
    this.root = root;
    this.url = url;
    this.read = read;
    this.onAnswer = onAnswer;
    this.words = words;
    this.frame = root.querySelector("iframe");
    this.source = root.querySelector("[data-panel=source]");
    this.text = root.querySelector("[data-panel=text]");
    this.subject = root.querySelector("[data-subject]");
    this.status = root.querySelector("[data-status]");
    this.number = 0;
    for (const button of root.querySelectorAll("[data-width]")) {
      button.addEventListener("click", () => this.narrow(button.dataset.width));
    }
    this.narrow("desktop");
  }

  narrow(width) {
    this.root.dataset.shownWidth = width;
    for (const button of this.root.querySelectorAll("[data-width]")) {
      button.setAttribute("aria-pressed", String(button.dataset.width === width));
    }
  }

  /** Ask the server soon; `data-state` of the element is `waiting` until the answer is shown. */
  refresh({ atOnce = false } = {}) {
    this.root.dataset.state = "waiting";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), atOnce ? 0 : PAUSE);
  }

  async ask() {
    this.asking?.abort();
    this.asking = new AbortController();
    const number = ++this.number;
    let answer;
    try {
      answer = await post(this.url, this.read(), { signal: this.asking.signal });
    } catch (error) {
      if (error.name === "AbortError") return;
      answer = { status: 0 };
    }
    // A newer question is under way.
    if (number !== this.number) return;
    if (answer.status !== 200 || !answer.isJson) {
      this.say(failure(answer, this.words));
      this.root.dataset.state = "failed";
      return;
    }
    this.show(answer.data);
  }

  show(data) {
    this.onAnswer(data);
    if (data.is_rendered) {
      this.subject.textContent = data.subject || this.words.noSubject;
      this.text.textContent = data.text || this.words.noText;
      this.source.textContent = data.html || data.parameters;
      const shown = data.html || data.text;
      if (this.shown !== shown) {
        this.shown = shown;
        this.frame.srcdoc = ENVELOPE + (data.html || asMarkup(data.text));
      }
      this.say("");
    } else {
      this.say(this.words.stale);
    }
    this.root.dataset.state = data.is_rendered ? "shown" : "stale";
  }

  say(words) {
    this.status.textContent = words;
    this.status.hidden = !words;
  }
}
