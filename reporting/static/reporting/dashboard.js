// Draws the chart of the dashboard, and asks for the page again now and then: only parts that
// changed are replaced, so that nothing flickers, scrolls away or loses its focus.
"use strict";

(() => {
  const root = document.getElementById("dashboard");
  if (!root) return;

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => document.documentElement.classList.contains("dark");
  const COLORS = {
    success: ["--color-green-500", "--color-green-500"],
    pending: ["--color-blue-300", "--color-blue-700"],
    sending: ["--color-blue-500", "--color-blue-500"],
    failed: ["--color-red-500", "--color-red-500"],
    unknown: ["--color-orange-500", "--color-orange-500"],
    cancelled: ["--color-base-300", "--color-base-600"],
  };
  const colorOf = (status) => style((COLORS[status] || COLORS.cancelled)[isDark() ? 1 : 0]);

  let chart = null;

  const readSeries = () => JSON.parse(document.getElementById("dash-series-data").textContent);

  const datasetsOf = (series) =>
    series.datasets.map((dataset) => ({
      label: dataset.label,
      data: dataset.values,
      backgroundColor: colorOf(dataset.status),
      maxBarThickness: 28,
    }));

  const recolor = () => {
    const grid = style(isDark() ? "--color-base-800" : "--color-base-200");
    const words = style(isDark() ? "--color-base-400" : "--color-base-500");
    for (const axis of [chart.options.scales.x, chart.options.scales.y]) {
      axis.grid.color = grid;
      axis.ticks.color = words;
    }
    chart.options.plugins.legend.labels.color = words;
  };

  const draw = () => {
    const series = readSeries();
    if (chart) {
      chart.data.labels = series.labels;
      chart.data.datasets = datasetsOf(series);
      recolor();
      chart.update("none");
      return;
    }
    chart = new Chart(document.getElementById("dash-series"), {
      type: "bar",
      data: { labels: series.labels, datasets: datasetsOf(series) },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        onClick: (event, elements) => {
          if (elements.length) location.href = readSeries().urls[elements[0].index];
        },
        plugins: {
          legend: { position: "bottom", labels: { boxWidth: 10, boxHeight: 10 } },
          tooltip: {
            callbacks: { title: (items) => readSeries().titles[items[0].dataIndex] },
            filter: (item) => item.raw > 0,
          },
        },
        scales: {
          x: { stacked: true, grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 16 } },
          y: { stacked: true, beginAtZero: true, grid: {}, ticks: { precision: 0, maxTicksLimit: 6 } },
        },
      },
    });
    recolor();
    chart.update("none");
  };

  const replaceChanged = (page) => {
    for (const part of root.querySelectorAll("[data-part]")) {
      const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (fresh && fresh.innerHTML !== part.innerHTML) part.innerHTML = fresh.innerHTML;
    }
  };

  const refresh = async () => {
    if (document.hidden) return;
    const stale = root.querySelector(".dash-stale");
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      // Logged out: the answer is the page that asks for the password.
      if (!response.ok || !page.getElementById("dashboard")) throw new Error("no dashboard");
      replaceChanged(page);
      draw();
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  };

  for (const select of root.querySelectorAll("[data-submits]")) {
    select.addEventListener("change", () => select.form.submit());
  }
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
  document.addEventListener("visibilitychange", refresh);
  draw();
  setInterval(refresh, Number(root.dataset.every) * 1000);
})();
