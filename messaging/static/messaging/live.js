// Renews parts of a page until what it shows is over. An element with data-live="address" says
// where they come from: JSON with `parts`, HTML by the name in data-live-part, and `is_over`.
// With data-live-reload the page is loaded anew then, because its buttons are others.
// Without this script the page shows what was true when it was loaded.
(() => {
  "use strict";
  const SOON = 1500, LATER = 5000;
  const shown = new WeakMap();

  function show(element, html) {
    if (shown.get(element) === html) return;
    const open = new Set();
    element.querySelectorAll("details[open][data-key]").forEach((each) => open.add(each.dataset.key));
    element.innerHTML = html;
    shown.set(element, html);
    element.querySelectorAll("details[data-key]").forEach((each) => {
      each.open = open.has(each.dataset.key);
    });
  }

  async function renew(address) {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    // Logged out, or not allowed any more: it will not get better.
    if (response.redirected || response.status === 403 || response.status === 404) return true;
    if (!response.ok) return false;
    const { parts, is_over: isOver } = await response.json();
    for (const [name, html] of Object.entries(parts)) {
      document.querySelectorAll(`[data-live-part="${name}"]`).forEach((each) => show(each, html));
    }
    return isOver;
  }

  async function watch(address, reloads) {
    for (let pause = SOON; ; pause = Math.min(pause * 1.1, LATER)) {
      await new Promise((done) => setTimeout(done, pause));
      if (document.hidden) continue;
      try {
        if (await renew(address)) {
          if (reloads) location.reload();
          return;
        }
      } catch {
        // The network is away for a moment.
      }
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-live]").forEach((each) => watch(each.dataset.live, "liveReload" in each.dataset));
  });
})();
