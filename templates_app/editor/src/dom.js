// A small maker of elements: text is always text, never markup.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** `Line %(line)s` with the values that are named. */
export function say(words, values = {}) {
  return words.replace(/%\((\w+)\)s/g, (_, name) => values[name] ?? "");
}

export async function post(url, body, { signal } = {}) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const headers = { "X-CSRFToken": token, Accept: "application/json" };
  if (!(body instanceof FormData)) headers["Content-Type"] = "application/json";
  const answer = await fetch(url, {
    method: "POST",
    headers,
    body: body instanceof FormData ? body : JSON.stringify(body),
    signal,
    // An answer that leads elsewhere leads to the login page: the session has ended.
    redirect: "manual",
  });
  if (answer.type === "opaqueredirect") return { status: 401, isJson: false, data: {} };
  const isJson = (answer.headers.get("Content-Type") || "").includes("json");
  return { status: answer.status, isJson, data: isJson ? await answer.json() : {} };
}

/** Tabs: buttons `[data-tab]` and panels `[data-panel]` within one element. */
export function wireTabs(root, onShow = () => {}) {
  const tabs = [...root.querySelectorAll("[data-tab]")];
  const show = (name) => {
    for (const tab of tabs) tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
    for (const panel of root.querySelectorAll("[data-panel]")) {
      panel.hidden = panel.dataset.panel !== name;
    }
    onShow(name);
  };
  for (const tab of tabs) tab.addEventListener("click", () => show(tab.dataset.tab));
  return show;
}

/** What to say of an answer that is no use. */
export function failure({ status, data }, words) {
  if (status === 0) return words.away;
  if (status === 401) return words.loggedOut;
  return data?.detail || words.refused;
}
