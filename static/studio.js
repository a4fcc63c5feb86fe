// What Gradio has no setting for: walking through frames without asking the server, a light/dark switch,
// dropping or pasting a file on the canvas, and dropping a saved picture on the gallery.
(() => {
  const chosen = (view, sees, believes) => (view === "sees" ? sees : believes) || [];
  const file = (item) => (item ? item.image || item : null);

  const stored = localStorage.getItem("studio-shade");
  const darken = (dark) => document.body.classList.toggle("dark", dark);
  if (stored) addEventListener("DOMContentLoaded", () => darken(stored === "dark"));

  // The button that runs a tab, the one that stops it, and the bar: what Gradio sets when a handler returns this.
  const LOST = "The connection to the studio was lost. All on the page is still here: press the button again once it is back.";
  const stopped = new Map(); // what a tab's bar says since Stop was pressed
  let lost = false;
  let refused = ""; // why the last request was not taken
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

  window.studio = {
    watch: { every: 3000, patience: 15000 }, // ms; how often a server is asked whether it is there, and has to answer
    began(name) {
      stopped.delete(name);
      watch();
      return [visible(false), visible(true), { text: "Starting …", percent: 0 }];
    },
    // Also when it was stopped, and when it failed without an answer.
    ended(name, bar) {
      if (stopped.has(name)) return idle(stopped.get(name));
      if (lost) return idle({ ...bar, text: LOST });
      if (refused && bar.text === "Starting …") return idle({ text: refused, percent: 0 });
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
  };

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

  // A line to the server brings what runs yield. When it breaks, Gradio waits for the server and then loads the page
  // anew, which takes a visitor's picture and paint away; or, where the line only falls silent, waits for good. Here a
  // broken line ends the runs it was for with a failure, which Gradio takes for theirs, and the page stays as it is.
  const ask = window.fetch;
  // Without the number of an event, a failure is for all that wait.
  const failure = { error: LOST, title: "Connection lost", visible: true, duration: 10 };
  const FAILED = [{ msg: "process_completed", success: false, output: failure }, { msg: "close_stream" }]
    .map((message) => `data: ${JSON.stringify(message)}\n\n`)
    .join("");
  const lines = new Set(); // how to break those that are open
  let server = ""; // where calls go
  let heard = 0; // when a line last brought something
  const pause = (time) => new Promise((wait) => setTimeout(wait, time));
  window.fetch = async (target, ...rest) => {
    const url = String(target.url || target);
    const [before, call] = url.split("/queue/");
    if (call?.startsWith("data")) {
      try {
        const answer = await ask(target, ...rest);
        return answer.ok ? unbroken(answer) : answer;
      } catch (error) {
        if (error.name === "AbortError") throw error;
        lost = true;
        return new Response(FAILED, { headers: { "Content-Type": "text/event-stream" } });
      }
    }
    if (call?.startsWith("join")) {
      server = before;
      try {
        const answer = await ask(target, ...rest);
        lost = false;
        refused = answer.status === 503 ? (await answer.json()).detail : "";
        // Of this status Gradio would say something of its own.
        return refused ? new Response(JSON.stringify({ detail: refused }), { status: 429 }) : answer;
      } catch {
        lost = true;
        return new Response(JSON.stringify({ error: LOST }), { status: 500 });
      }
    }
    for (;;) {
      try {
        return await ask(target, ...rest);
      } catch (error) {
        if (!url.includes("/gradio_api/run/")) throw error;
        await pause(2000); // small things, which the page itself asks for from time to time, wait for the server
      }
    }
  };

  // Where a run that waits stands in line, in its tab's bar.
  function place(line) {
    if (!/"msg": ?"(estimation|process_starts)"/.test(line)) return;
    let said;
    try {
      said = JSON.parse(line.replace(/^data: ?/, ""));
    } catch {
      return; // parted between two reads; there will be another
    }
    const waits = { text: "Starting …" };
    if (said.msg === "estimation") {
      const eta = said.rank_eta;
      const ready = eta === null ? "" : ` · ready in about ${eta < 90 ? `${Math.ceil(eta)} s` : `${Math.ceil(eta / 60)} min`}`;
      waits.text = `${said.rank ? `Place ${said.rank + 1} in line` : "Next in line"}${ready}`;
    }
    for (const stop of stops()) {
      const bar = document.querySelector(`#${stop.id.replace("-stop", "-bar")} p`);
      const text = bar && (window.studio.written?.(bar) ?? bar.textContent);
      if (/^(Starting|Next in|Place)/.test(text)) bar.textContent = waits.text;
    }
  }

  function unbroken(answer) {
    const reader = answer.body.getReader();
    let open = true;
    let breaks;
    const close = () => {
      open = false;
      lines.delete(breaks);
    };
    const body = new ReadableStream({
      async start(out) {
        breaks = () => {
          if (!open) return;
          close();
          lost = true;
          out.enqueue(new TextEncoder().encode(FAILED));
          out.close();
          reader.cancel().catch(() => {});
        };
        lines.add(breaks);
        const text = new TextDecoder();
        (async () => {
          while (open) {
            const { done, value } = await reader.read();
            if (!open) return;
            if (done) return breaks();
            out.enqueue(value);
            heard = Date.now();
            const said = text.decode(value, { stream: true });
            said.split("\n").forEach(place);
            if (/"msg": ?"close_stream"/.test(said)) close();
          }
          out.close();
        })().catch((error) => {
          if (error.name !== "AbortError") return breaks();
          close(); // by the page itself
          out.error(error);
        });
      },
      cancel(reason) {
        close();
        return reader.cancel(reason);
      },
    });
    return new Response(body, { status: answer.status, headers: answer.headers });
  }

  // While something runs, the server is asked now and then whether it is there: a line that falls silent says nothing.
  const stops = () => [...document.querySelectorAll("[id$='-stop']")].filter((stop) => stop.offsetParent);
  let watching = false;
  async function watch() {
    if (watching) return;
    watching = true;
    let missed = 0;
    do {
      const since = Date.now();
      await pause(window.studio.watch.every);
      const there = await ask(`${server || "/gradio_api"}/app_id`, {
        signal: AbortSignal.timeout(window.studio.watch.patience),
        cache: "no-store",
      }).then(
        (answer) => answer.ok,
        () => false,
      );
      missed = there || heard > since ? 0 : missed + 1; // a busy server may answer late, and yet go on
      if (missed > 1) {
        lost = true;
        [...lines].forEach((line) => line());
        for (const stop of stops()) document.querySelector(`#${stop.id.replace("-stop", "-lost")}`)?.click();
      }
    } while (stops().length);
    watching = false;
  }

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
