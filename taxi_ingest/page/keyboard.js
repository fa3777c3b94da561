"use strict";
// In a grid, Tab reaches one month, arrow keys move on from it, and a pointer over it shows its label; a link into a
// closed table opens it.
for (const grid of document.querySelectorAll("table.grid")) {
  const lines = [...grid.tBodies[0].rows].map((line) => [...line.querySelectorAll("td")].map((cell) => cell.firstChild));
  const links = lines.flat().filter(Boolean);
  const choose = (link) => {
    for (const other of links) other.tabIndex = -1;
    link.tabIndex = 0;
  };
  for (const link of links) link.title = link.getAttribute("aria-label");
  if (links.length) choose(links[0]);
  grid.addEventListener("focusin", (event) => choose(event.target));
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  grid.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    let line = lines.findIndex((cells) => cells.includes(event.target));
    let cell = lines[line].indexOf(event.target);
    do {
      line += step[0];
      cell += step[1];
    } while (lines[line] && cell >= 0 && cell < lines[line].length && !lines[line][cell]);
    const next = lines[line] && lines[line][cell];
    if (next) next.focus();
  });
}
const show = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const closed = target && target.closest("details");
  if (closed && !closed.open) {
    closed.open = true;
    target.scrollIntoView({ block: "center" });
  }
};
addEventListener("hashchange", show);
show();
