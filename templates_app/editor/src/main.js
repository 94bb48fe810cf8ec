import { Code } from "./code.js";
import { wireComparison } from "./compare.js";
import { make, say, wireTabs } from "./dom.js";
import { Preview } from "./preview.js";
import { Saving } from "./saving.js";
import { wireTest } from "./testing.js";
import { Variables } from "./variables.js";
import "./style.css";

// Of channels whose providers have templates of their own.
const PROVIDER = [
  "provider_template_id",
  "provider_signature",
  "provider_kind",
  "provider_parameters",
];

function start() {
  wireComparison(document);
  const form = document.querySelector("form[data-template-editor]");
  if (form) wireEditor(form, JSON.parse(document.getElementById("template-editor").textContent));
}

function wireEditor(form, { urls, words, isReadOnly }) {
  const field = (name) => form.elements.namedItem(name);
  const textOf = (name) => field(name)?.value ?? "";
  const preview = document.querySelector("[data-preview]");
  const variablesTable = document.querySelector("[data-variables]");
  let saving = null;
  let shown = null;

  const changed = () => {
    saving?.changed();
    shown?.refresh();
  };
  const codes = {};
  const formatOf = (name) => (name === "body" ? textOf("body_format") || "html" : "text");
  for (const name of ["body", "text"]) {
    const area = field(name);
    if (area?.matches("textarea")) {
      codes[name] = new Code(area, { format: formatOf(name), onChange: changed });
    }
  }
  const showPart = wireTabs(form);
  if (form.querySelector("[data-tab=body]")) showPart("body");
  for (const name of ["subject", "body_format", ...PROVIDER]) {
    field(name)?.addEventListener?.("input", () => {
      codes.body?.speak(formatOf("body"));
      changed();
    });
  }

  const variables = new Variables(variablesTable, {
    textarea: field("variables"),
    words: words.table,
    isReadOnly,
    onChange: changed,
  });

  const problems = form.querySelector("[data-problems]");
  const showProblems = (found) => {
    for (const [part, code] of Object.entries(codes)) {
      code.show(found.filter((problem) => problem.part === part));
    }
    problems.replaceChildren(
      ...found.map((problem) => {
        const part = words.fields[problem.part] || problem.part;
        const where = problem.line ? say(words.where, { ...problem, part }) : part;
        const reveal = () => {
          if (codes[problem.part]) {
            showPart(problem.part);
            codes[problem.part].reveal(problem.line, problem.column);
          } else field(problem.part)?.focus?.();
        };
        const kind = problem.severity || "error";
        return make(
          "li",
          { "data-severity": kind },
          make("button", { type: "button", class: "te-link", onclick: reveal }, where),
          ` ${problem.detail}`,
        );
      }),
    );
    field("subject")?.setAttribute?.(
      "aria-invalid",
      String(found.some((problem) => problem.part === "subject" && problem.severity !== "warning")),
    );
  };

  if (preview) {
    const showTab = wireTabs(preview);
    showTab(preview.dataset.firstTab || "html");
    const names = ["subject", "body_format", "body", "text", "variables"];
    shown = new Preview(preview, {
      url: urls.preview,
      words,
      read: () => Object.fromEntries([...names, ...PROVIDER].map((name) => [name, textOf(name)])),
      onAnswer: (data) => {
        showProblems(data.problems);
        variables.follow(data.variables);
        for (const [name, code] of Object.entries(codes)) code.speak(formatOf(name), variables.names);
      },
    });
    shown.refresh({ atOnce: true });
  }

  if (!isReadOnly) {
    const load = (theirs) => {
      for (const [name, value] of Object.entries(theirs)) {
        if (codes[name]) codes[name].text = value;
        else if (field(name) && name !== "revision") field(name).value = value;
      }
      variables.draw();
      shown?.refresh({ atOnce: true });
    };
    saving = new Saving(form, { url: urls.save, words, load });
  }
  const dialog = document.querySelector("dialog[data-test]");
  if (dialog) wireTest(dialog, { saving, url: urls.test, words });
  form.dataset.ready = "true";
}

start();
