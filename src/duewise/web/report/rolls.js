"use strict";
// Draws a line for each vintage, from green for the oldest to red, again when the colours of the system change.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = (text) => ({
    border: { display: false }, grid: { color: colour("--line") },
    ticks: { color: colour("--dim") }, title: { display: true, text, color: colour("--dim") },
  });
  const line = (of, index, count) => {
    const hue = `hsl(${170 - (150 * index) / Math.max(count - 1, 1)} 55% 45%)`;
    return {
      label: of.label, data: of.data, borderColor: hue, backgroundColor: hue,
      borderWidth: 2, pointRadius: 1.5, tension: 0,
    };
  };
  let drawn = [];
  const draw = () => {
    drawn.forEach((chart) => chart.destroy());
    drawn = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) => {
      const { labels, lines } = figures[canvas.dataset.chart];
      return new Chart(canvas, {
        type: "line",
        data: { labels, datasets: lines.map((of, index) => line(of, index, lines.length)) },
        options: {
          animation: false, maintainAspectRatio: false,
          interaction: { mode: "nearest", intersect: false },
          plugins: { legend: { position: "right", labels: { color: colour("--ink"), boxWidth: 12 } } },
          scales: { x: axis("months on book"), y: { beginAtZero: true, ...axis("%") } },
        },
      });
    });
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
