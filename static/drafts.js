// Says under the picture that a live draft is on its way: on a busy machine it waits in line, or takes its time. The page
// asks for drafts more often than any is made, whenever a canvas opens for one; so it is said only after the visitor has
// done something to paint, or to what a draft depends on, and where there is paint (canvas.js). Who looks at the result
// while the canvas opens has not.
(() => {
  const TEXT = "A live draft is on its way …";
  const PAUSE = 200; // ms within which one request follows the other; the words stay in between
  const ASKS = ["editor", "ready", "mask", "region", "seed", "dice", "again", "grow", "feather", "crop", "label"]
    .map((name) => `#inpaint-${name}`)
    .join();
  const { studio } = window;
  let acted = false; // whether the visitor has, since the last draft
  let asked = 0; // requests that are not answered yet
  let ending = 0;

  const at = (event, place) => event.target instanceof Element && event.target.closest(place);
  // As the canvas is told of it: touch.js keeps a finger back that is one of two.
  addEventListener("pointerdown", (event) => (acted ||= Boolean(at(event, "#inpaint-editor canvas"))), true);
  for (const kind of ["click", "input", "change"])
    addEventListener(
      kind,
      (event) => {
        if (at(event, "#inpaint-examples")) acted = false; // its paint comes with its result
        else if (at(event, ASKS)) acted = true;
      },
      true,
    );

  function show(words) {
    const bar = document.querySelector("#inpaint-bar");
    if (!bar || bar.dataset.drafting === words) return;
    if (words) bar.dataset.drafting = words;
    else delete bar.dataset.drafting;
    if (words) studio.say(words);
  }
  const end = () => {
    clearTimeout(ending);
    asked = 0;
    acted = false;
    show();
  };

  Object.assign(studio, {
    // A draft is asked for, where those are wanted; not in a run, whose result it would take away.
    draft(live) {
      const wanted = live && !studio.running("inpaint");
      asked += 1;
      clearTimeout(ending);
      if (wanted && acted && document.querySelector("#inpaint-editor[data-painted]")) show(studio.words(TEXT));
      return wanted;
    },
    // An answer is there, or none will come.
    drafted() {
      asked = Math.max(asked - 1, 0);
      clearTimeout(ending);
      if (!asked) ending = setTimeout(end, PAUSE);
    },
    noDraft: end,
  });
})();
