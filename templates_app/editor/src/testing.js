// "Send me a test": what is stored is what is sent, so changes are saved first.
import { failure, make, post } from "./dom.js";

export function wireTest(dialog, { saving, url, words }) {
  const opener = document.querySelector("[data-open-test]");
  const form = dialog.querySelector("form");
  const result = dialog.querySelector("[data-result]");
  const tell = (text, state, link) => {
    result.replaceChildren(text);
    if (link) result.append(" ", make("a", { href: link, class: "te-link" }, words.openMessage));
    result.dataset.state = state;
  };
  opener?.addEventListener("click", (event) => {
    event.preventDefault();
    tell("", "");
    dialog.showModal();
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    tell(words.sending, "waiting");
    try {
      if (saving?.isDirty && !(await saving.save())) {
        tell(words.notSaved, "failed");
        return;
      }
      const answer = await post(url, new FormData(form));
      if (answer.status === 200 && answer.isJson) tell(answer.data.detail, "sent", answer.data.url);
      else tell(failure(answer, words), "failed");
    } catch {
      tell(words.away, "failed");
    } finally {
      button.disabled = false;
    }
  });
}
