// What Gradio has no setting for: walking through frames without asking the server, a light/dark switch,
// dropping or pasting a file on the canvas, and dropping a saved picture on the gallery.
(() => {
  const chosen = (view, sees, believes) => (view === "sees" ? sees : believes) || [];
  const file = (item) => (item ? item.image || item : null);

  const stored = localStorage.getItem("studio-shade");
  const darken = (dark) => document.body.classList.toggle("dark", dark);
  if (stored) addEventListener("DOMContentLoaded", () => darken(stored === "dark"));

  // The button that runs a tab, the one that stops it, and the bar: what Gradio sets when a handler returns this.
  const stopped = new Map(); // what a tab's bar says since Stop was pressed
  const { connection } = window.studio; // connection.js
  const visible = (shown) => ({ __type__: "update", visible: shown });
  const idle = (bar) => [visible(true), visible(false), bar];

  // Opens a fold and shows a place in it, which is only there once it is open.
  function unfold(id, find) {
    const fold = document.querySelector(`#${id}`);
    const label = fold.querySelector(".label-wrap");
    if (!label.classList.contains("open")) label.click();
    const show = (tries) => {
      const place = find(fold);
      if (place) place.scrollIntoView({ block: "start" });
      else if (tries) setTimeout(() => show(tries - 1), 50);
    };
    show(40);
  }

  Object.assign(window.studio, {
    began(name) {
      stopped.delete(name);
      if (name === "inpaint") window.studio.noDraft(); // it takes the draft's place
      connection.watch();
      return [visible(false), visible(true), { text: "Starting …", percent: 0 }];
    },
    // Also when it was stopped, and when it failed without an answer.
    ended(name, bar) {
      if (stopped.has(name)) return idle(stopped.get(name));
      if (connection.lost) return idle({ ...bar, text: connection.LOST });
      if (connection.refused && bar.text === "Starting …") return idle({ text: connection.refused, percent: 0 });
      return idle(bar.text === "Starting …" ? { text: "Nothing was made.", percent: 0 } : bar);
    },
    stopped(name, bar) {
      const [where] = bar.text.split(" · ");
      stopped.set(name, { ...bar, text: where.startsWith("step") ? `Stopped at ${where}.` : "Stopped." });
      return idle(stopped.get(name));
    },
    // The frame at place `at`, counted from 1.
    frame(at, ...galleries) {
      const frames = chosen(...galleries);
      return file(frames[Math.min(Math.max(at, 1), frames.length) - 1]);
    },
    // `wanted` of the frames, evenly spaced. All of them are fetched ahead, so that scrubbing does not stutter.
    strip(wanted, ...galleries) {
      const frames = chosen(...galleries);
      for (const one of frames) new Image().src = file(one).url;
      const n = Math.min(wanted, frames.length);
      const at = (i) => (n > 1 ? Math.round((i * (frames.length - 1)) / (n - 1)) : 0);
      return [Array.from({ length: n }, (_, i) => frames[at(i)])]; // one output, which is a list
    },
    // A button that is there to be pressed.
    press(button) {
      const found = document.querySelector(button);
      if (found?.offsetParent) found.click();
    },
    // A place that is about to be there: scrolled to once it is.
    show(place, tries = 40) {
      const found = document.querySelector(place);
      if (found?.offsetParent) found.scrollIntoView({ block: "start" });
      else if (tries) setTimeout(() => window.studio.show(place, tries - 1), 50);
    },
    // Whether a tab's run is going on: its button then says Stop.
    running: (name) => Boolean(document.querySelector(`#${name}-stop`)?.offsetParent),
    // Opens the documentation where it speaks of a tab.
    help(tab) {
      unfold("help", (fold) => [...fold.querySelectorAll("strong, h2")].find((one) => one.textContent.startsWith(tab)));
    },
    // Opens a view's code at one of the functions that compute it.
    code(fold, number) {
      unfold(fold, (open) => open.querySelectorAll("pre")[number]);
    },
    shade() {
      const dark = !document.body.classList.contains("dark");
      darken(dark);
      localStorage.setItem("studio-shade", dark ? "dark" : "light");
    },
  });

  // A word under a prompt box is added to what is typed there; a whole prompt takes its place.
  addEventListener("click", (event) => {
    const chip = event.target.closest?.(".chips :is([data-word], [data-prompt])");
    const box = chip && document.querySelector(`#${chip.parentElement.dataset.into} :is(textarea, input)`);
    if (!box) return;
    const typed = box.value.trimEnd();
    const added = chip.dataset.prompt ?? (typed ? `${typed} ${chip.dataset.word}` : chip.dataset.word);
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(box), "value").set.call(box, added);
    box.dispatchEvent(new Event("input", { bubbles: true }));
  });

  addEventListener("click", (event) => {
    const link = event.target.closest?.("a:is([data-help], [data-code], [data-press])");
    if (!link) return;
    event.preventDefault();
    if (link.dataset.help) window.studio.help(link.dataset.help);
    else if ("press" in link.dataset) window.studio.press(link.hash);
    else window.studio.code(link.hash.slice(1), Number(link.dataset.code));
  });

  // Where files may be dropped, and which button takes them.
  const takes = {
    "#inpaint-editor": "#inpaint-upload",
    "#edit-editor": "#edit-upload",
    "#generate-gallery": "#generate-settings",
  };
  const open = (button, files) => {
    const input = document.querySelector(button)?.parentElement.querySelector("input[type=file]");
    if (!input || !files.length) return;
    const one = new DataTransfer();
    one.items.add(files[0]);
    input.files = one.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const under = (event) =>
    event.target instanceof Element && Object.keys(takes).find((place) => event.target.closest(place));
  addEventListener("dragover", (event) => under(event) && event.preventDefault(), true);
  addEventListener(
    "drop",
    (event) => {
      const place = under(event);
      if (!place || !event.dataTransfer.files.length) return;
      event.preventDefault();
      event.stopPropagation();
      open(takes[place], event.dataTransfer.files);
    },
    true,
  );
  addEventListener("paste", (event) => {
    const shown = document.querySelector("#inpaint-editor");
    if (shown?.offsetParent && event.clipboardData.files.length) open("#inpaint-upload", event.clipboardData.files);
  });
})();
