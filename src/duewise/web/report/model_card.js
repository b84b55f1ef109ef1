"use strict";
// Draws each chart's lines over a common x axis, again when the colours of the system change.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = (text) => ({
    type: "linear", beginAtZero: true, border: { display: false }, grid: { color: colour("--line") },
    ticks: { color: colour("--dim") }, title: { display: true, text, color: colour("--dim") },
  });
  const names = ["--main", "--warm", "--grey"];
  let drawn = [];
  const draw = () => {
    drawn.forEach((chart) => chart.destroy());
    drawn = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) => {
      const { x, y, lines } = figures[canvas.dataset.chart];
      return new Chart(canvas, {
        type: "line",
        data: {
          datasets: lines.map((of, index) => ({
            label: of.label, data: of.data, borderColor: colour(names[index % names.length]),
            backgroundColor: colour(names[index % names.length]), borderWidth: 2, pointRadius: 2.5, tension: 0,
          })),
        },
        options: {
          animation: false, maintainAspectRatio: false,
          plugins: { legend: { labels: { color: colour("--ink"), boxWidth: 12 } } },
          scales: { x: axis(x), y: axis(y) },
        },
      });
    });
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
