// Points on their way from noise to a shape, on a canvas: played, dragged through, or drawn by hand.
// Run by Gradio with `element`, `props`, `watch` and `trigger`; what it draws is `props.value` (ui/tabs/inside/points.py).
const find = (part) => element.querySelector(part);
const colour = (name) => getComputedStyle(element).getPropertyValue(name).trim();
const EDGE = 2.6; // of the plane that is shown
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
let at = 0; // how far it has come, in states
let playing = null;
let drawn = [];
let keyed = null; // where arrow keys have come on the field, [x, y]

const steps = () => (props.value?.ways?.length || 1) - 1;

function draw() {
  const canvas = find("canvas");
  const value = props.value;
  if (!canvas || !value?.ways) return;
  const side = canvas.width;
  const pen = canvas.getContext("2d");
  const place = ([x, y]) => [((x + EDGE) / (2 * EDGE)) * side, ((EDGE - y) / (2 * EDGE)) * side];
  const dot = (point, radius) => {
    pen.beginPath();
    pen.arc(...place(point), radius, 0, 2 * Math.PI);
    pen.fill();
  };
  pen.clearRect(0, 0, side, side);
  const step = Math.min(Math.floor(at), steps());
  const part = at - step;
  const shows = (name) => find(`[name=${name}]`).checked;
  if (shows("arrows")) {
    pen.strokeStyle = colour("--series-4");
    pen.globalAlpha = 0.6;
    pen.lineWidth = 1.5;
    for (const [x, y, dx, dy] of value.arrows[Math.min(step, value.arrows.length - 1)]) {
      const size = Math.min(1, 2 / Math.hypot(dx, dy)) * 0.09;
      const [left, top] = place([x, y]);
      const [right, low] = place([x + dx * size, y + dy * size]);
      pen.beginPath();
      pen.moveTo(left, top);
      pen.lineTo(right, low);
      pen.stroke();
      pen.fillStyle = colour("--series-4");
      pen.fillRect(right - 2, low - 2, 4, 4); // its head
    }
    pen.globalAlpha = 1;
  }
  pen.globalAlpha = 0.45;
  value.points.forEach((point, i) => {
    pen.fillStyle = colour(value.labels[i] ? "--series-1" : "--series-0");
    dot(point, 6);
  });
  const between = (i) => {
    const [x, y] = value.ways[step][i];
    const [u, v] = value.ways[Math.min(step + 1, steps())][i];
    return [x + (u - x) * part, y + (v - y) * part];
  };
  pen.strokeStyle = colour("--series-2");
  pen.lineWidth = 1;
  pen.globalAlpha = 0.5;
  if (shows("trails"))
    for (let i = 0; i < value.ways[0].length; i += 1) {
      pen.beginPath();
      for (let j = 0; j <= step; j += 1) pen.lineTo(...place(value.ways[j][i]));
      pen.lineTo(...place(between(i)));
      pen.stroke();
    }
  pen.globalAlpha = 1;
  pen.fillStyle = colour("--body-text-color");
  for (let i = 0; i < value.ways[0].length; i += 1) dot(between(i), 3.5);
  pen.fillStyle = colour("--series-3");
  for (const point of drawn) dot(point, 6);
  find("[name=at]").value = at;
  if (keyed && value.can_draw) {
    const [x, y] = place(keyed);
    pen.strokeStyle = colour("--body-text-color");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x - 14, y);
    pen.lineTo(x + 14, y);
    pen.moveTo(x, y - 14);
    pen.lineTo(x, y + 14);
    pen.stroke();
  }
  if (!value.ways[0].length) find("output").textContent = "";
  else find("output").textContent = `state ${value.states[step]}, after ${step} of ${steps()} steps`;
}

function stop() {
  cancelAnimationFrame(playing);
  playing = null;
  const button = find(".play");
  if (button) button.textContent = "Play";
}

function play() {
  stop();
  if (at >= steps()) at = 0;
  find(".play").textContent = "Pause";
  const began = performance.now();
  const from = at;
  const run = (now) => {
    at = Math.min(steps(), from + (Math.max(0, now - began) / 2500) * steps()); // a frame may have begun before
    draw();
    if (at < steps()) playing = requestAnimationFrame(run);
    else stop();
  };
  playing = requestAnimationFrame(run);
}

// The template is drawn anew with every value, so whatever is heard is heard by what is around it.
function shown() {
  const slider = find("[name=at]");
  if (!slider || !props.value?.ways) return;
  slider.max = steps();
  find(".points-bar").style.visibility = props.value.ways[0].length ? "" : "hidden";
  const canvas = find("canvas");
  if (props.value.can_draw) {
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", "Field to draw on: arrow keys move, Space puts a point, Enter hands them in.");
    if (keyed) canvas.focus({ preventScroll: true });
  } else keyed = null;
  find(".points-charts").innerHTML = props.value.charts;
  drawn = [];
  if (calm) {
    at = steps();
    stop();
    draw();
  } else {
    at = 0;
    play();
  }
}

element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-set]");
  if (pressed) trigger("select", JSON.parse(pressed.dataset.set));
  if (!event.target.closest(".play")) return;
  if (playing) stop();
  else play();
});
element.addEventListener("input", (event) => {
  if (event.target.name === "at") {
    stop();
    at = Number(event.target.value);
  }
  if (event.target.name) draw();
});

// Drawing: a stroke on the canvas becomes the shape.
const where = (event) => {
  const box = find("canvas").getBoundingClientRect();
  const along = (value) => Math.round((value * 2 - 1) * EDGE * 1000) / 1000;
  return [along((event.clientX - box.left) / box.width), -along((event.clientY - box.top) / box.height)];
};
let pressed = false;
const handIn = () => drawn.length > 1 && trigger("select", { drawn: JSON.stringify(drawn) });
element.addEventListener("keydown", (event) => {
  if (event.target !== find("canvas") || !props.value?.can_draw) return;
  const by = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
  if (by) {
    const inside = (value) => Math.round(Math.max(-EDGE, Math.min(EDGE, value)) * 10) / 10;
    keyed = keyed ? [inside(keyed[0] + by[0] / 5), inside(keyed[1] + by[1] / 5)] : [0, 0];
  } else if (event.key === " ") {
    keyed ??= [0, 0];
    if (!drawn.length) drawn = [...(props.value.drawn || [])];
    drawn.push(keyed);
  } else if (event.key === "Enter") handIn();
  else return;
  event.preventDefault();
  stop();
  draw();
});
element.addEventListener("pointerdown", (event) => {
  if (event.target !== find("canvas") || !props.value?.can_draw) return;
  event.preventDefault();
  stop();
  pressed = true;
  drawn = [...(props.value.drawn || []), where(event)];
  draw();
});
element.addEventListener("pointermove", (event) => {
  if (!pressed) return;
  const point = where(event);
  const last = drawn[drawn.length - 1];
  if (Math.hypot(point[0] - last[0], point[1] - last[1]) > 0.06 && drawn.length < 600) drawn.push(point);
  draw();
});
addEventListener("pointerup", () => {
  if (!pressed) return;
  pressed = false;
  handIn();
});

watch("value", shown);
shown();
