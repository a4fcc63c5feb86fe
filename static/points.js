// Points on their way from noise to a shape, on a canvas: played, dragged through, or drawn by hand.
// Run by Gradio with `element`, `props`, `watch` and `trigger`; what it draws is `props.value` (ui/tabs/inside/points.py).
const find = (part) => element.querySelector(part);
const colour = (name) => getComputedStyle(element).getPropertyValue(name).trim();
const EDGE = 2.6; // of the plane that is shown
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
let at = 0; // how far it has come, in states
let playing = null;
let drawn = [];

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
  pen.globalAlpha = 0.35;
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
  find("output").textContent = `state ${value.states[step]}, after ${step} of ${steps()} steps`;
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
  if (drawn.length > 1) trigger("select", { drawn: JSON.stringify(drawn) });
});

watch("value", shown);
shown();
