"""A connection that is lost in a run: it is said, the button comes back, and nothing on the page is lost."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from ddpm_core.images.files import read_parameters
from tests.browser.actions import (
    LONG,
    advanced,
    downloaded,
    drawn,
    finished,
    number,
    opened,
    run,
    settle,
    stroke,
    tab,
    upload,
)  # fmt: skip
from tests.browser.conftest import DESKTOP, App

STEP = re.compile(r"^step \d+ of ")
LOST = re.compile("^The connection to the studio was lost")


def lost(page: Page, name: str) -> None:
    expect(page.locator(f"#{name}-bar p")).to_have_text(LOST, timeout=LONG)
    expect(page.locator(f"#{name}-run")).to_be_visible()
    expect(page.locator(f"#{name}-stop")).to_be_hidden()


def test_a_server_that_dies_in_a_run_takes_neither_picture_nor_paint(
    visit: Callable[..., Page], serve: Callable[..., App], tmp_path: Path
) -> None:
    app = serve()
    page = visit(app.address, viewport=DESKTOP, color_scheme="light")
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    tab(page, "Inpaint")
    settle(page)
    page.locator("#inpaint-live input").uncheck()
    opened(page, tmp_path / "photo.png", on_empty=True)
    stroke(page, (0.4, 0.45), (0.6, 0.55))
    advanced(page, "inpaint", 200)
    number(page, "#inpaint-resamples", 8)  # so that it still runs when the server goes
    number(page, "#inpaint-count", 8)
    number(page, "#inpaint-seed", 31)
    page.locator("#inpaint-run").click()
    expect(page.locator("#inpaint-bar p")).to_have_text(STEP, timeout=LONG)
    app.process.kill()
    app.process.wait()
    lost(page, "inpaint")
    with page.expect_request("**/gradio_api/upload**"):
        page.locator("#inpaint-run").click()  # too early; Stop may be gone again before it was seen
    lost(page, "inpaint")

    drawn(page)  # picture and paint are still on the canvas
    serve(port=app.port)  # a new process, which knows nothing of the upload and does not take another for it
    page.locator("#inpaint-run").click()
    expect(page.locator("#inpaint-bar p")).to_have_text(re.compile("open it again"), timeout=LONG)
    upload(page, tmp_path / "photo.png")
    drawn(page)
    stroke(page, (0.4, 0.45), (0.6, 0.55))
    number(page, "#inpaint-count", 1)
    number(page, "#inpaint-steps", 3)
    run(page, "inpaint")
    path = downloaded(page, "#inpaint-download", tmp_path)
    assert read_parameters(path)["seed"] == 31
    with Image.open(path) as result:
        assert result.size == (90, 60)


def test_a_server_that_falls_silent_is_noticed(visit: Callable[..., Page], serve: Callable[..., App]) -> None:
    app = serve()
    page = visit(app.address, viewport=DESKTOP, color_scheme="light")
    advanced(page, "generate", 200)
    number(page, "#generate-count", 8)
    page.locator("#generate-run").click()
    expect(page.locator("#generate-bar p")).to_have_text(STEP, timeout=LONG)
    usual = page.evaluate("({...studio.watch})")
    app.process.send_signal(signal.SIGSTOP)  # its lines stay open and bring nothing more; nobody answers either
    # Asking and waiting are the same, only sooner: three times the page's own patience are most of a minute.
    page.evaluate("Object.assign(studio.watch, {every: 1000, patience: 2000})")
    try:
        lost(page, "generate")
    finally:
        app.process.send_signal(signal.SIGCONT)
    page.evaluate("usual => Object.assign(studio.watch, usual)", usual)
    number(page, "#generate-count", 1)
    number(page, "#generate-steps", 3)
    run(page, "generate")


def test_a_run_that_could_not_be_begun_gives_its_button_back(page: Page) -> None:
    page.route("**/queue/join**", lambda route: route.abort())
    page.locator("#generate-run").click()
    expect(page.locator("#generate-bar p")).to_have_text(LOST, timeout=LONG)
    expect(page.locator("#generate-run")).to_be_visible()
    page.unroute("**/queue/join**")
    advanced(page, "generate", 2)
    run(page, "generate")


def test_paint_that_could_not_be_sent_is_said_and_kept(page: Page) -> None:
    tab(page, "Inpaint")
    settle(page)
    drawn(page)
    page.route("**/gradio_api/upload**", lambda route: route.abort())
    stroke(page, (0.35, 0.8), (0.55, 0.8))
    expect(page.locator("#inpaint-bar p")).to_have_text(LOST, timeout=LONG)  # in place of a draft
    page.evaluate("document.querySelector('#inpaint-bar p').textContent = ''")
    page.locator("#inpaint-run").click()
    lost(page, "inpaint")
    page.unroute("**/gradio_api/upload**")
    advanced(page, "inpaint", 2)
    run(page, "inpaint")


# What the server says as it closes a stream reaches the page only when the test lets go of it.
HELD = """(() => {
  const ask = window.fetch.bind(window);
  const until = new Promise((go) => (window.letGo = go));
  const text = new TextDecoder(), bytes = new TextEncoder();
  const hold = async (part, out) => {
    const [before, closing] = text.decode(part).split(/(?=data: ?{"msg": ?"close_stream")/);
    const told = closing === undefined && before.includes('"close_stream"') ? [null, before] : [before, closing];
    if (told[0]) out.enqueue(bytes.encode(told[0]));
    if (!told[1]) return;
    await until;
    out.enqueue(bytes.encode(told[1]));
  };
  window.fetch = async (...call) => {
    const answer = await ask(...call);
    if (!String(call[0].url || call[0]).includes("/queue/data")) return answer;
    const body = answer.body.pipeThrough(new TransformStream({ transform: hold }));
    return new Response(body, { status: answer.status, headers: answer.headers });
  };
})()"""


def test_what_is_asked_while_the_stream_is_being_closed_is_answered(page: Page) -> None:
    page.add_init_script(HELD)
    page.reload()
    page.locator("#generate-run").wait_for()
    advanced(page, "generate", 2)
    run(page, "generate")  # the server has nothing more to tell and closes the stream; the page does not know yet
    page.evaluate("document.querySelector('#generate-bar p').textContent = ''")
    with page.expect_response("**/queue/join**"):
        page.locator("#generate-run").click()
    page.wait_for_timeout(500)
    page.evaluate("letGo()")
    finished(page, "generate")


# The first stream falls silent after the first picture that it brings; the server goes on telling on it.
DEAD = """(() => {
  const ask = window.fetch.bind(window);
  const text = new TextDecoder();
  window.streams = 0;
  window.fetch = async (...call) => {
    const answer = await ask(...call);
    if (!String(call[0].url || call[0]).includes("/queue/data") || window.streams++) return answer;
    let dead = false;
    const pass = (part, out) => {
      if (!dead) out.enqueue(part);
      dead ||= text.decode(part).includes("process_generating");
    };
    const body = answer.body.pipeThrough(new TransformStream({ transform: pass, flush: () => new Promise(() => {}) }));
    return new Response(body, { status: answer.status, headers: answer.headers });
  };
})()"""


def test_a_stream_that_dies_unnoticed_is_opened_again_and_its_run_comes_to_its_end(page: Page) -> None:
    page.add_init_script(DEAD)
    page.reload()
    page.locator("#generate-run").wait_for()
    page.evaluate("Object.assign(studio.watch, {every: 500, silence: 3000})")  # its own patience is a minute
    advanced(page, "generate", 30)
    before = page.evaluate("streams")
    run(page, "generate")
    assert before == 0
    assert page.evaluate("streams") == 2
    expect(page.locator("#generate-gallery img")).to_be_visible()
