// Two texts side by side: on the page of differences, and where two people saved one draft.
import { MergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { make } from "./dom.js";

const SHOWN = [
  EditorState.readOnly.of(true),
  EditorView.editable.of(false),
  EditorView.lineWrapping,
  lineNumbers(),
];

export function sideBySide(place, { title, before, after }) {
  const section = make("section", { class: "te-diff" });
  if (title) section.append(make("h3", {}, title));
  place.append(section);
  const view = new MergeView({
    a: { doc: before, extensions: SHOWN },
    b: { doc: after, extensions: SHOWN },
    parent: section,
    collapseUnchanged: { margin: 3, minSize: 6 },
    gutter: true,
  });
  return view;
}

/** `<div data-compare>` holds two `<pre>`, which are what is shown without scripts. */
export function wireComparison(root) {
  for (const element of root.querySelectorAll("[data-compare]")) {
    const [before, after] = [...element.querySelectorAll("pre")].map((pre) => pre.textContent);
    element.replaceChildren();
    element.classList.remove("te-pair");
    sideBySide(element, { before, after });
  }
}
