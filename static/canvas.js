// When a canvas has changed, and whether it can be drawn on.
//
// It takes no strokes until its picture is on it. As it opens, Gradio's editor loads picture and paint twice, and
// with each throws away the layers it has: a stroke between is drawn on one that is gone by the time it is asked for.
// Until both are there, pointers are kept from the canvas (style.css) and it says why.
(() => {
  const PAUSE = 50; // ms; a stroke changes the canvas more than once
  const SETTLED = 2; // turns of the browser that what follows a load needs to begin the next one
  const loads = new WeakMap(); // how many go on, by the place of the editor
  const loading = ["add_image_from_url", "add_layers_from_url"];
  const turn = () => new Promise((next) => setTimeout(next));

  function show(place, opening) {
    const canvas = place.querySelector(".image-container") || place;
    if (!opening) {
      canvas.removeAttribute("aria-busy");
      delete canvas.dataset.opening;
      return;
    }
    canvas.setAttribute("aria-busy", "true");
    canvas.dataset.opening = window.studio.words("Opening the picture …");
  }

  async function during(place, work) {
    loads.set(place, (loads.get(place) || 0) + 1);
    show(place, true);
    try {
      return await work;
    } finally {
      leave(place);
    }
  }

  async function leave(place) {
    for (let wait = SETTLED; wait; wait--) await turn();
    loads.set(place, loads.get(place) - 1);
    if (loads.get(place)) return;
    show(place, false);
    changed(place);
  }

  // What waits for strokes is told of them: a button of the tab.
  const due = new WeakMap();
  function changed(place) {
    clearTimeout(due.get(place));
    const press = () => document.querySelector(`#${place.id.replace("editor", "drawn")}`)?.click();
    if (!loads.get(place)) due.set(place, setTimeout(press, PAUSE));
  }

  // Whether there is paint on it, also of an example's; what is wiped or taken back counts as well.
  const painted = (place, is) => place.toggleAttribute("data-painted", is);
  addEventListener(
    "pointerdown",
    ({ target }) => {
      const canvas = target instanceof Element && target.closest(":is(#inpaint-editor, #edit-editor) canvas");
      if (canvas) painted(canvas.closest(".stage"), true);
    },
    true,
  );

  // With each word of the server's about any run, Gradio asks an editor for its pictures, as files. They are made once
  // after each change; and without the one of all together, which nobody looks at.
  const exported = new WeakMap(); // a promise of them, by editor
  function keep(kind) {
    kind.get_blobs = function () {
      if (!exported.has(this)) {
        const parts = Object.create(this.layer_manager, { image_container: { value: null } });
        const files = parts.get_blobs(this.width, this.height);
        exported.set(this, files);
        files.catch(() => exported.get(this) === files && exported.delete(this));
      }
      return exported.get(this);
    };
  }

  const known = new WeakSet(); // kinds of editors whose loading is watched
  function watch(kind) {
    if (known.has(kind)) return;
    known.add(kind);
    keep(kind);
    for (const name of loading) {
      const load = kind[name];
      if (!load) continue;
      kind[name] = function (...what) {
        const place = this.target_element?.closest(".stage");
        if (place) painted(place, name === "add_layers_from_url" && what[0]?.length > 0);
        const work = load.apply(this, what);
        const forget = () => exported.delete(this);
        work.then(forget, forget);
        return place ? during(place, work) : work;
      };
    }
  }

  // Where the processor draws, each frame is dear. Gradio's editor draws them for half a second after whatever happens,
  // though most show nothing new: it draws a few at once, and one at the end, for what came late. A blurred shadow around
  // the picture, hardly to be seen, is six of a frame's eight passes: there is none.
  const AWAKE = 50; // ms
  function rest(editor) {
    let left = editor.render_idle_remaining;
    let late = 0;
    editor.ready.then(() => (editor.outline_graphics.filters = []));
    Object.defineProperty(editor, "render_idle_remaining", {
      get: () => left,
      set(time) {
        if (time > left) {
          clearTimeout(late);
          late = setTimeout(() => editor.app?.ticker?.start(), time);
        }
        left = Math.min(time, AWAKE);
      },
    });
  }

  // Gradio puts each editor here as soon as it is made; it has tools once it can be drawn on, and then loads.
  let last;
  Object.defineProperty(window, "editor", {
    configurable: true,
    get: () => last,
    set(editor) {
      last = editor;
      const place = editor?.target_element?.closest(".stage");
      if (!place) return;
      watch(Object.getPrototypeOf(editor));
      editor.on("change", () => {
        exported.delete(editor);
        changed(place);
      });
      rest(editor);
      const choose = editor.set_tool;
      during(
        place,
        new Promise((made) => {
          editor.set_tool = function (...tool) {
            delete editor.set_tool;
            made();
            return choose.apply(this, tool);
          };
        }),
      );
    },
  });
})();
