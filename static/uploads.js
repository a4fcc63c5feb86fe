// What has just been sent is not sent again. With each word of the server's about any run, Gradio asks its editors for
// their value, and each sends all of its pictures: dozens of uploads while one picture is made, all of the same bytes.
// The server keeps a file by its bytes, so the answer would be the same.
(() => {
  const FRESH = 60_000; // ms; the server keeps what comes for longer (ui/serving/sweep.py)
  const MOST = 12; // files remembered
  const send = window.fetch; // connection.js
  const { connection } = window.studio;
  let sent = []; // {name, bytes, at, answer}, newest last

  const same = (bytes, others) => bytes.length === others.length && bytes.every((byte, i) => byte === others[i]);

  async function answered(asking) {
    const answer = await asking;
    return { ok: answer.ok, body: await answer.text(), status: answer.status, headers: answer.headers };
  }

  async function once(file, ...asked) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (connection.lost) sent = []; // another server may have taken its place
    sent = sent.filter(({ at }) => Date.now() - at < FRESH).slice(-MOST);
    let known = sent.find((one) => one.name === file.name && same(bytes, one.bytes));
    if (!known) {
      known = { name: file.name, bytes, at: Date.now(), answer: answered(send(...asked)) };
      sent.push(known);
    }
    const forget = () => (sent = sent.filter((one) => one !== known));
    try {
      const { ok, body, ...how } = await known.answer;
      if (!ok) forget();
      return new Response(body, how);
    } catch (error) {
      forget();
      throw error;
    }
  }

  window.fetch = (target, options, ...rest) => {
    const body = options?.body;
    // An upload whose progress is shown has a number, under which it is told of.
    const plain = /\/gradio_api\/upload(\?(?!.*\bupload_id=)|$)/.test(String(target.url || target));
    const files = plain && body instanceof FormData ? [...body.values()] : [];
    if (files.length !== 1 || !(files[0] instanceof File)) return send(target, options, ...rest);
    return once(files[0], target, options, ...rest);
  };
})();
