// A CodeMirror in place of a textarea, which stays in the form and is kept up to date.
import { html } from "@codemirror/lang-html";
import { liquid } from "@codemirror/lang-liquid";
import { LanguageSupport, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { basicSetup } from "codemirror";

const plain = new LanguageSupport(
  StreamLanguage.define({
    token(stream) {
      stream.skipToEnd();
      return null;
    },
  }),
);

const isDark = () => document.documentElement.classList.contains("dark");

/** Liquid within HTML (also for MJML), or within text that has no syntax of its own. */
function languageOf(format, variables) {
  const base = format === "html" || format === "mjml" ? html() : plain;
  return liquid({ base, variables: variables.map((label) => ({ label, type: "variable" })) });
}

export class Code {
  constructor(textarea, { format = "text", onChange = () => {} } = {}) {
    this.textarea = textarea;
    this.format = format;
    this.variables = [];
    this.language = new Compartment();
    this.theme = new Compartment();
    const label = document.querySelector(`label[for="${textarea.id}"]`)?.textContent.trim();
    this.view = new EditorView({
      doc: textarea.value,
      extensions: [
        basicSetup,
        EditorView.lineWrapping,
        lintGutter(),
        syntaxHighlighting(classHighlighter),
        this.language.of(languageOf(format, [])),
        this.theme.of(EditorView.darkTheme.of(isDark())),
        EditorState.readOnly.of(textarea.readOnly),
        EditorView.contentAttributes.of({
          "aria-label": label || textarea.name,
          spellcheck: "false",
        }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          textarea.value = this.text;
          onChange();
        }),
      ],
    });
    textarea.hidden = true;
    textarea.after(this.view.dom);
    // The theme can be switched while the page is open.
    new MutationObserver(() => {
      this.view.dispatch({ effects: this.theme.reconfigure(EditorView.darkTheme.of(isDark())) });
    }).observe(document.documentElement, { attributeFilter: ["class"] });
  }

  get text() {
    return this.view.state.doc.toString();
  }

  set text(text) {
    if (text === this.text) return;
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
  }

  /** `variables`: names to complete. */
  speak(format, variables = this.variables) {
    const same = format === this.format && variables.join() === this.variables.join();
    if (same) return;
    this.format = format;
    this.variables = variables;
    this.view.dispatch({ effects: this.language.reconfigure(languageOf(format, variables)) });
  }

  /** Problems as the server tells them: `line` and `column` from 1, or null for the whole. */
  show(problems) {
    const { doc } = this.view.state;
    const diagnostics = problems.map((problem) => {
      const line = doc.line(Math.min(Math.max(problem.line || 1, 1), doc.lines));
      const from = Math.min(line.from + Math.max((problem.column || 1) - 1, 0), line.to);
      const to = problem.line ? line.to : from;
      return {
        from: from === to ? line.from : from,
        to,
        severity: problem.severity || "error",
        message: problem.detail,
      };
    });
    this.view.dispatch(setDiagnostics(this.view.state, diagnostics));
  }

  reveal(line, column) {
    const { doc } = this.view.state;
    const at = doc.line(Math.min(Math.max(line || 1, 1), doc.lines));
    const anchor = Math.min(at.from + Math.max((column || 1) - 1, 0), at.to);
    this.view.dispatch({ selection: { anchor }, scrollIntoView: true });
    this.view.focus();
  }
}
