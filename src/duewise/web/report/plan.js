"use strict";
// Draws each chart's bars, one stack for each label, again when the colours of the system change.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = (text) => ({
    stacked: true, beginAtZero: true, border: { display: false }, grid: { color: colour("--line") },
    ticks: { color: colour("--dim") }, title: { display: Boolean(text), text, color: colour("--dim") },
  });
  const names = ["--main", "--warm", "--grey", "--bad", "--soft", "--dim"];
  let drawn = [];
  const draw = () => {
    drawn.forEach((chart) => chart.destroy());
    drawn = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) => {
      const { labels, sets, unit, lying } = figures[canvas.dataset.chart];
      return new Chart(canvas, {
        type: "bar",
        data: {
          labels,
          datasets: sets.map((of, index) => ({
            label: of.label, data: of.data, backgroundColor: colour(names[index % names.length]),
          })),
        },
        options: {
          animation: false, maintainAspectRatio: false, indexAxis: lying ? "y" : "x",
          plugins: { legend: { labels: { color: colour("--ink"), boxWidth: 12 } } },
          scales: lying ? { x: axis(unit), y: axis("") } : { x: axis(""), y: axis(unit) },
        },
      });
    });
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
