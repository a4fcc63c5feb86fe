// What Gradio has no setting for: walking through frames without asking the server, a light/dark switch,
// dropping or pasting a file on the canvas, and dropping a saved picture on the gallery.
(() => {
  const chosen = (view, sees, believes) => (view === "sees" ? sees : believes) || [];
  const file = (item) => (item ? item.image || item : null);

  const stored = localStorage.getItem("studio-shade");
  const darken = (dark) => document.body.classList.toggle("dark", dark);
  if (stored) addEventListener("DOMContentLoaded", () => darken(stored === "dark"));

  window.studio = {
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
    // Whether a tab's run is going on: its button then says Stop.
    running: (name) => Boolean(document.querySelector(`#${name}-stop`)?.offsetParent),
    // Opens the documentation where it speaks of a tab; what is in a fold is only there once it is open.
    help(tab) {
      const fold = document.querySelector("#help");
      const label = fold.querySelector(".label-wrap");
      if (!label.classList.contains("open")) label.click();
      const show = (tries) => {
        const place = [...fold.querySelectorAll("strong, h2")].find((one) => one.textContent.startsWith(tab));
        if (place) place.scrollIntoView({ block: "start" });
        else if (tries) setTimeout(() => show(tries - 1), 50);
      };
      show(40);
    },
    shade() {
      const dark = !document.body.classList.contains("dark");
      darken(dark);
      localStorage.setItem("studio-shade", dark ? "dark" : "light");
    },
  };

  // Where files may be dropped, and which button takes them.
  const takes = { "#inpaint-editor": "#inpaint-upload", "#generate-gallery": "#generate-settings" };
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
