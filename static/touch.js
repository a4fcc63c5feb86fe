// One finger paints, two zoom and move: Gradio's canvas takes every finger for a brush. The first finger is held back
// until it moves, or stays, alone; a second one makes it a pinch, which the canvas is told of as turns of a wheel.
(() => {
  const WAIT = 120; // ms that a second finger has to come
  const STILL = 6; // pixels a finger that lies still may move
  const STEADY = 50; // below so much, Gradio takes a wheel for a trackpad, whose turns weigh differently
  const fingers = new Map(); // where each is, by its id
  let first = null; // the event of a finger held back
  let waiting = 0;
  let pinching = false;

  const onCanvas = ({ isTrusted, pointerType, target }) =>
    isTrusted && pointerType === "touch" && target instanceof Element && target.closest(":is(#inpaint-editor, #edit-editor) canvas");
  const keep = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  const replay = (type, event) => event.target.dispatchEvent(new PointerEvent(type, event));
  const paint = () => {
    clearTimeout(waiting);
    const event = first;
    first = null;
    if (event) replay("pointerdown", event);
  };
  const turn = (canvas, at, deltaX, deltaY, altKey) =>
    canvas.dispatchEvent(
      new WheelEvent("wheel", { bubbles: true, cancelable: true, clientX: at.x, clientY: at.y, deltaX, deltaY, altKey }),
    );
  const pinch = ([a, b]) => ({
    x: (a.clientX + b.clientX) / 2,
    y: (a.clientY + b.clientY) / 2,
    apart: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
  });

  function follow(canvas, before, after) {
    const [dx, dy] = [after.x - before.x, after.y - before.y];
    const weigh = Math.abs((dy * 100) / 30) < STEADY ? 100 / 30 : 10;
    if (dx || dy) turn(canvas, after, -dx * weigh, -dy * weigh, false);
    const growth = after.apart / Math.max(before.apart, 1) - 1;
    const slow = Math.abs(growth * 1000) < STEADY;
    if (growth) turn(canvas, after, 0, -growth * (slow ? 1000 : 2000), true);
  }

  addEventListener(
    "pointerdown",
    (event) => {
      if (!onCanvas(event)) return;
      const [other] = fingers.values();
      fingers.set(event.pointerId, event);
      if (!other) {
        keep(event);
        pinching = false;
        first = event;
        waiting = setTimeout(paint, WAIT);
        return;
      }
      keep(event);
      if (!pinching && !first) replay("pointerup", other); // it has begun to paint: that stroke ends here
      clearTimeout(waiting);
      first = null;
      pinching = true;
    },
    true,
  );
  addEventListener(
    "pointermove",
    (event) => {
      const last = event.isTrusted && fingers.get(event.pointerId);
      if (!last) return;
      if (pinching) {
        keep(event);
        const two = [...fingers.values()].slice(0, 2);
        const before = two.length === 2 && pinch(two);
        fingers.set(event.pointerId, event);
        if (before) follow(last.target, before, pinch([...fingers.values()].slice(0, 2)));
        return;
      }
      if (first && Math.hypot(event.clientX - first.clientX, event.clientY - first.clientY) < STILL) return keep(event);
      paint();
      fingers.set(event.pointerId, event);
    },
    true,
  );
  const lifted = (event) => {
    if (!event.isTrusted || !fingers.delete(event.pointerId)) return;
    if (pinching) return keep(event);
    paint(); // a tap is a dot
  };
  addEventListener("pointerup", lifted, true);
  addEventListener("pointercancel", lifted, true);
})();
