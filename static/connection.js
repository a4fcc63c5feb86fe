// The stream on which the server tells what runs yield. The page has it through Gradio's client, which thinks it open for
// as long as the page is; here it is opened when something is asked, and taken up again as often as need be.
//
// By itself, Gradio's client opens a stream when it asks for something and thinks none open, and the server closes it when
// nothing more is to come. What is asked between the server's closing it and the client's hearing of that is awaited on
// the closed stream: for good, if what asked waits for its answer before it asks again, as live drafts do. And when the
// stream breaks, the client waits for the server and then loads the page anew, which takes a visitor's picture and paint
// away; or, where it only falls silent, waits for good. Here a broken stream ends the runs it was for with a failure,
// which Gradio takes for theirs, and the page stays as it is. Before that another one is opened, once: the server may not
// have noticed, and tells on it what was not heard of the first (ui/serving/streams.py).
(() => {
  const connection = {
    LOST: "The connection to the studio was lost. All on the page is still here: press the button again once it is back.",
    lost: false,
    refused: "", // why the last request was not taken
    watch,
  };
  const studio = (window.studio = {
    connection,
    // ms; how often a server is asked whether it is there, and has to answer; and how long its stream may be silent, on
    // which it says that it is there every 15 seconds.
    watch: { every: 3000, patience: 15000, silence: 60000 },
  });

  const ask = window.fetch;
  const awaited = new Set(); // numbers of the events that are not yet answered
  const writer = new TextEncoder();
  let asks; // with what Gradio asks for the stream
  let out; // where it reads what is told
  let stream; // ends the one that is open
  let server = ""; // where calls go
  let heard = 0; // when the stream last brought something
  let last = ""; // number of what it brought
  let tries = 0; // streams opened in place of another, since one brought something
  const pause = (time) => new Promise((wait) => setTimeout(wait, time));

  window.fetch = async (target, ...rest) => {
    const url = String(target.url || target);
    const [before, call] = url.split("/queue/");
    if (call?.startsWith("data")) return lasting(target, ...rest);
    if (call?.startsWith("join")) {
      server = before;
      try {
        const answer = await ask(target, ...rest);
        const said = await answer.clone().json().catch(() => ({}));
        connection.lost = false;
        connection.refused = answer.status === 503 ? said.detail : "";
        // Of this status Gradio would say something of its own.
        if (connection.refused) return new Response(JSON.stringify({ detail: connection.refused }), { status: 429 });
        if (said.event_id) {
          awaited.add(said.event_id);
          open();
        }
        return answer;
      } catch {
        connection.lost = true;
        return new Response(JSON.stringify({ error: connection.LOST }), { status: 500 });
      }
    }
    for (;;) {
      try {
        return await ask(target, ...rest);
      } catch (error) {
        if (/\/gradio_api\/upload\b/.test(url) && error.name !== "AbortError") unsent();
        if (!url.includes("/gradio_api/run/")) throw error;
        await pause(2000); // small things, which the page itself asks for from time to time, wait for the server
      }
    }
  };

  // What Gradio takes for its stream.
  function lasting(target, options) {
    const signal = target.signal || options?.signal;
    asks = [String(target.url || target), { headers: target.headers || options?.headers }];
    const body = new ReadableStream({
      start(mine) {
        out = mine;
        signal?.addEventListener("abort", () => {
          if (out === mine) out = asks = stream = void stream?.abort();
        });
      },
    });
    open();
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  // Opens the server's, unless it is open, or `former` is.
  async function open(former) {
    if (stream !== former || !asks || !awaited.size) return;
    const mine = (stream = new AbortController());
    const due = [...awaited]; // told of on this one, or never
    heard = Date.now();
    watch();
    try {
      const headers = new Headers(asks[1].headers);
      headers.set("Last-Event-ID", last);
      const answer = await ask(asks[0], { headers, signal: mine.signal });
      former?.abort(); // not before: the server would take it for the page's leaving
      if (!answer.ok) throw new Error(answer.statusText);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", closed = false; !closed; ) {
        const { done, value } = await reader.read();
        if (stream !== mine) return;
        if (done) throw new Error("It ended before it was closed.");
        heard = Date.now();
        const told = (text + value).split("\n\n");
        text = told.pop();
        for (const one of told) {
          const [, id = last, data] = /^(?:id: (\d+)\n)?(data:[^]*)$/.exec(one) ?? [];
          last = id;
          closed ||= Boolean(data) && hear(data);
        }
      }
      stream = undefined;
      fail(due.filter((event) => awaited.has(event)));
      open();
    } catch {
      former?.abort();
      if (stream === mine && !again()) lose();
    }
  }

  // Opens a stream in place of a broken or silent one, unless the last one was opened for that and brought nothing.
  function again() {
    if (tries++) return false;
    open(stream);
    return true;
  }

  // Passes on what was told, as it came: previews are many, and Gradio reads them again. Whether the stream is closed.
  const HEARD = /"msg": ?"(close_stream|unexpected_error|process_completed|process_starts|estimation)"/;
  function hear(told) {
    const message = HEARD.test(told) ? JSON.parse(told.slice(5)) : {};
    if (message.msg === "close_stream") return true;
    if (message.msg === "unexpected_error") throw new Error(message.message); // the stream's own, which Gradio takes for the page's
    tries = 0;
    if (message.msg === "process_completed") awaited.delete(message.event_id);
    place(message);
    tell(told);
    return false;
  }

  const tell = (told) => out?.enqueue(writer.encode(`${told}\n\n`));

  // Ends runs that will not be told of.
  function fail(events) {
    if (events.length) [connection.lost, last] = [true, ""];
    for (const event of events) {
      awaited.delete(event);
      const output = { error: connection.LOST, title: "Connection lost", visible: true, duration: 10 };
      tell(`data: ${JSON.stringify({ msg: "process_completed", event_id: event, success: false, output })}`);
    }
  }

  function lose() {
    connection.lost = true;
    studio.noDraft();
    stream = void stream?.abort();
    fail([...awaited]);
  }

  // A picture or paint did not arrive, and what it was for is not asked: to Gradio, that run has not begun and will not
  // end. Those that have begun go on.
  function unsent() {
    connection.lost = true;
    studio.noDraft();
    for (const bar of document.querySelectorAll("[id$='-bar'] p")) {
      const name = bar.closest("[id$='-bar']").id.replace("-bar", "");
      const begun = studio.running(name) && !/^Starting/.test(studio.written?.(bar) ?? bar.textContent);
      if (!bar.offsetParent || begun) continue;
      if (studio.running(name)) document.querySelector(`#${name}-lost`)?.click();
      else bar.textContent = connection.LOST;
    }
  }

  // Where a run that waits stands in line, in its tab's bar.
  function place(message) {
    if (!["estimation", "process_starts"].includes(message.msg)) return;
    const waits = { text: "Starting …" };
    if (message.msg === "estimation") {
      const eta = message.rank_eta;
      const ready = eta === null ? "" : ` · ready in about ${eta < 90 ? `${Math.ceil(eta)} s` : `${Math.ceil(eta / 60)} min`}`;
      waits.text = `${message.rank ? `Place ${message.rank + 1} in line` : "Next in line"}${ready}`;
    }
    for (const stop of stops()) {
      const bar = document.querySelector(`#${stop.id.replace("-stop", "-bar")} p`);
      const text = bar && (studio.written?.(bar) ?? bar.textContent);
      if (/^(Starting|Next in|Place)/.test(text)) bar.textContent = waits.text;
    }
  }

  // While something runs, the server is asked now and then whether it is there: a stream that falls silent says nothing.
  // It may also be there, and only the stream be dead, or kept back by a proxy.
  const stops = () => [...document.querySelectorAll("[id$='-stop']")].filter((stop) => stop.offsetParent);
  let watching = false;
  async function watch() {
    if (watching) return;
    watching = true;
    let missed = 0;
    let silent = 0; // ms; not by the clock, which goes on while a computer sleeps
    do {
      const since = Date.now();
      await pause(studio.watch.every);
      const there = await ask(`${server || "/gradio_api"}/app_id`, {
        signal: AbortSignal.timeout(studio.watch.patience),
        cache: "no-store",
      }).then(
        (answer) => answer.ok,
        () => false,
      );
      missed = there || heard > since ? 0 : missed + 1; // a busy server may answer late, and yet go on
      silent = stream && heard <= since ? silent + studio.watch.every : 0;
      if (missed > 1 || silent >= studio.watch.silence) {
        silent = 0;
        if (missed <= 1 && again()) continue;
        lose();
        for (const stop of stops()) document.querySelector(`#${stop.id.replace("-stop", "-lost")}`)?.click();
      }
    } while (stops().length || awaited.size);
    watching = false;
  }
})();
