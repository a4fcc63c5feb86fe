// What Gradio leaves out for those who listen to the page, use no mouse, read another language, or want nothing to
// move by itself. It adds names, texts and keys to what is there, whenever something on the page changes.
(() => {
  const all = (selector, each) => document.querySelectorAll(selector).forEach(each);
  const put = (element, name, value) => element.getAttribute(name) !== value && element.setAttribute(name, value);
  const seedIn = (address) => /seed-(\d+)/.exec(address)?.[1];

  // Words. Gradio translates its components' texts itself, by the dictionaries that the page hands it (ui/languages);
  // here the same dictionaries are used for what is no component's text: lines under pictures, notices, names below.
  let spoken; // the language of `exact` and `patterns`
  let exact = {};
  let patterns = []; // of texts with a {place} in them: [expression, names of its places, translation]
  function words(text) {
    const language = document.documentElement.lang;
    if (spoken !== language) {
      spoken = language;
      const keyed = Object.entries(window.gradio_config?.i18n_translations?.[language] || {});
      exact = Object.fromEntries(keyed.map(([key, translation]) => [key.replace(/^studio: /, ""), translation]));
      const open = Object.entries(exact).filter(([text]) => text.includes("{"));
      const fixed = ([text]) => text.replace(/\{\w+\}/g, "").length;
      open.sort((a, b) => fixed(b) - fixed(a)); // what says more of a text is tried first
      patterns = open.map(([text, translation]) => {
        const places = [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        const parts = text.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
        return [new RegExp(`^${parts.join("(.+?)")}$`, "s"), places, translation];
      });
    }
    if (Object.hasOwn(exact, text)) return exact[text];
    for (const [expression, places, translation] of patterns) {
      const found = expression.exec(text);
      if (found) return translation.replace(/\{(\w+)\}/g, (_, name) => words(found[places.indexOf(name) + 1]));
    }
    return text;
  }
  const filled = (text, values) => words(text).replace(/\{(\w+)\}/g, (_, name) => values[name]);

  const LINES =
    ".lead, .hint, .bar p, .toast-header, .toast-message-text, #title span, .caption-label, .preview .caption, #footer span, " +
    ".controls :is(button, label), .actions button, .inside-guide :is(h3, p)"; // these may be given other texts when something is chosen
  const originals = new WeakMap(); // of text nodes: what was written, and what was put in its place
  function translate() {
    all(LINES, (line) => {
      const walk = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const node = walk.currentNode;
        const known = originals.get(node);
        const [, before, text, after] = /^(\s*)(.*?)(\s*)$/s.exec(known?.shown === node.data ? known.written : node.data);
        const shown = before + words(text) + after;
        originals.set(node, { written: before + text + after, shown });
        if (shown !== node.data) node.data = shown;
      }
    });
  }

  // What stood in a line before it was translated.
  const written = (line) => originals.get(line.firstChild)?.written ?? line.textContent;
  Object.assign(window.studio, { written, words });

  // Names, for those who listen.
  function name() {
    // Gradio has these in few languages.
    all(":is(button, input):is([aria-label], [title])", (control) => {
      for (const one of ["aria-label", "title"]) {
        const text = control.getAttribute(one);
        if (text) put(control, one, words(text));
      }
    });
    all(".square img, .show-api img", (icon) => put(icon, "alt", "")); // the button's words say it
    all(".stage .caption-label, .preview .caption", (caption) => {
      const button = caption.closest("button");
      const label = button?.getAttribute("aria-label");
      if (label && !label.includes(caption.textContent)) put(button, "aria-label", `${label}, ${caption.textContent}`);
      const picture = button?.querySelector("img");
      if (picture) put(picture, "alt", caption.textContent);
    });
    all("#inpaint-result, #edit-result", (result) => {
      const [before, after] = result.querySelectorAll(".content img");
      if (before) put(before, "alt", words("Before"));
      if (after) put(after, "alt", seeded("After", after.src));
      result.querySelectorAll("[data-testid=slider]").forEach(slidable);
    });
    all("#process-frame img", (frame) => {
      const box = document.querySelector("#process-scrubber input[type=range]");
      put(frame, "alt", filled("Frame {at} of {all}", { at: box?.value, all: box?.max }));
    });
    all("#train-grid img", (grid) => put(grid, "alt", document.querySelector("#train-caption")?.innerText.trim() || ""));
    // A press on these does nothing; to be enlarged and taken away they have buttons of their own.
    all(":is(#process-frame, #train-grid) .image-container > button", (frame) => put(frame, "tabindex", "-1"));
    all(".download-link > button", (button) => {
      put(button, "tabindex", "-1"); // the link around it is pressed
      put(button.parentElement, "aria-label", button.getAttribute("aria-label"));
    });
    all("#inpaint-editor .image-container", (canvas) => {
      put(canvas, "role", "group");
      put(canvas, "aria-label", words("Canvas; the buttons below paint on it, too"));
    });
    all("#edit-editor .image-container", (canvas) => {
      put(canvas, "role", "group");
      put(canvas, "aria-label", words("Canvas to draw on"));
    });
    all(".gif .image-container > button", pausable);
    // A notice's head is a button with the one that closes it inside; the words of the head are made the button.
    all(".toast-header", (head) => {
      const title = head.querySelector(".toast-title-row");
      head.removeAttribute("role");
      head.removeAttribute("tabindex");
      put(title, "role", "button");
      put(title, "tabindex", "0");
      put(title, "aria-expanded", String(Boolean(head.parentElement.querySelector(".toast-messages"))));
    });
  }
  const seeded = (text, address) => {
    const seed = seedIn(address);
    return seed ? filled(`${text}, seed {seed}`, { seed }) : words(text);
  };

  // The line between before and after, by keys: what a hand would do is done to it.
  function slidable(line) {
    const tell = (share) => put(line, "aria-valuenow", String(Math.round(100 * share)));
    if (line.tabIndex < 0) {
      line.tabIndex = 0;
      line.addEventListener("focus", () => tell(place(line))); // a hand may have moved it
      line.addEventListener("keydown", (event) => {
        const here = Number(line.getAttribute("aria-valuenow")) / 100; // the line itself follows a moment later
        const to = { ArrowLeft: here - 0.05, ArrowRight: here + 0.05, Home: 0, End: 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        drag(line, Math.min(Math.max(to, 0), 1));
        tell(Math.min(Math.max(to, 0), 1));
      });
    }
    put(line, "role", "slider");
    put(line, "aria-label", words("Before and after"));
    put(line, "aria-valuemin", "0");
    put(line, "aria-valuemax", "100");
    if (document.activeElement !== line) tell(place(line));
  }
  const middle = (line) => {
    const box = line.getBoundingClientRect();
    return box.left + box.width / 2;
  };
  const place = (line) => {
    const room = line.parentElement.getBoundingClientRect();
    return room.width ? (middle(line) - room.left) / room.width : 0.5;
  };
  function drag(line, to) {
    const room = line.parentElement.getBoundingClientRect();
    const hand = (target, type, clientX) =>
      target.dispatchEvent(
        new MouseEvent(type, { bubbles: true, cancelable: true, view: window, clientX, clientY: room.top + room.height / 2 }),
      );
    hand(line.querySelector(".inner"), "mousedown", middle(line));
    hand(window, "mousemove", room.left + to * room.width);
    hand(window, "mouseup", room.left + to * room.width);
  }

  // Moving pictures: a press pauses them, and whoever wants nothing to move finds them paused.
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const paused = (button) => (button.dataset.paused ? button.dataset.paused === "yes" : calm.matches);
  function pausable(button) {
    const picture = button.querySelector("img");
    if (!picture) return;
    if (!button.dataset.pausable) {
      button.dataset.pausable = "yes";
      button.addEventListener("click", () => {
        button.dataset.paused = paused(button) ? "no" : "yes";
        pausable(button);
      });
    }
    const seed = seedIn(picture.src);
    const what = paused(button) ? "Play the animation" : "Pause the animation";
    put(button, "aria-label", seed ? filled(`${what}, seed {seed}`, { seed }) : words(what));
    let still = button.querySelector("canvas");
    if (!paused(button)) return still?.remove();
    if (!picture.complete) return picture.addEventListener("load", () => pausable(button), { once: true });
    if (!still) picture.after((still = document.createElement("canvas")));
    if (still.dataset.of === picture.src) return;
    still.dataset.of = picture.src;
    still.width = picture.naturalWidth;
    still.height = picture.naturalHeight;
    still.getContext("2d").drawImage(picture, 0, 0);
  }
  const held = new WeakSet(); // films that began by themselves and were stopped; a press lets them go on
  addEventListener(
    "play",
    ({ target }) => {
      if (!calm.matches || held.has(target)) return;
      held.add(target);
      target.pause();
    },
    true,
  );

  // What is said under a picture is read out, but for the steps, which would never end.
  let voice;
  const said = new WeakMap();
  function tell() {
    if (!voice) {
      voice = document.createElement("div");
      voice.id = "voice";
      voice.setAttribute("role", "status");
      document.body.append(voice);
    }
    all(".bar p", (line) => {
      const [bar, text] = [line.closest(".bar"), line.textContent];
      if (said.has(bar) && said.get(bar) !== text && !/^step \d/.test(written(line))) voice.textContent = text;
      said.set(bar, text);
    });
  }

  window.studio.say = (text) => {
    if (voice) voice.textContent = text;
  };

  let due = false;
  const changed = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      translate();
      name();
      tell();
    });
  };
  calm.addEventListener("change", changed);
  addEventListener("input", changed);
  const watch = { childList: true, characterData: true, subtree: true, attributes: true, attributeFilter: ["src", "lang"] };
  new MutationObserver(changed).observe(document.documentElement, watch);
})();
