// A stage of Look inside: what bears data-set='{"field": value}' sets controls when it is pressed, by a hand or by keys.
// Run by Gradio with `element`, `watch` and `trigger`. A stage is drawn anew with every answer, so whatever is heard is
// heard by what is around it, and what had the keys has them again afterwards.
const stops = () => [...element.querySelectorAll("button, svg[tabindex]")];
let keys = null; // which of the stops had the keys last
let here = null; // where its frame was, {row, column} of a cell
const press = (value) => trigger("select", value);

element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-set]");
  if (pressed) press(JSON.parse(pressed.dataset.set));
});

function frame(grid, { row, column }) {
  grid.dataset.row = row;
  grid.dataset.column = column;
  const rect = grid.querySelector(".keys");
  rect.setAttribute("x", column);
  rect.setAttribute("y", row);
}

element.addEventListener("keydown", (event) => {
  const grid = event.target.closest("svg[tabindex]");
  if (!grid) return;
  const at = { row: Number(grid.dataset.row), column: Number(grid.dataset.column) };
  const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (by) {
    const { width, height } = grid.viewBox.baseVal;
    here = {
      row: Math.min(height - 1, Math.max(0, at.row + by[0])),
      column: Math.min(width - 1, Math.max(0, at.column + by[1])),
    };
    frame(grid, here);
    window.studio?.say?.(`${here.row}, ${here.column}`);
  } else if (event.key === "Enter" || event.key === " ") press(at);
  else return;
  event.preventDefault();
});

element.addEventListener("focusin", (event) => {
  const stop = stops().indexOf(event.target.closest("button, svg[tabindex]"));
  if (stop !== keys) here = null;
  keys = stop;
});
element.addEventListener("focusout", (event) => {
  if (event.relatedTarget) keys = null; // they went elsewhere, and were not lost with what was drawn before
});
watch("value", () =>
  requestAnimationFrame(() => {
    const stop = stops()[keys];
    if (!stop || document.activeElement !== document.body) return;
    const at = here;
    stop.focus({ preventScroll: true });
    if (at && stop.dataset.row) frame(stop, at);
    here = at;
  })
);
