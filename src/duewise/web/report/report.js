"use strict";
// Draws the charts from the figures in the page, again when the colours of the system change.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const bars = (label, data, name) => ({
    type: "bar", label, data, backgroundColor: colour(name), borderRadius: 3, order: 2,
    maxBarThickness: 26,
  });
  const line = (label, data, name) => ({
    type: "line", label, data, borderColor: colour(name), backgroundColor: colour(name),
    borderWidth: 2, pointRadius: 2.5, tension: 0.25, order: 1,
  });
  const sets = {
    days: (of) => [
      bars("planned", of.planned, "--soft"),
      bars("delivered", of.delivered, "--main"),
      line("payments", of.payments, "--warm"),
    ],
    hours: (of) => [bars("sent", of.sent, "--main")],
  };
  const options = (datasets) => ({
    animation: false,
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    plugins: {
      legend: {
        display: datasets.length > 1, align: "start",
        labels: { color: colour("--ink"), boxWidth: 12, boxHeight: 12, padding: 14 },
      },
    },
    scales: {
      x: { grid: { display: false }, ticks: { color: colour("--dim"), maxRotation: 0 } },
      y: {
        beginAtZero: true, border: { display: false },
        grid: { color: colour("--line") }, ticks: { color: colour("--dim"), precision: 0 },
      },
    },
  });
  let drawn = [];
  const draw = () => {
    drawn.forEach((chart) => chart.destroy());
    drawn = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) => {
      const of = figures[canvas.dataset.chart];
      const datasets = sets[canvas.dataset.chart](of);
      return new Chart(canvas, { data: { labels: of.labels, datasets }, options: options(datasets) });
    });
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
